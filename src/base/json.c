#include "base/json.h"

#include "base/mem.h"
#include "base/text.h"

/* jansson's own limit is 2048, deep enough to hurt those who walk the tree; so count before. */
static bool is_too_deep(const char *p, size_t len)
{
    int depth = 0;
    bool in_text = false;

    for (size_t i = 0; i < len; i++) {
        if (in_text) {
            if (p[i] == '\\')
                i++;
            else if (p[i] == '"')
                in_text = false;
        } else if (p[i] == '"') {
            in_text = true;
        } else if (p[i] == '{' || p[i] == '[') {
            if (++depth > JSON_MAX_DEPTH)
                return true;
        } else if (p[i] == '}' || p[i] == ']') {
            depth--;
        }
    }
    return false;
}

int json_parse(const char *p, size_t len, json_t **ret, struct err *e)
{
    if (!text_is_utf8(p, len))
        return err_set(e, ERR_INVALID, "the JSON is not UTF-8");
    /* Behind a number jansson passes over one as if it were not there. */
    if (memchr(p, '\0', len))
        return err_set(e, ERR_INVALID, "the JSON holds a NUL byte");
    if (is_too_deep(p, len))
        return err_set(e, ERR_INVALID, "the JSON is nested more than %d deep", JSON_MAX_DEPTH);

    json_error_t why;
    json_t *value = json_loadb(p, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!value)
        return err_set(e, ERR_INVALID, "the JSON cannot be read at line %d, column %d: %s",
                       why.line, why.column, why.text);
    *ret = value;
    return 0;
}

/* Whether TEXT says exactly VALUE. */
static bool says(const char *text, const json_t *value)
{
    auto_json json_t *again = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    return again && json_equal(value, again);
}

char *json_write(const json_t *value)
{
    /* With 15 digits what people write stays as it is (0.93); what was computed may need 17. */
    enum { HOW = JSON_COMPACT | JSON_ENCODE_ANY };
    char *made = json_dumps(value, HOW | JSON_REAL_PRECISION(15));
    if (made && strpbrk(made, ".eE") && !says(made, value)) {
        free(made);
        made = json_dumps(value, HOW | JSON_REAL_PRECISION(17));
    }
    return made ? made : mem_strdup("null");
}

static const char *type_word(enum json_field_type type)
{
    static const char *const words[] = {
        [JSON_FIELD_TEXT] = "text",          [JSON_FIELD_INT] = "a whole number",
        [JSON_FIELD_BOOL] = "true or false", [JSON_FIELD_ARRAY] = "a list",
        [JSON_FIELD_OBJECT] = "an object",   [JSON_FIELD_ANY] = "a value",
    };
    return words[type];
}

bool json_whole(const json_t *value, int64_t *ret)
{
    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return true;
    }
    double d = json_is_real(value) ? json_real_value(value) : 0.5;
    if (!(d >= -9007199254740992.0 && d <= 9007199254740992.0) || d != (double)(int64_t)d)
        return false;
    *ret = (int64_t)d;
    return true;
}

static bool is_of_type(const json_t *v, enum json_field_type type)
{
    switch (type) {
    case JSON_FIELD_TEXT:
        return json_is_string(v);
    case JSON_FIELD_INT:
        return json_whole(v, &(int64_t){0});
    case JSON_FIELD_BOOL:
        return json_is_boolean(v);
    case JSON_FIELD_ARRAY:
        return json_is_array(v);
    case JSON_FIELD_OBJECT:
        return json_is_object(v);
    case JSON_FIELD_ANY:
        return true;
    }
    return false;
}

static int check_range(const json_t *v, const struct json_field *f, struct err *e)
{
    if (!f->most)
        return 0;
    if (f->type == JSON_FIELD_INT) {
        int64_t n = 0;
        json_whole(v, &n);
        if (n < f->least || n > f->most)
            return err_set(e, ERR_INVALID, "field '%s' is %lld, but must be between %lld and %lld",
                           f->name, (long long)n, (long long)f->least, (long long)f->most);
    }
    int64_t len = f->type == JSON_FIELD_TEXT    ? (int64_t)json_string_length(v)
                  : f->type == JSON_FIELD_ARRAY ? (int64_t)json_array_size(v)
                                                : f->least;
    if (f->type == JSON_FIELD_INT || (len >= f->least && len <= f->most))
        return 0;
    if (len < f->least)
        return err_set(e, ERR_INVALID, "field '%s' must not be %s", f->name,
                       len ? "that short" : "empty");
    return err_set(e, ERR_INVALID, "field '%s' has %lld %s, but at most %lld are allowed", f->name,
                   (long long)len, f->type == JSON_FIELD_TEXT ? "bytes" : "items",
                   (long long)f->most);
}

static void put(void *into, const struct json_field *f, const json_t *v)
{
    char *at = (char *)into + f->offset;
    switch (f->type) {
    case JSON_FIELD_TEXT:
        *(const char **)at = json_string_value(v);
        break;
    case JSON_FIELD_INT:
        json_whole(v, (int64_t *)at);
        break;
    case JSON_FIELD_BOOL:
        *(bool *)at = json_is_true(v);
        break;
    case JSON_FIELD_ARRAY:
    case JSON_FIELD_OBJECT:
    case JSON_FIELD_ANY:
        *(const json_t **)at = v;
        break;
    }
}

static const struct json_field *find(const struct json_field *fields, size_t count,
                                     const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

int json_read_fields(const json_t *object, const struct json_field *fields, size_t count,
                     bool strict, void *into, struct err *e)
{
    if (!json_is_object(object))
        return err_set(e, ERR_INVALID, "a JSON object is needed");

    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (!strict || find(fields, count, key))
            continue;
        err_set(e, ERR_INVALID, "field '%.60s' is not known here", key);
        return err_blame(e, "%.60s", key);
    }

    for (size_t i = 0; i < count; i++) {
        value = json_object_get(object, fields[i].name);
        if (json_is_null(value) && strict) {
            err_set(e, ERR_INVALID, "field '%s' must not be null: leave it out", fields[i].name);
            return err_blame(e, "%s", fields[i].name);
        }
        if (!value || (json_is_null(value) && fields[i].type != JSON_FIELD_ANY)) {
            if (!fields[i].required)
                continue;
            err_set(e, ERR_INVALID, "field '%s' is missing", fields[i].name);
            return err_blame(e, "%s", fields[i].name);
        }
        if (!is_of_type(value, fields[i].type)) {
            err_set(e, ERR_INVALID, "field '%s' must be %s", fields[i].name,
                    type_word(fields[i].type));
            return err_blame(e, "%s", fields[i].name);
        }
        if (check_range(value, &fields[i], e) < 0)
            return err_blame(e, "%s", fields[i].name);
        put(into, &fields[i], value);
    }
    return 0;
}
