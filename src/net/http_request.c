/*
 * A request from its first line to the call-back. libmicrohttpd calls request_begin() with the
 * first line, request_handle() once the headers are there, then for each piece of the body, then
 * once more when all of it has arrived, and again after each request_resume(); request_completed()
 * is the last.
 */
#include "net/http_parts.h"

#include "base/failpoint.h"
#include "base/mem.h"

#include <assert.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* A body that is refused is still read up to this much over its limit: closing earlier would make
 * the kernel reset the connection, and the client would not see why. */
#define DRAIN_MOST (16 * 1024 * 1024)

/* ---- begin ---- */

static void cut_target(struct http_request *r)
{
    r->path = http_target_path(r->target);
    char *query = strchr(r->path, '?');
    if (query)
        *query++ = '\0';
    if (!http_path_decode(r->path, &r->bad_target) || !query)
        return;
    r->params = mem_new_array(struct http_param, HTTP_PARAMS_MOST);
    if (!http_query_decode(query, r->params, &r->param_count, &r->bad_target))
        r->param_count = 0;
    r->params = mem_resize_array(r->params, r->param_count ? r->param_count : 1);
}

void *request_begin(void *server, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *s = server;
    size_t len = strlen(target);
    struct http_request *r = mem_alloc(1, sizeof *r + len + 1);
    memcpy(r->target, target, len + 1);
    r->server = s;
    r->conn = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    r->peer.uid = (uid_t)-1;
    r->conn->request = r;
    cut_target(r);
    s->requests_total++;
    return r;
}

void request_free(struct http_request *r)
{
    if (r->context_free)
        r->context_free(r->context);
    if (r->response)
        MHD_destroy_response(r->response);
    text_done(&r->body);
    free(r->params);
    free(r);
}

/* ---- what is refused without asking the handler ---- */

static void refuse(struct http_request *r, int status, const char *slug, const char *title,
                   const char *detail)
{
    /* After nonsense it is not sure where the next request begins. */
    static const struct http_header close[] = {{"Connection", "close"}, {0}};
    bool nonsense = status == 400 || status == 431;
    if (!r->response)
        answer_set_problem(r, status, slug, title, detail, nonsense ? close : NULL);
}

static void refuse_invalid(struct http_request *r, const char *what, const char *why)
{
    auto_free char *detail = mem_printf("%s %s", what, why);
    refuse(r, 400, err_slug(ERR_INVALID), err_title(ERR_INVALID), detail);
}

static void refuse_too_large(struct http_request *r)
{
    auto_free char *detail =
        mem_printf("the body has more than the %zu bytes that are taken here", r->body_limit);
    refuse(r, 413, err_slug(ERR_TOO_LARGE), err_title(ERR_TOO_LARGE), detail);
}

struct header_facts {
    unsigned hosts, lengths, encodings;
    const char *host, *length, *expect;
};

static enum MHD_Result note_header(void *facts, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct header_facts *f = facts;
    (void)kind;
    if (strcasecmp(name, "Host") == 0) {
        f->hosts++;
        f->host = value;
    } else if (strcasecmp(name, "Content-Length") == 0) {
        f->lengths++;
        f->length = value;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        f->encodings++;
    } else if (strcasecmp(name, "Expect") == 0) {
        f->expect = value;
    }
    return MHD_YES;
}

static bool host_is_served(const struct http_request *r, const char *host)
{
    const struct listener *l = r->conn->listener;
    if (http_host_is_local(host) || (l->host[0] && http_host_is(host, l->host)))
        return true;
    for (const char *const *name = r->server->config.hosts; name && *name; name++)
        if (strcmp(*name, "*") == 0 || http_host_is(host, *name))
            return true;
    return false;
}

static void check_host(struct http_request *r, const struct header_facts *f)
{
    if (f->hosts > 1)
        refuse_invalid(r, "the request", "has more than one Host header");
    else if (r->conn->listener->is_unix)
        return;
    else if (!f->host && !r->http_1_0)
        refuse_invalid(r, "the request", "has no Host header");
    else if (f->host && !host_is_served(r, f->host))
        refuse(r, 421, "host-not-served", "this host name is not served here",
               "the Host header names neither this address nor a configured name");
}

/* The headers are there. Sets R's answer when it is refused, and tells how many bytes of body are
 * announced; 0 when that is not known. */
