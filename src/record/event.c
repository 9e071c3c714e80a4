#include "record/event.h"

#include "base/json.h"
#include "base/json_out.h"
#include "base/mem.h"

enum field_type { FIELD_INT, FIELD_TEXT, FIELD_LIST };

struct field {
    const char *name;
    enum field_type type;
    uint16_t offset; /* in struct event */
};

#define FIELDS_MOST 20

/* clang-format off */
#define KIND_(id, kind_name, subject) \
    [EVENT_ID_##id] = {kind_name, SUBJECT_##subject, {EVENT_##id(F_INT_, F_TEXT_, F_LIST_)}},
/* The macros need to know which struct a field is in; it is named by the one being expanded. */
#define F_INT_(x)  {#x, FIELD_INT,  0},
#define F_TEXT_(x) {#x, FIELD_TEXT, 0},
#define F_LIST_(x) {#x, FIELD_LIST, 0},
/* clang-format on */

static struct {
    const char *name;
    enum event_subject subject;
    struct field fields[FIELDS_MOST];
} kinds[EVENT_KINDS] = {EVENTS(KIND_)};

/* Members of the union begin at its start and follow each other with natural alignment: int64_t and
 * lists at 8, texts at 1. Computed once, and held against the compiler's view by a test. */
__attribute__((constructor)) static void lay_out(void)
{
    for (int k = 1; k < EVENT_KINDS; k++) {
        size_t at = offsetof(struct event, STORE_CREATED);
        for (struct field *f = kinds[k].fields; f->name; f++) {
            if (f->type != FIELD_TEXT)
                at = (at + 7) & ~(size_t)7;
            f->offset = (uint16_t)at;
            at += f->type == FIELD_INT    ? sizeof(int64_t)
                  : f->type == FIELD_TEXT ? EVENT_TEXT
                                          : sizeof(struct event_list);
        }
    }
}

const char *event_name(enum event_kind kind)
{
    return kind > 0 && kind < EVENT_KINDS ? kinds[kind].name : "unknown";
}

enum event_kind event_find(const char *name)
{
    for (int k = 1; k < EVENT_KINDS; k++)
        if (strcmp(kinds[k].name, name) == 0)
            return (enum event_kind)k;
    return EVENT_ID_NONE;
}

enum event_subject event_subject(enum event_kind kind)
{
    return kind > 0 && kind < EVENT_KINDS ? kinds[kind].subject : SUBJECT_NOTHING;
}

void event_write_body(const struct event *ev, struct text *out)
{
    struct json_out o = {.text = out};
    jo_object(&o, NULL);
    for (const struct field *f = kinds[ev->kind].fields; f->name; f++) {
        const char *at = (const char *)ev + f->offset;
        if (f->type == FIELD_INT) {
            int64_t value = *(const int64_t *)at;
            if (value)
                jo_int(&o, f->name, value);
        } else if (f->type == FIELD_TEXT) {
            if (*at)
                jo_text(&o, f->name, at);
        } else {
            const struct event_list *list = (const struct event_list *)at;
            if (!list->count)
                continue;
            jo_list(&o, f->name);
            for (int64_t i = 0; i < list->count; i++)
                jo_int(&o, NULL, list->at[i]);
            jo_end(&o);
        }
    }
    jo_end(&o);
}

static int read_list(const json_t *value, const char *name, struct event_list *into, struct err *e)
{
    if (!json_is_array(value) || json_array_size(value) > EVENT_LIST)
        return err_set(e, ERR_INVALID, "field '%s' must be a list of at most %d numbers", name,
                       EVENT_LIST);
    into->count = (int64_t)json_array_size(value);
    for (int64_t i = 0; i < into->count; i++) {
        const json_t *item = json_array_get(value, (size_t)i);
        if (!json_is_integer(item))
            return err_set(e, ERR_INVALID, "field '%s' must hold numbers", name);
        into->at[i] = json_integer_value(item);
    }
    return 0;
}

int event_read_body(struct event *ev, const char *json, size_t len, struct err *e)
{
    auto_json json_t *body = NULL;
    if (ev->kind <= 0 || ev->kind >= EVENT_KINDS)
        return err_set(e, ERR_INVALID, "event kind %d is not known", (int)ev->kind);
    if (json_parse(json, len, &body, e) < 0)
        return err_wrap(e, "body of a %s", event_name(ev->kind));
    if (!json_is_object(body))
        return err_set(e, ERR_INVALID, "body of a %s: not an object", event_name(ev->kind));

    for (const struct field *f = kinds[ev->kind].fields; f->name; f++) {
        char *at = (char *)ev + f->offset;
        const json_t *value = json_object_get(body, f->name);
        if (f->type == FIELD_TEXT)
            *at = '\0';
        else
            *(int64_t *)at = 0;
        if (!value)
            continue;
        if (f->type == FIELD_LIST) {
            if (read_list(value, f->name, (struct event_list *)at, e) < 0)
                return -1;
        } else if (f->type == FIELD_INT && json_is_integer(value)) {
            *(int64_t *)at = json_integer_value(value);
        } else if (f->type == FIELD_TEXT && json_is_string(value) &&
                   json_string_length(value) < EVENT_TEXT) {
            strcpy(at, json_string_value(value));
        } else {
            return err_set(e, ERR_INVALID, "body of a %s: field '%s' is wrong",
                           event_name(ev->kind), f->name);
        }
    }
    return 0;
}

void event_set_text(char to[EVENT_TEXT], const char *text)
{
    size_t len = text ? strlen(text) : 0;
    if (len >= EVENT_TEXT)
        len = EVENT_TEXT - 1;
    while (len && !text_is_utf8(text, len))
        len--;
    if (len)
        memcpy(to, text, len);
    to[len] = '\0';
}

const char *event_why(const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_ID_NODE_LOST:
        return ev->NODE_LOST.proof;
    case EVENT_ID_NODE_RETIRED:
        return ev->NODE_RETIRED.why;
    case EVENT_ID_NODE_SHARE:
        return ev->NODE_SHARE.why;
    case EVENT_ID_DEVICE_CHANGED:
        return ev->DEVICE_CHANGED.why;
    case EVENT_ID_JOB_CANCEL:
        return ev->JOB_CANCEL.why;
    case EVENT_ID_JOB_HELD:
        return ev->JOB_HELD.why;
    case EVENT_ID_ATTEMPT_WAITS:
        return ev->ATTEMPT_WAITS.why;
    case EVENT_ID_ATTEMPT_REFUSED:
        return ev->ATTEMPT_REFUSED.why;
    case EVENT_ID_ATTEMPT_ENDED:
        return ev->ATTEMPT_ENDED.why;
    case EVENT_ID_ATTEMPT_LOST:
        return ev->ATTEMPT_LOST.why;
    default:
        return "";
    }
}
