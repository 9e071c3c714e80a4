/* Both ends of gRPC against each other, and the server against peers that do not mean well. */
#include "base/mem.h"
#include "net/grpc_client.h"
#include "net/grpc_frame.h"
#include "net/grpc_server.h"

#include "test.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- frames ---- */

static int note(void *arg, const uint8_t *message, size_t len, struct err *e)
{
    (void)e;
    text_addf(arg, "%zu:", len);
    text_add_bytes(arg, message, len);
    text_add_char(arg, ' ');
    return 0;
}

TEST("messages come out whole however their bytes come in")
{
    static const char bytes[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\1x";
    for (size_t step = 1; step < sizeof bytes; step++) {
        struct grpc_frames f = {.most = 100};
        auto_text struct text got = {0};
        for (size_t at = 0; at < sizeof bytes - 1; at += step) {
            size_t left = sizeof bytes - 1 - at;
            CHECK_OK(
                grpc_frames_feed(&f, bytes + at, step < left ? step : left, note, &got, &test_err));
        }
        CHECK_TEXT(text_get(&got), "3:abc 0: 1:x ");
        CHECK(grpc_frames_may_end(&f));
        grpc_frames_done(&f);
    }
}

TEST("a message that is too large is refused by its head, a compressed one by its first byte")
{
    struct grpc_frames f = {.most = 100};
    auto_text struct text got = {0};
    CHECK_FAILS(grpc_frames_feed(&f, "\0\xff\xff\xff\xff", 5, note, &got, &test_err), ERR_TOO_LARGE,
                "more than 100");
    CHECK_INT(f.message.room, 0);
    f = (struct grpc_frames){.most = 100};
    CHECK_FAILS(grpc_frames_feed(&f, "\1\0\0\0\1x", 6, note, &got, &test_err), ERR_METHOD,
                "compressed");
    f = (struct grpc_frames){.most = 100};
    CHECK_FAILS(grpc_frames_feed(&f, "PRI *", 5, note, &got, &test_err), ERR_INVALID, "begins");
}

TEST("half a message is no place to end")
{
    struct grpc_frames f = {.most = 100};
    auto_text struct text got = {0};
    CHECK_OK(grpc_frames_feed(&f, "\0\0\0\0\2x", 6, note, &got, &test_err));
    CHECK(!grpc_frames_may_end(&f));
    grpc_frames_done(&f);
}

/* ---- a scene: server and client on one loop ---- */

struct scene {
    uv_loop_t loop;
    char path[64];
    struct grpc_server *server;
    struct grpc_client *client;
    struct grpc_request *held, *watcher;
    int gone, echoed;
};

static void echo(void *arg, struct grpc_request *r, const uint8_t *message, size_t len)
{
    ((struct scene *)arg)->echoed++;
    grpc_answer(r, message, len);
}

static void refuse(void *arg, struct grpc_request *r, const uint8_t *message, size_t len)
{
    struct err e = {0};
    (void)arg, (void)message, (void)len;
    err_set(&e, ERR_NOT_FOUND, "no GPU '100%%' \xc3\xa9 here\n");
    grpc_fail(r, &e);
}

static void hold(void *arg, struct grpc_request *r, const uint8_t *message, size_t len)
{
    (void)message, (void)len;
    ((struct scene *)arg)->held = r;
}

static void on_gone(void *arg, struct grpc_request *r)
{
    struct scene *s = arg;
    CHECK(r == s->watcher);
    s->watcher = NULL;
    s->gone++;
}

static void watch(void *arg, struct grpc_request *r, const uint8_t *message, size_t len)
{
    struct scene *s = arg;
    s->watcher = r;
    grpc_stream_open(r, on_gone, s);
    grpc_stream_state(r, message, len);
}

static const struct grpc_method methods[] = {
    {"/t.T/Echo", echo},
    {"/t.T/Refuse", refuse},
    {"/t.T/Hold", hold},
    {"/t.T/Watch", watch},
};

static void begin(struct scene *s, const struct grpc_server_config *more)
{
    struct grpc_server_config config = more ? *more : (struct grpc_server_config){0};
    config.methods = methods;
    config.method_count = COUNT_OF(methods);
    config.arg = s;
    *s = (struct scene){0};
    uv_loop_init(&s->loop);
    snprintf(s->path, sizeof s->path, "/tmp/reeve-grpc-%d.sock", (int)getpid());
    CHECK_OK(grpc_server_start(&s->loop, s->path, &config, &s->server, &test_err));
    s->client = grpc_client_new(&s->loop, s->path);
}

static void end(struct scene *s)
{
    grpc_client_free(s->client);
    grpc_server_stop(s->server);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&s->loop), 0);
    CHECK(access(s->path, F_OK) < 0);
}

