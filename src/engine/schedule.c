/* Planning, and the nets below: what happens when nobody says anything. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/meter/meter.h"
#include "core/queue/queue.h"
#include "engine/internal.h"
#include "engine/meters.h"

static const struct fleet_view *view(struct engine *g)
{
    return &g->core.fleet->view;
}

void schedule_plan(struct engine *g)
{
    while (plan_is_due(view(g))) {
        struct event planned;
        int64_t before = clock_mono_us();
        core_plan(&g->core, engine_clock_now(&g->clock, clock_mono_ms()), PLAN_VERSION, &planned);
        engine_event(g, &planned);
        for (size_t i = 0; i < g->core.plan.decision_count; i++) {
            const struct decision *d = &g->core.plan.decisions[i];
            struct event ev = {.kind = EVENT_ID_ATTEMPT_DECIDED, .subject = d->job};
            ev.ATTEMPT_DECIDED.n = fleet_job(view(g), d->job)->attempts + 1;
            ev.ATTEMPT_DECIDED.node = d->node;
            ev.ATTEMPT_DECIDED.devices.count = d->devices.count;
            memcpy(ev.ATTEMPT_DECIDED.devices.at, d->devices.at,
                   (size_t)d->devices.count * sizeof *d->devices.at);
            engine_event(g, &ev);
            engine_act(g, &(struct action){
                              .what = ACTION_SEND_START, .a = d->job, .b = ev.ATTEMPT_DECIDED.n});
        }
        g->stats.plans++;
        g->stats.plan_us += clock_mono_us() - before;
        if (!g->core.plan.more)
            break;
    }
}

static void on_due(uv_timer_t *timer)
{
    struct engine *g = timer->data; /* the tick that follows does it, or waits on */
    g->due_ms = 0;
}

void schedule_due(struct engine *g)
{
    const struct job *j = NULL;
    int64_t due, now = 0;
    while ((due = fleet_next_due(view(g), &j)) &&
           due <= (now = engine_clock_now(&g->clock, clock_mono_ms()))) {
        struct event ev = {.kind = EVENT_ID_JOB_DUE, .subject = j->id};
        ev.JOB_DUE.n = j->attempts + 1;
        engine_event(g, &ev);
    }
    if (due != g->due_ms) {
        g->due_ms = due;
        uv_timer_stop(&g->due);
        if (due)
            uv_timer_start(&g->due, on_due, (uint64_t)(due - now), 0);
    }
}

void schedule_lose(struct engine *g, const struct job *j, const char *why)
{
    const struct attempt *a = fleet_job_attempt(view(g), j);
    struct event ev = {.kind = EVENT_ID_ATTEMPT_LOST, .subject = j->id};
    ev.ATTEMPT_LOST.n = a->n;
    /* Nobody measured it to the end: the time until now is what it held its devices for. */
    if (a->started_ms) {
        struct meter_report meter = {0};
        meters_find(g->meters, j->id, a->n, &meter);
        ev.ATTEMPT_LOST.energy_mj = meter.energy_mj;
        ev.ATTEMPT_LOST.run_ms = engine_clock_now(&g->clock, clock_mono_ms()) - a->started_ms;
        ev.ATTEMPT_LOST.cost_micros = meter_cost_micros(
            &view(g)->policy, a->gpu_hour_micros, j->gpus, ev.ATTEMPT_LOST.run_ms, meter.energy_mj);
    }
    attempt_is_over(g, a);
    ev.ATTEMPT_LOST.pause_ms = queue_pause_ms(j, g->config.retry_pause_ms);
    event_set_text(ev.ATTEMPT_LOST.why, why);
    engine_event(g, &ev);
    g->stats.ended++;
}

/* ---- nets ---- */

static void check_silence(struct engine *g, int64_t mono)
{
    for (int64_t id = 1; id <= view(g)->node_count; id++) {
        const struct node *n = fleet_node(view(g), id);
        int64_t silent = mono - atomic_load(&g->nodes[id].heard_mono_ms[node_link(n)]);
        if (n->state == NODE_READY && silent > g->config.silence_ms) {
            struct event ev = {.kind = EVENT_ID_NODE_SILENT, .subject = id};
            ev.NODE_SILENT.silent_ms = silent;
            engine_event(g, &ev);
        }
        if (n->state == NODE_READY && g->nodes[id].held_until_mono_ms &&
            mono >= g->nodes[id].held_until_mono_ms) {
            struct event ev = {.kind = EVENT_ID_NODE_CHANGED, .subject = id};
            ev.NODE_CHANGED.busy = g->nodes[id].host_busy ? NODE_IS_USED : NODE_IS_FREE;
            ev.NODE_CHANGED.cpu_pct = n->cpu_pct;
            ev.NODE_CHANGED.memory_pct = n->memory_pct;
            engine_event(g, &ev);
            g->nodes[id].held_until_mono_ms = 0;
        }
    }
}

