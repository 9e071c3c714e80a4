#include "kube/object.h"

#include "base/json_out.h"
#include "base/mem.h"

static void add_target(struct text *out, const struct kube_object *o, bool collection)
{
    kube_path(out, &o->kind->at, o->kind->cluster_scoped ? NULL : o->ns,
              collection ? NULL : o->name, collection ? NULL : o->sub);
}

struct kube_call *kube_get_path(struct kube_client *c, const char *path, kube_done *on_done,
                                void *arg)
{
    return kube_send(c, &(struct kube_request){.target = path}, on_done, arg);
}

struct kube_call *kube_get(struct kube_client *c, const struct kube_object *o, kube_done *on_done,
                           void *arg)
{
    auto_text struct text target = {0};
    add_target(&target, o, false);
    return kube_get_path(c, text_get(&target), on_done, arg);
}

struct kube_call *kube_create(struct kube_client *c, const struct kube_object *o, const char *json,
                              size_t len, kube_done *on_done, void *arg)
{
    auto_text struct text target = {0};
    /* What is under an object (a binding, an eviction) is made there. */
    add_target(&target, o, !o->sub);
    return kube_send(
        c,
        &(struct kube_request){
            .method = HTTP_POST, .target = text_get(&target), .body = json, .len = len},
        on_done, arg);
}

struct kube_call *kube_replace(struct kube_client *c, const struct kube_object *o, const char *json,
                               size_t len, kube_done *on_done, void *arg)
{
    auto_text struct text target = {0};
    add_target(&target, o, false);
    return kube_send(c,
                     &(struct kube_request){
                         .method = HTTP_PUT, .target = text_get(&target), .body = json, .len = len},
                     on_done, arg);
}

struct kube_call *kube_apply(struct kube_client *c, const struct kube_object *o,
                             const char *manager, bool force, const char *json, size_t len,
                             kube_done *on_done, void *arg)
{
    auto_text struct text target = {0};
    add_target(&target, o, false);
    kube_query(&target, "fieldManager", manager);
    kube_query(&target, "force", force ? "true" : NULL);
    return kube_send(c,
                     &(struct kube_request){.method = HTTP_PATCH,
                                            .target = text_get(&target),
                                            .type = "application/apply-patch+yaml",
                                            .body = json,
                                            .len = len,
                                            .repeatable = true},
                     on_done, arg);
}

struct kube_call *kube_patch(struct kube_client *c, const struct kube_object *o, const char *json,
                             size_t len, kube_done *on_done, void *arg)
{
    auto_text struct text target = {0};
    add_target(&target, o, false);
    /* With a resourceVersion in it the second of two would be refused, so it is not sent anew. */
    bool repeatable = !memmem(json, len, "\"resourceVersion\"", strlen("\"resourceVersion\""));
    return kube_send(c,
                     &(struct kube_request){.method = HTTP_PATCH,
                                            .target = text_get(&target),
                                            .type = "application/merge-patch+json",
                                            .body = json,
                                            .len = len,
                                            .repeatable = repeatable},
                     on_done, arg);
}

struct kube_call *kube_delete(struct kube_client *c, const struct kube_object *o,
                              const struct kube_delete *how, kube_done *on_done, void *arg)
{
    auto_text struct text target = {0}, body = {0};
    struct json_out out = {.text = &body};
    add_target(&target, o, false);
    jo_object(&out, NULL);
    jo_text(&out, "apiVersion", "v1");
    jo_text(&out, "kind", "DeleteOptions");
    jo_text(&out, "propagationPolicy", how->foreground ? "Foreground" : "Background");
    if (how->grace_seconds >= 0)
        jo_int(&out, "gracePeriodSeconds", how->grace_seconds);
    if (how->uid && *how->uid) {
        jo_object(&out, "preconditions");
        jo_text(&out, "uid", how->uid);
        jo_end(&out);
    }
    jo_end(&out);
    return kube_send(c,
                     &(struct kube_request){.method = HTTP_DELETE,
                                            .target = text_get(&target),
                                            .body = body.data,
                                            .len = body.len,
                                            .repeatable = how->uid && *how->uid},
                     on_done, arg);
}

struct kube_call *kube_bind(struct kube_client *c, const char *ns, const char *pod, const char *uid,
                            const char *node, kube_done *on_done, void *arg)
{
    auto_text struct text target = {0}, body = {0};
    struct json_out out = {.text = &body};
    kube_path(&target, &(struct kube_resource_name){"", "v1", "pods"}, ns, pod, "binding");
    jo_object(&out, NULL);
    jo_text(&out, "apiVersion", "v1");
    jo_text(&out, "kind", "Binding");
    jo_object(&out, "metadata");
    jo_text(&out, "name", pod);
    jo_text(&out, "namespace", ns);
    if (uid && *uid)
        jo_text(&out, "uid", uid);
    jo_end(&out);
    jo_object(&out, "target");
    jo_text(&out, "apiVersion", "v1");
    jo_text(&out, "kind", "Node");
    jo_text(&out, "name", node);
    jo_end(&out);
    jo_end(&out);
    return kube_send(
        c,
        &(struct kube_request){
            .method = HTTP_POST, .target = text_get(&target), .body = body.data, .len = body.len},
        on_done, arg);
}
