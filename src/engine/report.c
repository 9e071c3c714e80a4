/* What agents say: hello, readings, and how attempts go. Reports may come twice; they say what is.
 */
#include "base/clock.h"
#include "base/json_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/meter/meter.h"
#include "core/queue/queue.h"
#include "engine/internal.h"

static const struct fleet_view *view(struct engine *g)
{
    return &g->core.fleet->view;
}

static void send_about(struct engine *g, int64_t node, const char *type, const char *attempt)
{
    struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_text(&o, "type", type);
    jo_text(&o, "attempt", attempt);
    jo_end(&o);
    engine_act(g, &(struct action){.what = ACTION_SEND_LINE, .a = node, .text = text_take(&t)});
}

static const struct device *find_device(struct engine *g, int64_t node, const char *uuid)
{
    const struct node *n = fleet_node(view(g), node);
    for (uint32_t d = n->first_device; n->devices && d != NO_ROW;) {
        const struct device *device = fleet_device(view(g), d);
        if (strcmp(device->uuid, uuid) == 0)
            return device;
        d = device->next_on_node;
    }
    return NULL;
}

/* Is it there, as far as we know, and given out? */
static bool has_it(struct engine *g, const struct device *d)
{
    const struct node *n = fleet_node(view(g), d->node);
    return d->health != DEVICE_GONE && !d->twin &&
           (n->state == NODE_READY || n->state == NODE_UNKNOWN);
}

/* A device of another node with this uuid that was there first; 0: none. Two agents on one machine,
 * say, or copies of one virtual machine: given out twice, two jobs would share it unknowingly. */
static int64_t find_twin(struct engine *g, int64_t node, const char *uuid)
{
    for (int64_t id = 1; id <= view(g)->device_count; id++) {
        const struct device *d = fleet_device(view(g), id);
        if (d->node != node && strcmp(d->uuid, uuid) == 0 && has_it(g, d))
            return id;
    }
    return 0;
}

static void warn_of_twin(struct engine *g, const struct device *d)
{
    const struct node *n = fleet_node(view(g), d->node);
    const struct node *first = fleet_node(view(g), fleet_device(view(g), d->twin)->node);
    log_warn("two nodes report a GPU with the same UUID; only that of the first is given out",
             F_TEXT("uuid", d->uuid), F_TEXT("node", n->name), F_TEXT("first", first->name));
}

void report_check_twins(struct engine *g)
{
    for (int64_t id = 1; id <= view(g)->device_count; id++) {
        const struct device *d = fleet_device(view(g), id);
        if (!d->twin || has_it(g, fleet_device(view(g), d->twin)))
            continue;
        struct event ev = {.kind = EVENT_ID_DEVICE_CHANGED, .subject = id};
        ev.DEVICE_CHANGED.health = d->health;
        ev.DEVICE_CHANGED.busy = d->busy;
        ev.DEVICE_CHANGED.foreign = d->foreign;
        ev.DEVICE_CHANGED.free_mib = d->free_mib;
        ev.DEVICE_CHANGED.gpu_pct = d->gpu_pct;
        event_set_text(ev.DEVICE_CHANGED.why, d->why);
        ev.DEVICE_CHANGED.twin = find_twin(g, d->node, d->uuid);
        engine_event(g, &ev);
    }
}

/* IS_HELLO: the node may have got devices that it had not before. */
static void see_device(struct engine *g, int64_t node, const struct device_report *r, bool is_hello)
{
    int64_t twin = 0;
    const struct device *d = find_device(g, node, r->uuid);
    if (!d || d->memory_mib != r->memory_mib || strcmp(d->model, r->model) != 0 ||
        d->health == DEVICE_GONE) {
        struct event ev = {.kind = EVENT_ID_DEVICE_SEEN,
                           .subject = d ? d->id : view(g)->device_count + 1};
        ev.DEVICE_SEEN.node = node;
        ev.DEVICE_SEEN.number = r->number;
        ev.DEVICE_SEEN.memory_mib = r->memory_mib;
        event_set_text(ev.DEVICE_SEEN.uuid, r->uuid);
        event_set_text(ev.DEVICE_SEEN.vendor, r->vendor);
        event_set_text(ev.DEVICE_SEEN.model, r->model);
        engine_event(g, &ev);
        d = fleet_device(view(g), ev.subject);
        is_hello = true;
    }
    if (r->health != DEVICE_GONE)
        twin = is_hello ? find_twin(g, node, r->uuid) : d->twin;
    if (d->twin == twin && d->health == r->health && d->busy == r->busy &&
        d->foreign == r->foreign && d->free_mib == r->free_mib && strcmp(d->why, r->why) == 0)
        return;
    struct event ev = {.kind = EVENT_ID_DEVICE_CHANGED, .subject = d->id};
    ev.DEVICE_CHANGED.health = r->health;
    ev.DEVICE_CHANGED.busy = r->busy;
    ev.DEVICE_CHANGED.foreign = r->foreign;
    ev.DEVICE_CHANGED.free_mib = r->free_mib;
    ev.DEVICE_CHANGED.gpu_pct = r->gpu_pct;
    ev.DEVICE_CHANGED.twin = twin;
    event_set_text(ev.DEVICE_CHANGED.why, r->why);
    bool is_news = twin && d->twin != twin;
    engine_event(g, &ev);
    if (is_news)
        warn_of_twin(g, fleet_device(view(g), ev.subject));
}

