/*
 * Answers without end, in two ways.
 *
 * Without TLS the stream takes the socket: it duplicates the descriptor, libmicrohttpd closes its
 * own without a word (MHD_USE_TURBO: no shutdown), and from then on the stream costs this struct
 * and the kernel's socket, not a connection with its pool. It also keeps libmicrohttpd quick: each
 * time that one suspended connection is resumed it walks over all of them, and ten thousand
 * listeners would be walked over for every answer.
 *
 * With TLS the session belongs to libmicrohttpd, so it sends, and asks for bytes with tls_read().
 */
#include "net/http_parts.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define STREAM_LIMIT      (256 * 1024)
#define STREAMS_PER_ROUND 512
#define IOV_MOST          32

/* ---- bytes ---- */

/* Framed as a chunk once, however many streams send it: "LEN\r\n", the bytes, "\r\n". */
struct http_bytes {
    atomic_int refs;
    bool bare; /* no frame: what goes out as it is */
    unsigned char frame_len;
    size_t len;
    char data[];
};

static struct http_bytes *make_bytes(const void *p, size_t len, bool bare)
{
    char frame[24] = "";
    int frame_len = bare ? 0 : snprintf(frame, sizeof frame, "%zx\r\n", len);
    struct http_bytes *b = mem_alloc(1, sizeof *b + (size_t)frame_len + len + 2);
    atomic_init(&b->refs, 1);
    b->bare = bare;
    b->frame_len = (unsigned char)frame_len;
    b->len = len;
    memcpy(b->data, frame, (size_t)frame_len);
    if (len)
        memcpy(b->data + frame_len, p, len);
    memcpy(b->data + frame_len + len, "\r\n", 2);
    return b;
}

struct http_bytes *http_bytes_new(const void *p, size_t len)
{
    return make_bytes(p, len, false);
}

struct http_bytes *http_bytes_take(struct text *t)
{
    struct http_bytes *b = make_bytes(t->data, t->len, false);
    text_done(t);
    return b;
}

struct http_bytes *http_bytes_ref(struct http_bytes *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void http_bytes_unref(struct http_bytes *b)
{
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        free(b);
}

const char *http_bytes_get(const struct http_bytes *b, size_t *ret_len)
{
    *ret_len = b->len;
    return b->data + b->frame_len;
}

/* ---- the queue ---- */

/* What of B goes over this stream's wire. */
static struct iovec wire_bytes(const struct http_stream *s, struct http_bytes *b)
{
    if (b->bare)
        return (struct iovec){b->data, b->len};
    if (s->chunked && s->fd >= 0)
        return (struct iovec){b->data, b->frame_len + b->len + 2};
    return (struct iovec){b->data + b->frame_len, b->len};
}

static void push(struct http_stream *s, struct http_bytes *b)
{
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 4;
        struct http_bytes **ring = mem_new_array(struct http_bytes *, room);
        for (size_t i = 0; i < s->count; i++)
            ring[i] = s->ring[(s->first + i) & (s->room - 1)];
        free(s->ring);
        s->ring = ring;
        s->room = room;
        s->first = 0;
    }
    s->ring[(s->first + s->count++) & (s->room - 1)] = b;
    s->queued += wire_bytes(s, b).iov_len;
}

static void pop(struct http_stream *s)
{
    struct http_bytes *b = s->ring[s->first];
    s->queued -= wire_bytes(s, b).iov_len - s->sent;
    http_bytes_unref(b);
    s->first = (s->first + 1) & (s->room - 1);
    s->count--;
    s->sent = 0;
    if (s->count == 0) { /* most streams are quiet most of the time: hold no memory then */
        free(s->ring);
        s->ring = NULL;
        s->room = s->first = 0;
    }
}

/* LEN more bytes have left. */
static void advance(struct http_stream *s, size_t len)
{
    while (len) {
        assert(s->count); /* no more leaves than was queued */
        size_t left = wire_bytes(s, s->ring[s->first]).iov_len - s->sent;
        if (len < left) {
            s->sent += len;
            s->queued -= len;
            return;
        }
        pop(s);
        len -= left;
    }
}

/* Looked at before the loop sleeps. */
static void touch(struct http_stream *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    s->next_dirty = NULL;
    *s->server->last_dirty = s;
    s->server->last_dirty = &s->next_dirty;
}

