/*
 * The one way the fleet changes: events, applied in the order of the ledger. Live they have just
 * been made by the engine; in replay they come out of the ledger; the result is the same.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "core/fleet/fleet.h"
#include "core/plan.h"
#include "record/batch.h"
#include "record/event.h"

struct core {
    struct fleet *fleet;
    struct plan plan;    /* made, and not yet wholly applied */
    size_t plan_next;    /* its next decision that has to come */
    struct batch *batch; /* where rows go during core_apply(); NULL in replay */
};

void core_init(struct core *c);
void core_done(struct core *c);

/*
 * Applies EV. Rows that change are put into BATCH (NULL: nobody wants them). ERR_CONFLICT: the
 * event does not fit what is there; an event that the engine checked before always fits, so in
 * replay it means that the ledger and the program disagree. Nothing was changed then.
 *
 * PLANNED: core_plan() was called before, and its digest must be the event's. The decisions follow
 * as ATTEMPT_DECIDED events, which must be the plan's, in its order.
 */
int core_apply(struct core *c, const struct event *ev, struct batch *batch, struct err *e);

/* Makes the plan that the next PLANNED event applies, and fills that event but for seq and time.
 * VERSION: PLAN_VERSION; in replay the event's. */
void core_plan(struct core *c, int64_t now_ms, int64_t version, struct event *ret);

/* Whether ATTEMPT_BOUND with these devices would fit attempt A: as many as it holds, of its node,
 * different ones, and none that another attempt is known to really have. */
bool core_may_bind(const struct fleet_view *v, const struct attempt *a,
                   const struct event_list *devices);

/*
 * Loading at start: records in the order of core_load_order[], each table in key order, then
 * core_loaded(). Cold columns are not needed.
 */
extern const enum table_id core_load_order[];
extern const size_t core_load_count;
int core_load(struct core *c, enum table_id table, const void *record, struct err *e);
void core_loaded(struct core *c);

/* The record of an open job as submitted, for the store. NAME and SPEC are kept nowhere else. */
void core_job_record(const struct event *submitted, const char *name, const char *spec,
                     struct job_row *ret);

/* The retry event for an ended job, from its records. */
void core_retry_event(const struct job_spec_row *spec, const struct job_history_row *history,
                      struct event *ret);

#endif
