#include "net/grpc_client.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "net/grpc_conn.h"
#include "net/grpc_frame.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#define USUAL_MESSAGE    (4 << 20)
#define USUAL_TIMEOUT_MS 10000
#define HEADERS_MOST     (16 << 10)

struct line;

struct grpc_call {
    struct grpc_call *next;
    struct grpc_client *client;
    struct line *line; /* NULL: it could not begin, or its connection has gone */
    int32_t stream;    /* 0: closed */
    uv_timer_t timer;
    struct text out; /* the request */
    size_t out_at;

    struct text raw; /* body bytes; those behind RAW_AT have not been looked at */
    size_t raw_at;
    struct grpc_frames frames;
    struct text answer;
    bool has_answer;
    bool is_closed; /* the stream is */
    uint32_t reset; /* HTTP/2's code of the close */

    size_t header_bytes;
    int http_status;
    int64_t status; /* -1: none came */
    char message[400];
    struct err err; /* what went wrong on our side */

    void (*on_message)(void *arg, const uint8_t *message, size_t len);
    void (*on_done)(void *arg, const struct grpc_reply *reply);
    void *arg;
};

/* A connection. The newest one takes calls; an older one, which the server has said good-bye to,
 * lives until its calls have ended. */
struct line {
    struct grpc_conn conn; /* first */
    struct grpc_client *client;
    struct line *next;
};

struct grpc_client {
    uv_loop_t *loop;
    char *path;
    struct line *lines; /* newest first */
    struct grpc_call *calls;
    nghttp2_session_callbacks *callbacks;
};

/* ---- the end of a call ---- */

static void on_timer_closed(uv_handle_t *h)
{
    struct grpc_call *call = h->data;
    text_done(&call->out);
    text_done(&call->raw);
    grpc_frames_done(&call->frames);
    text_done(&call->answer);
    free(call);
}

/* Takes CALL out of everything; its memory goes with the loop's next turn. */
static void release(struct grpc_call *call)
{
    struct grpc_call **at = &call->client->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    if (call->line && call->stream && call->line->conn.fd >= 0) {
        nghttp2_session *session = call->line->conn.session;
        nghttp2_session_set_stream_user_data(session, call->stream, NULL);
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
        grpc_conn_wake(&call->line->conn);
    }
    uv_close((uv_handle_t *)&call->timer, on_timer_closed);
}

void grpc_call_cancel(struct grpc_call *call)
{
    release(call);
}

static void finish(struct grpc_call *call)
{
    struct grpc_reply reply = {.err = call->err};
    if (!reply.err.code) {
        reply.bytes = (const uint8_t *)text_get(&call->answer);
        reply.len = call->answer.len;
    }
    release(call);
    call->on_done(call->arg, &reply);
}

/* The time is over, or there is no connection to wait for. */
static void on_time(uv_timer_t *timer)
{
    struct grpc_call *call = timer->data;
    if (!call->err.code)
        err_set(&call->err, ERR_TIMEOUT, "no answer over socket '%s' in time", call->client->path);
    finish(call);
}

/* What an HTTP status without a word from gRPC stands for. */
static enum err_code code_of_http(int status)
{
    switch (status) {
    case 401:
        return ERR_UNAUTHENTICATED;
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_METHOD;
    case 429:
    case 502:
    case 503:
    case 504:
        return ERR_UNAVAILABLE;
    default:
        return ERR_INTERNAL;
    }
}

/* The stream has closed: how did it go? */
static void judge(struct grpc_call *call)
{
    struct err *e = &call->err;
    if (e->code)
        return;
    if (call->status > 0)
        err_set(e, grpc_err_code(call->status), "%s",
                call->message[0] ? call->message : "the other side refuses without a reason");
    else if (call->status < 0 && call->http_status && call->http_status != 200)
        err_set(e, code_of_http(call->http_status), "the other side answers with HTTP status %d",
                call->http_status);
    else if (call->status < 0)
        err_set(e, call->reset == NGHTTP2_ENHANCE_YOUR_CALM ? ERR_EXHAUSTED : ERR_UNAVAILABLE,
                "the other side gave the call up (%s)", nghttp2_http2_strerror(call->reset));
    else if (!grpc_frames_may_end(&call->frames) || (!call->on_message && !call->has_answer))
        err_set(e, ERR_INTERNAL, "the answer ends before its message does");
}

/* ---- what nghttp2 tells: only noted ---- */

