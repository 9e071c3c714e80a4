#include "random_world.h"

#include "core/meter/meter.h"

TEST("jobs start in the order of their submission, one a device")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice"), v = add_user(&w, "bob");
    int64_t a = submit(&w, .user = u), b = submit(&w, .user = v), c = submit(&w, .user = u);
    CHECK_INT(plan(&w), 0);
    CHECK_INT(fleet_position(seen(&w), fleet_job(seen(&w), c)), 3);

    add_node(&w, "n", 1, 10240);
    CHECK_INT(plan(&w), 1);
    CHECK_INT(state_of(&w, a), JOB_SCHEDULED);
    CHECK_INT(fleet_position(seen(&w), fleet_job(seen(&w), b)), 1);
    CHECK_OK(start(&w, a));
    CHECK_OK(finish(&w, a, OUTCOME_COMPLETED));
    CHECK_INT(state_of(&w, a), -1);
    CHECK_INT(plan(&w), 1);
    CHECK_INT(state_of(&w, b), JOB_SCHEDULED);
    CHECK_INT(state_of(&w, c), JOB_QUEUED);
    world_end(&w);
}

TEST("a lost attempt is tried again at its old place, unless the job is exclusive or out of tries")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 1, 10240);
    int64_t a = submit(&w, .user = u, .retries = 1), b = submit(&w, .user = u);
    plan(&w);
    CHECK_OK(lose(&w, a));
    CHECK_INT(state_of(&w, a), JOB_QUEUED);
    CHECK_INT(fleet_position(seen(&w), fleet_job(seen(&w), a)), 1);
    plan(&w);
    CHECK_INT(state_of(&w, a), JOB_SCHEDULED);
    CHECK_INT(fleet_job(seen(&w), a)->attempts, 2);
    CHECK_OK(lose(&w, a));
    CHECK_INT(state_of(&w, a), -1);
    CHECK_INT(seen(&w)->failed, 1);

    plan(&w);
    CHECK_INT(state_of(&w, b), JOB_SCHEDULED);
    int64_t c = submit(&w, .user = u, .retries = 5, .flags = JOB_EXCLUSIVE);
    CHECK_OK(finish(&w, b, OUTCOME_FAILED));
    plan(&w);
    CHECK_OK(lose(&w, c));
    CHECK_INT(state_of(&w, c), -1);
    CHECK_INT(seen(&w)->failed, 3);
    world_end(&w);
}

TEST("after its second lost attempt a job pauses, each time twice as long, and keeps its place")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 1, 10240);
    int64_t a = submit(&w, .user = u, .retries = 20);
    const int64_t pauses[] = {0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (size_t i = 0; i < COUNT_OF(pauses); i++) {
        CHECK_INT(plan(&w), 1);
        CHECK_OK(lose_and_pause(&w, a, 1000));
        const struct job *j;
        CHECK_INT(fleet_next_due(seen(&w), &j), pauses[i] ? w.now_ms + pauses[i] : 0);
        if (!pauses[i])
            continue;
        CHECK_INT(j->id, a);
        CHECK_INT(fleet_position(seen(&w), j), 1);
        CHECK_INT(plan(&w), 0);
        CHECK_INT(state_of(&w, a), JOB_QUEUED);
        w.now_ms += pauses[i];
        wake_due(&w);
    }
    CHECK_INT(plan(&w), 1);
    CHECK_FAILS(happen(&w, (struct event){.kind = EVENT_ID_JOB_DUE, .subject = a}), ERR_CONFLICT,
                "does not pause");
    world_end(&w);
}

TEST("a job that pauses holds nobody back, and can be cancelled")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 1, 10240);
    int64_t a = submit(&w, .user = u, .retries = 20), b = submit(&w, .user = u);
    for (int i = 0; i < 2; i++) {
        plan(&w);
        CHECK_OK(lose_and_pause(&w, a, 1000));
    }
    CHECK_INT(plan(&w), 1);
    CHECK_INT(state_of(&w, b), JOB_SCHEDULED);
    CHECK_OK(happen(&w, (struct event){.kind = EVENT_ID_JOB_CANCEL, .subject = a}));
    CHECK_INT(state_of(&w, a), -1);
    const struct job *j;
    CHECK_INT(fleet_next_due(seen(&w), &j), 0);
    world_end(&w);
}

