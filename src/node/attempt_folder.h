/*
 * An attempt on this machine, as files. `<agent data>/attempts/<external name>/` holds
 *
 *     spec       what to run (attempt_spec.h); agent -> shim
 *     lock       the shim's: locked while it lives, by a POSIX record lock, which names its holder
 *                and is not inherited by what the shim forks. In it, each in a place of its own:
 *                the record of the start, synced with the folders before anything runs, and that
 *                of the end, synced before the shim ends. Zeros: not there
 *     cancel     somebody asked to end it, and why; agent -> shim
 *     progress   the last word on how far it is; shim -> agent
 *     log.*      its output (job_log.h)
 *     job/       the only part that the job itself can write: its progress file
 *
 * Everything but job/ belongs to the agent's account and is closed to others. All readers here take
 * any bytes at all: a damaged file is a missing one, and the state says so in its note.
 *
 * Shims of before 0.2 left an empty `lock` and the records in files `started` and `exit`; these are
 * still read.
 */
#ifndef NODE_ATTEMPT_FOLDER_H
#define NODE_ATTEMPT_FOLDER_H

#include "base/err.h"
#include "node/attempt_spec.h"
#include "node/process.h"

#include <stdbool.h>
#include <stdint.h>

enum attempt_state {
    ATTEMPT_NEVER_STARTED, /* nothing ever ran, and nothing will of itself */
    ATTEMPT_RUNNING,       /* the lock is held: a shim takes care of it (or is about to start it) */
    ATTEMPT_ENDED,         /* the exit record is there */
    ATTEMPT_LOST,          /* started, not ended, no shim: how it ended will never be known */
};
const char *attempt_status_name(enum attempt_state state);

/* Why it ended. */
#define ATTEMPT_CAUSES(X)                                                                          \
    X(EXITED, "exited")             /* by itself; look at status */                                \
    X(SIGNALLED, "signalled")       /* by a signal that Reeve did not send */                      \
    X(START_FAILED, "start-failed") /* the command or its work dir could not be used */            \
    X(TIME_LIMIT, "time-limit")                                                                    \
    X(CANCELLED, "cancelled")                                                                      \
    X(SHUT_DOWN, "shut-down")         /* the shim itself got SIGTERM: the machine goes down */     \
    X(OUT_OF_MEMORY, "out-of-memory") /* its own memory limit, or the machine's memory */
#define X(code, word) ATTEMPT_##code,
enum attempt_cause { ATTEMPT_CAUSES(X) ATTEMPT_CAUSE_COUNT };
#undef X
const char *attempt_cause_name(enum attempt_cause cause);

struct attempt_started {
    char id[ATTEMPT_ID_SIZE];
    char boot_id[BOOT_ID_SIZE];
    struct process_id shim, job; /* job is the first process, also its group and session */
    int64_t wall_ms;
    struct cgroup_parent cgroup; /* owned */
};
void attempt_started_done(struct attempt_started *s);

struct attempt_exit {
    char id[ATTEMPT_ID_SIZE];
    enum attempt_cause cause;
    int status;                 /* 0..255; -1: none, it ended by a signal or never ran */
    int signal;                 /* 0: none */
    bool core_dumped, warned;   /* warned: SIGUSR1 was sent before the time limit */
    bool out_of_memory;         /* the kernel or the shim said so; the cause may be another */
    int64_t oom_kills;          /* processes of the job that the kernel ended for memory */
    int64_t left;               /* processes that outlived the first one and were ended */
    int64_t start_ms, end_ms;   /* wall clock */
    int64_t run_ms;             /* steady clock, from the exec */
    int64_t user_us, system_us; /* of all its processes */
    int64_t max_rss_bytes;      /* of its largest process */
    int64_t memory_peak_bytes;  /* of all together; -1 without a cgroup */
    int64_t log_bytes;          /* the log's length, by logical offset */
    int64_t log_dropped_bytes;  /* by rate, by line length or because the disk was full */
    char limits[128];           /* who enforces what: "memory=cgroup cpu=none pids=cgroup" */
    char result[512];           /* its result folder; "" for none */
    char reason[400];           /* one sentence for people, never empty */
};

struct attempt_status {
    enum attempt_state state;
    pid_t shim;       /* RUNNING: who holds the lock */
    bool has_started; /* STARTED is filled in */
    bool same_boot;   /* it was made since this machine booted */
    struct attempt_started started;
    struct attempt_exit end; /* ENDED */
    char note[128];          /* what was odd, "" mostly: "the exit record is damaged" */
};
void attempt_status_done(struct attempt_status *s);

/* What there is of an attempt. Only files that cannot be read at all (EIO, EMFILE) are an error; no
 * folder is NEVER_STARTED. Any thread; a few system calls, no waiting. */
int attempt_state(const char *folder, struct attempt_status *ret, struct err *e);

/* Agent: makes the folder with the spec and job/ in it. Doing it again before the start is fine. */
int attempt_folder_make(const char *folder, const struct attempt_spec *spec, struct err *e);

/* Agent: asks for an end. Safe before the shim is there; REASON is kept in the exit record. */
int attempt_cancel_write(const char *folder, const char *reason, struct err *e);
/* "" when nobody asked. Returns whether somebody did. */
bool attempt_cancel_read(const char *folder, char *ret_reason, size_t room);

/* Shim: the lock. RET_FD stays open for life, and no other descriptor of this file may be opened:
 * closing one lets go of the lock. ERR_CONFLICT: another shim has it. */
int attempt_lock(const char *folder, int *ret_fd, struct err *e);
/* Shim, with the lock: has one been here before? */
bool attempt_was_begun(const char *folder, int lock);
/* Who holds the lock; 0: nobody. -1: could not be asked, or it is held in another process
 * namespace, so nothing can be said about the attempt from here. */
pid_t attempt_lock_holder(const char *folder, struct err *e);

/* Shim: the record of the start, synced with the folders around it. On failure there is none. */
int attempt_started_write(const char *folder, int lock, const struct attempt_started *s,
                          struct err *e);
/* Shim: space for the exit record, so that a full disk can't cost us the exit code. */
int attempt_exit_reserve(int lock, struct err *e);
int attempt_exit_write(int lock, const struct attempt_exit *x, struct err *e);

/* Pure. False when the bytes aren't such a record. Unknown keys are passed over: shims outlive an
 * upgrade of the agent. */
bool attempt_started_parse(const char *p, size_t len, struct attempt_started *ret);
bool attempt_exit_parse(const char *p, size_t len, struct attempt_exit *ret);

#define auto_attempt_status AUTO(attempt_status_done)

#endif
