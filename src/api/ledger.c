/* The ledger: its rows, its chain, and its decisions made again. */
#include "store/ledger.h"
#include "api/door.h"
#include "api/handlers.h"
#include "base/mem.h"

/* ---- rows ---- */

struct ledger_list {
    struct json_out out;
    const struct fleet_view *view;
    bool about_jobs; /* ?subject= means a job: other rows with this number are something else's */
    int64_t looked_at, last;
};

static void write_name(struct json_out *o, const char *key, const struct fleet_view *v, int64_t id)
{
    const struct principal *p = fleet_principal(v, id);
    jo_text(o, key, p ? p->name : NULL);
}

static int on_ledger_row(void *arg, enum table_id table, const void *record)
{
    struct ledger_list *l = arg;
    const struct ledger_row *row = record;
    struct json_out *o = &l->out;
    char hex[DIGEST_HEX];
    (void)table;
    l->looked_at++;
    l->last = row->seq;
    if (l->about_jobs && event_subject((enum event_kind)row->kind) != SUBJECT_JOB)
        return 0;
    jo_object(o, NULL);
    jo_int(o, "seq", row->seq);
    jo_time(o, "time", row->time_ms);
    jo_text(o, "kind", event_name((enum event_kind)row->kind));
    if (row->subject)
        jo_int(o, "subject", row->subject);
    else
        jo_null(o, "subject");
    write_name(o, "actor", l->view, row->actor);
    write_name(o, "on_behalf", l->view, row->on_behalf);
    if (row->body && row->body[0])
        jo_raw(o, "body", row->body, strlen(row->body));
    else
        jo_null(o, "body");
    jo_text(o, "hash",
            row->hash.len == DIGEST_SIZE ? hex_write(hex, row->hash.data, DIGEST_SIZE) : NULL);
    jo_end(o);
    return 0;
}

static int read_question(struct call *c, struct store_query *ret, struct err *e)
{
    const char *kind = http_query_get(c->request, "kind");
    int64_t after;
    *ret = (struct store_query){.id = QUERY_LEDGER, .limit = c->limit};
    if (call_query_int(c, "after", 0, (INT64_C(1) << 53) - 1, 0, &after, e) < 0 ||
        call_query_int(c, "subject", 1, (INT64_C(1) << 53) - 1, 0, &ret->subject, e) < 0)
        return -1;
    ret->after = c->cursor > after ? c->cursor : after;
    ret->kind = kind ? event_find(kind) : 0;
    if (!kind || ret->kind != EVENT_ID_NONE)
        return 0;
    err_set(e, ERR_INVALID, "parameter kind: there are no rows of kind '%.40s'", kind);
    return err_blame(e, "kind");
}

int read_ledger(struct call *c, struct store_reader *r, struct err *e)
{
    struct engine *g = c->api->engine;
    struct store_query q;
    if (read_question(c, &q, e) < 0)
        return -1;
    const struct engine_view *v = engine_view_get(g);
    struct ledger_list l = {.out = call_out(c), .view = &v->fleet, .about_jobs = q.subject != 0};
    jo_object(&l.out, NULL);
    jo_list(&l.out, "items");
    int rc = engine_store(g)->read(r, &q, on_ledger_row, &l, e);
    jo_end(&l.out);
    call_write_cursor(&l.out, l.looked_at == c->limit ? l.last : 0);
    jo_end(&l.out);
    engine_view_release(g, v);
    return rc;
}

/* ---- long work: stopped when nobody waits for it any more ---- */

static void on_gone(void *arg, struct http_request *r)
{
    (void)r;
    __atomic_store_n((bool *)arg, true, __ATOMIC_RELAXED);
}

static int on_progress(void *arg, int64_t rows)
{
    (void)rows;
    return __atomic_load_n((bool *)arg, __ATOMIC_RELAXED);
}

/* C->own becomes a flag that is set when the client has gone. */
static void start(struct call *c,
                  int (*work)(struct call *c, struct store_reader *r, struct err *e))
{
    c->own = mem_new(bool);
    c->own_free = free;
    http_request_watch(c->request, on_gone, c->own);
    call_read(c, work, NULL);
}

static int verify(struct call *c, struct store_reader *r, struct err *e)
{
    struct ledger_check check = {0};
    char head[DIGEST_HEX];
    if (ledger_verify(engine_store(c->api->engine), r, on_progress, c->own, &check, e) < 0 &&
        e->code != ERR_UNPROCESSABLE)
        return -1; /* it could not be read: that says nothing about the ledger */
    bool ok = !check.bad_seq;
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_int(&o, "rows", check.rows);
    jo_bool(&o, "ok", ok);
    if (ok)
        jo_null(&o, "first_bad");
    else
        jo_int(&o, "first_bad", check.bad_seq);
    jo_text(&o, "head", check.rows ? hex_write(head, check.head.bytes, DIGEST_SIZE) : NULL);
    jo_int(&o, "erased", check.erased);
    jo_int(&o, "dropped", check.dropped);
    jo_int(&o, "segments", check.segments);
    jo_text(&o, "detail", ok ? NULL : e->text);
    jo_end(&o);
    return 0;
}

void serve_ledger_verify(struct call *c)
{
    start(c, verify);
}

static int replay(struct call *c, struct store_reader *r, struct err *e)
{
    struct replay_result result = {0};
    bool from_start;
    if (call_query_bool(c, "from_start", &from_start, e) < 0 ||
        engine_replay(engine_store(c->api->engine), r, from_start, &result, e) < 0)
        return -1;
    bool identical = !result.first_different;
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    if (result.began)
        jo_int(&o, "began", result.began);
    else
        jo_null(&o, "began");
    jo_text(&o, "passed_over", result.passed_over ? result.why_passed_over : NULL);
    jo_int(&o, "plans", result.plans);
    jo_bool(&o, "identical", identical);
    if (identical)
        jo_null(&o, "first_different");
    else
        jo_int(&o, "first_different", result.first_different);
    jo_int(&o, "rows", result.rows);
    jo_int(&o, "decisions", result.decisions);
    jo_text(&o, "detail", identical ? NULL : result.why);
    jo_end(&o);
    return 0;
}

void serve_ledger_replay(struct call *c)
{
    start(c, replay);
}
