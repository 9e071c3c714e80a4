/*
 * Text that grows, and small questions about text. A struct text is always NUL-terminated once
 * something was added; all zero is an empty one.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *data; /* NULL while nothing was ever added */
    size_t len; /* without the NUL */
    size_t room;
};

void text_done(struct text *t);
void text_clear(struct text *t); /* empty, memory kept */
void text_reserve(struct text *t, size_t more);
void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const void *p, size_t len);
void text_add_char(struct text *t, char c);
/* As "%lld" does, in a tenth of its time. */
void text_add_int(struct text *t, int64_t value);
void text_addf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The words of S in lines of at most WIDTH bytes (a longer word stays whole); every line but the
 * first begins with INDENT blanks. No newline at the end. */
void text_add_wrapped(struct text *t, const char *s, size_t width, size_t indent);
/* The text as memory of its own, owned by the caller; never NULL. T is empty afterwards. */
char *text_take(struct text *t);
/* The text, "" when empty; good until T changes. */
const char *text_get(const struct text *t);

#define auto_text AUTO(text_done)

bool text_is_utf8(const char *s, size_t len);
/* Copies TEXT (NULL: "") into SIZE bytes, cut at the end of a character; what is left is zeroed. */
void text_cut(char *to, size_t size, const char *text);
bool text_starts_with(const char *s, const char *prefix);
bool text_ends_with(const char *s, const char *suffix);
/* A name that people give: 1..MAX bytes of letters, digits, '.', '_', '-', first a letter or digit.
 */
bool text_is_name(const char *s, size_t max);

/* Whole decimal numbers from outside: nothing before or behind, no overflow, within LEAST..MOST.
 * WHAT names the thing in the error: "port 'x7' is not a whole number". */
int text_to_int(const char *s, int64_t least, int64_t most, const char *what, int64_t *ret,
                struct err *e);
/* "16GiB", "512 MiB", "1g", "1024": bytes, binary multiples; a plain number is bytes. */
int text_to_bytes(const char *s, const char *what, uint64_t *ret, struct err *e);
/* "90", "90s", "15m", "2h", "1d", "1h30m": milliseconds; a plain number is seconds. */
int text_to_duration_ms(const char *s, const char *what, int64_t *ret, struct err *e);
/* "0.30" with SCALE 1000000 -> 300000. At most as many digits behind the point as SCALE has. */
int text_to_fixed(const char *s, int64_t scale, const char *what, int64_t *ret, struct err *e);

#endif
