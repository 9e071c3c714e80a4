/*
 * What the parts of the HTTP server know of each other; not for other folders.
 *
 *   http_server.c   sockets, libmicrohttpd's daemons, the loop, stop
 *   http_conn.c     connections: how many, and how long each may take for what
 *   http_request.c  a request from its first line to the call-back; what is refused before
 *   http_answer.c   answers and problem documents
 *   http_stream.c   answers without end
 *   http_tls.c      certificate and key files
 */
#ifndef NET_HTTP_PARTS_H
#define NET_HTTP_PARTS_H

#include "base/err.h"
#include "net/http_server.h"
#include "net/http_uri.h"

#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <uv.h>

/* ---- connections ---- */

/* What a connection does, and so how long it may take. */
enum conn_phase {
    CONN_HEADERS, /* new: until its first headers are complete */
    CONN_BODY,    /* the body arrives */
    CONN_HELD,    /* the handler has the request, or it is a stream: no limit */
    CONN_ANSWER,  /* the answer leaves */
    CONN_IDLE,    /* kept for a next request, until its headers are complete */
    CONN_CUT,     /* shut down by us, libmicrohttpd is to notice */
    CONN_PHASES
};

struct conn {
    struct conn *prev, *next; /* in its phase's list, oldest first */
    struct listener *listener;
    struct MHD_Connection *mhd;
    int fd;
    struct http_request *request; /* from its first line on; NULL between two */
    enum conn_phase phase;
    int64_t since_ms;
    uint64_t body_bytes, body_checked; /* of this request: arrived; the same when last looked at */
};

struct conn_list {
    struct conn *first, *last;
    unsigned count;
};

void conn_enter(struct conn *c, enum conn_phase phase);
/* libmicrohttpd's call-backs, see there. */
enum MHD_Result conn_accept(void *server, const struct sockaddr *addr, socklen_t len);
void conn_notify(void *listener, struct MHD_Connection *mhd, void **context,
                 enum MHD_ConnectionNotificationCode code);

/* ---- something of ours that waits for a socket beside libmicrohttpd ---- */

struct watch {
    void (*on_event)(struct watch *w, uint32_t epoll_events);
    bool on;
};
/* Failing to watch costs only that the other side's end is noticed later. */
void watch_start(struct http_server *s, struct watch *w, int fd, uint32_t epoll_events);
void watch_stop(struct http_server *s, struct watch *w, int fd);

/* ---- request ---- */

struct http_request {
    struct watch watch;
    struct http_server *server;
    struct conn *conn; /* NULL: the connection is closed */
    enum http_method method;
    bool http_1_0;

    bool has_headers; /* all have arrived */
    bool suspended;   /* in libmicrohttpd, until the answer */
    bool in_handler;
    bool owed;   /* the handler has it and has not answered */
    bool closed; /* to be closed without an answer: a stream has taken the socket, or it is over */
    bool gone;   /* the client is */

    struct text body;
    size_t body_limit;

    struct MHD_Response *response; /* the answer, once there is one */
    unsigned status;
    struct http_stream *stream; /* this answers by TLS; NULL for others */

    void *context;
    void (*context_free)(void *);
    void (*on_gone)(void *arg, struct http_request *r);
    void *on_gone_arg;
    bool has_peer;
    struct http_peer peer;

    const char *bad_target; /* why it is refused; NULL: it is fine */
    char *path;
    size_t param_count;
    struct http_param *params; /* owned */
    char target[];             /* decoded and cut in place */
};

void *request_begin(void *server, const char *target, struct MHD_Connection *mhd);
enum MHD_Result request_handle(void *listener, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *len, void **context);
void request_completed(void *server, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode code);
/* Lets libmicrohttpd call request_handle() again. */
void request_resume(struct http_request *r);
/* The server stops: an answer in place of the one that the handler owes. */
void request_give_up(struct http_request *r);
void request_free(struct http_request *r);

/* ---- answer ---- */

/* The handler gives its one answer. False: nobody is there to get it, and R is not to be touched
 * any more. */
bool answer_take(struct http_request *r);
/* Sets R's answer, without telling libmicrohttpd yet. */
void answer_set_problem(struct http_request *r, int status, const char *slug, const char *title,
                        const char *detail, const struct http_header *headers);