static uint64_t check_headers(struct http_request *r, struct MHD_Connection *mhd,
                              struct header_facts *f)
{
    MHD_get_connection_values(mhd, MHD_HEADER_KIND, note_header, f);
    size_t header_bytes =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    uint64_t length = f->length ? strtoull(f->length, NULL, 10) : 0;

    if (header_bytes > HTTP_HEADER_LIMIT)
        refuse(r, 431, "headers-too-large", "headers too large",
               "the request line and headers have more than 8192 bytes");
    if (r->bad_target)
        refuse_invalid(r, "the path or query", r->bad_target);
    check_host(r, f);
    /* Two ways to say where the body ends are how requests are smuggled past a proxy. */
    if (f->lengths > 1 || f->encodings > 1 || (f->lengths && f->encodings))
        refuse_invalid(r, "the request", "says more than once how long its body is");
    if (r->method == HTTP_OTHER)
        refuse(r, 501, "method-not-known", "method not known",
               "no resource of this server knows this method");

    const struct http_server_config *config = &r->server->config;
    r->body_limit = config->body_limit ? config->body_limit(config->arg, r->method, r->path) : 0;
    if (!r->body_limit)
        r->body_limit = HTTP_BODY_LIMIT;
    if (length > r->body_limit)
        refuse_too_large(r);
    return length;
}

/* ---- on the way to the handler ---- */

static enum MHD_Result give_answer(struct http_request *r, struct MHD_Connection *mhd)
{
    /* What the answer tells is done and committed; the client does not hear of it. */
    if (FAILPOINT("net.answer"))
        return MHD_NO;
    conn_enter(r->conn, r->stream ? CONN_HELD : CONN_ANSWER);
    return MHD_queue_response(mhd, r->status, r->response);
}

static enum MHD_Result take_headers(struct http_request *r, struct MHD_Connection *mhd,
                                    const char *method, const char *version)
{
    struct header_facts facts = {0};
    r->has_headers = true;
    r->method = http_method_from(method);
    r->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    uint64_t length = check_headers(r, mhd, &facts);
    conn_enter(r->conn, CONN_BODY);

    /* Who asked whether to send the body gets the answer now; so does who announces too much to be
     * read and thrown away. libmicrohttpd closes the connection then. */
    bool asks = facts.expect && strcasecmp(facts.expect, "100-continue") == 0 &&
                (length || facts.encodings);
    if (r->response && (asks || length > r->body_limit + DRAIN_MOST))
        return give_answer(r, mhd);
    return MHD_YES;
}

static enum MHD_Result take_body(struct http_request *r, const char *data, size_t *len)
{
    struct conn *c = r->conn;
    c->body_bytes += *len;
    if (c->body_bytes > (uint64_t)r->body_limit + DRAIN_MOST)
        return MHD_NO;
    if (r->body.len + *len > r->body_limit)
        refuse_too_large(r);
    if (r->response)
        text_done(&r->body);
    else
        text_add_bytes(&r->body, data, *len);
    *len = 0;
    return MHD_YES;
}

/* All of it has arrived. */
static void call_handler(struct http_request *r)
{
    struct http_server *s = r->server;
    conn_enter(r->conn, CONN_HELD);
    s->waiting++;
    r->owed = true;
    r->in_handler = true;
    s->config.on_request(s->config.arg, r);
    r->in_handler = false;
}

enum MHD_Result request_handle(void *listener, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *len, void **context)
{
    struct http_request *r = *context;
    (void)listener;
    (void)url; /* decoded from the raw target instead, see request_begin() */

    if (!r->has_headers)
        return take_headers(r, mhd, method, version);
    if (*len)
        return take_body(r, data, len);
    if (r->server->giving_up)
        request_give_up(r);
    if (!r->response && !r->closed && !r->owed)
        call_handler(r);
    if (r->closed)
        return MHD_NO;
    if (r->response)
        return give_answer(r, mhd);
    r->suspended = true;
    MHD_suspend_connection(mhd);
    return MHD_YES;
}

void request_resume(struct http_request *r)
{
    if (!r->suspended)
        return;
    r->suspended = false;
    MHD_resume_connection(r->conn->mhd);
    listener_touch(r->conn->listener);
}

