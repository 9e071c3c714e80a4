#include "api/event_json.h"

#include "base/json_out.h"
#include "net/sse.h"

enum event_class event_class(enum event_kind kind)
{
    switch (kind) {
    case EVENT_ID_PLANNED:
    case EVENT_ID_SNAPSHOT:
        return EVENT_FOR_NOBODY;
    case EVENT_ID_DEVICE_SEEN:
    case EVENT_ID_DEVICE_CHANGED:
        return EVENT_FOR_FLEET;
    default:
        break;
    }
    switch (event_subject(kind)) {
    case SUBJECT_JOB:
        return EVENT_FOR_ALL;
    case SUBJECT_NODE:
    case SUBJECT_DEVICE:
        return EVENT_FOR_FLEET;
    default:
        return EVENT_FOR_LEDGER;
    }
}

enum job_state event_job_state(const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_ID_ATTEMPT_DECIDED:
    case EVENT_ID_ATTEMPT_SENT:
    case EVENT_ID_ATTEMPT_WAITS:
        return JOB_SCHEDULED;
    case EVENT_ID_ATTEMPT_STARTED:
    case EVENT_ID_ATTEMPT_BOUND: /* mostly; who knows the job says what it is */
        return JOB_RUNNING;
    case EVENT_ID_ATTEMPT_ENDED:
        return ev->ATTEMPT_ENDED.outcome == OUTCOME_COMPLETED   ? JOB_COMPLETED
               : ev->ATTEMPT_ENDED.outcome == OUTCOME_CANCELLED ? JOB_CANCELLED
                                                                : JOB_FAILED;
    case EVENT_ID_JOB_CANCEL:
        return JOB_CANCELLED;
    case EVENT_ID_ATTEMPT_LOST:
        return JOB_FAILED;
    default: /* submitted, retried, refused */
        return JOB_QUEUED;
    }
}

static void write_node(struct json_out *o, const struct fleet_view *v, int64_t id)
{
    const struct node *n = fleet_node(v, id);
    jo_text(o, "node", n ? n->name : NULL);
}

static void write_job(struct json_out *o, const struct fleet_view *v, const struct event *ev,
                      const struct event_job *job, bool show_user)
{
    const struct principal *p = fleet_principal(v, job->principal);
    jo_int(o, "job", ev->subject);
    jo_text(o, "user", p && show_user ? p->name : NULL);
    if (ev->kind == EVENT_ID_JOB_DELETED)
        jo_null(o, "state");
    else
        jo_text(o, "state",
                job_state_name(job->state < 0 ? event_job_state(ev) : (enum job_state)job->state));
    switch (ev->kind) {
    case EVENT_ID_ATTEMPT_DECIDED:
        jo_int(o, "attempt", ev->ATTEMPT_DECIDED.n);
        write_node(o, v, ev->ATTEMPT_DECIDED.node);
        jo_list(o, "devices");
        for (int64_t i = 0; i < ev->ATTEMPT_DECIDED.devices.count; i++)
            jo_int(o, NULL, ev->ATTEMPT_DECIDED.devices.at[i]);
        jo_end(o);
        break;
    case EVENT_ID_ATTEMPT_STARTED:
        jo_int(o, "attempt", ev->ATTEMPT_STARTED.n);
        break;
    case EVENT_ID_ATTEMPT_SENT:
        jo_int(o, "attempt", ev->ATTEMPT_SENT.n);
        break;
    case EVENT_ID_ATTEMPT_WAITS:
        jo_int(o, "attempt", ev->ATTEMPT_WAITS.n);
        break;
    case EVENT_ID_ATTEMPT_BOUND:
        jo_int(o, "attempt", ev->ATTEMPT_BOUND.n);
        break;
    case EVENT_ID_ATTEMPT_REFUSED:
        jo_int(o, "attempt", ev->ATTEMPT_REFUSED.n);
        break;
    case EVENT_ID_ATTEMPT_ENDED:
        jo_int(o, "attempt", ev->ATTEMPT_ENDED.n);
        break;
    case EVENT_ID_ATTEMPT_LOST:
        jo_int(o, "attempt", ev->ATTEMPT_LOST.n);
        break;
    default:
        break;
    }
}

static void write_fleet(struct json_out *o, const struct fleet_view *v, const struct event *ev)
{
    if (event_subject(ev->kind) == SUBJECT_NODE) {
        const struct node *n = fleet_node(v, ev->subject);
        jo_text(o, "node", n ? n->name : NULL);
        jo_text(o, "state", n ? node_state_name((enum node_state)n->state) : NULL);
        return;
    }
    const struct device *d = fleet_device(v, ev->subject);
    jo_int(o, "device", ev->subject);
    if (d)
        write_node(o, v, d->node);
    if (ev->kind == EVENT_ID_DEVICE_CHANGED)
        jo_text(o, "health", device_health_name((int)ev->DEVICE_CHANGED.health));
}

static void write_subject(struct json_out *o, const struct fleet_view *v, const struct event *ev)
{
    if (event_subject(ev->kind) == SUBJECT_PRINCIPAL) {
        const struct principal *p = fleet_principal(v, ev->subject);
        jo_text(o, "user", p ? p->name : NULL);
    } else if (ev->subject) {
        jo_int(o, "subject", ev->subject);
    }
}

void event_write_sse(struct text *out, const struct fleet_view *v, const struct event *ev,
                     const struct event_job *job, bool show_user)
{
    auto_text struct text data = {0};
    struct json_out o = {.text = &data};
    char id[24];
    jo_object(&o, NULL);
    jo_int(&o, "seq", ev->seq);
    jo_time(&o, "time", ev->time_ms);
    jo_text(&o, "kind", event_name(ev->kind));
    switch (event_class(ev->kind)) {
    case EVENT_FOR_ALL:
        write_job(&o, v, ev, job, show_user);
        break;
    case EVENT_FOR_FLEET:
        write_fleet(&o, v, ev);
        break;
    default:
        write_subject(&o, v, ev);
        break;
    }
    jo_end(&o);
    snprintf(id, sizeof id, "%lld", (long long)ev->seq);
    sse_write(out, id, event_name(ev->kind), text_get(&data), data.len);
}
