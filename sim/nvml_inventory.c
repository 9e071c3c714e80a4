/* NVML: what a device is. */
#include "api.h"

enum { NVIDIA = 0x10de, SUBSYSTEM = 0x146710de };

EXPORT int nvmlDeviceGetName(nvml_device d, char *ret, unsigned room)
{
    DEVICE_CALL(d);
    return api_text(c.d->name, ret, room);
}

EXPORT int nvmlDeviceGetBrand(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number((uint64_t)c.d->model.brand, ret);
}

EXPORT int nvmlDeviceGetArchitecture(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number((uint64_t)c.d->model.architecture, ret);
}

EXPORT int nvmlDeviceGetIndex(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(c.index, ret);
}

EXPORT int nvmlDeviceGetMinorNumber(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(c.index, ret);
}

EXPORT int nvmlDeviceGetSerial(nvml_device d, char *ret, unsigned room)
{
    DEVICE_CALL(d);
    NEEDS(SERIAL);
    return api_text(c.d->serial, ret, room);
}

EXPORT int nvmlDeviceGetUUID(nvml_device d, char *ret, unsigned room)
{
    DEVICE_CALL(d);
    return api_text(c.d->uuid, ret, room);
}

EXPORT int nvmlDeviceGetBoardPartNumber(nvml_device d, char *ret, unsigned room)
{
    DEVICE_CALL(d);
    NEEDS(SERIAL);
    return api_text("900-SIMULATED", ret, room);
}

EXPORT int nvmlDeviceGetBoardId(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number((uint64_t)c.d->pci_bus << 8, ret);
}

EXPORT int nvmlDeviceGetMultiGpuBoard(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(0, ret);
}

EXPORT int nvmlDeviceGetVbiosVersion(nvml_device d, char *ret, unsigned room)
{
    DEVICE_CALL(d);
    return api_text("94.02.00.00.01", ret, room);
}

EXPORT int nvmlDeviceGetInforomImageVersion(nvml_device d, char *ret, unsigned room)
{
    DEVICE_CALL(d);
    NEEDS(ECC); /* boards for desktops have no image */
    return api_text("G001.0000.00.01", ret, room);
}

EXPORT int nvmlDeviceGetInforomVersion(nvml_device d, unsigned object, char *ret, unsigned room)
{
    static const char *const versions[] = {"2.0", "6.16", "1.0"};
    DEVICE_CALL(d);
    if (object >= sizeof versions / sizeof *versions)
        return NVML_INVALID_ARGUMENT;
    NEEDS(ECC);
    return api_text(versions[object], ret, room);
}

