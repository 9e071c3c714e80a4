#include "node/launcher.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "node/nursery.h"
#include "node/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

void shim_process_done(struct shim_process *p)
{
    if (p->pidfd >= 0)
        close(p->pidfd);
    if (p->socket >= 0)
        close(p->socket);
    *p = SHIM_PROCESS_NONE;
}

char *shim_program(const char *program)
{
    static const char *const places[] = {"", "/../libexec/reeve", "/../node"};
    if (program)
        return mem_strdup(program);
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        auto_free char *path = mem_printf("%s%s/reeve-shim", file_program_folder(), places[i]);
        if (access(path, X_OK) == 0)
            return TAKE(path);
    }
    return mem_strdup("/proc/self/exe");
}

/* Ours, as sanitizers and test libraries are steered by it, and what its processes are found by.
 * None of it comes to the job. */
static char **shim_environment(const char *id)
{
    size_t count = list_count(environ), n = 0;
    char **env = mem_new_array(char *, count + 2);
    env[n++] = mem_printf("REEVE_ATTEMPT=%s", id);
    for (size_t i = 0; i < count; i++)
        if (!text_starts_with(environ[i], "REEVE_ATTEMPT="))
            env[n++] = mem_strdup(environ[i]);
    return env;
}

int shim_exec(const char *program, const char *word, const char *id, int their_end, pid_t *ret)
{
    /* dup2 onto itself would leave the descriptor to be closed at exec. */
    auto_close int high = fcntl(their_end, F_DUPFD_CLOEXEC, SHIM_SOCKET + 1);
    if (high < 0)
        return errno;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, high, SHIM_SOCKET);

    /* A SIGTERM that comes before the shim can handle it must wait, not end it. */
    sigset_t wait, usual;
    sigemptyset(&wait);
    sigaddset(&wait, SIGTERM);
    sigfillset(&usual);
    sigdelset(&usual, SIGKILL);
    sigdelset(&usual, SIGSTOP);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &wait);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    auto_free char *name = mem_strdup("reeve-agent");
    auto_free char *option = mem_strdup("--shim");
    auto_free char *where = mem_strdup(word);
    char **env = shim_environment(id);
    int why =
        posix_spawn(ret, program, &actions, &attr, (char *[]){name, option, where, NULL}, env);
    list_free(env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return why;
}

static int send_secrets(int fd, const struct attempt_spec *spec, struct err *e)
{
    if (!spec->secret_env || !spec->secret_env[0])
        return 0;
    auto_text struct text t = {0};
    for (char **v = spec->secret_env; *v; v++)
        text_add_bytes(&t, *v, strlen(*v) + 1);
    ssize_t n = send(fd, t.data, t.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    int why = errno;
    explicit_bzero(t.data, t.len);
    return n < 0 ? err_sys(e, why, "could not hand the job's secrets to its shim") : 0;
}

static const char *name_of(const char *folder)
{
    const char *slash = strrchr(folder, '/');
    return slash ? slash + 1 : folder;
}

static int refuse_if_known(const char *folder, struct err *e)
{
    auto_attempt_status struct attempt_status status = {0};
    if (attempt_state(folder, &status, e) < 0)
        return -1;
    if (status.state != ATTEMPT_NEVER_STARTED)
        return err_set(e, ERR_CONFLICT, "attempt '%s' is %s already", folder,
                       attempt_status_name(status.state));
    return 0;
}

int shim_start(const char *program, struct nursery *nursery, const char *folder,
               const struct attempt_spec *spec, struct shim_process *ret, struct err *e)
{
    if (folder[0] != '/' || !spec->name || strcmp(name_of(folder), spec->name) != 0)
        return err_set(e, ERR_INVALID, "folder '%s' is not that of attempt '%s'", folder,
                       spec->name ? spec->name : "");
    if (refuse_if_known(folder, e) < 0 || attempt_folder_make(folder, spec, e) < 0)
        return -1;
    if (FAILPOINT("launcher.before_spawn"))
        return err_set(e, ERR_UNAVAILABLE, "could not start a shim");

    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, errno, "could not make a socket for the shim");
    auto_close int ours = ends[0];
    auto_close int theirs = ends[1];
    fcntl(ours, F_SETFL, O_NONBLOCK);
    if (send_secrets(ours, spec, e) < 0)
        return -1;

    pid_t pid = nursery_fork(nursery, folder, spec->id, theirs);
    auto_free char *path = pid ? NULL : shim_program(program);
    int why = pid ? 0 : shim_exec(path, folder, spec->id, theirs, &pid);
    if (why)
        return err_sys(e, why, "could not start shim '%s'", path);
    (void)FAILPOINT("launcher.after_spawn");

    /* It is our child and not reaped, so the pid is still its own. */
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        why = errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return err_sys(e, why, "could not watch the shim");
    }
    *ret = (struct shim_process){.pid = pid, .pidfd = pidfd, .socket = take_fd(&ours)};
    return 0;
}

