/*
 * Sockets, libmicrohttpd and the loop. Each listener is a daemon of libmicrohttpd with an epoll
 * descriptor of its own and no thread: libuv polls that descriptor, and libmicrohttpd runs when it
 * is readable, when its time-out has come, or when one of our calls has made something ready
 * (listener_touch()). It runs in the loop's prepare and check phases, never inside a call of ours,
 * so a burst of answers costs one run.
 */
#include "net/http_parts.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define POOL_BYTES      16384
#define ROUNDS_MOST     4   /* then timers and other sockets get their turn */
#define KEEP_FILES      256 /* of the open files allowed, for others than HTTP clients */
#define TLS_LOOK_MS     10000
#define TLS_PRIORITIES  "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1:%SERVER_PRECEDENCE"
#define DEFAULT(x, def) ((x) = (x) ? (x) : (def))

/* ---- running libmicrohttpd ---- */

static void on_mhd_timer(uv_timer_t *timer)
{
    listener_touch(timer->data);
}

static void on_mhd_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    listener_touch(poll->data);
}

void listener_touch(struct listener *l)
{
    l->dirty = true;
}

static void run_listener(struct listener *l)
{
    l->dirty = false;
    tls_files_serve(l->tls);
    MHD_run(l->mhd);

    MHD_UNSIGNED_LONG_LONG wait_ms;
    if (MHD_get_timeout(l->mhd, &wait_ms) != MHD_YES)
        return;
    if (wait_ms == 0) {
        l->dirty = true;
        return;
    }
    /* Firing too early does no harm, so the timer is not moved with each request. */
    int64_t due_ms = (int64_t)uv_now(l->server->loop) + (int64_t)wait_ms;
    if (!uv_is_active((uv_handle_t *)&l->timer) || due_ms < l->timer_due_ms) {
        l->timer_due_ms = due_ms;
        uv_timer_start(&l->timer, on_mhd_timer, wait_ms, 0);
    }
}

static void on_busy(uv_idle_t *idle)
{
    (void)idle; /* its being active keeps the loop from sleeping */
}

static bool is_dirty(const struct http_server *s)
{
    for (const struct listener *l = s->listeners; l; l = l->next)
        if (l->dirty)
            return true;
    return stream_any_dirty(s);
}

static void work(struct http_server *s)
{
    if (s->stopped)
        return;
    for (int round = 0; round < ROUNDS_MOST && is_dirty(s); round++) {
        for (struct listener *l = s->listeners; l; l = l->next)
            if (l->dirty)
                run_listener(l);
        stream_flush(s);
        if (s->stopped)
            return;
    }
    if (is_dirty(s))
        uv_idle_start(&s->busy, on_busy);
    else
        uv_idle_stop(&s->busy);
}

static void on_prepare(uv_prepare_t *handle)
{
    work(handle->data);
}

static void on_check(uv_check_t *handle)
{
    work(handle->data);
}

/* ---- watches ---- */

