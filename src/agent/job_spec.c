#include "agent/job_spec.h"

#include "base/json_out.h"
#include "base/mem.h"

#include <string.h>
#include <strings.h>

#define PIDS_MOST 16384 /* processes and threads of one job: a fork bomb ends there */

bool job_spec_is_secret_name(const char *name)
{
    static const char *const words[] = {"SECRET",  "TOKEN",   "PASSWORD", "PASSWD",    "CREDENTIAL",
                                        "PRIVATE", "API_KEY", "APIKEY",   "ACCESS_KEY"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcasestr(name, words[i]))
            return true;
    return false;
}

static int read_command(const json_t *spec, char ***ret, struct err *e)
{
    const json_t *list = json_object_get(spec, "command"), *item;
    size_t i, count = json_array_size(list); /* 0 for what is no list */
    if (!count)
        return err_set(e, ERR_INVALID, "the job has no command");
    *ret = mem_new_array(char *, count + 1);
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return err_set(e, ERR_INVALID, "the command must be a list of texts");
        (*ret)[i] = mem_strdup(json_string_value(item));
    }
    return 0;
}

static int read_env(const json_t *spec, const char *config_file, char ***ret, struct err *e)
{
    json_t *env = json_object_get(spec, "env"), *value;
    size_t count = json_object_size(env), at = 0;
    const char *name;
    *ret = mem_new_array(char *, count + 2);
    bool has_config = false;
    json_object_foreach(env, name, value)
    {
        if (!name[0] || strchr(name, '='))
            return err_set(e, ERR_INVALID, "'%.80s' cannot be the name of a variable", name);
        if (!json_is_string(value))
            return err_set(e, ERR_INVALID, "variable '%.80s' must be a text", name);
        has_config |= strcmp(name, "REEVE_CONFIG_FILE") == 0;
        (*ret)[at++] = mem_printf("%s=%s", name, json_string_value(value));
    }
    if (config_file && !has_config)
        (*ret)[at++] = mem_printf("REEVE_CONFIG_FILE=%s", config_file);
    return 0;
}

static const char *text_of(const json_t *spec, const char *key)
{
    const char *s = json_string_value(json_object_get(spec, key));
    return s && s[0] ? s : NULL;
}

static char *join_devices(const struct command *c)
{
    struct text t = {0};
    for (size_t i = 0; i < c->device_count; i++)
        text_addf(&t, "%s%s", i ? "," : "", c->devices[i]);
    return text_take(&t);
}

static void add_value(struct json_out *o, const char *key, const json_t *value)
{
    if (!value)
        return;
    auto_free char *text = json_write(value);
    jo_raw(o, key, text, strlen(text));
}

/* What the run was given, for whoever finds its results later. */
static char *write_params(const struct command *c)
{
    struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_int(&o, "job", c->job);
    jo_int(&o, "attempt", c->n);
    jo_text(&o, "name", c->job_name);
    jo_text(&o, "user", c->user);
    add_value(&o, "command", json_object_get(c->spec, "command"));
    jo_object(&o, "env");
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(c->spec, "env"), name, value)
        jo_text(&o, name, job_spec_is_secret_name(name) ? "***" : json_string_value(value));
    jo_end(&o);
    jo_text(&o, "work_dir", text_of(c->spec, "work_dir"));
    jo_text(&o, "config_file", text_of(c->spec, "config_file"));
    add_value(&o, "labels", json_object_get(c->spec, "labels"));
    jo_list(&o, "devices");
    for (size_t i = 0; i < c->device_count; i++)
        jo_text(&o, NULL, c->devices[i]);
    jo_end(&o);
    jo_int(&o, "gpu_memory_mib", c->gpu_memory_mib);
    jo_int(&o, "cpu_milli", c->cpu_milli);
    jo_int(&o, "memory_mib", c->memory_mib);
    jo_int(&o, "time_limit_ms", c->time_limit_ms);
    jo_end(&o);
    text_add_char(&t, '\n');
    return text_take(&t);
}

static char *copy(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

static void copy_cgroup(struct cgroup_parent *to, const struct cgroup_parent *from)
{
    *to = (struct cgroup_parent){copy(from->unified), copy(from->memory), copy(from->cpu),
                                 copy(from->pids), from->controllers};
}

int job_spec_make(const struct command *c, const struct job_spec_place *place,
                  struct attempt_spec *ret, struct err *e)
{
    attempt_spec_init(ret);
    memcpy(ret->id, c->attempt, ATTEMPT_ID_SIZE);
    ret->name = mem_strdup(c->name);
    ret->job_id = c->job;
    ret->number = c->n;
    ret->user = mem_strdup(c->user);
    const char *config_file = text_of(c->spec, "config_file");
    if (read_command(c->spec, &ret->command, e) < 0 ||
        read_env(c->spec, config_file, &ret->env, e) < 0)
        return -1;
    ret->work_dir = copy(text_of(c->spec, "work_dir"));
    ret->progress_pattern = copy(text_of(c->spec, "progress"));
    ret->devices = join_devices(c);
    ret->results = copy(place->results);
    if (place->results)
        ret->params = write_params(c);
    if (place->account) {
        ret->has_account = true;
        account_copy(&ret->account, place->account);
    }
    if (place->cgroup)
        copy_cgroup(&ret->cgroup, place->cgroup);
    ret->limits = (struct cgroup_limits){
        .memory_bytes = c->memory_mib << 20, .cpu_milli = c->cpu_milli, .pids = PIDS_MOST};
    ret->time_limit_ms = c->time_limit_ms;
    ret->grace_ms = place->grace_ms;
    return attempt_spec_check(ret, e);
}
