/* The Workflow of an attempt. */
#include "base/json.h"
#include "base/mem.h"
#include "runner/argo.h"

#define DAY_S       86400

/* Kubernetes puts this variable in after Argo has looked for its own. */
#define BRACE_NAME  "REEVE_BRACE"
#define BRACE_STEPS "$(" BRACE_NAME ")"

/* ---- what users write is data ---- */

/* Go's quotes, with which Argo puts values into its JSON, are no JSON for these. */
static bool has_control_characters(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < 0x20 && !strchr("\n\r\t", *s)) || *s == 0x7f)
            return true;
    return false;
}

static int check_plain(const char *what, const char *value, struct err *e)
{
    if (value && strstr(value, "{{"))
        return err_set(e, ERR_INVALID, "%s has '{{' in it, which Argo takes for a variable", what);
    if (value && has_control_characters(value))
        return err_set(e, ERR_INVALID, "%s has control characters in it", what);
    return 0;
}

/* No "{{" in it, and the same once Kubernetes has put in its variables. The caller frees it. */
static char *without_tags(const char *s)
{
    struct text t = {0};
    for (const char *p = s; *p; p++) {
        if (*p == '{' && p > s && p[-1] == '{')
            text_add(&t, BRACE_STEPS);
        else
            text_add_char(&t, *p);
    }
    return text_take(&t);
}

static void guard(json_t *text)
{
    auto_free char *safe = without_tags(json_string_value(text));
    json_string_set(text, safe);
}

/* ---- a workflow of one step: the job's own image and command ---- */

static int check_work(const struct kube_place *p, const struct kube_work *w, struct err *e)
{
    size_t i;
    json_t *item;
    if (check_plain("the image", w->image, e) < 0 ||
        check_plain("the work dir", w->work_dir, e) < 0 ||
        check_plain("the node selector", p->selector, e) < 0)
        return -1;
    json_array_foreach((json_t *)w->mounts, i, item)
    {
        if (check_plain("a mount", json_string_value(json_object_get(item, "path")), e) < 0)
            return -1;
    }
    for (i = 0; i < p->toleration_count; i++)
        if (check_plain("a toleration", p->tolerations[i], e) < 0)
            return -1;
    return 0;
}

/* The container of a pod's spec, made such that Argo sees no variables in it. */
static void guard_container(json_t *container)
{
    size_t i;
    json_t *item, *env = json_object_get(container, "env");
    json_array_foreach(json_object_get(container, "command"), i, item)
    {
        guard(item);
    }
    json_array_foreach(env, i, item)
    {
        json_t *value = json_object_get(item, "value");
        if (json_is_string(value))
            guard(value);
    }
    json_array_insert_new(env, 0, json_pack("{s:s, s:s}", "name", BRACE_NAME, "value", "{"));
}

/*
 * The very pod that kube-pod would make, as a patch of the one that Argo makes: it keeps its own
 * beside the job's container, which needs the API, and knows how it is to be restarted.
 */
static int write_own_step(struct json_out *o, const struct runner_attempt *a,
                          const struct kube_place *p, const struct kube_settings *s,
                          const struct kube_work *w, struct err *e)
{
    auto_text struct text t = {0};
    auto_json json_t *spec = NULL;
    struct json_out pod = {.text = &t};
    if (check_work(p, w, e) < 0)
        return -1;
    jo_object(&pod, NULL);
    if (kube_write_pod_spec(&pod, a, p, s, w, 0, e) < 0)
        return -1;
    jo_end(&pod);
    if (json_parse(text_get(&t), t.len, &spec, e) < 0)
        return -1;
    json_object_del(spec, "restartPolicy");
    json_object_del(spec, "automountServiceAccountToken");
    json_object_del(spec, "serviceAccountName");
    json_object_del(spec, "imagePullSecrets");
    json_t *container = json_array_get(json_object_get(spec, "containers"), 0);
    guard_container(container);
    auto_free char *patch = json_write(spec);
    auto_free char *image = json_write(json_object_get(container, "image"));
    json_t *command = json_object_get(container, "command");
    jo_text(o, "entrypoint", "main");
    jo_list(o, "templates");
    jo_object(o, NULL);
    jo_text(o, "name", "main");
    jo_object(o, "container");
    jo_raw(o, "image", image, strlen(image));
    if (command) {
        auto_free char *words = json_write(command);
        jo_raw(o, "command", words, strlen(words));
    }
    jo_end(o);
    jo_end(o);
    jo_end(o);
    jo_text(o, "podSpecPatch", patch);
    return 0;
}

