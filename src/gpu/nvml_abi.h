/*
 * The part of NVML's binary interface that we speak (LP64, little endian): written down from its
 * documentation, held in place by assertions on size and offset, and used by both sides, the
 * backend in gpu/nvml.c and the stand-in library in sim/. Every structure is the one that belongs
 * to the suffix it names; a new suffix is a new structure, never a change of an old one.
 */
#ifndef GPU_NVML_ABI_H
#define GPU_NVML_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nvml_device *nvml_device;
typedef struct nvml_event_set *nvml_event_set;
typedef struct nvml_gpu_instance *nvml_gpu_instance;
typedef unsigned long long nvml_u64;

/* clang-format off */
#define NVML_CODES(X)                                                                              \
    X(SUCCESS,                  0, "Success")                                                      \
    X(UNINITIALIZED,            1, "Uninitialized")                                                \
    X(INVALID_ARGUMENT,         2, "Invalid Argument")                                             \
    X(NOT_SUPPORTED,            3, "Not Supported")                                                \
    X(NO_PERMISSION,            4, "Insufficient Permissions")                                     \
    X(ALREADY_INITIALIZED,      5, "Already Initialized")                                          \
    X(NOT_FOUND,                6, "Not Found")                                                    \
    X(INSUFFICIENT_SIZE,        7, "Insufficient Size")                                            \
    X(INSUFFICIENT_POWER,       8, "Insufficient External Power")                                  \
    X(DRIVER_NOT_LOADED,        9, "Driver Not Loaded")                                            \
    X(TIMEOUT,                 10, "Timeout")                                                      \
    X(IRQ_ISSUE,               11, "Interrupt Request Issue")                                      \
    X(LIBRARY_NOT_FOUND,       12, "NVML Shared Library Not Found")                                \
    X(FUNCTION_NOT_FOUND,      13, "Function Not Found")                                           \
    X(CORRUPTED_INFOROM,       14, "Corrupted infoROM")                                            \
    X(GPU_IS_LOST,             15, "GPU is lost")                                                  \
    X(RESET_REQUIRED,          16, "GPU requires reset")                                           \
    X(OPERATING_SYSTEM,        17, "GPU access blocked by the operating system")                   \
    X(LIB_RM_VERSION_MISMATCH, 18, "Driver/library version mismatch")                              \
    X(IN_USE,                  19, "In use by another client")                                     \
    X(MEMORY,                  20, "Insufficient Memory")                                          \
    X(NO_DATA,                 21, "No data")                                                      \
    X(VGPU_ECC_NOT_SUPPORTED,  22, "vGPU ECC not supported")                                       \
    X(INSUFFICIENT_RESOURCES,  23, "Insufficient Resources")                                       \
    X(FREQ_NOT_SUPPORTED,      24, "Frequency Not Supported")                                      \
    X(ARGUMENT_VERSION_MISMATCH, 25, "Argument Version Mismatch")                                  \
    X(DEPRECATED,              26, "Deprecated")                                                   \
    X(NOT_READY,               27, "Not Ready")                                                    \
    X(GPU_NOT_FOUND,           28, "GPU Not Found")                                                \
    X(INVALID_STATE,           29, "Invalid State")                                                \
    X(RESET_TYPE_NOT_SUPPORTED, 30, "Reset Type Not Supported")                                    \
    X(UNKNOWN,                999, "Unknown Error")
/* clang-format on */

#define X(name, value, text) NVML_##name = value,
enum nvml_code { NVML_CODES(X) };
#undef X

