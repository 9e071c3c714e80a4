/* What the parts of the shim share. One process, one thread, one attempt. */
#ifndef NODE_SHIM_PRIVATE_H
#define NODE_SHIM_PRIVATE_H

#include "node/attempt_folder.h"
#include "node/job_child.h"
#include "node/job_log.h"
#include "node/progress.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NEVER                INT64_MAX
#define MEMORY_LOOK_MS       500  /* between looks at the job's memory without a cgroup */
#define PROGRESS_LOOK_MS     1000 /* at most one look at the job's progress in this time */
#define LEFT_BEHIND_GRACE_MS 1000 /* for processes that outlive the job's first one */
#define KILL_AGAIN_MS        20   /* at first */
#define KILL_AGAIN_MOST_MS   1000

/* Why the job is being ended by us. */
enum ending { ENDING_NOT, ENDING_TIME_LIMIT, ENDING_CANCELLED, ENDING_SHUT_DOWN, ENDING_MEMORY };

struct shim {
    const char *folder;
    int lock, signals; /* descriptors, -1: none; so are all below */
    int launcher;
    int output;   /* the job's standard output and error, read end */
    int report;   /* from the job's child until its exec */
    int watch;    /* inotify on job/ */
    int progress; /* from the helper that reads the job's progress file */
    struct attempt_spec spec;
    char *result;

    struct cgroup cgroup;
    bool has_cgroup;
    struct job_log *log;

    bool not_ours;                /* another shim has or had this attempt */
    pid_t job;                    /* the first process, also its group and session */
    bool runs;                    /* its exec succeeded */
    bool job_ended, nothing_left; /* nothing_left: of all its processes */
    bool no_children;             /* not even zombies, since we last asked */
    int wait_status;
    pid_t progress_helper;
    bool start_failed;
    struct job_child_failure failure;

    enum ending ending;
    char why[320];                        /* a cancel's reason */
    bool warned, kill_sent;               /* kill_sent: SIGKILL by us */
    int64_t left;                         /* processes that outlived the first one */
    int64_t oom_kills_before;             /* of the whole machine */
    int64_t oom_kills, memory_peak_bytes; /* by its group when we left it; -1: not known */

    int64_t wall_start_ms, start_ms, end_ms; /* of the word to go, of the first process's end */
    int64_t warn_at, limit_at, kill_at, memory_at, progress_at, output_at;
    int64_t kill_again_ms;
    int64_t progress_looked_ms;
    bool file_changed; /* the progress file, since it was last read */
    struct progress best;
    int64_t flood_bytes; /* left out since output_at was last set */
};

/* shim_end.c: signals to everything that belongs to the job. */
void shim_signal_all(struct shim *s, int signal);
/* SIGUSR1 to those that have a handler for it. */
void shim_warn_all(struct shim *s);
/* SIGKILL to all, once more at each call. */
void shim_kill_all(struct shim *s);
/* How many processes of the job there are, the first one and our own helpers aside. */
size_t shim_count_all(struct shim *s);
/* Takes down what the job's group knows and removes it. False: somebody is still in it, or the
 * kernel has not yet seen that the last one has left. */
bool shim_leave_group(struct shim *s);
/* Bytes of memory that the job has for itself; only asked without a cgroup. */
int64_t shim_memory_bytes(struct shim *s);
/* The exit record, and its durable writing. Returns enum shim_result. */
int shim_record_end(struct shim *s);

/* shim_progress.c */
void shim_watch_progress(struct shim *s);
void shim_on_progress_change(struct shim *s, int64_t now_ms); /* `watch` is readable */
void shim_look_at_progress(struct shim *s, int64_t now_ms);   /* progress_at has come */
void shim_progress_soon(struct shim *s, int64_t now_ms);      /* the output has grown */
void shim_last_progress(struct shim *s, int64_t now_ms);      /* the job has ended */
void shim_on_progress_read(struct shim *s);                   /* `progress` is readable */

/* shim_start.c: everything up to the child that waits to go. 0, or -1 when nothing ran and the
 * error says why; ERR_CONFLICT: this attempt is or was another shim's. */
int shim_prepare(struct shim *s, struct err *e);
/* Tells the launcher; E NULL: the job runs. Closes the socket. */
void shim_tell(struct shim *s, const struct err *e);

#endif