/* ---- a template that an administrator named ---- */

static bool is_parameter_name(const char *s)
{
    size_t len = strlen(s);
    return len >= 1 && len <= 128 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz"
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

static int write_parameter(struct json_out *o, const char *name, const char *value, struct err *e)
{
    auto_free char *what = mem_printf("parameter '%s'", name);
    if (check_plain(what, value, e) < 0)
        return -1;
    jo_object(o, NULL);
    jo_text(o, "name", name);
    jo_text(o, "value", value);
    jo_end(o);
    return 0;
}

/* Who it is for is not the user's to say. */
static bool is_ours(const char *name)
{
    static const char *const ours[] = {"user", "job-id", "attempt", "gpus"};
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        if (strcmp(ours[i], name) == 0)
            return true;
    return false;
}

static int write_given_parameters(struct json_out *o, const json_t *given, struct err *e)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)given, name, value)
    {
        auto_free char *plain = json_is_string(value) || json_is_object(value) ||
                                        json_is_array(value) || json_is_null(value)
                                    ? NULL
                                    : json_write(value);
        const char *text = json_is_string(value) ? json_string_value(value) : plain;
        if (!is_parameter_name(name))
            return err_set(e, ERR_INVALID, "'%.60s' cannot be the name of a parameter", name);
        if (is_ours(name))
            return err_set(e, ERR_INVALID, "parameter '%s' is given by Reeve", name);
        if (!text)
            return err_set(e, ERR_INVALID, "parameter '%s' must be a text or a number", name);
        if (write_parameter(o, name, text, e) < 0)
            return -1;
    }
    return 0;
}

static int write_parameters(struct json_out *o, const struct runner_attempt *a,
                            const struct kube_place *p, const struct kube_settings *s,
                            const struct kube_work *w, struct err *e)
{
    const json_t *given = json_object_get(w->template, "parameters");
    const struct {
        const char *name, *value;
    } usual[] = {
        {"config-file", w->config_file},
        {"work-dir", w->work_dir},
        {"image", w->image ? w->image : s->image},
    };
    int64_t count = 0;
    char job[24], attempt[24], gpus[24];
    for (size_t i = 0; i < p->claim_count; i++)
        count += p->claims[i].count;
    snprintf(job, sizeof job, "%lld", (long long)a->job);
    snprintf(attempt, sizeof attempt, "%lld", (long long)a->n);
    snprintf(gpus, sizeof gpus, "%lld", (long long)count);
    jo_object(o, "arguments");
    jo_list(o, "parameters");
    if (write_parameter(o, "user", a->user, e) < 0 || write_parameter(o, "job-id", job, e) < 0 ||
        write_parameter(o, "attempt", attempt, e) < 0 || write_parameter(o, "gpus", gpus, e) < 0)
        return -1;
    for (size_t i = 0; i < COUNT_OF(usual); i++)
        if (usual[i].value && !json_object_get(given, usual[i].name) &&
            write_parameter(o, usual[i].name, usual[i].value, e) < 0)
            return -1;
    if (write_given_parameters(o, given, e) < 0)
        return -1;
    jo_end(o);
    jo_end(o);
    return 0;
}

/* By the node's name, not by its label kubernetes.io/hostname, which may be another; and by the
 * scheduler: a template may have several steps, of which one waits until another has given its
 * devices back. */
