#include "cli/json_view.h"

#include "base/clock.h"

#include <string.h>

const json_t *view_get(const json_t *object, const char *path)
{
    char key[64];
    for (;;) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof key)
            return NULL;
        memcpy(key, path, len);
        key[len] = '\0';
        object = json_object_get(object, key);
        if (!path[len])
            return json_is_null(object) ? NULL : object;
        path += len + 1;
    }
}

const char *view_text(const json_t *object, const char *path)
{
    const char *text = json_string_value(view_get(object, path));
    return text ? text : "";
}

int64_t view_int(const json_t *object, const char *path, int64_t fallback)
{
    const json_t *value = view_get(object, path);
    if (json_is_integer(value))
        return json_integer_value(value);
    if (!json_is_real(value) || json_real_value(value) < -9e18 || json_real_value(value) > 9e18)
        return fallback;
    return (int64_t)json_real_value(value);
}

double view_number(const json_t *object, const char *path, double fallback)
{
    const json_t *value = view_get(object, path);
    return json_is_number(value) ? json_number_value(value) : fallback;
}

bool view_bool(const json_t *object, const char *path)
{
    return json_is_true(view_get(object, path));
}

int64_t view_time(const json_t *object, const char *path)
{
    int64_t ms;
    return clock_parse(view_text(object, path), &ms) ? ms : 0;
}

const json_t *view_items(const json_t *object)
{
    static json_t *empty;
    const json_t *items = json_object_get(object, "items");
    if (json_is_array(items))
        return items;
    if (!empty)
        empty = json_array();
    return empty;
}
