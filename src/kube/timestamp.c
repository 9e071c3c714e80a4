#include "kube/timestamp.h"

#include <stdio.h>
#include <time.h>

/* COUNT digits at P; -1: they are none. */
static int digits_at(const char *p, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        value = value * 10 + (p[i] - '0');
    }
    return value;
}

/* Days from 1970-01-01, in the calendar that goes on backwards (years that begin in March, so that
 * the leap day is the last one). */
static int64_t days_from(int year, int month, int day)
{
    int y = month <= 2 ? year - 1 : year;
    int era = y / 400, of_era = y - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool read_date(const char *s, int64_t *ret_seconds)
{
    static const unsigned char month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = digits_at(s, 4), month = digits_at(s + 5, 2), day = digits_at(s + 8, 2);
    int hour = digits_at(s + 11, 2), minute = digits_at(s + 14, 2), second = digits_at(s + 17, 2);
    if (s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != 't') || s[13] != ':' ||
        s[16] != ':')
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1])
        return false;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    *ret_seconds = days_from(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

/* "Z" or "+09:00" up to END, in seconds. */
static bool read_offset(const char *p, const char *end, int64_t *ret_seconds)
{
    *ret_seconds = 0;
    if (end - p == 1)
        return *p == 'Z' || *p == 'z';
    if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':')
        return false;
    int hour = digits_at(p + 1, 2), minute = digits_at(p + 4, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return false;
    *ret_seconds = (hour * 3600 + minute * 60) * (*p == '-' ? -1 : 1);
    return true;
}

bool kube_time(const char *s, size_t len, int64_t *ret_unix_ms)
{
    const char *p = s + 19, *end = s + len;
    int64_t seconds, offset, ms = 0, unit = 100;
    if (len < 20 || !read_date(s, &seconds))
        return false;
    if (*p == '.') {
        const char *first = ++p;
        for (; p < end && *p >= '0' && *p <= '9'; p++, unit /= 10)
            ms += (*p - '0') * unit;
        if (p == first)
            return false;
    }
    if (!read_offset(p, end, &offset))
        return false;
    *ret_unix_ms = (seconds - offset) * 1000 + ms;
    return true;
}

char *kube_time_format(int64_t unix_ms, char buf[KUBE_TIME_SIZE])
{
    int64_t ms = unix_ms % 1000;
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    if (!gmtime_r(&seconds, &tm) || tm.tm_year < 1000 - 1900 || tm.tm_year > 9999 - 1900)
        tm = (struct tm){.tm_year = 70, .tm_mday = 1};
    size_t len = strftime(buf, KUBE_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + len, KUBE_TIME_SIZE - len, ".%03u000Z", (unsigned)ms % 1000);
    return buf;
}
