#include "cli/client.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/json_view.h"
#include "cli/place.h"
#include "net/backoff.h"
#include "net/http_client.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <time.h>

struct client {
    struct http_sync *http;
    char *socket; /* NULL: by TCP */
    char *base;   /* "http://127.0.0.1:8081", without a slash at the end */
    char *where;
    char *authorization; /* "Bearer ..."; NULL: none */
    char *ca_file;
    bool insecure;
    int64_t timeout_ms;
    struct http_reply reply; /* of the last call */
    char *ahead;             /* the path of a GET that was sent and not taken yet; NULL: none */
};

void client_close(struct client *c)
{
    if (!c)
        return;
    http_sync_free(c->http);
    free(c->ahead);
    free(c->socket);
    free(c->base);
    free(c->where);
    free(c->authorization);
    free(c->ca_file);
    free(c);
}

const char *client_where(const struct client *c)
{
    return c->where;
}

char *client_public_url(const struct client *c)
{
    auto_free char *path = NULL, *text = NULL;
    auto_json json_t *ports = NULL;
    const char *slash = c->socket ? strrchr(c->socket, '/') : NULL;
    size_t len;
    if (!c->socket)
        return mem_strdup(c->base);
    path = mem_printf("%.*sreeved.ports", slash ? (int)(slash - c->socket + 1) : 0, c->socket);
    if (file_read(path, 65536, &text, &len, NULL) < 0 || json_parse(text, len, &ports, NULL) < 0)
        return mem_strdup("http://127.0.0.1:8081");
    const char *host = view_text(ports, "address");
    const char *scheme = json_is_true(json_object_get(ports, "tls")) ? "https" : "http";
    bool any = !*host || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    return mem_printf(strchr(host, ':') && !any ? "%s://[%s]:%" PRId64 : "%s://%s:%" PRId64, scheme,
                      any ? "127.0.0.1" : host, view_int(ports, "port", 8081));
}

bool client_was_answered(const struct client *c)
{
    return c->reply.status != 0;
}

static void use_socket(struct client *c, const char *path)
{
    c->socket = mem_strdup(path);
    c->base = mem_strdup("http://localhost");
    c->where = mem_printf("unix socket %s", path);
}

static int use_url(struct client *c, const char *url, struct err *e)
{
    if (!text_starts_with(url, "http://") && !text_starts_with(url, "https://"))
        return err_set(e, ERR_INVALID,
                       "server '%s' must begin with http://, https:// or unix:", url);
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    c->base = mem_strndup(url, len);
    c->where = mem_strdup(c->base);
    return 0;
}

