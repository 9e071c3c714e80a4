/*
 * proto-gcn: trains a small graph convolution network with class prototypes on generated recordings
 * of moving skeletons. An example of a job for Reeve: it takes a config file and a work dir, shows
 * progress, saves checkpoints, goes on from them, and ends with an exit code that means something.
 */
#include "checkpoint.h"
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { EXIT_RUN_FAILED = 1, EXIT_BAD_INPUT = 2 };

/* Set by signals, looked at after each step. */
static volatile sig_atomic_t save_asked, stop_signal;

static void on_save(int sig)
{
    (void)sig;
    save_asked = 1;
}

static void on_stop(int sig)
{
    stop_signal = sig;
}

static void catch_signals(void)
{
    struct sigaction save = {.sa_handler = on_save, .sa_flags = SA_RESTART};
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &save, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
}

struct options {
    const char *config_file, *work_dir, *resume_from;
    bool resume, help;
    struct config config;
};

static void usage(FILE *out)
{
    fprintf(
        out,
        "usage: proto-gcn [--config FILE] [--work-dir DIR] [--resume] [--SETTING VALUE ...]\n"
        "\n"
        "Trains a graph convolution network on generated recordings of moving skeletons.\n"
        "\n"
        "  --config FILE        settings as lines 'key: value'\n"
        "  --work-dir DIR       where results go, unless REEVE_RESULT_DIR names a folder (.)\n"
        "  --resume             go on from checkpoint.bin in that folder, if there is one\n"
        "  --resume-from FILE   go on from this checkpoint\n"
        "  --help               this text\n"
        "\n"
        "Settings, each also possible in the file (there with '_' for '-'); what is given here\n"
        "goes first:\n");
    config_help(out);
    fprintf(out, "\n"
                 "SIGUSR1 saves a checkpoint, SIGTERM saves one and ends with 143. Exit codes:\n"
                 "0 done, 1 failed, 2 wrong option or setting.\n");
}

/* Splits "--name=value", or takes the next argument as the value. */
static int next_option(int argc, char **argv, int *at, char *name, size_t room, const char **value,
                       struct why *w)
{
    const char *arg = argv[(*at)++];
    if (strncmp(arg, "--", 2) != 0 || !arg[2])
        return why_set(w, "'%.60s' is not an option (--help lists them)", arg);
    size_t len = strcspn(arg + 2, "=");
    if (len >= room)
        return why_set(w, "unknown option '%.60s' (--help lists them)", arg);
    memcpy(name, arg + 2, len);
    name[len] = '\0';
    *value = arg[2 + len] ? arg + 3 + len : NULL;
    if (strcmp(name, "help") == 0 || strcmp(name, "resume") == 0)
        return *value ? why_set(w, "option '--%s' takes no value", name) : 0;
    if (!*value && *at >= argc)
        return why_set(w, "option '--%s' needs a value", name);
    if (!*value)
        *value = argv[(*at)++];
    return 0;
}

static int apply_option(struct options *o, const char *name, const char *value, bool settings,
                        struct why *w)
{
    const struct {
        const char *name;
        const char **text;
        bool *flag;
    } own[] = {
        {"config", &o->config_file, NULL},
        {"work-dir", &o->work_dir, NULL},
        {"resume-from", &o->resume_from, NULL},
        {"resume", NULL, &o->resume},
        {"help", NULL, &o->help},
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcmp(name, own[i].name) != 0)
            continue;
        if (own[i].flag)
            *own[i].flag = true;
        else
            *own[i].text = value;
        return 0;
    }
    return settings ? config_set(&o->config, name, value, w) : 0;
}

/* The file first, whatever the order; then the settings of the command line over it. */
static int parse(struct options *o, int argc, char **argv, struct why *w)
{
    *o = (struct options){.work_dir = ".", .config = config_defaults};
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 1; i < argc;) {
            char name[64];
            const char *value = NULL;
            if (next_option(argc, argv, &i, name, sizeof name, &value, w) < 0 ||
                apply_option(o, name, value, pass == 1, w) < 0)
                return -1;
        }
        if (o->help)
            return 0;
        if (pass == 0 && o->config_file && config_load(&o->config, o->config_file, w) < 0)
            return -1;
    }
    return config_check(&o->config, w);
}

