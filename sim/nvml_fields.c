/* NVML: memory errors, and values that are asked for by number. */
#include "api.h"

#include "base/clock.h"

static nvml_u64 ecc_count(const struct sim_device *d, unsigned type)
{
    return (nvml_u64)(type == NVML_ERROR_CORRECTED ? d->ecc_corrected : d->ecc_uncorrected);
}

EXPORT int nvmlDeviceGetEccMode(nvml_device d, unsigned *ret, unsigned *ret_pending)
{
    DEVICE_CALL(d);
    NEEDS(ECC);
    INTO(ret);
    *ret = NVML_FEATURE_ENABLED;
    return api_number(NVML_FEATURE_ENABLED, ret_pending);
}

EXPORT int nvmlDeviceGetTotalEccErrors(nvml_device d, unsigned type, unsigned counter,
                                       nvml_u64 *ret)
{
    DEVICE_CALL(d);
    NEEDS(ECC);
    INTO(ret);
    if (type > 1 || counter > 1)
        return NVML_INVALID_ARGUMENT;
    *ret = ecc_count(c.d, type);
    return NVML_SUCCESS;
}

/* All errors of the simulator are in device memory. */
EXPORT int nvmlDeviceGetMemoryErrorCounter(nvml_device d, unsigned type, unsigned counter,
                                           unsigned where, nvml_u64 *ret)
{
    enum { IN_DEVICE_MEMORY = 2, MOST_PLACES = 8 };
    DEVICE_CALL(d);
    NEEDS(ECC);
    INTO(ret);
    if (type > 1 || counter > 1 || where >= MOST_PLACES)
        return NVML_INVALID_ARGUMENT;
    *ret = where == IN_DEVICE_MEMORY ? ecc_count(c.d, type) : 0;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetDetailedEccErrors(nvml_device d, unsigned type, unsigned counter,
                                          struct nvml_ecc_error_counts *ret)
{
    DEVICE_CALL(d);
    NEEDS(ECC);
    INTO(ret);
    if (type > 1 || counter > 1)
        return NVML_INVALID_ARGUMENT;
    *ret = (struct nvml_ecc_error_counts){.device_memory = ecc_count(c.d, type)};
    return NVML_SUCCESS;
}

/* From Ampere on rows are replaced, before that pages are retired. */
static bool replaces_rows(const struct sim_device *d)
{
    return d->model.architecture >= 7;
}

EXPORT int nvmlDeviceGetRetiredPages_v2(nvml_device d, unsigned cause, unsigned *count,
                                        nvml_u64 *addresses, nvml_u64 *times)
{
    DEVICE_CALL(d);
    NEEDS(ECC);
    (void)addresses;
    (void)times;
    if (replaces_rows(c.d))
        return NVML_NOT_SUPPORTED;
    if (cause > 1)
        return NVML_INVALID_ARGUMENT;
    return api_number(0, count);
}

EXPORT int nvmlDeviceGetRetiredPagesPendingStatus(nvml_device d, unsigned *ret)
{
    DEVICE_CALL(d);
    NEEDS(ECC);
    return replaces_rows(c.d) ? NVML_NOT_SUPPORTED : api_number(0, ret);
}

EXPORT int nvmlDeviceGetRemappedRows(nvml_device d, unsigned *ret_cor, unsigned *ret_unc,
                                     unsigned *ret_pending, unsigned *ret_failed)
{
    DEVICE_CALL(d);
    NEEDS(ECC);
    if (!replaces_rows(c.d))
        return NVML_NOT_SUPPORTED;
    INTO(ret_cor);
    INTO(ret_unc);
    INTO(ret_pending);
    INTO(ret_failed);
    *ret_cor = (unsigned)c.d->remapped_corrected;
    *ret_unc = (unsigned)c.d->remapped_uncorrected;
    *ret_pending = c.d->remap_pending != 0;
    *ret_failed = c.d->remap_failed != 0;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetRowRemapperHistogram(nvml_device d, struct nvml_row_remapper_histogram *ret)
{
    DEVICE_CALL(d);
    NEEDS(ECC);
    INTO(ret);
    if (!replaces_rows(c.d))
        return NVML_NOT_SUPPORTED;
    *ret = (struct nvml_row_remapper_histogram){.max = 2560};
    return NVML_SUCCESS;
}

/* Time that clocks were held back; the simulator keeps no account of it. */
EXPORT int nvmlDeviceGetViolationStatus(nvml_device d, unsigned policy,
                                        struct nvml_violation_time *ret)
{
    DEVICE_CALL(d);
    INTO(ret);
    return policy > 11 ? NVML_INVALID_ARGUMENT : NVML_NOT_SUPPORTED;
}

/* One value by its number; false: the device does not have it. */
static bool field(const struct api_call *call, const struct nvml_field_value *v, int64_t *ret)
{
#define LACKS(value) (call->missing >> SIM_##value & 1)
    const struct sim_device *d = call->d;
    const struct sim_look *look = &call->look;
    bool rows = replaces_rows(d) && !LACKS(ECC), pages = !replaces_rows(d) && !LACKS(ECC);
    bool all_links = v->scope == NVML_ALL_LINKS;
    int64_t links = d->model.nvlinks;

    switch (v->field) {
#define FIELD(id, has, value)                                                                      \
    case id:                                                                                       \
        *ret = (value);                                                                            \
        return has
        FIELD(NVML_FIELD_ECC_CURRENT, !LACKS(ECC), 1);
        FIELD(NVML_FIELD_ECC_PENDING, !LACKS(ECC), 1);
        FIELD(NVML_FIELD_SBE_VOLATILE, !LACKS(ECC), d->ecc_corrected);
        FIELD(NVML_FIELD_DBE_VOLATILE, !LACKS(ECC), d->ecc_uncorrected);
        FIELD(NVML_FIELD_SBE_AGGREGATE, !LACKS(ECC), d->ecc_corrected);
        FIELD(NVML_FIELD_DBE_AGGREGATE, !LACKS(ECC), d->ecc_uncorrected);
        FIELD(NVML_FIELD_RETIRED_SBE, pages, 0);
        FIELD(NVML_FIELD_RETIRED_DBE, pages, 0);
        FIELD(NVML_FIELD_RETIRED_PENDING, pages, 0);
        FIELD(NVML_FIELD_MEMORY_TEMP, !LACKS(MEMORY_TEMPERATURE), look->memory_temperature_c);
        FIELD(NVML_FIELD_ENERGY, !LACKS(ENERGY), look->energy_mj);
        FIELD(NVML_FIELD_ENERGY_2, !LACKS(ENERGY), look->energy_mj);
        FIELD(NVML_FIELD_NVLINK_COUNT, !LACKS(NVLINK), links);
        FIELD(NVML_FIELD_PCIE_REPLAY, !LACKS(PCIE), 0);
        FIELD(NVML_FIELD_NVLINK_DATA_TX, !LACKS(NVLINK) && (all_links || v->scope < links),
              all_links ? look->nvlink_tx_kib : look->nvlink_tx_kib / (links ? links : 1));
        FIELD(NVML_FIELD_NVLINK_DATA_RX, !LACKS(NVLINK) && (all_links || v->scope < links),
              all_links ? look->nvlink_rx_kib : look->nvlink_rx_kib / (links ? links : 1));
        FIELD(NVML_FIELD_REMAPPED_COR, rows, d->remapped_corrected);
        FIELD(NVML_FIELD_REMAPPED_UNC, rows, d->remapped_uncorrected);
        FIELD(NVML_FIELD_REMAPPED_PENDING, rows, d->remap_pending);
        FIELD(NVML_FIELD_REMAPPED_FAILURE, rows, d->remap_failed);
        FIELD(NVML_FIELD_POWER_AVERAGE, !LACKS(POWER), look->power_mw);
        FIELD(NVML_FIELD_POWER_INSTANT, !LACKS(POWER), look->power_mw);
        FIELD(NVML_FIELD_POWER_MIN_LIMIT, !LACKS(POWER_LIMIT), d->model.power_min_w * 1000);
        FIELD(NVML_FIELD_POWER_MAX_LIMIT, !LACKS(POWER_LIMIT), d->model.power_max_w * 1000);
        FIELD(NVML_FIELD_POWER_DEFAULT_LIMIT, !LACKS(POWER_LIMIT), d->model.power_limit_w * 1000);
        FIELD(NVML_FIELD_POWER_CURRENT_LIMIT, !LACKS(POWER_LIMIT), look->limit_mw);
        FIELD(NVML_FIELD_POWER_REQUESTED_LIMIT, !LACKS(POWER_LIMIT), look->limit_mw);
        FIELD(NVML_FIELD_PCIE_TX_BYTES, !LACKS(PCIE), look->pcie_tx_bytes);
        FIELD(NVML_FIELD_PCIE_RX_BYTES, !LACKS(PCIE), look->pcie_rx_bytes);
        FIELD(NVML_FIELD_RECOVERY_ACTION, true, look->recovery_action);
#undef FIELD
    default:
        return false;
    }
#undef LACKS
}

/* Counters of bytes and energy are 64 bits wide, all else 32. */
static bool is_wide(uint32_t id)
{
    switch (id) {
    case NVML_FIELD_SBE_VOLATILE:
    case NVML_FIELD_DBE_VOLATILE:
    case NVML_FIELD_SBE_AGGREGATE:
    case NVML_FIELD_DBE_AGGREGATE:
    case NVML_FIELD_ENERGY:
    case NVML_FIELD_ENERGY_2:
    case NVML_FIELD_NVLINK_DATA_TX:
    case NVML_FIELD_NVLINK_DATA_RX:
    case NVML_FIELD_PCIE_TX_BYTES:
    case NVML_FIELD_PCIE_RX_BYTES:
        return true;
    default:
        return false;
    }
}

EXPORT int nvmlDeviceGetFieldValues(nvml_device d, int count, struct nvml_field_value *values)
{
    DEVICE_CALL(d);
    INTO(values);
    if (count <= 0)
        return NVML_INVALID_ARGUMENT;
    for (int i = 0; i < count; i++) {
        struct nvml_field_value *v = &values[i];
        int64_t number = 0;
        v->timestamp_us = clock_wall_ms() * 1000;
        v->latency_us = 0;
        v->code = field(&c, v, &number) ? NVML_SUCCESS : NVML_NOT_SUPPORTED;
        v->type = is_wide(v->field) ? NVML_VALUE_U64 : NVML_VALUE_U32;
        v->value.u64 = 0;
        if (v->code == NVML_SUCCESS && is_wide(v->field))
            v->value.u64 = (nvml_u64)number;
        else if (v->code == NVML_SUCCESS)
            v->value.u32 = (uint32_t)number;
    }
    return NVML_SUCCESS;
}

/* The driver keeps some seconds of samples; we have the newest one. */
EXPORT int nvmlDeviceGetSamples(nvml_device d, unsigned type, nvml_u64 since_us, unsigned *ret_type,
                                unsigned *count, struct nvml_sample *samples)
{
    enum { POWER, GPU_USE, MEMORY_USE, ENCODER, DECODER, CLOCK, MEMORY_CLOCK };
    DEVICE_CALL(d);
    INTO(ret_type);
    INTO(count);
    int64_t value;
    switch (type) {
    case POWER:
        NEEDS(POWER);
        value = c.look.power_mw;
        break;
    case GPU_USE:
        NEEDS(UTILIZATION);
        value = c.look.utilization_pct;
        break;
    case MEMORY_USE:
        NEEDS(UTILIZATION);
        value = c.look.memory_utilization_pct;
        break;
    case ENCODER:
    case DECODER:
        NEEDS(CODECS);
        value = 0;
        break;
    case CLOCK:
        NEEDS(CLOCKS);
        value = c.look.clock_mhz;
        break;
    case MEMORY_CLOCK:
        NEEDS(CLOCKS);
        value = c.look.memory_clock_mhz;
        break;
    default:
        return NVML_NOT_SUPPORTED;
    }
    nvml_u64 now_us = (nvml_u64)clock_wall_ms() * 1000;
    *ret_type = NVML_VALUE_U32;
    if (!samples) {
        *count = 1;
        return NVML_SUCCESS;
    }
    if (!*count)
        return NVML_INSUFFICIENT_SIZE;
    if (now_us <= since_us)
        return NVML_NOT_FOUND;
    *count = 1;
    *samples = (struct nvml_sample){.timestamp_us = now_us, .value.u32 = (uint32_t)value};
    return NVML_SUCCESS;
}

EXPORT int nvmlGpmQueryDeviceSupport(nvml_device d, struct nvml_gpm_support *support)
{
    DEVICE_CALL(d);
    INTO(support);
    if (support->version != 1)
        return NVML_ARGUMENT_VERSION_MISMATCH;
    support->supported = 0;
    return NVML_SUCCESS;
}
