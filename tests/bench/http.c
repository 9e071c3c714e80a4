/*
 * The HTTP server alone, for tests/bench/http:
 *
 *     bench_http serve                     prints its port; GET /small, POST /pass (by way of
 *                                          another thread)
 *     bench_http events COUNT              COUNT streams to a server of its own, an event at a time
 *     bench_http watch COUNT PORT TOKEN    for tests/bench/events: COUNT streams to reeved, which
 * is given a job at a time
 */
#include "base/clock.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "net/http_server.h"
#include "net/loop.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static struct loop_thread *door, *engine;
static struct http_server *server;
static uint16_t port;

static void die(const char *why)
{
    fprintf(stderr, "bench_http: %s\n", why);
    exit(1);
}

/* ---- the server ---- */

static struct http_stream **streams;
static size_t stream_count, stream_room;

static void on_close(void *arg, struct http_stream *s)
{
    (void)arg;
    (void)s; /* all end together */
}

static void answer_small(struct http_request *r)
{
    struct text body = {0};
    struct json_out o = {.text = &body};
    jo_object(&o, NULL);
    jo_int(&o, "id", 42);
    jo_text(&o, "name", "train");
    jo_text(&o, "state", "running");
    jo_text(&o, "user", "alice");
    jo_end(&o);
    http_answer(r, 200, "application/json", NULL, &body);
}

static void back_at_door(void *request)
{
    answer_small(request);
}

static void at_engine(void *request)
{
    mailbox_post_answer(loop_thread_mailbox(door), back_at_door, request);
}

static void on_request(void *arg, struct http_request *r)
{
    (void)arg;
    if (strcmp(http_request_path(r), "/pass") == 0) {
        if (!mailbox_post(loop_thread_mailbox(engine), at_engine, r))
            http_answer_err(r, &(struct err){ERR_EXHAUSTED, "too much at once"}, NULL);
    } else if (strcmp(http_request_path(r), "/events") == 0) {
        const struct http_stream_events events = {.on_close = on_close};
        struct http_stream *s = http_stream_begin(r, 200, "text/event-stream", NULL, &events);
        if (!s)
            return;
        if (stream_count == stream_room)
            streams = mem_resize_array(streams, stream_room = 2 * stream_room + 64);
        streams[stream_count++] = s;
    } else {
        answer_small(r);
    }
}

static int on_start(void *arg, struct loop_thread *t, struct err *e)
{
    (void)arg;
    server = http_server_new(loop_thread_loop(t),
                             &(struct http_server_config){.on_request = on_request});
    return http_server_listen(server, &(struct http_listen){.address = "127.0.0.1:0"}, &port, e);
}

static void serve(void)
{
    struct err e = {0};
    loop_raise_open_files();
    if (loop_thread_start(&(struct loop_thread_config){"engine", 10000}, &engine, &e) < 0 ||
        loop_thread_start(&(struct loop_thread_config){"door", 10000, on_start}, &door, &e) < 0)
        die(e.text);
}

/* ---- events ---- */

static void send_event(void *arg)
{
    (void)arg;
    struct text t = {0};
    text_addf(&t, "id: 1\nevent: job\ndata: {\"sent_us\":%lld,\"state\":\"running\"}\n\n",
              (long long)clock_mono_us());
    struct http_bytes *b = http_bytes_take(&t);
    for (size_t i = 0; i < stream_count; i++)
        http_stream_write_shared(streams[i], b);
    http_bytes_unref(b);
}

static long rss_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    auto_fclose FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    return kib;
}

