#include "base/json_out.h"

#include "base/clock.h"
#include "base/json_bytes.h"

#include <assert.h>

static uint64_t word_at(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Whether all of it is ASCII that needs no escape, as most texts are. */
static bool is_plain(const char *s, size_t len)
{
    uint64_t special = 0;
    if (len < 8) {
        uint64_t word = UINT64_C(0x7878787878787878);
        for (size_t i = 0; i < len; i++)
            word = word << 8 | (unsigned char)s[i];
        return !json_special_bytes(word);
    }
    for (size_t i = 0; i + 8 <= len; i += 8)
        special |= json_special_bytes(word_at(s + i));
    return !(special | json_special_bytes(word_at(s + len - 8)));
}

/* Between quotes, behind a comma where COMMA and before a colon where COLON. */
static bool quote_plain(struct text *t, const char *s, size_t len, bool comma, bool colon)
{
    if (!is_plain(s, len))
        return false;
    text_reserve(t, len + 4);
    char *to = t->data + t->len;
    if (comma)
        *to++ = ',';
    *to++ = '"';
    memcpy(to, s, len);
    to += len;
    *to++ = '"';
    if (colon)
        *to++ = ':';
    *to = '\0';
    t->len = (size_t)(to - t->data);
    return true;
}

static void quote(struct text *t, const char *s, size_t len)
{
    if (quote_plain(t, s, len, false, false))
        return;
    text_add_char(t, '"');
    size_t done = 0;
    bool valid = text_is_utf8(s, len);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        bool plain = c >= 0x20 && c != '"' && c != '\\' && (valid || c < 0x80);
        if (plain)
            continue;
        text_add_bytes(t, s + done, i - done);
        done = i + 1;
        if (c == '"' || c == '\\') {
            char pair[2] = {'\\', (char)c};
            text_add_bytes(t, pair, 2);
        } else if (c == '\n') {
            text_add(t, "\\n");
        } else if (c == '\t') {
            text_add(t, "\\t");
        } else if (c < 0x20) {
            text_addf(t, "\\u%04x", c);
        } else {
            text_add(t, "\\ufffd");
        }
    }
    text_add_bytes(t, s + done, len - done);
    text_add_char(t, '"');
}

static void before(struct json_out *o, const char *key)
{
    bool comma = o->comma;
    size_t len = key ? strlen(key) : 0;
    o->comma = true;
    if (key && quote_plain(o->text, key, len, comma, true))
        return;
    if (comma)
        text_add_char(o->text, ',');
    if (key) {
        quote(o->text, key, len);
        text_add_char(o->text, ':');
    }
}

static void begin(struct json_out *o, const char *key, bool list)
{
    before(o, key);
    assert(o->depth < 63);
    o->depth++;
    o->is_list =
        list ? o->is_list | UINT64_C(1) << o->depth : o->is_list & ~(UINT64_C(1) << o->depth);
    text_add_char(o->text, list ? '[' : '{');
    o->comma = false;
}

void jo_object(struct json_out *o, const char *key)
{
    begin(o, key, false);
}

void jo_list(struct json_out *o, const char *key)
{
    begin(o, key, true);
}

void jo_end(struct json_out *o)
{
    assert(o->depth > 0);
    text_add_char(o->text, o->is_list >> o->depth & 1 ? ']' : '}');
    o->depth--;
    o->comma = true;
}

void jo_int(struct json_out *o, const char *key, int64_t value)
{
    before(o, key);
    text_add_int(o->text, value);
}

void jo_bool(struct json_out *o, const char *key, bool value)
{
    before(o, key);
    text_add(o->text, value ? "true" : "false");
}

void jo_null(struct json_out *o, const char *key)
{
    before(o, key);
    text_add(o->text, "null");
}

void jo_text(struct json_out *o, const char *key, const char *value)
{
    if (value)
        jo_bytes(o, key, value, strlen(value));
    else
        jo_null(o, key);
}

void jo_bytes(struct json_out *o, const char *key, const char *value, size_t len)
{
    before(o, key);
    quote(o->text, value, len);
}

void jo_fixed(struct json_out *o, const char *key, int64_t value, int64_t scale)
{
    before(o, key);
    if (value < 0)
        text_add_char(o->text, '-');
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value, unit = (uint64_t)scale;
    text_add_int(o->text, (int64_t)(size / unit));
    text_add_char(o->text, '.');
    uint64_t rest = size % unit;
    do {
        unit = unit >= 10 ? unit / 10 : 1;
        text_add_char(o->text, (char)('0' + (scale == 1 ? 0 : rest / unit)));
        rest = scale == 1 ? 0 : rest % unit;
    } while (rest);
}

void jo_time(struct json_out *o, const char *key, int64_t unix_ms)
{
    char buf[CLOCK_TEXT_SIZE];
    jo_text(o, key, unix_ms ? clock_format(unix_ms, buf) : NULL);
}

void jo_raw(struct json_out *o, const char *key, const char *json, size_t len)
{
    before(o, key);
    text_add_bytes(o->text, json, len);
}
