/* NVML: who uses a device. */
#include "api.h"

#include "base/clock.h"

enum { MOST_LISTED = 1024 };

/* Processes of the device into LIST; NVML's protocol of sizes: too little room gives the number. */
static int list_into(const struct api_call *c, struct sim_process *list, unsigned *count,
                     bool has_room)
{
    size_t all = world_processes(c->w, c->index, list, MOST_LISTED);
    if (all > MOST_LISTED)
        all = MOST_LISTED;
    unsigned room = *count;
    *count = (unsigned)all;
    if (all && (!has_room || room < all))
        return NVML_INSUFFICIENT_SIZE;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetComputeRunningProcesses(nvml_device d, unsigned *count,
                                                struct nvml_process_v1 *ret)
{
    DEVICE_CALL(d);
    NEEDS(PROCESSES);
    INTO(count);
    struct sim_process list[MOST_LISTED];
    int code = list_into(&c, list, count, ret);
    for (unsigned i = 0; code == NVML_SUCCESS && i < *count; i++)
        ret[i] = (struct nvml_process_v1){.pid = (uint32_t)list[i].pid,
                                          .used_bytes = (nvml_u64)list[i].used_bytes};
    return code;
}

static int list_v2(const struct api_call *call, unsigned *count, struct nvml_process *ret)
{
    struct api_call c = *call;
    NEEDS(PROCESSES);
    INTO(count);
    struct sim_process list[MOST_LISTED];
    int code = list_into(&c, list, count, ret);
    for (unsigned i = 0; code == NVML_SUCCESS && i < *count; i++)
        ret[i] = (struct nvml_process){
            .pid = (uint32_t)list[i].pid,
            .used_bytes = (nvml_u64)list[i].used_bytes,
            .gpu_instance = NVML_NO_INSTANCE,
            .compute_instance = NVML_NO_INSTANCE,
        };
    return code;
}

EXPORT int nvmlDeviceGetComputeRunningProcesses_v2(nvml_device d, unsigned *count,
                                                   struct nvml_process *ret)
{
    DEVICE_CALL(d);
    return list_v2(&c, count, ret);
}

EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(nvml_device d, unsigned *count,
                                                   struct nvml_process *ret)
{
    DEVICE_CALL(d);
    return list_v2(&c, count, ret);
}

/* Nobody draws, and nobody shares through MPS. */
static int list_nobody(const struct api_call *call, unsigned *count)
{
    struct api_call c = *call;
    NEEDS(PROCESSES);
    return api_number(0, count);
}

EXPORT int nvmlDeviceGetGraphicsRunningProcesses(nvml_device d, unsigned *count,
                                                 struct nvml_process_v1 *ret)
{
    DEVICE_CALL(d);
    (void)ret;
    return list_nobody(&c, count);
}

EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v2(nvml_device d, unsigned *count,
                                                    struct nvml_process *ret)
{
    DEVICE_CALL(d);
    (void)ret;
    return list_nobody(&c, count);
}

EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v3(nvml_device d, unsigned *count,
                                                    struct nvml_process *ret)
{
    DEVICE_CALL(d);
    (void)ret;
    return list_nobody(&c, count);
}

EXPORT int nvmlDeviceGetMPSComputeRunningProcesses_v2(nvml_device d, unsigned *count,
                                                      struct nvml_process *ret)
{
    DEVICE_CALL(d);
    (void)ret;
    return list_nobody(&c, count);
}

EXPORT int nvmlDeviceGetMPSComputeRunningProcesses_v3(nvml_device d, unsigned *count,
                                                      struct nvml_process *ret)
{
    DEVICE_CALL(d);
    (void)ret;
    return list_nobody(&c, count);
}

EXPORT int nvmlDeviceGetRunningProcessDetailList(nvml_device d,
                                                 struct nvml_process_detail_list *list)
{
    enum { COMPUTE = 0, MOST_MODES = 3 };
    DEVICE_CALL(d);
    NEEDS(PROCESSES);
    VERSIONED(list, struct nvml_process_detail_list, 1);
    if (list->mode > MOST_MODES)
        return NVML_INVALID_ARGUMENT;
    if (list->mode != COMPUTE && list->mode != MOST_MODES) {
        list->count = 0;
        return NVML_SUCCESS;
    }
    struct sim_process found[MOST_LISTED];
    int code = list_into(&c, found, &list->count, list->processes);
    for (unsigned i = 0; code == NVML_SUCCESS && i < list->count; i++)
        list->processes[i] = (struct nvml_process_detail){
            .pid = (uint32_t)found[i].pid,
            .used_bytes = (nvml_u64)found[i].used_bytes,
            .gpu_instance = NVML_NO_INSTANCE,
            .compute_instance = NVML_NO_INSTANCE,
        };
    return code;
}

/* Processes that did something since SINCE_US: a sample each, of now. */
static int list_users(const struct api_call *call, nvml_u64 since_us, unsigned *count,
                      bool has_room, struct sim_process *list, nvml_u64 *ret_now_us)
{
    struct api_call c = *call;
    NEEDS(PROCESS_USE);
    INTO(count);
    *ret_now_us = (nvml_u64)clock_wall_ms() * 1000;
    if (*ret_now_us <= since_us)
        return NVML_NOT_FOUND;
    size_t all = world_processes(c.w, c.index, list, MOST_LISTED), users = 0;
    for (size_t i = 0; i < all && i < MOST_LISTED; i++)
        if (list[i].load_pct > 0)
            list[users++] = list[i];
    unsigned room = *count;
    *count = (unsigned)users;
    if (!users)
        return NVML_NOT_FOUND;
    return has_room && room >= users ? NVML_SUCCESS : NVML_INSUFFICIENT_SIZE;
}

EXPORT int nvmlDeviceGetProcessUtilization(nvml_device d, struct nvml_process_utilization *ret,
                                           unsigned *count, nvml_u64 since_us)
{
    DEVICE_CALL(d);
    struct sim_process list[MOST_LISTED];
    nvml_u64 now_us;
    int code = list_users(&c, since_us, count, ret, list, &now_us);
    for (unsigned i = 0; code == NVML_SUCCESS && i < *count; i++)
        ret[i] = (struct nvml_process_utilization){
            .pid = (uint32_t)list[i].pid,
            .timestamp_us = now_us,
            .sm = (uint32_t)list[i].load_pct,
            .memory = (uint32_t)list[i].load_pct * 9 / 20,
        };
    return code;
}

EXPORT int nvmlDeviceGetProcessesUtilizationInfo(nvml_device d,
                                                 struct nvml_processes_utilization_info *info)
{
    DEVICE_CALL(d);
    VERSIONED(info, struct nvml_processes_utilization_info, 1);
    struct sim_process list[MOST_LISTED];
    nvml_u64 now_us;
    int code = list_users(&c, info->last_seen_us, &info->count, info->samples, list, &now_us);
    for (unsigned i = 0; code == NVML_SUCCESS && i < info->count; i++)
        info->samples[i] = (struct nvml_process_utilization_info){
            .timestamp_us = now_us,
            .pid = (uint32_t)list[i].pid,
            .sm = (uint32_t)list[i].load_pct,
            .memory = (uint32_t)list[i].load_pct * 9 / 20,
        };
    return code;
}

EXPORT int nvmlDeviceGetAccountingMode(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(NVML_FEATURE_DISABLED, ret);
}
