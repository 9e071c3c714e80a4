#include "node/shim.h"
#include "node/nursery.h"
#include "node/shim_private.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A job that floods is read this fast and no faster, or its shim would burn a core to throw its
 * output away: 4 MiB in 10 ms. */
#define FLOOD_BYTES    (4 << 20)
#define FLOOD_PAUSE_MS 10
/* After the end there can't be more than a pipe's worth, unless somebody holds it whom we can't
 * see. */
#define DRAIN_MOST     (8 << 20)

static void begin_ending(struct shim *s, enum ending ending, int64_t now_ms, const char *note)
{
    if (s->ending != ENDING_NOT || s->job_ended)
        return;
    s->ending = ending;
    job_log_note(s->log, note);
    if (ending == ENDING_MEMORY || !s->spec.grace_ms) {
        s->kill_at = now_ms;
        return;
    }
    s->kill_at = now_ms + s->spec.grace_ms;
    shim_signal_all(s, SIGTERM);
    shim_signal_all(s, SIGCONT); /* a stopped process would never see the first */
}

static void on_request(struct shim *s, int64_t now_ms)
{
    if (attempt_cancel_read(s->folder, s->why, sizeof s->why)) {
        begin_ending(s, ENDING_CANCELLED, now_ms, "cancelled: asking the job to end");
    } else {
        s->why[0] = '\0';
        begin_ending(s, ENDING_SHUT_DOWN, now_ms, "shutting down: asking the job to end");
    }
}

static void reap(struct shim *s, int64_t now_ms)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            s->no_children = true; /* ECHILD: as their subreaper we would have any that is left */
        if (pid <= 0)
            return;
        if (pid == s->progress_helper) {
            s->progress_helper = 0;
        } else if (pid == s->job) {
            s->job_ended = true;
            s->wait_status = status;
            s->end_ms = now_ms;
        }
    }
}

/* The first process has ended: so must all others. Who was already asked to end keeps its grace. */
static void on_job_ended(struct shim *s, int64_t now_ms)
{
    s->limit_at = s->warn_at = s->memory_at = NEVER;
    /* A group that can be removed had nobody in it, which is quicker than to look for them. */
    s->nothing_left = s->no_children && s->has_cgroup && shim_leave_group(s);
    size_t left = s->nothing_left ? 0 : shim_count_all(s);
    s->nothing_left = left == 0;
    if (!left || s->ending != ENDING_NOT)
        return;
    s->left = (int64_t)left;
    shim_signal_all(s, SIGTERM);
    shim_signal_all(s, SIGCONT);
    s->kill_at = now_ms + LEFT_BEHIND_GRACE_MS;
}

static void on_signals(struct shim *s, int64_t now_ms)
{
    struct signalfd_siginfo info;
    bool child = false;
    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            child = true;
        else
            on_request(s, now_ms);
    }
    if (!child)
        return;
    bool was_ended = s->job_ended;
    reap(s, now_ms);
    if (s->job_ended && !was_ended)
        on_job_ended(s, now_ms);
}

static void on_report(struct shim *s, int64_t now_ms)
{
    struct job_child_failure failure;
    ssize_t n = read(s->report, &failure, sizeof failure);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(take_fd(&s->report));
    if (n == (ssize_t)sizeof failure) {
        struct err e = {.code = ERR_UNPROCESSABLE};
        s->start_failed = true;
        s->failure = failure;
        job_child_explain(&failure, &s->spec, e.text, sizeof e.text);
        shim_tell(s, &e);
        return;
    }
    (void)FAILPOINT("shim.after_exec");
    s->runs = true;
    if (s->spec.time_limit_ms) {
        s->limit_at = now_ms + s->spec.time_limit_ms;
        if (s->spec.warn_ms && s->spec.warn_ms < s->spec.time_limit_ms)
            s->warn_at = s->limit_at - s->spec.warn_ms;
    }
    if (s->spec.limits.memory_bytes && !(s->cgroup.limited & CGROUP_MEMORY))
        s->memory_at = now_ms + MEMORY_LOOK_MS;
    shim_tell(s, NULL);
}

/* Returns how many bytes came. */
static size_t on_output(struct shim *s, int64_t now_ms)
{
    static char buf[65536];
    ssize_t n = read(s->output, buf, sizeof buf);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        close(take_fd(&s->output));
        return 0;
    }
    s->flood_bytes += (int64_t)job_log_write(s->log, buf, (size_t)n, now_ms);
    if (s->flood_bytes > FLOOD_BYTES) {
        s->flood_bytes = 0;
        s->output_at = now_ms + FLOOD_PAUSE_MS;
    }
    shim_progress_soon(s, now_ms);
    return (size_t)n;
}

static void on_memory(struct shim *s, int64_t now_ms)
{
    s->memory_at = now_ms + MEMORY_LOOK_MS;
    if (shim_memory_bytes(s) > s->spec.limits.memory_bytes)
        begin_ending(s, ENDING_MEMORY, now_ms, "the job reached its memory limit: ending it");
}

