#include "door.h"

#include "base/mem.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- a client on the test's own loop ---- */

struct side {
    uv_loop_t loop;
    struct http_client *client;
};

static void side_open(struct side *s)
{
    uv_loop_init(&s->loop);
    s->client = http_client_new(&s->loop);
}

static void side_close(struct side *s)
{
    http_client_free(s->client);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&s->loop), 0);
}

struct result {
    int done, status;
    char body[4096];
    size_t len;
    char type[64];
    struct err err;
};

static void note(void *arg, const struct http_reply *reply)
{
    struct result *r = arg;
    const char *type = http_reply_header(reply, "Content-Type");
    r->done++;
    r->status = reply->status;
    r->len = reply->len;
    r->err = reply->err;
    snprintf(r->body, sizeof r->body, "%s", reply->body);
    snprintf(r->type, sizeof r->type, "%s", type ? type : "");
}

static struct result ask(struct side *s, const struct http_call *call)
{
    struct result r = {0};
    http_client_send(s->client, call, note, &r);
    CHECK_INT(r.done, 0); /* never from within */
    while (!r.done)
        uv_run(&s->loop, UV_RUN_ONCE);
    return r;
}

static struct result ask_url(struct side *s, const char *url)
{
    return ask(s, &(struct http_call){.url = url, .timeout_ms = 5000});
}

/* ---- a server that lies: answers with these bytes, then does WHAT; what it is to send again and
 * again stands behind '|', or is all of it ---- */

enum afterwards { CLOSE, HANG, REPEAT };

struct liar {
    const char *bytes;
    enum afterwards what;
    int fd, connections;
    char url[64];
    uv_thread_t thread;
};

static void lie(void *arg)
{
    struct liar *l = arg;
    for (int i = 0; i < l->connections; i++) {
        auto_close int fd = accept(l->fd, NULL, NULL);
        char bytes[4096];
        if (fd < 0 || recv(fd, bytes, sizeof bytes, 0) <= 0)
            continue;
        const char *bar = strchr(l->bytes, '|'), *again = bar ? bar + 1 : l->bytes;
        send(fd, l->bytes, bar ? (size_t)(bar - l->bytes) : strlen(l->bytes), MSG_NOSIGNAL);
        while (l->what == REPEAT && send(fd, again, strlen(again), MSG_NOSIGNAL) > 0)
            ;
        while (l->what == HANG && recv(fd, bytes, sizeof bytes, 0) > 0)
            ;
    }
}

static void liar_open(struct liar *l, const char *bytes, enum afterwards what)
{
    *l = (struct liar){.bytes = bytes, .what = what, .connections = 1};
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof addr;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(l->fd, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(l->fd, 8) == 0);
    getsockname(l->fd, (struct sockaddr *)&addr, &len);
    snprintf(l->url, sizeof l->url, "http://127.0.0.1:%d/", ntohs(addr.sin_port));
    uv_thread_create(&l->thread, lie, l);
}

static void liar_close(struct liar *l)
{
    uv_thread_join(&l->thread);
    close(l->fd);
}

static struct result ask_liar(const char *bytes, enum afterwards what, const struct http_call *like)
{
    struct liar l;
    struct side s;
    struct http_call call = like ? *like : (struct http_call){0};
    liar_open(&l, bytes, what);
    side_open(&s);
    call.url = l.url;
    if (!call.timeout_ms)
        call.timeout_ms = 10000;
    struct result r = ask(&s, &call);
    side_close(&s);
    liar_close(&l);
    return r;
}

/* ---- stories ---- */

