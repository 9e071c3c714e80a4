/*
 * What a cluster does for the agents that run in it as pods: it says which node each may speak for
 * (token_review.h), and puts the certificate of the control plane's own authority into a ConfigMap,
 * from which they get what to trust.
 */
#ifndef CLUSTER_AGENTS_H
#define CLUSTER_AGENTS_H

#include "kube/client.h"
#include "net/mailbox.h"

struct cluster_agents;

struct cluster_agents_config {
    const char *account; /* of the agents' pods, "NAMESPACE/NAME"; NULL: they show no tokens */
    const char *ca;      /* the ConfigMap, "NAMESPACE/NAME"; NULL: none */
    const char *ca_pem;  /* the certificate; needed with CA */
    int64_t again_ms;    /* how often the ConfigMap is written again; 0: 10 minutes */
};

/* All is copied. CLIENT is borrowed, and all belongs to the thread of its loop, to which BOX leads.
 * ERR_INVALID: a name is none. */
int cluster_agents_start(struct kube_client *client, struct mailbox *box,
                         const struct cluster_agents_config *config, struct cluster_agents **ret,
                         struct err *e);

/* On its thread, before the client goes: what is asked for is answered. The loop must run until the
 * timer has gone. NULL is fine, as below. */
void cluster_agents_stop(struct cluster_agents *a);
/* When no message to it can be in the mailbox any more. */
void cluster_agents_free(struct cluster_agents *a);

/* Any thread: as the ask() of an api_voucher. False: too many wait. */
bool cluster_agents_vouch(struct cluster_agents *a, const char *token,
                          void (*on_done)(void *own, const char *node, const struct err *why),
                          void *own);

#endif
