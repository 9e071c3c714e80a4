/* A small world for tests: events are made as the engine makes them, rows go into a list. */
#ifndef UNIT_CORE_WORLD_H
#define UNIT_CORE_WORLD_H

#include "base/mem.h"
#include "core/core.h"
#include "core/fleet/where.h"
#include "core/queue/queue.h"
#include "test.h"

struct world {
    struct core core;
    int64_t now_ms;
    struct event *log; /* everything applied */
    size_t count, room;
    struct batch *batch;
};

static inline const struct fleet_view *seen(struct world *w)
{
    return &w->core.fleet->view;
}

static inline int happen(struct world *w, struct event ev)
{
    ev.seq = seen(w)->last_seq + 1;
    ev.time_ms = w->now_ms;
    if (core_apply(&w->core, &ev, w->batch, &test_err) < 0)
        return -1;
    if (w->count == w->room) {
        w->room = w->room ? 2 * w->room : 64;
        w->log = mem_resize_array(w->log, w->room);
    }
    w->log[w->count++] = ev;
    return 0;
}

static inline void world_begin(struct world *w)
{
    *w = (struct world){.now_ms = 1700000000000, .batch = batch_new()};
    core_init(&w->core);
    struct event ev = {.kind = EVENT_ID_STORE_CREATED};
    strcpy(ev.STORE_CREATED.incarnation, "aaaa");
    strcpy(ev.STORE_CREATED.site, "test");
    CHECK_OK(happen(w, ev));
    ev = (struct event){.kind = EVENT_ID_POLICY_SET};
    ev.POLICY_SET.version = 1;
    ev.POLICY_SET.gpu_hour_micros = 300000;
    ev.POLICY_SET.kwh_micros = 150000;
    ev.POLICY_SET.pue_milli = 1000;
    CHECK_OK(happen(w, ev));
    ev = (struct event){.kind = EVENT_ID_EPOCH_BEGAN};
    ev.EPOCH_BEGAN.epoch = 1;
    CHECK_OK(happen(w, ev));
}

static inline void world_end(struct world *w)
{
    core_done(&w->core);
    batch_free(w->batch);
    free(w->log);
}

static inline int64_t add_user(struct world *w, const char *name)
{
    struct event ev = {.kind = EVENT_ID_PRINCIPAL_ADDED, .subject = seen(w)->principal_count + 1};
    strcpy(ev.PRINCIPAL_ADDED.name, name);
    ev.PRINCIPAL_ADDED.role = 2;
    CHECK_OK(happen(w, ev));
    return ev.subject;
}

static inline void hello(struct world *w, int64_t node)
{
    struct event ev = {.kind = EVENT_ID_NODE_HELLO, .subject = node};
    strcpy(ev.NODE_HELLO.boot_id, "boot");
    strcpy(ev.NODE_HELLO.data_id, "data");
    ev.NODE_HELLO.cpu_milli = 16000;
    ev.NODE_HELLO.memory_mib = 65536;
    ev.NODE_HELLO.isolation = ISOLATION_SHARED;
    CHECK_OK(happen(w, ev));
}

static inline int64_t add_node(struct world *w, const char *name, int devices, int64_t memory_mib)
{
    struct event ev = {.kind = EVENT_ID_NODE_ENROLLED, .subject = seen(w)->node_count + 1};
    strcpy(ev.NODE_ENROLLED.name, name);
    CHECK_OK(happen(w, ev));
    int64_t node = ev.subject;
    hello(w, node);
    for (int i = 0; i < devices; i++) {
        ev = (struct event){.kind = EVENT_ID_DEVICE_SEEN, .subject = seen(w)->device_count + 1};
        ev.DEVICE_SEEN.node = node;
        ev.DEVICE_SEEN.number = i;
        ev.DEVICE_SEEN.memory_mib = memory_mib;
        snprintf(ev.DEVICE_SEEN.uuid, EVENT_TEXT, "GPU-%s-%d", name, i);
        CHECK_OK(happen(w, ev));
    }
    return node;
}

