/* Nodes: what they have, what they are called, whether they are well. */
#ifndef KUBE_NODE_H
#define KUBE_NODE_H

#include "kube/kind.h"

struct kube_supply {
    const struct kube_supply *next;
    const char *name;              /* "nvidia.com/gpu", "nvidia.com/mig-1g.5gb" */
    int64_t capacity, allocatable; /* pieces, or bytes */
};

struct kube_taint {
    const struct kube_taint *next;
    const char *key, *value;
    const char *effect; /* "NoSchedule", "PreferNoSchedule", "NoExecute" */
};

struct kube_condition {
    const struct kube_condition *next;
    const char *type;   /* "Ready", "MemoryPressure" */
    const char *status; /* "True", "False", "Unknown" */
    const char *reason, *message;
    int64_t changed_ms;
};

struct kube_node {
    struct kube_head head; /* with all labels, and annotations of ours */
    bool is_ready;
    bool is_cordoned;                                     /* spec.unschedulable */
    int64_t cpu_milli, memory_bytes, scratch_bytes, pods; /* allocatable */
    const struct kube_supply *supplies;                   /* all else, and the above as capacity */
    const struct kube_taint *taints;
    const struct kube_condition *conditions;
    const char *address, *hostname; /* the first internal address; "" */
    const char *boot_id, *machine_id, *system_uuid;
    const char *os, *arch, *kernel, *os_image, *runtime, *kubelet;
};

extern const struct kube_kind kube_nodes;

/* NULL: it has none. */
const struct kube_supply *kube_node_supply(const struct kube_node *n, const char *name);
const struct kube_condition *kube_condition_find(const struct kube_condition *list,
                                                 const char *type);
const struct kube_taint *kube_node_taint(const struct kube_node *n, const char *key);

/* The fields of a struct kube_condition, for the tables of other kinds. */
extern const struct kube_field kube_condition_fields[];

#endif