TEST("a job that nothing can serve does not hold back those behind it")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 2, 10240);
    int64_t big = submit(&w, .user = u, .gpu_memory_mib = 80000), small = submit(&w, .user = u);
    CHECK_INT(plan(&w), 1);
    CHECK_INT(state_of(&w, big), JOB_QUEUED);
    CHECK_INT(state_of(&w, small), JOB_SCHEDULED);
    world_end(&w);
}

TEST("a job of two devices is not starved by jobs of one behind it")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 2, 10240);
    int64_t first = submit(&w, .user = u);
    plan(&w);
    int64_t pair = submit(&w, .user = u, .gpus = 2), later = submit(&w, .user = u);
    plan(&w);
    CHECK_INT(state_of(&w, pair), JOB_QUEUED);
    CHECK_INT(state_of(&w, later), JOB_QUEUED);
    int64_t much_later = submit(&w, .user = u);
    plan(&w);
    CHECK_INT(state_of(&w, much_later), JOB_QUEUED);
    CHECK_OK(finish(&w, first, OUTCOME_COMPLETED));
    plan(&w);
    CHECK_INT(state_of(&w, pair), JOB_SCHEDULED);
    CHECK_INT(state_of(&w, later), JOB_QUEUED);
    world_end(&w);
}

TEST("cancelling the head gives back what was put aside for it")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 2, 10240);
    int64_t first = submit(&w, .user = u);
    plan(&w);
    int64_t pair = submit(&w, .user = u, .gpus = 2), later = submit(&w, .user = u);
    plan(&w);
    CHECK_OK(happen(&w, (struct event){.kind = EVENT_ID_JOB_CANCEL, .subject = pair}));
    plan(&w);
    CHECK_INT(state_of(&w, later), JOB_SCHEDULED);
    CHECK_INT(state_of(&w, first), JOB_SCHEDULED);
    world_end(&w);
}

TEST("a busy device is left alone until it is free, whatever waits")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 1, 10240);
    struct event ev = {.kind = EVENT_ID_DEVICE_CHANGED, .subject = 1};
    ev.DEVICE_CHANGED.busy = 1;
    ev.DEVICE_CHANGED.free_mib = 500;
    CHECK_OK(happen(&w, ev));
    int64_t a = submit(&w, .user = u);
    CHECK_INT(plan(&w), 0);
    ev.DEVICE_CHANGED.busy = 0;
    ev.DEVICE_CHANGED.free_mib = 9000;
    CHECK_OK(happen(&w, ev));
    CHECK_INT(plan(&w), 1);
    CHECK_INT(state_of(&w, a), JOB_SCHEDULED);
    world_end(&w);
}

TEST("a machine without isolation runs the jobs of one person only")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice"), v = add_user(&w, "bob");
    int64_t n = add_node(&w, "laptop", 2, 10240);
    struct event ev = {.kind = EVENT_ID_NODE_HELLO, .subject = n};
    ev.NODE_HELLO.cpu_milli = 8000;
    ev.NODE_HELLO.memory_mib = 16384;
    ev.NODE_HELLO.isolation = ISOLATION_NONE;
    CHECK_OK(happen(&w, ev));
    int64_t a = submit(&w, .user = u), b = submit(&w, .user = v), c = submit(&w, .user = u);
    plan(&w);
    CHECK_INT(state_of(&w, a), JOB_SCHEDULED);
    CHECK_INT(state_of(&w, b), JOB_QUEUED);
    CHECK_INT(state_of(&w, c), JOB_SCHEDULED);
    world_end(&w);
}

TEST("a held job keeps its place and is passed over until it is released")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    int64_t a = submit(&w, .user = u), b = submit(&w, .user = u), c = submit(&w, .user = u);
    CHECK_OK(hold(&w, a, "no data yet"));
    add_node(&w, "n", 1, 10240);
    plan(&w);
    CHECK_INT(state_of(&w, a), JOB_QUEUED);
    CHECK_INT(state_of(&w, b), JOB_SCHEDULED);
    CHECK_INT(fleet_position(seen(&w), fleet_job(seen(&w), a)), 1);
    CHECK_INT(fleet_position(seen(&w), fleet_job(seen(&w), c)), 2);

    CHECK_OK(release(&w, a));
    CHECK_OK(finish(&w, b, OUTCOME_COMPLETED));
    plan(&w);
    CHECK_INT(state_of(&w, a), JOB_SCHEDULED);
    CHECK_INT(state_of(&w, c), JOB_QUEUED);
    world_end(&w);
}

