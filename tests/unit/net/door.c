#include "door.h"

#include "base/mem.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* ---- routes ---- */

static void say(struct http_request *r, const char *text)
{
    struct text body = {0};
    text_add(&body, text);
    http_answer(r, 200, "text/plain", NULL, &body);
}

struct later {
    struct http_request *r;
    struct mailbox *m;
    int turns;
};

static void on_later(void *arg)
{
    struct later *l = arg;
    if (l->turns-- > 0) {
        mailbox_post(l->m, on_later, l);
        return;
    }
    say(l->r, "later");
    free(l);
}

static void on_gone(void *arg, struct http_request *r)
{
    struct door *d = arg;
    (void)r;
    d->gone++;
}

static void hold(struct door *d, struct http_request *r, bool watch)
{
    ck_assert(d->held_count < HELD_MOST);
    d->held[d->held_count++] = r;
    d->held_now++;
    if (watch)
        http_request_watch(r, on_gone, d);
}

static void answer_peer(struct http_request *r)
{
    const struct http_peer *p = http_request_peer(r);
    struct text body = {0};
    text_addf(&body, "%s%s%s uid=%d %s", p->is_unix ? "unix" : "", p->is_tls ? "tls " : "",
              p->is_loopback ? "loopback" : "", (int)p->uid, p->text);
    http_answer(r, 200, "text/plain", NULL, &body);
}

static bool add_param(void *arg, const char *name, const char *value)
{
    text_addf(arg, "%s=%s;", name, value);
    return true;
}

static void answer_query(struct http_request *r)
{
    struct text body = {0};
    http_query_each(r, add_param, &body);
    http_answer(r, 200, "text/plain", NULL, &body);
}

static void on_stream_close(void *arg, struct http_stream *s)
{
    struct door *d = arg;
    for (size_t i = 0; i < d->stream_count; i++) {
        if (d->streams[i] == s) {
            d->streams[i] = d->streams[--d->stream_count];
            d->streams_now--;
            break;
        }
    }
    d->closed++;
}

static void on_stream_drained(void *arg, struct http_stream *s)
{
    struct door *d = arg;
    (void)s;
    d->drained++;
}

static void begin_stream(struct door *d, struct http_request *r)
{
    const struct http_stream_events events = {on_stream_close, on_stream_drained, d};
    const struct http_header headers[] = {{"Cache-Control", "no-store"}, {0}};
    struct http_stream *s = http_stream_begin(r, 200, "text/event-stream", headers, &events);
    if (!s)
        return;
    http_stream_write(s, "first\n", 6);
    d->streams[d->stream_count++] = s;
    d->streams_now++;
}

struct flood {
    struct door *door;
    int64_t left;
};

static void pour(void *arg, struct http_stream *s)
{
    struct flood *f = arg;
    static char bytes[10000];
    memset(bytes, 'x', sizeof bytes);
    while (f->left > 0) {
        size_t len = f->left < (int64_t)sizeof bytes ? (size_t)f->left : sizeof bytes;
        if (!http_stream_write(s, bytes, len)) {
            f->door->refused++;
            return;
        }
        f->left -= (int64_t)len;
    }
    http_stream_end(s);
}

static void on_flood_close(void *arg, struct http_stream *s)
{
    struct flood *f = arg;
    (void)s;
    f->door->closed++;
    free(f);
}

static void begin_flood(struct door *d, struct http_request *r)
{
    struct flood *f = mem_new(struct flood);
    f->door = d;
    f->left = atoll(http_query_get(r, "bytes"));
    const struct http_stream_events events = {on_flood_close, pour, f};
    struct http_stream *s = http_stream_begin(r, 200, "text/plain", NULL, &events);
    pour(f, s);
}

static void on_request(void *arg, struct http_request *r)
{
    struct door *d = arg;
    const char *path = http_request_path(r);
    size_t len;
    d->calls++;
    if (strcmp(path, "/hello") == 0) {
        http_answer_static(r, 200, "text/plain", NULL, "hello", 5);
    } else if (strcmp(path, "/echo") == 0) {
        struct text body = {0};
        const char *bytes = http_request_body(r, &len);
        text_add_bytes(&body, bytes, len);
        http_answer(r, 200, "application/octet-stream", NULL, &body);
    } else if (strcmp(path, "/later") == 0) {
        struct later *l = mem_new(struct later);
        *l = (struct later){r, loop_thread_mailbox(d->thread), 2};
        on_later(l);
    } else if (strcmp(path, "/hold") == 0) {
        hold(d, r, false);
    } else if (strcmp(path, "/watch") == 0) {
        hold(d, r, true);
    } else if (strcmp(path, "/peer") == 0) {
        answer_peer(r);
    } else if (strcmp(path, "/query") == 0) {
        answer_query(r);
    } else if (strcmp(path, "/fail") == 0) {
        struct err e = {0};
        err_set(&e, ERR_UNAVAILABLE, "the store is \"full\"");
        http_answer_err(r, &e, NULL);
    } else if (strcmp(path, "/stream") == 0) {
        begin_stream(d, r);
    } else if (strcmp(path, "/flood") == 0) {
        begin_flood(d, r);
    } else {
        struct err e = {0};
        err_set(&e, ERR_NOT_FOUND, "no such path: %s", path);
        http_answer_err(r, &e, NULL);
    }
}

