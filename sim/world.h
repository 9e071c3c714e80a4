/*
 * The simulated machine at one moment: scenario, clients and counters put together. The clock is
 * an argument; one thread at a time.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "scenario.h"

struct world_config {
    const char *scenario; /* path; NULL: the default */
    const char *node;     /* NULL: none */
    const char *state;    /* path of the state file; NULL: one that is found by the scenario */
    const char *proc;     /* NULL: "/proc" */
};

struct world;

int world_open(const struct world_config *config, int64_t boot_ms, struct world **ret,
               struct err *e);
void world_close(struct world *w);

/* Moves to BOOT_MS (CLOCK_BOOTTIME): finds clients, brings counters up to date. */
void world_tick(struct world *w, int64_t boot_ms);

const struct scenario *world_scenario(const struct world *w);
int64_t world_t_ms(const struct world *w); /* since the scenario began */

/* Everything moves on by MS at once, in every process that plays the scenario. */
void world_skip(struct world *w, int64_t ms);

struct sim_look {
    double load_pct;
    int64_t utilization_pct, memory_utilization_pct;
    int64_t total_bytes, reserved_bytes, used_bytes;
    int64_t power_mw, limit_mw, energy_mj;
    int64_t temperature_c, memory_temperature_c;
    int64_t clock_mhz, memory_clock_mhz, video_clock_mhz;
    int64_t pstate, fan_pct;
    uint64_t throttle; /* bits as NVML's */
    int64_t pcie_tx_bytes, pcie_rx_bytes, nvlink_tx_kib, nvlink_rx_kib;
    int64_t recovery_action;
};
void world_look(const struct world *w, size_t device, struct sim_look *ret);

struct sim_process {
    int64_t pid;
    int64_t used_bytes;
    int64_t load_pct;
};
/* Clients and foreign processes; returns how many there are, which may be more than ROOM. */
size_t world_processes(const struct world *w, size_t device, struct sim_process *ret, size_t room);
/* Name of a foreign process; NULL: there is none with this number. */
const char *world_foreign_name(const struct world *w, int64_t pid);

/* Limit of power set by a user; 0: the default again. False: it cannot be kept. */
bool world_set_limit(struct world *w, size_t device, int64_t mw);

/* The first fault of this kind that is on and touches DEVICE (-1: the machine) and CALL (NULL:
 * any); NULL: none. */
const struct sim_fault *world_fault(const struct world *w, enum sim_fault_kind kind, int64_t device,
                                    const char *call);
/* What the device does not have now: bits of enum sim_value. */
uint64_t world_missing(const struct world *w, size_t device);

#endif
