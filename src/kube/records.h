/* Records by namespace and name: an open hash table of pointers. */
#ifndef KUBE_RECORDS_H
#define KUBE_RECORDS_H

#include "kube/kind.h"

/* All zero is an empty one. */
struct kube_records {
    struct kube_head **slots;
    size_t room, count;
    size_t bytes; /* of the records themselves */
};

void kube_records_done(struct kube_records *r); /* frees the records, too */

/* NS "" for what is in none. NULL: not there. */
struct kube_head *kube_records_find(const struct kube_records *r, const char *ns, const char *name);
/* R owns RECORD from now on. The one it replaces is the caller's; NULL: it is new. */
struct kube_head *kube_records_put(struct kube_records *r, struct kube_head *record);
/* The caller owns it from now on; NULL: not there. */
struct kube_head *kube_records_take(struct kube_records *r, const char *ns, const char *name);
/* One after the other, in no order: *AT begins as 0. NULL: no more. R must not change meanwhile. */
struct kube_head *kube_records_next(const struct kube_records *r, size_t *at);

#endif
