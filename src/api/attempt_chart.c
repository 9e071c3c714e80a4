#include "api/attempt_chart.h"

#include "api/auth.h"
#include "api/chart.h"
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_show.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    POINTS_MOST = 240,
    ALL_POINTS_MOST = 1920, /* of all devices: what is kept stays small */
    WAITING_MOST = 10000,   /* ends whose charts are to be kept; more are passed over */
    EACH_SECOND = 20,
};

/* ---- one attempt ---- */

struct ran {
    int64_t job, n; /* N 0: the newest */
    bool found;
    int64_t started_ms, ended_ms, device[JOB_GPUS_MOST];
    size_t devices;
};

static int on_attempt(void *arg, enum table_id table, const void *record)
{
    struct ran *ran = arg;
    const struct attempt_row *a = record;
    (void)table;
    if (ran->n && a->n != ran->n)
        return 0;
    ran->found = true;
    ran->started_ms = a->started_ms;
    ran->ended_ms = a->ended_ms;
    if (!ran->n || a->n > ran->n)
        ran->n = a->n;
    return 0;
}

static int on_part(void *arg, enum table_id table, const void *record)
{
    struct ran *ran = arg;
    const struct part_row *p = record;
    (void)table;
    if (p->n == ran->n && ran->devices < JOB_GPUS_MOST)
        ran->device[ran->devices++] = p->device;
    return 0;
}

static int find_newest(void *arg, enum table_id table, const void *record)
{
    (void)table;
    *(int64_t *)arg = ((const struct attempt_row *)record)->n;
    return 0;
}

static int find(const struct store_ops *ops, struct store_reader *r, struct ran *ran, struct err *e)
{
    struct store_query q = {.id = QUERY_ATTEMPTS, .key = ran->job, .limit = STORE_LIMIT};
    if (!ran->n && ops->read(r, &q, find_newest, &ran->n, e) < 0)
        return -1;
    if (ops->read(r, &q, on_attempt, ran, e) < 0)
        return -1;
    q.id = QUERY_PARTS;
    return ran->found ? ops->read(r, &q, on_part, ran, e) : 0;
}

/* Steps as long as agents measure, or longer where it ran for long. */
static void plan(struct chart *c, const struct ran *ran, int64_t sample_ms, int64_t now_ms)
{
    int64_t most = ran->devices > ALL_POINTS_MOST / POINTS_MOST
                       ? ALL_POINTS_MOST / (int64_t)ran->devices
                       : POINTS_MOST;
    int64_t end = ran->ended_ms ? ran->ended_ms : now_ms;
    c->kind = CHART_DEVICES;
    c->from_ms = ran->started_ms / 1000 * 1000;
    int64_t span = ran->started_ms && end > c->from_ms ? end - c->from_ms : 0;
    int64_t step = (span + most - 1) / most;
    step = step < sample_ms ? sample_ms : step;
    step = step < 1 ? 1 : step;
    c->step_ms = (step + 999) / 1000 * 1000;
    c->points = (size_t)((span + c->step_ms - 1) / c->step_ms);
    (void)chart_read_metrics(CHART_DEVICES, NULL, &c->metrics, NULL);
}

static int write_ran(struct api *a, const struct ran *ran, int64_t now_ms, struct text *out,
                     struct err *e)
{
    auto_chart struct chart chart = {0};
    plan(&chart, ran, a->config.sample_ms, now_ms);
    const struct engine_view *v = engine_view_get(a->engine);
    for (size_t i = 0; i < ran->devices; i++) {
        const struct device *d = fleet_device(&v->fleet, ran->device[i]);
        if (d)
            chart_add(&chart, d->uuid, d->id, 0);
    }
    engine_view_release(a->engine, v);
    if (chart_read(&chart, a->config.tsdb, e) < 0)
        return -1;
    struct json_out o = {.text = out};
    jo_object(&o, NULL);
    jo_int(&o, "attempt", ran->n);
    chart_write(&chart, &o);
    jo_end(&o);
    return 0;
}

/* ---- shown ---- */

struct kept {
    int64_t n;
    struct text *out;
};

static int on_note(void *arg, enum table_id table, const void *record)
{
    struct kept *k = arg;
    const struct attempt_note_row *note = record;
    (void)table;
    if (note->n == k->n && note->text)
        text_add(k->out, note->text);
    return 0;
}

