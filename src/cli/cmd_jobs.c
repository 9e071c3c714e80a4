/* list, queue, show, cancel, retry, delete, hold, release. */
#include "base/mem.h"
#include "cli/client.h"
#include "cli/job_id.h"
#include "cli/json_view.h"
#include "cli/print.h"

#include <inttypes.h>

int job_id_parse(const char *word, int64_t *ret, struct err *e)
{
    return text_to_int(word, 1, INT64_MAX, "job", ret, e);
}

/* ---- list ---- */

struct list_options {
    char *user, *team, *state, *search;
    struct option_list labels;
    int64_t limit;
};

static const struct option_spec list_specs[] = {
    {"user", 'u', OPTION_TEXT, offsetof(struct list_options, user), "USER", NULL, 0, 0,
     "only jobs of this user", .flag_only = true},
    {"team", 0, OPTION_TEXT, offsetof(struct list_options, team), "TEAM", NULL, 0, 0,
     "only jobs with this team", .flag_only = true},
    {"state", 's', OPTION_TEXT, offsetof(struct list_options, state), "STATES", NULL, 0, 0,
     "only jobs in these states, separated by commas: Queued, Scheduled, Running, Completed, "
     "Failed, "
     "Cancelled; in any case",
     .flag_only = true},
    {"label", 'l', OPTION_LIST, offsetof(struct list_options, labels), "KEY=VALUE", NULL, 0, 0,
     "only jobs with this label; given often, with all of them", .flag_only = true},
    {"search", 0, OPTION_TEXT, offsetof(struct list_options, search), "TEXT", NULL, 0, 0,
     "only jobs with this in their number, name or user, in any case", .flag_only = true},
    {"limit", 'n', OPTION_INT, offsetof(struct list_options, limit), "N", "100", 1, 1000000,
     "at most so many, the newest first", .flag_only = true},
};

static const struct column list_columns[] = {
    {"ID", "id", CELL_TEXT, COLUMN_RIGHT},
    {"NAME", "name", CELL_TEXT, 0},
    {"USER", "user", CELL_TEXT, 0},
    {"TEAM", "team", CELL_TEXT, COLUMN_WIDE},
    {"STATE", "state", CELL_STATE, 0},
    {"POS", "position", CELL_TEXT, COLUMN_RIGHT},
    {"TRY", "attempt", CELL_TEXT, COLUMN_RIGHT | COLUMN_WIDE},
    {"AGE", "submitted_at", CELL_AGE, COLUMN_RIGHT},
    {"WAIT", "wait_ms", CELL_WAIT, COLUMN_RIGHT},
    {"RUN", "run_ms", CELL_RUN, COLUMN_RIGHT},
    {"GPUS", "devices", CELL_DEVICES, COLUMN_WIDE},
    {"ENERGY", "energy_joules", CELL_ENERGY, COLUMN_RIGHT | COLUMN_WIDE},
    {"COST", "cost_micros", CELL_MONEY, COLUMN_RIGHT},
    {"EXIT", "exit_code", CELL_TEXT, COLUMN_RIGHT | COLUMN_WIDE},
    {"REASON", "reason", CELL_TEXT, 0},
};

static const struct view list_view = {
    .columns = list_columns,
    .count = COUNT_OF(list_columns),
    .name_key = "id",
    .empty = "no jobs",
    .picks_fields = true,
};

static void add_filter(struct text *path, const char *name, const char *value)
{
    if (!value)
        return;
    text_addf(path, "%c%s=", strchr(path->data, '?') ? '&' : '?', name);
    url_add(path, value);
}

/* "running,failed" as the server writes it: "Running,Failed". */
static int tidy_states(const char *given, struct text *out, struct err *e)
{
    static const char *const states[] = {"Queued",    "Scheduled", "Running",
                                         "Completed", "Failed",    "Cancelled"};
    auto_free char *copy = mem_strdup(given);
    char *save = NULL;
    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        size_t i = 0;
        while (i < COUNT_OF(states) && strcasecmp(states[i], word) != 0)
            i++;
        if (i == COUNT_OF(states))
            return err_set(e, ERR_INVALID,
                           "state '%.40s' is not Queued, Scheduled, Running, Completed, Failed or "
                           "Cancelled",
                           word);
        text_addf(out, "%s%s", out->len ? "," : "", states[i]);
    }
    return 0;
}

