#include "runner/kube_runner.h"

#include "base/json.h"
#include "base/mem.h"

#include <ctype.h>

const struct kube_runner *const kube_runners[] = {
    &kube_runner_pod, &kube_runner_job, &kube_runner_argo, &kube_runner_argo_server, NULL};

const struct kube_runner *kube_runner_find(const char *name)
{
    for (size_t i = 0; kube_runners[i]; i++)
        if (strcmp(kube_runners[i]->name, name) == 0)
            return kube_runners[i];
    return NULL;
}

const struct kube_runner *kube_runner_of(const struct kube_work *w, const struct kube_settings *s,
                                         struct err *e)
{
    bool has_template = w->template || (!w->command && !w->image && s->template);
    const char *usual = s->runner ? s->runner : "kube-pod";
    if (has_template && !text_starts_with(usual, "argo"))
        usual = "argo";
    const char *name = w->runner ? w->runner : usual;
    const struct kube_runner *r = kube_runner_find(name);
    if (!r)
        err_set(e, ERR_INVALID, "there is no way '%s' to run a job in a cluster", name);
    return r;
}

/* ---- a job's spec ---- */

int kube_work_read(const char *spec, struct kube_work *ret, struct err *e)
{
#define AT(member) offsetof(struct kube_work, member)
    static const struct json_field fields[] = {
        {"command", JSON_FIELD_ARRAY, AT(command)},
        {"env", JSON_FIELD_OBJECT, AT(env)},
        {"labels", JSON_FIELD_OBJECT, AT(labels)},
        {"mounts", JSON_FIELD_ARRAY, AT(mounts)},
        {"template", JSON_FIELD_OBJECT, AT(template)},
        {"owner", JSON_FIELD_OBJECT, AT(owner)},
        {"image", JSON_FIELD_TEXT, AT(image)},
        {"runner", JSON_FIELD_TEXT, AT(runner)},
        {"work_dir", JSON_FIELD_TEXT, AT(work_dir)},
        {"config_file", JSON_FIELD_TEXT, AT(config_file)},
        {"progress", JSON_FIELD_TEXT, AT(progress)},
    };
#undef AT
    *ret = (struct kube_work){0};
    if (json_parse(spec, strlen(spec), &ret->tree, e) < 0 ||
        json_read_fields(ret->tree, fields, COUNT_OF(fields), false, ret, e) < 0) {
        kube_work_done(ret);
        return err_wrap(e, "the job's spec");
    }
    const char **texts[] = {&ret->image, &ret->runner, &ret->work_dir, &ret->config_file,
                            &ret->progress};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (*texts[i] && !**texts[i])
            *texts[i] = NULL;
    if (json_array_size(ret->command) == 0)
        ret->command = NULL;
    return 0;
}

void kube_work_done(struct kube_work *w)
{
    json_decref(w->tree);
    *w = (struct kube_work){0};
}

int64_t kube_deadline_s(const struct runner_attempt *a, const struct kube_place *p)
{
    return a->time_limit_ms ? (a->time_limit_ms + p->start_limit_ms + 999) / 1000 + 60 : 0;
}

void runner_view_say(struct runner_view *v, const char *words, const char *message)
{
    char why[sizeof v->why];
    size_t len = strnlen(message, sizeof why);
    while (len && (message[len - 1] == '.' || message[len - 1] == '\n'))
        len--;
    snprintf(why, sizeof why, "%s%s%.*s", words, len && *words ? ": " : "", (int)len, message);
    for (len = strlen(why); len && !text_is_utf8(why, len);)
        why[--len] = '\0';
    for (char *p = why; *p; p++)
        if (*p == '\n')
            *p = ' ';
    memcpy(v->why, why, sizeof v->why);
}

/* ---- requests ---- */

void runner_request_done(struct runner_request *r)
{
    text_done(&r->target);
    text_done(&r->body);
    *r = (struct runner_request){0};
}

void kube_request_create(const struct kube_kind *kind, const char *ns, struct runner_request *ret)
{
    ret->method = HTTP_POST;
    kube_path(&ret->target, &kind->at, ns, NULL, NULL);
}

void kube_runner_get(const struct kube_runner *r, const char *ns, const char *name,
                     struct runner_request *ret)
{
    if (r->get) {
        r->get(ns, name, ret);
        return;
    }
    ret->method = HTTP_GET;
    ret->repeatable = true;
    kube_path(&ret->target, &r->kind->at, ns, name, NULL);
}

/* The others' finalizers stay. In its own version, so that one put on meanwhile is not lost: a
 * conflict is told, and asked anew with what the watch shows then. */
