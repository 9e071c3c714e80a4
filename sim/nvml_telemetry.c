/* NVML: what a device is doing. */
#include "api.h"

EXPORT int nvmlDeviceGetUtilizationRates(nvml_device d, struct nvml_utilization *ret)
{
    DEVICE_CALL(d);
    NEEDS(UTILIZATION);
    INTO(ret);
    *ret = (struct nvml_utilization){(uint32_t)c.look.utilization_pct,
                                     (uint32_t)c.look.memory_utilization_pct};
    return NVML_SUCCESS;
}

/* Nothing here encodes or decodes. */
static int idle_codec(const struct api_call *call, unsigned *ret, unsigned *ret_us)
{
    struct api_call c = *call;
    NEEDS(CODECS);
    INTO(ret_us);
    *ret_us = 167000;
    return api_number(0, ret);
}

EXPORT int nvmlDeviceGetEncoderUtilization(nvml_device d, unsigned *ret, unsigned *ret_us)
{
    DEVICE_CALL(d);
    return idle_codec(&c, ret, ret_us);
}

EXPORT int nvmlDeviceGetDecoderUtilization(nvml_device d, unsigned *ret, unsigned *ret_us)
{
    DEVICE_CALL(d);
    return idle_codec(&c, ret, ret_us);
}

EXPORT int nvmlDeviceGetJpgUtilization(nvml_device d, unsigned *ret, unsigned *ret_us)
{
    DEVICE_CALL(d);
    return idle_codec(&c, ret, ret_us);
}

EXPORT int nvmlDeviceGetOfaUtilization(nvml_device d, unsigned *ret, unsigned *ret_us)
{
    DEVICE_CALL(d);
    return idle_codec(&c, ret, ret_us);
}

