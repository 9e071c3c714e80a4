/* What the engine and the store are asked for an object. */
#include "base/failpoint.h"
#include "base/log.h"
#include "operator/internal.h"

/* ---- handing in ---- */

/* The object's uid: whoever asks for the same object again is told the same job. */
static void set_key(const struct wish *w, struct command *c, int64_t principal)
{
    c->idempotency_key =
        mem_printf("%lld/%s/%s", (long long)principal, w->of->kind->resource, w->uid);
    c->body_hash = digest_of(w->uid, strlen(w->uid));
    c->actor = principal;
}

static void ask(struct wish *w, struct command *c, void (*on_done)(struct command *c))
{
    struct reconciler *o = w->of->reconciler;
    c->on_done = on_done;
    c->reply_to = o->box;
    c->arg = w;
    w->is_asking = engine_command(o->engine, c);
    if (w->is_asking)
        return;
    command_free(c);
    wish_later(w);
}

/* Whose objects they may become that run it, where both are in one namespace: see the runners. */
static void add_owner(const struct wish *w, struct submission *s)
{
    const struct wish_kind *k = w->of->kind;
    auto_json json_t *spec = NULL;
    auto_free char *version = mem_printf("%s/%s", k->group, k->version);
    if (json_parse(s->spec, strlen(s->spec), &spec, NULL) < 0)
        return;
    json_object_set_new(spec, "owner",
                        json_pack("{s:s,s:s,s:s,s:s,s:s}", "apiVersion", version, "kind", k->kind,
                                  "namespace", w->ns, "name", w->name, "uid", w->uid));
    free(s->spec);
    s->spec = json_write(spec);
}

/* It is still there, and the operator is at work. Else W may be gone. */
static bool goes_on(struct wish *w)
{
    w->is_asking = false;
    return !w->of->reconciler->stopped;
}

static void on_submitted(struct command *c)
{
    struct wish *w = c->arg;
    struct reconciler *o = w->of->reconciler;
    struct err e = c->error;
    int64_t job = c->ret_id;
    command_free(c);
    if (!goes_on(w))
        return;
    if (e.code == ERR_NONE) {
        if (FAILPOINT("operator.submitted"))
            return;
        log_info("a custom resource became a job", F_TEXT("kind", w->of->kind->kind),
                 F_TEXT("namespace", w->ns), F_TEXT("name", w->name), F_INT("job", job));
        w->why = (struct verdict){0};
        w->failures = 0;
        wish_set_job(w, job);
    } else if (e.code == ERR_UNAVAILABLE || e.code == ERR_EXHAUSTED) {
        verdict_set(&w->why, "Waiting", "%s", e.text);
        w->submit_ms = wish_pause(w);
    } else {
        verdict_set(&w->why, "Refused", "%s", e.text);
        w->submit_ms = wish_pause(w);
    }
    w->is_refused = e.code != ERR_NONE;
    reconciler_due(w);
    reconciler_pump(o);
}

void ask_submit(struct wish *w, const struct kube_custom *object, const struct principal *user,
                struct submission *s)
{
    struct command *c = command_new(COMMAND_SUBMIT);
    c->jobs = mem_dup(s, sizeof *s);
    c->job_count = 1;
    *s = (struct submission){0};
    add_owner(w, c->jobs);
    set_key(w, c, user->id);
    w->why_generation = object->head.generation;
    w->is_refused = w->is_looked_for = false;
    ask(w, c, on_submitted);
}

/* ---- after a crash ---- */

static void on_found(struct command *c)
{
    struct wish *w = c->arg;
    struct reconciler *o = w->of->reconciler;
    bool failed = c->error.code == ERR_UNAVAILABLE || c->error.code == ERR_EXHAUSTED;
    int64_t job = c->ret_repeated ? c->ret_id : 0;
    command_free(c);
    if (!goes_on(w))
        return;
    if (failed) {
        wish_later(w);
    } else {
        w->is_looked_for = true;
        if (job)
            wish_set_job(w, job);
    }
    reconciler_due(w);
    reconciler_pump(o);
}