/* A node of a cluster, as the engine finds one: its devices are counted ones. */
static inline int64_t add_cluster_node(struct world *w, const char *name, int devices,
                                       int64_t memory_mib)
{
    struct event ev = {.kind = EVENT_ID_NODE_ENROLLED, .subject = seen(w)->node_count + 1};
    strcpy(ev.NODE_ENROLLED.name, name);
    strcpy(ev.NODE_ENROLLED.cluster, "kube");
    CHECK_OK(happen(w, ev));
    int64_t node = ev.subject;
    hello(w, node);
    for (int i = 0; i < devices; i++) {
        ev = (struct event){.kind = EVENT_ID_DEVICE_SEEN, .subject = seen(w)->device_count + 1};
        ev.DEVICE_SEEN.node = node;
        ev.DEVICE_SEEN.number = i;
        ev.DEVICE_SEEN.memory_mib = memory_mib;
        snprintf(ev.DEVICE_SEEN.uuid, EVENT_TEXT, "%s/nvidia.com/gpu/%d", name, i);
        CHECK_OK(happen(w, ev));
    }
    return node;
}

/* LABELS "a=b,c=d" are all that it has. */
static inline void label_node(struct world *w, int64_t node, const char *labels)
{
    struct event ev = {.kind = EVENT_ID_NODE_LABELS, .subject = node};
    struct event_list *list = &ev.NODE_LABELS.labels;
    for (const char *at = labels; *at;) {
        size_t len = strcspn(at, ",");
        list->at[list->count++] = where_hash(at, len);
        at += len + (at[len] == ',');
    }
    CHECK_OK(happen(w, ev));
}

/* TAINT is the only one; "": none. */
static inline void taint_node(struct world *w, int64_t node, const char *taint)
{
    struct event ev = {.kind = EVENT_ID_NODE_TAINT, .subject = node};
    event_set_text(ev.NODE_TAINT.taint, taint);
    if (*taint)
        ev.NODE_TAINT.forms.count = (int64_t)taint_forms(taint, ev.NODE_TAINT.forms.at);
    CHECK_OK(happen(w, ev));
}

static inline void share_node(struct world *w, int64_t node, int64_t cpu_milli, int64_t memory_mib,
                              int64_t foreign_gpus, const char *why)
{
    struct event ev = {.kind = EVENT_ID_NODE_SHARE, .subject = node};
    ev.NODE_SHARE.cpu_milli = cpu_milli;
    ev.NODE_SHARE.memory_mib = memory_mib;
    ev.NODE_SHARE.foreign_gpus = foreign_gpus;
    ev.NODE_SHARE.cordoned = strcmp(why, "cordoned") == 0;
    event_set_text(ev.NODE_SHARE.why, why);
    CHECK_OK(happen(w, ev));
}

static inline int bind_devices(struct world *w, int64_t job, int64_t count, const int64_t *devices)
{
    struct event ev = {.kind = EVENT_ID_ATTEMPT_BOUND, .subject = job};
    ev.ATTEMPT_BOUND.n = fleet_job(seen(w), job)->attempts;
    ev.ATTEMPT_BOUND.devices.count = count;
    memcpy(ev.ATTEMPT_BOUND.devices.at, devices, (size_t)count * sizeof *devices);
    return happen(w, ev);
}

struct wish {
    int64_t user, gpus, gpu_memory_mib, /* GPUS 0: one, unless NO_GPU */
        no_gpu, cpu_milli, memory_mib, retries, flags;
    const char *selector, *tolerations;
};
#define submit(w, ...) submit_(w, (struct wish){__VA_ARGS__})
static inline int64_t submit_(struct world *w, struct wish s)
{
    struct event ev = {.kind = EVENT_ID_JOB_SUBMITTED, .subject = seen(w)->next_job};
    ev.JOB_SUBMITTED.principal = ev.JOB_SUBMITTED.submitter = s.user;
    ev.JOB_SUBMITTED.gpus = s.no_gpu ? 0 : s.gpus ? s.gpus : 1;
    ev.JOB_SUBMITTED.gpu_memory_mib = s.gpu_memory_mib;
    ev.JOB_SUBMITTED.cpu_milli = s.cpu_milli;
    ev.JOB_SUBMITTED.memory_mib = s.memory_mib ? s.memory_mib : JOB_DEFAULT_MEMORY_MIB;
    ev.JOB_SUBMITTED.retries = s.retries;
    ev.JOB_SUBMITTED.flags = s.flags | (s.memory_mib ? 0 : JOB_MEMORY_DEFAULT);
    event_set_text(ev.JOB_SUBMITTED.selector, s.selector);
    event_set_text(ev.JOB_SUBMITTED.tolerations, s.tolerations);
    CHECK_OK(happen(w, ev));
    struct job_row row;
    core_job_record(&w->log[w->count - 1], "name", "{}", &row);
    batch_put(w->batch, TABLE_ID_JOB, &row);
    return ev.subject;
}

