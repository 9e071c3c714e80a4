#include "runner/kube_settings.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "kube/path.h"

#include <dirent.h>

enum { MOUNTS_MOST = 64, SECRETS_MOST = 16, TEMPLATES_MOST = 256, FILE_MOST = 256 * 1024 };

void kube_settings_init(struct kube_settings *s)
{
    *s = (struct kube_settings){.cpu_request_milli = 100, .memory_request_mib = 256, .grace_s = 30};
}

static void mount_done(struct kube_mount *m)
{
    free(m->name);
    free(m->source);
    free(m->server);
    free(m->path);
}

static void mounts_done(struct kube_settings *s)
{
    for (size_t i = 0; i < s->mount_count; i++)
        mount_done(&s->mounts[i]);
    free(s->mounts);
    s->mounts = NULL;
    s->mount_count = 0;
}

static void secrets_done(struct kube_settings *s)
{
    for (char **p = s->pull_secrets; p && *p; p++)
        free(*p);
    free(s->pull_secrets);
    s->pull_secrets = NULL;
}

static void templates_done(struct kube_settings *s)
{
    for (size_t i = 0; i < s->template_count; i++)
        free(s->templates[i].name);
    free(s->templates);
    s->templates = NULL;
    s->template_count = 0;
}

void kube_settings_done(struct kube_settings *s)
{
    char *texts[] = {s->ns,          s->image,        s->pull_policy,          s->runner,
                     s->results,     s->template,     s->service_account,      s->argo_instance,
                     s->argo_server, s->argo_ca_file, s->argo_service_account, s->argo_token_file};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        free(texts[i]);
    mounts_done(s);
    secrets_done(s);
    templates_done(s);
    json_decref(s->pod);
    json_decref(s->container);
    *s = (struct kube_settings){0};
}

const struct kube_mount *kube_settings_mount(const struct kube_settings *s, const char *name)
{
    for (size_t i = 0; i < s->mount_count; i++)
        if (strcmp(s->mounts[i].name, name) == 0)
            return &s->mounts[i];
    return NULL;
}

const struct kube_template *kube_settings_template(const struct kube_settings *s, const char *name)
{
    for (size_t i = 0; i < s->template_count; i++)
        if (strcmp(s->templates[i].name, name) == 0)
            return &s->templates[i];
    return NULL;
}

/* ---- reading ---- */

struct mount_in {
    const char *name, *host_path, *claim, *server, *export, *path;
    bool read_only;
};

static int check_path(const char *path, const char *field, struct err *e)
{
    if (!path || (path[0] == '/' && !strchr(path, ':') && !strstr(path, "/../")))
        return 0;
    err_set(e, ERR_INVALID, "field '%s' must be an absolute path", field);
    return err_blame(e, "%s", field);
}

static int read_mount(const json_t *object, struct kube_mount *ret, struct err *e)
{
#define AT(member) offsetof(struct mount_in, member)
    static const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, AT(name), true, 1, 50},
        {"host_path", JSON_FIELD_TEXT, AT(host_path), .least = 1, .most = 4096},
        {"claim", JSON_FIELD_TEXT, AT(claim), .least = 1, .most = 253},
        {"nfs_server", JSON_FIELD_TEXT, AT(server), .least = 1, .most = 253},
        {"nfs_path", JSON_FIELD_TEXT, AT(export), .least = 1, .most = 4096},
        {"path", JSON_FIELD_TEXT, AT(path), .least = 1, .most = 4096},
        {"read_only", JSON_FIELD_BOOL, AT(read_only)},
    };
#undef AT
    struct mount_in in = {0};
    if (json_read_fields(object, fields, COUNT_OF(fields), true, &in, e) < 0 ||
        check_path(in.host_path, "host_path", e) < 0 || check_path(in.export, "nfs_path", e) < 0 ||
        check_path(in.path, "path", e) < 0)
        return -1;
    if (!kube_name_is_valid(in.name) || strchr(in.name, '.'))
        return err_set(e, ERR_INVALID, "a mount cannot be called '%s': only a-z, 0-9 and '-'",
                       in.name);
    if (!in.host_path + !in.claim + !in.server != 2 || !in.server != !in.export)
        return err_set(e, ERR_INVALID,
                       "mount '%s' must have one of host_path, claim, or nfs_server with nfs_path",
                       in.name);
    const char *source = in.host_path ? in.host_path : in.claim ? in.claim : in.export;
    *ret = (struct kube_mount){
        .name = mem_strdup(in.name),
        .kind = in.host_path ? KUBE_MOUNT_HOST
                : in.claim   ? KUBE_MOUNT_CLAIM
                             : KUBE_MOUNT_NFS,
        .source = mem_strdup(source),
        .server = in.server ? mem_strdup(in.server) : NULL,
        .path = in.path ? mem_strdup(in.path) : mem_printf("/mnt/%s", in.name),
        .read_only = in.read_only,
    };
    return 0;
}

/* In place of the one of that name that an earlier text had, else behind all. FIRST: where those of
 * this text begin. */
