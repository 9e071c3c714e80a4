#include "place.h"

#include <pthread.h>
#include <stdatomic.h>

/* Notes what the writer said, and lets a test wait for it. */
struct ear {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t durable;
    bool in_order;
    int full, room_again, broken;
    struct err why;
};

static void on_durable(void *arg, int64_t seq)
{
    struct ear *ear = arg;
    pthread_mutex_lock(&ear->lock);
    ear->in_order = ear->in_order && seq == ear->durable + 1;
    ear->durable = seq;
    pthread_cond_signal(&ear->changed);
    pthread_mutex_unlock(&ear->lock);
}

static void on_full(void *arg, bool full, const struct err *why)
{
    struct ear *ear = arg;
    pthread_mutex_lock(&ear->lock);
    if (full)
        ear->why = *why;
    *(full ? &ear->full : &ear->room_again) += 1;
    pthread_cond_signal(&ear->changed);
    pthread_mutex_unlock(&ear->lock);
}

static void on_broken(void *arg, const struct err *why)
{
    struct ear *ear = arg;
    pthread_mutex_lock(&ear->lock);
    ear->broken++;
    ear->why = *why;
    pthread_cond_signal(&ear->changed);
    pthread_mutex_unlock(&ear->lock);
}

static struct writer *start(struct place *p, struct ear *ear)
{
    *ear = (struct ear){.lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER,
                        .durable = p->seq,
                        .in_order = true};
    struct writer_callbacks on = {on_durable, on_full, on_broken, ear, 1};
    struct ledger_tail t;
    struct writer *w;
    CHECK_OK(ledger_read_tail(p->ops, p->s, &t, &test_err));
    CHECK_OK(writer_start(p->ops, p->s, p->seq, &t, &on, &w, &test_err));
    return w;
}

static void wait_durable(struct ear *ear, int64_t seq)
{
    pthread_mutex_lock(&ear->lock);
    while (ear->durable < seq && !ear->broken)
        pthread_cond_wait(&ear->changed, &ear->lock);
    pthread_mutex_unlock(&ear->lock);
}

static void wait_for(struct ear *ear, const int *what)
{
    pthread_mutex_lock(&ear->lock);
    while (!*what)
        pthread_cond_wait(&ear->changed, &ear->lock);
    pthread_mutex_unlock(&ear->lock);
}

/* A batch with one job and one ledger row of the same number. */
static struct batch *a_batch(struct place *p)
{
    struct batch *b = place_batch(p);
    put_job(b, b->seq, 7);
    put_ledger(b, b->seq, 1000, b->seq, "{}");
    p->seq++;
    return b;
}

CONFORM("batches become durable in the order given, their ledger rows chained")
{
    struct ear ear;
    struct writer *w = start(p, &ear);
    for (int i = 1; i <= 50; i++) {
        while (!writer_has_room(w))
            wait_durable(&ear, p->seq - 2);
        writer_commit(w, a_batch(p));
    }
    wait_durable(&ear, 50);
    CHECK(ear.in_order);
    CHECK(writer_is_idle(w));
    writer_stop(w);

    CHECK_INT(ear.durable, 50);
    struct ledger_check c;
    CHECK_OK(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err));
    CHECK_INT(c.rows, 50);
    CHECK_INT(c.last_batch, 50);

    w = start(p, &ear);
    writer_commit(w, a_batch(p));
    writer_stop(w);
    CHECK_INT(ear.durable, 51);
    CHECK_OK(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err));
    CHECK_INT(c.rows, 51);
}

CONFORM("stopping commits what was handed over")
{
    struct ear ear;
    struct writer *w = start(p, &ear);
    writer_commit(w, a_batch(p));
    writer_commit(w, a_batch(p));
    writer_stop(w);
    CHECK_INT(ear.durable, 2);
    CHECK_TEXT(place_load(p, TABLE_ID_JOB), "job 1, job 2");
}

TEST("on a full disk the same batch is tried until it is written, and both is said once")
{
    struct place place = {0}, *p = &place;
    struct ear ear;
    place_make(p, "memory", "full=commit@2-5");
    struct writer *w = start(p, &ear);
    writer_commit(w, a_batch(p));
    writer_commit(w, a_batch(p));
    wait_durable(&ear, 2);
    CHECK_INT(ear.full, 1);
    CHECK_INT(ear.room_again, 1);
    CHECK_INT(ear.why.code, ERR_EXHAUSTED);
    CHECK_INT(ear.broken, 0);
    writer_stop(w);
    struct ledger_check c;
    CHECK_OK(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err));
    CHECK_INT(c.rows, 2);
    place_remove(p);
}

