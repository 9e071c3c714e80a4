/*
 * What is read of an NVIDIA GPU, as a table of readers. Each answers NVML's own code and writes
 * only what it got.
 */
#include "base/mem.h"
#include "gpu/nvml_session.h"

enum {
    MOST_DRIVER_PROCESSES = 4096, /* more is taken for a broken library */
    /* Room for one process in any form that a library may write. */
    PROCESS_ROOM = sizeof(struct nvml_process_detail),
};

/* A number from the driver that must lie in 0..MOST to be believed. */
static void put(struct gpu_sample *s, enum gpu_reading_id id, nvml_u64 value, nvml_u64 most)
{
    if (value <= most)
        s->readings[id] = (int64_t)value;
}

static const nvml_u64 most_pct = 1000, most_bytes = 1ull << 50, most_mw = 100000000,
                      most_mhz = 100000, most_count = INT64_MAX;

static int read_utilization(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    struct nvml_utilization u = {0};
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetUtilizationRates, d->handle, &u);
    if (rc == 0) {
        put(ret, GPU_READING_utilization_pct, u.gpu, 100);
        put(ret, GPU_READING_memory_utilization_pct, u.memory, 100);
    }
    return rc;
}

static int read_encoder(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    unsigned pct = 0, us = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetEncoderUtilization, d->handle, &pct, &us);
    if (rc == 0)
        put(ret, GPU_READING_encoder_pct, pct, 100);
    return rc;
}

static int read_decoder(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    unsigned pct = 0, us = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetDecoderUtilization, d->handle, &pct, &us);
    if (rc == 0)
        put(ret, GPU_READING_decoder_pct, pct, 100);
    return rc;
}

static int read_memory(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    struct nvml_memory_v2 m2 = {.version = NVML_VERSION(struct nvml_memory_v2, 2)};
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetMemoryInfo_v2, d->handle, &m2);
    if (rc == 0) {
        put(ret, GPU_READING_memory_total_bytes, m2.total, most_bytes);
        put(ret, GPU_READING_memory_reserved_bytes, m2.reserved, m2.total);
        put(ret, GPU_READING_memory_used_bytes, m2.used, m2.total);
        put(ret, GPU_READING_memory_free_bytes, m2.free, m2.total);
        return 0;
    }
    if (rc != NVML_FUNCTION_NOT_FOUND && rc != NVML_NOT_SUPPORTED &&
        rc != NVML_ARGUMENT_VERSION_MISMATCH)
        return rc;

    struct nvml_memory m = {0};
    rc = NVML_CALL(&s->lib, nvmlDeviceGetMemoryInfo, d->handle, &m);
    if (rc == 0) {
        put(ret, GPU_READING_memory_total_bytes, m.total, most_bytes);
        put(ret, GPU_READING_memory_used_bytes, m.used, m.total);
        put(ret, GPU_READING_memory_free_bytes, m.free, m.total);
    }
    return rc;
}

static int read_power(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    unsigned mw = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetPowerUsage, d->handle, &mw);
    if (rc == 0)
        put(ret, GPU_READING_power_mw, mw, most_mw);
    return rc;
}

static int read_power_limit(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    unsigned mw = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetEnforcedPowerLimit, d->handle, &mw);
    if (rc == 0)
        put(ret, GPU_READING_power_limit_mw, mw, most_mw);
    return rc;
}

static int read_energy(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    nvml_u64 mj = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetTotalEnergyConsumption, d->handle, &mj);
    if (rc == 0)
        put(ret, GPU_READING_energy_mj, mj, most_count);
    return rc;
}

static int read_temperature(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    struct nvml_temperature_v1 t = {.version = NVML_VERSION(struct nvml_temperature_v1, 1)};
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetTemperatureV, d->handle, &t);
    if (rc == 0) {
        if (t.celsius > -100 && t.celsius < 500)
            ret->temperature_c = t.celsius;
        return 0;
    }
    unsigned celsius = 0;
    rc = NVML_CALL(&s->lib, nvmlDeviceGetTemperature, d->handle, NVML_TEMPERATURE_GPU, &celsius);
    if (rc == 0)
        put(ret, GPU_READING_temperature_c, celsius, 500);
    return rc;
}

