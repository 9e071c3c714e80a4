#include "net/http_exchange.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "net/addr.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>

#define TIMEOUT_MS         30000
#define CONNECT_TIMEOUT_MS 5000
#define MAX_BODY           (16 * 1024 * 1024)
#define MAX_HEADERS        65536
#define A_YEAR_S           (365 * 86400L)

/* ---- what comes back ---- */

bool exchange_is_one_line(const char *s)
{
    return !s[strcspn(s, "\r\n")];
}

int exchange_take_line(struct exchange *x, const char *line, size_t len, struct err *e)
{
    x->heard_ms = clock_mono_ms();
    x->header_bytes += len;
    if (x->header_bytes > MAX_HEADERS)
        return err_set(e, ERR_TOO_LARGE, "the answer has more than %d bytes of headers",
                       MAX_HEADERS);
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', len);
        x->status = space && line + len - space > 3 ? atoi(space + 1) : 0;
        text_clear(&x->head); /* what came before was an interim answer */
        return 0;
    }
    const char *colon = memchr(line, ':', len), *end = line + len;
    if (!colon || memchr(line, '\0', len))
        return 0;
    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (unsigned char)end[-1] <= ' ')
        end--;
    text_add_bytes(&x->head, line, (size_t)(colon - line));
    text_add_char(&x->head, '\0');
    text_add_bytes(&x->head, value, (size_t)(end - value));
    text_add_char(&x->head, '\0');
    return 0;
}

int exchange_take_body(struct exchange *x, const char *bytes, size_t len, struct err *e)
{
    x->heard_ms = clock_mono_ms();
    if (x->stopped) /* cancelled from on_data */
        return -1;
    if (x->on_data && x->status / 100 == 2) {
        if (x->on_data(x->arg, bytes, len) && !x->stopped)
            return 0;
        x->stopped = true;
        return -1;
    }
    if (x->body.len + len > x->max_body)
        return err_set(e, ERR_TOO_LARGE, "the answer has more than %zu bytes", x->max_body);
    text_add_bytes(&x->body, bytes, len);
    return 0;
}

void exchange_set_limits(struct exchange *x, const struct http_call *call, void *arg)
{
    x->on_data = call->on_data;
    x->arg = arg;
    x->timeout_ms = call->timeout_ms ? call->timeout_ms : call->on_data ? 0 : TIMEOUT_MS;
    x->connect_ms = call->connect_timeout_ms ? call->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    x->max_body = call->max_body ? call->max_body : MAX_BODY;
    x->silence_ms = call->silence_ms;
    x->dead_peer_ms = call->dead_peer_ms;
    x->heard_ms = clock_mono_ms();
}

void exchange_probe_peer(int fd, int64_t ms)
{
    int on = 1, third_s = (int)(ms / 3000), all_ms = (int)ms;
    if (ms <= 0)
        return;
    if (third_s < 1)
        third_s = 1;
    /* Each failing alone costs time only; on a unix socket all do. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &third_s, sizeof third_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &third_s, sizeof third_s);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &all_ms, sizeof all_ms);
}

static int on_socket_made(void *exchange, curl_socket_t fd, curlsocktype purpose)
{
    struct exchange *x = exchange;
    (void)purpose;
    exchange_probe_peer(fd, x->dead_peer_ms);
    return CURL_SOCKOPT_OK;
}

static size_t on_header(char *line, size_t size, size_t count, void *exchange)
{
    struct exchange *x = exchange;
    return exchange_take_line(x, line, size * count, &x->ours) == 0 ? size * count : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *exchange)
{
    struct exchange *x = exchange;
    return exchange_take_body(x, bytes, size * count, &x->ours) == 0 ? size * count : 0;
}

static int on_progress(void *exchange, curl_off_t down, curl_off_t got, curl_off_t up,
                       curl_off_t sent)
{
    struct exchange *x = exchange;
    (void)down;
    (void)got;
    (void)up;
    (void)sent;
    if (clock_mono_ms() - x->heard_ms <= x->silence_ms)
        return 0;
    err_set(&x->ours, ERR_TIMEOUT, "the server was silent for %lld ms", (long long)x->silence_ms);
    return 1;
}

static curl_socket_t open_public_socket(void *exchange, curlsocktype purpose,
                                        struct curl_sockaddr *addr)
{
    struct exchange *x = exchange;
    if (purpose != CURLSOCKTYPE_IPCXN || !net_sockaddr_is_public(&addr->addr)) {
        char text[NET_ADDR_TEXT];
        err_set(&x->ours, ERR_DENIED, "address %s is not one of the open Internet",
                net_sockaddr_format(&addr->addr, text));
        return CURL_SOCKET_BAD;
    }
    return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

/* ---- begin ---- */

static int add_headers(struct exchange *x, const struct http_call *call, struct err *e)
{
    bool has_type = false;
    for (const struct http_header *h = call->headers; h && h->name; h++) {
        if (!exchange_is_one_line(h->name) || !exchange_is_one_line(h->value))
            return err_set(e, ERR_INVALID, "a header of the call holds a line break");
        has_type = has_type || strcasecmp(h->name, "Content-Type") == 0;
        auto_free char *line =
            h->value[0] ? mem_printf("%s: %s", h->name, h->value) : mem_printf("%s;", h->name);
        x->headers = x->curl->slist_append(x->headers, line);
    }
    if (!has_type) /* or libcurl claims that the body is a form */
        x->headers = x->curl->slist_append(x->headers, "Content-Type:");
    x->curl->easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
    return 0;
}

static void set_method(struct exchange *x, const struct http_call *call)
{
    CURL *easy = x->easy;
    enum http_method method = call->method ? call->method : HTTP_GET;
    bool sends = call->len || method == HTTP_POST || method == HTTP_PUT || method == HTTP_PATCH;
    if (sends) {
        x->curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->len);
        x->curl->easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, call->len ? call->body : "");
    }
    if (method == HTTP_HEAD)
        x->curl->easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (sends ? method != HTTP_POST : method != HTTP_GET)
        x->curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, http_method_name(method));
}

