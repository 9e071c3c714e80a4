/*
 * NVIDIA GPUs through NVML. A reading that a device does not have is remembered and asked for again
 * only once a minute, and what changes rarely is read every ten seconds.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "gpu/nvml_session.h"

enum {
    SLOW_EVERY_MS = 10000,
    ASK_AGAIN_MS = 60000,
    MOST_EVENTS_A_ROUND = 64,
};

/* What a code about one device means for the device or the driver; 0: nothing, go on. */
int nvml_judge(int code, unsigned index, struct err *e)
{
    switch (code) {
    case NVML_GPU_IS_LOST:
    case NVML_GPU_NOT_FOUND:
        return err_set(e, ERR_NOT_FOUND, "the driver has lost the GPU (%s)", nvml_code_text(code));
    case NVML_RESET_REQUIRED:
        return err_set(e, ERR_CONFLICT, "the GPU needs a reset (%s)", nvml_code_text(code));
    case NVML_UNINITIALIZED:
    case NVML_DRIVER_NOT_LOADED:
    case NVML_LIB_RM_VERSION_MISMATCH:
        return err_set(e, ERR_UNAVAILABLE, "the driver is gone (%s, at GPU %u)",
                       nvml_code_text(code), index);
    default:
        return 0;
    }
}

static void refresh_memory(struct nvml_gpu *d, int64_t now_ms, bool *ret_slow)
{
    if (now_ms - d->asked_ms >= ASK_AGAIN_MS) {
        d->absent = d->absent_fields = 0;
        d->asked_ms = now_ms;
    }
    *ret_slow = !d->slow_ms || now_ms - d->slow_ms >= SLOW_EVERY_MS;
}

static int nvml_sample(struct gpu_session *s, unsigned index, struct gpu_sample *ret, struct err *e)
{
    struct nvml_gpu *d = &s->gpus[index];
    bool slow;
    int answered = 0, failed = 0, last_code = 0;

    gpu_sample_clear(ret);
    ret->boot_ms = clock_boot_ms();
    refresh_memory(d, ret->boot_ms, &slow);
    if (!slow)
        memcpy(ret->readings, d->slow, sizeof d->slow);

    for (size_t i = 0; i < nvml_reader_count; i++) {
        if ((nvml_readers[i].slow && !slow) || (d->absent >> i & 1))
            continue;
        gpu_pulse_beat(s->pulse, (int)d->info.index, nvml_readers[i].call);
        int code = nvml_readers[i].read(s, d, ret);
        if (nvml_judge(code, d->info.index, e) < 0)
            return -1;
        if (nvml_code_is_absence(code))
            d->absent |= UINT64_C(1) << i;
        else if (code > 0) {
            failed++;
            last_code = code;
        }
        answered += code == 0;
    }
    if (!answered && failed)
        return err_set(e, ERR_INTERNAL, "the driver answers nothing about the GPU (%s)",
                       nvml_code_text(last_code));

    if (slow) {
        nvml_keep_slow(d, ret);
        d->slow_ms = ret->boot_ms;
    }
    return 0;
}

static unsigned nvml_events(struct gpu_session *s, struct gpu_event *ret, unsigned room)
{
    unsigned count = 0;
    for (int i = 0; s->events && count < room && i < MOST_EVENTS_A_ROUND; i++) {
        struct nvml_event_data data = {0};
        gpu_pulse_beat(s->pulse, -1, "nvmlEventSetWait");
        if (NVML_CALL(&s->lib, nvmlEventSetWait_v2, s->events, &data, 0) != 0)
            break;
        if (data.type != NVML_EVENT_XID)
            continue;
        for (unsigned k = 0; k < s->count; k++)
            if (s->gpus[k].handle == data.device)
                ret[count++] = (struct gpu_event){.device = k,
                                                  .xid = (int64_t)(data.data & INT64_MAX),
                                                  .boot_ms = clock_boot_ms()};
    }
    return count;
}

static void nvml_close(struct gpu_session *s)
{
    if (!s)
        return;
    if (s->events)
        NVML_CALL(&s->lib, nvmlEventSetFree, s->events);
    s->lib.nvmlShutdown();
    nvml_lib_close(&s->lib);
    free(s->room);
    free(s);
}

/* Lost GPUs and those that we may not open are passed over: they must not hide the others. */
static int find_gpus(struct gpu_session *s, unsigned count, uint64_t skip, struct err *e)
{
    for (unsigned i = 0; i < count; i++) {
        if (skip >> i & 1)
            continue;
        struct nvml_gpu *d = &s->gpus[s->count];
        gpu_pulse_beat(s->pulse, (int)i, "nvmlDeviceGetHandleByIndex");
        int code = s->lib.nvmlDeviceGetHandleByIndex_v2(i, &d->handle);
        struct err why = {0};
        if (nvml_judge(code, i, &why) < 0 && why.code == ERR_UNAVAILABLE) {
            if (e)
                *e = why;
            return -1;
        }
        if (code != 0)
            continue;
        if (nvml_info_read(s, d->handle, i, &d->info, &why) < 0) {
            if (why.code != ERR_UNAVAILABLE)
                continue;
            if (e)
                *e = why;
            return -1;
        }
        d->asked_ms = clock_boot_ms();
        s->count++;
    }
    return 0;
}

