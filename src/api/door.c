#include "api/door.h"

#include "api/auth.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "openapi_json.h"

enum {
    BOX_MOST = 65536, /* messages to the door; answers do not count */
    TICK_MS = 1000,
    DRAIN_MS = 5000, /* for answers under way when the program ends */
};

/* ---- small answers ---- */

static void answer_ok(struct call *c)
{
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_text(&o, "status", "ok");
    jo_end(&o);
    call_answer(c);
}

void serve_healthz(struct call *c)
{
    answer_ok(c);
}

void serve_readyz(struct call *c)
{
    if (c->api->engine && !c->api->stopping)
        answer_ok(c);
    else
        call_refuse(c, ERR_UNAVAILABLE, c->api->engine ? "shutting down" : "still loading");
}

void serve_openapi(struct call *c)
{
    c->api->answered[2]++;
    http_answer_static(c->request, 200, "application/json", NULL, openapi_json, openapi_json_len);
}

/* ---- workers ---- */

bool api_work(struct api *a, void (*run)(void *state, void *job), void (*done)(void *job),
              void *job)
{
    if (!a->engine || !workers_submit(engine_workers(a->engine), run, done, a->box, job))
        return false;
    a->under_way++;
    return true;
}

static void finish_stop(struct api *a)
{
    if (!a->server_stopped || a->under_way || !a->on_stopped)
        return;
    void (*on_stopped)(void *) = a->on_stopped;
    a->on_stopped = NULL;
    on_stopped(a->stop_arg);
}

void api_work_done(struct api *a)
{
    a->under_way--;
    finish_stop(a);
}

/* ---- start and stop ---- */

static void on_tick(uv_timer_t *timer)
{
    struct api *a = timer->data;
    a->ticks++;
    if (!a->engine)
        return;
    events_tick(a->events, a->ticks);
    logs_tick(a->followers);
    agents_tick(a->agents, a->ticks);
    expected_tick(a);
    attempt_charts_tick(a->charts, a->ticks);
}

static void on_problem(void *arg, const struct err *e)
{
    (void)arg;
    log_warn("HTTP server, going on", F_ERR(e));
}

static int listen_all(struct api *a, struct err *e)
{
    const struct api_config *config = &a->config;
    struct http_listen tcp = {.address = config->listen,
                              .certificate = config->certificate,
                              .key = config->key,
                              .insecure = config->insecure};
    if (http_server_listen(a->server, &tcp, &a->port, e) < 0)
        return -1;
    if (!config->unix_path)
        return 0;
    /* Anybody may knock: the kernel tells us who it is. */
    struct http_listen local = {.unix_path = config->unix_path, .unix_mode = 0666};
    return http_server_listen(a->server, &local, NULL, e);
}

/* What we answer is data: a browser must not take it for anything else, nor show it in a frame. */
static const struct http_header headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {0},
};

static int on_start(void *arg, struct loop_thread *t, struct err *e)
{
    struct api *a = arg;
    a->loop = loop_thread_loop(t);
    a->box = loop_thread_mailbox(t);
    struct http_server_config config = {.on_request = api_on_request,
                                        .arg = a,
                                        .body_limit = api_body_limit,
                                        .on_problem = on_problem,
                                        .hosts = a->config.hosts,
                                        .headers = headers};
    a->server = http_server_new(a->loop, &config);
    uv_timer_init(a->loop, &a->tick);
    a->tick.data = a;
    uv_timer_start(&a->tick, on_tick, TICK_MS, TICK_MS);
    if (listen_all(a, e) == 0)
        return 0;
    uv_close((uv_handle_t *)&a->tick, NULL);
    http_server_stop(a->server, 0, NULL, NULL);
    a->stopping = true;
    return -1;
}

static void on_server_stopped(void *arg)
{
    struct api *a = arg;
    a->server_stopped = true;
    finish_stop(a);
}

static void begin_stop(void *message)
{
    struct api *a = message;
    if (a->stopping)
        return;
    a->stopping = true;
    uv_close((uv_handle_t *)&a->tick, NULL);
    http_server_stop(a->server, DRAIN_MS, on_server_stopped, a);
}

/* A program that ends before it served anything did not call api_stop(). */
static void on_stop(void *arg, struct loop_thread *t)
{
    struct api *a = arg;
    (void)t;
    if (!a->stopping)
        begin_stop(a);
}

int api_start(const struct api_config *config, struct api **ret, uint16_t *ret_port, struct err *e)
{
    struct api *a = mem_new(struct api);
    a->config = *config;
    a->boot = random_u64();
    a->links = links_new();
    a->progress = progress_new();
    a->expected = expected_new();
    a->events = events_new(a);
    a->followers = logs_new(a);
    a->agents = agents_new(a);
    a->charts = attempt_charts_new(a);
    a->guesses = guesses_new();

    if (config->page && page_load(config->page, &a->page, e) < 0) {
        api_free(a);
        return -1;
    }
    struct loop_thread_config thread = {
        .name = "door", .most = BOX_MOST, .on_start = on_start, .on_stop = on_stop, .arg = a};
    if (loop_thread_start(&thread, &a->thread, e) < 0) {
        api_free(a);
        return -1;
    }
    *ret_port = a->port;
    *ret = a;
    return 0;
}

struct opening {
    struct api *api;
    struct engine *engine;
};

static void on_open(void *message)
{
    struct opening *o = message;
    struct api *a = o->api;
    a->engine = o->engine;
    const struct engine_view *v = engine_view_get(a->engine);
    events_begin(a->events, v->fleet.last_seq);
    engine_view_release(a->engine, v);
    free(o);
}

void api_open(struct api *a, struct engine *engine)
{
    struct opening *o = mem_new(struct opening);
    *o = (struct opening){a, engine};
    mailbox_post_answer(a->box, on_open, o);
    engine_listen(engine, a->box, events_on_run, a);
    engine_listen(engine, a->box, attempt_charts_on_run, a);
    engine_set_sender(engine, LINK_AGENT, agents_send, a);
}

static void reload(void *message)
{
    struct api *a = message;
    struct page *page = NULL;
    struct err e = {0};
    if (a->config.certificate && http_server_reload_tls(a->server, &e) < 0)
        log_warn("could not load the certificate again, keeping the old one", F_ERR(&e));
    if (!a->config.page)
        return;
    if (page_load(a->config.page, &page, &e) < 0) {
        log_warn("keeping the old page", F_ERR(&e));
        return;
    }
    page_free(a->page);
    a->page = page;
}

void api_set_progress(struct api *a, int64_t job, int64_t n, int64_t done, int64_t total)
{
    struct job_progress value = {
        .n = n, .done = done, .total = total, .at_ms = engine_now_ms(a->engine)};
    progress_set(a->progress, job, &value);
}

void api_reload(struct api *a)
{
    mailbox_post_answer(a->box, reload, a);
}

void api_stop(struct api *a, void (*on_stopped)(void *arg), void *arg)
{
    a->on_stopped = on_stopped;
    a->stop_arg = arg;
    mailbox_post_answer(a->box, begin_stop, a);
}

void api_free(struct api *a)
{
    if (!a)
        return;
    loop_thread_stop(a->thread);
    events_free(a->events);
    logs_free(a->followers);
    agents_free(a->agents);
    links_free(a->links);
    progress_free(a->progress);
    expected_free(a->expected);
    page_free(a->page);
    attempt_charts_free(a->charts);
    guesses_free(a->guesses);
    auth_forget_all(a);
    free(a);
}
