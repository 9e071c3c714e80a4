/* Commands about jobs. */
#include "base/clock.h"
#include "base/mem.h"
#include "core/access/access.h"
#include "engine/internal.h"

const struct principal *engine_principal(struct engine *g, int64_t id, struct err *e)
{
    const struct principal *p = fleet_principal(&g->core.fleet->view, id);
    if (!p || p->disabled_ms) {
        err_set(e, ERR_UNPROCESSABLE, "user %s is %s", p ? p->name : "asked for",
                p ? "disabled" : "not known");
        return NULL;
    }
    return p;
}

static int check_room(struct engine *g, struct err *e)
{
    int64_t now = clock_mono_ms();
    if (now - g->free_checked_ms >= 1000) {
        struct store_stats s;
        if (g->ops->stats(g->store, &s, NULL) == 0)
            g->low = s.free_bytes < STORE_FREE_LOW;
        g->free_checked_ms = now;
    }
    if (g->low)
        return err_set(e, ERR_UNAVAILABLE,
                       "less than %lld MiB are free on the disk of the database: no new jobs until "
                       "there is room",
                       (long long)(STORE_FREE_LOW >> 20));
    return 0;
}

static int check_submission(const struct submission *s, size_t index, struct err *e)
{
    struct {
        const char *name;
        int64_t value, least, most;
    } fields[] = {
        {"gpus", s->gpus, 0, JOB_GPUS_MOST},
        {"gpu_memory", s->gpu_memory_mib, 0, JOB_MIB_MOST},
        {"cpu", s->cpu_milli, 0, JOB_CPU_MILLI_MOST},
        {"memory", s->memory_mib, 1, JOB_MIB_MOST},
        {"time_limit", s->time_limit_ms, 0, INT64_C(1000) * JOB_SECONDS_MOST},
        {"retries", s->retries, 0, JOB_RETRIES_MOST},
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (fields[i].value >= fields[i].least && fields[i].value <= fields[i].most)
            continue;
        err_set(e, ERR_INVALID, "job %zu: field '%s' is %lld, but must be between %lld and %lld",
                index + 1, fields[i].name, (long long)fields[i].value, (long long)fields[i].least,
                (long long)fields[i].most);
        return err_blame(e, "%s", fields[i].name);
    }
    return 0;
}

/* What cannot run in a cluster must not come to wait for one. */
static void settle_flags(const struct engine *g, struct submission *s)
{
    s->flags &= JOB_SUBMIT_FLAGS & ~JOB_NEEDS_MACHINE;
    if (!(s->flags & JOB_NEEDS_CLUSTER) && !g->config.clusters_have_image)
        s->flags |= JOB_NEEDS_MACHINE;
}

static void submit_one(struct engine *g, struct command *c, int64_t owner, struct submission *s)
{
    struct event ev = {.kind = EVENT_ID_JOB_SUBMITTED,
                       .subject = g->core.fleet->view.next_job,
                       .actor = c->actor,
                       .on_behalf = owner == c->actor ? 0 : owner};
    ev.JOB_SUBMITTED.principal = owner;
    ev.JOB_SUBMITTED.submitter = c->actor;
    ev.JOB_SUBMITTED.gpus = s->gpus;
    ev.JOB_SUBMITTED.gpu_memory_mib = s->gpu_memory_mib;
    ev.JOB_SUBMITTED.cpu_milli = s->cpu_milli;
    ev.JOB_SUBMITTED.memory_mib = s->memory_mib;
    ev.JOB_SUBMITTED.time_limit_ms = (s->time_limit_ms + 999) / 1000 * 1000;
    ev.JOB_SUBMITTED.retries = s->retries;
    ev.JOB_SUBMITTED.flags = s->flags;
    event_set_text(ev.JOB_SUBMITTED.selector, s->selector);
    event_set_text(ev.JOB_SUBMITTED.tolerations, s->tolerations);
    event_set_text(ev.JOB_SUBMITTED.team, s->team);
    engine_event(g, &ev);

    struct job_row row;
    core_job_record(&ev, s->name, s->spec, &row);
    batch_put(engine_batch(g), TABLE_ID_JOB, &row);
    specs_put(g->specs, ev.subject, s->name, s->spec);
    s->ret_id = ev.subject;
    const struct fleet_view *v = &g->core.fleet->view;
    s->ret_position = fleet_position(v, fleet_job(v, ev.subject));
}