TEST("holding the head gives back what was put aside for it, releasing it takes that again")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    add_node(&w, "n", 2, 10240);
    int64_t first = submit(&w, .user = u);
    plan(&w);
    int64_t pair = submit(&w, .user = u, .gpus = 2), later = submit(&w, .user = u);
    int64_t last = submit(&w, .user = u);
    plan(&w);
    CHECK_INT(state_of(&w, later), JOB_QUEUED);
    CHECK_OK(hold(&w, pair, ""));
    plan(&w);
    CHECK_INT(state_of(&w, later), JOB_SCHEDULED);

    CHECK_OK(release(&w, pair));
    plan(&w);
    CHECK_OK(finish(&w, first, OUTCOME_COMPLETED));
    plan(&w);
    CHECK_INT(state_of(&w, last), JOB_QUEUED);
    CHECK_OK(finish(&w, later, OUTCOME_COMPLETED));
    plan(&w);
    CHECK_INT(state_of(&w, pair), JOB_SCHEDULED);
    world_end(&w);
}

TEST("only a waiting job can be held, once, and a hold ends with its job")
{
    struct world w;
    world_begin(&w);
    int64_t u = add_user(&w, "alice");
    int64_t a = submit(&w, .user = u), b = submit(&w, .user = u);
    CHECK_FAILS(release(&w, a), ERR_CONFLICT, "not held");
    CHECK_OK(hold(&w, a, "x"));
    CHECK_FAILS(hold(&w, a, "y"), ERR_CONFLICT, "held already");
    CHECK_OK(happen(&w, (struct event){.kind = EVENT_ID_JOB_CANCEL, .subject = a}));
    CHECK_INT(state_of(&w, a), -1);
    CHECK_FAILS(release(&w, a), ERR_CONFLICT, "not open");
    add_node(&w, "n", 1, 10240);
    plan(&w);
    CHECK_FAILS(hold(&w, b, "x"), ERR_CONFLICT, "not waiting");
    world_end(&w);
}

TEST("a job that pauses and is held waits for both to be over, whichever ends first")
{
    for (int released_first = 0; released_first < 2; released_first++) {
        struct world w;
        world_begin(&w);
        int64_t u = add_user(&w, "alice");
        add_node(&w, "n", 1, 10240);
        int64_t a = submit(&w, .user = u, .retries = 3);
        for (int i = 0; i < 2; i++) {
            plan(&w);
            CHECK_OK(lose_and_pause(&w, a, 1000));
        }
        CHECK(fleet_job(seen(&w), a)->pause_ms != 0);
        CHECK_OK(hold(&w, a, ""));
        if (released_first)
            CHECK_OK(release(&w, a));
        plan(&w);
        CHECK_INT(state_of(&w, a), JOB_QUEUED);
        w.now_ms += 60000;
        wake_due(&w);
        plan(&w);
        CHECK_INT(state_of(&w, a), released_first ? JOB_SCHEDULED : JOB_QUEUED);
        if (!released_first)
            CHECK_OK(release(&w, a));
        plan(&w);
        CHECK_INT(state_of(&w, a), JOB_SCHEDULED);
        world_end(&w);
    }
}

/* ---- properties over long random histories ---- */

static void check_buckets(struct world *w)
{
    for (int64_t id = 1; id <= seen(w)->device_count; id++) {
        struct device d = *fleet_device(seen(w), id);
        int64_t sum = 0, day_begin = d.day * 86400000;
        for (int b = 0; b < BUCKET_COUNT; b++)
            sum += d.bucket[b];
        int64_t from = d.first_seen_ms > day_begin ? d.first_seen_ms : day_begin;
        CHECK_INT(sum, (d.upto_ms - from) * 1000 * 1000);
    }
}

