/* Pods: where one runs, what it asks for, how it goes. Some hundred bytes each. */
#ifndef KUBE_POD_H
#define KUBE_POD_H

#include "kube/kind.h"

enum kube_pod_phase {
    KUBE_POD_UNKNOWN, /* also one we do not know */
    KUBE_POD_PENDING,
    KUBE_POD_RUNNING,
    KUBE_POD_SUCCEEDED,
    KUBE_POD_FAILED,
};

enum kube_container_state { KUBE_WAITING, KUBE_RUNNING, KUBE_TERMINATED };

struct kube_container {
    const struct kube_container *next;
    const char *name;
    enum kube_container_state state;
    bool is_init, is_ready;
    int64_t exit_code, signal; /* of one that has terminated */
    int64_t restarts;
    int64_t started_ms, finished_ms;
    const char *reason, *message; /* "ImagePullBackOff", "OOMKilled" */
    const char *last_reason;      /* of the run before this one */
    int64_t last_exit_code;
};

/* What a pod asks for, all its containers and its overhead together. */
struct kube_need {
    const struct kube_need *next;
    const char *name; /* "nvidia.com/gpu" */
    int64_t count;
};

struct kube_pod {
    struct kube_head head;
    enum kube_pod_phase phase;
    bool is_ready;
    bool is_unschedulable; /* the scheduler finds no node for it; SCHEDULED_* say why */
    bool is_gated;         /* it has scheduling gates */
    const char *node;      /* "": on none yet */
    const char *scheduler;
    const char *reason, *message; /* of the pod: "Evicted", "UnexpectedAdmissionError" */
    const char *scheduled_reason, *scheduled_message;
    const char *disruption_reason; /* why it is being ended: "PreemptionByScheduler"; "" */
    int64_t priority;
    int64_t started_ms;
    int64_t cpu_milli, memory_bytes, scratch_bytes; /* requests; the last: ephemeral-storage */
    const struct kube_need *needs;                  /* of all else, without those of 0 */
    const struct kube_container *containers;        /* with those that only initialise */
};

extern const struct kube_kind kube_pods;

/* Whether it will do nothing any more: what it asked for is free. */
bool kube_pod_is_over(const struct kube_pod *p);
/* 0 when it does not ask for it. */
int64_t kube_pod_need(const struct kube_pod *p, const char *name);

#endif