/* ---- the door ---- */

static void on_problem(void *arg, const struct err *e)
{
    struct door *d = arg;
    (void)e;
    d->problems++;
}

static int on_start(void *arg, struct loop_thread *t, struct err *e)
{
    struct door *d = arg;
    d->config.on_request = on_request;
    d->config.on_problem = on_problem;
    d->config.arg = d;
    d->thread = t;
    d->server = http_server_new(loop_thread_loop(t), &d->config);
    if (!d->listen.address && !d->listen.unix_path)
        d->listen.address = "127.0.0.1:0";
    if (http_server_listen(d->server, &d->listen, &d->port, e) == 0)
        return 0;
    http_server_stop(d->server, 0, NULL, NULL);
    return -1;
}

static void on_stopped(void *arg)
{
    struct door *d = arg;
    d->stopped = true;
    for (size_t i = 0; i < d->held_count; i++)
        say(d->held[i], "too late");
    d->held_count = 0;
}

static void stop(struct door *d, void *arg)
{
    (void)arg;
    if (!d->stopping)
        http_server_stop(d->server, d->stop_ms, on_stopped, d);
    d->stopping = true;
}

static void on_stop(void *arg, struct loop_thread *t)
{
    (void)t;
    stop(arg, NULL);
}

void door_open(struct door *d)
{
    signal(SIGPIPE, SIG_IGN);
    const struct loop_thread_config config = {"door", 10000, on_start, on_stop, d};
    CHECK_OK(loop_thread_start(&config, &d->thread, &test_err));
    snprintf(d->url, sizeof d->url, "%s://127.0.0.1:%d", d->listen.certificate ? "https" : "http",
             d->port);
}

void door_close(struct door *d)
{
    if (!d->thread)
        return;
    loop_thread_stop(d->thread);
    d->thread = NULL;
    CHECK(d->stopped);
}

struct task {
    struct door *door;
    void (*fn)(struct door *, void *);
    void *arg;
    uv_sem_t done;
};

static void run_task(void *arg)
{
    struct task *t = arg;
    t->fn(t->door, t->arg);
    uv_sem_post(&t->done);
}

void door_do(struct door *d, void (*fn)(struct door *d, void *arg), void *arg)
{
    struct task t = {.door = d, .fn = fn, .arg = arg};
    uv_sem_init(&t.done, 0);
    CHECK(mailbox_post(loop_thread_mailbox(d->thread), run_task, &t));
    uv_sem_wait(&t.done);
    uv_sem_destroy(&t.done);
}

void door_stop(struct door *d)
{
    door_do(d, stop, NULL);
}

static void release(struct door *d, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < d->held_count; i++)
        say(d->held[i], "released");
    d->held_count = 0;
    d->held_now = 0;
}

void door_release(struct door *d)
{
    door_do(d, release, NULL);
}

static void say_all(struct door *d, void *text)
{
    struct http_bytes *b = http_bytes_new(text, strlen(text));
    for (size_t i = 0; i < d->stream_count; i++)
        if (!http_stream_write_shared(d->streams[i], b))
            d->refused++;
    http_bytes_unref(b);
}

void door_say(struct door *d, const char *text)
{
    door_do(d, say_all, (void *)text);
}

static void count(struct door *d, void *ret)
{
    *(struct http_server_counts *)ret = http_server_counts(d->server);
}

struct http_server_counts door_counts(struct door *d)
{
    struct http_server_counts counts;
    door_do(d, count, &counts);
    return counts;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

int wait_for(atomic_int *n, int wanted)
{
    for (int i = 0; i < 2500 && *n != wanted; i++)
        nap();
    return *n;
}

/* ---- bytes ---- */

int raw_connect(const struct door *d)
{
    int fd;
    if (d->listen.unix_path) {
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        snprintf(addr.sun_path, sizeof addr.sun_path, "%s", d->listen.unix_path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
    } else {
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(d->port)};
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
    }
    struct timeval most = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    return fd;
}

void raw_send(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the other side has closed: what it said is read next */
        text += n;
        len -= (size_t)n;
    }
}

char *raw_read(int fd, const char *until)
{
    struct text all = {0};
    char bytes[65536];
    size_t until_len = until ? strlen(until) : 0;
    text_add(&all, "");
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, until ? MSG_PEEK : 0);
        if (n <= 0)
            break;
        size_t old = all.len, from = old > until_len ? old - until_len : 0;
        text_add_bytes(&all, bytes, (size_t)n);
        if (!until)
            continue;
        /* Takes no byte behind the words that were waited for. */
        char *found = memmem(all.data + from, all.len - from, until, until_len);
        if (found)
            all.len = (size_t)(found - all.data) + until_len;
        all.data[all.len] = '\0';
        CHECK(recv(fd, bytes, all.len - old, 0) == (ssize_t)(all.len - old));
        if (found)
            break;
    }
    return text_take(&all);
}

char *raw_ask(const struct door *d, const char *text)
{
    auto_close int fd = raw_connect(d);
    raw_send(fd, text);
    return raw_read(fd, NULL);
}

int raw_status(const char *answer)
{
    return strncmp(answer, "HTTP/1.", 7) == 0 ? atoi(answer + 9) : 0;
}
