/*
 * Objects of ours carry a finalizer, so that nobody's deletion takes a result away before it is
 * kept. Without Reeve nobody takes it off, and what is deleted would stay for ever, with its
 * namespace: so this does.
 */
#include "base/mem.h"
#include "cli/doctor.h"
#include "cli/json_view.h"
#include "cli/kube_side.h"

#include <string.h>

#define OURS "reeve.gpu/"

/* Every kind that we put finalizers on. Those that are not installed are passed over. */
static const struct kube_resource_name kinds[] = {
    {"", "v1", "pods"},
    {"batch", "v1", "jobs"},
    {"argoproj.io", "v1alpha1", "workflows"},
    {"reeve.gpu", "v1alpha1", "trainingjobs"},
    {"gpu.k8s.io", "v1", "gpuallocations"},
};

/* The others' finalizers, as JSON; NULL: there is none of ours. */
static json_t *others(const json_t *meta)
{
    auto_json json_t *rest = json_array();
    const json_t *all = json_object_get(meta, "finalizers");
    size_t i;
    json_t *item;
    json_array_foreach(all, i, item)
    {
        const char *name = json_string_value(item);
        if (name && !text_starts_with(name, OURS))
            json_array_append(rest, item);
    }
    return json_array_size(rest) == json_array_size(all) ? NULL : TAKE(rest);
}

/* Only of the object as it was seen: whoever changed it meanwhile may have put others on. */
static char *write_patch(const json_t *meta, json_t *rest)
{
    auto_json json_t *patch =
        json_pack("{s:{s:s,s:s,s:O}}", "metadata", "uid", view_text(meta, "uid"), "resourceVersion",
                  view_text(meta, "resourceVersion"), "finalizers", rest);
    return json_write(patch);
}

static int release_one(struct kube_side *s, const struct kube_resource_name *kind,
                       const json_t *meta, size_t *released, struct err *e)
{
    auto_json json_t *rest = others(meta);
    if (!rest)
        return 0;
    auto_free char *patch = write_patch(meta, rest);
    auto_text struct text target = {0};
    const char *ns = view_text(meta, "namespace");
    kube_path(&target, kind, *ns ? ns : NULL, view_text(meta, "name"), NULL);
    if (kube_side_send(s, HTTP_PATCH, text_get(&target), "application/merge-patch+json", patch,
                       NULL, e) < 0 &&
        e->code != ERR_NOT_FOUND)
        return err_wrap(e, "could not release '%s' in namespace '%s'", view_text(meta, "name"), ns);
    (*released)++;
    return 0;
}

static int release_page(struct kube_side *s, const struct kube_resource_name *kind,
                        const json_t *page, size_t *released, struct err *e)
{
    size_t i;
    json_t *item;
    json_array_foreach(view_items(page), i, item)
    {
        if (release_one(s, kind, json_object_get(item, "metadata"), released, e) < 0)
            return -1;
    }
    return 0;
}

/* NS NULL: in all namespaces. */
static int release_kind(struct kube_side *s, const struct kube_resource_name *kind, const char *ns,
                        size_t *released, struct err *e)
{
    auto_free char *next = NULL;
    do {
        auto_json json_t *page = NULL;
        auto_text struct text target = {0};
        kube_path(&target, kind, ns, NULL, NULL);
        kube_query_int(&target, "limit", 500);
        kube_query(&target, "continue", next);
        if (kube_side_get_heads(s, text_get(&target), &page, e) < 0 ||
            release_page(s, kind, page, released, e) < 0)
            return -1;
        free(next);
        const char *more = view_text(json_object_get(page, "metadata"), "continue");
        next = *more ? mem_strdup(more) : NULL;
    } while (next);
    return 0;
}

int doctor_release(const struct doctor_options *o, size_t *ret_released, struct err *e)
{
    auto_kube_side struct kube_side *s = NULL;
    *ret_released = 0;
    if (kube_side_open(o->kube, o->kube_context, &s, e) < 0)
        return -1;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        int rc = release_kind(s, &kinds[i], NULL, ret_released, e);
        if (rc < 0 && e->code == ERR_DENIED) /* then at least where jobs are */
            rc = release_kind(s, &kinds[i], o->kube_namespace, ret_released, e);
        if (rc < 0 && e->code != ERR_NOT_FOUND)
            return -1;
    }
    return 0;
}
