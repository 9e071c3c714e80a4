/*
 * Which of the devices that are free a container had best get: those of one NUMA node, so that they
 * reach each other and their memory on a short way, and of the node that has the fewest left, so
 * that others stay whole for those who ask for more. Pure.
 */
#ifndef KUBELET_PREFER_H
#define KUBELET_PREFER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prefer_device {
    int64_t numa_node; /* below 0: not known, a node like any other */
    bool must;         /* has to be among them */
    bool is_chosen;    /* the answer */
};

/* Chooses WANTED of the COUNT devices; among equals, the first. ERR_INVALID: there are not that
 * many, or more of them have to be in. */
int prefer_choose(struct prefer_device *devices, size_t count, size_t wanted, struct err *e);

#endif
