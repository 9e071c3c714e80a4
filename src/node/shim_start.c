/* A shim's way to a job that waits for the word to go. */
#include "node/shim.h"
#include "node/shim_private.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "node/result.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void shim_tell(struct shim *s, const struct err *e)
{
    if (s->launcher < 0)
        return;
    char text[640];
    int len = e ? snprintf(text, sizeof text, "failed %d %s", (int)e->code, e->text)
                : snprintf(text, sizeof text, "started");
    send(s->launcher, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(take_fd(&s->launcher));
}

/* The secret variables come as one message of NUL-terminated texts. */
static int receive_secrets(struct shim *s, struct err *e)
{
    if (!s->spec.secret_env)
        return 0;
    auto_free char *buf = mem_alloc(ATTEMPT_SECRETS_MOST + 1, 1);
    ssize_t n = -1;
    if (s->launcher >= 0)
        do
            n = recv(s->launcher, buf, ATTEMPT_SECRETS_MOST, 0);
        while (n < 0 && errno == EINTR);
    if (n <= 0)
        return err_set(e, ERR_UNAVAILABLE, "the agent went away before it gave the job's secrets");
    for (char *p = buf; p < buf + n; p += strlen(p) + 1)
        s->spec.secret_env = list_add(s->spec.secret_env, p);
    explicit_bzero(buf, (size_t)n);
    return attempt_spec_check(&s->spec, e);
}

static int read_spec(struct shim *s, struct err *e)
{
    auto_free char *path = mem_printf("%s/spec", s->folder);
    auto_free char *text = NULL;
    size_t len;
    if (file_read(path, ATTEMPT_SPEC_MOST, &text, &len, e) < 0)
        return -1;
    if (attempt_spec_parse(&s->spec, text, len, e) < 0)
        return err_wrap(e, "spec '%s'", path);
    if (geteuid() == 0 && !s->spec.has_account)
        return err_set(e, ERR_DENIED, "a job does not run as root without an account that says so");
    return receive_secrets(s, e);
}

/* No two shims for one attempt, and none for one that a shim has had. */
static int claim(struct shim *s, struct err *e)
{
    if (FAILPOINT("shim.before_lock"))
        return err_set(e, ERR_UNAVAILABLE, "could not lock folder '%s'", s->folder);
    struct err why = {0};
    if (attempt_lock(s->folder, &s->lock, &why) < 0) {
        s->not_ours = why.code == ERR_CONFLICT;
        *e = why;
        return -1;
    }
    if (FAILPOINT("shim.after_lock"))
        return err_set(e, ERR_UNAVAILABLE, "could not go on in folder '%s'", s->folder);
    s->not_ours = attempt_was_begun(s->folder, s->lock);
    if (s->not_ours)
        return err_set(e, ERR_CONFLICT, "this attempt was started before");
    return 0;
}

static int open_signals(struct shim *s, struct err *e)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? err_sys(e, errno, "could not wait for signals") : 0;
}

static int64_t machine_oom_kills(void)
{
    auto_free char *text = NULL;
    int64_t value;
    if (file_read("/proc/vmstat", 1 << 20, &text, NULL, NULL) < 0 ||
        !cgroup_parse_key(text, "oom_kill", &value))
        return -1;
    return value;
}

static int open_places(struct shim *s, struct err *e)
{
    const struct attempt_spec *spec = &s->spec;
    if (attempt_exit_reserve(s->lock, e) < 0)
        return -1;
    s->log =
        job_log_open(s->folder, spec->log_quota_bytes, spec->log_line_bytes, spec->log_rate_bytes);
    if (result_make(spec, &s->result, e) < 0)
        return -1;
    auto_free char *job = mem_printf("%s/job", s->folder);
    if (spec->has_account && geteuid() == 0 &&
        lchown(job, spec->account.uid, spec->account.gid) < 0)
        return err_sys(e, errno, "could not give folder '%s' to its user", job);
    shim_watch_progress(s);
    /* Beside the agent's group, not within: the agent's limits are not the job's. */
    if (cgroup_make(&spec->cgroup, spec->name, &spec->limits, &s->cgroup, e) < 0)
        return -1;
    s->has_cgroup = cgroup_exists(&s->cgroup);
    if (cgroup_oom_kills(&s->cgroup) < 0)
        s->oom_kills_before = machine_oom_kills();
    return 0;
}

