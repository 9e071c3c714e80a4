#include "redis/redis.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "redis/inside.h"

#include <errno.h>
#include <inttypes.h>

enum {
    BOX_MOST = 65536,
    COMPLAIN_EVERY_MS = 60000,
    TICK_MS = 1000,
};

/* ---- figures ---- */

void redis_show(struct redis *r)
{
    if (r->link)
        r->figures.link = redis_link_counts(r->link);
    pthread_mutex_lock(&r->lock);
    r->shown = r->figures;
    pthread_mutex_unlock(&r->lock);
}

static struct redis_figures figures(struct redis *r)
{
    pthread_mutex_lock(&r->lock);
    struct redis_figures f = r->shown;
    pthread_mutex_unlock(&r->lock);
    return f;
}

static void figure(struct text *t, const char *name, const char *type, const char *help,
                   int64_t value)
{
    text_addf(t, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", name, help, name, type, name,
              value);
}

void redis_write_metrics(struct redis *r, struct text *out)
{
    struct redis_figures f = figures(r);
    figure(out, "reeve_redis_up", "gauge", "1 while Redis answers and its keys are ours.", f.up);
    figure(out, "reeve_redis_in_step", "gauge", "1 while Redis shows the queue as it is.",
           f.in_step);
    text_addf(out,
              "# HELP reeve_redis_entries Jobs shown in Redis.\n"
              "# TYPE reeve_redis_entries gauge\n"
              "reeve_redis_entries{key=\"job_queue\"} %" PRId64 "\n"
              "reeve_redis_entries{key=\"running_jobs\"} %" PRId64 "\n",
              f.waiting, f.running);
    text_addf(
        out,
        "# HELP reeve_redis_intake_total Entries that others pushed, by what became of them.\n"
        "# TYPE reeve_redis_intake_total counter\n"
        "reeve_redis_intake_total{result=\"accepted\"} %" PRId64 "\n"
        "reeve_redis_intake_total{result=\"repeated\"} %" PRId64 "\n"
        "reeve_redis_intake_total{result=\"dead\"} %" PRId64 "\n",
        f.accepted, f.repeated, f.dead);
    figure(out, "reeve_redis_intake_held", "gauge", "Entries of others on their way in.", f.held);
    figure(out, "reeve_redis_put_back_total", "counter",
           "Entries that had vanished from Redis and were put back.", f.put_back);
    figure(out, "reeve_redis_failures_total", "counter", "Connections that failed.", f.failures);
    figure(out, "reeve_redis_connects_total", "counter", "Connections made.", f.link.connects);
    figure(out, "reeve_redis_commands_total", "counter", "Commands sent.", f.link.commands);
    figure(out, "reeve_redis_sent_bytes_total", "counter", "Bytes sent.", f.link.sent_bytes);
    figure(out, "reeve_redis_received_bytes_total", "counter", "Bytes received.",
           f.link.received_bytes);
}

void redis_write_status(struct redis *r, struct json_out *o, bool details)
{
    struct redis_figures f = figures(r);
    jo_object(o, "redis");
    jo_text(o, "state", f.up ? "up" : "down");
    jo_time(o, "since", f.since_ms);
    jo_bool(o, "in_step", f.in_step);
    jo_int(o, "intake_held", f.held);
    if (details) {
        jo_text(o, "address", r->address);
        jo_text(o, "why", f.why[0] ? f.why : NULL);
    }
    jo_end(o);
}

/* ---- up and down ---- */

void redis_give_up(struct redis *r, const char *what, const struct redis_reply *reply)
{
    struct err e = {0};
    if (reply && reply->text)
        err_set(&e, ERR_UNAVAILABLE, "%s: Redis says %.200s", what, reply->text);
    else
        err_set(&e, ERR_UNAVAILABLE, "%s", what);
    redis_link_give_up(r->link, &e);
}

