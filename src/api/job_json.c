#include "api/job_json.h"

#include "api/door.h"
#include "api/job_in.h"
#include "core/explain/explain.h"

void job_writer_done(struct job_writer *w)
{
    text_done(&w->reason);
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
        .time_limit_ms = (int64_t)j->time_limit_s * 1000,
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
        .started_ms = h->started_ms,
        .ended_ms = h->ended_ms,
        .attempts = h->attempts,
        .run_ms = h->run_ms,
        .energy_mj = h->energy_mj,
        .cost_micros = h->cost_micros,
        .flags = h->flags,
        .reason_text = h->reason_text,
        .outcome = (enum attempt_outcome)h->reason,
        .exit_code = h->exit_code,
        /* A program that ended by itself has one; what was stopped from outside has none. */
        .has_exit_code = h->reason == OUTCOME_COMPLETED || h->reason == OUTCOME_FAILED,
    };
    if (!s)
        return;
    ret->submitter = s->submitter;
    ret->gpus = s->gpus;
    ret->gpu_memory_mib = s->gpu_memory_mib;
    ret->cpu_milli = s->cpu_milli;
    ret->memory_mib = s->memory_mib;
    ret->time_limit_ms = s->time_limit_ms;
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
        .state = JOB_QUEUED,
        .submitted_ms = now_ms,
        .gpus = s->gpus,
        .gpu_memory_mib = s->gpu_memory_mib,
        .cpu_milli = s->cpu_milli,
        .memory_mib = s->memory_mib,
        .time_limit_ms = s->time_limit_ms,
        .retries = s->retries,
        .flags = s->flags,
        .position = s->ret_position,
        .name = s->name,
        .spec = s->spec,
    };
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

static void write_text_or_null(struct json_out *o, const char *key, const char *text)
{
    jo_text(o, key, text && text[0] ? text : NULL);
}

static void write_amount(struct json_out *o, const char *key, int64_t amount)
{
    if (amount)
        jo_int(o, key, amount);
    else
        jo_null(o, key);
}

static void write_place(struct json_out *o, const struct fleet_view *v, const struct job_facts *f)
{
    /* Of an ended job the attempts tell it; a list does not read them. */
    if (!f->open && f->attempts)
        return;
    const struct node *n = f->attempt ? fleet_node(v, f->attempt->node) : NULL;
    jo_text(o, "node", n ? n->name : NULL);
    jo_list(o, "devices");
    for (uint32_t p = f->attempt ? f->attempt->first_part : NO_ROW; p != NO_ROW;
         p = fleet_part_at(v, p)->next)
        job_write_device(o, v, fleet_device(v, fleet_part_at(v, p)->device));
    jo_end(o);
}

static void write_times(struct json_out *o, const struct job_facts *f, int64_t now_ms)
{
    jo_time(o, "submitted_at", f->submitted_ms);
    if (f->open || !f->attempts || f->scheduled_ms)
        jo_time(o, "scheduled_at", f->scheduled_ms);
    jo_time(o, "started_at", f->started_ms);
    jo_time(o, "ended_at", f->ended_ms);
    int64_t until = f->started_ms ? f->started_ms : f->ended_ms ? f->ended_ms : now_ms;
    jo_int(o, "wait_ms", until > f->submitted_ms ? until - f->submitted_ms : 0);
}

static void write_cost(struct job_writer *w, struct json_out *o, const struct job_facts *f)
{
    int64_t run_ms = f->run_ms;
    const struct attempt *a = f->attempt;
    if (a && a->started_ms && w->now_ms > a->started_ms)
        run_ms += w->now_ms - a->started_ms;
    if (f->started_ms || f->attempts)
        jo_int(o, "run_ms", run_ms);
    else
        jo_null(o, "run_ms");
    write_text_or_null(o, "team", f->team);
    jo_int(o, "gpus", f->gpus);
    jo_fixed(o, "energy_joules", f->energy_mj, 1000);
    jo_int(o, "cost_micros", f->cost_micros);
    jo_text(o, "currency", w->view->policy.currency);
}

static void write_progress(struct job_writer *w, struct json_out *o, const struct job_facts *f)
{
    struct job_progress p;
    if (!progress_get(w->api->progress, f->id, &p) || p.total <= 0 || p.n != f->attempts) {
        jo_null(o, "progress");
        return;
    }
    int64_t done = p.done < p.total ? p.done : p.total;
    jo_object(o, "progress");
    jo_int(o, "done", done);
    jo_int(o, "total", p.total);
    jo_fixed(o, "percent", (int64_t)((__int128)done * 10000 / p.total), 100);
    jo_end(o);
}

