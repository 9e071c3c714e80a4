#include "certs.h"
#include "door.h"

#include "base/mem.h"

#include <sys/socket.h>
#include <time.h>

#define HEAD "Host: localhost\r\n"

/* Each story is told without and with TLS: the bytes go different ways then. */
struct place {
    struct door door;
    struct certs certs;
    struct http_call call;
    char url[128];
};

static void place_open(struct place *p, bool tls, const char *path)
{
    *p = (struct place){0};
    if (tls) {
        certs_make(&p->certs);
        p->door.listen.certificate = p->certs.certificate;
        p->door.listen.key = p->certs.key;
        p->call.ca_file = p->certs.ca;
    }
    door_open(&p->door);
    snprintf(p->url, sizeof p->url, "%s%s", p->door.url, path);
    p->call.url = p->url;
}

static void place_close(struct place *p)
{
    door_close(&p->door);
    certs_remove(&p->certs);
}

/* A reader on a thread of its own: notes what comes, until it has seen UNTIL. */
struct reader {
    struct place *place;
    const char *until;
    struct text got;
    atomic_int lines;
    struct http_reply reply;
    struct err err;
    int rc;
    uv_thread_t thread;
};

static bool note(void *arg, const char *bytes, size_t len)
{
    struct reader *r = arg;
    text_add_bytes(&r->got, bytes, len);
    for (size_t i = 0; i < len; i++)
        r->lines += bytes[i] == '\n';
    return !r->until || !strstr(r->got.data, r->until);
}

static void read_stream(void *arg)
{
    struct reader *r = arg;
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_call call = r->place->call;
    call.on_data = note;
    r->rc = http_sync_send(c, &call, r, &r->reply, &r->err);
    r->reply.body = r->reply.headers_ = NULL;
}

static void reader_start(struct reader *r, struct place *p, const char *until)
{
    *r = (struct reader){.place = p, .until = until};
    uv_thread_create(&r->thread, read_stream, r);
}

static void check_events_and_end(bool tls)
{
    struct place p;
    struct reader r;
    place_open(&p, tls, "/stream");
    reader_start(&r, &p, NULL);
    WAIT_FOR(p.door.streams_now, 1);
    door_say(&p.door, "second\n");
    door_say(&p.door, "third\n");
    WAIT_FOR(r.lines, 3);
    CHECK_INT(door_counts(&p.door).streams, 1);
    p.door.stop_ms = 5000;
    door_stop(&p.door); /* ends the streams in an orderly way */
    uv_thread_join(&r.thread);
    CHECK_INT(r.rc, 0);
    CHECK_INT(r.reply.status, 200);
    CHECK_TEXT(text_get(&r.got), "first\nsecond\nthird\n");
    WAIT_FOR(p.door.closed, 1);
    text_done(&r.got);
    place_close(&p);
}

TEST("a stream carries what is written as it is written, and ends")
{
    check_events_and_end(false);
}

TEST("a stream over TLS carries what is written as it is written, and ends")
{
    check_events_and_end(true);
}

static void check_leaving(bool tls)
{
    struct place p;
    struct reader r;
    place_open(&p, tls, "/stream");
    for (int i = 1; i <= 3; i++) {
        reader_start(&r, &p, "second");
        WAIT_FOR(p.door.streams_now, 1);
        door_say(&p.door, "second\n");
        uv_thread_join(&r.thread); /* the client closes */
        CHECK_INT(r.rc, 0);
        WAIT_FOR(p.door.closed, i); /* noticed without a write */
        text_done(&r.got);
    }
    CHECK_INT(door_counts(&p.door).streams, 0);
    place_close(&p);
}

TEST("a client that leaves a quiet stream is noticed")
{
    check_leaving(false);
}

TEST("a client that leaves a quiet TLS stream is noticed")
{
    check_leaving(true);
}

static void check_flood(bool tls)
{
    enum { BYTES = 20000000 };
    struct place p;
    place_open(&p, tls, "/flood?bytes=20000000");
    struct reader r;
    reader_start(&r, &p, NULL);
    uv_thread_join(&r.thread);
    CHECK_INT(r.rc, 0);
    CHECK_INT(r.got.len, BYTES);
    CHECK_INT(strspn(r.got.data, "x"), BYTES);
    WAIT_FOR(p.door.closed, 1);
    CHECK(p.door.refused > 0);
    text_done(&r.got);
    place_close(&p);
}

TEST("a writer faster than its reader is held back, and nothing is lost")
{
    check_flood(false);
}

TEST("the same over TLS")
{
    check_flood(true);
}

static void queue_of_first(struct door *d, void *ret)
{
    *(size_t *)ret = http_stream_queued(d->streams[0]);
}

