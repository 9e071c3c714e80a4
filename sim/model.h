/* What a simulated GPU is: the figures of a board, from a small catalogue or from the scenario. */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct sim_model {
    const char *key;  /* as a scenario names it: "rtx-3080" */
    const char *name; /* as NVML names it */
    int64_t brand, architecture, compute_major, compute_minor; /* NVML's numbers */
    int64_t pci_device; /* PCI device id; the vendor is 10de */
    int64_t memory_mib, reserved_mib;
    int64_t bus_width, cores;
    int64_t power_idle_w, power_full_w; /* at 0 % and 100 % load without a limit */
    int64_t power_limit_w, power_min_w, power_max_w;
    int64_t clock_idle_mhz, clock_load_mhz, clock_max_mhz;
    int64_t memory_clock_idle_mhz, memory_clock_mhz;
    int64_t temperature_idle_c, temperature_full_c; /* after a while at 0 % and 100 % */
    int64_t slowdown_c, shutdown_c;
    int64_t idle_pstate;
    int64_t fans, nvlinks, pcie_generation;
    /* What the board can tell at all. */
    bool has_energy, has_ecc, has_memory_temperature, has_margin, has_serial, has_mig;
};

/* By key or by NVML's name, in any case; NULL: not in the catalogue. */
const struct sim_model *sim_model_find(const char *name);
/* The catalogue, ended by a NULL key. */
extern const struct sim_model sim_models[];

#endif
