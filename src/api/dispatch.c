/* From a complete request to its handler: route, readiness, caller, permission, what was sent. */
#include "api/auth.h"
#include "api/door.h"

#include "base/clock.h"
#include "base/mem.h"

static void call_free(void *p)
{
    struct call *c = p;
    if (c->own_free)
        c->own_free(c->own);
    text_done(&c->answer.body);
    free(c);
}

size_t api_body_limit(void *arg, enum http_method method, const char *path)
{
    (void)arg;
    char params[ROUTE_PARAMS][ROUTE_PARAM_SIZE], allow[64];
    const struct route *route = route_find(method, path, params, allow, NULL);
    return route ? route->body_limit : 0;
}

/* ---- what was sent ---- */

struct query_check {
    const struct route *route;
    struct err *err;
    int rc;
};

static bool is_word_of(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; len && (at = strstr(at, word)); at += len)
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return true;
    return false;
}

static bool check_param(void *arg, const char *name, const char *value)
{
    struct query_check *q = arg;
    (void)value;
    if (is_word_of(q->route->query, name) ||
        (q->route->flags & ROUTE_LIST && is_word_of("limit cursor", name)))
        return true;
    err_set(q->err, ERR_INVALID, "parameter '%.60s' is not known here", name);
    q->rc = err_blame(q->err, "%.60s", name);
    return false;
}

static int check_query(struct call *c, struct err *e)
{
    struct query_check q = {.route = c->route, .err = e};
    http_query_each(c->request, check_param, &q);
    if (q.rc < 0 || !(c->route->flags & ROUTE_LIST))
        return q.rc;
    if (call_query_int(c, "limit", 1, 1000, 100, &c->limit, e) < 0)
        return -1;
    return call_query_int(c, "cursor", 0, 999999999999999999, 0, &c->cursor, e);
}

static bool is_visible_ascii(const char *s, size_t most)
{
    size_t len = 0;
    while (s[len] > 0x20 && s[len] < 0x7f)
        len++;
    return len && len <= most && !s[len];
}

/* JSON, however it is called: what curl -d sends says that it is a form. A page of another origin
 * can send such a body, too, but not the bearer that every change needs. */
static bool is_json_type(const char *type)
{
    static const char *const types[] = {"application/json", "application/x-www-form-urlencoded"};
    size_t len = type ? strcspn(type, "; ") : 0;
    bool found = !type;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        found |= len == strlen(types[i]) && strncasecmp(type, types[i], len) == 0;
    return found;
}

static int check_headers(struct call *c, struct err *e)
{
    const char *key = http_header_get(c->request, "Idempotency-Key");
    if (key && c->route->method != HTTP_GET) {
        if (!(c->route->flags & ROUTE_IDEMPOTENT))
            err_set(e, ERR_INVALID, "header Idempotency-Key has no meaning here");
        else if (!is_visible_ascii(key, 128))
            err_set(e, ERR_INVALID, "header Idempotency-Key must be 1 to 128 visible characters");
        else
            key = NULL;
        if (key)
            return err_blame(e, "Idempotency-Key");
    }
    if (!(c->route->flags & ROUTE_JSON))
        return 0;
    const char *type = http_header_get(c->request, "Content-Type");
    if (!is_json_type(type))
        return err_set(e, ERR_MEDIA_TYPE, "the body must be application/json, not '%.64s'", type);
    return 0;
}

/* ---- tags ---- */

static bool hash_param(void *arg, const char *name, const char *value)
{
    digest_add(arg, name, strlen(name) + 1);
    digest_add(arg, value, strlen(value) + 1);
    return true;
}

/*
 * The tag of an answer says what it is made from: the newest event, the counters of what is not in
 * the ledger, the question and who asks. So an unchanged answer costs no rendering. It is made
 * before the answer reads anything: too old a tag only makes the client ask once more.
 */
