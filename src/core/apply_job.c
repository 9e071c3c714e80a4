/* Events about jobs and their attempts. */
#include "base/mem.h"
#include "core/internal.h"
#include "core/meter/meter.h"

#include <assert.h>

uint32_t team_intern(struct core *c, const char *text)
{
    struct fleet *f = c->fleet;
    if (!text || !text[0])
        return 0;
    struct digest d = digest_of(text, strlen(text));
    struct tree_key key;
    memcpy(&key, d.bytes, sizeof key);
    uint32_t row = tree_find(&f->view.team_names, &f->tree_nodes.view, key);
    if (row == NO_ROW) {
        row = table_add(&f->labels);
        struct team_label *l = table_edit(&f->labels, row);
        snprintf(l->text, sizeof l->text, "%s", text);
        tree_put(&f->view.team_names, &f->tree_nodes, key, row);
    }
    return row;
}

uint32_t job_insert(struct core *c, const struct job *job)
{
    struct fleet *f = c->fleet;
    uint32_t row = table_add(&f->jobs);
    *(struct job *)table_edit(&f->jobs, row) = *job;
    tree_put(&f->view.by_id, &f->tree_nodes, (struct tree_key){0, (uint64_t)job->id}, row);
    tree_put(&f->view.by_owner, &f->tree_nodes,
             (struct tree_key){job->principal, (uint64_t)job->id}, row);
    ((struct principal *)table_edit(&f->principals, job->principal))->open_jobs++;
    if (job->id >= f->view.next_job)
        f->view.next_job = job->id + 1;
    if (job->state == JOB_QUEUED)
        queue_enter(c->fleet, row);
    else
        tree_put(&f->view.running, &f->tree_nodes, (struct tree_key){0, (uint64_t)job->id}, row);
    return row;
}

static void job_remove(struct core *c, uint32_t row)
{
    struct fleet *f = c->fleet;
    const struct job *j = table_row(&f->jobs.view, row);
    struct tree_key id = {0, (uint64_t)j->id}, owner = {j->principal, (uint64_t)j->id};
    if (j->state == JOB_QUEUED)
        queue_leave(c->fleet, row);
    else
        tree_remove(&f->view.running, &f->tree_nodes, id);
    j = table_row(&f->jobs.view, row);
    ((struct principal *)table_edit(&f->principals, j->principal))->open_jobs--;
    tree_remove(&f->view.by_id, &f->tree_nodes, id);
    tree_remove(&f->view.by_owner, &f->tree_nodes, owner);
    table_remove(&f->jobs, row);
}

/* A hold ends with its job's waiting, whatever ends that. */
static void drop_hold(struct core *c, uint32_t row)
{
    struct job *j = table_edit(&c->fleet->jobs, row);
    put_hold_over(c, j->id);
    table_remove(&c->fleet->holds, j->hold);
    j->hold = 0;
}

static int find_job(struct core *c, const struct event *ev, uint32_t *ret_row, struct err *e)
{
    *ret_row = fleet_job_row(core_view(c), ev->subject);
    if (*ret_row == NO_ROW)
        return err_set(e, ERR_CONFLICT, "job %lld is not open", (long long)ev->subject);
    return 0;
}

/* The job ends: counted, written to history, forgotten here. */
static void end_job(struct core *c, uint32_t row, enum job_state state,
                    const struct last_place *place, const struct event *ev)
{
    struct fleet_view *v = &c->fleet->view;
    struct job last = *(const struct job *)table_row(&c->fleet->jobs.view, row);
    last.state = (uint8_t)state;
    last.since_ms = ev->time_ms;

    int64_t *count = state == JOB_COMPLETED ? &v->completed
                     : state == JOB_FAILED  ? &v->failed
                                            : &v->cancelled;
    ++*count;
    put_meta(c, job_state_name(state), *count, NULL);
    put_job_over(c, &last, place, ev);
    if (last.hold)
        drop_hold(c, row);
    job_remove(c, row);
}

static struct job job_from(int64_t id, const struct event *ev)
{
    /* JOB_SUBMITTED and JOB_RETRIED begin with the same fields; read through the first. */
    return (struct job){
        .id = id,
        .submitted_ms = ev->time_ms,
        .since_ms = ev->time_ms,
        .place = (uint64_t)ev->seq,
        .principal = (uint32_t)ev->JOB_SUBMITTED.principal,
        .submitter = (uint32_t)ev->JOB_SUBMITTED.submitter,
        .attempt = NO_ROW,
        .gpus = (uint16_t)ev->JOB_SUBMITTED.gpus,
        .gpu_memory_mib = (uint32_t)ev->JOB_SUBMITTED.gpu_memory_mib,
        .cpu_milli = (uint32_t)ev->JOB_SUBMITTED.cpu_milli,
        .memory_mib = (uint32_t)ev->JOB_SUBMITTED.memory_mib,
        .time_limit_s = (uint32_t)(ev->JOB_SUBMITTED.time_limit_ms / 1000),
        .retries = (uint16_t)ev->JOB_SUBMITTED.retries,
        .retries_left = (uint16_t)ev->JOB_SUBMITTED.retries,
        .flags = (uint16_t)ev->JOB_SUBMITTED.flags,
        .state = JOB_QUEUED,
    };
}