void kube_runner_release(const struct kube_runner *r, const struct kube_head *object,
                         struct runner_request *ret)
{
    if (r->release) {
        r->release(object, ret);
        return;
    }
    ret->method = HTTP_PATCH;
    ret->type = "application/merge-patch+json";
    ret->repeatable = true;
    kube_path(&ret->target, &r->kind->at, object->ns, object->name, NULL);
    struct json_out o = {.text = &ret->body};
    jo_object(&o, NULL);
    jo_object(&o, "metadata");
    jo_text(&o, "uid", object->uid);
    jo_text(&o, "resourceVersion", object->version);
    jo_list(&o, "finalizers");
    for (const struct kube_word *f = object->finalizers; f; f = f->next)
        if (strcmp(f->text, KUBE_FINALIZER) != 0)
            jo_text(&o, NULL, f->text);
    jo_end(&o);
    jo_end(&o);
    jo_end(&o);
}

/* GRACE_S -1: as the object says. */
static void delete (const struct kube_runner *r, const struct kube_head *object, int64_t grace_s,
                    struct runner_request *ret)
{
    ret->method = HTTP_DELETE;
    ret->repeatable = true;
    kube_path(&ret->target, &r->kind->at, object->ns, object->name, NULL);
    struct json_out o = {.text = &ret->body};
    jo_object(&o, NULL);
    jo_object(&o, "preconditions");
    jo_text(&o, "uid", object->uid);
    jo_end(&o);
    if (grace_s >= 0)
        jo_int(&o, "gracePeriodSeconds", grace_s);
    jo_text(&o, "propagationPolicy", "Background");
    jo_end(&o);
}

void kube_runner_cancel(const struct kube_runner *r, const struct kube_head *object,
                        int64_t grace_s, struct runner_request *ret)
{
    if (r->cancel)
        r->cancel(object, grace_s, ret);
    else
        delete (r, object, grace_s, ret);
}

void kube_runner_remove(const struct kube_runner *r, const struct kube_head *object,
                        struct runner_request *ret)
{
    if (r->remove)
        r->remove(object, ret);
    else
        delete (r, object, -1, ret);
}

/* ---- marks ---- */

/* What may stand as a label's value: at most 63 bytes, a letter or digit at both ends. */
static void write_label(struct json_out *o, const char *key, const char *value)
{
    char text[64];
    size_t len = 0;
    for (const char *p = value; *p && len < sizeof text - 1; p++) {
        char c = *p;
        bool plain = isalnum((unsigned char)c);
        if (!plain && !strchr("-_.", c))
            c = '_';
        if (plain || len)
            text[len++] = c;
    }
    while (len && !isalnum((unsigned char)text[len - 1]))
        len--;
    text[len] = '\0';
    jo_text(o, key, text);
}

void kube_write_marks(struct json_out *o, const struct runner_attempt *a,
                      const struct kube_place *p, const struct kube_work *w)
{
    char number[24];
    jo_object(o, "labels");
    jo_text(o, KUBE_LABEL_SITE, p->site);
    snprintf(number, sizeof number, "%lld", (long long)a->job);
    jo_text(o, KUBE_LABEL_JOB, number);
    snprintf(number, sizeof number, "%lld", (long long)a->n);
    jo_text(o, KUBE_LABEL_ATTEMPT, number);
    write_label(o, KUBE_LABEL_USER, a->user);
    jo_end(o);
    jo_object(o, "annotations");
    jo_text(o, KUBE_ANNOTATION_ID, a->id);
    jo_text(o, KUBE_ANNOTATION_NODE, p->node);
    jo_text(o, KUBE_ANNOTATION_RUNNER, p->runner);
    if (w->progress)
        jo_text(o, KUBE_ANNOTATION_PROGRESS, w->progress);
    if (a->time_limit_ms) {
        snprintf(number, sizeof number, "%lld", (long long)a->time_limit_ms);
        jo_text(o, KUBE_ANNOTATION_LIMIT, number);
    }
    jo_end(o);
}

/* What came from a custom resource goes with it, where both are in one namespace: Kubernetes knows
 * no owners elsewhere. It does not control our object, and need not wait for it. */
static void write_owner(struct json_out *o, const json_t *owner, const char *ns)
{
    static const char *const members[] = {"apiVersion", "kind", "name", "uid"};
    const char *of = json_string_value(json_object_get(owner, "namespace"));
    if (!of || strcmp(of, ns) != 0)
        return;
    jo_list(o, "ownerReferences");
    jo_object(o, NULL);
    for (size_t i = 0; i < COUNT_OF(members); i++)
        jo_text(o, members[i], json_string_value(json_object_get(owner, members[i])));
    jo_end(o);
    jo_end(o);
}

void kube_write_metadata(struct json_out *o, const struct runner_attempt *a,
                         const struct kube_place *p, const struct kube_settings *s,
                         const struct kube_work *w)
{
    jo_object(o, "metadata");
    jo_text(o, "name", a->name);
    jo_text(o, "namespace", s->ns);
    kube_write_marks(o, a, p, w);
    write_owner(o, w->owner, s->ns);
    jo_list(o, "finalizers");
    jo_text(o, NULL, KUBE_FINALIZER);
    jo_end(o);
    jo_end(o);
}
