/* Between the fleet's rows and the store's records, both ways. */
#include "base/mem.h"
#include "core/fleet/where.h"
#include "core/internal.h"
#include "core/meter/meter.h"

void put_meta(struct core *c, const char *name, int64_t number, const char *text)
{
    struct meta_row r = {.name = name, .number = number, .text = text};
    if (c->batch)
        batch_put(c->batch, TABLE_ID_META, &r);
}

/* Policy lies in one META row a number: few, rarely written, readable with any SQL shell. */
#define POLICY_NUMBERS(P)                                                                          \
    P(version)                                                                                     \
    P(gate_off)                                                                                    \
    P(gate_free_mib)                                                                               \
    P(gate_gpu_pct)                                                                                \
    P(gate_cpu_pct)                                                                                \
    P(gate_memory_pct)                                                                             \
    P(gpu_hour_micros)                                                                             \
    P(kwh_micros)                                                                                  \
    P(pue_milli)                                                                                   \
    P(lost_after_ms)

void put_policy(struct core *c)
{
    const struct policy *p = &c->fleet->view.policy;
#define P(name) put_meta(c, "policy." #name, p->name, NULL);
    POLICY_NUMBERS(P)
#undef P
    put_meta(c, "policy.currency", 0, p->currency);
}

static void load_meta(struct core *c, const struct meta_row *r)
{
    struct fleet_view *v = &c->fleet->view;
    const char *text = r->text ? r->text : "";
    if (strcmp(r->name, "incarnation") == 0)
        snprintf(v->incarnation, sizeof v->incarnation, "%s", text);
    else if (strcmp(r->name, "site") == 0)
        snprintf(v->site, sizeof v->site, "%s", text);
    else if (strcmp(r->name, "epoch") == 0)
        v->epoch = r->number;
    else if (strcmp(r->name, "next_job") == 0)
        v->next_job = r->number > v->next_job ? r->number : v->next_job;
    else if (strcmp(r->name, job_state_name(JOB_COMPLETED)) == 0)
        v->completed = r->number;
    else if (strcmp(r->name, job_state_name(JOB_FAILED)) == 0)
        v->failed = r->number;
    else if (strcmp(r->name, job_state_name(JOB_CANCELLED)) == 0)
        v->cancelled = r->number;
    else if (strcmp(r->name, "policy.currency") == 0)
        snprintf(v->policy.currency, sizeof v->policy.currency, "%.7s", text);
#define P(member) else if (strcmp(r->name, "policy." #member) == 0) v->policy.member = r->number;
    POLICY_NUMBERS(P)
#undef P
}

void put_principal(struct core *c, int64_t id)
{
    const struct principal *p = fleet_principal(core_view(c), id);
    struct principal_row r = {.id = p->id,
                              .name = p->name,
                              .role = p->role,
                              .team = p->team,
                              .created_ms = p->created_ms,
                              .disabled_ms = p->disabled_ms};
    if (c->batch)
        batch_put(c->batch, TABLE_ID_PRINCIPAL, &r);
}

void put_node(struct core *c, int64_t id)
{
    const struct node *n = fleet_node(core_view(c), id);
    struct node_row r = {.id = n->id,
                         .name = n->name,
                         .enrolled_ms = n->enrolled_ms,
                         .state = n->state,
                         .since_ms = n->since_ms,
                         .boot_id = n->boot_id,
                         .data_id = n->data_id,
                         .cpu_milli = n->cpu_milli,
                         .memory_mib = n->memory_mib,
                         .isolation = n->isolation,
                         .version = n->version,
                         .only_principal = n->only_principal,
                         .cluster = n->cluster};
    if (c->batch)
        batch_put(c->batch, TABLE_ID_NODE, &r);
}

void put_device(struct core *c, int64_t id)
{
    const struct device *d = fleet_device(core_view(c), id);
    struct device_row r = {.id = d->id,
                           .node = d->node,
                           .uuid = d->uuid,
                           .number = d->number,
                           .vendor = d->vendor,
                           .model = d->model,
                           .memory_mib = d->memory_mib,
                           .health = d->health,
                           .since_ms = d->since_ms,
                           .first_seen_ms = d->first_seen_ms,
                           .twin = d->twin};
    if (c->batch)
        batch_put(c->batch, TABLE_ID_DEVICE, &r);
}

void put_device_time(struct core *c, const struct device *d)
{
    struct device_time_row r = {
        .device = d->id, .day = d->day, .upto_ms = d->upto_ms, .energy_mj = d->energy_mj};
#define X(id, name) r.name = d->bucket[BUCKET_##id];
    BUCKETS(X)
#undef X
    if (c->batch)
        batch_put(c->batch, TABLE_ID_DEVICE_TIME, &r);
}

