#include "api/events.h"

#include "api/auth.h"
#include "api/door.h"
#include "api/event_json.h"
#include "api/handlers.h"
#include "api/job_rows.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/sse.h"

enum {
    RESUME_MOST = 100000, /* rows; older than that, reading the lists anew is cheaper */
    CATCH_UP_ROWS = 400,  /* at a time: about 80 KiB, which fits into what a stream may hold */
    HEARTBEAT_S = 15,
    RECENT_JOBS = 65536,
};

/* Readers differ only in these, so an event is written at most once for each combination. */
enum reader_kind {
    READS_FLEET = 1,
    READS_LEDGER = 2,
    READS_USERS = 4,
    READER_KINDS = 8,
};

enum subscriber_state {
    LIVE,        /* has everything up to the hub's last event */
    CATCHING_UP, /* a worker reads the ledger for it */
    BLOCKED,     /* takes nothing just now; goes on from SEQ when it does */
};

struct subscriber {
    struct event_hub *hub;
    struct http_stream *stream; /* NULL: gone, and only a worker still has it */
    size_t index;               /* in the hub's list */
    int64_t seq;                /* has what it may see up to here */
    enum subscriber_state state;
    unsigned kind; /* enum reader_kind */
    struct caller caller;

    /* Of the worker that reads for it. */
    bool reading;
    int64_t upto, first, last; /* asked for; found */
    struct text text;
    struct err err;
};

/* Whose a job is, for events that come when it has left the snapshot. A slot may be taken by a
 * later job; then the event does not name the user. */
struct recent_job {
    int64_t job;
    uint32_t principal;
    bool cancel_asked;
};

struct event_hub {
    struct api *api;
    int64_t last_seq;
    struct subscriber **all;
    size_t count, room;
    struct http_bytes *heartbeat;
    struct recent_job recent[RECENT_JOBS];
};

struct event_hub *events_new(struct api *a)
{
    struct event_hub *h = mem_new(struct event_hub);
    h->api = a;
    h->heartbeat = http_bytes_new(":\n\n", 3);
    return h;
}

void events_free(struct event_hub *h)
{
    if (!h)
        return;
    http_bytes_unref(h->heartbeat);
    free(h->all);
    free(h);
}

void events_begin(struct event_hub *h, int64_t seq)
{
    h->last_seq = seq;
}

size_t events_subscribers(const struct event_hub *h)
{
    return h->count;
}

static bool is_for(unsigned kind, enum event_class class)
{
    return class == EVENT_FOR_ALL || (class == EVENT_FOR_FLEET && kind & READS_FLEET) ||
           (class == EVENT_FOR_LEDGER && kind & READS_LEDGER);
}

/* ---- out of the ledger, on a worker ---- */

struct catching_up {
    struct subscriber *subscriber;
    struct store_reader *reader;
    const struct store_ops *ops;
    const struct fleet_view *view;
    struct event *events; /* CATCH_UP_ROWS of them have room */
    size_t count;
};

static int find_job(struct catching_up *u, const struct event *ev, struct event_job *ret,
                    struct err *e)
{
    const struct job *j = fleet_job(u->view, ev->subject);
    *ret = (struct event_job){.state = -1};
    if (ev->kind == EVENT_ID_JOB_SUBMITTED)
        ret->principal = ev->JOB_SUBMITTED.principal;
    else if (ev->kind == EVENT_ID_JOB_DELETED)
        ret->principal = ev->JOB_DELETED.principal;
    else if (j)
        ret->principal = j->principal;
    if (j && ev->kind == EVENT_ID_ATTEMPT_LOST)
        ret->state = JOB_QUEUED; /* it was tried again */
    if (j && (ev->kind == EVENT_ID_JOB_CANCEL || ev->kind == EVENT_ID_ATTEMPT_BOUND))
        ret->state = j->state;
    if (j || ev->kind == EVENT_ID_JOB_SUBMITTED || ev->kind == EVENT_ID_JOB_DELETED)
        return 0;

