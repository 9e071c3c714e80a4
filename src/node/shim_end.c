/* How a job's processes are found and ended, and what is recorded of it. */
#include "node/shim.h"
#include "node/shim_private.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "node/result.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORD_TRIES 3

static void add_member(pid_t pid, void *arg)
{
    struct process_list *l = arg;
    struct process p;
    if (pid != getpid() && !process_list_has(l, pid) && process_read(pid, &p))
        process_list_add(l, &p);
}

/* Every process of the job: all that descend from us, since we are their subreaper, and all in its
 * group. Our own helpers and what is dead already are left out. */
static void find_all(const struct shim *s, struct process_list *ret)
{
    *ret = (struct process_list){0};
    if (!s->no_children) {
        process_scan(ret);
        process_keep_descendants(ret, getpid());
    }
    if (s->has_cgroup)
        cgroup_each(&s->cgroup, add_member, ret);
    size_t kept = 0;
    for (size_t i = 0; i < ret->count; i++)
        if (ret->items[i].id.pid != s->progress_helper && ret->items[i].state != 'Z')
            ret->items[kept++] = ret->items[i];
    ret->count = kept;
}

void shim_signal_all(struct shim *s, int signal)
{
    struct process_list all;
    find_all(s, &all);
    for (size_t i = 0; i < all.count; i++)
        process_signal(&all.items[i].id, signal);
    process_list_done(&all);
}

void shim_warn_all(struct shim *s)
{
    struct process_list all;
    find_all(s, &all);
    for (size_t i = 0; i < all.count; i++)
        s->warned |= process_signal_if_caught(&all.items[i].id, SIGUSR1);
    process_list_done(&all);
}

void shim_kill_all(struct shim *s)
{
    s->kill_sent = true;
    if (s->has_cgroup)
        cgroup_kill(&s->cgroup);
    /* Its group while the first process holds that number, be it as a zombie. */
    if (!s->job_ended)
        kill(-s->job, SIGKILL);
    shim_signal_all(s, SIGKILL);

    /* Whoever carries the id without descending from us, say by way of another service. */
    char mark[64];
    snprintf(mark, sizeof mark, "REEVE_ATTEMPT=%s", s->spec.id);
    struct process_list all;
    process_scan(&all);
    for (size_t i = 0; i < all.count; i++) {
        pid_t pid = all.items[i].id.pid;
        if (pid != getpid() && pid != s->progress_helper && process_has_variable(pid, mark))
            process_signal(&all.items[i].id, SIGKILL);
    }
    process_list_done(&all);
}

size_t shim_count_all(struct shim *s)
{
    struct process_list all;
    find_all(s, &all);
    size_t count = 0;
    for (size_t i = 0; i < all.count; i++)
        count += all.items[i].id.pid != s->job;
    process_list_done(&all);
    return count;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool shim_leave_group(struct shim *s)
{
    s->oom_kills = larger(s->oom_kills, cgroup_oom_kills(&s->cgroup));
    s->memory_peak_bytes = larger(s->memory_peak_bytes, cgroup_memory_peak_bytes(&s->cgroup));
    s->has_cgroup = !cgroup_remove(&s->cgroup);
    return !s->has_cgroup;
}

/* The exact share, which takes the kernel a walk over the process's pages. */
static int64_t share_bytes(pid_t pid)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    auto_free char *text = NULL;
    if (file_read(path, 16384, &text, NULL, NULL) < 0)
        return process_own_bytes(pid);
    const char *line = strstr(text, "\nPss_Anon:");
    return line ? strtoll(line + 10, NULL, 10) * 1024 : process_own_bytes(pid);
}

int64_t shim_memory_bytes(struct shim *s)
{
    struct process_list all;
    find_all(s, &all);
    int64_t sum = 0;
    for (size_t i = 0; i < all.count; i++)
        sum += process_own_bytes(all.items[i].id.pid);
    /* Workers forked from one process share pages that were counted for each of them. */
    if (sum > s->spec.limits.memory_bytes && all.count > 1) {
        sum = 0;
        for (size_t i = 0; i < all.count; i++)
            sum += share_bytes(all.items[i].id.pid);
    }
    process_list_done(&all);
    return sum;
}

