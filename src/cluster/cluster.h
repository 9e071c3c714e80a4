/*
 * One Kubernetes cluster as part of the fleet: for the engine it is the agent of all the cluster's
 * nodes at once. It watches nodes and pods, tells the engine what is, takes the engine's lines
 * (docs/agent-protocol.md), and makes, follows and ends the objects that attempts run as. It has a
 * thread of its own, and never waits.
 *
 * It keeps nothing that matters: after a restart all is found again in the cluster, in the labels
 * and annotations of our objects.
 */
#ifndef CLUSTER_CLUSTER_H
#define CLUSTER_CLUSTER_H

#include "engine/engine.h"
#include "kube/client.h"
#include "logs/log_store.h"
#include "runner/kube_settings.h"

struct cluster;

/* All of it stays with the caller, who keeps it until cluster_free(), but for KUBE and SETTINGS. */
struct cluster_config {
    const char *name;         /* what the nodes show as their cluster; a text_is_name() */
    struct kube_config *kube; /* the cluster's from cluster_start() on, whether it starts or not */
    struct kube_settings settings; /* the same */
    int64_t start_limit_ms;        /* that a pod may take until it runs */
    int64_t keep_ms;               /* objects stay for so long after their end */
    unsigned log_streams;          /* logs followed at once; others are asked for in turn; 0: 200 */
    const struct log_store_ops *log_ops;
    struct log_store *logs;
    const char *positions; /* a file that keeps how far output was pulled; NULL: none does */
    /* How far a job is; from the cluster's thread. May be NULL. */
    void (*on_progress)(void *arg, int64_t job, int64_t n, int64_t done, int64_t total);
    void *arg;

    /* Work of somebody else on the cluster's thread, with its client; ARG's. START and STOP are
     * called there once each, STOP before the client goes; messages that MAILBOX took before may
     * come until cluster_free(). NULL: nobody. */
    struct cluster_guest {
        void (*start)(void *arg, struct engine *g, struct kube_client *client,
                      struct mailbox *mailbox);
        void (*stop)(void *arg);
        void *arg;
    } guest;

    /* For agents that run as pods (agents.h); NULL: they enrol as others do. */
    const char *agent_account; /* "NAMESPACE/NAME" */
    const char *ca_map, *ca_pem;

    /* For tests: pauses shorter than in life; 0: as usual. */
    int64_t tick_ms;  /* 1 s */
    int64_t ask_ms;   /* between tries of what failed; 2 s */
    int64_t press_ms; /* beyond the pods' grace, until we end what a controller should; 1 min */
};

/* On the owner's thread, once the engine has started. */
int cluster_start(struct engine *g, const struct cluster_config *config, struct cluster **ret,
                  struct err *e);

/* Any thread: on which node is the agent that shows this token of its pod's? As an api_voucher. */
bool cluster_vouch(struct cluster *c, const char *token,
                   void (*on_done)(void *own, const char *node, const struct err *why), void *own);

/* Sends and asks nothing from now on. On the owner's thread, before engine_stop(). Pods run on.
 * NULL is fine. */
void cluster_stop(struct cluster *c);
/* Behind engine_stop(): late answers of the engine have still found us. NULL is fine. */
void cluster_free(struct cluster *c);

#endif
