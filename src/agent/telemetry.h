/*
 * Samples on their way to the control plane: the last minutes in memory, within a bound, sent by
 * remote-write. While the other side is away the oldest go first and are counted. When it is back
 * it gets the last minutes again, since it keeps its newest hour in memory only.
 */
#ifndef AGENT_TELEMETRY_H
#define AGENT_TELEMETRY_H

#include "gpu/gpu.h"
#include "node/host.h"

#include <stdbool.h>

struct agent;
struct telemetry;

enum { TELEMETRY_BYTES_MOST = 512 * 1024 };

struct telemetry *telemetry_new(struct agent *agent);
void telemetry_free(struct telemetry *t);

void telemetry_add_gpus(struct telemetry *t, const struct gpu_report *r);
void telemetry_add_host(struct telemetry *t, const struct host_sample *h);

/* Sends what was not sent, if nothing is under way and the link is up. */
void telemetry_send(struct telemetry *t);
/* All that is kept counts as not sent. */
void telemetry_rewind(struct telemetry *t);

struct telemetry_counts {
    int64_t samples, sent, dropped, bytes;
};
struct telemetry_counts telemetry_counts(const struct telemetry *t);

#endif