int read_job_samples(struct call *c, struct store_reader *r, struct err *e)
{
    const struct store_ops *ops = engine_store(c->api->engine);
    struct ran ran = {0};
    int64_t principal, submitter;
    if (call_param_id(c, 0, "job", &ran.job, e) < 0 ||
        call_query_int(c, "attempt", 1, INT32_MAX, 0, &ran.n, e) < 0 ||
        job_find_owner(c, r, ran.job, &principal, &submitter, NULL, e) < 0)
        return -1;
    if (c->scope != SCOPE_ALL && c->caller.id != principal && c->caller.id != submitter)
        return err_set(e, ERR_DENIED, "job %lld belongs to somebody else", (long long)ran.job);
    bool any = ran.n == 0;
    if (find(ops, r, &ran, e) < 0)
        return -1;
    if (!ran.found && !any) {
        err_set(e, ERR_NOT_FOUND, "job %lld has no such attempt", (long long)ran.job);
        return err_blame(e, "attempt");
    }
    struct kept kept = {ran.n, &c->answer.body};
    struct store_query q = {
        .id = QUERY_NOTES, .key = ran.job, .kind = NOTE_SAMPLES, .limit = STORE_LIMIT};
    if (ran.ended_ms && ops->read(r, &q, on_note, &kept, e) < 0)
        return -1;
    if (c->answer.body.len)
        return 0;
    return write_ran(c->api, &ran, c->now_ms, &c->answer.body, e);
}

/* ---- kept ---- */

struct waiting {
    struct waiting *next;
    struct api *api;
    struct ran ran;
    int64_t due; /* tick */
    struct text text;
    struct err err;
};

struct attempt_charts {
    struct api *api;
    struct waiting *first, **last;
    size_t count;
};

struct attempt_charts *attempt_charts_new(struct api *a)
{
    struct attempt_charts *c = mem_new(struct attempt_charts);
    c->api = a;
    c->last = &c->first;
    return c;
}

static void free_waiting(struct waiting *w)
{
    text_done(&w->text);
    free(w);
}

static struct waiting *take_first(struct attempt_charts *c)
{
    struct waiting *w = c->first;
    c->first = w->next;
    if (!c->first)
        c->last = &c->first;
    c->count--;
    return w;
}

void attempt_charts_free(struct attempt_charts *c)
{
    while (c && c->first)
        free_waiting(take_first(c));
    free(c);
}

void attempt_charts_on_run(void *arg, struct event_run *r)
{
    struct api *a = arg;
    struct attempt_charts *c = a->charts;
    for (size_t i = 0; i < r->count && c->count < WAITING_MOST; i++) {
        const struct event *ev = &r->events[i];
        bool ended = ev->kind == EVENT_ID_ATTEMPT_ENDED, lost = ev->kind == EVENT_ID_ATTEMPT_LOST;
        int64_t run_ms = ended ? ev->ATTEMPT_ENDED.run_ms : lost ? ev->ATTEMPT_LOST.run_ms : 0;
        if (run_ms < a->config.sample_ms || !run_ms) /* nobody has measured in between */
            continue;
        struct waiting *w = mem_new(struct waiting);
        w->api = a;
        w->ran.job = ev->subject;
        w->ran.n = ended ? ev->ATTEMPT_ENDED.n : ev->ATTEMPT_LOST.n;
        w->due = a->ticks + 2 + 2 * a->config.sample_ms / 1000;
        *c->last = w;
        c->last = &w->next;
        c->count++;
    }
    event_run_unref(r);
}

/* On a worker. */
static void make(void *state, void *job)
{
    struct waiting *w = job;
    struct api *a = w->api;
    if (find(engine_store(a->engine), state, &w->ran, &w->err) == 0 && w->ran.found &&
        w->ran.devices && w->ran.started_ms && w->ran.ended_ms)
        (void)write_ran(a, &w->ran, w->ran.ended_ms, &w->text, &w->err);
}

static void on_kept(struct command *command)
{
    struct api *a = command->arg;
    if (command->error.code)
        log_warn("the samples of a job are not kept", F_INT("job", command->id),
                 F_ERR(&command->error));
    command_free(command);
    api_work_done(a);
}

static void on_made(void *job)
{
    struct waiting *w = job;
    struct api *a = w->api;
    if (w->err.code) {
        log_warn("the samples of a job are not kept", F_INT("job", w->ran.job), F_ERR(&w->err));
    } else if (w->text.len) {
        struct command *command = command_new(COMMAND_NOTE_ADD);
        command->id = w->ran.job;
        command->attempt = w->ran.n;
        command->note_kind = NOTE_SAMPLES;
        command->note = text_take(&w->text);
        command->on_done = on_kept;
        command->reply_to = a->box;
        command->arg = a;
        a->under_way++;
        if (!engine_command(a->engine, command)) {
            a->under_way--;
            command_free(command);
        }
    }
    free_waiting(w);
    api_work_done(a);
}

void attempt_charts_tick(struct attempt_charts *c, int64_t ticks)
{
    for (int i = 0; i < EACH_SECOND && c->first && c->first->due <= ticks; i++) {
        struct waiting *w = c->first;
        if (!api_work(c->api, make, on_made, w))
            return; /* others are served first */
        take_first(c);
    }
}
