/* Events about attempts: from the decision to the end. */
#include "base/mem.h"
#include "core/internal.h"
#include "core/meter/meter.h"

#include <assert.h>

/* Memory that is only the default limit is enforced, not reserved. */
static uint32_t reserved_memory(const struct job *j)
{
    return j->flags & JOB_MEMORY_DEFAULT ? 0 : j->memory_mib;
}

static int check_decision(struct core *c, const struct event *ev, struct err *e)
{
    const struct decision *d =
        c->plan_next < c->plan.decision_count ? &c->plan.decisions[c->plan_next] : NULL;
    const struct event_list *devices = &ev->ATTEMPT_DECIDED.devices;
    if (!d || d->job != ev->subject || d->node != ev->ATTEMPT_DECIDED.node ||
        d->devices.count != devices->count ||
        memcmp(d->devices.at, devices->at, (size_t)devices->count * sizeof *devices->at) != 0)
        return err_set(e, ERR_CONFLICT, "the plan did not decide this for job %lld",
                       (long long)ev->subject);
    c->plan_next++;
    return 0;
}

static void hold_devices(struct core *c, const struct event *ev, uint32_t attempt_row)
{
    struct fleet *f = c->fleet;
    const struct event_list *devices = &ev->ATTEMPT_DECIDED.devices;
    uint32_t next = NO_ROW;
    for (int64_t i = devices->count; i-- > 0;) {
        uint32_t row = table_add(&f->parts);
        *(struct part *)table_edit(&f->parts, row) = (struct part){
            .device = devices->at[i],
            .wanted_ms = ev->time_ms,
            .capacity = 1000,
            .attempt = attempt_row,
            .next = next,
        };
        next = row;
        struct device *d = device_edit(c, devices->at[i], ev->time_ms);
        d->attempt = attempt_row;
        d->since_ms = ev->time_ms;
    }
    struct attempt *a = table_edit(&f->attempts, attempt_row);
    a->first_part = next;
    a->parts = (uint32_t)devices->count;
    int64_t number = 0;
    for (uint32_t p = next; p != NO_ROW; number++) {
        const struct part *part = table_row(&f->parts.view, p);
        put_part(c, a, number, part, 0);
        p = part->next;
    }
}

int apply_attempt_decided(struct core *c, const struct event *ev, struct err *e)
{
    uint32_t row;
    struct fleet *f = c->fleet;
    if (check_decision(c, ev, e) < 0 || job_find(c, ev, &row, e) < 0)
        return -1;

    queue_leave(c->fleet, row);
    uint32_t attempt_row = table_add(&f->attempts);
    struct job *j = table_edit(&f->jobs, row);
    struct node *n = table_edit(&f->nodes, (uint32_t)ev->ATTEMPT_DECIDED.node);
    j->state = JOB_SCHEDULED;
    j->since_ms = ev->time_ms;
    j->attempts++;
    j->attempt = attempt_row;
    n->cpu_milli_used += j->cpu_milli;
    n->memory_mib_used += reserved_memory(j);
    n->attempts++;
    if (n->isolation == ISOLATION_NONE && !n->only_principal) {
        n->only_principal = j->principal;
        put_node(c, n->id);
    }
    struct attempt *a = table_edit(&f->attempts, attempt_row);
    *a = (struct attempt){
        .job = j->id,
        .n = ev->ATTEMPT_DECIDED.n,
        .node = n->id,
        .decided_ms = ev->time_ms,
        .epoch = f->view.epoch,
        .gpu_hour_micros = f->view.policy.gpu_hour_micros,
        .job_row = row,
        .first_part = NO_ROW,
        .state = ATTEMPT_DECIDED,
    };
    memcpy(a->boot_id, n->boot_id, sizeof a->boot_id);
    memcpy(a->data_id, n->data_id, sizeof a->data_id);
    hold_devices(c, ev, attempt_row);
    tree_put(&f->view.running, &f->tree_nodes, (struct tree_key){0, (uint64_t)j->id}, row);
    put_attempt(c, table_row(&f->attempts.view, attempt_row));
    put_job_state(c, table_row(&f->jobs.view, row));
    return 0;
}

