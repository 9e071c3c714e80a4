/* A job followed to its end: its state, and its output as it comes. */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "cli/client.h"

/* Waits until the job has ended. Each time STATE changes, ON_CHANGE (may be NULL) is called with
 * the job. *RET is the ended job, owned by the caller. Survives a server that is away for a while.
 */
int follow_job(struct client *c, int64_t id, void (*on_change)(void *arg, const json_t *job),
               void *arg, json_t **ret, struct err *e);

struct follow_logs {
    int64_t attempt; /* 0: the newest, and the next ones when the job is tried again */
    int64_t tail;    /* begin so many bytes before the end; -1: at the beginning */
    bool follow;     /* until the job ends */
};
/* Writes the job's output to standard output. ERR_UNAVAILABLE: the reader went away. */
int follow_logs(struct client *c, int64_t id, const struct follow_logs *how, struct err *e);

bool job_has_ended(const json_t *job);

#endif
