/*
 * New agents get their node's key: for a one-time token, or, as pods, for the token of their
 * service account, which somebody else vouches for.
 */
#include "api/auth.h"
#include "api/door.h"
#include "api/handlers.h"
#include "api/report.h"
#include "base/mem.h"

enum { VERSION_MOST = 31 };

struct enrol_in {
    const char *node, *version;
};

/* The row of this one-time token says for which node it is; "" for any. */
struct enrolment_look {
    const struct command *command;
    int64_t id;
    bool found, fits;
};

static int on_enrolment(void *arg, enum table_id table, const void *record)
{
    struct enrolment_look *look = arg;
    const struct enrolment_row *row = record;
    (void)table;
    look->found = row->id == look->id;
    look->fits = !row->node || !row->node[0] || strcmp(row->node, look->command->name) == 0;
    return 0;
}

/* C->own is what the engine will get. */
struct enrolling {
    struct command *command;
    char *key;
};

static void free_enrolling(void *p)
{
    struct enrolling *n = p;
    if (n->command)
        command_free(n->command);
    free(n->key);
    free(n);
}

static int check_enrolment(struct call *c, struct store_reader *r, struct err *e)
{
    struct enrolling *n = c->own;
    struct enrolment_look look = {.command = n->command, .id = c->caller.id};
    struct store_query q = {.id = QUERY_ENROLMENTS, .after = look.id - 1, .limit = 1};
    if (engine_store(c->api->engine)->read(r, &q, on_enrolment, &look, e) < 0)
        return -1;
    if (!look.found)
        return err_set(e, ERR_UNAUTHENTICATED, "this token is not valid here");
    return look.fits ? 0
                     : err_set(e, ERR_DENIED, "this token is for another node than '%s'",
                               n->command->name);
}

static void answer_enrolled(struct call *c, struct command *command)
{
    const struct enrolling *n = c->own;
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_int(&o, "node_id", command->ret_id);
    jo_text(&o, "node", command->name);
    jo_text(&o, "key", n->key);
    jo_end(&o);
    call_header(c, "Cache-Control", "no-store");
    call_answer(c);
}

static void enrol(struct call *c)
{
    struct enrolling *n = c->own;
    call_command(c, TAKE(n->command), answer_enrolled);
}

/* ---- by the word of somebody else ---- */

/* On its way back to the door's thread. */
struct word {
    struct call *call;
    char node[FLEET_NAME];
    struct err why;
};

static int take_word(const struct enrolling *n, const struct word *w, struct err *e)
{
    if (w->why.code != ERR_NONE) {
        *e = w->why;
        return -1;
    }
    if (strcmp(w->node, n->command->name) != 0)
        return err_set(e, ERR_DENIED, "this token is of a pod on node '%s', not on '%s'", w->node,
                       n->command->name);
    return 0;
}

static void on_word(void *message)
{
    struct word *w = message;
    struct call *c = w->call;
    struct api *a = c->api;
    struct enrolling *n = c->own;
    struct err e = {0};
    if (take_word(n, w, &e) == 0) {
        n->command->vouched = true;
        enrol(c);
    } else {
        call_fail(c, &e);
    }
    free(w);
    api_work_done(a);
}

/* Any thread. */
static void on_vouched(void *own, const char *node, const struct err *why)
{
    struct call *c = own;
    struct word *w = mem_new(struct word);
    w->call = c;
    if (why)
        w->why = *why;
    else if (strlen(node) < sizeof w->node)
        strcpy(w->node, node);
    else
        err_set(&w->why, ERR_INVALID, "the name of node '%.100s' is longer than %d bytes", node,
                FLEET_NAME - 1);
    /* The box takes it: while a call is under way the door does not close. */
    mailbox_post_answer(c->api->box, on_word, w);
}

static void ask_voucher(struct call *c)
{
    const struct api_voucher *v = &c->api->config.voucher;
    c->api->under_way++;
    if (v->ask(v->arg, auth_bearer(c->request), on_vouched, c))
        return;
    c->api->under_way--;
    call_refuse(c, ERR_EXHAUSTED, "too many agents enrol at once");
}

void serve_enrol(struct call *c)
{
    static const struct json_field fields[] = {
        {"node", JSON_FIELD_TEXT, offsetof(struct enrol_in, node), true, 1, FLEET_NAME - 1},
        {"version", JSON_FIELD_TEXT, offsetof(struct enrol_in, version), true, 1, VERSION_MOST},
    };
    auto_json json_t *object = NULL;
    struct enrol_in in = {0};
    struct err e = {0};
    if (call_json(c, &object, &e) < 0 ||
        json_read_fields(object, fields, COUNT_OF(fields), false, &in, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    if (report_check_version(in.version, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    if (!text_is_name(in.node, FLEET_NAME - 1)) {
        err_set(&e, ERR_INVALID, "field 'node' must be letters, digits, '.', '_' and '-'");
        err_blame(&e, "node");
        call_fail(c, &e);
        return;
    }
    struct enrolling *n = mem_new(struct enrolling);
    n->command = command_new(COMMAND_ENROL);
    snprintf(n->command->name, sizeof n->command->name, "%s", in.node);
    n->command->hash = c->caller.hash;
    n->key = token_make(&n->command->key_hash);
    c->own = n;
    c->own_free = free_enrolling;
    if (c->caller.kind == CALLER_POD)
        ask_voucher(c);
    else
        call_read(c, check_enrolment, enrol);
}
