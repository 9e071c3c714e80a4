#include "api/job_fields.h"
#include "api/route.h"
#include "base/json.h"
#include "base/mem.h"
#include "openapi_json.h"
#include "record/event.h"
#include "test.h"

static json_t *document(void)
{
    json_t *doc = NULL;
    CHECK_OK(json_parse(openapi_json, openapi_json_len, &doc, &test_err));
    return doc;
}

/* The operation of this route; NULL when the document has none. */
static const json_t *operation_of(const json_t *doc, const struct route *r)
{
    char method[16] = "";
    const char *name = http_method_name(r->method);
    for (size_t i = 0; name[i]; i++)
        method[i] = (char)(name[i] | 0x20);
    return json_object_get(json_object_get(json_object_get(doc, "paths"), r->path), method);
}

static const json_t *resolved(const json_t *doc, const json_t *value)
{
    const char *ref = json_string_value(json_object_get(value, "$ref"));
    if (!ref)
        return value;
    auto_free char *path = mem_strdup(ref);
    char *save = NULL;
    strtok_r(path, "/", &save);
    for (char *part; (part = strtok_r(NULL, "/", &save));)
        doc = json_object_get(doc, part);
    return doc;
}

static bool has_parameter(const json_t *doc, const json_t *operation, const char *in,
                          const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(operation, "parameters"), i, item)
    {
        const json_t *p = resolved(doc, item);
        if (strcmp(json_string_value(json_object_get(p, "in")), in) == 0 &&
            strcmp(json_string_value(json_object_get(p, "name")), name) == 0)
            return true;
    }
    return false;
}

static int count_parameters(const json_t *doc, const json_t *operation, const char *in)
{
    int count = 0;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(operation, "parameters"), i, item) count +=
        strcmp(json_string_value(json_object_get(resolved(doc, item), "in")), in) == 0;
    return count;
}

static int count_braces(const char *path)
{
    int count = 0;
    for (; *path; path++)
        count += *path == '{';
    return count;
}

#define SAYS(what) ck_assert_msg(what, "%s %s: not so: %s", method, r->path, #what)

static void check_route(const json_t *doc, const struct route *r)
{
    const char *method = http_method_name(r->method);
    const json_t *o = operation_of(doc, r);
    ck_assert_msg(o, "%s %s is not in the document", method, r->path);
    SAYS(strcmp(json_string_value(json_object_get(o, "x-permission")),
                permission_name(r->permission)) == 0);
    SAYS(has_parameter(doc, o, "query", "limit") == !!(r->flags & ROUTE_LIST));
    SAYS(has_parameter(doc, o, "query", "cursor") == !!(r->flags & ROUTE_LIST));
    SAYS(has_parameter(doc, o, "header", "If-None-Match") == !!(r->flags & ROUTE_POLLED));
    SAYS(has_parameter(doc, o, "header", "Idempotency-Key") == !!(r->flags & ROUTE_IDEMPOTENT));
    const json_t *content = json_object_get(json_object_get(o, "requestBody"), "content");
    SAYS((json_object_get(content, "application/json") != NULL) == !!(r->flags & ROUTE_JSON));

    int query = r->flags & ROUTE_LIST ? 2 : 0;
    auto_free char *words = mem_strdup(r->query);
    char *save = NULL;
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        ck_assert_msg(has_parameter(doc, o, "query", word), "%s %s: no parameter %s", method,
                      r->path, word);
        query++;
    }
    SAYS(count_parameters(doc, o, "query") == query);
    SAYS(count_parameters(doc, o, "path") == count_braces(r->path));
    bool is_open = json_is_array(json_object_get(o, "security")) &&
                   !json_array_size(json_object_get(o, "security"));
    SAYS(is_open == (r->permission == PERMISSION_NONE));
    SAYS(!r->serve != !r->read);
}

TEST("every route is in the document, with its permission, parameters and body")
{
    auto_json json_t *doc = document();
    for (size_t i = 0; i < route_count; i++)
        check_route(doc, &routes[i]);
}

