/*
 * The gate before a start, as arithmetic: what counts as free, and why something does not. Pure.
 */
#ifndef AGENT_GATE_H
#define AGENT_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A reading that is not to be had. */
#define GATE_UNKNOWN  (-1)
#define GATE_WHY_SIZE 128

/* Something is free when it has MORE than free_mib and LESS than the others, of which 100 is no
 * limit. */
struct gate_limits {
    bool off;
    int64_t free_mib, gpu_pct, cpu_pct, memory_pct;
};
#define GATE_USUAL                                                                                 \
    ((struct gate_limits){.free_mib = 2048, .gpu_pct = 80, .cpu_pct = 90, .memory_pct = 85})

/* Without what jobs of ours use. */
struct gate_device {
    int64_t free_mib, gpu_pct; /* a device that cannot tell its utilisation is judged by memory */
};
struct gate_host {
    int64_t cpu_milli_pct, memory_milli_pct;
};

/* False: WHY says what is over which limit: "1204 MiB free, more than 2048 needed". NEED_MIB is
 * what a job asks for besides, 0 for none; it also counts when the gate is off. */
bool gate_device_is_free(const struct gate_limits *l, const struct gate_device *d, int64_t need_mib,
                         char why[GATE_WHY_SIZE]);
bool gate_host_is_free(const struct gate_limits *l, const struct gate_host *h,
                       char why[GATE_WHY_SIZE]);

/*
 * Availability as it is reported: busy at once, free again only when the readings are clearly below
 * the limits or stay below them for three looks in a row, so that it does not flap.
 */
struct gate_busy {
    bool busy;
    int calm; /* looks below the limits since it became busy */
    char why[GATE_WHY_SIZE];
};
/* True when BUSY changed. */
bool gate_busy_device(struct gate_busy *b, const struct gate_limits *l,
                      const struct gate_device *d);
bool gate_busy_host(struct gate_busy *b, const struct gate_limits *l, const struct gate_host *h);

#endif
