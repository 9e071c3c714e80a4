#include "gpu/smi_csv.h"

#include "base/mem.h"

#include <ctype.h>

#define MIB          (INT64_C(1) << 20)
#define READING(r)   .reading = GPU_READING_##r
#define INFO(m)      .reading = -1, .info_offset = offsetof(struct gpu_info, m)
#define INFO_TEXT(m) INFO(m), .info_size = sizeof((struct gpu_info *)0)->m
#define BOTH(r, m)   READING(r), .info_offset = offsetof(struct gpu_info, m)

/* clang-format off */
const struct smi_field smi_fields[] = {
    {"uuid", "gpu_uuid",              SMI_TEXT,   0,    INFO_TEXT(uuid),                   .minimal = true},
    {"index", NULL,                   SMI_NUMBER, 1,    INFO(index),                       .minimal = true},
    {"name", "gpu_name",              SMI_TEXT,   0,    INFO_TEXT(name),                   .minimal = true},
    {"pci.bus_id", "gpu_bus_id",      SMI_TEXT,   0,    INFO_TEXT(pci),                    .minimal = true},
    {"driver_version", NULL,          SMI_DRIVER, 0,    .reading = -1,                     .minimal = true},
    {"memory.total", NULL,            SMI_NUMBER, MIB,  BOTH(memory_total_bytes, memory_total_bytes), .minimal = true},
    {"memory.used", NULL,             SMI_NUMBER, MIB,  READING(memory_used_bytes),        .minimal = true},
    {"memory.free", NULL,             SMI_NUMBER, MIB,  READING(memory_free_bytes),        .minimal = true},
    {"utilization.gpu", NULL,         SMI_NUMBER, 1,    READING(utilization_pct),          .minimal = true},
    {"utilization.memory", NULL,      SMI_NUMBER, 1,    READING(memory_utilization_pct),   .minimal = true},
    {"temperature.gpu", NULL,         SMI_NUMBER, 1,    READING(temperature_c),            .minimal = true},
    {"power.draw", NULL,              SMI_NUMBER, 1000, READING(power_mw),                 .minimal = true},
    {"serial", "gpu_serial",          SMI_TEXT,   0,    INFO_TEXT(serial)},
    {"vbios_version", NULL,           SMI_TEXT,   0,    INFO_TEXT(vbios)},
    {"compute_cap", NULL,             SMI_COMPUTE, 0,   INFO(compute_major)},
    {"memory.reserved", NULL,         SMI_NUMBER, MIB,  READING(memory_reserved_bytes)},
    {"utilization.encoder", NULL,     SMI_NUMBER, 1,    READING(encoder_pct)},
    {"utilization.decoder", NULL,     SMI_NUMBER, 1,    READING(decoder_pct)},
    {"temperature.gpu.tlimit", NULL,  SMI_NUMBER, 1,    READING(temperature_margin_c)},
    {"temperature.memory", NULL,      SMI_NUMBER, 1,    READING(memory_temperature_c)},
    {"enforced.power.limit", "gpu.power.current_limit", SMI_NUMBER, 1000, READING(power_limit_mw)},
    {"power.default_limit", "gpu.power.default_limit",  SMI_NUMBER, 1000, INFO(power_default_mw)},
    {"power.min_limit", "gpu.power.min_limit",          SMI_NUMBER, 1000, INFO(power_min_mw)},
    {"power.max_limit", "gpu.power.max_limit",          SMI_NUMBER, 1000, INFO(power_max_mw)},
    {"clocks.current.graphics", "clocks.gr",  SMI_NUMBER, 1, READING(graphics_clock_mhz)},
    {"clocks.current.sm", "clocks.sm",        SMI_NUMBER, 1, READING(sm_clock_mhz)},
    {"clocks.current.memory", "clocks.mem",   SMI_NUMBER, 1, READING(memory_clock_mhz)},
    {"clocks.current.video", "clocks.video",  SMI_NUMBER, 1, READING(video_clock_mhz)},
    {"fan.speed", NULL,               SMI_NUMBER, 1,    READING(fan_pct)},
    {"pstate", NULL,                  SMI_PSTATE, 1,    READING(pstate)},
    {"clocks_event_reasons.active", "clocks_throttle_reasons.active", SMI_MASK, 1, READING(throttle_reasons)},
    {"ecc.mode.current", NULL,        SMI_YES,    1,    INFO(ecc_mode)},
    {"ecc.errors.corrected.volatile.total", NULL,    SMI_NUMBER, 1, READING(ecc_corrected)},
    {"ecc.errors.uncorrected.volatile.total", NULL,  SMI_NUMBER, 1, READING(ecc_uncorrected)},
    {"ecc.errors.corrected.aggregate.total", NULL,   SMI_NUMBER, 1, READING(ecc_corrected_life)},
    {"ecc.errors.uncorrected.aggregate.total", NULL, SMI_NUMBER, 1, READING(ecc_uncorrected_life)},
    {"retired_pages.single_bit_ecc.count", "retired_pages.sbe", SMI_NUMBER, 1, READING(retired_single)},
    {"retired_pages.double_bit.count", "retired_pages.dbe",     SMI_NUMBER, 1, READING(retired_double)},
    {"retired_pages.pending", NULL,   SMI_YES,    1,    READING(retired_pending)},
    {"remapped_rows.correctable", "remapped_rows.sbe",   SMI_NUMBER, 1, READING(remapped_corrected)},
    {"remapped_rows.uncorrectable", "remapped_rows.dbe", SMI_NUMBER, 1, READING(remapped_uncorrected)},
    {"remapped_rows.pending", NULL,   SMI_YES,    1,    READING(remap_pending)},
    {"remapped_rows.failure", NULL,   SMI_YES,    1,    READING(remap_failed)},
    {"pcie.link.gen.current", "pcie.link.gen.gpucurrent", SMI_NUMBER, 1, READING(pcie_generation)},
    {"pcie.link.width.current", NULL, SMI_NUMBER, 1,    READING(pcie_width)},
    {"pcie.link.gen.max", NULL,       SMI_NUMBER, 1,    INFO(pcie_max_generation)},
    {"pcie.link.width.max", NULL,     SMI_NUMBER, 1,    INFO(pcie_max_width)},
    {"mig.mode.current", NULL,        SMI_YES,    1,    INFO(mig_mode)},
    {"gpu_recovery_action", NULL,     SMI_RECOVERY, 1,  READING(recovery_action)},
};
/* clang-format on */
const size_t smi_field_count = COUNT_OF(smi_fields);
_Static_assert(COUNT_OF(smi_fields) <= SMI_MOST_FIELDS, "a query holds them all");