TEST("every operation of the document is a route")
{
    auto_json json_t *doc = document();
    const char *path, *method;
    json_t *item, *operation;
    size_t count = 0;
    json_object_foreach(json_object_get(doc, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            bool found = false;
            for (size_t i = 0; i < route_count && !found; i++)
                found = strcmp(routes[i].path, path) == 0 &&
                        strcasecmp(http_method_name(routes[i].method), method) == 0;
            ck_assert_msg(found, "%s %s is no route", method, path);
            count++;
        }
    }
    CHECK_INT(count, route_count);
}

TEST("the document lists every kind of event")
{
    auto_json json_t *doc = document();
    const json_t *kinds = json_object_get(
        json_object_get(json_object_get(json_object_get(doc, "components"), "schemas"),
                        "EventKind"),
        "enum");
    CHECK_INT(json_array_size(kinds), EVENT_KINDS - 1);
    for (int k = 1; k < EVENT_KINDS; k++)
        CHECK_TEXT(json_string_value(json_array_get(kinds, (size_t)k - 1)),
                   event_name((enum event_kind)k));
}

static const json_t *schema_of(const json_t *doc, const char *name)
{
    return json_object_get(json_object_get(json_object_get(doc, "components"), "schemas"), name);
}

static bool lists_word(const json_t *list, const char *word)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (strcmp(json_string_value(item), word) == 0)
            return true;
    }
    return false;
}

TEST("the document has every field of a job, and knows which of them lists have")
{
    auto_json json_t *doc = document();
    const json_t *properties = json_object_get(schema_of(doc, "JobPart"), "properties");
    const json_t *all = json_object_get(schema_of(doc, "JobField"), "enum");
    const json_t *of_list = json_object_get(schema_of(doc, "JobListField"), "enum");
    const char *name;
    size_t count = 0, in_list = 0;
    for (bool one_only; (name = job_field_name(count, &one_only)); count++) {
        ck_assert_msg(json_object_get(properties, name), "no property %s", name);
        ck_assert_msg(lists_word(all, name), "no field %s", name);
        ck_assert_msg(lists_word(of_list, name) == !one_only, "field %s of a list", name);
        in_list += !one_only;
    }
    CHECK_INT(json_object_size(properties), count);
    CHECK_INT(json_array_size(all), count);
    CHECK_INT(json_array_size(of_list), in_list);
}

/*
 * Who may, as written down by hand: admin operator user viewer service. A all, o own things only,
 * - not at all, n a node's key, e a one-time token, * anybody.
 */
static const struct {
    const char *route, *who;
} matrix[] = {
    {"GET /", "*"},
    {"GET /assets/{file}", "*"},
    {"GET /healthz", "*"},
    {"GET /readyz", "*"},
    {"GET /health", "*"},
    {"GET /openapi.json", "*"},
    {"GET /metrics", "AAoA-"},
    {"POST /submit", "AAo-A"},
    {"GET /queue", "AAAAA"},
    {"GET /jobs/{id}", "AAAAA"},
    {"GET /api/v1/jobs", "AAAAA"},
    {"POST /api/v1/jobs", "AAo-A"},
    {"POST /api/v1/jobs:batch", "AAo-A"},
    {"GET /api/v1/jobs/{id}", "AAAAA"},
    {"DELETE /api/v1/jobs/{id}", "AAo-o"},
    {"POST /api/v1/jobs/{id}/cancel", "AAo-o"},
    {"POST /api/v1/jobs/{id}/retry", "AAo-o"},
    {"POST /api/v1/jobs/{id}/hold", "AA---"},
    {"POST /api/v1/jobs/{id}/release", "AA---"},
    {"GET /api/v1/jobs/{id}/logs", "AAo-o"},
    {"GET /api/v1/jobs/{id}/history", "AAAAA"},
    {"GET /api/v1/jobs/{id}/samples", "AAoA-"},
    {"GET /api/v1/queue", "AAAAA"},
    {"GET /api/v1/templates", "AAo-A"},
    {"GET /api/v1/nodes", "AAoA-"},
    {"GET /api/v1/nodes/{name}", "AAoA-"},
    {"DELETE /api/v1/nodes/{name}", "A----"},
    {"POST /api/v1/nodes/{name}/lost", "AA---"},
    {"GET /api/v1/devices", "AAoA-"},
    {"GET /api/v1/devices/{id}", "AAoA-"},
    {"GET /api/v1/samples", "AAoA-"},
    {"GET /api/v1/users", "A----"},
    {"POST /api/v1/users", "A----"},
    {"GET /api/v1/users/{name}", "A----"},
    {"PATCH /api/v1/users/{name}", "A----"},
    {"DELETE /api/v1/users/{name}", "A----"},
    {"GET /api/v1/tokens", "A----"},
    {"POST /api/v1/tokens", "A----"},
    {"DELETE /api/v1/tokens/{id}", "A----"},
    {"POST /api/v1/links", "AAAAA"},
    {"GET /api/v1/links/{id}", "AAAAA"},
    {"POST /api/v1/sessions", "*"},
    {"DELETE /api/v1/sessions/current", "AAAAA"},
    {"GET /api/v1/enrolments", "A----"},
    {"POST /api/v1/enrolments", "A----"},
    {"GET /api/v1/events", "AAAAA"},
    {"GET /api/v1/ledger", "AA---"},
    {"POST /api/v1/ledger:verify", "AA---"},
    {"POST /api/v1/ledger:replay", "AA---"},
    {"GET /api/v1/status", "AAAAA"},
    {"GET /api/v1/whoami", "AAAAA"},
    {"POST /api/v1/write", "AA---"},
    {"POST /agent/v1/enrol", "e"},
    {"GET /agent/v1/stream", "n"},
    {"POST /agent/v1/reports", "n"},
    {"POST /agent/v1/logs/{job}/{n}", "n"},
    {"POST /agent/v1/write", "n"},
};

