#include "base/json_scan.h"
#include "base/mem.h"
#include "test.h"

static int scan(const char *s)
{
    struct json_scan scan;
    struct json_part whole;
    json_scan_init(&scan, s, strlen(s));
    json_scan_value(&scan, &whole);
    return json_scan_end(&scan, &test_err);
}

TEST("a list of rows is read value after value, in the order of the text")
{
    const char *json = " {\"items\" : [ {\"id\": 7, \"name\":\"a\\tb\"} , {} ],\"more\":null}\n";
    struct json_scan s;
    struct json_part key, value;
    auto_text struct text seen = {0};
    json_scan_init(&s, json, strlen(json));
    for (json_scan_object(&s); json_scan_member(&s, &key);) {
        if (!json_part_is(&key, "items")) {
            json_scan_value(&s, &value);
            CHECK_INT(value.kind, JSON_PART_NULL);
            continue;
        }
        for (json_scan_list(&s); json_scan_item(&s); text_add_char(&seen, ';')) {
            for (json_scan_object(&s); json_scan_member(&s, &key); text_add_char(&seen, ' ')) {
                json_part_text(&key, &seen);
                json_scan_value(&s, &value);
                text_add_char(&seen, '=');
                text_add_bytes(&seen, value.at, value.len);
            }
        }
    }
    CHECK_OK(json_scan_end(&s, &test_err));
    CHECK_TEXT(text_get(&seen), "id=7 name=a\\tb ;;");
}

TEST("a value can be passed over, however deep it is and whatever its texts say")
{
    auto_text struct text json = {0};
    text_add(&json, "[\"a\\ud800\\\"\", \"\\\\\", ");
    for (int i = 0; i < 5000; i++)
        text_add(&json, "[{\"]}\":");
    text_add(&json, "7");
    for (int i = 0; i < 5000; i++)
        text_add(&json, "}]");
    text_add(&json, " , 12 ]");
    struct json_scan s;
    struct json_part part;
    json_scan_init(&s, json.data, json.len);
    json_scan_list(&s);
    CHECK(json_scan_item(&s));
    json_scan_pass(&s, &part);
    CHECK(part.kind == JSON_PART_TEXT && part.has_escapes && part.len == 9);
    CHECK(json_scan_item(&s));
    json_scan_pass(&s, &part);
    CHECK(part.kind == JSON_PART_TEXT && part.len == 2);
    CHECK(json_scan_item(&s));
    json_scan_pass(&s, &part);
    CHECK(part.kind == JSON_PART_LIST && part.at[0] == '[' && part.at[part.len - 1] == ']');
    CHECK(json_scan_item(&s));
    json_scan_pass(&s, &part);
    CHECK(part.kind == JSON_PART_INT);
    CHECK(!json_scan_item(&s));
    CHECK_OK(json_scan_end(&s, &test_err));

    json_scan_init(&s, "[[\"x]", 6);
    json_scan_pass(&s, &part);
    CHECK_INT(part.kind, JSON_PART_NONE);
    CHECK_FAILS(json_scan_end(&s, &test_err), ERR_INVALID, "a bracket is missing");
}

TEST("what is inside a value that is skipped is still held to the rules")
{
    CHECK_OK(scan("[{\"a\":[1,2,{\"b\":\"\\u00e9\"}]},-0.5e+3,true,false,null,\"\xc3\xa9\"]"));
    static const char *const bad[] = {
        "",
        "[",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\x01\"",
        "\"\xff\"",
        "01",
        "1.",
        ".5",
        "-",
        "1e",
        "tru",
        "nulll",
        "1 1",
        "]",
        "{\"a\":1]",
        "[1}",
        "'a'",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_msg(scan(bad[i]) < 0, "taken: %s", bad[i]);
    CHECK_FAILS(scan("[1,nul]"), ERR_INVALID, "at byte 3: a word that means nothing");
}

TEST("values are nested at most 32 deep")
{
    auto_text struct text t = {0};
    for (int i = 0; i < 32; i++)
        text_add_char(&t, '[');
    for (int i = 0; i < 32; i++)
        text_add_char(&t, ']');
    CHECK_OK(scan(t.data));
    t.data[31] = '{'; /* the innermost, and now not closed as it was opened */
    CHECK_FAILS(scan(t.data), ERR_INVALID, "");
    text_clear(&t);
    for (int i = 0; i < 33; i++)
        text_add(&t, "{\"a\":");
    CHECK_FAILS(scan(t.data), ERR_INVALID, "too deep");
}

TEST("texts are decoded, also in their own place, and numbers only where they fit")
{
    char json[] = "[\"\\u00e9\\ud83d\\ude00 \\\"x\\\" and more\",9223372036854775807,"
                  "9223372036854775808,1.25]";
    struct json_scan s;
    struct json_part p;
    int64_t n = 0;
    json_scan_init(&s, json, strlen(json));
    json_scan_list(&s);
    CHECK(json_scan_item(&s));
    json_scan_value(&s, &p);
    CHECK(json_part_is(&p, "é😀 \"x\" and more"));
    CHECK_TEXT(json_part_text_here(&p), "é😀 \"x\" and more");
    CHECK(json_scan_item(&s));
    json_scan_value(&s, &p);
    CHECK(json_part_int(&p, &n) && n == INT64_MAX);
    CHECK(json_scan_item(&s));
    json_scan_value(&s, &p);
    CHECK(!json_part_int(&p, &n));
    CHECK(json_part_number(&p) > 9.2e18);
    CHECK(json_scan_item(&s));
    json_scan_value(&s, &p);
    CHECK(json_part_number(&p) == 1.25 && !json_part_int(&p, &n));
    CHECK(!json_scan_item(&s));
    CHECK_OK(json_scan_end(&s, &test_err));
}
