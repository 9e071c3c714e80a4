/*
 * How an attempt is started and ended: one table of functions a way. What they say may be lost on
 * its way, and is said again until the other side answers.
 */
#ifndef RUNNER_RUNNER_H
#define RUNNER_RUNNER_H

#include "base/text.h"
#include "record/job.h"

/* One attempt, in words that need no look into the fleet. Everything is borrowed for the call. */
struct runner_attempt {
    int64_t epoch, job, n;
    const char *id;   /* 32 hex digits */
    const char *name; /* outside: "reeve-<site>-<job>-<n>" */
    const char *user;
    const char *boot_id, *data_id;      /* of the node that it was decided for */
    const char *devices[JOB_GPUS_MOST]; /* uuids */
    size_t device_count;
    int64_t gpu_memory_mib, cpu_milli, memory_mib, time_limit_ms; /* 0: none, or no limit */
    const char *job_name, *spec; /* SPEC is the job's JSON object; not needed to cancel */
    /* For a cluster's node; NULL otherwise. */
    const char *node;                   /* its name */
    const char *selector, *tolerations; /* joined by ','; "" is none */
    bool memory_is_default;             /* nobody asked for MEMORY_MIB: it only limits */
};

struct runner {
    const char *name;
    /* One message that starts the attempt, or cancels it, appended to OUT. */
    void (*start)(const struct runner_attempt *a, struct text *out);
    void (*cancel)(const struct runner_attempt *a, struct text *out);
};

extern const struct runner runner_agent;

#endif
