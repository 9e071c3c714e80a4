/* People, their tokens, and one-time tokens for new nodes. */
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_in.h"
#include "base/mem.h"

enum { ENROLMENT_DEFAULT_MS = 3600000, TITLE_MOST = FLEET_NAME - 1 };

/* ---- users ---- */

static void write_user(struct json_out *o, const struct principal *p)
{
    jo_object(o, NULL);
    jo_text(o, "name", p->name);
    jo_text(o, "role", role_name(p->role));
    jo_text(o, "team", p->team[0] ? p->team : NULL);
    jo_time(o, "created_at", p->created_ms);
    jo_time(o, "disabled_at", p->disabled_ms);
    jo_end(o);
}

void serve_users(struct call *c)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    struct json_out o = call_out(c);
    int64_t id = c->cursor + 1, count = 0;
    jo_object(&o, NULL);
    jo_list(&o, "items");
    for (; id <= v->fleet.principal_count && count < c->limit; id++, count++)
        write_user(&o, fleet_principal(&v->fleet, id));
    jo_end(&o);
    call_write_cursor(&o, id <= v->fleet.principal_count ? id - 1 : 0);
    jo_end(&o);
    engine_view_release(c->api->engine, v);
    call_answer(c);
}

/* Answers with the principal of this id. */
static void show_user(struct call *c, int64_t id)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    struct json_out o = call_out(c);
    write_user(&o, fleet_principal(&v->fleet, id));
    engine_view_release(c->api->engine, v);
    call_answer(c);
}

static int64_t find_user(struct call *c, const char *name)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    const struct principal *p = fleet_principal_named(&v->fleet, name);
    int64_t id = p ? p->id : 0;
    engine_view_release(c->api->engine, v);
    return id;
}

/* 0: there is none, and that was answered. */
static int64_t user_of_path(struct call *c)
{
    int64_t id = find_user(c, c->param[0]);
    if (!id)
        call_refuse(c, ERR_NOT_FOUND, "there is no user '%.64s'", c->param[0]);
    return id;
}

void serve_user(struct call *c)
{
    int64_t id = user_of_path(c);
    if (id)
        show_user(c, id);
}

struct user_in {
    const char *name, *role, *team;
    bool disabled;
};

#define AT(member) offsetof(struct user_in, member)
static const struct json_field add_fields[] = {
    {"name", JSON_FIELD_TEXT, AT(name), true, 1, FLEET_NAME - 1},
    {"role", JSON_FIELD_TEXT, AT(role), true, 1, 16},
    {"team", JSON_FIELD_TEXT, AT(team), .least = 1, .most = FLEET_NAME - 1},
};
static const struct json_field change_fields[] = {
    {"role", JSON_FIELD_TEXT, AT(role), .least = 1, .most = 16},
    {"team", JSON_FIELD_TEXT, AT(team), .least = 1, .most = FLEET_NAME - 1},
    {"disabled", JSON_FIELD_BOOL, AT(disabled)},
};
#undef AT

static int blamed(struct err *e, const char *field, const char *why)
{
    err_set(e, ERR_INVALID, "field '%s' %s", field, why);
    return err_blame(e, "%s", field);
}

static int check_user(const struct user_in *in, struct err *e)
{
    const char *rule = "must be letters, digits, '.', '_' and '-', first a letter or digit";
    if (in->name && !text_is_name(in->name, FLEET_NAME - 1))
        return blamed(e, "name", rule);
    if (in->team && !text_is_name(in->team, FLEET_NAME - 1))
        return blamed(e, "team", rule);
    if (in->role && role_find(in->role) < 0)
        return blamed(e, "role", "must be admin, operator, user, viewer or service");
    return 0;
}

static void answer_added(struct call *c, struct command *command)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    const struct principal *p = fleet_principal(&v->fleet, command->ret_id);
    char location[FLEET_NAME + 32];
    snprintf(location, sizeof location, "/api/v1/users/%s", p ? p->name : "");
    engine_view_release(c->api->engine, v);
    if (!command->ret_repeated) {
        call_header(c, "Location", location);
        c->answer.status = 201;
    }
    show_user(c, command->ret_id);
}