static double cpu_s(pid_t pid)
{
    char path[64], line[1024];
    unsigned long user = 0, sys = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    auto_fclose FILE *f = fopen(path, "r");
    if (f && fgets(line, sizeof line, f) && strrchr(line, ')'))
        sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &sys);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static int open_stream(uint16_t at, const char *request)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(at)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char head[1024];
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        send(fd, request, strlen(request), MSG_NOSIGNAL) < 0 || recv(fd, head, sizeof head, 0) <= 0)
        die("could not open a stream");
    return fd;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void events(size_t count)
{
    enum { EVENTS = 5 };
    static const char request[] = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int to_child[2], from_child[2];
    if (pipe(to_child) < 0 || pipe(from_child) < 0)
        die("no pipe");
    pid_t child = fork();
    if (child == 0) { /* the server has a process, and so the descriptors, of its own */
        char byte;
        close(to_child[1]);
        serve();
        if (write(from_child[1], &port, sizeof port) != sizeof port)
            die("pipe");
        while (read(to_child[0], &byte, 1) == 1)
            mailbox_post_answer(loop_thread_mailbox(door), send_event, NULL);
        _exit(0);
    }
    close(to_child[0]);
    if (read(from_child[0], &port, sizeof port) != sizeof port)
        die("the server did not start");
    loop_raise_open_files();
    long empty_kib = rss_kib(child);
    int epoll = epoll_create1(0);
    for (size_t i = 0; i < count; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = open_stream(port, request)};
        epoll_ctl(epoll, EPOLL_CTL_ADD, ev.data.fd, &ev);
    }
    long open_kib = rss_kib(child);

    int64_t *late_us = mem_new_array(int64_t, count * EVENTS);
    size_t got = 0;
    double cpu = cpu_s(child);
    for (int n = 1; n <= EVENTS; n++) {
        if (write(to_child[1], "x", 1) != 1)
            die("pipe");
        while (got < count * (size_t)n) {
            struct epoll_event evs[256];
            int ready = epoll_wait(epoll, evs, 256, 5000);
            if (ready <= 0)
                die("events are missing");
            for (int i = 0; i < ready; i++) {
                char bytes[4096];
                ssize_t len = recv(evs[i].data.fd, bytes, sizeof bytes - 1, 0);
                bytes[len > 0 ? len : 0] = '\0';
                const char *sent = strstr(bytes, "sent_us\":");
                if (!sent)
                    die("a stream broke");
                late_us[got++] = clock_mono_us() - atoll(sent + 9);
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    }
    cpu = cpu_s(child) - cpu;
    qsort(late_us, got, sizeof *late_us, compare);
    printf(
        "%zu subscribers: server %ld KiB (%ld KiB empty, %.2f KiB each); an event to all: p50 %.1f "
        "ms, p99 %.1f ms, %.1f us of CPU each\n",
        count, open_kib, empty_kib, (double)(open_kib - empty_kib) / (double)count,
        (double)late_us[got / 2] / 1000, (double)late_us[got * 99 / 100] / 1000,
        cpu * 1e6 / (double)got);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* ---- events of the real control plane ---- */

struct watched {
    int fd;
    bool has; /* this job's submission */
};

/* Waits until every stream has told of JOB; adds how long after BEGIN_US each did. */
static void gather(int epoll, struct watched *w, size_t count, const char *job, int64_t begin_us,
                   int64_t *late_us)
{
    for (size_t i = 0; i < count; i++)
        w[i].has = false;
    for (size_t got = 0; got < count;) {
        struct epoll_event evs[256];
        int ready = epoll_wait(epoll, evs, 256, 10000);
        if (ready <= 0)
            die("events are missing");
        for (int i = 0; i < ready; i++) {
            struct watched *s = evs[i].data.ptr;
            char bytes[16384];
            ssize_t len = recv(s->fd, bytes, sizeof bytes - 1, 0);
            if (len <= 0)
                die("a stream broke");
            bytes[len] = '\0';
            if (s->has || !strstr(bytes, job))
                continue;
            s->has = true;
            late_us[got++] = clock_mono_us() - begin_us;
        }
    }
}

static int64_t submit(int fd, const char *token)
{
    static const char body[] = "{\"name\":\"watched\",\"command\":[\"true\"],\"gpus\":1}";
    auto_text struct text t = {0};
    char answer[8192];
    text_addf(&t,
              "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
              token, sizeof body - 1, body);
    ssize_t len = -1;
    if (send(fd, t.data, t.len, MSG_NOSIGNAL) == (ssize_t)t.len)
        len = recv(fd, answer, sizeof answer - 1, 0);
    answer[len > 0 ? len : 0] = '\0';
    const char *id = strstr(answer, "\"id\":");
    if (!id)
        die("a job was not accepted");
    return atoll(id + 5);
}

static void watch(size_t count, const char *token)
{
    enum { JOBS = 10 };
    auto_text struct text request = {0};
    struct watched *w = mem_new_array(struct watched, count);
    int64_t *late_us = mem_new_array(int64_t, count * JOBS);
    int epoll = epoll_create1(0);
    text_addf(&request,
              "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
              token);
    loop_raise_open_files();
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int poster = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (poster < 0 || connect(poster, (struct sockaddr *)&addr, sizeof addr) < 0)
        die("no connection");
    for (size_t i = 0; i < count; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &w[i]};
        w[i].fd = open_stream(port, request.data);
        epoll_ctl(epoll, EPOLL_CTL_ADD, w[i].fd, &ev);
    }
    printf("open\n");
    fflush(stdout);
    for (int n = 0; n < JOBS; n++) {
        char job[64];
        int64_t begin_us = clock_mono_us();
        snprintf(job, sizeof job, "\"job\":%lld,", (long long)submit(poster, token));
        gather(epoll, w, count, job, begin_us, late_us + (size_t)n * count);
        nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    }
    qsort(late_us, count * JOBS, sizeof *late_us, compare);
    printf("%.1f %.1f\n", (double)late_us[count * JOBS / 2] / 1000,
           (double)late_us[count * JOBS * 99 / 100] / 1000);
    fflush(stdout);
    getchar(); /* the streams stay until we are told */
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "watch") == 0) {
        port = (uint16_t)atoi(argv[3]);
        watch((size_t)atoll(argv[2]), argv[4]);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "events") == 0) {
        events((size_t)atoll(argv[2]));
        return 0;
    }
    if (argc != 2 || strcmp(argv[1], "serve") != 0)
        die("usage: bench_http serve | events COUNT");
    serve();
    printf("%d\n", port);
    fflush(stdout);
    for (;;)
        pause();
}