static int run_list(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct list_options *o = own;
    auto_text struct text path = {0}, states = {0};
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much; 'reeve show ID' shows one job",
                       argv[0]);
    if (o->state && tidy_states(o->state, &states, e) < 0)
        return -1;
    text_add(&path, "/api/v1/jobs");
    add_filter(&path, "user", o->user);
    add_filter(&path, "team", o->team);
    add_filter(&path, "state", states.len ? states.data : NULL);
    add_filter(&path, "q", o->search);
    for (size_t i = 0; i < o->labels.count; i++)
        add_filter(&path, "label", o->labels.items[i]);
    return view_show(c, &list_view, path.data, o->limit, e);
}

const struct command cmd_list = {
    .name = "list",
    .summary = "list jobs, newest first",
    .operands = "",
    .specs = list_specs,
    .count = COUNT_OF(list_specs),
    .size = sizeof(struct list_options),
    .flags = COMMAND_CONNECTS | COMMAND_WATCHES,
    .run = run_list,
    .examples = "  # what of mine failed\n"
                "  reeve list --user alice --state failed\n"
                "  # a sweep, by the label that its jobs were given\n"
                "  reeve list --label sweep=lr --search ntu60\n"
                "  # all numbers of running jobs, for a script\n"
                "  reeve list --state running -o name\n",
};

/* ---- queue ---- */

struct queue_options {
    int64_t limit;
};

static const struct option_spec queue_specs[] = {
    {"limit", 'n', OPTION_INT, offsetof(struct queue_options, limit), "N", "100", 1, 1000000,
     "at most so many, the next first", .flag_only = true},
};

static const struct column queue_columns[] = {
    {"POS", "position", CELL_TEXT, COLUMN_RIGHT},
    {"ID", "id", CELL_TEXT, COLUMN_RIGHT},
    {"NAME", "name", CELL_TEXT, 0},
    {"USER", "user", CELL_TEXT, 0},
    {"STATE", "state", CELL_STATE, 0},
    {"WAIT", "wait_ms", CELL_WAIT, COLUMN_RIGHT},
    {"RUN", "run_ms", CELL_RUN, COLUMN_RIGHT},
    {"GPUS", "devices", CELL_DEVICES, 0},
    {"PROGRESS", "progress", CELL_PROGRESS, 0},
    {"STARTS", "expected_start_at", CELL_TIME, COLUMN_WIDE},
    {"ORDER", "expected_order", CELL_TEXT, COLUMN_RIGHT | COLUMN_WIDE},
    {"BY", "expected_basis", CELL_TEXT, COLUMN_WIDE},
    {"REASON", "reason", CELL_TEXT, 0},
};

static void queue_above(struct cli *c, const json_t *answer, struct text *out)
{
    text_addf(out, "%s%" PRId64 " waiting, %" PRId64 " running%s\n", c->color ? COLOR_BOLD : "",
              view_int(answer, "queue_length", 0), view_int(answer, "running", 0),
              c->color ? COLOR_OFF : "");
}

static void queue_below(struct cli *c, const json_t *answer, struct text *out)
{
    (void)c;
    if (view_get(answer, "next_cursor"))
        text_addf(out, "... and more; --limit shows them\n");
}

static const struct view queue_view = {
    .columns = queue_columns,
    .count = COUNT_OF(queue_columns),
    .name_key = "id",
    .empty = "the queue is empty",
    .picks_fields = true,
    .above = queue_above,
    .below = queue_below,
};

static int run_queue(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct queue_options *o = own;
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much; the queue has no parts", argv[0]);
    return view_show(c, &queue_view, "/api/v1/queue", o->limit, e);
}

const struct command cmd_queue = {
    .name = "queue",
    .summary = "show what runs and what waits, in order",
    .operands = "",
    .specs = queue_specs,
    .count = COUNT_OF(queue_specs),
    .size = sizeof(struct queue_options),
    .flags = COMMAND_CONNECTS | COMMAND_WATCHES,
    .run = run_queue,
    .examples = "  reeve queue --watch\n",
};

/* ---- show ---- */

