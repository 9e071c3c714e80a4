/* Handing in jobs: one, many, and the source's way. */
#include "api/auth.h"
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_cluster.h"
#include "api/job_in.h"
#include "api/job_json.h"
#include "api/job_show.h"
#include "base/mem.h"
#include "core/fleet/where.h"
#include "core/plan.h"

enum { BATCH_MOST = 1000 };

/* Whose job it will be. USER NULL: the caller's own. */
static int find_owner(struct call *c, const struct fleet_view *v, const char *user,
                      int64_t *ret_principal, struct err *e)
{
    const struct caller *w = &c->caller;
    const struct principal *p = user ? fleet_principal_named(v, user) : NULL;
    bool own = w->kind == CALLER_PRINCIPAL && (!user || strcmp(user, w->name) == 0);
    *ret_principal = own ? w->id : 0;
    if (own)
        return 0;
    if (w->kind == CALLER_PRINCIPAL && !access_may_act_for(w->role)) {
        err_set(e, ERR_DENIED, "role %s may not submit for user '%s', only for %s",
                role_name(w->role), user, w->name);
        return err_blame(e, "user");
    }
    if (!p || p->disabled_ms) {
        err_set(e, ERR_UNPROCESSABLE, "there is no user '%s'", user ? user : "");
        return err_blame(e, "user");
    }
    *ret_principal = p->id;
    return 0;
}

/* The command for COUNT jobs of one owner; it has no jobs yet. */
static struct command *new_submission(struct call *c, size_t count)
{
    struct command *command = command_new(COMMAND_SUBMIT);
    command->jobs = mem_new_array(struct submission, count);
    command->job_count = count;
    call_idempotency(c, command);
    return command;
}

static void set_owner(struct call *c, struct command *command, int64_t principal)
{
    /* Without a token on loopback the named user is the one who asks. */
    command->actor = c->caller.kind == CALLER_PRINCIPAL ? c->caller.id : principal;
    command->on_behalf = principal == command->actor ? 0 : principal;
}

static int read_one(struct call *c, const json_t *object, struct submission *ret,
                    int64_t *ret_principal, struct err *e)
{
    const char *user;
    if (job_in_read(object, ret, &user, e) < 0 ||
        job_cluster_check_leave(ret, c->api->config.allow_tolerations, e) < 0)
        return -1;
    const struct engine_view *v = engine_view_get(c->api->engine);
    int rc = find_owner(c, &v->fleet, user, ret_principal, e);
    engine_view_release(c->api->engine, v);
    return rc;
}

static void submit(struct call *c, struct command *command, int64_t principal,
                   void (*then)(struct call *c, struct command *command))
{
    set_owner(c, command, principal);
    call_command(c, command, then);
}

/* ---- POST /api/v1/jobs ---- */

static int show_repeated(struct call *c, struct store_reader *r, struct err *e)
{
    return job_show(c, r, c->subject, e);
}

static void answer_new_job(struct call *c, const struct command *command)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    struct job_writer w = {
        .api = c->api, .caller = &c->caller, .view = &v->fleet, .now_ms = c->now_ms};
    struct json_out o = call_out(c);
    struct job_facts f;
    int64_t owner = command->on_behalf ? command->on_behalf : command->actor;
    job_facts_of_new(&command->jobs[0], owner, command->actor, c->now_ms, &f);
    const struct job *j = fleet_job(&v->fleet, f.id);
    f.submitted_ms = j ? j->submitted_ms : c->now_ms; /* it may have ended already */
    job_write(&w, &o, &f);
    job_writer_done(&w);
    engine_view_release(c->api->engine, v);

    char location[64];
    snprintf(location, sizeof location, "/api/v1/jobs/%lld", (long long)f.id);
    call_header(c, "Location", location);
    c->answer.status = 201;
    call_answer(c);
}

static void answer_job(struct call *c, struct command *command)
{
    if (!command->ret_repeated) {
        answer_new_job(c, command);
        return;
    }
    c->subject = command->ret_id;
    call_read(c, show_repeated, NULL);
}

/* ---- the same with ?dry_run: what would become of it ---- */

