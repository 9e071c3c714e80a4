#include "store/writer.h"

#include "base/failpoint.h"
#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { WAITING_MOST = 2, RETRY_MS = 1000 };
#define WAITING_BYTES ((size_t)64 << 20)

struct writer {
    const struct store_ops *ops;
    struct store *store;
    struct writer_callbacks on;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;  /* a batch came, or stop */
    struct batch *waiting[WAITING_MOST];
    unsigned count;
    size_t bytes;
    bool stop;

    /* Read without the lock; written with it. */
    atomic_bool idle, has_room;

    /* The thread's own. */
    struct ledger_tail tail;
    int64_t seq;
};

static void note_state(struct writer *w, bool idle)
{
    atomic_store(&w->idle, idle);
    atomic_store(&w->has_room, w->count < WAITING_MOST && w->bytes < WAITING_BYTES);
}

/* The next batch, or NULL when all is done and we are to stop. */
static struct batch *take(struct writer *w)
{
    struct batch *b = NULL;
    pthread_mutex_lock(&w->lock);
    while (!w->count && !w->stop)
        pthread_cond_wait(&w->wake, &w->lock);
    if (w->count) {
        b = w->waiting[0];
        w->waiting[0] = w->waiting[1];
        w->count--;
        w->bytes -= b->bytes;
        note_state(w, false);
    }
    pthread_mutex_unlock(&w->lock);
    return b;
}

/* False: we were told to stop meanwhile. */
static bool wait_before_retry(struct writer *w)
{
    int64_t ms = w->on.retry_ms ? w->on.retry_ms : RETRY_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&w->lock);
    while (!w->stop && pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
        ;
    bool stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return !stop;
}

static int commit_once(struct writer *w, const struct batch *b, struct err *why)
{
    if (FAILPOINT("writer.before_commit"))
        return err_set(why, ERR_UNAVAILABLE, "could not commit: told to fail");
    if (FAILPOINT("writer.full"))
        return err_set(why, ERR_EXHAUSTED, "could not commit: told that the disk is full");
    return w->ops->commit(w->store, b, why);
}

/* Until it is written, or cannot be. */
static int commit(struct writer *w, const struct batch *b, struct err *why)
{
    bool full = false, last_try = false;
    for (;;) {
        if (commit_once(w, b, why) == 0) {
            if (full)
                w->on.on_full(w->on.arg, false, NULL);
            return 0;
        }
        if (why->code != ERR_EXHAUSTED || last_try)
            return -1;
        if (!full)
            w->on.on_full(w->on.arg, true, why);
        full = true;
        last_try = !wait_before_retry(w);
    }
}

static int write_batch(struct writer *w, struct batch *b, struct err *why)
{
    if (b->seq != w->seq + 1)
        return err_set(why, ERR_INTERNAL, "batch %lld was to follow batch %lld", (long long)b->seq,
                       (long long)w->seq);
    if (ledger_seal(&w->tail, b, why) < 0 || commit(w, b, why) < 0)
        return -1;
    w->seq = b->seq;
    if (FAILPOINT("writer.after_commit"))
        return err_set(why, ERR_UNAVAILABLE, "could not go on: told to fail");
    return 0;
}

static void *run(void *arg)
{
    struct writer *w = arg;
    bool broken = false;
    for (struct batch *b; (b = take(w));) {
        struct err why = {0};
        int64_t seq = b->seq;
        bool written = !broken && write_batch(w, b, &why) == 0;
        batch_free(b);
        /* Before the owner hears of it: it may ask at once whether we are idle. */
        pthread_mutex_lock(&w->lock);
        note_state(w, !w->count);
        pthread_mutex_unlock(&w->lock);
        if (written)
            w->on.on_durable(w->on.arg, seq);
        else if (!broken)
            w->on.on_broken(w->on.arg, &why);
        broken = !written;
    }
    return NULL;
}

int writer_start(const struct store_ops *ops, struct store *s, int64_t last_seq,
                 const struct ledger_tail *tail, const struct writer_callbacks *cb,
                 struct writer **ret, struct err *e)
{
    struct writer *w = mem_new(struct writer);
    *w = (struct writer){.ops = ops, .store = s, .on = *cb, .tail = *tail, .seq = last_seq};
    atomic_init(&w->idle, true);
    atomic_init(&w->has_room, true);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);

    int rc = pthread_create(&w->thread, NULL, run, w);
    if (rc) {
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return err_sys(e, rc, "could not start the writer thread");
    }
    pthread_setname_np(w->thread, "store-writer");
    *ret = w;
    return 0;
}

void writer_commit(struct writer *w, struct batch *b)
{
    pthread_mutex_lock(&w->lock);
    assert(w->count < WAITING_MOST); /* the caller asked writer_has_room() */
    w->waiting[w->count++] = b;
    w->bytes += b->bytes;
    note_state(w, false);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

bool writer_has_room(const struct writer *w)
{
    return atomic_load(&w->has_room);
}

bool writer_is_idle(const struct writer *w)
{
    return atomic_load(&w->idle);
}

void writer_stop(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
