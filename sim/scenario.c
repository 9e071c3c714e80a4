#include "scenario.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <strings.h>

enum { MOST_BYTES = 1 << 20 };

/* Without a scenario: one idle board, and clients that look like a training job. */
static const char default_yaml[] = "name: default\n"
                                   "devices:\n"
                                   "  - model: rtx-3080\n"
                                   "    jitter: 2\n"
                                   "client:\n"
                                   "  memory: 3GiB\n"
                                   "  load: [[0, 20], [1, 88], [3, 92]]\n";

static int word_index(const char *word, const char *const *words, int count)
{
    for (int i = 0; i < count; i++)
        if (strcasecmp(word, words[i]) == 0)
            return i;
    return -1;
}

static const char *const value_words[] = {
#define X(name, word) word,
    SIM_VALUES(X)
#undef X
};

static const char *const fault_words[] = {
#define X(name, word) word,
    SIM_FAULTS(X)
#undef X
};

/* "30s", "1m30s" or a number of seconds, fractions allowed. */
static int read_ms(const json_t *value, const char *what, int64_t *ret, struct err *e)
{
    if (!value)
        return 0;
    if (json_is_string(value))
        return text_to_duration_ms(json_string_value(value), what, ret, e);
    double seconds = json_is_number(value) ? json_number_value(value) : -1;
    if (seconds < 0 || seconds > 1e9)
        return err_set(e, ERR_INVALID, "%s is not a time such as 30s or 1.5", what);
    *ret = (int64_t)(seconds * 1000 + 0.5);
    return 0;
}

/* A curve in MiB; one size may also be written "6GiB". */
static int read_memory(const json_t *value, const char *what, struct curve *ret, struct err *e)
{
    if (!json_is_string(value))
        return curve_read(value, 1 << 24, what, ret, e);

    uint64_t bytes;
    if (text_to_bytes(json_string_value(value), what, &bytes, e) < 0)
        return -1;
    curve_done(ret);
    ret->value = (double)(bytes >> 20);
    return 0;
}

static int read_text(const char *value, char *into, size_t room, const char *what, struct err *e)
{
    if (!value)
        return 0;
    if (strlen(value) >= room)
        return err_set(e, ERR_INVALID, "%s is longer than %zu characters", what, room - 1);
    memcpy(into, value, strlen(value) + 1);
    return 0;
}

static int read_missing(const json_t *list, uint64_t *ret, struct err *e)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        int bit = word ? word_index(word, value_words, SIM_VALUE_COUNT) : -1;
        if (bit < 0)
            return err_set(e, ERR_INVALID, "'%s' is no value that a device can lack",
                           word ? word : "?");
        *ret |= UINT64_C(1) << bit;
    }
    return 0;
}

struct client_text {
    const json_t *memory, *load;
    const char *count;
};

static int read_client(const json_t *object, struct sim_client *ret, struct err *e)
{
    static const struct json_field fields[] = {
        {"memory", JSON_FIELD_ANY, offsetof(struct client_text, memory)},
        {"load", JSON_FIELD_ANY, offsetof(struct client_text, load)},
        {"count", JSON_FIELD_TEXT, offsetof(struct client_text, count)},
    };
    struct client_text in = {0};
    if (!object)
        return 0;
    if (json_read_fields(object, fields, COUNT_OF(fields), true, &in, e) < 0 ||
        (in.memory && read_memory(in.memory, "memory", &ret->memory_mib, e) < 0) ||
        (in.load && curve_read(in.load, 100, "load", &ret->load_pct, e) < 0))
        return err_wrap(e, "client");
    if (in.count && strcmp(in.count, "tree") != 0 && strcmp(in.count, "process") != 0)
        return err_set(e, ERR_INVALID, "client: count '%s' is neither tree nor process", in.count);
    ret->every_process = in.count && strcmp(in.count, "process") == 0;
    return 0;
}

struct foreign_text {
    int64_t pid;
    const char *name;
    const json_t *memory, *load, *from, *during;
};