TEST("calls are made on kept connections, with their method, headers and body")
{
    auto_door struct door d = {0};
    struct side s;
    door_open(&d);
    side_open(&s);
    auto_free char *hello = mem_printf("%s/hello", d.url);
    auto_free char *echo = mem_printf("%s/echo", d.url);
    auto_free char *nothing = mem_printf("%s/nothing", d.url);
    struct result r = ask_url(&s, hello);
    CHECK_INT(r.status, 200);
    CHECK_TEXT(r.body, "hello");
    CHECK_TEXT(r.type, "text/plain");
    r = ask(&s, &(struct http_call){HTTP_POST, .url = echo, .body = "abc", .len = 3});
    CHECK_TEXT(r.body, "abc");
    r = ask(&s, &(struct http_call){HTTP_PUT, .url = echo, .body = "put", .len = 3});
    CHECK_TEXT(r.body, "put");
    r = ask(&s, &(struct http_call){HTTP_POST, .url = echo});
    CHECK_INT(r.status, 200);
    CHECK_INT(r.len, 0);
    r = ask(&s, &(struct http_call){HTTP_HEAD, .url = hello});
    CHECK_INT(r.status, 200);
    CHECK_INT(r.len, 0);
    r = ask(&s, &(struct http_call){HTTP_DELETE, .url = nothing});
    CHECK_INT(r.status, 404);
    CHECK_INT(r.err.code, ERR_NONE);
    CHECK_INT(door_counts(&d).connections_total, 1);
    side_close(&s);
}

TEST("a hundred calls at once all come back")
{
    auto_door struct door d = {0};
    struct side s;
    door_open(&d);
    side_open(&s);
    static struct result r[100];
    auto_free char *later = mem_printf("%s/later", d.url);
    memset(r, 0, sizeof r);
    for (int i = 0; i < 100; i++)
        http_client_send(s.client, &(struct http_call){.url = later}, note, &r[i]);
    uv_run(&s.loop, UV_RUN_DEFAULT); /* ends when nothing is under way */
    for (int i = 0; i < 100; i++) {
        CHECK_INT(r[i].done, 1);
        CHECK_TEXT(r[i].body, "later");
    }
    side_close(&s);
}

TEST("a cancelled call is not heard of again, whenever it is cancelled")
{
    auto_door struct door d = {0};
    struct side s;
    struct result r = {0};
    door_open(&d);
    side_open(&s);
    auto_free char *hold = mem_printf("%s/hold", d.url);
    http_call_cancel(http_client_send(s.client, &(struct http_call){.url = hold}, note, &r));
    http_call_cancel(http_client_send(s.client, &(struct http_call){.url = "bad\r\n"}, note, &r));
    struct http_client_call *call =
        http_client_send(s.client, &(struct http_call){.url = hold}, note, &r);
    while (d.held_now < 1)
        uv_run(&s.loop, UV_RUN_NOWAIT);
    http_call_cancel(call);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    CHECK_INT(r.done, 0);
    side_close(&s);
}

TEST("a client may be freed with calls under way")
{
    auto_door struct door d = {0};
    struct side s;
    struct result r = {0};
    door_open(&d);
    side_open(&s);
    auto_free char *hold = mem_printf("%s/hold", d.url);
    for (int i = 0; i < 5; i++)
        http_client_send(s.client, &(struct http_call){.url = hold}, note, &r);
    while (d.held_now < 5)
        uv_run(&s.loop, UV_RUN_NOWAIT);
    http_client_send(s.client, &(struct http_call){.url = hold}, note, &r);
    side_close(&s);
    CHECK_INT(r.done, 0);
}

/* What a call-back may do: cancel itself and others, send new calls. */
struct plot {
    struct side *side;
    struct door *door;
    struct http_client_call *self, *other;
    struct result other_result, next_result;
    char got[64];
    int done;
    const char *next_url;
};

static bool on_first_data(void *arg, const char *bytes, size_t len)
{
    struct plot *p = arg;
    snprintf(p->got, sizeof p->got, "%.*s", (int)len, bytes);
    http_call_cancel(p->other);
    http_client_send(p->side->client, &(struct http_call){.url = p->next_url}, note,
                     &p->next_result);
    http_call_cancel(p->self);
    return true;
}

static void count_done(void *arg, const struct http_reply *reply)
{
    (void)reply;
    ((struct plot *)arg)->done++;
}

