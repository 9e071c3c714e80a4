#include "net/http_exchange.h"

#include "base/mem.h"

#include <assert.h>

struct http_sync {
    struct exchange x;
};

struct http_sync *http_sync_new(void)
{
    exchange_init_curl();
    struct http_sync *s = mem_new(struct http_sync);
    s->x.easy = curl_easy_init();
    assert(s->x.easy);
    return s;
}

void http_sync_free(struct http_sync *s)
{
    if (!s)
        return;
    exchange_clear(&s->x);
    curl_easy_cleanup(s->x.easy);
    free(s);
}

int http_sync_send(struct http_sync *s, const struct http_call *call, void *arg,
                   struct http_reply *ret, struct err *e)
{
    exchange_clear(&s->x);
    curl_easy_reset(s->x.easy); /* keeps its connections */
    struct http_reply reply = {.body = "", .headers_ = ""};
    if (exchange_begin(&s->x, call, arg, &reply.err) == 0)
        exchange_reply(&s->x, curl_easy_perform(s->x.easy), &reply);
    *ret = reply;
    if (reply.err.code == ERR_NONE)
        return 0;
    if (e)
        *e = reply.err;
    return -1;
}
