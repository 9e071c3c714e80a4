/* submit and logs. */
#include "base/file.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/figure.h"
#include "cli/follow.h"
#include "cli/job_file.h"
#include "cli/job_id.h"
#include "cli/json_view.h"
#include "cli/print.h"
#include "cli/width.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>

struct submit_options {
    struct job_options job;
    char *file;
    bool wait, logs;
};

#define JOB(member) offsetof(struct submit_options, job.member)

static const struct option_spec submit_specs[] = {
    {"name", 'n', OPTION_TEXT, JOB(name), "NAME", NULL, 0, 0,
     "what the job is called (default: after its command)", .flag_only = true},
    {"gpus", 'g', OPTION_TEXT, JOB(gpus), "N", NULL, 0, 0, "how many GPUs it needs (default 1)",
     .flag_only = true},
    {"gpu-memory", 0, OPTION_TEXT, JOB(gpu_memory), "SIZE", NULL, 0, 0,
     "memory that each GPU must have, such as 8GiB", .flag_only = true},
    {"cpu", 0, OPTION_TEXT, JOB(cpu), "CORES", NULL, 0, 0,
     "limit of CPU cores, such as 2, 0.5 or 500m", .flag_only = true},
    {"memory", 'm', OPTION_TEXT, JOB(memory), "SIZE", NULL, 0, 0,
     "memory limit, such as 4GiB (default 16GiB)", .flag_only = true},
    {"time-limit", 't', OPTION_TEXT, JOB(time_limit), "TIME", NULL, 0, 0,
     "how long it may run, such as 90s or 2h", .flag_only = true},
    {"label", 'l', OPTION_LIST, JOB(labels), "KEY=VALUE", NULL, 0, 0, "a label; may be given often",
     .flag_only = true},
    {"env", 'e', OPTION_LIST, JOB(env), "KEY[=VALUE]", NULL, 0, 0,
     "an environment variable for the command, without a value the one it has here; may be given "
     "often, and nothing else of this environment is sent",
     .flag_only = true},
    {"retries", 0, OPTION_TEXT, JOB(retries), "N", NULL, 0, 0,
     "how often to try again when an attempt is lost (default 1)", .flag_only = true},
    {"exclusive", 0, OPTION_FLAG, JOB(exclusive), NULL, NULL, 0, 0,
     "never try again without proof that the last attempt is over", .flag_only = true},
    {"team", 0, OPTION_TEXT, JOB(team), "TEAM", NULL, 0, 0, "the team it belongs to",
     .flag_only = true},
    {"user", 'u', OPTION_TEXT, JOB(user), "USER", NULL, 0, 0,
     "for whom, where you may act for others", .flag_only = true},
    {"progress", 0, OPTION_TEXT, JOB(progress), "PATTERN", NULL, 0, 0,
     "how its output tells its progress, such as 'step {done}/{total}' or '{percent}%'",
     .flag_only = true},
    {"config-file", 0, OPTION_TEXT, JOB(config_file), "FILE", NULL, 0, 0,
     "a config file that is noted with the job", .flag_only = true},
    {"work-dir", 'd', OPTION_TEXT, JOB(work_dir), "DIR", NULL, 0, 0,
     "where the command starts (default: this folder)", .flag_only = true},
    {"image", 'i', OPTION_TEXT, JOB(image), "IMAGE", NULL, 0, 0,
     "container image to run it in, in a Kubernetes cluster", .flag_only = true},
    {"runner", 0, OPTION_TEXT, JOB(runner), "RUNNER", NULL, 0, 0,
     "by which way it runs in a cluster: kube-pod, kube-job, argo or argo-server",
     .flag_only = true},
    {"template", 0, OPTION_TEXT, JOB(template), "NAME", NULL, 0, 0,
     "a template of Argo's to run, instead of a command", .flag_only = true},
    {"param", 'p', OPTION_LIST, JOB(parameters), "KEY=VALUE", NULL, 0, 0,
     "a parameter of the template; may be given often", .flag_only = true},
    {"mount", 0, OPTION_LIST, JOB(mounts), "NAME[:PATH[:ro]]", NULL, 0, 0,
     "a volume that the cluster's administrator has named; may be given often", .flag_only = true},
    {"node-selector", 0, OPTION_LIST, JOB(node_selector), "KEY=VALUE", NULL, 0, 0,
     "a label that its node must have; may be given often", .flag_only = true},
    {"toleration", 0, OPTION_LIST, JOB(tolerations), "KEY[=VALUE][:EFFECT]", NULL, 0, 0,
     "a taint that it bears; may be given often", .flag_only = true},
    {"file", 'f', OPTION_TEXT, offsetof(struct submit_options, file), "FILE", NULL, 0, 0,
     "a job, or a list of jobs, as YAML or JSON; - is standard input", .flag_only = true},
    {"wait", 'w', OPTION_FLAG, offsetof(struct submit_options, wait), NULL, NULL, 0, 0,
     "wait until it has ended, and tell how", .flag_only = true},
    {"logs", 0, OPTION_FLAG, offsetof(struct submit_options, logs), NULL, NULL, 0, 0,
     "print its output while waiting", .flag_only = true},
};

