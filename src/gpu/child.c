#include "gpu/child.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* How often the pulse shows that we wait within limits and do not hang. */
enum { BEAT_MS = 200 };

void child_output_done(struct child_output *o)
{
    text_done(&o->out);
    text_done(&o->err);
}

static _Noreturn void become(const char *const argv[], int out, int err, int failed)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    setenv("LC_ALL", "C", 1);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    int why = errno;
    ssize_t n = write(failed, &why, sizeof why);
    _exit(n < 0 ? 126 : 127);
}

/* Reads what is there; false at the end. */
static bool take(int fd, struct text *t)
{
    char buf[4096];
    ssize_t n = read(fd, buf, sizeof buf);
    if (n > 0)
        text_add_bytes(t, buf, (size_t)n);
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Until both ends are closed, time is up or it says too much. */
static int listen_to(int out, int err, int64_t deadline_ms, struct gpu_pulse *pulse,
                     struct child_output *ret, struct err *e)
{
    struct pollfd fds[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        int64_t left = deadline_ms - clock_mono_ms();
        if (left <= 0)
            return err_set(e, ERR_TIMEOUT, "it took too long");
        gpu_pulse_beat(pulse, -1, "a vendor's program");
        poll(fds, 2, left < BEAT_MS ? (int)left : BEAT_MS);
        if (fds[0].revents && !take(out, &ret->out))
            fds[0].fd = -1;
        if (fds[1].revents && !take(err, &ret->err))
            fds[1].fd = -1;
        if (ret->out.len > CHILD_MOST || ret->err.len > CHILD_MOST)
            return err_set(e, ERR_TOO_LARGE, "it says too much");
    }
    return 0;
}

/* Waits for it a little; one that sleeps in the kernel is left behind. */
static int reap(pid_t pid, int64_t deadline_ms, int *ret_status)
{
    int status = 0;
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid) {
            *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            return 0;
        }
        if ((got < 0 && errno != EINTR) || clock_mono_ms() >= deadline_ms)
            return -1;
        poll(NULL, 0, 2);
    }
}

int child_run(const char *const argv[], int64_t timeout_ms, struct gpu_pulse *pulse,
              struct child_output *ret, struct err *e)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, failed[2] = {-1, -1};
    text_clear(&ret->out);
    text_clear(&ret->err);
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(failed, O_CLOEXEC) < 0) {
        int why = errno;
        for (int i = 0; i < 2; i++) {
            closep(&out[i]);
            closep(&err[i]);
        }
        return err_sys(e, why, "could not run '%s'", argv[0]);
    }
    auto_close int out_r = out[0], err_r = err[0], failed_r = failed[0];

    pid_t pid = fork();
    if (pid == 0)
        become(argv, out[1], err[1], failed[1]);
    int why = errno;
    close(out[1]);
    close(err[1]);
    close(failed[1]);
    if (pid < 0)
        return err_sys(e, why, "could not run '%s'", argv[0]);

    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    bool not_run = read(failed_r, &why, sizeof why) == (ssize_t)sizeof why;
    int rc = not_run ? 0 : listen_to(out_r, err_r, deadline_ms, pulse, ret, e);
    if (rc < 0) {
        kill(pid, SIGKILL);
        deadline_ms = clock_mono_ms() + BEAT_MS;
    }
    int reaped = reap(pid, deadline_ms, &ret->status);
    if (not_run)
        return err_sys(e, why, "could not run '%s'", argv[0]);
    if (rc < 0)
        return err_wrap(e, "gave up on '%s'", argv[0]);
    if (reaped < 0) {
        kill(pid, SIGKILL);
        return err_set(e, ERR_TIMEOUT, "gave up on '%s': it does not end", argv[0]);
    }
    return 0;
}