    struct job_rows rows = {0};
    int rc = job_rows_read_history(u->ops, u->reader, ev->subject, &rows, e);
    if (rc == 0 && rows.has_history) {
        ret->principal = rows.history.principal;
        if (ev->kind == EVENT_ID_ATTEMPT_ENDED && ev->ATTEMPT_ENDED.n == rows.history.attempts)
            ret->state = (int)rows.history.state;
    }
    job_rows_done(&rows);
    return rc;
}

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct catching_up *u = arg;
    struct subscriber *s = u->subscriber;
    const struct ledger_row *row = record;
    (void)table;
    s->first = s->first ? s->first : row->seq;
    s->last = row->seq;
    if (!is_for(s->kind, event_class((enum event_kind)row->kind)) || !row->body)
        return 0;
    struct event *ev = &u->events[u->count++];
    *ev = (struct event){.seq = row->seq,
                         .time_ms = row->time_ms,
                         .kind = (enum event_kind)row->kind,
                         .subject = row->subject};
    return event_read_body(ev, row->body, strlen(row->body), &s->err);
}

/* First the rows and then what they do not tell: a reader answers one question at a time. */
static void read_ledger_for(void *state, void *arg)
{
    struct subscriber *s = arg;
    struct engine *g = s->hub->api->engine;
    const struct engine_view *v = engine_view_get(g);
    struct catching_up u = {.subscriber = s,
                            .reader = state,
                            .ops = engine_store(g),
                            .view = &v->fleet,
                            .events = mem_new_array(struct event, CATCH_UP_ROWS)};
    struct store_query q = {
        .id = QUERY_LEDGER, .after = s->seq, .upto = s->upto, .limit = CATCH_UP_ROWS};
    int rc = u.ops->read(state, &q, on_row, &u, &s->err);
    for (size_t i = 0; i < u.count && rc == 0; i++) {
        const struct event *ev = &u.events[i];
        struct event_job job = {.state = -1};
        if (event_class(ev->kind) == EVENT_FOR_ALL)
            rc = find_job(&u, ev, &job, &s->err);
        if (rc == 0)
            event_write_sse(&s->text, u.view, ev, &job, s->kind & READS_USERS);
    }
    free(u.events);
    engine_view_release(g, v);
}

static void catch_up(struct subscriber *s);

static void free_subscriber(struct subscriber *s)
{
    text_done(&s->text);
    free(s);
}

static bool write_reset(struct subscriber *s, int64_t seq)
{
    auto_text struct text t = {0};
    char id[24], data[64];
    snprintf(id, sizeof id, "%lld", (long long)seq);
    snprintf(data, sizeof data, "{\"seq\":%lld,\"kind\":\"reset\"}", (long long)seq);
    sse_write(&t, id, "reset", data, strlen(data));
    return http_stream_write(s->stream, text_get(&t), t.len);
}

/* What lies between was too much or is no longer kept: the reader begins anew. */
static void reset(struct subscriber *s)
{
    int64_t seq = s->hub->last_seq;
    if (!write_reset(s, seq)) {
        s->state = BLOCKED;
        return;
    }
    s->seq = seq;
    s->state = LIVE;
}

static void on_ledger_read(void *arg)
{
    struct subscriber *s = arg;
    struct api *a = s->hub->api;
    s->reading = false;
    if (!s->stream) {
        free_subscriber(s);
    } else if (s->err.code != ERR_NONE) {
        log_warn("could not read the ledger for a reader of events", F_ERR(&s->err));
        http_stream_cut(s->stream); /* it comes back and tries again */
    } else if (s->first != s->seq + 1) {
        reset(s); /* the rows behind its last one were dropped */
    } else if (s->text.len && !http_stream_write(s->stream, text_get(&s->text), s->text.len)) {
        s->state = BLOCKED;
    } else {
        s->seq = s->last;
        s->state = LIVE;
        if (s->seq < s->hub->last_seq)
            catch_up(s);
    }
    api_work_done(a);
}

static void catch_up(struct subscriber *s)
{
    struct event_hub *h = s->hub;
    s->state = CATCHING_UP;
    if (s->reading)
        return;
    if (h->last_seq - s->seq > RESUME_MOST) {
        reset(s);
        return;
    }
    s->reading = true;
    s->upto = h->last_seq;
    s->first = s->last = 0;
    s->err = (struct err){0};
    text_done(&s->text);
    if (api_work(h->api, read_ledger_for, on_ledger_read, s))
        return;
    s->reading = false;
    s->state = BLOCKED; /* the next tick tries again */
}

