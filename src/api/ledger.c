/* The ledger: its rows, its chain, and its decisions made again. */
#include "store/ledger.h"
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_json.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- rows ---- */

enum {
    LOOKS_MOST = 20000, /* rows that one page looks at, whatever it finds */
    LOOKS_CHUNK = 1000, /* rows that are read at once where not all of them are wanted */
};

struct ledger_list {
    struct json_out out;
    const struct fleet_view *view;
    const struct caller *caller;
    /* What is wanted. */
    int64_t limit, actor; /* 0: anybody */
    enum event_subject about;
    bool filters;
    bool kinds[EVENT_KINDS];
    /* What was found. */
    int64_t items, looked_at, last;
};

static void write_name(struct json_out *o, const char *key, const struct fleet_view *v, int64_t id)
{
    const struct principal *p = fleet_principal(v, id);
    jo_text(o, key, p ? p->name : NULL);
}

/* Whose token it is stands in the body. */
static int64_t token_owner(const struct event *ev)
{
    return ev->kind == EVENT_ID_TOKEN_CREATED ? ev->TOKEN_CREATED.principal
                                              : ev->TOKEN_REVOKED.principal;
}

/* What people call the subject; null where its number is its name, or where it is gone. */
static void write_subject_name(struct json_out *o, const struct fleet_view *v,
                               const struct ledger_row *row, const struct event *ev)
{
    const struct node *n = NULL;
    const struct device *d;
    char text[FLEET_NAME + 24];
    switch (event_subject((enum event_kind)row->kind)) {
    case SUBJECT_PRINCIPAL:
        write_name(o, "subject_name", v, row->subject);
        return;
    case SUBJECT_TOKEN:
        write_name(o, "subject_name", v, token_owner(ev));
        return;
    case SUBJECT_NODE:
        n = fleet_node(v, row->subject);
        jo_text(o, "subject_name", n ? n->name : NULL);
        return;
    case SUBJECT_DEVICE:
        d = fleet_device(v, row->subject);
        n = d ? fleet_node(v, d->node) : NULL;
        if (n)
            snprintf(text, sizeof text, "%s:%" PRId64, n->name, d->number);
        jo_text(o, "subject_name", n ? text : NULL);
        return;
    default:
        jo_null(o, "subject_name");
    }
}

static void write_row(struct ledger_list *l, const struct ledger_row *row)
{
    struct json_out *o = &l->out;
    char hex[DIGEST_HEX];
    struct event ev = {.kind = (enum event_kind)row->kind};
    /* A body that does not read (a newer program's) is shown as it is, without what is made of it.
     */
    if (row->body && event_read_body(&ev, row->body, strlen(row->body), NULL) < 0)
        ev = (struct event){.kind = (enum event_kind)row->kind};
    jo_object(o, NULL);
    jo_int(o, "seq", row->seq);
    jo_time(o, "time", row->time_ms);
    jo_text(o, "kind", event_name((enum event_kind)row->kind));
    if (row->subject)
        jo_int(o, "subject", row->subject);
    else
        jo_null(o, "subject");
    write_subject_name(o, l->view, row, &ev);
    write_name(o, "actor", l->view, row->actor);
    write_name(o, "on_behalf", l->view, row->on_behalf);
    job_write_sentence(o, "why", l->caller, event_why(&ev));
    if (row->body && row->body[0])
        jo_raw(o, "body", row->body, strlen(row->body));
    else
        jo_null(o, "body");
    jo_text(o, "hash",
            row->hash.len == DIGEST_SIZE ? hex_write(hex, row->hash.data, DIGEST_SIZE) : NULL);
    jo_end(o);
}

static bool is_wanted(const struct ledger_list *l, const struct ledger_row *row)
{
    if (!l->filters)
        return true;
    if (row->kind < 0 || row->kind >= EVENT_KINDS || !l->kinds[row->kind])
        return false;
    if (l->about != SUBJECT_NOTHING && event_subject((enum event_kind)row->kind) != l->about)
        return false;
    return !l->actor || row->actor == l->actor || row->on_behalf == l->actor;
}

static int on_ledger_row(void *arg, enum table_id table, const void *record)
{
    struct ledger_list *l = arg;
    const struct ledger_row *row = record;
    (void)table;
    if (l->items == l->limit) /* for the next page */
        return 0;
    l->looked_at++;
    l->last = row->seq;
    if (is_wanted(l, row)) {
        l->items++;
        write_row(l, row);
    }
    return 0;
}

