/* One call by libcurl and what came back: what http_client.c and http_sync.c share. */
#ifndef NET_HTTP_EXCHANGE_H
#define NET_HTTP_EXCHANGE_H

#include "net/http_client.h"

#include <curl/curl.h>

struct exchange {
    CURL *easy;
    struct curl_slist *headers;
    bool (*on_data)(void *arg, const char *bytes, size_t len);
    void *arg;
    size_t max_body;
    int64_t silence_ms, heard_ms; /* may last; when the last byte came, on the steady clock */
    size_t header_bytes;          /* of all header lines so far, interim answers included */
    struct text head;             /* name, NUL, value, NUL, ... */
    struct text body;
    bool stopped;    /* by the caller's on_data */
    struct err ours; /* why one of our call-backs ended the call */
    char why[CURL_ERROR_SIZE];
};

/* Prepares X, which the caller has zeroed but for EASY (a handle, owned by the caller). */
int exchange_begin(struct exchange *x, const struct http_call *call, void *arg, struct err *e);
/* What there is to say after the transfer. REPLY is good until X is cleared. */
void exchange_reply(struct exchange *x, CURLcode code, struct http_reply *ret);
/* Frees all but EASY. */
void exchange_clear(struct exchange *x);

void exchange_init_curl(void);

#endif