/* ---- as they come ---- */

static struct event_job live_job(struct event_hub *h, const struct fleet_view *v,
                                 const struct event *ev)
{
    struct recent_job *slot = &h->recent[(uint64_t)ev->subject % RECENT_JOBS];
    const struct job *j = fleet_job(v, ev->subject);
    struct event_job ret = {.state = -1};
    int64_t principal = j                                    ? j->principal
                        : ev->kind == EVENT_ID_JOB_SUBMITTED ? ev->JOB_SUBMITTED.principal
                        : ev->kind == EVENT_ID_JOB_DELETED   ? ev->JOB_DELETED.principal
                                                             : 0;
    if (slot->job != ev->subject && principal)
        *slot = (struct recent_job){.job = ev->subject, .principal = (uint32_t)principal};
    if (slot->job == ev->subject)
        ret.principal = slot->principal;

    bool cancelled = slot->job == ev->subject && slot->cancel_asked;
    switch (ev->kind) {
    case EVENT_ID_JOB_CANCEL:
        if (j) { /* it runs: the end comes later */
            ret.state = j->state;
            slot->cancel_asked = slot->job == ev->subject;
        }
        break;
    case EVENT_ID_ATTEMPT_BOUND:
        if (j)
            ret.state = j->state;
        break;
    case EVENT_ID_JOB_RETRIED:
        if (slot->job == ev->subject)
            slot->cancel_asked = false;
        break;
    case EVENT_ID_ATTEMPT_LOST:
        ret.state = j ? JOB_QUEUED : cancelled ? JOB_CANCELLED : JOB_FAILED;
        break;
    case EVENT_ID_ATTEMPT_REFUSED:
        ret.state = cancelled ? JOB_CANCELLED : JOB_QUEUED;
        break;
    case EVENT_ID_ATTEMPT_ENDED:
        if (cancelled && ev->ATTEMPT_ENDED.outcome != OUTCOME_COMPLETED)
            ret.state = JOB_CANCELLED;
        break;
    default:
        break;
    }
    return ret;
}

/* The events of a run behind LAST_SEQ, for each kind of reader. */
static void write_run(struct event_hub *h, const struct event_run *r, bool wanted[READER_KINDS],
                      struct text out[READER_KINDS])
{
    const struct engine_view *v = engine_view_get(h->api->engine);
    for (size_t i = 0; i < r->count; i++) {
        const struct event *ev = &r->events[i];
        enum event_class class = event_class(ev->kind);
        if (ev->seq <= h->last_seq)
            continue;
        struct event_job job = {.state = -1};
        if (class == EVENT_FOR_ALL)
            job = live_job(h, &v->fleet, ev);
        for (unsigned kind = 0; kind < READER_KINDS; kind++)
            if (wanted[kind] && is_for(kind, class))
                event_write_sse(&out[kind], &v->fleet, ev, &job, kind & READS_USERS);
    }
    engine_view_release(h->api->engine, v);
}

static void deliver(struct event_hub *h, struct http_bytes *bytes[READER_KINDS], int64_t before,
                    int64_t last)
{
    for (size_t i = 0; i < h->count; i++) {
        struct subscriber *s = h->all[i];
        if (s->state != LIVE || s->seq < before)
            continue;
        if (!bytes[s->kind] || http_stream_write_shared(s->stream, bytes[s->kind]))
            s->seq = last;
        else
            s->state = BLOCKED;
    }
}