/* What a call had to say. */
struct told {
    struct err err;
    struct text text, messages;
    int done, message_count;
    int cancel_after;
    struct grpc_call *call;
};

static void on_done(void *arg, const struct grpc_reply *reply)
{
    struct told *t = arg;
    t->done++;
    t->err = reply->err;
    text_add_bytes(&t->text, reply->bytes, reply->len);
}

static void on_message(void *arg, const uint8_t *message, size_t len)
{
    struct told *t = arg;
    t->message_count++;
    text_add_bytes(&t->messages, message, len);
    text_add_char(&t->messages, ' ');
    if (t->message_count == t->cancel_after)
        grpc_call_cancel(t->call);
}

static void told_done(struct told *t)
{
    text_done(&t->text);
    text_done(&t->messages);
}
#define auto_told AUTO(told_done)

static void send_message(struct scene *s, struct told *t, const char *path, const void *message,
                         size_t len)
{
    const struct grpc_call_config config = {.path = path, .message = message, .len = len};
    t->call = grpc_call_send(s->client, &config, on_done, t);
    CHECK_INT(t->done, 0);
}

static void on_give_up(uv_timer_t *timer)
{
    (void)timer;
    ck_abort_msg("nothing happens any more");
}

/* Runs the loop until *WHAT is WANTED. */
static void until(struct scene *s, const int *what, int wanted)
{
    uv_timer_t timer;
    uv_timer_init(&s->loop, &timer);
    uv_timer_start(&timer, on_give_up, 20000, 0);
    while (*what < wanted)
        uv_run(&s->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&s->loop, UV_RUN_NOWAIT);
}

TEST("a call is answered, also an empty one and one of many frames")
{
    struct scene s;
    begin(&s, NULL);
    auto_told struct told small = {0}, empty = {0}, large = {0};
    size_t len = 700000;
    auto_free char *big = mem_alloc(1, len);
    memset(big, 'x', len);
    send_message(&s, &small, "/t.T/Echo", "hello", 5);
    send_message(&s, &empty, "/t.T/Echo", "", 0);
    send_message(&s, &large, "/t.T/Echo", big, len);
    until(&s, &small.done, 1);
    until(&s, &empty.done, 1);
    until(&s, &large.done, 1);
    CHECK_TEXT(text_get(&small.text), "hello");
    CHECK_INT(empty.err.code, ERR_NONE);
    CHECK_INT(empty.text.len, 0);
    CHECK_INT(large.text.len, len);
    CHECK(memcmp(large.text.data, big, len) == 0);
    end(&s);
}

TEST("a refusal keeps its code and its words")
{
    struct scene s;
    begin(&s, NULL);
    auto_told struct told t = {0};
    send_message(&s, &t, "/t.T/Refuse", "x", 1);
    until(&s, &t.done, 1);
    CHECK_INT(t.err.code, ERR_NOT_FOUND);
    CHECK_TEXT(t.err.text, "no GPU '100%' \xc3\xa9 here?");
    end(&s);
}

TEST("a method that is not there is said to be so")
{
    struct scene s;
    begin(&s, NULL);
    auto_told struct told t = {0};
    send_message(&s, &t, "/t.T/None", "x", 1);
    until(&s, &t.done, 1);
    CHECK_INT(t.err.code, ERR_METHOD);
    end(&s);
}

TEST("a message over the server's limit is refused by its length, one over the client's too")
{
    struct scene s;
    begin(&s, &(struct grpc_server_config){.max_message = 1000});
    auto_told struct told t = {0}, u = {0};
    char big[2000] = "";
    send_message(&s, &t, "/t.T/Echo", big, sizeof big);
    until(&s, &t.done, 1);
    CHECK_INT(t.err.code, ERR_EXHAUSTED);
    CHECK(strstr(t.err.text, "more than 1000"));
    CHECK_INT(s.echoed, 0);

    const struct grpc_call_config config = {
        .path = "/t.T/Echo", .message = big, .len = 900, .max_message = 800};
    grpc_call_send(s.client, &config, on_done, &u);
    until(&s, &u.done, 1);
    CHECK_INT(u.err.code, ERR_TOO_LARGE);
    end(&s);
}

