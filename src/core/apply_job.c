/* Events about jobs and their attempts. */
#include "base/mem.h"
#include "core/fleet/where.h"
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
    where_drop(f, j->where);
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

int job_find(struct core *c, const struct event *ev, uint32_t *ret_row, struct err *e)
{
    *ret_row = fleet_job_row(core_view(c), ev->subject);
    if (*ret_row == NO_ROW)
        return err_set(e, ERR_CONFLICT, "job %lld is not open", (long long)ev->subject);
    return 0;
}

void job_end(struct core *c, uint32_t row, enum job_state state, const struct last_place *place,
             const struct event *ev)
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
    job.where = where_take(c->fleet, ev->JOB_SUBMITTED.selector, ev->JOB_SUBMITTED.tolerations);
    job_insert(c, &job);
    return 0;
}

int apply_job_cancel(struct core *c, const struct event *ev, struct err *e)
{
    uint32_t row;
    if (job_find(c, ev, &row, e) < 0)
        return -1;
    struct job *j = table_edit(&c->fleet->jobs, row);
    j->flags |= JOB_CANCEL_ASKED;
    if (j->state == JOB_QUEUED) {
        job_end(c, row, JOB_CANCELLED, NULL, ev);
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
    if (job_find(c, ev, &row, e) < 0)
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
    job.where = where_take(c->fleet, ev->JOB_RETRIED.selector, ev->JOB_RETRIED.tolerations);
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
    if (job_find(c, ev, &row, e) < 0)
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
