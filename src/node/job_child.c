#include "node/job_child.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "node/result.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define USUAL_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* When the machine runs out of memory its jobs go first, before the agent and its shims. */
#define OOM_SCORE  "200"

static void add_variable(char ***list, size_t *count, size_t *room, char *owned)
{
    if (*count + 1 >= *room) {
        *room = *room ? *room * 2 : 32;
        *list = mem_resize_array(*list, *room);
    }
    (*list)[(*count)++] = owned;
    (*list)[*count] = NULL;
}

static bool has_variable(char *const *list, size_t count, const char *variable)
{
    size_t name = strcspn(variable, "=") + 1;
    for (size_t i = 0; i < count; i++)
        if (strncmp(list[i], variable, name) == 0)
            return true;
    return false;
}

char **job_environment(const struct job_child *c)
{
    const struct attempt_spec *s = c->spec;
    char **list = NULL;
    size_t count = 0, room = 0;
#define ADD(...) add_variable(&list, &count, &room, mem_printf(__VA_ARGS__))
    ADD("REEVE_ATTEMPT=%s", s->id);
    ADD("REEVE_ATTEMPT_NUMBER=%lld", (long long)s->number);
    ADD("REEVE_JOB_ID=%lld", (long long)s->job_id);
    ADD("REEVE_USER=%s", s->user);
    ADD("REEVE_PROGRESS_FILE=%s/job/progress", c->folder);
    ADD("ARGO_PROGRESS_FILE=%s/job/progress", c->folder);
    if (c->result)
        ADD("REEVE_RESULT_DIR=%s", c->result);
    if (s->devices)
        ADD("CUDA_VISIBLE_DEVICES=%s", s->devices);
    size_t ours = count;

    /* The first of two with one name is what getenv() finds. */
    for (char **v = s->secret_env; v && *v; v++)
        if (!has_variable(list, ours, *v))
            ADD("%s", *v);
    for (char **v = s->env; v && *v; v++)
        if (!has_variable(list, ours, *v))
            ADD("%s", *v);

    const char *home = s->has_account ? s->account.home : getenv("HOME");
    const char *name = s->has_account && s->account.name ? s->account.name : getenv("USER");
    size_t given = count;
#define ADD_USUAL(fmt, value)                                                                      \
    do {                                                                                           \
        auto_free char *usual = mem_printf(fmt, value);                                            \
        if (!has_variable(list, given, usual))                                                     \
            ADD("%s", usual);                                                                      \
    } while (0)
    ADD_USUAL("PATH=%s", USUAL_PATH);
    ADD_USUAL("LANG=%s", "C.UTF-8");
    ADD_USUAL("SHELL=%s", "/bin/sh");
    ADD_USUAL("PYTHONUNBUFFERED=%s", "1"); /* or a log shows nothing for minutes */
    ADD_USUAL("USER=%s", name && name[0] ? name : s->user);
    ADD_USUAL("LOGNAME=%s", name && name[0] ? name : s->user);
    if (home && home[0] == '/')
        ADD_USUAL("HOME=%s", home);
    else
        ADD_USUAL("HOME=%s/job", c->folder);
    return list;
}

char *job_work_dir(const struct job_child *c)
{
    if (c->spec->work_dir)
        return mem_strdup(c->spec->work_dir);
    return c->result ? mem_strdup(c->result) : mem_printf("%s/job", c->folder);
}

int job_become(const struct attempt_spec *s)
{
    if (s->has_account && geteuid() == 0) {
        const struct account *a = &s->account;
        if (setgroups(a->group_count, a->groups) < 0 || setresgid(a->gid, a->gid, a->gid) < 0 ||
            setresuid(a->uid, a->uid, a->uid) < 0)
            return errno;
    } else if (s->has_account && s->account.uid != geteuid()) {
        return EPERM;
    }
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
}

static _Noreturn void fail(const struct job_child *c, enum job_child_step step, int why)
{
    struct job_child_failure f = {step, why};
    ssize_t n = write(c->report, &f, sizeof f);
    _exit(n == (ssize_t)sizeof f ? 127 : 126);
}

static void reset_signals(void)
{
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Standard input from nowhere, output to the log; every other descriptor is closed but the report,
 * which moves to 3 and closes itself at the exec. */
static void set_descriptors(struct job_child *c)
{
    int nothing = open("/dev/null", O_RDONLY);
    int report = fcntl(c->report, F_DUPFD_CLOEXEC, 16), output = fcntl(c->output, F_DUPFD, 16);
    if (nothing < 0 || report < 0 || output < 0)
        fail(c, JOB_CHILD_LIMITS, errno);
    dup2(nothing, 0);
    dup2(output, 1);
    dup2(output, 2);
    c->report = dup3(report, 3, O_CLOEXEC);
    close_range(4, ~0U, 0);
}

static void set_limits(const struct job_child *c)
{
    struct rlimit none = {0, RLIM_INFINITY};
    getrlimit(RLIMIT_CORE, &none);
    none.rlim_cur = 0; /* a job may ask for core files, but they don't fill the disk by default */
    setrlimit(RLIMIT_CORE, &none);

    /* Counted for all processes of a uid, so only where the uid is the user's own. */
    const struct attempt_spec *s = c->spec;
    if (s->limits.pids && !s->cgroup.pids && !(s->cgroup.controllers & CGROUP_PIDS) &&
        s->has_account && geteuid() == 0) {
        struct rlimit pids = {(rlim_t)s->limits.pids, (rlim_t)s->limits.pids};
        setrlimit(RLIMIT_NPROC, &pids);
    }
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = write(fd, OOM_SCORE, sizeof OOM_SCORE - 1);
        (void)n; /* a container may forbid it */
        close(fd);
    }
    umask(022);
}

