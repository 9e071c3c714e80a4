#include "base/mem.h"
#include "kube/records.h"
#include "kube/split.h"
#include "kube/status.h"
#include "test.h"

static bool collect(void *arg, const char *json, size_t len)
{
    text_add_bytes(arg, json, len);
    text_add_char(arg, '|');
    return true;
}

/* All pieces of PIECE bytes give the same. */
static int split(enum kube_split_mode mode, const char *json, size_t piece, size_t most,
                 struct text *out, struct text *rest)
{
    struct kube_split s = {.mode = mode, .most = most, .on_object = collect, .arg = out};
    int rc = 0;
    for (size_t at = 0, len = strlen(json); at < len && rc == 0; at += piece)
        rc = kube_split_feed(&s, json + at, len - at < piece ? len - at : piece, &test_err);
    if (rc == 0)
        rc = kube_split_end(&s, &test_err);
    if (rest)
        text_add_bytes(rest, text_get(&s.rest), s.rest.len);
    kube_split_done(&s);
    return rc;
}

TEST("a list is cut into its items, wherever the network cuts it")
{
    const char *json = " {\"kind\":\"L\\\"items\\\"\",\"metadata\":{\"items\":[{\"no\":1}],"
                       "\"continue\":\"t\"}, \"items\" : [ {\"a\":\"}]\\\\\"}, {\"b\":[{}]}\n] ,"
                       "\"x\":[1]}\n";
    for (size_t piece = 1; piece < 200; piece += piece < 20 ? 1 : 60) {
        auto_text struct text out = {0}, rest = {0};
        CHECK_OK(split(KUBE_SPLIT_ITEMS, json, piece, 100, &out, &rest));
        CHECK_TEXT(text_get(&out), "{\"a\":\"}]\\\\\"}|{\"b\":[{}]}|");
        CHECK(strstr(text_get(&rest), "\"items\" : [] ,\"x\":[1]}"));
    }
    auto_text struct text out = {0};
    CHECK_OK(split(KUBE_SPLIT_ITEMS, "{\"items\":null,\"a\":[{}]}", 5, 100, &out, NULL));
    CHECK_TEXT(text_get(&out), "");
}

TEST("a stream is cut into its events, with or without line breaks")
{
    const char *json = "{\"a\":1}\n\n{\"b\":\"{\"}{\"c\":[[]]}\r\n";
    for (size_t piece = 1; piece < 40; piece++) {
        auto_text struct text out = {0};
        CHECK_OK(split(KUBE_SPLIT_EVENTS, json, piece, 100, &out, NULL));
        CHECK_TEXT(text_get(&out), "{\"a\":1}|{\"b\":\"{\"}|{\"c\":[[]]}|");
    }
}

TEST("what is cut off, too large or something else is told apart")
{
    auto_text struct text out = {0};
    CHECK_FAILS(split(KUBE_SPLIT_EVENTS, "{\"a\":1", 3, 100, &out, NULL), ERR_UNAVAILABLE,
                "cut off");
    CHECK_FAILS(split(KUBE_SPLIT_ITEMS, "{\"items\":[{}]", 3, 100, &out, NULL), ERR_UNAVAILABLE,
                "cut off");
    CHECK_FAILS(split(KUBE_SPLIT_EVENTS, "{\"a\":\"123456789\"}", 4, 10, &out, NULL), ERR_TOO_LARGE,
                "more than 10 bytes");
    CHECK_FAILS(split(KUBE_SPLIT_EVENTS, "{\"a\":\"123456789\"}", 99, 10, &out, NULL),
                ERR_TOO_LARGE, "more than 10 bytes");
    static const char *const events[] = {"<html>", "[{}]", "{} x", "}", "{\"a\":1]"};
    static const char *const lists[] = {"<html>",           "[{}]",  "{\"items\":[1]}",
                                        "{\"items\":[[]]}", "{} {}", "}"};
    for (size_t i = 0; i < COUNT_OF(events); i++)
        CHECK_FAILS(split(KUBE_SPLIT_EVENTS, events[i], 99, 100, &out, NULL), ERR_INVALID,
                    "no list");
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        CHECK_FAILS(split(KUBE_SPLIT_ITEMS, lists[i], 99, 100, &out, NULL), ERR_INVALID, "no list");
    auto_text struct text huge = {0};
    text_add(&huge, "{\"a\":\"");
    for (int i = 0; i < 300000; i++)
        text_add_char(&huge, 'x');
    CHECK_FAILS(split(KUBE_SPLIT_ITEMS, text_get(&huge), 4096, 1 << 20, &out, NULL), ERR_TOO_LARGE,
                "frame");
}

