/*
 * What a container is given with its GPUs when kubelet gives them to it: variables that name them,
 * device nodes, mounts, CDI names. Pure.
 */
#ifndef AGENT_PLUGIN_GRANT_H
#define AGENT_PLUGIN_GRANT_H

#include "base/option.h"
#include "gpu/gpu.h"
#include "kubelet/plugin_answer.h"

/* Where the simulator's library is in a container. */
#define GRANT_SIMULATOR_FOLDER "/run/reeve/gpu"

struct grant_config {
    const char
        *cdi; /* "nvidia.com/gpu": devices are named to the runtime; NULL: nodes are passed */
    const struct option_list *mounts; /* "OUTSIDE:INSIDE" or "OUTSIDE:INSIDE:rw" */
    const struct option_list *envs;   /* "NAME=VALUE" */
    bool (*exists)(const char *path); /* on this machine */

    /* Simulated GPUs have no nodes; their library goes along instead. */
    const char *simulator;            /* the folder it is in; NULL: these GPUs are real */
    const char *scenario;             /* its file's name in that folder; NULL: none */
    const char *sim_node, *sim_state; /* the simulator's variables; NULL: not set */
};

/* Whether a mount or variable is well formed. */
int grant_check_mount(const char *text, struct err *e);
int grant_check_env(const char *text, struct err *e);

/* DEVICES are some of GPUS' by uuid. ERR_UNAVAILABLE: one of them has no word from the driver. */
int grant_make(const struct grant_config *c, const struct gpu_report *gpus,
               const struct plugin_device *const *devices, size_t count, struct plugin_grant *ret,
               struct err *e);

#endif
