#include "kube/status.h"

#include "base/json_scan.h"
#include "base/mem.h"
#include "kube/build.h"

/* As it stands in the record that is made of it; then copied. */
struct cause {
    const struct cause *next;
    const char *reason;
};
struct parsed {
    const char *kind, *reason, *message, *continue_;
    int64_t code, retry_after;
    const struct cause *causes;
};

#define S(member) offsetof(struct parsed, member)
static const struct kube_field cause_fields[] = {
    {"reason", KUBE_TEXT, offsetof(struct cause, reason), .most = 47},
    {0},
};
static const struct kube_field details_fields[] = {
    {"retryAfterSeconds", KUBE_INT, S(retry_after)},
    {"causes", KUBE_LIST, S(causes), .most = 8, .fields = cause_fields,
     .size = sizeof(struct cause)},
    {0},
};
static const struct kube_field metadata_fields[] = {
    {"continue", KUBE_TEXT, S(continue_), .most = 2000},
    {0},
};
static const struct kube_field fields[] = {
    {"kind", KUBE_TEXT, S(kind), .most = 32},
    {"reason", KUBE_TEXT, S(reason), .most = 47},
    {"message", KUBE_TEXT, S(message), .most = 399},
    {"code", KUBE_INT, S(code)},
    {"grpc_code", KUBE_INT, S(code)}, /* so within a stream of Argo Server */
    {"metadata", KUBE_OBJECT, .fields = metadata_fields},
    {"details", KUBE_OBJECT, .fields = details_fields},
    {0},
};

/* Argo Server's: a gRPC status. Its numbers are below those of HTTP, and which reason each is. */
static const char *const grpc_reasons[] = {
    [3] = "BadRequest",   [5] = "NotFound",        [6] = "AlreadyExists",
    [7] = "Forbidden",    [8] = "TooManyRequests", [14] = "ServiceUnavailable",
    [16] = "Unauthorized"};

bool kube_status_parse(const char *json, size_t len, struct kube_status *ret)
{
    struct json_scan s;
    struct kube_build *b = kube_build_new();
    struct parsed *p = kube_build_begin(b, sizeof *p, NULL);
    kube_build_empty_texts(fields, p);
    json_scan_init(&s, json, len);
    kube_build_read(b, &s, fields, p);
    bool is_grpc = !p->kind[0] && p->message[0] && p->code > 0 && p->code < 100;
    bool good = json_scan_end(&s, NULL) == 0 && (is_grpc || strcmp(p->kind, "Status") == 0);
    if (is_grpc && p->code < (int64_t)COUNT_OF(grpc_reasons) && grpc_reasons[p->code])
        p->reason = grpc_reasons[p->code];
    if (good) {
        *ret = (struct kube_status){.code = p->code >= 100 && p->code <= 599 ? (int)p->code : 0,
                                    .retry_after_seconds = p->retry_after > 0 ? p->retry_after : 0};
        snprintf(ret->reason, sizeof ret->reason, "%s", p->reason);
        snprintf(ret->message, sizeof ret->message, "%s", p->message);
        snprintf(ret->cause, sizeof ret->cause, "%s", p->causes ? p->causes->reason : "");
        snprintf(ret->next, sizeof ret->next, "%s", p->continue_);
    }
    kube_build_free(b);
    return good;
}

/* Reasons say more than the statuses they come with. */
static const struct {
    const char *reason;
    enum err_code code;
} reasons[] = {
    {"Unauthorized", ERR_UNAUTHENTICATED},
    {"Forbidden", ERR_DENIED},
    {"NotFound", ERR_NOT_FOUND},
    {"AlreadyExists", ERR_CONFLICT},
    {"Conflict", ERR_CONFLICT},
    {"Gone", ERR_CONFLICT},
    {"Expired", ERR_CONFLICT},
    {"Invalid", ERR_UNPROCESSABLE},
    {"BadRequest", ERR_INVALID},
    {"TooManyRequests", ERR_EXHAUSTED},
    {"Timeout", ERR_TIMEOUT},
    {"ServerTimeout", ERR_TIMEOUT},
    {"ServiceUnavailable", ERR_UNAVAILABLE},
    {"InternalError", ERR_UNAVAILABLE},
    {"StorageReadError", ERR_UNAVAILABLE},
    {"MethodNotAllowed", ERR_METHOD},
    {"NotAcceptable", ERR_MEDIA_TYPE},
    {"UnsupportedMediaType", ERR_MEDIA_TYPE},
    {"RequestEntityTooLarge", ERR_TOO_LARGE},
};

int kube_status_to_err(const struct kube_status *s, struct err *e)
{
    enum err_code code = s->code == 410  ? ERR_CONFLICT
                         : s->code > 500 ? ERR_UNAVAILABLE
                         : s->code       ? err_from_http(s->code)
                                         : ERR_UNAVAILABLE;
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (strcmp(reasons[i].reason, s->reason) == 0)
            code = reasons[i].code;
    if (code == ERR_INTERNAL) /* theirs, not ours */
        code = ERR_UNAVAILABLE;
    const char *text = s->message[0] ? s->message : s->reason;
    if (!*text)
        return err_set(e, code, "the API server answered with status %d", s->code);
    return err_set(e, code, "%s", text);
}

bool kube_status_is_expired(const struct kube_status *s)
{
    return s->code == 410 || strcmp(s->reason, "Expired") == 0 || strcmp(s->reason, "Gone") == 0;
}
