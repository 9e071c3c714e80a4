/*
 * An attempt as the agent knows it, from the start command until the control plane says "forget".
 *
 *     start command            gate           shim            exit record
 *        GATING --------------> STARTING -----> RUNNING ------> ENDING ---> ENDED
 *          |                       |               |              (last energy reading)
 *          +-> REFUSED             +-> REFUSED     +-> CLEANING --------> LOST
 *          +-> ENDED (cancelled, or can never run)     (shim died: what is left is killed)
 *
 * Only what has a folder survives the agent: adopt.c finds it again. REFUSED, and ENDED without a
 * folder, live until they are acknowledged.
 */
#ifndef AGENT_ATTEMPT_H
#define AGENT_ATTEMPT_H

#include "agent/energy.h"
#include "agent/job_log_push.h"
#include "agent/results.h"
#include "agent/watch_fd.h"
#include "node/launcher.h"
#include "node/progress.h"

struct after;
struct agent;
struct start;

enum attempt_phase {
    PHASE_GATING,
    PHASE_STARTING,
    PHASE_RUNNING,
    PHASE_CLEANING,
    PHASE_ENDING,
    /* below: over */
    PHASE_ENDED,
    PHASE_LOST,
    PHASE_REFUSED,
};

/* A reading that was asked for when an attempt ended; outlives the attempt if the driver hangs. */
struct last_look {
    struct attempt *attempt; /* NULL: nobody waits any more */
};

struct attempt {
    struct agent *agent;
    struct attempt *next;
    char id[ATTEMPT_ID_SIZE];
    int64_t job, n;
    char *name, *folder; /* FOLDER NULL: nothing is on disk */
    char **devices;      /* uuids, ends with NULL */
    enum attempt_phase phase;

    struct start *start; /* GATING and STARTING: start.c's */
    bool cancel_asked;   /* a cancel, or "end", came */
    char cancel_why[200];

    struct shim_process shim;
    struct watch_fd *shim_watch, *news_watch;
    struct attempt_status status; /* RUNNING: how to find what it uses; filled when first needed */
    bool has_status;
    int64_t cpu_us, memory_bytes; /* by the last look */

    struct energy_meter *meters; /* one a device */
    size_t meter_count;
    int64_t meters_kept_mono_ms; /* when they were last written down */
    struct last_look *last_look; /* ENDING: the reading under way */
    struct after *last_look_timer;
    struct after *clean_timer; /* to the next look at its folder, or at what it left */
    bool is_cleaning;          /* a worker has it; so has one while is_removing */

    /* What to say about it. */
    int64_t started_mono_ms, over_mono_ms;
    const char *outcome; /* ENDED: a word of the protocol */
    int exit_code, signal;
    int64_t run_ms;
    char why[256];
    struct attempt_results results; /* ENDED */
    bool tell_start, tell_over;     /* not told yet */
    bool sent_start, sent_over;     /* in the report under way */
    bool over_acked;
    bool forget_asked, is_removing;

    struct progress progress;
    bool tell_progress, sent_progress;
    int64_t progress_told_ms; /* mono */

    struct job_log_push log;
};

static inline bool attempt_is_over(const struct attempt *a)
{
    return a->phase >= PHASE_ENDED;
}

/* Has it a device or processes now? */
static inline bool attempt_is_live(const struct attempt *a)
{
    return a->phase < PHASE_ENDED && a->phase != PHASE_GATING;
}

#endif