static int find_attempt(struct core *c, const struct event *ev, int64_t n, uint32_t *ret_row,
                        struct err *e)
{
    if (job_find(c, ev, ret_row, e) < 0)
        return -1;
    const struct job *j = fleet_job_at(core_view(c), *ret_row);
    const struct attempt *a = fleet_job_attempt(core_view(c), j);
    if (!a || a->n != n)
        return err_set(e, ERR_CONFLICT, "attempt %lld of job %lld is not open", (long long)n,
                       (long long)ev->subject);
    return 0;
}

int apply_attempt_started(struct core *c, const struct event *ev, struct err *e)
{
    uint32_t row;
    struct fleet *f = c->fleet;
    if (find_attempt(c, ev, ev->ATTEMPT_STARTED.n, &row, e) < 0)
        return -1;

    struct job *j = table_edit(&f->jobs, row);
    struct attempt *a = table_edit(&f->attempts, j->attempt);
    /* On a machine they are its devices; in a cluster others choose them, and ATTEMPT_BOUND tells.
     */
    bool bound = !fleet_node(core_view(c), a->node)->cluster[0];
    /* What its devices did until now was waiting for it. */
    for (uint32_t p = a->first_part; p != NO_ROW;) {
        struct part *part = table_edit(&f->parts, p);
        device_edit(c, part->device, ev->time_ms);
        if (bound)
            part->bound_ms = ev->time_ms;
        p = part->next;
    }
    a->state = ATTEMPT_STARTED;
    memset(a->why, 0, sizeof a->why);
    a->started_ms = ev->time_ms - ev->ATTEMPT_STARTED.ago_ms;
    j->state = JOB_RUNNING;
    j->since_ms = j->started_ms = a->started_ms;
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(core_view(c), p)->next)
        put_device_time(c, fleet_device(core_view(c), fleet_part_at(core_view(c), p)->device));
    put_attempt(c, a);
    put_job_state(c, j);
    return 0;
}

int apply_attempt_under_way(struct core *c, const struct event *ev, struct err *e)
{
    uint32_t row;
    bool sent = ev->kind == EVENT_ID_ATTEMPT_SENT;
    if (find_attempt(c, ev, sent ? ev->ATTEMPT_SENT.n : ev->ATTEMPT_WAITS.n, &row, e) < 0)
        return -1;
    struct attempt *a = table_edit(&c->fleet->attempts, fleet_job_at(core_view(c), row)->attempt);
    if (a->state == ATTEMPT_STARTED)
        return err_set(e, ERR_CONFLICT, "attempt %lld of job %lld has begun", (long long)a->n,
                       (long long)a->job);
    if (sent) {
        a->state = ATTEMPT_SENT;
        a->sent_ms = ev->time_ms;
    } else {
        text_cut(a->why, sizeof a->why, ev->ATTEMPT_WAITS.why);
    }
    put_attempt(c, a);
    return 0;
}

/* ---- bound: the devices that it was really given ---- */

static uint32_t part_with(const struct fleet_view *v, const struct attempt *a, int64_t device)
{
    uint32_t p = a->first_part;
    while (p != NO_ROW && fleet_part_at(v, p)->device != device)
        p = fleet_part_at(v, p)->next;
    return p;
}

bool core_may_bind(const struct fleet_view *v, const struct attempt *a,
                   const struct event_list *devices)
{
    if (devices->count != a->parts)
        return false;
    for (int64_t i = 0; i < devices->count; i++) {
        const struct device *d = fleet_device(v, devices->at[i]);
        if (!d || d->node != a->node)
            return false;
        for (int64_t k = 0; k < i; k++)
            if (devices->at[k] == d->id)
                return false;
        if (d->attempt == NO_ROW || d->attempt == fleet_job_at(v, a->job_row)->attempt)
            continue;
        const struct attempt *other = fleet_attempt_at(v, d->attempt);
        if (fleet_part_at(v, part_with(v, other, d->id))->bound_ms)
            return false;
    }
    return true;
}

