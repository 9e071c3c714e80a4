#include "kube/client.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "kube/build.h"
#include "kube/credentials.h"
#include "net/backoff.h"

#include <assert.h>
#include <strings.h>

#define TRY_MS       30000
#define DEADLINE_MS  60000
#define CONNECT_MS   10000
#define DEAD_PEER_MS 30000
#define PATIENCE_MS  60000
#define MOST_TRIES   10
#define MOST_RETRY_S 120 /* a server that wants more than this is not waited for */

enum queue { STREAMS, PLAIN, GOING, QUEUES };

struct kube_call {
    struct kube_call *prev, *next;
    enum queue queue; /* the list it is in */
    struct kube_client *client;
    enum http_method method;
    char *url, *type, *accept;
    void *body;
    size_t len, max_body;
    bool repeatable, only_once, renewed;
    int64_t timeout_ms, silence_ms;
    int64_t not_before_ms, give_up_ms; /* steady; 0: none */
    unsigned tries;
    bool (*on_data)(void *arg, const char *bytes, size_t len);
    void (*on_done)(void *arg, const struct kube_answer *a);
    void *arg;
    struct http_client_call *http;  /* while in GOING */
    struct kube_material *material; /* the same */
    struct err last;                /* why it is tried again */
};

struct list {
    struct kube_call *first, *last;
    size_t count;
};

struct kube_client {
    uv_loop_t *loop;
    struct kube_config *config;
    struct kube_client_options options;
    char *base;       /* of URLs */
    char *connect_to; /* NULL: where the URL says */
    struct http_client *http;
    struct kube_credentials *credentials;
    struct kube_build *build; /* NULL until it is needed */
    struct list queues[QUEUES];
    size_t going_plain;
    int64_t credit_us, credit_at_us; /* of the rate: a request costs a second / PER_SECOND */
    uv_timer_t timer;
    bool no_streamed_lists;
};

/* ---- queues ---- */

static void put(struct kube_call *call, enum queue queue)
{
    struct list *l = &call->client->queues[queue];
    call->queue = queue;
    call->next = NULL;
    call->prev = l->last;
    *(l->last ? &l->last->next : &l->first) = call;
    l->last = call;
    l->count++;
    call->client->going_plain += queue == GOING && !call->on_data;
}

static void take_out(struct kube_call *call)
{
    struct list *l = &call->client->queues[call->queue];
    *(call->prev ? &call->prev->next : &l->first) = call->next;
    *(call->next ? &call->next->prev : &l->last) = call->prev;
    l->count--;
    call->client->going_plain -= call->queue == GOING && !call->on_data;
}

static void call_free(struct kube_call *call)
{
    take_out(call);
    if (call->http)
        http_call_cancel(call->http);
    kube_material_drop(call->material);
    free(call->url);
    free(call->type);
    free(call->accept);
    free(call->body);
    free(call);
}

static void finish(struct kube_call *call, const struct kube_answer *a)
{
    void (*on_done)(void *, const struct kube_answer *) = call->on_done;
    void *arg = call->arg;
    call_free(call);
    if (on_done)
        on_done(arg, a);
}

static bool changes_something(const struct kube_call *call)
{
    return call->method != HTTP_GET && call->method != HTTP_HEAD;
}

static void finish_without(struct kube_call *call, const struct err *why)
{
    struct kube_answer a = {.body = "", .err = *why};
    a.uncertain = call->tries && changes_something(call);
    finish(call, &a);
}

/* ---- what came back ---- */

static void pump(struct kube_client *c);

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

static void wake(struct kube_client *c, int64_t in_ms)
{
    uint64_t due = in_ms > 0 ? (uint64_t)in_ms : 0;
    if (!uv_is_active((uv_handle_t *)&c->timer) || uv_timer_get_due_in(&c->timer) > due)
        uv_timer_start(&c->timer, on_timer, due, 0);
}

static int64_t retry_after(const struct http_reply *reply)
{
    const char *value = http_reply_header(reply, "Retry-After");
    int64_t seconds;
    return value && text_to_int(value, 0, INT32_MAX, "Retry-After", &seconds, NULL) == 0 ? seconds
                                                                                         : 0;
}