static int read_margin(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    struct nvml_margin_temperature t = {.version = NVML_VERSION(struct nvml_margin_temperature, 1)};
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetMarginTemperature, d->handle, &t);
    if (rc == 0 && t.margin > -500 && t.margin < 500)
        ret->temperature_margin_c = t.margin;
    return rc;
}

static int read_clock(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret,
                      unsigned type, enum gpu_reading_id id)
{
    unsigned mhz = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetClockInfo, d->handle, type, &mhz);
    if (rc == 0)
        put(ret, id, mhz, most_mhz);
    return rc;
}

static int read_graphics_clock(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    return read_clock(s, d, ret, NVML_CLOCK_GRAPHICS, GPU_READING_graphics_clock_mhz);
}

static int read_sm_clock(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    return read_clock(s, d, ret, NVML_CLOCK_SM, GPU_READING_sm_clock_mhz);
}

static int read_memory_clock(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    return read_clock(s, d, ret, NVML_CLOCK_MEM, GPU_READING_memory_clock_mhz);
}

static int read_video_clock(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    return read_clock(s, d, ret, NVML_CLOCK_VIDEO, GPU_READING_video_clock_mhz);
}

static int read_fan(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    unsigned pct = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetFanSpeed, d->handle, &pct);
    if (rc == 0)
        put(ret, GPU_READING_fan_pct, pct, most_pct);
    return rc;
}

static int read_pstate(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    unsigned pstate = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetPerformanceState, d->handle, &pstate);
    if (rc == 0)
        put(ret, GPU_READING_pstate, pstate, 15); /* 32 stands for unknown */
    return rc;
}

static int read_throttle(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    nvml_u64 bits = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetCurrentClocksEventReasons, d->handle, &bits);
    if (rc == NVML_FUNCTION_NOT_FOUND) /* its name before 12.2 */
        rc = NVML_CALL(&s->lib, nvmlDeviceGetCurrentClocksThrottleReasons, d->handle, &bits);
    if (rc == 0)
        put(ret, GPU_READING_throttle_reasons, bits, most_count);
    return rc;
}

static int read_pcie_generation(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    unsigned generation = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetCurrPcieLinkGeneration, d->handle, &generation);
    if (rc == 0)
        put(ret, GPU_READING_pcie_generation, generation, 100);
    return rc;
}

static int read_pcie_width(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    unsigned width = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetCurrPcieLinkWidth, d->handle, &width);
    if (rc == 0)
        put(ret, GPU_READING_pcie_width, width, 1024);
    return rc;
}

