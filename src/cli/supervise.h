/*
 * Child programs that are kept running: one that died is started again after a pause that grows,
 * those that are stopped are stopped in order. Single-threaded: the caller's loop calls
 * supervise_step(). Takes SIGCHLD, SIGTERM, SIGINT and SIGHUP of the whole process.
 */
#ifndef CLI_SUPERVISE_H
#define CLI_SUPERVISE_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct supervisor;

/* Blocks the signals from here on. Never NULL. */
struct supervisor *supervisor_new(void);
/* Stops what still runs; the signals are as they were before. */
void supervisor_free(struct supervisor *s);

struct child_spec {
    const char *name;        /* for messages: "reeved" */
    const char *const *argv; /* the program's absolute path first; ends with NULL; copied */
    const char *const *env;  /* whole environment; ends with NULL; copied */
    const char *log_file;    /* standard output and error go there; NULL: where ours go */
    /* Called before it is started again after a death; NULL: nothing is to be done then. */
    void (*before_restart)(void *arg);
    void *arg;
};

/* Starts it now and returns its number. Children end when this process does, however it ends. */
int supervisor_start(struct supervisor *s, const struct child_spec *spec, int *ret_child,
                     struct err *e);
/* From now on its death is an accident that a new start mends. Before, it is a failure: a program
 * that cannot start at all must be heard. */
void supervisor_proven(struct supervisor *s, int child);

enum supervise_result { SUPERVISE_ON, SUPERVISE_ENDED };
/* Takes what has happened, waits up to WAIT_MS for more, starts again what is due. SUPERVISE_ENDED:
 * this process was asked to end. -1 and E: a child ended that was not proven. */
int supervise_step(struct supervisor *s, int64_t wait_ms, struct err *e);

/* TERM to one child, KILL when it has not ended GRACE_MS later; waits for it. */
void supervisor_stop(struct supervisor *s, int child, int64_t grace_ms);

/* The child's process; 0 while it does not run. */
pid_t supervisor_pid(const struct supervisor *s, int child);

DEFINE_AUTO(struct supervisor, supervisor_free)
#define auto_supervisor AUTO(supervisor_freep)

#endif