static int result_dir(const struct options *o, const char **ret_dir, struct why *w)
{
    const char *dir = getenv("REEVE_RESULT_DIR");
    if (!dir || !*dir)
        dir = o->work_dir;
    if (mkdir(dir, 0777) < 0 && errno != EEXIST)
        return why_set(w, "could not make folder '%s': %s", dir, strerror(errno));
    *ret_dir = dir;
    return 0;
}

/* Training goes on without a checkpoint that could not be written: the next one may succeed. */
static void save(const struct training *t, const char *path, const char *why)
{
    struct why w = {""};
    if (checkpoint_save(t, path, &w) < 0)
        fprintf(stderr, "%s, going on\n", w.text);
    else
        printf("checkpoint saved after %lld epochs and %lld steps%s\n", (long long)t->epoch,
               (long long)t->step, why);
}

static int go_on(struct training *t, const struct options *o, const char *path, bool *resumed,
                 struct why *w)
{
    *resumed = false;
    if (!o->resume && !o->resume_from)
        return 0;
    if (checkpoint_load(t, o->resume_from ? o->resume_from : path, resumed, w) < 0)
        return -1;
    if (!*resumed && o->resume_from)
        return why_set(w, "there is no checkpoint '%s'", o->resume_from);
    if (*resumed)
        printf("going on after %lld epochs and %lld steps\n", (long long)t->epoch,
               (long long)t->step);
    else
        printf("no checkpoint in the result folder, starting anew\n");
    return 0;
}

/* 0: trained to the end or stopped by a signal, -1: failed. */
static int train(struct training *t, const char *dir, const char *checkpoint, struct why *w)
{
    struct progress progress;
    progress_open(&progress);
    progress_set(&progress, t);
    int rc = 0;
    while (!training_is_over(t) && !stop_signal) {
        rc = training_step(t, w);
        if (rc < 0)
            break;
        progress_set(&progress, t);
        if (t->step == 0) {
            report_epoch(t);
            if (report_metrics(t, dir, w) < 0)
                fprintf(stderr, "%s, going on\n", w->text);
        }
        bool due = t->step == 0 && t->epoch % t->config.checkpoint_every == 0;
        if (stop_signal)
            save(t, checkpoint, ": asked to stop");
        else if (save_asked)
            save(t, checkpoint, ": asked to save");
        else if (due || training_is_over(t))
            save(t, checkpoint, "");
        save_asked = 0;
    }
    progress_close(&progress);
    return rc;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int finish(struct training *t, const char *dir, bool resumed, double began_s, struct why *w)
{
    struct dataset *held_back = dataset_new(&t->config, PART_TEST);
    struct score test = training_evaluate(t, held_back);
    dataset_free(held_back);
    report_test(t, &test);
    return report_result(t, &test, now_s() - began_s, resumed, dir, w);
}

static int run(struct training *t, const struct options *o, struct why *w)
{
    const char *dir = NULL;
    char checkpoint[4096];
    bool resumed = false;
    double began_s = now_s();
    if (result_dir(o, &dir, w) < 0)
        return -1;
    if (snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.bin", dir) >= 4096)
        return why_set(w, "the name of the result folder is too long");
    report_start(t);
    if (go_on(t, o, checkpoint, &resumed, w) < 0 || train(t, dir, checkpoint, w) < 0)
        return -1;
    return training_is_over(t) ? finish(t, dir, resumed, began_s, w) : 0;
}

int main(int argc, char **argv)
{
    struct options o;
    struct why w = {""};
    setvbuf(stdout, NULL, _IOLBF, 0); /* into a pipe, too: people watch */
    if (parse(&o, argc, argv, &w) < 0) {
        fprintf(stderr, "proto-gcn: %s\n", w.text);
        return EXIT_BAD_INPUT;
    }
    if (o.help) {
        usage(stdout);
        return 0;
    }

    catch_signals();
    struct training t;
    training_init(&t, &o.config);
    int rc = run(&t, &o, &w);
    bool stopped = !training_is_over(&t); /* a signal that comes when all is done changes nothing */
    training_done(&t);
    if (rc < 0) {
        fprintf(stderr, "proto-gcn: %s\n", w.text);
        return EXIT_RUN_FAILED;
    }
    return stopped ? 128 + stop_signal : 0;
}
