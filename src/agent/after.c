#include "agent/after.h"

#include "base/mem.h"

struct after {
    uv_timer_t timer;
    void (*fn)(void *arg);
    void *arg;
};

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void on_time(uv_timer_t *timer)
{
    struct after *a = timer->data;
    uv_close((uv_handle_t *)timer, on_closed);
    a->fn(a->arg);
}

struct after *after_start(uv_loop_t *loop, int64_t ms, void (*fn)(void *arg), void *arg)
{
    struct after *a = mem_new(struct after);
    a->fn = fn;
    a->arg = arg;
    a->timer.data = a;
    uv_timer_init(loop, &a->timer);
    uv_update_time(loop); /* the loop's own clock may be as old as its last turn */
    uv_timer_start(&a->timer, on_time, ms < 0 ? 0 : (uint64_t)ms, 0);
    return a;
}

void after_cancel(struct after *a)
{
    if (a)
        uv_close((uv_handle_t *)&a->timer, on_closed);
}