/* The help text names each field in quotes: "name" or "alias". */
static bool help_lists(const char *help, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = help; (p = strstr(p, name)); p += len)
        if (p > help && p[-1] == '"' && p[len] == '"')
            return true;
    return false;
}

void smi_query_choose(const char *help, struct smi_query *ret)
{
    *ret = (struct smi_query){0};
    for (size_t i = 0; i < smi_field_count; i++) {
        const struct smi_field *f = &smi_fields[i];
        const char *name = NULL;
        if (f->minimal)
            name = f->name;
        else if (help && help_lists(help, f->name))
            name = f->name;
        else if (help && f->old_name && help_lists(help, f->old_name))
            name = f->old_name;
        if (name) {
            ret->fields[ret->count] = f;
            ret->names[ret->count++] = name;
        }
    }
}

static int64_t read_number(const char *s, int64_t scale)
{
    bool negative = *s == '-';
    const char *p = s + negative;
    int64_t value = 0, weight = scale;

    if (!isdigit((unsigned char)*p))
        return GPU_NO_READING;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(*p - '0'), &value))
            return GPU_NO_READING;
    if (__builtin_mul_overflow(value, scale, &value))
        return GPU_NO_READING;
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++) {
            weight /= 10; /* digits below the scale are dropped */
            if (__builtin_add_overflow(value, weight * (*p - '0'), &value))
                return GPU_NO_READING;
        }
    /* A unit may follow, nothing else: no digits, no brackets. */
    while (*p == ' ')
        p++;
    for (; *p; p++)
        if (!isalpha((unsigned char)*p) && *p != '%' && *p != '/')
            return GPU_NO_READING;
    return negative ? -value : value;
}

static int64_t read_mask(const char *s)
{
    char *end = NULL;
    if (s[0] != '0' || (s[1] != 'x' && s[1] != 'X') || !isxdigit((unsigned char)s[2]) ||
        strlen(s) > 18)
        return GPU_NO_READING;
    unsigned long long value = strtoull(s + 2, &end, 16);
    return *end || value > INT64_MAX ? GPU_NO_READING : (int64_t)value;
}

