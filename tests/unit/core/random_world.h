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

/* A cluster's node: others come and go there, and what was sent begins and gets its devices. */
static inline void cluster_step(struct world *w)
{
    static const char *const labels[] = {"", "zone=a", "zone=a,disk=ssd"};
    static const char *const taints[] = {"", "team=x:NoSchedule", "nvidia.com/gpu:NoSchedule"};
    const struct fleet_view *v = seen(w);
    int64_t job = any_running(w, rand() % 2), devices[8];
    const struct job *j = job ? fleet_job(v, job) : NULL;
    const struct attempt *a = j ? fleet_job_attempt(v, j) : NULL;
    switch (rand() % 4) {
    case 0:
        share_node(w, 4, 4000 + rand() % 12000, rand() % 65536, rand() % 4,
                   rand() % 6 ? "" : "cordoned");
        return;
    case 1:
        label_node(w, 4, labels[rand() % 3]);
        taint_node(w, 4, taints[rand() % 3]);
        return;
    case 2:
        if (a && a->node == 4 && a->state != ATTEMPT_STARTED) {
            struct event ev = {.kind = EVENT_ID_ATTEMPT_SENT, .subject = job};
            ev.ATTEMPT_SENT.n = a->n;
            CHECK_OK(happen(w, ev));
            ev = (struct event){.kind = EVENT_ID_ATTEMPT_WAITS, .subject = job};
            ev.ATTEMPT_WAITS.n = fleet_job(v, job)->attempts;
            strcpy(ev.ATTEMPT_WAITS.why, "its image is pulled");
            CHECK_OK(happen(w, ev));
        }
        return;
    default:
        if (a && a->node == 4) {
            struct event_list list = {.count = j->gpus};
            for (int i = 0; i < j->gpus; i++)
                list.at[i] = devices[i] = 8 + (rand() % 2 ? i : rand() % 4);
            bool may = core_may_bind(v, a, &list);
            CHECK_INT(bind_devices(w, job, j->gpus, devices), may ? 0 : -1);
        }
    }
}

static inline void random_step(struct world *w)
{
    int64_t job;
    w->now_ms += rand() % 20000;
    switch (rand() % 14) {
    case 11:
    case 12:
    case 13:
        cluster_step(w);
        break;
    case 10:
        hold_or_release_any(w);
        break;
    case 0:
    case 1:
    case 2:
        submit(w, .user = 1 + rand() % 2, .gpus = 1 + rand() % 3, .no_gpu = rand() % 5 == 0,
               .gpu_memory_mib = rand() % 3 * 9000, .cpu_milli = rand() % 3 * 4000,
               .memory_mib = rand() % 2 * 30000, .retries = rand() % 4,
               .flags = rand() % 4 ? 0 : JOB_NEEDS_CLUSTER << rand() % 2,
               .selector = rand() % 6 ? "" : "zone=a", .tolerations = rand() % 6 ? "" : "team=x");
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
    add_cluster_node(w, "d", 4, 20480); /* devices 8 to 11 */
    for (int i = 0; i < steps; i++)
        random_step(w);
}

#endif
