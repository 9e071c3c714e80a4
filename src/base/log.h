/*
 * The program's log, on standard error: a line for people on a terminal, a JSON object a line
 * otherwise. Facts are fields, not parts of a sentence:
 *
 *     log_info("job started", F_INT("job", 42), F_TEXT("gpu", uuid));
 *
 * Any thread. Code below engine does not log.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_field {
    const char *name; /* NULL ends a list */
    const char *text; /* NULL: it is a number */
    int64_t number;
};

/* NAME (the program) stands in every line. FORMAT: "auto", "human" or "json". */
int log_setup(const char *name, const char *format, const char *level, struct err *e);
void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define F_INT(n, v)  ((struct log_field){.name = (n), .number = (int64_t)(v)})
#define F_TEXT(n, v) ((struct log_field){.name = (n), .text = (v) ? (v) : ""})
#define F_ERR(e)     F_TEXT("error", (e)->text)

#ifdef __cppcheck__ /* version 2.10 does not know __VA_OPT__ */
#define LOG_AT(level, message, ...) log_write(level, message, NULL)
#else
#define LOG_AT(level, message, ...)                                                                \
    log_write(level, message, (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#endif
#define log_debug(message, ...) LOG_AT(LOG_LEVEL_DEBUG, message, __VA_ARGS__)
#define log_info(message, ...)  LOG_AT(LOG_LEVEL_INFO, message, __VA_ARGS__)
#define log_warn(message, ...)  LOG_AT(LOG_LEVEL_WARN, message, __VA_ARGS__)
#define log_error(message, ...) LOG_AT(LOG_LEVEL_ERROR, message, __VA_ARGS__)

#endif
