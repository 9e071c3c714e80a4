/*
 * Offers this node's devices to kubelet: a device plugin. It keeps itself registered whatever
 * kubelet does (restart, empty its folder, come later), and says at once when a device falls ill.
 *
 *     ABSENT    kubelet has no folder here
 *     WAITING   it has, but does not run, or did not take us yet
 *     YIELDING  another plugin serves the resource: we keep away
 *     SERVING   kubelet listens to our list
 *
 * What should be done is worked out anew from what is there, whenever something may have changed
 * (inotify, a stream that ends, a look every ten seconds). Belongs to the loop's thread.
 */
#ifndef KUBELET_DEVICE_PLUGIN_H
#define KUBELET_DEVICE_PLUGIN_H

#include "kubelet/plugin_answer.h"

#include <uv.h>

enum device_plugin_state { PLUGIN_ABSENT, PLUGIN_WAITING, PLUGIN_YIELDING, PLUGIN_SERVING };
/* "absent", "waiting", "yielding", "serving". */
const char *device_plugin_state_word(enum device_plugin_state state);

/* Texts are copied. */
struct device_plugin_config {
    const char *kubelet;  /* its folder: "/var/lib/kubelet" */
    const char *resource; /* "nvidia.com/gpu" */
    bool yields;          /* to another plugin for the same resource */
    plugin_grant_fn *grant;
    /* The state, or the reason for it, is another one. */
    void (*on_state)(void *arg, enum device_plugin_state state, const char *why);
    void *arg;
};

struct device_plugin;

/* It does nothing before the first device_plugin_set(). Never NULL. */
struct device_plugin *device_plugin_start(uv_loop_t *loop,
                                          const struct device_plugin_config *config);
/* The devices as they are now, copied. Told when they differ from the last. */
void device_plugin_set(struct device_plugin *p, const struct plugin_device *devices, size_t count);
/* kubelet takes the devices off. Nothing is called any more. NULL is fine. */
void device_plugin_stop(struct device_plugin *p);

#endif