void put_job_state(struct core *c, const struct job *j)
{
    struct job_state_row r = {.id = j->id,
                              .state = j->state,
                              .since_ms = j->since_ms,
                              .place = (int64_t)j->place,
                              .attempts = j->attempts,
                              .retries_left = j->retries_left,
                              .flags = j->flags,
                              .started_ms = j->started_ms,
                              .run_ms = j->run_ms,
                              .energy_mj = j->energy_mj,
                              .cost_micros = j->cost_micros,
                              .pause_ms = j->pause_ms};
    if (c->batch)
        batch_put(c->batch, TABLE_ID_JOB_STATE, &r);
}

void put_hold(struct core *c, const struct hold *h)
{
    struct job_hold_row r = {
        .id = h->job, .actor = h->actor, .since_ms = h->since_ms, .why = h->why};
    if (c->batch)
        batch_put(c->batch, TABLE_ID_JOB_HOLD, &r);
}

void put_hold_over(struct core *c, int64_t job)
{
    struct job_hold_row r = {.id = job};
    if (c->batch)
        batch_delete(c->batch, TABLE_ID_JOB_HOLD, &r);
}

static struct attempt_row attempt_record(const struct attempt *a)
{
    return (struct attempt_row){.job = a->job,
                                .n = a->n,
                                .state = a->state,
                                .node = a->node,
                                .epoch = a->epoch,
                                .boot_id = a->boot_id,
                                .data_id = a->data_id,
                                .decided_ms = a->decided_ms,
                                .started_ms = a->started_ms,
                                .cancel_ms = a->cancel_ms,
                                .gpu_hour_micros = a->gpu_hour_micros,
                                .reason_text = a->why, /* until it is over */
                                .sent_ms = a->sent_ms};
}

void put_attempt(struct core *c, const struct attempt *a)
{
    struct attempt_row r = attempt_record(a);
    if (c->batch)
        batch_put(c->batch, TABLE_ID_ATTEMPT, &r);
}

void put_attempt_over(struct core *c, const struct attempt *a, const struct event *ev)
{
    struct attempt_row r = attempt_record(a);
    r.ended_ms = ev->time_ms;
    r.state = ATTEMPT_ENDED;
    if (ev->kind == EVENT_ID_ATTEMPT_ENDED) {
        r.outcome = ev->ATTEMPT_ENDED.outcome;
        r.exit_code = ev->ATTEMPT_ENDED.exit_code;
        r.term_signal = ev->ATTEMPT_ENDED.term_signal;
        r.run_ms = ev->ATTEMPT_ENDED.run_ms;
        r.energy_mj = ev->ATTEMPT_ENDED.energy_mj;
        r.energy_measured = ev->ATTEMPT_ENDED.energy_measured;
        r.cost_micros = ev->ATTEMPT_ENDED.cost_micros;
        r.reason_text = ev->ATTEMPT_ENDED.why;
    } else if (ev->kind == EVENT_ID_ATTEMPT_LOST) {
        r.state = ATTEMPT_LOST;
        r.outcome = OUTCOME_LOST;
        r.run_ms = ev->ATTEMPT_LOST.run_ms;
        r.energy_mj = ev->ATTEMPT_LOST.energy_mj;
        r.energy_measured = ev->ATTEMPT_LOST.energy_measured;
        r.cost_micros = ev->ATTEMPT_LOST.cost_micros;
        r.reason_text = ev->ATTEMPT_LOST.why;
    } else {
        r.outcome = OUTCOME_REFUSED;
        r.reason_text = ev->ATTEMPT_REFUSED.why;
    }
    if (c->batch) {
        batch_delete(c->batch, TABLE_ID_ATTEMPT, &r);
        batch_put(c->batch, TABLE_ID_ATTEMPT_HISTORY, &r);
    }
}

void put_part(struct core *c, const struct attempt *a, int64_t number, const struct part *p,
              int64_t ended_ms)
{
    struct part_row r = {.job = a->job,
                         .n = a->n,
                         .part = number,
                         .device = p->device,
                         .capacity = p->capacity,
                         .wanted_ms = p->wanted_ms,
                         .bound_ms = p->bound_ms,
                         .ended_ms = ended_ms};
    if (!c->batch)
        return;
    if (ended_ms) {
        batch_delete(c->batch, TABLE_ID_PART, &r);
        batch_put(c->batch, TABLE_ID_PART_HISTORY, &r);
    } else {
        batch_put(c->batch, TABLE_ID_PART, &r);
    }
}

