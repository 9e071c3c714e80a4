/*
 * Many calls at once: plain ones by http_plain.c, those with TLS by libcurl, whose multi interface
 * says which sockets it waits for and until when, and libuv polls them. libcurl must not be entered
 * again from its own call-backs, which on_data runs in, so calls are only ever added and ended
 * outside of it (on_kick()).
 */
#include "net/http_exchange.h"
#include "net/http_plain.h"

#include "base/failpoint.h"
#include "base/mem.h"

#include <assert.h>

struct http_client_call {
    struct http_client_call *prev, *next; /* in the client's list */
    struct http_client *client;
    struct exchange x;
    struct plain_call *plain; /* under way without libcurl */
    char *url;                /* for the same, to be named in an error */
    void (*on_done)(void *arg, const struct http_reply *reply); /* NULL: cancelled */
    bool added;                                                 /* to the multi handle */
    struct err not_begun;                                       /* why it can't be sent at all */
};

struct http_client {
    uv_loop_t *loop;
    struct plain_client *plain;
    const struct curl_lib *curl; /* NULL until it is needed */
    CURLM *multi;
    uv_timer_t timer; /* libcurl's */
    uv_timer_t kick;  /* runs on_kick() soon */
    struct http_client_call *calls;
    bool in_curl;
    unsigned open_handles;
};

struct socket_poll {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
};

static void on_kick(uv_timer_t *timer);

static void kick(struct http_client *c)
{
    uv_timer_start(&c->kick, on_kick, 0, 0);
}

static void call_free(struct http_client_call *call)
{
    struct http_client *c = call->client;
    assert(!c->in_curl);
    if (call->plain)
        plain_cancel(call->plain);
    if (call->added)
        c->curl->multi_remove_handle(c->multi, call->x.easy);
    exchange_clear(&call->x);
    if (call->x.easy)
        c->curl->easy_cleanup(call->x.easy);
    free(call->url);
    *(call->prev ? &call->prev->next : &c->calls) = call->next;
    if (call->next)
        call->next->prev = call->prev;
    free(call);
}

static void call_done(struct http_client_call *call, const struct http_reply *reply)
{
    void (*on_done)(void *, const struct http_reply *) = call->on_done;
    call->on_done = NULL;
    if (on_done)
        on_done(call->x.arg, reply);
    call_free(call);
}

static void on_plain_done(void *arg, const struct err *why)
{
    struct http_client_call *call = arg;
    struct http_reply reply;
    call->plain = NULL;
    exchange_result(&call->x, call->url, why, &reply);
    call_done(call, &reply);
}

static void take_results(struct http_client *c)
{
    int left;
    for (CURLMsg *msg; (msg = c->curl->multi_info_read(c->multi, &left));) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        struct http_client_call *call;
        struct http_reply reply;
        CURLcode code = msg->data.result;
        c->curl->easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        exchange_reply(&call->x, code, &reply);
        call_done(call, &reply);
    }
}

static void act(struct http_client *c, curl_socket_t fd, int events)
{
    int running;
    c->in_curl = true;
    c->curl->multi_socket_action(c->multi, fd, events, &running);
    c->in_curl = false;
    take_results(c);
}

/* Begins what was sent and ends what was cancelled since the loop came round last. */
static void on_kick(uv_timer_t *timer)
{
    struct http_client *c = timer->data;
    bool again = true;
    while (again) { /* from the front after each call-back: it may have changed the list */
        again = false;
        for (struct http_client_call *call = c->calls, *next; call && !again; call = next) {
            next = call->next;
            if (!call->on_done) {
                call_free(call);
            } else if (call->not_begun.code) {
                struct http_reply reply = {.body = "", .headers_ = "", .err = call->not_begun};
                call_done(call, &reply);
                again = true;
            } else if (call->x.easy && !call->added) {
                call->added = true;
                c->curl->multi_add_handle(c->multi, call->x.easy);
            }
        }
    }
}

/* ---- libcurl's wishes ---- */

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *client)
{
    struct http_client *c = client;
    (void)multi;
    if (ms < 0)
        uv_timer_stop(&c->timer);
    else
        uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0);
    return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct socket_poll *p = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(p->client, p->fd, flags);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *socket)
{
    struct http_client *c = client;
    struct socket_poll *p = socket;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (p) {
            uv_poll_stop(&p->poll);
            uv_close((uv_handle_t *)&p->poll, on_poll_closed);
            c->curl->multi_assign(c->multi, fd, NULL);
        }
        return 0;
    }
    if (!p) {
        p = mem_new(struct socket_poll);
        p->client = c;
        p->fd = fd;
        if (uv_poll_init(c->loop, &p->poll, fd) < 0) {
            free(p);
            return -1;
        }
        p->poll.data = p;
        c->curl->multi_assign(c->multi, fd, p);
    }
    uv_poll_start(&p->poll,
                  (what & CURL_POLL_IN ? UV_READABLE : 0) |
                      (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
                  on_socket);
    return 0;
}

/* ---- what the owner does ---- */

/* The first call with TLS. */
static int begin_curl(struct http_client *c, struct err *e)
{
    if (c->curl)
        return 0;
    c->curl = curl_lib(e);
    if (!c->curl)
        return -1;
    c->multi = c->curl->multi_init();
    assert(c->multi);
    c->curl->multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    c->curl->multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    c->curl->multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    c->curl->multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return 0;
}

struct http_client *http_client_new(uv_loop_t *loop)
{
    struct http_client *c = mem_new(struct http_client);
    c->loop = loop;
    c->plain = plain_client_new(loop);
    uv_timer_init(loop, &c->timer);
    uv_timer_init(loop, &c->kick);
    c->timer.data = c->kick.data = c;
    c->open_handles = 2;
    return c;
}

static void begin(struct http_client_call *new, const struct http_call *call, void *arg)
{
    struct http_client *c = new->client;
    new->x.arg = arg;
    if (FAILPOINT("net.call")) {
        err_set(&new->not_begun, ERR_UNAVAILABLE, "the call is not made: failpoint net.call");
    } else if (plain_speaks(call)) {
        new->url = mem_strdup(call->url);
        new->plain = plain_begin(c->plain, &new->x, call, on_plain_done, new);
    } else if (begin_curl(c, &new->not_begun) == 0) {
        new->x.curl = c->curl;
        new->x.easy = c->curl->easy_init();
        assert(new->x.easy);
        exchange_begin(&new->x, call, arg, &new->not_begun);
        c->curl->easy_setopt(new->x.easy, CURLOPT_PRIVATE, new);
        c->curl->easy_setopt(new->x.easy, CURLOPT_NOSIGNAL, 1L); /* the program has other threads */
    }
}

struct http_client_call *
http_client_send(struct http_client *c, const struct http_call *call,
                 void (*on_done)(void *arg, const struct http_reply *reply), void *arg)
{
    struct http_client_call *new = mem_new(struct http_client_call);
    new->client = c;
    new->on_done = on_done;
    begin(new, call, arg);
    new->next = c->calls;
    if (new->next)
        new->next->prev = new;
    c->calls = new;
    kick(c);
    return new;
}

void http_call_cancel(struct http_client_call *call)
{
    call->on_done = NULL;
    call->x.on_data = NULL;
    call->x.stopped = true;
    kick(call->client);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct http_client *c = handle->data;
    if (--c->open_handles == 0)
        free(c);
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    assert(!c->in_curl);
    for (struct http_client_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        call_free(call);
    }
    plain_client_free(c->plain);
    if (c->curl)
        c->curl->multi_cleanup(c->multi);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    uv_close((uv_handle_t *)&c->kick, on_timer_closed);
}
