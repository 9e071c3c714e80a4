#include "net/http_wire.h"

#include "base/mem.h"

#include "test.h"

#include <string.h>

struct heard {
    struct text lines, body; /* lines with '\n' between */
    int refuse_after;        /* pieces of body; 0: never */
    int pieces;
};

static int on_line(void *arg, const char *line, size_t len, struct err *e)
{
    struct heard *h = arg;
    (void)e;
    text_add_bytes(&h->lines, line, len);
    text_add_char(&h->lines, '\n');
    return 0;
}

static int on_body(void *arg, const char *bytes, size_t len, struct err *e)
{
    struct heard *h = arg;
    text_add_bytes(&h->body, bytes, len);
    if (++h->pieces == h->refuse_after)
        return err_set(e, ERR_TOO_LARGE, "enough");
    return 0;
}

static const struct http_wire_events events = {on_line, on_body};

static void heard_done(struct heard *h)
{
    text_done(&h->lines);
    text_done(&h->body);
}

/* In pieces of STEP bytes, which must make no difference. */
static int take(struct http_wire *w, struct heard *h, const char *bytes, size_t step)
{
    size_t len = strlen(bytes);
    for (size_t at = 0; at < len; at += step)
        if (http_wire_take(w, bytes + at, at + step < len ? step : len - at, &events, h,
                           &test_err) < 0)
            return -1;
    return 0;
}

static void expect(const char *answer, const char *body, bool kept)
{
    for (size_t step = 1; step < 70; step += 4) {
        struct http_wire w;
        struct heard h = {0};
        http_wire_init(&w, false);
        CHECK_OK(take(&w, &h, answer, step));
        CHECK_INT(w.state, WIRE_DONE);
        CHECK_INT(w.status, 200);
        CHECK_INT(w.is_kept, kept);
        CHECK_TEXT(text_get(&h.body), body);
        heard_done(&h);
        http_wire_done(&w);
    }
}

TEST("an answer is the same however its bytes arrive")
{
    expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true);
    expect("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "", true);
    expect("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n06;x=y\r\n world\r\n"
           "0\r\nX-Sum: 1\r\n\r\n",
           "hello world", true);
    expect("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
           "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\n!",
           "!", false);
    expect("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n!", "!", false);
    expect("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!HTTP/1.1 200 OK", "!", false);
}

TEST("an answer without a length ends with its connection, one with a length must be whole")
{
    struct http_wire w;
    struct heard h = {0};
    http_wire_init(&w, false);
    CHECK_OK(take(&w, &h, "HTTP/1.1 200 OK\r\n\r\nuntil the end", 7));
    CHECK_INT(w.state, WIRE_TO_CLOSE);
    CHECK_OK(http_wire_end(&w, &test_err));
    CHECK_TEXT(text_get(&h.body), "until the end");
    http_wire_done(&w);
    http_wire_init(&w, false);
    CHECK_OK(take(&w, &h, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 7));
    CHECK_FAILS(http_wire_end(&w, &test_err), ERR_UNAVAILABLE, "within the answer");
    http_wire_done(&w);
    http_wire_init(&w, false);
    CHECK_FAILS(http_wire_end(&w, &test_err), ERR_UNAVAILABLE, "without an answer");
    http_wire_done(&w);
    heard_done(&h);
}

TEST("an answer without a body has none whatever its headers say")
{
    static const char *const heads[] = {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                                        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
                                        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"};
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        struct http_wire w;
        struct heard h = {0};
        http_wire_init(&w, i == 0);
        CHECK_OK(take(&w, &h, heads[i], 1000));
        CHECK_INT(w.state, WIRE_DONE);
        CHECK(w.is_kept);
        heard_done(&h);
        http_wire_done(&w);
    }
}

TEST("an answer that makes no sense is refused")
{
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 2x0 OK\r\n",
        "HTTP/2 200\r\n",
        "HTTP/1.1 099 Low\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct http_wire w;
        struct heard h = {0};
        http_wire_init(&w, false);
        ck_assert_msg(take(&w, &h, bad[i], 1000) < 0, "%s", bad[i]);
        heard_done(&h);
        http_wire_done(&w);
    }
}

TEST("a reader that has enough ends it")
{
    struct http_wire w;
    struct heard h = {.refuse_after = 2};
    http_wire_init(&w, false);
    CHECK_FAILS(take(&w, &h,
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n"
                     "1\r\nc\r\n",
                     1000),
                ERR_TOO_LARGE, "enough");
    CHECK_TEXT(text_get(&h.body), "ab");
    heard_done(&h);
    http_wire_done(&w);
}
