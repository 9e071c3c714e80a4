/* The parts of a pod's spec that come from the job, from where it goes, and from the settings. */
#include "base/json.h"
#include "base/mem.h"
#include "runner/kube_runner.h"

/* ---- resources ---- */

static void write_amount(struct json_out *o, const char *key, int64_t amount, const char *unit)
{
    char text[40];
    snprintf(text, sizeof text, "%lld%s", (long long)amount, unit);
    jo_text(o, key, text);
}

/* What is requested counts against the node; limits are enforced. A device needs only its limit. */
void kube_write_resources(struct json_out *o, const struct runner_attempt *a,
                          const struct kube_place *p, const struct kube_settings *s)
{
    int64_t cpu = a->cpu_milli ? a->cpu_milli : s->cpu_request_milli;
    int64_t memory = a->memory_mib;
    if (p->memory_is_default && memory > s->memory_request_mib)
        memory = s->memory_request_mib;
    jo_object(o, "resources");
    jo_object(o, "limits");
    if (a->cpu_milli)
        write_amount(o, "cpu", a->cpu_milli, "m");
    if (a->memory_mib)
        write_amount(o, "memory", a->memory_mib, "Mi");
    for (size_t i = 0; i < p->claim_count; i++)
        write_amount(o, p->claims[i].resource, p->claims[i].count, "");
    jo_end(o);
    jo_object(o, "requests");
    if (cpu)
        write_amount(o, "cpu", cpu, "m");
    if (memory)
        write_amount(o, "memory", memory, "Mi");
    jo_end(o);
    jo_end(o);
}

/* ---- command and environment ---- */

/* Kubernetes puts variables in place of "$(NAME)"; what the user wrote is meant as it stands. */
static void write_plain(struct json_out *o, const char *key, const char *value)
{
    auto_text struct text t = {0};
    for (const char *p = value; *p; p++) {
        if (p[0] == '$' && (p[1] == '(' || p[1] == '$'))
            text_add_char(&t, '$');
        text_add_char(&t, *p);
    }
    jo_text(o, key, text_get(&t));
}

static void write_variable(struct json_out *o, const char *name, const char *value)
{
    jo_object(o, NULL);
    jo_text(o, "name", name);
    write_plain(o, "value", value);
    jo_end(o);
}

static bool is_ours(const char *name)
{
    static const char *const ours[] = {"REEVE_ATTEMPT", "REEVE_ATTEMPT_NUMBER", "REEVE_JOB_ID",
                                       "REEVE_USER", "REEVE_RESULT_DIR"};
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        if (strcmp(ours[i], name) == 0)
            return true;
    return false;
}

void kube_write_env(struct json_out *o, const struct runner_attempt *a,
                    const struct kube_settings *s, const struct kube_work *w)
{
    char number[24];
    const char *name;
    json_t *value;
    jo_list(o, "env");
    write_variable(o, "REEVE_ATTEMPT", a->id);
    snprintf(number, sizeof number, "%lld", (long long)a->n);
    write_variable(o, "REEVE_ATTEMPT_NUMBER", number);
    snprintf(number, sizeof number, "%lld", (long long)a->job);
    write_variable(o, "REEVE_JOB_ID", number);
    write_variable(o, "REEVE_USER", a->user);
    if (s->results)
        write_variable(o, "REEVE_RESULT_DIR", "/results");
    if (w->config_file && !json_object_get(w->env, "REEVE_CONFIG_FILE"))
        write_variable(o, "REEVE_CONFIG_FILE", w->config_file);
    if (!json_object_get(w->env, "PYTHONUNBUFFERED"))
        write_variable(o, "PYTHONUNBUFFERED", "1");
    json_object_foreach((json_t *)w->env, name, value)
    {
        if (json_is_string(value) && !is_ours(name))
            write_variable(o, name, json_string_value(value));
    }
    jo_end(o);
}

/* ---- tolerations ---- */

static void write_toleration(struct json_out *o, const char *text)
{
    static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute"};
    const char *effect = NULL, *colon = strrchr(text, ':');
    for (size_t i = 0; i < COUNT_OF(effects) && colon; i++)
        if (strcmp(colon + 1, effects[i]) == 0)
            effect = effects[i];
    auto_free char *key = effect ? mem_strndup(text, (size_t)(colon - text)) : mem_strdup(text);
    char *equals = strchr(key, '=');
    if (equals)
        *equals = '\0';
    jo_object(o, NULL);
    if (key[0])
        jo_text(o, "key", key);
    jo_text(o, "operator", equals ? "Equal" : "Exists");
    if (equals)
        jo_text(o, "value", equals + 1);
    if (effect)
        jo_text(o, "effect", effect);
    jo_end(o);
}

