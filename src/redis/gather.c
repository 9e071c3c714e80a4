#include "redis/gather.h"

#include "base/mem.h"

enum {
    READ_MOST = 500, /* specs a worker's turn */
    GAP_MOST = 8,    /* walking over so many rows costs less than another question */
};

struct gather {
    struct gather_config config;
    int64_t seq; /* of the view that all is from */
    struct wanted *all;
    size_t count;        /* sorted by job */
    struct line **lines; /* the waiting in their order, then the running */
    size_t waiting, running;
    int64_t *order; /* jobs in the order of LINES */
    bool stopped;
};

/* For a worker. */
struct reading {
    struct gather *gather;
    int64_t jobs[READ_MOST]; /* rising */
    char *paths[READ_MOST];
    size_t count;
    struct err err;
};

struct gather *gather_new(const struct gather_config *config)
{
    struct gather *g = mem_new(struct gather);
    g->config = *config;
    g->seq = -1;
    return g;
}

static void free_wanted(struct wanted *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        line_unref(all[i].line);
        free(all[i].head);
        free(all[i].paths);
    }
    free(all);
}

void gather_free(struct gather *g)
{
    if (!g)
        return;
    free_wanted(g->all, g->count);
    free(g->lines);
    free(g->order);
    free(g);
}

void gather_stop(struct gather *g)
{
    g->stopped = true;
}

static int by_job(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;
    return (x->job > y->job) - (x->job < y->job);
}

static struct wanted *find(struct wanted *all, size_t count, int64_t job)
{
    struct wanted key = {.job = job};
    return count ? bsearch(&key, all, count, sizeof key, by_job) : NULL;
}

struct line *gather_find(const struct gather *g, int64_t job, bool waiting)
{
    const struct wanted *w = find(g->all, g->count, job);
    return w && w->waiting == waiting ? w->line : NULL;
}

struct line *const *gather_waiting(const struct gather *g, size_t *ret_count)
{
    *ret_count = g->waiting;
    return g->lines;
}

struct line *const *gather_running(const struct gather *g, size_t *ret_count)
{
    *ret_count = g->running;
    return g->lines + g->waiting;
}

/* ---- the view ---- */

struct taking {
    struct gather *g;
    const struct fleet_view *view;
    struct wanted *all;
    size_t count;
};

static bool same_facts(const struct line_facts *a, const struct line_facts *b)
{
    return a->since_ms == b->since_ms && a->started_ms == b->started_ms &&
           a->attempts == b->attempts && a->state == b->state && a->held == b->held;
}

/* What was known of the job is used again. */
static void take_job(struct taking *t, const struct job *j, bool waiting)
{
    struct gather *g = t->g;
    struct wanted *before = find(g->all, g->count, j->id), *w = &t->all[t->count];
    *w = (struct wanted){.job = j->id,
                         .waiting = waiting,
                         .facts = {.since_ms = j->since_ms,
                                   .started_ms = j->started_ms,
                                   .attempts = j->attempts,
                                   .state = j->state,
                                   .held = j->hold != 0}};
    g->order[t->count++] = j->id;
    if (before && before->paths)
        w->paths = TAKE(before->paths);
    if (before && before->line && same_facts(&before->facts, &w->facts)) {
        w->line = TAKE(before->line);
        return;
    }
    struct text head = {0};
    line_write_head(t->view, j, g->config.mask, &head);
    w->head = text_take(&head);
}

static void take_tree(struct taking *t, const struct tree *tree, size_t most, bool waiting)
{
    struct tree_walk w;
    size_t count = 0;
    bool more = tree_first(&w, tree, &t->view->tree_nodes, (struct tree_key){0, 0});
    for (; more && count < most; more = tree_next(&w), count++)
        take_job(t, fleet_job_at(t->view, w.value), waiting);
}

static size_t at_most(size_t count, size_t most)
{
    return count < most ? count : most;
}

static void take_view(struct gather *g, const struct fleet_view *v)
{
    size_t waiting = at_most(v->waiting.count, MIRROR_WAITING_MOST);
    size_t running = at_most(v->running.count, MIRROR_RUNNING_MOST);
    struct taking t = {.g = g, .view = v};
    t.all = mem_new_array(struct wanted, waiting + running + 1);
    free(g->order);
    g->order = mem_new_array(int64_t, waiting + running + 1);
    take_tree(&t, &v->waiting, waiting, true);
    g->waiting = t.count;
    take_tree(&t, &v->running, running, false);
    g->running = t.count - g->waiting;
    qsort(t.all, t.count, sizeof *t.all, by_job);
    free_wanted(g->all, g->count);
    g->all = t.all;
    g->count = t.count;
    g->seq = v->last_seq;
}

