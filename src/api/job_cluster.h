/*
 * The part of a job that is for clusters: image, runner, template, mounts, and where it may run.
 * Only form is checked here; what an administrator has defined is known to the cluster.
 */
#ifndef API_JOB_CLUSTER_H
#define API_JOB_CLUSTER_H

#include "base/json.h"
#include "base/json_out.h"
#include "engine/engine.h"

/* As read from the job's fields; NULL when absent. */
struct job_cluster {
    const char *image, *runner;
    const json_t *template, *mounts, *node_selector, *tolerations;
};

/* Checks them all, and fills selector, tolerations and flags of RET. ERR_INVALID names the field.
 */
int job_cluster_read(const struct job_cluster *in, struct submission *ret, struct err *e);

/* Whether it names what it runs, so that it needs no command: an image, or a template. */
bool job_cluster_runs_itself(const struct job_cluster *in);

/* The members of the spec. */
void job_cluster_write(const struct job_cluster *in, struct json_out *o);

/* Tolerations that are not about GPUs need leave: ALLOWED is a list "key,key=value:Effect,..." in
 * which a key allows all its forms and "*" everything; NULL allows none. ERR_DENIED. */
int job_cluster_check_leave(const struct submission *s, const char *allowed, struct err *e);

#endif
