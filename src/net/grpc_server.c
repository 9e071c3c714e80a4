#include "net/grpc_server.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "net/grpc_conn.h"
#include "net/grpc_frame.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define USUAL_MESSAGE     (1 << 20)
#define USUAL_STREAMS     64
#define USUAL_CONNECTIONS 16
#define HEADERS_MOST      (16 << 10) /* bytes of one request's headers */
#define ARRIVAL_MS        10000      /* from a request's first byte to its last */
#define LOOK_MS           1000

struct peer;

struct grpc_request {
    struct grpc_request *next;
    struct peer *peer; /* NULL: nobody listens any more */
    int32_t stream;
    uint64_t began_ms;
    const struct grpc_method *method;
    size_t header_bytes;
    bool is_post, has_type, is_whole; /* the other side has said all */
    bool is_handed;                   /* the method has it */
    bool is_over;                     /* answered, or never handed: ours to free */
    bool has_begun;                   /* our headers are out */

    struct text raw; /* body bytes that have not been looked at */
    struct grpc_frames frames;
    struct text message;
    bool has_message;

    struct text out, waiting;
    size_t out_at;
    bool has_waiting;
    struct err err; /* of the answer */

    void (*on_gone)(void *arg, struct grpc_request *r);
    void *arg;
};

struct peer {
    struct grpc_conn conn; /* first */
    struct grpc_server *server;
    struct peer *next;
    struct grpc_request *requests;
    uint64_t idle_since_ms;
};

struct grpc_server {
    struct grpc_server_config config;
    uv_loop_t *loop;
    char *path;
    int fd;
    dev_t dev;
    ino_t ino;
    uv_poll_t poll;
    uv_timer_t timer;
    int open_handles;
    nghttp2_session_callbacks *callbacks;
    struct peer *peers;
    size_t peer_count;
};

/* ---- requests ---- */

static void free_request(struct grpc_request *r)
{
    text_done(&r->raw);
    grpc_frames_done(&r->frames);
    text_done(&r->message);
    text_done(&r->out);
    text_done(&r->waiting);
    free(r);
}

static struct grpc_request *find_request(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

/* The other side has left R, which is on no list any more. */
static void leave_request(struct grpc_request *r)
{
    r->peer = NULL;
    if (r->is_over || !r->is_handed) {
        free_request(r);
    } else if (r->on_gone) {
        r->on_gone(r->arg, r);
        free_request(r);
    }
}

/* Lets go of the requests whose stream has closed. First they are taken off the list: who hears of
 * it may end the server, and with it the list. */
static void leave_closed(struct peer *p)
{
    struct grpc_request *closed = NULL, **at = &p->requests, *r;
    while ((r = *at)) {
        if (r->stream) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        r->next = closed;
        closed = r;
    }
    if (closed && !p->requests)
        p->idle_since_ms = uv_now(p->server->loop);
    while ((r = closed)) {
        closed = r->next;
        leave_request(r);
    }
}

/* ---- the answer ---- */

static void add_message_text(const char *from, char *to, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)from; *p && n + 4 < room; p++) {
        if (*p >= ' ' && *p <= '~' && *p != '%') {
            to[n++] = (char)*p;
            continue;
        }
        to[n++] = '%';
        to[n++] = digits[*p >> 4];
        to[n++] = digits[*p & 15];
    }
    to[n] = '\0';
}

static void submit_end(struct grpc_request *r, nghttp2_session *session)
{
    char code[12], message[2048];
    snprintf(code, sizeof code, "%d", grpc_code_of(r->err.code));
    add_message_text(r->err.text, message, sizeof message);
    const nghttp2_nv pairs[] = {
        GRPC_PAIR(":status", "200"),
        GRPC_PAIR("content-type", "application/grpc"),
        GRPC_PAIR("grpc-status", code),
        GRPC_PAIR("grpc-message", message),
    };
    size_t count = r->err.code ? 4 : 3;
    if (r->has_begun) {
        nghttp2_submit_trailer(session, r->stream, pairs + 2, count - 2);
        return;
    }
    /* Nothing but the end: headers and trailers are one. Who goes on sending is passed over, and
     * reset when the time for a request is over: a reset now would overtake the answer. */
    nghttp2_submit_response(session, r->stream, pairs, count, NULL);
}

