#include "fake_api.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/socket.h>

struct fake_conn {
    struct fake_conn *next;
    struct fake_api *api;
    pthread_t thread;
    int fd;
    gnutls_session_t tls;
    bool is_cut;
    struct text in;
};

/* ---- bytes ---- */

static ssize_t receive(struct fake_conn *c, char *p, size_t len)
{
    if (!c->tls)
        return recv(c->fd, p, len, 0);
    ssize_t got;
    do
        got = gnutls_record_recv(c->tls, p, len);
    while (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED || got == GNUTLS_E_REHANDSHAKE);
    return got;
}

void fake_raw(struct fake_conn *c, const void *p, size_t len)
{
    const char *at = p;
    while (len && !c->is_cut) {
        ssize_t sent =
            c->tls ? gnutls_record_send(c->tls, at, len) : send(c->fd, at, len, MSG_NOSIGNAL);
        if (sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED)
            continue;
        if (sent <= 0)
            c->is_cut = true;
        else {
            at += sent;
            len -= (size_t)sent;
        }
    }
}

void fake_cut(struct fake_conn *c)
{
    c->is_cut = true;
    shutdown(c->fd, SHUT_RDWR);
}

bool fake_is_open(struct fake_conn *c)
{
    char byte;
    ssize_t got = c->is_cut ? 0 : recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && !c->is_cut && (errno == EAGAIN || errno == EWOULDBLOCK));
}

void fake_wait(struct fake_conn *c)
{
    char byte;
    if (!c->is_cut)
        while (receive(c, &byte, 1) > 0)
            ;
    c->is_cut = true;
}

/* ---- answers ---- */

void fake_reply(struct fake_conn *c, int status, const char *headers, const char *body)
{
    auto_text struct text t = {0};
    text_addf(&t,
              "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
              status, strlen(body), headers ? headers : "");
    text_add(&t, body);
    fake_raw(c, t.data, t.len);
}

void fake_status(struct fake_conn *c, int code, const char *reason, const char *message)
{
    auto_free char *body =
        mem_printf("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
                   "\"Failure\",\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}",
                   message, reason, code);
    fake_reply(c, code, NULL, body);
}

void fake_begin(struct fake_conn *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    fake_raw(c, head, strlen(head));
}

void fake_chunk_bytes(struct fake_conn *c, const char *p, size_t len)
{
    char size[32];
    snprintf(size, sizeof size, "%zx\r\n", len);
    fake_raw(c, size, strlen(size));
    fake_raw(c, p, len);
    fake_raw(c, "\r\n", 2);
}

void fake_chunk(struct fake_conn *c, const char *fmt, ...)
{
    char *text;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    CHECK(len > 0);
    fake_chunk_bytes(c, text, (size_t)len);
    free(text);
}

void fake_end(struct fake_conn *c)
{
    fake_raw(c, "0\r\n\r\n", 5);
}

/* ---- requests ---- */

const char *fake_header(const struct fake_request *r, const char *name, char *buf, size_t size)
{
    size_t len = strlen(name);
    for (const char *line = r->head; line && *line; line = strstr(line, "\r\n")) {
        line += *line == '\r' ? 2 : 0;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            const char *value = line + len + 1 + strspn(line + len + 1, " ");
            snprintf(buf, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            return buf;
        }
    }
    return NULL;
}

bool fake_is(const struct fake_request *r, const char *method, const char *words)
{
    return strcmp(r->method, method) == 0 && strstr(r->target, words);
}

static int count_seen(const char *seen, const char *start, size_t len)
{
    int count = 0;
    for (const char *line = seen; *line; line += strcspn(line, "\n") + 1) {
        bool same = strncmp(line, start, len) == 0 && strchr("?\n", line[len]);
        count += same;
    }
    return count;
}

