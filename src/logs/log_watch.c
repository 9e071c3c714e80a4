#include "logs/log_watch.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BUCKETS = 256 };

struct log_watch {
    struct log_watchers *of;
    struct log_ref ref;
    log_on_change on_change;
    void *arg;
    struct log_watch *next;
};

struct log_watchers {
    atomic_int count; /* so that an append that nobody watches takes no lock */
    pthread_mutex_t lock;
    struct log_watch *buckets[BUCKETS];
};

static struct log_watch **bucket_of(struct log_watchers *w, struct log_ref ref)
{
    uint64_t hash = ((uint64_t)ref.job * 31 + (uint64_t)ref.n) * 0x9e3779b97f4a7c15u;
    return &w->buckets[hash >> 56];
}

struct log_watchers *log_watchers_new(void)
{
    struct log_watchers *w = mem_new(struct log_watchers);
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void log_watchers_free(struct log_watchers *w)
{
    if (!w)
        return;
    pthread_mutex_destroy(&w->lock);
    free(w);
}

struct log_watch *log_watchers_add(struct log_watchers *w, struct log_ref ref,
                                   log_on_change on_change, void *arg)
{
    struct log_watch *watch = mem_new(struct log_watch);
    *watch = (struct log_watch){.of = w, .ref = ref, .on_change = on_change, .arg = arg};
    pthread_mutex_lock(&w->lock);
    struct log_watch **bucket = bucket_of(w, ref);
    watch->next = *bucket;
    *bucket = watch;
    atomic_fetch_add(&w->count, 1);
    pthread_mutex_unlock(&w->lock);
    return watch;
}

void log_watchers_remove(struct log_watch *watch)
{
    if (!watch)
        return;
    struct log_watchers *w = watch->of;
    pthread_mutex_lock(&w->lock);
    struct log_watch **at = bucket_of(w, watch->ref);
    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
    atomic_fetch_sub(&w->count, 1);
    pthread_mutex_unlock(&w->lock);
    free(watch);
}

void log_watchers_tell(struct log_watchers *w, struct log_ref ref)
{
    /* Who was added before the change became visible is seen here: adding comes before reading. */
    if (!atomic_load(&w->count))
        return;
    pthread_mutex_lock(&w->lock);
    for (struct log_watch *watch = *bucket_of(w, ref); watch; watch = watch->next)
        if (watch->ref.job == ref.job && watch->ref.n == ref.n)
            watch->on_change(watch->arg);
    pthread_mutex_unlock(&w->lock);
}