static void write_affinity(struct json_out *o, const char *node)
{
    jo_object(o, "affinity");
    jo_object(o, "nodeAffinity");
    jo_object(o, "requiredDuringSchedulingIgnoredDuringExecution");
    jo_list(o, "nodeSelectorTerms");
    jo_object(o, NULL);
    jo_list(o, "matchFields");
    jo_object(o, NULL);
    jo_text(o, "key", "metadata.name");
    jo_text(o, "operator", "In");
    jo_list(o, "values");
    jo_text(o, NULL, node);
    for (int i = 0; i < 8; i++)
        jo_end(o);
}

static void write_amount(struct json_out *o, const char *key, int64_t amount, const char *unit)
{
    char text[40];
    snprintf(text, sizeof text, "%lld%s", (long long)amount, unit);
    jo_text(o, key, text);
}

static bool claims(const struct kube_place *p, const char *resource)
{
    for (size_t i = 0; i < p->claim_count; i++)
        if (strcmp(p->claims[i].resource, resource) == 0)
            return true;
    return false;
}

/* How many devices each step gets is Reeve's decision, so others that the template asks for are
 * taken out. */
static void write_devices(struct json_out *o, const struct kube_place *p)
{
    static const char *const usual[] = {"nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915",
                                        "gpu.intel.com/xe", "habana.ai/gaudi"};
    for (size_t i = 0; i < p->claim_count; i++)
        write_amount(o, p->claims[i].resource, p->claims[i].count, "");
    for (size_t i = 0; i < COUNT_OF(usual); i++)
        if (!claims(p, usual[i]))
            jo_null(o, usual[i]);
}

/* What was asked for counts for every step; what was not is the template's to say. */
static void write_step_resources(struct json_out *o, const struct runner_attempt *a,
                                 const struct kube_place *p)
{
    bool memory = a->memory_mib && !p->memory_is_default;
    jo_object(o, "resources");
    for (int i = 0; i < 2; i++) {
        jo_object(o, i ? "requests" : "limits");
        write_devices(o, p);
        if (a->cpu_milli)
            write_amount(o, "cpu", a->cpu_milli, "m");
        if (memory)
            write_amount(o, "memory", a->memory_mib, "Mi");
        jo_end(o);
    }
    jo_end(o);
}

static void write_patch(struct json_out *o, const struct runner_attempt *a,
                        const struct kube_place *p, const struct kube_settings *s,
                        const struct kube_work *w)
{
    auto_text struct text t = {0};
    struct json_out patch = {.text = &t};
    struct kube_work none = {.config_file = w->config_file};
    jo_object(&patch, NULL);
    write_affinity(&patch, p->node);
    if (p->toleration_count || p->claim_count)
        kube_write_tolerations(&patch, p);
    jo_int(&patch, "terminationGracePeriodSeconds", s->grace_s);
    jo_list(&patch, "containers");
    jo_object(&patch, NULL);
    jo_text(&patch, "name", "main");
    kube_write_env(&patch, a, s, &none);
    write_step_resources(&patch, a, p);
    (void)kube_write_volume_mounts(&patch, a, s, &none, NULL); /* of results: it cannot fail */
    jo_end(&patch);
    jo_end(&patch);
    (void)kube_write_volumes(&patch, s, &none, NULL);
    jo_end(&patch);
    jo_text(o, "podSpecPatch", text_get(&t));
}

/* Limits for steps that name none, whatever kind they are of. */
static void write_defaults(struct json_out *o, const struct runner_attempt *a,
                           const struct kube_place *p, const struct kube_settings *s)
{
    static const char *const kinds[] = {"container", "script"};
    struct kube_place bare = *p;
    bare.claim_count = 0;
    jo_object(o, "templateDefaults");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        jo_object(o, kinds[i]);
        kube_write_resources(o, a, &bare, s);
        jo_end(o);
    }
    jo_end(o);
}