enum shim_news shim_news(struct shim_process *p, struct err *e)
{
    char text[1024];
    ssize_t n = p->socket < 0 ? 0 : recv(p->socket, text, sizeof text - 1, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return SHIM_PENDING;
    if (p->socket >= 0)
        close(take_fd(&p->socket));
    if (n <= 0) {
        err_set(e, ERR_UNAVAILABLE, "the shim ended before it said anything");
        return SHIM_FAILED;
    }

    text[n] = '\0';
    if (strcmp(text, "started") == 0)
        return SHIM_STARTED;
    int code, at = 0;
    if (sscanf(text, "failed %d %n", &code, &at) == 1 && at && code > ERR_NONE &&
        code < ERR_CODE_COUNT)
        err_set(e, (enum err_code)code, "%s", text + at);
    else
        err_set(e, ERR_INTERNAL, "the shim said something that makes no sense");
    return SHIM_FAILED;
}

int shim_adopt(const char *folder, struct shim_process *ret, struct err *e)
{
    pid_t pid = attempt_lock_holder(folder, e);
    if (pid < 0)
        return -1;
    if (pid == 0)
        return err_set(e, ERR_NOT_FOUND, "no shim has folder '%s'", folder);
    auto_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 && errno != ESRCH)
        return err_sys(e, errno, "could not watch the shim of folder '%s'", folder);
    /* It still holds the lock, so the pidfd, made before we asked, is of no one else. */
    if (fd < 0 || attempt_lock_holder(folder, e) != pid)
        return err_set(e, ERR_NOT_FOUND, "the shim of folder '%s' has just ended", folder);
    *ret = (struct shim_process){.pid = pid, .pidfd = take_fd(&fd), .socket = -1};
    return 0;
}

int shim_reap(struct shim_process *p)
{
    siginfo_t info = {0};
    if (p->pidfd < 0 || waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid == 0 || info.si_code != CLD_EXITED)
        return -1;
    return info.si_status;
}