/* Descriptors between us and the job's child, [0] to read from. */
struct pipes {
    int output[2], report[2], go[2];
};

static void pipe_done(int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

static int fork_job(struct shim *s, struct pipes *p, struct err *e)
{
    if (pipe2(p->output, O_CLOEXEC) < 0 || pipe2(p->report, O_CLOEXEC) < 0 ||
        pipe2(p->go, O_CLOEXEC) < 0)
        return err_sys(e, errno, "could not make a pipe");
    fcntl(p->output[0], F_SETFL, O_NONBLOCK);
    fcntl(p->report[0], F_SETFL, O_NONBLOCK);

    pid_t shim = getpid();
    bool inside;
    s->job = cgroup_fork(&s->cgroup, &inside);
    if (s->job < 0)
        return err_sys(e, errno, "could not make a process for the job");
    if (s->job == 0) {
        close(p->go[1]); /* else it would never see that we are gone */
        job_child_run(&(struct job_child){.spec = &s->spec,
                                          .folder = s->folder,
                                          .result = s->result,
                                          .go = p->go[0],
                                          .report = p->report[1],
                                          .output = p->output[1],
                                          .cgroup = &s->cgroup,
                                          .inside_cgroup = inside,
                                          .shim = shim});
    }
    return 0;
}

static int record_start(struct shim *s, struct err *e)
{
    struct attempt_started started = {.wall_ms = clock_wall_ms(), .cgroup = s->spec.cgroup};
    memcpy(started.id, s->spec.id, sizeof started.id);
    boot_id_read(started.boot_id);
    struct process p;
    if (process_read(getpid(), &p))
        started.shim = p.id;
    if (process_read(s->job, &p))
        started.job = p.id;
    return attempt_started_write(s->folder, s->lock, &started, e);
}

static int start_job(struct shim *s, struct pipes *p, struct err *e)
{
    if (fork_job(s, p, e) < 0)
        return -1;
    if (FAILPOINT("shim.before_started"))
        return err_set(e, ERR_UNAVAILABLE, "could not record the start");
    if (record_start(s, e) < 0)
        return -1;
    (void)FAILPOINT("shim.after_started");

    s->wall_start_ms = clock_wall_ms();
    s->start_ms = clock_mono_ms();
    s->output = take_fd(&p->output[0]);
    s->report = take_fd(&p->report[0]);
    ssize_t n = write(p->go[1], "g", 1);
    (void)n; /* a child that died before is seen as one that ended */
    return 0;
}

static void undo_job(struct shim *s)
{
    if (s->job > 0) {
        kill(s->job, SIGKILL);
        while (waitpid(s->job, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (s->has_cgroup)
        cgroup_remove(&s->cgroup);
}

int shim_prepare(struct shim *s, struct err *e)
{
    if (open_signals(s, e) < 0 || claim(s, e) < 0 || read_spec(s, e) < 0)
        return -1;
    char reason[320];
    if (attempt_cancel_read(s->folder, reason, sizeof reason))
        return err_set(e, ERR_CONFLICT, "cancelled before it started%s%s", reason[0] ? ": " : "",
                       reason);
    if (open_places(s, e) < 0)
        return -1;

    struct pipes p = {{-1, -1}, {-1, -1}, {-1, -1}};
    int rc = start_job(s, &p, e);
    pipe_done(p.output);
    pipe_done(p.report);
    pipe_done(p.go);
    if (rc < 0)
        undo_job(s);
    return rc;
}
