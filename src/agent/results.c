#include "agent/results.h"

#include "base/file.h"
#include "base/json.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "node/result.h"

enum { METADATA_DEPTH_MOST = 16 };

struct file_in {
    const char *name;
    int64_t size;
};

static bool write_file(struct json_out *o, const json_t *object)
{
#define AT(member) offsetof(struct file_in, member)
    static const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, AT(name), true, 1, 1024},
        {"size", JSON_FIELD_INT, AT(size), true, 0, INT64_C(1) << 53},
    };
#undef AT
    struct file_in in = {0};
    if (json_read_fields(object, fields, COUNT_OF(fields), true, &in, NULL) < 0)
        return false;
    jo_object(o, NULL);
    jo_text(o, "name", in.name);
    jo_int(o, "size", in.size);
    jo_end(o);
    return true;
}

struct listing_in {
    const json_t *files;
    int64_t more;
};

/* Written anew from what was read: nothing else gets through. */
static char *take_files(const json_t *listing, const char *path)
{
#define AT(member) offsetof(struct listing_in, member)
    static const struct json_field fields[] = {
        {"files", JSON_FIELD_ARRAY, AT(files), true, 0, RESULT_FILES_MOST},
        {"more", JSON_FIELD_INT, AT(more), true, 0, INT32_MAX},
    };
#undef AT
    struct listing_in in = {0};
    auto_text struct text t = {0};
    struct json_out o = {.text = &t};
    size_t i;
    json_t *file;
    if (json_read_fields(listing, fields, COUNT_OF(fields), true, &in, NULL) < 0)
        return NULL;
    jo_object(&o, NULL);
    jo_text(&o, "path", path);
    jo_list(&o, "files");
    json_array_foreach((json_t *)in.files, i, file)
    {
        if (!write_file(&o, file))
            return NULL;
    }
    jo_end(&o);
    jo_int(&o, "more", in.more);
    jo_end(&o);
    return text_take(&t);
}

static bool is_deeper_than(const json_t *value, int most)
{
    const char *key;
    size_t i;
    json_t *item;
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (most == 0)
        return true;
    json_array_foreach((json_t *)value, i, item)
    {
        if (is_deeper_than(item, most - 1))
            return true;
    }
    json_object_foreach((json_t *)value, key, item)
    {
        if (is_deeper_than(item, most - 1))
            return true;
    }
    return false;
}

/* Written anew it may be longer; then it is not taken either. */
static char *take_metadata(const char *p, size_t len)
{
    auto_json json_t *object = NULL;
    if (!len || len > RESULT_METADATA_MOST || json_parse(p, len, &object, NULL) < 0 ||
        !json_is_object(object) || is_deeper_than(object, METADATA_DEPTH_MOST))
        return NULL;
    auto_free char *text = json_write(object);
    return strlen(text) <= RESULT_METADATA_MOST ? TAKE(text) : NULL;
}

void attempt_results_parse(const char *text, size_t len, const char *path,
                           struct attempt_results *ret)
{
    const char *line_end = memchr(text, '\n', len);
    auto_json json_t *listing = NULL;
    *ret = (struct attempt_results){0};
    if (!line_end || json_parse(text, (size_t)(line_end - text), &listing, NULL) < 0)
        return;
    ret->files = take_files(listing, path);
    if (ret->files)
        ret->metadata = take_metadata(line_end + 1, len - (size_t)(line_end + 1 - text));
}

void attempt_results_read(const char *folder, const char *path, struct attempt_results *ret)
{
    auto_free char *file = mem_printf("%s/results", folder);
    auto_free char *text = NULL;
    size_t len;
    *ret = (struct attempt_results){0};
    if (path[0] && file_read(file, RESULT_DESCRIPTION_MOST, &text, &len, NULL) == 0)
        attempt_results_parse(text, len, path, ret);
}

void attempt_results_done(struct attempt_results *r)
{
    free(r->files);
    free(r->metadata);
    *r = (struct attempt_results){0};
}