void watch_start(struct http_server *s, struct watch *w, int fd, uint32_t epoll_events)
{
    struct epoll_event event = {.events = epoll_events, .data.ptr = w};
    w->on = epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void watch_stop(struct http_server *s, struct watch *w, int fd)
{
    epoll_ctl(s->watch_fd, EPOLL_CTL_DEL, fd, NULL);
    w->on = false;
}

static void on_watches(uv_poll_t *poll, int status, int poll_events)
{
    struct http_server *s = poll->data;
    struct epoll_event events[128];
    (void)status;
    (void)poll_events;
    int count = epoll_wait(s->watch_fd, events, (int)COUNT_OF(events), 0);
    for (int i = 0; i < count; i++) {
        struct watch *w = events[i].data.ptr;
        /* Nothing is freed between two of these, but one may have stopped another. */
        if (w->on)
            w->on_event(w, events[i].events);
    }
}

/* ---- new ---- */

static unsigned files_for_clients(void)
{
    struct rlimit limit;
    rlim_t files = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
    if (files > 1000000)
        files = 1000000;
    return files > 2 * KEEP_FILES ? (unsigned)files - KEEP_FILES : (unsigned)files / 2;
}

struct http_server *http_server_new(uv_loop_t *loop, const struct http_server_config *config)
{
    struct http_server *s = mem_new(struct http_server);
    s->loop = loop;
    s->config = *config;
    DEFAULT(s->config.header_ms, 30000);
    DEFAULT(s->config.body_ms, 30000);
    DEFAULT(s->config.keep_alive_ms, 75000);
    DEFAULT(s->config.max_connections, files_for_clients());
    DEFAULT(s->config.stream_limit, 256 * 1024);
    s->last_dirty = &s->first_dirty;

    s->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    int rc = s->watch_fd < 0 ? -errno : uv_poll_init(loop, &s->watch_poll, s->watch_fd);
    assert(rc == 0); /* at a program's start there are descriptors */
    uv_prepare_init(loop, &s->before_poll);
    uv_check_init(loop, &s->after_poll);
    uv_idle_init(loop, &s->busy);
    uv_timer_init(loop, &s->conn_timer);
    uv_timer_init(loop, &s->tls_timer);
    uv_timer_init(loop, &s->stop_timer);
    s->watch_poll.data = s->before_poll.data = s->after_poll.data = s;
    s->conn_timer.data = s->tls_timer.data = s->stop_timer.data = s;
    uv_poll_start(&s->watch_poll, UV_READABLE, on_watches);
    uv_prepare_start(&s->before_poll, on_prepare);
    uv_check_start(&s->after_poll, on_check);
    s->open_handles = 7;
    return s;
}

/* ---- listen ---- */

static int bind_tcp(struct listener *l, const char *text, uint16_t *ret_port, bool *ret_loopback,
                    struct err *e)
{
    struct net_addr addr;
    if (net_addr_parse(text, &addr, e) < 0)
        return -1;
    snprintf(l->host, sizeof l->host, "%s", addr.host);

    char port[8];
    snprintf(port, sizeof port, "%u", addr.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    const char *host = strcasecmp(addr.host, "localhost") == 0 ? "127.0.0.1" : addr.host;
    int rc = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (rc != 0)
        return err_set(e, ERR_INVALID, "cannot listen on '%s': %s", text, gai_strerror(rc));
    /* "Every address" is found as 0.0.0.0 and ::; the second takes both kinds. */
    assert(found); /* as it promises */
    struct addrinfo *use = found;
    for (struct addrinfo *a = found; a && !*host; a = a->ai_next)
        if (a->ai_family == AF_INET6)
            use = a;

    int on = 1, off = 0;
    *ret_loopback = net_sockaddr_is_loopback(use->ai_addr);
    l->fd = socket(use->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0 && use != found) { /* no IPv6 here */
        use = found;
        l->fd = socket(use->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (l->fd >= 0) {
        setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (use->ai_family == AF_INET6)
            setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, *host ? &on : &off, sizeof on);
    }
    rc = l->fd < 0 ? -1 : bind(l->fd, use->ai_addr, use->ai_addrlen);
    int failed = rc < 0 ? errno : 0;
    freeaddrinfo(found);
    if (failed == EADDRINUSE)
        return err_set(e, ERR_CONFLICT, "cannot listen on '%s': the address is in use", text);
    if (failed)
        return err_sys(e, failed, "could not listen on '%s'", text);

    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    memset(&bound, 0, sizeof bound);
    getsockname(l->fd, (struct sockaddr *)&bound, &len);
    *ret_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    return 0;
}

/* Removes a socket that nobody listens on any more. */
static int remove_left_over(const struct sockaddr_un *addr, struct err *e)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_CONFLICT, "cannot listen on '%s': it is there and is no socket",
                       addr->sun_path);

    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, errno, "could not make a socket");
    if (connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 || errno != ECONNREFUSED)
        return err_set(e, ERR_CONFLICT, "cannot listen on '%s': another program does",
                       addr->sun_path);
    if (unlink(addr->sun_path) < 0)
        return err_sys(e, errno, "could not remove the old socket '%s'", addr->sun_path);
    return 0;
}

static int bind_unix(struct listener *l, const char *path, mode_t mode, struct err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof addr.sun_path)
        return err_set(e, ERR_INVALID, "the path of a socket must have less than %zu bytes: '%s'",
                       sizeof addr.sun_path, path);
    strcpy(addr.sun_path, path);
    if (remove_left_over(&addr, e) < 0)
        return -1;

    l->is_unix = true;
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;
    /* Nobody can connect before listen(), so the mode is there in time. */
    if (l->fd < 0 || bind(l->fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        chmod(path, mode ? mode : 0600) < 0 || lstat(path, &st) < 0)
        return err_sys(e, errno, "could not listen on '%s'", path);
    l->unix_path = mem_strdup(path);
    l->unix_dev = st.st_dev;
    l->unix_ino = st.st_ino;
    return 0;
}

