#include "net/grpc_conn.h"

#include "base/mem.h"

#include <errno.h>
#include <sys/socket.h>

#define READ_BYTES       32768
#define READS_MOST       8 /* a turn: other connections have theirs */
#define WINDOW_BYTES     (256 << 10)
#define HEADER_LIST_MOST (16 << 10)
#define OUT_ACKS_MOST    100 /* pings and settings that we owe an answer: a flood ends there */

static void on_closed(uv_handle_t *h)
{
    struct grpc_conn *c = h->data;
    nghttp2_session_del(c->session);
    text_done(&c->out);
    c->on_free(c);
}

void grpc_conn_close(struct grpc_conn *c)
{
    if (c->fd < 0)
        return;
    uv_poll_stop(&c->poll);
    uv_close((uv_handle_t *)&c->poll, on_closed);
    close(c->fd);
    c->fd = -1;
}

/* False: the connection is no more. */
static bool read_some(struct grpc_conn *c)
{
    uint8_t buf[READ_BYTES];
    for (int i = 0; i < READS_MOST; i++) {
        ssize_t n = recv(c->fd, buf, sizeof buf, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0 || nghttp2_session_mem_recv(c->session, buf, (size_t)n) < 0)
            return false;
        if ((size_t)n < sizeof buf)
            return true;
    }
    return true;
}

/* Sends what there is to send as far as the socket takes it. */
static bool write_some(struct grpc_conn *c)
{
    for (;;) {
        const uint8_t *bytes = (const uint8_t *)text_get(&c->out) + c->out_at;
        ssize_t len = (ssize_t)(c->out.len - c->out_at);
        bool is_left_over = len > 0;
        if (!is_left_over)
            len = nghttp2_session_mem_send(c->session, &bytes);
        if (len <= 0)
            return len == 0;
        ssize_t n = send(c->fd, bytes, (size_t)len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        size_t sent = n < 0 ? 0 : (size_t)n;
        if (is_left_over) {
            c->out_at += sent;
        } else if (sent < (size_t)len) {
            text_clear(&c->out);
            text_add_bytes(&c->out, bytes + sent, (size_t)len - sent);
            c->out_at = 0;
        }
        if (sent < (size_t)len)
            return true;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct grpc_conn *c)
{
    bool writes = c->out_at < c->out.len || nghttp2_session_want_write(c->session);
    uv_poll_start(&c->poll, UV_READABLE | (writes ? UV_WRITABLE : 0), on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct grpc_conn *c = poll->data;
    bool lives = status >= 0 && (!(events & UV_READABLE) || read_some(c));
    c->on_turn(c);
    if (c->fd < 0)
        return;
    if (lives)
        lives = write_some(c);
    c->on_turn(c);
    if (c->fd < 0)
        return;
    if (!lives ||
        (!nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session)))
        c->on_end(c);
    else
        watch(c);
}

void grpc_conn_wake(struct grpc_conn *c)
{
    if (c->fd >= 0)
        uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, on_poll);
}

static int start_session(struct grpc_conn *c, bool is_server,
                         const nghttp2_session_callbacks *callbacks)
{
    nghttp2_option *option = NULL;
    if (nghttp2_option_new(&option) != 0)
        return -1;
    nghttp2_option_set_max_outbound_ack(option, OUT_ACKS_MOST);
    int rc = is_server ? nghttp2_session_server_new2(&c->session, callbacks, c, option)
                       : nghttp2_session_client_new2(&c->session, callbacks, c, option);
    nghttp2_option_del(option);
    return rc;
}

int grpc_conn_open(struct grpc_conn *c, uv_loop_t *loop, int fd, bool is_server, uint32_t streams,
                   const nghttp2_session_callbacks *callbacks, struct err *e)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST_MOST},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    c->fd = -1;
    if (start_session(c, is_server, callbacks) != 0 ||
        nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
                                is_server ? 3 : COUNT_OF(settings)) != 0) {
        nghttp2_session_del(TAKE(c->session));
        return err_set(e, ERR_EXHAUSTED, "no memory for a connection");
    }
    int rc = uv_poll_init(loop, &c->poll, fd);
    if (rc < 0) {
        nghttp2_session_del(TAKE(c->session));
        return err_set(e, ERR_UNAVAILABLE, "the socket cannot be watched: %s", uv_strerror(rc));
    }
    c->poll.data = c;
    c->fd = fd;
    watch(c);
    return 0;
}

ssize_t grpc_source(const struct text *from, size_t *at, uint8_t *buf, size_t room)
{
    size_t n = from->len - *at;
    if (n > room)
        n = room;
    if (n)
        memcpy(buf, from->data + *at, n);
    *at += n;
    return (ssize_t)n;
}