static void on_time(struct shim *s, int64_t now_ms)
{
    if (now_ms >= s->output_at)
        s->output_at = NEVER;
    if (now_ms >= s->progress_at)
        shim_look_at_progress(s, now_ms);
    if (now_ms >= s->warn_at) {
        s->warn_at = NEVER;
        shim_warn_all(s);
    }
    if (now_ms >= s->limit_at) {
        s->limit_at = NEVER;
        begin_ending(s, ENDING_TIME_LIMIT, now_ms, "time limit reached: asking the job to end");
    }
    if (now_ms >= s->memory_at)
        on_memory(s, now_ms);
    if (now_ms >= s->kill_at) {
        shim_kill_all(s);
        s->kill_at = now_ms + s->kill_again_ms;
        if (s->kill_again_ms < KILL_AGAIN_MOST_MS)
            s->kill_again_ms *= 2; /* a hung driver may hold one for hours */
    }
    if (s->job_ended && !s->nothing_left) {
        reap(s, now_ms);
        s->nothing_left = shim_count_all(s) == 0;
    }
}

static int timeout_ms(const struct shim *s, int64_t now_ms)
{
    int64_t first = NEVER;
    const int64_t all[] = {s->warn_at,   s->limit_at,    s->kill_at,
                           s->memory_at, s->progress_at, s->output_at};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        first = all[i] < first ? all[i] : first;
    /* Nobody tells us when the last process leaves a group that does not descend from us. */
    if (s->job_ended && first > now_ms + s->kill_again_ms)
        first = now_ms + s->kill_again_ms;
    if (first == NEVER)
        return -1;
    int64_t wait = first - now_ms;
    return wait < 0 ? 0 : wait > 3600000 ? 3600000 : (int)wait;
}

static void follow(struct shim *s)
{
    while (!s->job_ended || !s->nothing_left) {
        int64_t now = clock_mono_ms();
        struct pollfd fds[] = {
            {.fd = s->signals, .events = POLLIN},
            {.fd = s->output_at == NEVER ? s->output : -1, .events = POLLIN},
            {.fd = s->report, .events = POLLIN},
            {.fd = s->file_changed ? -1 : s->watch, .events = POLLIN},
            {.fd = s->progress, .events = POLLIN},
        };
        int n = poll(fds, COUNT_OF(fds), timeout_ms(s, now));
        if (n < 0 && errno != EINTR)
            sleep(1); /* out of kernel memory: nothing to do but to go on */
        now = clock_mono_ms();
        if (n > 0) {
            if (fds[2].revents)
                on_report(s, now);
            if (fds[1].revents)
                on_output(s, now);
            if (fds[0].revents)
                on_signals(s, now);
            if (fds[3].revents)
                shim_on_progress_change(s, now);
            if (fds[4].revents)
                shim_on_progress_read(s);
        }
        on_time(s, now);
    }
}

static void take_the_rest(struct shim *s)
{
    int64_t now = clock_mono_ms();
    if (s->report >= 0)
        on_report(s, now);
    for (size_t n = 1, sum = 0; n && s->output >= 0 && sum < DRAIN_MOST; sum += n)
        n = on_output(s, now);
    shim_last_progress(s, now);
}

static void protect_from_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = write(fd, "-800", 4);
    (void)n; /* only root may */
    close(fd);
}

static int launcher_socket(void)
{
    struct stat st;
    if (fstat(SHIM_SOCKET, &st) < 0 || !S_ISSOCK(st.st_mode))
        return -1;
    fcntl(SHIM_SOCKET, F_SETFD, FD_CLOEXEC);
    return SHIM_SOCKET;
}

int shim_main(const char *folder)
{
    struct shim s = {
        .folder = folder,
        .lock = -1,
        .signals = -1,
        .launcher = launcher_socket(),
        .output = -1,
        .report = -1,
        .watch = -1,
        .progress = -1,
        .warn_at = NEVER,
        .limit_at = NEVER,
        .kill_at = NEVER,
        .memory_at = NEVER,
        .progress_at = NEVER,
        .output_at = NEVER,
        .kill_again_ms = KILL_AGAIN_MS,
        .oom_kills_before = -1,
        .oom_kills = -1,
        .memory_peak_bytes = -1,
    };
    close_range(SHIM_SOCKET + 1, ~0U, 0);
    setsid(); /* started by hand it may be a leader already */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    umask(022);
    protect_from_oom();
    attempt_spec_init(&s.spec);

    struct err e = {0};
    int result;
    if (shim_prepare(&s, &e) < 0) {
        shim_tell(&s, &e);
        result = s.not_ours ? SHIM_NOT_OURS : SHIM_NOT_STARTED;
    } else {
        follow(&s);
        take_the_rest(&s);
        result = shim_record_end(&s);
    }
    job_log_close(s.log);
    attempt_spec_done(&s.spec);
    cgroup_done(&s.cgroup);
    free(s.result);
    return result;
}

int shim_program_main(char **argv)
{
    return shim_main(nursery_is_meant(argv) ? nursery_run(argv) : argv[2]);
}