TEST("stopping on a full disk does not wait for ever")
{
    struct place place = {0}, *p = &place;
    struct ear ear;
    place_make(p, "memory", "full=commit@1-999999");
    struct writer *w = start(p, &ear);
    writer_commit(w, a_batch(p));
    wait_for(&ear, &ear.full);
    writer_stop(w);
    CHECK_INT(ear.durable, 0);
    CHECK_INT(ear.broken, 1);
    place_remove(p);
}

TEST("once deposed, or broken, nothing more is written and it is said once")
{
    static const struct {
        const char *option;
        enum err_code code;
    } cases[] = {{"deposed=commit@2", ERR_CONFLICT}, {"fail=commit@2", ERR_UNAVAILABLE}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct place place = {0}, *p = &place;
        struct ear ear;
        place_make(p, "memory", cases[i].option);
        struct writer *w = start(p, &ear);
        writer_commit(w, a_batch(p));
        wait_durable(&ear, 1);
        writer_commit(w, a_batch(p));
        wait_for(&ear, &ear.broken);
        writer_commit(w, a_batch(p));
        writer_stop(w);
        CHECK_INT(ear.durable, 1);
        CHECK_INT(ear.broken, 1);
        CHECK_INT(ear.why.code, cases[i].code);
        CHECK_TEXT(place_load(p, TABLE_ID_JOB), "job 1");
        place_remove(p);
    }
}

TEST("whichever commit fails, what was said to be durable is there and nothing else")
{
    for (int n = 1; n <= 6; n++) {
        struct place place = {0}, *p = &place;
        struct ear ear;
        char option[32];
        snprintf(option, sizeof option, "fail=commit@%d", n);
        place_make(p, "memory", option);
        struct writer *w = start(p, &ear);
        for (int i = 1; i <= n; i++) {
            writer_commit(w, a_batch(p));
            wait_durable(&ear, i);
        }
        writer_stop(w);
        CHECK_INT(ear.durable, n - 1);
        struct ledger_check c;
        CHECK_OK(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err));
        CHECK_INT(c.rows, n - 1);
        place_remove(p);
    }
}

TEST("a batch out of turn breaks the writer instead of the store")
{
    struct place place = {0}, *p = &place;
    struct ear ear;
    place_make(p, "memory", "");
    struct writer *w = start(p, &ear);
    p->seq = 4;
    writer_commit(w, a_batch(p));
    wait_for(&ear, &ear.broken);
    CHECK_INT(ear.why.code, ERR_INTERNAL);
    writer_stop(w);
    place_remove(p);
}

struct asking {
    struct place *p;
    struct store_reader *r;
    int64_t rows;
    atomic_bool stop;
};

static int count_row(void *arg, enum table_id table, const void *record)
{
    (void)table, (void)record;
    ++*(int64_t *)arg;
    return 0;
}

static void *ask_on(void *arg)
{
    struct asking *a = arg;
    bool last;
    do { /* a last time when the writer is through, which may be before this thread gets a processor
          */
        last = atomic_load(&a->stop);
        struct store_query q = {.id = QUERY_LEDGER, .limit = 1000};
        struct store_query job = {.id = QUERY_JOB, .key = 3, .limit = 1};
        struct store_stats st;
        if (a->p->ops->read(a->r, &q, count_row, &a->rows, NULL) < 0 ||
            a->p->ops->read(a->r, &job, count_row, &a->rows, NULL) < 0 ||
            a->p->ops->stats(a->p->s, &st, NULL) < 0)
            a->rows = INT64_MIN;
    } while (!last);
    return NULL;
}

CONFORM("readers ask on threads of their own while the writer commits")
{
    struct ear ear;
    struct asking asking[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        asking[i] = (struct asking){.p = p};
        CHECK_OK(p->ops->reader_open(p->s, &asking[i].r, &test_err));
        pthread_create(&threads[i], NULL, ask_on, &asking[i]);
    }
    struct writer *w = start(p, &ear);
    for (int i = 1; i <= 100; i++) {
        writer_commit(w, a_batch(p));
        wait_durable(&ear, i);
    }
    CHECK_INT(ear.broken, 0);
    writer_stop(w);
    for (int i = 0; i < 2; i++) {
        atomic_store(&asking[i].stop, true);
        pthread_join(threads[i], NULL);
        CHECK(asking[i].rows > 0);
        p->ops->reader_close(asking[i].r);
    }
}
