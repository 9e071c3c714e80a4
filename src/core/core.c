#include "core/core.h"

#include "base/mem.h"
#include "core/internal.h"

void core_init(struct core *c)
{
    *c = (struct core){.fleet = fleet_new()};
}

void core_done(struct core *c)
{
    plan_done(&c->plan);
    fleet_free(c->fleet);
    *c = (struct core){0};
}

const struct fleet_view *core_view(struct core *c)
{
    fleet_refresh(c->fleet);
    return &c->fleet->view;
}

void core_plan(struct core *c, int64_t now_ms, int64_t version, struct event *ret)
{
    const struct fleet_view *v = core_view(c);
    plan_done(&c->plan);
    plan_make(v, now_ms, version, &c->plan);
    c->plan_next = 0;

    *ret = (struct event){.kind = EVENT_ID_PLANNED};
    ret->PLANNED.now_ms = now_ms;
    ret->PLANNED.upto = v->last_seq;
    ret->PLANNED.policy = version;
    ret->PLANNED.decisions = (int64_t)c->plan.decision_count;
    hex_write(ret->PLANNED.digest, c->plan.digest.bytes, DIGEST_SIZE);
}

/* What the plan found out about shapes: they sleep until something changes for them. */
static void take_news(struct core *c, const struct plan *p)
{
    for (size_t i = 0; i < p->news_count; i++) {
        struct shape *s = table_edit(&c->fleet->shapes, p->news[i].shape);
        c->fleet->view.awake -= s->awake;
        s->awake = 0;
        s->reserved_node = p->news[i].reserved_node;
    }
}

static int apply_planned(struct core *c, const struct event *ev, struct err *e)
{
    char digest[DIGEST_HEX];
    hex_write(digest, c->plan.digest.bytes, DIGEST_SIZE);
    if (ev->PLANNED.policy < 1 || ev->PLANNED.policy > PLAN_VERSION)
        return err_set(e, ERR_CONFLICT,
                       "the plan was made by policy version %lld, this knows 1 to %d",
                       (long long)ev->PLANNED.policy, PLAN_VERSION);
    if (strcmp(digest, ev->PLANNED.digest) != 0)
        return err_set(e, ERR_CONFLICT, "the plan of ledger row %lld decides otherwise now",
                       (long long)ev->seq);
    take_news(c, &c->plan);
    return 0;
}

static int apply_store_created(struct core *c, const struct event *ev, struct err *e)
{
    (void)e;
    struct fleet_view *v = &c->fleet->view; /* again after a restore: another incarnation */
    snprintf(v->incarnation, sizeof v->incarnation, "%.63s", ev->STORE_CREATED.incarnation);
    snprintf(v->site, sizeof v->site, "%.15s", ev->STORE_CREATED.site);
    put_meta(c, "incarnation", 0, v->incarnation);
    put_meta(c, "site", 0, v->site);
    return 0;
}

static int apply_snapshot(struct core *c, const struct event *ev, struct err *e)
{
    char digest[DIGEST_HEX];
    struct digest d = fleet_digest(core_view(c));
    hex_write(digest, d.bytes, DIGEST_SIZE);
    if (strcmp(digest, ev->SNAPSHOT.digest) != 0)
        return err_set(e, ERR_CONFLICT, "the fleet differs from the snapshot of ledger row %lld",
                       (long long)ev->seq);
    return 0;
}

/* Written down for people; core does not decide from them. */
static int apply_nothing(struct core *c, const struct event *ev, struct err *e)
{
    (void)c, (void)ev, (void)e;
    return 0;
}

