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

struct status_input {
    const char *node, *version, *link;
    int64_t wall_ms, sample_ms;
    const struct gate_limits *limits;
    const struct gpu_report *gpus;  /* NULL: none yet */
    const struct host_sample *host; /* NULL: none yet */
    const struct devices *devices;
    /* Which attempt of ours holds the device. */
    bool (*job_on)(void *arg, const char *uuid, struct status_job *ret);
    void *arg;
};

void status_write(const struct status_input *in, struct text *out);

/* The device that would be offered next: the first in the driver's order that is neither ours nor
 * busy nor broken; the first of all when there is none; NULL without any. */
const struct gpu_device *status_device(const struct status_input *in);

#endif