int apply_job_submitted(struct core *c, const struct event *ev, struct err *e)
{
    const struct fleet_view *v = core_view(c);
    if (ev->subject < v->next_job)
        return err_set(e, ERR_CONFLICT, "job id %lld was given before", (long long)ev->subject);
    if (!fleet_principal(v, ev->JOB_SUBMITTED.principal))
        return err_set(e, ERR_CONFLICT, "principal %lld is not known",
                       (long long)ev->JOB_SUBMITTED.principal);
    struct job job = job_from(ev->subject, ev);
    job.team = team_intern(c, ev->JOB_SUBMITTED.team);
    job_insert(c, &job);
    return 0;
}

int apply_job_cancel(struct core *c, const struct event *ev, struct err *e)
{
    uint32_t row;
    if (find_job(c, ev, &row, e) < 0)
        return -1;
    struct job *j = table_edit(&c->fleet->jobs, row);
    j->flags |= JOB_CANCEL_ASKED;
    if (j->state == JOB_QUEUED) {
        end_job(c, row, JOB_CANCELLED, NULL, ev);
        return 0;
    }
    struct attempt *a = table_edit(&c->fleet->attempts, j->attempt);
    a->cancel_ms = ev->time_ms;
    put_attempt(c, a);
    put_job_state(c, j);
    return 0;
}

int apply_job_hold(struct core *c, const struct event *ev, struct err *e)
{
    uint32_t row;
    struct fleet *f = c->fleet;
    if (find_job(c, ev, &row, e) < 0)
        return -1;
    struct job *j = table_edit(&f->jobs, row);
    bool hold = ev->kind == EVENT_ID_JOB_HELD;
    if (j->state != JOB_QUEUED || hold == (j->hold != 0))
        return err_set(e, ERR_CONFLICT, "job %lld is %s", (long long)j->id,
                       j->state != JOB_QUEUED ? "not waiting"
                       : hold                 ? "held already"
                                              : "not held");
    if (!hold) {
        drop_hold(c, row);
        queue_release(f, row);
        return 0;
    }
    j->hold = table_add(&f->holds);
    struct hold *h = table_edit(&f->holds, j->hold);
    *h = (struct hold){.job = j->id, .actor = ev->actor, .since_ms = ev->time_ms};
    snprintf(h->why, sizeof h->why, "%s", ev->JOB_HELD.why);
    put_hold(c, h);
    queue_hold(f, row);
    return 0;
}

int apply_job_retried(struct core *c, const struct event *ev, struct err *e)
{
    if (fleet_job(core_view(c), ev->subject))
        return err_set(e, ERR_CONFLICT, "job %lld is still open", (long long)ev->subject);
    struct job job = job_from(ev->subject, ev);
    job.team = team_intern(c, ev->JOB_RETRIED.team);
    job.submitted_ms = ev->JOB_RETRIED.submitted_ms;
    job.attempts = (uint32_t)ev->JOB_RETRIED.attempts;
    job.run_ms = ev->JOB_RETRIED.run_ms;
    job.energy_mj = ev->JOB_RETRIED.energy_mj;
    job.cost_micros = ev->JOB_RETRIED.cost_micros;
    job_insert(c, &job);
    if (c->batch) {
        struct job_row key = {.id = ev->subject};
        batch_move(c->batch, TABLE_ID_JOB_SPEC, TABLE_ID_JOB, &key);
        struct job_history_row gone = {.id = ev->subject};
        batch_delete(c->batch, TABLE_ID_JOB_HISTORY, &gone);
        put_job_state(c, &job);
    }
    return 0;
}

int apply_job_due(struct core *c, const struct event *ev, struct err *e)
{
    uint32_t row;
    if (find_job(c, ev, &row, e) < 0)
        return -1;
    const struct job *j = fleet_job_at(core_view(c), row);
    if (j->state != JOB_QUEUED || !j->pause_ms)
        return err_set(e, ERR_CONFLICT, "job %lld does not pause", (long long)ev->subject);
    queue_due(c->fleet, row);
    put_job_state(c, table_row(&c->fleet->jobs.view, row));
    return 0;
}

int apply_job_deleted(struct core *c, const struct event *ev, struct err *e)
{
    if (fleet_job(core_view(c), ev->subject))
        return err_set(e, ERR_CONFLICT, "job %lld is still open", (long long)ev->subject);
    if (c->batch) {
        struct job_spec_row spec = {.id = ev->subject};
        batch_delete(c->batch, TABLE_ID_JOB_SPEC, &spec);
        struct job_history_row history = {.id = ev->subject};
        batch_delete(c->batch, TABLE_ID_JOB_HISTORY, &history);
        /* So that its number is never given again. */
        put_meta(c, "next_job", c->fleet->view.next_job, NULL);
    }
    return 0;
}

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
    if (check_decision(c, ev, e) < 0 || find_job(c, ev, &row, e) < 0)
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
    if (find_job(c, ev, ret_row, e) < 0)
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
    /* What its devices did until now was waiting for it. */
    for (uint32_t p = a->first_part; p != NO_ROW;) {
        struct part *part = table_edit(&f->parts, p);
        device_edit(c, part->device, ev->time_ms);
        part->bound_ms = ev->time_ms;
        p = part->next;
    }
    a->state = ATTEMPT_STARTED;
    a->started_ms = ev->time_ms - ev->ATTEMPT_STARTED.ago_ms;
    j->state = JOB_RUNNING;
    j->since_ms = j->started_ms = a->started_ms;
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(core_view(c), p)->next)
        put_device_time(c, fleet_device(core_view(c), fleet_part_at(core_view(c), p)->device));
    put_attempt(c, a);
    put_job_state(c, j);
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
        end_job(c, row, next, &place, ev);
    }
    queue_wake_node(c->fleet, a.node);
    return 0;
}
