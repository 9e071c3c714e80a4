/*
 * Failures. A function that can fail for more than one reason returns int and takes a struct err
 * last: the code is for the program, the sentence for the person.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define PRINTF_LIKE(fmt, args)            __attribute__((format(printf, fmt, args)))

/* clang-format off */
#define ERR_CODES(X)                                                                               \
    /* code             http exit retry  title */                                                  \
    X(INVALID,          400, 2, 0, "the request makes no sense")                                   \
    X(UNAUTHENTICATED,  401, 3, 0, "a valid token is needed")                                      \
    X(DENIED,           403, 3, 0, "not permitted")                                                \
    X(NOT_FOUND,        404, 4, 0, "not found")                                                    \
    X(METHOD,           405, 2, 0, "method not allowed here")                                      \
    X(CONFLICT,         409, 5, 0, "it is not in a state for this")                                \
    X(TOO_LARGE,        413, 2, 0, "too large")                                                    \
    X(MEDIA_TYPE,       415, 2, 0, "content type not understood")                                  \
    X(UNPROCESSABLE,    422, 2, 0, "understood, but cannot be done")                               \
    X(EXHAUSTED,        429, 6, 1, "a limit is reached")                                           \
    X(INTERNAL,         500, 1, 0, "our mistake")                                                  \
    X(UNAVAILABLE,      503, 7, 1, "the other side is down")                                       \
    X(TIMEOUT,          504, 8, 1, "no answer in time")
/* clang-format on */

#define X(code, http, exit, retry, title) ERR_##code,
enum err_code { ERR_NONE, ERR_CODES(X) ERR_CODE_COUNT };
#undef X

/* One failure: a kind to act on, a sentence to show. Lives on the caller's stack and owns nothing,
 * so it can also report that memory ran out. All zero means nothing has failed. */
struct err {
    enum err_code code;
    char text[512];
    char field[64]; /* of the input, the one to blame: "gpus", "jobs[3].gpus"; "" when it is none */
};

/* All return -1, so that `return err_set(...)` is one statement. E may be NULL: "don't tell me".
 * err_sys() adds ": reason of ERRNUM" behind and picks the code from it, err_wrap() puts
 * "context: " in front. A text that does not fit is cut. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int err_sys(struct err *e, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Names the field to blame, for programs; the sentence should name it, too. Any other new failure
 * in E forgets it, err_wrap() does not. Returns -1. */
int err_blame(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#if defined(__clang_analyzer__) && !defined(BASE_ERR_C)
/* clang-tidy looks at one file at a time: else it takes failures for possible successes. */
static inline int err_minus_one_(int rc)
{
    return rc < 0 ? rc : -1;
}
#define err_set(...)   err_minus_one_(err_set(__VA_ARGS__))
#define err_sys(...)   err_minus_one_(err_sys(__VA_ARGS__))
#define err_wrap(...)  err_minus_one_(err_wrap(__VA_ARGS__))
#define err_blame(...) err_minus_one_(err_blame(__VA_ARGS__))
#endif

/* "not-found" for ERR_NOT_FOUND: stable, for machines. Never NULL. */
const char *err_slug(enum err_code code);
/* The status of an HTTP answer, the exit code of a program, a title for people. */
int err_http(enum err_code code);
int err_exit(enum err_code code);
const char *err_title(enum err_code code);
bool err_is_temporary(enum err_code code);
/* The code that an HTTP status stands for; ERR_INTERNAL for one that we never send. */
enum err_code err_from_http(int status);

#endif