static int64_t read_word(enum smi_kind kind, const char *s)
{
    static const struct {
        enum smi_kind kind;
        const char *word;
        int64_t value;
    } words[] = {
        {SMI_YES, "Yes", 1},
        {SMI_YES, "No", 0},
        {SMI_YES, "Enabled", 1},
        {SMI_YES, "Disabled", 0},
        {SMI_YES, "Active", 1},
        {SMI_YES, "Not Active", 0},
        {SMI_RECOVERY, "None", GPU_RECOVERY_NONE},
        {SMI_RECOVERY, "Reset", GPU_RECOVERY_RESET},
        {SMI_RECOVERY, "Reboot", GPU_RECOVERY_REBOOT},
        {SMI_RECOVERY, "Drain P2P", GPU_RECOVERY_DRAIN_P2P},
        {SMI_RECOVERY, "Drain and Reset", GPU_RECOVERY_DRAIN_AND_RESET},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (words[i].kind == kind && strcasecmp(s, words[i].word) == 0)
            return words[i].value;
    return GPU_NO_READING;
}

int64_t smi_value(enum smi_kind kind, const char *value, int64_t scale)
{
    switch (kind) {
    case SMI_NUMBER:
        return read_number(value, scale);
    case SMI_MASK:
        return read_mask(value);
    case SMI_PSTATE: {
        int64_t p = value[0] == 'P' ? read_number(value + 1, 1) : GPU_NO_READING;
        return p <= 15 ? p : GPU_NO_READING;
    }
    case SMI_YES:
    case SMI_RECOVERY:
        return read_word(kind, value);
    case SMI_TEXT:
    case SMI_DRIVER:
    case SMI_COMPUTE:
        break;
    }
    return GPU_NO_READING;
}

static bool is_none(const char *s)
{
    return !s[0] || s[0] == '[' || strcmp(s, "N/A") == 0;
}

static void put_text(char *into, size_t room, const char *s)
{
    snprintf(into, room, "%s", is_none(s) ? "" : s);
    gpu_clean_text(into, room);
}

static void put_value(const struct smi_field *f, const char *s, struct smi_row *row)
{
    char *info = (char *)&row->info + f->info_offset;

    if (strcasestr(s, "is lost"))
        row->lost = true;
    if (strcasestr(s, "requires reset"))
        row->needs_reset = true;
    if (f->kind == SMI_TEXT) {
        put_text(info, f->info_size, s);
        return;
    }
    if (f->kind == SMI_DRIVER) {
        put_text(row->driver_version, sizeof row->driver_version, s);
        return;
    }
    if (f->kind == SMI_COMPUTE) {
        unsigned major, minor;
        if (sscanf(s, "%3u.%3u", &major, &minor) == 2) {
            row->info.compute_major = major;
            row->info.compute_minor = minor;
        }
        return;
    }

    int64_t value = smi_value(f->kind, s, f->scale);
    if (f->reading >= 0 && (value >= 0 || f->reading == GPU_READING_temperature_margin_c))
        row->sample.readings[f->reading] = value;
    if (!f->info_offset && f->reading >= 0)
        return;
    if (f->info_offset == offsetof(struct gpu_info, index) && f->reading < 0)
        row->info.index = value >= 0 && value < GPU_MAX_DEVICES ? (uint32_t)value : 0;
    else if (value >= 0)
        memcpy(info, &value, sizeof value);
}

/* The next cell of a line, trimmed, cut off in place; NULL behind the last. */
static char *next_cell(char **rest)
{
    char *cell = strsep(rest, ",");
    if (!cell)
        return NULL;
    while (isspace((unsigned char)*cell))
        cell++;
    for (char *end = cell + strlen(cell); end > cell && isspace((unsigned char)end[-1]);)
        *--end = '\0';
    return cell;
}

static bool read_row(const struct smi_query *q, char *line, struct smi_row *row)
{
    gpu_info_clear(&row->info);
    gpu_sample_clear(&row->sample);
    row->driver_version[0] = '\0';
    row->lost = row->needs_reset = false;
    snprintf(row->info.vendor, sizeof row->info.vendor, "nvidia");

    for (size_t i = 0; i < q->count; i++) {
        char *cell = next_cell(&line);
        if (!cell)
            return false;
        put_value(q->fields[i], cell, row);
    }
    return !line && row->info.uuid[0];
}

int smi_rows_read(const struct smi_query *q, const char *text, struct smi_row *rows, size_t room,
                  struct err *e)
{
    auto_free char *copy = mem_strdup(text);
    char *rest = copy;
    size_t count = 0;

    for (char *line; count < room && (line = strsep(&rest, "\n"));)
        if (line[0] && read_row(q, line, &rows[count]))
            count++;
    if (!count) {
        char first[120];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(text, "\n"), text);
        gpu_clean_text(first, sizeof first);
        return err_set(e, ERR_UNAVAILABLE, "nvidia-smi names no GPU, it says '%s'", first);
    }
    return (int)count;
}

void smi_processes_read(const char *text, struct smi_row *rows, size_t count)
{
    auto_free char *copy = mem_strdup(text);
    char *rest = copy;

    for (char *line; (line = strsep(&rest, "\n"));) {
        char *uuid = next_cell(&line), *pid_cell = next_cell(&line), *used = next_cell(&line);
        if (!used)
            continue;
        int64_t pid = read_number(pid_cell, 1);
        for (size_t i = 0; i < count && pid > 0 && pid <= INT32_MAX; i++) {
            struct gpu_sample *s = &rows[i].sample;
            if (strcmp(rows[i].info.uuid, uuid) != 0)
                continue;
            s->process_total++;
            if (s->process_count < GPU_MAX_PROCESSES)
                s->processes[s->process_count++] = (struct gpu_process){
                    .pid = (uint32_t)pid,
                    .kind = 'C',
                    .used_bytes = read_number(used, MIB),
                    .sm_util_pct = GPU_NO_READING,
                };
        }
    }
}
