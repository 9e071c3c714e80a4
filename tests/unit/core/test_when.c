#include "core/explain/when.h"

#include "world.h"

enum { MOST = 2048 };

/* How long each job runs, by its id, and what that rests on; when each was given its place. */
static struct when_span runs[MOST];
static int64_t ends_ms[MOST], began_ms[MOST], began_order[MOST];
static struct when_start starts[WHEN_JOBS_MOST];
static size_t start_count;

static void ask(struct world *w)
{
    static struct when_span left[MOST], waiting[MOST];
    const struct fleet_view *v = seen(w);
    struct tree_walk k;
    size_t i = 0;
    for (bool more = tree_first(&k, &v->running, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&k)) {
        int64_t job = fleet_job_at(v, k.value)->id;
        left[i++] = (struct when_span){ends_ms[job] - w->now_ms, runs[job].basis};
    }
    i = 0;
    for (bool more = tree_first(&k, &v->waiting, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&k))
        waiting[i++] = runs[fleet_job_at(v, k.value)->id];
    struct when_question q = {v, w->now_ms, left, waiting};
    memset(starts, 0xff, sizeof starts);
    start_count = when_look(&q, starts);
}

static const struct when_start *start_of(int64_t job)
{
    for (size_t i = 0; i < start_count; i++)
        if (starts[i].job == job)
            return &starts[i];
    return NULL;
}

static void check_start(int64_t job, int64_t start_ms, int64_t order, enum when_basis basis)
{
    const struct when_start *s = start_of(job);
    CHECK(s != NULL);
    CHECK_INT(s->start_ms, start_ms);
    CHECK_INT(s->order, order);
    CHECK_TEXT(when_basis_name(s->basis), when_basis_name(basis));
}

static void runs_for(int64_t job, int64_t ms, enum when_basis basis)
{
    runs[job] = (struct when_span){ms, basis};
}

/* Plans, and what was given a place starts at once. */
static void go_on(struct world *w)
{
    static int64_t order;
    size_t from = w->count;
    wake_due(w);
    plan(w);
    size_t upto = w->count;
    for (size_t i = from; i < upto; i++) {
        const struct event *ev = &w->log[i];
        if (ev->kind != EVENT_ID_ATTEMPT_DECIDED)
            continue;
        int64_t job = ev->subject;
        began_ms[job] = w->now_ms;
        began_order[job] = ++order;
        ends_ms[job] = w->now_ms + runs[job].ms;
        CHECK_OK(start(w, job));
    }
}

TEST("the next start is when the running job is expected to end, and says what that rests on")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 1, 10240);
    int64_t a = submit(&w, .user = u), b = submit(&w, .user = u), c = submit(&w, .user = u);
    int64_t d = submit(&w, .user = u), e = submit(&w, .user = u);
    runs_for(a, 10000, WHEN_PROGRESS);
    runs_for(b, 20000, WHEN_HISTORY);
    runs_for(c, 30000, WHEN_LIMIT);
    runs_for(d, 0, WHEN_NONE);
    runs_for(e, 10, WHEN_HISTORY);
    go_on(&w);
    w.now_ms += 4000;
    ask(&w);
    CHECK_INT(start_count, 4);
    check_start(b, w.now_ms + 6000, 1, WHEN_PROGRESS);
    check_start(c, w.now_ms + 26000, 2, WHEN_HISTORY);
    check_start(d, w.now_ms + 56000, 3, WHEN_LIMIT);
    check_start(e, 0, 0, WHEN_NONE); /* nobody knows how long D will run */
    world_end(&w);
}

TEST("what there is room for starts now, and what is held or paused does not")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    int64_t a = submit(&w, .user = u), b = submit(&w, .user = u);
    int64_t big = submit(&w, .user = u, .gpu_memory_mib = 80000);
    runs_for(a, 10000, WHEN_HISTORY);
    runs_for(b, 10000, WHEN_HISTORY);
    runs_for(big, 10000, WHEN_HISTORY);
    CHECK_OK(hold(&w, a, ""));
    add_node(&w, "n", 1, 10240);
    ask(&w);
    check_start(a, 0, 0, WHEN_NONE);
    check_start(b, w.now_ms, 1, WHEN_FREE);
    check_start(big, 0, 0, WHEN_NONE);
    world_end(&w);

    world_begin(&w);
    u = add_user(&w, "alice");
    add_node(&w, "n", 1, 10240);
    a = submit(&w, .user = u, .retries = 3);
    for (int i = 0; i < 2; i++) {
        plan(&w);
        CHECK_OK(lose_and_pause(&w, a, 5000));
    }
    ask(&w);
    check_start(a, w.now_ms + 5000, 1, WHEN_FREE);
    world_end(&w);
}