static void write_params(const struct job_child *c)
{
    /* A record for later readers; a full disk there must not keep the job from running. */
    if (c->result && c->spec->params)
        result_write_file(c->result, "params.json", c->spec->params, strlen(c->spec->params), NULL);
}

static const char *value_of(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return "";
}

/* Comes back only on failure, with errno. */
static void exec_file(const char *file, char **argv, char **env)
{
    execve(file, argv, env);
    if (errno != ENOEXEC)
        return;
    /* A script without #! is run by the shell, as every shell does it. */
    size_t n = list_count(argv);
    char **with_shell = mem_new_array(char *, n + 2);
    with_shell[0] = mem_strdup("/bin/sh");
    with_shell[1] = mem_strdup(file);
    memcpy(with_shell + 2, argv + 1, (n - 1) * sizeof *argv);
    execve("/bin/sh", with_shell, env);
    free(with_shell[0]);
    free(with_shell[1]);
    free(with_shell);
    errno = ENOEXEC;
}

static void exec_command(const struct job_child *c, char **argv, char **env)
{
    if (strchr(argv[0], '/')) {
        exec_file(argv[0], argv, env);
        int why = errno;
        fail(c,
             why == ENOENT && access(argv[0], F_OK) == 0 ? JOB_CHILD_INTERPRETER : JOB_CHILD_EXEC,
             why);
    }

    int why = 0;
    bool is_there = false;
    for (const char *p = value_of(env, "PATH"); *p; p += *p == ':') {
        size_t len = strcspn(p, ":");
        auto_free char *file = mem_printf("%.*s/%s", len ? (int)len : 1, len ? p : ".", argv[0]);
        exec_file(file, argv, env);
        if (errno != ENOENT && errno != ENOTDIR)
            why = errno;
        else if (access(file, F_OK) == 0)
            is_there = true;
        p += len;
    }
    if (why)
        fail(c, JOB_CHILD_EXEC, why);
    fail(c, is_there ? JOB_CHILD_INTERPRETER : JOB_CHILD_NOT_FOUND, ENOENT);
}

_Noreturn void job_child_run(const struct job_child *from)
{
    struct job_child child = *from, *c = &child;
    int not_joined = cgroup_join(c->cgroup, c->inside_cgroup);
    reset_signals();
    setsid();

    char go;
    ssize_t n;
    do
        n = read(c->go, &go, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        _exit(126); /* the shim is gone before the start was recorded: nothing may run */

    char **env = job_environment(c);
    auto_free char *work_dir = job_work_dir(c);
    set_descriptors(c);
    if (not_joined)
        fail(c, JOB_CHILD_GROUP, not_joined);
    set_limits(c);
    int why = job_become(c->spec);
    if (why)
        fail(c, JOB_CHILD_ACCOUNT, why);
    /* Without its shim the attempt is lost whatever it does; the sooner its device is free, the
     * better. Must come after the account, which clears it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != c->shim)
        _exit(126);
    if (chdir(work_dir) < 0)
        fail(c, JOB_CHILD_WORK_DIR, errno);
    write_params(c);
    if (FAILPOINT("shim.child_before_exec"))
        fail(c, JOB_CHILD_EXEC, EIO);
    exec_command(c, c->spec->command, env);
    _exit(127);
}

void job_child_explain(const struct job_child_failure *f, const struct attempt_spec *s, char *ret,
                       size_t room)
{
    const char *command = s->command[0], *why = strerror(f->why);
    const char *account = s->has_account && s->account.name ? s->account.name : s->user;
    switch (f->step) {
    case JOB_CHILD_ACCOUNT:
        snprintf(ret, room, "account '%.60s' cannot be used on this machine: %s", account, why);
        return;
    case JOB_CHILD_WORK_DIR:
        snprintf(ret, room, "work dir '%.200s' cannot be used by '%.60s': %s",
                 s->work_dir ? s->work_dir : "(the result folder)", account, why);
        return;
    case JOB_CHILD_GROUP:
        snprintf(ret, room, "the job could not be put into its control group: %s", why);
        return;
    case JOB_CHILD_LIMITS:
        snprintf(ret, room, "the job could not be prepared: %s", why);
        return;
    case JOB_CHILD_NOT_FOUND:
        snprintf(ret, room, "command '%.200s' was not found on the job's PATH", command);
        return;
    case JOB_CHILD_INTERPRETER:
        snprintf(ret, room,
                 "command '%.200s' cannot be run: the interpreter or loader it names is missing",
                 command);
        return;
    case JOB_CHILD_EXEC:
        if (f->why == EAGAIN) /* what the kernel says of it helps nobody */
            why = "its account runs as many processes as it may have";
        break;
    }
    snprintf(ret, room, "command '%.200s' cannot be run: %s", command, why);
}

pid_t job_helper(const struct attempt_spec *spec, void (*fn)(int out, void *arg), void *arg,
                 int *ret_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        reset_signals();
        alarm(1); /* whatever it opens may hang */
        if (job_become(spec) == 0)
            fn(ends[1], arg);
        _exit(0);
    }
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    else
        *ret_fd = ends[0];
    return pid;
}