static void set_limits(struct exchange *x, const struct http_call *call)
{
    CURL *easy = x->easy;
    x->curl->easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)x->timeout_ms);
    x->curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)x->connect_ms);
    if (call->silence_ms) {
        x->curl->easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        x->curl->easy_setopt(easy, CURLOPT_XFERINFODATA, x);
        x->curl->easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
        /* This makes libcurl look at the call every second, and is for nothing else: a stream that
         * lives by a byte every ten seconds is slower than any speed it could be told. */
        x->curl->easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        x->curl->easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, A_YEAR_S);
    }
    x->curl->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (x->dead_peer_ms) {
        long third_s = x->dead_peer_ms >= 3000 ? (long)(x->dead_peer_ms / 3000) : 1;
        x->curl->easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, third_s);
        x->curl->easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, third_s);
        x->curl->easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
        x->curl->easy_setopt(easy, CURLOPT_SOCKOPTDATA, x);
    }
}

static bool set_blob(struct exchange *x, CURLoption option, const char *pem)
{
    struct curl_blob blob = {(void *)pem, strlen(pem), CURL_BLOB_COPY};
    return x->curl->easy_setopt(x->easy, option, &blob) == CURLE_OK;
}

static int set_certificates(struct exchange *x, const struct http_tls *tls, struct err *e)
{
    bool good = true;
    if (tls->ca) {
        good = set_blob(x, CURLOPT_CAINFO_BLOB, tls->ca);
        x->curl->easy_setopt(x->easy, CURLOPT_CAINFO, NULL);
        x->curl->easy_setopt(x->easy, CURLOPT_CAPATH, NULL);
    }
    if (tls->cert && tls->key) {
        good = good && set_blob(x, CURLOPT_SSLCERT_BLOB, tls->cert) &&
               set_blob(x, CURLOPT_SSLKEY_BLOB, tls->key);
        /* Else a locked key would be asked for at the terminal, and the loop would wait for it. */
        x->curl->easy_setopt(x->easy, CURLOPT_KEYPASSWD, "");
    }
    return good ? 0
                : err_set(e, ERR_UNAVAILABLE,
                          "this libcurl takes no certificates from memory: the one with OpenSSL "
                          "(libcurl4) is needed");
}

static int set_way(struct exchange *x, const struct http_call *call, struct err *e)
{
    CURL *easy = x->easy;
    if (call->unix_socket)
        x->curl->easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
    x->curl->easy_setopt(easy, CURLOPT_PROXY, call->proxy ? call->proxy : "");
    if (call->connect_to) {
        if (!exchange_is_one_line(call->connect_to))
            return err_set(e, ERR_INVALID, "the address to connect to holds a line break");
        auto_free char *line = mem_printf("::%s", call->connect_to);
        x->way = x->curl->slist_append(NULL, line);
        x->curl->easy_setopt(easy, CURLOPT_CONNECT_TO, x->way);
    }
    /* Many calls at once to a server with HTTP/2 go over one connection, the first ones too. */
    x->curl->easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    return 0;
}