void events_on_run(void *arg, struct event_run *r)
{
    struct api *a = arg;
    struct event_hub *h = a->events;
    bool wanted[READER_KINDS] = {false};
    struct text out[READER_KINDS] = {{0}};
    struct http_bytes *bytes[READER_KINDS] = {NULL};
    int64_t before = h->last_seq, last = r->count ? r->events[r->count - 1].seq : 0;

    if (last > before) {
        /* A run was lost on a full mailbox: its events are in the ledger. */
        bool gap = r->events[0].seq > before + 1;
        for (size_t i = 0; i < h->count; i++)
            wanted[h->all[i]->kind] |= !gap;
        write_run(h, r, wanted, out);
        for (unsigned kind = 0; kind < READER_KINDS; kind++)
            if (out[kind].len)
                bytes[kind] = http_bytes_take(&out[kind]);
        h->last_seq = last;
        if (gap) {
            for (size_t i = 0; i < h->count; i++)
                if (h->all[i]->state == LIVE)
                    catch_up(h->all[i]);
        } else {
            deliver(h, bytes, before, last);
        }
        for (unsigned kind = 0; kind < READER_KINDS; kind++)
            if (bytes[kind])
                http_bytes_unref(bytes[kind]);
        logs_on_events(a->followers, r);
    }
    event_run_unref(r);
}

void events_tick(struct event_hub *h, int64_t ticks)
{
    for (size_t i = (size_t)(ticks % HEARTBEAT_S); i < h->count; i += HEARTBEAT_S) {
        http_stream_write_shared(h->all[i]->stream, h->heartbeat);
        if (!auth_still_holds(h->api, &h->all[i]->caller))
            http_stream_end(h->all[i]->stream);
    }
    /* Who was blocked by a full queue of the workers and not by itself. */
    for (size_t i = 0; i < h->count; i++)
        if (h->all[i]->state == BLOCKED && !http_stream_queued(h->all[i]->stream))
            catch_up(h->all[i]);
}

/* ---- subscribing ---- */

static void on_close(void *arg, struct http_stream *stream)
{
    struct subscriber *s = arg;
    struct event_hub *h = s->hub;
    (void)stream;
    h->all[s->index] = h->all[--h->count];
    h->all[s->index]->index = s->index;
    s->stream = NULL;
    if (!s->reading)
        free_subscriber(s);
}

static void on_drained(void *arg, struct http_stream *stream)
{
    struct subscriber *s = arg;
    (void)stream;
    if (s->state == BLOCKED)
        catch_up(s);
}

static unsigned kind_of(const struct call *c)
{
    unsigned kind = 0;
    if (caller_scope(&c->caller, PERMISSION_METRICS) != SCOPE_NOTHING)
        kind |= READS_FLEET;
    if (caller_scope(&c->caller, PERMISSION_LEDGER) == SCOPE_ALL)
        kind |= READS_LEDGER;
    if (!c->api->config.mask_users || caller_scope(&c->caller, PERMISSION_JOBS_READ) == SCOPE_ALL)
        kind |= READS_USERS;
    return kind;
}

static const struct http_header stream_headers[] = {
    {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}, {NULL, NULL}};

void serve_events(struct call *c)
{
    struct event_hub *h = c->api->events;
    const char *resume = http_header_get(c->request, "Last-Event-ID");
    struct err e = {0};
    int64_t seq = h->last_seq;
    if (resume && text_to_int(resume, 0, INT64_MAX / 2, "header Last-Event-ID", &seq, &e) < 0) {
        err_blame(&e, "Last-Event-ID");
        call_fail(c, &e);
        return;
    }
    if (http_request_method(c->request) == HTTP_HEAD) {
        c->answer.type = "text/event-stream";
        call_answer(c);
        return;
    }

    struct subscriber *s = mem_new(struct subscriber);
    struct http_stream_events on = {.on_close = on_close, .on_drained = on_drained, .arg = s};
    s->hub = h;
    s->kind = kind_of(c);
    s->caller = c->caller;
    s->seq = seq;
    s->state = LIVE;
    s->stream = http_stream_begin(c->request, 200, "text/event-stream", stream_headers, &on);
    if (!s->stream) { /* no descriptor is left, and that was answered */
        free_subscriber(s);
        return;
    }
    s->index = h->count;
    if (h->count == h->room) {
        h->room = h->room ? 2 * h->room : 64;
        h->all = mem_resize_array(h->all, h->room);
    }
    h->all[h->count++] = s;
    http_stream_write(s->stream, "retry: 2000\n:\n\n", 15); /* headers leave at once */
    if (seq > h->last_seq)
        reset(s); /* a number that we never gave: another store, or one put back */
    else if (seq < h->last_seq)
        catch_up(s);
}
