/*
 * How a page signs in: somebody who is known asks for a link; its code, used once within minutes,
 * makes a session, which is a token that ends.
 */
#include "api/auth.h"
#include "api/door.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/mem.h"

enum { LINK_MS = 600000, CODE_MOST = 128 };

/* ---- links ---- */

struct link_in {
    const char *user;
};

static const struct json_field link_fields[] = {
    {"user", JSON_FIELD_TEXT, offsetof(struct link_in, user), .least = 1, .most = FLEET_NAME - 1},
};

/* Whose link it is to be; 0 and E: nobody's. */
static int64_t link_owner(struct call *c, const struct link_in *in, struct err *e)
{
    if (!in->user || strcmp(in->user, c->caller.name) == 0)
        return c->caller.id;
    if (caller_scope(&c->caller, PERMISSION_ADMIN) != SCOPE_ALL) {
        err_set(e, ERR_DENIED, "only an admin makes links for others");
        return 0;
    }
    const struct engine_view *v = engine_view_get(c->api->engine);
    const struct principal *p = fleet_principal_named(&v->fleet, in->user);
    int64_t id = p ? p->id : 0;
    engine_view_release(c->api->engine, v);
    if (!id) {
        err_set(e, ERR_NOT_FOUND, "there is no user '%s'", in->user);
        err_blame(e, "user");
    }
    return id;
}

static void write_link(struct call *c, int64_t id, int64_t principal, int64_t expires_ms,
                       const char *code)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    const struct principal *p = fleet_principal(&v->fleet, principal);
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_int(&o, "id", id);
    jo_text(&o, "user", p ? p->name : "");
    if (code) {
        auto_free char *path = mem_printf("/#/link=%s", code);
        jo_text(&o, "code", code);
        jo_text(&o, "path", path);
    }
    jo_time(&o, "expires_at", expires_ms);
    jo_end(&o);
    engine_view_release(c->api->engine, v);
    call_header(c, "Cache-Control", "no-store");
    call_answer(c);
}

static void answer_link(struct call *c, struct command *command)
{
    c->answer.status = 201;
    write_link(c, command->ret_id, command->principal, command->expires_ms, c->own);
}

void serve_link_create(struct call *c)
{
    auto_json json_t *object = NULL;
    struct link_in in = {0};
    struct err e = {0};
    int64_t owner = 0;
    int rc = call_json(c, &object, &e);
    if (rc == 0)
        rc = json_read_fields(object, link_fields, COUNT_OF(link_fields), true, &in, &e);
    if (rc < 0 || !(owner = link_owner(c, &in, &e))) {
        call_fail(c, &e);
        return;
    }
    struct command *command = command_new(COMMAND_TOKEN_CREATE);
    command->token_kind = TOKEN_LINK;
    command->principal = owner;
    command->expires_ms = c->now_ms + LINK_MS;
    if (owner == c->caller.id)
        command->until_ms = c->caller.expires_ms; /* a session cannot prolong itself */
    c->own = token_code_make(&command->hash);
    c->own_free = free;
    call_command(c, command, answer_link);
}

/* Whether a link can still be used: what printed it prints another one then. */
void serve_link(struct call *c)
{
    struct token_holder link;
    struct digest hash;
    struct err e = {0};
    int64_t id;
    if (call_param_id(c, 0, "link", &id, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    bool found =
        tokens_find_id(engine_tokens(c->api->engine), TOKEN_LINK, id, &hash, &link) &&
        link.expires_ms > c->now_ms &&
        (link.holder == c->caller.id || caller_scope(&c->caller, PERMISSION_ADMIN) == SCOPE_ALL);
    if (found)
        write_link(c, id, link.holder, link.expires_ms, NULL);
    else
        call_refuse(c, ERR_NOT_FOUND, "there is no link %lld, or it was used, or is over",
                    (long long)id);
}

/* ---- sessions ---- */

struct session_in {
    const char *code;
};

static const struct json_field session_fields[] = {
    {"code", JSON_FIELD_TEXT, offsetof(struct session_in, code), true, 1, CODE_MOST},
};

/* The token waits in C->own for the answer, the only time it is shown. */
static void answer_session(struct call *c, struct command *command)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    const struct principal *p = fleet_principal(&v->fleet, command->principal);
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_int(&o, "id", command->ret_id);
    jo_text(&o, "token", c->own);
    auth_write_principal(&o, p ? p->name : "", p ? p->role : ROLES);
    jo_time(&o, "expires_at", command->expires_ms);
    jo_end(&o);
    engine_view_release(c->api->engine, v);
    c->answer.status = 201;
    call_header(c, "Cache-Control", "no-store");
    call_answer(c);
}

static bool may_guess(struct call *c, const char *from)
{
    int64_t wait_ms = guesses_wait_ms(c->api->guesses, from, clock_mono_ms());
    if (!wait_ms)
        return true;
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)(wait_ms + 999) / 1000);
    call_header(c, "Retry-After", seconds);
    call_refuse(c, ERR_EXHAUSTED, "too many wrong codes from here: wait %s s", seconds);
    return false;
}

void serve_session_begin(struct call *c)
{
    auto_json json_t *object = NULL;
    struct session_in in = {0};
    struct err e = {0};
    const char *from = http_request_peer(c->request)->text;
    if (!may_guess(c, from))
        return;
    if (call_json(c, &object, &e) < 0 ||
        json_read_fields(object, session_fields, COUNT_OF(session_fields), true, &in, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    struct token_holder link;
    struct digest hash = token_hash(in.code);
    if (!tokens_find(engine_tokens(c->api->engine), &hash, c->now_ms, &link) ||
        link.kind != TOKEN_LINK) {
        guesses_wrong(c->api->guesses, from, clock_mono_ms());
        call_refuse(c, ERR_UNAUTHENTICATED,
                    "this link is not valid, or not any more: it works once and for %d minutes; "
                    "'reeve token link' prints a new one",
                    LINK_MS / 60000);
        return;
    }
    struct command *command = command_new(COMMAND_SESSION_BEGIN);
    command->hash = hash;
    snprintf(command->name, sizeof command->name, "%s", from);
    c->own = token_make(&command->key_hash);
    c->own_free = free;
    call_command(c, command, answer_session);
}

void serve_session_end(struct call *c)
{
    if (!c->caller.token) {
        call_refuse(c, ERR_CONFLICT, "no token was shown that could be ended");
        return;
    }
    struct command *command = command_new(COMMAND_TOKEN_REVOKE);
    command->id = c->caller.token;
    call_command(c, command, call_answer_gone);
}
