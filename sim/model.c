#include "model.h"

#include <stddef.h>
#include <strings.h>

/*
 * Identity, memory and limits as published for the boards; idle and full-load figures are typical
 * ones, rounded. The GTX 1080 is there because it lacks an energy counter, the H100 because it
 * answers temperature margins instead of thresholds.
 */
/* clang-format off */
const struct sim_model sim_models[] = {
    {
        .key = "rtx-3080", .name = "NVIDIA GeForce RTX 3080",
        .brand = 5, .architecture = 7, .compute_major = 8, .compute_minor = 6, .pci_device = 0x2206,
        .memory_mib = 10240, .reserved_mib = 246, .bus_width = 320, .cores = 8704,
        .power_idle_w = 19, .power_full_w = 316, .power_limit_w = 320, .power_min_w = 100, .power_max_w = 370,
        .clock_idle_mhz = 210, .clock_load_mhz = 1890, .clock_max_mhz = 2100,
        .memory_clock_idle_mhz = 405, .memory_clock_mhz = 9501,
        .temperature_idle_c = 34, .temperature_full_c = 74, .slowdown_c = 95, .shutdown_c = 98,
        .idle_pstate = 8, .fans = 2, .pcie_generation = 4, .has_energy = true,
    },
    {
        .key = "gtx-1080", .name = "NVIDIA GeForce GTX 1080",
        .brand = 5, .architecture = 4, .compute_major = 6, .compute_minor = 1, .pci_device = 0x1b80,
        .memory_mib = 8192, .reserved_mib = 73, .bus_width = 256, .cores = 2560,
        .power_idle_w = 8, .power_full_w = 176, .power_limit_w = 180, .power_min_w = 90, .power_max_w = 217,
        .clock_idle_mhz = 139, .clock_load_mhz = 1835, .clock_max_mhz = 1911,
        .memory_clock_idle_mhz = 405, .memory_clock_mhz = 5005,
        .temperature_idle_c = 36, .temperature_full_c = 80, .slowdown_c = 96, .shutdown_c = 101,
        .idle_pstate = 8, .fans = 1, .pcie_generation = 3,
    },
    {
        .key = "rtx-4090", .name = "NVIDIA GeForce RTX 4090",
        .brand = 5, .architecture = 8, .compute_major = 8, .compute_minor = 9, .pci_device = 0x2684,
        .memory_mib = 24564, .reserved_mib = 366, .bus_width = 384, .cores = 16384,
        .power_idle_w = 21, .power_full_w = 430, .power_limit_w = 450, .power_min_w = 150, .power_max_w = 600,
        .clock_idle_mhz = 210, .clock_load_mhz = 2730, .clock_max_mhz = 3105,
        .memory_clock_idle_mhz = 405, .memory_clock_mhz = 10501,
        .temperature_idle_c = 33, .temperature_full_c = 68, .slowdown_c = 96, .shutdown_c = 101,
        .idle_pstate = 8, .fans = 2, .pcie_generation = 4, .has_energy = true,
    },
    {
        .key = "t4", .name = "Tesla T4",
        .brand = 2, .architecture = 6, .compute_major = 7, .compute_minor = 5, .pci_device = 0x1eb8,
        .memory_mib = 15360, .reserved_mib = 449, .bus_width = 256, .cores = 2560,
        .power_idle_w = 10, .power_full_w = 74, .power_limit_w = 70, .power_min_w = 60, .power_max_w = 70,
        .clock_idle_mhz = 300, .clock_load_mhz = 1560, .clock_max_mhz = 1590,
        .memory_clock_idle_mhz = 405, .memory_clock_mhz = 5001,
        .temperature_idle_c = 38, .temperature_full_c = 76, .slowdown_c = 93, .shutdown_c = 96,
        .idle_pstate = 8, .pcie_generation = 3, .has_energy = true, .has_ecc = true, .has_serial = true,
    },
    {
        .key = "a100-80gb", .name = "NVIDIA A100-SXM4-80GB",
        .brand = 14, .architecture = 7, .compute_major = 8, .compute_minor = 0, .pci_device = 0x20b2,
        .memory_mib = 81920, .reserved_mib = 602, .bus_width = 5120, .cores = 6912,
        .power_idle_w = 62, .power_full_w = 392, .power_limit_w = 400, .power_min_w = 100, .power_max_w = 400,
        .clock_idle_mhz = 210, .clock_load_mhz = 1410, .clock_max_mhz = 1410,
        .memory_clock_idle_mhz = 1593, .memory_clock_mhz = 1593,
        .temperature_idle_c = 31, .temperature_full_c = 64, .slowdown_c = 87, .shutdown_c = 92,
        .idle_pstate = 0, .nvlinks = 12, .pcie_generation = 4, .has_energy = true, .has_ecc = true,
        .has_memory_temperature = true, .has_serial = true, .has_mig = true,
    },
    {
        .key = "h100", .name = "NVIDIA H100 80GB HBM3",
        .brand = 14, .architecture = 9, .compute_major = 9, .compute_minor = 0, .pci_device = 0x2330,
        .memory_mib = 81559, .reserved_mib = 479, .bus_width = 5120, .cores = 16896,
        .power_idle_w = 70, .power_full_w = 690, .power_limit_w = 700, .power_min_w = 200, .power_max_w = 700,
        .clock_idle_mhz = 345, .clock_load_mhz = 1980, .clock_max_mhz = 1980,
        .memory_clock_idle_mhz = 2619, .memory_clock_mhz = 2619,
        .temperature_idle_c = 32, .temperature_full_c = 66, .slowdown_c = 87, .shutdown_c = 95,
        .idle_pstate = 0, .nvlinks = 18, .pcie_generation = 5, .has_energy = true, .has_ecc = true,
        .has_memory_temperature = true, .has_margin = true, .has_serial = true, .has_mig = true,
    },
    {0},
};
/* clang-format on */

const struct sim_model *sim_model_find(const char *name)
{
    for (const struct sim_model *m = sim_models; m->key; m++)
        if (strcasecmp(m->key, name) == 0 || strcasecmp(m->name, name) == 0)
            return m;
    return NULL;
}
