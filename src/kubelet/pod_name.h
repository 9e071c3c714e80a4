/*
 * What a pod is called. kubelet names the folder of a pod's logs NAMESPACE_NAME_UID, which is the
 * one place on a node where a uid leads to a name.
 */
#ifndef KUBELET_POD_NAME_H
#define KUBELET_POD_NAME_H

#include <stdbool.h>
#include <stdint.h>

enum { POD_NAME_SIZE = 254, POD_NAMESPACE_SIZE = 64 };

struct pod_name {
    char name[POD_NAME_SIZE], namespace[POD_NAMESPACE_SIZE];
};

/* Pure: FOLDER's name, if it is that of the pod with this UID. */
bool pod_name_of_folder(const char *folder, const char *uid, struct pod_name *ret);
/* Looks for it in LOGS ("/var/log/pods"). */
bool pod_name_find(const char *logs, const char *uid, struct pod_name *ret);

/* Pure: the attempt that a pod called NAME is for, when we named it (or what made it):
 * "reeve-SITE-JOB-N", perhaps with "-..." behind. */
bool pod_name_attempt(const char *name, const char *site, int64_t *ret_job, int64_t *ret_n);

#endif