static void read_failure(struct kube_answer *a, const struct http_reply *reply)
{
    if (!kube_status_parse(reply->body, reply->len, &a->status))
        a->status = (struct kube_status){.code = reply->status};
    if (!a->status.code)
        a->status.code = reply->status;
    if (retry_after(reply))
        a->status.retry_after_seconds = retry_after(reply);
    kube_status_to_err(&a->status, &a->err);
}

static void read_reply(const struct kube_call *call, const struct http_reply *reply,
                       struct kube_answer *ret)
{
    *ret = (struct kube_answer){.http_status = reply->status,
                                .body = reply->body,
                                .len = reply->len,
                                .warning = http_reply_header(reply, "Warning")};
    if (reply->err.code)
        ret->err = reply->err;
    else if (reply->status / 100 != 2)
        read_failure(ret, reply);
    ret->uncertain =
        ret->err.code && changes_something(call) && (reply->err.code || reply->status >= 500);
}

/* How long to wait before the next try; -1: there is none. */
static int64_t next_try(struct kube_call *call, const struct kube_answer *a)
{
    bool repeatable = call->repeatable || !changes_something(call);
    int64_t asked_s = a->status.retry_after_seconds, wait_ms;
    /* Answered before it reached the storage; anything else may have been done. */
    bool not_done = a->http_status == 429 || (a->http_status == 503 && asked_s);
    bool may_pass = a->http_status == 0 || a->http_status >= 500 || a->http_status == 429 ||
                    a->http_status / 100 == 2;
    bool is_final =
        a->err.code == ERR_INVALID || a->err.code == ERR_DENIED || a->err.code == ERR_TOO_LARGE;
    if (call->on_data || call->only_once || !may_pass || is_final || (!not_done && !repeatable) ||
        call->tries >= MOST_TRIES || asked_s > MOST_RETRY_S)
        return -1;
    wait_ms = kube_client_pause_ms(call->client, call->tries);
    if (asked_s) /* a little later than asked, not all at once */
        wait_ms = asked_s * 1000 + backoff_spread_ms(250 * asked_s, random_u64());
    return clock_mono_ms() + wait_ms < call->give_up_ms ? wait_ms : -1;
}

static void try_again(struct kube_call *call, int64_t wait_ms)
{
    struct kube_client *c = call->client;
    take_out(call);
    put(call, call->on_data ? STREAMS : PLAIN);
    call->not_before_ms = clock_mono_ms() + wait_ms;
    wake(c, wait_ms);
}

static void on_http_done(void *arg, const struct http_reply *reply)
{
    struct kube_call *call = arg;
    struct kube_client *c = call->client;
    struct kube_answer a;
    call->http = NULL;
    read_reply(call, reply, &a);
    struct kube_material *used = TAKE(call->material);
    bool renew =
        a.http_status == 401 && !call->renewed && kube_credentials_reject(c->credentials, used);
    kube_material_drop(used);
    wake(c, 0); /* there is room for another one */
    if (renew) {
        call->renewed = true;
        try_again(call, 0);
        return;
    }
    if (a.http_status == 429)
        c->credit_us = 0;
    int64_t wait_ms = a.err.code ? next_try(call, &a) : -1;
    if (wait_ms >= 0) {
        call->last = a.err;
        try_again(call, wait_ms);
        return;
    }
    finish(call, &a);
}

static bool on_http_data(void *arg, const char *bytes, size_t len)
{
    struct kube_call *call = arg;
    return call->on_data(call->arg, bytes, len); /* which may cancel it */
}

/* ---- sending ---- */