TEST("a call-back may cancel its own call and others, and send new ones")
{
    auto_door struct door d = {0};
    struct side s;
    door_open(&d);
    side_open(&s);
    auto_free char *stream = mem_printf("%s/stream", d.url);
    auto_free char *hold = mem_printf("%s/hold", d.url);
    auto_free char *hello = mem_printf("%s/hello", d.url);
    struct plot p = {.side = &s, .door = &d, .next_url = hello};
    p.other = http_client_send(s.client, &(struct http_call){.url = hold}, note, &p.other_result);
    p.self = http_client_send(
        s.client, &(struct http_call){.url = stream, .on_data = on_first_data}, count_done, &p);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    CHECK_TEXT(p.got, "first\n");
    CHECK_INT(p.done, 0);
    CHECK_INT(p.other_result.done, 0);
    CHECK_TEXT(p.next_result.body, "hello");
    WAIT_FOR(d.closed, 1);
    side_close(&s);
}

static bool want_no_more(void *arg, const char *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    ((struct result *)arg)->done = 0;
    return false;
}

TEST("a stream ends without an error when the reader has enough")
{
    auto_door struct door d = {0};
    struct side s;
    door_open(&d);
    side_open(&s);
    auto_free char *stream = mem_printf("%s/stream", d.url);
    struct result r = ask(&s, &(struct http_call){.url = stream, .on_data = want_no_more});
    CHECK_INT(r.status, 200);
    CHECK_INT(r.err.code, ERR_NONE);
    side_close(&s);
}

TEST("an error answer to a streaming call is an ordinary body")
{
    auto_door struct door d = {0};
    struct side s;
    door_open(&d);
    side_open(&s);
    auto_free char *fail = mem_printf("%s/fail", d.url);
    struct result r = ask(&s, &(struct http_call){.url = fail, .on_data = want_no_more});
    CHECK_INT(r.status, 503);
    CHECK(strstr(r.body, "the store is"));
    side_close(&s);
}

TEST("a server that is not there, hangs or breaks off is said to be so")
{
    struct side s;
    side_open(&s);
    struct result r = ask_url(&s, "http://user:pass@127.0.0.1:1/secret/T0K3N?x=y");
    CHECK_INT(r.status, 0);
    CHECK_INT(r.err.code, ERR_UNAVAILABLE);
    CHECK(text_starts_with(r.err.text, "http://127.0.0.1:1: ")); /* without what may be secret */
    CHECK(!strstr(r.err.text, "T0K3N") && !strstr(r.err.text, "pass"));
    r = ask(&s, &(struct http_call){.url = "http://x/", .unix_socket = "/nonexistent/socket"});
    CHECK_INT(r.err.code, ERR_UNAVAILABLE);
    side_close(&s);

    struct http_call hasty = {.timeout_ms = 150};
    r = ask_liar("", HANG, &hasty);
    CHECK_INT(r.err.code, ERR_TIMEOUT);
    r = ask_liar("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part", HANG, &hasty);
    CHECK_INT(r.err.code, ERR_TIMEOUT);
    r = ask_liar("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part", CLOSE, NULL);
    CHECK_INT(r.status, 200);
    CHECK_INT(r.err.code, ERR_UNAVAILABLE);
    r = ask_liar("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", CLOSE, NULL);
    CHECK_INT(r.err.code, ERR_UNAVAILABLE);
    r = ask_liar("", CLOSE, NULL);
    CHECK_INT(r.err.code, ERR_UNAVAILABLE);
    r = ask_liar("SSH-2.0-OpenSSH_9.2\r\n", CLOSE, NULL);
    CHECK_INT(r.status, 0);
    CHECK(r.err.code != ERR_NONE);
}

TEST("a server that sends without end is cut off")
{
    struct result r =
        ask_liar("HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", REPEAT,
                 &(struct http_call){.max_body = 100000});
    CHECK_INT(r.err.code, ERR_TOO_LARGE);
    CHECK(r.len <= 100000);
    r = ask_liar("HTTP/1.1 200 OK\r\n|X-Header: and again and again and again\r\n", REPEAT, NULL);
    CHECK_INT(r.err.code, ERR_TOO_LARGE);
    r = ask_liar("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", REPEAT, NULL);
    CHECK_INT(r.err.code, ERR_TOO_LARGE);
}

static bool go_on(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return true;
}

TEST("a stream that falls silent is given up")
{
    struct http_call call = {.on_data = go_on, .silence_ms = 1000, .timeout_ms = 30000};
    struct result r = ask_liar("HTTP/1.1 200 OK\r\n\r\ndata: x\n\n", HANG, &call);
    CHECK_INT(r.err.code, ERR_TIMEOUT);
    CHECK_INT(r.status, 200);
}