/* False: the connection is over. */
static bool read_request(struct fake_conn *c, struct fake_request *r)
{
    char bytes[4096], length[16];
    const char *end;
    *r = (struct fake_request){0};
    while (!c->in.data || !(end = strstr(c->in.data, "\r\n\r\n"))) {
        ssize_t got = receive(c, bytes, sizeof bytes);
        if (got <= 0)
            return false;
        text_add_bytes(&c->in, bytes, (size_t)got);
    }
    size_t head = (size_t)(end + 4 - c->in.data);
    CHECK(head < sizeof r->head);
    memcpy(r->head, c->in.data, head);
    CHECK(sscanf(r->head, "%11s %2047s", r->method, r->target) == 2);
    size_t body =
        fake_header(r, "Content-Length", length, sizeof length) ? (size_t)atol(length) : 0;
    while (c->in.len < head + body) {
        ssize_t got = receive(c, bytes, sizeof bytes);
        if (got <= 0)
            return false;
        text_add_bytes(&c->in, bytes, (size_t)got);
    }
    text_add_bytes(&r->body, c->in.data + head, body);
    size_t left = c->in.len - head - body;
    memmove(c->in.data, c->in.data + head + body, left + 1);
    c->in.len = left;

    pthread_mutex_lock(&c->api->lock);
    text_addf(&c->api->seen, "%s %s\n", r->method, r->target);
    auto_free char *start =
        mem_printf("%s %.*s", r->method, (int)strcspn(r->target, "?"), r->target);
    r->number = count_seen(c->api->seen.data, start, strlen(start));
    pthread_mutex_unlock(&c->api->lock);
    return true;
}

/* ---- connections ---- */

static bool greet(struct fake_conn *c, gnutls_certificate_credentials_t ours)
{
    gnutls_init(&c->tls, GNUTLS_SERVER);
    gnutls_set_default_priority(c->tls);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, ours);
    if (c->api->client_ca) {
        gnutls_certificate_server_set_request(c->tls, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert(c->tls, NULL, 0);
    }
    gnutls_transport_set_int(c->tls, c->fd);
    int rc;
    do
        rc = gnutls_handshake(c->tls);
    while (rc < 0 && !gnutls_error_is_fatal(rc));
    return rc == 0;
}

static void *serve(void *arg)
{
    struct fake_conn *c = arg;
    struct fake_request r;
    gnutls_certificate_credentials_t ours = NULL;
    bool good = true;
    if (c->api->cert) {
        gnutls_certificate_allocate_credentials(&ours);
        gnutls_certificate_set_x509_key_file(ours, c->api->cert, c->api->key, GNUTLS_X509_FMT_PEM);
        if (c->api->client_ca)
            gnutls_certificate_set_x509_trust_file(ours, c->api->client_ca, GNUTLS_X509_FMT_PEM);
        good = greet(c, ours);
    }
    while (good && !c->is_cut && read_request(c, &r)) {
        c->api->answer(c, &r, c->api->arg);
        text_done(&r.body);
    }
    shutdown(c->fd, SHUT_RDWR);
    if (c->tls)
        gnutls_deinit(c->tls);
    if (ours)
        gnutls_certificate_free_credentials(ours);
    text_done(&c->in);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct fake_api *f = arg;
    for (int fd; (fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        struct fake_conn *c = mem_new(struct fake_conn);
        c->api = f;
        c->fd = fd;
        pthread_mutex_lock(&f->lock);
        c->next = f->conns;
        f->conns = c;
        f->accepted++;
        pthread_create(&c->thread, NULL, serve, c);
        pthread_mutex_unlock(&f->lock);
    }
    return NULL;
}

void fake_open(struct fake_api *f)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(f->fd, (struct sockaddr *)&addr, len) == 0 && listen(f->fd, 64) == 0);
    getsockname(f->fd, (struct sockaddr *)&addr, &len);
    f->port = ntohs(addr.sin_port);
    snprintf(f->url, sizeof f->url, "%s://127.0.0.1:%d", f->cert ? "https" : "http", f->port);
    pthread_mutex_init(&f->lock, NULL);
    pthread_create(&f->thread, NULL, accept_all, f);
}

