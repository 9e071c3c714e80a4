#include "base/clock.h"
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