/* Readings that are fetched by number, many in one call. */
static const struct field {
    uint32_t id, scope;
    enum gpu_reading_id reading;
    uint32_t times;
    bool slow;
} fields[] = {
    {NVML_FIELD_MEMORY_TEMP, 0, GPU_READING_memory_temperature_c, 1, false},
    {NVML_FIELD_PCIE_TX_BYTES, 0, GPU_READING_pcie_tx_bytes, 1, false},
    {NVML_FIELD_PCIE_RX_BYTES, 0, GPU_READING_pcie_rx_bytes, 1, false},
    {NVML_FIELD_NVLINK_DATA_TX, NVML_ALL_LINKS, GPU_READING_nvlink_tx_bytes, 1024, false},
    {NVML_FIELD_NVLINK_DATA_RX, NVML_ALL_LINKS, GPU_READING_nvlink_rx_bytes, 1024, false},
    {NVML_FIELD_RECOVERY_ACTION, 0, GPU_READING_recovery_action, 1, false},
    {NVML_FIELD_SBE_VOLATILE, 0, GPU_READING_ecc_corrected, 1, true},
    {NVML_FIELD_DBE_VOLATILE, 0, GPU_READING_ecc_uncorrected, 1, true},
    {NVML_FIELD_SBE_AGGREGATE, 0, GPU_READING_ecc_corrected_life, 1, true},
    {NVML_FIELD_DBE_AGGREGATE, 0, GPU_READING_ecc_uncorrected_life, 1, true},
    {NVML_FIELD_RETIRED_SBE, 0, GPU_READING_retired_single, 1, true},
    {NVML_FIELD_RETIRED_DBE, 0, GPU_READING_retired_double, 1, true},
    {NVML_FIELD_RETIRED_PENDING, 0, GPU_READING_retired_pending, 1, true},
    {NVML_FIELD_REMAPPED_COR, 0, GPU_READING_remapped_corrected, 1, true},
    {NVML_FIELD_REMAPPED_UNC, 0, GPU_READING_remapped_uncorrected, 1, true},
    {NVML_FIELD_REMAPPED_PENDING, 0, GPU_READING_remap_pending, 1, true},
    {NVML_FIELD_REMAPPED_FAILURE, 0, GPU_READING_remap_failed, 1, true},
    {NVML_FIELD_PCIE_REPLAY, 0, GPU_READING_pcie_replays, 1, true},
};
static_assert(COUNT_OF(fields) <= 64, "a bit each in absent_fields");

static int64_t field_number(const struct nvml_field_value *v)
{
    switch (v->type) {
    case NVML_VALUE_DOUBLE:
        return v->value.d > -1e18 && v->value.d < 1e18 ? (int64_t)v->value.d : GPU_NO_READING;
    case NVML_VALUE_U32:
        return v->value.u32;
    case NVML_VALUE_ULONG:
    case NVML_VALUE_U64:
        return v->value.u64 <= INT64_MAX ? (int64_t)v->value.u64 : GPU_NO_READING;
    case NVML_VALUE_I64:
        return v->value.i64;
    case NVML_VALUE_I32:
        return v->value.i32;
    case NVML_VALUE_U16:
        return v->value.u16;
    default:
        return GPU_NO_READING;
    }
}

bool nvml_code_is_absence(int code)
{
    return code == NVML_NOT_SUPPORTED || code == NVML_FUNCTION_NOT_FOUND || code == NVML_NO_DATA ||
           code == NVML_DEPRECATED || code == NVML_NO_PERMISSION || code == NVML_INVALID_ARGUMENT ||
           code == NVML_ARGUMENT_VERSION_MISMATCH || code == NVML_VGPU_ECC_NOT_SUPPORTED ||
           code == NVML_CORRUPTED_INFOROM;
}

static int read_fields(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret, bool slow)
{
    struct nvml_field_value values[COUNT_OF(fields)] = {0};
    size_t which[COUNT_OF(fields)];
    int count = 0;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (fields[i].slow != slow || (d->absent_fields >> i & 1))
            continue;
        values[count].field = fields[i].id;
        values[count].scope = fields[i].scope;
        which[count++] = i;
    }
    if (!count)
        return 0;

    int rc = NVML_CALL(&s->lib, nvmlDeviceGetFieldValues, d->handle, count, values);
    if (rc != 0)
        return rc;
    for (int i = 0; i < count; i++) {
        const struct field *f = &fields[which[i]];
        if (nvml_code_is_absence(values[i].code))
            d->absent_fields |= UINT64_C(1) << which[i];
        if (values[i].code != 0)
            continue;
        int64_t number = field_number(&values[i]), product;
        if (number >= 0 && !__builtin_mul_overflow(number, (int64_t)f->times, &product))
            ret->readings[f->reading] = product;
    }
    return 0;
}

static int read_fast_fields(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    return read_fields(s, d, ret, false);
}

static int read_slow_fields(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    return read_fields(s, d, ret, true);
}

