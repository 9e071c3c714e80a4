#include "api/handlers.h"
#include "base/mem.h"

enum { WRITE_LIMIT = 4 << 20 /* of samples, packed */ };

#define V1        "/api/v1"
#define LIST      ROUTE_LIST
#define POLLED    ROUTE_POLLED
#define REPEAT    ROUTE_IDEMPOTENT
#define JSON      ROUTE_JSON
#define EARLY     ROUTE_EARLY
#define SOURCE    ROUTE_SOURCE
#define TIMED     ROUTE_TIMED

#define MAY(p)    PERMISSION_##p
#define SERVE(fn) .serve = serve_##fn
#define READ(fn)  .read = read_##fn

/* clang-format off */
const struct route routes[] = {
    {HTTP_GET,  "/",              MAY(NONE), EARLY, "lang theme", SERVE(page)},
    {HTTP_GET,  "/assets/{file}", MAY(NONE), EARLY, "", SERVE(asset)},

    {HTTP_GET,  "/healthz",      MAY(NONE),    EARLY, "", SERVE(healthz)},
    {HTTP_GET,  "/readyz",       MAY(NONE),    EARLY, "", SERVE(readyz)},
    {HTTP_GET,  "/health",       MAY(NONE),    EARLY, "", SERVE(healthz)},
    {HTTP_GET,  "/openapi.json", MAY(NONE),    EARLY, "", SERVE(openapi)},
    {HTTP_GET,  "/metrics",      MAY(METRICS), 0,     "", SERVE(metrics)},

    {HTTP_POST, "/submit",       MAY(SUBMIT),    SOURCE | JSON | REPEAT,         "", SERVE(source_submit)},
    {HTTP_GET,  "/queue",        MAY(SEE_QUEUE), SOURCE | LIST | POLLED | TIMED, "fields", READ(queue)},
    {HTTP_GET,  "/jobs/{id}",    MAY(SEE_QUEUE), SOURCE | POLLED | TIMED,        "fields", READ(job)},

    {HTTP_GET,  V1 "/jobs",             MAY(SEE_QUEUE),  LIST | POLLED, "user team state label q fields", READ(jobs)},
    {HTTP_POST, V1 "/jobs",             MAY(SUBMIT),     JSON | REPEAT, "dry_run", SERVE(job_submit)},
    {HTTP_POST, V1 "/jobs:batch",       MAY(SUBMIT),     JSON | REPEAT, "", SERVE(job_batch)},
    {HTTP_GET,  V1 "/jobs/{id}",        MAY(SEE_QUEUE),  POLLED | TIMED, "fields", READ(job)},
    {HTTP_DELETE, V1 "/jobs/{id}",      MAY(JOBS_WRITE), 0,      "", SERVE(job_delete)},
    {HTTP_POST, V1 "/jobs/{id}/cancel", MAY(JOBS_WRITE), REPEAT, "", SERVE(job_cancel)},
    {HTTP_POST, V1 "/jobs/{id}/retry",  MAY(JOBS_WRITE), REPEAT, "", SERVE(job_retry)},
    {HTTP_POST, V1 "/jobs/{id}/hold",   MAY(OPERATE),    JSON | REPEAT, "", SERVE(job_hold)},
    {HTTP_POST, V1 "/jobs/{id}/release", MAY(OPERATE),   REPEAT, "", SERVE(job_release)},
    {HTTP_GET,  V1 "/jobs/{id}/logs",   MAY(JOBS_READ),  0, "follow offset tail attempt", SERVE(job_logs)},
    {HTTP_GET,  V1 "/jobs/{id}/samples", MAY(METRICS),   POLLED, "attempt", READ(job_samples)},
    {HTTP_GET,  V1 "/jobs/{id}/history", MAY(SEE_QUEUE), POLLED, "", READ(job_history)},
    {HTTP_GET,  V1 "/queue",            MAY(SEE_QUEUE),  LIST | POLLED | TIMED, "fields", READ(queue)},
    {HTTP_GET,  V1 "/templates",        MAY(SUBMIT),     0, "", SERVE(templates)},

    {HTTP_GET,  V1 "/nodes",             MAY(METRICS), LIST | POLLED, "", READ(nodes)},
    {HTTP_GET,  V1 "/nodes/{name}",      MAY(METRICS), POLLED,        "", READ(node)},
    {HTTP_DELETE, V1 "/nodes/{name}",    MAY(ADMIN),   0,             "", SERVE(node_retire)},
    {HTTP_POST, V1 "/nodes/{name}/lost", MAY(OPERATE), REPEAT,        "", SERVE(node_lost)},
    {HTTP_GET,  V1 "/devices",           MAY(METRICS), LIST | POLLED, "", READ(devices)},
    {HTTP_GET,  V1 "/devices/{id}",      MAY(METRICS), POLLED,        "", READ(device)},
    {HTTP_GET,  V1 "/samples",           MAY(METRICS), POLLED, "of since step id metrics", READ(samples)},

    {HTTP_GET,  V1 "/users",           MAY(ADMIN), LIST,          "", SERVE(users)},
    {HTTP_POST, V1 "/users",           MAY(ADMIN), JSON | REPEAT, "", SERVE(user_add)},
    {HTTP_GET,  V1 "/users/{name}",    MAY(ADMIN), 0,             "", SERVE(user)},
    {HTTP_PATCH, V1 "/users/{name}",   MAY(ADMIN), JSON,          "", SERVE(user_change)},
    {HTTP_DELETE, V1 "/users/{name}",  MAY(ADMIN), 0,             "", SERVE(user_disable)},
    {HTTP_GET,  V1 "/tokens",          MAY(ADMIN), LIST,          "", READ(tokens)},
    {HTTP_POST, V1 "/tokens",          MAY(ADMIN), JSON,          "", SERVE(token_create)},
    {HTTP_DELETE, V1 "/tokens/{id}",   MAY(ADMIN), 0,             "", SERVE(token_revoke)},
    {HTTP_POST, V1 "/links",           MAY(TOKEN), JSON,          "", SERVE(link_create)},
    {HTTP_GET,  V1 "/links/{id}",      MAY(TOKEN), 0,             "", SERVE(link)},
    {HTTP_POST, V1 "/sessions",        MAY(NONE),  JSON,          "", SERVE(session_begin)},
    {HTTP_DELETE, V1 "/sessions/current", MAY(TOKEN), 0,          "", SERVE(session_end)},
    {HTTP_GET,  V1 "/enrolments",      MAY(ADMIN), LIST,          "", READ(enrolments)},
    {HTTP_POST, V1 "/enrolments",      MAY(ADMIN), JSON,          "", SERVE(enrolment_create)},

    {HTTP_GET,  V1 "/events",        MAY(SEE_QUEUE), 0,    "", SERVE(events)},
    {HTTP_GET,  V1 "/ledger",        MAY(LEDGER),    LIST, "after before subject about kind actor",
     READ(ledger)},
    {HTTP_POST, V1 "/ledger:verify", MAY(LEDGER),    0,    "", SERVE(ledger_verify)},
    {HTTP_POST, V1 "/ledger:replay", MAY(LEDGER),    0,    "from_start", SERVE(ledger_replay)},
    {HTTP_GET,  V1 "/status",        MAY(TOKEN),     TIMED, "", SERVE(status)},
    {HTTP_GET,  V1 "/whoami",        MAY(TOKEN),     0,    "", SERVE(whoami)},
    {HTTP_POST, V1 "/write",         MAY(OPERATE),   0,    "", SERVE(write), .body_limit = WRITE_LIMIT},

    {HTTP_POST, "/agent/v1/enrol",          MAY(ENROL), JSON, "", SERVE(enrol)},
    {HTTP_GET,  "/agent/v1/stream",         MAY(NODE),  0,    "", SERVE(agent_stream)},
    {HTTP_POST, "/agent/v1/reports",        MAY(NODE),  JSON, "", SERVE(agent_report)},
    {HTTP_POST, "/agent/v1/logs/{job}/{n}", MAY(NODE),  0,    "offset end", SERVE(agent_logs)},
    {HTTP_POST, "/agent/v1/write",          MAY(NODE),  0,    "", SERVE(agent_write), .body_limit = WRITE_LIMIT},
};
/* clang-format on */
const size_t route_count = COUNT_OF(routes);