void serve_user_add(struct call *c)
{
    auto_json json_t *object = NULL;
    struct user_in in = {0};
    struct err e = {0};
    if (call_json(c, &object, &e) < 0 ||
        json_read_fields(object, add_fields, COUNT_OF(add_fields), true, &in, &e) < 0 ||
        check_user(&in, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    struct command *command = command_new(COMMAND_PRINCIPAL_ADD);
    snprintf(command->name, sizeof command->name, "%s", in.name);
    snprintf(command->team, sizeof command->team, "%s", in.team ? in.team : "");
    command->role = role_find(in.role);
    call_idempotency(c, command);
    call_command(c, command, answer_added);
}

static void answer_changed(struct call *c, struct command *command)
{
    show_user(c, command->principal);
}

/* The command with what the user is now, to be changed. NULL: answered already. */
static struct command *change_of_path(struct call *c)
{
    int64_t id = user_of_path(c);
    if (!id)
        return NULL;
    const struct engine_view *v = engine_view_get(c->api->engine);
    const struct principal *p = fleet_principal(&v->fleet, id);
    struct command *command = command_new(COMMAND_PRINCIPAL_CHANGE);
    command->principal = id;
    command->role = p->role;
    command->disabled = p->disabled_ms != 0;
    snprintf(command->team, sizeof command->team, "%s", p->team);
    engine_view_release(c->api->engine, v);
    return command;
}

void serve_user_change(struct call *c)
{
    auto_json json_t *object = NULL;
    struct user_in in = {0};
    struct err e = {0};
    if (call_json(c, &object, &e) < 0 ||
        json_read_fields(object, change_fields, COUNT_OF(change_fields), true, &in, &e) < 0 ||
        check_user(&in, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    if (!json_object_size(object)) {
        call_refuse(c, ERR_INVALID, "nothing is to be changed: give role, team or disabled");
        return;
    }
    struct command *command = change_of_path(c);
    if (!command)
        return;
    if (in.role)
        command->role = role_find(in.role);
    if (in.team)
        snprintf(command->team, sizeof command->team, "%s", in.team);
    if (json_is_boolean(json_object_get(object, "disabled")))
        command->disabled = in.disabled;
    call_command(c, command, answer_changed);
}

void serve_user_disable(struct call *c)
{
    struct command *command = change_of_path(c);
    if (!command)
        return;
    command->disabled = 1;
    call_command(c, command, call_answer_gone);
}

/* ---- tokens ---- */

struct token_in {
    const char *user, *name, *node;
    const json_t *expires_in;
};

#define AT(member) offsetof(struct token_in, member)
static const struct json_field token_fields[] = {
    {"user", JSON_FIELD_TEXT, AT(user), true, 1, FLEET_NAME - 1},
    {"name", JSON_FIELD_TEXT, AT(name), .least = 1, .most = TITLE_MOST},
    {"expires_in", JSON_FIELD_ANY, AT(expires_in)},
};
static const struct json_field enrolment_fields[] = {
    {"node", JSON_FIELD_TEXT, AT(node), .least = 1, .most = FLEET_NAME - 1},
    {"expires_in", JSON_FIELD_ANY, AT(expires_in)},
};
#undef AT

static int read_expiry(struct call *c, const struct token_in *in, int64_t fallback_ms,
                       int64_t *ret_ms, struct err *e)
{
    int64_t span = fallback_ms;
    if (in->expires_in && job_in_duration(in->expires_in, "expires_in", &span, e) < 0)
        return -1;
    *ret_ms = span ? c->now_ms + span : 0;
    return 0;
}

static bool is_plain(const char *s)
{
    for (; s && *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

/* The token itself waits in C->own for the answer, the only time it is shown. */
static void answer_token(struct call *c, struct command *command)
{
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_int(&o, "id", command->ret_id);
    jo_text(&o, "token", c->own);
    if (command->kind == COMMAND_TOKEN_CREATE) {
        const struct engine_view *v = engine_view_get(c->api->engine);
        const struct principal *p = fleet_principal(&v->fleet, command->principal);
        jo_text(&o, "user", p ? p->name : "");
        engine_view_release(c->api->engine, v);
        jo_text(&o, "name", command->name[0] ? command->name : NULL);
    } else {
        jo_text(&o, "node", command->name[0] ? command->name : NULL);
    }
    jo_time(&o, "expires_at", command->expires_ms);
    jo_end(&o);
    c->answer.status = 201;
    call_header(c, "Cache-Control", "no-store");
    call_answer(c);
}

static void make_token(struct call *c, struct command *command)
{
    c->own = token_make(&command->hash);
    c->own_free = free;
    call_command(c, command, answer_token);
}

void serve_token_create(struct call *c)
{
    auto_json json_t *object = NULL;
    struct token_in in = {0};
    struct err e = {0};
    int64_t expires_ms = 0, principal = 0;
    int rc = call_json(c, &object, &e);
    if (rc == 0)
        rc = json_read_fields(object, token_fields, COUNT_OF(token_fields), true, &in, &e);
    if (rc == 0 && !is_plain(in.name))
        rc = blamed(&e, "name", "must not hold control characters");
    if (rc == 0)
        rc = read_expiry(c, &in, 0, &expires_ms, &e);
    if (rc == 0 && !(principal = find_user(c, in.user))) {
        err_set(&e, ERR_NOT_FOUND, "there is no user '%s'", in.user);
        rc = err_blame(&e, "user");
    }
    if (rc < 0) {
        call_fail(c, &e);
        return;
    }
    struct command *command = command_new(COMMAND_TOKEN_CREATE);
    command->principal = principal;
    command->expires_ms = expires_ms;
    snprintf(command->name, sizeof command->name, "%s", in.name ? in.name : "");
    make_token(c, command);
}

void serve_token_revoke(struct call *c)
{
    struct err e = {0};
    int64_t id;
    if (call_param_id(c, 0, "token", &id, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    struct command *command = command_new(COMMAND_TOKEN_REVOKE);
    command->id = id;
    call_command(c, command, call_answer_gone);
}

void serve_enrolment_create(struct call *c)
{
    auto_json json_t *object = NULL;
    struct token_in in = {0};
    struct err e = {0};
    int64_t expires_ms = 0;
    int rc = call_json(c, &object, &e);
    if (rc == 0)
        rc = json_read_fields(object, enrolment_fields, COUNT_OF(enrolment_fields), true, &in, &e);
    if (rc == 0 && in.node && !text_is_name(in.node, FLEET_NAME - 1))
        rc = blamed(&e, "node", "must be letters, digits, '.', '_' and '-'");
    if (rc == 0)
        rc = read_expiry(c, &in, ENROLMENT_DEFAULT_MS, &expires_ms, &e);
    if (rc < 0) {
        call_fail(c, &e);
        return;
    }
    struct command *command = command_new(COMMAND_ENROLMENT_CREATE);
    command->expires_ms = expires_ms;
    snprintf(command->name, sizeof command->name, "%s", in.node ? in.node : "");
    make_token(c, command);
}

/* ---- lists from the store ---- */

struct list {
    struct json_out out;
    const struct fleet_view *view;
    int64_t count, last;
};

static int on_token(void *arg, enum table_id table, const void *record)
{
    struct list *l = arg;
    const struct token_row *t = record;
    const struct principal *p = fleet_principal(l->view, t->principal);
    (void)table;
    jo_object(&l->out, NULL);
    jo_int(&l->out, "id", t->id);
    jo_text(&l->out, "user", p ? p->name : "");
    jo_text(&l->out, "kind", token_kind_name((enum token_kind)t->kind));
    jo_text(&l->out, "name", t->name && t->name[0] ? t->name : NULL);
    jo_time(&l->out, "created_at", t->created_ms);
    jo_time(&l->out, "expires_at", t->expires_ms);
    jo_time(&l->out, "revoked_at", t->revoked_ms);
    jo_end(&l->out);
    l->count++;
    l->last = t->id;
    return 0;
}

static int on_enrolment(void *arg, enum table_id table, const void *record)
{
    struct list *l = arg;
    const struct enrolment_row *n = record;
    (void)table;
    jo_object(&l->out, NULL);
    jo_int(&l->out, "id", n->id);
    jo_text(&l->out, "node", n->node && n->node[0] ? n->node : NULL);
    jo_time(&l->out, "created_at", n->created_ms);
    jo_time(&l->out, "expires_at", n->expires_ms);
    jo_time(&l->out, "used_at", n->used_ms);
    jo_end(&l->out);
    l->count++;
    l->last = n->id;
    return 0;
}

static int read_list(struct call *c, struct store_reader *r, enum store_query_id id,
                     store_on_row on_row, struct err *e)
{
    struct engine *g = c->api->engine;
    const struct engine_view *v = engine_view_get(g);
    struct list l = {.out = call_out(c), .view = &v->fleet};
    struct store_query q = {.id = id, .after = c->cursor, .limit = c->limit};
    jo_object(&l.out, NULL);
    jo_list(&l.out, "items");
    int rc = engine_store(g)->read(r, &q, on_row, &l, e);
    jo_end(&l.out);
    call_write_cursor(&l.out, l.count == c->limit ? l.last : 0);
    jo_end(&l.out);
    engine_view_release(g, v);
    return rc;
}

int read_tokens(struct call *c, struct store_reader *r, struct err *e)
{
    return read_list(c, r, QUERY_TOKENS, on_token, e);
}

int read_enrolments(struct call *c, struct store_reader *r, struct err *e)
{
    return read_list(c, r, QUERY_ENROLMENTS, on_enrolment, e);
}
