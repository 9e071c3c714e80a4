#include "api/job_in.h"

#include "api/job_cluster.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "node/progress.h"

#include <math.h>

enum {
    ARG_BYTES_MOST = 65536,
    ENV_BYTES_MOST = 32768,
    LABEL_BYTES_MOST = 256,
    PATH_BYTES_MOST = 1024,
    PATTERN_BYTES_MOST = 128,
    KEY_BYTES_MOST = 128,
};

struct job_in {
    const char *name, *team, *user, *work_dir, *config_file, *progress;
    const json_t *command, *env, *labels;
    const json_t *gpu_memory, *cpu, *memory, *time_limit;
    int64_t gpus, retries;
    bool exclusive;
    struct job_cluster cluster;
};

#define AT(member) offsetof(struct job_in, member)
static const struct json_field fields[] = {
    {"name", JSON_FIELD_TEXT, AT(name), .least = 1, .most = JOB_NAME_MOST},
    {"command", JSON_FIELD_ARRAY, AT(command), .least = 0, .most = JOB_ARGS_MOST},
    {"env", JSON_FIELD_OBJECT, AT(env)},
    {"gpus", JSON_FIELD_INT, AT(gpus), .least = 0, .most = JOB_GPUS_MOST},
    {"gpu_memory", JSON_FIELD_ANY, AT(gpu_memory)},
    {"cpu", JSON_FIELD_ANY, AT(cpu)},
    {"memory", JSON_FIELD_ANY, AT(memory)},
    {"time_limit", JSON_FIELD_ANY, AT(time_limit)},
    {"labels", JSON_FIELD_OBJECT, AT(labels)},
    {"exclusive", JSON_FIELD_BOOL, AT(exclusive)},
    {"retries", JSON_FIELD_INT, AT(retries), .least = 0, .most = JOB_RETRIES_MOST},
    {"team", JSON_FIELD_TEXT, AT(team), .least = 1, .most = FLEET_NAME - 1},
    {"user", JSON_FIELD_TEXT, AT(user), .least = 1, .most = FLEET_NAME - 1},
    {"work_dir", JSON_FIELD_TEXT, AT(work_dir), .least = 1, .most = PATH_BYTES_MOST},
    {"config_file", JSON_FIELD_TEXT, AT(config_file), .least = 1, .most = PATH_BYTES_MOST},
    {"progress", JSON_FIELD_TEXT, AT(progress), .least = 1, .most = PATTERN_BYTES_MOST},
    {"image", JSON_FIELD_TEXT, AT(cluster.image), .least = 1, .most = PATH_BYTES_MOST},
    {"runner", JSON_FIELD_TEXT, AT(cluster.runner), .least = 1, .most = KEY_BYTES_MOST},
    {"template", JSON_FIELD_OBJECT, AT(cluster.template)},
    {"mounts", JSON_FIELD_ARRAY, AT(cluster.mounts)},
    {"node_selector", JSON_FIELD_OBJECT, AT(cluster.node_selector)},
    {"tolerations", JSON_FIELD_ARRAY, AT(cluster.tolerations)},
};
#undef AT

/* Known words of what is planned: taken and not followed would be a lie. */
static const char *const not_yet[] = {
    "mig_profile", "priority",   "project",     "queue",       "gpu_model",
    "gpu_share",   "depends_on", "array",       "sweep",       "gang",
    "node",        "nodes",      "node_labels", "preemptible", "secret",
    "secrets",     "budget",     "deadline",    "not_before",  "schedule",
    "volumes",     "checkpoint", "notify",      "reservation", "service_account",
};

static int invalid(struct err *e, const char *field, const char *why)
{
    err_set(e, ERR_INVALID, "field '%s' %s", field, why);
    return err_blame(e, "%s", field);
}

static bool is_plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static int refuse_planned(const json_t *object, struct err *e)
{
    for (size_t i = 0; i < COUNT_OF(not_yet); i++)
        if (json_object_get(object, not_yet[i]))
            return invalid(e, not_yet[i], "does not work yet");
    return 0;
}