static void set_up(struct redis *r, bool up)
{
    struct redis_figures *f = &r->figures;
    if (f->up != up || !f->since_ms)
        f->since_ms = engine_now_ms(r->engine);
    f->up = up;
    redis_show(r);
}

static void on_site(void *arg, const struct redis_reply *reply)
{
    struct redis *r = arg;
    if (!reply || !redis_link_is_up(r->link))
        return;
    if (reply->type != REDIS_TEXT) {
        redis_give_up(r, "the keys cannot be made ours", reply);
        return;
    }
    if (strcmp(reply->text, r->site) != 0) {
        struct err e = {0};
        err_set(&e, ERR_CONFLICT,
                "the queue there is that of another Reeve (site '%.32s', ours is '%s'): give each "
                "a database of its own, or remove key '" KEY_SITE "' if the other is gone",
                reply->text, r->site);
        redis_link_give_up(r->link, &e);
        return;
    }
    r->ours = true;
    if (!r->figures.up)
        log_info("Redis shows the queue", F_TEXT("redis", r->address));
    r->complained_ms = 0;
    r->figures.why[0] = '\0';
    set_up(r, true);
    if (r->stopping)
        return;
    mirror_on_up(r->mirror);
    intake_on_up(r->intake);
}

static void claim(struct redis *r)
{
    struct redis_arg set[] = {redis_arg("SETNX"), redis_arg(KEY_SITE), redis_arg(r->site)};
    struct redis_arg get[] = {redis_arg("GET"), redis_arg(KEY_SITE)};
    redis_link_send(r->link, set, 3, NULL, NULL);
    redis_link_send(r->link, get, 2, on_site, r);
}

static void on_aside(void *arg, const struct redis_reply *reply)
{
    struct redis *r = arg;
    if (!reply || !redis_link_is_up(r->link))
        return;
    if (reply->type == REDIS_ERROR) {
        redis_give_up(r, "the keys cannot be looked at", reply);
        return;
    }
    for (size_t i = 0; i + 1 < reply->count; i += 2)
        log_warn("a key in Redis was of another type: it has another name now",
                 F_TEXT("key", redis_text(reply, i)), F_TEXT("now", redis_text(reply, i + 1)));
    claim(r);
}

/* Nothing of others is lost where they use our names for something else. */
static void on_up(void *arg)
{
    struct redis *r = arg;
    char suffix[48];
    snprintf(suffix, sizeof suffix, "%" PRId64 "-%08" PRIx64, engine_now_ms(r->engine),
             random_u64() & 0xffffffff);
    struct redis_arg args[] = {redis_arg(KEY_QUEUE), redis_arg(KEY_RUNNING), redis_arg(KEY_INTAKE),
                               redis_arg(KEY_DEAD),  redis_arg(KEY_SITE),    redis_arg(suffix),
                               redis_arg("list"),    redis_arg("hash"),      redis_arg("hash"),
                               redis_arg("list"),    redis_arg("string")};
    redis_link_run(r->link, SCRIPT_ASIDE, args, 5, 11, on_aside, r);
}

static void on_down(void *arg, const struct err *why)
{
    struct redis *r = arg;
    int64_t now = clock_mono_ms();
    r->ours = false;
    r->figures.failures++;
    bool tell = r->figures.up || !r->complained_ms || strcmp(r->figures.why, why->text) != 0 ||
                now - r->complained_ms >= COMPLAIN_EVERY_MS;
    strcpy(r->figures.why, why->text);
    if (tell) {
        log_warn("no Redis that shows the queue, trying again; jobs go on without it",
                 F_TEXT("redis", r->address), F_ERR(why));
        r->complained_ms = now;
    }
    mirror_on_down(r->mirror);
    intake_on_down(r->intake);
    set_up(r, false);
}

/* ---- the thread ---- */

static void on_events(void *arg, struct event_run *run)
{
    struct redis *r = arg;
    event_run_unref(run);
    if (!r->stopping)
        mirror_on_change(r->mirror);
}

static void on_tick(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    intake_tick(r->intake);
    redis_show(r);
}

