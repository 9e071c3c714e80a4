/*
 * Pods of this node and the GPUs that they hold: kubelet's list, kept as it was last told. Says
 * which of them are attempts of ours, and which are somebody else's.
 */
#ifndef AGENT_PODS_H
#define AGENT_PODS_H

#include "agent/agent.h"
#include "kubelet/pod_resources.h"

/* Does nothing where there is no kubelet. Never NULL. */
struct pods *pods_start(struct agent *agent);
void pods_stop(struct pods *p);

/* Asks kubelet, unless a question is under way. NULL is fine. */
void pods_look(struct pods *p);

/* Has kubelet answered yet? */
bool pods_are_known(const struct pods *p);

/* The container that holds the GPU with this uuid; NULL: none. */
const struct pod_holding *pods_holding(const struct pods *p, const char *uuid);
/* The same as devices.h asks for it: whose the GPU is, and in words. */
enum owner pods_owner(const struct pods *p, const char *uuid, char words[DEVICE_HOLDER_SIZE]);

/* Is a pod of this name an attempt of ours? Not before the control plane has told its site. */
bool pods_is_ours(const struct agent *agent, const char *pod, int64_t *ret_job, int64_t *ret_n);

/* Attempts of ours that have GPUs here: for reports. Writes at most ROOM; their texts are good
 * until the loop's next turn. */
struct report_bound;
size_t pods_bound(const struct pods *p, struct report_bound *ret, size_t room);

#endif