static int read_foreign(const json_t *object, struct sim_foreign *ret, struct err *e)
{
    static const struct json_field fields[] = {
        {"pid", JSON_FIELD_INT, offsetof(struct foreign_text, pid), true, 1, INT32_MAX},
        {"name", JSON_FIELD_TEXT, offsetof(struct foreign_text, name)},
        {"memory", JSON_FIELD_ANY, offsetof(struct foreign_text, memory)},
        {"load", JSON_FIELD_ANY, offsetof(struct foreign_text, load)},
        {"from", JSON_FIELD_ANY, offsetof(struct foreign_text, from)},
        {"for", JSON_FIELD_ANY, offsetof(struct foreign_text, during)},
    };
    struct foreign_text in = {0};
    ret->for_ms = -1;
    if (json_read_fields(object, fields, COUNT_OF(fields), true, &in, e) < 0 ||
        read_text(in.name ? in.name : "foreign", ret->name, sizeof ret->name, "name", e) < 0 ||
        (in.memory && read_memory(in.memory, "memory", &ret->memory_mib, e) < 0) ||
        (in.load && curve_read(in.load, 100, "load", &ret->load_pct, e) < 0) ||
        read_ms(in.from, "from", &ret->from_ms, e) < 0 ||
        read_ms(in.during, "for", &ret->for_ms, e) < 0)
        return err_wrap(e, "processes");
    ret->pid = in.pid;
    return 0;
}

struct device_text {
    const char *model, *name, *uuid, *serial;
    int64_t count, numa_node;
    const json_t *load, *memory, *jitter, *missing, *client, *processes;
    struct sim_model spec;
    int64_t ecc_corrected, ecc_uncorrected, remapped_corrected, remapped_uncorrected;
    int64_t remap_pending, remap_failed, recovery_action;
};

#define SPEC_INT(word, member, least, most)                                                        \
    {                                                                                              \
        word, JSON_FIELD_INT, offsetof(struct device_text, spec.member), false, least, most        \
    }
#define SPEC_BOOL(word)                                                                            \
    {                                                                                              \
#word, JSON_FIELD_BOOL, offsetof(struct device_text, spec.word)                            \
    }
#define COUNTER(word)                                                                              \
    {                                                                                              \
#word, JSON_FIELD_INT, offsetof(struct device_text, word), false, 0, INT32_MAX             \
    }
#define PLAIN(word, type, member)                                                                  \
    {                                                                                              \
        word, type, offsetof(struct device_text, member)                                           \
    }