/* The old form knows no reserved memory: it counts as used. */
EXPORT int nvmlDeviceGetMemoryInfo(nvml_device d, struct nvml_memory *ret)
{
    DEVICE_CALL(d);
    NEEDS(MEMORY);
    INTO(ret);
    nvml_u64 used = (nvml_u64)(c.look.used_bytes + c.look.reserved_bytes);
    nvml_u64 total = (nvml_u64)c.look.total_bytes;
    *ret = (struct nvml_memory){.total = total, .free = total - used, .used = used};
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetMemoryInfo_v2(nvml_device d, struct nvml_memory_v2 *ret)
{
    DEVICE_CALL(d);
    NEEDS(MEMORY);
    VERSIONED(ret, struct nvml_memory_v2, 2);
    ret->total = (nvml_u64)c.look.total_bytes;
    ret->reserved = (nvml_u64)c.look.reserved_bytes;
    ret->used = (nvml_u64)c.look.used_bytes;
    ret->free = ret->total - ret->reserved - ret->used;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetBAR1MemoryInfo(nvml_device d, struct nvml_bar1_memory *ret)
{
    DEVICE_CALL(d);
    NEEDS(MEMORY);
    INTO(ret);
    nvml_u64 total = (c.d->model.has_ecc ? 131072ull : 256ull) << 20, used = 3ull << 20;
    *ret = (struct nvml_bar1_memory){.total = total, .free = total - used, .used = used};
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetTemperature(nvml_device d, unsigned sensor, unsigned *ret)
{
    DEVICE_CALL(d);
    if (sensor != NVML_TEMPERATURE_GPU)
        return NVML_INVALID_ARGUMENT;
    NEEDS(TEMPERATURE);
    return api_number((uint64_t)c.look.temperature_c, ret);
}

EXPORT int nvmlDeviceGetTemperatureV(nvml_device d, struct nvml_temperature_v1 *ret)
{
    DEVICE_CALL(d);
    VERSIONED(ret, struct nvml_temperature_v1, 1);
    if (ret->sensor != NVML_TEMPERATURE_GPU)
        return NVML_INVALID_ARGUMENT;
    NEEDS(TEMPERATURE);
    ret->celsius = (int32_t)c.look.temperature_c;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetMarginTemperature(nvml_device d, struct nvml_margin_temperature *ret)
{
    DEVICE_CALL(d);
    NEEDS(MARGIN);
    VERSIONED(ret, struct nvml_margin_temperature, 1);
    ret->margin = (int32_t)(c.d->model.slowdown_c - c.look.temperature_c);
    return NVML_SUCCESS;
}

/* Boards that answer margins have no absolute thresholds. */
EXPORT int nvmlDeviceGetTemperatureThreshold(nvml_device d, unsigned which, unsigned *ret)
{
    enum { SHUTDOWN, SLOWDOWN, MEMORY_MOST, GPU_MOST };
    DEVICE_CALL(d);
    NEEDS(TEMPERATURE);
    if (c.d->model.has_margin)
        return NVML_NOT_SUPPORTED;
    switch (which) {
    case SHUTDOWN:
        return api_number((uint64_t)c.d->model.shutdown_c, ret);
    case SLOWDOWN:
        return api_number((uint64_t)c.d->model.slowdown_c, ret);
    case GPU_MOST:
        return api_number((uint64_t)c.d->model.slowdown_c - 4, ret);
    case MEMORY_MOST:
        return NVML_NOT_SUPPORTED;
    default:
        return which > 7 ? NVML_INVALID_ARGUMENT : NVML_NOT_SUPPORTED;
    }
}

EXPORT int nvmlDeviceGetPowerUsage(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(POWER);
    return api_number((uint64_t)c.look.power_mw, ret);
}

EXPORT int nvmlDeviceGetTotalEnergyConsumption(nvml_device d, nvml_u64 *ret)
{
    DEVICE_CALL(d);
    NEEDS(ENERGY);
    INTO(ret);
    *ret = (nvml_u64)c.look.energy_mj;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetPowerManagementMode(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(POWER_LIMIT);
    return api_number(NVML_FEATURE_ENABLED, ret);
}

EXPORT int nvmlDeviceGetPowerManagementLimit(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(POWER_LIMIT);
    return api_number((uint64_t)c.look.limit_mw, ret);
}

EXPORT int nvmlDeviceGetEnforcedPowerLimit(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(POWER_LIMIT);
    return api_number((uint64_t)c.look.limit_mw, ret);
}

EXPORT int nvmlDeviceGetPowerManagementDefaultLimit(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(POWER_LIMIT);
    return api_number((uint64_t)c.d->model.power_limit_w * 1000, ret);
}

EXPORT int nvmlDeviceGetPowerManagementLimitConstraints(nvml_device d, unsigned *ret_min,
                                                        unsigned *ret_max)
{
    DEVICE_CALL(d);
    NEEDS(POWER_LIMIT);
    INTO(ret_min);
    *ret_min = (unsigned)c.d->model.power_min_w * 1000;
    return api_number((uint64_t)c.d->model.power_max_w * 1000, ret_max);
}

EXPORT int nvmlDeviceSetPowerManagementLimit(nvml_device d, unsigned mw)
{
    DEVICE_CALL(d);
    NEEDS(POWER_LIMIT);
    if (mw < c.d->model.power_min_w * 1000 || mw > c.d->model.power_max_w * 1000)
        return NVML_INVALID_ARGUMENT;
    if (geteuid() != 0)
        return NVML_NO_PERMISSION;
    return world_set_limit(c.w, c.index, mw) ? NVML_SUCCESS : NVML_IN_USE;
}

EXPORT int nvmlDeviceGetPerformanceState(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(PSTATE);
    return api_number((uint64_t)c.look.pstate, ret);
}

EXPORT int nvmlDeviceGetPowerState(nvml_device d, unsigned *ret)
{
    return nvmlDeviceGetPerformanceState(d, ret);
}

EXPORT int nvmlDeviceGetClockInfo(nvml_device d, unsigned type, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(CLOCKS);
    switch (type) {
    case NVML_CLOCK_GRAPHICS:
    case NVML_CLOCK_SM:
        return api_number((uint64_t)c.look.clock_mhz, ret);
    case NVML_CLOCK_MEM:
        return api_number((uint64_t)c.look.memory_clock_mhz, ret);
    case NVML_CLOCK_VIDEO:
        return api_number((uint64_t)c.look.video_clock_mhz, ret);
    default:
        return NVML_INVALID_ARGUMENT;
    }
}

EXPORT int nvmlDeviceGetMaxClockInfo(nvml_device d, unsigned type, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(CLOCKS);
    switch (type) {
    case NVML_CLOCK_GRAPHICS:
    case NVML_CLOCK_SM:
        return api_number((uint64_t)c.d->model.clock_max_mhz, ret);
    case NVML_CLOCK_MEM:
        return api_number((uint64_t)c.d->model.memory_clock_mhz, ret);
    case NVML_CLOCK_VIDEO:
        return api_number((uint64_t)c.d->model.clock_max_mhz * 4 / 5, ret);
    default:
        return NVML_INVALID_ARGUMENT;
    }
}

EXPORT int nvmlDeviceGetClock(nvml_device d, unsigned type, unsigned id, unsigned *ret)
{
    enum { CURRENT, APPLICATION, APPLICATION_DEFAULT, CUSTOMER_MOST };
    if (id == CURRENT)
        return nvmlDeviceGetClockInfo(d, type, ret);
    if (id == CUSTOMER_MOST)
        return nvmlDeviceGetMaxClockInfo(d, type, ret);
    DEVICE_CALL(d);
    return id > CUSTOMER_MOST ? NVML_INVALID_ARGUMENT : NVML_NOT_SUPPORTED;
}

static int throttle(const struct api_call *call, nvml_u64 *ret)
{
    struct api_call c = *call;
    NEEDS(THROTTLE);
    INTO(ret);
    *ret = c.look.throttle;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetCurrentClocksEventReasons(nvml_device d, nvml_u64 *ret)
{
    DEVICE_CALL(d);
    return throttle(&c, ret);
}

EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(nvml_device d, nvml_u64 *ret)
{
    DEVICE_CALL(d);
    return throttle(&c, ret);
}

EXPORT int nvmlDeviceGetSupportedClocksEventReasons(nvml_device d, nvml_u64 *ret)
{
    DEVICE_CALL(d);
    NEEDS(THROTTLE);
    INTO(ret);
    *ret = 0x1ff;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetSupportedClocksThrottleReasons(nvml_device d, nvml_u64 *ret)
{
    return nvmlDeviceGetSupportedClocksEventReasons(d, ret);
}

EXPORT int nvmlDeviceGetNumFans(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number((uint64_t)c.d->model.fans, ret);
}

EXPORT int nvmlDeviceGetFanSpeed(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(FAN);
    return api_number((uint64_t)c.look.fan_pct, ret);
}

EXPORT int nvmlDeviceGetFanSpeed_v2(nvml_device d, unsigned fan, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(FAN);
    if (fan >= c.d->model.fans)
        return NVML_INVALID_ARGUMENT;
    return api_number((uint64_t)c.look.fan_pct, ret);
}

EXPORT int nvmlDeviceGetFanSpeedRPM(nvml_device d, struct nvml_fan_speed *ret)
{
    DEVICE_CALL(d);
    NEEDS(FAN);
    VERSIONED(ret, struct nvml_fan_speed, 1);
    if (ret->fan >= c.d->model.fans)
        return NVML_INVALID_ARGUMENT;
    ret->rpm = (uint32_t)c.look.fan_pct * 33;
    return NVML_SUCCESS;
}

/* KB/s, by the load; a driver measures over 20 ms, we do not wait. */
EXPORT int nvmlDeviceGetPcieThroughput(nvml_device d, unsigned counter, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(PCIE);
    if (counter > 1)
        return NVML_INVALID_ARGUMENT;
    double kib = (double)(1 << c.d->model.pcie_generation) * 1e5 * c.look.load_pct / 100;
    return api_number((uint64_t)(counter == 0 ? kib / 4 : kib), ret);
}

EXPORT int nvmlDeviceGetPcieReplayCounter(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(PCIE);
    return api_number(0, ret);
}

EXPORT int nvmlDeviceGetCurrPcieLinkGeneration(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(PCIE);
    bool asleep = c.look.throttle & 1 && c.d->model.idle_pstate > 0;
    return api_number(asleep ? 1 : (uint64_t)c.d->model.pcie_generation, ret);
}

EXPORT int nvmlDeviceGetMaxPcieLinkGeneration(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(PCIE);
    return api_number((uint64_t)c.d->model.pcie_generation, ret);
}

EXPORT int nvmlDeviceGetCurrPcieLinkWidth(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(PCIE);
    return api_number(16, ret);
}

EXPORT int nvmlDeviceGetMaxPcieLinkWidth(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(PCIE);
    return api_number(16, ret);
}

EXPORT int nvmlDeviceGetPcieSpeed(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(PCIE);
    return api_number(1250u << c.d->model.pcie_generation, ret); /* MB/s a lane */
}

EXPORT int nvmlDeviceGetNvLinkState(nvml_device d, unsigned link, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(NVLINK);
    if (link >= c.d->model.nvlinks)
        return NVML_INVALID_ARGUMENT;
    return api_number(NVML_FEATURE_ENABLED, ret);
}

EXPORT int nvmlDeviceGetNvLinkVersion(nvml_device d, unsigned link, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(NVLINK);
    if (link >= c.d->model.nvlinks)
        return NVML_INVALID_ARGUMENT;
    return api_number(c.d->model.architecture >= 9 ? 4 : 3, ret);
}
