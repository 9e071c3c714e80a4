/*
 * What can be known about the GPUs of one node: plain records, the same for every vendor. A reading
 * that cannot be had is GPU_NO_READING, never 0.
 */
#ifndef GPU_GPU_H
#define GPU_GPU_H

#include <stddef.h>
#include <stdint.h>

#define GPU_NO_READING INT64_MIN

enum {
    GPU_MAX_DEVICES = 64,
    GPU_MAX_PROCESSES = 64, /* named per device; how many there are is counted beyond that */
    GPU_MAX_EVENTS = 32,    /* per report; older ones only count in gpu_device.xid_total */
};

/*
 * Every reading of a sample, once. Counters begin anew when the driver is loaded, so a decrease
 * means that. Bits of throttle_reasons are GPU_THROTTLE_... below.
 */
/* clang-format off */
#define GPU_READINGS(X)                                                                            \
    /* member                 unit     what it is */                                               \
    X(utilization_pct,        "%",     "share of the last sampling period in which work ran")      \
    X(memory_utilization_pct, "%",     "share of it in which device memory was read or written")   \
    X(encoder_pct,            "%",     "use of the video encoder")                                 \
    X(decoder_pct,            "%",     "use of the video decoder")                                 \
    X(memory_total_bytes,     "bytes", "device memory")                                            \
    X(memory_reserved_bytes,  "bytes", "kept by driver and firmware")                              \
    X(memory_used_bytes,      "bytes", "allocated, without what is reserved")                      \
    X(memory_free_bytes,      "bytes", "not allocated")                                            \
    X(power_mw,               "mW",    "power of the board")                                       \
    X(power_limit_mw,         "mW",    "limit in force")                                           \
    X(energy_mj,              "mJ",    "counter: energy since the driver was loaded")              \
    X(temperature_c,          "C",     "temperature of the GPU")                                   \
    X(memory_temperature_c,   "C",     "temperature of its memory")                                \
    X(temperature_margin_c,   "C",     "degrees left until the GPU slows down; may be negative")   \
    X(graphics_clock_mhz,     "MHz",   "graphics clock")                                           \
    X(sm_clock_mhz,           "MHz",   "clock of the multiprocessors")                             \
    X(memory_clock_mhz,       "MHz",   "memory clock")                                             \
    X(video_clock_mhz,        "MHz",   "video clock")                                              \
    X(fan_pct,                "%",     "speed of the fan that is wanted; may exceed 100")          \
    X(pstate,                 "",      "performance state, 0 (fastest) to 15")                     \
    X(throttle_reasons,       "bits",  "why clocks are held back")                                 \
    X(ecc_corrected,          "errors","counter: corrected memory errors since the driver loaded") \
    X(ecc_uncorrected,        "errors","counter: uncorrected ones")                                \
    X(ecc_corrected_life,     "errors","corrected memory errors in the life of the board")         \
    X(ecc_uncorrected_life,   "errors","uncorrected ones")                                         \
    X(remapped_corrected,     "rows",  "memory rows replaced after corrected errors")              \
    X(remapped_uncorrected,   "rows",  "memory rows replaced after uncorrected errors")            \
    X(remap_pending,          "",      "1: a replacement waits for a reset")                       \
    X(remap_failed,           "",      "1: a row could not be replaced, the board needs care")     \
    X(retired_single,         "pages", "pages retired after single-bit errors")                    \
    X(retired_double,         "pages", "pages retired after double-bit errors")                    \
    X(retired_pending,        "",      "1: a page waits for a reboot to be retired")               \
    X(pcie_tx_bytes,          "bytes", "counter: sent over PCIe; may wrap")                        \
    X(pcie_rx_bytes,          "bytes", "counter: received over PCIe; may wrap")                    \
    X(pcie_replays,           "",      "counter: PCIe packets sent again")                         \
    X(pcie_generation,        "",      "PCIe generation in use")                                   \
    X(pcie_width,             "lanes", "PCIe lanes in use")                                        \
    X(nvlink_tx_bytes,        "bytes", "counter: data sent over all NVLinks")                      \
    X(nvlink_rx_bytes,        "bytes", "counter: data received over all NVLinks")                  \
    X(recovery_action,        "",      "what the driver asks for: GPU_RECOVERY_...")
/* clang-format on */

enum gpu_throttle {
    GPU_THROTTLE_IDLE = 0x1,
    GPU_THROTTLE_CLOCK_SETTING = 0x2,
    GPU_THROTTLE_POWER_CAP = 0x4,
    GPU_THROTTLE_HW_SLOWDOWN = 0x8,
    GPU_THROTTLE_SYNC_BOOST = 0x10,
    GPU_THROTTLE_SW_THERMAL = 0x20,
    GPU_THROTTLE_HW_THERMAL = 0x40,
    GPU_THROTTLE_POWER_BRAKE = 0x80,
    GPU_THROTTLE_DISPLAY = 0x100,
};