struct dry_run {
    struct shape shape;
    struct where where; /* of the shape */
    int64_t position, queue_length;
};

/* On a worker: a plan over the whole queue may take a while. */
static int show_dry_run(struct call *c, struct store_reader *r, struct err *e)
{
    (void)r, (void)e;
    const struct dry_run *d = c->own;
    struct explain_reader reader = caller_reads(c->api, &c->caller);
    auto_text struct text reason = {0};
    const struct engine_view *v = engine_view_get(c->api->engine);
    struct fleet_view fleet = v->fleet; /* with what no job of it says */
    fleet.other_where = &d->where;
    bool starts = plan_starts_behind(&fleet, &d->shape);
    if (!starts && strcmp(explain_shape(&fleet, &d->shape, &reader, &reason), "next") == 0) {
        text_clear(&reason);
        phrase_add(&reason, reader.language, "jobs further in front are given what is free");
    }
    engine_view_release(c->api->engine, v);
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_bool(&o, "valid", true);
    jo_int(&o, "position", d->position);
    jo_int(&o, "queue_length", d->queue_length);
    jo_bool(&o, "starts_now", starts);
    jo_text(&o, "reason", starts ? NULL : text_get(&reason));
    jo_end(&o);
    return 0;
}

static void answer_dry_run(struct call *c, struct command *command)
{
    const struct submission *s = &command->jobs[0];
    struct dry_run *d = mem_new(struct dry_run);
    d->position = s->ret_position;
    d->queue_length = command->ret_queue_length;
    d->shape = (struct shape){
        .principal = (uint32_t)(command->on_behalf ? command->on_behalf : command->actor),
        .gpu_memory_mib = (uint32_t)s->gpu_memory_mib,
        .cpu_milli = (uint32_t)s->cpu_milli,
        .memory_mib = (uint32_t)s->memory_mib,
        .gpus = (uint16_t)s->gpus,
        .flags = (uint16_t)(s->flags & JOB_NEED_FLAGS),
        .where = NO_ROW,
    };
    where_fill(&d->where, s->selector, s->tolerations);
    c->own = d;
    c->own_free = free;
    call_read(c, show_dry_run, NULL);
}

void serve_job_submit(struct call *c)
{
    auto_json json_t *object = NULL;
    struct err e = {0};
    struct command *command = new_submission(c, 1);
    int64_t principal;
    if (call_query_bool(c, "dry_run", &command->dry_run, &e) < 0 || call_json(c, &object, &e) < 0 ||
        read_one(c, object, &command->jobs[0], &principal, &e) < 0) {
        command_free(command);
        call_fail(c, &e);
        return;
    }
    if (command->dry_run) { /* nothing is done that could be repeated */
        free(command->idempotency_key);
        command->idempotency_key = NULL;
    }
    submit(c, command, principal, command->dry_run ? answer_dry_run : answer_job);
}

/* ---- POST /api/v1/jobs:batch ---- */

static void answer_batch(struct call *c, struct command *command)
{
    struct json_out o = call_out(c);
    const struct engine_view *v = engine_view_get(c->api->engine);
    jo_object(&o, NULL);
    jo_list(&o, "items");
    for (size_t i = 0; i < command->job_count; i++) {
        /* The ids of a batch follow each other. */
        int64_t id = command->ret_repeated ? command->ret_id + (int64_t)i : command->jobs[i].ret_id;
        int64_t position = command->jobs[i].ret_position;
        if (command->ret_repeated) {
            const struct job *j = fleet_job(&v->fleet, id);
            position = j ? fleet_position(&v->fleet, j) : 0;
        }
        jo_object(&o, NULL);
        jo_int(&o, "id", id);
        if (position)
            jo_int(&o, "position", position);
        else
            jo_null(&o, "position");
        jo_end(&o);
    }
    jo_end(&o);
    jo_end(&o);
    engine_view_release(c->api->engine, v);
    c->answer.status = command->ret_repeated ? 200 : 201;
    call_answer(c);
}

static int blame_index(struct err *e, size_t i)
{
    char field[sizeof e->field];
    strcpy(field, e->field);
    err_wrap(e, "jobs[%zu]", i);
    return err_blame(e, "jobs[%zu]%s%.40s", i, field[0] ? "." : "", field);
}