/* A hello names all devices: what is not named is not there. */
static void miss_devices(struct engine *g, const struct report *r)
{
    const struct node *n = fleet_node(view(g), r->node);
    for (uint32_t d = n->first_device; n->devices && d != NO_ROW;) {
        const struct device *device = fleet_device(view(g), d);
        d = device->next_on_node;
        bool named = false;
        for (size_t i = 0; i < r->device_count; i++)
            named |= strcmp(r->devices[i].uuid, device->uuid) == 0;
        if (named || device->health == DEVICE_GONE)
            continue;
        struct event ev = {.kind = EVENT_ID_DEVICE_CHANGED, .subject = device->id};
        ev.DEVICE_CHANGED.health = DEVICE_GONE;
        event_set_text(ev.DEVICE_CHANGED.why, "the node does not have it any more");
        engine_event(g, &ev);
    }
}

static void say_hello(struct engine *g, const struct report *r)
{
    struct event ev = {.kind = EVENT_ID_NODE_HELLO, .subject = r->node};
    event_set_text(ev.NODE_HELLO.boot_id, r->boot_id);
    event_set_text(ev.NODE_HELLO.data_id, r->data_id);
    event_set_text(ev.NODE_HELLO.version, r->version);
    ev.NODE_HELLO.cpu_milli = r->cpu_milli;
    ev.NODE_HELLO.memory_mib = r->memory_mib;
    ev.NODE_HELLO.isolation = r->isolation;
    engine_event(g, &ev);
}

/* The open attempt that the report is about; NULL: not one of ours any more. */
static const struct job *job_of(struct engine *g, int64_t node, const struct attempt_report *a)
{
    const struct job *j = fleet_job(view(g), a->job);
    const struct attempt *open = j ? fleet_job_attempt(view(g), j) : NULL;
    if (!open || open->n != a->n || open->node != node)
        return NULL;
    char id[ATTEMPT_ID_SIZE];
    attempt_id(id, view(g)->incarnation, a->job, a->n);
    return strcmp(id, a->id) == 0 ? j : NULL;
}

static void hear_started(struct engine *g, const struct job *j, const struct attempt_report *a)
{
    if (fleet_job_attempt(view(g), j)->state != ATTEMPT_DECIDED)
        return;
    struct event ev = {.kind = EVENT_ID_ATTEMPT_STARTED, .subject = a->job};
    ev.ATTEMPT_STARTED.n = a->n;
    ev.ATTEMPT_STARTED.ago_ms = a->ago_ms;
    int64_t submitted = j->submitted_ms;
    bool at_once = j->attempts == 1;
    engine_event(g, &ev);
    int64_t waited_us = (ev.time_ms - a->ago_ms - submitted) * 1000;
    g->stats.started++;
    histogram_add(&g->stats.waits.wait, waited_us);
    if (at_once)
        histogram_add(&g->stats.waits.submit_to_start, waited_us);
}