void fake_close(struct fake_api *f)
{
    if (!f->port)
        return;
    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    for (struct fake_conn *c = f->conns, *next; c; c = next) {
        next = c->next;
        shutdown(c->fd, SHUT_RDWR);
        pthread_join(c->thread, NULL);
        close(c->fd);
        free(c);
    }
    close(f->fd);
    text_done(&f->seen);
    pthread_mutex_destroy(&f->lock);
}

int fake_count(struct fake_api *f, const char *words)
{
    int count = 0;
    pthread_mutex_lock(&f->lock);
    for (const char *p = text_get(&f->seen); *p; p += strcspn(p, "\n") + 1) {
        const char *found = strstr(p, words);
        count += found && found < p + strcspn(p, "\n");
    }
    pthread_mutex_unlock(&f->lock);
    return count;
}

char *fake_last(struct fake_api *f, const char *words, char *buf, size_t size)
{
    buf[0] = '\0';
    pthread_mutex_lock(&f->lock);
    for (const char *p = text_get(&f->seen); *p; p += strcspn(p, "\n") + 1) {
        const char *found = strstr(p, words);
        if (found && found < p + strcspn(p, "\n"))
            snprintf(buf, size, "%.*s", (int)strcspn(p, "\n"), p);
    }
    pthread_mutex_unlock(&f->lock);
    return buf;
}

/* ---- the client's side ---- */

void side_open_as(struct side *s, struct fake_api *f, const char *user, const char *cluster)
{
    auto_free char *text = mem_printf(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: k, user: u, namespace: work}}]\n"
        "clusters: [{name: k, cluster: {server: '%s'%s%s}}]\nusers: [{name: u, user: {%s}}]\n",
        f->url, cluster ? ", " : "", cluster ? cluster : "", user ? user : "");
    struct kube_config *config = NULL;
    CHECK_OK(kube_config_parse(text, strlen(text), "/tmp", &(struct kube_config_options){0},
                               &config, &test_err));
    uv_loop_init(&s->loop);
    s->client = kube_client_new(
        &s->loop, config,
        &(struct kube_client_options){.least_wait_ms = 5, .most_wait_ms = 40, .patience_ms = 500});
}

void side_open(struct side *s, struct fake_api *f)
{
    side_open_as(s, f, NULL, NULL);
}

void side_close(struct side *s)
{
    kube_client_free(s->client);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&s->loop), 0);
}

static void on_tick(uv_timer_t *timer)
{
    *(int *)timer->data += 1;
}

void side_until(struct side *s, const int *flag, int count)
{
    int ticks = 0;
    uv_timer_init(&s->loop, &s->tick);
    s->tick.data = &ticks;
    uv_timer_start(&s->tick, on_tick, 10, 10);
    while (*flag < count && ticks < 1000)
        uv_run(&s->loop, UV_RUN_ONCE);
    ck_assert_msg(*flag >= count, "waited ten seconds for %d of %d", *flag, count);
    uv_close((uv_handle_t *)&s->tick, NULL);
    uv_run(&s->loop, UV_RUN_NOWAIT);
}

void result_note(void *arg, const struct kube_answer *a)
{
    struct result *r = arg;
    r->status = a->http_status;
    r->err = a->err;
    r->why = a->status;
    r->uncertain = a->uncertain;
    snprintf(r->body, sizeof r->body, "%s", a->body);
    snprintf(r->warning, sizeof r->warning, "%s", a->warning ? a->warning : "");
    r->done++;
}

struct result side_ask(struct side *s, const struct kube_request *request)
{
    struct result r = {0};
    kube_send(s->client, request, result_note, &r);
    CHECK_INT(r.done, 0); /* never from within */
    side_until(s, &r.done, 1);
    return r;
}