void kube_write_tolerations(struct json_out *o, const struct kube_place *p)
{
    jo_list(o, "tolerations");
    for (size_t i = 0; i < p->claim_count; i++)
        write_toleration(o, p->claims[i].resource);
    for (size_t i = 0; i < p->toleration_count; i++)
        write_toleration(o, p->tolerations[i]);
    jo_end(o);
}

/* ---- mounts ---- */

/* One that the job names, and where it is to appear. NULL: it cannot, and E says why. */
static const struct kube_mount *find_mount(const struct kube_settings *s, const json_t *item,
                                           const char **ret_path, bool *ret_read_only,
                                           struct err *e)
{
    const char *name = json_string_value(item);
    const char *path = json_string_value(json_object_get(item, "path"));
    if (!name)
        name = json_string_value(json_object_get(item, "name"));
    const struct kube_mount *m = name ? kube_settings_mount(s, name) : NULL;
    if (!m) {
        err_set(e, ERR_INVALID, "there is no mount '%.60s' in this cluster", name ? name : "");
        return NULL;
    }
    if (path && (path[0] != '/' || strchr(path, ':'))) {
        err_set(e, ERR_INVALID, "mount '%s' cannot be at '%.60s'", name, path);
        return NULL;
    }
    *ret_path = path ? path : m->path;
    *ret_read_only = m->read_only || json_is_true(json_object_get(item, "read_only"));
    return m;
}

static void write_volume(struct json_out *o, const struct kube_mount *m)
{
    jo_object(o, NULL);
    jo_text(o, "name", m->name);
    switch (m->kind) {
    case KUBE_MOUNT_HOST:
        jo_object(o, "hostPath");
        jo_text(o, "path", m->source);
        break;
    case KUBE_MOUNT_CLAIM:
        jo_object(o, "persistentVolumeClaim");
        jo_text(o, "claimName", m->source);
        break;
    case KUBE_MOUNT_NFS:
        jo_object(o, "nfs");
        jo_text(o, "server", m->server);
        jo_text(o, "path", m->source);
        break;
    }
    jo_end(o);
    jo_end(o);
}

