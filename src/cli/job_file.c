#include "cli/job_file.h"

#include "base/mem.h"

#include <ctype.h>

/* A number where the server takes one as well as text with a unit: 8192 or 8GiB, 2.5 or 500m. */
static json_t *number_or_text(const char *s)
{
    size_t digits = strspn(s, "0123456789");
    int64_t whole;
    char *end;
    if (digits && !s[digits] && text_to_int(s, 0, INT64_MAX, "", &whole, NULL) == 0)
        return json_integer(whole);
    if (isdigit((unsigned char)s[0]) && strspn(s, "0123456789.") == strlen(s)) {
        double real = strtod(s, &end);
        if (!*end)
            return json_real(real);
    }
    return json_string(s);
}

static int put_text(json_t *job, const char *key, const char *value, struct err *e)
{
    if (!value)
        return 0;
    if (json_object_set_new(job, key, json_string(value)) < 0)
        return err_set(e, ERR_INVALID, "option '%s' is not UTF-8", key);
    return 0;
}

static int put_number(json_t *job, const char *key, const char *value, struct err *e)
{
    if (value && json_object_set_new(job, key, number_or_text(value)) < 0)
        return err_set(e, ERR_INVALID, "option '%s' is not UTF-8", key);
    return 0;
}

static int put_int(json_t *job, const char *key, const char *value, struct err *e)
{
    int64_t number;
    char what[48];
    if (!value)
        return 0;
    snprintf(what, sizeof what, "option '%s':", key);
    if (text_to_int(value, 0, 1000000, what, &number, e) < 0)
        return -1;
    json_object_set_new(job, key, json_integer(number));
    return 0;
}

static json_t *object_at(json_t *job, const char *key)
{
    json_t *there = json_object_get(job, key);
    if (!json_is_object(there)) {
        json_object_set_new(job, key, json_object());
        there = json_object_get(job, key);
    }
    return there;
}

static int put_pairs(json_t *job, const char *key, const char *option,
                     const struct option_list *list, bool from_environment, struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *given = list->items[i], *equals = strchr(given, '=');
        auto_free char *name =
            mem_strndup(given, equals ? (size_t)(equals - given) : strlen(given));
        const char *value = equals ? equals + 1 : from_environment ? getenv(name) : NULL;
        if (!*name || (!equals && !from_environment))
            return err_set(e, ERR_INVALID, "option '%s': '%.60s' is not of the form KEY=VALUE",
                           option, given);
        if (!value)
            return err_set(e, ERR_INVALID, "option '%s': variable '%.60s' is not set here", option,
                           name);
        if (json_object_set_new(object_at(job, key), name, json_string(value)) < 0)
            return err_set(e, ERR_INVALID, "option '%s': '%.60s' is not UTF-8", option, name);
    }
    return 0;
}

static int put_template(const struct job_options *o, json_t *job, struct err *e)
{
    if (o->template && json_is_string(json_object_get(job, "template")))
        json_object_del(job, "template");
    if (o->template && put_text(object_at(job, "template"), "name", o->template, e) < 0)
        return -1;
    if (!o->parameters.count)
        return 0;
    return put_pairs(object_at(job, "template"), "parameters", "param", &o->parameters, false, e);
}

static int put_mounts(json_t *job, const struct option_list *list, struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *given = list->items[i], *colon = strchr(given, ':');
        size_t path = colon ? strcspn(colon + 1, ":") : 0;
        const char *more = colon ? colon + 1 + path : "";
        if (colon == given || (*more && strcmp(more, ":ro") != 0))
            return err_set(e, ERR_INVALID,
                           "option 'mount': '%.60s' is not NAME, NAME:PATH or NAME:PATH:ro", given);
        json_t *mount = json_object(), *mounts = json_object_get(job, "mounts");
        json_object_set_new(mount, "name",
                            json_stringn(given, colon ? (size_t)(colon - given) : strlen(given)));
        if (path)
            json_object_set_new(mount, "path", json_stringn(colon + 1, path));
        if (*more)
            json_object_set_new(mount, "read_only", json_true());
        if (!json_is_array(mounts)) {
            json_object_set_new(job, "mounts", json_array());
            mounts = json_object_get(job, "mounts");
        }
        json_array_append_new(mounts, mount);
    }
    return 0;
}

static int put_tolerations(json_t *job, const struct option_list *list, struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!json_is_array(json_object_get(job, "tolerations")))
            json_object_set_new(job, "tolerations", json_array());
        json_t *text = json_string(list->items[i]);
        if (!text)
            return err_set(e, ERR_INVALID, "option 'toleration' is not UTF-8");
        json_array_append_new(json_object_get(job, "tolerations"), text);
    }
    return 0;
}

