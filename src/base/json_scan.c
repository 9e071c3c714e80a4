#include "base/json_scan.h"

#include "base/json.h"
#include "base/json_bytes.h"

#include <ctype.h>

void json_scan_init(struct json_scan *s, const char *p, size_t len)
{
    *s = (struct json_scan){.start = p, .at = p, .end = p + len};
}

void json_scan_fail(struct json_scan *s, const char *why)
{
    if (!s->why)
        s->why = why;
}

static void skip_blanks(struct json_scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* The next character that means something; '\0' at the end and after a failure. */
static char peek(struct json_scan *s)
{
    skip_blanks(s);
    return (char)(s->at < s->end && !s->why ? *s->at : '\0');
}

/* ---- texts ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The number of "uXXXX" at P; -1: it is none. */
static int32_t unit_at(const char *p, const char *end)
{
    int32_t unit = 0;
    if (end - p < 5 || *p != 'u')
        return -1;
    for (int i = 1; i < 5; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* The character of the escape whose backslash is before P, and how long it is without that; 0: not
 * an escape that may stand here. */
static size_t escape_at(const char *p, const char *end, uint32_t *ret)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *letter = p < end && *p ? strchr(letters, *p) : NULL;
    if (letter) {
        *ret = (uint32_t)meant[letter - letters];
        return 1;
    }
    int32_t high = unit_at(p, end);
    *ret = (uint32_t)high;
    if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
        return 0; /* no NUL: C strings end there; no second half without its first */
    if (high < 0xd800 || high > 0xdfff)
        return 5;
    int32_t low = end - p >= 6 && p[5] == '\\' ? unit_at(p + 6, end) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret = 0x10000 + (((uint32_t)high - 0xd800) << 10 | ((uint32_t)low - 0xdc00));
    return 11;
}

static bool is_plain8(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return !json_special_bytes(word);
}

/* At the opening quote. */
static void scan_text(struct json_scan *s, struct json_part *ret)
{
    const char *p = s->at + 1, *end = s->end;
    bool ascii = true, escapes = false;
    for (;;) {
        while (end - p >= 8 && is_plain8(p))
            p += 8;
        unsigned char c = p < end ? (unsigned char)*p : 0;
        if (c == '"')
            break;
        if (c < 0x20) {
            s->at = p;
            json_scan_fail(s, p < end ? "a control character in a text" : "a text has no end");
            return;
        }
        if (c == '\\') {
            uint32_t meant;
            size_t len = escape_at(p + 1, end, &meant);
            if (!len) {
                s->at = p;
                json_scan_fail(s, "an escape that means nothing");
                return;
            }
            escapes = true;
            p += len;
        }
        ascii &= c < 0x80;
        p++;
    }
    *ret = (struct json_part){JSON_PART_TEXT, escapes, s->at + 1, (size_t)(p - s->at - 1)};
    if (!ascii && !text_is_utf8(ret->at, ret->len))
        json_scan_fail(s, "a text that is not UTF-8");
    s->at = p + 1;
}

static size_t utf8_write(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* TO has LEN bytes, or is the text itself: an escape is longer than what it means. */
static size_t decode(const struct json_part *p, char *to)
{
    const char *from = p->at, *end = p->at + p->len;
    char *start = to;
    while (from < end) {
        const char *slash = memchr(from, '\\', (size_t)(end - from));
        size_t plain = (size_t)((slash ? slash : end) - from);
        memmove(to, from, plain);
        to += plain;
        from += plain;
        if (slash) {
            uint32_t meant;
            from += 1 + escape_at(from + 1, end, &meant);
            to += utf8_write(to, meant);
        }
    }
    return (size_t)(to - start);
}

/* ---- values ---- */

static void scan_number(struct json_scan *s, struct json_part *ret)
{
    const char *p = s->at, *end = s->end;
    bool real = false;
    p += *p == '-';
    const char *digits = p;
    while (p < end && isdigit((unsigned char)*p))
        p++;
    bool good = p > digits && (*digits != '0' || p == digits + 1);
    if (good && p < end && *p == '.') {
        real = true;
        digits = ++p;
        while (p < end && isdigit((unsigned char)*p))
            p++;
        good = p > digits;
    }
    if (good && p < end && (*p == 'e' || *p == 'E')) {
        real = true;
        p++;
        p += p < end && (*p == '+' || *p == '-');
        digits = p;
        while (p < end && isdigit((unsigned char)*p))
            p++;
        good = p > digits;
    }
    if (!good) {
        json_scan_fail(s, "a number that is none");
        return;
    }
    *ret = (struct json_part){
        .kind = real ? JSON_PART_REAL : JSON_PART_INT, .at = s->at, .len = (size_t)(p - s->at)};
    s->at = p;
}

static void scan_word(struct json_scan *s, const char *word, enum json_part_kind kind,
                      struct json_part *ret)
{
    size_t len = strlen(word);
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0) {
        json_scan_fail(s, "a word that means nothing");
        return;
    }
    *ret = (struct json_part){.kind = kind, .at = s->at, .len = len};
    s->at += len;
}

enum json_part_kind json_scan_next(struct json_scan *s)
{
    switch (peek(s)) {
    case '{':
        return JSON_PART_OBJECT;
    case '[':
        return JSON_PART_LIST;
    case '"':
        return JSON_PART_TEXT;
    case 't':
        return JSON_PART_TRUE;
    case 'f':
        return JSON_PART_FALSE;
    case 'n':
        return JSON_PART_NULL;
    case '-':
    case '0' ... '9':
        return JSON_PART_INT;
    default:
        return JSON_PART_NONE;
    }
}

/* Nested at most JSON_MAX_DEPTH times. */
static void skip_inside(struct json_scan *s, enum json_part_kind kind, struct json_part *ret)
{
    struct json_part inner;
    const char *start = s->at;
    if (kind == JSON_PART_OBJECT) {
        for (json_scan_object(s); json_scan_member(s, &inner);)
            json_scan_value(s, &inner);
    } else {
        for (json_scan_list(s); json_scan_item(s);)
            json_scan_value(s, &inner);
    }
    *ret = (struct json_part){.kind = kind, .at = start, .len = (size_t)(s->at - start)};
}

void json_scan_value(struct json_scan *s, struct json_part *ret)
{
    enum json_part_kind kind = json_scan_next(s);
    *ret = (struct json_part){0};
    s->fresh = false;
    switch (kind) {
    case JSON_PART_TEXT:
        scan_text(s, ret);
        break;
    case JSON_PART_INT:
    case JSON_PART_REAL:
        scan_number(s, ret);
        break;
    case JSON_PART_TRUE:
        scan_word(s, "true", kind, ret);
        break;
    case JSON_PART_FALSE:
        scan_word(s, "false", kind, ret);
        break;
    case JSON_PART_NULL:
        scan_word(s, "null", kind, ret);
        break;
    case JSON_PART_LIST:
    case JSON_PART_OBJECT:
        skip_inside(s, kind, ret);
        break;
    case JSON_PART_NONE:
        json_scan_fail(s, "a value is missing");
    }
    if (s->why)
        *ret = (struct json_part){0};
}

/* Behind the closing quote of the text whose opening one is at P; NULL: it has none. */
static const char *pass_text(const char *p, const char *end)
{
    for (p++; (p = memchr(p, '"', (size_t)(end - p))); p++) {
        const char *slash = p;
        while (slash[-1] == '\\') /* ends at the opening quote at the latest */
            slash--;
        if ((p - slash) % 2 == 0)
            return p + 1;
    }
    return NULL;
}

/* Behind the bracket that closes the one at P; NULL: none does. */
static const char *pass_brackets(const char *p, const char *end)
{
    size_t depth = 0;
    while (p && p < end) {
        switch (*p) {
        case '"':
            p = pass_text(p, end);
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0)
                return p + 1;
            break;
        default:
            break;
        }
        p++;
    }
    return NULL;
}

void json_scan_pass(struct json_scan *s, struct json_part *ret)
{
    enum json_part_kind kind = json_scan_next(s);
    if (kind != JSON_PART_TEXT && kind != JSON_PART_LIST && kind != JSON_PART_OBJECT) {
        json_scan_value(s, ret);
        return;
    }
    bool is_text = kind == JSON_PART_TEXT;
    const char *behind = is_text ? pass_text(s->at, s->end) : pass_brackets(s->at, s->end);
    *ret = (struct json_part){0};
    s->fresh = false;
    if (!behind) {
        json_scan_fail(s, is_text ? "a text has no end" : "a bracket is missing");
        return;
    }
    *ret = (struct json_part){.kind = kind, .at = s->at, .len = (size_t)(behind - s->at)};
    if (is_text) {
        ret->at++;
        ret->len -= 2;
        ret->has_escapes = memchr(ret->at, '\\', ret->len);
    }
    s->at = behind;
}

static void open_bracket(struct json_scan *s, char bracket, const char *why)
{
    if (peek(s) != bracket) {
        json_scan_fail(s, why);
    } else if (s->depth == JSON_MAX_DEPTH) {
        json_scan_fail(s, "nested too deep");
    } else {
        s->at++;
        s->depth++;
        s->fresh = true;
    }
}

void json_scan_object(struct json_scan *s)
{
    open_bracket(s, '{', "an object is missing");
}

void json_scan_list(struct json_scan *s)
{
    open_bracket(s, '[', "a list is missing");
}

/* Whether another member or value follows, behind its comma. */
static bool goes_on(struct json_scan *s, char close)
{
    char c = peek(s);
    bool fresh = s->fresh;
    s->fresh = false;
    if (c == close && s->depth) {
        s->at++;
        s->depth--;
        return false;
    }
    if (!fresh && c != ',') {
        json_scan_fail(s, "a comma or bracket is missing");
        return false;
    }
    s->at += !fresh;
    return !s->why;
}

bool json_scan_member(struct json_scan *s, struct json_part *key)
{
    *key = (struct json_part){0};
    if (!goes_on(s, '}'))
        return false;
    if (peek(s) != '"')
        json_scan_fail(s, "a key is missing");
    else
        scan_text(s, key);
    if (!s->why && peek(s) != ':')
        json_scan_fail(s, "a colon is missing");
    if (s->why)
        return false;
    s->at++;
    return true;
}

bool json_scan_item(struct json_scan *s)
{
    return goes_on(s, ']');
}

int json_scan_end(struct json_scan *s, struct err *e)
{
    skip_blanks(s);
    if (!s->why && (s->at < s->end || s->depth))
        json_scan_fail(s, "something is behind the end");
    if (!s->why)
        return 0;
    return err_set(e, ERR_INVALID, "the JSON cannot be read at byte %zu: %s",
                   (size_t)(s->at - s->start), s->why);
}

/* ---- parts ---- */

bool json_part_is(const struct json_part *p, const char *word)
{
    size_t len = strlen(word);
    if (p->kind != JSON_PART_TEXT)
        return false;
    if (!p->has_escapes)
        return p->len == len && memcmp(p->at, word, len) == 0;
    auto_text struct text decoded = {0};
    json_part_text(p, &decoded);
    return strcmp(text_get(&decoded), word) == 0;
}

void json_part_text(const struct json_part *p, struct text *out)
{
    if (p->kind != JSON_PART_TEXT)
        return;
    if (!p->has_escapes) {
        text_add_bytes(out, p->at, p->len);
        return;
    }
    text_reserve(out, p->len);
    out->len += decode(p, out->data + out->len);
    out->data[out->len] = '\0';
}

char *json_part_text_here(struct json_part *p)
{
    char *at = (char *)p->at;
    if (p->has_escapes)
        p->len = decode(p, at);
    p->has_escapes = false;
    at[p->len] = '\0';
    return at;
}

bool json_part_int(const struct json_part *p, int64_t *ret)
{
    bool negative = p->len && p->at[0] == '-';
    int64_t value = 0;
    if (p->kind != JSON_PART_INT)
        return false;
    for (size_t i = negative; i < p->len; i++) {
        int64_t digit = p->at[i] - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return false;
    }
    *ret = value;
    return true;
}

double json_part_number(const struct json_part *p)
{
    char digits[400];
    if (p->kind != JSON_PART_INT && p->kind != JSON_PART_REAL)
        return 0;
    size_t len = p->len < sizeof digits ? p->len : sizeof digits - 1;
    memcpy(digits, p->at, len);
    digits[len] = '\0';
    return strtod(digits, NULL);
}
