#include "redis/entry.h"

#include "base/text.h"

#include <ctype.h>

enum { THEIR_ID_MOST = 128, DEAD_BYTES_MOST = 64 << 10 };

/* Their own id of it is kept as this label. */
#define LABEL_THEIR_ID "redis-job-id"

static int invalid(struct err *e, const char *field, const char *why)
{
    err_set(e, ERR_INVALID, "field '%s' %s", field, why);
    return err_blame(e, "%s", field);
}

/* What producers of the source's kind put beside the job, and what is ours to say: not looked at.
 */
static void drop_remarks(json_t *object)
{
    static const char *const remarks[] = {"status",    "state",     "submitted_at", "created_at",
                                          "timestamp", "queued_at", "position"};
    for (size_t i = 0; i < sizeof remarks / sizeof *remarks; i++)
        json_object_del(object, remarks[i]);
}

static int keep_their_id(json_t *object, struct err *e)
{
    const json_t *id = json_object_get(object, "job_id");
    char text[THEIR_ID_MOST + 1];
    int64_t number;
    if (!id)
        return 0;
    if (json_is_string(id) && json_string_length(id) <= THEIR_ID_MOST)
        snprintf(text, sizeof text, "%s", json_string_value(id));
    else if (json_whole(id, &number))
        snprintf(text, sizeof text, "%lld", (long long)number);
    else
        return invalid(e, "job_id", "must be text of at most 128 bytes or a whole number");
    json_object_del(object, "job_id");

    json_t *labels = json_object_get(object, "labels");
    if (!labels) {
        labels = json_object();
        json_object_set_new(object, "labels", labels);
    }
    if (json_is_object(labels) && !json_object_get(labels, LABEL_THEIR_ID))
        json_object_set_new(labels, LABEL_THEIR_ID, json_string(text));
    return 0;
}

static int take_key(json_t *object, char ret[ENTRY_KEY_MOST + 1], struct err *e)
{
    const json_t *key = json_object_get(object, "idempotency_key");
    ret[0] = '\0';
    if (!key)
        return 0;
    const char *text = json_is_string(key) ? json_string_value(key) : "";
    size_t len = strlen(text);
    for (const char *c = text; *c; c++)
        if (!isgraph((unsigned char)*c))
            len = 0;
    if (!len || len > ENTRY_KEY_MOST)
        return invalid(e, "idempotency_key", "must be 1 to 128 visible ASCII characters");
    strcpy(ret, text);
    json_object_del(object, "idempotency_key");
    return 0;
}

int entry_read(const char *text, size_t len, const struct redis_config *config,
               struct entry_job *ret, struct err *e)
{
    auto_json json_t *object = NULL;
    *ret = (struct entry_job){0};
    if (len > ENTRY_BYTES_MOST)
        return err_set(e, ERR_TOO_LARGE, "it has more than %d bytes", ENTRY_BYTES_MOST);
    if (json_parse(text, len, &object, e) < 0)
        return -1;
    if (!json_is_object(object))
        return err_set(e, ERR_INVALID, "it is no JSON object");
    drop_remarks(object);
    if (take_key(object, ret->key, e) < 0 || keep_their_id(object, e) < 0)
        return -1;
    if (!json_object_get(object, "user"))
        return invalid(e, "user", "is missing");
    return config->read_job(config->arg, object, &ret->job, ret->user, e);
}

void entry_write_dead(const char *id, const char *text, size_t len, size_t bytes,
                      const struct err *why, int64_t now_ms, struct text *out)
{
    struct json_out o = {.text = out};
    jo_object(&o, NULL);
    jo_text(&o, "id", id);
    jo_time(&o, "at", now_ms);
    jo_text(&o, "error", err_slug(why->code));
    jo_text(&o, "reason", why->text);
    jo_text(&o, "field", why->field[0] ? why->field : NULL);
    jo_int(&o, "bytes", (int64_t)bytes);
    jo_bytes(&o, "entry", text, len < DEAD_BYTES_MOST ? len : DEAD_BYTES_MOST);
    jo_end(&o);
}

bool entry_id_read(const char *id, int64_t *ret_ms, size_t *ret_cut_bytes)
{
    int64_t bytes = 0;
    const char *sign = strchr(id, '>');
    size_t len = sign ? (size_t)(sign - id) : strlen(id);
    if (len != 13 + 1 + 16 + 1 + 4 || id[13] != '-' || id[30] != '-' ||
        strspn(id, "0123456789") != 13 || strspn(id + 14, "0123456789abcdef") != 16 ||
        strspn(id + 31, "0123456789") != 4 || strlen(id) >= ENTRY_ID_SIZE)
        return false;
    if (sign && text_to_int(sign + 1, 1, INT64_MAX, "length", &bytes, NULL) < 0)
        return false;
    *ret_ms = strtoll(id, NULL, 10);
    *ret_cut_bytes = (size_t)bytes;
    return true;
}
