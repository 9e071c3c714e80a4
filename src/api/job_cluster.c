#include "api/job_cluster.h"

#include "base/mem.h"
#include "base/text.h"
#include "core/fleet/where.h"

enum {
    IMAGE_MOST = 512,
    NAME_MOST = 253, /* of an object in Kubernetes */
    PART_MOST = 63,  /* of a label: its name, its value */
    PARAMETERS_MOST = 64,
    PARAMETER_MOST = 4096,
    MOUNTS_MOST = 16,
    PATH_MOST = 1024,
};

static int invalid(struct err *e, const char *field, const char *why)
{
    err_set(e, ERR_INVALID, "field '%s' %s", field, why);
    return err_blame(e, "%s", field);
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* LEN bytes of these, that begin and end with a letter or digit. */
static bool is_word(const char *s, size_t len, size_t most, const char *more)
{
    auto_free char *word = mem_strndup(s, len);
    auto_free char *all = mem_printf(LETTERS "%s", more);
    return len && len <= most && strspn(word, all) == len && !strchr(more, word[0]) &&
           !strchr(more, word[len - 1]);
}

/* "name" or "prefix/name", as Kubernetes has keys of labels and taints. */
static bool is_key(const char *s, size_t len)
{
    const char *slash = memchr(s, '/', len);
    size_t prefix = slash ? (size_t)(slash - s) : 0;
    return (!slash || is_word(s, prefix, NAME_MOST, ".-")) &&
           is_word(slash ? slash + 1 : s, slash ? len - prefix - 1 : len, PART_MOST, "._-");
}

static bool is_value(const char *s, size_t len)
{
    return !len || is_word(s, len, PART_MOST, "._-");
}

/* ---- where ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In one order, so that the same wish is the same text. */
static int join(char **list, size_t count, const char *field, char ret[JOB_WHERE_MOST + 1],
                struct err *e)
{
    auto_text struct text t = {0};
    char why[64];
    qsort(list, count, sizeof *list, by_text);
    for (size_t i = 0; i < count; i++)
        if (!i || strcmp(list[i], list[i - 1]) != 0)
            text_addf(&t, "%s%s", t.len ? "," : "", list[i]);
    if (t.len > JOB_WHERE_MOST) {
        snprintf(why, sizeof why, "has more than %d bytes in all", JOB_WHERE_MOST);
        return invalid(e, field, why);
    }
    text_cut(ret, JOB_WHERE_MOST + 1, text_get(&t));
    return 0;
}

static int read_selector(const json_t *map, struct submission *ret, struct err *e)
{
    char *pairs[JOB_PAIRS_MOST], field[96];
    size_t count = 0;
    int rc = 0;
    const char *key;
    json_t *value;
    if (json_object_size(map) > JOB_PAIRS_MOST)
        return invalid(e, "node_selector", "has more than 8 entries");
    json_object_foreach((json_t *)map, key, value)
    {
        snprintf(field, sizeof field, "node_selector.%.60s", key);
        if (!is_key(key, strlen(key)))
            rc = invalid(e, field, "is no name of a label");
        else if (!json_is_string(value) ||
                 !is_value(json_string_value(value), json_string_length(value)))
            rc = invalid(e, field, "must be the value of a label");
        if (rc < 0)
            break;
        pairs[count++] = mem_printf("%s=%s", key, json_string_value(value));
    }
    if (rc == 0)
        rc = join(pairs, count, "node_selector", ret->selector, e);
    while (count)
        free(pairs[--count]);
    return rc;
}

/* "key", "key=value", "key:Effect", "key=value:Effect" */
static bool is_toleration(const char *s)
{
    static const char *const effects[] = {"NoSchedule", "NoExecute", "PreferNoSchedule"};
    size_t key = strcspn(s, "=:"), end = strcspn(s, ":");
    bool effect = !s[end];
    for (size_t i = 0; i < COUNT_OF(effects) && !effect; i++)
        effect = strcmp(s + end + 1, effects[i]) == 0;
    return effect && is_key(s, key) && (key == end || is_value(s + key + 1, end - key - 1));
}

static int read_tolerations(const json_t *list, struct submission *ret, struct err *e)
{
    char *texts[JOB_TOLERATIONS_MOST];
    size_t i, count = 0;
    int rc = 0;
    json_t *item;
    if (json_array_size(list) > JOB_TOLERATIONS_MOST)
        return invalid(e, "tolerations", "has more than 8 entries");
    json_array_foreach((json_t *)list, i, item)
    {
        const char *text = json_string_value(item);
        char field[48];
        snprintf(field, sizeof field, "tolerations[%zu]", i);
        if (!text || !is_toleration(text)) {
            rc = invalid(e, field, "must be text such as key, key=value or key=value:NoSchedule");
            break;
        }
        texts[count++] = mem_strdup(text);
    }
    if (rc == 0)
        rc = join(texts, count, "tolerations", ret->tolerations, e);
    while (count)
        free(texts[--count]);
    return rc;
}

static bool is_allowed(const char *toleration, size_t len, const char *allowed)
{
    size_t key = strcspn(toleration, "=:,");
    for (const char *at = allowed; at && *at;) {
        size_t word = strcspn(at, ",");
        if ((word == 1 && *at == '*') ||
            ((word == len || word == key) && memcmp(at, toleration, word) == 0))
            return true;
        at += word + (at[word] == ',');
    }
    return false;
}

int job_cluster_check_leave(const struct submission *s, const char *allowed, struct err *e)
{
    for (const char *at = s->tolerations; *at;) {
        size_t len = strcspn(at, ",");
        if (!taint_is_gpu(at) && !is_allowed(at, len, allowed)) {
            err_set(e, ERR_DENIED,
                    "toleration '%.*s' is not one that jobs may have here (--allow-tolerations)",
                    (int)len, at);
            return err_blame(e, "tolerations");
        }
        at += len + (at[len] == ',');
    }
    return 0;
}

/* ---- what runs ---- */

static int check_image(const char *image, struct err *e)
{
    size_t len = strlen(image);
    if (!is_word(image, len, IMAGE_MOST, "._-/:@"))
        return invalid(e, "image", "must be a reference such as registry.example/team/image:tag");
    return 0;
}

static int check_runner(const char *runner, struct err *e)
{
    static const char *const runners[] = {"kube-pod", "kube-job", "argo", "argo-server"};
    for (size_t i = 0; i < COUNT_OF(runners); i++)
        if (strcmp(runner, runners[i]) == 0)
            return 0;
    return invalid(e, "runner", "must be kube-pod, kube-job, argo or argo-server");
}

struct template_in {
    const char *name;
    const json_t *parameters;
    bool cluster_scope;
};

/* Who a job is for is not its own to say. */
static bool is_given(const char *parameter)
{
    static const char *const given[] = {"user", "job-id", "attempt", "gpus"};
    for (size_t i = 0; i < COUNT_OF(given); i++)
        if (strcmp(given[i], parameter) == 0)
            return true;
    return false;
}

static int check_template(const json_t *object, struct err *e)
{
#define AT(member) offsetof(struct template_in, member)
    static const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, AT(name), true, 1, NAME_MOST},
        {"cluster_scope", JSON_FIELD_BOOL, AT(cluster_scope)},
        {"parameters", JSON_FIELD_OBJECT, AT(parameters)},
    };