static ssize_t read_out(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t room,
                        uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct grpc_request *r = source->ptr;
    (void)stream, (void)arg;
    if (r->out_at == r->out.len && r->has_waiting) {
        struct text empty = r->out;
        r->out = r->waiting;
        r->waiting = empty;
        text_clear(&r->waiting);
        r->out_at = 0;
        r->has_waiting = false;
    }
    ssize_t n = grpc_source(&r->out, &r->out_at, buf, room);
    if (r->out_at < r->out.len || r->has_waiting)
        return n;
    if (!r->is_over)
        return n ? n : NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    submit_end(r, session);
    return n;
}

static void submit_begin(struct grpc_request *r)
{
    const nghttp2_nv pairs[] = {
        GRPC_PAIR(":status", "200"),
        GRPC_PAIR("content-type", "application/grpc"),
    };
    const nghttp2_data_provider source = {{.ptr = r}, read_out};
    r->has_begun = true;
    nghttp2_submit_response(r->peer->conn.session, r->stream, pairs, COUNT_OF(pairs), &source);
    grpc_conn_wake(&r->peer->conn);
}

/* Puts a message behind what is on its way. */
static void put(struct grpc_request *r, const void *message, size_t len)
{
    text_clear(&r->waiting);
    grpc_frame_add(&r->waiting, message, len);
    r->has_waiting = true;
    if (!r->has_begun)
        submit_begin(r);
    else
        nghttp2_session_resume_data(r->peer->conn.session, r->stream);
    grpc_conn_wake(&r->peer->conn);
}

void grpc_answer(struct grpc_request *r, const void *message, size_t len)
{
    (void)FAILPOINT("net.grpc_answer");
    if (!r->peer) {
        free_request(r);
        return;
    }
    r->is_over = true;
    put(r, message, len);
}

/* Somebody listens to R. */
static void end_with(struct grpc_request *r, const struct err *e)
{
    r->is_over = true;
    r->err = *e;
    if (r->has_begun)
        nghttp2_session_resume_data(r->peer->conn.session, r->stream);
    else
        submit_end(r, r->peer->conn.session);
    grpc_conn_wake(&r->peer->conn);
}

void grpc_fail(struct grpc_request *r, const struct err *e)
{
    if (r->peer)
        end_with(r, e);
    else
        free_request(r);
}

void grpc_stream_open(struct grpc_request *r, void (*on_gone)(void *arg, struct grpc_request *r),
                      void *arg)
{
    r->on_gone = on_gone;
    r->arg = arg;
    if (!r->has_begun)
        submit_begin(r);
}

void grpc_stream_state(struct grpc_request *r, const void *message, size_t len)
{
    put(r, message, len);
}

/* ---- what nghttp2 tells: only noted ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct peer *p = arg;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct grpc_request *r = mem_new(struct grpc_request);
    r->peer = p;
    r->stream = frame->hd.stream_id;
    r->began_ms = uv_now(p->server->loop);
    r->frames.most = p->server->config.max_message;
    r->next = p->requests;
    p->requests = r;
    nghttp2_session_set_stream_user_data(session, r->stream, r);
    if (!uv_is_active((uv_handle_t *)&p->server->timer))
        uv_timer_again(&p->server->timer);
    return 0;
}

static bool is_text(const uint8_t *p, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(p, text, len) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct peer *p = arg;
    struct grpc_request *r = find_request(session, frame->hd.stream_id);
    static const char type[] = "application/grpc";
    (void)flags;
    if (!r)
        return 0;
    r->header_bytes += name_len + value_len;
    if (r->header_bytes > HEADERS_MOST)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* ends the stream */
    if (is_text(name, name_len, ":method"))
        r->is_post = is_text(value, value_len, "POST");
    else if (is_text(name, name_len, "content-type"))
        r->has_type = value_len >= strlen(type) && memcmp(value, type, strlen(type)) == 0;
    else if (is_text(name, name_len, ":path"))
        for (size_t i = 0; i < p->server->config.method_count; i++)
            if (is_text(value, value_len, p->server->config.methods[i].path))
                r->method = &p->server->config.methods[i];
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct grpc_request *r = find_request(session, frame->hd.stream_id);
    (void)arg;
    if (r && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        r->is_whole = true;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *arg)
{
    struct grpc_request *r = find_request(session, stream);
    (void)flags, (void)arg;
    if (r && !r->is_over && !r->is_handed)
        text_add_bytes(&r->raw, data, len);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *arg)
{
    struct grpc_request *r = find_request(session, stream);
    (void)code, (void)arg;
    if (r)
        r->stream = 0;
    return 0;
}

