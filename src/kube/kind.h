/* Kinds of objects: where they live, and what we keep of one. */
#ifndef KUBE_KIND_H
#define KUBE_KIND_H

#include "kube/build.h"
#include "kube/path.h"

/* What every record begins with. All of it is in the record's own block; texts are never NULL. */
struct kube_head {
    uint32_t size;  /* bytes of the block */
    uint32_t seen;  /* for watch.c */
    const char *ns; /* "" for what is in no namespace */
    const char *name, *uid;
    const char *version; /* resourceVersion: to be echoed, not to be understood */
    int64_t generation;
    int64_t created_ms;
    int64_t deleted_ms;                           /* deletionTimestamp; 0: nobody deleted it */
    const struct kube_pair *labels, *annotations; /* those that the kind keeps */
    const struct kube_word *finalizers;
    const char *owner_kind, *owner_name, *owner_uid; /* of the controller; "" when there is none */
};

struct kube_kind {
    struct kube_resource_name at;
    const char *kind; /* "Job" */
    bool cluster_scoped;
    size_t size;                                        /* of the record's struct */
    const struct kube_field *fields;                    /* of the object, besides metadata */
    const char *const *labels, *const *annotations;     /* prefixes of those kept; NULL: none */
    void (*finish)(struct kube_build *b, void *record); /* when all is read; may be NULL */
};

/* One object of KIND. -1: it is none (no JSON, no name). The caller frees it. */
int kube_record_read(const struct kube_kind *kind, struct kube_build *b, const char *json,
                     size_t len, struct kube_head **ret, struct err *e);

/* The same for what need not have a name, such as a bookmark of a watch. */
int kube_object_read(const struct kube_kind *kind, struct kube_build *b, const char *json,
                     size_t len, struct kube_head **ret, struct err *e);

/* Any other kind, with nothing but its head, spec and status. */
struct kube_custom {
    struct kube_head head;
    const char *spec, *status; /* JSON, at most 64 KiB each; NULL: none, or larger */
};
/* GROUP and so on must last. */
struct kube_kind kube_custom_kind(const char *group, const char *version, const char *resource,
                                  const char *kind);

#endif