int job_in_duration(const json_t *value, const char *name, int64_t *ret_ms, struct err *e)
{
    char why[64];
    int64_t ms = 0, seconds;
    if (json_is_string(value)) {
        if (text_to_duration_ms(json_string_value(value), "", &ms, NULL) < 0 || ms % 1000)
            return invalid(e, name, "must be a duration such as 90s, 15m, 2h or 1h30m");
    } else if (json_whole(value, &seconds)) {
        ms = seconds >= 0 && seconds <= JOB_SECONDS_MOST ? seconds * 1000 : -1;
    } else {
        return invalid(e, name, "must be whole seconds or a duration such as 2h");
    }
    if (ms >= 1000 && ms / 1000 <= JOB_SECONDS_MOST) {
        *ret_ms = ms;
        return 0;
    }
    snprintf(why, sizeof why, "must be between 1 and %d seconds", JOB_SECONDS_MOST);
    return invalid(e, name, why);
}

int job_in_mib(const json_t *value, const char *name, int64_t *ret, struct err *e)
{
    char why[64];
    uint64_t bytes = 0;
    int64_t mib = -1;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        /* As a number it is MiB; as a text without a unit nobody could tell. */
        if (strspn(text, "0123456789") == strlen(text) ||
            text_to_bytes(text, "", &bytes, NULL) < 0 || bytes % (1 << 20))
            return invalid(e, name, "must be whole MiB or a size such as 512MiB or 8GiB");
        mib = (int64_t)(bytes >> 20);
    } else if (!json_whole(value, &mib)) {
        return invalid(e, name, "must be whole MiB or a size such as 8GiB");
    }
    if (mib >= 1 && mib <= JOB_MIB_MOST) {
        *ret = mib;
        return 0;
    }
    snprintf(why, sizeof why, "must be between 1 and %d MiB", JOB_MIB_MOST);
    return invalid(e, name, why);
}

static int read_cpu(const json_t *value, int64_t *ret, struct err *e)
{
    double milli = -1;
    if (json_is_number(value)) {
        milli = round(json_number_value(value) * 1000);
    } else if (json_is_string(value)) {
        int64_t number;
        auto_free char *text = mem_strdup(json_string_value(value));
        size_t len = strlen(text);
        if (len < 2 || text[len - 1] != 'm')
            return invalid(e, "cpu", "must be cores, or text such as 500m");
        text[len - 1] = '\0';
        if (text_to_int(text, 1, JOB_CPU_MILLI_MOST, "", &number, NULL) == 0)
            milli = (double)number;
    } else {
        return invalid(e, "cpu", "must be cores, or text such as 500m");
    }
    if (milli < 1 || milli > JOB_CPU_MILLI_MOST)
        return invalid(e, "cpu", "must be between 0.001 and 1024 cores");
    *ret = (int64_t)milli;
    return 0;
}

/* ---- parts of the spec ---- */

/* An image and a template may bring their own. */
static int check_command(const struct job_in *in, struct err *e)
{
    const json_t *command = in->command;
    bool needed = !job_cluster_runs_itself(&in->cluster);
    if (in->cluster.template && json_array_size(command))
        return invalid(e, "command", "has no meaning for a job that runs a template");
    if (!json_array_size(command))
        return needed ? invalid(e, "command", command ? "is empty" : "is missing") : 0;
    for (size_t i = 0; i < json_array_size(command); i++) {
        const json_t *arg = json_array_get(command, i);
        char field[32];
        snprintf(field, sizeof field, "command[%zu]", i);
        if (!json_is_string(arg))
            return invalid(e, field, "must be text");
        if (json_string_length(arg) > ARG_BYTES_MOST)
            return invalid(e, field, "is longer than 65536 bytes");
    }
    if (!json_string_length(json_array_get(command, 0)))
        return invalid(e, "command[0]", "must name a program");
    return 0;
}