static void who_may(const struct route *r, char ret[ROLES + 1])
{
    if (r->permission == PERMISSION_NONE || r->permission == PERMISSION_NODE ||
        r->permission == PERMISSION_ENROL) {
        strcpy(ret, r->permission == PERMISSION_NONE   ? "*"
                    : r->permission == PERMISSION_NODE ? "n"
                                                       : "e");
        return;
    }
    for (int role = 0; role < ROLES; role++) {
        enum scope scope = access_scope(role, r->permission);
        ret[role] = scope == SCOPE_ALL ? 'A' : scope == SCOPE_OWN ? 'o' : '-';
    }
    ret[ROLES] = '\0';
}

TEST("every role may on every route what is written down, and nothing else")
{
    CHECK_INT(route_count, COUNT_OF(matrix));
    for (size_t i = 0; i < route_count; i++) {
        char name[160], who[ROLES + 1];
        snprintf(name, sizeof name, "%s %s", http_method_name(routes[i].method), routes[i].path);
        size_t k = 0;
        while (k < COUNT_OF(matrix) && strcmp(matrix[k].route, name) != 0)
            k++;
        ck_assert_msg(k < COUNT_OF(matrix), "%s is not written down", name);
        who_may(&routes[i], who);
        ck_assert_msg(strcmp(who, matrix[k].who) == 0, "%s: %s, but should be %s", name, who,
                      matrix[k].who);
    }
}

TEST("a path finds its route and what stands in its braces; another method is told what is allowed")
{
    char params[ROUTE_PARAMS][ROUTE_PARAM_SIZE], allow[64];
    const struct route *r = route_find(HTTP_POST, "/api/v1/jobs/42/cancel", params, allow, NULL);
    CHECK(r);
    CHECK_TEXT(r->path, "/api/v1/jobs/{id}/cancel");
    CHECK_TEXT(params[0], "42");
    CHECK_TEXT(route_find(HTTP_HEAD, "/api/v1/jobs:batch2", params, allow, NULL) ? "found" : "",
               "");
    CHECK_TEXT(route_find(HTTP_HEAD, "/api/v1/jobs", params, allow, NULL)->path, "/api/v1/jobs");
    CHECK(!route_find(HTTP_PUT, "/api/v1/jobs", params, allow, &test_err));
    CHECK_INT(test_err.code, ERR_METHOD);
    CHECK_TEXT(allow, "GET, HEAD, POST");
    CHECK(!route_find(HTTP_GET, "/api/v1/jobs/", params, allow, &test_err));
    CHECK_INT(test_err.code, ERR_NOT_FOUND);
    CHECK(!route_find(HTTP_GET, "/api/v1/jobs/1/2", params, allow, &test_err));
}
