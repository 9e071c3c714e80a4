/*
 * Connections and their time. libmicrohttpd cuts a connection that is silent; it does not cut one
 * that sends a byte every few seconds and never comes to an end. Here each connection is in a list
 * of what it does, oldest first, so that looking for those whose time is over costs next to
 * nothing.
 */
#include "net/http_parts.h"

#include "base/mem.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

/* A body may take any time as long as it moves at this pace. */
#define BODY_BYTES_PER_S 1024
/* An answer that is being taken, however slowly, for this many times keep_alive_ms is cut. */
#define ANSWER_FACTOR    10

static int64_t limit_ms(const struct http_server *s, enum conn_phase phase)
{
    switch (phase) {
    case CONN_HEADERS:
        return s->config.header_ms;
    case CONN_BODY:
        return s->config.body_ms;
    case CONN_IDLE:
        return s->config.keep_alive_ms;
    case CONN_ANSWER:
        return s->config.keep_alive_ms * ANSWER_FACTOR;
    default:
        return 0;
    }
}

static void leave(struct conn *c)
{
    struct conn_list *list = &c->listener->server->conns[c->phase];
    *(c->prev ? &c->prev->next : &list->first) = c->next;
    *(c->next ? &c->next->prev : &list->last) = c->prev;
    c->prev = c->next = NULL;
    list->count--;
}

static void append(struct conn *c, enum conn_phase phase)
{
    struct conn_list *list = &c->listener->server->conns[phase];
    c->phase = phase;
    c->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = c;
    list->last = c;
    list->count++;
}

/* Whether the body has moved on at a fair pace since it was last looked at. */
static bool has_moved(struct conn *c, int64_t window_ms)
{
    uint64_t bytes = c->body_bytes - c->body_checked;
    c->body_checked = c->body_bytes;
    return bytes >= (uint64_t)window_ms * BODY_BYTES_PER_S / 1000;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct http_server *s, int64_t due_ms)
{
    if (uv_is_active((uv_handle_t *)&s->conn_timer) && s->conn_due_ms <= due_ms)
        return;
    int64_t now_ms = (int64_t)uv_now(s->loop);
    s->conn_due_ms = due_ms;
    uv_timer_start(&s->conn_timer, on_timer, due_ms > now_ms ? (uint64_t)(due_ms - now_ms) : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    int64_t now_ms = (int64_t)uv_now(s->loop);

    for (enum conn_phase phase = 0; phase < CONN_PHASES; phase++) {
        int64_t limit = limit_ms(s, phase);
        struct conn *c;
        while (limit && (c = s->conns[phase].first) && c->since_ms + limit <= now_ms) {
            if (phase == CONN_BODY && has_moved(c, limit)) {
                conn_enter(c, CONN_BODY);
                continue;
            }
            conn_enter(c, CONN_CUT);
            shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees the end and tidies up */
        }
    }
    for (enum conn_phase phase = 0; phase < CONN_PHASES; phase++)
        if (limit_ms(s, phase) && s->conns[phase].first)
            arm(s, s->conns[phase].first->since_ms + limit_ms(s, phase));
}

void conn_enter(struct conn *c, enum conn_phase phase)
{
    struct http_server *s = c->listener->server;
    if (c->phase == CONN_CUT)
        return;
    leave(c);
    append(c, phase);
    c->since_ms = (int64_t)uv_now(s->loop);
    if (phase == CONN_IDLE)
        c->body_bytes = c->body_checked = 0;
    if (limit_ms(s, phase))
        arm(s, c->since_ms + limit_ms(s, phase));
}

enum MHD_Result conn_accept(void *server, const struct sockaddr *addr, socklen_t len)
{
    struct http_server *s = server;
    (void)addr;
    (void)len;
    /* Streams hold sockets that libmicrohttpd does not count. */
    return !s->stopping && s->connection_count + s->raw_stream_count < s->config.max_connections;
}

static void set_options(const struct listener *l, int fd)
{
    if (l->is_unix)
        return;
    /* A client whose machine has vanished is noticed within a minute, not after a quarter of an
     * hour of retransmissions. */
    int on = 1, idle_s = 60, each_s = 15, gone_ms = 60000;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &each_s, sizeof each_s);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof gone_ms);
}

void conn_notify(void *listener, struct MHD_Connection *mhd, void **context,
                 enum MHD_ConnectionNotificationCode code)
{
    struct listener *l = listener;
    struct http_server *s = l->server;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct conn *c = *context;
        leave(c);
        free(c);
        *context = NULL;
        s->connection_count--;
        server_check_stopped(s);
        return;
    }

    struct conn *c = mem_new(struct conn);
    c->listener = l;
    c->mhd = mhd;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    append(c, CONN_HEADERS);
    s->connection_count++;
    s->connections_total++;
    *context = c;
    set_options(l, c->fd);
    conn_enter(c, CONN_HEADERS);
}
