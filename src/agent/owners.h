/*
 * Whose process is it? Ours are those below a shim of ours: shims are reapers of what their jobs
 * leave behind, so ancestry does not lie. And those in a pod that is an attempt of ours: the kernel
 * knows their control group. Answers are kept by pid and start time, since neither changes; a look
 * at a known process costs one read in /proc.
 */
#ifndef AGENT_OWNERS_H
#define AGENT_OWNERS_H

#include "agent/devices.h"
#include "kubelet/pod_cgroup.h"
#include "kubelet/pod_name.h"

#include <sys/types.h>

struct owners;

/* What is known of a process besides whose it is. */
struct process_owner {
    pid_t shim;            /* of ours that it is below; 0: none */
    struct pod_cgroup pod; /* the pod that it is in; uid "": none */
    struct pod_name name;  /* of the pod; "" where nothing tells it */
};

/* IS_SHIM says whether a process is the shim of an attempt of ours, IS_OUR_POD whether a pod is
 * one. POD_LOGS is kubelet's folder with the names of pods, copied. Never NULL. */
struct owners *owners_new(bool (*is_shim)(void *arg, pid_t pid),
                          bool (*is_our_pod)(void *arg, const char *pod), void *arg,
                          const char *pod_logs);
void owners_free(struct owners *o);

/* WORDS: the pod of a process that is somebody else's, "" where it is in none. */
enum owner owners_find(struct owners *o, uint32_t pid, char words[DEVICE_HOLDER_SIZE]);
/* Of one that was asked about since the last sweep but one; NULL: it was not. */
const struct process_owner *owners_get(const struct owners *o, uint32_t pid);

/* Forgets answers that were not asked for since the last call: once a sample. */
void owners_sweep(struct owners *o);

#endif
