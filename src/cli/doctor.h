/* What the checks of `reeve doctor` share. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "base/json.h"
#include "base/text.h"

enum verdict { GOOD, WARN, BAD };

struct doctor {
    struct cli *c;
    struct client *client; /* of the control plane; NULL until it is reached */
    json_t *items;
    bool failed, reachable;
};

/* One line of what was found; FIX is left out where it is GOOD, and may be NULL. */
void doctor_found(struct doctor *d, const char *check, enum verdict v, const char *fix,
                  const char *fmt, ...) PRINTF_LIKE(5, 6);

struct doctor_options {
    char *kube, *kube_context, *kube_namespace;
    bool release;
};

/* All that Reeve needs of a cluster, seen as the account that we are there. */
void doctor_look_at_cluster(struct doctor *d, const struct doctor_options *o);

/* Takes our finalizers off everything that has one, in all namespaces that we may see; RET_LOOKED:
 * how many objects had one. */
int doctor_release(const struct doctor_options *o, size_t *ret_released, struct err *e);

#endif
