/* The words and numbers for jobs and attempts that are stored, shown and sent. */
#ifndef RECORD_JOB_H
#define RECORD_JOB_H

#include <stdbool.h>
#include <stdint.h>

/*
 *   QUEUED <----> SCHEDULED ----> RUNNING ----> COMPLETED
 *     ^               |              |
 *     +-- refused or tried again ----+        every one but COMPLETED may end as
 *                                             CANCELLED or FAILED
 *
 * The numbers are stored: only ever add at the end.
 */
enum job_state {
    JOB_QUEUED,
    JOB_SCHEDULED, /* an attempt is decided, not yet running */
    JOB_RUNNING,
    JOB_COMPLETED,
    JOB_FAILED,
    JOB_CANCELLED,
    JOB_STATES
};
const char *job_state_name(enum job_state s); /* "Queued" */
int job_state_find(const char *name);         /* in any case of letters; -1: no such state */
bool job_state_is_end(enum job_state s);
bool job_state_may_become(enum job_state from, enum job_state to);

enum job_flag {
    JOB_EXCLUSIVE = 1, /* never runs twice, not even by mistake: a lost attempt ends it */
    JOB_CANCEL_ASKED = 2,
    JOB_MEMORY_DEFAULT = 4, /* memory_mib is the default limit: enforced, but not reserved */
    JOB_NEEDS_CLUSTER = 8,  /* only a node of a cluster can run it: image, template, runner */
    JOB_NEEDS_MACHINE = 16, /* only a machine can: there is no image to run it in */
    /* Flags that are part of what a job needs; the others change nothing where it can run. */
    JOB_NEED_FLAGS = JOB_MEMORY_DEFAULT | JOB_NEEDS_CLUSTER | JOB_NEEDS_MACHINE,
    /* What whoever submits it decides; the rest is set by events. */
    JOB_SUBMIT_FLAGS = JOB_EXCLUSIVE | JOB_NEED_FLAGS,
};

/*
 *   DECIDED ----> (SENT, on a cluster) ----> STARTED ----> ENDED | LOST
 *
 * Each is committed before it is acted on or shown. The numbers are stored: only ever add at the
 * end.
 */
enum attempt_state {
    ATTEMPT_DECIDED, /* committed, perhaps told to the node */
    ATTEMPT_STARTED,
    ATTEMPT_ENDED,
    ATTEMPT_LOST,
    ATTEMPT_SENT, /* its object may be there: the create left after this was committed */
    ATTEMPT_STATES
};
static inline bool attempt_is_open(enum attempt_state s)
{
    return s == ATTEMPT_DECIDED || s == ATTEMPT_SENT || s == ATTEMPT_STARTED;
}
const char *attempt_state_name(enum attempt_state s);

enum attempt_outcome {
    OUTCOME_NONE,
    OUTCOME_COMPLETED, /* exit code 0 */
    OUTCOME_FAILED,    /* another exit code */
    OUTCOME_SIGNALLED, /* ended by a signal that Reeve did not send */
    OUTCOME_TIME_LIMIT,
    OUTCOME_OUT_OF_MEMORY,
    OUTCOME_CANCELLED,
    OUTCOME_NOT_STARTED, /* no such command, no work dir, no permission */
    OUTCOME_REFUSED,     /* the gate: the node was not free after all; the job waits on */
    OUTCOME_LOST,
    OUTCOMES
};
const char *outcome_name(enum attempt_outcome o); /* "completed", "out-of-memory", ... */
int outcome_find(const char *name);

/* What is kept of an attempt besides how it ended; the numbers are stored. */
enum attempt_note {
    NOTE_RESULTS = 1, /* {"path", "files": [{"name", "size"}], "more"} */
    NOTE_OUTCOME = 2, /* the object that the job left in result.json */
    NOTE_SAMPLES = 3, /* what was measured of its devices, as /jobs/{id}/samples answers */
    ATTEMPT_NOTES,
};

/* Limits that hold everywhere. */
enum {
    JOB_NAME_MOST = 128,
    JOB_GPUS_MOST = 64,
    JOB_RETRIES_MOST = 100,
    JOB_ARGS_MOST = 1024,
    JOB_ENV_MOST = 512,
    JOB_LABELS_MOST = 64,
    JOB_MIB_MOST = (1 << 26) - 1, /* what the queue's keys have room for: 64 TiB */
    JOB_CPU_MILLI_MOST = 1024000,
    JOB_SECONDS_MOST = 315360000, /* ten years */
    JOB_PAIRS_MOST = 8,           /* of its node selector */
    JOB_TOLERATIONS_MOST = 8,
    JOB_WHERE_MOST = 240, /* bytes of each of the two, joined */
    JOB_DEFAULT_MEMORY_MIB = 16384,
    JOB_DEFAULT_RETRIES = 1,
};

/* 128 bits that name one attempt in all the world: 32 hex digits and a NUL into OUT, from the
 * store's incarnation, the job and the number of the attempt. */
#define ATTEMPT_ID_SIZE 33
void attempt_id(char out[ATTEMPT_ID_SIZE], const char *incarnation, int64_t job, int64_t n);

/* "reeve-<site>-<job>-<n>": its name outside. */
#define ATTEMPT_NAME_SIZE 64
void attempt_name(char out[ATTEMPT_NAME_SIZE], const char *site, int64_t job, int64_t n);

#endif