#undef AT
    struct template_in in = {0};
    const char *key;
    char field[96];
    json_t *value;
    if (json_read_fields(object, fields, COUNT_OF(fields), true, &in, e) < 0) {
        char inner[sizeof e->field];
        strcpy(inner, e->field);
        err_wrap(e, "template");
        return err_blame(e, "template%s%.40s", inner[0] ? "." : "", inner);
    }
    if (!is_word(in.name, strlen(in.name), NAME_MOST, ".-"))
        return invalid(e, "template.name", "is no name of a template");
    if (json_object_size(in.parameters) > PARAMETERS_MOST)
        return invalid(e, "template.parameters", "has more than 64 entries");
    json_object_foreach((json_t *)in.parameters, key, value)
    {
        snprintf(field, sizeof field, "template.parameters.%.40s", key);
        if (!is_word(key, strlen(key), PART_MOST, "_-"))
            return invalid(e, field, "has a name that is not allowed");
        if (!json_is_string(value) || json_string_length(value) > PARAMETER_MOST)
            return invalid(e, field, "must be text of at most 4096 bytes");
        if (strstr(json_string_value(value), "{{"))
            return invalid(e, field, "must not have '{{', which Argo takes for a variable");
        if (is_given(key))
            return invalid(e, field, "is given by Reeve");
    }
    return 0;
}