static void hear_ended(struct engine *g, const struct job *j, const struct attempt_report *a)
{
    const struct attempt *open = fleet_job_attempt(view(g), j);
    int64_t gpus = j->gpus, price = open->gpu_hour_micros;
    int64_t cost = meter_cost_micros(&view(g)->policy, price, gpus, a->run_ms, a->energy_mj);
    if (open->state == ATTEMPT_DECIDED && a->outcome != OUTCOME_NOT_STARTED &&
        (a->run_ms > 0 || a->what == REPORT_ENDED) && a->outcome != OUTCOME_CANCELLED) {
        struct attempt_report started = *a;
        if (started.ago_ms < a->run_ms)
            started.ago_ms = a->run_ms;
        hear_started(g, j, &started);
    }
    struct event ev = {.subject = a->job};
    if (a->what == REPORT_LOST) {
        ev.kind = EVENT_ID_ATTEMPT_LOST;
        ev.ATTEMPT_LOST.n = a->n;
        ev.ATTEMPT_LOST.run_ms = a->run_ms;
        ev.ATTEMPT_LOST.energy_mj = a->energy_mj;
        ev.ATTEMPT_LOST.energy_measured = a->energy_measured;
        ev.ATTEMPT_LOST.cost_micros = cost;
        ev.ATTEMPT_LOST.pause_ms = queue_pause_ms(j, g->config.retry_pause_ms);
        event_set_text(ev.ATTEMPT_LOST.why, a->why);
    } else {
        ev.kind = EVENT_ID_ATTEMPT_ENDED;
        ev.ATTEMPT_ENDED.n = a->n;
        ev.ATTEMPT_ENDED.outcome = a->outcome;
        ev.ATTEMPT_ENDED.exit_code = a->exit_code;
        ev.ATTEMPT_ENDED.term_signal = a->term_signal;
        ev.ATTEMPT_ENDED.run_ms = a->run_ms;
        ev.ATTEMPT_ENDED.energy_mj = a->energy_mj;
        ev.ATTEMPT_ENDED.energy_measured = a->energy_measured;
        ev.ATTEMPT_ENDED.cost_micros = cost;
        event_set_text(ev.ATTEMPT_ENDED.why, a->why);
    }
    int64_t submitted = j->submitted_ms, started = j->started_ms;
    engine_event(g, &ev);
    if (a->results)
        engine_note(g, a->job, a->n, NOTE_RESULTS, a->results);
    if (a->metadata)
        engine_note(g, a->job, a->n, NOTE_OUTCOME, a->metadata);
    g->stats.ended++;
    g->stats.waits.run_ms += a->run_ms;
    if (started)
        g->stats.waits.wait_ms += started - submitted;
}

/* The node would not start it. Its readings came in the same report; where they do not explain it,
 * the node is put aside for a few seconds, so that the same decision is not made again at once. */
static void hear_refused(struct engine *g, int64_t node, const struct attempt_report *a)
{
    struct event ev = {.kind = EVENT_ID_ATTEMPT_REFUSED, .subject = a->job};
    ev.ATTEMPT_REFUSED.n = a->n;
    event_set_text(ev.ATTEMPT_REFUSED.why, a->why);

    const struct node *n = fleet_node(view(g), node);
    const struct job *j = fleet_job(view(g), a->job);
    const struct attempt *open = fleet_job_attempt(view(g), j);
    bool gate = !view(g)->policy.gate_off, explained = gate && n->busy;
    for (uint32_t p = open->first_part; p != NO_ROW; p = fleet_part_at(view(g), p)->next) {
        const struct device *d = fleet_device(view(g), fleet_part_at(view(g), p)->device);
        explained |= (gate && d->busy) || d->health != DEVICE_OK || d->free_mib < j->gpu_memory_mib;
    }
    if (!explained) {
        struct event hold = {.kind = EVENT_ID_NODE_CHANGED, .subject = node};
        hold.NODE_CHANGED.busy = NODE_REFUSES;
        hold.NODE_CHANGED.cpu_pct = n->cpu_pct;
        hold.NODE_CHANGED.memory_pct = n->memory_pct;
        engine_event(g, &hold);
        g->nodes[node].held_until_mono_ms = clock_mono_ms() + 5000;
    }
    engine_event(g, &ev);
}

static void hear_attempt(struct engine *g, int64_t node, const struct attempt_report *a)
{
    const struct job *j = job_of(g, node, a);
    if (!j) {
        /* Over for us: what runs is ended, what has ended may be forgotten. */
        send_about(g, node, a->what == REPORT_STARTED ? "end" : "forget", a->id);
        return;
    }
    switch (a->what) {
    case REPORT_STARTED:
        hear_started(g, j, a);
        if (j->flags & JOB_CANCEL_ASKED)
            engine_act(g, &(struct action){.what = ACTION_SEND_CANCEL, .a = a->job, .b = a->n});
        return;
    case REPORT_REFUSED:
        if (fleet_job_attempt(view(g), j)->state == ATTEMPT_DECIDED)
            hear_refused(g, node, a);
        break;
    case REPORT_ENDED:
    case REPORT_LOST:
        hear_ended(g, j, a);
        break;
    }
    send_about(g, node, "forget", a->id);
}

