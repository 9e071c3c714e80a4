#include "engine/meters.h"

#include "base/mem.h"

/* Open addressing by job number; at most half full, so that looks are short. */
struct meters {
    struct meter_report *slots; /* JOB 0: empty */
    size_t count, room;         /* ROOM is a power of two */
};

struct meters *meters_new(void)
{
    struct meters *m = mem_new(struct meters);
    m->room = 64;
    m->slots = mem_new_array(struct meter_report, m->room);
    return m;
}

void meters_free(struct meters *m)
{
    if (!m)
        return;
    free(m->slots);
    free(m);
}

/* Where JOB is, or would be. */
static struct meter_report *slot_of(const struct meters *m, int64_t job)
{
    size_t at = (size_t)job & (m->room - 1);
    while (m->slots[at].job && m->slots[at].job != job)
        at = (at + 1) & (m->room - 1);
    return &m->slots[at];
}

static void grow(struct meters *m)
{
    struct meters larger = {.room = 2 * m->room, .count = m->count};
    larger.slots = mem_new_array(struct meter_report, larger.room);
    for (size_t i = 0; i < m->room; i++)
        if (m->slots[i].job)
            *slot_of(&larger, m->slots[i].job) = m->slots[i];
    free(m->slots);
    *m = larger;
}

void meters_set(struct meters *m, const struct meter_report *r)
{
    struct meter_report *slot = slot_of(m, r->job);
    m->count += !slot->job;
    *slot = *r;
    if (2 * m->count > m->room)
        grow(m);
}

bool meters_find(const struct meters *m, int64_t job, int64_t n, struct meter_report *ret)
{
    const struct meter_report *slot = slot_of(m, job);
    if (slot->job != job || slot->n != n)
        return false;
    *ret = *slot;
    return true;
}

void meters_drop(struct meters *m, int64_t job)
{
    struct meter_report *slot = slot_of(m, job);
    if (!slot->job)
        return;
    *slot = (struct meter_report){0};
    m->count--;
    /* Those behind it, up to the next gap, may have come here only because it was taken. */
    size_t at = (size_t)(slot - m->slots);
    while (m->slots[at = (at + 1) & (m->room - 1)].job) {
        struct meter_report moved = m->slots[at];
        m->slots[at] = (struct meter_report){0};
        *slot_of(m, moved.job) = moved;
    }
}
