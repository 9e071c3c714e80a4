#include "net/loop.h"

#include "test.h"

#include <sys/resource.h>

struct facts {
    bool begun, stopped, messaged, fail;
    uv_timer_t timer;
};

static void on_timer(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

static int on_start(void *arg, struct loop_thread *t, struct err *e)
{
    struct facts *f = arg;
    if (f->fail)
        return err_set(e, ERR_CONFLICT, "the address is in use");
    f->begun = true;
    uv_timer_init(loop_thread_loop(t), &f->timer);
    return 0;
}

static void on_stop(void *arg, struct loop_thread *t)
{
    struct facts *f = arg;
    (void)t;
    f->stopped = true;
    uv_timer_start(&f->timer, on_timer, 5, 0); /* something that takes a while to close */
}

static void message(void *arg)
{
    ((struct facts *)arg)->messaged = true;
}

TEST("a loop's thread starts, gets messages and stops when all is closed")
{
    struct facts f = {0};
    struct loop_thread *t;
    const struct loop_thread_config config = {"loop", 4, on_start, on_stop, &f};
    CHECK_OK(loop_thread_start(&config, &t, &test_err));
    CHECK(f.begun);
    CHECK(mailbox_post(loop_thread_mailbox(t), message, &f));
    loop_thread_stop(t);
    CHECK(f.messaged);
    CHECK(f.stopped);
}

TEST("what fails on the new thread fails the start")
{
    struct facts f = {.fail = true};
    struct loop_thread *t;
    const struct loop_thread_config config = {"loop", 4, on_start, on_stop, &f};
    CHECK_FAILS(loop_thread_start(&config, &t, &test_err), ERR_CONFLICT, "in use");
    CHECK(!f.stopped);
}

TEST("the limit of open files is raised to what is allowed")
{
    struct rlimit limit;
    size_t files = loop_raise_open_files();
    getrlimit(RLIMIT_NOFILE, &limit);
    CHECK(limit.rlim_cur == limit.rlim_max);
    CHECK(files >= 256);
}