static int read_batch(struct call *c, const json_t *jobs, struct command *command,
                      int64_t *ret_principal, struct err *e)
{
    for (size_t i = 0; i < command->job_count; i++) {
        int64_t principal;
        if (read_one(c, json_array_get(jobs, i), &command->jobs[i], &principal, e) < 0)
            return blame_index(e, i);
        if (i && principal != *ret_principal) {
            err_set(e, ERR_INVALID, "field 'user' must be the same for all jobs of a batch");
            err_blame(e, "user");
            return blame_index(e, i);
        }
        *ret_principal = principal;
    }
    return 0;
}

void serve_job_batch(struct call *c)
{
    static const struct json_field fields[] = {
        {"jobs", JSON_FIELD_ARRAY, 0, true, 1, BATCH_MOST},
    };
    auto_json json_t *object = NULL;
    const json_t *jobs = NULL;
    struct err e = {0};
    int64_t principal = 0;
    if (call_json(c, &object, &e) < 0 || json_read_fields(object, fields, 1, true, &jobs, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    struct command *command = new_submission(c, json_array_size(jobs));
    if (read_batch(c, jobs, command, &principal, &e) < 0) {
        command_free(command);
        call_fail(c, &e);
        return;
    }
    submit(c, command, principal, answer_batch);
}

/* ---- templates ---- */

void serve_templates(struct call *c)
{
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_list(&o, "items");
    template_write_all(c->api->config.templates, &o);
    jo_end(&o);
    jo_end(&o);
    call_answer(c);
}

/* ---- POST /submit ---- */

struct source_in {
    const char *user, *config_file, *work_dir;
    const json_t *command;
};

#define AT(member) offsetof(struct source_in, member)
static const struct json_field source_fields[] = {
    {"user", JSON_FIELD_TEXT, AT(user), true, 1, FLEET_NAME - 1},
    {"config_file", JSON_FIELD_TEXT, AT(config_file), true, 1, 1024},
    {"work_dir", JSON_FIELD_TEXT, AT(work_dir), true, 1, 1024},
    {"command", JSON_FIELD_ARRAY, AT(command)},
};
#undef AT

static void answer_source(struct call *c, struct command *command)
{
    const struct submission *s = &command->jobs[0];
    const struct engine_view *v = engine_view_get(c->api->engine);
    int64_t id = command->ret_repeated ? command->ret_id : s->ret_id;
    int64_t position = s->ret_position, length = command->ret_queue_length;
    if (command->ret_repeated) {
        const struct job *j = fleet_job(&v->fleet, id);
        position = j ? fleet_position(&v->fleet, j) : 0;
        length = fleet_queue_length(&v->fleet);
    }
    engine_view_release(c->api->engine, v);
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_int(&o, "job_id", id);
    if (position)
        jo_int(&o, "position", position);
    else
        jo_null(&o, "position");
    jo_int(&o, "queue_length", length);
    jo_end(&o);
    c->answer.status = 202;
    call_answer(c);
}

static int read_source(struct call *c, struct submission *ret, int64_t *ret_principal,
                       struct err *e)
{
    auto_json json_t *object = NULL, *job = NULL;
    struct source_in in = {0};
    if (call_json(c, &object, e) < 0 ||
        json_read_fields(object, source_fields, COUNT_OF(source_fields), true, &in, e) < 0)
        return -1;
    const struct template_values values = {in.config_file, in.work_dir, in.user};
    if (template_fill(c->api->config.templates, TEMPLATE_SOURCE, &values, &job, e) < 0)
        return -1;
    if (in.command)
        json_object_set(job, "command", (json_t *)in.command);
    json_object_set_new(job, "user", json_string(in.user));
    return read_one(c, job, ret, ret_principal, e);
}

void serve_source_submit(struct call *c)
{
    struct err e = {0};
    struct command *command = new_submission(c, 1);
    int64_t principal;
    if (read_source(c, &command->jobs[0], &principal, &e) < 0) {
        command_free(command);
        call_fail(c, &e);
        return;
    }
    submit(c, command, principal, answer_source);
}
