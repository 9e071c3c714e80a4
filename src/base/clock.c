#include "base/clock.h"

#include <stdio.h>
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

char *clock_format(int64_t unix_ms, char buf[CLOCK_TEXT_SIZE])
{
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
