#include "net/byte_stream.h"

#include "base/mem.h"
#include "net/tls_client.h"

#include <assert.h>
#include <netdb.h>

struct byte_stream {
    uv_loop_t *loop;
    struct byte_stream_events events;
    char *host, *unix_path;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } io;
    uv_connect_t connect;
    uv_getaddrinfo_t lookup;
    uv_timer_t later; /* what is found out within a call is told from the loop */
    struct addrinfo *found, *next;
    unsigned handles; /* IO and LATER, while libuv knows them */
    bool looking, has_io, reading, open, over, closed;
    struct tls_client *tls;
    struct err why;
    char room[16384];
};

static void maybe_free(struct byte_stream *s)
{
    if (!s->closed || s->handles || s->looking)
        return;
    uv_freeaddrinfo(s->found);
    tls_client_free(s->tls);
    free(s->host);
    free(s->unix_path);
    free(s);
}

static void on_later(uv_timer_t *timer)
{
    struct byte_stream *s = timer->data;
    if (s->over && !s->closed)
        s->events.on_end(s->events.arg, &s->why);
}

/* The first reason counts. */
static void end(struct byte_stream *s)
{
    if (s->over || s->closed)
        return;
    s->over = true;
    s->open = false;
    if (s->reading)
        uv_read_stop(&s->io.stream);
    uv_timer_start(&s->later, on_later, 0, 0);
}

/* ---- bytes ---- */

struct sending {
    uv_write_t request;
    char bytes[];
};

static void on_written(uv_write_t *request, int status)
{
    struct byte_stream *s = request->data;
    free(request);
    if (status >= 0 || s->over || s->closed)
        return;
    err_sys(&s->why, -status, "could not send");
    end(s);
}

static void send_raw(struct byte_stream *s, const void *p, size_t len)
{
    struct sending *w = mem_alloc(1, sizeof *w + len);
    memcpy(w->bytes, p, len);
    w->request.data = s;
    uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)len);
    int rc = uv_write(&w->request, &s->io.stream, &buf, 1, on_written);
    if (rc == 0)
        return;
    free(w);
    err_sys(&s->why, -rc, "could not send");
    end(s);
}

static void send_tls(struct byte_stream *s)
{
    struct text *out = tls_client_out(s->tls);
    if (out->len)
        send_raw(s, out->data, out->len);
    text_clear(out);
}

void byte_stream_write(struct byte_stream *s, const void *p, size_t len)
{
    if (!s->open || !len)
        return;
    if (!s->tls) {
        send_raw(s, p, len);
        return;
    }
    if (tls_client_write(s->tls, p, len, &s->why) < 0)
        end(s);
    else
        send_tls(s);
}

size_t byte_stream_unsent(const struct byte_stream *s)
{
    return s->has_io ? uv_stream_get_write_queue_size(&s->io.stream) : 0;
}

static void opened(struct byte_stream *s)
{
    s->open = true;
    s->events.on_open(s->events.arg);
}

static void take_tls(struct byte_stream *s, const char *p, size_t len)
{
    char plain[16384];
    tls_client_feed(s->tls, p, len);
    if (!s->open) {
        int rc = tls_client_handshake(s->tls, &s->why);
        send_tls(s);
        if (rc < 0)
            end(s);
        else if (rc)
            opened(s);
    }
    while (s->open) {
        long n = tls_client_read(s->tls, plain, sizeof plain, &s->why);
        if (n == 0)
            break;
        if (n < 0)
            end(s);
        else
            s->events.on_bytes(s->events.arg, plain, (size_t)n);
    }
    if (s->open)
        send_tls(s); /* answers to what TLS asks in between */
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    struct byte_stream *s = handle->data;
    (void)wanted;
    *ret = uv_buf_init(s->room, sizeof s->room);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct byte_stream *s = stream->data;
    if (n == 0 || s->over || s->closed)
        return;
    if (n < 0) {
        if (n == UV_EOF)
            err_set(&s->why, ERR_UNAVAILABLE, "the other side ended the connection");
        else
            err_sys(&s->why, (int)-n, "could not read");
        end(s);
    } else if (s->tls) {
        take_tls(s, buf->base, (size_t)n);
    } else {
        s->events.on_bytes(s->events.arg, buf->base, (size_t)n);
    }
}

