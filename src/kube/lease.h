/* Leases: who leads, until when. An election's rules are its user's; these are the words. */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include "kube/object.h"

struct kube_lease {
    struct kube_head head;
    const char *holder; /* "" when nobody holds it */
    int64_t seconds, transitions;
    int64_t acquired_ms, renewed_ms;
    /* All of the above as the server wrote it. When it differs from what was there before, the
     * holder is alive: compare that on one's own clock, never the times in it. */
    const char *raw_spec;
};

extern const struct kube_kind kube_leases;

/* What is to be written. */
struct kube_lease_spec {
    const char *ns, *name;
    const char *version; /* as read; NULL: it is to be made */
    const char *holder;
    int64_t seconds, transitions;
    int64_t acquired_ms, renewed_ms;
};

struct kube_call *kube_lease_get(struct kube_client *c, const char *ns, const char *name,
                                 kube_done *on_done, void *arg);
/* Makes it, or replaces the version that was read. ERR_CONFLICT: somebody was faster. Tried once,
 * for as long as SECONDS at most: afterwards it would say what is no longer so. */
struct kube_call *kube_lease_put(struct kube_client *c, const struct kube_lease_spec *l,
                                 kube_done *on_done, void *arg);

#endif