struct mount_in {
    const char *name, *path;
    bool read_only;
};

static bool is_mount_path(const char *path)
{
    return path[0] == '/' && !strchr(path, ':') && !strstr(path, "/../") &&
           !(strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0);
}

static int check_mount(const json_t *object, const char *field, struct err *e)
{
#define AT(member) offsetof(struct mount_in, member)
    static const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, AT(name), true, 1, PART_MOST},
        {"path", JSON_FIELD_TEXT, AT(path), .least = 1, .most = PATH_MOST},
        {"read_only", JSON_FIELD_BOOL, AT(read_only)},
    };
#undef AT
    struct mount_in in = {0};
    if (json_read_fields(object, fields, COUNT_OF(fields), true, &in, e) < 0) {
        err_wrap(e, "%s", field);
        return err_blame(e, "%s", field);
    }
    if (!is_word(in.name, strlen(in.name), PART_MOST, "-"))
        return invalid(e, field, "must name a mount that an administrator has defined");
    if (in.path && !is_mount_path(in.path))
        return invalid(e, field, "must be at an absolute path without ':' and '..'");
    return 0;
}

static int check_mounts(const json_t *list, struct err *e)
{
    size_t i;
    json_t *item;
    char field[48];
    if (json_array_size(list) > MOUNTS_MOST)
        return invalid(e, "mounts", "has more than 16 entries");
    json_array_foreach((json_t *)list, i, item)
    {
        snprintf(field, sizeof field, "mounts[%zu]", i);
        if (check_mount(item, field, e) < 0)
            return -1;
    }
    return 0;
}

static bool is_argo(const char *runner)
{
    return strncmp(runner, "argo", 4) == 0;
}

int job_cluster_read(const struct job_cluster *in, struct submission *ret, struct err *e)
{
    if ((in->image && check_image(in->image, e) < 0) ||
        (in->runner && check_runner(in->runner, e) < 0) ||
        (in->template && check_template(in->template, e) < 0) || check_mounts(in->mounts, e) < 0 ||
        read_selector(in->node_selector, ret, e) < 0 ||
        read_tolerations(in->tolerations, ret, e) < 0)
        return -1;
    if (in->template && in->runner && !is_argo(in->runner))
        return invalid(e, "runner", "must be argo or argo-server for a job that runs a template");
    if (in->template && in->image)
        return invalid(e, "image", "has no meaning for a job that runs a template");
    if (in->image || in->runner || in->template || json_array_size(in->mounts))
        ret->flags |= JOB_NEEDS_CLUSTER;
    return 0;
}

bool job_cluster_runs_itself(const struct job_cluster *in)
{
    return in->image || in->template || (in->runner && is_argo(in->runner));
}

void job_cluster_write(const struct job_cluster *in, struct json_out *o)
{
    if (in->image)
        jo_text(o, "image", in->image);
    if (in->runner)
        jo_text(o, "runner", in->runner);
    const struct {
        const char *name;
        const json_t *value;
    } parts[] = {{"template", in->template}, {"mounts", in->mounts}};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (!parts[i].value)
            continue;
        auto_free char *text = json_write(parts[i].value);
        jo_raw(o, parts[i].name, text, strlen(text));
    }
}