enum {
    NVML_UUID_SIZE = 96, /* the newest; 80 with old libraries, which write less */
    NVML_NAME_SIZE = 96,
    NVML_INIT_NO_GPUS = 1,
    NVML_TEMPERATURE_GPU = 0,
    NVML_CLOCK_GRAPHICS = 0,
    NVML_CLOCK_SM = 1,
    NVML_CLOCK_MEM = 2,
    NVML_CLOCK_VIDEO = 3,
    NVML_EVENT_XID = 0x8,
    NVML_ERROR_CORRECTED = 0,
    NVML_ERROR_UNCORRECTED = 1,
    NVML_COUNTER_VOLATILE = 0,
    NVML_COUNTER_AGGREGATE = 1,
    NVML_FEATURE_DISABLED = 0,
    NVML_FEATURE_ENABLED = 1,
    NVML_VALUE_DOUBLE = 0,
    NVML_VALUE_U32 = 1,
    NVML_VALUE_ULONG = 2,
    NVML_VALUE_U64 = 3,
    NVML_VALUE_I64 = 4,
    NVML_VALUE_I32 = 5,
    NVML_VALUE_U16 = 6,
    /* Field ids. Only those up to 198 and from 201 to 230 mean the same in every library. */
    NVML_FIELD_ECC_CURRENT = 1,
    NVML_FIELD_ECC_PENDING = 2,
    NVML_FIELD_SBE_VOLATILE = 3,
    NVML_FIELD_DBE_VOLATILE = 4,
    NVML_FIELD_SBE_AGGREGATE = 5,
    NVML_FIELD_DBE_AGGREGATE = 6,
    NVML_FIELD_RETIRED_SBE = 29,
    NVML_FIELD_RETIRED_DBE = 30,
    NVML_FIELD_RETIRED_PENDING = 31,
    NVML_FIELD_MEMORY_TEMP = 82,
    NVML_FIELD_ENERGY = 83,
    NVML_FIELD_NVLINK_COUNT = 91,
    NVML_FIELD_PCIE_REPLAY = 94,
    NVML_FIELD_NVLINK_DATA_TX = 138, /* KiB; scope NVML_ALL_LINKS: the sum */
    NVML_FIELD_NVLINK_DATA_RX = 139,
    NVML_FIELD_REMAPPED_COR = 142,
    NVML_FIELD_REMAPPED_UNC = 143,
    NVML_FIELD_REMAPPED_PENDING = 144,
    NVML_FIELD_REMAPPED_FAILURE = 145,
    NVML_FIELD_POWER_AVERAGE = 185,
    NVML_FIELD_POWER_INSTANT = 186,
    NVML_FIELD_POWER_MIN_LIMIT = 187,
    NVML_FIELD_POWER_MAX_LIMIT = 188,
    NVML_FIELD_POWER_DEFAULT_LIMIT = 189,
    NVML_FIELD_POWER_CURRENT_LIMIT = 190,
    NVML_FIELD_ENERGY_2 = 191,
    NVML_FIELD_POWER_REQUESTED_LIMIT = 192,
    NVML_FIELD_PCIE_TX_BYTES = 197,
    NVML_FIELD_PCIE_RX_BYTES = 198,
    NVML_FIELD_RECOVERY_ACTION = 230,
};

#define NVML_ALL_LINKS        0xffffffffu
#define NVML_NO_INSTANCE      0xffffffffu
#define NVML_NOT_AVAILABLE    0xffffffffffffffffull

/* The version word of structures that begin with one. */
#define NVML_VERSION(type, n) ((uint32_t)sizeof(type) | ((uint32_t)(n) << 24))