static int add_mount(struct kube_settings *s, struct kube_mount *one, size_t first, struct err *e)
{
    for (size_t i = 0; i < s->mount_count; i++) {
        if (strcmp(s->mounts[i].name, one->name) != 0)
            continue;
        if (i >= first) {
            err_set(e, ERR_INVALID, "there are two mounts called '%s'", one->name);
            mount_done(one);
            return -1;
        }
        mount_done(&s->mounts[i]);
        s->mounts[i] = *one;
        return 0;
    }
    s->mounts = mem_resize_array(s->mounts, s->mount_count + 1);
    s->mounts[s->mount_count++] = *one;
    return 0;
}

static int read_mounts(struct kube_settings *s, const json_t *list, struct err *e)
{
    size_t i, first = s->mount_count;
    json_t *item;
    json_array_foreach((json_t *)list, i, item)
    {
        struct kube_mount one = {0};
        if (read_mount(item, &one, e) < 0) {
            err_wrap(e, "mounts[%zu]", i);
            return err_blame(e, "mounts[%zu]", i);
        }
        if (add_mount(s, &one, first, e) < 0)
            return -1;
    }
    return 0;
}

static int read_secrets(struct kube_settings *s, const json_t *list, struct err *e)
{
    size_t i;
    json_t *item;
    if (!list)
        return 0;
    secrets_done(s);
    s->pull_secrets = mem_new_array(char *, json_array_size(list) + 1);
    json_array_foreach((json_t *)list, i, item)
    {
        const char *name = json_string_value(item);
        if (!name || !kube_name_is_valid(name)) {
            err_set(e, ERR_INVALID, "field 'pull_secrets' must be a list of secrets' names");
            return err_blame(e, "pull_secrets[%zu]", i);
        }
        s->pull_secrets[i] = mem_strdup(name);
    }
    return 0;
}

static void add_template(struct kube_settings *s, const char *name, bool cluster_scope)
{
    s->templates = mem_resize_array(s->templates, s->template_count + 1);
    s->templates[s->template_count++] =
        (struct kube_template){.name = mem_strdup(name), .cluster_scope = cluster_scope};
}

/* Names, or objects of a name and where it is. */
static int read_template(struct kube_settings *s, const json_t *item, struct err *e)
{
    struct template_in {
        const char *name;
        bool cluster_scope;
    } in = {.name = json_string_value(item)};
    static const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, offsetof(struct template_in, name), true, 1, 253},
        {"cluster_scope", JSON_FIELD_BOOL, offsetof(struct template_in, cluster_scope)},
    };
    if (!in.name && json_read_fields(item, fields, COUNT_OF(fields), true, &in, e) < 0)
        return -1;
    if (!kube_name_is_valid(in.name))
        return err_set(e, ERR_INVALID, "a template cannot be called '%.253s'", in.name);
    if (kube_settings_template(s, in.name))
        return err_set(e, ERR_INVALID, "there are two templates called '%s'", in.name);
    add_template(s, in.name, in.cluster_scope);
    return 0;
}

static int read_templates(struct kube_settings *s, const json_t *list, struct err *e)
{
    size_t i;
    json_t *item;
    if (list)
        templates_done(s);
    json_array_foreach((json_t *)list, i, item)
    {
        if (read_template(s, item, e) < 0) {
            err_wrap(e, "templates[%zu]", i);
            return err_blame(e, "templates[%zu]", i);
        }
    }
    if (s->template && !kube_name_is_valid(s->template))
        return err_set(e, ERR_INVALID, "a template cannot be called '%s'", s->template);
    if (s->template && !kube_settings_template(s, s->template))
        add_template(s, s->template, false);
    return 0;
}

struct settings_in {
    const char *ns, *image, *pull_policy, *runner, *service_account, *results, *template,
        *argo_service_account, *argo_instance, *argo_server, *argo_token_file, *argo_ca_file;
    const json_t *pull_secrets, *mounts, *templates, *pod, *container;
    int64_t cpu_request_milli, memory_request_mib, grace_s;
    bool argo_insecure;
};

#define AT(member) offsetof(struct settings_in, member)
static const struct json_field settings_fields[] = {
    {"namespace", JSON_FIELD_TEXT, AT(ns), .least = 1, .most = 63},
    {"image", JSON_FIELD_TEXT, AT(image), .least = 1, .most = 500},
    {"pull_policy", JSON_FIELD_TEXT, AT(pull_policy), .least = 1, .most = 16},
    {"runner", JSON_FIELD_TEXT, AT(runner), .least = 1, .most = 16},
    {"service_account", JSON_FIELD_TEXT, AT(service_account), .least = 1, .most = 253},
    {"results", JSON_FIELD_TEXT, AT(results), .least = 1, .most = 50},
    {"pull_secrets", JSON_FIELD_ARRAY, AT(pull_secrets), .least = 0, .most = SECRETS_MOST},
    {"mounts", JSON_FIELD_ARRAY, AT(mounts), .least = 0, .most = MOUNTS_MOST},
    {"pod", JSON_FIELD_OBJECT, AT(pod)},
    {"container", JSON_FIELD_OBJECT, AT(container)},
    {"cpu_request_milli", JSON_FIELD_INT, AT(cpu_request_milli), .least = 0, .most = 1000000},
    {"memory_request_mib", JSON_FIELD_INT, AT(memory_request_mib), .least = 0, .most = 1 << 26},
    {"grace_s", JSON_FIELD_INT, AT(grace_s), .least = 1, .most = 3600},
    {"template", JSON_FIELD_TEXT, AT(template), .least = 1, .most = 253},
    {"templates", JSON_FIELD_ARRAY, AT(templates), .least = 0, .most = TEMPLATES_MOST},
    {"argo_service_account", JSON_FIELD_TEXT, AT(argo_service_account), .least = 1, .most = 253},
    {"argo_instance", JSON_FIELD_TEXT, AT(argo_instance), .least = 1, .most = 63},
    {"argo_server", JSON_FIELD_TEXT, AT(argo_server), .least = 1, .most = 500},
    {"argo_token_file", JSON_FIELD_TEXT, AT(argo_token_file), .least = 1, .most = 4096},
    {"argo_ca_file", JSON_FIELD_TEXT, AT(argo_ca_file), .least = 1, .most = 4096},
    {"argo_insecure", JSON_FIELD_BOOL, AT(argo_insecure)},
};
#undef AT

