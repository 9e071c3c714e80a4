/*
 * GET /status (docs/agent-http.md): the machine as it is now, everything on it counted, judged by
 * the same figures that are shown. Pure.
 */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "agent/devices.h"
#include "base/text.h"
#include "node/host.h"

struct status_job {
    int64_t job, n;
};

/* A pod; NAME "" where only the uid is known, UID "" where only the name is. */
struct status_pod {
    const char *namespace, *name, *uid, *container;
};

/* Whose a process is. */
struct status_user {
    struct status_job job; /* 0: no attempt of ours */
    struct status_pod pod; /* name and uid "": in none */
};

struct status_input {
    const char *node, *version, *link;
    int64_t wall_ms, sample_ms;
    const struct gate_limits *limits;
    const struct gpu_report *gpus;  /* NULL: none yet */
    const struct host_sample *host; /* NULL: none yet */
    const struct devices *devices;
    /* Which attempt of ours holds the device. */
    bool (*job_on)(void *arg, const char *uuid, struct status_job *ret);
    /* Which pod holds the device, by kubelet's word. NULL: there is no kubelet. */
    bool (*pod_on)(void *arg, const char *uuid, struct status_pod *ret);
    /* False: nothing is known of the process. NULL: of none. */
    bool (*user_of)(void *arg, uint32_t pid, struct status_user *ret);
    void *arg;
    const char *device_plugin; /* its state */
};

void status_write(const struct status_input *in, struct text *out);

/* The device that would be offered next: the first in the driver's order that is neither ours nor
 * busy nor broken; the first of all when there is none; NULL without any. */
const struct gpu_device *status_device(const struct status_input *in);

#endif
