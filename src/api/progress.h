/*
 * How far jobs have come and what they have used, as their nodes said last. Kept in memory only:
 * after a restart the hello of their agents tells it again. Any thread.
 */
#ifndef API_PROGRESS_H
#define API_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress;

/* In steps of the job: "epoch 3 of 12". */
struct job_progress {
    int64_t n; /* of this attempt */
    int64_t done, total;
    int64_t at_ms; /* when it was said: Unix */
};

/* Energy of an attempt so far. */
struct job_meter {
    int64_t n; /* of this attempt */
    int64_t energy_mj;
    bool measured; /* all of its time is in it */
};

struct progress *progress_new(void);
void progress_free(struct progress *p);

/* At most 65,536 are kept: one may push out another. */
void progress_set(struct progress *p, int64_t job, const struct job_progress *value);
bool progress_get(struct progress *p, int64_t job, struct job_progress *ret);
/* The same for what it has used. */
void progress_set_meter(struct progress *p, int64_t job, const struct job_meter *value);
bool progress_get_meter(struct progress *p, int64_t job, struct job_meter *ret);
/* Counts the changes. */
uint64_t progress_version(struct progress *p);

#endif