/* KINDS: names with commas between; NULL: all. */
static int read_kinds(struct ledger_list *l, const char *kinds, struct err *e)
{
    char name[64];
    for (int k = 0; !kinds && k < EVENT_KINDS; k++)
        l->kinds[k] = true;
    for (const char *at = kinds; at; at = *at ? at + 1 : NULL) {
        size_t len = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : (int)sizeof name, at);
        enum event_kind kind = event_find(name);
        if (kind == EVENT_ID_NONE) {
            err_set(e, ERR_INVALID, "parameter kind: there are no rows of kind '%.40s'", name);
            return err_blame(e, "kind");
        }
        l->kinds[kind] = true;
        at += len;
    }
    return 0;
}

static int read_about(struct ledger_list *l, const char *about, bool has_subject, struct err *e)
{
    static const char *const names[] = {
        [SUBJECT_JOB] = "job",        [SUBJECT_NODE] = "node",   [SUBJECT_DEVICE] = "device",
        [SUBJECT_PRINCIPAL] = "user", [SUBJECT_TOKEN] = "token", [SUBJECT_ENROLMENT] = "enrolment",
    };
    l->about = has_subject ? SUBJECT_JOB : SUBJECT_NOTHING;
    for (size_t i = SUBJECT_JOB; about && i < COUNT_OF(names); i++)
        if (strcmp(names[i], about) == 0) {
            l->about = (enum event_subject)i;
            return 0;
        }
    if (!about)
        return 0;
    err_set(e, ERR_INVALID, "parameter about: there are no rows about '%.40s'", about);
    return err_blame(e, "about");
}

static int read_actor(struct ledger_list *l, const char *name, struct err *e)
{
    const struct principal *p = name ? fleet_principal_named(l->view, name) : NULL;
    if (name && !p) {
        err_set(e, ERR_INVALID, "parameter actor: there is no user '%.63s'", name);
        return err_blame(e, "actor");
    }
    l->actor = p ? p->id : 0;
    return 0;
}

static int read_question(struct call *c, struct ledger_list *l, struct store_query *ret,
                         struct err *e)
{
    const struct http_request *r = c->request;
    const char *kinds = http_query_get(r, "kind"), *about = http_query_get(r, "about");
    const char *actor = http_query_get(r, "actor");
    const int64_t most = (INT64_C(1) << 53) - 1;
    int64_t after, before, subject;
    if (call_query_int(c, "after", 0, most, 0, &after, e) < 0 ||
        call_query_int(c, "before", 0, most, -1, &before, e) < 0 ||
        call_query_int(c, "subject", 1, most, 0, &subject, e) < 0 || read_kinds(l, kinds, e) < 0 ||
        read_about(l, about, subject != 0, e) < 0 || read_actor(l, actor, e) < 0)
        return -1;
    if (before >= 0 && after) {
        err_set(e, ERR_INVALID, "parameters after and before do not go together");
        return err_blame(e, "before");
    }
    l->limit = c->limit;
    l->filters = kinds || l->about != SUBJECT_NOTHING || l->actor;
    *ret = (struct store_query){.id = before < 0 ? QUERY_LEDGER : QUERY_LEDGER_NEWEST,
                                .after = c->cursor > after ? c->cursor : after,
                                .before = c->cursor    ? c->cursor
                                          : before < 0 ? 0
                                                       : before,
                                .subject = subject,
                                .limit = l->filters ? LOOKS_CHUNK : c->limit};
    return 0;
}

/* Until the page is full, there are no more, or enough was looked at. RET: whether more may come.
 */
static int read_rows(struct ledger_list *l, struct store_query *q, const struct store_ops *ops,
                     struct store_reader *r, bool *ret, struct err *e)
{
    int64_t looked_at;
    do {
        looked_at = l->looked_at;
        if (ops->read(r, q, on_ledger_row, l, e) < 0)
            return -1;
        q->after = q->before = l->last;
        *ret = l->looked_at - looked_at == q->limit || l->items == l->limit;
    } while (*ret && l->items < l->limit && l->looked_at < LOOKS_MOST);
    return 0;
}

int read_ledger(struct call *c, struct store_reader *r, struct err *e)
{
    struct engine *g = c->api->engine;
    const struct engine_view *v = engine_view_get(g);
    struct ledger_list l = {.view = &v->fleet, .caller = &c->caller};
    struct store_query q;
    bool more = false;
    int rc = read_question(c, &l, &q, e);
    if (rc == 0) {
        l.out = call_out(c);
        jo_object(&l.out, NULL);
        jo_list(&l.out, "items");
        rc = read_rows(&l, &q, engine_store(g), r, &more, e);
        jo_end(&l.out);
        call_write_cursor(&l.out, more ? l.last : 0);
        jo_end(&l.out);
    }
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