/* ---- what to submit ---- */

static int read_stdin(char **ret, size_t *ret_len, struct err *e)
{
    enum { MOST = 1 << 20 };
    auto_text struct text t = {0};
    char buf[8192];
    for (size_t got; (got = fread(buf, 1, sizeof buf, stdin)) > 0;) {
        text_add_bytes(&t, buf, got);
        if (t.len > MOST)
            return err_set(e, ERR_TOO_LARGE, "standard input has more than 1 MiB");
    }
    if (ferror(stdin))
        return err_sys(e, errno, "could not read standard input");
    *ret_len = t.len;
    *ret = text_take(&t);
    return 0;
}

static int jobs_of_file(const char *file, const char *cwd, json_t **ret, struct err *e)
{
    auto_free char *text = NULL, *folder = mem_strdup(cwd);
    size_t len;
    bool standard = strcmp(file, "-") == 0;
    if ((standard ? read_stdin(&text, &len, e) : file_read(file, 1 << 20, &text, &len, e)) < 0)
        return -1;
    if (!standard && strchr(file, '/')) {
        auto_free char *real = realpath(file, NULL);
        if (real) {
            *strrchr(real, '/') = '\0';
            free(folder);
            folder = mem_strdup(real);
        }
    }
    if (job_file_parse(text, len, folder, cwd, ret, e) < 0)
        return err_wrap(e, "job file '%s'", file);
    return 0;
}

static json_t *job_of_command(int argc, char **argv, const char *cwd)
{
    json_t *job = json_object(), *words = json_array();
    for (int i = 0; i < argc; i++)
        json_array_append_new(words, json_string(argv[i]));
    json_object_set_new(job, "command", words);
    json_object_set_new(job, "work_dir", json_string(cwd));
    return job;
}

static int check_words(int argc, char **argv, struct err *e)
{
    for (int i = 0; i < argc; i++)
        if (!text_is_utf8(argv[i], strlen(argv[i])))
            return err_set(e, ERR_INVALID, "word %d of the command is not UTF-8", i + 1);
    return 0;
}

/* *RET is a list of jobs, ready to send. */
static int gather(struct submit_options *o, int argc, char **argv, json_t **ret, struct err *e)
{
    auto_free char *cwd = getcwd(NULL, 0);
    if (!cwd)
        return err_sys(e, errno, "could not find out the current folder");
    auto_json json_t *jobs = NULL;
    size_t i;
    json_t *job;

    if (o->file && argc)
        return err_set(e, ERR_INVALID, "give a job file or a command, not both");
    if (!o->file && !argc && !o->job.image && !o->job.template)
        return err_set(e, ERR_INVALID,
                       "nothing to run: reeve submit [options] -- COMMAND [ARG...], or -f FILE");
    if (o->job.work_dir && o->job.work_dir[0] != '/' && !o->job.image) {
        char *path = realpath(o->job.work_dir, NULL);
        if (!path)
            return err_sys(e, errno, "work dir '%s'", o->job.work_dir);
        free(o->job.work_dir);
        o->job.work_dir = path;
    }
    if (o->file) {
        if (jobs_of_file(o->file, cwd, &jobs, e) < 0)
            return -1;
    } else {
        if (check_words(argc, argv, e) < 0)
            return -1;
        jobs = json_array();
        json_array_append_new(jobs, job_of_command(argc, argv, cwd));
    }
    json_array_foreach(jobs, i, job)
    {
        if (job_options_apply(&o->job, job, e) < 0)
            return -1;
        if (!o->file && !o->job.work_dir && job_is_for_cluster(job))
            json_object_del(job, "work_dir");
        if (!o->file && !argc)
            json_object_del(job, "command");
    }
    *ret = TAKE(jobs);
    return 0;
}

/* ---- submitting ---- */

static const struct column submitted_columns[] = {
    {"ID", "id", CELL_TEXT, COLUMN_RIGHT},
    {"POS", "position", CELL_TEXT, COLUMN_RIGHT},
};
static const struct view submitted_view = {
    .columns = submitted_columns,
    .count = COUNT_OF(submitted_columns),
    .name_key = "id",
};
static const struct view job_view = {.name_key = "id", .one = true};

