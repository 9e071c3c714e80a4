#include "base/json.h"
#include "openapi_json.h"
#include "test.h"

static json_t *document(void)
{
    json_t *doc = NULL;
    CHECK_OK(json_parse(openapi_json, openapi_json_len, &doc, &test_err));
    return doc;
}

/* What "#/components/schemas/Job" points to; NULL when nothing is there. */
static const json_t *resolve(const json_t *doc, const char *ref)
{
    char path[256];
    ck_assert(strlen(ref) < sizeof path);
    strcpy(path, ref);
    char *save = NULL;
    const json_t *at = doc;
    CHECK_TEXT(strtok_r(path, "/", &save), "#");
    for (char *part; at && (part = strtok_r(NULL, "/", &save));)
        at = json_object_get(at, part);
    return at;
}

static int check_refs(const json_t *doc, const json_t *value)
{
    int count = 0;
    const char *key;
    json_t *child;
    size_t i;
    json_object_foreach((json_t *)value, key, child)
    {
        if (strcmp(key, "$ref") == 0) {
            ck_assert_msg(resolve(doc, json_string_value(child)) != NULL, "nothing at %s",
                          json_string_value(child));
            count++;
        }
        count += check_refs(doc, child);
    }
    if (json_is_array(value))
        json_array_foreach(value, i, child) count += check_refs(doc, child);
    return count;
}

TEST("the document carries the version of the program")
{
    auto_json json_t *doc = document();
    CHECK_TEXT(json_string_value(json_object_get(json_object_get(doc, "info"), "version")),
               REEVE_VERSION);
}

TEST("every reference in the document leads somewhere")
{
    auto_json json_t *doc = document();
    CHECK(check_refs(doc, doc) > 100);
}

TEST("every operation has an id of its own and names the permission that it asks for")
{
    static const char *const permissions[] = {
        "none", "token",   "submit", "see_queue", "jobs_read", "jobs_write", "metrics",
        "cost", "operate", "ledger", "admin",     "node",      "enrol"};
    auto_json json_t *doc = document();
    auto_json json_t *seen = json_object();
    const char *path, *method;
    json_t *item, *operation;
    json_object_foreach(json_object_get(doc, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            const char *may = json_string_value(json_object_get(operation, "x-permission"));
            ck_assert_msg(id && may, "%s %s", method, path);
            CHECK(!json_object_get(seen, id));
            json_object_set_new(seen, id, json_true());
            bool known = false;
            for (size_t i = 0; i < sizeof permissions / sizeof *permissions; i++)
                known = known || strcmp(may, permissions[i]) == 0;
            ck_assert_msg(known, "%s %s asks for '%s'", method, path, may);
        }
    }
    CHECK(json_object_size(seen) > 35);
}
