#include "api/expected.h"

#include "api/door.h"
#include "api/run_times.h"
#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>

enum {
    LEAST_AGE_MS = 1000, /* not worked out more often */
    MOST_AGE_MS = 1500,  /* older than the tick lets it get: nobody had asked */
    INTEREST_MS = 30000, /* so long after a question the answer is kept fresh */
};

struct expected {
    pthread_mutex_t lock; /* guards all but TIMES; a leaf */
    bool busy;            /* somebody is working it out, and uses TIMES */
    bool made;
    int64_t made_mono_ms, asked_mono_ms;
    int64_t seq;                              /* of the view it was made from */
    uint64_t progress_version;                /* the same */
    uint64_t version;                         /* counts the times the answers changed */
    struct when_start starts[WHEN_JOBS_MOST]; /* by job */
    size_t count;
    struct run_times *times;
};

struct expected *expected_new(void)
{
    struct expected *x = mem_new(struct expected);
    pthread_mutex_init(&x->lock, NULL);
    x->times = run_times_new();
    x->asked_mono_ms = INT64_MIN / 2;
    return x;
}

void expected_free(struct expected *x)
{
    if (!x)
        return;
    run_times_free(x->times);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

/* ---- how long jobs take ---- */

struct looking {
    struct api *api;
    struct store_reader *reader;
    const struct fleet_view *view;
    int64_t now_ms;
};

/* A whole run: as such jobs ran before, and never beyond the time limit. */
static struct when_span whole_run(const struct looking *l, const struct job *j)
{
    int64_t limit_ms = (int64_t)j->time_limit_s * 1000;
    int64_t ms =
        run_times_expect_ms(l->api->expected->times, engine_store(l->api->engine), l->reader, j);
    if (ms >= 0 && (!limit_ms || ms < limit_ms))
        return (struct when_span){ms, WHEN_HISTORY};
    if (limit_ms)
        return (struct when_span){limit_ms, WHEN_LIMIT};
    return (struct when_span){0, WHEN_NONE};
}

static bool left_by_progress(const struct looking *l, const struct job *j, const struct attempt *a,
                             int64_t *ret_ms)
{
    struct job_progress p;
    if (!progress_get(l->api->progress, j->id, &p) || p.n != a->n || p.done <= 0 ||
        p.total < p.done || p.at_ms <= a->started_ms)
        return false;
    int64_t took = p.at_ms - a->started_ms;
    *ret_ms = (int64_t)((__int128)took * (p.total - p.done) / p.done) - (l->now_ms - p.at_ms);
    return true;
}

static struct when_span time_left(const struct looking *l, const struct job *j)
{
    const struct attempt *a = fleet_job_attempt(l->view, j);
    int64_t ran = a->started_ms && a->started_ms < l->now_ms ? l->now_ms - a->started_ms : 0;
    int64_t limit_ms = (int64_t)j->time_limit_s * 1000, ms;
    if (left_by_progress(l, j, a, &ms))
        return (struct when_span){ms, WHEN_PROGRESS};
    struct when_span run = whole_run(l, j);
    if (run.basis == WHEN_HISTORY && run.ms < ran) {
        /* It takes longer than others did: the past knows no more about it. */
        run = limit_ms ? (struct when_span){limit_ms, WHEN_LIMIT} : (struct when_span){0};
    }
    run.ms -= ran;
    return run;
}

static struct when_span *spans(const struct looking *l, const struct tree *jobs, size_t most,
                               struct when_span (*of)(const struct looking *, const struct job *))
{
    size_t count = jobs->count < most ? jobs->count : most, i = 0;
    struct when_span *ret = mem_new_array(struct when_span, count + 1);
    struct tree_walk w;
    for (bool more = tree_first(&w, jobs, &l->view->tree_nodes, (struct tree_key){0, 0});
         more && i < count; more = tree_next(&w))
        ret[i++] = of(l, fleet_job_at(l->view, w.value));
    return ret;
}

/* ---- working it out ---- */

static int by_job(const void *a, const void *b)
{
    const struct when_start *x = a, *y = b;
    return x->job < y->job ? -1 : x->job > y->job;
}

static bool same_start(const struct when_start *a, const struct when_start *b)
{
    return a->job == b->job && a->start_ms == b->start_ms && a->order == b->order &&
           a->basis == b->basis;
}

/* With the lock held. */
static void take_over(struct expected *x, const struct when_start *starts, size_t count)
{
    bool same = x->count == count;
    for (size_t i = 0; same && i < count; i++)
        same = same_start(&x->starts[i], &starts[i]);
    if (same)
        return;
    memcpy(x->starts, starts, count * sizeof *starts);
    x->count = count;
    x->version++;
}

/* Only for who has set BUSY. */
static void work_out(struct api *a, struct store_reader *r)
{
    struct expected *x = a->expected;
    uint64_t progress = progress_version(a->progress);
    const struct engine_view *v = engine_view_get(a->engine);
    struct looking l = {a, r, &v->fleet, engine_now_ms(a->engine)};
    auto_free struct when_start *starts = mem_new_array(struct when_start, WHEN_JOBS_MOST);
    size_t count = 0;
    /* Without the past there are still progress and limits. */
    run_times_catch_up(x->times, engine_store(a->engine), r, l.view, NULL);
    if (l.view->waiting.count) {
        auto_free struct when_span *left = spans(&l, &l.view->running, SIZE_MAX, time_left);
        auto_free struct when_span *runs = spans(&l, &l.view->waiting, WHEN_JOBS_MOST, whole_run);
        struct when_question q = {l.view, l.now_ms, left, runs};
        count = when_look(&q, starts);
        qsort(starts, count, sizeof *starts, by_job);
    }

    pthread_mutex_lock(&x->lock);
    take_over(x, starts, count);
    x->seq = l.view->last_seq;
    x->progress_version = progress;
    x->made = true;
    x->made_mono_ms = clock_mono_ms();
    x->busy = false;
    pthread_mutex_unlock(&x->lock);
    engine_view_release(a->engine, v);
}

/* Takes on the work where it is due and nobody else is at it. */
static bool take_on(struct api *a, int64_t age_ms)
{
    struct expected *x = a->expected;
    const struct engine_view *v = engine_view_get(a->engine);
    int64_t seq = v->fleet.last_seq, now = clock_mono_ms();
    engine_view_release(a->engine, v);
    uint64_t progress = progress_version(a->progress);

    pthread_mutex_lock(&x->lock);
    bool stale = !x->made || ((x->seq != seq || x->progress_version != progress) &&
                              now - x->made_mono_ms >= age_ms);
    bool ours = stale && !x->busy;
    x->busy |= ours;
    pthread_mutex_unlock(&x->lock);
    return ours;
}

void expected_refresh(struct api *a, struct store_reader *r)
{
    struct expected *x = a->expected;
    pthread_mutex_lock(&x->lock);
    x->asked_mono_ms = clock_mono_ms();
    pthread_mutex_unlock(&x->lock);
    if (take_on(a, MOST_AGE_MS))
        work_out(a, r);
}

bool expected_get(struct expected *x, int64_t job, struct when_start *ret)
{
    struct when_start key = {.job = job};
    pthread_mutex_lock(&x->lock);
    const struct when_start *found = bsearch(&key, x->starts, x->count, sizeof *x->starts, by_job);
    if (found)
        *ret = *found;
    pthread_mutex_unlock(&x->lock);
    return found != NULL;
}

uint64_t expected_version(struct expected *x)
{
    pthread_mutex_lock(&x->lock);
    uint64_t version = x->version;
    pthread_mutex_unlock(&x->lock);
    return version;
}

/* ---- kept fresh while somebody is interested ---- */

static void on_worker(void *state, void *job)
{
    work_out(job, state);
}

static void on_done(void *job)
{
    api_work_done(job);
}

void expected_tick(struct api *a)
{
    struct expected *x = a->expected;
    pthread_mutex_lock(&x->lock);
    bool wanted = clock_mono_ms() - x->asked_mono_ms < INTEREST_MS;
    pthread_mutex_unlock(&x->lock);
    if (!wanted || !take_on(a, LEAST_AGE_MS) || api_work(a, on_worker, on_done, a))
        return;
    pthread_mutex_lock(&x->lock);
    x->busy = false; /* too much waits for the workers: the next tick */
    pthread_mutex_unlock(&x->lock);
}