/* A dry run changes nothing, but is told of what was done under its key. */
void ask_for_job(struct wish *w, const struct principal *user)
{
    struct command *c = command_new(COMMAND_SUBMIT);
    c->jobs = mem_new(struct submission);
    c->job_count = 1;
    c->jobs->memory_mib = 1;
    c->dry_run = true;
    set_key(w, c, user->id);
    ask(w, c, on_found);
}

/* ---- cancelling ---- */

/* No longer than this: nothing may keep an object, and its namespace, for ever. */
enum { CANCEL_TRIES_MS = 120000 };

static void on_cancelled(struct command *c)
{
    struct wish *w = c->arg;
    struct reconciler *o = w->of->reconciler;
    struct err e = c->error;
    command_free(c);
    if (!goes_on(w))
        return;
    bool later = e.code == ERR_UNAVAILABLE || e.code == ERR_EXHAUSTED;
    if (e.code == ERR_NONE && FAILPOINT("operator.cancelled"))
        return;
    if (later && reconciler_mono() - w->cancel_ms < CANCEL_TRIES_MS) {
        wish_later(w);
    } else {
        w->is_cancelled = true;
        w->failures = 0;
        if (e.code != ERR_NONE && e.code != ERR_CONFLICT && e.code != ERR_NOT_FOUND)
            log_warn("the job of an object that was deleted goes on", F_TEXT("namespace", w->ns),
                     F_TEXT("name", w->name), F_INT("job", w->job), F_ERR(&e));
    }
    reconciler_due(w);
    reconciler_pump(o);
}

void ask_cancel(struct wish *w, int64_t principal)
{
    if (FAILPOINT("operator.cancel"))
        return;
    struct command *c = command_new(COMMAND_CANCEL);
    c->actor = principal;
    c->id = w->job;
    auto_free char *why = mem_printf("%s %s/%s was deleted", w->of->kind->kind, w->ns, w->name);
    event_set_text(c->why, why);
    w->cancel_ms = w->cancel_ms ? w->cancel_ms : reconciler_mono();
    ask(w, c, on_cancelled);
}

/* ---- how it ended ---- */

struct end_read {
    struct wish *wish;
    struct engine *engine;
    int64_t job;
    unsigned happened;
    struct job_look *look;
    bool found;
    struct err error;
};

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct end_read *r = arg;
    if (table != TABLE_ID_JOB_HISTORY)
        return 0;
    const struct engine_view *v = engine_view_get(r->engine);
    job_look_ended(&v->fleet, record, r->look);
    engine_view_release(r->engine, v);
    r->found = true;
    return 0;
}

/* On a worker. */
static void read_end(void *reader, void *job)
{
    struct end_read *r = job;
    struct store_query q = {.id = QUERY_JOB_HISTORY, .key = r->job, .limit = 1};
    engine_store(r->engine)->read(reader, &q, on_row, r, &r->error);
}

static void on_end(void *job)
{
    struct end_read *r = job;
    struct wish *w = r->wish;
    struct reconciler *o = w->of->reconciler;
    if (!goes_on(w)) {
        job_look_free(r->look);
        free(r);
        return;
    }
    if (r->error.code != ERR_NONE || r->happened != w->happened) {
        if (r->error.code != ERR_NONE)
            wish_later(w);
        job_look_free(r->look);
    } else {
        if (!r->found) {
            r->look->state = JOB_FAILED;
            r->look->has_ended = r->look->is_deleted = true;
            r->look->id = r->job;
            snprintf(r->look->reason, sizeof r->look->reason, "deleted");
            text_add(&r->look->message, "the job was deleted from Reeve");
        }
        if (r->look->state == JOB_CANCELLED && !r->look->message.len && w->cancel_why)
            text_add(&r->look->message, w->cancel_why);
        job_look_free(w->end);
        w->end = r->look;
    }
    free(r);
    reconciler_due(w);
    reconciler_pump(o);
}

void ask_end(struct wish *w)
{
    struct reconciler *o = w->of->reconciler;
    struct end_read *r = mem_new(struct end_read);
    *r = (struct end_read){.wish = w,
                           .engine = o->engine,
                           .job = w->job,
                           .happened = w->happened,
                           .look = job_look_new()};
    w->is_asking = workers_submit(engine_workers(o->engine), read_end, on_end, o->box, r);
    if (w->is_asking)
        return;
    job_look_free(r->look);
    free(r);
    wish_later(w);
}
