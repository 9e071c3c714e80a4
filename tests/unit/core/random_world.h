/* A world in which things happen by chance, for properties that hold whatever happens. */
#ifndef UNIT_CORE_RANDOM_WORLD_H
#define UNIT_CORE_RANDOM_WORLD_H

#include "world.h"

static inline int64_t any_running(struct world *w, bool started)
{
    const struct fleet_view *v = seen(w);
    int64_t found[256];
    int n = 0;
    struct tree_walk k;
    for (bool more = tree_first(&k, &v->running, &v->tree_nodes, (struct tree_key){0, 0});
         more && n < 256; more = tree_next(&k)) {
        const struct job *j = fleet_job_at(v, k.value);
        if ((j->state == JOB_RUNNING) == started)
            found[n++] = j->id;
    }
    return n ? found[rand() % n] : 0;
}

static inline void hold_or_release_any(struct world *w)
{
    struct tree_walk k;
    const struct fleet_view *v = seen(w);
    if (!v->waiting.count)
        return;
    bool more = tree_first(&k, &v->waiting, &v->tree_nodes, (struct tree_key){0, 0});
    for (uint32_t skip = (uint32_t)rand() % v->waiting.count; more && skip; skip--)
        more = tree_next(&k);
    const struct job *j = fleet_job_at(v, k.value);
    CHECK_OK(j->hold ? release(w, j->id) : hold(w, j->id, "random"));
}

static inline void random_step(struct world *w)
{
    int64_t job;
    w->now_ms += rand() % 20000;
    switch (rand() % 11) {
    case 10:
        hold_or_release_any(w);
        break;
    case 0:
    case 1:
    case 2:
        submit(w, .user = 1 + rand() % 2, .gpus = 1 + rand() % 3, .no_gpu = rand() % 5 == 0,
               .gpu_memory_mib = rand() % 3 * 9000, .cpu_milli = rand() % 3 * 4000,
               .memory_mib = rand() % 2 * 30000, .retries = rand() % 4);
        break;
    case 3:
    case 4:
        if ((job = any_running(w, false)))
            CHECK_OK(start(w, job));
        break;
    case 5:
    case 6:
        if ((job = any_running(w, true)))
            CHECK_OK(finish(w, job, rand() % 3 ? OUTCOME_COMPLETED : OUTCOME_FAILED));
        break;
    case 7:
        if ((job = any_running(w, rand() % 2)))
            CHECK_OK(lose_and_pause(w, job, 30000));
        break;
    case 8: {
        struct event ev = {.kind = EVENT_ID_DEVICE_CHANGED,
                           .subject = 1 + rand() % seen(w)->device_count};
        ev.DEVICE_CHANGED.busy = rand() % 3 == 0;
        ev.DEVICE_CHANGED.health = rand() % 8 ? DEVICE_OK : DEVICE_FAULTY;
        ev.DEVICE_CHANGED.foreign = rand() % 4 == 0;
        ev.DEVICE_CHANGED.twin = rand() % 8 ? 0 : ev.subject == 1 ? 2 : 1;
        ev.DEVICE_CHANGED.free_mib = fleet_device(seen(w), ev.subject)->memory_mib;
        CHECK_OK(happen(w, ev));
        break;
    }
    default: {
        struct event ev = {.kind = EVENT_ID_NODE_CHANGED, .subject = 1 + rand() % 3};
        ev.NODE_CHANGED.busy = rand() % 3 == 0;
        CHECK_OK(happen(w, ev));
    }
    }
    wake_due(w);
    plan(w);
}

static inline void random_world(struct world *w, unsigned seed, int steps)
{
    world_begin(w);
    srand(seed);
    add_user(w, "alice");
    add_user(w, "bob");
    add_node(w, "a", 1, 10240);
    add_node(w, "b", 4, 10240);
    add_node(w, "c", 2, 40960);
    for (int i = 0; i < steps; i++)
        random_step(w);
}

#endif