TEST("redirects are not followed, proxies from the environment not used")
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    struct result r = ask_liar("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                               "Content-Length: 0\r\n\r\n",
                               CLOSE, NULL);
    CHECK_INT(r.status, 302);
    CHECK_INT(r.err.code, ERR_NONE);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
}

TEST("calls that make no sense fail before they are sent")
{
    struct side s;
    side_open(&s);
    CHECK_INT(ask_url(&s, "not a url at all").err.code, ERR_INVALID);
    CHECK_INT(ask_url(&s, "ftp://127.0.0.1/").err.code, ERR_INVALID);
    CHECK_INT(ask_url(&s, "file:///etc/passwd").err.code, ERR_INVALID);
    const struct http_header bad[] = {{"X", "a\r\nEvil: yes"}, {0}};
    struct result r = ask(&s, &(struct http_call){.url = "http://127.0.0.1:1/", .headers = bad});
    CHECK_INT(r.err.code, ERR_INVALID);
    side_close(&s);
}

TEST("an address that a user gave must be https and of the open Internet")
{
    struct side s;
    side_open(&s);
    struct result r =
        ask(&s, &(struct http_call){.url = "http://127.0.0.1:1/", .public_only = true});
    CHECK_INT(r.err.code, ERR_INVALID);
    static const char *const inside[] = {"https://127.0.0.1:1/",       "https://localhost:1/",
                                         "https://169.254.169.254/",   "https://[::1]:1/",
                                         "https://[::ffff:10.0.0.1]/", "https://0x7f000001/"};
    for (size_t i = 0; i < COUNT_OF(inside); i++) {
        r = ask(&s, &(struct http_call){.url = inside[i], .public_only = true});
        ck_assert_msg(r.err.code == ERR_DENIED, "%s: %s", inside[i], r.err.text);
    }
    side_close(&s);
}

TEST("the blocking client does the same, one call after the other")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_reply reply;
    const struct http_header headers[] = {{"X-Empty", ""}, {"X-Full", "yes"}, {0}};
    auto_free char *hello = mem_printf("%s/hello", d.url);
    auto_free char *nothing = mem_printf("%s/nothing", d.url);
    struct http_call call = {.url = hello, .headers = headers};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
        CHECK_TEXT(reply.body, "hello");
        CHECK_OK(http_reply_check(&reply, &test_err));
    }
    CHECK_INT(door_counts(&d).connections_total, 1);
    call.url = nothing;
    CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
    CHECK_FAILS(http_reply_check(&reply, &test_err), ERR_NOT_FOUND, "no such path: /nothing");
    call.url = "http://127.0.0.1:1/";
    CHECK_FAILS(http_sync_send(c, &call, NULL, &reply, &test_err), ERR_UNAVAILABLE, "127.0.0.1");
    CHECK_TEXT(reply.body, "");
    CHECK(http_reply_header(&reply, "X") == NULL);
}

TEST("a blocking call may be begun and finished later, or never")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_reply reply;
    auto_free char *hello = mem_printf("%s/hello", d.url);
    for (int i = 0; i < 3; i++) {
        auto_free char *copy = mem_strdup(hello); /* whose end the call outlives */
        CHECK(http_sync_begin(c, &(struct http_call){.url = copy}, NULL));
        free(TAKE(copy));
        CHECK_OK(http_sync_finish(c, &reply, &test_err));
        CHECK_TEXT(reply.body, "hello");
    }
    CHECK_INT(door_counts(&d).connections_total, 1);
    CHECK(http_sync_begin(c, &(struct http_call){.url = "http://127.0.0.1:1/"}, NULL));
    CHECK_FAILS(http_sync_finish(c, &reply, &test_err), ERR_UNAVAILABLE, "127.0.0.1");
    CHECK(!http_sync_begin(c, &(struct http_call){.url = "https://127.0.0.1:1/"}, NULL));
    CHECK_OK(http_sync_send(c, &(struct http_call){.url = hello}, NULL, &reply, &test_err));
    CHECK(http_sync_begin(c, &(struct http_call){.url = hello}, NULL));
}
