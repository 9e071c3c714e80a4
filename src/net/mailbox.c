#include "net/mailbox.h"

#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>

struct message {
    void (*fn)(void *);
    void *arg;
};

struct batch {
    struct message *all;
    size_t count, room;
};

struct mailbox {
    uv_async_t wake;
    uv_mutex_t lock; /* a leaf: guards what follows, nothing else is locked or called under it */
    struct batch in;
    struct batch spare; /* memory of the batch run before: two of them take turns */
    size_t most;
    bool closed;
    atomic_int owners; /* the caller and the wake handle: the last one frees */
};

static void drop_owner(struct mailbox *m)
{
    if (atomic_fetch_sub(&m->owners, 1) != 1)
        return;
    uv_mutex_destroy(&m->lock);
    free(m->in.all);
    free(m->spare.all);
    free(m);
}

static void on_wake(uv_async_t *wake)
{
    struct mailbox *m = wake->data;
    /* One batch and no more: what these messages post waits for the next round of the loop, so that
     * sockets and timers get their turn. */
    struct batch batch;

    uv_mutex_lock(&m->lock);
    batch = m->in;
    m->in = m->spare;
    m->in.count = 0;
    m->spare = (struct batch){0};
    uv_mutex_unlock(&m->lock);

    for (size_t i = 0; i < batch.count; i++)
        batch.all[i].fn(batch.all[i].arg);

    uv_mutex_lock(&m->lock);
    struct batch old = m->spare;
    m->spare = batch;
    uv_mutex_unlock(&m->lock);
    free(old.all);
}

struct mailbox *mailbox_new(uv_loop_t *loop, size_t most)
{
    assert(most > 0);
    struct mailbox *m = mem_new(struct mailbox);
    m->most = most;
    atomic_init(&m->owners, 2);
    int rc = uv_mutex_init(&m->lock);
    assert(rc == 0);
    rc = uv_async_init(loop, &m->wake, on_wake);
    assert(rc == 0);
    m->wake.data = m;
    return m;
}

static bool post(struct mailbox *m, void (*fn)(void *), void *arg, bool bounded)
{
    uv_mutex_lock(&m->lock);
    struct batch *in = &m->in;
    if (m->closed || (bounded && in->count >= m->most)) {
        uv_mutex_unlock(&m->lock);
        return false;
    }
    if (in->count == in->room) {
        in->room = in->room ? 2 * in->room : 16;
        in->all = mem_resize_array(in->all, in->room);
    }
    bool was_empty = in->count == 0;
    in->all[in->count++] = (struct message){fn, arg};
    /* Under the lock, so that no close can come between the check above and this. */
    if (was_empty)
        uv_async_send(&m->wake);
    uv_mutex_unlock(&m->lock);
    return true;
}

bool mailbox_post(struct mailbox *m, void (*fn)(void *message), void *message)
{
    return post(m, fn, message, true);
}

bool mailbox_post_answer(struct mailbox *m, void (*fn)(void *message), void *message)
{
    return post(m, fn, message, false);
}

size_t mailbox_waiting(struct mailbox *m)
{
    uv_mutex_lock(&m->lock);
    size_t count = m->in.count;
    uv_mutex_unlock(&m->lock);
    return count;
}

void mailbox_hold_loop(struct mailbox *m, bool hold)
{
    if (hold)
        uv_ref((uv_handle_t *)&m->wake);
    else
        uv_unref((uv_handle_t *)&m->wake);
}

size_t mailbox_drain(struct mailbox *m)
{
    size_t count = 0;
    for (size_t n; (n = mailbox_waiting(m)) > 0; count += n)
        on_wake(&m->wake);
    return count;
}

static void on_closed(uv_handle_t *wake)
{
    drop_owner(wake->data);
}

void mailbox_close(struct mailbox *m)
{
    uv_mutex_lock(&m->lock);
    bool was_closed = m->closed;
    m->closed = true;
    uv_mutex_unlock(&m->lock);

    mailbox_drain(m);
    if (!was_closed)
        uv_close((uv_handle_t *)&m->wake, on_closed);
}

void mailbox_free(struct mailbox *m)
{
    if (!m)
        return;
    assert(m->closed);
    drop_owner(m);
}