static void check_holding(struct world *w)
{
    const struct fleet_view *v = seen(w);
    uint32_t running = 0, held = 0, parts = 0;
    struct tree_walk k;
    for (bool more = tree_first(&k, &v->by_id, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&k)) {
        const struct job *j = fleet_job_at(v, k.value);
        running += j->attempt != NO_ROW;
        CHECK((j->attempt != NO_ROW) == (j->state != JOB_QUEUED));
        if (j->attempt != NO_ROW)
            parts += fleet_job_attempt(v, j)->parts;
    }
    for (int64_t id = 1; id <= v->device_count; id++)
        held += fleet_device(v, id)->attempt != NO_ROW;
    CHECK_INT(running, v->running.count);
    CHECK_INT(held, parts);
    CHECK_INT(v->waiting.count + v->running.count, v->by_id.count);
}

TEST("every device's time adds up, and nothing is given out twice, whatever happens")
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct world w;
        random_world(&w, seed, 500);
        check_buckets(&w);
        check_holding(&w);
        world_end(&w);
    }
}

/* Hands in a job of random needs. True: it was said that it would start. */
static bool ask_and_submit(struct world *w, int64_t *ret_job)
{
    struct wish k = {.user = 1 + rand() % 2,
                     .gpus = 1 + rand() % 3,
                     .gpu_memory_mib = rand() % 3 * 9000,
                     .cpu_milli = rand() % 3 * 4000};
    struct shape s = {.principal = (uint32_t)k.user,
                      .gpus = (uint16_t)k.gpus,
                      .gpu_memory_mib = (uint32_t)k.gpu_memory_mib,
                      .cpu_milli = (uint32_t)k.cpu_milli,
                      .memory_mib = JOB_DEFAULT_MEMORY_MIB,
                      .flags = JOB_MEMORY_DEFAULT};
    bool starts = plan_starts_behind(seen(w), &s);
    *ret_job = submit_(w, k);
    return starts;
}

TEST("what would start if it were handed in does start, and what would wait waits")
{
    int started = 0, waited = 0;
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct world w;
        random_world(&w, seed, 20);
        for (int i = 0; i < 50; i++) {
            int64_t job;
            bool starts = ask_and_submit(&w, &job);
            plan(&w);
            CHECK_INT(state_of(&w, job) != JOB_QUEUED, starts);
            starts ? started++ : waited++;
            if (!starts) /* or the queue only grows */
                CHECK_OK(happen(
                    &w, (struct event){.kind = EVENT_ID_JOB_CANCEL, .subject = job, .actor = 1}));
            random_step(&w);
        }
        world_end(&w);
    }
    CHECK(started > 50 && waited > 50);
}

TEST("the same ledger gives the same decisions and the same fleet")
{
    struct world w;
    random_world(&w, 7, 1000);
    struct core again;
    core_init(&again);
    for (size_t i = 0; i < w.count; i++) {
        if (w.log[i].kind == EVENT_ID_PLANNED) {
            struct event p;
            core_plan(&again, w.log[i].PLANNED.now_ms, PLAN_VERSION, &p);
        }
        CHECK_OK(core_apply(&again, &w.log[i], NULL, &test_err));
    }
    struct digest a = fleet_digest(seen(&w)), b = fleet_digest(&again.fleet->view);
    CHECK(digest_equal(&a, &b));
    core_done(&again);
    world_end(&w);
}

TEST("a ledger with another decision is found out")
{
    struct world w;
    random_world(&w, 3, 300);
    for (size_t k = 0; k < w.count; k++)
        if (w.log[k].kind == EVENT_ID_ATTEMPT_DECIDED) {
            w.log[k].ATTEMPT_DECIDED.node = w.log[k].ATTEMPT_DECIDED.node % 3 + 1;
            break;
        }
    struct core again;
    core_init(&again);
    int rc = 0;
    for (size_t i = 0; i < w.count && rc == 0; i++) {
        struct event p;
        if (w.log[i].kind == EVENT_ID_PLANNED)
            core_plan(&again, w.log[i].PLANNED.now_ms, PLAN_VERSION, &p);
        rc = core_apply(&again, &w.log[i], NULL, &test_err);
    }
    CHECK_INT(rc, -1);
    core_done(&again);
    world_end(&w);
}

