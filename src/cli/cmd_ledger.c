/* ledger list, ledger verify, ledger replay. */
#include "base/mem.h"
#include "cli/client.h"
#include "cli/json_view.h"
#include "cli/print.h"

#include <inttypes.h>

static const struct column ledger_columns[] = {
    {"SEQ", "seq", CELL_TEXT, COLUMN_RIGHT},  {"TIME", "time", CELL_TIME, 0},
    {"KIND", "kind", CELL_TEXT, 0},           {"SUBJECT", "subject", CELL_TEXT, COLUMN_RIGHT},
    {"ACTOR", "actor", CELL_TEXT, 0},         {"FOR", "on_behalf", CELL_TEXT, COLUMN_WIDE},
    {"HASH", "hash", CELL_TEXT, COLUMN_WIDE}, {"WHAT", "body", CELL_JSON, 0},
};

static const struct view ledger_view = {
    .columns = ledger_columns,
    .count = COUNT_OF(ledger_columns),
    .name_key = "seq",
    .empty = "no rows",
};

struct ledger_options {
    int64_t limit, after;
    char *job, *kind, *actor;
    bool newest;
};

static const struct option_spec ledger_specs[] = {
    {"after", 'a', OPTION_INT, offsetof(struct ledger_options, after), "SEQ", NULL, 0, INT64_MAX,
     "only rows behind this number", .flag_only = true},
    {"job", 'j', OPTION_TEXT, offsetof(struct ledger_options, job), "ID", NULL, 0, 0,
     "only rows about this job", .flag_only = true},
    {"kind", 'k', OPTION_TEXT, offsetof(struct ledger_options, kind), "KIND", NULL, 0, 0,
     "only rows of this kind, or of one of these: job.held,job.released", .flag_only = true},
    {"actor", 'A', OPTION_TEXT, offsetof(struct ledger_options, actor), "USER", NULL, 0, 0,
     "only what this user did, or what was done for it", .flag_only = true},
    {"newest", 0, OPTION_FLAG, offsetof(struct ledger_options, newest), NULL, NULL, 0, 0,
     "the newest first", .flag_only = true},
    {"limit", 'n', OPTION_INT, offsetof(struct ledger_options, limit), "N", "100", 1, 1000000,
     "at most so many", .flag_only = true},
};

static int run_ledger_list(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct ledger_options *o = own;
    auto_text struct text path = {0};
    int64_t job = 0;
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much", argv[0]);
    if (o->job && text_to_int(o->job, 1, INT64_MAX, "option 'job':", &job, e) < 0)
        return -1;
    if (o->newest && o->after)
        return err_set(e, ERR_INVALID, "options 'newest' and 'after' do not go together");
    text_addf(&path, "/api/v1/ledger?%s=%" PRId64, o->newest ? "before" : "after", o->after);
    if (job)
        text_addf(&path, "&subject=%" PRId64, job);
    if (o->kind) {
        text_add(&path, "&kind=");
        url_add(&path, o->kind);
    }
    if (o->actor) {
        text_add(&path, "&actor=");
        url_add(&path, o->actor);
    }
    return view_show(c, &ledger_view, path.data, o->limit, e);
}

const struct command cmd_ledger_list = {
    .name = "ledger list",
    .summary = "list what happened",
    .operands = "",
    .specs = ledger_specs,
    .count = COUNT_OF(ledger_specs),
    .size = sizeof(struct ledger_options),
    .flags = COMMAND_CONNECTS,
    .run = run_ledger_list,
    .examples = "  # the whole story of a job\n"
                "  reeve ledger list --job 42\n",
};

static const struct view check_view = {.one = true};

struct check {
    const char *path, *key; /* KEY of the answer says whether it is well */
    const char *count_key, *counted, *good;
    const char *bad_key, *bad;
};

/* Asks the server to check and prints what it found; EXIT_CHECK_FAILED when it is not well. */
static int check(struct cli *c, const struct check *k, int argc, char **argv, struct err *e)
{
    struct client *client;
    auto_json json_t *answer = NULL;
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much", argv[0]);
    if (c->opt.timeout_ms < 600000)
        c->opt.timeout_ms = 600000; /* it reads everything */
    if (cli_client(c, &client, e) < 0 ||
        client_send(client, HTTP_POST, k->path, NULL, &answer, e) < 0)
        return -1;
    bool ok = view_bool(answer, k->key);
    int64_t count = view_int(answer, k->count_key, 0), began = view_int(answer, "began", 0);
    if (*view_text(answer, "passed_over"))
        say(c, "passed over: %s", view_text(answer, "passed_over"));
    if (c->format > OUTPUT_WIDE)
        view_print(c, &check_view, answer);
    else if (ok)
        printf("ok: %" PRId64 " %s, %s", count, k->counted, k->good);
    else
        printf("%s %" PRId64 ", of %" PRId64 " %s", k->bad, view_int(answer, k->bad_key, 0), count,
               k->counted);
    if (c->format <= OUTPUT_WIDE && began)
        printf(" (from the snapshot of row %" PRId64 " on)", began);
    if (c->format <= OUTPUT_WIDE)
        putchar('\n');
    return ok ? 0 : EXIT_CHECK_FAILED;
}

static int run_ledger_verify(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    static const struct check k = {"/api/v1/ledger:verify", "ok",        "rows",         "rows",
                                   "the chain is whole",    "first_bad", "BROKEN at row"};
    (void)own;
    return check(c, &k, argc, argv, e);
}

struct replay_options {
    bool from_start;
};

static const struct option_spec replay_specs[] = {
    {"from-start", 0, OPTION_FLAG, offsetof(struct replay_options, from_start), NULL, NULL, 0, 0,
     "begin with the first row, not with the newest snapshot", .flag_only = true},
};

static int run_ledger_replay(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct replay_options *o = own;
    struct check k = {"/api/v1/ledger:replay", "identical",     "plans",
                      "plans made again",      "all identical", "first_different",
                      "DIFFERENT from row"};
    if (o->from_start)
        k.path = "/api/v1/ledger:replay?from_start=true";
    return check(c, &k, argc, argv, e);
}

const struct command cmd_ledger_verify = {
    .name = "ledger verify",
    .summary = "check the ledger's chain of hashes",
    .operands = "",
    .flags = COMMAND_CONNECTS,
    .run = run_ledger_verify,
};

const struct command cmd_ledger_replay = {
    .name = "ledger replay",
    .summary = "make every decision again from the ledger and compare",
    .operands = "",
    .specs = replay_specs,
    .count = COUNT_OF(replay_specs),
    .size = sizeof(struct replay_options),
    .flags = COMMAND_CONNECTS,
    .run = run_ledger_replay,
    .text = ".Pp\nA snapshot of the whole fleet is kept each day, the newest seven; replay begins "
            "with the newest that can be loaded.\n",
};
