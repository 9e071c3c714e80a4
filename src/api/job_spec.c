#include "api/job_spec.h"

static struct json_part *part_of(struct job_spec *s, const struct json_part *key)
{
    const struct {
        const char *name;
        struct json_part *part;
    } parts[] = {{"command", &s->command},   {"env", &s->env},
                 {"labels", &s->labels},     {"work_dir", &s->work_dir},
                 {"progress", &s->progress}, {"config_file", &s->config_file},
                 {"image", &s->image},       {"runner", &s->runner},
                 {"template", &s->template}, {"mounts", &s->mounts}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (json_part_is(key, parts[i].name))
            return parts[i].part;
    return NULL;
}

void job_spec_read(const char *text, struct job_spec *ret)
{
    struct json_scan s;
    struct json_part key, value;
    *ret = (struct job_spec){0};
    if (!text)
        return;
    json_scan_init(&s, text, strlen(text));
    for (json_scan_object(&s); json_scan_member(&s, &key);) {
        json_scan_value(&s, &value);
        struct json_part *part = part_of(ret, &key);
        if (part)
            *part = value;
    }
    if (json_scan_end(&s, NULL) < 0)
        *ret = (struct job_spec){0};
}

bool job_spec_has_label(const struct job_spec *spec, const char *name, const char *value)
{
    struct json_scan s;
    struct json_part key, label;
    bool found = false;
    if (spec->labels.kind != JSON_PART_OBJECT)
        return false;
    json_scan_init(&s, spec->labels.at, spec->labels.len);
    for (json_scan_object(&s); json_scan_member(&s, &key);) {
        json_scan_value(&s, &label);
        found |= json_part_is(&key, name) && json_part_is(&label, value);
    }
    return found;
}