/* After a hello: open attempts that the agent did not name. */
static void reconcile(struct engine *g, const struct report *r)
{
    const struct fleet_view *v = view(g);
    size_t count = 0;
    auto_free int64_t *jobs = mem_new_array(int64_t, (size_t)v->running.count + 1);
    struct tree_walk w;
    for (bool more = tree_first(&w, &v->running, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&w)) {
        const struct job *j = fleet_job_at(v, w.value);
        if (fleet_attempt_at(v, j->attempt)->node == r->node)
            jobs[count++] = j->id;
    }
    for (size_t i = 0; i < count; i++) {
        const struct job *j = fleet_job(v, jobs[i]);
        const struct attempt *a = fleet_job_attempt(v, j);
        bool named = false;
        for (size_t k = 0; k < r->attempt_count; k++)
            named |= r->attempts[k].job == j->id && r->attempts[k].n == a->n;
        if (named)
            continue;
        if (strcmp(a->boot_id, r->boot_id) != 0)
            schedule_lose(g, j, "the node was restarted");
        else if (strcmp(a->data_id, r->data_id) != 0)
            schedule_lose(g, j, "the agent's data was lost");
        else if (a->state == ATTEMPT_STARTED)
            schedule_lose(g, j, "the agent does not know it any more");
        else /* never arrived: the same command again */
            engine_act(g, &(struct action){.what = ACTION_SEND_START, .a = j->id, .b = a->n});
        if (j->flags & JOB_CANCEL_ASKED)
            engine_act(g, &(struct action){.what = ACTION_SEND_CANCEL, .a = j->id, .b = a->n});
    }
}

static void hear_host(struct engine *g, const struct report *r)
{
    const struct node *n = fleet_node(view(g), r->node);
    struct node_side *side = &g->nodes[r->node];
    side->host_busy = r->host_busy;
    if (r->is_hello)
        side->held_until_mono_ms = 0;
    /* The very report that refuses a start says that the machine is not busy. Taken at its word,
     * the next start would be refused a millisecond later, and so on for as long as the cause
     * lasts. */
    int32_t busy = side->held_until_mono_ms ? NODE_REFUSES
                   : r->host_busy           ? NODE_IS_USED
                                            : NODE_IS_FREE;
    if (n->busy == busy && !r->is_hello)
        return;
    struct event ev = {.kind = EVENT_ID_NODE_CHANGED, .subject = r->node};
    ev.NODE_CHANGED.busy = busy;
    ev.NODE_CHANGED.cpu_pct = r->cpu_pct;
    ev.NODE_CHANGED.memory_pct = r->memory_pct;
    engine_event(g, &ev);
}

int command_report(struct engine *g, struct command *c, struct err *e)
{
    const struct report *r = c->report;
    const struct node *n = fleet_node(view(g), r->node);
    if (!n || n->state == NODE_RETIRED_)
        return err_set(e, ERR_UNAUTHENTICATED, "this node is not part of the fleet any more");
    if (!r->is_hello &&
        (n->state != NODE_READY || n->heard_epoch != g->epoch ||
         strcmp(n->boot_id, r->boot_id) != 0 || strcmp(n->data_id, r->data_id) != 0))
        return err_set(e, ERR_CONFLICT, "say hello first");

    if (r->is_hello)
        say_hello(g, r);
    for (size_t i = 0; i < r->device_count; i++)
        see_device(g, r->node, &r->devices[i], r->is_hello);
    if (r->is_hello)
        miss_devices(g, r);
    if (r->has_host)
        hear_host(g, r);
    for (size_t i = 0; i < r->attempt_count; i++)
        hear_attempt(g, r->node, &r->attempts[i]);
    if (r->is_hello) {
        g->nodes[r->node].hello_done = true;
        reconcile(g, r);
    }
    return 0;
}

int command_agent_link(struct engine *g, struct command *c, struct err *e)
{
    if (c->node <= 0 || c->node > view(g)->node_count)
        return err_set(e, ERR_NOT_FOUND, "there is no such node");
    g->nodes[c->node].linked = c->linked;
    if (!c->linked)
        g->nodes[c->node].hello_done = false;
    return 0;
}
