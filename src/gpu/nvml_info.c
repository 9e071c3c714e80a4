/* What does not change about an NVIDIA GPU while its driver is loaded. */
#include "base/mem.h"
#include "gpu/nvml_session.h"

static const char *architecture_name(unsigned code)
{
    static const char *const names[] = {
        [2] = "Kepler", [3] = "Maxwell", [4] = "Pascal", [5] = "Volta",      [6] = "Turing",
        [7] = "Ampere", [8] = "Ada",     [9] = "Hopper", [10] = "Blackwell", [13] = "Rubin",
    };
    return code < COUNT_OF(names) && names[code] ? names[code] : "";
}

/* A call that shows in the pulse. */
#define BEAT_CALL(s, function, ...)                                                                \
    (gpu_pulse_beat((s)->pulse, (s)->asking, #function),                                           \
     NVML_CALL(&(s)->lib, function, __VA_ARGS__))

/* Asks for one text of at most ROOM bytes; "" where there is none. */
static int ask_text(int code, char *text, size_t room)
{
    if (code != 0)
        text[0] = '\0';
    text[room - 1] = '\0';
    return code;
}

#define ASK_TEXT(s, function, handle, member)                                                      \
    ask_text(BEAT_CALL(s, function, handle, member, (unsigned)sizeof(member)), member,             \
             sizeof(member))

static void ask_number(int code, unsigned value, int64_t *ret)
{
    if (code == 0)
        *ret = value;
}

#define ASK_NUMBER(s, function, handle, ret)                                                       \
    do {                                                                                           \
        unsigned value_ = 0;                                                                       \
        int code_ = BEAT_CALL(s, function, handle, &value_);                                       \
        ask_number(code_, value_, ret);                                                            \
    } while (0)

static void read_identity(struct gpu_session *s, nvml_device h, struct gpu_info *ret)
{
    struct nvml_pci_info pci = {0};
    if (BEAT_CALL(s, nvmlDeviceGetPciInfo_v3, h, &pci) == 0) {
        pci.bus_id[sizeof pci.bus_id - 1] = '\0';
        snprintf(ret->pci, sizeof ret->pci, "%s", pci.bus_id);
    }
    ASK_TEXT(s, nvmlDeviceGetName, h, ret->name);
    ASK_TEXT(s, nvmlDeviceGetSerial, h, ret->serial);
    ASK_TEXT(s, nvmlDeviceGetVbiosVersion, h, ret->vbios);

    char part[80] = ""; /* the library wants room for 80 */
    ASK_TEXT(s, nvmlDeviceGetBoardPartNumber, h, part);
    snprintf(ret->part_number, sizeof ret->part_number, "%.31s", part);

    unsigned architecture = 0;
    if (BEAT_CALL(s, nvmlDeviceGetArchitecture, h, &architecture) == 0)
        snprintf(ret->architecture, sizeof ret->architecture, "%s",
                 architecture_name(architecture));
    int major = 0, minor = 0;
    if (BEAT_CALL(s, nvmlDeviceGetCudaComputeCapability, h, &major, &minor) == 0) {
        ret->compute_major = major;
        ret->compute_minor = minor;
    }
}

static void read_abilities(struct gpu_session *s, nvml_device h, struct gpu_info *ret)
{
    ASK_NUMBER(s, nvmlDeviceGetMinorNumber, h, &ret->minor_number);
    ASK_NUMBER(s, nvmlDeviceGetNumaNodeId, h, &ret->numa_node);
    ASK_NUMBER(s, nvmlDeviceGetNumGpuCores, h, &ret->cores);
    ASK_NUMBER(s, nvmlDeviceGetPowerManagementDefaultLimit, h, &ret->power_default_mw);
    ASK_NUMBER(s, nvmlDeviceGetMaxPcieLinkGeneration, h, &ret->pcie_max_generation);
    ASK_NUMBER(s, nvmlDeviceGetMaxPcieLinkWidth, h, &ret->pcie_max_width);

    struct nvml_memory memory = {0};
    if (BEAT_CALL(s, nvmlDeviceGetMemoryInfo, h, &memory) == 0 && memory.total <= INT64_MAX)
        ret->memory_total_bytes = (int64_t)memory.total;

    unsigned least = 0, most = 0;
    if (BEAT_CALL(s, nvmlDeviceGetPowerManagementLimitConstraints, h, &least, &most) == 0) {
        ret->power_min_mw = least;
        ret->power_max_mw = most;
    }
    unsigned now = 0, pending = 0;
    if (BEAT_CALL(s, nvmlDeviceGetMigMode, h, &now, &pending) == 0)
        ret->mig_mode = now == NVML_FEATURE_ENABLED;
    if (BEAT_CALL(s, nvmlDeviceGetEccMode, h, &now, &pending) == 0)
        ret->ecc_mode = now == NVML_FEATURE_ENABLED;
}

int nvml_info_read(struct gpu_session *s, nvml_device handle, unsigned index, struct gpu_info *ret,
                   struct err *e)
{
    gpu_info_clear(ret);
    ret->index = index;
    snprintf(ret->vendor, sizeof ret->vendor, "nvidia");

    s->asking = (int)index;
    int code = ASK_TEXT(s, nvmlDeviceGetUUID, handle, ret->uuid);
    if (nvml_judge(code, index, e) < 0)
        return -1;
    if (code != 0 || !ret->uuid[0])
        return err_set(e, ERR_INTERNAL, "GPU %u has no UUID: %s", index, nvml_code_text(code));

    read_identity(s, handle, ret);
    read_abilities(s, handle, ret);
    return 0;
}