/* The part comes to hold DEVICE (of row ID's attempt) instead of what it held. */
static void set_part_device(struct core *c, uint32_t p, int64_t device, uint32_t attempt,
                            int64_t now_ms)
{
    ((struct part *)table_edit(&c->fleet->parts, p))->device = device;
    struct device *d = device_edit(c, device, now_ms);
    d->attempt = attempt;
    d->since_ms = now_ms;
}

/* Part P of the attempt in row ME takes DEVICE. Who else was to have it, and has not got it, is to
 * have what P was to have. */
static void swap_device(struct core *c, uint32_t me, uint32_t p, int64_t device, int64_t now_ms)
{
    const struct fleet_view *v = core_view(c);
    int64_t before = fleet_part_at(v, p)->device;
    uint32_t holder = fleet_device(v, device)->attempt;
    struct device *left = device_edit(c, before, now_ms);
    left->attempt = NO_ROW;
    left->since_ms = now_ms;
    if (holder != NO_ROW) {
        const struct attempt *other = fleet_attempt_at(core_view(c), holder);
        uint32_t q = part_with(core_view(c), other, device);
        device_edit(c, device, now_ms);
        set_part_device(c, q, before, holder, now_ms);
        int64_t number = 0;
        for (uint32_t k = other->first_part; k != q; k = fleet_part_at(core_view(c), k)->next)
            number++;
        put_part(c, other, number, fleet_part_at(core_view(c), q), 0);
    }
    set_part_device(c, p, device, me, now_ms);
    put_device_time(c, fleet_device(core_view(c), before));
    put_device_time(c, fleet_device(core_view(c), device));
}

int apply_attempt_bound(struct core *c, const struct event *ev, struct err *e)
{
    uint32_t row;
    struct fleet *f = c->fleet;
    const struct event_list *devices = &ev->ATTEMPT_BOUND.devices;
    if (find_attempt(c, ev, ev->ATTEMPT_BOUND.n, &row, e) < 0)
        return -1;
    uint32_t me = fleet_job_at(core_view(c), row)->attempt;
    const struct attempt *a = fleet_attempt_at(core_view(c), me);
    if (!core_may_bind(core_view(c), a, devices))
        return err_set(e, ERR_CONFLICT, "job %lld cannot have these devices",
                       (long long)ev->subject);

    for (int64_t i = 0; i < devices->count; i++) {
        if (part_with(core_view(c), a, devices->at[i]) != NO_ROW)
            continue;
        /* The first part whose device is none of these. */
        uint32_t p = a->first_part;
        for (bool stays = true; stays;) {
            stays = false;
            for (int64_t k = 0; k < devices->count; k++)
                stays |= fleet_part_at(core_view(c), p)->device == devices->at[k];
            p = stays ? fleet_part_at(core_view(c), p)->next : p;
        }
        swap_device(c, me, p, devices->at[i], ev->time_ms);
    }
    int64_t number = 0;
    for (uint32_t p = a->first_part; p != NO_ROW; number++) {
        struct part *part = table_edit(&f->parts, p);
        part->bound_ms = ev->time_ms;
        put_part(c, a, number, part, 0);
        p = part->next;
    }
    queue_wake_node(f, a->node);
    return 0;
}

/* What all three ways to be over have in common. */
struct over {
    int64_t n, run_ms, energy_mj, cost_micros, pause_ms;
    enum attempt_outcome outcome;
};

static struct over over_of(const struct event *ev)
{
    if (ev->kind == EVENT_ID_ATTEMPT_ENDED)
        return (struct over){ev->ATTEMPT_ENDED.n,
                             ev->ATTEMPT_ENDED.run_ms,
                             ev->ATTEMPT_ENDED.energy_mj,
                             ev->ATTEMPT_ENDED.cost_micros,
                             0,
                             (enum attempt_outcome)ev->ATTEMPT_ENDED.outcome};
    if (ev->kind == EVENT_ID_ATTEMPT_LOST)
        return (struct over){ev->ATTEMPT_LOST.n,         ev->ATTEMPT_LOST.run_ms,
                             ev->ATTEMPT_LOST.energy_mj, ev->ATTEMPT_LOST.cost_micros,
                             ev->ATTEMPT_LOST.pause_ms,  OUTCOME_LOST};
    return (struct over){.n = ev->ATTEMPT_REFUSED.n, .outcome = OUTCOME_REFUSED};
}