int job_options_apply(const struct job_options *o, json_t *job, struct err *e)
{
    const struct {
        const char *key, *value;
        int (*put)(json_t *job, const char *key, const char *value, struct err *e);
    } given[] = {
        {"name", o->name, put_text},
        {"gpus", o->gpus, put_int},
        {"gpu_memory", o->gpu_memory, put_number},
        {"cpu", o->cpu, put_number},
        {"memory", o->memory, put_number},
        {"time_limit", o->time_limit, put_number},
        {"retries", o->retries, put_int},
        {"team", o->team, put_text},
        {"user", o->user, put_text},
        {"progress", o->progress, put_text},
        {"config_file", o->config_file, put_text},
        {"work_dir", o->work_dir, put_text},
        {"image", o->image, put_text},
        {"runner", o->runner, put_text},
    };
    for (size_t i = 0; i < COUNT_OF(given); i++)
        if (given[i].put(job, given[i].key, given[i].value, e) < 0)
            return -1;
    if (o->exclusive)
        json_object_set_new(job, "exclusive", json_true());
    if (put_pairs(job, "labels", "label", &o->labels, false, e) < 0 ||
        put_pairs(job, "node_selector", "node-selector", &o->node_selector, false, e) < 0 ||
        put_template(o, job, e) < 0 || put_mounts(job, &o->mounts, e) < 0 ||
        put_tolerations(job, &o->tolerations, e) < 0)
        return -1;
    return put_pairs(job, "env", "env", &o->env, true, e);
}

/* ---- job files ---- */

bool job_is_for_cluster(const json_t *job)
{
    return json_object_get(job, "image") || json_object_get(job, "template") ||
           json_object_get(job, "runner") || json_object_get(job, "mounts");
}

static int finish_job(json_t *job, size_t index, const char *folder, const char *folder_absent,
                      struct err *e)
{
    if (!json_is_object(job))
        return err_set(e, ERR_INVALID, "job %zu of the file is not a map of fields", index + 1);
    const json_t *template = json_object_get(job, "template");
    if (json_is_string(template))
        json_object_set_new(job, "template", json_pack("{s:O}", "name", template));
    const json_t *command = json_object_get(job, "command");
    if (json_is_string(command)) {
        json_t *words = json_pack("[s,s,s]", "sh", "-c", json_string_value(command));
        json_object_set_new(job, "command", words);
    }
    const json_t *dir = json_object_get(job, "work_dir");
    if ((!dir || json_is_null(dir)) && job_is_for_cluster(job)) {
        json_object_del(job, "work_dir");
    } else if (!dir || json_is_null(dir)) {
        json_object_set_new(job, "work_dir", json_string(folder_absent));
    } else if (json_is_string(dir) && json_string_value(dir)[0] != '/') {
        auto_free char *path = mem_printf("%s/%s", folder, json_string_value(dir));
        json_object_set_new(job, "work_dir", json_string(path));
    }
    return 0;
}

static json_t *as_list(json_t *root)
{
    json_t *jobs = json_is_object(root) ? json_object_get(root, "jobs") : NULL;
    if (json_is_array(root))
        return json_incref(root);
    if (json_is_array(jobs) && json_object_size(root) == 1)
        return json_incref(jobs);
    json_t *list = json_array();
    json_array_append(list, root);
    return list;
}

int job_file_parse(const char *text, size_t len, const char *folder, const char *folder_absent,
                   json_t **ret, struct err *e)
{
    auto_json json_t *root = NULL;
    size_t start = 0;
    while (start < len && isspace((unsigned char)text[start]))
        start++;
    bool json = start < len && (text[start] == '{' || text[start] == '[');
    /* YAML takes most JSON too, but JSON's own reader says better what is wrong with it. */
    if ((json ? json_parse(text, len, &root, e) : yaml_parse(text, len, &root, e)) < 0)
        return -1;

    auto_json json_t *list = as_list(root);
    size_t i;
    json_t *job;
    if (!json_array_size(list) || json_is_null(root))
        return err_set(e, ERR_INVALID, "the file holds no job");
    if (json_array_size(list) > 1000)
        return err_set(e, ERR_INVALID, "the file holds more than 1000 jobs");
    json_array_foreach(list, i, job)
    {
        if (finish_job(job, i, folder, folder_absent, e) < 0)
            return -1;
    }
    *ret = TAKE(list);
    return 0;
}
