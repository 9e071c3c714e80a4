#include "net/http_plain.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/http_wire.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KEPT_MOST  8
#define READ_BYTES 65536

struct kept {
    char *place;
    int fd;
};

struct plain_client {
    uv_loop_t *loop;
    struct kept kept[KEPT_MOST]; /* oldest first */
    size_t kept_count;
};

struct plain_call {
    struct plain_client *client;
    struct exchange *x;
    void (*on_done)(void *arg, const struct err *e); /* NULL: over */
    void *arg;

    char *place; /* "unix PATH" or "HOST:PORT": what may share connections */
    char *unix_socket, *host, *port;
    struct text request;
    size_t sent;
    struct http_wire wire;
    bool is_head, is_reused;

    int fd;
    uv_poll_t *poll; /* of FD; freed when the loop has let go of it */
    uv_timer_t timer;
    uv_getaddrinfo_t *look; /* under way; it outlives a call that is cancelled */
    struct addrinfo *addrs, *next_addr;
    bool is_connected;
    int64_t deadline_ms, connect_deadline_ms; /* mono; 0: none */
};

static void try_next(struct plain_call *c, int why);
static void on_ready(uv_poll_t *poll, int status, int events);

/* ---- the URL ---- */

/* What stands before the path: from AT, so long. */
static size_t authority(const char *url, const char **ret_at)
{
    *ret_at = url + strlen("http://");
    return strcspn(*ret_at, "/?#");
}

bool plain_speaks(const struct http_call *call)
{
    if (call->public_only || call->proxy || call->connect_to ||
        strncasecmp(call->url, "http://", 7) != 0)
        return false;
    const char *at;
    size_t len = authority(call->url, &at);
    return len && !memchr(at, '@', len); /* a password in a URL is not ours to send */
}