/* Whether PATH is of this form; what stands in place of braces goes into PARAMS. */
static bool matches(const char *form, const char *path, char params[ROUTE_PARAMS][ROUTE_PARAM_SIZE])
{
    unsigned param = 0;
    while (*form) {
        if (*form != '{') {
            if (*form++ != *path++)
                return false;
            continue;
        }
        size_t len = strcspn(path, "/");
        if (!len || len >= ROUTE_PARAM_SIZE || param == ROUTE_PARAMS)
            return false;
        memcpy(params[param], path, len);
        params[param++][len] = '\0';
        path += len;
        form = strchr(form, '}') + 1;
    }
    return !*path;
}

const struct route *route_find(enum http_method method, const char *path,
                               char params[ROUTE_PARAMS][ROUTE_PARAM_SIZE], char allow[64],
                               struct err *e)
{
    allow[0] = '\0';
    enum http_method wanted = method == HTTP_HEAD ? HTTP_GET : method;
    for (size_t i = 0; i < route_count; i++) {
        if (!matches(routes[i].path, path, params))
            continue;
        if (routes[i].method == wanted)
            return &routes[i];
        size_t len = strlen(allow);
        snprintf(allow + len, 64 - len, "%s%s%s", len ? ", " : "",
                 http_method_name(routes[i].method), routes[i].method == HTTP_GET ? ", HEAD" : "");
    }
    if (allow[0])
        err_set(e, ERR_METHOD, "%s is not known here, only %s", http_method_name(method), allow);
    else
        err_set(e, ERR_NOT_FOUND, "there is nothing at '%.200s'", path);
    return NULL;
}
