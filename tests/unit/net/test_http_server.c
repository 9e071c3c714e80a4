#include "door.h"

#include "base/json.h"
#include "base/mem.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD "Host: localhost\r\n"
#define LAST "Host: localhost\r\nConnection: close\r\n"

static void check_answer(const struct door *d, const char *request, int status, const char *words)
{
    auto_free char *answer = raw_ask(d, request);
    ck_assert_msg(raw_status(answer) == status, "wanted %d: %s", status, answer);
    ck_assert_msg(strstr(answer, words), "'%s' is not in: %s", words, answer);
}

TEST("a request is answered at once or later, on one connection")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    raw_send(fd, "GET /hello HTTP/1.1\r\n" HEAD "\r\n");
    auto_free char *now = raw_read(fd, "hello");
    CHECK_INT(raw_status(now), 200);
    raw_send(fd, "GET /later HTTP/1.1\r\n" HEAD "\r\n");
    auto_free char *later = raw_read(fd, "\r\n\r\nlater");
    CHECK_INT(raw_status(later), 200);
    CHECK(strstr(later, "Content-Type: text/plain"));
    CHECK_INT(door_counts(&d).connections_total, 1);
    CHECK_INT(door_counts(&d).requests_total, 2);
}

TEST("pipelined requests are answered in order")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_free char *answer =
        raw_ask(&d, "GET /later HTTP/1.1\r\n" HEAD "\r\n"
                    "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 3\r\n\r\nabc"
                    "GET /hello HTTP/1.1\r\n" LAST "\r\n");
    const char *later = strstr(answer, "\r\n\r\nlater"), *echo = strstr(answer, "\r\n\r\nabc");
    const char *hello = strstr(answer, "\r\n\r\nhello");
    ck_assert_msg(later && echo && hello, "%s", answer);
    CHECK(later < echo && echo < hello);
}

TEST("HEAD has the headers of GET and no body")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_free char *answer = raw_ask(&d, "HEAD /hello HTTP/1.1\r\n" LAST "\r\n");
    CHECK_INT(raw_status(answer), 200);
    CHECK(strstr(answer, "Content-Length: 5"));
    CHECK(text_ends_with(answer, "\r\n\r\n"));
}

TEST("methods that we know reach the handler, others get 501")
{
    auto_door struct door d = {0};
    door_open(&d);
    check_answer(&d, "OPTIONS /hello HTTP/1.1\r\n" LAST "\r\n", 200, "hello");
    check_answer(&d, "PATCH /echo HTTP/1.1\r\nContent-Length: 1\r\n" LAST "\r\nx", 200, "x");
    check_answer(&d, "DELETE /nothing HTTP/1.1\r\n" LAST "\r\n", 404, "no such path");
    int calls = d.calls;
    check_answer(&d, "BREW /hello HTTP/1.1\r\n" LAST "\r\n", 501,
                 "urn:reeve:error:method-not-known");
    check_answer(&d, "get /hello HTTP/1.1\r\n" LAST "\r\n", 501, "problem+json");
    check_answer(&d, "CONNECT a:1 HTTP/1.1\r\n" LAST "\r\n", 400, "problem+json");
    CHECK_INT(d.calls, calls);
}

TEST("a problem document says what went wrong and when to try again")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_reply reply;
    auto_free char *url = mem_printf("%s/fail", d.url);
    CHECK_OK(http_sync_send(c, &(struct http_call){.url = url}, NULL, &reply, &test_err));
    CHECK_INT(reply.status, 503);
    CHECK_TEXT(http_reply_header(&reply, "content-TYPE"), "application/problem+json");
    CHECK_TEXT(http_reply_header(&reply, "Retry-After"), "1");
    auto_json json_t *doc = NULL;
    CHECK_OK(json_parse(reply.body, reply.len, &doc, &test_err));
    CHECK_TEXT(json_string_value(json_object_get(doc, "type")), "urn:reeve:error:unavailable");
    CHECK_TEXT(json_string_value(json_object_get(doc, "detail")), "the store is \"full\"");
    CHECK_TEXT(json_string_value(json_object_get(doc, "instance")), "/fail");
    CHECK_INT(json_integer_value(json_object_get(doc, "status")), 503);
    CHECK_FAILS(http_reply_check(&reply, &test_err), ERR_UNAVAILABLE, "the store is \"full\"");
}

