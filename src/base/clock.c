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

/* COUNT digits at *AT, which stands behind them then; -1: there are not so many. */
static int take_digits(const char **at, int count)
{
    int number = 0;
    for (; count; count--, ++*at) {
        if (**at < '0' || **at > '9')
            return -1;
        number = 10 * number + (**at - '0');
    }
    return number;
}

/* Since 1970, by the calendar of format_plain(). */
static int64_t day_number(int year, int month, int day)
{
    int64_t y = year - (month <= 2), from_march = month > 2 ? month - 3 : month + 9;
    int64_t era = (y + 400) / 400 - 1, of_era = y - 400 * era; /* of the year -1, too */
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * from_march + 2) / 5 +
           day - 1 - 719468;
}

bool clock_parse(const char *text, int64_t *ret_ms)
{
    static const struct {
        char behind;
        int digits, least, most;
    } parts[] = {{'-', 4, 0, 9999}, {'-', 2, 1, 12}, {'T', 2, 1, 31},
                 {':', 2, 0, 23},   {':', 2, 0, 59}, {'\0', 2, 0, 60}};
    int n[6], ms = 0;
    for (int i = 0; i < 6; i++) {
        n[i] = take_digits(&text, parts[i].digits);
        if (n[i] < parts[i].least || n[i] > parts[i].most ||
            (parts[i].behind && *text++ != parts[i].behind))
            return false;
    }
    if (*text == '.') {
        int weight = 100;
        for (text++; *text >= '0' && *text <= '9'; text++, weight /= 10)
            ms += (*text - '0') * weight;
    }
    if (text[0] != 'Z' || text[1])
        return false;
    int64_t seconds = day_number(n[0], n[1], n[2]) * 86400 + n[3] * 3600 + n[4] * 60 + n[5];
    *ret_ms = seconds * 1000 + ms;
    return true;
}

/* As "%0*lld" does. */
static char *put_number(char *to, int64_t value, unsigned least_digits)
{
    unsigned count = 1;
    for (int64_t left = value; (left /= 10) || count < least_digits;)
        count++;
    for (unsigned i = count; i--; value /= 10)
        to[i] = (char)('0' + value % 10);
    to[count] = '\0';
    return to + count;
}

char *clock_format_span(int64_t ms, char buf[CLOCK_TEXT_SIZE])
{
    int64_t s = ms / 1000, first, second;
    const char *end;
    char between;
    unsigned digits = 1;
    if (ms < 1000) {
        strcpy(put_number(buf, ms < 0 ? 0 : ms, 1), "ms");
        return buf;
    }
    if (s < 60) {
        first = s, between = '.', second = ms % 1000 / 100, end = "s";
    } else if (s < 3600) {
        first = s / 60, between = 'm', second = s % 60, end = "s";
        digits = 2;
    } else if (s < 86400) {
        first = s / 3600, between = 'h', second = s % 3600 / 60, end = "m";
        digits = 2;
    } else {
        first = s / 86400, between = 'd', second = s % 86400 / 3600, end = "h";
    }
    char *at = put_number(buf, first, 1);
    *at++ = between;
    strcpy(put_number(at, second, digits), end);
    return buf;
}
