/* What an object's status says. */
#include "base/clock.h"
#include "operator/internal.h"

#include <ctype.h>
#include <stdarg.h>

int verdict_set(struct verdict *v, const char *reason, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(v->message, sizeof v->message, fmt, args);
    va_end(args);
    for (size_t len = strlen(v->message); len && !text_is_utf8(v->message, len);)
        v->message[--len] = '\0';
    v->reason = reason;
    return -1;
}

static json_t *time_of(int64_t unix_ms)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(unix_ms - unix_ms % 1000, text);
    char *point = strchr(text, '.');
    if (point)
        strcpy(point, "Z"); /* whole seconds, as Kubernetes writes them */
    return json_string(text);
}

/* "gpu-busy" -> "GpuBusy": reasons of conditions are words of this form. */
static void word_of(char *to, size_t size, const char *word, const char *otherwise)
{
    size_t len = 0;
    bool up = true;
    for (; *word && len + 1 < size; word++) {
        char c = *word;
        bool is_sign = !isalnum((unsigned char)c);
        if (up)
            c = (char)toupper((unsigned char)c);
        if (!is_sign)
            to[len++] = c;
        up = is_sign;
    }
    to[len] = '\0';
    if (!len || !isalpha((unsigned char)to[0]))
        snprintf(to, size, "%s", otherwise);
}

/* ---- conditions ---- */

static const json_t *find_condition(const json_t *status, const char *type)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(status, "conditions"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "type"));
        if (name && strcmp(name, type) == 0)
            return item;
    }
    return NULL;
}

static void add_condition(json_t *list, const struct status_facts *f, const char *type, bool is_so,
                          const char *reason, const char *message)
{
    const json_t *before = find_condition(f->before, type);
    const char *status = is_so ? "True" : "False";
    const char *was = json_string_value(json_object_get(before, "status"));
    json_t *since = json_object_get(before, "lastTransitionTime");
    json_t *one =
        json_pack("{s:s,s:s,s:s,s:s,s:I}", "type", type, "status", status, "reason", reason,
                  "message", message, "observedGeneration", (json_int_t)f->generation);
    if (was && strcmp(was, status) == 0 && json_is_string(since))
        json_object_set(one, "lastTransitionTime", since);
    else
        json_object_set_new(one, "lastTransitionTime", time_of(f->now_ms));
    json_array_append_new(list, one);
}

static json_t *make_conditions(const struct status_facts *f)
{
    json_t *list = json_array();
    const struct job_look *look = f->look;
    char reason[64];
    if (!look) {
        add_condition(list, f, "Accepted", false, f->verdict->reason, f->verdict->message);
        return list;
    }
    auto_free char *message =
        mem_printf("job %lld%s%s", (long long)look->id, *f->user ? " of user " : "", f->user);
    add_condition(list, f, "Accepted", true, "Submitted", message);
    word_of(reason, sizeof reason, look->has_ended ? look->reason : job_state_name(look->state),
            "Unknown");
    for (size_t i = 0; i < COUNT_OF(f->kind->conditions) && f->kind->conditions[i].type; i++) {
        bool is_so = f->kind->conditions[i].states >> look->state & 1;
        add_condition(list, f, f->kind->conditions[i].type, is_so, reason,
                      look->has_ended ? text_get(&look->message) : "");
    }
    return list;
}

/* ---- the whole ---- */

/* All that a status may have, besides what its kind adds. */
static const char *const members[] = {
    "phase",    "jobId",    "position",           "reason",
    "message",  "node",     "startTime",          "completionTime",
    "exitCode", "attempts", "observedGeneration", "site",
};

static void set_text(json_t *status, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(status, key, json_string(value));
}

static void set_time(json_t *status, const char *key, int64_t unix_ms)
{
    if (unix_ms)
        json_object_set_new(status, key, time_of(unix_ms));
}

static void write_job(json_t *status, const struct job_look *look)
{
    char reason[64];
    json_object_set_new(status, "jobId", json_integer(look->id));
    if (look->position)
        json_object_set_new(status, "position", json_integer(look->position));
    word_of(reason, sizeof reason, look->reason, "");
    set_text(status, "reason", reason);
    set_text(status, "message", text_get(&look->message));
    set_text(status, "node", look->node);
    set_time(status, "startTime", look->started_ms);
    set_time(status, "completionTime", look->ended_ms);
    if (look->has_exit_code)
        json_object_set_new(status, "exitCode", json_integer(look->exit_code));
    if (look->attempts > 1)
        json_object_set_new(status, "attempts", json_integer(look->attempts));
}

json_t *status_make(const struct status_facts *f)
{
    json_t *status = json_object();
    set_text(status, "phase", f->kind->phase(f->look, f->look ? "" : f->verdict->reason));
    json_object_set_new(status, "observedGeneration", json_integer(f->generation));
    set_text(status, "site", f->site);
    if (f->look) {
        write_job(status, f->look);
    } else {
        set_text(status, "reason", f->verdict->reason);
        set_text(status, "message", f->verdict->message);
    }
    f->kind->add_members(status, f->spec, f->look);
    json_object_set_new(status, "conditions", make_conditions(f));
    return status;
}

char *status_patch(const struct wish_kind *kind, const json_t *status)
{
    auto_json json_t *patch = json_object();
    json_t *copy = json_copy((json_t *)status);
    for (size_t i = 0; i < COUNT_OF(members); i++)
        if (!json_object_get(copy, members[i]))
            json_object_set_new(copy, members[i], json_null());
    for (size_t i = 0; kind->members[i]; i++)
        if (!json_object_get(copy, kind->members[i]))
            json_object_set_new(copy, kind->members[i], json_null());
    json_object_set_new(patch, "status", copy);
    return json_write(patch);
}

bool status_is_small_change(const json_t *a, const json_t *b)
{
    static const char *const small[] = {"position", "message", "reason"};
    auto_json json_t *x = json_copy((json_t *)a), *y = json_copy((json_t *)b);
    for (size_t i = 0; i < COUNT_OF(small); i++) {
        json_object_del(x, small[i]);
        json_object_del(y, small[i]);
    }
    return json_equal(x, y);
}