/* ---- connecting ---- */

static void try_next(struct byte_stream *s);

static void on_retry(uv_handle_t *handle)
{
    struct byte_stream *s = handle->data;
    s->handles--;
    s->has_io = false;
    if (s->closed)
        maybe_free(s);
    else
        try_next(s);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct byte_stream *s = request->data;
    if (s->closed)
        return;
    if (status < 0) {
        err_sys(&s->why, -status, "could not connect to '%s'", s->unix_path ?: s->host);
        uv_close(&s->io.handle, on_retry);
        return;
    }
    s->reading = true;
    uv_read_start(&s->io.stream, on_alloc, on_read);
    if (!s->tls) {
        opened(s);
        return;
    }
    if (tls_client_handshake(s->tls, &s->why) < 0)
        end(s);
    else
        send_tls(s);
}

static void begin_io(struct byte_stream *s)
{
    s->io.handle.data = s->connect.data = s;
    s->handles++;
    s->has_io = true;
}

static void try_next(struct byte_stream *s)
{
    if (!s->next) {
        end(s);
        return;
    }
    const struct addrinfo *at = s->next;
    s->next = at->ai_next;
    uv_tcp_init(s->loop, &s->io.tcp);
    begin_io(s);
    uv_tcp_nodelay(&s->io.tcp, 1);
    uv_tcp_keepalive(&s->io.tcp, 1, 30);
    int rc = uv_tcp_connect(&s->connect, &s->io.tcp, at->ai_addr, on_connected);
    if (rc == 0)
        return;
    err_sys(&s->why, -rc, "could not connect to '%s'", s->host);
    uv_close(&s->io.handle, on_retry);
}

static void on_looked(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct byte_stream *s = request->data;
    s->looking = false;
    s->found = s->next = found;
    if (s->closed) {
        maybe_free(s);
        return;
    }
    if (status < 0 || !found)
        err_set(&s->why, ERR_UNAVAILABLE, "could not find host '%s': %s", s->host,
                uv_strerror(status));
    try_next(s);
}

static void begin_unix(struct byte_stream *s)
{
    uv_pipe_init(s->loop, &s->io.pipe, 0);
    begin_io(s);
    uv_pipe_connect(&s->connect, &s->io.pipe, s->unix_path, on_connected);
}

static void begin_tcp(struct byte_stream *s, uint16_t port)
{
    char number[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    snprintf(number, sizeof number, "%u", port);
    s->lookup.data = s;
    int rc = uv_getaddrinfo(s->loop, &s->lookup, on_looked, s->host, number, &hints);
    s->looking = rc == 0;
    if (rc == 0)
        return;
    err_sys(&s->why, -rc, "could not look up host '%s'", s->host);
    end(s);
}

int byte_stream_open(uv_loop_t *loop, const struct byte_stream_target *target,
                     const struct byte_stream_events *events, struct byte_stream **ret,
                     struct err *e)
{
    struct tls_client *tls = NULL;
    const char *host = target->host ? target->host : "localhost";
    if (target->tls &&
        tls_client_new(host, target->ca, target->certificate, target->key, &tls, e) < 0)
        return -1;
    struct byte_stream *s = mem_new(struct byte_stream);
    s->loop = loop;
    s->events = *events;
    s->tls = tls;
    s->host = mem_strdup(host);
    s->unix_path = target->unix_path ? mem_strdup(target->unix_path) : NULL;
    uv_timer_init(loop, &s->later);
    s->later.data = s;
    s->handles = 1;
    if (s->unix_path)
        begin_unix(s);
    else
        begin_tcp(s, target->port);
    *ret = s;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct byte_stream *s = handle->data;
    s->handles--;
    maybe_free(s);
}

void byte_stream_close(struct byte_stream *s)
{
    if (!s)
        return;
    assert(!s->closed);
    s->closed = true;
    s->open = false;
    if (s->looking)
        uv_cancel((uv_req_t *)&s->lookup);
    if (s->has_io && !uv_is_closing(&s->io.handle))
        uv_close(&s->io.handle, on_handle_closed);
    uv_close((uv_handle_t *)&s->later, on_handle_closed);
}