/* Whether the server's own header of this name is left out. */
bool answer_has_header(const struct http_header *headers, const char *name);
void answer_add_headers(struct MHD_Response *response, const struct http_request *r,
                        const char *type, const struct http_header *headers);

/* ---- streams ---- */

struct http_stream {
    struct watch watch;
    struct http_server *server;
    struct http_stream *prev, *next; /* all of the server */
    struct http_stream *next_dirty;
    struct http_stream_events events;

    int fd;                   /* -1: libmicrohttpd sends for us (TLS) */
    struct http_request *tls; /* then: the request, NULL once it is completed */

    bool chunked;
    bool dirty;   /* in the list of streams to look at */
    bool full;    /* a write was refused and the owner not yet told that there is room */
    bool ending;  /* end behind what is queued */
    bool over;    /* nothing can be sent any more */
    bool blocked; /* the socket takes nothing now */

    struct http_bytes **ring; /* room is a power of two */
    size_t room, first, count;
    size_t sent;   /* of the first one */
    size_t queued; /* bytes in all, without what was sent */
};

/* Sends what waits; for STREAMS_PER_ROUND of them at most, then others get their turn. */
void stream_flush(struct http_server *s);
/* libmicrohttpd is done with the request that became this stream. */
void stream_request_completed(struct http_stream *s);
bool stream_any_dirty(const struct http_server *s);

/* ---- TLS ---- */

struct tls_files;
int tls_files_open(const char *certificate, const char *key, struct tls_files **ret, struct err *e);
void tls_files_free(struct tls_files *t);
/* Reads them again; ONLY_IF_CHANGED looks at size, time and inode first. */
int tls_files_reload(struct tls_files *t, bool only_if_changed, struct err *e);
/* Whose certificate tls_files_retrieve() hands out on this thread. */
void tls_files_serve(struct tls_files *t);
/* A gnutls_certificate_retrieve_function2. */
int tls_files_retrieve(gnutls_session_t session, const gnutls_datum_t *ca, int ca_count,
                       const gnutls_pk_algorithm_t *algos, int algo_count,
                       gnutls_pcert_st **ret_certs, unsigned *ret_count, gnutls_privkey_t *ret_key);

/* ---- server ---- */

struct listener {
    struct listener *next;
    struct http_server *server;
    struct MHD_Daemon *mhd;
    struct tls_files *tls; /* NULL: none */
    int fd;                /* that listens; ours */
    bool dirty;            /* libmicrohttpd has something to do */
    bool is_unix;
    char *unix_path; /* owned; NULL for TCP */
    dev_t unix_dev;
    ino_t unix_ino;
    char host[256]; /* as it was named */
    uv_poll_t poll; /* libmicrohttpd's epoll descriptor */
    uv_timer_t timer;
    int64_t timer_due_ms;
};

struct http_server {
    struct http_server_config config;
    uv_loop_t *loop;
    struct listener *listeners;

    uv_prepare_t before_poll; /* these two look at what is dirty */
    uv_check_t after_poll;
    uv_idle_t busy; /* runs while something is still dirty, so that the loop does not sleep */

    struct conn_list conns[CONN_PHASES];
    uv_timer_t conn_timer;
    int64_t conn_due_ms;

    int watch_fd; /* an epoll descriptor for our own watches */
    uv_poll_t watch_poll;

    struct http_stream *streams;
    struct http_stream *first_dirty, **last_dirty;
    unsigned stream_count, raw_stream_count; /* the second: those with a socket of their own */

    uv_timer_t tls_timer;

    uint64_t connections_total, requests_total;
    unsigned connection_count, waiting;

    bool stopping;  /* no new connections; what is under way may end */
    bool giving_up; /* what is under way gets 503 */
    bool stopped;   /* handles are closing */
    uv_timer_t stop_timer;
    void (*on_stopped)(void *arg);
    void *on_stopped_arg;
    unsigned open_handles;
};

/* Something changed that libmicrohttpd or a stream must act on before the loop sleeps. */
void listener_touch(struct listener *l);
/* A connection, request or stream has ended: a stop may be complete. */
void server_check_stopped(struct http_server *s);

#endif
