/* What agents and clusters say: of their nodes (hear_node.c), and how attempts go. Reports may come
 * twice; they say what is. */
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
    if (fleet_job_attempt(view(g), j)->state == ATTEMPT_STARTED)
        return;
    struct event ev = {.kind = EVENT_ID_ATTEMPT_STARTED, .subject = a->job};
    ev.ATTEMPT_STARTED.n = a->n;
    ev.ATTEMPT_STARTED.ago_ms = a->ago_ms;
    int64_t submitted = j->submitted_ms;
    bool at_once = j->attempts == 1;
    engine_event(g, &ev);
    send_meter(g, fleet_job_attempt(view(g), fleet_job(view(g), a->job)));
    int64_t waited_us = (ev.time_ms - a->ago_ms - submitted) * 1000;
    g->stats.started++;
    histogram_add(&g->stats.waits.wait, waited_us);
    if (at_once)
        histogram_add(&g->stats.waits.submit_to_start, waited_us);
}

/* What nobody has measured whose end it is was measured by the agent that was told to. */
static struct attempt_report with_meter(struct engine *g, const struct attempt_report *a)
{
    struct attempt_report all = *a;
    struct meter_report meter;
    if (!a->energy_mj && !a->energy_measured && meters_find(g->meters, a->job, a->n, &meter)) {
        all.energy_mj = meter.energy_mj;
        all.energy_measured = meter.measured;
    }
    return all;
}

