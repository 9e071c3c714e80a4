#include "api/auth.h"
#include "api/door.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdarg.h>

/* ---- answers ---- */

static void count(struct call *c, int status)
{
    struct api *a = c->api;
    int64_t us = clock_mono_us() - c->began_us;
    a->answered[status / 100 < 6 ? status / 100 : 0]++;
    if (c->route && c->route->flags & ROUTE_TIMED)
        histogram_add(&a->status_latency, us);
}

void call_answer(struct call *c)
{
    struct answer *w = &c->answer;
    int status = w->status ? w->status : 200;
    const char *type = w->type ? w->type : "application/json";
    count(c, status);
    bool empty = status == 204 || status == 304;
    http_answer(c->request, status, empty ? NULL : type, w->headers, &w->body);
}

void call_answer_gone(struct call *c, struct command *command)
{
    (void)command;
    c->answer.status = 204;
    call_answer(c);
}

/* Temporary failures of ours pass within moments: a full mailbox, a disk being cleared. */
#define RETRY_AFTER_S "1"

static bool has_header(const struct answer *w, const char *name)
{
    for (unsigned i = 0; i < w->header_count; i++)
        if (strcmp(w->headers[i].name, name) == 0)
            return true;
    return false;
}

void call_fail(struct call *c, const struct err *e)
{
    struct answer *w = &c->answer;
    int status = err_http(e->code);
    text_clear(&w->body);
    struct json_out o = {.text = &w->body};
    char type[64];
    snprintf(type, sizeof type, "urn:reeve:error:%s", err_slug(e->code));
    jo_object(&o, NULL);
    jo_text(&o, "type", type);
    jo_text(&o, "title", err_title(e->code));
    jo_int(&o, "status", status);
    auto_text struct text detail = {0};
    phrase_add(&detail, c->caller.language, e->text);
    jo_text(&o, "detail", text_get(&detail));
    jo_text(&o, "instance", http_request_path(c->request));
    if (e->field[0])
        jo_text(&o, "field", e->field);
    jo_end(&o);

    w->status = status;
    w->type = "application/problem+json";
    if (e->code == ERR_UNAUTHENTICATED)
        call_header(c, "WWW-Authenticate", "Bearer");
    if (err_is_temporary(e->code) && !has_header(w, "Retry-After"))
        call_header(c, "Retry-After", RETRY_AFTER_S);
    call_answer(c);
}

void call_refuse(struct call *c, enum err_code code, const char *fmt, ...)
{
    struct err e = {.code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(e.text, sizeof e.text, fmt, args);
    va_end(args);
    call_fail(c, &e);
}

struct json_out call_out(struct call *c)
{
    return (struct json_out){.text = &c->answer.body};
}

void call_header(struct call *c, const char *name, const char *value)
{
    struct answer *w = &c->answer;
    if (w->header_count == CALL_HEADERS)
        return;
    char *copy = w->values[w->header_count];
    snprintf(copy, CALL_HEADER_SIZE, "%s", value);
    w->headers[w->header_count++] = (struct http_header){name, copy};
}

void call_write_cursor(struct json_out *o, int64_t next)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)next);
    jo_text(o, "next_cursor", next ? text : NULL);
}

/* ---- workers ---- */

static void on_worker(void *state, void *job)
{
    struct call *c = job;
    if (c->read(c, state, &c->err) == 0)
        c->err.code = ERR_NONE;
    else if (c->err.code == ERR_NONE)
        c->err.code = ERR_INTERNAL;
}

static void on_read(void *job)
{
    struct call *c = job;
    struct api *a = c->api;
    if (c->err.code != ERR_NONE)
        call_fail(c, &c->err);
    else if (c->after)
        c->after(c);
    else
        call_answer(c);
    api_work_done(a); /* last: when nothing is under way, the engine may go */
}

void call_read(struct call *c, int (*read)(struct call *c, struct store_reader *r, struct err *e),
               void (*after)(struct call *c))
{
    c->read = read;
    c->after = after;
    if (!api_work(c->api, on_worker, on_read, c))
        call_refuse(c, ERR_EXHAUSTED, "too many requests wait for the store");
}

/* ---- commands ---- */

static void on_command_done(struct command *command)
{
    struct call *c = command->arg;
    struct api *a = c->api;
    if (command->error.code != ERR_NONE)
        call_fail(c, &command->error);
    else
        c->then(c, command);
    command_free(command);
    api_work_done(a);
}

void call_command(struct call *c, struct command *command,
                  void (*then)(struct call *c, struct command *command))
{
    c->then = then;
    command->actor = c->caller.kind == CALLER_PRINCIPAL ? c->caller.id : command->actor;
    command->on_done = on_command_done;
    command->reply_to = c->api->box;
    command->arg = c;
    c->api->under_way++;
    if (engine_command(c->api->engine, command))
        return;
    c->api->under_way--;
    command_free(command);
    call_refuse(c, ERR_EXHAUSTED, "too many changes wait to be written");
}

void call_idempotency(struct call *c, struct command *command)
{
    const char *key = http_header_get(c->request, "Idempotency-Key");
    if (!key)
        return;
    size_t len;
    const char *body = http_request_body(c->request, &len);
    const char *path = http_request_path(c->request);
    command->idempotency_key = mem_printf("%lld/%s %s/%s", (long long)c->caller.id,
                                          http_method_name(c->route->method), c->route->path, key);
    /* The path is part of what was asked for: the same key for another job is another request. */
    struct digest_state *s = digest_begin();
    digest_add(s, path, strlen(path) + 1);
    digest_add(s, body, len);
    command->body_hash = digest_end(s);
}

/* ---- what was sent ---- */

int call_json(struct call *c, json_t **ret, struct err *e)
{
    size_t len;
    const char *body = http_request_body(c->request, &len);
    return json_parse(body, len, ret, e);
}

int call_query_int(struct call *c, const char *name, int64_t least, int64_t most, int64_t fallback,
                   int64_t *ret, struct err *e)
{
    const char *value = http_query_get(c->request, name);
    char what[48];
    *ret = fallback;
    if (!value)
        return 0;
    snprintf(what, sizeof what, "parameter %s", name);
    return text_to_int(value, least, most, what, ret, e) < 0 ? err_blame(e, "%s", name) : 0;
}

int call_query_bool(struct call *c, const char *name, bool *ret, struct err *e)
{
    const char *value = http_query_get(c->request, name);
    *ret = value && (!*value || strcmp(value, "true") == 0); /* "?follow" says it, too */
    if (!value || *ret || strcmp(value, "false") == 0)
        return 0;
    err_set(e, ERR_INVALID, "parameter %s must be true or false", name);
    return err_blame(e, "%s", name);
}

int call_param_id(struct call *c, unsigned index, const char *what, int64_t *ret, struct err *e)
{
    struct err ignored;
    if (text_to_int(c->param[index], 1, (INT64_C(1) << 53) - 1, what, ret, &ignored) == 0)
        return 0;
    return err_set(e, ERR_NOT_FOUND, "there is no %s '%.64s'", what, c->param[index]);
}