static void make_tag(struct call *c, const struct fleet_view *v, char tag[48])
{
    struct api *a = c->api;
    struct digest_state *s = digest_begin();
    const char *path = http_request_path(c->request);
    digest_add_int(s, (int64_t)a->boot);
    digest_add_int(s, v->last_seq);
    digest_add_int(s, (int64_t)progress_version(a->progress));
    digest_add_int(s, (int64_t)links_version(a->links));
    digest_add_int(s, (int64_t)expected_version(a->expected));
    digest_add_int(s, (int64_t)__atomic_load_n(&a->sample_version, __ATOMIC_RELAXED));
    digest_add_int(s, c->caller.id);
    digest_add_int(s, c->caller.language);
    digest_add(s, path, strlen(path) + 1);
    http_query_each(c->request, hash_param, s);
    struct digest d = digest_end(s);
    char hex[33];
    snprintf(tag, 48, "W/\"%s\"", hex_write(hex, d.bytes, 16));
}

/* Weak comparison: what stands in quotes. */
static bool tag_matches(const char *list, const char *tag)
{
    return strcmp(list, "*") == 0 || strstr(list, tag + 2) != NULL;
}

static bool answered_by_tag(struct call *c, const struct fleet_view *v)
{
    char tag[48];
    if (!(c->route->flags & ROUTE_POLLED))
        return false;
    make_tag(c, v, tag);
    call_header(c, "ETag", tag);
    call_header(c, "Vary", "Accept-Language");
    const char *known = http_header_get(c->request, "If-None-Match");
    if (!known || !tag_matches(known, tag))
        return false;
    c->answer.status = 304;
    call_answer(c);
    return true;
}

/* ---- on the way ---- */

static void serve(struct call *c)
{
    struct err e = {0};
    const struct engine_view *v = NULL;
    int rc = 0;
    c->answer.header_count = 0;
    if (c->api->engine) {
        v = engine_view_get(c->api->engine);
        rc = auth_check(c, &v->fleet, &e);
    }
    if (rc == 0 && check_query(c, &e) == 0 && check_headers(c, &e) == 0) {
        if (v && answered_by_tag(c, &v->fleet))
            rc = 1;
    } else {
        rc = -1;
    }
    if (v)
        engine_view_release(c->api->engine, v);
    if (rc > 0)
        return;
    if (rc < 0)
        call_fail(c, &e);
    else if (c->route->serve)
        c->route->serve(c);
    else
        call_read(c, c->route->read, NULL);
}

static int look_up_account(struct call *c, struct store_reader *r, struct err *e)
{
    (void)r;
    (void)e;
    auth_lookup(http_request_peer(c->request)->uid, c->caller.name);
    return 0;
}

static void account_is_known(struct call *c)
{
    auth_remember(c->api, http_request_peer(c->request)->uid, c->caller.name);
    c->caller.name[0] = '\0';
    serve(c);
}

void api_on_request(void *arg, struct http_request *r)
{
    struct api *a = arg;
    struct call *c = mem_new(struct call);
    struct err e = {0};
    char allow[64];
    c->api = a;
    c->request = r;
    c->began_us = clock_mono_us();
    http_request_set_context(r, c, call_free);
    c->caller.language = language_accepted(http_header_get(r, "Accept-Language"));

    c->route = route_find(http_request_method(r), http_request_path(r), c->param, allow, &e);
    if (!c->route) {
        if (e.code == ERR_METHOD)
            call_header(c, "Allow", allow);
        call_fail(c, &e);
        return;
    }
    if ((!a->engine || a->stopping) && !(c->route->flags & ROUTE_EARLY)) {
        call_refuse(c, ERR_UNAVAILABLE, a->stopping ? "shutting down" : "still loading");
        return;
    }
    c->now_ms = a->engine ? engine_now_ms(a->engine) : clock_wall_ms();
    if (a->engine && !auth_account_is_known(a, http_request_peer(r)))
        call_read(c, look_up_account, account_is_known);
    else
        serve(c);
}