/* clang-format off */
static const struct json_field device_fields[] = {
    PLAIN("model", JSON_FIELD_TEXT, model),
    PLAIN("name", JSON_FIELD_TEXT, name),
    PLAIN("uuid", JSON_FIELD_TEXT, uuid),
    PLAIN("serial", JSON_FIELD_TEXT, serial),
    {"count", JSON_FIELD_INT, offsetof(struct device_text, count), false, 1, SIM_MOST_DEVICES},
    {"numa_node", JSON_FIELD_INT, offsetof(struct device_text, numa_node), false, 0, 63},
    PLAIN("load", JSON_FIELD_ANY, load),
    PLAIN("memory", JSON_FIELD_ANY, memory),
    PLAIN("jitter", JSON_FIELD_ANY, jitter),
    PLAIN("not_supported", JSON_FIELD_ARRAY, missing),
    PLAIN("client", JSON_FIELD_OBJECT, client),
    PLAIN("processes", JSON_FIELD_ARRAY, processes),
    COUNTER(ecc_corrected), COUNTER(ecc_uncorrected),
    COUNTER(remapped_corrected), COUNTER(remapped_uncorrected),
    COUNTER(remap_pending), COUNTER(remap_failed), COUNTER(recovery_action),
    SPEC_INT("memory_total_mib", memory_mib, 64, 1 << 24),
    SPEC_INT("memory_reserved_mib", reserved_mib, 0, 1 << 20),
    SPEC_INT("architecture", architecture, 2, 255),
    SPEC_INT("compute_major", compute_major, 1, 99),
    SPEC_INT("compute_minor", compute_minor, 0, 9),
    SPEC_INT("pci_device", pci_device, 0, 0xffff),
    SPEC_INT("bus_width", bus_width, 1, 65536),
    SPEC_INT("cores", cores, 1, 1000000),
    SPEC_INT("power_idle_w", power_idle_w, 0, 10000),
    SPEC_INT("power_full_w", power_full_w, 1, 10000),
    SPEC_INT("power_limit_w", power_limit_w, 1, 10000),
    SPEC_INT("power_min_w", power_min_w, 1, 10000),
    SPEC_INT("power_max_w", power_max_w, 1, 10000),
    SPEC_INT("clock_idle_mhz", clock_idle_mhz, 1, 10000),
    SPEC_INT("clock_load_mhz", clock_load_mhz, 1, 10000),
    SPEC_INT("clock_max_mhz", clock_max_mhz, 1, 10000),
    SPEC_INT("memory_clock_idle_mhz", memory_clock_idle_mhz, 1, 100000),
    SPEC_INT("memory_clock_mhz", memory_clock_mhz, 1, 100000),
    SPEC_INT("temperature_idle_c", temperature_idle_c, 1, 150),
    SPEC_INT("temperature_full_c", temperature_full_c, 1, 150),
    SPEC_INT("slowdown_c", slowdown_c, 1, 200),
    SPEC_INT("shutdown_c", shutdown_c, 1, 200),
    SPEC_INT("idle_pstate", idle_pstate, 0, 15),
    SPEC_INT("fans", fans, 0, 8),
    SPEC_INT("nvlinks", nvlinks, 0, 36),
    SPEC_INT("pcie_generation", pcie_generation, 1, 8),
    SPEC_BOOL(has_energy), SPEC_BOOL(has_ecc), SPEC_BOOL(has_memory_temperature),
    SPEC_BOOL(has_margin), SPEC_BOOL(has_serial), SPEC_BOOL(has_mig),
};
/* clang-format on */

