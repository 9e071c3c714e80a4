/* Inside the NVML backend: what is open, and what is known about each GPU. */
#ifndef GPU_NVML_SESSION_H
#define GPU_NVML_SESSION_H

#include "gpu/backend.h"
#include "gpu/nvml_lib.h"

struct nvml_gpu {
    nvml_device handle;
    struct gpu_info info;
    uint64_t absent; /* bit of a reader: this device does not have it */
    uint64_t absent_fields;
    int64_t asked_ms;                /* when the bits above were last emptied */
    int64_t slow_ms;                 /* when the slow readings were taken, 0: never */
    int64_t slow[GPU_READING_COUNT]; /* they; the others are GPU_NO_READING */
    nvml_u64 util_seen_us;           /* process utilisation: where the last answer ended */
};

struct gpu_session {
    struct nvml_lib lib;
    struct gpu_pulse *pulse;
    int asking;            /* index of the GPU that is asked what it is, for the pulse */
    nvml_event_set events; /* NULL: this driver has none */
    char *room;            /* for process lists */
    unsigned room_entries;
    unsigned count;
    struct nvml_gpu gpus[];
};

/* A reader's answer where there was no need to call. */
enum { NVML_NOT_ASKED = -1 };

struct nvml_reader {
    const char *call; /* for people, when it hangs */
    int (*read)(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret);
    bool slow; /* changes rarely */
};
extern const struct nvml_reader nvml_readers[];
extern const size_t nvml_reader_count;

void nvml_keep_slow(struct nvml_gpu *d, const struct gpu_sample *s);

/* The device does not have this, or not for us: no use in asking every time. */
bool nvml_code_is_absence(int code);

/* 0 unless CODE says something about the whole device or driver: then the error for it, as
 * gpu_backend.sample() promises. */
int nvml_judge(int code, unsigned index, struct err *e);

/* Everything that does not change. INFO->index and the handle are known. */
int nvml_info_read(struct gpu_session *s, nvml_device handle, unsigned index, struct gpu_info *ret,
                   struct err *e);

#endif
