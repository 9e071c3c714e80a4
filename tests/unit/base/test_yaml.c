#include "base/json.h"
#include "test.h"

static json_t *root;

static int parse(const char *s)
{
    json_decref(root);
    root = NULL;
    return yaml_parse(s, strlen(s), &root, &test_err);
}

TEST("YAML becomes the tree that the same JSON would give")
{
    CHECK_OK(parse("name: demo\ngpus: 2\nbig: true\nversion: \"1\"\nzip: 007\n"
                   "command: [python3, train.py]\nenv:\n  A: b\n"));
    CHECK_TEXT(json_string_value(json_object_get(root, "name")), "demo");
    CHECK_INT(json_integer_value(json_object_get(root, "gpus")), 2);
    CHECK(json_is_true(json_object_get(root, "big")));
    CHECK_TEXT(json_string_value(json_object_get(root, "version")), "1");
    CHECK_TEXT(json_string_value(json_object_get(root, "zip")), "007");
    CHECK_INT(json_array_size(json_object_get(root, "command")), 2);
}

TEST("YAML's dangerous corners are refused")
{
    CHECK_FAILS(parse("a: &x [1]\nb: *x\n"), ERR_INVALID, "aliases");
    CHECK_FAILS(parse("a: 1\na: 2\n"), ERR_INVALID, "twice");
    CHECK_FAILS(parse("a: !!python/object 1\n"), ERR_INVALID, "tags");
    CHECK_FAILS(parse("a: 1\n--- \nb: 2\n"), ERR_INVALID, "one document");
    CHECK_FAILS(parse("a: [1\n"), ERR_INVALID, "line");
    CHECK_FAILS(parse("a:\n  <<: {b: 1}\n"), ERR_INVALID, "merge");
    CHECK_FAILS(parse("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
                ERR_INVALID, "deep");
}