TEST("a call without an answer ends in time, and the late answer goes to nobody")
{
    struct scene s;
    begin(&s, NULL);
    auto_told struct told t = {0}, u = {0};
    const struct grpc_call_config config = {
        .path = "/t.T/Hold", .message = "x", .len = 1, .timeout_ms = 50};
    grpc_call_send(s.client, &config, on_done, &t);
    until(&s, &t.done, 1);
    CHECK_INT(t.err.code, ERR_TIMEOUT);
    send_message(&s, &u, "/t.T/Echo", "still here", 10);
    until(&s, &u.done, 1);
    CHECK_TEXT(text_get(&u.text), "still here");
    grpc_answer(s.held, "late", 4);
    end(&s);
}

TEST("a stream tells states as they come, and only the newest to whom does not read")
{
    struct scene s;
    begin(&s, NULL);
    auto_told struct told t = {0};
    const struct grpc_call_config config = {
        .path = "/t.T/Watch", .message = "first", .len = 5, .on_message = on_message};
    t.call = grpc_call_send(s.client, &config, on_done, &t);
    until(&s, &t.message_count, 1);
    grpc_stream_state(s.watcher, "a", 1);
    grpc_stream_state(s.watcher, "b", 1);
    until(&s, &t.message_count, 2);
    CHECK_TEXT(text_get(&t.messages), "first b ");
    struct err e = {0};
    err_set(&e, ERR_CONFLICT, "that was all");
    grpc_fail(s.watcher, &e);
    until(&s, &t.done, 1);
    CHECK_TEXT(t.err.text, "that was all");
    CHECK_INT(s.gone, 0);
    end(&s);
}

TEST("a client that leaves a stream is heard of, also from within a message")
{
    struct scene s;
    begin(&s, NULL);
    auto_told struct told t = {.cancel_after = 1};
    const struct grpc_call_config config = {
        .path = "/t.T/Watch", .message = "first", .len = 5, .on_message = on_message};
    t.call = grpc_call_send(s.client, &config, on_done, &t);
    until(&s, &s.gone, 1);
    CHECK_INT(t.done, 0);
    end(&s);
}

TEST("a server that stops ends its streams and calls, and a new one is found by the same client")
{
    struct scene s;
    begin(&s, NULL);
    auto_told struct told t = {0}, u = {0}, v = {0};
    const struct grpc_call_config config = {
        .path = "/t.T/Watch", .message = "first", .len = 5, .on_message = on_message};
    t.call = grpc_call_send(s.client, &config, on_done, &t);
    until(&s, &t.message_count, 1);
    grpc_server_stop(s.server);
    CHECK_INT(s.gone, 1);
    until(&s, &t.done, 1);
    CHECK_INT(t.err.code, ERR_UNAVAILABLE);
    send_message(&s, &u, "/t.T/Echo", "x", 1);
    until(&s, &u.done, 1);
    CHECK_INT(u.err.code, ERR_UNAVAILABLE);

    const struct grpc_server_config again = {
        .methods = methods, .method_count = COUNT_OF(methods), .arg = &s};
    CHECK_OK(grpc_server_start(&s.loop, s.path, &again, &s.server, &test_err));
    send_message(&s, &v, "/t.T/Echo", "x", 1);
    until(&s, &v.done, 1);
    CHECK_INT(v.err.code, ERR_NONE);
    end(&s);
}

TEST("a client may be freed while it calls, and by the end of a call")
{
    struct scene s;
    begin(&s, NULL);
    auto_told struct told t = {0};
    send_message(&s, &t, "/t.T/Echo", "x", 1);
    grpc_client_free(TAKE(s.client));
    uv_run(&s.loop, UV_RUN_NOWAIT);
    CHECK_INT(t.done, 0);
    end(&s);
}

