/* What happened to one job, from the ledger. */
#include "api/auth.h"
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_json.h"
#include "api/job_show.h"
#include "base/mem.h"

enum {
    ITEMS_MOST = 10000,
    ROWS_MOST = 200000, /* looked at: other things than jobs may have the same number */
};

struct history {
    struct json_out out;
    const struct fleet_view *view;
    const struct caller *caller;
    bool sees_all;
    struct err *err;
    int64_t job, last, looked_at, items;

    /* Of the job, as it goes: rows say what happened, not what the job became by it. */
    enum job_state state;
    int64_t retries_left;
    bool is_exclusive, cancel_asked;
};

/* ---- what it became ---- */

static void begin_anew(struct history *h, int64_t flags, int64_t retries)
{
    h->state = JOB_QUEUED;
    h->is_exclusive = flags & JOB_EXCLUSIVE;
    h->retries_left = retries;
    h->cancel_asked = false;
}

static void follow_lost(struct history *h)
{
    if (h->cancel_asked)
        h->state = JOB_CANCELLED;
    else
        h->state = !h->is_exclusive && h->retries_left > 0 ? JOB_QUEUED : JOB_FAILED;
    h->retries_left--;
}

static void follow(struct history *h, const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_ID_JOB_SUBMITTED:
        begin_anew(h, ev->JOB_SUBMITTED.flags, ev->JOB_SUBMITTED.retries);
        break;
    case EVENT_ID_JOB_RETRIED:
        begin_anew(h, ev->JOB_RETRIED.flags, ev->JOB_RETRIED.retries);
        break;
    case EVENT_ID_JOB_CANCEL:
        h->cancel_asked = true;
        h->state = h->state == JOB_QUEUED ? JOB_CANCELLED : h->state;
        break;
    case EVENT_ID_ATTEMPT_DECIDED:
        h->state = JOB_SCHEDULED;
        break;
    case EVENT_ID_ATTEMPT_STARTED:
        h->state = JOB_RUNNING;
        break;
    case EVENT_ID_ATTEMPT_REFUSED:
        h->state = h->cancel_asked ? JOB_CANCELLED : JOB_QUEUED;
        break;
    case EVENT_ID_ATTEMPT_ENDED:
        h->state = ev->ATTEMPT_ENDED.outcome == OUTCOME_COMPLETED ? JOB_COMPLETED
                   : h->cancel_asked || ev->ATTEMPT_ENDED.outcome == OUTCOME_CANCELLED
                       ? JOB_CANCELLED
                       : JOB_FAILED;
        break;
    case EVENT_ID_ATTEMPT_LOST:
        follow_lost(h);
        break;
    default: /* held, released, due, sent, bound: it stays what it is */
        break;
    }
}

/* ---- written ---- */

static void write_devices(struct history *h, const struct event_list *devices)
{
    jo_list(&h->out, "devices");
    for (int64_t i = 0; i < devices->count; i++) {
        const struct device *d = fleet_device(h->view, devices->at[i]);
        if (d)
            job_write_device(&h->out, h->view, d);
    }
    jo_end(&h->out);
}

static void write_decided(struct history *h, const struct event *ev)
{
    const struct node *n = fleet_node(h->view, ev->ATTEMPT_DECIDED.node);
    jo_int(&h->out, "attempt", ev->ATTEMPT_DECIDED.n);
    jo_text(&h->out, "node", n ? n->name : NULL);
    write_devices(h, &ev->ATTEMPT_DECIDED.devices);
}

static void write_cost(struct history *h, int64_t run_ms, int64_t energy_mj, int64_t cost_micros)
{
    jo_int(&h->out, "run_ms", run_ms);
    jo_fixed(&h->out, "energy_joules", energy_mj, 1000);
    jo_int(&h->out, "cost_micros", cost_micros);
    jo_text(&h->out, "currency", h->view->policy.currency);
}

static void write_ended(struct history *h, const struct event *ev)
{
    enum attempt_outcome outcome = (enum attempt_outcome)ev->ATTEMPT_ENDED.outcome;
    jo_int(&h->out, "attempt", ev->ATTEMPT_ENDED.n);
    jo_text(&h->out, "outcome", outcome_name(outcome));
    if (outcome == OUTCOME_COMPLETED || outcome == OUTCOME_FAILED)
        jo_int(&h->out, "exit_code", ev->ATTEMPT_ENDED.exit_code);
    if (ev->ATTEMPT_ENDED.term_signal)
        jo_int(&h->out, "signal", ev->ATTEMPT_ENDED.term_signal);
    write_cost(h, ev->ATTEMPT_ENDED.run_ms, ev->ATTEMPT_ENDED.energy_mj,
               ev->ATTEMPT_ENDED.cost_micros);
}