/* ---- sending ---- */

static void send_raw(struct http_stream *s)
{
    while (s->count && !s->blocked) {
        struct iovec iov[IOV_MOST];
        size_t n = s->count < IOV_MOST ? s->count : IOV_MOST;
        iov[0] = wire_bytes(s, s->ring[s->first]);
        iov[0].iov_base = (char *)iov[0].iov_base + s->sent;
        iov[0].iov_len -= s->sent;
        for (size_t i = 1; i < n; i++)
            iov[i] = wire_bytes(s, s->ring[(s->first + i) & (s->room - 1)]);

        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
        ssize_t sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            advance(s, (size_t)sent);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            s->blocked = true; /* the watch is edge-triggered and wakes us when there is room */
        } else if (errno != EINTR) {
            s->over = true;
            return;
        }
    }
    if (s->ending && s->count == 0)
        s->over = true;
}

/* libmicrohttpd wants bytes for a TLS stream. */
static ssize_t tls_read(void *stream, uint64_t at, char *buf, size_t room)
{
    struct http_stream *s = stream;
    (void)at;
    if (s->over)
        return MHD_CONTENT_READER_END_WITH_ERROR;

    size_t len = 0;
    while (s->count && len < room) {
        struct iovec bytes = wire_bytes(s, s->ring[s->first]);
        size_t part = bytes.iov_len - s->sent < room - len ? bytes.iov_len - s->sent : room - len;
        memcpy(buf + len, (char *)bytes.iov_base + s->sent, part);
        advance(s, part);
        len += part;
    }
    if (len) {
        if (s->full)
            touch(s);
        return (ssize_t)len;
    }
    if (s->ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    s->tls->suspended = true;
    MHD_suspend_connection(s->tls->conn->mhd);
    return 0;
}

static void tell_drained(struct http_stream *s)
{
    if (!s->full || s->over || s->ending || s->queued > s->server->config.stream_limit / 2)
        return;
    s->full = false;
    if (s->events.on_drained)
        s->events.on_drained(s->events.arg, s);
}

static void on_socket(struct watch *w, uint32_t events)
{
    struct http_stream *s = (struct http_stream *)w; /* its first member */
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        s->over = true;
    s->blocked = false;
    touch(s);
}

/* ---- life ---- */

static void leave_server(struct http_stream *s)
{
    struct http_server *server = s->server;
    *(s->prev ? &s->prev->next : &server->streams) = s->next;
    if (s->next)
        s->next->prev = s->prev;
    server->stream_count--;
    if (s->fd >= 0)
        server->raw_stream_count--;
}

/* Only from the loop, see stream_flush(). */
static void finish(struct http_stream *s)
{
    struct http_server *server = s->server;
    leave_server(s);
    if (s->fd >= 0) {
        if (s->watch.on)
            watch_stop(server, &s->watch, s->fd);
        close(s->fd);
    }
    s->events.on_close(s->events.arg, s);
    while (s->count)
        pop(s);
    free(s);
    server_check_stopped(server);
}

/* One stream from the dirty list. */
static void look_at(struct http_stream *s)
{
    if (s->fd >= 0) {
        if (!s->over)
            send_raw(s);
        if (s->over) {
            finish(s);
            return;
        }
    } else if (!s->tls) {
        finish(s);
        return;
    } else if (s->over) {
        /* libmicrohttpd notices, completes the request, and we come back here without it. */
        shutdown(s->tls->conn->fd, SHUT_RDWR);
        request_resume(s->tls);
    } else if (s->count || s->ending) {
        request_resume(s->tls);
    }
    tell_drained(s);
}

void stream_flush(struct http_server *server)
{
    for (int i = 0; i < STREAMS_PER_ROUND && server->first_dirty; i++) {
        struct http_stream *s = server->first_dirty;
        server->first_dirty = s->next_dirty;
        if (!server->first_dirty)
            server->last_dirty = &server->first_dirty;
        s->dirty = false;
        look_at(s);
    }
}

bool stream_any_dirty(const struct http_server *s)
{
    return s->first_dirty != NULL;
}

void stream_request_completed(struct http_stream *s)
{
    if (s->fd >= 0)
        return; /* as planned: the socket is ours */
    if (s->watch.on)
        watch_stop(s->server, &s->watch, s->tls->conn->fd);
    s->tls = NULL;
    s->over = true;
    touch(s);
}

/* ---- begin ---- */

static void add_date(struct text *head)
{
    char date[64];
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    text_addf(head, "Date: %s\r\n", date);
}

static void queue_head(struct http_stream *s, int status, const char *type,
                       const struct http_header *headers)
{
    auto_text struct text head = {0};
    text_addf(&head, "HTTP/1.1 %d %s\r\n", status, MHD_get_reason_phrase_for((unsigned)status));
    add_date(&head);
    if (type)
        text_addf(&head, "Content-Type: %s\r\n", type);
    for (const struct http_header *h = headers; h && h->name; h++)
        text_addf(&head, "%s: %s\r\n", h->name, h->value);
    for (const struct http_header *h = s->server->config.headers; h && h->name; h++)
        if (!answer_has_header(headers, h->name))
            text_addf(&head, "%s: %s\r\n", h->name, h->value);
    if (s->chunked)
        text_add(&head, "Transfer-Encoding: chunked\r\n");
    text_add(&head, "Connection: close\r\n\r\n");
    push(s, make_bytes(head.data, head.len, true));
}

static void begin_raw(struct http_stream *s, struct http_request *r, int status, const char *type,
                      const struct http_header *headers)
{
    queue_head(s, status, type, headers);
    if (r->method == HTTP_HEAD)
        s->ending = true;
    int on = 1;
    if (!r->conn->listener->is_unix)
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* Edge-triggered, so that one registration serves a quiet stream and a blocked one. */
    watch_start(s->server, &s->watch, s->fd, EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLOUT | EPOLLET);
    r->closed = true;
    s->server->raw_stream_count++;
}

static void begin_tls(struct http_stream *s, struct http_request *r, int status, const char *type,
                      const struct http_header *headers)
{
    s->tls = r;
    r->stream = s;
    r->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, tls_read, s, NULL);
    assert(r->response);
    r->status = (unsigned)status;
    answer_add_headers(r->response, r, type, headers);
    watch_start(s->server, &s->watch, r->conn->fd, EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLET);
}