static void write_reason(struct job_writer *w, struct json_out *o, const struct job_facts *f)
{
    bool mask =
        w->api->config.mask_users && caller_scope(w->caller, PERMISSION_JOBS_READ) != SCOPE_ALL;
    const char *text = f->reason_text, *code = NULL;
    if (f->open && f->open->hold) {
        text_clear(&w->reason);
        code = explain_wait(w->view, f->open, mask, &w->reason);
        text = text_get(&w->reason);
        w->reason_code = NULL; /* the next one of a shape is worked out anew */
    } else if (f->open && f->state == JOB_QUEUED) {
        if (!w->reason_code || w->reason_shape != f->open->shape || f->open->pause_ms) {
            text_clear(&w->reason);
            w->reason_code = explain_wait(w->view, f->open, mask, &w->reason);
            w->reason_shape = f->open->shape;
        }
        text = text_get(&w->reason);
        code = w->reason_code;
    } else if (f->open && f->flags & JOB_CANCEL_ASKED) {
        text = "it is being cancelled";
        code = "cancelling";
    } else if (!f->open && f->outcome != OUTCOME_NONE) {
        code = outcome_name(f->outcome);
    }
    write_text_or_null(o, "reason", text);
    write_text_or_null(o, "reason_code", code);
}

static void write_map(struct json_out *o, const char *key, const json_t *map, bool mask)
{
    const char *name;
    json_t *value;
    jo_object(o, key);
    json_object_foreach((json_t *)map, name, value)
        jo_text(o, name, mask && job_env_is_secret(name) ? "***" : json_string_value(value));
    jo_end(o);
}

static void write_warnings(struct json_out *o, const json_t *env)
{
    const char *name;
    json_t *value;
    bool any = false;
    json_object_foreach((json_t *)env, name, value)
    {
        if (!job_env_is_secret(name))
            continue;
        if (!any)
            jo_list(o, "warnings");
        any = true;
        struct text t = {0};
        text_addf(&t, "env %s looks like a secret: it is not shown, but kept readable in the store",
                  name);
        jo_text(o, NULL, text_get(&t));
        text_done(&t);
    }
    if (any)
        jo_end(o);
}

static void write_spec(struct json_out *o, const struct job_facts *f)
{
    auto_json json_t *spec = NULL;
    if (!f->spec || json_parse(f->spec, strlen(f->spec), &spec, NULL) < 0)
        return;
    size_t i;
    json_t *arg;
    jo_list(o, "command");
    json_array_foreach(json_object_get(spec, "command"), i, arg)
        jo_text(o, NULL, json_string_value(arg));
    jo_end(o);
    write_map(o, "env", json_object_get(spec, "env"), true);
    write_map(o, "labels", json_object_get(spec, "labels"), false);
    jo_text(o, "work_dir", json_string_value(json_object_get(spec, "work_dir")));
    jo_text(o, "config_file", json_string_value(json_object_get(spec, "config_file")));
    jo_text(o, "progress_pattern", json_string_value(json_object_get(spec, "progress")));
    write_warnings(o, json_object_get(spec, "env"));
}

static void write_all(struct job_writer *w, struct json_out *o, const struct job_facts *f)
{
    if (f->name)
        jo_text(o, "name", f->name);
    write_reason(w, o, f);
    write_progress(w, o, f);
    if (f->has_exit_code)
        jo_int(o, "exit_code", f->exit_code);
    else
        jo_null(o, "exit_code");
    write_amount(o, "gpu_memory", f->gpu_memory_mib);
    if (f->cpu_milli)
        jo_fixed(o, "cpu", f->cpu_milli, 1000);
    else
        jo_null(o, "cpu");
    write_amount(o, "memory", f->memory_mib);
    write_amount(o, "time_limit", f->time_limit_ms / 1000);
    jo_int(o, "retries", f->retries);
    jo_bool(o, "exclusive", f->flags & JOB_EXCLUSIVE);
    write_spec(o, f);
}

enum sight job_write(struct job_writer *w, struct json_out *o, const struct job_facts *f)
{
    enum sight sight = caller_sight(w->caller, f->principal, f->submitter);
    jo_int(o, "id", f->id);
    job_write_user(o, "user", w->view, f->principal, caller_sees_user(w->api, sight));
    jo_text(o, "state", job_state_name(f->state));
    if (f->position)
        jo_int(o, "position", f->position);
    else
        jo_null(o, "position");
    jo_bool(o, "held", f->open && f->open->hold);
    jo_int(o, "attempt", f->attempts);
    write_times(o, f, w->now_ms);
    write_place(o, w->view, f);
    if (sight >= SIGHT_COST)
        write_cost(w, o, f);
    if (sight == SIGHT_ALL)
        write_all(w, o, f);
    return sight;
}