TEST("a job that waits for two ends rests on the weaker one")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 2, 10240);
    int64_t a = submit(&w, .user = u), b = submit(&w, .user = u);
    int64_t pair = submit(&w, .user = u, .gpus = 2);
    runs_for(a, 1000, WHEN_LIMIT);
    runs_for(b, 2000, WHEN_PROGRESS);
    go_on(&w);
    ask(&w);
    check_start(pair, w.now_ms + 2000, 1, WHEN_LIMIT);
    world_end(&w);
}

TEST("only the front of a long queue is looked at, and the same question has the same answer")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 4, 10240);
    for (int i = 0; i < 1500; i++)
        runs_for(submit(&w, .user = u), 1000, WHEN_LIMIT);
    go_on(&w);
    ask(&w);
    CHECK_INT(start_count, WHEN_JOBS_MOST);
    CHECK_INT(starts[WHEN_JOBS_MOST - 1].order, WHEN_JOBS_MOST);
    CHECK_INT(starts[WHEN_JOBS_MOST - 1].start_ms, w.now_ms + 250 * 1000);
    static struct when_start before[WHEN_JOBS_MOST];
    memcpy(before, starts, sizeof before);
    ask(&w);
    CHECK(memcmp(before, starts, sizeof before) == 0);
    world_end(&w);
}

/* ---- a world in which every job takes just as long as expected ---- */

static void random_jobs(struct world *w, int count)
{
    for (int i = 0; i < count; i++) {
        int64_t job = submit(w, .user = 1 + rand() % 2, .gpus = 1 + rand() % 3,
                             .no_gpu = rand() % 6 == 0, .gpu_memory_mib = rand() % 3 * 9000,
                             .cpu_milli = rand() % 3 * 4000, .memory_mib = rand() % 2 * 30000);
        runs_for(job, 1 + rand() % 100000, WHEN_HISTORY);
        if (rand() % 20 == 0)
            CHECK_OK(hold(w, job, ""));
    }
}

/* The next end: with all others at the same time. False: nothing runs. */
static bool pass(struct world *w)
{
    const struct fleet_view *v = seen(w);
    int64_t jobs[MOST], count = 0, at_ms = INT64_MAX;
    struct tree_walk k;
    for (bool more = tree_first(&k, &v->running, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&k)) {
        int64_t job = fleet_job_at(v, k.value)->id;
        if (ends_ms[job] < at_ms) {
            at_ms = ends_ms[job];
            count = 0;
        }
        if (ends_ms[job] == at_ms)
            jobs[count++] = job;
    }
    w->now_ms = count ? at_ms : w->now_ms;
    for (int64_t i = 0; i < count; i++)
        CHECK_OK(finish(w, jobs[i], OUTCOME_COMPLETED));
    go_on(w);
    return count > 0;
}

TEST("where jobs take as long as expected, they start when and in the order that was expected")
{
    int64_t checked = 0;
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct world w;
        world_begin(&w);
        srand(seed);
        add_user(&w, "alice");
        add_user(&w, "bob");
        add_node(&w, "a", 1, 10240);
        add_node(&w, "b", 4, 10240);
        add_node(&w, "c", 2, 40960);
        random_jobs(&w, 80);
        go_on(&w);
        for (int i = rand() % 20; i; i--)
            pass(&w);
        w.now_ms++; /* in between */
        memset(began_order, 0, sizeof began_order);
        ask(&w);
        while (pass(&w))
            ;
        for (size_t i = 0; i < start_count; i++) {
            const struct when_start *s = &starts[i];
            CHECK_INT(s->start_ms, began_order[s->job] ? began_ms[s->job] : 0);
            for (size_t k = 0; k < i; k++)
                if (s->order && starts[k].order)
                    CHECK((s->order < starts[k].order) ==
                          (began_order[s->job] < began_order[starts[k].job]));
            checked += s->order > 0;
        }
        world_end(&w);
    }
    CHECK(checked > 1000);
}