static int write_template(struct json_out *o, const struct runner_attempt *a,
                          const struct kube_place *p, const struct kube_settings *s,
                          const struct kube_work *w, struct err *e)
{
    const char *name = json_string_value(json_object_get(w->template, "name"));
    const struct kube_template *t;
    if (!name)
        name = s->template;
    if (w->command || json_object_size(w->env) || json_array_size(w->mounts))
        return err_set(e, ERR_INVALID,
                       "a job that runs a template has no command, environment or mounts of its "
                       "own; it has the template's parameters");
    t = name ? kube_settings_template(s, name) : NULL;
    if (!t)
        return err_set(e, ERR_INVALID, "there is no template '%.100s' for jobs of this cluster",
                       name ? name : "");
    if (json_is_true(json_object_get(w->template, "cluster_scope")) && !t->cluster_scope)
        return err_set(e, ERR_INVALID, "template '%s' is one of its namespace", name);
    jo_object(o, "workflowTemplateRef");
    jo_text(o, "name", t->name);
    if (t->cluster_scope)
        jo_bool(o, "clusterScope", true);
    jo_end(o);
    if (write_parameters(o, a, p, s, w, e) < 0)
        return -1;
    write_patch(o, a, p, s, w);
    write_defaults(o, a, p, s);
    return 0;
}

/* ---- the whole ---- */

static void write_times(struct json_out *o, const struct runner_attempt *a,
                        const struct kube_place *p, bool is_held)
{
    static const char *const after[] = {"secondsAfterCompletion", "secondsAfterSuccess",
                                        "secondsAfterFailure"};
    int64_t limit_s = kube_deadline_s(a, p);
    if (limit_s)
        jo_int(o, "activeDeadlineSeconds", limit_s);
    if (is_held)
        return;
    jo_object(o, "ttlStrategy");
    for (size_t i = 0; i < COUNT_OF(after); i++)
        jo_int(o, after[i], DAY_S);
    jo_end(o);
}

static int write_spec(struct json_out *o, const struct runner_attempt *a,
                      const struct kube_place *p, const struct kube_settings *s,
                      const struct kube_work *w, bool is_held, struct err *e)
{
    bool has_template = w->template || (!w->command && !w->image && s->template);
    const char *account = s->argo_service_account ? s->argo_service_account : s->service_account;
    jo_object(o, "spec");
    if ((has_template ? write_template : write_own_step)(o, a, p, s, w, e) < 0)
        return -1;
    write_times(o, a, p, is_held);
    jo_object(o, "podMetadata");
    kube_write_marks(o, a, p, w);
    jo_end(o);
    if (account && !has_template)
        jo_text(o, "serviceAccountName", account);
    kube_write_pull_secrets(o, s);
    jo_end(o);
    return 0;
}

/* The controller's instance is a label, beside those of kube_write_metadata(). */
static int write_metadata(struct json_out *o, const struct runner_attempt *a,
                          const struct kube_place *p, const struct kube_settings *s,
                          const struct kube_work *w, bool is_held, struct err *e)
{
    auto_text struct text t = {0};
    auto_json json_t *tree = NULL;
    struct json_out head = {.text = &t};
    jo_object(&head, NULL);
    kube_write_metadata(&head, a, p, s, w);
    jo_end(&head);
    if (json_parse(text_get(&t), t.len, &tree, e) < 0)
        return -1;
    json_t *metadata = json_object_get(tree, "metadata");
    if (s->argo_instance)
        json_object_set_new(json_object_get(metadata, "labels"),
                            "workflows.argoproj.io/controller-instanceid",
                            json_string(s->argo_instance));
    if (!is_held)
        json_object_del(metadata, "finalizers");
    auto_free char *text = json_write(metadata);
    jo_raw(o, "metadata", text, strlen(text));
    return 0;
}

int argo_write(struct text *out, const struct runner_attempt *a, const struct kube_place *p,
               const struct kube_settings *s, bool is_held, struct err *e)
{
    auto_kube_work struct kube_work w = {0};
    struct json_out o = {.text = out};
    if (kube_work_read(a->spec, &w, e) < 0 ||
        check_plain("the pattern of its progress", w.progress, e) < 0)
        return -1;
    jo_object(&o, NULL);
    jo_text(&o, "apiVersion", "argoproj.io/v1alpha1");
    jo_text(&o, "kind", "Workflow");
    if (write_metadata(&o, a, p, s, &w, is_held, e) < 0 ||
        write_spec(&o, a, p, s, &w, is_held, e) < 0)
        return -1;
    jo_end(&o);
    return 0;
}
