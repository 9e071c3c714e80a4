/*
 * Messages from any thread to one loop's thread, run there in the order they were posted. Many
 * messages cost one wake. Bounded: what does not fit is refused, and the caller decides what that
 * means (an HTTP door answers 429).
 */
#ifndef NET_MAILBOX_H
#define NET_MAILBOX_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct mailbox;

/* On the loop's thread. MOST messages wait at most, besides the batch being run. Never NULL. */
struct mailbox *mailbox_new(uv_loop_t *loop, size_t most);

/* Any thread. FN will run on the loop's thread and owns MESSAGE from now on. False: the box is full
 * or closed, and the caller still owns MESSAGE. */
bool mailbox_post(struct mailbox *m, void (*fn)(void *message), void *message);

/* The same without the bound, for answers: each was asked for, so their number is bounded where the
 * questions are. False only when the box is closed. */
bool mailbox_post_answer(struct mailbox *m, void (*fn)(void *message), void *message);

/* How many wait now. Any thread; a moment later it may be another number. */
size_t mailbox_waiting(struct mailbox *m);

/* On the loop's thread: whether the box alone keeps uv_run() from returning. It does at first. */
void mailbox_hold_loop(struct mailbox *m, bool hold);

/* On the loop's thread: runs now what waits, and what that posts. Returns how many were run. */
size_t mailbox_drain(struct mailbox *m);

/* On the loop's thread: refuses posts from now on, then runs what was accepted before. The loop
 * must run once more for the wake handle to go. */
void mailbox_close(struct mailbox *m);

/* After mailbox_close(), when no thread can post any more (they have been joined). NULL is fine. */
void mailbox_free(struct mailbox *m);

#endif
