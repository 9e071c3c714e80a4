#include "net/mailbox.h"

#include "base/mem.h"
#include "test.h"

#include <sched.h>

#include <stdatomic.h>

static int seen[16], seen_count;

static void note(void *arg)
{
    seen[seen_count++ % 16] = (int)(intptr_t)arg;
}

static void finish(uv_loop_t *loop, struct mailbox *m)
{
    mailbox_close(m);
    uv_run(loop, UV_RUN_DEFAULT);
    mailbox_free(m);
    CHECK_INT(uv_loop_close(loop), 0);
}

TEST("messages run in the order they were posted, on one wake")
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct mailbox *m = mailbox_new(&loop, 10);
    seen_count = 0;
    for (intptr_t i = 0; i < 5; i++)
        CHECK(mailbox_post(m, note, (void *)i));
    CHECK_INT(mailbox_waiting(m), 5);

    uv_run(&loop, UV_RUN_ONCE);

    CHECK_INT(seen_count, 5);
    for (int i = 0; i < 5; i++)
        CHECK_INT(seen[i], i);
    finish(&loop, m);
}

TEST("a full box refuses, but takes answers")
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct mailbox *m = mailbox_new(&loop, 2);
    seen_count = 0;
    CHECK(mailbox_post(m, note, NULL));
    CHECK(mailbox_post(m, note, NULL));
    CHECK(!mailbox_post(m, note, NULL));
    CHECK(mailbox_post_answer(m, note, NULL));
    CHECK_INT(mailbox_drain(m), 3);
    CHECK(mailbox_post(m, note, NULL));
    finish(&loop, m);
    CHECK_INT(seen_count, 4);
}

TEST("a closed box refuses, and has run what it accepted")
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct mailbox *m = mailbox_new(&loop, 2);
    seen_count = 0;
    CHECK(mailbox_post(m, note, NULL));
    mailbox_close(m);
    CHECK_INT(seen_count, 1);
    CHECK(!mailbox_post(m, note, NULL));
    CHECK(!mailbox_post_answer(m, note, NULL));
    finish(&loop, m);
}

struct chain {
    struct mailbox *m;
    int left;
};

static void post_again(void *arg)
{
    struct chain *c = arg;
    if (c->left-- > 0)
        mailbox_post(c->m, post_again, c);
}

TEST("a message may post the next one")
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct chain c = {mailbox_new(&loop, 1), 100};
    mailbox_post(c.m, post_again, &c);
    uv_run(&loop, UV_RUN_ONCE);
    CHECK_INT(c.left, 99); /* the loop gets its turn in between */
    mailbox_drain(c.m);
    CHECK_INT(c.left, -1);
    finish(&loop, c.m);
}

#define THREADS 4
#define EACH    20000

struct sender {
    struct mailbox *m;
    struct counts *counts;
    int number;
};

struct counts {
    int last[THREADS];
    int total;
    bool in_order;
};

struct numbered {
    struct counts *counts;
    int thread, number;
};

static void count(void *arg)
{
    struct numbered *n = arg;
    if (n->counts->last[n->thread] + 1 != n->number)
        n->counts->in_order = false;
    n->counts->last[n->thread] = n->number;
    n->counts->total++;
    free(n);
}

static void send_many(void *arg)
{
    struct sender *s = arg;
    for (int i = 1; i <= EACH; i++) {
        struct numbered *n = mem_new(struct numbered);
        *n = (struct numbered){s->counts, s->number, i};
        while (!mailbox_post(s->m, count, n))
            sched_yield();
    }
}

TEST("many threads post at once: nothing is lost, each one's order is kept")
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct counts counts = {.in_order = true};
    struct sender senders[THREADS];
    uv_thread_t threads[THREADS];
    struct mailbox *m = mailbox_new(&loop, 64);
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){m, &counts, i};
        uv_thread_create(&threads[i], send_many, &senders[i]);
    }

    while (counts.total < THREADS * EACH)
        uv_run(&loop, UV_RUN_ONCE);

    for (int i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
    CHECK(counts.in_order);
    CHECK_INT(counts.total, THREADS * EACH);
    finish(&loop, m);
}