EXPORT int nvmlDeviceGetPciInfo_v3(nvml_device d, struct nvml_pci_info *ret)
{
    DEVICE_CALL(d);
    INTO(ret);
    *ret = (struct nvml_pci_info){
        .bus = c.d->pci_bus,
        .pci_device_id = (uint32_t)c.d->model.pci_device << 16 | NVIDIA,
        .pci_subsystem_id = SUBSYSTEM,
    };
    snprintf(ret->bus_id_legacy, sizeof ret->bus_id_legacy, "0000:%02X:00.0", ret->bus & 0xff);
    snprintf(ret->bus_id, sizeof ret->bus_id, "00000000:%02X:00.0", ret->bus & 0xff);
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetPciInfoExt(nvml_device d, struct nvml_pci_info_ext *ret)
{
    DEVICE_CALL(d);
    VERSIONED(ret, struct nvml_pci_info_ext, 1);
    *ret = (struct nvml_pci_info_ext){
        .version = ret->version,
        .bus = c.d->pci_bus,
        .pci_device_id = (uint32_t)c.d->model.pci_device << 16 | NVIDIA,
        .pci_subsystem_id = SUBSYSTEM,
        .base_class = 3, /* display controller */
        .sub_class = 0,
    };
    snprintf(ret->bus_id, sizeof ret->bus_id, "00000000:%02X:00.0", ret->bus & 0xff);
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetCudaComputeCapability(nvml_device d, int *ret_major, int *ret_minor)
{
    DEVICE_CALL(d);
    INTO(ret_major);
    INTO(ret_minor);
    *ret_major = (int)c.d->model.compute_major;
    *ret_minor = (int)c.d->model.compute_minor;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetNumGpuCores(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number((uint64_t)c.d->model.cores, ret);
}

EXPORT int nvmlDeviceGetMemoryBusWidth(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number((uint64_t)c.d->model.bus_width, ret);
}

EXPORT int nvmlDeviceGetComputeMode(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(0, ret); /* any number of processes */
}

EXPORT int nvmlDeviceGetPersistenceMode(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(NVML_FEATURE_ENABLED, ret);
}

EXPORT int nvmlDeviceGetDisplayMode(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(NVML_FEATURE_DISABLED, ret);
}

EXPORT int nvmlDeviceGetDisplayActive(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(NVML_FEATURE_DISABLED, ret);
}

EXPORT int nvmlDeviceGetCpuAffinity(nvml_device d, unsigned size, unsigned long *ret)
{
    DEVICE_CALL(d);
    INTO(ret);
    if (!size)
        return NVML_INVALID_ARGUMENT;
    memset(ret, 0, size * sizeof *ret);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    for (long i = 0; i < cpus && i < (long)(size * 64); i++)
        ret[i / 64] |= 1ul << (i % 64);
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetMemoryAffinity(nvml_device d, unsigned size, unsigned long *ret,
                                       unsigned scope)
{
    DEVICE_CALL(d);
    INTO(ret);
    if (!size || scope > 1)
        return NVML_INVALID_ARGUMENT;
    memset(ret, 0, size * sizeof *ret);
    ret[0] = 1ul << c.d->numa_node;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetNumaNodeId(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number((uint64_t)c.d->numa_node, ret);
}

EXPORT int nvmlDeviceGetTopologyCommonAncestor(nvml_device a, nvml_device b, unsigned *ret)
{
    enum { SAME_BOARD = 0, SAME_NODE = 40, SAME_SYSTEM = 50 };
    DEVICE_CALL(a);
    uintptr_t other = (uintptr_t)b - (uintptr_t)api_handle(0);
    const struct scenario *s = world_scenario(c.w);
    if (!b || other >= s->device_count)
        return NVML_INVALID_ARGUMENT;
    if (other == c.index)
        return api_number(SAME_BOARD, ret);
    return api_number(s->devices[other].numa_node == c.d->numa_node ? SAME_NODE : SAME_SYSTEM, ret);
}

EXPORT int nvmlDeviceGetVirtualizationMode(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(0, ret);
}

/* No device of the simulator is cut into instances: those that could be say that it is off. */
EXPORT int nvmlDeviceGetMigMode(nvml_device d, unsigned *ret, unsigned *ret_pending)
{
    DEVICE_CALL(d);
    NEEDS(MIG);
    INTO(ret);
    return *ret = NVML_FEATURE_DISABLED, api_number(NVML_FEATURE_DISABLED, ret_pending);
}

EXPORT int nvmlDeviceSetMigMode(nvml_device d, unsigned mode, int *ret_activation)
{
    DEVICE_CALL(d);
    NEEDS(MIG);
    INTO(ret_activation);
    *ret_activation = NVML_SUCCESS;
    return mode == NVML_FEATURE_DISABLED ? NVML_SUCCESS : NVML_NOT_SUPPORTED;
}

EXPORT int nvmlDeviceIsMigDeviceHandle(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(0, ret);
}

EXPORT int nvmlDeviceGetMaxMigDeviceCount(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    return api_number(c.missing >> SIM_MIG & 1 ? 0 : 7, ret);
}

EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(nvml_device d, unsigned index, nvml_device *ret)
{
    DEVICE_CALL(d);
    NEEDS(MIG);
    INTO(ret);
    return index < 7 ? NVML_NOT_FOUND : NVML_INVALID_ARGUMENT;
}

EXPORT int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml_device d, nvml_device *ret)
{
    DEVICE_CALL(d);
    INTO(ret);
    return NVML_INVALID_ARGUMENT; /* the handle is a whole device's */
}

EXPORT int nvmlDeviceGetGpuInstanceId(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    INTO(ret);
    return NVML_INVALID_ARGUMENT;
}

EXPORT int nvmlDeviceGetComputeInstanceId(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    INTO(ret);
    return NVML_INVALID_ARGUMENT;
}