/* "16.0 GiB" */
static char *bytes_text(int64_t bytes, char buf[32])
{
    const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    int64_t tenths = bytes > INT64_MAX / 10 ? INT64_MAX : bytes * 10;
    for (; tenths >= 10240 && unit < 4; unit++)
        tenths /= 1024;
    snprintf(buf, 32, "%lld.%lld %s", (long long)(tenths / 10), (long long)(tenths % 10),
             units[unit]);
    return buf;
}

static void say(struct attempt_exit *x, enum attempt_cause cause, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static void say(struct attempt_exit *x, enum attempt_cause cause, const char *fmt, ...)
{
    va_list args;
    x->cause = cause;
    va_start(args, fmt);
    vsnprintf(x->reason, sizeof x->reason, fmt, args);
    va_end(args);
}

/* It was ended by SIGKILL, and not by us. */
static void judge_kill(const struct shim *s, struct attempt_exit *x)
{
    char limit[32];
    auto_free char *vmstat = NULL;
    int64_t machine = -1;
    bool group_knows = x->oom_kills >= 0; /* also of kills for the machine's lack of memory */
    if (!group_knows && file_read("/proc/vmstat", 1 << 20, &vmstat, NULL, NULL) == 0)
        cgroup_parse_key(vmstat, "oom_kill", &machine);

    if (x->oom_kills > 0) {
        say(x, ATTEMPT_OUT_OF_MEMORY, "killed because it reached its memory limit of %s",
            bytes_text(s->spec.limits.memory_bytes, limit));
    } else if (machine > s->oom_kills_before && s->oom_kills_before >= 0) {
        say(x, ATTEMPT_OUT_OF_MEMORY,
            "killed, probably out of memory: the kernel ended processes for lack of memory "
            "while it ran");
    } else {
        say(x, ATTEMPT_SIGNALLED, "killed by SIGKILL, which Reeve did not send%s",
            machine < 0 && !group_knows ? "; perhaps out of memory" : "");
    }
}

static void judge(const struct shim *s, struct attempt_exit *x)
{
    char span[CLOCK_TEXT_SIZE], limit[32];
    switch (s->ending) {
    case ENDING_TIME_LIMIT:
        say(x, ATTEMPT_TIME_LIMIT, "ended because its time limit of %s was reached",
            clock_format_span(s->spec.time_limit_ms, span));
        return;
    case ENDING_CANCELLED:
        say(x, ATTEMPT_CANCELLED, "cancelled%s%s", s->why[0] ? ": " : "", s->why);
        return;
    case ENDING_SHUT_DOWN:
        say(x, ATTEMPT_SHUT_DOWN, "ended because the machine asked its shim to end");
        return;
    case ENDING_MEMORY:
        say(x, ATTEMPT_OUT_OF_MEMORY, "killed because it reached its memory limit of %s",
            bytes_text(s->spec.limits.memory_bytes, limit));
        return;
    case ENDING_NOT:
        break;
    }
    if (s->start_failed) {
        x->status = -1;
        x->cause = ATTEMPT_START_FAILED;
        job_child_explain(&s->failure, &s->spec, x->reason, sizeof x->reason);
    } else if (x->signal == SIGKILL) {
        judge_kill(s, x);
    } else if (x->signal) {
        say(x, ATTEMPT_SIGNALLED, "ended by signal %d (%s)", x->signal, strsignal(x->signal));
    } else if (x->status && x->oom_kills > 0) {
        say(x, ATTEMPT_OUT_OF_MEMORY,
            "exited with status %d after the kernel had killed %lld of its processes at its "
            "memory limit of %s",
            x->status, (long long)x->oom_kills, bytes_text(s->spec.limits.memory_bytes, limit));
    } else {
        say(x, ATTEMPT_EXITED, "exited with status %d", x->status);
    }
}

static void say_limits(const struct shim *s, char *ret, size_t room)
{
    const struct cgroup_limits *l = &s->spec.limits;
    unsigned by = s->cgroup.limited;
    const char *memory = by & CGROUP_MEMORY ? "cgroup" : l->memory_bytes ? "supervised" : "none";
    const char *cpu = by & CGROUP_CPU ? "cgroup" : "none";
    const char *pids = "none";
    if (by & CGROUP_PIDS)
        pids = "cgroup";
    else if (l->pids && s->spec.has_account && geteuid() == 0)
        pids = "rlimit";
    snprintf(ret, room, "memory=%s cpu=%s pids=%s", memory, cpu, pids);
}

static void fill(struct shim *s, struct attempt_exit *x)
{
    memcpy(x->id, s->spec.id, sizeof x->id);
    x->status = WIFEXITED(s->wait_status) ? WEXITSTATUS(s->wait_status) : -1;
    x->signal = WIFSIGNALED(s->wait_status) ? WTERMSIG(s->wait_status) : 0;
    x->core_dumped = WIFSIGNALED(s->wait_status) && WCOREDUMP(s->wait_status);
    x->warned = s->warned;
    x->left = s->left;
    x->start_ms = s->wall_start_ms;
    x->run_ms = s->end_ms - s->start_ms;
    x->end_ms = s->wall_start_ms + x->run_ms;
    x->oom_kills = s->oom_kills;
    x->memory_peak_bytes = s->memory_peak_bytes;

    struct rusage use;
    getrusage(RUSAGE_CHILDREN, &use);
    x->user_us = (int64_t)use.ru_utime.tv_sec * 1000000 + use.ru_utime.tv_usec;
    x->system_us = (int64_t)use.ru_stime.tv_sec * 1000000 + use.ru_stime.tv_usec;
    x->max_rss_bytes = (int64_t)use.ru_maxrss * 1024;

    judge(s, x);
    x->out_of_memory = x->cause == ATTEMPT_OUT_OF_MEMORY || x->oom_kills > 0;
    size_t len = strlen(x->reason);
    if (x->left && len < sizeof x->reason)
        snprintf(x->reason + len, sizeof x->reason - len,
                 "; %lld process%s it left behind %s ended", (long long)x->left,
                 x->left == 1 ? "" : "es", x->left == 1 ? "was" : "were");
    if (x->cause != ATTEMPT_EXITED || x->left)
        job_log_note(s->log, x->reason);
    job_log_sync(s->log);
    x->log_bytes = job_log_length(s->log);
    x->log_dropped_bytes = job_log_dropped(s->log);
    say_limits(s, x->limits, sizeof x->limits);
    if (s->result)
        snprintf(x->result, sizeof x->result, "%s", s->result);
}

/* Where the agent finds what is left. It is told, not relied on: so it is not synced. */
static int open_description(const struct shim *s)
{
    auto_free char *path = mem_printf("%s/results", s->folder);
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/*
 * For later readers. The shim has nothing else to do any more, so it becomes the job's account
 * itself, with nothing open that is not the job's but the file for what it finds. A dead network
 * volume costs a second, since an alarm ends even who waits for it, and not the exit record, which
 * is durable.
 */
static void leave_outcome(struct shim *s, const struct attempt_exit *x)
{
    if (!s->result)
        return;
    auto_free char *text = result_outcome(&s->spec, x);
    auto_text struct text description = {0};
    int out = open_description(s);
    job_log_close(TAKE(s->log));
    if (out >= 0)
        dup2(out, SHIM_SOCKET);
    close_range(out < 0 ? SHIM_SOCKET : SHIM_SOCKET + 1, ~0U, 0);
    alarm(1);
    if (job_become(&s->spec) == 0) {
        result_write_file(s->result, "outcome.json", text, strlen(text), NULL);
        result_describe(s->result, &description);
        if (out >= 0)
            file_write_all(SHIM_SOCKET, text_get(&description), description.len, NULL);
    }
    alarm(0);
}

int shim_record_end(struct shim *s)
{
    struct attempt_exit x = {0};
    for (int i = 0; s->has_cgroup && !shim_leave_group(s) && i < 5; i++)
        usleep(2000);
    fill(s, &x);

    useconds_t wait_us = 100000;
    for (int tries = 0; tries < RECORD_TRIES; wait_us = 1000000 - 1) {
        struct err e = {0};
        if (!FAILPOINT("shim.before_exit") && attempt_exit_write(s->lock, &x, &e) == 0) {
            (void)FAILPOINT("shim.after_exit");
            leave_outcome(s, &x);
            return SHIM_OK;
        }
        /* On a full disk wait for as long as it takes: the lock says that somebody still knows. */
        tries += e.code != ERR_EXHAUSTED;
        usleep(wait_us);
    }
    return SHIM_NO_RECORD;
}