/* The token is the last word, so that admin.token works as it is. */
static int read_token_file(const char *path, char **ret, struct err *e)
{
    auto_free char *text = NULL;
    size_t len;
    if (file_read(path, 4096, &text, &len, e) < 0)
        return err_wrap(e, "could not read the token");
    while (len && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    size_t start = len;
    while (start && !isspace((unsigned char)text[start - 1]))
        start--;
    if (!text[start])
        return err_set(e, ERR_INVALID, "token file '%s' is empty", path);
    *ret = mem_strdup(text + start);
    return 0;
}

static int use_token(struct client *c, const struct cli_options *opt, struct err *e)
{
    auto_free char *token = NULL;
    if (opt->token && *opt->token)
        token = mem_strdup(opt->token);
    else if (opt->token_file && *opt->token_file && read_token_file(opt->token_file, &token, e) < 0)
        return -1;
    if (!token)
        return 0;
    for (const char *p = token; *p; p++)
        if (*p <= ' ' || *p > '~')
            return err_set(e, ERR_INVALID, "the token holds a character that no token has");
    c->authorization = mem_printf("Bearer %s", token);
    return 0;
}

int client_open(const struct cli_options *opt, struct client **ret, struct err *e)
{
    auto_client struct client *c = mem_new(struct client);
    auto_free char *socket = NULL;

    c->http = http_sync_new();
    c->timeout_ms = opt->timeout_ms;
    c->insecure = opt->tls_insecure;
    c->ca_file = opt->tls_ca ? mem_strdup(opt->tls_ca) : NULL;
    if (opt->server && text_starts_with(opt->server, "unix:"))
        use_socket(c, opt->server + 5);
    else if (opt->server && *opt->server) {
        if (use_url(c, opt->server, e) < 0)
            return -1;
    } else if ((socket = place_socket())) {
        use_socket(c, socket);
    } else if (use_url(c, "http://127.0.0.1:8081", e) < 0) {
        return -1;
    }
    if (use_token(c, opt, e) < 0)
        return -1;
    *ret = TAKE(c);
    return 0;
}

int cli_client(struct cli *c, struct client **ret, struct err *e)
{
    if (!c->client && client_open(&c->opt, &c->client, e) < 0)
        return -1;
    *ret = c->client;
    return 0;
}

struct client *client_open_socket(const char *path, const char *token)
{
    struct client *c = mem_new(struct client);
    c->http = http_sync_new();
    c->timeout_ms = 10000;
    use_socket(c, path);
    c->authorization = token ? mem_printf("Bearer %s", token) : NULL;
    return c;
}

/* ---- calls ---- */

struct request {
    enum http_method method;
    const char *path;
    const char *body; /* JSON; NULL: none */
    const char *etag, *key;
    int64_t silence_ms;
    bool (*on_data)(void *arg, const char *bytes, size_t len);
    void *arg;
};

/* Hands CALL, whose parts are gone when this returns, to http_sync_begin() or _send(). */
static int send_out(struct client *c, const struct request *r, bool begin, struct err *e)
{
    struct http_header headers[6] = {{"Accept", "application/json, */*"}};
    size_t n = 1;
    if (c->authorization)
        headers[n++] = (struct http_header){"Authorization", c->authorization};
    if (r->body)
        headers[n++] = (struct http_header){"Content-Type", "application/json"};
    if (r->etag && *r->etag)
        headers[n++] = (struct http_header){"If-None-Match", r->etag};
    if (r->key)
        headers[n++] = (struct http_header){"Idempotency-Key", r->key};

    auto_free char *url = mem_printf("%s%s", c->base, r->path);
    struct http_call hc = {
        .method = r->method,
        .url = url,
        .headers = headers,
        .body = r->body,
        .len = r->body ? strlen(r->body) : 0,
        .unix_socket = c->socket,
        .ca_file = c->ca_file,
        .insecure = c->insecure,
        .timeout_ms = r->on_data ? 0 : c->timeout_ms,
        .silence_ms = r->silence_ms,
        .max_body = 64 << 20,
        .on_data = r->on_data,
    };
    if (begin)
        return http_sync_begin(c->http, &hc, r->arg) ? 0 : -1;
    return http_sync_send(c->http, &hc, r->arg, &c->reply, e);
}

/* The answer of the call that was sent ahead: 1, where it is to this PATH; -1: it failed. 0: there
 * was none to this one. */
static int take_ahead(struct client *c, const char *path, struct err *e)
{
    auto_free char *ahead = TAKE(c->ahead);
    if (!ahead)
        return 0;
    int rc = http_sync_finish(c->http, &c->reply, e);
    if (strcmp(ahead, path) != 0)
        return 0;
    return rc < 0 ? -1 : 1;
}

/* -1: no answer or not a whole one. The status is the caller's to judge. */
static int call(struct client *c, const struct request *r, struct err *e)
{
    bool plain = r->method == HTTP_GET && !r->etag && !r->key && !r->on_data;
    int rc = take_ahead(c, plain ? r->path : "", e);
    if (rc > 0)
        return 0;
    if (rc == 0) {
        c->reply = (struct http_reply){0};
        rc = send_out(c, r, false, e);
    }
    if (rc == 0)
        return 0;
    if (c->reply.status)
        return -1;
    if (c->socket && e->code == ERR_UNAVAILABLE && !place_socket_answers(c->socket))
        return err_set(e, ERR_UNAVAILABLE, "could not reach reeved: nobody answers at %s",
                       c->where);
    return err_wrap(e, "could not reach reeved");
}

static int call_checked(struct client *c, const struct request *r, struct err *e)
{
    if (call(c, r, e) < 0)
        return -1;
    return http_reply_check(&c->reply, e);
}

static int take_json(struct client *c, json_t **ret, struct err *e)
{
    if (!ret)
        return 0;
    *ret = NULL;
    if (!c->reply.len)
        return 0;
    if (json_parse(c->reply.body, c->reply.len, ret, e) < 0)
        return err_wrap(e, "the answer of %s is not JSON; is it reeved?", c->where);
    return 0;
}

int client_get(struct client *c, const char *path, json_t **ret, struct err *e)
{
    struct request r = {.method = HTTP_GET, .path = path};
    if (call_checked(c, &r, e) < 0)
        return -1;
    return take_json(c, ret, e);
}

int client_get_changed(struct client *c, const char *path, struct client_etag *etag, json_t **ret,
                       struct err *e)
{
    struct request r = {.method = HTTP_GET, .path = path, .etag = etag->text};
    *ret = NULL;
    if (call(c, &r, e) < 0)
        return -1;
    if (c->reply.status == 304)
        return 0;
    if (http_reply_check(&c->reply, e) < 0)
        return -1;
    snprintf(etag->text, sizeof etag->text, "%s", client_header(c, "ETag"));
    return take_json(c, ret, e);
}

int client_send(struct client *c, enum http_method method, const char *path, const json_t *body,
                json_t **ret, struct err *e)
{
    auto_free char *text = body ? json_write(body) : NULL;
    struct request r = {.method = method, .path = path, .body = text};
    if (call_checked(c, &r, e) < 0)
        return -1;
    return take_json(c, ret, e);
}

static void sleep_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

int client_post_once(struct client *c, const char *path, const json_t *body, json_t **ret,
                     struct err *e)
{
    unsigned char bits[16];
    char key[2 * sizeof bits + 1];
    random_fill(bits, sizeof bits);
    hex_write(key, bits, sizeof bits);

    auto_free char *text = body ? json_write(body) : NULL;
    struct request r = {.method = HTTP_POST, .path = path, .body = text, .key = key};
    for (unsigned failures = 1;; failures++) {
        if (call_checked(c, &r, e) == 0)
            return take_json(c, ret, e);
        bool refused = c->reply.status == 429 || c->reply.status == 503;
        bool broken = !c->reply.status && e->code == ERR_UNAVAILABLE;
        if (failures == 5 || (!refused && !broken))
            return -1;
        sleep_ms(backoff_ms(failures, 100, 2000, random_u64()));
    }
}

static void page_path(struct text *out, const char *path, int64_t limit, const char *cursor)
{
    text_addf(out, "%s%climit=%lld", path, strchr(path, '?') ? '&' : '?',
              (long long)(limit < CLIENT_PAGE ? limit : CLIENT_PAGE));
    if (cursor) {
        text_add(out, "&cursor=");
        url_add(out, cursor);
    }
}

int client_page(struct client *c, const char *path, int64_t limit, const char *cursor,
                char **ret_text, size_t *ret_len, struct err *e)
{
    auto_text struct text at = {0};
    page_path(&at, path, limit, cursor);
    return client_get_text(c, at.data, ret_text, ret_len, e);
}

void client_page_ahead(struct client *c, const char *path, int64_t limit, const char *cursor)
{
    auto_text struct text at = {0};
    page_path(&at, path, limit, cursor);
    struct request r = {.method = HTTP_GET, .path = at.data};
    assert(!c->ahead);
    if (send_out(c, &r, true, NULL) == 0)
        c->ahead = text_take(&at);
}

int client_list(struct client *c, const char *path, int64_t most, json_t **ret, struct err *e)
{
    auto_json json_t *whole = NULL;
    auto_free char *cursor = NULL;
    for (;;) {
        int64_t have = whole ? (int64_t)json_array_size(view_items(whole)) : 0;
        auto_text struct text at = {0};
        page_path(&at, path, most - have, cursor);
        auto_json json_t *page = NULL;
        if (client_get(c, at.data, &page, e) < 0)
            return -1;
        if (!json_is_array(json_object_get(page, "items")))
            return err_set(e, ERR_INTERNAL, "the answer of %s holds no list", c->where);
        free(cursor);
        cursor =
            *view_text(page, "next_cursor") ? mem_strdup(view_text(page, "next_cursor")) : NULL;
        size_t got = json_array_size(view_items(page));
        if (!whole)
            whole = TAKE(page);
        else
            json_array_extend(json_object_get(whole, "items"), json_object_get(page, "items"));
        if (!cursor || have + (int64_t)got >= most) /* a page may be empty, and not the last */
            break;
    }
    json_object_set_new(whole, "next_cursor", cursor ? json_string(cursor) : json_null());
    *ret = TAKE(whole);
    return 0;
}

int client_stream(struct client *c, const char *path, int64_t silence_ms,
                  bool (*on_data)(void *arg, const char *bytes, size_t len), void *arg,
                  struct err *e)
{
    struct request r = {
        .method = HTTP_GET, .path = path, .silence_ms = silence_ms, .on_data = on_data, .arg = arg};
    return call_checked(c, &r, e);
}

int client_get_text(struct client *c, const char *path, char **ret, size_t *ret_len, struct err *e)
{
    struct request r = {.method = HTTP_GET, .path = path};
    if (call_checked(c, &r, e) < 0)
        return -1;
    *ret = mem_strndup(c->reply.body, c->reply.len);
    *ret_len = c->reply.len;
    return 0;
}

const char *client_header(struct client *c, const char *name)
{
    const char *value = c->reply.status ? http_reply_header(&c->reply, name) : NULL;
    return value ? value : "";
}

void url_add(struct text *out, const char *s)
{
    for (; *s; s++) {
        if (isalnum((unsigned char)*s) || strchr("-_.~", *s))
            text_add_char(out, *s);
        else
            text_addf(out, "%%%02X", (unsigned char)*s);
    }
}
