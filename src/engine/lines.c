/* What is told to nodes: to agents, and to clusters for their nodes. */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/json_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/fleet/where.h"
#include "engine/internal.h"
#include "engine/meters.h"
#include "runner/runner.h"

static const struct fleet_view *view(struct engine *g)
{
    return &g->core.fleet->view;
}

enum engine_link node_link(const struct node *n)
{
    return n->cluster[0] ? LINK_CLUSTER : LINK_AGENT;
}

void send_line(struct engine *g, enum engine_link link, int64_t node, struct text *line)
{
    engine_act(g, &(struct action){
                      .what = ACTION_SEND_LINE, .a = node, .b = link, .text = text_take(line)});
}

void send_about(struct engine *g, enum engine_link link, int64_t node, const char *type,
                const char *attempt)
{
    struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_text(&o, "type", type);
    jo_text(&o, "attempt", attempt);
    jo_end(&o);
    send_line(g, link, node, &t);
}

/* Now, and not with the batch. LINE is taken. */
static void say(struct engine *g, const struct node *n, struct text *line)
{
    enum engine_link link = node_link(n);
    g->senders[link].send(g->senders[link].arg, n->id, text_take(line));
}

static bool is_reached(const struct engine *g, const struct node *n)
{
    enum engine_link link = node_link(n);
    return g->senders[link].send && g->nodes[n->id].linked[link];
}

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
    if (fleet_node(v, a->node)->cluster[0]) {
        r.node = fleet_node(v, a->node)->name;
        r.selector = fleet_selector(v, j);
        r.tolerations = fleet_tolerations(v, j);
        r.memory_is_default = j->flags & JOB_MEMORY_DEFAULT;
    }
    attempt_id(id, v->incarnation, a->job, a->n);
    attempt_name(name, v->site, a->job, a->n);
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(v, p)->next)
        r.devices[r.device_count++] = fleet_device(v, fleet_part_at(v, p)->device)->uuid;
    return r;
}

/* What was sent is sent again only when asked for: its cluster knows of it. */
static bool may_start(struct engine *g, const struct attempt *a)
{
    return a && a->state != ATTEMPT_STARTED && is_reached(g, fleet_node(view(g), a->node));
}

static void send_start(struct engine *g, int64_t job, int64_t n, const char *name, const char *spec)
{
    const struct attempt *a = open_attempt(g, job, n);
    if (!may_start(g, a))
        return; /* said again when the node links */
    if (FAILPOINT("engine.before_send_start"))
        return;
    struct text line = {0};
    char id[ATTEMPT_ID_SIZE], outside[ATTEMPT_NAME_SIZE];
    struct runner_attempt r = describe(g, a, id, outside);
    r.job_name = name;
    r.spec = spec;
    runner_agent.start(&r, &line);
    say(g, fleet_node(view(g), a->node), &line);
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

void schedule_send_clear(struct engine *g, int64_t job, int64_t n)
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

void schedule_send_start(struct engine *g, int64_t job, int64_t n)
{
    const struct attempt *a = open_attempt(g, job, n);
    if (!may_start(g, a) || (a->state == ATTEMPT_DECIDED && gate_ask(g, a)))
        return;
    schedule_send_clear(g, job, n);
}

void schedule_send_cancel(struct engine *g, int64_t job, int64_t n)
{
    const struct attempt *a = open_attempt(g, job, n);
    if (!a || !is_reached(g, fleet_node(view(g), a->node)))
        return;
    struct text line = {0};
    char id[ATTEMPT_ID_SIZE], outside[ATTEMPT_NAME_SIZE];
    struct runner_attempt r = describe(g, a, id, outside);
    runner_agent.cancel(&r, &line);
    say(g, fleet_node(view(g), a->node), &line);
}

/* A line to the agent of a cluster's node about the devices of an attempt there. */
static void send_devices(struct engine *g, const struct attempt *a, const char *type)
{
    struct text t = {0};
    struct json_out o = {.text = &t};
    const struct fleet_view *v = view(g);
    char id[ATTEMPT_ID_SIZE];
    attempt_id(id, v->incarnation, a->job, a->n);
    jo_object(&o, NULL);
    jo_text(&o, "type", type);
    jo_text(&o, "attempt", id);
    jo_int(&o, "job", a->job);
    jo_int(&o, "n", a->n);
    jo_list(&o, "devices");
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(v, p)->next)
        jo_text(&o, NULL, fleet_device(v, fleet_part_at(v, p)->device)->uuid);
    jo_end(&o);
    jo_int(&o, "gpu_memory_mib", fleet_job(v, a->job)->gpu_memory_mib);
    if (a->started_ms)
        jo_int(&o, "ago_ms", engine_clock_now(&g->clock, clock_mono_ms()) - a->started_ms);
    jo_end(&o);
    send_line(g, LINK_AGENT, a->node, &t);
}

void send_gate_check(struct engine *g, const struct attempt *a)
{
    send_devices(g, a, "check");
}

void send_meter(struct engine *g, const struct attempt *a)
{
    if (fleet_node(view(g), a->node)->cluster[0] && a->parts)
        send_devices(g, a, "meter");
}

void attempt_is_over(struct engine *g, const struct attempt *a)
{
    char id[ATTEMPT_ID_SIZE];
    meters_drop(g->meters, a->job);
    if (!fleet_node(view(g), a->node)->cluster[0] || a->state != ATTEMPT_STARTED)
        return;
    attempt_id(id, view(g)->incarnation, a->job, a->n);
    send_about(g, LINK_AGENT, a->node, "forget", id);
}
