#include "door.h"

#include "base/mem.h"

#include <sys/socket.h>
#include <time.h>

#define HEAD "Host: localhost\r\n"
#define LAST "Host: localhost\r\nConnection: close\r\n"

static void nap_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static char *repeat(char c, size_t count)
{
    char *s = mem_alloc(count + 1, 1);
    memset(s, c, count);
    return s;
}

/* ---- size ---- */

TEST("a body up to the limit is taken whole")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_free char *body = repeat('b', HTTP_BODY_LIMIT);
    auto_free char *url = mem_printf("%s/echo", d.url);
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_call call = {HTTP_POST, .url = url, .body = body, .len = HTTP_BODY_LIMIT};
    struct http_reply reply;
    CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
    CHECK_INT(reply.status, 200);
    CHECK_INT(reply.len, HTTP_BODY_LIMIT);
    CHECK(memcmp(reply.body, body, reply.len) == 0);
}

TEST("a body over the limit gets 413 and the connection goes on")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_free char *body = repeat('b', HTTP_BODY_LIMIT + 1);
    auto_close int fd = raw_connect(&d);
    raw_send(fd, "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 1048577\r\n\r\n");
    raw_send(fd, body);
    auto_free char *answer = raw_read(fd, "}");
    ck_assert_msg(raw_status(answer) == 413, "%s", answer);
    CHECK(strstr(answer, "problem+json") && strstr(answer, "urn:reeve:error:too-large"));
    CHECK_INT(d.calls, 0);
    raw_send(fd, "GET /hello HTTP/1.1\r\n" LAST "\r\n");
    auto_free char *next = raw_read(fd, NULL);
    CHECK_INT(raw_status(next), 200);
}

TEST("a body in chunks is limited too, though its length is not announced")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    auto_free char *chunk = repeat('b', 0x10000);
    raw_send(fd, "POST /echo HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 17; i++) {
        raw_send(fd, "10000\r\n");
        raw_send(fd, chunk);
        raw_send(fd, "\r\n");
    }
    raw_send(fd, "0\r\n\r\n");
    auto_free char *answer = raw_read(fd, NULL);
    ck_assert_msg(raw_status(answer) == 413, "%s", answer);
    CHECK_INT(d.calls, 0);
}

static size_t tiny_limit(void *arg, enum http_method method, const char *path)
{
    (void)arg;
    return method == HTTP_POST && strcmp(path, "/echo") == 0 ? 4 : 0;
}

TEST("the limit may differ by path")
{
    auto_door struct door d = {.config.body_limit = tiny_limit};
    door_open(&d);
    auto_free char *small =
        raw_ask(&d, "POST /echo HTTP/1.1\r\n" LAST "Content-Length: 4\r\n\r\n1234");
    CHECK_INT(raw_status(small), 200);
    auto_free char *large =
        raw_ask(&d, "POST /echo HTTP/1.1\r\n" LAST "Content-Length: 5\r\n\r\n12345");
    CHECK_INT(raw_status(large), 413);
    auto_free char *other =
        raw_ask(&d, "PUT /echo HTTP/1.1\r\n" LAST "Content-Length: 5\r\n\r\n12345");
    CHECK_INT(raw_status(other), 200);
}

TEST("who asks before sending a body is told to go on, or not to send it")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_close int good = raw_connect(&d);
    raw_send(good,
             "POST /echo HTTP/1.1\r\n" LAST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    auto_free char *go_on = raw_read(good, "\r\n\r\n");
    CHECK_INT(raw_status(go_on), 100);
    raw_send(good, "abc");
    auto_free char *answer = raw_read(good, NULL);
    CHECK_INT(raw_status(answer), 200);

    auto_free char *bad = raw_ask(&d, "POST /echo HTTP/1.1\r\n" HEAD
                                      "Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n");
    CHECK_INT(raw_status(bad), 413);
}

TEST("a body announced as enormous is refused at once")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_free char *answer =
        raw_ask(&d, "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 100000000000\r\n\r\n");
    CHECK_INT(raw_status(answer), 413);
}

TEST("huge and too many headers are refused")
{
    auto_door struct door d = {0};
    door_open(&d);
    static const size_t sizes[] = {8200, 15000, 40000, 1000000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        auto_free char *value = repeat('v', sizes[i]);
        auto_free char *one = mem_printf("GET /hello HTTP/1.1\r\n" HEAD "X: %s\r\n\r\n", value);
        auto_free char *answer = raw_ask(&d, one);
        int status = raw_status(answer);
        /* So much that it is cut off while still sending may lose the answer. */
        ck_assert_msg(status == 431 || (status == 0 && sizes[i] > 16384), "%zu: %s", sizes[i],
                      answer);

        auto_free char *path = mem_printf("GET /%s HTTP/1.1\r\n" HEAD "\r\n", value);
        auto_free char *long_path = raw_ask(&d, path);
        status = raw_status(long_path);
        ck_assert_msg(status == 431 || status == 414 || (status == 0 && sizes[i] > 16384),
                      "%zu: %s", sizes[i], long_path);
    }
    auto_text struct text many = {0};
    text_add(&many, "GET /hello HTTP/1.1\r\n" HEAD);
    for (int i = 0; i < 2000; i++)
        text_addf(&many, "X%d: 1\r\n", i);
    text_add(&many, "\r\n");
    auto_free char *answer = raw_ask(&d, many.data);
    ck_assert_msg(raw_status(answer) == 431 || raw_status(answer) == 0, "%s", answer);
    CHECK_INT(d.calls, 0);

    auto_free char *fits = repeat('v', 7900);
    auto_free char *good = mem_printf("GET /hello HTTP/1.1\r\n" LAST "X: %s\r\n\r\n", fits);
    auto_free char *hello = raw_ask(&d, good);
    CHECK_INT(raw_status(hello), 200);
}

