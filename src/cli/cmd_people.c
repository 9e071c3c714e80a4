/* user, token, enrol, whoami. */
#include "base/mem.h"
#include "cli/client.h"
#include "cli/json_view.h"
#include "cli/page_link.h"
#include "cli/print.h"

#include <inttypes.h>

static int one_name(int argc, char **argv, const char *what, struct err *e)
{
    if (argc != 1)
        return err_set(e, ERR_INVALID, "name one %s%s", what, argc ? ", not more" : "");
    if (!text_is_name(argv[0], 64))
        return err_set(e, ERR_INVALID,
                       "%s '%.64s' is not a name: letters, digits, '.', '_', '-', at most 64", what,
                       argv[0]);
    return 0;
}

static void put(json_t *body, const char *key, const char *value)
{
    if (value)
        json_object_set_new(body, key, json_string(value));
}

/* Durations go as text; a plain number of seconds as a number, as the server wants it. */
static void put_duration(json_t *body, const char *key, const char *value)
{
    int64_t seconds;
    if (value && text_to_int(value, 0, INT64_MAX, "", &seconds, NULL) == 0)
        json_object_set_new(body, key, json_integer(seconds));
    else
        put(body, key, value);
}

/* ---- user ---- */

static const struct column user_columns[] = {
    {"NAME", "name", CELL_TEXT, 0},
    {"ROLE", "role", CELL_TEXT, 0},
    {"TEAM", "team", CELL_TEXT, 0},
    {"CREATED", "created_at", CELL_TIME, 0},
    {"DISABLED", "disabled_at", CELL_TIME, 0},
};

static const struct view users_view = {
    .columns = user_columns,
    .count = COUNT_OF(user_columns),
    .name_key = "name",
    .empty = "no users",
};

static const struct column one_user_columns[] = {
    {"User", "name", CELL_TEXT, 0},
    {"Role", "role", CELL_TEXT, 0},
    {"Team", "team", CELL_TEXT, 0},
    {"Created", "created_at", CELL_TIME, 0},
    {"Disabled", "disabled_at", CELL_TIME, 0},
};

static const struct view user_view = {
    .columns = one_user_columns,
    .count = COUNT_OF(one_user_columns),
    .name_key = "name",
    .one = true,
};

struct user_options {
    char *role, *team;
    int64_t limit;
};

#define ROLES "admin, operator, user, viewer or service"

static const struct option_spec user_add_specs[] = {
    {"role", 'r', OPTION_TEXT, offsetof(struct user_options, role), "ROLE", "user", 0, 0,
     "what the user may do: " ROLES, .flag_only = true},
    {"team", 0, OPTION_TEXT, offsetof(struct user_options, team), "TEAM", NULL, 0, 0,
     "the user's team", .flag_only = true},
};

static const struct option_spec user_set_specs[] = {
    {"role", 'r', OPTION_TEXT, offsetof(struct user_options, role), "ROLE", NULL, 0, 0,
     "what the user may do: " ROLES, .flag_only = true},
    {"team", 0, OPTION_TEXT, offsetof(struct user_options, team), "TEAM", NULL, 0, 0,
     "the user's team", .flag_only = true},
};

static const struct option_spec limit_specs[] = {
    {"limit", 'n', OPTION_INT, offsetof(struct user_options, limit), "N", "1000", 1, 1000000,
     "at most so many", .flag_only = true},
};

static int run_user_add(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct user_options *o = own;
    struct client *client;
    auto_json json_t *body = json_object(), *user = NULL;
    if (one_name(argc, argv, "user", e) < 0 || cli_client(c, &client, e) < 0)
        return -1;
    put(body, "name", argv[0]);
    put(body, "role", o->role);
    put(body, "team", o->team);
    if (client_post_once(client, "/api/v1/users", body, &user, e) < 0)
        return -1;
    if (c->format > OUTPUT_WIDE) {
        view_print(c, &user_view, user);
        return 0;
    }
    say(c, "user '%s' added as %s; 'reeve token create %s' makes a token", argv[0], o->role,
        argv[0]);
    return 0;
}

static int run_user_list(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much; 'reeve user show NAME' shows one",
                       argv[0]);
    return view_show(c, &users_view, "/api/v1/users", ((struct user_options *)own)->limit, e);
}

static void user_path(struct text *path, const char *name)
{
    text_add(path, "/api/v1/users/");
    url_add(path, name);
}

static int run_user_show(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    auto_text struct text path = {0};
    if (one_name(argc, argv, "user", e) < 0)
        return -1;
    user_path(&path, argv[0]);
    return view_show(c, &user_view, path.data, 1, e);
}

static int change_user(struct cli *c, const char *name, const json_t *body, struct err *e)
{
    struct client *client;
    auto_text struct text path = {0};
    auto_json json_t *user = NULL;
    user_path(&path, name);
    if (cli_client(c, &client, e) < 0 ||
        client_send(client, HTTP_PATCH, path.data, body, &user, e) < 0)
        return -1;
    view_print(c, &user_view, user);
    return 0;
}

