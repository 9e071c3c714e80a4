#include "agent/watch_fd.h"

#include "base/mem.h"

struct watch_fd {
    uv_poll_t poll;
    void (*on_readable)(void *arg);
    void *arg;
};

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch_fd *w = poll->data;
    (void)status, (void)events; /* an error is for whoever reads the descriptor to find */
    w->on_readable(w->arg);
}

struct watch_fd *watch_fd_start(uv_loop_t *loop, int fd, void (*on_readable)(void *arg), void *arg)
{
    struct watch_fd *w = mem_new(struct watch_fd);
    w->on_readable = on_readable;
    w->arg = arg;
    w->poll.data = w;
    if (uv_poll_init(loop, &w->poll, fd) < 0) {
        free(w);
        return NULL;
    }
    uv_poll_start(&w->poll, UV_READABLE | UV_DISCONNECT, on_poll);
    return w;
}

void watch_fd_stop(struct watch_fd *w)
{
    if (!w)
        return;
    uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, on_closed);
}