/* A volume stands once, however often it is mounted. */
static bool was_before(const json_t *mounts, size_t i, const char *name)
{
    for (size_t k = 0; k < i; k++) {
        const json_t *item = json_array_get(mounts, k);
        const char *other = json_string_value(item);
        if (!other)
            other = json_string_value(json_object_get(item, "name"));
        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

void kube_write_pull_secrets(struct json_out *o, const struct kube_settings *s)
{
    if (!s->pull_secrets)
        return;
    jo_list(o, "imagePullSecrets");
    for (char **name = s->pull_secrets; *name; name++) {
        jo_object(o, NULL);
        jo_text(o, "name", *name);
        jo_end(o);
    }
    jo_end(o);
}

int kube_write_volumes(struct json_out *o, const struct kube_settings *s, const struct kube_work *w,
                       struct err *e)
{
    const struct kube_mount *results = s->results ? kube_settings_mount(s, s->results) : NULL;
    const char *path;
    bool read_only;
    size_t i;
    json_t *item;
    jo_list(o, "volumes");
    json_array_foreach((json_t *)w->mounts, i, item)
    {
        const struct kube_mount *m = find_mount(s, item, &path, &read_only, e);
        if (!m)
            return -1;
        if (was_before(w->mounts, i, m->name))
            continue;
        write_volume(o, m);
        if (m == results)
            results = NULL;
    }
    if (results)
        write_volume(o, results);
    jo_end(o);
    return 0;
}

static void write_volume_mount(struct json_out *o, const char *name, const char *path,
                               bool read_only, const char *below)
{
    jo_object(o, NULL);
    jo_text(o, "name", name);
    jo_text(o, "mountPath", path);
    if (read_only)
        jo_bool(o, "readOnly", true);
    if (below)
        jo_text(o, "subPath", below);
    jo_end(o);
}

int kube_write_volume_mounts(struct json_out *o, const struct runner_attempt *a,
                             const struct kube_settings *s, const struct kube_work *w,
                             struct err *e)
{
    const char *path;
    bool read_only;
    size_t i;
    json_t *item;
    jo_list(o, "volumeMounts");
    json_array_foreach((json_t *)w->mounts, i, item)
    {
        const struct kube_mount *m = find_mount(s, item, &path, &read_only, e);
        if (!m)
            return -1;
        write_volume_mount(o, m->name, path, read_only, NULL);
    }
    if (s->results) {
        auto_free char *below =
            mem_printf("job-%lld/attempt-%lld", (long long)a->job, (long long)a->n);
        write_volume_mount(o, s->results, "/results", false, below);
    }
    jo_end(o);
    return 0;
}

/* ---- the whole ---- */

static int write_container(struct json_out *o, const struct runner_attempt *a,
                           const struct kube_place *p, const struct kube_settings *s,
                           const struct kube_work *w, struct err *e)
{
    const char *image = w->image ? w->image : s->image;
    size_t i;
    json_t *item;
    if (!image)
        return err_set(e, ERR_INVALID, "the job names no image, and this cluster has no usual one");
    jo_object(o, NULL);
    jo_text(o, "name", "main");
    jo_text(o, "image", image);
    if (s->pull_policy)
        jo_text(o, "imagePullPolicy", s->pull_policy);
    if (w->command) {
        jo_list(o, "command");
        json_array_foreach((json_t *)w->command, i, item)
        {
            write_plain(o, NULL, json_is_string(item) ? json_string_value(item) : "");
        }
        jo_end(o);
    }
    if (w->work_dir)
        jo_text(o, "workingDir", w->work_dir);
    kube_write_env(o, a, s, w);
    kube_write_resources(o, a, p, s);
    if (kube_write_volume_mounts(o, a, s, w, e) < 0)
        return -1;
    jo_object(o, "securityContext");
    jo_bool(o, "allowPrivilegeEscalation", false);
    jo_end(o);
    jo_text(o, "terminationMessagePolicy", "FallbackToLogsOnError");
    jo_end(o);
    return 0;
}

static void write_selector(struct json_out *o, const char *selector)
{
    auto_free char *copy = mem_strdup(selector);
    char *rest = copy, *pair;
    jo_object(o, "nodeSelector");
    while ((pair = strsep(&rest, ","))) {
        char *equals = strchr(pair, '=');
        if (!equals)
            continue;
        *equals = '\0';
        if (strcmp(pair, KUBE_NO_LABEL) != 0)
            jo_text(o, pair, equals + 1);
    }
    jo_end(o);
}

static int write_own(struct json_out *o, const struct runner_attempt *a, const struct kube_place *p,
                     const struct kube_settings *s, const struct kube_work *w, int64_t limit_s,
                     struct err *e)
{
    jo_text(o, "restartPolicy", "Never");
    jo_text(o, "nodeName", p->node);
    if (p->selector && p->selector[0])
        write_selector(o, p->selector); /* kubelet looks once more */
    jo_int(o, "terminationGracePeriodSeconds", s->grace_s);
    if (limit_s)
        jo_int(o, "activeDeadlineSeconds", limit_s > INT32_MAX ? INT32_MAX : limit_s);
    jo_bool(o, "enableServiceLinks", false);
    if (s->service_account)
        jo_text(o, "serviceAccountName", s->service_account);
    else
        jo_bool(o, "automountServiceAccountToken", false);
    kube_write_pull_secrets(o, s);
    jo_object(o, "securityContext");
    jo_object(o, "seccompProfile");
    jo_text(o, "type", "RuntimeDefault");
    jo_end(o);
    jo_end(o);
    kube_write_tolerations(o, p);
    if (kube_write_volumes(o, s, w, e) < 0)
        return -1;
    jo_list(o, "containers");
    if (write_container(o, a, p, s, w, e) < 0)
        return -1;
    jo_end(o);
    return 0;
}

/* As a JSON merge patch does, but lists are added to: what the job has stays. */
static void merge(json_t *into, const json_t *more)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)more, key, value)
    {
        json_t *have = json_object_get(into, key);
        if (json_is_null(value))
            json_object_del(into, key);
        else if (json_is_object(have) && json_is_object(value))
            merge(have, value);
        else if (json_is_array(have) && json_is_array(value))
            json_array_extend(have, value);
        else
            json_object_set_new(into, key, json_deep_copy(value));
    }
}

int kube_write_pod_spec(struct json_out *o, const struct runner_attempt *a,
                        const struct kube_place *p, const struct kube_settings *s,
                        const struct kube_work *w, int64_t limit_s, struct err *e)
{
    if (!s->pod && !s->container)
        return write_own(o, a, p, s, w, limit_s, e);
    auto_text struct text t = {0};
    auto_json json_t *tree = NULL;
    struct json_out own = {.text = &t};
    const char *key;
    json_t *value;
    jo_object(&own, NULL);
    if (write_own(&own, a, p, s, w, limit_s, e) < 0)
        return -1;
    jo_end(&own);
    if (json_parse(text_get(&t), t.len, &tree, e) < 0)
        return -1;
    if (s->pod)
        merge(tree, s->pod);
    if (s->container)
        merge(json_array_get(json_object_get(tree, "containers"), 0), s->container);
    json_object_foreach(tree, key, value)
    {
        auto_free char *text = json_write(value);
        jo_raw(o, key, text, strlen(text));
    }
    return 0;
}