static struct grpc_call *find_call(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

static bool is_text(const uint8_t *p, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(p, text, len) == 0;
}

static int64_t read_number(const uint8_t *p, size_t len)
{
    int64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9' || len > 6)
            return GRPC_UNKNOWN;
        v = v * 10 + p[i] - '0';
    }
    return len ? v : GRPC_UNKNOWN;
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent signs undone; what is not printable becomes '?'. */
static void read_message(char *to, size_t room, const uint8_t *p, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < room; i++) {
        uint8_t c = p[i];
        if (c == '%' && i + 2 < len && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
            c = (uint8_t)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
            i += 2;
        }
        to[n++] = (char)(c < ' ' || c == 0x7f ? '?' : c);
    }
    to[n] = '\0';
    for (size_t i = 0; !text_is_utf8(to, n) && i < n; i++)
        if ((unsigned char)to[i] >= 0x80)
            to[i] = '?';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct grpc_call *call = find_call(session, frame->hd.stream_id);
    (void)flags, (void)arg;
    if (!call)
        return 0;
    call->header_bytes += name_len + value_len;
    if (call->header_bytes > HEADERS_MOST)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (is_text(name, name_len, ":status"))
        call->http_status = (int)read_number(value, value_len);
    else if (is_text(name, name_len, "grpc-status"))
        call->status = read_number(value, value_len);
    else if (is_text(name, name_len, "grpc-message"))
        read_message(call->message, sizeof call->message, value, value_len);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *arg)
{
    struct grpc_call *call = find_call(session, stream);
    (void)flags, (void)arg;
    if (call && !call->err.code)
        text_add_bytes(&call->raw, data, len);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *arg)
{
    struct grpc_call *call = find_call(session, stream);
    (void)arg;
    if (call) {
        call->stream = 0;
        call->is_closed = true;
        call->reset = code;
    }
    return 0;
}

/* ---- acting on it ---- */

static int take_message(void *arg, const uint8_t *message, size_t len, struct err *e)
{
    struct grpc_call *call = arg;
    if (call->has_answer && !call->on_message)
        return err_set(e, ERR_INTERNAL, "the answer has more than one message");
    call->has_answer = true;
    text_add_bytes(&call->answer, message, len);
    return 0;
}

/* How far the frames may be fed without coming to the end of more than one message. */
static size_t one_step(const struct grpc_call *call)
{
    const struct grpc_frames *f = &call->frames;
    size_t left = call->raw.len - call->raw_at;
    size_t step =
        f->head_len < sizeof f->head ? sizeof f->head - f->head_len : f->want - f->message.len;
    return step < left ? step : left;
}

/* Looks at what has come. True: a message of a stream is in CALL->answer. */
static bool next_message(struct grpc_call *call)
{
    if (call->on_message) {
        text_clear(&call->answer);
        call->has_answer = false;
    }
    while (call->raw_at < call->raw.len && !call->err.code) {
        size_t step = one_step(call);
        const char *at = call->raw.data + call->raw_at;
        call->raw_at += step;
        grpc_frames_feed(&call->frames, at, step, take_message, call, &call->err);
        if (call->on_message && call->has_answer)
            return true;
    }
    text_clear(&call->raw);
    call->raw_at = 0;
    return false;
}

static struct grpc_call *next_call(struct line *l)
{
    for (struct grpc_call *call = l->client->calls; call; call = call->next)
        if (call->line == l && (call->raw.len || call->is_closed || call->err.code))
            return call;
    return NULL;
}

static bool has_calls(const struct line *l)
{
    for (const struct grpc_call *call = l->client->calls; call; call = call->next)
        if (call->line == l)
            return true;
    return false;
}

static void close_line(struct line *l)
{
    struct line **at = &l->client->lines;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    grpc_conn_close(&l->conn);
}

static void on_turn(struct grpc_conn *c)
{
    struct line *l = (struct line *)c;
    for (struct grpc_call *call; c->fd >= 0 && (call = next_call(l));) {
        if (call->raw.len && !call->err.code) {
            if (next_message(call))
                call->on_message(call->arg, (const uint8_t *)text_get(&call->answer),
                                 call->answer.len);
            continue;
        }
        if (call->on_message)
            text_clear(&call->answer);
        judge(call);
        finish(call);
    }
    if (c->fd >= 0 && l != l->client->lines && !has_calls(l))
        close_line(l);
}

static void on_end(struct grpc_conn *c)
{
    struct line *l = (struct line *)c;
    struct grpc_client *client = l->client;
    close_line(l);
    for (struct grpc_call *call = client->calls; call; call = call->next) {
        if (call->line != l)
            continue;
        call->line = NULL;
        call->stream = 0;
        err_set(&call->err, ERR_UNAVAILABLE, "the other side of socket '%s' has gone",
                client->path);
        uv_timer_start(&call->timer, on_time, 0, 0);
    }
}

static void on_free(struct grpc_conn *c)
{
    free(c);
}

/* ---- beginning ---- */

