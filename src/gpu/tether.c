#include "gpu/tether.h"

#include "base/mem.h"
#include "base/text.h"
#include "gpu/helper.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

enum { LET_GO_MS = 2000 };

struct tether {
    struct tether_callbacks cb;
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t let_go;
    struct gpu_pulse *pulse;
    struct text in;
    bool cut, exited;
    int handles; /* still open */
};

static void on_closed(uv_handle_t *handle)
{
    struct tether *t = handle->data;
    if (--t->handles)
        return;
    munmap(t->pulse, sizeof *t->pulse);
    text_done(&t->in);
    if (t->cb.on_gone)
        t->cb.on_gone(t->cb.arg);
    free(t);
}

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void end(struct tether *t, const char *why)
{
    if (!t->cut && t->cb.on_end) {
        void (*on_end)(void *, const char *) = t->cb.on_end;
        t->cb.on_end = NULL;
        on_end(t->cb.arg, why);
    }
}

static void on_exited(uv_process_t *process, int64_t status, int signal)
{
    struct tether *t = process->data;
    t->exited = true;
    close_handle(&t->process);
    if (t->cut) {
        close_handle(&t->let_go);
        return;
    }
    char why[80];
    if (signal)
        snprintf(why, sizeof why, "the GPU helper was ended by signal %d", signal);
    else
        snprintf(why, sizeof why, "the GPU helper ended with status %d", (int)status);
    end(t, why);
}

/* Every whole frame in what has come; false: it breaks the rules. */
static bool take_frames(struct tether *t)
{
    size_t at = 0;
    struct wire_head head;
    while (!t->cut && t->in.len - at >= sizeof head) {
        memcpy(&head, t->in.data + at, sizeof head);
        if (head.version != WIRE_VERSION || head.length > WIRE_MOST - sizeof head)
            return false;
        if (t->in.len - at < sizeof head + head.length)
            break;
        /* Structures in the body want to begin where any type may. */
        auto_free void *body = mem_dup(t->in.data + at + sizeof head, head.length);
        at += sizeof head + head.length;
        t->cb.on_frame(t->cb.arg, &head, body);
    }
    memmove(t->in.data, t->in.data + at, t->in.len - at);
    t->in.len -= at;
    return true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct tether *t = handle->data;
    (void)suggested;
    text_reserve(&t->in, 16 << 10);
    *buf = uv_buf_init(t->in.data + t->in.len, (unsigned)(t->in.room - t->in.len - 1));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct tether *t = stream->data;
    (void)buf;
    if (len > 0) {
        t->in.len += (size_t)len;
        if (!take_frames(t))
            end(t, "the GPU helper speaks another language");
    } else if (len < 0) {
        /* Its exit status says more and is on its way. */
        uv_read_stop(stream);
    }
}

static int make_pulse(struct gpu_pulse **ret, int *ret_fd, struct err *e)
{
    auto_close int fd = memfd_create("reeve-gpu-pulse", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(struct gpu_pulse)) < 0)
        return err_sys(e, errno, "could not make memory to share with the GPU helper");
    void *p = mmap(NULL, sizeof(struct gpu_pulse), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return err_sys(e, errno, "could not map memory to share with the GPU helper");
    *ret = p;
    gpu_pulse_beat(p, -1, "the GPU helper"); /* until it says itself */
    *ret_fd = take_fd(&fd);
    return 0;
}

static int spawn(uv_loop_t *loop, struct tether *t, const char *program, int pulse_fd)
{
    char *const args[] = {(char *)(uintptr_t)(program ? program : "/proc/self/exe"),
                          (char *)(uintptr_t)GPU_HELPER_ARG, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        [WIRE_FD] = {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
                     .data.stream = (uv_stream_t *)&t->pipe},
        [WIRE_PULSE_FD] = {.flags = UV_INHERIT_FD, .data.fd = pulse_fd},
    };
    uv_process_options_t options = {
        .file = args[0],
        .args = (char **)(uintptr_t)args,
        .exit_cb = on_exited,
        .stdio = stdio,
        .stdio_count = COUNT_OF(stdio),
    };
    return uv_spawn(loop, &t->process, &options);
}

struct tether *tether_start(uv_loop_t *loop, const char *program,
                            const struct tether_callbacks *callbacks, struct err *e)
{
    auto_close int pulse_fd = -1;
    struct gpu_pulse *pulse = NULL;
    if (make_pulse(&pulse, &pulse_fd, e) < 0)
        return NULL;

    struct tether *t = mem_new(struct tether);
    t->cb = *callbacks;
    t->pulse = pulse;
    t->process.data = t->pipe.data = t->let_go.data = t;
    uv_pipe_init(loop, &t->pipe, 0);
    uv_timer_init(loop, &t->let_go);
    t->handles = 3;
    int rc = spawn(loop, t, program, pulse_fd);
    if (rc < 0) {
        err_set(e, ERR_UNAVAILABLE, "could not start the GPU helper '%s': %s",
                program ? program : "/proc/self/exe", uv_strerror(rc));
        t->cut = true;
        t->cb.on_gone = NULL; /* it never was */
        close_handle(&t->process);
        close_handle(&t->pipe);
        close_handle(&t->let_go);
        return NULL;
    }
    uv_read_start((uv_stream_t *)&t->pipe, on_alloc, on_read);
    return t;
}

int tether_send(struct tether *t, enum wire_type type, const void *body, size_t len, struct err *e)
{
    struct wire_head head = {(uint32_t)len, (uint16_t)type, WIRE_VERSION};
    uv_buf_t parts[] = {uv_buf_init((char *)&head, sizeof head),
                        uv_buf_init((char *)(uintptr_t)body, (unsigned)len)};
    int n = uv_try_write((uv_stream_t *)&t->pipe, parts, 2);
    if (n != (int)(sizeof head + len))
        return err_set(e, ERR_UNAVAILABLE, "could not speak to the GPU helper: %s",
                       n < 0 ? uv_strerror(n) : "it does not listen");
    return 0;
}

struct gpu_pulse *tether_pulse(struct tether *t)
{
    return t->pulse;
}

int tether_pid(const struct tether *t)
{
    return t->exited ? 0 : t->process.pid;
}

static void on_let_go(uv_timer_t *timer)
{
    struct tether *t = timer->data;
    uv_unref((uv_handle_t *)&t->process);
    uv_unref((uv_handle_t *)timer);
}

void tether_cut(struct tether *t)
{
    t->cut = true;
    close_handle(&t->pipe);
    if (t->exited) {
        close_handle(&t->let_go);
        return;
    }
    uv_process_kill(&t->process, SIGKILL);
    uv_timer_start(&t->let_go, on_let_go, LET_GO_MS, 0);
}