static int on_start(void *arg, struct loop_thread *t, struct err *e)
{
    struct redis *r = arg;
    (void)e;
    r->loop = loop_thread_loop(t);
    r->box = loop_thread_mailbox(t);
    r->mirror = mirror_new(r);
    r->intake = intake_new(r);
    struct redis_link_events events = {on_up, on_down, r};
    r->link = redis_link_new(r->loop, &r->link_config, &events);
    uv_timer_init(r->loop, &r->tick);
    r->tick.data = r;
    uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS);
    set_up(r, false);
    return 0;
}

static void on_stop(void *arg, struct loop_thread *t)
{
    struct redis *r = arg;
    (void)t;
    redis_link_free(r->link);
    r->link = NULL;
    mirror_free(r->mirror);
    uv_close((uv_handle_t *)&r->tick, NULL);
}

/* ---- start and stop ---- */

static int read_config(struct redis *r, struct err *e)
{
    const struct redis_config *c = &r->config;
    const char *const files[] = {c->password_file, c->ca, c->certificate, c->key};
    if (redis_url_parse(c->url, &r->link_config.url, e) < 0)
        return -1;
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (files[i] && access(files[i], R_OK) < 0)
            return err_sys(e, errno, "could not read file '%s'", files[i]);
    if (!c->certificate != !c->key)
        return err_set(e, ERR_INVALID, "a certificate for Redis and its key go together");
    if ((c->ca || c->certificate) && !r->link_config.url.tls)
        return err_set(e, ERR_INVALID,
                       "certificates for Redis are for addresses that begin with rediss://");
    for (const char *const *user = c->users; user && *user; user++)
        if (!text_is_name(*user, FLEET_NAME - 1))
            return err_set(e, ERR_INVALID, "'%.64s' is no user's name", *user);
    r->link_config.password_file = c->password_file;
    r->link_config.ca = c->ca;
    r->link_config.certificate = c->certificate;
    r->link_config.key = c->key;

    auto_text struct text address = {0};
    redis_url_write(&r->link_config.url, &address);
    snprintf(r->address, sizeof r->address, "%s", text_get(&address));
    return 0;
}

int redis_check(const struct redis_config *config, struct err *e)
{
    struct redis r = {.config = *config};
    int rc = read_config(&r, e);
    redis_url_done(&r.link_config.url);
    return rc;
}

int redis_start(const struct redis_config *config, struct engine *engine, struct redis **ret,
                struct err *e)
{
    struct redis *r = mem_new(struct redis);
    r->config = *config;
    r->engine = engine;
    pthread_mutex_init(&r->lock, NULL);
    const struct engine_view *v = engine_view_get(engine);
    snprintf(r->site, sizeof r->site, "%s", v->fleet.site);
    engine_view_release(engine, v);

    struct loop_thread_config thread = {
        .name = "redis", .most = BOX_MOST, .on_start = on_start, .on_stop = on_stop, .arg = r};
    if (read_config(r, e) < 0 || loop_thread_start(&thread, &r->thread, e) < 0) {
        redis_free(r);
        return -1;
    }
    engine_listen(engine, r->box, on_events, r);
    *ret = r;
    return 0;
}

struct stopping {
    struct redis *redis;
    uv_sem_t done;
};

static void stop_asking(void *message)
{
    struct stopping *s = message;
    s->redis->stopping = true;
    mirror_stop(s->redis->mirror);
    intake_stop(s->redis->intake);
    uv_sem_post(&s->done);
}

void redis_stop(struct redis *r)
{
    struct stopping s = {.redis = r};
    if (!r || !r->thread)
        return;
    uv_sem_init(&s.done, 0);
    mailbox_post_answer(r->box, stop_asking, &s);
    uv_sem_wait(&s.done);
    uv_sem_destroy(&s.done);
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    loop_thread_stop(r->thread);
    intake_free(r->intake);
    redis_url_done(&r->link_config.url);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