static int run_user_set(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct user_options *o = own;
    auto_json json_t *body = json_object();
    if (one_name(argc, argv, "user", e) < 0)
        return -1;
    put(body, "role", o->role);
    put(body, "team", o->team);
    if (!json_object_size(body))
        return err_set(e, ERR_INVALID, "nothing to change: give --role or --team");
    return change_user(c, argv[0], body, e);
}

static int run_user_enable(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    auto_json json_t *body = json_object();
    if (one_name(argc, argv, "user", e) < 0)
        return -1;
    json_object_set_new(body, "disabled", json_false());
    return change_user(c, argv[0], body, e);
}

static int run_user_disable(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    struct client *client;
    auto_text struct text path = {0};
    if (one_name(argc, argv, "user", e) < 0)
        return -1;
    user_path(&path, argv[0]);
    if (cli_client(c, &client, e) < 0 ||
        client_send(client, HTTP_DELETE, path.data, NULL, NULL, e) < 0)
        return -1;
    say(c, "user '%s' is disabled; 'reeve user enable %s' takes it back", argv[0], argv[0]);
    return 0;
}

const struct command cmd_user_add = {
    .name = "user add",
    .summary = "add a user",
    .operands = "NAME",
    .specs = user_add_specs,
    .count = COUNT_OF(user_add_specs),
    .size = sizeof(struct user_options),
    .flags = COMMAND_CONNECTS,
    .run = run_user_add,
    .examples = "  reeve user add alice --team vision\n"
                "  reeve token create alice\n",
};

const struct command cmd_user_list = {
    .name = "user list",
    .summary = "list users",
    .operands = "",
    .specs = limit_specs,
    .count = COUNT_OF(limit_specs),
    .size = sizeof(struct user_options),
    .flags = COMMAND_CONNECTS,
    .run = run_user_list,
};

const struct command cmd_user_show = {
    .name = "user show",
    .summary = "show one user",
    .operands = "NAME",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_USER,
    .run = run_user_show,
};

const struct command cmd_user_set = {
    .name = "user set",
    .summary = "change a user's role or team",
    .operands = "NAME",
    .specs = user_set_specs,
    .count = COUNT_OF(user_set_specs),
    .size = sizeof(struct user_options),
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_USER,
    .run = run_user_set,
};

const struct command cmd_user_disable = {
    .name = "user disable",
    .summary = "let a user in no more; its tokens end at once",
    .operands = "NAME",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_USER,
    .run = run_user_disable,
};

const struct command cmd_user_enable = {
    .name = "user enable",
    .summary = "let a disabled user in again",
    .operands = "NAME",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_USER,
    .run = run_user_enable,
};

/* ---- token, enrol ---- */

static const struct column token_columns[] = {
    {"ID", "id", CELL_TEXT, COLUMN_RIGHT},   {"USER", "user", CELL_TEXT, 0},
    {"KIND", "kind", CELL_TEXT, 0},          {"NAME", "name", CELL_TEXT, 0},
    {"CREATED", "created_at", CELL_TIME, 0}, {"EXPIRES", "expires_at", CELL_TIME, 0},
    {"REVOKED", "revoked_at", CELL_TIME, 0},
};

static const struct view tokens_view = {
    .columns = token_columns,
    .count = COUNT_OF(token_columns),
    .name_key = "id",
    .empty = "no tokens",
};

static const struct view secret_view = {.name_key = "token", .one = true};

struct token_options {
    char *name, *expires_in;
};

static const struct option_spec token_create_specs[] = {
    {"name", 'n', OPTION_TEXT, offsetof(struct token_options, name), "NAME", NULL, 0, 0,
     "what it is for, such as the machine it lives on", .flag_only = true},
    {"expires-in", 0, OPTION_TEXT, offsetof(struct token_options, expires_in), "TIME", NULL, 0, 0,
     "when it ends, such as 90d (default: never)", .flag_only = true},
};

/* The secret alone on standard output, so that it can go into a file; what to do with it beside. */
static int print_secret(struct cli *c, const json_t *answer, const char *advice)
{
    if (c->format > OUTPUT_WIDE) {
        view_print(c, &secret_view, answer);
        return 0;
    }
    printf("%s\n", view_text(answer, "token"));
    fflush(stdout);
    say(c, "%s", advice);
    return 0;
}

static int run_token_create(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct token_options *o = own;
    struct client *client;
    auto_json json_t *body = json_object(), *answer = NULL;
    if (one_name(argc, argv, "user", e) < 0 || cli_client(c, &client, e) < 0)
        return -1;
    put(body, "user", argv[0]);
    put(body, "name", o->name);
    put_duration(body, "expires_in", o->expires_in);
    if (client_send(client, HTTP_POST, "/api/v1/tokens", body, &answer, e) < 0)
        return -1;
    return print_secret(c, answer,
                        "it is shown this once; keep it in a file of mode 600 and name that in "
                        "REEVE_TOKEN_FILE");
}