static void add_devices(struct text *out, const struct last_place *place)
{
    for (size_t i = 0; i < place->device_count; i++)
        text_addf(out, "%s%lld", i ? "," : "", (long long)place->devices[i]);
}

void put_job_over(struct core *c, const struct job *j, const struct last_place *place,
                  const struct event *ev)
{
    if (!c->batch)
        return;
    auto_text struct text devices = {0};
    struct job_history_row r = {.id = j->id,
                                .principal = j->principal,
                                .state = j->state,
                                .submitted_ms = j->submitted_ms,
                                .started_ms = j->started_ms,
                                .ended_ms = ev->time_ms,
                                .attempts = j->attempts,
                                .retries_left = j->retries_left,
                                .flags = j->flags,
                                .run_ms = j->run_ms,
                                .energy_mj = j->energy_mj,
                                .cost_micros = j->cost_micros,
                                .team = fleet_team(core_view(c), j)};
    if (ev->kind == EVENT_ID_ATTEMPT_ENDED) {
        r.reason = ev->ATTEMPT_ENDED.outcome;
        r.reason_text = ev->ATTEMPT_ENDED.why;
        r.exit_code = ev->ATTEMPT_ENDED.exit_code;
    } else if (ev->kind == EVENT_ID_ATTEMPT_LOST) {
        r.reason = OUTCOME_LOST;
        r.reason_text = ev->ATTEMPT_LOST.why;
    } else if (ev->kind == EVENT_ID_JOB_CANCEL) {
        r.reason = OUTCOME_CANCELLED;
        r.reason_text = ev->JOB_CANCEL.why;
    } else {
        r.reason = OUTCOME_REFUSED;
        r.reason_text = ev->ATTEMPT_REFUSED.why;
    }
    if (place) {
        add_devices(&devices, place);
        r.scheduled_ms = place->scheduled_ms;
        r.node = place->node;
        r.devices = text_get(&devices);
    }
    struct job_row key = {.id = j->id};
    batch_move(c->batch, TABLE_ID_JOB, TABLE_ID_JOB_SPEC, &key);
    struct job_state_row state = {.id = j->id};
    batch_delete(c->batch, TABLE_ID_JOB_STATE, &state);
    batch_put(c->batch, TABLE_ID_JOB_HISTORY, &r);
}

/* Loading. JOB comes behind JOB_STATE so that a job is put into the right index at once. */

const enum table_id core_load_order[] = {
    TABLE_ID_META,        TABLE_ID_PRINCIPAL, TABLE_ID_NODE, TABLE_ID_DEVICE,
    TABLE_ID_DEVICE_TIME, TABLE_ID_JOB_STATE, TABLE_ID_JOB,  TABLE_ID_JOB_HOLD,
    TABLE_ID_ATTEMPT,     TABLE_ID_PART,
};
const size_t core_load_count = COUNT_OF(core_load_order);

