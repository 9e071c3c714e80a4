/*
 * Jobs that administrators prepared and users only fill in: a YAML file a template, written like a
 * job, with {config_file}, {work_dir}, {user} and {examples} in its texts. Besides the job's fields
 * it may have a "description", and "parameters" that say what config_file and work_dir are to be:
 *
 *     description: train the large model
 *     parameters:
 *       config_file: {description: one of configs/, example: configs/big.yaml}
 */
#ifndef API_TEMPLATE_H
#define API_TEMPLATE_H

#include "base/json.h"
#include "base/json_out.h"

struct template_set;

/* What /submit runs. There is one of our own, which a file of this name replaces. */
#define TEMPLATE_SOURCE "proto-gcn"

/* Every NAME.yaml of FOLDER (NULL: none). EXAMPLES is the folder of the programs that come with
 * Reeve. Each template is tried once, so that a mistake shows now. */
int template_set_load(const char *folder, const char *examples, struct template_set **ret,
                      struct err *e);
/* What /submit runs is Argo's template NAME, in a cluster, unless a file of the folder says what it
 * runs. */
int template_set_use_argo(struct template_set *t, const char *name, struct err *e);
void template_set_free(struct template_set *t);

/* All of them, for people and forms, as the items of a list: what is to be filled in stands in
 * braces. Any thread. */
void template_write_all(const struct template_set *t, struct json_out *o);

struct template_values {
    const char *config_file, *work_dir, *user;
};

/* The job of this template, as somebody could have sent it; the caller owns it. ERR_NOT_FOUND: no
 * such template. Any thread. */
int template_fill(const struct template_set *t, const char *name,
                  const struct template_values *values, json_t **ret, struct err *e);

#endif
