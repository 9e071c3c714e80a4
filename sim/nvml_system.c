/* NVML: the machine, and which devices it has. */
#include "api.h"

#include <fcntl.h>
#include <strings.h>

EXPORT const char *nvmlErrorString(int code)
{
    switch (code) {
#define X(name, value, text)                                                                       \
    case value:                                                                                    \
        return text;
        NVML_CODES(X)
#undef X
    default:
        return "Unknown Error";
    }
}

EXPORT int nvmlSystemGetDriverVersion(char *ret, unsigned room)
{
    SYSTEM_CALL();
    return api_text(world_scenario(c.w)->driver_version, ret, room);
}

EXPORT int nvmlSystemGetNVMLVersion(char *ret, unsigned room)
{
    SYSTEM_CALL();
    return api_text(world_scenario(c.w)->nvml_version, ret, room);
}

EXPORT int nvmlSystemGetCudaDriverVersion(int *ret)
{
    SYSTEM_CALL();
    INTO(ret);
    *ret = (int)world_scenario(c.w)->cuda_version;
    return NVML_SUCCESS;
}

EXPORT int nvmlSystemGetCudaDriverVersion_v2(int *ret)
{
    return nvmlSystemGetCudaDriverVersion(ret);
}

EXPORT int nvmlSystemGetProcessName(unsigned pid, char *ret, unsigned room)
{
    SYSTEM_CALL();
    INTO(ret);
    if (!room)
        return NVML_INVALID_ARGUMENT;
    const char *foreign = world_foreign_name(c.w, pid);
    if (foreign) {
        snprintf(ret, room, "%s", foreign);
        return NVML_SUCCESS;
    }

    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (len < 0)
        return NVML_NOT_FOUND;
    line[len] = '\0'; /* the first argument ends with a NUL of its own */
    snprintf(ret, room, "%s", line);
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetCount(unsigned *ret)
{
    SYSTEM_CALL();
    return api_number(world_scenario(c.w)->device_count, ret);
}

EXPORT int nvmlDeviceGetCount_v2(unsigned *ret)
{
    SYSTEM_CALL();
    return api_number(world_scenario(c.w)->device_count, ret);
}

/* A lost device can still be named, but not be had. */
static int hand_out(struct world *w, size_t index, nvml_device *ret)
{
    INTO(ret);
    if (index >= world_scenario(w)->device_count)
        return NVML_INVALID_ARGUMENT;
    if (world_fault(w, SIM_FAULT_LOST, (int64_t)index, NULL))
        return NVML_GPU_IS_LOST;
    *ret = api_handle(index);
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetHandleByIndex(unsigned index, nvml_device *ret)
{
    SYSTEM_CALL();
    return hand_out(c.w, index, ret);
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvml_device *ret)
{
    SYSTEM_CALL();
    return hand_out(c.w, index, ret);
}

EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, nvml_device *ret)
{
    SYSTEM_CALL();
    INTO(uuid);
    const struct scenario *s = world_scenario(c.w);
    for (size_t i = 0; i < s->device_count; i++)
        if (strcmp(s->devices[i].uuid, uuid) == 0)
            return hand_out(c.w, i, ret);
    return NVML_NOT_FOUND;
}

EXPORT int nvmlDeviceGetHandleBySerial(const char *serial, nvml_device *ret)
{
    SYSTEM_CALL();
    INTO(serial);
    const struct scenario *s = world_scenario(c.w);
    for (size_t i = 0; i < s->device_count; i++)
        if (!(world_missing(c.w, i) >> SIM_SERIAL & 1) && strcmp(s->devices[i].serial, serial) == 0)
            return hand_out(c.w, i, ret);
    return NVML_NOT_FOUND;
}

/* Written with a domain of four or eight digits, or without one. */
EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvml_device *ret)
{
    SYSTEM_CALL();
    INTO(bus_id);
    unsigned domain = 0, bus, device;
    if (sscanf(bus_id, "%x:%x:%x.%*x", &domain, &bus, &device) != 3) {
        domain = 0;
        if (sscanf(bus_id, "%x:%x.%*x", &bus, &device) != 2)
            return NVML_INVALID_ARGUMENT;
    }
    const struct scenario *s = world_scenario(c.w);
    for (size_t i = 0; i < s->device_count; i++)
        if (domain == 0 && device == 0 && s->devices[i].pci_bus == bus)
            return hand_out(c.w, i, ret);
    return NVML_NOT_FOUND;
}

EXPORT int nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvml_device *ret)
{
    return nvmlDeviceGetHandleByPciBusId_v2(bus_id, ret);
}
