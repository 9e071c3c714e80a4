/*
 * What the simulator plays: which devices there are, what they are doing, what a client process
 * adds, and what goes wrong when. Read once; README.md describes the file.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "curve.h"
#include "model.h"

enum {
    SIM_MOST_DEVICES = 64,
    SIM_MOST_FAULTS = 64,
    SIM_MOST_FOREIGN = 16, /* per device */
    SIM_UUID_SIZE = 48,
};

/* Values that a device may be told not to have; each is a word in the file. */
/* clang-format off */
#define SIM_VALUES(X)                                                                              \
    X(UTILIZATION,        "utilization")                                                           \
    X(CODECS,             "codecs")                                                                \
    X(MEMORY,             "memory")                                                                \
    X(POWER,              "power")                                                                 \
    X(POWER_LIMIT,        "power_limit")                                                           \
    X(ENERGY,             "energy")                                                                \
    X(TEMPERATURE,        "temperature")                                                           \
    X(MEMORY_TEMPERATURE, "memory_temperature")                                                    \
    X(MARGIN,             "margin")                                                                \
    X(CLOCKS,             "clocks")                                                                \
    X(FAN,                "fan")                                                                   \
    X(PSTATE,             "pstate")                                                                \
    X(THROTTLE,           "throttle")                                                              \
    X(ECC,                "ecc")                                                                   \
    X(PCIE,               "pcie")                                                                  \
    X(NVLINK,             "nvlink")                                                                \
    X(PROCESSES,          "processes")                                                             \
    X(PROCESS_USE,        "process_use")                                                           \
    X(EVENTS,             "events")                                                                \
    X(SERIAL,             "serial")                                                                \
    X(MIG,                "mig")
/* clang-format on */

#define X(name, word) SIM_##name,
enum sim_value { SIM_VALUES(X) SIM_VALUE_COUNT };
#undef X

/* A process that exists only in the scenario, as if somebody else's. */
struct sim_foreign {
    int64_t pid;
    char name[64];
    struct curve memory_mib, load_pct; /* over the time since FROM_MS */
    int64_t from_ms, for_ms;           /* for_ms -1: to the end */
};

/* What a process of this machine does to the device that its environment names. */
struct sim_client {
    struct curve memory_mib, load_pct; /* over the age of the process */
    bool every_process; /* each one counts; else only the topmost of a tree that has the variable */
};

struct sim_device {
    struct sim_model model;
    char name[96];
    char uuid[SIM_UUID_SIZE];
    char serial[32];
    uint32_t pci_bus;
    int64_t numa_node;
    struct curve load_pct, memory_mib; /* without clients */
    double jitter_pct;                 /* load wavers by as much while it is neither 0 nor 100 */
    uint64_t missing;                  /* bits of enum sim_value */
    int64_t ecc_corrected, ecc_uncorrected, remapped_corrected, remapped_uncorrected;
    int64_t remap_pending, remap_failed, recovery_action;
    struct sim_client client;
    size_t foreign_count;
    struct sim_foreign *foreign;
};

/* clang-format off */
#define SIM_FAULTS(X)                                                                              \
    X(HANG,    "hang")           /* the call does not come back before the fault ends */           \
    X(SLOW,    "slow")           /* the call takes delay_ms longer */                              \
    X(LOST,    "lost")           /* the GPU is lost; event 79 when it begins */                    \
    X(RESET,   "reset_required") /* calls answer that a reset is needed */                         \
    X(XID,     "xid")            /* an error event at the time it begins */                        \
    X(MISSING, "not_supported")  /* values that the device does not have */                        \
    X(ERROR,   "error")          /* the call answers with a code */                                \
    X(INIT,    "init")           /* the library cannot be initialised */                           \
    X(RESTART, "driver_restart") /* the driver is reloaded: energy begins anew */
/* clang-format on */

#define X(name, word) SIM_FAULT_##name,
enum sim_fault_kind { SIM_FAULTS(X) SIM_FAULT_KINDS };
#undef X

struct sim_fault {
    enum sim_fault_kind kind;
    int64_t device;          /* -1: every one */
    int64_t from_ms, for_ms; /* for_ms -1: to the end */
    int64_t every_ms;        /* 0: once */
    char call[64];           /* name of a function, or how it begins; "": all */
    int64_t code;            /* an XID, or NVML's code */
    int64_t delay_ms;
    int64_t recovery_action; /* what the driver asks for meanwhile; -1: nothing new */
    uint64_t missing;
};

struct scenario {
    char name[64];
    char driver_version[40], nvml_version[40];
    int64_t cuda_version; /* 12020 is 12.2 */
    size_t device_count;
    struct sim_device *devices;
    size_t fault_count;
    struct sim_fault *faults;
};

/* Reads YAML of at most 1 MiB. NAME is what the scenario is called where it does not say (its
 * file's name); NODE ("" allowed) makes identities differ between simulated nodes. ERR_INVALID says
 * what is wrong. */
int scenario_read(const char *yaml, size_t len, const char *name, const char *node,
                  struct scenario **ret, struct err *e);
/* The same from a file; PATH NULL: one idle RTX 3080. */
int scenario_load(const char *path, const char *node, struct scenario **ret, struct err *e);
void scenario_free(struct scenario *s);

/* Is the fault on at T_MS of the scenario? For XIDs: how often it came in (AFTER_MS, T_MS]. */
bool sim_fault_is_on(const struct sim_fault *f, int64_t t_ms);
int64_t sim_fault_count(const struct sim_fault *f, int64_t after_ms, int64_t t_ms);

#endif