static unsigned room_for(struct gpu_session *s, unsigned entries)
{
    if (entries > s->room_entries) {
        s->room = mem_resize(s->room, entries, PROCESS_ROOM);
        s->room_entries = entries;
    }
    memset(s->room, 0, (size_t)s->room_entries * PROCESS_ROOM);
    return s->room_entries;
}

static void add_process(struct gpu_sample *ret, uint32_t pid, nvml_u64 used, uint8_t kind)
{
    for (uint32_t i = 0; i < ret->process_count; i++)
        if (ret->processes[i].pid == pid)
            return; /* it has a context of both kinds: counted once, as the first that was named */
    ret->process_total++;
    if (ret->process_count == GPU_MAX_PROCESSES)
        return;
    ret->processes[ret->process_count++] = (struct gpu_process){
        .pid = pid,
        .kind = kind,
        .used_bytes = used <= most_bytes ? (int64_t)used : GPU_NO_READING,
        .sm_util_pct = GPU_NO_READING,
    };
}

/* Calls LIST, a function of either form, until its answer fits. */
static int list_processes(struct gpu_session *s, struct nvml_gpu *d,
                          nvmlDeviceGetComputeRunningProcesses_v2_fn *list,
                          nvmlDeviceGetComputeRunningProcesses_fn *oldest, uint8_t kind,
                          struct gpu_sample *ret)
{
    if (!list && !oldest)
        return NVML_FUNCTION_NOT_FOUND;

    unsigned count = 0;
    int rc = NVML_INSUFFICIENT_SIZE;
    for (int tries = 0; rc == NVML_INSUFFICIENT_SIZE && tries < 4; tries++) {
        unsigned room = room_for(s, count < 8 ? 16 : count + count / 2);
        count = room;
        rc = list ? list(d->handle, &count, (void *)s->room)
                  : oldest(d->handle, &count, (void *)s->room);
        if (count > MOST_DRIVER_PROCESSES)
            return NVML_UNKNOWN;
    }
    if (rc == NVML_NOT_FOUND)
        return 0;
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        if (list) {
            struct nvml_process *p = (struct nvml_process *)s->room + i;
            add_process(ret, p->pid, p->used_bytes, kind);
        } else {
            struct nvml_process_v1 *p = (struct nvml_process_v1 *)s->room + i;
            add_process(ret, p->pid, p->used_bytes, kind);
        }
    }
    return rc;
}

/*
 * Some libraries of the 535 era write entries of 32 bytes with _v3. They are those that know about
 * confidential computing but not yet the detailed list; _v2 is always 24 bytes.
 */
static bool v3_is_odd(const struct nvml_lib *lib)
{
    return lib->nvmlDeviceGetConfComputeMemSizeInfo && !lib->nvmlDeviceGetRunningProcessDetailList;
}

