/* A machine with GPUs for tests: a report whose readings a test then changes. */
#ifndef UNIT_AGENT_MACHINE_H
#define UNIT_AGENT_MACHINE_H

#include "gpu/gpu.h"
#include "node/host.h"

#include <stdio.h>
#include <stdlib.h>

#define GIB ((int64_t)1 << 30)

/* COUNT idle devices of 10 GiB, "GPU-0" and so on. free() it. */
static inline struct gpu_report *a_report(uint32_t count)
{
    struct gpu_report *r = calloc(1, sizeof *r + count * sizeof(struct gpu_device));
    r->boot_ms = 100000;
    r->device_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct gpu_device *d = &r->devices[i];
        gpu_info_clear(&d->info);
        gpu_sample_clear(&d->sample);
        d->info.index = i;
        snprintf(d->info.uuid, sizeof d->info.uuid, "GPU-%u", i);
        snprintf(d->info.name, sizeof d->info.name, "Model \"X\"");
        snprintf(d->info.vendor, sizeof d->info.vendor, "nvidia");
        d->info.memory_total_bytes = d->sample.memory_total_bytes = 10 * GIB;
        d->sample.memory_used_bytes = 0;
        d->sample.memory_free_bytes = 10 * GIB;
        d->sample.utilization_pct = 0;
        d->sample.power_mw = 19500;
        d->sample.boot_ms = r->boot_ms;
        d->last_xid = GPU_NO_READING;
    }
    return r;
}

static inline void add_process(struct gpu_device *d, uint32_t pid, int64_t bytes, int64_t util)
{
    d->sample.processes[d->sample.process_count++] = (struct gpu_process){pid, 'C', bytes, util};
    d->sample.process_total++;
    d->sample.memory_used_bytes += bytes;
    d->sample.memory_free_bytes -= bytes;
    d->sample.utilization_pct += util;
}

#endif