static bool is_env_name(const char *s)
{
    if (strspn(s, "0123456789"))
        return false;
    size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return len && !s[len] && len <= KEY_BYTES_MOST;
}

static bool is_label_name(const char *s)
{
    size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-");
    return len && !s[len] && len <= 63 && !strchr("._/-", s[0]);
}

struct map_rule {
    const char *name;
    bool (*is_key)(const char *s);
    size_t most, bytes_most;
    bool plain; /* values without control characters */
};
static const struct map_rule env_rule = {"env", is_env_name, JOB_ENV_MOST, ENV_BYTES_MOST, false};
static const struct map_rule label_rule = {"labels", is_label_name, JOB_LABELS_MOST,
                                           LABEL_BYTES_MOST, true};

static int check_map(const json_t *map, const struct map_rule *rule, struct err *e)
{
    const char *key;
    json_t *value;
    char field[96];
    if (json_object_size(map) > rule->most) {
        snprintf(field, sizeof field, "has more than %zu entries", rule->most);
        return invalid(e, rule->name, field);
    }
    json_object_foreach((json_t *)map, key, value)
    {
        snprintf(field, sizeof field, "%s.%.40s", rule->name, key);
        if (!rule->is_key(key))
            return invalid(e, field, "has a name that is not allowed");
        if (!json_is_string(value))
            return invalid(e, field, "must be text");
        if (json_string_length(value) > rule->bytes_most)
            return invalid(e, field, "is too long");
        if (rule->plain && !is_plain(json_string_value(value)))
            return invalid(e, field, "must not hold control characters");
    }
    return 0;
}

