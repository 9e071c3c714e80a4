/*
 * What a run is asked to do. Each setting is one row of a table in config.c; from it come the
 * reader of configuration files, the command line's options, and their help.
 */
#ifndef PROTO_GCN_CONFIG_H
#define PROTO_GCN_CONFIG_H

#include "why.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum stream { STREAM_JOINT, STREAM_BONE, STREAM_MOTION };
enum optimizer_kind { OPTIMIZER_ADAM, OPTIMIZER_SGD };

struct config {
    char name[64];
    int64_t stream; /* enum stream */
    int64_t classes, joints, frames;
    int64_t train_samples, val_samples, test_samples;
    double noise; /* metres */
    bool augment;
    int64_t width; /* channels after the first block; the second has twice as many */
    int64_t epochs, batch;
    int64_t optimizer; /* enum optimizer_kind */
    double lr, weight_decay;
    int64_t checkpoint_every; /* epochs */
    int64_t seed;
};

extern const struct config config_defaults;

/*
 * Sets one setting by its name; a dash in KEY counts as an underscore. Fails with a sentence that
 * names the key: not known, not a number, out of its range.
 */
int config_set(struct config *c, const char *key, const char *value, struct why *w);

/*
 * Reads `key: value` lines over what C holds. `#` starts a comment, a line `---` is skipped. The
 * first line that is anything else, and a key given twice, is a failure that names file and line.
 */
int config_load(struct config *c, const char *path, struct why *w);

/* What no single setting can tell: do they fit together? */
int config_check(const struct config *c, struct why *w);

/* One line of help per setting, each as an option of the command line. */
void config_help(FILE *out);

/* All settings as the members of a JSON object, INDENT spaces before each. */
void config_json(const struct config *c, FILE *out, int indent);

/* A number that differs when a checkpoint of one cannot go on under the other: whatever shapes the
 * data and the model. Length of training, learning rate and the like may change. */
uint64_t config_shape(const struct config *c);

#endif
