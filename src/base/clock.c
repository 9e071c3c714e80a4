#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_boot_ms(void)
{
    return read_us(CLOCK_BOOTTIME) / 1000;
}

static void put_digits(char *to, unsigned count, unsigned value)
{
    while (count--) {
        to[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* The same as below for the years 1970 to 9999 and without the C library, which takes a quarter of
 * the time of a long list with it. Days are counted from the first of March of the year 0, so that
 * a leap day is the last of its year. */
static char *format_plain(int64_t unix_ms, char buf[CLOCK_TEXT_SIZE])
{
    unsigned ms = (unsigned)(unix_ms % 1000), s = (unsigned)(unix_ms / 1000 % 86400);
    unsigned day = (unsigned)(unix_ms / 86400000) + 719468;
    unsigned era = day / 146097, of_era = day % 146097; /* 400 years */
    unsigned of_year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned left = of_era - (365 * of_year + of_year / 4 - of_year / 100);
    unsigned month = (5 * left + 2) / 153; /* 0: March; five months have 153 days */
    unsigned year = 400 * era + of_year + (month >= 10);

    memcpy(buf, "....-..-..T..:..:......Z", 25);
    put_digits(buf, 4, year);
    put_digits(buf + 5, 2, month < 10 ? month + 3 : month - 9);
    put_digits(buf + 8, 2, left - (153 * month + 2) / 5 + 1);
    put_digits(buf + 11, 2, s / 3600);
    put_digits(buf + 14, 2, s / 60 % 60);
    put_digits(buf + 17, 2, s % 60);
    put_digits(buf + 20, 3, ms);
    return buf;
}

#define YEAR_10000_MS INT64_C(253402300800000)

char *clock_format(int64_t unix_ms, char buf[CLOCK_TEXT_SIZE])
{
    if (unix_ms >= 0 && unix_ms < YEAR_10000_MS)
        return format_plain(unix_ms, buf);
    int64_t seconds = unix_ms / 1000, ms = unix_ms % 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    time_t t = (time_t)seconds;
    struct tm tm;
    char day[24];
    gmtime_r(&t, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf, CLOCK_TEXT_SIZE, "%s.%03dZ", day, (int)ms);
    return buf;
}

char *clock_format_span(int64_t ms, char buf[CLOCK_TEXT_SIZE])
{
    long long s = ms / 1000;
    if (ms < 1000)
        snprintf(buf, CLOCK_TEXT_SIZE, "%lldms", (long long)(ms < 0 ? 0 : ms));
    else if (s < 60)
        snprintf(buf, CLOCK_TEXT_SIZE, "%lld.%llds", s, (long long)(ms % 1000 / 100));
    else if (s < 3600)
        snprintf(buf, CLOCK_TEXT_SIZE, "%lldm%02llds", s / 60, s % 60);
    else if (s < 86400)
        snprintf(buf, CLOCK_TEXT_SIZE, "%lldh%02lldm", s / 3600, s % 3600 / 60);
    else
        snprintf(buf, CLOCK_TEXT_SIZE, "%lldd%lldh", s / 86400, s % 86400 / 3600);
    return buf;
}
