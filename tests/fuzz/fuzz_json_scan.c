/* What json_scan reads is what jansson reads: it refuses the same texts and finds the same values,
 * however they are read: piece by piece, skipped, or decoded in place. */
#include "base/json.h"
#include "base/json_scan.h"
#include "base/mem.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(struct json_scan *s, const json_t *value);

static void same_object(struct json_scan *s, const json_t *value)
{
    struct json_part key;
    size_t count = 0;
    for (json_scan_object(s); json_scan_member(s, &key); count++) {
        auto_text struct text name = {0};
        json_part_text(&key, &name);
        assert(json_part_is(&key, text_get(&name)));
        same(s, json_object_get(value, text_get(&name)));
    }
    assert(json_object_size(value) == count);
}

static void same_list(struct json_scan *s, const json_t *value)
{
    size_t count = 0;
    for (json_scan_list(s); json_scan_item(s); count++)
        same(s, json_array_get(value, count));
    assert(json_array_size(value) == count);
}

static void same_text(const struct json_part *p, const json_t *value)
{
    auto_text struct text decoded = {0};
    json_part_text(p, &decoded);
    assert(json_string_length(value) == decoded.len);
    assert(memcmp(json_string_value(value), text_get(&decoded), decoded.len) == 0);

    auto_free char *own = mem_strndup(p->at - 1, p->len + 2);
    struct json_part here = *p;
    here.at = own + 1;
    assert(strcmp(json_part_text_here(&here), text_get(&decoded)) == 0);
}

static void same(struct json_scan *s, const json_t *value)
{
    struct json_part p;
    int64_t number;
    enum json_part_kind kind = json_scan_next(s);
    assert(value);
    if (kind == JSON_PART_OBJECT) {
        same_object(s, value);
        return;
    }
    if (kind == JSON_PART_LIST) {
        same_list(s, value);
        return;
    }
    json_scan_value(s, &p);
    switch (p.kind) {
    case JSON_PART_TEXT:
        same_text(&p, value);
        break;
    case JSON_PART_INT:
        assert(json_is_integer(value) && json_part_int(&p, &number));
        assert(json_integer_value(value) == number);
        break;
    case JSON_PART_REAL:
        assert(json_is_real(value) &&
               (p.len >= 400 || json_real_value(value) == json_part_number(&p)));
        break;
    default:
        assert(p.kind == (json_is_null(value)   ? JSON_PART_NULL
                          : json_is_true(value) ? JSON_PART_TRUE
                                                : JSON_PART_FALSE));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct json_scan s;
    struct json_part whole;
    struct err e = {0};
    json_scan_init(&s, p, size);
    json_scan_value(&s, &whole);
    bool good = json_scan_end(&s, &e) == 0;
    assert(good ? whole.kind != JSON_PART_NONE : e.code == ERR_INVALID && e.text[0]);

    struct json_part passed;
    json_scan_init(&s, p, size);
    json_scan_pass(&s, &passed);
    bool was_passed = json_scan_end(&s, NULL) == 0;
    assert(!good || (was_passed && passed.kind == whole.kind && passed.at == whole.at &&
                     passed.len == whole.len && passed.has_escapes == whole.has_escapes));

    json_error_t why;
    auto_json json_t *value = NULL;
    if (json_parse(p, size, &value, NULL) == 0) {
        assert(good);
        json_scan_init(&s, p, size);
        same(&s, value);
        assert(json_scan_end(&s, NULL) == 0);
    } else if (good) {
        /* Numbers and keys are judged by who uses them. */
        json_t *loose = json_loadb(p, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
        assert(!loose && (json_error_code(&why) == json_error_numeric_overflow ||
                          json_error_code(&why) == json_error_duplicate_key));
    }
    return 0;
}