static size_t keep_escapes(void *arg, struct MHD_Connection *mhd, char *s)
{
    (void)arg;
    (void)mhd;
    return strlen(s); /* we decode the target ourselves, strictly */
}

static void drop_message(void *arg, const char *fmt, va_list args)
{
    (void)arg;
    (void)fmt;
    (void)args;
}

static int64_t longest_ms(const struct http_server_config *c)
{
    int64_t longest = c->keep_alive_ms > c->header_ms ? c->keep_alive_ms : c->header_ms;
    return longest > c->body_ms ? longest : c->body_ms;
}

static bool start_mhd(struct listener *l)
{
    struct http_server *s = l->server;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    /* TURBO: a stream without TLS takes the socket over, see http_stream.c */
    flags |= l->tls ? MHD_USE_TLS : MHD_USE_TURBO;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, l->fd, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)s->config.max_connections + 16, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)(longest_ms(&s->config) + 999) / 1000, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)drop_message, NULL},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)request_begin, s},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)request_completed, s},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)conn_notify, l},
        {l->tls ? MHD_OPTION_HTTPS_PRIORITIES : MHD_OPTION_END, 0, (void *)TLS_PRIORITIES},
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_files_retrieve},
        {MHD_OPTION_END, 0, NULL},
    };
    l->mhd = MHD_start_daemon(flags, 0, conn_accept, s, request_handle, l, MHD_OPTION_ARRAY,
                              options, MHD_OPTION_END);
    return l->mhd != NULL;
}

static void on_tls_timer(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    for (struct listener *l = s->listeners; l; l = l->next) {
        struct err e = {0};
        if (l->tls && tls_files_reload(l->tls, true, &e) < 0 && s->config.on_problem)
            s->config.on_problem(s->config.arg, &e);
    }
}

static void listener_free(struct listener *l)
{
    if (!l)
        return;
    tls_files_free(l->tls);
    if (l->fd >= 0)
        close(l->fd);
    free(l->unix_path);
    free(l);
}
DEFINE_AUTO(struct listener, listener_free)
#define auto_listener AUTO(listener_freep)

int http_server_listen(struct http_server *s, const struct http_listen *how, uint16_t *ret_port,
                       struct err *e)
{
    assert(!how->address != !how->unix_path && !how->certificate == !how->key);
    auto_listener struct listener *l = mem_new(struct listener);
    l->server = s;
    l->fd = -1;
    uint16_t port = 0;
    bool is_loopback = true;

    if (how->certificate && tls_files_open(how->certificate, how->key, &l->tls, e) < 0)
        return -1;
    if (how->unix_path) {
        if (bind_unix(l, how->unix_path, how->unix_mode, e) < 0)
            return -1;
    } else if (bind_tcp(l, how->address, &port, &is_loopback, e) < 0) {
        return -1;
    }
    if (!is_loopback && !l->tls && !how->insecure)
        return err_set(e, ERR_DENIED,
                       "cannot listen on '%s' without TLS: it is not loopback; give certificate "
                       "and key, or --insecure",
                       how->address);
    if (listen(l->fd, SOMAXCONN) < 0)
        return err_sys(e, errno, "could not listen on '%s'",
                       how->address ? how->address : how->unix_path);
    if (!start_mhd(l))
        return err_set(e, ERR_INTERNAL, "could not start the HTTP server on '%s'",
                       how->address ? how->address : how->unix_path);

