/*
 * HTTP calls to others: many at once on a libuv loop (http_client), or one after the other where
 * waiting is fine (http_sync, for the command line). Connections are kept and used again. Redirects
 * are not followed, proxies from the environment are not used, answers are bounded.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/err.h"
#include "base/text.h"
#include "net/http.h"

#include <stdint.h>
#include <uv.h>

/* Certificates as PEM texts. Calls share connections when CA and CERT are the same texts. */
struct http_tls {
    const char *ca;         /* trust these and no others; NULL: as the call says */
    const char *cert, *key; /* ours, with what stands between it and its CA; NULL: none */
};

/* All of it is copied when the call is sent. */
struct http_call {
    enum http_method method; /* 0: GET */
    const char *url;         /* http or https */
    const struct http_header *headers;
    const void *body;
    size_t len;
    const char *unix_socket;    /* connect there; the URL's host is only named */
    const char *ca_file;        /* trust these instead of the system's */
    bool insecure;              /* do not check the certificate */
    const struct http_tls *tls; /* NULL: none of its own */
    const char *connect_to; /* "address:port": connect there; the URL's host is named, and is what
                               the certificate must say. NULL: to the URL's host */
    const char *proxy;      /* an http, https or socks5 URL; NULL: none */
    bool public_only;       /* refuse addresses that are not of the open Internet; https only. For
                               addresses that users give us */
    int64_t timeout_ms;     /* of the whole call; 0: 30 s, or none when ON_DATA is given */
    int64_t connect_timeout_ms; /* 0: 5 s */
    int64_t silence_ms;         /* without one byte from the other side; 0: none. Noticed within
                                   a second */
    int64_t dead_peer_ms; /* give a connection up whose other end confirms nothing for so long,
                             silent or not: by the kernel's own probes. The call that opens the
                             connection says it. 0: what the kernel does, which is some minutes */
    size_t max_body;      /* 0: 16 MiB; no limit when ON_DATA is given */

    /* For answers that have no end: gets the body piece by piece as it comes, instead of
     * reply->body, if the status is 2xx (what comes with another status stays in reply->body).
     * False ends the call: ON_DONE then has no error. */
    bool (*on_data)(void *arg, const char *bytes, size_t len);
};

/* STATUS 0: there was no answer, and ERR says why: ERR_UNAVAILABLE (no connection, cut off),
 * ERR_TIMEOUT, ERR_TOO_LARGE, ERR_DENIED (address not allowed, certificate not trusted),
 * ERR_INVALID (URL). With a status, ERR may say that the body is not whole. */
struct http_reply {
    int status;
    const char *body; /* LEN bytes and a NUL; never NULL */
    size_t len;
    struct err err;       /* code ERR_NONE: the answer is whole */
    const char *headers_; /* for http_reply_header() */
};
/* The first header of this name in any case, NULL when there is none. Good as long as the reply. */
const char *http_reply_header(const struct http_reply *reply, const char *name);

/* Puts into E what a call that failed has to say: nothing for a 2xx that is whole (returns 0), the
 * reply's own error, or the code of its status with the detail of its problem document. */
int http_reply_check(const struct http_reply *reply, struct err *e);

struct http_client;
struct http_client_call;

/* Belongs to LOOP's thread, as everything below. Never NULL. The program must ignore SIGPIPE. */
struct http_client *http_client_new(uv_loop_t *loop);

/* ON_DONE is called once, from the loop, never from within this call, and what it gets is good
 * until it returns; ARG is also ON_DATA's. Both may send and cancel. */
struct http_client_call *
http_client_send(struct http_client *c, const struct http_call *call,
                 void (*on_done)(void *arg, const struct http_reply *reply), void *arg);

/* ON_DONE will not be called any more. Only before it was called. */
void http_call_cancel(struct http_client_call *call);

/* Cancels what is under way. Not from a call-back of its calls. The loop must run once more for its
 * handles to go. NULL is fine. */
void http_client_free(struct http_client *c);

/* ---- blocking ---- */

/* For programs with one thread: SIGPIPE is held off during a call. */
struct http_sync;
struct http_sync *http_sync_new(void);
void http_sync_free(struct http_sync *s);

/* The reply is good until the next call. -1 and E: there was no answer (REPLY's status is 0) or it
 * is not whole. */
int http_sync_send(struct http_sync *s, const struct http_call *call, void *arg,
                   struct http_reply *ret, struct err *e);

/* The same in two: what is done in between, the other side does its work beside. The next call must
 * be the finish, or the end of S. False: this one (with TLS) cannot be split, nothing was sent. */
bool http_sync_begin(struct http_sync *s, const struct http_call *call, void *arg);
int http_sync_finish(struct http_sync *s, struct http_reply *ret, struct err *e);

DEFINE_AUTO(struct http_sync, http_sync_free)
#define auto_http_sync AUTO(http_sync_freep)

#endif