#define NVML_SIZE(type, size) static_assert(sizeof(type) == (size), "size of " #type)
#define NVML_AT(type, member, offset)                                                              \
    static_assert(offsetof(type, member) == (offset), "offset of " #member " in " #type)

struct nvml_pci_info {
    char bus_id_legacy[16];
    uint32_t domain, bus, device;
    uint32_t pci_device_id; /* device << 16 | vendor */
    uint32_t pci_subsystem_id;
    char bus_id[32];
};
NVML_SIZE(struct nvml_pci_info, 68);
NVML_AT(struct nvml_pci_info, pci_device_id, 28);
NVML_AT(struct nvml_pci_info, bus_id, 36);

struct nvml_pci_info_ext {
    uint32_t version, domain, bus, device, pci_device_id, pci_subsystem_id, base_class, sub_class;
    char bus_id[32];
};
NVML_SIZE(struct nvml_pci_info_ext, 64);
NVML_AT(struct nvml_pci_info_ext, bus_id, 32);

struct nvml_utilization {
    uint32_t gpu, memory;
};
NVML_SIZE(struct nvml_utilization, 8);

struct nvml_memory {
    nvml_u64 total, free, used;
};
NVML_SIZE(struct nvml_memory, 24);
NVML_AT(struct nvml_memory, used, 16);

struct nvml_memory_v2 {
    uint32_t version;
    nvml_u64 total, reserved, free, used;
};
NVML_SIZE(struct nvml_memory_v2, 40);
NVML_AT(struct nvml_memory_v2, total, 8);
NVML_AT(struct nvml_memory_v2, used, 32);
static_assert(NVML_VERSION(struct nvml_memory_v2, 2) == 0x02000028, "version word of memory v2");

struct nvml_bar1_memory {
    nvml_u64 total, free, used;
};
NVML_SIZE(struct nvml_bar1_memory, 24);

struct nvml_process_v1 {
    uint32_t pid;
    nvml_u64 used_bytes;
};
NVML_SIZE(struct nvml_process_v1, 16);
NVML_AT(struct nvml_process_v1, used_bytes, 8);

/* Of _v2 and _v3. Some libraries of driver 535 write 32 bytes with _v3. */
struct nvml_process {
    uint32_t pid;
    nvml_u64 used_bytes;
    uint32_t gpu_instance, compute_instance;
};
NVML_SIZE(struct nvml_process, 24);
NVML_AT(struct nvml_process, gpu_instance, 16);

struct nvml_process_detail {
    uint32_t pid;
    nvml_u64 used_bytes;
    uint32_t gpu_instance, compute_instance;
    nvml_u64 protected_bytes;
};
NVML_SIZE(struct nvml_process_detail, 32);
NVML_AT(struct nvml_process_detail, protected_bytes, 24);

struct nvml_process_detail_list {
    uint32_t version, mode, count;
    struct nvml_process_detail *processes;
};
NVML_SIZE(struct nvml_process_detail_list, 24);
NVML_AT(struct nvml_process_detail_list, processes, 16);
static_assert(NVML_VERSION(struct nvml_process_detail_list, 1) == 0x01000018, "version word");

union nvml_value {
    double d;
    int32_t i32;
    uint32_t u32;
    unsigned long ul;
    nvml_u64 u64;
    long long i64;
    uint16_t u16;
};
NVML_SIZE(union nvml_value, 8);

struct nvml_field_value {
    uint32_t field, scope;
    long long timestamp_us, latency_us;
    int32_t type, code;
    union nvml_value value;
};
NVML_SIZE(struct nvml_field_value, 40);
NVML_AT(struct nvml_field_value, type, 24);
NVML_AT(struct nvml_field_value, value, 32);

struct nvml_sample {
    nvml_u64 timestamp_us;
    union nvml_value value;
};
NVML_SIZE(struct nvml_sample, 16);

struct nvml_violation_time {
    nvml_u64 reference_us, violation_ns;
};
NVML_SIZE(struct nvml_violation_time, 16);

struct nvml_ecc_error_counts {
    nvml_u64 l1_cache, l2_cache, device_memory, register_file;
};
NVML_SIZE(struct nvml_ecc_error_counts, 32);

struct nvml_row_remapper_histogram {
    uint32_t max, high, partial, low, none;
};
NVML_SIZE(struct nvml_row_remapper_histogram, 20);

struct nvml_process_utilization {
    uint32_t pid;
    nvml_u64 timestamp_us;
    uint32_t sm, memory, encoder, decoder;
};
NVML_SIZE(struct nvml_process_utilization, 32);
NVML_AT(struct nvml_process_utilization, sm, 16);

struct nvml_process_utilization_info {
    nvml_u64 timestamp_us;
    uint32_t pid, sm, memory, encoder, decoder, jpeg, ofa;
};
NVML_SIZE(struct nvml_process_utilization_info, 40);

struct nvml_processes_utilization_info {
    uint32_t version, count;
    nvml_u64 last_seen_us;
    struct nvml_process_utilization_info *samples;
};
NVML_SIZE(struct nvml_processes_utilization_info, 24);
NVML_AT(struct nvml_processes_utilization_info, samples, 16);

struct nvml_event_data {
    nvml_device device;
    nvml_u64 type, data;
    uint32_t gpu_instance, compute_instance;
};
NVML_SIZE(struct nvml_event_data, 32);
NVML_AT(struct nvml_event_data, data, 16);

struct nvml_temperature_v1 {
    uint32_t version, sensor;
    int32_t celsius;
};
NVML_SIZE(struct nvml_temperature_v1, 12);
static_assert(NVML_VERSION(struct nvml_temperature_v1, 1) == 0x0100000c, "version word");

struct nvml_margin_temperature {
    uint32_t version;
    int32_t margin;
};
NVML_SIZE(struct nvml_margin_temperature, 8);
static_assert(NVML_VERSION(struct nvml_margin_temperature, 1) == 0x01000008, "version word");

struct nvml_fan_speed {
    uint32_t version, fan, rpm;
};
NVML_SIZE(struct nvml_fan_speed, 12);

struct nvml_gpm_support {
    uint32_t version, supported;
};
NVML_SIZE(struct nvml_gpm_support, 8);

/*
 * Every function that either side knows, but for nvmlErrorString(), which returns text. A function
 * without suffix is the oldest form: ask for the suffix whose structure you mean.
 */
/* clang-format off */
#define NVML_FUNCTIONS(X)                                                                          \
    X(nvmlInit,                            (void))                                                 \
    X(nvmlInit_v2,                         (void))                                                 \
    X(nvmlInitWithFlags,                   (unsigned flags))                                       \
    X(nvmlShutdown,                        (void))                                                 \
    X(nvmlSystemGetDriverVersion,          (char *ret, unsigned room))                             \
    X(nvmlSystemGetNVMLVersion,            (char *ret, unsigned room))                             \
    X(nvmlSystemGetCudaDriverVersion,      (int *ret))                                             \
    X(nvmlSystemGetCudaDriverVersion_v2,   (int *ret))                                             \
    X(nvmlSystemGetProcessName,            (unsigned pid, char *ret, unsigned room))               \
    X(nvmlDeviceGetCount,                  (unsigned *ret))                                        \
    X(nvmlDeviceGetCount_v2,               (unsigned *ret))                                        \
    X(nvmlDeviceGetHandleByIndex,          (unsigned index, nvml_device *ret))                     \
    X(nvmlDeviceGetHandleByIndex_v2,       (unsigned index, nvml_device *ret))                     \
    X(nvmlDeviceGetHandleByUUID,           (const char *uuid, nvml_device *ret))                   \
    X(nvmlDeviceGetHandleBySerial,         (const char *serial, nvml_device *ret))                 \
    X(nvmlDeviceGetHandleByPciBusId,       (const char *bus_id, nvml_device *ret))                 \
    X(nvmlDeviceGetHandleByPciBusId_v2,    (const char *bus_id, nvml_device *ret))                 \
    X(nvmlDeviceGetName,                   (nvml_device d, char *ret, unsigned room))              \
    X(nvmlDeviceGetBrand,                  (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetArchitecture,           (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetIndex,                  (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetMinorNumber,            (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetSerial,                 (nvml_device d, char *ret, unsigned room))              \
    X(nvmlDeviceGetUUID,                   (nvml_device d, char *ret, unsigned room))              \
    X(nvmlDeviceGetBoardPartNumber,        (nvml_device d, char *ret, unsigned room))              \
    X(nvmlDeviceGetBoardId,                (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetMultiGpuBoard,          (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetVbiosVersion,           (nvml_device d, char *ret, unsigned room))              \
    X(nvmlDeviceGetInforomImageVersion,    (nvml_device d, char *ret, unsigned room))              \
    X(nvmlDeviceGetInforomVersion,         (nvml_device d, unsigned object, char *ret, unsigned room)) \
    X(nvmlDeviceGetPciInfo_v3,             (nvml_device d, struct nvml_pci_info *ret))             \
    X(nvmlDeviceGetPciInfoExt,             (nvml_device d, struct nvml_pci_info_ext *ret))         \
    X(nvmlDeviceGetCudaComputeCapability,  (nvml_device d, int *ret_major, int *ret_minor))        \
    X(nvmlDeviceGetNumGpuCores,            (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetMemoryBusWidth,         (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetComputeMode,            (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetPersistenceMode,        (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetDisplayMode,            (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetDisplayActive,          (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetCpuAffinity,            (nvml_device d, unsigned size, unsigned long *ret))     \
    X(nvmlDeviceGetMemoryAffinity,         (nvml_device d, unsigned size, unsigned long *ret, unsigned scope)) \
    X(nvmlDeviceGetNumaNodeId,             (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetTopologyCommonAncestor, (nvml_device a, nvml_device b, unsigned *ret))          \
    X(nvmlDeviceGetUtilizationRates,       (nvml_device d, struct nvml_utilization *ret))          \
    X(nvmlDeviceGetEncoderUtilization,     (nvml_device d, unsigned *ret, unsigned *ret_us))       \
    X(nvmlDeviceGetDecoderUtilization,     (nvml_device d, unsigned *ret, unsigned *ret_us))       \
    X(nvmlDeviceGetJpgUtilization,         (nvml_device d, unsigned *ret, unsigned *ret_us))       \
    X(nvmlDeviceGetOfaUtilization,         (nvml_device d, unsigned *ret, unsigned *ret_us))       \
    X(nvmlDeviceGetMemoryInfo,             (nvml_device d, struct nvml_memory *ret))               \
    X(nvmlDeviceGetMemoryInfo_v2,          (nvml_device d, struct nvml_memory_v2 *ret))            \
    X(nvmlDeviceGetBAR1MemoryInfo,         (nvml_device d, struct nvml_bar1_memory *ret))          \
    X(nvmlDeviceGetTemperature,            (nvml_device d, unsigned sensor, unsigned *ret))        \
    X(nvmlDeviceGetTemperatureV,           (nvml_device d, struct nvml_temperature_v1 *ret))       \
    X(nvmlDeviceGetMarginTemperature,      (nvml_device d, struct nvml_margin_temperature *ret))   \
    X(nvmlDeviceGetTemperatureThreshold,   (nvml_device d, unsigned which, unsigned *ret))         \
    X(nvmlDeviceGetPowerUsage,             (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetTotalEnergyConsumption, (nvml_device d, nvml_u64 *ret))                         \
    X(nvmlDeviceGetPowerManagementMode,    (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetPowerManagementLimit,   (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetPowerManagementLimitConstraints, (nvml_device d, unsigned *ret_min, unsigned *ret_max)) \
    X(nvmlDeviceGetPowerManagementDefaultLimit, (nvml_device d, unsigned *ret))                    \
    X(nvmlDeviceGetEnforcedPowerLimit,     (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceSetPowerManagementLimit,   (nvml_device d, unsigned mw))                           \
    X(nvmlDeviceGetPerformanceState,       (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetPowerState,             (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetClockInfo,              (nvml_device d, unsigned type, unsigned *ret))          \
    X(nvmlDeviceGetMaxClockInfo,           (nvml_device d, unsigned type, unsigned *ret))          \
    X(nvmlDeviceGetClock,                  (nvml_device d, unsigned type, unsigned id, unsigned *ret)) \
    X(nvmlDeviceGetCurrentClocksEventReasons, (nvml_device d, nvml_u64 *ret))                      \
    X(nvmlDeviceGetCurrentClocksThrottleReasons, (nvml_device d, nvml_u64 *ret))                   \
    X(nvmlDeviceGetSupportedClocksEventReasons, (nvml_device d, nvml_u64 *ret))                    \
    X(nvmlDeviceGetSupportedClocksThrottleReasons, (nvml_device d, nvml_u64 *ret))                 \
    X(nvmlDeviceGetViolationStatus,        (nvml_device d, unsigned policy, struct nvml_violation_time *ret)) \
    X(nvmlDeviceGetEccMode,                (nvml_device d, unsigned *ret, unsigned *ret_pending))  \
    X(nvmlDeviceGetTotalEccErrors,         (nvml_device d, unsigned type, unsigned counter, nvml_u64 *ret)) \
    X(nvmlDeviceGetMemoryErrorCounter,     (nvml_device d, unsigned type, unsigned counter, unsigned where, nvml_u64 *ret)) \
    X(nvmlDeviceGetDetailedEccErrors,      (nvml_device d, unsigned type, unsigned counter, struct nvml_ecc_error_counts *ret)) \
    X(nvmlDeviceGetRetiredPages_v2,        (nvml_device d, unsigned cause, unsigned *count, nvml_u64 *addresses, nvml_u64 *times)) \
    X(nvmlDeviceGetRetiredPagesPendingStatus, (nvml_device d, unsigned *ret))                      \
    X(nvmlDeviceGetRemappedRows,           (nvml_device d, unsigned *ret_cor, unsigned *ret_unc, unsigned *ret_pending, unsigned *ret_failed)) \
    X(nvmlDeviceGetRowRemapperHistogram,   (nvml_device d, struct nvml_row_remapper_histogram *ret)) \
    X(nvmlDeviceGetNumFans,                (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetFanSpeed,               (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetFanSpeed_v2,            (nvml_device d, unsigned fan, unsigned *ret))           \
    X(nvmlDeviceGetFanSpeedRPM,            (nvml_device d, struct nvml_fan_speed *ret))            \
    X(nvmlDeviceGetPcieThroughput,         (nvml_device d, unsigned counter, unsigned *ret))       \
    X(nvmlDeviceGetPcieReplayCounter,      (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetCurrPcieLinkGeneration, (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetMaxPcieLinkGeneration,  (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetCurrPcieLinkWidth,      (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetMaxPcieLinkWidth,       (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetPcieSpeed,              (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetNvLinkState,            (nvml_device d, unsigned link, unsigned *ret))          \
    X(nvmlDeviceGetNvLinkVersion,          (nvml_device d, unsigned link, unsigned *ret))          \
    X(nvmlDeviceGetFieldValues,            (nvml_device d, int count, struct nvml_field_value *values)) \
    X(nvmlDeviceGetSamples,                (nvml_device d, unsigned type, nvml_u64 since_us, unsigned *ret_type, unsigned *count, struct nvml_sample *samples)) \
    X(nvmlDeviceGetComputeRunningProcesses,     (nvml_device d, unsigned *count, struct nvml_process_v1 *ret)) \
    X(nvmlDeviceGetComputeRunningProcesses_v2,  (nvml_device d, unsigned *count, struct nvml_process *ret)) \
    X(nvmlDeviceGetComputeRunningProcesses_v3,  (nvml_device d, unsigned *count, struct nvml_process *ret)) \
    X(nvmlDeviceGetGraphicsRunningProcesses,    (nvml_device d, unsigned *count, struct nvml_process_v1 *ret)) \
    X(nvmlDeviceGetGraphicsRunningProcesses_v2, (nvml_device d, unsigned *count, struct nvml_process *ret)) \
    X(nvmlDeviceGetGraphicsRunningProcesses_v3, (nvml_device d, unsigned *count, struct nvml_process *ret)) \
    X(nvmlDeviceGetMPSComputeRunningProcesses_v2, (nvml_device d, unsigned *count, struct nvml_process *ret)) \
    X(nvmlDeviceGetMPSComputeRunningProcesses_v3, (nvml_device d, unsigned *count, struct nvml_process *ret)) \
    X(nvmlDeviceGetRunningProcessDetailList, (nvml_device d, struct nvml_process_detail_list *list)) \
    X(nvmlDeviceGetProcessUtilization,     (nvml_device d, struct nvml_process_utilization *ret, unsigned *count, nvml_u64 since_us)) \
    X(nvmlDeviceGetProcessesUtilizationInfo, (nvml_device d, struct nvml_processes_utilization_info *info)) \
    X(nvmlDeviceGetAccountingMode,         (nvml_device d, unsigned *ret))                         \
    X(nvmlEventSetCreate,                  (nvml_event_set *ret))                                  \
    X(nvmlDeviceRegisterEvents,            (nvml_device d, nvml_u64 types, nvml_event_set set))    \
    X(nvmlDeviceGetSupportedEventTypes,    (nvml_device d, nvml_u64 *ret))                         \
    X(nvmlEventSetWait_v2,                 (nvml_event_set set, struct nvml_event_data *ret, unsigned timeout_ms)) \
    X(nvmlEventSetFree,                    (nvml_event_set set))                                   \
    X(nvmlDeviceGetMigMode,                (nvml_device d, unsigned *ret, unsigned *ret_pending))  \
    X(nvmlDeviceSetMigMode,                (nvml_device d, unsigned mode, int *ret_activation))    \
    X(nvmlDeviceIsMigDeviceHandle,         (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetMaxMigDeviceCount,      (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetMigDeviceHandleByIndex, (nvml_device d, unsigned index, nvml_device *ret))      \
    X(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, (nvml_device d, nvml_device *ret))             \
    X(nvmlDeviceGetGpuInstanceId,          (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetComputeInstanceId,      (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetVirtualizationMode,     (nvml_device d, unsigned *ret))                         \
    X(nvmlDeviceGetConfComputeMemSizeInfo, (nvml_device d, void *ret))                             \
    X(nvmlGpmQueryDeviceSupport,           (nvml_device d, struct nvml_gpm_support *support))
/* clang-format on */

/* nvmlInit_v2_fn and so on: the type of each function. */
#define X(name, args) typedef int name##_fn args;
NVML_FUNCTIONS(X)
#undef X
typedef const char *nvmlErrorString_fn(int code);

#endif