    int fd = MHD_get_daemon_info(l->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    uv_poll_init(s->loop, &l->poll, fd);
    uv_timer_init(s->loop, &l->timer);
    l->poll.data = l->timer.data = l;
    uv_poll_start(&l->poll, UV_READABLE, on_mhd_readable);
    s->open_handles += 2;
    if (l->tls && !uv_is_active((uv_handle_t *)&s->tls_timer))
        uv_timer_start(&s->tls_timer, on_tls_timer, TLS_LOOK_MS, TLS_LOOK_MS);
    listener_touch(l); /* its first run puts the socket into the epoll set */
    if (ret_port)
        *ret_port = port;
    l->next = s->listeners;
    s->listeners = TAKE(l);
    return 0;
}

int http_server_reload_tls(struct http_server *s, struct err *e)
{
    for (struct listener *l = s->listeners; l; l = l->next)
        if (l->tls && tls_files_reload(l->tls, false, e) < 0)
            return -1;
    return 0;
}

struct http_server_counts http_server_counts(const struct http_server *s)
{
    return (struct http_server_counts){
        .connections_total = s->connections_total,
        .requests_total = s->requests_total,
        .connections = s->connection_count + s->raw_stream_count,
        .waiting = s->waiting,
        .streams = s->stream_count,
    };
}

/* ---- stop ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    if (--s->open_handles)
        return;
    for (struct listener *l = s->listeners, *next; l; l = next) {
        next = l->next;
        listener_free(l);
    }
    close(s->watch_fd);
    void (*on_stopped)(void *) = s->on_stopped;
    void *arg = s->on_stopped_arg;
    free(s);
    if (on_stopped)
        on_stopped(arg);
}

static void close_handle(struct http_server *s, void *handle)
{
    ((uv_handle_t *)handle)->data = s;
    uv_close(handle, on_handle_closed);
}

/* Nothing is under way any more, or its time is over. */
static void end(struct http_server *s)
{
    s->stopped = true;
    for (struct listener *l = s->listeners; l; l = l->next) {
        uv_poll_stop(&l->poll);
        tls_files_serve(l->tls);
        MHD_stop_daemon(l->mhd); /* idle connections end here */
        close_handle(s, &l->poll);
        close_handle(s, &l->timer);
    }
    tls_files_serve(NULL);
    close_handle(s, &s->watch_poll);
    close_handle(s, &s->before_poll);
    close_handle(s, &s->after_poll);
    close_handle(s, &s->busy);
    close_handle(s, &s->conn_timer);
    close_handle(s, &s->tls_timer);
    close_handle(s, &s->stop_timer);
}

/* Answers what the handler has not answered, so that nothing stays suspended: libmicrohttpd must
 * not be stopped then. */
static void give_up(struct http_server *s)
{
    s->giving_up = true;
    for (struct http_stream *stream = s->streams; stream; stream = stream->next)
        http_stream_cut(stream);
    for (struct conn *c = s->conns[CONN_HELD].first; c; c = c->next)
        if (c->request)
            request_give_up(c->request);

    /* The first round takes the answers and closes the streams of TLS, the second calls back. */
    for (int round = 0; round < 2; round++) {
        for (struct listener *l = s->listeners; l; l = l->next)
            run_listener(l);
        while (stream_any_dirty(s))
            stream_flush(s);
    }
}

static bool is_quiet(const struct http_server *s)
{
    return s->stream_count == 0 && s->conns[CONN_BODY].count == 0 &&
           s->conns[CONN_HELD].count == 0 && s->conns[CONN_ANSWER].count == 0;
}

static void on_stop_timer(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    if (!is_quiet(s))
        give_up(s);
    end(s);
}

void server_check_stopped(struct http_server *s)
{
    /* By timer, as this may be called from within libmicrohttpd. */
    if (s->stopping && !s->giving_up && !s->stopped && is_quiet(s))
        uv_timer_start(&s->stop_timer, on_stop_timer, 0, 0);
}

void http_server_stop(struct http_server *s, int64_t deadline_ms, void (*on_stopped)(void *arg),
                      void *arg)
{
    assert(!s->stopping);
    s->stopping = true;
    s->on_stopped = on_stopped;
    s->on_stopped_arg = arg;
    for (struct listener *l = s->listeners; l; l = l->next) {
        struct stat st;
        MHD_quiesce_daemon(l->mhd);
        close(take_fd(&l->fd));
        if (l->unix_path && lstat(l->unix_path, &st) == 0 && st.st_dev == l->unix_dev &&
            st.st_ino == l->unix_ino)
            unlink(l->unix_path);
    }
    for (struct http_stream *stream = s->streams; stream; stream = stream->next)
        http_stream_end(stream);
    uv_timer_start(&s->stop_timer, on_stop_timer, deadline_ms > 0 ? (uint64_t)deadline_ms : 0, 0);
    server_check_stopped(s);
}
