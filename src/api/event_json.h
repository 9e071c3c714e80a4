/* One event of the ledger as readers of live events get it. Any thread. */
#ifndef API_EVENT_JSON_H
#define API_EVENT_JSON_H

#include "base/text.h"
#include "core/fleet/fleet.h"
#include "record/event.h"

/* Who an event is for. */
enum event_class {
    EVENT_FOR_NOBODY, /* plans and the like: the ledger has them */
    EVENT_FOR_ALL,    /* about a job: everyone may see that it exists */
    EVENT_FOR_FLEET,  /* about nodes and devices */
    EVENT_FOR_LEDGER, /* about people, tokens, policy */
};
enum event_class event_class(enum event_kind kind);

/* What the event itself does not tell of its job. */
struct event_job {
    int64_t principal; /* 0: not known */
    int state;         /* enum job_state after it; -1: to be told from the event */
};
/* The state that the event brings its job into, as far as it alone can tell. */
enum job_state event_job_state(const struct event *ev);

/* One SSE event. JOB is looked at for events about jobs. SHOW_USER: whose job it is. */
void event_write_sse(struct text *out, const struct fleet_view *v, const struct event *ev,
                     const struct event_job *job, bool show_user);

#endif