#define NEWEST(lib, name)                                                                          \
    ((lib)->name##_v3 && !(v3_is_odd(lib) && (lib)->name##_v2) ? (lib)->name##_v3                  \
                                                               : (lib)->name##_v2)

static int read_processes(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    struct nvml_lib *lib = &s->lib;
    int rc = list_processes(s, d, NEWEST(lib, nvmlDeviceGetComputeRunningProcesses),
                            lib->nvmlDeviceGetComputeRunningProcesses, 'C', ret);
    if (rc == 0)
        rc = list_processes(s, d, NEWEST(lib, nvmlDeviceGetGraphicsRunningProcesses),
                            lib->nvmlDeviceGetGraphicsRunningProcesses, 'G', ret);
    if (rc == 0)
        list_processes(s, d, NEWEST(lib, nvmlDeviceGetMPSComputeRunningProcesses), NULL, 'M', ret);
    return rc;
}

/* How much each process used the multiprocessors since we last asked. */
static int read_process_use(struct gpu_session *s, struct nvml_gpu *d, struct gpu_sample *ret)
{
    if (!ret->process_count)
        return NVML_NOT_ASKED;

    unsigned count = 0;
    int rc = NVML_CALL(&s->lib, nvmlDeviceGetProcessUtilization, d->handle, NULL, &count,
                       d->util_seen_us);
    if (rc == NVML_NOT_FOUND || (rc == 0 && !count))
        return 0;
    if (rc != NVML_INSUFFICIENT_SIZE || count > MOST_DRIVER_PROCESSES)
        return rc;

    count = room_for(s, count + 8);
    struct nvml_process_utilization *u = (void *)s->room;
    rc = NVML_CALL(&s->lib, nvmlDeviceGetProcessUtilization, d->handle, u, &count, d->util_seen_us);
    if (rc == NVML_NOT_FOUND)
        return 0;
    for (unsigned i = 0; rc == 0 && i < count && i < s->room_entries; i++) {
        if (u[i].timestamp_us > d->util_seen_us)
            d->util_seen_us = u[i].timestamp_us;
        for (uint32_t j = 0; j < ret->process_count; j++)
            if (ret->processes[j].pid == u[i].pid && u[i].sm <= 100)
                ret->processes[j].sm_util_pct = u[i].sm;
    }
    return rc;
}
static_assert(sizeof(struct nvml_process_utilization) <= PROCESS_ROOM, "the room fits both");

const struct nvml_reader nvml_readers[] = {
    {"nvmlDeviceGetUtilizationRates", read_utilization, false},
    {"nvmlDeviceGetMemoryInfo", read_memory, false},
    {"nvmlDeviceGetPowerUsage", read_power, false},
    {"nvmlDeviceGetTotalEnergyConsumption", read_energy, false},
    {"nvmlDeviceGetTemperature", read_temperature, false},
    {"nvmlDeviceGetMarginTemperature", read_margin, false},
    {"nvmlDeviceGetClockInfo graphics", read_graphics_clock, false},
    {"nvmlDeviceGetClockInfo sm", read_sm_clock, false},
    {"nvmlDeviceGetClockInfo memory", read_memory_clock, false},
    {"nvmlDeviceGetClockInfo video", read_video_clock, false},
    {"nvmlDeviceGetPerformanceState", read_pstate, false},
    {"nvmlDeviceGetClocksEventReasons", read_throttle, false},
    {"nvmlDeviceGetEncoderUtilization", read_encoder, false},
    {"nvmlDeviceGetDecoderUtilization", read_decoder, false},
    {"nvmlDeviceGetFanSpeed", read_fan, false},
    {"nvmlDeviceGetFieldValues", read_fast_fields, false},
    {"nvmlDeviceGetRunningProcesses", read_processes, false},
    {"nvmlDeviceGetProcessUtilization", read_process_use, false},
    {"nvmlDeviceGetEnforcedPowerLimit", read_power_limit, true},
    {"nvmlDeviceGetCurrPcieLinkGeneration", read_pcie_generation, true},
    {"nvmlDeviceGetCurrPcieLinkWidth", read_pcie_width, true},
    {"nvmlDeviceGetFieldValues slow", read_slow_fields, true},
};
const size_t nvml_reader_count = COUNT_OF(nvml_readers);
static_assert(COUNT_OF(nvml_readers) <= 64, "a bit each in absent");

/* Their answers may be carried over to samples that do not ask again. */
void nvml_keep_slow(struct nvml_gpu *d, const struct gpu_sample *s)
{
    for (size_t i = 0; i < GPU_READING_COUNT; i++)
        d->slow[i] = GPU_NO_READING;
    d->slow[GPU_READING_power_limit_mw] = s->power_limit_mw;
    d->slow[GPU_READING_pcie_generation] = s->pcie_generation;
    d->slow[GPU_READING_pcie_width] = s->pcie_width;
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (fields[i].slow)
            d->slow[fields[i].reading] = s->readings[fields[i].reading];
}
