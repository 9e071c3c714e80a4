/*
 * Which pod holds which device: kubelet's own list (PodResources), asked over its socket. Belongs
 * to the loop's thread.
 */
#ifndef KUBELET_POD_RESOURCES_H
#define KUBELET_POD_RESOURCES_H

#include "base/err.h"
#include "base/text.h"

#include <stdint.h>
#include <uv.h>

/* One device of one container. Texts are owned by the list. */
struct pod_holding {
    const char *resource, *device; /* "nvidia.com/gpu", "GPU-..." */
    const char *namespace, *pod, *container;
};

struct pod_holdings {
    struct pod_holding *items;
    size_t count;
    void *message_; /* what the texts stand in */
};
void pod_holdings_done(struct pod_holdings *h);
/* The container that holds DEVICE, whatever the resource is called; NULL: none does. An id of a
 * shared device ("GPU-...::3") is that device's. */
const struct pod_holding *pod_holdings_find(const struct pod_holdings *h, const char *device);

/* Pure: out of the bytes of kubelet's answer. */
int pod_holdings_read(const uint8_t *bytes, size_t len, struct pod_holdings *ret, struct err *e);
/* Pure: how many devices of RESOURCE the answer about what can be given away names; -1 and E. */
int64_t pod_allocatable_read(const uint8_t *bytes, size_t len, const char *resource, struct err *e);

struct pod_resources;

/* KUBELET is kubelet's folder ("/var/lib/kubelet"). Never NULL. */
struct pod_resources *pod_resources_new(uv_loop_t *loop, const char *kubelet);
void pod_resources_free(struct pod_resources *r);

/* ON_LIST runs once, from the loop: with the list, which it takes over; or with E. Nothing happens
 * while a question is under way. */
void pod_resources_list(struct pod_resources *r,
                        void (*on_list)(void *arg, struct pod_holdings *list, const struct err *e),
                        void *arg);
/* The same: how many devices of RESOURCE kubelet could give away now; -1 with E. */
void pod_resources_allocatable(struct pod_resources *r, const char *resource,
                               void (*on_count)(void *arg, int64_t count, const struct err *e),
                               void *arg);

#endif
