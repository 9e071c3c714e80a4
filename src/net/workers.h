/*
 * A few threads for work that blocks: SQL reads, files, DNS. Each has a state of its own (such as
 * an open connection) that its jobs get. The queue in front of them is bounded.
 */
#ifndef NET_WORKERS_H
#define NET_WORKERS_H

#include "base/err.h"
#include "net/mailbox.h"

struct workers;

struct workers_config {
    const char *name; /* of the threads, at most 12 bytes: seen in top and in a debugger */
    unsigned count;   /* threads */
    size_t most;      /* jobs that wait at most; those being run do not count */
    /* On each new thread, one after the other; fills *RET_STATE. One that fails fails
     * workers_new(). Both may be NULL. */
    int (*on_start)(void *arg, void **ret_state, struct err *e);
    void (*on_stop)(void *state); /* on the same thread, when it ends */
    void *arg;
};

int workers_new(const struct workers_config *config, struct workers **ret, struct err *e);

/*
 * Any thread. RUN will run on one of the threads and owns JOB; then DONE runs with JOB on the
 * thread of REPLY_TO and owns it. DONE and REPLY_TO may be NULL together: RUN ends the matter.
 * False: the queue is full or the workers are stopping, and the caller still owns JOB.
 */
bool workers_submit(struct workers *w, void (*run)(void *state, void *job), void (*done)(void *job),
                    struct mailbox *reply_to, void *job);

/* How many jobs wait for a thread now. Any thread. */
size_t workers_waiting(struct workers *w);

/* Refuses new jobs, runs every one accepted, ends the threads. Mailboxes that are replied to must
 * still be open; mailbox_close() them afterwards, that runs the last replies. NULL is fine. */
void workers_free(struct workers *w);

#endif