TEST("a Status becomes an error of ours, by its reason first")
{
    struct kube_status s;
    const char *json =
        "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"pods \\\"x\\\" not "
        "found\",\"reason\":\"NotFound\",\"details\":{\"retryAfterSeconds\":3,"
        "\"causes\":[{\"reason\":\"FieldManagerConflict\"}]},\"code\":404,"
        "\"metadata\":{\"continue\":\"tok\"}}";
    struct err e = {0};
    CHECK(kube_status_parse(json, strlen(json), &s));
    CHECK_INT(s.code, 404);
    CHECK_INT(s.retry_after_seconds, 3);
    CHECK_TEXT(s.cause, "FieldManagerConflict");
    CHECK_TEXT(s.next, "tok");
    CHECK(!kube_status_is_expired(&s));
    CHECK(kube_status_to_err(&s, &e) < 0 && e.code == ERR_NOT_FOUND);
    CHECK_TEXT(e.text, "pods \"x\" not found");
    json = "{\"code\":6,\"message\":\"it is there\"}"; /* gRPC's, from Argo Server */
    CHECK(kube_status_parse(json, strlen(json), &s));
    CHECK_TEXT(s.reason, "AlreadyExists");
    CHECK_INT(s.code, 0);
    CHECK(!kube_status_parse("{\"kind\":\"Pod\"}", 14, &s));
    CHECK(!kube_status_parse("<html>", 6, &s));
    struct kube_status bare = {.code = 500};
    kube_status_to_err(&bare, &e);
    CHECK_INT(e.code, ERR_UNAVAILABLE);
    CHECK(kube_status_is_expired(&(struct kube_status){.reason = "Expired"}));
}

static struct kube_head *head(const char *ns, const char *name)
{
    struct kube_head *h = mem_new(struct kube_head);
    *h = (struct kube_head){.size = 10, .ns = ns, .name = name};
    return h;
}

TEST("records are found by namespace and name, however many come and go")
{
    static char names[3000][16];
    struct kube_records r = {0};
    CHECK(!kube_records_find(&r, "a", "b") && !kube_records_take(&r, "a", "b"));
    for (int i = 0; i < 3000; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i / 2);
        CHECK(!kube_records_put(&r, head(i % 2 ? "x" : "", names[i])));
    }
    CHECK_INT(r.count, 3000);
    CHECK_INT(r.bytes, 30000);
    for (int i = 0; i < 3000; i += 3) {
        struct kube_head *gone = kube_records_take(&r, i % 2 ? "x" : "", names[i]);
        CHECK(gone && gone->name == names[i]);
        free(gone);
    }
    for (int i = 0; i < 3000; i++)
        CHECK(!kube_records_find(&r, i % 2 ? "x" : "", names[i]) == (i % 3 == 0));
    struct kube_head *old = kube_records_put(&r, head("x", names[1]));
    CHECK(old);
    free(old);
    size_t at = 0, count = 0;
    while (kube_records_next(&r, &at))
        count++;
    CHECK_INT(count, 2000);
    CHECK_INT(r.bytes, 20000);
    kube_records_done(&r);
}
