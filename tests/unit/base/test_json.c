#include "base/json.h"
#include "test.h"

struct thing {
    const char *name;
    int64_t gpus;
    bool big;
    const json_t *list;
};

static const struct json_field fields[] = {
    {"name", JSON_FIELD_TEXT, offsetof(struct thing, name), true, 1, 8},
    {"gpus", JSON_FIELD_INT, offsetof(struct thing, gpus), false, 0, 16},
    {"big", JSON_FIELD_BOOL, offsetof(struct thing, big), false, 0, 0},
    {"list", JSON_FIELD_ARRAY, offsetof(struct thing, list), false, 0, 2},
};

static int parse(const char *s, struct thing *t)
{
    static json_t *root;
    json_decref(root);
    root = NULL;
    if (json_parse(s, strlen(s), &root, &test_err) < 0)
        return -1;
    return json_read_fields(root, fields, 4, true, t, &test_err);
}

TEST("an object is read by its table, and what is absent stays as it was")
{
    struct thing t = {.gpus = 1};
    CHECK_OK(parse("{\"name\":\"a\",\"big\":true,\"list\":[1]}", &t));
    CHECK_TEXT(t.name, "a");
    CHECK_INT(t.gpus, 1);
    CHECK(t.big);
    CHECK_INT(json_array_size(t.list), 1);
}

TEST("a wrong object is refused with the name of the field")
{
    struct thing t = {0};
    CHECK_FAILS(parse("{}", &t), ERR_INVALID, "'name' is missing");
    CHECK_FAILS(parse("{\"name\":1}", &t), ERR_INVALID, "'name' must be text");
    CHECK_FAILS(parse("{\"name\":\"\"}", &t), ERR_INVALID, "'name' must not be empty");
    CHECK_FAILS(parse("{\"name\":\"123456789\"}", &t), ERR_INVALID, "at most 8");
    CHECK_FAILS(parse("{\"name\":\"a\",\"gpus\":17}", &t), ERR_INVALID, "between 0 and 16");
    CHECK_FAILS(parse("{\"name\":\"a\",\"gpus\":1.5}", &t), ERR_INVALID, "a whole number");
    CHECK_FAILS(parse("{\"name\":\"a\",\"gpus\":1e300}", &t), ERR_INVALID, "a whole number");
    CHECK_FAILS(parse("{\"name\":\"a\",\"gpus\":null}", &t), ERR_INVALID, "must not be null");
    CHECK_TEXT(test_err.field, "gpus");
    CHECK_FAILS(parse("{\"name\":\"a\",\"mig\":1}", &t), ERR_INVALID, "'mig' is not known");
    CHECK_FAILS(parse("{\"name\":\"a\",\"list\":[1,2,3]}", &t), ERR_INVALID, "at most 2");
}

TEST("a whole number may be written with a point, and where it is not strict null is absent")
{
    struct thing t = {.gpus = 1};
    CHECK_OK(parse("{\"name\":\"a\",\"gpus\":2.0}", &t));
    CHECK_INT(t.gpus, 2);
    auto_json json_t *root = NULL;
    CHECK_OK(json_parse("{\"name\":\"a\",\"gpus\":null,\"x\":1}", 30, &root, &test_err));
    CHECK_OK(json_read_fields(root, fields, 4, false, &t, &test_err));
    CHECK_INT(t.gpus, 2);
}

TEST("JSON that is too deep, doubled or not UTF-8 is refused")
{
    struct thing t = {0};
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 99);
    deep[199] = '\0';
    CHECK_FAILS(parse(deep, &t), ERR_INVALID, "deep");
    CHECK_FAILS(parse("{\"name\":\"a\",\"name\":\"b\"}", &t), ERR_INVALID, "duplicate");
    CHECK_FAILS(parse("{\"name\":\"\xff\"}", &t), ERR_INVALID, "UTF-8");
    CHECK_FAILS(parse("{\"name\":\"a\\u0000b\"}", &t), ERR_INVALID, "\\u0000");
    CHECK_FAILS(parse("{\"name\":", &t), ERR_INVALID, "line 1");
}

TEST("a NUL byte is refused wherever it stands")
{
    json_t *value = NULL;
    CHECK_FAILS(json_parse("8\0", 2, &value, &test_err), ERR_INVALID, "NUL byte");
    CHECK_FAILS(json_parse("[1\0,2]", 6, &value, &test_err), ERR_INVALID, "NUL byte");
}
