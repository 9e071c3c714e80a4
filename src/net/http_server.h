/*
 * An HTTP/1.1 server on one libuv loop: listeners on TCP (with or without TLS) and unix sockets,
 * one call-back when a request is complete, an answer now or later, streams for events and logs.
 *
 * Everything here belongs to the loop's thread. What comes from outside is limited before it
 * reaches the call-back: size of headers and body, time, number of connections, Host, path.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/err.h"
#include "base/text.h"
#include "net/addr.h"
#include "net/http.h"

#include <sys/types.h>
#include <uv.h>

struct http_server;
struct http_request;
struct http_stream;

/* ---- server ---- */

struct http_server_config {
    /* A complete request. It belongs to the handler, which owes it exactly one answer:
     * http_answer(), http_answer_err() or http_stream_begin(), now or later. */
    void (*on_request)(void *arg, struct http_request *r);
    void *arg;

    /* Bytes a body may have at most; NULL, or 0 from it: HTTP_BODY_LIMIT. PATH is decoded. */
    size_t (*body_limit)(void *arg, enum http_method method, const char *path);

    /* Something an operator should hear and that we survive, such as a certificate that cannot be
     * loaded again. May be NULL. */
    void (*on_problem)(void *arg, const struct err *e);

    /* Host names served besides localhost, IP addresses in figures and the names listened on; ends
     * with NULL. Anything else is answered 421: it may be a page that rebinds DNS names to us. Unix
     * sockets are exempt. NULL: no further names; {"*", NULL}: any. The caller keeps them. */
    const char *const *hosts;

    /* On every answer that has none of the same name, refusals and streams too. Stays with the
     * caller; may be NULL. */
    const struct http_header *headers;

    /* All in ms; 0: the default in brackets. */
    int64_t header_ms;     /* connect to end of headers [30 s] */
    int64_t body_ms;       /* body without progress; more time at 1 KiB/s [30 s] */
    int64_t keep_alive_ms; /* end of an answer to end of the next headers; also a client that takes
                              nothing of its answer [75 s] */

    unsigned max_connections; /* of all listeners; 0: open files allowed, less 256 */
    size_t stream_limit;      /* bytes that wait for a slow reader; 0: 256 KiB */
};

#define HTTP_BODY_LIMIT   (1024 * 1024)
#define HTTP_HEADER_LIMIT 8192

/* Never fails: sockets come with http_server_listen(). CONFIG is copied, HOSTS stays with the
 * caller. */
struct http_server *http_server_new(uv_loop_t *loop, const struct http_server_config *config);

struct http_listen {
    /* One of the two. */
    const char *address;   /* "ADDR:PORT", see net_addr_parse() */
    const char *unix_path; /* a left-over socket there is replaced, one that answers is an error */
    mode_t unix_mode;      /* 0: 0600 */

    /* Both or none: PEM files. Looked at every 10 s and read again when they have changed. */
    const char *certificate, *key;
    /* Not loopback and no TLS is refused without this. */
    bool insecure;
};

/* ERR_DENIED: not loopback without TLS. ERR_CONFLICT: in use. RET_PORT (may be NULL) gets the real
 * port, 0 for a unix socket. */
int http_server_listen(struct http_server *s, const struct http_listen *how, uint16_t *ret_port,
                       struct err *e);

/* Reads certificates and keys again now. On failure the old ones stay in use. */
int http_server_reload_tls(struct http_server *s, struct err *e);

struct http_server_counts {
    uint64_t connections_total, requests_total;
    unsigned connections, waiting, streams; /* now: open; not answered yet; held streams */
};
struct http_server_counts http_server_counts(const struct http_server *s);

/*
 * Stops accepting, ends the streams, waits for answers that are under way for at most DEADLINE_MS,
 * closes everything and calls ON_STOPPED (may be NULL) from the loop; the server is freed by then.
 * Requests that were not answered in time stay valid: the handler still owes each its call, which
 * then only frees it.
 */
void http_server_stop(struct http_server *s, int64_t deadline_ms, void (*on_stopped)(void *arg),
                      void *arg);

/* ---- request: good until it is answered; what it hands out is borrowed ---- */

enum http_method http_request_method(const struct http_request *r);
/* Decoded, UTF-8, begins with '/'; no NUL, control character, encoded slash, empty, "." or ".."
 * segment (one '/' at the end may stand). */
const char *http_request_path(const struct http_request *r);
/* The first parameter of this name, decoded, UTF-8 without NUL; NULL when there is none. */
const char *http_query_get(const struct http_request *r, const char *name);
/* All of them in order; stop by returning false. */
void http_query_each(const struct http_request *r,
                     bool (*on_param)(void *arg, const char *name, const char *value), void *arg);
