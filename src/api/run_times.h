/*
 * How long jobs ran before, by owner and name, as far as the store tells: the newest 2,000 ended
 * jobs at first, then every attempt that ends. Kept in memory; used by one thread at a time, a
 * worker.
 */
#ifndef API_RUN_TIMES_H
#define API_RUN_TIMES_H

#include "core/fleet/fleet.h"
#include "store/store.h"

struct run_times;

struct run_times *run_times_new(void);
void run_times_free(struct run_times *t);

/* Takes in what has ended up to the view. */
int run_times_catch_up(struct run_times *t, const struct store_ops *ops, struct store_reader *r,
                       const struct fleet_view *v, struct err *e);

/* The mean over attempts of jobs of the same owner and name, else over all; -1: none has ended. The
 * store may be asked for the job's name. */
int64_t run_times_expect_ms(struct run_times *t, const struct store_ops *ops,
                            struct store_reader *r, const struct job *j);

#endif