TEST("the socket is this account's alone, and one that somebody removed is noticed")
{
    struct scene s;
    struct stat st;
    begin(&s, NULL);
    CHECK(stat(s.path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(grpc_server_is_reachable(s.server));
    unlink(s.path);
    CHECK(!grpc_server_is_reachable(s.server));
    end(&s);
}

/* ---- peers that do not mean well ---- */

static int raw_peer(struct scene *s)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    strcpy(addr.sun_path, s->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0);
    return fd;
}

/* Has the server closed it? Reads what there is. */
static bool is_cut(int fd)
{
    char buf[4096];
    ssize_t n;
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
        ;
    return n == 0 || errno != EAGAIN;
}

static void turns(struct scene *s, int count)
{
    while (count-- > 0)
        uv_run(&s->loop, UV_RUN_NOWAIT);
}

static void still_serves(struct scene *s)
{
    auto_told struct told t = {0};
    send_message(s, &t, "/t.T/Echo", "x", 1);
    until(s, &t.done, 1);
    CHECK_INT(t.err.code, ERR_NONE);
}

TEST("who does not speak HTTP/2 is cut off")
{
    struct scene s;
    begin(&s, NULL);
    int fd = raw_peer(&s);
    CHECK(send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, 0) == 27);
    turns(&s, 5);
    CHECK(is_cut(fd));
    close(fd);
    still_serves(&s);
    end(&s);
}

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

TEST("a frame larger than allowed, and half a frame, harm nobody else")
{
    struct scene s;
    begin(&s, NULL);
    int huge = raw_peer(&s), half = raw_peer(&s);
    static const char settings[] = PREFACE "\0\0\0\4\0\0\0\0\0";
    CHECK(send(huge, settings, sizeof settings - 1, 0) > 0);
    CHECK(send(huge, "\xff\xff\xff\0\1\0\0\0\1", 9, 0) == 9);
    CHECK(send(half, settings, sizeof settings - 4, 0) > 0);
    turns(&s, 10);
    CHECK(is_cut(huge));
    CHECK(!is_cut(half));
    close(huge);
    close(half);
    turns(&s, 5);
    still_serves(&s);
    end(&s);
}

TEST("a flood of pings that nobody reads the answers of is cut off")
{
    struct scene s;
    begin(&s, NULL);
    int fd = raw_peer(&s);
    static const char settings[] = PREFACE "\0\0\0\4\0\0\0\0\0";
    static const char ping[17] = "\0\0\10\6\0\0\0\0\0abcdefgh";
    send(fd, settings, sizeof settings - 1, 0);
    bool cut = false;
    for (int i = 0; i < 200000 && !cut; i++) {
        ssize_t n = send(fd, ping, sizeof ping, MSG_NOSIGNAL);
        cut = n < 0 && errno != EAGAIN;
        if (n < 0 || i % 100 == 0)
            turns(&s, 1);
        if (n < 0 && !cut && i > 50000)
            break; /* its own buffer is full, and so are ours: nothing grows */
    }
    close(fd);
    turns(&s, 5);
    still_serves(&s);
    end(&s);
}

TEST("of too many connections the idle ones go")
{
    struct scene s;
    begin(&s, &(struct grpc_server_config){.max_connections = 4});
    int fds[12];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = raw_peer(&s);
        turns(&s, 3);
    }
    int cut = 0;
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        cut += is_cut(fds[i]);
    CHECK_INT(cut, 8);
    still_serves(&s);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
    end(&s);
}

/* A client made of nghttp2 alone, that says what it likes. */
struct rude {
    int fd;
    nghttp2_session *session;
    const char *body;
    size_t body_len, body_at;
    bool ends;
    char status[8];
};

static ssize_t rude_body(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct rude *r = arg;
    (void)session, (void)stream, (void)source;
    size_t n = r->body_len - r->body_at < room ? r->body_len - r->body_at : room;
    memcpy(buf, r->body + r->body_at, n);
    r->body_at += n;
    if (r->body_at == r->body_len && r->ends)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return n || r->ends ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

static int rude_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                       size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                       void *arg)
{
    struct rude *r = arg;
    (void)session, (void)frame, (void)flags;
    if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        snprintf(r->status, sizeof r->status, "%.*s", (int)value_len, (const char *)value);
    return 0;
}