static void tell_submitted(const json_t *job)
{
    size_t i;
    json_t *warning;
    auto_text struct text name = {0};
    text_add_printable(&name, view_text(job, "name"));
    int64_t position = view_int(job, "position", 0), id = view_int(job, "id", 0);
    printf("job %" PRId64 " submitted%s%s%s", id, name.len ? " (" : "", text_get(&name),
           name.len ? ")" : "");
    if (position)
        printf(", position %" PRId64, position);
    else
        printf(", %s", view_text(job, "state"));
    putchar('\n');
    fflush(stdout);
    json_array_foreach(json_object_get(job, "warnings"), i, warning)
    {
        text_clear(&name);
        text_add_printable(&name, json_string_value(warning) ? json_string_value(warning) : "");
        fprintf(stderr, "reeve: warning: %s\n", text_get(&name));
    }
}

static int submit(struct cli *c, struct client *client, json_t *jobs, bool quiet, json_t **ret_ids,
                  struct err *e)
{
    auto_json json_t *answer = NULL, *ids = json_array();
    if (json_array_size(jobs) == 1) {
        if (client_post_once(client, "/api/v1/jobs", json_array_get(jobs, 0), &answer, e) < 0)
            return -1;
        json_array_append_new(ids, json_integer(view_int(answer, "id", 0)));
        if (!quiet && c->format <= OUTPUT_WIDE)
            tell_submitted(answer);
        else if (!quiet)
            view_print(c, &job_view, answer);
    } else {
        auto_json json_t *batch = json_object();
        size_t i;
        json_t *item;
        json_object_set(batch, "jobs", jobs);
        if (client_post_once(client, "/api/v1/jobs:batch", batch, &answer, e) < 0)
            return -1;
        json_array_foreach(view_items(answer), i, item)
        {
            json_array_append_new(ids, json_integer(view_int(item, "id", 0)));
        }
        if (!quiet)
            view_print(c, &submitted_view, answer);
    }
    *ret_ids = TAKE(ids);
    return 0;
}

/* ---- waiting ---- */

static char on_interrupt_text[160];

/* The job does not end with us; whoever interrupts the waiting should know. */
static void on_interrupt(int signal_number)
{
    ssize_t n = write(STDERR_FILENO, on_interrupt_text, strlen(on_interrupt_text));
    (void)n;
    _exit(128 + signal_number);
}

static void tell_change(void *arg, const json_t *job)
{
    (void)arg;
    const char *state = view_text(job, "state"), *reason = view_text(job, "reason");
    int64_t position = view_int(job, "position", 0);
    auto_text struct text clean = {0};
    text_add_printable(&clean, reason);
    fprintf(stderr, "job %" PRId64 " %s", view_int(job, "id", 0), state);
    if (position)
        fprintf(stderr, ", position %" PRId64, position);
    if (*view_text(job, "node") && strcmp(state, "Running") == 0)
        fprintf(stderr, " on %s", view_text(job, "node"));
    fprintf(stderr, "%s%s\n", clean.len ? ": " : "", text_get(&clean));
}

static void tell_end(const json_t *job)
{
    auto_text struct text t = {0};
    text_addf(&t, "job %" PRId64 " %s", view_int(job, "id", 0), view_text(job, "state"));
    if (view_get(job, "exit_code"))
        text_addf(&t, ", exit code %" PRId64, view_int(job, "exit_code", 0));
    text_add(&t, ", ran ");
    figure_span(&t, view_int(job, "run_ms", 0));
    if (view_get(job, "energy_joules")) {
        text_add(&t, ", ");
        figure_energy(&t, view_number(job, "energy_joules", 0));
    }
    if (view_get(job, "cost_micros")) {
        text_add(&t, ", ");
        figure_money(&t, view_int(job, "cost_micros", 0),
                     *view_text(job, "currency") ? view_text(job, "currency") : "USD");
    }
    fprintf(stderr, "%s\n", t.data);
}

static void on_change(void *arg, const json_t *job)
{
    if (!job_has_ended(job))
        tell_change(arg, job);
}

static int wait_for(struct cli *c, struct client *client, const json_t *ids, bool logs,
                    struct err *e)
{
    size_t i;
    json_t *id;
    int code = 0;
    json_array_foreach(ids, i, id)
    {
        int64_t n = json_integer_value(id);
        auto_json json_t *job = NULL;
        snprintf(on_interrupt_text, sizeof on_interrupt_text,
                 "\nreeve: job %" PRId64 " goes on; 'reeve logs -f %" PRId64
                 "' follows it, 'reeve cancel %" PRId64 "' ends it\n",
                 n, n, n);
        if (logs &&
            follow_logs(client, n, &(struct follow_logs){.tail = -1, .follow = true}, e) < 0)
            return -1;
        if (follow_job(client, n, logs ? NULL : on_change, NULL, &job, e) < 0)
            return -1;
        if (c->format <= OUTPUT_WIDE)
            tell_end(job);
        else
            view_print(c, &job_view, job);
        if (strcmp(view_text(job, "state"), "Completed") != 0) {
            code = EXIT_JOB_FAILED;
            if (*view_text(job, "reason"))
                fprintf(stderr, "reeve: job %" PRId64 ": %s\n", n, view_text(job, "reason"));
        }
    }
    return code;
}

