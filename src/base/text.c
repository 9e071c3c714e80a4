#include "base/text.h"

#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>

void text_done(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}

void text_clear(struct text *t)
{
    t->len = 0;
    if (t->data)
        t->data[0] = '\0';
}

void text_reserve(struct text *t, size_t more)
{
    size_t need = t->len + more + 1;
    if (need <= t->room)
        return;

    size_t room = t->room ? t->room : 64;
    while (room < need)
        room += room / 2 + 16;
    t->data = mem_resize(t->data, room, 1);
    t->room = room;
}

void text_add_bytes(struct text *t, const void *p, size_t len)
{
    text_reserve(t, len);
    if (len)
        memcpy(t->data + t->len, p, len);
    t->len += len;
    t->data[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
    text_add_bytes(t, s, strlen(s));
}

void text_add_char(struct text *t, char c)
{
    text_reserve(t, 1);
    t->data[t->len++] = c;
    t->data[t->len] = '\0';
}

void text_add_int(struct text *t, int64_t value)
{
    char digits[24], *p = digits + sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0)
        *--p = '-';
    text_add_bytes(t, p, (size_t)(digits + sizeof digits - p));
}

void text_addf(struct text *t, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);

    text_reserve(t, 64);
    size_t left = t->room - t->len;
    int len = vsnprintf(t->data + t->len, left, fmt, args);
    if (len > 0 && (size_t)len >= left) {
        text_reserve(t, (size_t)len);
        vsnprintf(t->data + t->len, (size_t)len + 1, fmt, again);
    }
    if (len > 0)
        t->len += (size_t)len;
    va_end(again);
    va_end(args);
}

void text_add_wrapped(struct text *t, const char *s, size_t width, size_t indent)
{
    const char *line = strrchr(text_get(t), '\n');
    size_t column = t->len - (line ? (size_t)(line + 1 - t->data) : 0);
    bool first = true;
    for (;;) {
        s += strspn(s, " ");
        size_t len = strcspn(s, " ");
        if (!len)
            return;
        if (!first && column + 1 + len > width) {
            text_addf(t, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            text_add_char(t, ' ');
            column++;
        }
        text_add_bytes(t, s, len);
        column += len;
        s += len;
        first = false;
    }
}

char *text_take(struct text *t)
{
    text_reserve(t, 0);
    t->data[t->len] = '\0';
    char *data = t->data;
    *t = (struct text){0};
    return data;
}

const char *text_get(const struct text *t)
{
    return t->data ? t->data : "";
}

/* How many bytes the well-formed character at S has (RFC 3629: no overlong forms, no surrogates, at
 * most U+10FFFF); 0 when it is not one. */
static size_t utf8_char(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;

    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

bool text_is_utf8(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    while (len) {
        size_t n = utf8_char(p, len);
        if (!n)
            return false;
        p += n;
        len -= n;
    }
    return true;
}

bool text_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *s, const char *suffix)
{
    size_t a = strlen(s), b = strlen(suffix);
    return a >= b && memcmp(s + a - b, suffix, b) == 0;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool text_is_name(const char *s, size_t max)
{
    size_t len = strlen(s);
    if (!len || len > max || s[0] == '.' || s[0] == '_' || s[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_name_char(s[i]))
            return false;
    return true;
}

int text_to_int(const char *s, int64_t least, int64_t most, const char *what, int64_t *ret,
                struct err *e)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(s, &end, 10);
    if (!s[0] || isspace((unsigned char)s[0]) || s[0] == '+' || *end)
        return err_set(e, ERR_INVALID, "%s '%.40s' is not a whole number", what, s);
    if (errno == ERANGE || value < least || value > most)
        return err_set(e, ERR_INVALID, "%s '%.40s' is not between %lld and %lld", what, s,
                       (long long)least, (long long)most);
    *ret = value;
    return 0;
}

int text_to_bytes(const char *s, const char *what, uint64_t *ret, struct err *e)
{
    static const struct {
        const char *word;
        unsigned shift;
    } units[] = {{"", 0},    {"b", 0},    {"k", 10},   {"kib", 10}, {"ki", 10},
                 {"m", 20},  {"mib", 20}, {"mi", 20},  {"g", 30},   {"gib", 30},
                 {"gi", 30}, {"t", 40},   {"tib", 40}, {"ti", 40}};
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(s, &end, 10);
    if (!isdigit((unsigned char)s[0]) || errno)
        return err_set(e, ERR_INVALID, "%s '%.40s' is not a size such as 16GiB", what, s);
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (strcasecmp(end, units[i].word) != 0)
            continue;
        if (value > (UINT64_C(1) << 60) >> units[i].shift)
            return err_set(e, ERR_INVALID, "%s '%.40s' is too large", what, s);
        *ret = (uint64_t)value << units[i].shift;
        return 0;
    }
    return err_set(e, ERR_INVALID, "%s '%.40s' has an unknown unit; use KiB, MiB, GiB or TiB", what,
                   s);
}

static int64_t duration_unit_ms(const char *s, size_t *ret_len)
{
    *ret_len = 1;
    switch (*s) {
    case 'd':
        return 86400000;
    case 'h':
        return 3600000;
    case 'm':
        if (s[1] == 's') {
            *ret_len = 2;
            return 1;
        }
        return 60000;
    case 's':
        return 1000;
    case '\0':
        *ret_len = 0;
        return 1000;
    default:
        return 0;
    }
}

int text_to_duration_ms(const char *s, const char *what, int64_t *ret, struct err *e)
{
    int64_t total = 0;
    const char *p = s;

    do {
        char *end = NULL;
        errno = 0;
        long long value = strtoll(p, &end, 10);
        size_t len;
        int64_t unit = duration_unit_ms(end, &len), part;
        if (!isdigit((unsigned char)*p) || errno || !unit ||
            __builtin_mul_overflow((int64_t)value, unit, &part) ||
            __builtin_add_overflow(total, part, &total))
            return err_set(e, ERR_INVALID, "%s '%.40s' is not a duration such as 90s, 15m or 1h30m",
                           what, s);
        p = end + len;
    } while (*p);

    *ret = total;
    return 0;
}

int text_to_fixed(const char *s, int64_t scale, const char *what, int64_t *ret, struct err *e)
{
    int64_t value = 0;
    const char *p = s;
    bool digits = false;

    for (; isdigit((unsigned char)*p); p++, digits = true)
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(*p - '0'), &value))
            return err_set(e, ERR_INVALID, "%s '%.40s' is too large", what, s);
    if (__builtin_mul_overflow(value, scale, &value))
        return err_set(e, ERR_INVALID, "%s '%.40s' is too large", what, s);

    if (*p == '.') {
        int64_t weight = scale;
        for (p++; isdigit((unsigned char)*p); p++, digits = true) {
            if (weight % 10)
                return err_set(e, ERR_INVALID, "%s '%.40s' has too many digits behind the point",
                               what, s);
            weight /= 10;
            if (__builtin_add_overflow(value, weight * (*p - '0'), &value))
                return err_set(e, ERR_INVALID, "%s '%.40s' is too large", what, s);
        }
    }
    if (!digits || *p)
        return err_set(e, ERR_INVALID, "%s '%.40s' is not a number such as 0.30", what, s);
    *ret = value;
    return 0;
}

void text_cut(char *to, size_t size, const char *text)
{
    size_t len = text ? strnlen(text, size - 1) : 0;
    while (len && !text_is_utf8(text, len))
        len--;
    memset(to, 0, size);
    memcpy(to, text ? text : "", len);
}