static struct last_place place_of(struct core *c, const struct attempt *a)
{
    struct last_place place = {.node = a->node, .scheduled_ms = a->decided_ms};
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(core_view(c), p)->next)
        place.devices[place.device_count++] = fleet_part_at(core_view(c), p)->device;
    return place;
}

static void release_devices(struct core *c, const struct attempt *a, const struct over *o,
                            int64_t now_ms)
{
    struct fleet *f = c->fleet;
    int64_t weights[JOB_GPUS_MOST], energy[JOB_GPUS_MOST] = {0}, number = 0;
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(core_view(c), p)->next)
        weights[number++] = fleet_part_at(core_view(c), p)->capacity;
    meter_split(o->energy_mj, weights, (size_t)number, energy);

    number = 0;
    for (uint32_t p = a->first_part, next; p != NO_ROW; p = next, number++) {
        struct part part = *fleet_part_at(core_view(c), p);
        next = part.next;
        struct device *d = device_edit(c, part.device, now_ms);
        d->attempt = NO_ROW;
        d->since_ms = now_ms;
        d->energy_mj += energy[number];
        put_device_time(c, d);
        put_part(c, a, number, &part, now_ms);
        table_remove(&f->parts, p);
    }
}

/* What the job becomes once this attempt is over. */
static enum job_state state_after(const struct job *j, const struct over *o)
{
    if (o->outcome == OUTCOME_COMPLETED)
        return JOB_COMPLETED;
    if (j->flags & JOB_CANCEL_ASKED || o->outcome == OUTCOME_CANCELLED)
        return JOB_CANCELLED;
    if (o->outcome == OUTCOME_REFUSED)
        return JOB_QUEUED;
    if (o->outcome == OUTCOME_LOST && !(j->flags & JOB_EXCLUSIVE) && j->retries_left)
        return JOB_QUEUED;
    return JOB_FAILED;
}

int apply_attempt_over(struct core *c, const struct event *ev, struct err *e)
{
    uint32_t row;
    struct fleet *f = c->fleet;
    struct over o = over_of(ev);
    if (find_attempt(c, ev, o.n, &row, e) < 0)
        return -1;

    struct job *j = table_edit(&f->jobs, row);
    uint32_t attempt_row = j->attempt;
    struct attempt a = *fleet_attempt_at(core_view(c), attempt_row);
    struct node *n = table_edit(&f->nodes, (uint32_t)a.node);
    n->cpu_milli_used -= j->cpu_milli;
    n->memory_mib_used -= reserved_memory(j);
    n->attempts--;
    struct last_place place = place_of(c, &a);
    release_devices(c, &a, &o, ev->time_ms);
    put_attempt_over(c, &a, ev);
    table_remove(&f->attempts, attempt_row);

    j = table_edit(&f->jobs, row);
    j->attempt = NO_ROW;
    j->run_ms += o.run_ms;
    j->energy_mj += o.energy_mj;
    j->cost_micros += o.cost_micros;
    enum job_state next = state_after(j, &o);
    if (next == JOB_QUEUED) {
        j->retries_left -= o.outcome == OUTCOME_LOST;
        j->state = JOB_QUEUED;
        j->since_ms = ev->time_ms;
        j->pause_ms = (uint32_t)o.pause_ms;
        tree_remove(&f->view.running, &f->tree_nodes, (struct tree_key){0, (uint64_t)j->id});
        queue_enter(c->fleet, row);
        put_job_state(c, table_row(&f->jobs.view, row));
    } else {
        job_end(c, row, next, &place, ev);
    }
    queue_wake_node(c->fleet, a.node);
    return 0;
}