/* Errors as events; a driver without them still gives samples. */
static void register_events(struct gpu_session *s)
{
    gpu_pulse_beat(s->pulse, -1, "nvmlEventSetCreate");
    if (NVML_CALL(&s->lib, nvmlEventSetCreate, &s->events) != 0) {
        s->events = NULL;
        return;
    }
    unsigned registered = 0;
    for (unsigned i = 0; i < s->count; i++) {
        nvml_device handle = s->gpus[i].handle;
        nvml_u64 types = 0;
        gpu_pulse_beat(s->pulse, (int)s->gpus[i].info.index, "nvmlDeviceRegisterEvents");
        if (NVML_CALL(&s->lib, nvmlDeviceGetSupportedEventTypes, handle, &types) == 0 &&
            (types & NVML_EVENT_XID) &&
            NVML_CALL(&s->lib, nvmlDeviceRegisterEvents, handle, NVML_EVENT_XID, s->events) == 0)
            registered++;
    }
    if (!registered) {
        NVML_CALL(&s->lib, nvmlEventSetFree, s->events);
        s->events = NULL;
    }
}

static int init_failed(int code, struct err *e)
{
    bool no_driver = code == NVML_DRIVER_NOT_LOADED || code == NVML_LIBRARY_NOT_FOUND ||
                     code == NVML_GPU_NOT_FOUND;
    return err_set(e, no_driver ? ERR_NOT_FOUND : ERR_UNAVAILABLE,
                   "could not initialise NVIDIA's management library: %s%s", nvml_code_text(code),
                   code == NVML_LIB_RM_VERSION_MISMATCH
                       ? "; the driver was replaced: reload its modules or reboot"
                       : "");
}

static int nvml_open(const struct gpu_backend_config *config, struct gpu_session **ret,
                     struct err *e)
{
    struct nvml_lib lib;
    gpu_pulse_beat(config->pulse, -1, "dlopen");
    if (nvml_lib_open(&lib, config->library, e) < 0)
        return -1;

    gpu_pulse_beat(config->pulse, -1, "nvmlInit");
    int code = lib.nvmlInit_v2();
    if (code != 0) {
        nvml_lib_close(&lib);
        return init_failed(code, e);
    }

    unsigned count = 0;
    gpu_pulse_beat(config->pulse, -1, "nvmlDeviceGetCount");
    code = lib.nvmlDeviceGetCount_v2(&count);
    if (count > GPU_MAX_DEVICES)
        count = GPU_MAX_DEVICES;
    struct gpu_session *s =
        mem_alloc(1, sizeof(struct gpu_session) + count * sizeof(struct nvml_gpu));
    s->lib = lib;
    s->pulse = config->pulse;
    int rc = 0;
    if (code != 0)
        rc = err_set(e, ERR_UNAVAILABLE, "could not count the GPUs: %s", nvml_code_text(code));
    else if (!count)
        rc = err_set(e, ERR_NOT_FOUND, "NVIDIA's driver is loaded but knows no GPU");
    else
        rc = find_gpus(s, count, config->skip, e);
    if (rc < 0) {
        nvml_close(s);
        return -1;
    }
    register_events(s);
    *ret = s;
    return 0;
}

static void nvml_driver(struct gpu_session *s, struct gpu_driver *ret)
{
    *ret = (struct gpu_driver){0};
    int cuda = 0;
    gpu_pulse_beat(s->pulse, -1, "nvmlSystemGetDriverVersion");
    if (NVML_CALL(&s->lib, nvmlSystemGetDriverVersion, ret->driver_version,
                  sizeof ret->driver_version - 1) != 0)
        ret->driver_version[0] = '\0';
    if (NVML_CALL(&s->lib, nvmlSystemGetCudaDriverVersion_v2, &cuda) == 0 && cuda > 0)
        snprintf(ret->cuda_version, sizeof ret->cuda_version, "%d.%d", cuda / 1000,
                 cuda % 1000 / 10);
}

static unsigned nvml_count(struct gpu_session *s)
{
    return s->count;
}

static int nvml_info(struct gpu_session *s, unsigned index, struct gpu_info *ret, struct err *e)
{
    if (index >= s->count)
        return err_set(e, ERR_NOT_FOUND, "there is no GPU %u", index);
    *ret = s->gpus[index].info;
    return 0;
}

const struct gpu_backend gpu_backend_nvml = {
    .name = "nvml",
    .open = nvml_open,
    .close = nvml_close,
    .driver = nvml_driver,
    .count = nvml_count,
    .info = nvml_info,
    .sample = nvml_sample,
    .events = nvml_events,
};