int shim_cancel(const char *folder, const char *reason, struct err *e)
{
    if (attempt_cancel_write(folder, reason, e) < 0)
        return -1;
    (void)FAILPOINT("launcher.after_cancel_file");
    auto_shim_process struct shim_process p = SHIM_PROCESS_NONE;
    struct err why = {0};
    if (shim_adopt(folder, &p, &why) < 0) {
        if (why.code == ERR_NOT_FOUND)
            return 0; /* not yet there: it will find the file. Or ended */
        if (e)
            *e = why;
        return -1;
    }
    if (syscall(SYS_pidfd_send_signal, p.pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
        return err_sys(e, errno, "could not signal the shim of folder '%s'", folder);
    return 0;
}

/* What is known about an attempt whose files may be damaged. */
struct traces {
    char mark[64]; /* the variable that its processes carry; "" when unknown */
    struct cgroup cgroup;
    struct process_id job;
};

static void traces_find(const char *folder, const char *known_id,
                        const struct attempt_status *status, struct traces *ret)
{
    *ret = (struct traces){0};
    const char *id = status->has_started ? status->started.id : known_id;
    auto_attempt_spec struct attempt_spec spec;
    attempt_spec_init(&spec);
    if (!status->has_started) {
        auto_free char *path = mem_printf("%s/spec", folder);
        auto_free char *text = NULL;
        size_t len;
        if (file_read(path, ATTEMPT_SPEC_MOST, &text, &len, NULL) == 0 &&
            attempt_spec_parse(&spec, text, len, NULL) == 0)
            id = spec.id;
    }
    if (id && strlen(id) == ATTEMPT_ID_SIZE - 1)
        snprintf(ret->mark, sizeof ret->mark, "REEVE_ATTEMPT=%s", id);
    cgroup_open(status->has_started ? &status->started.cgroup : &spec.cgroup, name_of(folder),
                &ret->cgroup);
    if (status->has_started && status->same_boot)
        ret->job = status->started.job;
}

/* One round: SIGKILL to all that is found. Returns how many still run. */
static size_t kill_round(const struct traces *t, struct process_list *seen)
{
    struct process_list all;
    process_scan(&all);
    /* Its first process leads a session; who is still in it is found through it, as long as the
     * number is provably the old one. */
    struct process job;
    bool job_lives =
        t->job.pid && process_read(t->job.pid, &job) && job.id.start_ticks == t->job.start_ticks;
    size_t alive = 0;
    for (size_t i = 0; i < all.count; i++) {
        const struct process *p = &all.items[i];
        if (p->state == 'Z' || p->state == 'X' || p->id.pid == getpid())
            continue;
        bool is_its = job_lives && (p->id.pid == t->job.pid || p->session == t->job.pid);
        if (!is_its && !(t->mark[0] && process_has_variable(p->id.pid, t->mark)))
            continue;
        alive++;
        if (!process_list_has(seen, p->id.pid))
            process_list_add(seen, p);
        process_signal(&p->id, SIGKILL);
    }
    process_list_done(&all);
    return alive;
}

static void note_member(pid_t pid, void *arg)
{
    struct process_list *seen = arg;
    struct process p = {.id.pid = pid};
    if (!process_list_has(seen, pid))
        process_list_add(seen, &p);
}

int attempt_kill_leftovers(const char *folder, const char *known_id, int64_t timeout_ms,
                           size_t *ret_count, struct err *e)
{
    auto_attempt_status struct attempt_status status = {0};
    if (attempt_state(folder, &status, e) < 0)
        return -1;
    if (status.state == ATTEMPT_RUNNING)
        return err_set(e, ERR_CONFLICT, "attempt '%s' has a shim, so nothing is left over", folder);

    struct traces t;
    traces_find(folder, known_id, &status, &t);
    struct process_list seen = {0};
    int64_t end = clock_mono_ms() + timeout_ms;
    size_t alive;
    for (int wait_us = 1000;; wait_us = wait_us < 50000 ? wait_us * 2 : wait_us) {
        cgroup_each(&t.cgroup, note_member, &seen);
        alive = cgroup_kill(&t.cgroup);
        alive += kill_round(&t, &seen);
        if (!alive || clock_mono_ms() >= end)
            break;
        usleep((useconds_t)wait_us);
    }
    /* The kernel may need a moment to see that the last one has left. */
    for (int i = 0; !alive && !cgroup_remove(&t.cgroup) && i < 50; i++)
        usleep(2000);
    *ret_count = seen.count;
    process_list_done(&seen);
    cgroup_done(&t.cgroup);
    if (alive)
        return err_set(e, ERR_TIMEOUT, "%zu processes of attempt '%s' do not end", alive,
                       name_of(folder));
    return 0;
}

/* Sums over all below the shim. Its own count of reaped children has those whose parents died. */
static void sum_usage(pid_t shim, const struct process_list *all, struct attempt_usage *ret)
{
    struct process_list below = {.items = mem_dup(all->items, all->count * sizeof *all->items),
                                 .count = all->count,
                                 .room = all->count};
    uint64_t ticks = 0;
    int64_t bytes = 0;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].id.pid == shim)
            ticks += all->items[i].reaped_cpu_ticks;
    process_keep_descendants(&below, shim);
    for (size_t i = 0; i < below.count; i++) {
        ticks += below.items[i].cpu_ticks + below.items[i].reaped_cpu_ticks;
        bytes += process_own_bytes(below.items[i].id.pid);
    }
    process_list_done(&below);
    if (ret->memory_bytes < 0)
        ret->memory_bytes = bytes;
    if (ret->cpu_us < 0)
        ret->cpu_us = (int64_t)(ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

void attempt_usage_read(const struct attempt_status *status, const char *name,
                        const struct process_list *all, struct attempt_usage *ret)
{
    auto_cgroup struct cgroup c = {0};
    cgroup_open(&status->started.cgroup, name, &c);
    ret->memory_bytes = cgroup_memory_bytes(&c);
    ret->cpu_us = cgroup_cpu_us(&c);
    if (all && all->count && status->shim > 0 && (ret->memory_bytes < 0 || ret->cpu_us < 0))
        sum_usage(status->shim, all, ret);
}
