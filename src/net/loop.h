/*
 * A thread that runs one libuv loop: a door, the engine, a client. Whoever starts it talks to it
 * through its mailbox.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/err.h"
#include "net/mailbox.h"

struct loop_thread;

/*
 * Starts a thread NAME (at most 15 bytes) whose mailbox takes MOST messages. ON_START runs on it
 * first and sets up its servers and timers on loop_thread_loop(); when it fails, so does this call.
 * ON_STOP runs on it when it is to end and closes what ON_START opened; the loop then runs until
 * nothing is left in it. Both may be NULL.
 */
struct loop_thread_config {
    const char *name;
    size_t most;
    int (*on_start)(void *arg, struct loop_thread *t, struct err *e);
    void (*on_stop)(void *arg, struct loop_thread *t);
    void *arg;
};
int loop_thread_start(const struct loop_thread_config *config, struct loop_thread **ret,
                      struct err *e);

uv_loop_t *loop_thread_loop(struct loop_thread *t);         /* for its own thread only */
struct mailbox *loop_thread_mailbox(struct loop_thread *t); /* any thread */

/* Ends the thread and waits for it. Not from the thread itself. NULL is fine. */
void loop_thread_stop(struct loop_thread *t);

/* Raises the soft limit of open files to the hard one and returns it. Once, at a program's start.
 */
size_t loop_raise_open_files(void);

#endif