/* The first header of this name, in any case; NULL when there is none. Bytes as sent: may be no
 * UTF-8. */
const char *http_header_get(const struct http_request *r, const char *name);
/* The body, never NULL, with a NUL behind that does not count. */
const char *http_request_body(const struct http_request *r, size_t *ret_len);

struct http_peer {
    bool is_unix, is_loopback, is_tls;
    uid_t uid; /* of a unix socket's other end; (uid_t)-1 otherwise */
    pid_t pid; /* the same; 0 otherwise */
    char text[NET_ADDR_TEXT];
};
const struct http_peer *http_request_peer(const struct http_request *r);

/* Something of the handler's own, freed with the request (FREE_FN may be NULL). */
void http_request_set_context(struct http_request *r, void *context, void (*free_fn)(void *));
void *http_request_context(const struct http_request *r);

/* True when the client has gone: work for it may be dropped, the answer call is still owed. It is
 * noticed at once only where http_request_watch() was called, which costs two system calls: for
 * answers that wait for seconds. ON_GONE (may be NULL) is never called from within a call of yours;
 * the answer may be given in it. */
bool http_request_is_gone(const struct http_request *r);
void http_request_watch(struct http_request *r, void (*on_gone)(void *arg, struct http_request *r),
                        void *arg);

/* ---- answer: R is gone afterwards ---- */

/* TYPE may be NULL. BODY is taken and left empty; NULL: no body. HEAD is taken care of. */
void http_answer(struct http_request *r, int status, const char *type,
                 const struct http_header *headers, struct text *body);
/* A fixed body that outlives the server, such as a file in the program. */
void http_answer_static(struct http_request *r, int status, const char *type,
                        const struct http_header *headers, const void *p, size_t len);
struct http_bytes;
/* The bytes stay whoever else's they are: a reference is taken. */
void http_answer_shared(struct http_request *r, int status, const char *type,
                        const struct http_header *headers, struct http_bytes *b);

/* A problem document (RFC 9457) of this failure, with Retry-After for temporary ones and
 * WWW-Authenticate for 401. For ERR_METHOD give Allow in HEADERS. */
void http_answer_err(struct http_request *r, const struct err *e,
                     const struct http_header *headers);
/* The same for a status that no error code has: type is urn:reeve:error:SLUG. */
void http_answer_problem(struct http_request *r, int status, const char *slug, const char *title,
                         const char *detail, const struct http_header *headers);

/* ---- bytes that many streams and answers share ---- */

/* Immutable; the last reference frees it. Any thread. */
struct http_bytes;
struct http_bytes *http_bytes_new(const void *p, size_t len);
struct http_bytes *http_bytes_take(struct text *t); /* T is empty afterwards */
struct http_bytes *http_bytes_ref(struct http_bytes *b);
void http_bytes_unref(struct http_bytes *b);
const char *http_bytes_get(const struct http_bytes *b, size_t *ret_len);

/* ---- streams ---- */

struct http_stream_events {
    /* The stream is over, whatever the reason, and S is gone after this call. Called once for every
     * stream, never from within a call of yours. A client that has closed is noticed at once, also
     * while nothing is written; one that only shuts its sending side counts as gone. */
    void (*on_close)(void *arg, struct http_stream *s);
    /* After a refused write: less than half of the limit waits now. May be NULL. */
    void (*on_drained)(void *arg, struct http_stream *s);
    void *arg;
};

/* Answers R with a body that has no end yet. NULL: there is nobody to stream to (the server stops,
 * no descriptor is left); R is gone then too and no call-back follows. */
struct http_stream *http_stream_begin(struct http_request *r, int status, const char *type,
                                      const struct http_header *headers,
                                      const struct http_stream_events *events);

/* Queues bytes. False: nothing was queued, since too much waits (the reader is slow: coalesce,
 * write a reset when drained, or cut) or the client is gone. At least one write fits when nothing
 * waits.
 */
bool http_stream_write(struct http_stream *s, const void *p, size_t len);
bool http_stream_write_shared(struct http_stream *s, struct http_bytes *b); /* takes a reference */
size_t http_stream_queued(const struct http_stream *s); /* bytes not handed to the kernel yet */

/* Orderly end behind what is queued. */
void http_stream_end(struct http_stream *s);
/* End at once; what is queued is lost and the client sees a broken answer. */
void http_stream_cut(struct http_stream *s);

#endif