/* ---- acting on it ---- */

static int take_message(void *arg, const uint8_t *message, size_t len, struct err *e)
{
    struct grpc_request *r = arg;
    if (r->has_message)
        return err_set(e, ERR_METHOD, "a request is one message, not a stream");
    r->has_message = true;
    text_add_bytes(&r->message, message, len);
    return 0;
}

/* 1: R is there to be handed to its method. */
static int look(struct grpc_request *r, struct err *e)
{
    if (!r->is_post || !r->has_type)
        return err_set(e, ERR_INVALID, "this is no gRPC request");
    if (!r->method)
        return err_set(e, ERR_METHOD, "there is no such method");
    int rc = grpc_frames_feed(&r->frames, r->raw.data, r->raw.len, take_message, r, e);
    text_clear(&r->raw);
    if (rc < 0 || !r->is_whole)
        return rc;
    if (!r->has_message || !grpc_frames_may_end(&r->frames))
        return err_set(e, ERR_INVALID, "the request ends before its message does");
    return 1;
}

/* The next request that has come further. */
static struct grpc_request *next_request(struct peer *p)
{
    for (struct grpc_request *r = p->requests; r; r = r->next)
        if (!r->is_over && !r->is_handed && (r->raw.len || r->is_whole))
            return r;
    return NULL;
}

static void on_turn(struct grpc_conn *c)
{
    struct peer *p = (struct peer *)c;
    leave_closed(p);
    for (struct grpc_request *r; c->fd >= 0 && (r = next_request(p));) {
        struct err e = {0};
        int rc = look(r, &e);
        if (rc < 0)
            end_with(r, &e);
        if (rc <= 0)
            continue;
        r->is_handed = true;
        r->method->call(p->server->config.arg, r, (const uint8_t *)text_get(&r->message),
                        r->message.len);
    }
}

static void close_peer(struct peer *p)
{
    struct grpc_server *s = p->server;
    struct peer **at = &s->peers;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    s->peer_count--;
    grpc_conn_close(&p->conn);
    for (struct grpc_request *r; (r = p->requests);) {
        p->requests = r->next;
        leave_request(r);
    }
}

static void on_end(struct grpc_conn *c)
{
    close_peer((struct peer *)c);
}

static void on_free(struct grpc_conn *c)
{
    free(c);
}

/* ---- connections ---- */

/* There are too many: the one that says nothing for longest goes. */
static bool make_room(struct grpc_server *s)
{
    struct peer *idlest = NULL;
    for (struct peer *p = s->peers; p; p = p->next)
        if (!p->requests && (!idlest || p->idle_since_ms < idlest->idle_since_ms))
            idlest = p;
    if (idlest)
        close_peer(idlest);
    return idlest != NULL;
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct grpc_server *s = poll->data;
    (void)status, (void)events;
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (s->peer_count >= s->config.max_connections && !make_room(s)) {
        close(fd);
        return;
    }
    struct peer *p = mem_new(struct peer);
    p->server = s;
    p->conn.on_turn = on_turn;
    p->conn.on_end = on_end;
    p->conn.on_free = on_free;
    p->idle_since_ms = uv_now(s->loop);
    if (grpc_conn_open(&p->conn, s->loop, fd, true, (uint32_t)s->config.max_streams, s->callbacks,
                       NULL) < 0) {
        close(fd);
        free(p);
        return;
    }
    p->next = s->peers;
    s->peers = p;
    s->peer_count++;
}

