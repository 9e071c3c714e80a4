#include "certs.h"
#include "door.h"

#include "base/mem.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define HEAD "Host: localhost\r\n"

TEST("a stop waits for answers under way and tells that the connection ends")
{
    auto_door struct door d = {.stop_ms = 10000};
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    raw_send(fd, "GET /hold HTTP/1.1\r\n" HEAD "\r\n");
    auto_close int idle = raw_connect(&d);
    WAIT_FOR(d.held_now, 1);
    door_stop(&d);
    door_release(&d);
    auto_free char *answer = raw_read(fd, NULL);
    CHECK_INT(raw_status(answer), 200);
    CHECK(strstr(answer, "Connection: close"));
    CHECK(text_ends_with(answer, "released"));
    auto_free char *nothing = raw_read(idle, NULL);
    CHECK_TEXT(nothing, "");
}

TEST("nobody new is let in after a stop has begun")
{
    auto_door struct door d = {.stop_ms = 10000};
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    raw_send(fd, "GET /hold HTTP/1.1\r\n" HEAD "\r\n");
    WAIT_FOR(d.held_now, 1);
    door_stop(&d);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(d.port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto_close int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(late, (struct sockaddr *)&addr, sizeof addr) < 0);
    door_release(&d);
}

static void note_status(void *arg, const struct http_reply *reply)
{
    *(int *)arg = reply->status;
}

/* What is held when the time is over gets 503; the handler's late answer then only frees. */
static void check_deadline(bool tls)
{
    auto_certs struct certs certs = {0};
    auto_door struct door d = {.stop_ms = 50};
    struct http_call call = {0};
    if (tls) {
        certs_make(&certs);
        d.listen.certificate = certs.certificate;
        d.listen.key = certs.key;
        call.ca_file = certs.ca;
    }
    door_open(&d);
    auto_free char *url = mem_printf("%s/watch", d.url);
    call.url = url;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct http_client *c = http_client_new(&loop);
    int statuses[20] = {0};
    for (int i = 0; i < 20; i++)
        http_client_send(c, &call, note_status, &statuses[i]);
    auto_free char *stream_url = mem_printf("%s/stream", d.url);
    int stream_status = 0;
    call.url = stream_url;
    http_client_send(c, &call, note_status, &stream_status);
    while (d.held_now < 20 || d.streams_now < 1)
        uv_run(&loop, UV_RUN_NOWAIT);
    door_stop(&d);
    uv_run(&loop, UV_RUN_DEFAULT);
    door_close(&d);
    CHECK_INT(d.gone, 20); /* told when the server was gone */
    CHECK_INT(d.closed, 1);
    for (int i = 0; i < 20; i++)
        CHECK_INT(statuses[i], 503);
    CHECK_INT(stream_status, 200);
    http_client_free(c);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
}

TEST("after the deadline what is held gets 503, and late answers do no harm")
{
    check_deadline(false);
}

TEST("after the deadline TLS is no different")
{
    check_deadline(true);
}

TEST("clients that went away while held do not hinder a stop")
{
    auto_door struct door d = {.stop_ms = 50};
    door_open(&d);
    for (int i = 1; i <= 10; i++) {
        int fd = raw_connect(&d);
        raw_send(fd, i % 2 ? "GET /hold HTTP/1.1\r\n" HEAD "\r\n"
                           : "GET /watch HTTP/1.1\r\n" HEAD "\r\n");
        WAIT_FOR(d.held_now, i);
        close(fd);
    }
    WAIT_FOR(d.gone, 5);
}

static void on_stopped(void *arg)
{
    *(bool *)arg = true;
}

TEST("a server that never listened stops too")
{
    bool stopped = false;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct http_server *s = http_server_new(&loop, &(struct http_server_config){0});
    http_server_stop(s, 1000, on_stopped, &stopped);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(stopped);
    CHECK_INT(uv_loop_close(&loop), 0);
}

TEST("a large answer that is still being read is finished before the end")
{
    auto_door struct door d = {.stop_ms = 10000};
    door_open(&d);
    enum { BYTES = 1000000, REQUESTS = 8 };
    auto_close int fd = raw_connect(&d);
    auto_free char *body = mem_alloc(BYTES + 1, 1);
    memset(body, 'b', BYTES);
    for (int i = 0; i < REQUESTS; i++) {
        raw_send(fd, "POST /echo HTTP/1.1\r\n" HEAD "Content-Length: 1000000\r\n\r\n");
        raw_send(fd, body);
        if (i + 1 < REQUESTS) {
            auto_free char *head = raw_read(fd, "\r\n\r\n");
            CHECK_INT(raw_status(head), 200);
            for (size_t left = BYTES; left;) {
                ssize_t n = recv(fd, body, left, 0);
                CHECK(n > 0);
                left -= (size_t)n;
            }
            memset(body, 'b', BYTES);
        }
    }
    WAIT_FOR(d.calls, REQUESTS);
    door_stop(&d);
    auto_free char *last = raw_read(fd, NULL);
    CHECK_INT(raw_status(last), 200);
    const char *content = strstr(last, "\r\n\r\n");
    CHECK_INT(strlen(content + 4), BYTES);
}