/* ---- the store, on a worker ---- */

static int on_record(void *arg, enum table_id table, const void *record)
{
    struct reading *r = arg;
    const struct job_spec_row *row = record;
    (void)table;
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->jobs[middle] < row->id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < r->count && r->jobs[low] == row->id && !r->paths[low])
        r->paths[low] = line_read_paths(row->spec);
    return 0;
}

static int read_range(struct reading *r, struct store_reader *reader, size_t from, size_t upto)
{
    const struct store_ops *ops = engine_store(r->gather->config.engine);
    struct store_query q = {
        .id = QUERY_JOBS, .from = r->jobs[from], .upto = r->jobs[upto], .limit = STORE_LIMIT};
    if (from < upto && ops->read(reader, &q, on_record, r, &r->err) < 0)
        return -1;
    for (size_t i = from; i <= upto; i++) {
        /* One alone, or one that has ended since the view. */
        struct store_query one = {.id = QUERY_JOB, .key = r->jobs[i], .limit = 1};
        if (!r->paths[i] && ops->read(reader, &one, on_record, r, &r->err) < 0)
            return -1;
    }
    return 0;
}

static void read_specs(void *state, void *job)
{
    struct reading *r = job;
    for (size_t from = 0, upto; from < r->count; from = upto + 1) {
        for (upto = from; upto + 1 < r->count && r->jobs[upto + 1] - r->jobs[upto] <= GAP_MOST;)
            upto++;
        if (read_range(r, state, from, upto) < 0)
            return;
    }
}

/* ---- lines ---- */

static void write_lines(struct gather *g)
{
    struct text t = {0};
    free(g->lines);
    g->lines = mem_new_array(struct line *, g->count + 1);
    for (size_t i = 0; i < g->count; i++) {
        struct wanted *w = &g->all[i];
        if (!w->head)
            continue;
        text_clear(&t);
        text_add(&t, w->head);
        line_write_tail(w->paths, &t);
        line_unref(w->line);
        w->line = line_new(w->job, t.data, t.len);
        free(w->head);
        w->head = NULL;
    }
    text_done(&t);
    for (size_t i = 0; i < g->count; i++)
        g->lines[i] = find(g->all, g->count, g->order[i])->line;
}

static void read_more(struct gather *g);

static void ready(struct gather *g, const struct err *e)
{
    if (g->stopped)
        return;
    if (e)
        g->seq = -1; /* the next look begins anew */
    else
        write_lines(g);
    g->config.on_ready(g->config.arg, e);
}

static void on_specs(void *job)
{
    struct reading *r = job;
    struct gather *g = r->gather;
    struct err e = r->err;
    for (size_t i = 0; i < r->count; i++) {
        struct wanted *w = find(g->all, g->count, r->jobs[i]);
        /* A job that was deleted meanwhile goes with the next view. */
        w->paths = r->paths[i] || e.code ? r->paths[i] : line_read_paths(NULL);
    }
    free(r);
    if (e.code)
        ready(g, &e);
    else if (!g->stopped)
        read_more(g);
}

static void on_nothing_to_read(void *arg)
{
    ready(arg, NULL);
}

static void on_refused(void *arg)
{
    struct err e = {0};
    err_set(&e, ERR_EXHAUSTED, "too many requests wait for the store");
    ready(arg, &e);
}

static void read_more(struct gather *g)
{
    struct reading *r = mem_new(struct reading);
    r->gather = g;
    for (size_t i = 0; i < g->count && r->count < READ_MOST && !g->config.mask; i++)
        if (!g->all[i].paths)
            r->jobs[r->count++] = g->all[i].job;
    if (r->count &&
        workers_submit(engine_workers(g->config.engine), read_specs, on_specs, g->config.box, r))
        return;
    mailbox_post_answer(g->config.box, r->count ? on_refused : on_nothing_to_read, g);
    free(r);
}

bool gather_begin(struct gather *g)
{
    const struct engine_view *v = engine_view_get(g->config.engine);
    bool changed = v->fleet.last_seq != g->seq;
    if (changed)
        take_view(g, &v->fleet);
    engine_view_release(g->config.engine, v);
    if (changed)
        read_more(g);
    return changed;
}
