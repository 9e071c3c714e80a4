#include "api/job_json.h"

#include "api/door.h"
#include "core/fleet/where.h"
#include "core/meter/meter.h"

void job_writer_done(struct job_writer *w)
{
    for (size_t i = 0; i < JOB_REASONS; i++)
        text_done(&w->reasons[i].sentence);
}

/* ---- facts ---- */

void job_facts_of_open(const struct fleet_view *v, const struct job *j, struct job_facts *ret)
{
    const struct attempt *a = fleet_job_attempt(v, j);
    *ret = (struct job_facts){
        .id = j->id,
        .principal = j->principal,
        .submitter = j->submitter,
        .team = fleet_team(v, j),
        .selector = fleet_selector(v, j),
        .tolerations = fleet_tolerations(v, j),
        .reason_text = a ? a->why : NULL,
        .state = (enum job_state)j->state,
        .submitted_ms = j->submitted_ms,
        .scheduled_ms = a ? a->decided_ms : 0,
        .started_ms = j->started_ms,
        .attempts = j->attempts,
        .run_ms = j->run_ms,
        .energy_mj = j->energy_mj,
        .cost_micros = j->cost_micros,
        .gpus = j->gpus,
        .gpu_memory_mib = j->gpu_memory_mib,
        .cpu_milli = j->cpu_milli,
        .memory_mib = j->memory_mib,
        .time_limit_s = j->time_limit_s,
        .retries = j->retries,
        .flags = j->flags,
        .open = j,
        .attempt = a,
    };
}

void job_facts_of_ended(const struct job_history_row *h, const struct job_spec_row *s,
                        struct job_facts *ret)
{
    *ret = (struct job_facts){
        .id = h->id,
        .principal = h->principal,
        .submitter = h->principal,
        .team = h->team,
        .state = (enum job_state)h->state,
        .submitted_ms = h->submitted_ms,
        .scheduled_ms = h->scheduled_ms,
        .started_ms = h->started_ms,
        .ended_ms = h->ended_ms,
        .attempts = h->attempts,
        .run_ms = h->run_ms,
        .energy_mj = h->energy_mj,
        .cost_micros = h->cost_micros,
        .flags = h->flags,
        .last_node = h->node,
        .last_devices = h->devices,
        .reason_text = h->reason_text,
        .outcome = (enum attempt_outcome)h->reason,
        .exit_code = h->exit_code,
        /* A program that ended by itself has one; what was stopped from outside has none. */
        .has_exit_code = h->reason == OUTCOME_COMPLETED || h->reason == OUTCOME_FAILED,
    };
    if (!s)
        return;
    ret->submitter = s->submitter;
    ret->selector = s->selector;
    ret->tolerations = s->tolerations;
    ret->gpus = s->gpus;
    ret->gpu_memory_mib = s->gpu_memory_mib;
    ret->cpu_milli = s->cpu_milli;
    ret->memory_mib = s->memory_mib;
    ret->time_limit_s = s->time_limit_ms / 1000;
    ret->retries = s->retries;
    ret->name = s->name;
    ret->spec = s->spec;
}

void job_facts_of_new(const struct submission *s, int64_t principal, int64_t submitter,
                      int64_t now_ms, struct job_facts *ret)
{
    *ret = (struct job_facts){
        .id = s->ret_id,
        .principal = principal,
        .submitter = submitter,
        .team = s->team,
        .selector = s->selector,
        .tolerations = s->tolerations,
        .state = JOB_QUEUED,
        .submitted_ms = now_ms,
        .gpus = s->gpus,
        .gpu_memory_mib = s->gpu_memory_mib,
        .cpu_milli = s->cpu_milli,
        .memory_mib = s->memory_mib,
        .time_limit_s = s->time_limit_ms / 1000,
        .retries = s->retries,
        .flags = s->flags,
        .position = s->ret_position,
        .name = s->name,
        .spec = s->spec,
    };
}

/* ---- what a running attempt has used so far ---- */

struct job_used job_used_now(struct job_writer *w, const struct attempt *a)
{
    struct job_meter m;
    struct job_used used = {0};
    if (!a || !a->started_ms)
        return used;
    used.run_ms = w->now_ms > a->started_ms ? w->now_ms - a->started_ms : 0;
    if (progress_get_meter(w->api->progress, a->job, &m) && m.n == a->n) {
        used.energy_mj = m.energy_mj;
        used.measured = m.measured;
    }
    used.cost_micros =
        meter_cost_micros(&w->view->policy, a->gpu_hour_micros,
                          fleet_job_at(w->view, a->job_row)->gpus, used.run_ms, used.energy_mj);
    return used;
}

/* ---- parts ---- */

void job_write_user(struct json_out *o, const char *key, const struct fleet_view *v,
                    int64_t principal, bool shown)
{
    const struct principal *p = fleet_principal(v, principal);
    jo_text(o, key, p && shown ? p->name : NULL);
}

void job_write_device(struct json_out *o, const struct fleet_view *v, const struct device *d)
{
    const struct node *n = fleet_node(v, d->node);
    jo_object(o, NULL);
    jo_int(o, "id", d->id);
    jo_text(o, "node", n ? n->name : "");
    jo_int(o, "index", d->number);
    jo_text(o, "uuid", d->uuid);
    jo_text(o, "model", d->model);
    jo_end(o);
}

void job_write_sentence(struct json_out *o, const char *key, const struct caller *w,
                        const char *sentence)
{
    auto_text struct text text = {0};
    if (!sentence || !sentence[0]) {
        jo_null(o, key);
        return;
    }
    phrase_add(&text, w->language, sentence);
    jo_text(o, key, text_get(&text));
}
