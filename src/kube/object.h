/*
 * One object: asked for, made, changed, removed. Bodies are JSON. Answers are kube_send()'s; an
 * object in an answer's body is read with kube_record_read().
 */
#ifndef KUBE_OBJECT_H
#define KUBE_OBJECT_H

#include "kube/client.h"
#include "kube/kind.h"

/* Which one. Copied. */
struct kube_object {
    const struct kube_kind *kind;
    const char *ns;   /* NULL for what is in no namespace */
    const char *name; /* NULL when it is made: the body has its name */
    const char *sub;  /* "status"; NULL: the object itself */
};

typedef void kube_done(void *arg, const struct kube_answer *a);

struct kube_call *kube_get(struct kube_client *c, const struct kube_object *o, kube_done *on_done,
                           void *arg);

/* ERR_CONFLICT with reason AlreadyExists: somebody made it, maybe ourselves by an answer that was
 * lost: look whose it is. Not tried again when nobody knows whether it was done. */
struct kube_call *kube_create(struct kube_client *c, const struct kube_object *o, const char *json,
                              size_t len, kube_done *on_done, void *arg);

/* All of it, as read and changed, with its resourceVersion. ERR_CONFLICT: it changed meanwhile. */
struct kube_call *kube_replace(struct kube_client *c, const struct kube_object *o, const char *json,
                               size_t len, kube_done *on_done, void *arg);

/* Server-side apply: the fields in the body become MANAGER's, those it had and are not in it go;
 * the object is made when it is not there. FORCE takes fields from others, else they are
 * ERR_CONFLICT with cause FieldManagerConflict. */
struct kube_call *kube_apply(struct kube_client *c, const struct kube_object *o,
                             const char *manager, bool force, const char *json, size_t len,
                             kube_done *on_done, void *arg);

/* JSON merge patch: null removes, lists are replaced. With metadata.resourceVersion or
 * metadata.uid in it, ERR_CONFLICT when that is no longer so. */
struct kube_call *kube_patch(struct kube_client *c, const struct kube_object *o, const char *json,
                             size_t len, kube_done *on_done, void *arg);

struct kube_delete {
    const char *uid; /* only that very object: else ERR_CONFLICT; NULL: whatever has the name */
    int64_t
        grace_seconds; /* -1: as the object says. 0 is no proof of anything: kubelet may be away */
    bool foreground;   /* what it owns first; else in the background, afterwards */
};
/* ERR_NOT_FOUND: it is gone already. */
struct kube_call *kube_delete(struct kube_client *c, const struct kube_object *o,
                              const struct kube_delete *how, kube_done *on_done, void *arg);

/* Puts a pod on a node, as a scheduler does. UID "" or NULL: whatever pod has the name. */
struct kube_call *kube_bind(struct kube_client *c, const char *ns, const char *pod, const char *uid,
                            const char *node, kube_done *on_done, void *arg);

/* A list of what the server itself has, GET "/version", "/readyz" and the like. */
struct kube_call *kube_get_path(struct kube_client *c, const char *path, kube_done *on_done,
                                void *arg);

#endif
