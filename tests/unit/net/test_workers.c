#include "net/workers.h"

#include "test.h"

#include <sched.h>

#include <stdatomic.h>

static atomic_int started, stopped, jobs_run;
static int replies;

static int on_start(void *arg, void **ret_state, struct err *e)
{
    int number = ++started;
    if (number == *(int *)arg)
        return err_set(e, ERR_UNAVAILABLE, "no database");
    *ret_state = (void *)(intptr_t)number;
    return 0;
}

static void on_stop(void *state)
{
    CHECK(state != NULL);
    stopped++;
}

struct job {
    uv_sem_t *wait;
    bool had_state;
};

static void run(void *state, void *arg)
{
    struct job *job = arg;
    if (job->wait)
        uv_sem_wait(job->wait);
    job->had_state = state != NULL;
    jobs_run++;
}

static void done(void *arg)
{
    struct job *job = arg;
    CHECK(job->had_state);
    replies++;
}

TEST("jobs run with their thread's state and their replies on the loop")
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct mailbox *m = mailbox_new(&loop, 1); /* replies are not bounded by it */
    struct workers *w;
    int never = -1;
    const struct workers_config config = {"test", 3, 100, on_start, on_stop, &never};
    struct job jobs[50] = {0};
    CHECK_OK(workers_new(&config, &w, &test_err));
    for (int i = 0; i < 50; i++)
        CHECK(workers_submit(w, run, done, m, &jobs[i]));
    while (replies < 50)
        uv_run(&loop, UV_RUN_ONCE);

    workers_free(w);
    CHECK_INT(started, 3);
    CHECK_INT(stopped, 3);
    CHECK_INT(jobs_run, 50);
    mailbox_close(m);
    uv_run(&loop, UV_RUN_DEFAULT);
    mailbox_free(m);
    uv_loop_close(&loop);
}

TEST("a full queue refuses; what was accepted is run before the end")
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct mailbox *m = mailbox_new(&loop, 8);
    struct workers *w;
    uv_sem_t wait;
    uv_sem_init(&wait, 0);
    const struct workers_config config = {"test", 1, 2};
    CHECK_OK(workers_new(&config, &w, &test_err));
    struct job jobs[4] = {{&wait}, {&wait}, {&wait}, {&wait}};
    jobs_run = 0;

    CHECK(workers_submit(w, run, NULL, NULL, &jobs[0]));
    while (workers_waiting(w) > 0)
        sched_yield();
    CHECK(workers_submit(w, run, NULL, NULL, &jobs[1]));
    CHECK(workers_submit(w, run, NULL, NULL, &jobs[2]));
    CHECK(!workers_submit(w, run, NULL, NULL, &jobs[3]));
    for (int i = 0; i < 3; i++)
        uv_sem_post(&wait);
    workers_free(w);

    CHECK_INT(jobs_run, 3);
    uv_sem_destroy(&wait);
    mailbox_close(m);
    uv_run(&loop, UV_RUN_DEFAULT);
    mailbox_free(m);
    uv_loop_close(&loop);
}

TEST("a thread that cannot start fails the whole, and the others are stopped")
{
    struct workers *w;
    int third = 3;
    started = stopped = 0;
    const struct workers_config config = {"test", 4, 2, on_start, on_stop, &third};
    CHECK_FAILS(workers_new(&config, &w, &test_err), ERR_UNAVAILABLE, "no database");
    CHECK_INT(stopped, 2);
}