static void write_inside(struct history *h, const struct event *ev)
{
    const struct principal *actor = fleet_principal(h->view, ev->actor);
    job_write_sentence(&h->out, "reason", h->caller, event_why(ev));
    jo_text(&h->out, "actor", actor ? actor->name : NULL);
    switch (ev->kind) {
    case EVENT_ID_ATTEMPT_DECIDED:
        write_decided(h, ev);
        break;
    case EVENT_ID_ATTEMPT_STARTED:
        jo_int(&h->out, "attempt", ev->ATTEMPT_STARTED.n);
        break;
    case EVENT_ID_ATTEMPT_SENT:
        jo_int(&h->out, "attempt", ev->ATTEMPT_SENT.n);
        break;
    case EVENT_ID_ATTEMPT_WAITS:
        jo_int(&h->out, "attempt", ev->ATTEMPT_WAITS.n);
        break;
    case EVENT_ID_ATTEMPT_BOUND:
        jo_int(&h->out, "attempt", ev->ATTEMPT_BOUND.n);
        write_devices(h, &ev->ATTEMPT_BOUND.devices);
        break;
    case EVENT_ID_ATTEMPT_REFUSED:
        jo_int(&h->out, "attempt", ev->ATTEMPT_REFUSED.n);
        break;
    case EVENT_ID_ATTEMPT_ENDED:
        write_ended(h, ev);
        break;
    case EVENT_ID_ATTEMPT_LOST:
        jo_int(&h->out, "attempt", ev->ATTEMPT_LOST.n);
        jo_text(&h->out, "outcome", outcome_name(OUTCOME_LOST));
        write_cost(h, ev->ATTEMPT_LOST.run_ms, ev->ATTEMPT_LOST.energy_mj,
                   ev->ATTEMPT_LOST.cost_micros);
        break;
    default:
        break;
    }
}

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct history *h = arg;
    const struct ledger_row *row = record;
    (void)table;
    h->last = row->seq;
    h->looked_at++;
    if (event_subject((enum event_kind)row->kind) != SUBJECT_JOB || !row->body)
        return 0;
    struct event ev = {.kind = (enum event_kind)row->kind, .actor = row->actor};
    if (event_read_body(&ev, row->body, strlen(row->body), h->err) < 0)
        return -1;
    follow(h, &ev);
    if (h->items++ >= ITEMS_MOST)
        return 0;
    jo_object(&h->out, NULL);
    jo_int(&h->out, "seq", row->seq);
    jo_time(&h->out, "time", row->time_ms);
    jo_text(&h->out, "event", event_name(ev.kind));
    jo_text(&h->out, "state", job_state_name(h->state));
    if (h->sees_all)
        write_inside(h, &ev);
    jo_end(&h->out);
    return 0;
}

static int read_rows(struct history *h, const struct store_ops *ops, struct store_reader *r,
                     struct err *e)
{
    int64_t before;
    do {
        before = h->looked_at;
        struct store_query q = {
            .id = QUERY_LEDGER, .after = h->last, .subject = h->job, .limit = STORE_LIMIT};
        if (ops->read(r, &q, on_row, h, e) < 0)
            return -1;
    } while (h->looked_at - before == STORE_LIMIT && h->looked_at < ROWS_MOST);
    return 0;
}

int read_job_history(struct call *c, struct store_reader *r, struct err *e)
{
    struct engine *g = c->api->engine;
    struct history h = {.out = call_out(c), .err = e};
    int64_t principal, submitter;
    if (call_param_id(c, 0, "job", &h.job, e) < 0 ||
        job_find_owner(c, r, h.job, &principal, &submitter, NULL, e) < 0)
        return -1;
    h.caller = &c->caller;
    h.sees_all = caller_sight(&c->caller, principal, submitter) == SIGHT_ALL;
    const struct engine_view *v = engine_view_get(g);
    h.view = &v->fleet;
    jo_object(&h.out, NULL);
    jo_list(&h.out, "items");
    int rc = read_rows(&h, engine_store(g), r, e);
    jo_end(&h.out);
    jo_bool(&h.out, "cut", h.items > ITEMS_MOST || h.looked_at >= ROWS_MOST);
    jo_end(&h.out);
    engine_view_release(g, v);
    return rc;
}