/* ---- time ---- */

/* Sends TEXT, then a byte every 20 ms; true when the server closed within 5 s. */
static bool is_cut_though_dripping(const struct door *d, const char *text)
{
    auto_close int fd = raw_connect(d);
    raw_send(fd, text);
    for (int i = 0; i < 250; i++) {
        char byte;
        if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || send(fd, "x", 1, MSG_NOSIGNAL) < 0)
            return true;
        nap_ms(20);
    }
    return false;
}

static bool is_cut_when_silent(const struct door *d, const char *text)
{
    auto_close int fd = raw_connect(d);
    raw_send(fd, text);
    char bytes[1000];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        ;
    return n == 0;
}

TEST("clients that are slow on purpose are cut, however they do it")
{
    auto_door struct door d = {.config = {.header_ms = 100, .body_ms = 100, .keep_alive_ms = 100}};
    door_open(&d);
    CHECK(is_cut_when_silent(&d, ""));
    CHECK(is_cut_when_silent(&d, "GET /hello HT"));
    CHECK(is_cut_when_silent(&d, "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 10\r\n\r\n123"));
    CHECK(is_cut_when_silent(&d, "GET /hello HTTP/1.1\r\n" HEAD "\r\n"));
    CHECK(is_cut_though_dripping(&d, "GET /hello HTTP/1.1\r\nX: "));
    CHECK(
        is_cut_though_dripping(&d, "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 1000\r\n\r\n"));
    CHECK(is_cut_though_dripping(&d, "GET /hello HTTP/1.1\r\n" HEAD "\r\nGET /"));
    CHECK_INT(d.calls, 2);
}

TEST("a body that moves at a fair pace may take longer than the limit")
{
    auto_door struct door d = {.config = {.body_ms = 500}};
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    auto_free char *piece = repeat('b', 500);
    raw_send(fd, "POST /echo HTTP/1.1\r\n" LAST "Content-Length: 12500\r\n\r\n");
    for (int i = 0; i < 25; i++) {
        raw_send(fd, piece);
        nap_ms(40);
    }
    auto_free char *answer = raw_read(fd, NULL);
    CHECK_INT(raw_status(answer), 200);
}

TEST("held requests and streams are not subject to any of it")
{
    auto_door struct door d = {.config = {.header_ms = 50, .body_ms = 50, .keep_alive_ms = 50}};
    door_open(&d);
    auto_close int held = raw_connect(&d);
    raw_send(held, "GET /hold HTTP/1.1\r\n" HEAD "\r\n");
    auto_close int stream = raw_connect(&d);
    raw_send(stream, "GET /stream HTTP/1.1\r\n" HEAD "\r\n");
    WAIT_FOR(d.held_now, 1);
    WAIT_FOR(d.streams_now, 1);
    nap_ms(400);
    door_release(&d);
    door_say(&d, "second\n");
    auto_free char *answer = raw_read(held, "released");
    CHECK_INT(raw_status(answer), 200);
    auto_free char *lines = raw_read(stream, "second\n");
    CHECK(text_ends_with(lines, "second\n"));
}

/* ---- number ---- */

TEST("over the limit of connections new ones are closed, and room is given again")
{
    auto_door struct door d = {.config.max_connections = 3};
    door_open(&d);
    int fds[2];
    auto_close int stream = raw_connect(&d);
    raw_send(stream, "GET /stream HTTP/1.1\r\n" HEAD "\r\n"); /* counts though the socket moved */
    WAIT_FOR(d.streams_now, 1);
    for (int i = 0; i < 2; i++) {
        fds[i] = raw_connect(&d);
        raw_send(fds[i], "GET /hello HTTP/1.1\r\n" HEAD "\r\n");
        auto_free char *answer = raw_read(fds[i], "hello");
        CHECK_INT(raw_status(answer), 200);
    }
    auto_close int over = raw_connect(&d);
    auto_free char *nothing = raw_read(over, NULL);
    CHECK_TEXT(nothing, "");
    close(fds[0]);
    bool served = false;
    for (int i = 0; i < 500 && !served; i++) {
        auto_free char *answer = raw_ask(&d, "GET /hello HTTP/1.1\r\n" LAST "\r\n");
        served = raw_status(answer) == 200;
        nap_ms(5);
    }
    CHECK(served);
    close(fds[1]);
}

TEST("thousands of idle connections do not keep others from being served")
{
    enum { IDLE = 2000 };
    if (loop_raise_open_files() < 2 * IDLE + 600)
        return;
    auto_door struct door d = {0};
    door_open(&d);
    static int fds[IDLE];
    for (int i = 0; i < IDLE; i++) {
        fds[i] = raw_connect(&d);
        raw_send(fds[i], i % 2 ? "GET /hel" : "");
    }
    for (int i = 0; i < 100; i++) {
        auto_free char *answer = raw_ask(&d, "GET /later HTTP/1.1\r\n" LAST "\r\n");
        CHECK_INT(raw_status(answer), 200);
    }
    CHECK(door_counts(&d).connections >= IDLE);
    for (int i = 1; i < IDLE; i += 2) {
        raw_send(fds[i], "lo HTTP/1.1\r\n" LAST "\r\n");
        auto_free char *answer = raw_read(fds[i], NULL);
        CHECK_INT(raw_status(answer), 200);
    }
    for (int i = 0; i < IDLE; i++)
        close(fds[i]);
}