static void set_protocols(struct exchange *x, bool https_only)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    x->curl->easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, https_only ? "https" : "http,https");
#else
    x->curl->easy_setopt(x->easy, CURLOPT_PROTOCOLS,
                         (long)(https_only ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

int exchange_begin(struct exchange *x, const struct http_call *call, void *arg, struct err *e)
{
    CURL *easy = x->easy;
    exchange_set_limits(x, call, arg);
    x->curl->easy_setopt(easy, CURLOPT_URL, call->url);
    set_protocols(x, call->public_only);
    x->curl->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    x->curl->easy_setopt(easy, CURLOPT_USERAGENT, "reeve/" REEVE_VERSION);
    x->curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, x->why);
    x->curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    x->curl->easy_setopt(easy, CURLOPT_HEADERDATA, x);
    x->curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    x->curl->easy_setopt(easy, CURLOPT_WRITEDATA, x);
    if (set_way(x, call, e) < 0)
        return -1;
    if (call->ca_file) {
        x->curl->easy_setopt(easy, CURLOPT_CAINFO, call->ca_file);
        x->curl->easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (call->tls && set_certificates(x, call->tls, e) < 0)
        return -1;
    if (call->insecure) {
        x->curl->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        x->curl->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (call->public_only) {
        x->curl->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_public_socket);
        x->curl->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, x);
        /* A kept connection was checked when it was opened, but maybe for a call that allows more.
         */
        x->curl->easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    }
    set_limits(x, call);
    set_method(x, call);
    return add_headers(x, call, e);
}

/* ---- end ---- */

static enum err_code code_of(CURLcode code)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERR_INVALID;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return ERR_DENIED;
    default:
        return ERR_UNAVAILABLE;
    }
}

/* Scheme, host and port of a URL: the rest may hold a secret, and this goes into a log. */
static void add_place(struct text *out, const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t len = strcspn(host, "/?#");
    const char *user_end = memrchr(host, '@', len);
    text_add_bytes(out, url, (size_t)(host - url));
    if (user_end) {
        len -= (size_t)(user_end + 1 - host);
        host = user_end + 1;
    }
    text_add_bytes(out, host, len);
}

void exchange_result(struct exchange *x, const char *url, const struct err *why,
                     struct http_reply *ret)
{
    *ret = (struct http_reply){.status = x->status};
    if (why && !x->stopped) {
        auto_text struct text place = {0};
        add_place(&place, url);
        ret->err = *why;
        if (why->code != ERR_INVALID && why->code != ERR_TOO_LARGE)
            err_wrap(&ret->err, "%s", text_get(&place));
    }
    text_add_char(&x->head, '\0'); /* an empty name ends the list */
    ret->body = text_get(&x->body);
    ret->len = x->body.len;
    ret->headers_ = text_get(&x->head);
}

void exchange_reply(struct exchange *x, CURLcode code, struct http_reply *ret)
{
    const char *url = NULL;
    struct err why = x->ours;
    if (!why.code)
        err_set(&why, code_of(code), "%s", x->why[0] ? x->why : x->curl->easy_strerror(code));
    x->curl->easy_getinfo(x->easy, CURLINFO_EFFECTIVE_URL, &url);
    exchange_result(x, url ? url : "", code == CURLE_OK ? NULL : &why, ret);
}

void exchange_clear(struct exchange *x)
{
    if (x->curl) {
        x->curl->slist_free_all(x->headers);
        x->curl->slist_free_all(x->way);
    }
    text_done(&x->head);
    text_done(&x->body);
    *x = (struct exchange){.curl = x->curl, .easy = x->easy};
}

const char *http_reply_header(const struct http_reply *reply, const char *name)
{
    for (const char *p = reply->headers_; p && *p;) {
        const char *value = p + strlen(p) + 1;
        if (strcasecmp(p, name) == 0)
            return value;
        p = value + strlen(value) + 1;
    }
    return NULL;
}

/* The detail of a problem document, or its title; NULL when it is none. */
static char *problem_text(const struct http_reply *reply)
{
    const char *type = http_reply_header(reply, "Content-Type");
    if (!type || strncasecmp(type, "application/problem+json", 24) != 0)
        return NULL;
    auto_json json_t *problem = NULL;
    if (json_parse(reply->body, reply->len, &problem, NULL) < 0)
        return NULL;
    const char *text = json_string_value(json_object_get(problem, "detail"));
    if (!text || !*text)
        text = json_string_value(json_object_get(problem, "title"));
    return text ? mem_strdup(text) : NULL;
}

int http_reply_check(const struct http_reply *reply, struct err *e)
{
    if (reply->err.code) {
        if (e)
            *e = reply->err;
        return -1;
    }
    if (reply->status / 100 == 2)
        return 0;
    auto_free char *text = problem_text(reply);
    enum err_code code = err_from_http(reply->status);
    if (text)
        return err_set(e, code, "%s", text);
    return err_set(e, code, "the server answered with status %d", reply->status);
}