static void begin(struct kube_call *call, struct kube_material *m)
{
    struct kube_client *c = call->client;
    size_t count = 0;
    struct http_header *headers = mem_new_array(struct http_header, c->config->header_count + 4);
    headers[count++] = (struct http_header){"Accept", call->accept};
    if (m->bearer)
        headers[count++] = (struct http_header){"Authorization", m->bearer};
    if (call->body)
        headers[count++] = (struct http_header){"Content-Type", call->type};
    for (size_t i = 0; i < c->config->header_count; i++)
        headers[count++] =
            (struct http_header){c->config->headers[i].name, c->config->headers[i].value};
    struct http_call h = {.method = call->method,
                          .url = call->url,
                          .headers = headers,
                          .body = call->body,
                          .len = call->len,
                          .tls = &m->tls,
                          .insecure = c->config->insecure,
                          .connect_to = c->connect_to,
                          .proxy = c->config->proxy,
                          .timeout_ms = call->timeout_ms,
                          .connect_timeout_ms = CONNECT_MS,
                          .silence_ms = call->silence_ms,
                          .dead_peer_ms = DEAD_PEER_MS,
                          .max_body = call->max_body,
                          .on_data = call->on_data ? on_http_data : NULL};
    take_out(call);
    put(call, GOING);
    call->tries++;
    call->material = m;
    call->http = http_client_send(c->http, &h, on_http_done, call);
    free(headers);
}

static void earn_credit(struct kube_client *c)
{
    int64_t now_us = clock_mono_us(), most = 1000000 / c->options.per_second * c->options.burst;
    c->credit_us += now_us - c->credit_at_us;
    c->credit_at_us = now_us;
    if (c->credit_us > most)
        c->credit_us = most;
}

enum verdict { WAIT, SKIP, BEGUN, FINISHED };

/* What becomes of a call that waits. WAIT: nor can any one behind it go. */
static enum verdict consider(struct kube_call *call, int64_t now_ms, int64_t *wake_ms)
{
    struct kube_client *c = call->client;
    int64_t cost_us = 1000000 / c->options.per_second;
    struct err e;
    if (call->give_up_ms && now_ms >= call->give_up_ms) {
        if (!call->last.code)
            err_set(&call->last, ERR_TIMEOUT, "it could not be sent in time");
        struct err why = call->last;
        finish_without(call, &why);
        return FINISHED;
    }
    int64_t due_ms = call->not_before_ms > now_ms ? call->not_before_ms : call->give_up_ms;
    if (due_ms && due_ms - now_ms < *wake_ms)
        *wake_ms = due_ms - now_ms;
    if (call->not_before_ms > now_ms)
        return SKIP;
    if (!call->on_data && c->going_plain >= c->options.most)
        return WAIT;
    if (c->credit_us < cost_us) {
        int64_t earned_ms = (cost_us - c->credit_us) / 1000 + 1;
        if (earned_ms < *wake_ms)
            *wake_ms = earned_ms;
        return WAIT;
    }
    struct kube_material *m = kube_credentials_hold(c->credentials, &e);
    if (!m && !e.code)
        return WAIT; /* on_credentials() goes on */
    if (!m) {
        finish_without(call, &e);
        return FINISHED;
    }
    c->credit_us -= cost_us;
    begin(call, m);
    return BEGUN;
}

/* Sends what may be sent now, and sees to being woken for the rest. */
static void pump(struct kube_client *c)
{
    int64_t now_ms = clock_mono_ms(), wake_ms = INT64_MAX;
    earn_credit(c);
    for (enum queue q = STREAMS; q <= PLAIN; q++)
        for (struct kube_call *call = c->queues[q].first, *next; call; call = next) {
            next = call->next;
            enum verdict v = consider(call, now_ms, &wake_ms);
            if (v == WAIT)
                break;
            if (v == FINISHED) { /* its call-back may have changed the queues */
                wake(c, 0);
                return;
            }
        }
    if (wake_ms < INT64_MAX)
        wake(c, wake_ms);
}

static void on_credentials(void *arg)
{
    struct kube_client *c = arg;
    wake(c, 0);
}

struct kube_call *kube_send(struct kube_client *c, const struct kube_request *r,
                            void (*on_done)(void *arg, const struct kube_answer *a), void *arg)
{
    struct kube_call *call = mem_new(struct kube_call);
    call->client = c;
    call->method = r->method ? r->method : HTTP_GET;
    call->url = mem_printf("%s%s", c->base, r->target);
    call->type = mem_strdup(r->type ? r->type : "application/json");
    call->accept = mem_strdup(r->accept ? r->accept : "application/json");
    if (r->body)
        call->body = mem_dup(r->body, r->len);
    call->len = r->len;
    call->max_body = r->max_body;
    call->repeatable = r->repeatable;
    call->only_once = r->only_once;
    call->timeout_ms = r->timeout_ms ? r->timeout_ms : r->on_data ? 0 : TRY_MS;
    call->silence_ms = r->silence_ms;
    call->on_data = r->on_data;
    call->on_done = on_done;
    call->arg = arg;
    if (!r->on_data)
        call->give_up_ms = clock_mono_ms() + (r->deadline_ms ? r->deadline_ms : DEADLINE_MS);
    put(call, r->on_data ? STREAMS : PLAIN);
    wake(c, 0);
    return call;
}