static int connect_socket(const char *path, struct err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof addr.sun_path)
        return err_set(e, ERR_INVALID, "the path of socket '%.200s' is too long", path);
    strcpy(addr.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, errno, "could not make a socket");
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) < 0) {
        err_sys(e, errno, "could not connect to socket '%s'", path);
        if (e)
            e->code = ERR_UNAVAILABLE;
        close(fd);
        return -1;
    }
    return fd;
}

/* A connection that takes calls. */
static struct line *open_line(struct grpc_client *c, struct err *e)
{
    if (c->lines && nghttp2_session_check_request_allowed(c->lines->conn.session))
        return c->lines;
    auto_close int fd = connect_socket(c->path, e);
    if (fd < 0)
        return NULL;
    struct line *l = mem_new(struct line), *old = c->lines;
    l->client = c;
    l->conn.on_turn = on_turn;
    l->conn.on_end = on_end;
    l->conn.on_free = on_free;
    if (grpc_conn_open(&l->conn, c->loop, fd, false, 0, c->callbacks, e) < 0) {
        free(l);
        return NULL;
    }
    take_fd(&fd);
    l->next = c->lines;
    c->lines = l;
    if (old && !has_calls(old))
        close_line(old);
    return l;
}

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct grpc_call *call = find_call(session, stream);
    (void)source, (void)arg;
    if (!call)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* cancelled: the stream is reset */
    ssize_t n = grpc_source(&call->out, &call->out_at, buf, room);
    if (call->out_at == call->out.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return n;
}

static int submit(struct grpc_call *call, const char *path, int64_t timeout_ms, struct err *e)
{
    char timeout[24];
    if (FAILPOINT("net.grpc_call"))
        return err_set(e, ERR_UNAVAILABLE, "failpoint net.grpc_call");
    struct line *l = open_line(call->client, e);
    if (!l)
        return -1;
    snprintf(timeout, sizeof timeout, "%lldm", (long long)timeout_ms);
    const nghttp2_nv pairs[] = {
        GRPC_PAIR(":method", "POST"),
        GRPC_PAIR(":scheme", "http"),
        GRPC_PAIR(":path", path),
        GRPC_PAIR(":authority", "localhost"),
        GRPC_PAIR("te", "trailers"),
        GRPC_PAIR("content-type", "application/grpc"),
        GRPC_PAIR("user-agent", "reeve/" REEVE_VERSION),
        GRPC_PAIR("grpc-timeout", timeout),
    };
    const nghttp2_data_provider source = {{.ptr = NULL}, read_request};
    int32_t stream = nghttp2_submit_request(l->conn.session, NULL, pairs,
                                            COUNT_OF(pairs) - (timeout_ms ? 0 : 1), &source, call);
    if (stream < 0)
        return err_set(e, ERR_UNAVAILABLE, "the call cannot begin: %s", nghttp2_strerror(stream));
    call->line = l;
    call->stream = stream;
    grpc_conn_wake(&l->conn);
    return 0;
}

struct grpc_call *grpc_call_send(struct grpc_client *c, const struct grpc_call_config *config,
                                 void (*on_done)(void *arg, const struct grpc_reply *reply),
                                 void *arg)
{
    struct grpc_call *call = mem_new(struct grpc_call);
    int64_t timeout_ms = config->timeout_ms   ? config->timeout_ms
                         : config->on_message ? 0
                                              : USUAL_TIMEOUT_MS;
    call->client = c;
    call->frames.most = config->max_message ? config->max_message : USUAL_MESSAGE;
    call->status = -1;
    call->on_message = config->on_message;
    call->on_done = on_done;
    call->arg = arg;
    grpc_frame_add(&call->out, config->message, config->len);
    uv_timer_init(c->loop, &call->timer);
    call->timer.data = call;
    if (submit(call, config->path, timeout_ms, &call->err) < 0)
        uv_timer_start(&call->timer, on_time, 0, 0);
    else if (timeout_ms)
        uv_timer_start(&call->timer, on_time, (uint64_t)timeout_ms, 0);
    call->next = c->calls;
    c->calls = call;
    return call;
}

struct grpc_client *grpc_client_new(uv_loop_t *loop, const char *path)
{
    struct grpc_client *c = mem_new(struct grpc_client);
    c->loop = loop;
    c->path = mem_strdup(path);
    if (nghttp2_session_callbacks_new(&c->callbacks) != 0)
        abort(); /* as where any memory of ours is not to be had */
    nghttp2_session_callbacks_set_on_header_callback(c->callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c->callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c->callbacks, on_stream_close);
    return c;
}

void grpc_client_free(struct grpc_client *c)
{
    if (!c)
        return;
    while (c->calls)
        grpc_call_cancel(c->calls);
    while (c->lines)
        close_line(c->lines);
    nghttp2_session_callbacks_del(c->callbacks);
    free(c->path);
    free(c);
}
