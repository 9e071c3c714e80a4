/*
 * Recordings of people, generated: no download, and the same for the same seed on every machine.
 * People and their habits, the speed and width of a movement, the camera's angle, the sensor's
 * noise and its losses differ from sample to sample. The people of the three parts are different
 * people, so that what is measured on the held-back part is about strangers.
 */
#ifndef PROTO_GCN_DATA_H
#define PROTO_GCN_DATA_H

#include "action.h"
#include "config.h"

enum { CHANNELS = 3 }; /* x, y, z */

enum part { PART_TRAIN, PART_VAL, PART_TEST };

struct dataset {
    int count, frames, joints;
    int *labels;     /* [count] */
    real *positions; /* [count][frames][joints][CHANNELS], metres from the hips of the standing
                        person */
};

struct dataset *dataset_new(const struct config *c, enum part part);
void dataset_free(struct dataset *d);

/* Middle of each value and one deviation for all, over the training samples as their stream. */
struct norm {
    real mean[MAX_JOINTS * CHANNELS];
    real scale; /* 1 / deviation */
};

struct norm norm_of(const struct dataset *d, int64_t stream);

/*
 * Sample I as the net sees it, into X[frames][joints][CHANNELS]: turned into the stream and
 * normalised. With AUGMENT it is turned, scaled and shifted in time at random before.
 */
void dataset_view(const struct dataset *d, int i, int64_t stream, const struct norm *n,
                  struct rng *augment, real *x);

#endif
