#include "cli/row.h"

#include "base/clock.h"
#include "cli/json_view.h"

#include <assert.h>

size_t row_want(struct row *r, const char *key)
{
    size_t len = strcspn(key, ".");
    for (size_t i = 0; i < r->count; i++)
        if (r->keys[i].len == len && memcmp(r->keys[i].name, key, len) == 0)
            return i;
    assert(r->count < ROW_KEYS_MOST);
    r->keys[r->count] = (struct row_key){key, len};
    return r->count++;
}

static void clear(struct row *r)
{
    for (size_t i = 0; i < r->count; i++) {
        json_decref(r->values[i].own_tree);
        r->values[i] = (struct value){0};
    }
}

void row_done(struct row *r)
{
    clear(r);
    r->count = 0;
}

/* ---- from a tree ---- */

static struct value from_tree(const json_t *v)
{
    struct value value = {.tree = v};
    if (json_is_string(v)) {
        value.kind = JSON_PART_TEXT;
        value.text = json_string_value(v);
    } else if (json_is_integer(v)) {
        value.kind = JSON_PART_INT;
        value.whole = json_integer_value(v);
        value.number = (double)value.whole;
    } else if (json_is_real(v)) {
        value.kind = JSON_PART_REAL;
        value.number = json_real_value(v);
    } else if (json_is_boolean(v)) {
        value.kind = json_is_true(v) ? JSON_PART_TRUE : JSON_PART_FALSE;
    } else if (json_is_array(v)) {
        value.kind = JSON_PART_LIST;
    } else if (json_is_object(v)) {
        value.kind = JSON_PART_OBJECT;
    }
    return value;
}

void row_fill(struct row *r, const json_t *item)
{
    clear(r);
    for (size_t i = 0; i < r->count; i++)
        r->values[i] = from_tree(json_object_getn(item, r->keys[i].name, r->keys[i].len));
}

/* ---- from text ---- */

static struct value from_part(struct json_part *p)
{
    struct value value = {.kind = p->kind, .part = *p};
    switch (p->kind) {
    case JSON_PART_TEXT:
        value.text = json_part_text_here(p);
        break;
    case JSON_PART_INT:
        if (!json_part_int(p, &value.whole))
            value.kind = JSON_PART_REAL; /* too large for a whole one */
        value.number = value.kind == JSON_PART_INT ? (double)value.whole : json_part_number(p);
        break;
    case JSON_PART_REAL:
        value.number = json_part_number(p);
        break;
    case JSON_PART_NULL:
        value.kind = JSON_PART_NONE;
        break;
    default:
        break;
    }
    return value;
}

static bool is_key(const struct row_key *k, const struct json_part *part)
{
    return k->len == part->len && memcmp(k->name, part->at, part->len) == 0;
}

/* Rows of a list have their members in the same order, so the first look mostly finds it. MEMBER
 * counts those found so far. */
static struct value *wanted(struct row *r, const struct json_part *key, size_t member)
{
    size_t i = member < r->count ? r->order[member] : 0;
    if (r->count && is_key(&r->keys[i], key))
        return &r->values[i];
    for (i = 0; i < r->count && !is_key(&r->keys[i], key); i++)
        ;
    if (i == r->count)
        return NULL;
    if (member < r->count)
        r->order[member] = (uint8_t)i;
    return &r->values[i];
}

void row_read(struct row *r, struct json_scan *s)
{
    struct json_part key, part;
    size_t member = 0;
    clear(r);
    for (json_scan_object(s); json_scan_member(s, &key);) {
        if (key.has_escapes)
            json_part_text_here(&key);
        struct value *value = wanted(r, &key, member);
        json_scan_value(s, &part);
        if (!value || part.kind == JSON_PART_NONE)
            continue;
        member++;
        if (value->part.kind != JSON_PART_NONE)
            json_scan_fail(s, "a key appears twice");
        *value = from_part(&part);
    }
}

/* ---- values ---- */

static const json_t *tree_of(struct value *v)
{
    if (!v->tree && (v->kind == JSON_PART_LIST || v->kind == JSON_PART_OBJECT) && !v->own_tree)
        json_parse(v->part.at, v->part.len, &v->own_tree, NULL);
    return v->tree ? v->tree : v->own_tree;
}

struct value row_value(struct row *r, size_t place, const char *path)
{
    struct value *v = &r->values[place];
    if (path)
        return from_tree(view_get(tree_of(v), path));
    if (v->kind == JSON_PART_LIST || v->kind == JSON_PART_OBJECT)
        v->tree = tree_of(v);
    return *v;
}

const char *value_text(const struct value *v)
{
    return v->kind == JSON_PART_TEXT ? v->text : "";
}

int64_t value_int(const struct value *v, int64_t fallback)
{
    if (v->kind == JSON_PART_INT)
        return v->whole;
    bool fits = v->kind == JSON_PART_REAL && v->number >= -9e18 && v->number <= 9e18;
    return fits ? (int64_t)v->number : fallback;
}

double value_number(const struct value *v, double fallback)
{
    return v->kind == JSON_PART_INT || v->kind == JSON_PART_REAL ? v->number : fallback;
}

int64_t value_time(const struct value *v)
{
    int64_t ms;
    return clock_parse(value_text(v), &ms) ? ms : 0;
}
