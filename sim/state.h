/*
 * What outlives a process that uses the simulator: when the scenario began, the counters, the
 * temperatures. A small file, mapped by every process that plays the same scenario, so that all see
 * the same energy and a restarted agent finds it no smaller.
 */
#ifndef SIM_STATE_H
#define SIM_STATE_H

#include "base/err.h"
#include "scenario.h"

struct state_device {
    int64_t energy_uj;      /* since the driver was loaded */
    double temperature_c;   /* 0: not yet known */
    int64_t power_limit_mw; /* set by a user; 0: the default */
    int64_t pcie_tx_bytes, pcie_rx_bytes;
    int64_t nvlink_tx_kib, nvlink_rx_kib;
};

/* In the file. All times are those of CLOCK_BOOTTIME plus SKEW_MS. */
struct state_file {
    uint64_t magic;
    char boot_id[40];
    uint64_t shape;      /* of the devices; another shape begins anew */
    int64_t skew_ms;     /* moved on by tests and demonstrations */
    int64_t began_ms;    /* the scenario's second 0 */
    int64_t used_ms;     /* last use by any process */
    int64_t advanced_ms; /* counters hold what was until then */
    struct state_device devices[SIM_MOST_DEVICES];
};

struct state;

enum {
    /* Nobody asked for so long: the scenario begins again at its second 0. Counters stay. */
    STATE_LINGER_MS = 120000,
};

/*
 * Opens or makes the file. PATH NULL: one in /dev/shm or /tmp, named after the scenario. Where no
 * file can be had, memory of this process alone. BOOT_MS is CLOCK_BOOTTIME's.
 */
struct state *state_open(const char *path, const struct scenario *s, int64_t boot_ms);
void state_close(struct state *st);

struct state_file *state_get(struct state *st);

/* True: this process alone may change the counters until state_unlock(). Never waits. */
bool state_try_lock(struct state *st);
void state_unlock(struct state *st);

#endif