struct http_stream *http_stream_begin(struct http_request *r, int status, const char *type,
                                      const struct http_header *headers,
                                      const struct http_stream_events *events)
{
    int fd = -1;
    if (!answer_take(r))
        return NULL;
    if (!r->conn->listener->tls) {
        fd = fcntl(r->conn->fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0) {
            answer_set_problem(r, 503, err_slug(ERR_UNAVAILABLE), err_title(ERR_UNAVAILABLE),
                               "there is no descriptor left for one more stream", NULL);
            request_resume(r);
            return NULL;
        }
    }

    struct http_stream *s = mem_new(struct http_stream);
    s->events = *events;
    s->fd = fd;
    s->server = r->server;
    s->watch.on_event = on_socket;
    s->chunked = !r->http_1_0;
    s->next = s->server->streams;
    if (s->next)
        s->next->prev = s;
    s->server->streams = s;
    s->server->stream_count++;

    if (fd >= 0)
        begin_raw(s, r, status, type, headers);
    else
        begin_tls(s, r, status, type, headers);
    touch(s);
    request_resume(r);
    return s;
}

/* ---- what the owner does ---- */

bool http_stream_write_shared(struct http_stream *s, struct http_bytes *b)
{
    if (s->over || s->ending)
        return false;
    if (b->len == 0)
        return true; /* an empty chunk would be the end */
    if (s->queued && s->queued + b->len > s->server->config.stream_limit) {
        s->full = true;
        return false;
    }
    push(s, http_bytes_ref(b));
    touch(s);
    return true;
}

bool http_stream_write(struct http_stream *s, const void *p, size_t len)
{
    struct http_bytes *b = http_bytes_new(p, len);
    bool queued = http_stream_write_shared(s, b);
    http_bytes_unref(b);
    return queued;
}

size_t http_stream_queued(const struct http_stream *s)
{
    return s->queued;
}

void http_stream_end(struct http_stream *s)
{
    if (s->over || s->ending)
        return;
    if (s->fd >= 0 && s->chunked)
        push(s, make_bytes("0\r\n\r\n", 5, true));
    s->ending = true;
    touch(s);
}

void http_stream_cut(struct http_stream *s)
{
    s->over = true;
    touch(s);
}
