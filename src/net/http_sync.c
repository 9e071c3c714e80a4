/* Plain calls run on a loop of their own until they are answered; those with TLS in libcurl. */
#include "net/http_exchange.h"
#include "net/http_plain.h"

#include "base/mem.h"

#include <assert.h>

struct http_sync {
    struct exchange x;
    uv_loop_t loop;
    struct plain_client *plain;

    struct plain_call *call; /* under way; NULL: none is */
    char *url;               /* its */
    bool has_failed;
    struct err why;
};

struct http_sync *http_sync_new(void)
{
    struct http_sync *s = mem_new(struct http_sync);
    int rc = uv_loop_init(&s->loop);
    assert(rc == 0);
    s->plain = plain_client_new(&s->loop);
    return s;
}

void http_sync_free(struct http_sync *s)
{
    if (!s)
        return;
    if (s->call)
        plain_cancel(s->call);
    free(s->url);
    exchange_clear(&s->x);
    if (s->x.easy)
        s->x.curl->easy_cleanup(s->x.easy);
    plain_client_free(s->plain);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    free(s);
}

static void on_done(void *arg, const struct err *why)
{
    struct http_sync *s = arg;
    s->call = NULL;
    s->has_failed = why != NULL;
    if (why)
        s->why = *why;
}

static void begin_plain(struct http_sync *s, const struct http_call *call, void *arg)
{
    assert(!s->call);
    exchange_clear(&s->x);
    free(s->url);
    s->url = mem_strdup(call->url);
    s->x.arg = arg;
    s->call = plain_begin(s->plain, &s->x, call, on_done, s);
}

static void finish_plain(struct http_sync *s, struct http_reply *ret)
{
    while (s->call)
        uv_run(&s->loop, UV_RUN_ONCE);
    exchange_result(&s->x, s->url, s->has_failed ? &s->why : NULL, ret);
}

static void send_by_curl(struct http_sync *s, const struct http_call *call, void *arg,
                         struct http_reply *ret)
{
    if (!s->x.curl)
        s->x.curl = curl_lib(&ret->err);
    if (!s->x.curl)
        return;
    if (!s->x.easy)
        s->x.easy = s->x.curl->easy_init();
    assert(s->x.easy);
    s->x.curl->easy_reset(s->x.easy); /* keeps its connections */
    if (exchange_begin(&s->x, call, arg, &ret->err) == 0)
        exchange_reply(&s->x, s->x.curl->easy_perform(s->x.easy), ret);
}

static int result(const struct http_reply *reply, struct err *e)
{
    if (reply->err.code == ERR_NONE)
        return 0;
    if (e)
        *e = reply->err;
    return -1;
}

int http_sync_send(struct http_sync *s, const struct http_call *call, void *arg,
                   struct http_reply *ret, struct err *e)
{
    *ret = (struct http_reply){.body = "", .headers_ = ""};
    if (plain_speaks(call)) {
        begin_plain(s, call, arg);
        finish_plain(s, ret);
    } else {
        exchange_clear(&s->x);
        send_by_curl(s, call, arg, ret);
    }
    return result(ret, e);
}

bool http_sync_begin(struct http_sync *s, const struct http_call *call, void *arg)
{
    if (!plain_speaks(call))
        return false;
    begin_plain(s, call, arg);
    /* On a kept connection the request leaves in the loop's first turn. */
    uv_run(&s->loop, UV_RUN_NOWAIT);
    return true;
}

int http_sync_finish(struct http_sync *s, struct http_reply *ret, struct err *e)
{
    *ret = (struct http_reply){.body = "", .headers_ = ""};
    finish_plain(s, ret);
    return result(ret, e);
}
