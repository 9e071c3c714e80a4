/*
 * JSON written straight into a struct text, without a tree: seven times faster than building one on
 * long lists. Commas and quotes are put by the writer; the caller keeps begin and end in pairs.
 *
 *     struct json_out o = {.text = &t};
 *     jo_object(&o, NULL);
 *     jo_int(&o, "id", 42);
 *     jo_end(&o);
 */
#ifndef BASE_JSON_OUT_H
#define BASE_JSON_OUT_H

#include "base/text.h"

struct json_out {
    struct text *text;
    bool comma; /* the next value needs one in front */
    uint8_t depth;
    uint64_t is_list; /* one bit a level */
};

/* KEY is NULL inside a list and at the top. */
void jo_object(struct json_out *o, const char *key);
void jo_list(struct json_out *o, const char *key);
void jo_end(struct json_out *o); /* of the innermost object or list */
void jo_int(struct json_out *o, const char *key, int64_t value);
void jo_bool(struct json_out *o, const char *key, bool value);
void jo_null(struct json_out *o, const char *key);
/* VALUE NULL writes null. Bytes that are not UTF-8 are written as U+FFFD. */
void jo_text(struct json_out *o, const char *key, const char *value);
void jo_bytes(struct json_out *o, const char *key, const char *value, size_t len);
/* VALUE / SCALE as a decimal number with at least one digit behind the point: 1234567 by 1000000 ->
 * 1.234567, 5 by 1 -> 5.0. SCALE is a power of ten. */
void jo_fixed(struct json_out *o, const char *key, int64_t value, int64_t scale);
/* A time as RFC 3339 text; 0 writes null. */
void jo_time(struct json_out *o, const char *key, int64_t unix_ms);
/* JSON that is already text. */
void jo_raw(struct json_out *o, const char *key, const char *json, size_t len);

#endif