enum gpu_recovery {
    GPU_RECOVERY_NONE = 0,
    GPU_RECOVERY_RESET = 1,
    GPU_RECOVERY_REBOOT = 2,
    GPU_RECOVERY_DRAIN_P2P = 3,
    GPU_RECOVERY_DRAIN_AND_RESET = 4,
};

#define X(member, unit, help) GPU_READING_##member,
enum gpu_reading_id { GPU_READINGS(X) GPU_READING_COUNT };
#undef X

struct gpu_reading {
    const char *name; /* the member of struct gpu_sample */
    const char *unit, *help;
};
/* The readings as a table, in the order of the members. */
extern const struct gpu_reading gpu_readings[GPU_READING_COUNT];

/* A process that holds a context on the device. */
struct gpu_process {
    uint32_t pid;        /* as the driver sees it: of the host's pid namespace */
    uint8_t kind;        /* 'C' compute, 'G' graphics, 'M' through MPS */
    int64_t used_bytes;  /* of device memory */
    int64_t sm_util_pct; /* over the last interval */
};

/* One look at one device. The readings may also be walked as an array of GPU_READING_COUNT. */
struct gpu_sample {
    int64_t boot_ms; /* CLOCK_BOOTTIME when the look began */
    union {
        struct {
#define X(member, unit, help) int64_t member;
            GPU_READINGS(X)
#undef X
        };
        int64_t readings[GPU_READING_COUNT];
    };
    uint32_t process_total; /* all there are; only the first GPU_MAX_PROCESSES are named */
    uint32_t process_count;
    struct gpu_process processes[GPU_MAX_PROCESSES];
};

/* No reading at all, no process, no time. */
void gpu_sample_clear(struct gpu_sample *s);

/* What does not change while a driver is loaded. Text is "" and a number GPU_NO_READING where it
 * cannot be had; text is UTF-8 without control characters, whatever the driver said. */
struct gpu_info {
    uint32_t index; /* the driver's own; may differ after a reboot. The key is UUID */
    char uuid[96];
    char name[96];   /* "NVIDIA H100 80GB HBM3" */
    char vendor[16]; /* "nvidia" */
    char pci[32];    /* "00000000:3B:00.0" */
    char serial[32];
    char part_number[32];
    char vbios[32];
    char architecture[16]; /* "Ampere" */
    int64_t compute_major, compute_minor;
    int64_t minor_number; /* N of /dev/nvidiaN */
    int64_t numa_node;
    int64_t cores;
    int64_t memory_total_bytes;
    int64_t power_min_mw, power_max_mw, power_default_mw;
    int64_t pcie_max_generation, pcie_max_width;
    int64_t mig_mode; /* 1 on, 0 off, GPU_NO_READING: the device has no MIG */
    int64_t ecc_mode; /* 1 on, 0 off */
};

void gpu_info_clear(struct gpu_info *info);

/* Makes text from outside fit to be shown: ends it within ROOM, and puts '?' where a control
 * character or a byte that is not UTF-8 stands. */
void gpu_clean_text(char *s, size_t room);
/* FROM into TO, cut to fit and cleaned. */
void gpu_copy_text(char *to, size_t room, const char *from);

enum gpu_health {
    GPU_OK,
    GPU_FAILED,  /* answers, but must not be used: a critical error, a reset is needed */
    GPU_LOST,    /* the driver has lost it */
    GPU_HUNG,    /* a call about this very device did not come back */
    GPU_UNKNOWN, /* no word about it now: the driver is gone or a call hangs elsewhere */
    GPU_HEALTH_COUNT,
};
/* "ok", "failed", "lost", "hung", "unknown". */
const char *gpu_health_name(enum gpu_health health);

struct gpu_event {
    uint32_t device; /* index into gpu_report.devices */
    int64_t xid;     /* NVIDIA's error code; gpu/xid.h says what it means */
    int64_t boot_ms; /* when we heard of it */
};

struct gpu_device {
    struct gpu_info info;
    enum gpu_health health;
    char reason[200];         /* why it is not GPU_OK; "" when it is */
    struct gpu_sample sample; /* without any reading unless GPU_OK or GPU_FAILED */
    int64_t last_xid;         /* GPU_NO_READING: none since the watch began */
    int64_t last_xid_boot_ms;
    uint64_t xid_total;
};

/* One look at the node. A device that was ever seen stays in, at its place, with a health that says
 * what became of it. */
struct gpu_report {
    int64_t boot_ms;
    char backend[16]; /* "nvml", "nvidia-smi"; "" when there is none */
    char driver_version[80];
    char cuda_version[16];
    char reason[256]; /* why there is no device or no word from the driver; "" when all is well */
    uint32_t event_count;
    struct gpu_event events[GPU_MAX_EVENTS]; /* new ones in this report */
    uint32_t device_count;
    struct gpu_device devices[];
};

#endif