static void take_text(char **into, const char *text)
{
    if (!text)
        return;
    free(*into);
    *into = mem_strdup(text);
}

static void take_object(json_t **into, const json_t *object)
{
    if (!object)
        return;
    json_decref(*into);
    *into = json_incref((json_t *)object);
}

static int check(const struct kube_settings *s, struct err *e)
{
    static const char *const policies[] = {"Always", "IfNotPresent", "Never"};
    bool known = !s->pull_policy;
    for (size_t i = 0; i < COUNT_OF(policies) && !known; i++)
        known = strcmp(policies[i], s->pull_policy) == 0;
    if (!known)
        return err_set(e, ERR_INVALID, "field 'pull_policy' must be Always, IfNotPresent or Never");
    if (s->ns && !kube_name_is_valid(s->ns))
        return err_set(e, ERR_INVALID, "'%s' cannot be the name of a namespace", s->ns);
    if (s->results && !kube_settings_mount(s, s->results))
        return err_set(e, ERR_INVALID, "field 'results' names mount '%s', which is not there",
                       s->results);
    if (s->pod && json_object_get(s->pod, "containers"))
        return err_set(e, ERR_INVALID,
                       "field 'pod' cannot have containers; the job's own is "
                       "changed by field 'container'");
    return 0;
}

int kube_settings_parse(struct kube_settings *s, const char *p, size_t len, struct err *e)
{
    auto_json json_t *tree = NULL;
    struct settings_in in = {.cpu_request_milli = s->cpu_request_milli,
                             .memory_request_mib = s->memory_request_mib,
                             .grace_s = s->grace_s,
                             .argo_insecure = s->argo_insecure};
    if (yaml_parse(p, len, &tree, e) < 0 ||
        json_read_fields(tree, settings_fields, COUNT_OF(settings_fields), true, &in, e) < 0)
        return -1;
    const struct {
        char **into;
        const char *text;
    } texts[] = {{&s->ns, in.ns},
                 {&s->image, in.image},
                 {&s->pull_policy, in.pull_policy},
                 {&s->runner, in.runner},
                 {&s->service_account, in.service_account},
                 {&s->results, in.results},
                 {&s->template, in.template},
                 {&s->argo_service_account, in.argo_service_account},
                 {&s->argo_instance, in.argo_instance},
                 {&s->argo_server, in.argo_server},
                 {&s->argo_token_file, in.argo_token_file},
                 {&s->argo_ca_file, in.argo_ca_file}};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        take_text(texts[i].into, texts[i].text);
    take_object(&s->pod, in.pod);
    take_object(&s->container, in.container);
    s->cpu_request_milli = in.cpu_request_milli;
    s->memory_request_mib = in.memory_request_mib;
    s->grace_s = in.grace_s;
    s->argo_insecure = in.argo_insecure;
    if (read_mounts(s, in.mounts, e) < 0 || read_secrets(s, in.pull_secrets, e) < 0 ||
        read_templates(s, in.templates, e) < 0)
        return -1;
    return check(s, e);
}

static int read_file(struct kube_settings *s, const char *path, struct err *e)
{
    auto_free char *text = NULL;
    size_t len;
    if (file_read(path, FILE_MOST, &text, &len, e) < 0 || kube_settings_parse(s, text, len, e) < 0)
        return err_wrap(e, "could not read the cluster's settings '%s'", path);
    return 0;
}

static int is_settings_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && strcmp(dot, ".yaml") == 0;
}

int kube_settings_read(struct kube_settings *s, const char *path, struct err *e)
{
    struct dirent **entries;
    int rc = 0, count = scandir(path, &entries, is_settings_file, alphasort);
    if (count < 0)
        return read_file(s, path, e);
    for (int i = 0; i < count; i++) {
        auto_free char *file = mem_printf("%s/%s", path, entries[i]->d_name);
        if (rc == 0)
            rc = read_file(s, file, e);
        free(entries[i]);
    }
    free(entries);
    return rc;
}