TEST("paths are decoded, tricks are refused before the handler sees them")
{
    auto_door struct door d = {0};
    door_open(&d);
    check_answer(&d, "GET /n%C3%A4 HTTP/1.1\r\n" LAST "\r\n", 404, "no such path: /n\xC3\xA4");
    check_answer(&d, "GET http://localhost/hello HTTP/1.1\r\n" LAST "\r\n", 200, "hello");
    int calls = d.calls;
    check_answer(&d, "GET /a/../hello HTTP/1.1\r\n" LAST "\r\n", 400, "'..' segment");
    check_answer(&d, "GET /%2e%2e/hello HTTP/1.1\r\n" LAST "\r\n", 400, "'..' segment");
    check_answer(&d, "GET //hello HTTP/1.1\r\n" LAST "\r\n", 400, "empty segment");
    check_answer(&d, "GET /hel%00lo HTTP/1.1\r\n" LAST "\r\n", 400, "zero byte");
    check_answer(&d, "GET /%zz HTTP/1.1\r\n" LAST "\r\n", 400, "hexadecimal");
    check_answer(&d, "GET /%c0%ae HTTP/1.1\r\n" LAST "\r\n", 400, "UTF-8");
    check_answer(&d, "GET /hello?a=%ff HTTP/1.1\r\n" LAST "\r\n", 400, "UTF-8");
    check_answer(&d, "GET hello HTTP/1.1\r\n" LAST "\r\n", 400, "begin");
    CHECK_INT(d.calls, calls);
}

TEST("parameters are decoded")
{
    auto_door struct door d = {0};
    door_open(&d);
    check_answer(&d, "GET /query?a=1&b=x%20y+z&c HTTP/1.1\r\n" LAST "\r\n", 200, "a=1;b=x y z;c=;");
}

TEST("nonsense in place of a request is refused")
{
    static const char *const bad[] = {
        "\x16\x03\x01\x02\x01\r\n\r\n",
        "GET\r\n\r\n",
        "GET /hello HTTP/9.9\r\n" LAST "\r\n",
        "GET /hello HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",                                       /* no Host */
        "GET /hello HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", /* two */
        "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 99999999999999999999999\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /echo HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "POST /echo HTTP/1.1\r\n" HEAD
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    };
    auto_door struct door d = {0};
    door_open(&d);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        auto_close int fd = raw_connect(&d);
        raw_send(fd, bad[i]);
        auto_free char *answer = raw_read(fd, NULL);
        int status = raw_status(answer);
        ck_assert_msg(status == 0 || (status >= 400 && status < 600), "%s: %s", bad[i], answer);
    }
    CHECK_INT(d.calls, 0);
    check_answer(&d, "GET /hello HTTP/1.1\r\n" LAST "\r\n", 200, "hello");
}

TEST("only host names that are ours are served")
{
    static const char *const hosts[] = {"gpu.example.org", NULL};
    auto_door struct door d = {.config.hosts = hosts};
    door_open(&d);
    check_answer(&d, "GET /hello HTTP/1.1\r\nConnection: close\r\nHost: 127.0.0.1:1\r\n\r\n", 200,
                 "hello");
    check_answer(&d, "GET /hello HTTP/1.1\r\nConnection: close\r\nHost: GPU.example.org:80\r\n\r\n",
                 200, "hello");
    check_answer(&d, "GET /hello HTTP/1.0\r\n\r\n", 200, "hello");
    int calls = d.calls;
    check_answer(&d, "GET /hello HTTP/1.1\r\nConnection: close\r\nHost: evil.example.org\r\n\r\n",
                 421, "urn:reeve:error:host-not-served");
    CHECK_INT(d.calls, calls);
}