TEST("what waits for a reader that reads nothing is bounded, and drains when it reads")
{
    auto_door struct door d = {.config.stream_limit = 100000};
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    raw_send(fd, "GET /stream HTTP/1.1\r\n" HEAD "\r\n");
    WAIT_FOR(d.streams_now, 1);
    char line[10001];
    memset(line, 'y', 10000);
    line[10000] = '\0';
    int said = 0;
    while (d.refused == 0 && ++said < 10000)
        door_say(&d, line);
    CHECK_INT(d.refused, 1);
    size_t queued;
    door_do(&d, queue_of_first, &queued);
    CHECK(queued > 50000 && queued <= 110000);
    CHECK_INT(d.drained, 0);

    char bytes[65536];
    for (int i = 0; i < 5000 && d.drained == 0; i++)
        if (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CHECK_INT(d.drained, 1);
    door_say(&d, "the end");
    auto_free char *rest = raw_read(fd, "the end");
    CHECK(text_ends_with(rest, "the end"));
}

static void cut_all(struct door *d, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < d->stream_count; i++)
        http_stream_cut(d->streams[i]);
}

static void check_cut(bool tls)
{
    struct place p;
    struct reader r;
    place_open(&p, tls, "/stream");
    reader_start(&r, &p, NULL);
    WAIT_FOR(r.lines, 1);
    door_do(&p.door, cut_all, NULL);
    uv_thread_join(&r.thread);
    CHECK_INT(r.rc, -1);
    CHECK_INT(r.err.code, ERR_UNAVAILABLE);
    WAIT_FOR(p.door.closed, 1);
    text_done(&r.got);
    place_close(&p);
}

TEST("a stream that is cut looks broken to its client")
{
    check_cut(false);
}

TEST("a TLS stream that is cut looks broken to its client")
{
    check_cut(true);
}

TEST("an HTTP/1.0 client gets bytes without chunks")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    raw_send(fd, "GET /stream HTTP/1.0\r\n\r\n");
    WAIT_FOR(d.streams_now, 1);
    door_say(&d, "second\n");
    door_stop(&d);
    auto_free char *answer = raw_read(fd, NULL);
    CHECK(text_ends_with(answer, "\r\n\r\nfirst\nsecond\n"));
    CHECK(!strstr(answer, "chunked"));
}

TEST("chunks, headers and the end are as HTTP wants them")
{
    auto_door struct door d = {0};
    d.stop_ms = 5000;
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    raw_send(fd, "GET /stream HTTP/1.1\r\n" HEAD "\r\n");
    WAIT_FOR(d.streams_now, 1);
    door_say(&d, "0123456789abcdef!");
    door_stop(&d);
    auto_free char *answer = raw_read(fd, NULL);
    CHECK(strstr(answer, "HTTP/1.1 200 OK\r\nDate: ") == answer);
    CHECK(strstr(answer, "\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"));
    CHECK(text_ends_with(answer, "\r\n\r\n6\r\nfirst\n\r\n11\r\n0123456789abcdef!\r\n0\r\n\r\n"));
}

TEST("HEAD of a stream has its headers and ends")
{
    auto_door struct door d = {0};
    door_open(&d);
    auto_close int fd = raw_connect(&d);
    raw_send(fd, "HEAD /stream HTTP/1.1\r\n" HEAD "\r\n");
    auto_free char *answer = raw_read(fd, NULL);
    CHECK_INT(raw_status(answer), 200);
    CHECK(text_ends_with(answer, "\r\n\r\n"));
    WAIT_FOR(d.closed, 1);
}

TEST("one event reaches hundreds of streams beside ordinary requests, through come and go")
{
    enum { STREAMS = 500 };
    if (loop_raise_open_files() < 2 * STREAMS + 600)
        return;
    auto_door struct door d = {0};
    door_open(&d);
    static int fds[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        fds[i] = raw_connect(&d);
        raw_send(fds[i], "GET /stream HTTP/1.1\r\n" HEAD "\r\n");
    }
    WAIT_FOR(d.streams_now, STREAMS);
    for (int i = 0; i < STREAMS; i += 2)
        close(fds[i]); /* may be noticed before, while or after the next event leaves */
    door_say(&d, "event one\n");
    auto_free char *hello = raw_ask(&d, "GET /later HTTP/1.1\r\n" HEAD "Connection: close\r\n\r\n");
    CHECK_INT(raw_status(hello), 200);
    door_say(&d, "event two\n");
    for (int i = 1; i < STREAMS; i += 2) {
        auto_free char *answer = raw_read(fds[i], "event two\n");
        CHECK(strstr(answer, "event one\n"));
        close(fds[i]);
    }
    WAIT_FOR(d.closed, STREAMS);
    CHECK_INT(door_counts(&d).connections, 0);
}

TEST("shared bytes live as long as someone holds them")
{
    struct text t = {0};
    text_add(&t, "abc");
    struct http_bytes *b = http_bytes_take(&t);
    CHECK(t.data == NULL);
    http_bytes_ref(b);
    http_bytes_unref(b);
    http_bytes_unref(b);
    http_bytes_unref(NULL);
}