void request_give_up(struct http_request *r)
{
    if (!r->response && !r->closed)
        answer_set_problem(r, 503, err_slug(ERR_UNAVAILABLE), err_title(ERR_UNAVAILABLE),
                           "the server is stopping", NULL);
    request_resume(r);
}

void request_completed(void *server, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode code)
{
    struct http_request *r = *context;
    struct http_server *s = server;
    (void)mhd;
    (void)code;
    if (!r)
        return;
    *context = NULL;
    r->conn->request = NULL;
    conn_enter(r->conn, CONN_IDLE);
    if (r->stream)
        stream_request_completed(r->stream);
    if (!r->owed) {
        request_free(r);
        server_check_stopped(s);
        return;
    }

    /* The handler still owes its answer: what it holds stays valid, without what belongs to the
     * connection. */
    http_request_peer(r);
    if (r->watch.on)
        watch_stop(s, &r->watch, r->conn->fd);
    s->waiting--;
    r->conn = NULL;
    r->server = NULL;
    bool told = r->gone;
    r->gone = true;
    if (!told && r->on_gone)
        r->on_gone(r->on_gone_arg, r);
}

/* ---- what the handler asks ---- */

enum http_method http_request_method(const struct http_request *r)
{
    return r->method;
}

const char *http_request_path(const struct http_request *r)
{
    return r->path;
}

const char *http_query_get(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->param_count; i++)
        if (strcmp(r->params[i].name, name) == 0)
            return r->params[i].value;
    return NULL;
}

void http_query_each(const struct http_request *r,
                     bool (*on_param)(void *arg, const char *name, const char *value), void *arg)
{
    for (size_t i = 0; i < r->param_count; i++)
        if (!on_param(arg, r->params[i].name, r->params[i].value))
            return;
}

const char *http_header_get(const struct http_request *r, const char *name)
{
    return r->conn ? MHD_lookup_connection_value(r->conn->mhd, MHD_HEADER_KIND, name) : NULL;
}

const char *http_request_body(const struct http_request *r, size_t *ret_len)
{
    *ret_len = r->body.len;
    return text_get(&r->body);
}

const struct http_peer *http_request_peer(const struct http_request *request)
{
    struct http_request *r = (struct http_request *)request; /* found out when first asked for */
    struct http_peer *peer = &r->peer;
    if (r->has_peer || !r->conn)
        return peer;
    r->has_peer = true;
    peer->uid = (uid_t)-1;
    peer->is_unix = r->conn->listener->is_unix;
    peer->is_tls = r->conn->listener->tls != NULL;

    if (peer->is_unix) {
        struct ucred who;
        socklen_t len = sizeof who;
        snprintf(peer->text, sizeof peer->text, "unix");
        if (getsockopt(r->conn->fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0) {
            peer->uid = who.uid;
            peer->pid = who.pid;
        }
        return peer;
    }
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    memset(&addr, 0, sizeof addr);
    if (getpeername(r->conn->fd, (struct sockaddr *)&addr, &len) == 0) {
        peer->is_loopback = net_sockaddr_is_loopback((struct sockaddr *)&addr);
        net_sockaddr_format((struct sockaddr *)&addr, peer->text);
    } else {
        snprintf(peer->text, sizeof peer->text, "gone");
    }
    return peer;
}

void http_request_set_context(struct http_request *r, void *context, void (*free_fn)(void *))
{
    r->context = context;
    r->context_free = free_fn;
}

void *http_request_context(const struct http_request *r)
{
    return r->context;
}

bool http_request_is_gone(const struct http_request *r)
{
    return r->gone;
}

static void on_hang_up(struct watch *w, uint32_t events)
{
    struct http_request *r = (struct http_request *)w; /* its first member */
    (void)events;
    watch_stop(r->server, w, r->conn->fd);
    r->gone = true;
    if (r->on_gone)
        r->on_gone(r->on_gone_arg, r);
}

void http_request_watch(struct http_request *r, void (*on_gone)(void *arg, struct http_request *r),
                        void *arg)
{
    r->on_gone = on_gone;
    r->on_gone_arg = arg;
    r->watch.on_event = on_hang_up;
    if (r->conn && !r->watch.on)
        watch_start(r->server, &r->watch, r->conn->fd, EPOLLRDHUP | EPOLLHUP | EPOLLERR);
}
