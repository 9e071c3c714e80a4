/*
 * One way to learn about the GPUs of this node. All calls may block, even for ever: they are made
 * only in the helper process that samples (gpu/helper.h), which can be killed.
 */
#ifndef GPU_BACKEND_H
#define GPU_BACKEND_H

#include "base/err.h"
#include "gpu/gpu.h"

#include <stdatomic.h>

/*
 * What the helper is doing, in memory shared with the process that watches it: BEAT moves with
 * every call into the driver, so one that stands still tells a hung call from a slow round.
 */
struct gpu_pulse {
    _Atomic uint32_t beat;
    _Atomic int32_t device; /* index of the device asked about; -1: none in particular */
    char call[48];          /* name of the call, NUL-terminated; meaningful while BEAT stands */
};

struct gpu_backend_config {
    const char *library;     /* of NVML; NULL: "libnvidia-ml.so.1" */
    const char *program;     /* nvidia-smi; NULL: looked up in PATH */
    int64_t timeout_ms;      /* after which a child process of a backend is killed */
    uint64_t skip;           /* bit N: make no call about the device with the driver's index N */
    struct gpu_pulse *pulse; /* NULL: nobody watches */
};

struct gpu_driver {
    char driver_version[80]; /* "535.247.01"; "" unknown */
    char cuda_version[16];   /* "12.2", the newest that the driver can run; "" unknown */
};

struct gpu_session;

struct gpu_backend {
    const char *name; /* as in the configuration: "nvml", "nvidia-smi" */

    /* ERR_NOT_FOUND: this node has no such driver, looking again soon is of no use.
     * ERR_UNAVAILABLE: there is one, but it does not work now. */
    int (*open)(const struct gpu_backend_config *config, struct gpu_session **ret_session,
                struct err *e);
    void (*close)(struct gpu_session *s);

    void (*driver)(struct gpu_session *s, struct gpu_driver *ret);
    unsigned (*count)(struct gpu_session *s); /* at most GPU_MAX_DEVICES */
    int (*info)(struct gpu_session *s, unsigned index, struct gpu_info *ret, struct err *e);

    /* A new round begins: what one call answers for all devices may be fetched now. NULL: none
     * needed. ERR_UNAVAILABLE: the driver is gone, close and open again. */
    int (*begin)(struct gpu_session *s, struct err *e);

    /* A reading the device cannot give is GPU_NO_READING, never 0.
     * ERR_NOT_FOUND: the device is lost. ERR_CONFLICT: it needs a reset.
     * ERR_UNAVAILABLE: the driver is gone, close and open again. */
    int (*sample)(struct gpu_session *s, unsigned index, struct gpu_sample *ret, struct err *e);

    /* Events since the last call, at most ROOM; never waits. NULL: this way hears of none. */
    unsigned (*events)(struct gpu_session *s, struct gpu_event *ret, unsigned room);
};

extern const struct gpu_backend gpu_backend_nvml, gpu_backend_nvidia_smi;

/* Every member, in the order in which "auto" tries them; ends with NULL. */
extern const struct gpu_backend *const gpu_backends[];

/* Says in PULSE (may be NULL) that CALL about DEVICE (-1: none) comes next. */
void gpu_pulse_beat(struct gpu_pulse *pulse, int device, const char *call);

#endif
