/* One call and what came back: what http_client.c, http_sync.c and both ways of making a call
 * share. */
#ifndef NET_HTTP_EXCHANGE_H
#define NET_HTTP_EXCHANGE_H

#include "net/curl_lib.h"
#include "net/http_client.h"

struct exchange {
    const struct curl_lib *curl; /* NULL: not by libcurl */
    CURL *easy;
    struct curl_slist *headers, *way;
    bool (*on_data)(void *arg, const char *bytes, size_t len);
    void *arg;
    size_t max_body;
    int64_t timeout_ms, connect_ms; /* the first: 0 for none */
    int64_t silence_ms, heard_ms;   /* may last; when the last byte came, on the steady clock */
    int64_t dead_peer_ms;
    size_t header_bytes; /* of all header lines so far, interim answers included */
    int status;
    struct text head; /* name, NUL, value, NUL, ... */
    struct text body;
    bool stopped;    /* by the caller's on_data */
    struct err ours; /* why one of our call-backs ended the call */
    char why[CURL_ERROR_SIZE];
};

/* Takes from CALL what X keeps of it. */
void exchange_set_limits(struct exchange *x, const struct http_call *call, void *arg);
/* A line of the answer's head, or a piece of its body: -1 and E end the call; E has no code when
 * the caller has heard enough. */
int exchange_take_line(struct exchange *x, const char *line, size_t len, struct err *e);
int exchange_take_body(struct exchange *x, const char *bytes, size_t len, struct err *e);
bool exchange_is_one_line(const char *s);
/* Makes the kernel find out about a peer that is gone; MS 0 changes nothing. */
void exchange_probe_peer(int fd, int64_t ms);
/* What there is to say when WHY (NULL: nothing) ended a call to URL. Good until X is cleared. */
void exchange_result(struct exchange *x, const char *url, const struct err *why,
                     struct http_reply *ret);

/* ---- by libcurl ---- */

/* Prepares X, which the caller has zeroed but for CURL and EASY (a handle, owned by the caller). */
int exchange_begin(struct exchange *x, const struct http_call *call, void *arg, struct err *e);
/* What there is to say after the transfer. REPLY is good until X is cleared. */
void exchange_reply(struct exchange *x, CURLcode code, struct http_reply *ret);
/* Frees all but CURL and EASY. */
void exchange_clear(struct exchange *x);

#endif
