#include "cli/supervise.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/backoff.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum {
    CHILDREN_MOST = 4,
    BACKOFF_LEAST_MS = 200,
    BACKOFF_MOST_MS = 10000,
    STEADY_MS = 30000, /* one that lived so long has overcome what ended it before */
};

struct child {
    char *name, *log_file;
    char **argv, **env;
    pid_t pid; /* 0: does not run */
    bool proven, stopped;
    unsigned failures;          /* in a row */
    int64_t started_ms, due_ms; /* steady clock */
    int status;                 /* of its last end */
    void (*before_restart)(void *arg);
    void *arg;
};

struct supervisor {
    struct child children[CHILDREN_MOST];
    int count;
    sigset_t signals, before;
};

static char **copy_list(const char *const *list)
{
    size_t n = 0;
    while (list[n])
        n++;
    char **copy = mem_new_array(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(list[i]);
    return copy;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

struct supervisor *supervisor_new(void)
{
    struct supervisor *s = mem_new(struct supervisor);
    sigemptyset(&s->signals);
    sigaddset(&s->signals, SIGCHLD);
    sigaddset(&s->signals, SIGTERM);
    sigaddset(&s->signals, SIGINT);
    sigaddset(&s->signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &s->signals, &s->before);
    return s;
}

void supervisor_free(struct supervisor *s)
{
    if (!s)
        return;
    for (int i = s->count - 1; i >= 0; i--) {
        supervisor_stop(s, i, 10000);
        free(s->children[i].name);
        free(s->children[i].log_file);
        free_list(s->children[i].argv);
        free_list(s->children[i].env);
    }
    sigprocmask(SIG_SETMASK, &s->before, NULL);
    free(s);
}

/* Never returns. PARENT is checked, because we may have died before prctl() took hold. */
static void become(const struct child *c, const sigset_t *mask, pid_t parent, int log_fd)
{
    /* A group of its own: Ctrl-C is for us, and we end the children in order. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(126);
    if (log_fd >= 0) {
        dup2(log_fd, STDOUT_FILENO);
        dup2(log_fd, STDERR_FILENO);
    }
    /* A signal that came already must not run a handler of ours in here. */
    static const int usual[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE, SIGQUIT};
    for (size_t i = 0; i < COUNT_OF(usual); i++)
        signal(usual[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execve(c->argv[0], c->argv, c->env);
    dprintf(STDERR_FILENO, "reeve: could not run '%s': %s\n", c->argv[0], strerror(errno));
    _exit(127);
}

static int launch(struct supervisor *s, struct child *c, struct err *e)
{
    pid_t parent = getpid();
    auto_close int log_fd =
        c->log_file ? open(c->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (c->log_file && log_fd < 0)
        return err_sys(e, errno, "could not open log '%s' of %s", c->log_file, c->name);
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(e, errno, "could not start %s", c->name);
    if (pid == 0)
        become(c, &s->before, parent, log_fd);
    c->pid = pid;
    c->started_ms = clock_mono_ms();
    c->due_ms = 0;
    return 0;
}

int supervisor_start(struct supervisor *s, const struct child_spec *spec, int *ret_child,
                     struct err *e)
{
    if (s->count == CHILDREN_MOST)
        return err_set(e, ERR_EXHAUSTED, "no more children");
    struct child *c = &s->children[s->count];
    *c = (struct child){.name = mem_strdup(spec->name),
                        .log_file = spec->log_file ? mem_strdup(spec->log_file) : NULL,
                        .argv = copy_list(spec->argv),
                        .env = copy_list(spec->env),
                        .before_restart = spec->before_restart,
                        .arg = spec->arg};
    *ret_child = s->count++;
    return launch(s, c, e);
}

void supervisor_proven(struct supervisor *s, int child)
{
    s->children[child].proven = true;
}

pid_t supervisor_pid(const struct supervisor *s, int child)
{
    return s->children[child].pid;
}

static void describe(int status, char buf[64])
{
    if (WIFSIGNALED(status))
        snprintf(buf, 64, "was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(buf, 64, "ended with exit code %d", WEXITSTATUS(status));
}

static void on_end(struct child *c, int status)
{
    int64_t now = clock_mono_ms();
    c->pid = 0;
    c->status = status;
    if (now - c->started_ms > STEADY_MS)
        c->failures = 0;
    c->failures++;
    c->due_ms = now + backoff_ms(c->failures, BACKOFF_LEAST_MS, BACKOFF_MOST_MS, random_u64());
    if (c->stopped || !c->proven)
        return;
    char how[64], text[128];
    describe(status, how);
    snprintf(text, sizeof text, "%s %s, starting it again", c->name, how);
    log_warn(text, F_INT("in_ms", c->due_ms - now));
}

static void reap(struct supervisor *s)
{
    for (int i = 0; i < s->count; i++) {
        struct child *c = &s->children[i];
        int status;
        if (c->pid && waitpid(c->pid, &status, WNOHANG) == c->pid)
            on_end(c, status);
    }
}

/* The child's last words in its log, where it has one of its own: why it ended. */
static int last_words(const struct child *c, char *ret, size_t size)
{
    auto_free char *text = NULL;
    size_t len;
    if (!c->log_file || file_read(c->log_file, 1 << 20, &text, &len, NULL) < 0)
        return -1;
    while (len && text[len - 1] == '\n')
        text[--len] = '\0';
    const char *line = memrchr(text, '\n', len);
    snprintf(ret, size, "%s", line ? line + 1 : text);
    return ret[0] ? 0 : -1;
}

/* Starts what is due. -1: one that was never proven has ended. */
static int start_due(struct supervisor *s, struct err *e)
{
    for (int i = 0; i < s->count; i++) {
        struct child *c = &s->children[i];
        if (c->pid || c->stopped)
            continue;
        if (!c->proven) {
            char how[64], words[300];
            describe(c->status, how);
            if (last_words(c, words, sizeof words) == 0)
                return err_set(e, ERR_UNAVAILABLE, "%s %s before it was ready: %s (its log is %s)",
                               c->name, how, words, c->log_file);
            return err_set(e, ERR_UNAVAILABLE, "%s %s before it was ready%s%s", c->name, how,
                           c->log_file ? "; its log is " : "", c->log_file ? c->log_file : "");
        }
        struct err trouble = {0};
        if (clock_mono_ms() < c->due_ms)
            continue;
        if (c->before_restart)
            c->before_restart(c->arg);
        if (launch(s, c, &trouble) < 0) {
            log_warn("could not start it again, trying later", F_TEXT("program", c->name),
                     F_ERR(&trouble));
            c->due_ms = clock_mono_ms() + BACKOFF_MOST_MS;
        }
    }
    return 0;
}

static int64_t until_due(const struct supervisor *s, int64_t wait_ms)
{
    int64_t now = clock_mono_ms();
    for (int i = 0; i < s->count; i++) {
        const struct child *c = &s->children[i];
        if (!c->pid && !c->stopped && c->due_ms - now < wait_ms)
            wait_ms = c->due_ms > now ? c->due_ms - now : 0;
    }
    return wait_ms;
}

int supervise_step(struct supervisor *s, int64_t wait_ms, struct err *e)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    for (;;) {
        reap(s);
        if (start_due(s, e) < 0)
            return -1;
        int64_t left = until_ms - clock_mono_ms();
        left = until_due(s, left > 0 ? left : 0);
        struct timespec t = {left / 1000, left % 1000 * 1000000};
        int number = sigtimedwait(&s->signals, NULL, &t);
        if (number > 0 && number != SIGCHLD)
            return SUPERVISE_ENDED;
        if (clock_mono_ms() >= until_ms) {
            reap(s);
            return SUPERVISE_ON;
        }
    }
}

void supervisor_stop(struct supervisor *s, int child, int64_t grace_ms)
{
    struct child *c = &s->children[child];
    int64_t until_ms = clock_mono_ms() + grace_ms;
    c->stopped = true;
    if (c->pid)
        kill(c->pid, SIGTERM);
    for (bool killed = false; c->pid;) {
        int status;
        int64_t left = until_ms - clock_mono_ms();
        if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
            on_end(c, status);
            break;
        }
        if (left <= 0 && !killed) {
            log_warn("it did not end, killing it", F_TEXT("program", c->name));
            kill(c->pid, SIGKILL);
            killed = true;
        }
        /* SIGCHLD wakes us at once; the time is for the case that it was taken before. */
        struct timespec t = {0, 20000000};
        sigset_t only_child;
        sigemptyset(&only_child);
        sigaddset(&only_child, SIGCHLD);
        sigtimedwait(&only_child, NULL, &t);
    }
}
