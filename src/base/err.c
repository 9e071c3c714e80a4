#define BASE_ERR_C
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *title;
    int http, exit, retry;
} codes[ERR_CODE_COUNT] = {[ERR_NONE] = {"NONE", "nothing has failed", 200, 0, 0},
#define X(code, http, exit, retry, title) [ERR_##code] = {#code, title, http, exit, retry},
                           ERR_CODES(X)
#undef X
};

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (!e)
        return -1;

    va_list args;
    va_start(args, fmt);
    e->code = code;
    e->field[0] = '\0';
    vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    return -1;
}

static enum err_code code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EEXIST:
    case EBUSY:
        return ERR_CONFLICT;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
        return ERR_INVALID;
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
        return ERR_EXHAUSTED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_UNAVAILABLE;
    }
}

int err_sys(struct err *e, int errnum, const char *fmt, ...)
{
    if (!e)
        return -1;

    va_list args;
    va_start(args, fmt);
    e->code = code_of_errno(errnum);
    e->field[0] = '\0';
    int len = vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);

    if (len >= 0 && (size_t)len < sizeof e->text) {
        char reason[128];
        snprintf(e->text + len, sizeof e->text - (size_t)len, ": %s",
                 strerror_r(errnum, reason, sizeof reason));
    }
    return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    if (!e)
        return -1;

    char inner[sizeof e->text];
    memcpy(inner, e->text, sizeof inner);

    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);

    if (len >= 0 && (size_t)len < sizeof e->text)
        snprintf(e->text + len, sizeof e->text - (size_t)len, ": %s", inner);
    return -1;
}

int err_blame(struct err *e, const char *fmt, ...)
{
    if (!e)
        return -1;

    va_list args;
    va_start(args, fmt);
    vsnprintf(e->field, sizeof e->field, fmt, args);
    va_end(args);
    return -1;
}

const char *err_slug(enum err_code code)
{
    static char slugs[ERR_CODE_COUNT][24];
    static bool made;

    if (!__atomic_load_n(&made, __ATOMIC_ACQUIRE)) {
        /* Every thread writes the same bytes, so a race here changes nothing. */
        for (int i = 0; i < ERR_CODE_COUNT; i++)
            for (size_t k = 0; k < sizeof slugs[i] - 1 && codes[i].name[k]; k++)
                __atomic_store_n(&slugs[i][k],
                                 (char)(codes[i].name[k] == '_' ? '-' : codes[i].name[k] | 0x20),
                                 __ATOMIC_RELAXED);
        __atomic_store_n(&made, true, __ATOMIC_RELEASE);
    }
    return slugs[code < ERR_CODE_COUNT ? code : ERR_INTERNAL];
}

int err_http(enum err_code code)
{
    return codes[code < ERR_CODE_COUNT ? code : ERR_INTERNAL].http;
}

int err_exit(enum err_code code)
{
    return codes[code < ERR_CODE_COUNT ? code : ERR_INTERNAL].exit;
}

const char *err_title(enum err_code code)
{
    return codes[code < ERR_CODE_COUNT ? code : ERR_INTERNAL].title;
}

bool err_is_temporary(enum err_code code)
{
    return codes[code < ERR_CODE_COUNT ? code : ERR_INTERNAL].retry;
}

enum err_code err_from_http(int status)
{
    for (int i = 1; i < ERR_CODE_COUNT; i++)
        if (codes[i].http == status)
            return (enum err_code)i;
    return ERR_INTERNAL;
}