static void hear_ended(struct engine *g, const struct job *j, const struct attempt_report *told)
{
    const struct attempt_report with = with_meter(g, told), *a = &with;
    const struct attempt *open = fleet_job_attempt(view(g), j);
    int64_t gpus = j->gpus, price = open->gpu_hour_micros;
    int64_t cost = meter_cost_micros(&view(g)->policy, price, gpus, a->run_ms, a->energy_mj);
    if (open->state != ATTEMPT_STARTED && a->outcome != OUTCOME_NOT_STARTED &&
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
    attempt_is_over(g, fleet_job_attempt(view(g), j));
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
void hear_refused(struct engine *g, int64_t node, const struct attempt_report *a)
{
    struct event ev = {.kind = EVENT_ID_ATTEMPT_REFUSED, .subject = a->job};
    ev.ATTEMPT_REFUSED.n = a->n;
    event_set_text(ev.ATTEMPT_REFUSED.why, a->why);

    const struct node *n = fleet_node(view(g), node);
    const struct job *j = fleet_job(view(g), a->job);
    const struct attempt *open = fleet_job_attempt(view(g), j);
    bool gate = !view(g)->policy.gate_off;
    bool explained = (gate && n->busy) || n->cordoned || n->share_why[0];
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
    attempt_is_over(g, open);
    engine_event(g, &ev);
}

/* ---- what a cluster says of what is on its way ---- */

static void hear_sent(struct engine *g, const struct attempt_report *a, const struct attempt *open)
{
    if (open->state != ATTEMPT_DECIDED)
        return;
    struct event ev = {.kind = EVENT_ID_ATTEMPT_SENT, .subject = a->job};
    ev.ATTEMPT_SENT.n = a->n;
    engine_event(g, &ev);
}

static void hear_waiting(struct engine *g, const struct attempt_report *a,
                         const struct attempt *open)
{
    char why[sizeof open->why];
    text_cut(why, sizeof why, a->why);
    if (open->state == ATTEMPT_STARTED || strcmp(open->why, why) == 0)
        return;
    struct event ev = {.kind = EVENT_ID_ATTEMPT_WAITS, .subject = a->job};
    ev.ATTEMPT_WAITS.n = a->n;
    event_set_text(ev.ATTEMPT_WAITS.why, why);
    engine_event(g, &ev);
}

static bool is_bound_to(const struct fleet_view *v, const struct attempt *a,
                        const struct event_list *devices)
{
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(v, p)->next) {
        bool named = false;
        for (int64_t i = 0; i < devices->count; i++)
            named |= devices->at[i] == fleet_part_at(v, p)->device;
        if (!named || !fleet_part_at(v, p)->bound_ms)
            return false;
    }
    return true;
}

static void hear_bound(struct engine *g, const struct attempt_report *a, const struct attempt *open)
{
    const struct node *n = fleet_node(view(g), open->node);
    struct event ev = {.kind = EVENT_ID_ATTEMPT_BOUND, .subject = a->job};
    struct event_list *devices = &ev.ATTEMPT_BOUND.devices;
    ev.ATTEMPT_BOUND.n = a->n;
    for (size_t i = 0; i < a->device_count && i < EVENT_LIST; i++) {
        const struct device *d = node_device(view(g), n, a->devices[i]);
        devices->at[devices->count++] = d ? d->id : 0;
    }
    if (!core_may_bind(view(g), open, devices)) {
        log_warn("a cluster gave an attempt devices that it cannot have", F_INT("job", a->job),
                 F_TEXT("node", n->name));
        return;
    }
    if (is_bound_to(view(g), open, devices))
        return;
    engine_event(g, &ev);
    if (open->state == ATTEMPT_STARTED)
        send_meter(g, fleet_job_attempt(view(g), fleet_job(view(g), a->job)));
}

/* Kubelet's list, by an agent: a pod's name is its author's word, so it must be one of ours. */
static void hear_bound_aside(struct engine *g, int64_t node, const struct attempt_report *a)
{
    const struct job *j = fleet_job(view(g), a->job);
    const struct attempt *open = j ? fleet_job_attempt(view(g), j) : NULL;
    const char *ours = g->pod_namespace;
    if (open && open->n == a->n && open->node == node &&
        (!ours || strcmp(ours, a->pod_namespace) == 0))
        hear_bound(g, a, open);
}

/* What an agent says of attempts on a cluster's node: that its gate is open, or not, and which
 * devices they have. */
static void hear_aside(struct engine *g, int64_t node, const struct attempt_report *a)
{
    if (a->what == REPORT_BOUND)
        hear_bound_aside(g, node, a);
    else if (a->what == REPORT_CLEAR || a->what == REPORT_REFUSED)
        (void)gate_hear(g, node, a);
    else
        send_about(g, LINK_AGENT, node, a->what == REPORT_STARTED ? "end" : "forget", a->id);
}

static void hear_attempt(struct engine *g, const struct report *r, const struct attempt_report *a)
{
    const struct job *j = job_of(g, r->node, a);
    bool over = a->what == REPORT_REFUSED || a->what == REPORT_ENDED || a->what == REPORT_LOST;
    if (!j) {
        if (a->what == REPORT_BOUND && r->source == LINK_AGENT)
            return; /* a machine with a kubelet that is none of a cluster's nodes here */
        /* Over for us: what runs is ended, what has ended may be forgotten. */
        if (a->what != REPORT_CLEAR)
            send_about(g, r->source, r->node, over ? "forget" : "end", a->id);
        return;
    }
    const struct attempt *open = fleet_job_attempt(view(g), j);
    switch (a->what) {
    case REPORT_SENT:
        hear_sent(g, a, open);
        break;
    case REPORT_WAITING:
        hear_sent(g, a, open); /* it is there, so it was */
        hear_waiting(g, a, fleet_job_attempt(view(g), j));
        break;
    case REPORT_BOUND:
        hear_bound(g, a, open);
        break;
    case REPORT_STARTED:
        hear_started(g, j, a);
        break;
    case REPORT_REFUSED:
        if (open->state != ATTEMPT_STARTED)
            hear_refused(g, r->node, a);
        break;
    case REPORT_ENDED:
    case REPORT_LOST:
        hear_ended(g, j, a);
        break;
    case REPORT_CLEAR:
        return;
    }
    if (over)
        send_about(g, r->source, r->node, "forget", a->id);
    else if (j->flags & JOB_CANCEL_ASKED && a->what != REPORT_BOUND)
        engine_act(g, &(struct action){.what = ACTION_SEND_CANCEL, .a = a->job, .b = a->n});
}

/* Of attempts that run there. */
static void hear_meters(struct engine *g, const struct report *r)
{
    for (size_t i = 0; i < r->meter_count; i++) {
        const struct job *j = fleet_job(view(g), r->meters[i].job);
        const struct attempt *a = j ? fleet_job_attempt(view(g), j) : NULL;
        if (a && a->n == r->meters[i].n && a->node == r->node)
            meters_set(g->meters, &r->meters[i]);
    }
}

/* Open attempts on a node: the ids of their jobs, which the caller frees. */
static int64_t *jobs_on(struct engine *g, int64_t node, size_t *ret_count)
{
    const struct fleet_view *v = view(g);
    size_t count = 0;
    int64_t *jobs = mem_new_array(int64_t, (size_t)fleet_node(v, node)->attempts + 1);
    struct tree_walk w;
    for (bool more = tree_first(&w, &v->running, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&w)) {
        const struct job *j = fleet_job_at(v, w.value);
        if (fleet_attempt_at(v, j->attempt)->node == node)
            jobs[count++] = j->id;
    }
    *ret_count = count;
    return jobs;
}

/* A create may still be under way for so long after it was sent: its own time-outs, and the API
 * server's. */
enum { SENT_MOST_MS = 90000 };

/* After a hello: an open attempt that was not named. NULL: the same start again; else why it is
 * lost.
 */
static const char *why_unnamed(struct engine *g, const struct report *r, const struct attempt *a)
{
    bool cluster = r->source == LINK_CLUSTER;
    if (strcmp(a->boot_id, r->boot_id) != 0)
        return "the node was restarted";
    if (strcmp(a->data_id, r->data_id) != 0)
        return cluster ? "the cluster is another one now" : "the agent's data was lost";
    if (a->state == ATTEMPT_STARTED)
        return cluster ? "no object of it is there any more"
                       : "the agent does not know it any more";
    if (a->state == ATTEMPT_SENT &&
        engine_clock_now(&g->clock, clock_mono_ms()) - a->sent_ms > SENT_MOST_MS)
        return "no object of it was ever seen";
    return NULL;
}

static void reconcile(struct engine *g, const struct report *r)
{
    size_t count;
    const struct fleet_view *v = view(g);
    auto_free int64_t *jobs = jobs_on(g, r->node, &count);
    for (size_t i = 0; i < count; i++) {
        const struct job *j = fleet_job(v, jobs[i]);
        const struct attempt *a = fleet_job_attempt(v, j);
        bool named = false;
        for (size_t k = 0; k < r->attempt_count; k++)
            named |= r->attempts[k].job == j->id && r->attempts[k].n == a->n;
        if (named)
            continue;
        const char *why = why_unnamed(g, r, a);
        bool cancelled = j->flags & JOB_CANCEL_ASKED;
        int64_t n = a->n;
        if (why)
            schedule_lose(g, j, why);
        else /* never arrived: the same command again */
            engine_act(g, &(struct action){.what = ACTION_SEND_START, .a = jobs[i], .b = n});
        if (cancelled)
            engine_act(g, &(struct action){.what = ACTION_SEND_CANCEL, .a = jobs[i], .b = n});
    }
}

/* An agent of a cluster's node knows nothing of what runs there. */
static void tell_meters(struct engine *g, int64_t node)
{
    size_t count;
    auto_free int64_t *jobs = jobs_on(g, node, &count);
    for (size_t i = 0; i < count; i++) {
        const struct attempt *a = fleet_job_attempt(view(g), fleet_job(view(g), jobs[i]));
        if (a->state == ATTEMPT_STARTED)
            send_meter(g, a);
    }
}

/* Whether who speaks has introduced itself, as what it is. */
static int check_speaker(struct engine *g, const struct report *r, struct err *e)
{
    const struct node *n = fleet_node(view(g), r->node);
    const struct node_side *side = &g->nodes[r->node];
    if (!n || n->state == NODE_RETIRED_)
        return err_set(e, ERR_UNAUTHENTICATED, "this node is not part of the fleet any more");
    if (r->source == LINK_CLUSTER && !n->cluster[0])
        return err_set(e, ERR_UNPROCESSABLE, "node '%s' is no cluster's", n->name);
    if (r->is_hello)
        return 0;
    bool known = node_link(n) == r->source
                     ? n->state == NODE_READY && n->heard_epoch == g->epoch &&
                           strcmp(n->boot_id, r->boot_id) == 0 &&
                           strcmp(n->data_id, r->data_id) == 0
                     : side->agent_hello && strcmp(side->agent_boot, r->boot_id) == 0 &&
                           strcmp(side->agent_data, r->data_id) == 0;
    return known ? 0 : err_set(e, ERR_CONFLICT, "say hello first");
}

int command_report(struct engine *g, struct command *c, struct err *e)
{
    const struct report *r = c->report;
    if (check_speaker(g, r, e) < 0)
        return -1;

    bool aside = node_link(fleet_node(view(g), r->node)) != r->source;
    if (r->is_hello)
        hear_hello(g, r);
    hear_devices(g, r);
    if (r->has_host)
        hear_host(g, r);
    if (r->source == LINK_CLUSTER)
        hear_share(g, r);
    for (size_t i = 0; i < r->attempt_count; i++)
        if (aside)
            hear_aside(g, r->node, &r->attempts[i]);
        else
            hear_attempt(g, r, &r->attempts[i]);
    hear_meters(g, r);
    if (r->is_hello && aside)
        tell_meters(g, r->node);
    else if (r->is_hello)
        reconcile(g, r);
    return 0;
}

int command_link(struct engine *g, struct command *c, struct err *e)
{
    const struct fleet_view *v = view(g);
    for (int64_t id = 1; !c->node && id <= v->node_count; id++)
        if (c->cluster[0] && strcmp(fleet_node(v, id)->cluster, c->cluster) == 0)
            g->nodes[id].linked[c->link] = c->linked;
    if (!c->node)
        return 0;
    if (c->node < 0 || c->node > v->node_count)
        return err_set(e, ERR_NOT_FOUND, "there is no such node");
    g->nodes[c->node].linked[c->link] = c->linked;
    return 0;
}

int command_node_found(struct engine *g, struct command *c, struct err *e)
{
    const struct fleet_view *v = view(g);
    const struct node *n = fleet_node_named(v, c->name);
    if (!text_is_name(c->name, FLEET_NAME - 1) || !text_is_name(c->cluster, FLEET_NAME - 1))
        return err_set(e, ERR_INVALID, "node '%.64s' of cluster '%.64s': these are no names",
                       c->name, c->cluster);
    if (!n && v->node_count >= NODES_MOST)
        return err_set(e, ERR_EXHAUSTED, "there are %d nodes, which is the most", NODES_MOST);
    if (n && n->cluster[0] && strcmp(n->cluster, c->cluster) != 0)
        return err_set(e, ERR_CONFLICT, "node '%s' is of cluster '%s'", n->name, n->cluster);
    if (n && !n->cluster[0] && n->attempts)
        return err_set(e, ERR_CONFLICT,
                       "node '%s' still runs %u jobs as a machine; it becomes the cluster's after "
                       "them",
                       n->name, n->attempts);
    c->ret_id = n ? n->id : v->node_count + 1;
    if (!n || !n->cluster[0]) {
        struct event ev = {.kind = EVENT_ID_NODE_ENROLLED, .subject = c->ret_id, .actor = c->actor};
        event_set_text(ev.NODE_ENROLLED.name, c->name);
        event_set_text(ev.NODE_ENROLLED.cluster, c->cluster);
        engine_event(g, &ev);
    }
    g->nodes[c->ret_id].linked[LINK_CLUSTER] = true;
    return 0;
}
