/* Planning, telling nodes, and the nets below: what happens when nobody says anything. */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/meter/meter.h"
#include "core/queue/queue.h"
#include "engine/internal.h"
#include "runner/runner.h"

static const struct fleet_view *view(struct engine *g)
{
    return &g->core.fleet->view;
}

void schedule_plan(struct engine *g)
{
    while (plan_is_due(view(g))) {
        struct event planned;
        int64_t before = clock_mono_us();
        core_plan(&g->core, engine_clock_now(&g->clock, clock_mono_ms()), &planned);
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
        ev.ATTEMPT_LOST.run_ms = engine_clock_now(&g->clock, clock_mono_ms()) - a->started_ms;
        ev.ATTEMPT_LOST.cost_micros = meter_cost_micros(&view(g)->policy, a->gpu_hour_micros,
                                                        j->gpus, ev.ATTEMPT_LOST.run_ms, 0);
    }
    ev.ATTEMPT_LOST.pause_ms = queue_pause_ms(j, g->config.retry_pause_ms);
    event_set_text(ev.ATTEMPT_LOST.why, why);
    engine_event(g, &ev);
    g->stats.ended++;
}

/* ---- telling ---- */

static const struct attempt *open_attempt(struct engine *g, int64_t job, int64_t n)
{
    const struct job *j = fleet_job(view(g), job);
    const struct attempt *a = j ? fleet_job_attempt(view(g), j) : NULL;
    return a && a->n == n ? a : NULL;
}

/* What a runner needs of an open attempt; ID and NAME are where its names go. */
static struct runner_attempt describe(struct engine *g, const struct attempt *a,
                                      char id[ATTEMPT_ID_SIZE], char name[ATTEMPT_NAME_SIZE])
{
    const struct fleet_view *v = view(g);
    const struct job *j = fleet_job(v, a->job);
    struct runner_attempt r = {
        .epoch = v->epoch,
        .job = a->job,
        .n = a->n,
        .id = id,
        .name = name,
        .user = fleet_principal(v, j->principal)->name,
        .boot_id = a->boot_id,
        .data_id = a->data_id,
        .gpu_memory_mib = j->gpu_memory_mib,
        .cpu_milli = j->cpu_milli,
        .memory_mib = j->memory_mib,
        .time_limit_ms = (int64_t)j->time_limit_s * 1000,
    };
    attempt_id(id, v->incarnation, a->job, a->n);
    attempt_name(name, v->site, a->job, a->n);
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(v, p)->next)
        r.devices[r.device_count++] = fleet_device(v, fleet_part_at(v, p)->device)->uuid;
    return r;
}

static void send_start(struct engine *g, int64_t job, int64_t n, const char *name, const char *spec)
{
    const struct attempt *a = open_attempt(g, job, n);
    if (!a || a->state != ATTEMPT_DECIDED || !g->send || !g->nodes[a->node].linked)
        return; /* said again when the node links */
    if (FAILPOINT("engine.before_send_start"))
        return;
    struct text line = {0};
    char id[ATTEMPT_ID_SIZE], outside[ATTEMPT_NAME_SIZE];
    struct runner_attempt r = describe(g, a, id, outside);
    r.job_name = name;
    r.spec = spec;
    runner_agent.start(&r, &line);
    g->send(g->send_arg, a->node, text_take(&line));
}

struct spec_read {
    struct engine *g;
    int64_t job, n;
    char *name, *spec;
    struct err error;
};

static int on_job_row(void *arg, enum table_id table, const void *record)
{
    struct spec_read *r = arg;
    (void)table; /* JOB and JOB_SPEC have the same columns */
    const struct job_row *row = record;
    free(r->name);
    free(r->spec);
    r->name = mem_strdup(row->name ? row->name : "");
    r->spec = mem_strdup(row->spec ? row->spec : "{}");
    return 0;
}

static void read_spec(void *reader, void *job)
{
    struct spec_read *r = job;
    struct store_query q = {.id = QUERY_JOB, .key = r->job, .limit = 1};
    r->g->ops->read(reader, &q, on_job_row, r, &r->error);
}

static void on_spec(void *job)
{
    struct spec_read *r = job;
    if (r->spec)
        send_start(r->g, r->job, r->n, r->name, r->spec);
    else
        log_warn("could not read a job to start it; trying again in a while", F_INT("job", r->job),
                 F_ERR(&r->error));
    free(r->name);
    free(r->spec);
    free(r);
}

void schedule_send_start(struct engine *g, int64_t job, int64_t n)
{
    const char *name, *spec;
    if (specs_find(g->specs, job, &name, &spec)) {
        send_start(g, job, n, name, spec);
        return;
    }
    struct spec_read *r = mem_new(struct spec_read);
    *r = (struct spec_read){.g = g, .job = job, .n = n};
    if (!workers_submit(g->workers, read_spec, on_spec, g->inbox, r))
        free(r); /* the net below says it again */
}

void schedule_send_cancel(struct engine *g, int64_t job, int64_t n)
{
    const struct attempt *a = open_attempt(g, job, n);
    if (!a || !g->send || !g->nodes[a->node].linked)
        return;
    struct text line = {0};
    char id[ATTEMPT_ID_SIZE], outside[ATTEMPT_NAME_SIZE];
    struct runner_attempt r = describe(g, a, id, outside);
    runner_agent.cancel(&r, &line);
    g->send(g->send_arg, a->node, text_take(&line));
}

/* ---- nets ---- */

static void check_silence(struct engine *g, int64_t mono)
{
    for (int64_t id = 1; id <= view(g)->node_count; id++) {
        const struct node *n = fleet_node(view(g), id);
        int64_t silent = mono - atomic_load(&g->nodes[id].heard_mono_ms);
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
    check_clock(g, mono);
}

static bool most_others_are_heard(struct engine *g, int64_t node)
{
    int64_t others = 0, heard = 0;
    for (int64_t id = 1; id <= view(g)->node_count; id++) {
        const struct node *n = fleet_node(view(g), id);
        if (id == node || n->state == NODE_RETIRED_ || n->state == NODE_NONE)
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
    int64_t silent = mono - atomic_load(&g->nodes[n->id].heard_mono_ms);

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
