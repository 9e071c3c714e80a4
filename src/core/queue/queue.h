/*
 * Who waits, in order, grouped by shape. First in, first out: a job's place is the ledger number of
 * its submission. Changed only while core applies an event.
 */
#ifndef CORE_QUEUE_QUEUE_H
#define CORE_QUEUE_QUEUE_H

#include "core/fleet/fleet.h"

/* The job in this row begins to wait at its place, or ceases to. */
void queue_enter(struct fleet *f, uint32_t row);
void queue_leave(struct fleet *f, uint32_t row);

/* The job in this row has paused for long enough. */
void queue_due(struct fleet *f, uint32_t row);

/* How long a job whose running attempt is lost now is to pause: not the first time, then FIRST_MS,
 * and each time twice as long. An attempt that is lost at once would be made again as fast as the
 * machines can. */
enum { PAUSE_MOST_MS = 60000 };
int64_t queue_pause_ms(const struct job *j, int64_t first_ms);

/* The waiting job in this row keeps its place and is passed over from now on, or no longer: its
 * HOLD is set, or not, before. */
void queue_hold(struct fleet *f, uint32_t row);
void queue_release(struct fleet *f, uint32_t row);

/* Something changed that any waiting job may profit from; or only those that this node can serve.
 */
void queue_wake_all(struct fleet *f);
void queue_wake_node(struct fleet *f, int64_t node);

#endif