/* Plans and decides, as the engine's tick does. Returns how many jobs were given a place. */
static inline size_t plan(struct world *w)
{
    size_t given = 0;
    while (plan_is_due(seen(w))) {
        struct event ev;
        core_plan(&w->core, w->now_ms, PLAN_VERSION, &ev);
        CHECK_OK(happen(w, ev));
        for (size_t i = 0; i < w->core.plan.decision_count; i++, given++) {
            const struct decision *d = &w->core.plan.decisions[i];
            struct event decided = {.kind = EVENT_ID_ATTEMPT_DECIDED, .subject = d->job};
            decided.ATTEMPT_DECIDED.n = fleet_job(seen(w), d->job)->attempts + 1;
            decided.ATTEMPT_DECIDED.node = d->node;
            decided.ATTEMPT_DECIDED.devices.count = d->devices.count;
            memcpy(decided.ATTEMPT_DECIDED.devices.at, d->devices.at, sizeof d->devices.at);
            CHECK_OK(happen(w, decided));
        }
        if (!w->core.plan.more)
            break;
    }
    return given;
}

static inline int start(struct world *w, int64_t job)
{
    struct event ev = {.kind = EVENT_ID_ATTEMPT_STARTED, .subject = job};
    ev.ATTEMPT_STARTED.n = fleet_job(seen(w), job)->attempts;
    return happen(w, ev);
}

static inline int finish(struct world *w, int64_t job, enum attempt_outcome outcome)
{
    struct event ev = {.kind = EVENT_ID_ATTEMPT_ENDED, .subject = job};
    ev.ATTEMPT_ENDED.n = fleet_job(seen(w), job)->attempts;
    ev.ATTEMPT_ENDED.outcome = outcome;
    ev.ATTEMPT_ENDED.run_ms = 1000;
    ev.ATTEMPT_ENDED.energy_mj = 100001;
    return happen(w, ev);
}

/* As the engine does it, where --retry-pause is FIRST_MS. */
static inline int lose_and_pause(struct world *w, int64_t job, int64_t first_ms)
{
    const struct job *j = fleet_job(seen(w), job);
    struct event ev = {.kind = EVENT_ID_ATTEMPT_LOST, .subject = job};
    ev.ATTEMPT_LOST.n = j->attempts;
    ev.ATTEMPT_LOST.pause_ms = queue_pause_ms(j, first_ms);
    return happen(w, ev);
}

static inline int hold(struct world *w, int64_t job, const char *why)
{
    struct event ev = {.kind = EVENT_ID_JOB_HELD, .subject = job, .actor = 1};
    event_set_text(ev.JOB_HELD.why, why);
    return happen(w, ev);
}

static inline int release(struct world *w, int64_t job)
{
    return happen(w, (struct event){.kind = EVENT_ID_JOB_RELEASED, .subject = job, .actor = 1});
}

static inline int lose(struct world *w, int64_t job)
{
    return lose_and_pause(w, job, 0);
}

/* Who has paused for long enough may be planned again. */
static inline void wake_due(struct world *w)
{
    const struct job *j;
    int64_t due;
    while ((due = fleet_next_due(seen(w), &j)) && due <= w->now_ms)
        CHECK_OK(happen(w, (struct event){.kind = EVENT_ID_JOB_DUE, .subject = j->id}));
}

static inline int state_of(struct world *w, int64_t job)
{
    const struct job *j = fleet_job(seen(w), job);
    return j ? j->state : -1;
}

#endif
