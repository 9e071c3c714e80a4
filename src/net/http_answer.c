#include "net/http_parts.h"

#include "base/json_out.h"
#include "base/mem.h"

#include <assert.h>

bool answer_has_header(const struct http_header *headers, const char *name)
{
    for (; headers && headers->name; headers++)
        if (strcasecmp(headers->name, name) == 0)
            return true;
    return false;
}

void answer_add_headers(struct MHD_Response *response, const struct http_request *r,
                        const char *type, const struct http_header *headers)
{
    if (type)
        MHD_add_response_header(response, "Content-Type", type);
    for (const struct http_header *h = headers; h && h->name; h++)
        MHD_add_response_header(response, h->name, h->value);
    for (const struct http_header *h = r->server ? r->server->config.headers : NULL; h && h->name;
         h++)
        if (!answer_has_header(headers, h->name))
            MHD_add_response_header(response, h->name, h->value);
    if (r->server && r->server->stopping)
        MHD_add_response_header(response, "Connection", "close");
}

/* Takes BODY. */
static void set_answer(struct http_request *r, int status, const char *type,
                       const struct http_header *headers, struct text *body)
{
    size_t len = body ? body->len : 0;
    if (len) {
        r->response = MHD_create_response_from_buffer(len, body->data, MHD_RESPMEM_MUST_FREE);
        *body = (struct text){0};
    } else {
        r->response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    }
    assert(r->response); /* libmicrohttpd fails here only when memory runs out */
    r->status = (unsigned)status;
    answer_add_headers(r->response, r, type, headers);
}

void answer_set_problem(struct http_request *r, int status, const char *slug, const char *title,
                        const char *detail, const struct http_header *headers)
{
    auto_text struct text body = {0};
    struct json_out o = {.text = &body};
    char *type = mem_printf("urn:reeve:error:%s", slug);
    jo_object(&o, NULL);
    jo_text(&o, "type", type);
    jo_text(&o, "title", title);
    jo_int(&o, "status", status);
    jo_text(&o, "detail", detail);
    if (r->path && !r->bad_target)
        jo_text(&o, "instance", r->path);
    jo_end(&o);
    free(type);
    set_answer(r, status, "application/problem+json", headers, &body);
}

bool answer_take(struct http_request *r)
{
    assert(r->owed);
    r->owed = false;
    if (r->conn) {
        r->server->waiting--;
        if (r->watch.on)
            watch_stop(r->server, &r->watch, r->conn->fd);
        /* The server gave an answer of its own when it had to stop; that one leaves. */
        return !r->response;
    }
    request_free(r);
    return false;
}

void http_answer(struct http_request *r, int status, const char *type,
                 const struct http_header *headers, struct text *body)
{
    auto_text struct text own = {0};
    if (body) {
        own = *body;
        *body = (struct text){0};
    }
    if (!answer_take(r))
        return;
    set_answer(r, status, type, headers, &own);
    request_resume(r);
}

void http_answer_static(struct http_request *r, int status, const char *type,
                        const struct http_header *headers, const void *p, size_t len)
{
    if (!answer_take(r))
        return;
    r->response = MHD_create_response_from_buffer(len, (void *)p, MHD_RESPMEM_PERSISTENT);
    assert(r->response);
    r->status = (unsigned)status;
    answer_add_headers(r->response, r, type, headers);
    request_resume(r);
}

static void drop_bytes(void *bytes)
{
    http_bytes_unref(bytes);
}

void http_answer_shared(struct http_request *r, int status, const char *type,
                        const struct http_header *headers, struct http_bytes *b)
{
    size_t len;
    const char *p = http_bytes_get(b, &len);
    if (!answer_take(r))
        return;
    r->response = MHD_create_response_from_buffer_with_free_callback_cls(len, (void *)p, drop_bytes,
                                                                         http_bytes_ref(b));
    assert(r->response);
    r->status = (unsigned)status;
    answer_add_headers(r->response, r, type, headers);
    request_resume(r);
}

void http_answer_problem(struct http_request *r, int status, const char *slug, const char *title,
                         const char *detail, const struct http_header *headers)
{
    if (!answer_take(r))
        return;
    answer_set_problem(r, status, slug, title, detail, headers);
    request_resume(r);
}

void http_answer_err(struct http_request *r, const struct err *e, const struct http_header *headers)
{
    if (!answer_take(r))
        return;
    answer_set_problem(r, err_http(e->code), err_slug(e->code), err_title(e->code), e->text,
                       headers);
    if (err_is_temporary(e->code))
        MHD_add_response_header(r->response, "Retry-After", "1");
    if (e->code == ERR_UNAUTHENTICATED)
        MHD_add_response_header(r->response, "WWW-Authenticate", "Bearer");
    request_resume(r);
}