/* What a model does not have is missing from the start. */
static uint64_t model_lacks(const struct sim_model *m)
{
    uint64_t missing = 0;
    const struct {
        bool has;
        enum sim_value value;
    } table[] = {
        {m->has_energy, SIM_ENERGY}, {m->has_ecc, SIM_ECC},
        {m->has_margin, SIM_MARGIN}, {m->has_memory_temperature, SIM_MEMORY_TEMPERATURE},
        {m->has_serial, SIM_SERIAL}, {m->has_mig, SIM_MIG},
        {m->fans > 0, SIM_FAN},      {m->nvlinks > 0, SIM_NVLINK},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (!table[i].has)
            missing |= UINT64_C(1) << table[i].value;
    return missing;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t hash_text(uint64_t h, const char *s)
{
    for (; *s; s++)
        h = mix(h ^ (unsigned char)*s) + UINT64_C(0x9e3779b97f4a7c15);
    return mix(h);
}

/* The same scenario, node and place give the same identity, in every process and after a reboot. */
static void name_device(const struct scenario *s, const char *node, size_t index,
                        struct sim_device *d)
{
    uint64_t a = mix(hash_text(hash_text(1, s->name), node) + index);
    uint64_t b = mix(a + 1), c = mix(a + 2);
    if (!d->uuid[0])
        snprintf(d->uuid, sizeof d->uuid, "GPU-%08x-%04x-%04x-%04x-%012llx", (unsigned)(a >> 32),
                 (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0x0fff) | 0x4000,
                 (unsigned)(b & 0x3fff) | 0x8000, (unsigned long long)(b >> 16));
    if (!d->serial[0])
        snprintf(d->serial, sizeof d->serial, "13%011llu", (unsigned long long)(c % 100000000000));
    d->pci_bus = (uint32_t)(index + 1) * 3 % 256;
}

static int read_processes(const json_t *list, struct sim_device *d, struct err *e)
{
    size_t count = json_array_size(list);
    if (count > SIM_MOST_FOREIGN)
        return err_set(e, ERR_INVALID, "more than %d processes", SIM_MOST_FOREIGN);
    d->foreign = mem_new_array(struct sim_foreign, count);
    for (d->foreign_count = 0; d->foreign_count < count;) {
        const json_t *one = json_array_get(list, d->foreign_count);
        if (read_foreign(one, &d->foreign[d->foreign_count++], e) < 0)
            return -1;
    }
    return 0;
}

static int check_device(const struct sim_device *d, struct err *e)
{
    const struct sim_model *m = &d->model;
    if (m->power_idle_w > m->power_full_w || m->power_min_w > m->power_max_w ||
        m->power_limit_w < m->power_min_w || m->power_limit_w > m->power_max_w)
        return err_set(e, ERR_INVALID,
                       "power must rise from idle to full, and its limit lie between min and max");
    if (m->temperature_idle_c > m->temperature_full_c)
        return err_set(e, ERR_INVALID, "temperature must rise from idle to full");
    if (m->reserved_mib >= m->memory_mib)
        return err_set(e, ERR_INVALID, "more memory is reserved than there is");
    return 0;
}

/* One entry of the list, from its text; without identity. */
static int read_device(const json_t *object, const json_t *client, struct sim_device *d,
                       struct err *e)
{
    const char *model = json_string_value(json_object_get(object, "model"));
    const struct sim_model *base = sim_model_find(model ? model : "rtx-3080");
    if (!base)
        return err_set(e, ERR_INVALID, "model '%.40s' is not in the catalogue", model);

    struct device_text in = {.count = 1, .spec = *base};
    if (json_read_fields(object, device_fields, COUNT_OF(device_fields), true, &in, e) < 0)
        return -1;
    if (in.count > 1 && (in.uuid || in.serial))
        return err_set(e, ERR_INVALID, "a count needs devices without uuid and serial");
    d->model = in.spec;
    d->missing = model_lacks(&d->model);
    d->numa_node = in.numa_node;
    d->ecc_corrected = in.ecc_corrected;
    d->ecc_uncorrected = in.ecc_uncorrected;
    d->remapped_corrected = in.remapped_corrected;
    d->remapped_uncorrected = in.remapped_uncorrected;
    d->remap_pending = in.remap_pending;
    d->remap_failed = in.remap_failed;
    d->recovery_action = in.recovery_action;
    if (in.uuid && strncmp(in.uuid, "GPU-", 4) != 0)
        return err_set(e, ERR_INVALID, "uuid '%.40s' does not begin with GPU-", in.uuid);
    if (in.jitter) {
        d->jitter_pct = json_is_number(in.jitter) ? json_number_value(in.jitter) : -1;
        if (d->jitter_pct < 0 || d->jitter_pct > 50)
            return err_set(e, ERR_INVALID, "jitter is not between 0 and 50");
    }
    if (read_text(in.name ? in.name : base->name, d->name, sizeof d->name, "name", e) < 0 ||
        read_text(in.uuid, d->uuid, sizeof d->uuid, "uuid", e) < 0 ||
        read_text(in.serial, d->serial, sizeof d->serial, "serial", e) < 0 ||
        (in.load && curve_read(in.load, 100, "load", &d->load_pct, e) < 0) ||
        (in.memory && read_memory(in.memory, "memory", &d->memory_mib, e) < 0) ||
        read_missing(in.missing, &d->missing, e) < 0 || read_client(client, &d->client, e) < 0 ||
        read_client(in.client, &d->client, e) < 0 || read_processes(in.processes, d, e) < 0)
        return -1;
    return check_device(d, e);
}

static int read_devices(const json_t *list, const json_t *client, const char *node,
                        struct scenario *s, struct err *e)
{
    s->devices = mem_new_array(struct sim_device, SIM_MOST_DEVICES);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *object = json_array_get(list, i);
        int64_t count = json_integer_value(json_object_get(object, "count"));
        do {
            if (s->device_count == SIM_MOST_DEVICES)
                return err_set(e, ERR_INVALID, "more than %d devices", SIM_MOST_DEVICES);
            struct sim_device *d = &s->devices[s->device_count];
            size_t index = s->device_count++;
            if (read_device(object, client, d, e) < 0)
                return err_wrap(e, "device %zu", i);
            name_device(s, node, index, d);
            for (size_t k = 0; k < index; k++)
                if (strcmp(s->devices[k].uuid, d->uuid) == 0)
                    return err_set(e, ERR_INVALID, "uuid '%s' stands twice", d->uuid);
        } while (--count > 0);
    }
    return 0;
}

struct fault_text {
    const char *kind, *call;
    int64_t device, code, delay_ms, recovery_action;
    const json_t *from, *during, *every, *values;
};

static int read_fault(const json_t *object, size_t device_count, struct sim_fault *f, struct err *e)
{
    static const struct json_field fields[] = {
        {"kind", JSON_FIELD_TEXT, offsetof(struct fault_text, kind), true},
        {"call", JSON_FIELD_TEXT, offsetof(struct fault_text, call)},
        {"device", JSON_FIELD_INT, offsetof(struct fault_text, device), false, 0, SIM_MOST_DEVICES},
        {"code", JSON_FIELD_INT, offsetof(struct fault_text, code), false, 0, 100000},
        {"delay_ms", JSON_FIELD_INT, offsetof(struct fault_text, delay_ms), false, 0, 3600000},
        {"recovery_action", JSON_FIELD_INT, offsetof(struct fault_text, recovery_action), false, 0,
         16},
        {"from", JSON_FIELD_ANY, offsetof(struct fault_text, from)},
        {"for", JSON_FIELD_ANY, offsetof(struct fault_text, during)},
        {"every", JSON_FIELD_ANY, offsetof(struct fault_text, every)},
        {"values", JSON_FIELD_ARRAY, offsetof(struct fault_text, values)},
    };
    struct fault_text in = {.device = -1, .code = -1, .recovery_action = -1};
    f->for_ms = -1;
    if (json_read_fields(object, fields, COUNT_OF(fields), true, &in, e) < 0 ||
        read_text(in.call, f->call, sizeof f->call, "call", e) < 0 ||
        read_ms(in.from, "from", &f->from_ms, e) < 0 ||
        read_ms(in.during, "for", &f->for_ms, e) < 0 ||
        read_ms(in.every, "every", &f->every_ms, e) < 0 ||
        read_missing(in.values, &f->missing, e) < 0)
        return -1;

    int kind = word_index(in.kind, fault_words, SIM_FAULT_KINDS);
    if (kind < 0)
        return err_set(e, ERR_INVALID, "there is no fault of kind '%.40s'", in.kind);
    f->kind = (enum sim_fault_kind)kind;
    f->device = in.device;
    f->code = in.code;
    f->delay_ms = in.delay_ms;
    f->recovery_action = in.recovery_action;
    if (f->device >= (int64_t)device_count)
        return err_set(e, ERR_INVALID, "there is no device %lld", (long long)f->device);
    if (f->kind == SIM_FAULT_XID && f->code < 0)
        return err_set(e, ERR_INVALID, "an xid needs its code");
    if (f->kind == SIM_FAULT_MISSING && !f->missing)
        return err_set(e, ERR_INVALID, "not_supported needs values");
    if (f->every_ms && f->for_ms < 0 && f->kind != SIM_FAULT_XID)
        return err_set(e, ERR_INVALID, "every needs for");
    return 0;
}

static int read_faults(const json_t *list, struct scenario *s, struct err *e)
{
    size_t count = json_array_size(list);
    if (count > SIM_MOST_FAULTS)
        return err_set(e, ERR_INVALID, "more than %d faults", SIM_MOST_FAULTS);
    s->faults = mem_new_array(struct sim_fault, count);
    for (; s->fault_count < count; s->fault_count++)
        if (read_fault(json_array_get(list, s->fault_count), s->device_count,
                       &s->faults[s->fault_count], e) < 0)
            return err_wrap(e, "fault %zu", s->fault_count);
    return 0;
}

struct driver_text {
    const char *version, *nvml, *cuda;
};

static int read_driver(const json_t *object, struct scenario *s, struct err *e)
{
    static const struct json_field fields[] = {
        {"version", JSON_FIELD_TEXT, offsetof(struct driver_text, version)},
        {"nvml", JSON_FIELD_TEXT, offsetof(struct driver_text, nvml)},
        {"cuda", JSON_FIELD_TEXT, offsetof(struct driver_text, cuda)},
    };
    struct driver_text in = {"535.183.01", "12.535.183.01", "12.2"};
    if (object && json_read_fields(object, fields, COUNT_OF(fields), true, &in, e) < 0)
        return err_wrap(e, "driver");

    unsigned major, minor;
    if (sscanf(in.cuda, "%2u.%1u", &major, &minor) != 2)
        return err_set(e, ERR_INVALID, "driver: cuda '%.20s' is not a version such as 12.2",
                       in.cuda);
    s->cuda_version = major * 1000 + minor * 10;
    if (read_text(in.version, s->driver_version, sizeof s->driver_version, "version", e) < 0 ||
        read_text(in.nvml, s->nvml_version, sizeof s->nvml_version, "nvml", e) < 0)
        return err_wrap(e, "driver");
    return 0;
}

struct scenario_text {
    const char *name;
    const json_t *driver, *devices, *client, *faults;
};

int scenario_read(const char *yaml, size_t len, const char *name, const char *node,
                  struct scenario **ret, struct err *e)
{
    static const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, offsetof(struct scenario_text, name)},
        {"driver", JSON_FIELD_OBJECT, offsetof(struct scenario_text, driver)},
        {"devices", JSON_FIELD_ARRAY, offsetof(struct scenario_text, devices), true},
        {"client", JSON_FIELD_OBJECT, offsetof(struct scenario_text, client)},
        {"faults", JSON_FIELD_ARRAY, offsetof(struct scenario_text, faults)},
    };
    auto_json json_t *root = NULL;
    if (yaml_parse(yaml, len, &root, e) < 0)
        return -1;
    struct scenario_text in = {0};
    if (json_read_fields(root, fields, COUNT_OF(fields), true, &in, e) < 0)
        return -1;

    struct scenario *s = mem_new(struct scenario);
    if (read_text(in.name ? in.name : name, s->name, sizeof s->name, "name", e) < 0 ||
        read_driver(in.driver, s, e) < 0 || read_devices(in.devices, in.client, node, s, e) < 0 ||
        read_faults(in.faults, s, e) < 0) {
        scenario_free(s);
        return -1;
    }
    *ret = s;
    return 0;
}