static const struct column show_columns[] = {
    {"Job", "id", CELL_TEXT, 0},
    {"Name", "name", CELL_TEXT, 0},
    {"User", "user", CELL_TEXT, 0},
    {"Team", "team", CELL_TEXT, 0},
    {"State", "state", CELL_STATE, 0},
    {"Position", "position", CELL_TEXT, 0},
    {"Reason", "reason", CELL_TEXT, 0},
    {"Progress", "progress", CELL_PROGRESS, 0},
    {"Starts about", "expected_start_at", CELL_TIME, 0},
    {"As number", "expected_order", CELL_TEXT, 0},
    {"Judged by", "expected_basis", CELL_TEXT, 0},
    {"Submitted", "submitted_at", CELL_TIME, 0},
    {"Scheduled", "scheduled_at", CELL_TIME, 0},
    {"Started", "started_at", CELL_TIME, 0},
    {"Ended", "ended_at", CELL_TIME, 0},
    {"Wait", "wait_ms", CELL_WAIT, 0},
    {"Run", "run_ms", CELL_RUN, 0},
    {"Exit code", "exit_code", CELL_TEXT, 0},
    {"Attempts", "attempt", CELL_TEXT, 0},
    {"Node", "node", CELL_TEXT, 0},
    {"Devices", "devices", CELL_DEVICES, 0},
    {"Placed by", "placed_by", CELL_TEXT, 0},
    {"Energy", "energy_joules", CELL_ENERGY, 0},
    {"Cost", "cost_micros", CELL_MONEY, 0},
    {"Command", "command", CELL_WORDS, 0},
    {"Work dir", "work_dir", CELL_TEXT, 0},
    {"Config file", "config_file", CELL_TEXT, 0},
    {"Environment", "env", CELL_PAIRS, 0},
    {"Labels", "labels", CELL_PAIRS, 0},
    {"Image", "image", CELL_TEXT, 0},
    {"Runner", "runner", CELL_TEXT, 0},
    {"Template", "template.name", CELL_TEXT, 0},
    {"Parameters", "template.parameters", CELL_PAIRS, 0},
    {"Node selector", "node_selector", CELL_PAIRS, 0},
    {"Tolerations", "tolerations", CELL_WORDS, 0},
    {"GPUs", "gpus", CELL_TEXT, 0},
    {"GPU memory", "gpu_memory", CELL_MIB, 0},
    {"CPU", "cpu", CELL_TEXT, 0},
    {"Memory", "memory", CELL_MIB, 0},
    {"Time limit", "time_limit", CELL_SECONDS, 0},
    {"Retries", "retries", CELL_TEXT, 0},
    {"Exclusive", "exclusive", CELL_YES, 0},
};

static const struct column attempt_columns[] = {
    {"TRY", "n", CELL_TEXT, COLUMN_RIGHT},
    {"STATE", "state", CELL_TEXT, 0},
    {"NODE", "node", CELL_TEXT, 0},
    {"DEVICES", "devices", CELL_DEVICES, 0},
    {"STARTED", "started_at", CELL_TIME, 0},
    {"RUN", "run_ms", CELL_SPAN, COLUMN_RIGHT},
    {"EXIT", "exit_code", CELL_TEXT, COLUMN_RIGHT},
    {"ENERGY", "energy_joules", CELL_ENERGY, COLUMN_RIGHT},
    {"COST", "cost_micros", CELL_MONEY, COLUMN_RIGHT},
    {"OUTCOME", "outcome", CELL_TEXT, 0},
    {"REASON", "reason", CELL_TEXT, 0},
};

static void show_below(struct cli *c, const json_t *job, struct text *out)
{
    const json_t *attempts = view_get(job, "attempts");
    struct table_style style = cli_style(c);
    if (!json_array_size(attempts))
        return;
    text_add_char(out, '\n');
    table_write(out, attempt_columns, COUNT_OF(attempt_columns), attempts, &style);
}

static const struct view show_view = {
    .columns = show_columns,
    .count = COUNT_OF(show_columns),
    .name_key = "id",
    .one = true,
    .below = show_below,
};

static int run_show(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    if (argc == 0)
        return err_set(e, ERR_INVALID, "name a job by its number; 'reeve list' shows them");
    if (argc > 1 && c->opt.watch)
        return err_set(e, ERR_INVALID, "only one job can be watched");
    for (int i = 0; i < argc; i++) {
        int64_t id;
        char path[64];
        if (job_id_parse(argv[i], &id, e) < 0)
            return -1;
        snprintf(path, sizeof path, "/api/v1/jobs/%" PRId64, id);
        if (i && c->format <= OUTPUT_WIDE)
            putchar('\n');
        else if (i && c->format == OUTPUT_YAML)
            puts("---");
        if (view_show(c, &show_view, path, 1, e) < 0)
            return -1;
    }
    return 0;
}

