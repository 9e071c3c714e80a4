#include "base/json.h"
#include "base/json_out.h"
#include "test.h"

TEST("what is written can be read again")
{
    auto_text struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_int(&o, "least", INT64_MIN);
    jo_text(&o, "odd \"name\"\n", "tab\t\x01 한글");
    jo_bytes(&o, "bad", "a\xff", 2);
    jo_list(&o, "list");
    jo_bool(&o, NULL, true);
    jo_null(&o, NULL);
    jo_object(&o, NULL);
    jo_end(&o);
    jo_end(&o);
    jo_time(&o, "at", 1700000000123);
    jo_end(&o);

    auto_json json_t *root = NULL;
    CHECK_OK(json_parse(t.data, t.len, &root, &test_err));
    CHECK(json_integer_value(json_object_get(root, "least")) == INT64_MIN);
    CHECK_TEXT(json_string_value(json_object_get(root, "odd \"name\"\n")), "tab\t\x01 한글");
    CHECK_TEXT(json_string_value(json_object_get(root, "bad")), "a\xef\xbf\xbd");
    CHECK_TEXT(json_string_value(json_object_get(root, "at")), "2023-11-14T22:13:20.123Z");
    CHECK_INT(json_array_size(json_object_get(root, "list")), 3);
}

TEST("a fixed-point number always has a decimal point")
{
    auto_text struct text t = {0};
    struct json_out o = {.text = &t};
    jo_list(&o, NULL);
    jo_fixed(&o, NULL, 5, 1);
    jo_fixed(&o, NULL, 1234567, 1000000);
    jo_fixed(&o, NULL, -50, 100);
    jo_fixed(&o, NULL, 3000000, 1000000);
    jo_end(&o);
    CHECK_TEXT(t.data, "[5.0,1.234567,-0.5,3.0]");
}
