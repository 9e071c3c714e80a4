#include "api/progress.h"

#include "base/mem.h"

#include <pthread.h>

/*
 * Slots by job id with nothing behind them: ids follow each other, so jobs that are open at the
 * same time rarely share a slot, and one that lost its slot gets it back with its next report.
 */
enum { SLOTS = 65536 };

struct slot {
    int64_t job;
    struct job_progress value; /* TOTAL 0: none */
    struct job_meter meter;    /* N 0: none */
};

struct progress {
    pthread_mutex_t lock; /* guards the slots; a leaf */
    uint64_t version;     /* atomic */
    struct slot slots[SLOTS];
};

struct progress *progress_new(void)
{
    struct progress *p = mem_new(struct progress);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void take_slot(struct slot *slot, int64_t job)
{
    if (slot->job != job)
        *slot = (struct slot){.job = job};
}

void progress_set(struct progress *p, int64_t job, const struct job_progress *value)
{
    struct slot *slot = &p->slots[(uint64_t)job % SLOTS];
    pthread_mutex_lock(&p->lock);
    take_slot(slot, job);
    slot->value = *value;
    pthread_mutex_unlock(&p->lock);
    __atomic_add_fetch(&p->version, 1, __ATOMIC_RELAXED);
}

bool progress_get(struct progress *p, int64_t job, struct job_progress *ret)
{
    const struct slot *slot = &p->slots[(uint64_t)job % SLOTS];
    pthread_mutex_lock(&p->lock);
    bool found = slot->job == job && slot->value.total > 0;
    if (found)
        *ret = slot->value;
    pthread_mutex_unlock(&p->lock);
    return found;
}

void progress_set_meter(struct progress *p, int64_t job, const struct job_meter *value)
{
    struct slot *slot = &p->slots[(uint64_t)job % SLOTS];
    pthread_mutex_lock(&p->lock);
    take_slot(slot, job);
    slot->meter = *value;
    pthread_mutex_unlock(&p->lock);
    __atomic_add_fetch(&p->version, 1, __ATOMIC_RELAXED);
}

bool progress_get_meter(struct progress *p, int64_t job, struct job_meter *ret)
{
    const struct slot *slot = &p->slots[(uint64_t)job % SLOTS];
    pthread_mutex_lock(&p->lock);
    bool found = slot->job == job && slot->meter.n;
    if (found)
        *ret = slot->meter;
    pthread_mutex_unlock(&p->lock);
    return found;
}

uint64_t progress_version(struct progress *p)
{
    return __atomic_load_n(&p->version, __ATOMIC_RELAXED);
}