static int read_place(struct plain_call *c, const struct http_call *call, struct err *e)
{
    const char *at;
    size_t len = authority(call->url, &at);
    for (const char *p = call->url; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return err_set(e, ERR_INVALID, "the URL holds a character that cannot be in one");
    const char *host = at, *end = at + len, *close = memrchr(at, ']', len);
    size_t host_len;
    const char *colon = memrchr(at, ':', len);
    if (*at == '[') {
        host++;
        host_len = close ? (size_t)(close - host) : 0;
        colon = close && close + 1 < end ? close + 1 : NULL;
    } else {
        host_len = colon ? (size_t)(colon - at) : len;
    }
    size_t port_len = colon && *colon == ':' ? (size_t)(end - colon - 1) : 0;
    bool makes_sense = host_len && host_len < 256 && port_len <= 5 && (!colon || *colon == ':');
    c->host = mem_printf("%.*s", (int)host_len, host);
    c->port = port_len ? mem_printf("%.*s", (int)port_len, colon + 1) : mem_strdup("80");
    for (const char *p = c->port; *p; p++)
        makes_sense = makes_sense && *p >= '0' && *p <= '9';
    if (!makes_sense || atoi(c->port) > 65535)
        return err_set(e, ERR_INVALID, "the URL names no host and port");
    if (call->unix_socket) {
        if (strlen(call->unix_socket) >= sizeof((struct sockaddr_un *)0)->sun_path)
            return err_set(e, ERR_INVALID, "the path of socket '%.200s' is too long",
                           call->unix_socket);
        c->unix_socket = mem_strdup(call->unix_socket);
        c->place = mem_printf("unix %s", c->unix_socket);
    } else {
        c->place = mem_printf("%s:%s", c->host, c->port);
    }
    return 0;
}

/* ---- the request ---- */

static bool has_header(const struct http_call *call, const char *name)
{
    for (const struct http_header *h = call->headers; h && h->name; h++)
        if (strcasecmp(h->name, name) == 0)
            return true;
    return false;
}

static int write_request(struct plain_call *c, const struct http_call *call, struct err *e)
{
    enum http_method method = call->method ? call->method : HTTP_GET;
    bool sends = call->len || method == HTTP_POST || method == HTTP_PUT || method == HTTP_PATCH;
    const char *at;
    size_t len = authority(call->url, &at);
    const char *target = at + len;
    struct text *t = &c->request;
    c->is_head = method == HTTP_HEAD;

    text_addf(t, "%s %s%.*s HTTP/1.1\r\n", http_method_name(method), *target == '/' ? "" : "/",
              (int)strcspn(target, "#"), target);
    if (!has_header(call, "Host"))
        text_addf(t, "Host: %.*s\r\n", (int)len, at);
    if (!has_header(call, "User-Agent"))
        text_add(t, "User-Agent: reeve/" REEVE_VERSION "\r\n");
    if (!has_header(call, "Accept"))
        text_add(t, "Accept: */*\r\n");
    for (const struct http_header *h = call->headers; h && h->name; h++) {
        if (!exchange_is_one_line(h->name) || !exchange_is_one_line(h->value))
            return err_set(e, ERR_INVALID, "a header of the call holds a line break");
        text_addf(t, "%s: %s\r\n", h->name, h->value);
    }
    if (sends)
        text_addf(t, "Content-Length: %zu\r\n", call->len);
    text_add(t, "\r\n");
    text_add_bytes(t, call->body, call->len);
    return 0;
}

/* ---- the end of a call ---- */

static void on_closed(uv_handle_t *handle)
{
    struct plain_call *c = handle->data;
    text_done(&c->request);
    http_wire_done(&c->wire);
    free(c->place);
    free(c->unix_socket);
    free(c->host);
    free(c->port);
    free(c);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void stop_watching(struct plain_call *c)
{
    if (!c->poll)
        return;
    uv_poll_stop(c->poll);
    uv_close((uv_handle_t *)TAKE(c->poll), on_poll_closed);
}

static void drop_socket(struct plain_call *c)
{
    stop_watching(c);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void keep_socket(struct plain_call *c)
{
    struct plain_client *p = c->client;
    if (p->kept_count == KEPT_MOST) {
        close(p->kept[0].fd);
        free(p->kept[0].place);
        memmove(p->kept, p->kept + 1, --p->kept_count * sizeof *p->kept);
    }
    stop_watching(c);
    p->kept[p->kept_count++] = (struct kept){TAKE(c->place), c->fd};
    c->fd = -1;
}

static void release(struct plain_call *c)
{
    drop_socket(c);
    if (c->look) {
        c->look->data = NULL;
        uv_cancel((uv_req_t *)c->look);
    }
    if (c->addrs)
        uv_freeaddrinfo(c->addrs);
    c->addrs = NULL;
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void finish(struct plain_call *c, const struct err *e)
{
    void (*on_done)(void *, const struct err *) = c->on_done;
    struct err why = e ? *e : (struct err){0};
    void *arg = c->arg;
    c->on_done = NULL;
    if (!e && c->wire.is_kept && c->sent == c->request.len)
        keep_socket(c);
    release(c);
    if (on_done)
        on_done(arg, e ? &why : NULL);
}

void plain_cancel(struct plain_call *c)
{
    c->on_done = NULL;
    release(c);
}

static void fail(struct plain_call *c, enum err_code code, const char *what, int errnum)
{
    struct err e = {0};
    if (errnum)
        err_sys(&e, errnum, "%s", what);
    else
        err_set(&e, code, "%s", what);
    e.code = code;
    finish(c, &e);
}

/* ---- time ---- */

static void set_timer(struct plain_call *c);

static void on_timer(uv_timer_t *timer)
{
    struct plain_call *c = timer->data;
    int64_t now = clock_mono_ms();
    const struct exchange *x = c->x;
    char why[96];
    if (c->deadline_ms && now >= c->deadline_ms)
        fail(c, ERR_TIMEOUT, "the answer took too long", 0);
    else if (!c->is_connected && now >= c->connect_deadline_ms)
        fail(c, ERR_TIMEOUT, "the connection took too long", 0);
    else if (c->is_connected && x->silence_ms && now - x->heard_ms >= x->silence_ms) {
        snprintf(why, sizeof why, "the server was silent for %lld ms", (long long)x->silence_ms);
        fail(c, ERR_TIMEOUT, why, 0);
    } else {
        set_timer(c);
    }
}

static void set_timer(struct plain_call *c)
{
    int64_t at = c->deadline_ms;
    int64_t other = !c->is_connected   ? c->connect_deadline_ms
                    : c->x->silence_ms ? c->x->heard_ms + c->x->silence_ms
                                       : 0;
    if (!at || (other && other < at))
        at = other;
    int64_t wait = at - clock_mono_ms();
    uv_update_time(c->client->loop);
    if (at)
        uv_timer_start(&c->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0);
    else
        uv_timer_stop(&c->timer);
}

/* ---- the connection ---- */

static int watch(struct plain_call *c, int fd)
{
    c->fd = fd;
    c->poll = mem_new(uv_poll_t);
    if (uv_poll_init(c->client->loop, c->poll, fd) < 0) {
        free(TAKE(c->poll));
        return -1;
    }
    c->poll->data = c;
    uv_poll_start(c->poll, UV_READABLE | UV_WRITABLE, on_ready);
    return 0;
}

/* A kept connection that is still good; -1: none. */
static int take_kept(struct plain_client *p, const char *place)
{
    for (size_t i = p->kept_count; i-- > 0;) {
        if (strcmp(p->kept[i].place, place) != 0)
            continue;
        int fd = p->kept[i].fd;
        char byte;
        free(p->kept[i].place);
        memmove(&p->kept[i], &p->kept[i + 1], (--p->kept_count - i) * sizeof *p->kept);
        if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
            return fd;
        close(fd); /* the other side has closed it, or says what nobody asked for */
    }
    return -1;
}

static int connect_to(struct plain_call *c, const struct sockaddr *addr, socklen_t len)
{
    int one = 1, fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (addr->sa_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        exchange_probe_peer(fd, c->x->dead_peer_ms);
    }
    if (connect(fd, addr, len) < 0 && errno != EINPROGRESS) {
        int why = errno;
        close(fd);
        return why;
    }
    if (watch(c, fd) == 0)
        return 0;
    drop_socket(c);
    return ENOMEM;
}

/* WHY: what the address before said, 0 for the first. */
static void try_next(struct plain_call *c, int why)
{
    while (c->next_addr) {
        const struct addrinfo *a = c->next_addr;
        c->next_addr = a->ai_next;
        why = connect_to(c, a->ai_addr, a->ai_addrlen);
        if (!why)
            return;
    }
    fail(c, ERR_UNAVAILABLE, "could not connect", why ? why : EHOSTUNREACH);
}

static void on_looked(uv_getaddrinfo_t *look, int status, struct addrinfo *addrs)
{
    struct plain_call *c = look->data;
    free(look);
    if (!c) {
        uv_freeaddrinfo(addrs);
        return;
    }
    c->look = NULL;
    if (status < 0) {
        char why[128];
        snprintf(why, sizeof why, "could not find the host: %.80s", uv_strerror(status));
        fail(c, ERR_UNAVAILABLE, why, 0);
        return;
    }
    c->addrs = c->next_addr = addrs;
    try_next(c, 0);
}

static void look_up(struct plain_call *c)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    /* An address in figures needs no look-up, and so none of libuv's threads. */
    hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST;
    const char *host = strcasecmp(c->host, "localhost") == 0 ? "127.0.0.1" : c->host;
    if (getaddrinfo(host, c->port, &hints, &c->addrs) == 0) {
        c->next_addr = c->addrs;
        try_next(c, 0);
        return;
    }
    c->addrs = NULL;
    c->look = mem_new(uv_getaddrinfo_t);
    c->look->data = c;
    hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
    int rc = uv_getaddrinfo(c->client->loop, c->look, on_looked, c->host, c->port, &hints);
    if (rc < 0) {
        free(TAKE(c->look));
        fail(c, ERR_UNAVAILABLE, "could not look for the host", -rc);
    }
}

static void open_connection(struct plain_call *c)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (!c->unix_socket) {
        look_up(c);
        return;
    }
    strcpy(addr.sun_path, c->unix_socket);
    int why = connect_to(c, (struct sockaddr *)&addr, sizeof addr);
    if (why)
        fail(c, ERR_UNAVAILABLE, "could not connect", why);
}

/* A kept connection that ends before a byte of the answer: the server had given it up already, so
 * the request was not read. */
static bool begins_anew(struct plain_call *c)
{
    if (!c->is_reused || c->wire.has_begun)
        return false;
    drop_socket(c);
    c->is_reused = c->is_connected = false;
    c->sent = 0;
    set_timer(c);
    open_connection(c);
    return true;
}

/* ---- bytes ---- */

static int on_line(void *arg, const char *line, size_t len, struct err *e)
{
    struct plain_call *c = arg;
    return exchange_take_line(c->x, line, len, e);
}

static int on_body(void *arg, const char *bytes, size_t len, struct err *e)
{
    struct plain_call *c = arg;
    return exchange_take_body(c->x, bytes, len, e);
}

static const struct http_wire_events wire_events = {on_line, on_body};

/* False: it has ended. */
static bool send_more(struct plain_call *c)
{
    while (c->sent < c->request.len) {
        ssize_t n = send(c->fd, c->request.data + c->sent, c->request.len - c->sent, MSG_NOSIGNAL);
        if (n >= 0) {
            c->sent += (size_t)n;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            if (begins_anew(c))
                return false;
            /* The answer to what it did not want to read may still be there. */
            uv_poll_start(c->poll, UV_READABLE, on_ready);
            return true;
        }
    }
    if (c->sent == c->request.len)
        uv_poll_start(c->poll, UV_READABLE, on_ready);
    return true;
}

static void read_more(struct plain_call *c)
{
    char bytes[READ_BYTES];
    struct err e = {0};
    for (int reads = 0; reads < 16; reads++) { /* then others get their turn */
        ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            int why = n < 0 ? errno : 0;
            if (begins_anew(c))
                return;
            if (why)
                fail(c, ERR_UNAVAILABLE, "the connection broke", why);
            else if (http_wire_end(&c->wire, &e) < 0)
                finish(c, &e);
            else
                finish(c, NULL);
            return;
        }
        c->x->heard_ms = clock_mono_ms();
        if (http_wire_take(&c->wire, bytes, (size_t)n, &wire_events, c, &e) < 0) {
            finish(c, &e);
            return;
        }
        if (c->wire.state == WIRE_DONE) {
            finish(c, NULL);
            return;
        }
        if ((size_t)n < sizeof bytes)
            return;
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct plain_call *c = poll->data;
    if (!c->is_connected) {
        int why = 0;
        socklen_t len = sizeof why;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &why, &len);
        if (!why && status < 0)
            why = -status;
        if (why) {
            drop_socket(c);
            try_next(c, why);
            return;
        }
        c->is_connected = true;
        c->x->heard_ms = clock_mono_ms();
        set_timer(c);
    }
    if (status < 0) /* libuv has stopped to look; reading says why, behind what came before */
        uv_poll_start(c->poll, UV_READABLE, on_ready);
    else if (c->sent < c->request.len && events & UV_WRITABLE && !send_more(c))
        return;
    if (events & (UV_READABLE | UV_DISCONNECT) || status < 0)
        read_more(c);
}

/* ---- begin ---- */

static void on_begin(uv_timer_t *timer)
{
    struct plain_call *c = timer->data;
    int fd = take_kept(c->client, c->place);
    set_timer(c);
    if (fd < 0) {
        open_connection(c);
        return;
    }
    c->is_reused = c->is_connected = true;
    c->x->heard_ms = clock_mono_ms();
    if (watch(c, fd) < 0) {
        fail(c, ERR_UNAVAILABLE, "could not wait for the connection", ENOMEM);
        return;
    }
    set_timer(c);
    send_more(c);
}

static void on_refused(uv_timer_t *timer)
{
    struct plain_call *c = timer->data;
    struct err e = c->x->ours;
    finish(c, &e);
}

struct plain_client *plain_client_new(uv_loop_t *loop)
{
    struct plain_client *p = mem_new(struct plain_client);
    p->loop = loop;
    return p;
}

void plain_client_free(struct plain_client *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->kept_count; i++) {
        close(p->kept[i].fd);
        free(p->kept[i].place);
    }
    free(p);
}

struct plain_call *plain_begin(struct plain_client *p, struct exchange *x,
                               const struct http_call *call,
                               void (*on_done)(void *arg, const struct err *e), void *arg)
{
    struct plain_call *c = mem_new(struct plain_call);
    *c = (struct plain_call){.client = p, .x = x, .on_done = on_done, .arg = arg, .fd = -1};
    exchange_set_limits(x, call, x->arg);
    bool sound = read_place(c, call, &x->ours) == 0 && write_request(c, call, &x->ours) == 0;
    http_wire_init(&c->wire, c->is_head);
    int64_t now = clock_mono_ms();
    c->deadline_ms = x->timeout_ms ? now + x->timeout_ms : 0;
    c->connect_deadline_ms = now + x->connect_ms;
    uv_timer_init(p->loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, sound ? on_begin : on_refused, 0, 0);
    return c;
}