int scenario_load(const char *path, const char *node, struct scenario **ret, struct err *e)
{
    if (!path)
        return scenario_read(default_yaml, sizeof default_yaml - 1, "default", node, ret, e);

    auto_free char *yaml = NULL;
    size_t len;
    if (file_read(path, MOST_BYTES, &yaml, &len, e) < 0)
        return -1;
    char name[64];
    const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    snprintf(name, sizeof name, "%s", file);
    if (scenario_read(yaml, len, name, node, ret, e) < 0)
        return err_wrap(e, "cannot use scenario '%s'", path);
    return 0;
}

void scenario_free(struct scenario *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->device_count; i++) {
        struct sim_device *d = &s->devices[i];
        for (size_t k = 0; k < d->foreign_count; k++) {
            curve_done(&d->foreign[k].memory_mib);
            curve_done(&d->foreign[k].load_pct);
        }
        free(d->foreign);
        curve_done(&d->load_pct);
        curve_done(&d->memory_mib);
        curve_done(&d->client.load_pct);
        curve_done(&d->client.memory_mib);
    }
    free(s->devices);
    free(s->faults);
    free(s);
}

bool sim_fault_is_on(const struct sim_fault *f, int64_t t_ms)
{
    if (t_ms < f->from_ms)
        return false;
    int64_t since = t_ms - f->from_ms;
    if (f->every_ms > 0)
        since %= f->every_ms;
    return f->for_ms < 0 || since < f->for_ms;
}

int64_t sim_fault_count(const struct sim_fault *f, int64_t after_ms, int64_t t_ms)
{
    if (t_ms < f->from_ms || t_ms <= after_ms)
        return 0;
    if (f->every_ms <= 0)
        return after_ms < f->from_ms;
    int64_t until = (t_ms - f->from_ms) / f->every_ms + 1;
    int64_t before = after_ms < f->from_ms ? 0 : (after_ms - f->from_ms) / f->every_ms + 1;
    return until - before;
}
