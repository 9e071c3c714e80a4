#include "record/job.h"

#include "base/digest.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const states[JOB_STATES] = {
    [JOB_QUEUED] = "Queued",       [JOB_SCHEDULED] = "Scheduled", [JOB_RUNNING] = "Running",
    [JOB_COMPLETED] = "Completed", [JOB_FAILED] = "Failed",       [JOB_CANCELLED] = "Cancelled",
};

static const bool may_become[JOB_STATES][JOB_STATES] = {
    [JOB_QUEUED] = {[JOB_SCHEDULED] = true, [JOB_CANCELLED] = true, [JOB_FAILED] = true},
    [JOB_SCHEDULED] = {[JOB_RUNNING] = true,
                       [JOB_QUEUED] = true,
                       [JOB_COMPLETED] = true, /* over before its start was heard of */
                       [JOB_CANCELLED] = true,
                       [JOB_FAILED] = true},
    [JOB_RUNNING] =
        {[JOB_COMPLETED] = true, [JOB_QUEUED] = true, [JOB_CANCELLED] = true, [JOB_FAILED] = true},
    [JOB_COMPLETED] = {[JOB_QUEUED] = true},
    [JOB_FAILED] = {[JOB_QUEUED] = true},
    [JOB_CANCELLED] = {[JOB_QUEUED] = true},
};

const char *job_state_name(enum job_state s)
{
    return s < JOB_STATES ? states[s] : "Unknown";
}

int job_state_find(const char *name)
{
    for (int i = 0; i < JOB_STATES; i++)
        if (strcasecmp(states[i], name) == 0)
            return i;
    return -1;
}

bool job_state_is_end(enum job_state s)
{
    return s == JOB_COMPLETED || s == JOB_FAILED || s == JOB_CANCELLED;
}

bool job_state_may_become(enum job_state from, enum job_state to)
{
    return from < JOB_STATES && to < JOB_STATES && may_become[from][to];
}

const char *attempt_state_name(enum attempt_state s)
{
    static const char *const names[ATTEMPT_STATES] = {"Decided", "Started", "Ended", "Lost",
                                                      "Sent"};
    return s < ATTEMPT_STATES ? names[s] : "Unknown";
}

static const char *const outcomes[OUTCOMES] = {
    [OUTCOME_NONE] = "none",
    [OUTCOME_COMPLETED] = "completed",
    [OUTCOME_FAILED] = "failed",
    [OUTCOME_SIGNALLED] = "signalled",
    [OUTCOME_TIME_LIMIT] = "time-limit",
    [OUTCOME_OUT_OF_MEMORY] = "out-of-memory",
    [OUTCOME_CANCELLED] = "cancelled",
    [OUTCOME_NOT_STARTED] = "not-started",
    [OUTCOME_REFUSED] = "refused",
    [OUTCOME_LOST] = "lost",
};

const char *outcome_name(enum attempt_outcome o)
{
    return o < OUTCOMES ? outcomes[o] : "unknown";
}

int outcome_find(const char *name)
{
    for (int i = 0; i < OUTCOMES; i++)
        if (strcmp(outcomes[i], name) == 0)
            return i;
    return -1;
}

void attempt_id(char out[ATTEMPT_ID_SIZE], const char *incarnation, int64_t job, int64_t n)
{
    char key[128];
    int len = snprintf(key, sizeof key, "%s/%lld/%lld", incarnation, (long long)job, (long long)n);
    struct digest d = digest_of(key, (size_t)len);
    hex_write(out, d.bytes, (ATTEMPT_ID_SIZE - 1) / 2);
}

void attempt_name(char out[ATTEMPT_NAME_SIZE], const char *site, int64_t job, int64_t n)
{
    snprintf(out, ATTEMPT_NAME_SIZE, "reeve-%s-%lld-%lld", site, (long long)job, (long long)n);
}