static int (*const apply[EVENT_KINDS])(struct core *, const struct event *, struct err *) = {
    [EVENT_ID_STORE_CREATED] = apply_store_created,
    [EVENT_ID_EPOCH_BEGAN] = apply_epoch,
    [EVENT_ID_POLICY_SET] = apply_policy,
    [EVENT_ID_PRINCIPAL_ADDED] = apply_principal,
    [EVENT_ID_PRINCIPAL_CHANGED] = apply_principal,
    [EVENT_ID_TOKEN_CREATED] = apply_nothing,
    [EVENT_ID_TOKEN_REVOKED] = apply_nothing,
    [EVENT_ID_ENROLMENT_CREATED] = apply_nothing,
    [EVENT_ID_NODE_ENROLLED] = apply_node,
    [EVENT_ID_NODE_HELLO] = apply_node,
    [EVENT_ID_NODE_CHANGED] = apply_node,
    [EVENT_ID_NODE_SILENT] = apply_node,
    [EVENT_ID_NODE_LOST] = apply_node,
    [EVENT_ID_NODE_RETIRED] = apply_node,
    [EVENT_ID_DEVICE_SEEN] = apply_device,
    [EVENT_ID_DEVICE_CHANGED] = apply_device,
    [EVENT_ID_JOB_SUBMITTED] = apply_job_submitted,
    [EVENT_ID_JOB_CANCEL] = apply_job_cancel,
    [EVENT_ID_JOB_RETRIED] = apply_job_retried,
    [EVENT_ID_JOB_DELETED] = apply_job_deleted,
    [EVENT_ID_PLANNED] = apply_planned,
    [EVENT_ID_ATTEMPT_DECIDED] = apply_attempt_decided,
    [EVENT_ID_ATTEMPT_STARTED] = apply_attempt_started,
    [EVENT_ID_ATTEMPT_REFUSED] = apply_attempt_over,
    [EVENT_ID_ATTEMPT_ENDED] = apply_attempt_over,
    [EVENT_ID_ATTEMPT_LOST] = apply_attempt_over,
    [EVENT_ID_CLOCK_STEPPED] = apply_nothing,
    [EVENT_ID_SNAPSHOT] = apply_snapshot,
    [EVENT_ID_JOB_DUE] = apply_job_due,
    [EVENT_ID_JOB_HELD] = apply_job_hold,
    [EVENT_ID_JOB_RELEASED] = apply_job_hold,
    [EVENT_ID_NODE_SHARE] = apply_node,
    [EVENT_ID_NODE_LABELS] = apply_node_where,
    [EVENT_ID_NODE_TAINT] = apply_node_where,
    [EVENT_ID_ATTEMPT_SENT] = apply_attempt_under_way,
    [EVENT_ID_ATTEMPT_WAITS] = apply_attempt_under_way,
    [EVENT_ID_ATTEMPT_BOUND] = apply_attempt_bound,
};

int core_apply(struct core *c, const struct event *ev, struct batch *batch, struct err *e)
{
    struct fleet_view *v = &c->fleet->view;
    if (ev->kind <= 0 || ev->kind >= EVENT_KINDS)
        return err_set(e, ERR_CONFLICT, "ledger row %lld is of a kind that is not known",
                       (long long)ev->seq);
    if (ev->seq != v->last_seq + 1)
        return err_set(e, ERR_CONFLICT, "ledger row %lld does not follow row %lld",
                       (long long)ev->seq, (long long)v->last_seq);

    c->batch = batch;
    int rc = apply[ev->kind](c, ev, e);
    c->batch = NULL;
    if (rc < 0)
        return err_wrap(e, "ledger row %lld, %s", (long long)ev->seq, event_name(ev->kind));
    v->last_seq = ev->seq;
    v->last_time_ms = ev->time_ms;
    fleet_refresh(c->fleet);
    return 0;
}

void core_job_record(const struct event *ev, const char *name, const char *spec,
                     struct job_row *ret)
{
    *ret = (struct job_row){
        .id = ev->subject,
        .principal = ev->JOB_SUBMITTED.principal,
        .submitter = ev->JOB_SUBMITTED.submitter,
        .team = ev->JOB_SUBMITTED.team,
        .submitted_ms = ev->time_ms,
        .place = ev->seq,
        .gpus = ev->JOB_SUBMITTED.gpus,
        .gpu_memory_mib = ev->JOB_SUBMITTED.gpu_memory_mib,
        .cpu_milli = ev->JOB_SUBMITTED.cpu_milli,
        .memory_mib = ev->JOB_SUBMITTED.memory_mib,
        .time_limit_ms = ev->JOB_SUBMITTED.time_limit_ms,
        .retries = ev->JOB_SUBMITTED.retries,
        .flags = ev->JOB_SUBMITTED.flags,
        .name = name,
        .spec = spec,
        .selector = ev->JOB_SUBMITTED.selector,
        .tolerations = ev->JOB_SUBMITTED.tolerations,
    };
}

void core_retry_event(const struct job_spec_row *s, const struct job_history_row *h,
                      struct event *ret)
{
    *ret = (struct event){.kind = EVENT_ID_JOB_RETRIED, .subject = s->id};
    ret->JOB_RETRIED.principal = s->principal;
    ret->JOB_RETRIED.submitter = s->submitter;
    event_set_text(ret->JOB_RETRIED.team, s->team);
    ret->JOB_RETRIED.gpus = s->gpus;
    ret->JOB_RETRIED.gpu_memory_mib = s->gpu_memory_mib;
    ret->JOB_RETRIED.cpu_milli = s->cpu_milli;
    ret->JOB_RETRIED.memory_mib = s->memory_mib;
    ret->JOB_RETRIED.time_limit_ms = s->time_limit_ms;
    ret->JOB_RETRIED.retries = s->retries;
    ret->JOB_RETRIED.flags = s->flags;
    ret->JOB_RETRIED.submitted_ms = s->submitted_ms;
    ret->JOB_RETRIED.attempts = h->attempts;
    ret->JOB_RETRIED.run_ms = h->run_ms;
    ret->JOB_RETRIED.energy_mj = h->energy_mj;
    ret->JOB_RETRIED.cost_micros = h->cost_micros;
    event_set_text(ret->JOB_RETRIED.selector, s->selector);
    event_set_text(ret->JOB_RETRIED.tolerations, s->tolerations);
}