/* ---- the rows are enough to go on from ---- */

/* A store as simple as can be: the last row put for each key. */
static const void *latest[TABLE_COUNT][4096];
static size_t latest_count[TABLE_COUNT];

static bool same_key(const struct table_desc *d, const void *a, const void *b)
{
    for (int i = 0; i < d->keys; i++) {
        const struct column *c = &d->columns[i];
        if (c->type == COLUMN_INT && *(const int64_t *)((const char *)a + c->offset) !=
                                         *(const int64_t *)((const char *)b + c->offset))
            return false;
        if (c->type == COLUMN_TEXT && strcmp(*(char *const *)((const char *)a + c->offset),
                                             *(char *const *)((const char *)b + c->offset)) != 0)
            return false;
    }
    return true;
}

static void keep_row(enum table_id t, const void *record, bool put)
{
    size_t i = 0;
    while (i < latest_count[t] && !same_key(&table_descs[t], latest[t][i], record))
        i++;
    if (i < latest_count[t] && !put) {
        memmove(&latest[t][i], &latest[t][i + 1], (latest_count[t] - i - 1) * sizeof(void *));
        latest_count[t]--;
    } else if (put) {
        latest[t][i] = record;
        if (i == latest_count[t])
            latest_count[t]++;
    }
}

/* Tables here are filled in key order but for policy texts, whose order does not matter. */
static int by_first_keys(const void *a, const void *b)
{
    const int64_t *x = *(const int64_t *const *)a, *y = *(const int64_t *const *)b;
    for (int i = 0; i < 3; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

TEST("a fleet loaded from its rows is the fleet that wrote them")
{
    struct world w;
    random_world(&w, 11, 600);
    memset(latest_count, 0, sizeof latest_count);
    for (const struct row *r = w.batch->first; r; r = r->next) {
        if (r->op == ROW_MOVE)
            keep_row(r->table, r->record, false);
        else
            keep_row(r->table, r->record, r->op == ROW_PUT);
    }
    struct core again;
    core_init(&again);
    for (size_t i = 0; i < core_load_count; i++) {
        enum table_id t = core_load_order[i];
        if (t != TABLE_ID_META)
            qsort(latest[t], latest_count[t], sizeof(void *), by_first_keys);
        for (size_t k = 0; k < latest_count[t]; k++)
            CHECK_OK(core_load(&again, t, latest[t][k], &test_err));
    }
    core_loaded(&again);
    again.fleet->view.last_seq = seen(&w)->last_seq;
    again.fleet->view.next_job = seen(&w)->next_job;

    /* Readings are not kept: after a new epoch both know equally little. */
    struct event epoch = {
        .kind = EVENT_ID_EPOCH_BEGAN, .seq = seen(&w)->last_seq + 1, .time_ms = w.now_ms};
    epoch.EPOCH_BEGAN.epoch = 2;
    CHECK_OK(core_apply(&again, &epoch, NULL, &test_err));
    CHECK_OK(core_apply(&w.core, &epoch, NULL, &test_err));
    struct digest a = fleet_digest(seen(&w)), b = fleet_digest(&again.fleet->view);
    CHECK(digest_equal(&a, &b));

    /* And they plan alike. */
    for (int64_t n = 1; n <= 4; n++) {
        struct event ev = {.kind = EVENT_ID_NODE_HELLO,
                           .subject = n,
                           .seq = seen(&w)->last_seq + 1,
                           .time_ms = w.now_ms};
        ev.NODE_HELLO.cpu_milli = 16000;
        ev.NODE_HELLO.memory_mib = 65536;
        ev.NODE_HELLO.isolation = ISOLATION_SHARED;
        CHECK_OK(core_apply(&again, &ev, NULL, &test_err));
        CHECK_OK(core_apply(&w.core, &ev, NULL, &test_err));
    }
    struct event p, q;
    core_plan(&w.core, w.now_ms, PLAN_VERSION, &p);
    core_plan(&again, w.now_ms, PLAN_VERSION, &q);
    CHECK_TEXT(p.PLANNED.digest, q.PLANNED.digest);
    CHECK_INT(p.PLANNED.decisions, q.PLANNED.decisions);
    core_done(&again);
    world_end(&w);
}