static int run_token_list(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much", argv[0]);
    return view_show(c, &tokens_view, "/api/v1/tokens", ((struct user_options *)own)->limit, e);
}

static int run_token_revoke(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    struct client *client;
    if (argc == 0)
        return err_set(e, ERR_INVALID,
                       "name tokens by their numbers; 'reeve token list' shows them");
    if (cli_client(c, &client, e) < 0)
        return -1;
    for (int i = 0; i < argc; i++) {
        int64_t id;
        char path[64];
        if (text_to_int(argv[i], 1, INT64_MAX, "token", &id, e) < 0)
            return -1;
        snprintf(path, sizeof path, "/api/v1/tokens/%" PRId64, id);
        if (client_send(client, HTTP_DELETE, path, NULL, NULL, e) < 0)
            return -1;
        say(c, "token %" PRId64 " is revoked", id);
    }
    return 0;
}

const struct command cmd_token_create = {
    .name = "token create",
    .summary = "make a token for a user; it is shown once",
    .operands = "USER",
    .specs = token_create_specs,
    .count = COUNT_OF(token_create_specs),
    .size = sizeof(struct token_options),
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_USER,
    .run = run_token_create,
    .examples = "  (umask 077; reeve token create alice --expires-in 90d > alice.token)\n",
};

const struct command cmd_token_list = {
    .name = "token list",
    .summary = "list tokens, without their secrets",
    .operands = "",
    .specs = limit_specs,
    .count = COUNT_OF(limit_specs),
    .size = sizeof(struct user_options),
    .flags = COMMAND_CONNECTS,
    .run = run_token_list,
};

const struct command cmd_token_revoke = {
    .name = "token revoke",
    .summary = "end tokens at once",
    .operands = "ID...",
    .flags = COMMAND_CONNECTS,
    .run = run_token_revoke,
};

static const struct view link_view = {.name_key = "url", .one = true};

static int run_token_link(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    struct client *client;
    struct page_link link = {0};
    if ((argc && one_name(argc, argv, "user", e) < 0) || cli_client(c, &client, e) < 0 ||
        page_link_make(client, argc ? argv[0] : NULL, &link, e) < 0)
        return -1;
    if (c->format > OUTPUT_WIDE) {
        view_print(c, &link_view, link.asked);
    } else {
        printf("%s\n", link.url);
        fflush(stdout);
        say(c, "it signs a browser in as %s, once, within 10 minutes",
            view_text(link.asked, "user"));
    }
    page_link_done(&link);
    return 0;
}

const struct command cmd_token_link = {
    .name = "token link",
    .summary = "make a link that signs a browser in at the page, once",
    .operands = "[USER]",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_USER,
    .run = run_token_link,
    .text =
        ".Pp\nFor oneself; an admin makes links for others, too.\nWhoever opens the link first is "
        "signed in as its user for 12 hours.\n",
    .examples = "  xdg-open \"$(reeve token link)\"\n",
};

struct enrol_options {
    char *node, *expires_in;
};

static const struct option_spec enrol_specs[] = {
    {"node", 0, OPTION_TEXT, offsetof(struct enrol_options, node), "NAME", NULL, 0, 0,
     "only a machine of this name may use it", .flag_only = true},
    {"expires-in", 0, OPTION_TEXT, offsetof(struct enrol_options, expires_in), "TIME", NULL, 0, 0,
     "until when it can be used, such as 1h", .flag_only = true},
};

static int run_enrol(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct enrol_options *o = own;
    struct client *client;
    auto_json json_t *body = json_object(), *answer = NULL;
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much; --node NAME names a machine", argv[0]);
    if (cli_client(c, &client, e) < 0)
        return -1;
    put(body, "node", o->node);
    put_duration(body, "expires_in", o->expires_in);
    if (client_send(client, HTTP_POST, "/api/v1/enrolments", body, &answer, e) < 0)
        return -1;
    return print_secret(c, answer,
                        "on the new machine: reeve-agent --server URL --token-file FILE, with this "
                        "in FILE; it works once");
}

const struct command cmd_enrol = {
    .name = "enrol",
    .summary = "make a one-time token that lets a new machine in",
    .operands = "",
    .specs = enrol_specs,
    .count = COUNT_OF(enrol_specs),
    .size = sizeof(struct enrol_options),
    .flags = COMMAND_CONNECTS,
    .run = run_enrol,
};

/* ---- whoami ---- */

static const struct column whoami_columns[] = {
    {"User", "user", CELL_TEXT, 0},
    {"Role", "role", CELL_TEXT, 0},
    {"May", "permissions", CELL_WORDS, 0},
};

static const struct view whoami_view = {
    .columns = whoami_columns,
    .count = COUNT_OF(whoami_columns),
    .name_key = "user",
    .one = true,
};

static int run_whoami(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much", argv[0]);
    return view_show(c, &whoami_view, "/api/v1/whoami", 1, e);
}

const struct command cmd_whoami = {
    .name = "whoami",
    .summary = "say whose token this is and what it may do",
    .operands = "",
    .flags = COMMAND_CONNECTS,
    .run = run_whoami,
};