static void rude_turn(struct scene *s, struct rude *r)
{
    const uint8_t *bytes;
    uint8_t buf[8192];
    ssize_t n;
    while ((n = nghttp2_session_mem_send(r->session, &bytes)) > 0)
        CHECK(send(r->fd, bytes, (size_t)n, MSG_NOSIGNAL) == n);
    turns(s, 5);
    while ((n = recv(r->fd, buf, sizeof buf, 0)) > 0)
        CHECK(nghttp2_session_mem_recv(r->session, buf, (size_t)n) == n);
}

static void rude_begin(struct scene *s, struct rude *r)
{
    nghttp2_session_callbacks *c;
    nghttp2_session_callbacks_new(&c);
    nghttp2_session_callbacks_set_on_header_callback(c, rude_header);
    nghttp2_session_client_new(&r->session, c, r);
    nghttp2_session_callbacks_del(c);
    r->fd = raw_peer(s);
    nghttp2_submit_settings(r->session, 0, NULL, 0);
}

static int32_t rude_ask(struct rude *r, const char *type)
{
    const char *const pairs[][2] = {{":method", "POST"},
                                    {":scheme", "http"},
                                    {":path", "/t.T/Echo"},
                                    {":authority", "x"},
                                    {"content-type", type}};
    nghttp2_nv nv[COUNT_OF(pairs)];
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        nv[i] = (nghttp2_nv){(uint8_t *)(uintptr_t)pairs[i][0], (uint8_t *)(uintptr_t)pairs[i][1],
                             strlen(pairs[i][0]), strlen(pairs[i][1]), 0};
    const nghttp2_data_provider source = {{.ptr = NULL}, rude_body};
    r->body_at = 0;
    return nghttp2_submit_request(r->session, NULL, nv, COUNT_OF(nv), &source, NULL);
}

static void rude_end(struct rude *r)
{
    close(r->fd);
    nghttp2_session_del(r->session);
}

TEST("half a message, two messages, no gRPC at all: each is answered by its code")
{
    static const struct {
        const char *type, *body;
        size_t len;
        const char *status;
    } cases[] = {
        {"application/grpc", "\0\0\0\0\5x", 6, "3"},
        {"application/grpc", "", 0, "3"},
        {"application/grpc", "\0\0\0\0\0\0\0\0\0\0", 10, "12"},
        {"application/grpc", "\1\0\0\0\0", 5, "12"},
        {"application/grpc", "\0\xff\xff\xff\xff", 5, "8"},
        {"text/plain", "\0\0\0\0\0", 5, "3"},
        {"application/grpc+proto", "\0\0\0\0\0", 5, "0"},
    };
    struct scene s;
    begin(&s, NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rude r = {.body = cases[i].body, .body_len = cases[i].len, .ends = true};
        rude_begin(&s, &r);
        rude_ask(&r, cases[i].type);
        for (int turn = 0; turn < 4; turn++)
            rude_turn(&s, &r);
        CHECK_TEXT(r.status, cases[i].status);
        rude_end(&r);
    }
    CHECK_INT(s.echoed, 1);
    still_serves(&s);
    end(&s);
}

TEST("who goes on sending what was refused is told why")
{
    struct scene s;
    begin(&s, NULL);
    struct rude r = {.body = "\0\xff\xff\xff\xff", .body_len = 5};
    rude_begin(&s, &r);
    rude_ask(&r, "application/grpc");
    for (int turn = 0; turn < 4; turn++)
        rude_turn(&s, &r);
    CHECK_TEXT(r.status, "8");
    rude_end(&r);
    end(&s);
}

TEST("a thousand calls that are reset at once, and a peer that goes in the middle, leave nothing")
{
    struct scene s;
    begin(&s, NULL);
    struct rude r = {.body = "\0\0\0\0\5x", .body_len = 6};
    rude_begin(&s, &r);
    for (int i = 0; i < 1000; i++) {
        int32_t stream = rude_ask(&r, "application/grpc");
        if (i % 8 == 7)
            rude_turn(&s, &r);
        nghttp2_submit_rst_stream(r.session, 0, stream, NGHTTP2_CANCEL);
    }
    rude_ask(&r, "application/grpc");
    rude_turn(&s, &r);
    rude_end(&r);
    turns(&s, 5);
    still_serves(&s);
    end(&s);
}
