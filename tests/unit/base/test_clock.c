#include "base/clock.h"
#include "base/mem.h"
#include "test.h"

#include <stdio.h>
#include <time.h>

static void check_like_libc(int64_t unix_ms)
{
    char ours[CLOCK_TEXT_SIZE], day[24], theirs[CLOCK_TEXT_SIZE];
    time_t t = (time_t)(unix_ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(theirs, sizeof theirs, "%s.%03dZ", day, (int)(unix_ms % 1000));
    CHECK_TEXT(clock_format(unix_ms, ours), theirs);
    int64_t back = 0;
    CHECK(clock_parse(ours, &back) && back == unix_ms);
}

TEST("a time is written as the C library's calendar has it, on every day of four centuries")
{
    for (int64_t day = 0; day < 146097 + 366; day++)
        check_like_libc(day * 86400000 + day * 7919 % 86400000);
    check_like_libc(INT64_C(253402300799999)); /* the last moment of the year 9999 */
    check_like_libc(INT64_C(951868799999));    /* before and on a leap day that centuries lack */
    check_like_libc(INT64_C(951782400000));
}

TEST("times before 1970 and after 9999 are written, too")
{
    char buf[CLOCK_TEXT_SIZE];
    CHECK_TEXT(clock_format(-1, buf), "1969-12-31T23:59:59.999Z");
    CHECK_TEXT(clock_format(INT64_C(253402300800000), buf), "10000-01-01T00:00:00.000Z");
}

TEST("times are read in one form, and nothing else")
{
    int64_t ms = 0;
    CHECK(clock_parse("2026-01-31T09:00:00.250Z", &ms) && ms == 1769850000250);
    CHECK(clock_parse("2026-01-31T09:00:00Z", &ms) && ms == 1769850000000);
    CHECK(clock_parse("1969-12-31T23:59:59.9Z", &ms) && ms == -100);
    CHECK(clock_parse("0000-01-01T00:00:00Z", &ms) && ms == INT64_C(-62167219200000));
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-31 09:00",
        "2026-01-31T09:00:00",
        "2026-01-31T09:00:00.250",
        "2026-01-31T09:00:00.250Zx",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "-026-01-01T00:00:00Z",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_msg(!clock_parse(bad[i], &ms), "taken: %s", bad[i]);
}

TEST("a span is written in its two largest units")
{
    static const struct {
        int64_t ms;
        const char *text;
    } spans[] = {
        {-5, "0ms"},
        {0, "0ms"},
        {999, "999ms"},
        {1000, "1.0s"},
        {59999, "59.9s"},
        {60000, "1m00s"},
        {3599000, "59m59s"},
        {3600000, "1h00m"},
        {86399000, "23h59m"},
        {86400000, "1d0h"},
        {INT64_C(8640000000) + 3600000, "100d1h"},
        {INT64_MAX, "106751991167d7h"},
    };
    char buf[CLOCK_TEXT_SIZE];
    for (size_t i = 0; i < COUNT_OF(spans); i++)
        CHECK_TEXT(clock_format_span(spans[i].ms, buf), spans[i].text);
}