static int check_texts(const struct job_in *in, struct err *e)
{
    if (in->name && !is_plain(in->name))
        return invalid(e, "name", "must not hold control characters");
    if (in->team && !text_is_name(in->team, FLEET_NAME - 1))
        return invalid(e, "team", "must be letters, digits, '.', '_' and '-'");
    if (in->user && !text_is_name(in->user, FLEET_NAME - 1))
        return invalid(e, "user", "must be letters, digits, '.', '_' and '-'");
    if (in->work_dir && in->work_dir[0] != '/')
        return invalid(e, "work_dir", "must be an absolute path");
    if (in->progress && !is_plain(in->progress))
        return invalid(e, "progress", "must not hold control characters");
    const struct {
        const char *field, *value;
    } parameters[] = {{"config_file", in->config_file}, {"work_dir", in->work_dir}};
    for (size_t i = 0; i < COUNT_OF(parameters) && in->cluster.template; i++)
        if (parameters[i].value && strstr(parameters[i].value, "{{"))
            return invalid(e, parameters[i].field,
                           "must not have '{{', which Argo takes for a variable");
    if (in->progress && progress_check_pattern(in->progress, e) < 0) {
        err_wrap(e, "field 'progress'");
        return err_blame(e, "progress");
    }
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* "train.py" for python3 train.py, else what the program is called. */
static void name_from_command(const struct job_in *in, char ret[JOB_NAME_MOST + 1])
{
    const json_t *command = in->command;
    const struct job_cluster *k = &in->cluster;
    static const char *const interpreters[] = {"python", "bash", "sh", "perl", "node", "ruby", "R"};
    const char *given = json_string_value(json_array_get(command, 0));
    if (!given && k->template)
        given = json_string_value(json_object_get(k->template, "name"));
    const char *name = base_name(given ? given : k->image ? k->image : "job");
    const char *script = json_string_value(json_array_get(command, 1));
    for (size_t i = 0; script && i < COUNT_OF(interpreters); i++) {
        size_t len = strlen(interpreters[i]);
        if (strncmp(name, interpreters[i], len) == 0 && script[0] && script[0] != '-' &&
            strspn(name + len, "0123456789.") == strlen(name + len)) {
            name = base_name(script);
            break;
        }
    }
    size_t len = 0;
    for (; name[len] && len < JOB_NAME_MOST; len++)
        ret[len] = (char)((unsigned char)name[len] < 0x20 || name[len] == 0x7f ? '?' : name[len]);
    while (len && !text_is_utf8(ret, len))
        len--; /* cut in the middle of a character */
    ret[len] = '\0';
    if (!len)
        strcpy(ret, "job");
}

static char *make_spec(const struct job_in *in)
{
    struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_list(&o, "command");
    for (size_t i = 0; i < json_array_size(in->command); i++)
        jo_text(&o, NULL, json_string_value(json_array_get(in->command, i)));
    jo_end(&o);
    const struct {
        const char *name;
        const json_t *map;
    } maps[] = {{"env", in->env}, {"labels", in->labels}};
    for (size_t i = 0; i < COUNT_OF(maps); i++) {
        const char *key;
        json_t *value;
        if (!json_object_size(maps[i].map))
            continue;
        jo_object(&o, maps[i].name);
        json_object_foreach((json_t *)maps[i].map, key, value)
            jo_text(&o, key, json_string_value(value));
        jo_end(&o);
    }
    if (in->work_dir)
        jo_text(&o, "work_dir", in->work_dir);
    if (in->config_file)
        jo_text(&o, "config_file", in->config_file);
    if (in->progress)
        jo_text(&o, "progress", in->progress);
    job_cluster_write(&in->cluster, &o);
    jo_end(&o);
    return text_take(&t);
}

static int read_amounts(const struct job_in *in, struct submission *ret, struct err *e)
{
    ret->gpus = in->gpus;
    ret->retries = in->retries;
    ret->memory_mib = JOB_DEFAULT_MEMORY_MIB;
    ret->flags = (in->exclusive ? JOB_EXCLUSIVE : 0) | (in->memory ? 0 : JOB_MEMORY_DEFAULT);
    if (in->gpu_memory && job_in_mib(in->gpu_memory, "gpu_memory", &ret->gpu_memory_mib, e) < 0)
        return -1;
    if (in->gpu_memory && !in->gpus)
        return invalid(e, "gpu_memory", "has no meaning without a GPU");
    if (in->cpu && read_cpu(in->cpu, &ret->cpu_milli, e) < 0)
        return -1;
    if (in->memory && job_in_mib(in->memory, "memory", &ret->memory_mib, e) < 0)
        return -1;
    return in->time_limit ? job_in_duration(in->time_limit, "time_limit", &ret->time_limit_ms, e)
                          : 0;
}

int job_in_read(const json_t *object, struct submission *ret, const char **ret_user, struct err *e)
{
    struct job_in in = {.gpus = 1, .retries = JOB_DEFAULT_RETRIES};
    if (json_is_object(object) && refuse_planned(object, e) < 0)
        return -1;
    if (json_read_fields(object, fields, COUNT_OF(fields), true, &in, e) < 0)
        return -1;

    *ret = (struct submission){0};
    if (check_command(&in, e) < 0 || check_texts(&in, e) < 0 ||
        check_map(in.env, &env_rule, e) < 0 || check_map(in.labels, &label_rule, e) < 0 ||
        read_amounts(&in, ret, e) < 0 || job_cluster_read(&in.cluster, ret, e) < 0)
        return -1;

    if (in.name)
        snprintf(ret->name, sizeof ret->name, "%s", in.name);
    else
        name_from_command(&in, ret->name);
    snprintf(ret->team, sizeof ret->team, "%s", in.team ? in.team : "");
    ret->spec = make_spec(&in);
    *ret_user = in.user;
    return 0;
}

bool job_env_is_secret(const char *name)
{
    static const char *const words[] = {"PASSWORD", "PASSWD",     "SECRET",  "TOKEN",
                                        "KEY",      "CREDENTIAL", "PRIVATE", "PASSPHRASE"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcasestr(name, words[i]))
            return true;
    return false;
}