const struct command cmd_show = {
    .name = "show",
    .summary = "tell everything about a job, and why it waits",
    .operands = "ID...",
    .flags = COMMAND_CONNECTS | COMMAND_WATCHES,
    .operand = OPERAND_JOB,
    .run = run_show,
};

/* ---- cancel, retry, delete, hold, release ---- */

/* What is done to each job. */
struct deed {
    enum http_method method;
    const char *suffix; /* of the job's path */
    const char *done;   /* said of the job afterwards */
    const json_t *body; /* NULL: none */
};

/* Does the same to each job; one that fails does not keep the others from it. */
static int each_job(struct cli *c, int argc, char **argv, const struct deed *d, struct err *e)
{
    struct client *client;
    int failed = 0;
    if (argc == 0)
        return err_set(e, ERR_INVALID, "name jobs by their numbers; 'reeve list' shows them");
    if (cli_client(c, &client, e) < 0)
        return -1;
    for (int i = 0; i < argc; i++) {
        int64_t id;
        struct err one = {0};
        auto_json json_t *job = NULL;
        auto_text struct text path = {0};
        if (job_id_parse(argv[i], &id, &one) == 0) {
            text_addf(&path, "/api/v1/jobs/%" PRId64 "%s", id, d->suffix);
            if (client_send(client, d->method, path.data, d->body, &job, &one) == 0) {
                if (job && c->format > OUTPUT_WIDE)
                    view_print(c, &show_view, job);
                say(c, "job %" PRId64 " %s", id, d->done);
                continue;
            }
        }
        if (argc == 1 || failed + 1 == argc) {
            *e = one;
            return -1;
        }
        fprintf(stderr, "reeve: %s\n", one.text);
        *e = one;
        failed++;
    }
    return failed ? err_exit(e->code) : 0;
}

static int run_cancel(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    return each_job(c, argc, argv, &(struct deed){HTTP_POST, "/cancel", "is being cancelled", NULL},
                    e);
}

static int run_retry(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    return each_job(
        c, argc, argv,
        &(struct deed){HTTP_POST, "/retry", "waits again, at the end of the queue", NULL}, e);
}

static int run_delete(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    return each_job(c, argc, argv,
                    &(struct deed){HTTP_DELETE, "", "is deleted, with its logs", NULL}, e);
}

struct hold_options {
    char *why;
};

static const struct option_spec hold_specs[] = {
    {"why", 0, OPTION_TEXT, offsetof(struct hold_options, why), "TEXT", NULL, 0, 0,
     "why, for those who ask; it is kept in the ledger", .flag_only = true},
};

static int run_hold(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct hold_options *o = own;
    auto_json json_t *body = json_object();
    if (o->why)
        json_object_set_new(body, "why", json_string(o->why));
    return each_job(c, argc, argv,
                    &(struct deed){HTTP_POST, "/hold", "is held: it keeps its place", body}, e);
}

static int run_release(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    return each_job(c, argc, argv,
                    &(struct deed){HTTP_POST, "/release", "starts when its turn comes", NULL}, e);
}

const struct command cmd_cancel = {
    .name = "cancel",
    .summary = "end jobs that wait or run",
    .operands = "ID...",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_JOB,
    .run = run_cancel,
    .text = ".Pp\nA waiting job ends at once.\nA running one is sent TERM, and KILL after a grace "
            "time.\n",
};

const struct command cmd_retry = {
    .name = "retry",
    .summary = "try ended jobs once more",
    .operands = "ID...",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_JOB,
    .run = run_retry,
};

const struct command cmd_delete = {
    .name = "delete",
    .summary = "remove ended jobs from the history, with their logs",
    .operands = "ID...",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_JOB,
    .run = run_delete,
};

const struct command cmd_hold = {
    .name = "hold",
    .summary = "pass over waiting jobs until they are released",
    .operands = "ID...",
    .specs = hold_specs,
    .count = COUNT_OF(hold_specs),
    .size = sizeof(struct hold_options),
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_JOB,
    .run = run_hold,
    .text = ".Pp\nA held job stays in the queue and keeps its place.\n"
            "For operators and administrators.\n",
    .examples = "  reeve hold 42 --why 'its data is not there yet'\n",
};

const struct command cmd_release = {
    .name = "release",
    .summary = "let held jobs start when their turn comes",
    .operands = "ID...",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_JOB,
    .run = run_release,
};
