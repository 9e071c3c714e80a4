#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

static void *or_stop(void *p, size_t bytes)
{
    if (p)
        return p;
    fprintf(stderr, "out of memory: could not get %zu bytes\n", bytes);
    abort();
}

void *mem_alloc(size_t count, size_t size)
{
    return or_stop(calloc(count ? count : 1, size ? size : 1), count * size);
}

void *mem_resize(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return or_stop(NULL, (size_t)-1);
    if (!bytes) {
        free(p);
        return NULL;
    }
    return or_stop(realloc(p, bytes), bytes);
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_alloc(len + 1, 1);
    memcpy(copy, s, len);
    return copy;
}

void *mem_dup(const void *p, size_t len)
{
    void *copy = mem_alloc(len, 1);
    if (len)
        memcpy(copy, p, len);
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    char *made = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&made, fmt, args);
    va_end(args);
    return or_stop(len < 0 ? NULL : made, 0);
}
