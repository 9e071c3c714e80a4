#include "base/text.h"
#include "test.h"

TEST("text grows with what is added and is always terminated")
{
    auto_text struct text t = {0};
    CHECK_TEXT(text_get(&t), "");
    for (int i = 0; i < 1000; i++)
        text_addf(&t, "%d,", i);
    CHECK_INT(t.len, strlen(t.data));
    CHECK(text_ends_with(t.data, "998,999,"));
}

TEST("only well-formed UTF-8 counts as UTF-8")
{
    CHECK(text_is_utf8("한글 Ä 😀", strlen("한글 Ä 😀")));
    static const char *const bad[] = {"\x80", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80",
                                      "\xe2\x82"};
    for (size_t i = 0; i < 5; i++)
        CHECK(!text_is_utf8(bad[i], strlen(bad[i])));
}

TEST("names are letters, digits, dots, dashes and underscores, and start with one of the first two")
{
    CHECK(text_is_name("resnet-50_v1.5", 63));
    CHECK(!text_is_name("", 63));
    CHECK(!text_is_name("../etc", 63));
    CHECK(!text_is_name("-x", 63));
    CHECK(!text_is_name("abcd", 3));
}

TEST("sizes take binary units, and refuse what does not fit")
{
    uint64_t n = 0;
    CHECK_OK(text_to_bytes("16GiB", "memory", &n, &test_err));
    CHECK(n == UINT64_C(16) << 30);
    CHECK_OK(text_to_bytes("512 MiB", "memory", &n, &test_err));
    CHECK(n == UINT64_C(512) << 20);
    CHECK_FAILS(text_to_bytes("-1", "memory", &n, &test_err), ERR_INVALID, "memory '-1'");
    CHECK_FAILS(text_to_bytes("9999999999999T", "memory", &n, &test_err), ERR_INVALID, "too large");
    CHECK_FAILS(text_to_bytes("1 parsec", "memory", &n, &test_err), ERR_INVALID, "unknown unit");
}

TEST("durations may be put together")
{
    int64_t ms = 0;
    CHECK_OK(text_to_duration_ms("1h30m", "time", &ms, &test_err));
    CHECK_INT(ms, 5400000);
    CHECK_OK(text_to_duration_ms("250ms", "time", &ms, &test_err));
    CHECK_INT(ms, 250);
    CHECK_OK(text_to_duration_ms("90", "time", &ms, &test_err));
    CHECK_INT(ms, 90000);
    CHECK_FAILS(text_to_duration_ms("soon", "time", &ms, &test_err), ERR_INVALID, "duration");
    CHECK_FAILS(text_to_duration_ms("", "time", &ms, &test_err), ERR_INVALID, "duration");
}

TEST("money is a whole number of millionths, never a float")
{
    int64_t n = 0;
    CHECK_OK(text_to_fixed("0.30", 1000000, "price", &n, &test_err));
    CHECK_INT(n, 300000);
    CHECK_OK(text_to_fixed("12", 1000000, "price", &n, &test_err));
    CHECK_INT(n, 12000000);
    CHECK_FAILS(text_to_fixed("0.1234567", 1000000, "price", &n, &test_err), ERR_INVALID, "digits");
    CHECK_FAILS(text_to_fixed("1e3", 1000000, "price", &n, &test_err), ERR_INVALID, "not a number");
}

TEST("words are wrapped into lines, counted from where the line began")
{
    auto_text struct text t = {0};
    text_add(&t, "first\n  --x  ");
    text_add_wrapped(&t, "one two three  averyverylongword", 12, 4);
    CHECK_TEXT(t.data, "first\n  --x  one\n    two\n    three\n    averyverylongword");
}