TEST("a unix socket knows who calls, needs no Host of ours and has its mode")
{
    auto_free char *path = mem_printf("/tmp/test-net-%d.sock", getpid());
    auto_door struct door d = {.listen = {.unix_path = path, .unix_mode = 0660}};
    door_open(&d);
    struct stat st;
    CHECK(stat(path, &st) == 0);
    CHECK_INT(st.st_mode & 0777, 0660);
    auto_free char *answer =
        raw_ask(&d, "GET /peer HTTP/1.1\r\nHost: whatever\r\nConnection: close\r\n\r\n");
    auto_free char *wanted = mem_printf("unix uid=%d unix", (int)getuid());
    ck_assert_msg(strstr(answer, wanted), "%s", answer);

    struct http_call call = {.url = "http://reeve/hello", .unix_socket = path};
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_reply reply;
    CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
    CHECK_TEXT(reply.body, "hello");
    door_close(&d);
    CHECK(stat(path, &st) < 0);
}

TEST("a left-over socket is replaced, a living one and a file are not")
{
    auto_free char *path = mem_printf("/tmp/test-net-%d.sock", getpid());
    int left = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)left;
    struct door first = {.listen = {.unix_path = path}};
    door_open(&first);
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct http_server *s = http_server_new(&loop, &(struct http_server_config){0});
    CHECK_FAILS(http_server_listen(s, &first.listen, NULL, &test_err), ERR_CONFLICT, "another");
    door_close(&first);

    close(left);
    FILE *file = fopen(path, "w");
    fclose(file);
    CHECK_FAILS(http_server_listen(s, &first.listen, NULL, &test_err), ERR_CONFLICT, "no socket");
    unlink(path);
    http_server_stop(s, 0, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
}

TEST("TCP says whether the other side is this machine")
{
    auto_door struct door d = {0};
    door_open(&d);
    check_answer(&d, "GET /peer HTTP/1.1\r\n" LAST "\r\n", 200, "loopback uid=-1 127.0.0.1:");
}

TEST("what is not loopback needs TLS or an explicit word, and a port in use is said so")
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    uint16_t port = 0;
    char address[32];
    struct http_server *s = http_server_new(&loop, &(struct http_server_config){0});
    struct http_listen how = {.address = "0.0.0.0:0"};
    CHECK_FAILS(http_server_listen(s, &how, &port, &test_err), ERR_DENIED, "--insecure");
    how.address = ":0";
    CHECK_FAILS(http_server_listen(s, &how, &port, &test_err), ERR_DENIED, "--insecure");
    how.insecure = true;
    CHECK_OK(http_server_listen(s, &how, &port, &test_err));
    CHECK(port > 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    how.address = address;
    CHECK_FAILS(http_server_listen(s, &how, &port, &test_err), ERR_CONFLICT, "in use");
    http_server_stop(s, 0, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
}

TEST("a client that goes before its answer does no harm, and a watched one is noticed")
{
    auto_door struct door d = {0};
    door_open(&d);
    int fd = raw_connect(&d);
    raw_send(fd, "GET /hold HTTP/1.1\r\n" HEAD "\r\n");
    WAIT_FOR(d.held_now, 1);
    close(fd);
    fd = raw_connect(&d);
    raw_send(fd, "GET /watch HTTP/1.1\r\n" HEAD "\r\n");
    WAIT_FOR(d.held_now, 2);
    close(fd);
    WAIT_FOR(d.gone, 1);
    door_release(&d);
    check_answer(&d, "GET /hello HTTP/1.1\r\n" LAST "\r\n", 200, "hello");
    CHECK_INT(door_counts(&d).waiting, 0);
}

TEST("a watched client that stays gets its answer and may ask again")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    for (int i = 1; i <= 3; i++) {
        raw_send(fd, "GET /watch HTTP/1.1\r\n" HEAD "\r\n");
        WAIT_FOR(d.held_now, 1);
        door_release(&d);
        auto_free char *answer = raw_read(fd, "released");
        CHECK_INT(raw_status(answer), 200);
    }
    CHECK_INT(d.gone, 0);
}