int command_submit(struct engine *g, struct command *c, struct err *e)
{
    int64_t owner = c->on_behalf ? c->on_behalf : c->actor;
    if (!engine_principal(g, owner, e) || check_room(g, e) < 0)
        return -1;
    if (g->core.fleet->view.labels.count > 65536)
        return err_set(e, ERR_EXHAUSTED, "there are too many different team names");
    if (g->core.fleet->view.where_texts.count > 65536)
        return err_set(e, ERR_EXHAUSTED,
                       "there are too many different node selectors and tolerations");
    for (size_t i = 0; i < c->job_count; i++)
        if (check_submission(&c->jobs[i], i, e) < 0)
            return -1;
    for (size_t i = 0; i < c->job_count; i++)
        settle_flags(g, &c->jobs[i]);
    for (size_t i = 0; i < c->job_count; i++)
        if (c->dry_run)
            c->jobs[i].ret_position = fleet_queue_length(&g->core.fleet->view) + 1 + (int64_t)i;
        else
            submit_one(g, c, owner, &c->jobs[i]);
    c->ret_id = c->job_count ? c->jobs[0].ret_id : 0;
    c->ret_queue_length = fleet_queue_length(&g->core.fleet->view);
    return 0;
}

/* Whose jobs the actor may change. What he may not see of others' jobs anyway is their inside, so a
 * refusal may say that the job exists. */
static int check_owner(struct engine *g, const struct command *c, int64_t principal,
                       int64_t submitter, struct err *e)
{
    const struct principal *actor = engine_principal(g, c->actor, e);
    if (!actor)
        return -1;
    enum scope scope = access_scope(actor->role, PERMISSION_JOBS_WRITE);
    if (scope == SCOPE_ALL)
        return 0;
    if (scope == SCOPE_OWN && (principal == c->actor || submitter == c->actor))
        return 0;
    return err_set(e, ERR_DENIED, "job %lld belongs to somebody else", (long long)c->id);
}

static const struct job *open_job(struct engine *g, int64_t id, struct err *e)
{
    const struct job *j = fleet_job(&g->core.fleet->view, id);
    bool was_given = id > 0 && id < g->core.fleet->view.next_job;
    if (!j)
        err_set(e, was_given ? ERR_CONFLICT : ERR_NOT_FOUND,
                was_given ? "job %lld has ended already" : "there is no job %lld", (long long)id);
    return j;
}

int command_cancel(struct engine *g, struct command *c, struct err *e)
{
    const struct job *j = open_job(g, c->id, e);
    if (!j)
        return -1;
    if (check_owner(g, c, j->principal, j->submitter, e) < 0)
        return -1;
    if (j->flags & JOB_CANCEL_ASKED)
        return 0; /* said twice: it is on its way */

    int64_t n = j->attempts;
    bool tell = j->attempt != NO_ROW;
    struct event ev = {.kind = EVENT_ID_JOB_CANCEL, .subject = c->id, .actor = c->actor};
    const struct principal *actor = fleet_principal(&g->core.fleet->view, c->actor);
    char why[EVENT_TEXT];
    snprintf(why, sizeof why, "cancelled by %s", actor->name);
    event_set_text(ev.JOB_CANCEL.why, c->why[0] ? c->why : why);
    engine_event(g, &ev);
    if (tell)
        engine_act(g, &(struct action){.what = ACTION_SEND_CANCEL, .a = c->id, .b = n});
    return 0;
}

int command_hold(struct engine *g, struct command *c, struct err *e)
{
    const struct job *j = open_job(g, c->id, e);
    if (!j)
        return -1;
    if (j->state != JOB_QUEUED)
        return err_set(e, ERR_CONFLICT, "job %lld is %s: only a waiting job can be held",
                       (long long)c->id, job_state_name((enum job_state)j->state));
    bool hold = c->kind == COMMAND_HOLD;
    c->ret_id = c->id;
    if (hold == (j->hold != 0))
        return 0; /* said twice: it is so already */

    struct event ev = {.kind = hold ? EVENT_ID_JOB_HELD : EVENT_ID_JOB_RELEASED,
                       .subject = c->id,
                       .actor = c->actor};
    if (hold)
        event_set_text(ev.JOB_HELD.why, c->why);
    else
        ev.JOB_RELEASED.held_ms = engine_clock_now(&g->clock, clock_mono_ms()) -
                                  fleet_job_hold(&g->core.fleet->view, j)->since_ms;
    engine_event(g, &ev);
    return 0;
}

