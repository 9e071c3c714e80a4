#include "net/workers.h"

#include "base/mem.h"

#include <assert.h>
#include <pthread.h>

struct job {
    void (*run)(void *state, void *job);
    void (*done)(void *job);
    struct mailbox *reply_to;
    void *arg;
};

struct workers {
    struct workers_config config;
    char name[13];
    uv_mutex_t lock; /* guards what follows; a leaf, no job runs under it */
    uv_cond_t changed;
    struct job *ring; /* config.most places */
    size_t first, waiting;
    unsigned ready; /* threads whose on_start has ended, well or not */
    bool stopping;
    bool failed;
    struct err start_err;

    unsigned started; /* threads to join */
    uv_thread_t threads[];
};

/* The next job, waiting for one; false when there is none and will be none. */
static bool next_job(struct workers *w, struct job *ret)
{
    uv_mutex_lock(&w->lock);
    while (w->waiting == 0 && !w->stopping)
        uv_cond_wait(&w->changed, &w->lock);
    bool got = w->waiting > 0;
    if (got) {
        *ret = w->ring[w->first];
        w->first = (w->first + 1) % w->config.most;
        w->waiting--;
    }
    uv_mutex_unlock(&w->lock);
    return got;
}

static void work(void *arg)
{
    struct workers *w = arg;
    pthread_setname_np(pthread_self(), w->name);

    void *state = NULL;
    struct err e = {0};
    bool ok = !w->config.on_start || w->config.on_start(w->config.arg, &state, &e) == 0;

    uv_mutex_lock(&w->lock);
    w->ready++;
    if (!ok) {
        w->failed = true;
        w->start_err = e;
    }
    uv_cond_broadcast(&w->changed);
    uv_mutex_unlock(&w->lock);
    if (!ok)
        return;

    struct job job;
    while (next_job(w, &job)) {
        job.run(state, job.arg);
        if (job.done) {
            bool posted = mailbox_post_answer(job.reply_to, job.done, job.arg);
            assert(posted); /* the header asks for open mailboxes until workers_free() is over */
        }
    }
    if (w->config.on_stop)
        w->config.on_stop(state);
}

int workers_new(const struct workers_config *config, struct workers **ret, struct err *e)
{
    assert(config->count > 0 && config->most > 0);
    struct workers *w = mem_alloc(1, sizeof *w + config->count * sizeof w->threads[0]);
    w->config = *config;
    snprintf(w->name, sizeof w->name, "%s", config->name);
    w->ring = mem_new_array(struct job, config->most);
    int rc = uv_mutex_init(&w->lock);
    assert(rc == 0);
    rc = uv_cond_init(&w->changed);
    assert(rc == 0);

    for (unsigned i = 0; i < config->count && !w->failed; i++) {
        rc = uv_thread_create(&w->threads[i], work, w);
        if (rc < 0) {
            workers_free(w);
            return err_sys(e, -rc, "could not start worker thread '%s'", config->name);
        }
        w->started++;

        uv_mutex_lock(&w->lock);
        while (w->ready < w->started)
            uv_cond_wait(&w->changed, &w->lock);
        uv_mutex_unlock(&w->lock);
    }
    if (w->failed) {
        if (e)
            *e = w->start_err;
        workers_free(w);
        return err_wrap(e, "could not start worker thread '%s'", config->name);
    }
    *ret = w;
    return 0;
}

bool workers_submit(struct workers *w, void (*run)(void *state, void *job), void (*done)(void *job),
                    struct mailbox *reply_to, void *job)
{
    assert(!done == !reply_to);
    uv_mutex_lock(&w->lock);
    bool fits = w->waiting < w->config.most && !w->stopping;
    if (fits) {
        size_t at = (w->first + w->waiting++) % w->config.most;
        w->ring[at] = (struct job){run, done, reply_to, job};
        uv_cond_signal(&w->changed);
    }
    uv_mutex_unlock(&w->lock);
    return fits;
}

size_t workers_waiting(struct workers *w)
{
    uv_mutex_lock(&w->lock);
    size_t waiting = w->waiting;
    uv_mutex_unlock(&w->lock);
    return waiting;
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    uv_mutex_lock(&w->lock);
    w->stopping = true;
    uv_cond_broadcast(&w->changed);
    uv_mutex_unlock(&w->lock);

    for (unsigned i = 0; i < w->started; i++)
        uv_thread_join(&w->threads[i]);
    uv_cond_destroy(&w->changed);
    uv_mutex_destroy(&w->lock);
    free(w->ring);
    free(w);
}