void kube_cancel(struct kube_call *call)
{
    struct kube_client *c = call->client;
    call_free(call);
    wake(c, 0);
}

/* ---- the client ---- */

/* Where the certificate must say something else than the address, the URL has that, and the address
 * is said beside. */
static void set_base(struct kube_client *c)
{
    const struct kube_config *k = c->config;
    const char *host = strstr(k->server, "://") + 3;
    size_t len = strcspn(host, "/");
    bool https = strncasecmp(k->server, "https", 5) == 0;
    if (!k->server_name || !https) {
        c->base = mem_strdup(k->server);
        return;
    }
    const char *bracket = memchr(host, ']', len), *name_end = bracket ? bracket : host;
    const char *colon = memchr(name_end, ':', len - (size_t)(name_end - host));
    auto_free char *port =
        colon ? mem_strndup(colon + 1, (size_t)(host + len - colon - 1)) : mem_strdup("443");
    size_t name_len = colon ? (size_t)(colon - host) : len;
    c->base = mem_printf("https://%s:%s%s", k->server_name, port, host + len);
    c->connect_to = mem_printf("%.*s:%s", (int)name_len, host, port);
}

struct kube_client *kube_client_new(uv_loop_t *loop, struct kube_config *config,
                                    const struct kube_client_options *o)
{
    struct kube_client *c = mem_new(struct kube_client);
    c->loop = loop;
    c->config = config;
    if (o)
        c->options = *o;
    if (!c->options.per_second)
        c->options.per_second = 1000;
    if (!c->options.burst)
        c->options.burst = 1000;
    if (!c->options.most)
        c->options.most = 64;
    if (!c->options.least_wait_ms)
        c->options.least_wait_ms = 200;
    if (!c->options.most_wait_ms)
        c->options.most_wait_ms = 10000;
    if (!c->options.patience_ms)
        c->options.patience_ms = PATIENCE_MS;
    set_base(c);
    c->http = http_client_new(loop);
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    c->credit_at_us = clock_mono_us();
    c->credit_us = 1000000 / c->options.per_second * c->options.burst;
    c->credentials = kube_credentials_new(
        loop, config,
        &(struct kube_credentials_options){
            .reread_ms = c->options.reread_ms, .on_change = on_credentials, .arg = c});
    return c;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void kube_client_free(struct kube_client *c)
{
    if (!c)
        return;
    for (enum queue q = STREAMS; q < QUEUES; q++)
        for (struct kube_call *call = c->queues[q].first, *next; call; call = next) {
            next = call->next;
            call_free(call);
        }
    http_client_free(c->http);
    kube_credentials_free(c->credentials);
    kube_config_free(c->config);
    kube_build_free(c->build);
    free(c->base);
    free(c->connect_to);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

const char *kube_client_namespace(const struct kube_client *c)
{
    return c->config->ns;
}

const char *kube_client_server(const struct kube_client *c)
{
    return c->config->server;
}

uv_loop_t *kube_client_loop(struct kube_client *c)
{
    return c->loop;
}

struct kube_build *kube_client_build(struct kube_client *c)
{
    if (!c->build)
        c->build = kube_build_new();
    return c->build;
}

int64_t kube_client_pause_ms(const struct kube_client *c, unsigned failures)
{
    return backoff_ms(failures, c->options.least_wait_ms, c->options.most_wait_ms, random_u64());
}

int64_t kube_client_patience_ms(const struct kube_client *c)
{
    return c->options.patience_ms;
}

bool kube_client_streams_lists(const struct kube_client *c)
{
    return !c->no_streamed_lists;
}

void kube_client_no_streamed_lists(struct kube_client *c)
{
    c->no_streamed_lists = true;
}