/* ---- retry and delete: about ended jobs, whose records lie in the store ---- */

struct lookup {
    struct engine *g;
    struct command *c;
    struct job_spec_row spec;
    struct job_history_row history;
    bool found_spec, found_history;
    struct err error;
    char *texts[5]; /* owned: what the rows point to */
};

static char *keep(struct lookup *l, int at, const char *text)
{
    free(l->texts[at]);
    return l->texts[at] = text ? mem_strdup(text) : NULL;
}

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct lookup *l = arg;
    if (table == TABLE_ID_JOB_SPEC) {
        l->spec = *(const struct job_spec_row *)record;
        l->spec.team = keep(l, 0, l->spec.team);
        l->spec.name = keep(l, 1, l->spec.name);
        l->spec.spec = keep(l, 2, l->spec.spec);
        l->spec.selector = keep(l, 3, l->spec.selector);
        l->spec.tolerations = keep(l, 4, l->spec.tolerations);
        l->found_spec = true;
    } else if (table == TABLE_ID_JOB_HISTORY) {
        l->history = *(const struct job_history_row *)record;
        l->history.team = NULL;
        l->history.reason_text = NULL;
        l->found_history = true;
    }
    return 0;
}

static void look_up(void *reader, void *job)
{
    struct lookup *l = job;
    struct store_query q = {.id = QUERY_JOB, .key = l->c->id, .limit = 1};
    if (l->g->ops->read(reader, &q, on_row, l, &l->error) < 0)
        return;
    q.id = QUERY_JOB_HISTORY;
    l->g->ops->read(reader, &q, on_row, l, &l->error);
}

static int finish(struct lookup *l, struct err *e)
{
    struct engine *g = l->g;
    struct command *c = l->c;
    const struct fleet_view *v = &g->core.fleet->view;
    if (fleet_job(v, c->id))
        return err_set(e, ERR_CONFLICT, "job %lld has not ended", (long long)c->id);
    if (l->error.code) {
        *e = l->error;
        return -1;
    }
    if (!l->found_spec || !l->found_history)
        return err_set(e, ERR_NOT_FOUND, "there is no job %lld", (long long)c->id);
    if (check_owner(g, c, l->spec.principal, l->spec.submitter, e) < 0)
        return -1;

    struct event ev = {.kind = EVENT_ID_JOB_DELETED, .subject = c->id};
    if (c->kind == COMMAND_RETRY) {
        if (!engine_principal(g, l->spec.principal, e) || check_room(g, e) < 0)
            return -1;
        core_retry_event(&l->spec, &l->history, &ev);
    } else {
        ev.JOB_DELETED.principal = l->spec.principal;
        engine_drop_notes(g, c->id, l->history.attempts);
    }
    ev.actor = c->actor;
    engine_event(g, &ev);
    if (c->kind == COMMAND_RETRY) {
        c->ret_id = c->id;
        c->ret_queue_length = fleet_queue_length(v);
        if (l->spec.spec)
            specs_put(g->specs, c->id, l->spec.name ? l->spec.name : "", l->spec.spec);
    }
    return 0;
}

static void on_looked_up(void *job)
{
    struct lookup *l = job;
    l->c->error = (struct err){0};
    if (finish(l, &l->c->error) < 0)
        l->g->stats.refused++;
    engine_answer(l->g, l->c);
    for (size_t i = 0; i < COUNT_OF(l->texts); i++)
        free(l->texts[i]);
    free(l);
}

int command_retry(struct engine *g, struct command *c, struct err *e)
{
    if (c->id <= 0 || c->id >= g->core.fleet->view.next_job)
        return err_set(e, ERR_NOT_FOUND, "there is no job %lld", (long long)c->id);
    if (fleet_job(&g->core.fleet->view, c->id))
        return err_set(e, ERR_CONFLICT, "job %lld has not ended", (long long)c->id);
    struct lookup *l = mem_new(struct lookup);
    l->g = g;
    l->c = c;
    if (!workers_submit(g->workers, look_up, on_looked_up, g->inbox, l)) {
        free(l);
        return err_set(e, ERR_EXHAUSTED, "too many requests wait for the store");
    }
    return 0;
}