static void fill(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

static int load_principal(struct core *c, const struct principal_row *r, struct err *e)
{
    struct fleet *f = c->fleet;
    if (r->id != f->view.principal_count + 1)
        return err_set(e, ERR_INTERNAL, "principal %lld is out of order", (long long)r->id);
    struct principal *p = table_edit(&f->principals, table_add(&f->principals));
    p->id = r->id;
    p->role = (int32_t)r->role;
    p->created_ms = r->created_ms;
    p->disabled_ms = r->disabled_ms;
    fill(p->name, sizeof p->name, r->name);
    fill(p->team, sizeof p->team, r->team);
    f->view.principal_count++;
    return 0;
}

static int load_node(struct core *c, const struct node_row *r, struct err *e)
{
    struct fleet *f = c->fleet;
    if (r->id != f->view.node_count + 1)
        return err_set(e, ERR_INTERNAL, "node %lld is out of order", (long long)r->id);
    struct node *n = table_edit(&f->nodes, table_add(&f->nodes));
    n->id = r->id;
    n->state = (int32_t)r->state;
    n->enrolled_ms = r->enrolled_ms;
    n->since_ms = r->since_ms;
    n->cpu_milli = (uint32_t)r->cpu_milli;
    n->memory_mib = (uint32_t)r->memory_mib;
    n->isolation = (int32_t)r->isolation;
    n->only_principal = r->only_principal;
    n->first_device = NO_ROW;
    fill(n->name, sizeof n->name, r->name);
    fill(n->cluster, sizeof n->cluster, r->cluster);
    fill(n->boot_id, sizeof n->boot_id, r->boot_id);
    fill(n->data_id, sizeof n->data_id, r->data_id);
    fill(n->version, sizeof n->version, r->version);
    f->view.node_count++;
    return 0;
}

static int load_device(struct core *c, const struct device_row *r, struct err *e)
{
    struct fleet *f = c->fleet;
    if (r->id != f->view.device_count + 1 || !fleet_node(core_view(c), r->node))
        return err_set(e, ERR_INTERNAL, "device %lld is out of order", (long long)r->id);
    struct device *d = table_edit(&f->devices, table_add(&f->devices));
    d->id = r->id;
    d->node = r->node;
    d->number = r->number;
    d->memory_mib = d->free_mib = (uint32_t)r->memory_mib;
    d->health = (int32_t)r->health;
    d->twin = r->twin;
    d->since_ms = r->since_ms;
    d->first_seen_ms = d->upto_ms = r->first_seen_ms;
    d->day = r->first_seen_ms / 86400000;
    d->attempt = d->next_on_node = NO_ROW;
    fill(d->uuid, sizeof d->uuid, r->uuid);
    fill(d->model, sizeof d->model, r->model);
    fill(d->vendor, sizeof d->vendor, r->vendor);
    f->view.device_count++;
    fleet_refresh(f);
    device_chain(c, r->id);
    return 0;
}

static int load_device_time(struct core *c, const struct device_time_row *r, struct err *e)
{
    if (!fleet_device(core_view(c), r->device))
        return err_set(e, ERR_INTERNAL, "device %lld is not known", (long long)r->device);
    /* In the order of days, so the last one stays. */
    struct device *d = table_edit(&c->fleet->devices, (uint32_t)r->device);
    d->day = r->day;
    d->upto_ms = r->upto_ms;
    d->energy_mj = r->energy_mj;
#define X(id, name) d->bucket[BUCKET_##id] = r->name;
    BUCKETS(X)
#undef X
    return 0;
}

/* JOB_STATE rows come first, sorted by id as JOB rows are: kept until their job comes. */
static int load_job_state(struct core *c, const struct job_state_row *r)
{
    struct fleet *f = c->fleet;
    uint32_t row = table_add(&f->jobs);
    *(struct job *)table_edit(&f->jobs, row) = (struct job){
        .id = r->id,
        .since_ms = r->since_ms,
        .started_ms = r->started_ms,
        .place = (uint64_t)r->place,
        .run_ms = r->run_ms,
        .energy_mj = r->energy_mj,
        .cost_micros = r->cost_micros,
        .attempts = (uint32_t)r->attempts,
        .retries_left = (uint16_t)r->retries_left,
        .flags = (uint16_t)r->flags,
        .pause_ms = (uint32_t)r->pause_ms,
        .state = (uint8_t)r->state,
    };
    tree_put(&f->view.by_id, &f->tree_nodes, (struct tree_key){0, (uint64_t)r->id}, row);
    return 0;
}

static int load_job(struct core *c, const struct job_row *r, struct err *e)
{
    struct fleet *f = c->fleet;
    if (!fleet_principal(core_view(c), r->principal))
        return err_set(e, ERR_INTERNAL, "job %lld is of principal %lld, who is not known",
                       (long long)r->id, (long long)r->principal);
    struct job job = {.id = r->id,
                      .since_ms = r->submitted_ms,
                      .place = (uint64_t)r->place,
                      .retries_left = (uint16_t)r->retries,
                      .flags = (uint16_t)r->flags,
                      .state = JOB_QUEUED};
    struct tree_key id = {0, (uint64_t)r->id};
    uint32_t row = tree_find(&f->view.by_id, &f->tree_nodes.view, id);
    if (row != NO_ROW) {
        job = *(const struct job *)table_row(&f->jobs.view, row);
        tree_remove(&f->view.by_id, &f->tree_nodes, id);
        table_remove(&f->jobs, row);
    }
    job.submitted_ms = r->submitted_ms;
    job.principal = (uint32_t)r->principal;
    job.submitter = (uint32_t)r->submitter;
    job.team = team_intern(c, r->team);
    job.where = where_take(f, r->selector, r->tolerations);
    job.attempt = NO_ROW;
    job.gpus = (uint16_t)r->gpus;
    job.gpu_memory_mib = (uint32_t)r->gpu_memory_mib;
    job.cpu_milli = (uint32_t)r->cpu_milli;
    job.memory_mib = (uint32_t)r->memory_mib;
    job.time_limit_s = (uint32_t)(r->time_limit_ms / 1000);
    job.retries = (uint16_t)r->retries;
    job_insert(c, &job);
    return 0;
}

static int load_hold(struct core *c, const struct job_hold_row *r, struct err *e)
{
    struct fleet *f = c->fleet;
    uint32_t row = fleet_job_row(core_view(c), r->id);
    if (row == NO_ROW || fleet_job_at(core_view(c), row)->state != JOB_QUEUED)
        return err_set(e, ERR_INTERNAL, "job %lld is held, but does not wait", (long long)r->id);
    uint32_t hold = table_add(&f->holds);
    struct hold *h = table_edit(&f->holds, hold);
    *h = (struct hold){.job = r->id, .actor = r->actor, .since_ms = r->since_ms};
    fill(h->why, sizeof h->why, r->why);
    ((struct job *)table_edit(&f->jobs, row))->hold = hold;
    queue_hold(f, row);
    return 0;
}

static int load_attempt(struct core *c, const struct attempt_row *r, struct err *e)
{
    struct fleet *f = c->fleet;
    uint32_t job_row = fleet_job_row(core_view(c), r->job);
    if (job_row == NO_ROW || !fleet_node(core_view(c), r->node))
        return err_set(e, ERR_INTERNAL, "attempt %lld of job %lld hangs in the air",
                       (long long)r->n, (long long)r->job);
    uint32_t row = table_add(&f->attempts);
    struct attempt *a = table_edit(&f->attempts, row);
    *a = (struct attempt){.job = r->job,
                          .n = r->n,
                          .node = r->node,
                          .decided_ms = r->decided_ms,
                          .started_ms = r->started_ms,
                          .cancel_ms = r->cancel_ms,
                          .sent_ms = r->sent_ms,
                          .epoch = r->epoch,
                          .gpu_hour_micros = r->gpu_hour_micros,
                          .job_row = job_row,
                          .first_part = NO_ROW,
                          .state = (uint8_t)r->state};
    fill(a->boot_id, sizeof a->boot_id, r->boot_id);
    fill(a->data_id, sizeof a->data_id, r->data_id);
    fill(a->why, sizeof a->why, r->reason_text);
    struct job *j = table_edit(&f->jobs, job_row);
    struct node *n = table_edit(&f->nodes, (uint32_t)r->node);
    j->attempt = row;
    n->attempts++;
    n->cpu_milli_used += j->cpu_milli;
    n->memory_mib_used += j->flags & JOB_MEMORY_DEFAULT ? 0 : j->memory_mib;
    return 0;
}

static int load_part(struct core *c, const struct part_row *r, struct err *e)
{
    struct fleet *f = c->fleet;
    const struct job *j = fleet_job(core_view(c), r->job);
    if (!j || j->attempt == NO_ROW || !fleet_device(core_view(c), r->device))
        return err_set(e, ERR_INTERNAL, "part %lld of job %lld hangs in the air",
                       (long long)r->part, (long long)r->job);
    uint32_t row = table_add(&f->parts);
    *(struct part *)table_edit(&f->parts, row) = (struct part){.device = r->device,
                                                               .wanted_ms = r->wanted_ms,
                                                               .bound_ms = r->bound_ms,
                                                               .capacity = (uint32_t)r->capacity,
                                                               .attempt = j->attempt,
                                                               .next = NO_ROW};
    ((struct device *)table_edit(&f->devices, (uint32_t)r->device))->attempt = j->attempt;
    struct attempt *a = table_edit(&f->attempts, j->attempt);
    a->parts++;
    if (a->first_part == NO_ROW) {
        a->first_part = row;
        return 0;
    }
    uint32_t last = a->first_part;
    while (fleet_part_at(core_view(c), last)->next != NO_ROW)
        last = fleet_part_at(core_view(c), last)->next;
    ((struct part *)table_edit(&f->parts, last))->next = row;
    return 0;
}

int core_load(struct core *c, enum table_id table, const void *r, struct err *e)
{
    switch (table) {
    case TABLE_ID_META:
        load_meta(c, r);
        return 0;
    case TABLE_ID_PRINCIPAL:
        return load_principal(c, r, e);
    case TABLE_ID_NODE:
        return load_node(c, r, e);
    case TABLE_ID_DEVICE:
        return load_device(c, r, e);
    case TABLE_ID_DEVICE_TIME:
        return load_device_time(c, r, e);
    case TABLE_ID_JOB_STATE:
        return load_job_state(c, r);
    case TABLE_ID_JOB:
        return load_job(c, r, e);
    case TABLE_ID_JOB_HOLD:
        return load_hold(c, r, e);
    case TABLE_ID_ATTEMPT:
        return load_attempt(c, r, e);
    case TABLE_ID_PART:
        return load_part(c, r, e);
    default:
        return 0;
    }
}

void core_loaded(struct core *c)
{
    fleet_refresh(c->fleet);
}
