/* Addresses of resources, with what comes from outside escaped. */
#ifndef KUBE_PATH_H
#define KUBE_PATH_H

#include "base/text.h"

/* A kind of resource, as its address names it. */
struct kube_resource_name {
    const char *group;    /* "" for the core: "batch" */
    const char *version;  /* "v1" */
    const char *resource; /* "jobs" */
};

/* "/apis/batch/v1/namespaces/NS/jobs/NAME/SUB". NS NULL: of the whole cluster, or of all
 * namespaces; NAME NULL: the collection; SUB NULL: the thing itself. Behind what OUT has. */
void kube_path(struct text *out, const struct kube_resource_name *r, const char *ns,
               const char *name, const char *sub);

/* "&KEY=VALUE", with '?' for the first one. VALUE NULL adds nothing. */
void kube_query(struct text *out, const char *key, const char *value);
void kube_query_int(struct text *out, const char *key, int64_t value);

/* What an object may be called: 1..253 bytes of a-z, 0-9, '-' and '.', a letter or digit at both
 * ends. The only names that we put into an address ourselves. */
bool kube_name_is_valid(const char *name);

#endif
