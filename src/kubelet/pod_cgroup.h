/* Whose process is it, by its control group: kubelet and container runtimes put pods and containers
 * into its name. Pure. */
#ifndef KUBELET_POD_CGROUP_H
#define KUBELET_POD_CGROUP_H

#include <stdbool.h>

enum {
    POD_UID_SIZE = 37,       /* 36 characters; 32 of a pod that kubelet read from a file */
    POD_CONTAINER_SIZE = 65, /* of its id, at most 64 hexadecimal digits */
};

struct pod_cgroup {
    char uid[POD_UID_SIZE];
    char container[POD_CONTAINER_SIZE]; /* "" where the path does not say */
};

/*
 * TEXT is that of /proc/PID/cgroup: versions 1 and 2 of control groups, kubelet's drivers systemd
 * and cgroupfs, any runtime. False: the process is in no pod.
 *
 *     0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope
 *     5:memory:/kubepods/burstable/pod<uid>/<id>
 *     4:cpu:/system.slice/containerd.service/kubepods-besteffort-pod<uid>.slice:cri-containerd:<id>
 */
bool pod_cgroup_parse(const char *text, struct pod_cgroup *ret);

#endif
