/*
 * What a node of the cluster is to the fleet, out of its record and of what other people's pods ask
 * for there. Functions of facts, nothing else.
 */
#ifndef CLUSTER_FACTS_H
#define CLUSTER_FACTS_H

#include "engine/engine.h"
#include "kube/node.h"
#include "kube/pod.h"

/* What pods that are not ours ask for on one node. */
struct foreign_sums {
    int64_t cpu_milli, memory_bytes, gpus;
};

/* Adds what POD asks for, unless it is over. */
void foreign_add(struct foreign_sums *sums, const struct kube_pod *pod);

/* Whether a resource is one of GPUs: its vendor's name; NULL: it is not. */
const char *gpu_vendor_of(const char *resource);

struct node_facts {
    char boot_id[FLEET_NAME], version[32];
    int64_t cpu_milli, memory_mib;             /* allocatable */
    int64_t share_cpu_milli, share_memory_mib; /* of it is left for us */
    int64_t foreign_gpus;
    bool is_heard; /* its kubelet says that it is well */
    bool is_out;   /* out of service: whatever ran there does not any more */
    bool cordoned; /* no new work */
    char why[128]; /* not */
    char **labels; /* "key=value" */
    char **taints; /* "key=value:Effect", of those that keep pods away */
    size_t label_count, taint_count;
    struct device_report *devices; /* as they are counted: nobody knows which is which */
    size_t device_count;
};

void node_facts_read(const struct kube_node *n, const struct foreign_sums *foreign,
                     struct node_facts *ret);
void node_facts_done(struct node_facts *f);
/* The same for the same facts. */
uint64_t node_facts_hash(const struct node_facts *f);

/* The resource and, in "NODE/RESOURCE/INDEX", the place of a counted device; false: it is none of
 * this node. RESOURCE must have room for FLEET_NAME + 32 bytes. */
bool counted_device_read(const char *uuid, const char *node, char *resource);
/* The resource of a node's whole GPUs, which devices that an agent knows by name are of; NULL. */
const char *whole_gpu_resource(const struct kube_node *n);

#endif
