#include "net/loop.h"

#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <sys/resource.h>

struct loop_thread {
    struct loop_thread_config config;
    char name[16];
    uv_thread_t thread;
    uv_sem_t started;
    uv_loop_t loop;
    struct mailbox *mailbox;
    int start_rc; /* written before STARTED is posted, read after it */
    struct err start_err;
};

static void stop(void *arg)
{
    struct loop_thread *t = arg;
    if (t->config.on_stop)
        t->config.on_stop(t->config.arg, t);
    /* Answers from other threads still come in while servers finish theirs; the box closes last. */
    mailbox_hold_loop(t->mailbox, false);
}

static void run(void *arg)
{
    struct loop_thread *t = arg;
    pthread_setname_np(pthread_self(), t->name);

    if (t->config.on_start)
        t->start_rc = t->config.on_start(t->config.arg, t, &t->start_err);
    if (t->start_rc < 0)
        mailbox_hold_loop(t->mailbox, false);
    uv_sem_post(&t->started);

    uv_run(&t->loop, UV_RUN_DEFAULT);
    mailbox_close(t->mailbox);
    uv_run(&t->loop, UV_RUN_DEFAULT);
}

static void done(struct loop_thread *t)
{
    uv_thread_join(&t->thread);
    mailbox_free(t->mailbox);
    int rc = uv_loop_close(&t->loop);
    assert(rc == 0); /* ON_STOP left a handle open */
    uv_sem_destroy(&t->started);
    free(t);
}

int loop_thread_start(const struct loop_thread_config *config, struct loop_thread **ret,
                      struct err *e)
{
    struct loop_thread *t = mem_new(struct loop_thread);
    t->config = *config;
    snprintf(t->name, sizeof t->name, "%s", config->name);
    int rc = uv_loop_init(&t->loop);
    if (rc < 0) {
        free(t);
        return err_sys(e, -rc, "could not make an event loop for thread '%s'", config->name);
    }
    t->mailbox = mailbox_new(&t->loop, config->most);
    rc = uv_sem_init(&t->started, 0);
    assert(rc == 0);

    rc = uv_thread_create(&t->thread, run, t);
    if (rc < 0) {
        mailbox_close(t->mailbox);
        uv_run(&t->loop, UV_RUN_DEFAULT);
        mailbox_free(t->mailbox);
        uv_loop_close(&t->loop);
        uv_sem_destroy(&t->started);
        free(t);
        return err_sys(e, -rc, "could not start thread '%s'", config->name);
    }

    uv_sem_wait(&t->started);
    if (t->start_rc < 0) {
        if (e)
            *e = t->start_err;
        done(t);
        return err_wrap(e, "could not start thread '%s'", config->name);
    }
    *ret = t;
    return 0;
}

uv_loop_t *loop_thread_loop(struct loop_thread *t)
{
    return &t->loop;
}

struct mailbox *loop_thread_mailbox(struct loop_thread *t)
{
    return t->mailbox;
}

void loop_thread_stop(struct loop_thread *t)
{
    if (!t)
        return;
    mailbox_post_answer(t->mailbox, stop, t);
    done(t);
}

size_t loop_raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        soft = limit.rlim_cur;
    return soft == RLIM_INFINITY ? SIZE_MAX : (size_t)soft;
}
