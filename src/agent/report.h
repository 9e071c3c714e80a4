/*
 * A report to the control plane, as docs/agent-protocol.md writes it. Pure: from plain records to
 * JSON text.
 */
#ifndef AGENT_REPORT_H
#define AGENT_REPORT_H

#include "agent/devices.h"
#include "base/text.h"

struct report_hello {
    const char *version, *isolation;
    int64_t cpu_milli, memory_mib;
};

struct report_attempt {
    const char *id, *state; /* "started", "refused", "ended", "lost"; "clear": the gate is open */
    int64_t job, n, ago_ms;
    /* Only of one that is over. */
    const char *outcome; /* "ended" only */
    int64_t exit_code, signal, run_ms, energy_mj;
    bool energy_measured;
    const char *why;
    const char *results, *metadata; /* JSON; NULL: none. Of "ended" only */
};

struct report_progress {
    int64_t job, n, done, total;
};

/* What a running attempt has used so far. */
struct report_meter {
    int64_t job, n, energy_mj;
    bool measured; /* all of its time is in it */
};

/* GPUs that a pod of ours has, by kubelet's word. */
struct report_bound {
    int64_t job, n;
    const char *namespace, *pod;
    const char *devices[GPU_MAX_DEVICES]; /* uuids */
    size_t device_count;
};

struct report {
    const char *boot_id, *data_id;
    int64_t seq;
    int64_t now_ms;                   /* wall clock, so that its skew can be shown; 0: not told */
    const struct report_hello *hello; /* NULL: not one */
    const struct gate_host *host;     /* NULL: nothing new */
    bool host_busy;

    const struct device_view *const *devices;
    size_t device_count;
    const struct report_attempt *attempts;
    size_t attempt_count;
    const struct report_progress *progress;
    size_t progress_count;
    const struct report_meter *meters;
    size_t meter_count;
    const struct report_bound *bound; /* all there are */
    size_t bound_count;
    bool has_bound; /* they are told, also none */
};

/* True when it says nothing at all. */
bool report_is_empty(const struct report *r);
void report_write(const struct report *r, struct text *out);

#endif
