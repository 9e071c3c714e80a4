/*
 * Names under which readings are known outside: DCGM-exporter's for GPUs, node_exporter's for the
 * machine. One table for /metrics and for what is sent to the control plane.
 */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include "base/text.h"
#include "gpu/gpu.h"
#include "node/host.h"

#include <math.h>

enum metric_type { METRIC_GAUGE, METRIC_COUNTER };

struct gpu_metric {
    const char *name;
    enum metric_type type;
    const char *help;
    enum gpu_reading_id reading; /* GPU_READING_COUNT: the last XID */
    double scale;                /* the reading times this is the value */
};
extern const struct gpu_metric gpu_metrics[];
extern const size_t gpu_metric_count;

/* NAN where the device has no such reading. */
double gpu_metric_value(const struct gpu_metric *m, const struct gpu_device *d);

struct host_metric {
    const char *name;
    enum metric_type type;
    const char *help;
    double (*value)(const struct host_sample *h); /* NAN: not known */
};
/* Those without labels; the first few are sent to the control plane, too. */
extern const struct host_metric host_metrics[];
extern const size_t host_metric_count, host_metric_sent_count;

/* What the agent says about itself. */
struct agent_metric {
    const char *name;
    enum metric_type type;
    const char *help;
    int64_t value;
    double scale; /* the value times this is written; 0: as it is */
};

/* Which container holds a GPU, for labels. */
struct metric_pod {
    const char *namespace, *pod, *container;
};

struct metrics_input {
    const struct gpu_report *gpus;  /* NULL: none yet */
    const struct host_sample *host; /* NULL: none yet */
    const char *hostname;
    const struct agent_metric *own;
    size_t own_count;
    /* False: no pod holds the GPU with this uuid. NULL: none ever does. */
    bool (*pod_on)(void *arg, const char *uuid, struct metric_pod *ret);
    void *arg;
};

/* The whole page, Prometheus text 0.0.4. */
void metrics_write(const struct metrics_input *in, struct text *out);

#endif