static void check_clock(struct engine *g, int64_t mono)
{
    int64_t from, to;
    if (!engine_clock_slew(&g->clock, clock_wall_ms(), mono, &from, &to))
        return;
    struct event ev = {.kind = EVENT_ID_CLOCK_STEPPED};
    ev.CLOCK_STEPPED.from_ms = from;
    ev.CLOCK_STEPPED.to_ms = to;
    engine_event(g, &ev);
    if (to > from)
        steps_take(g, from, to - from);
    log_warn("the wall clock stepped", F_INT("from_ms", from), F_INT("to_ms", to));
}

void schedule_second(struct engine *g)
{
    int64_t mono = clock_mono_ms();
    check_silence(g, mono);
    report_check_twins(g);
    report_check_agents(g);
    gate_second(g, mono);
    check_clock(g, mono);
}

/* Of its cluster, where it has one: when that is not heard, its nodes may all be well. */
static bool most_others_are_heard(struct engine *g, int64_t node)
{
    int64_t others = 0, heard = 0;
    const char *cluster = fleet_node(view(g), node)->cluster;
    for (int64_t id = 1; id <= view(g)->node_count; id++) {
        const struct node *n = fleet_node(view(g), id);
        if (id == node || n->state == NODE_RETIRED_ || n->state == NODE_NONE ||
            (cluster[0] && strcmp(n->cluster, cluster) != 0))
            continue;
        others++;
        heard += n->state == NODE_READY;
    }
    return heard * 2 > others;
}

/* An attempt that nobody has heard of for long: told again, or, on a silent node, given up. */
static void check_attempt(struct engine *g, const struct job *j, int64_t now, int64_t mono)
{
    const struct attempt *a = fleet_job_attempt(view(g), j);
    const struct node *n = fleet_node(view(g), a->node);
    int64_t silent = mono - atomic_load(&g->nodes[n->id].heard_mono_ms[node_link(n)]);

    if (n->state == NODE_UNKNOWN && !(j->flags & JOB_EXCLUSIVE) &&
        silent > view(g)->policy.lost_after_ms && most_others_are_heard(g, n->id)) {
        char why[EVENT_TEXT];
        snprintf(why, sizeof why, "node %s was not heard for %lld s", n->name,
                 (long long)(silent / 1000));
        schedule_lose(g, j, why);
        return;
    }
    if (n->state == NODE_READY && a->state == ATTEMPT_DECIDED && now - a->decided_ms > 10000)
        schedule_send_start(g, j->id, a->n);
    if (n->state == NODE_READY && j->flags & JOB_CANCEL_ASKED && now - a->cancel_ms > 10000)
        schedule_send_cancel(g, j->id, a->n);
}

static void expire_key(void *arg, const char *key)
{
    struct idempotency_row row = {.key = key};
    batch_delete(engine_batch(arg), TABLE_ID_IDEMPOTENCY, &row);
}

/* Once a day the whole fleet's digest goes into the ledger: replay is held against it. */
static void write_snapshot(struct engine *g, int64_t now)
{
    if (now / 86400000 == g->snapshot_day)
        return;
    g->snapshot_day = now / 86400000;
    engine_snapshot_event(g);
    snapshots_begin(g);
}

void schedule_net(struct engine *g)
{
    const struct fleet_view *v = view(g);
    int64_t mono = clock_mono_ms(), now = engine_clock_now(&g->clock, mono);
    size_t count = 0;
    auto_free int64_t *jobs = mem_new_array(int64_t, (size_t)v->running.count + 1);
    struct tree_walk w;
    for (bool more = tree_first(&w, &v->running, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&w))
        jobs[count++] = fleet_job_at(v, w.value)->id;
    for (size_t i = 0; i < count; i++)
        check_attempt(g, fleet_job(v, jobs[i]), now, mono);
    idempotency_expire(g->idempotency, now, 1000, expire_key, g);
    engine_expire_tokens(g, now);
    write_snapshot(g, now);
}