/* Requests that do not arrive are given up. */
static void on_time(uv_timer_t *timer)
{
    struct grpc_server *s = timer->data;
    uint64_t now_ms = uv_now(s->loop);
    bool any = false;
    for (struct peer *p = s->peers; p; p = p->next)
        for (struct grpc_request *r = p->requests; r; r = r->next) {
            if (!r->stream || r->is_whole)
                continue;
            any = true;
            if (now_ms - r->began_ms < ARRIVAL_MS)
                continue;
            nghttp2_submit_rst_stream(p->conn.session, NGHTTP2_FLAG_NONE, r->stream,
                                      NGHTTP2_CANCEL);
            grpc_conn_wake(&p->conn);
        }
    if (!any)
        uv_timer_stop(timer);
}

/* ---- the outside ---- */

/* For this account alone from its first moment: the file's mode comes from the socket's. */
static int bind_socket(struct grpc_server *s, struct err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(s->path) >= sizeof addr.sun_path)
        return err_set(e, ERR_INVALID, "the path of socket '%.200s' is too long", s->path);
    strcpy(addr.sun_path, s->path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return err_sys(e, errno, "could not make a socket");
    if (fchmod(s->fd, 0600) < 0 || (unlink(s->path) < 0 && errno != ENOENT) ||
        bind(s->fd, (const struct sockaddr *)&addr, sizeof addr) < 0 || listen(s->fd, 16) < 0 ||
        lstat(s->path, &st) < 0)
        return err_sys(e, errno, "could not listen on socket '%s'", s->path);
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    return 0;
}

static int make_callbacks(nghttp2_session_callbacks **ret)
{
    nghttp2_session_callbacks *c = NULL;
    if (nghttp2_session_callbacks_new(&c) != 0)
        return -1;
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    *ret = c;
    return 0;
}

static void free_server(struct grpc_server *s)
{
    nghttp2_session_callbacks_del(s->callbacks);
    free(s->path);
    free(s);
}

static void on_closed(uv_handle_t *h)
{
    struct grpc_server *s = h->data;
    if (--s->open_handles == 0)
        free_server(s);
}

int grpc_server_start(uv_loop_t *loop, const char *path, const struct grpc_server_config *config,
                      struct grpc_server **ret, struct err *e)
{
    struct grpc_server *s = mem_new(struct grpc_server);
    s->config = *config;
    s->config.max_message = config->max_message ? config->max_message : USUAL_MESSAGE;
    s->config.max_streams = config->max_streams ? config->max_streams : USUAL_STREAMS;
    s->config.max_connections =
        config->max_connections ? config->max_connections : USUAL_CONNECTIONS;
    s->loop = loop;
    s->path = mem_strdup(path);
    s->fd = -1;
    int rc = make_callbacks(&s->callbacks) < 0 ? err_set(e, ERR_EXHAUSTED, "no memory for a server")
                                               : bind_socket(s, e);
    if (rc == 0 && (rc = uv_poll_init(loop, &s->poll, s->fd)) < 0)
        err_set(e, ERR_UNAVAILABLE, "socket '%s' cannot be watched: %s", path, uv_strerror(rc));
    if (rc < 0) {
        if (s->fd >= 0)
            close(s->fd);
        free_server(s);
        return -1;
    }
    uv_timer_init(loop, &s->timer);
    s->poll.data = s->timer.data = s;
    s->open_handles = 2;
    uv_poll_start(&s->poll, UV_READABLE, on_connection);
    uv_timer_start(&s->timer, on_time, LOOK_MS, LOOK_MS);
    *ret = s;
    return 0;
}

bool grpc_server_is_reachable(const struct grpc_server *s)
{
    struct stat st;
    return lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
}

void grpc_server_stop(struct grpc_server *s)
{
    if (!s)
        return;
    if (grpc_server_is_reachable(s))
        unlink(s->path);
    uv_poll_stop(&s->poll);
    uv_close((uv_handle_t *)&s->poll, on_closed);
    uv_close((uv_handle_t *)&s->timer, on_closed);
    close(s->fd);
    while (s->peers)
        close_peer(s->peers);
}