static int run_submit(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    struct submit_options *o = own;
    struct client *client;
    auto_json json_t *jobs = NULL, *ids = NULL;
    bool wait = o->wait || o->logs;
    if (gather(o, argc, argv, &jobs, e) < 0 || cli_client(c, &client, e) < 0)
        return -1;
    if (submit(c, client, jobs, wait && c->format > OUTPUT_WIDE, &ids, e) < 0)
        return -1;
    if (!wait)
        return 0;
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    return wait_for(c, client, ids, o->logs, e);
}

const struct command cmd_submit = {
    .name = "submit",
    .summary = "put a job into the queue",
    .operands = "[--] [COMMAND] [ARG...]",
    .specs = submit_specs,
    .count = COUNT_OF(submit_specs),
    .size = sizeof(struct submit_options),
    .flags = COMMAND_CONNECTS | COMMAND_TAKES_REST,
    .run = run_submit,
    .text =
        ".Pp\nThe command starts in this folder, on the node that has the GPU, without\na shell in "
        "between.\nOf this environment nothing is sent but what\n.Fl -env\nnames.\n"
        ".Pp\nA job file holds one job, a list of jobs, or\n.Li jobs :\nwith a list; its fields "
        "are "
        "those of the REST interface:\n.Li name , command , env , gpus , gpu_memory , cpu , memory "
        ",\n"
        ".Li time_limit , labels , retries , exclusive , team , user , work_dir , config_file ,\n"
        ".Li progress ,\n"
        "and for Kubernetes\n.Li image , runner , template , mounts , node_selector , "
        "tolerations .\n"
        "A command that is one text is run by\n.Xr sh 1 .\n"
        "A\n.Li work_dir\nthat is not absolute counts from the folder of the file.\n"
        "Options on the command line go over what the file says.\n"
        ".Pp\nWith\n.Fl -wait\nor\n.Fl -logs\nthe exit status is 0 only when the job completed.\n",
    .examples = "  # any command, from any folder\n"
                "  reeve submit -- python3 train.py --lr 0.1\n"
                "  # with needs, and its output until it ends\n"
                "  reeve submit --gpu-memory 8GiB --time-limit 2h --logs -- ./train big.yaml\n"
                "  # in a container of a Kubernetes cluster\n"
                "  reeve submit --image registry.example/train:1 --mount data -- python3 "
                "train.py\n"
                "  # a template of Argo's\n"
                "  reeve submit --template proto-gcn --param config-file=a.yaml\n"
                "  # from a file\n"
                "  reeve submit -f job.yaml --wait\n",
};

/* ---- logs ---- */

struct logs_options {
    bool follow;
    int64_t attempt;
    char *tail_text;
};

static const struct option_spec logs_specs[] = {
    {"follow", 'f', OPTION_FLAG, offsetof(struct logs_options, follow), NULL, NULL, 0, 0,
     "go on until the job ends", .flag_only = true},
    {"tail", 't', OPTION_TEXT, offsetof(struct logs_options, tail_text), "SIZE", NULL, 0, 0,
     "only so much of its end, such as 4KiB", .flag_only = true},
    {"attempt", 'a', OPTION_INT, offsetof(struct logs_options, attempt), "N", NULL, 1, 1000000,
     "of this attempt (default: the newest)", .flag_only = true},
};

static int run_logs(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    struct logs_options *o = own;
    struct client *client;
    int64_t id;
    uint64_t tail = 0;
    if (argc != 1)
        return err_set(e, ERR_INVALID, "name one job by its number; 'reeve list' shows them");
    if (job_id_parse(argv[0], &id, e) < 0 ||
        (o->tail_text && text_to_bytes(o->tail_text, "option 'tail':", &tail, e) < 0) ||
        cli_client(c, &client, e) < 0)
        return -1;
    struct follow_logs how = {.attempt = o->attempt,
                              .tail =
                                  o->tail_text ? (int64_t)(tail > 1 << 30 ? 1 << 30 : tail) : -1,
                              .follow = o->follow};
    return follow_logs(client, id, &how, e);
}

const struct command cmd_logs = {
    .name = "logs",
    .summary = "print what a job wrote",
    .operands = "ID",
    .specs = logs_specs,
    .count = COUNT_OF(logs_specs),
    .size = sizeof(struct logs_options),
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_JOB,
    .run = run_logs,
    .examples = "  # as it comes, across restarts of the server\n"
                "  reeve logs -f 42\n",
};
