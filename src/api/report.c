#include "api/report.h"

#include "base/mem.h"

enum {
    DEVICES_MOST = 256,
    ATTEMPTS_MOST = 10000,
    PROGRESS_MOST = 10000,
    METERS_MOST = 10000,
    BOUND_MOST = 1000,
    FILES_MOST = 100,        /* of one attempt's results */
    METADATA_MOST = 20480,   /* bytes; agents take 16 KiB, other writers may write it longer */
    NUMBER_MOST = INT32_MAX, /* amounts: devices, MiB, percent */
};
#define BIG INT64_C(1000000000000000) /* ids, milliseconds, millijoules */

static int find_word(const char *const *words, int count, const char *word, const char *field,
                     int64_t *ret, struct err *e)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0) {
            *ret = i;
            return 0;
        }
    err_set(e, ERR_INVALID, "field '%s' cannot be '%.32s'", field, word);
    return err_blame(e, "%s", field);
}

/* ---- version ---- */

enum { MINORS_BACK = 2 };

/* "1.4.2", perhaps with "-rc1" or "+build" behind it. */
static bool read_version(const char *text, int64_t *ret_major, int64_t *ret_minor)
{
    char major[8], minor[8], patch[8], more = '-';
    return sscanf(text, "%7[0-9].%7[0-9].%7[0-9]%c", major, minor, patch, &more) >= 3 &&
           (more == '-' || more == '+') &&
           text_to_int(major, 0, 9999999, "", ret_major, NULL) == 0 &&
           text_to_int(minor, 0, 9999999, "", ret_minor, NULL) == 0;
}

int report_check_version(const char *version, struct err *e)
{
    int64_t major, minor, our_major = 0, our_minor = 0;
    read_version(REEVE_VERSION, &our_major, &our_minor);
    int64_t oldest = our_minor > MINORS_BACK ? our_minor - MINORS_BACK : 0;
    if (read_version(version, &major, &minor) && major == our_major && minor >= oldest &&
        minor <= our_minor)
        return 0;
    err_set(e, ERR_UNPROCESSABLE,
            "an agent of version '%.31s' is not served here, only %lld.%lld to %lld.%lld; the "
            "control plane is upgraded first",
            version, (long long)our_major, (long long)oldest, (long long)our_major,
            (long long)our_minor);
    return err_blame(e, "version");
}

/* ---- hello and host ---- */

struct hello_in {
    const char *version, *isolation;
    int64_t cpu_milli, memory_mib;
};

static int read_hello(const json_t *object, struct report *r, struct err *e)
{
#define AT(member) offsetof(struct hello_in, member)
    static const struct json_field fields[] = {
        {"version", JSON_FIELD_TEXT, AT(version), true, 1, 31},
        {"isolation", JSON_FIELD_TEXT, AT(isolation), true, 1, 16},
        {"cpu_milli", JSON_FIELD_INT, AT(cpu_milli), true, 0, NUMBER_MOST},
        {"memory_mib", JSON_FIELD_INT, AT(memory_mib), true, 0, NUMBER_MOST},
    };
#undef AT
    static const char *const isolations[] = {"none", "shared", "user"};
    struct hello_in in = {0};
    if (!object)
        return 0;
    if (json_read_fields(object, fields, COUNT_OF(fields), false, &in, e) < 0 ||
        find_word(isolations, COUNT_OF(isolations), in.isolation, "isolation", &r->isolation, e) <
            0 ||
        report_check_version(in.version, e) < 0)
        return err_wrap(e, "hello");
    r->is_hello = true;
    text_cut(r->version, sizeof r->version, in.version);
    r->cpu_milli = in.cpu_milli;
    r->memory_mib = in.memory_mib;
    return 0;
}

struct host_in {
    bool busy;
    int64_t cpu_pct, memory_pct;
};

static int read_host(const json_t *object, struct report *r, struct err *e)
{
#define AT(member) offsetof(struct host_in, member)
    static const struct json_field fields[] = {
        {"busy", JSON_FIELD_BOOL, AT(busy), true},
        {"cpu_pct", JSON_FIELD_INT, AT(cpu_pct), .least = 0, .most = 100},
        {"memory_pct", JSON_FIELD_INT, AT(memory_pct), .least = 0, .most = 100},
    };
#undef AT
    struct host_in in = {0};
    if (!object)
        return 0;
    if (json_read_fields(object, fields, COUNT_OF(fields), false, &in, e) < 0)
        return err_wrap(e, "host");
    r->has_host = true;
    r->host_busy = in.busy;
    r->cpu_pct = in.cpu_pct;
    r->memory_pct = in.memory_pct;
    return 0;
}

/* ---- devices ---- */

struct device_in {
    const char *uuid, *model, *vendor, *health, *why;
    int64_t index, memory_mib, free_mib, gpu_pct;
    bool busy, foreign;
};

static int read_device(const json_t *object, struct device_report *ret, struct err *e)
{
#define AT(member) offsetof(struct device_in, member)
    static const struct json_field fields[] = {
        {"uuid", JSON_FIELD_TEXT, AT(uuid), true, 1, sizeof ret->uuid - 1},
        {"index", JSON_FIELD_INT, AT(index), true, 0, NUMBER_MOST},
        {"model", JSON_FIELD_TEXT, AT(model)},
        {"vendor", JSON_FIELD_TEXT, AT(vendor)},
        {"memory_mib", JSON_FIELD_INT, AT(memory_mib), true, 0, NUMBER_MOST},
        {"health", JSON_FIELD_TEXT, AT(health), true},
        {"busy", JSON_FIELD_BOOL, AT(busy)},
        {"foreign", JSON_FIELD_BOOL, AT(foreign)},
        {"free_mib", JSON_FIELD_INT, AT(free_mib), .least = 0, .most = NUMBER_MOST},
        {"gpu_pct", JSON_FIELD_INT, AT(gpu_pct), .least = 0, .most = 100},
        {"why", JSON_FIELD_TEXT, AT(why)},
    };
#undef AT
    static const char *const healths[] = {"ok", "unknown", "faulty", "gone"};
    struct device_in in = {0};
    if (json_read_fields(object, fields, COUNT_OF(fields), false, &in, e) < 0 ||
        find_word(healths, COUNT_OF(healths), in.health, "health", &ret->health, e) < 0)
        return -1;
    text_cut(ret->uuid, sizeof ret->uuid, in.uuid);
    text_cut(ret->model, sizeof ret->model, in.model);
    text_cut(ret->vendor, sizeof ret->vendor, in.vendor);
    text_cut(ret->why, sizeof ret->why, in.why);
    ret->number = in.index;
    ret->memory_mib = in.memory_mib;
    ret->busy = in.busy;
    ret->foreign = in.foreign;
    ret->free_mib = in.free_mib;
    ret->gpu_pct = in.gpu_pct;
    return 0;
}

/* ---- attempts ---- */

struct results_in {
    const char *path;
    const json_t *files;
    int64_t more;
};

static int check_file(const json_t *object, struct err *e)
{
    static const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, offsetof(struct results_in, path), true, 1, 1024},
        {"size", JSON_FIELD_INT, offsetof(struct results_in, more), true, 0, INT64_MAX},
    };
    struct results_in in;
    return json_read_fields(object, fields, COUNT_OF(fields), true, &in, e);
}

static int check_results(const json_t *object, struct err *e)
{
#define AT(member) offsetof(struct results_in, member)
    static const struct json_field fields[] = {
        {"path", JSON_FIELD_TEXT, AT(path), true, 1, 4096},
        {"files", JSON_FIELD_ARRAY, AT(files), true, 0, FILES_MOST},
        {"more", JSON_FIELD_INT, AT(more), .least = 0, .most = NUMBER_MOST},
    };
#undef AT
    struct results_in in = {0};
    size_t i;
    json_t *file;
    if (json_read_fields(object, fields, COUNT_OF(fields), true, &in, e) < 0)
        return -1;
    json_array_foreach((json_t *)in.files, i, file)
    {
        if (check_file(file, e) < 0)
            return -1;
    }
    return 0;
}

/* They are kept as they are, once they are what they should be. */
static int read_left(const json_t *results, const json_t *metadata, struct attempt_report *ret,
                     struct err *e)
{
    if (results && check_results(results, e) < 0) {
        err_wrap(e, "results");
        return err_blame(e, "results");
    }
    ret->results = results ? json_write(results) : NULL;
    ret->metadata = metadata ? json_write(metadata) : NULL;
    if (!ret->metadata || strlen(ret->metadata) <= METADATA_MOST)
        return 0;
    err_set(e, ERR_INVALID, "field 'metadata' has more than %d bytes", METADATA_MOST);
    return err_blame(e, "metadata");
}

struct attempt_in {
    const json_t *results, *metadata;
    const char *id, *state, *outcome, *why;
    int64_t job, n, ago_ms, exit_code, signal, run_ms, energy_mj;
    bool energy_measured;
};

static int read_attempt(const json_t *object, struct attempt_report *ret, struct err *e)
{
#define AT(member) offsetof(struct attempt_in, member)
    static const struct json_field fields[] = {
        {"id", JSON_FIELD_TEXT, AT(id), true, ATTEMPT_ID_SIZE - 1, ATTEMPT_ID_SIZE - 1},
        {"job", JSON_FIELD_INT, AT(job), true, 1, BIG},
        {"n", JSON_FIELD_INT, AT(n), true, 1, NUMBER_MOST},
        {"state", JSON_FIELD_TEXT, AT(state), true},
        {"ago_ms", JSON_FIELD_INT, AT(ago_ms), .least = 0, .most = BIG},
        {"outcome", JSON_FIELD_TEXT, AT(outcome)},
        {"exit_code", JSON_FIELD_INT, AT(exit_code), .least = -1, .most = 255},
        {"signal", JSON_FIELD_INT, AT(signal), .least = 0, .most = 255},
        {"run_ms", JSON_FIELD_INT, AT(run_ms), .least = 0, .most = BIG},
        {"energy_mj", JSON_FIELD_INT, AT(energy_mj), .least = 0, .most = BIG},
        {"energy_measured", JSON_FIELD_BOOL, AT(energy_measured)},
        {"why", JSON_FIELD_TEXT, AT(why)},
        {"results", JSON_FIELD_OBJECT, AT(results)},
        {"metadata", JSON_FIELD_OBJECT, AT(metadata)},
    };
#undef AT
    /* In the order of enum attempt_word; the last is REPORT_CLEAR. */
    static const char *const states[] = {"started", "refused", "ended", "lost", "clear"};
    enum { CLEAR = 4 };
    struct attempt_in in = {0};
    int64_t state = 0;
    unsigned char bits[16];
    if (json_read_fields(object, fields, COUNT_OF(fields), false, &in, e) < 0 ||
        find_word(states, COUNT_OF(states), in.state, "state", &state, e) < 0)
        return -1;
    int outcome = in.outcome ? outcome_find(in.outcome) : OUTCOME_NONE;
    if (!hex_read(bits, sizeof bits, in.id) || outcome < 0 ||
        (state == REPORT_ENDED && outcome == OUTCOME_NONE)) {
        const char *field = outcome < 0 || state == REPORT_ENDED ? "outcome" : "id";
        err_set(e, ERR_INVALID, "field '%s' makes no sense", field);
        return err_blame(e, "%s", field);
    }
    text_cut(ret->id, sizeof ret->id, in.id);
    text_cut(ret->why, sizeof ret->why, in.why);
    ret->job = in.job;
    ret->n = in.n;
    ret->what = state == CLEAR ? REPORT_CLEAR : (enum attempt_word)state;
    ret->ago_ms = in.ago_ms;
    ret->outcome = outcome;
    ret->exit_code = in.exit_code;
    ret->term_signal = in.signal;
    ret->run_ms = in.run_ms;
    ret->energy_mj = in.energy_mj;
    ret->energy_measured = in.energy_measured;
    return state == REPORT_ENDED ? read_left(in.results, in.metadata, ret, e) : 0;
}

static int read_progress(const json_t *object, struct progress_report *ret, struct err *e)
{
#define AT(member) offsetof(struct progress_report, member)
    static const struct json_field fields[] = {
        {"job", JSON_FIELD_INT, AT(job), true, 1, BIG},
        {"n", JSON_FIELD_INT, AT(value.n), true, 1, NUMBER_MOST},
        {"done", JSON_FIELD_INT, AT(value.done), true, 0, BIG},
        {"total", JSON_FIELD_INT, AT(value.total), true, 1, BIG},
    };
#undef AT
    return json_read_fields(object, fields, COUNT_OF(fields), false, ret, e);
}

/* ---- what runs as pods there ---- */

static int read_meter(const json_t *object, struct meter_report *ret, struct err *e)
{
#define AT(member) offsetof(struct meter_report, member)
    static const struct json_field fields[] = {
        {"job", JSON_FIELD_INT, AT(job), true, 1, BIG},
        {"n", JSON_FIELD_INT, AT(n), true, 1, NUMBER_MOST},
        {"energy_mj", JSON_FIELD_INT, AT(energy_mj), true, 0, BIG},
        {"measured", JSON_FIELD_BOOL, AT(measured)},
    };
#undef AT
    return json_read_fields(object, fields, COUNT_OF(fields), false, ret, e);
}

struct bound_in {
    int64_t job, n;
    const char *namespace;
    const json_t *devices;
};

static int read_bound(const json_t *object, struct attempt_report *ret, struct err *e)
{
#define AT(member) offsetof(struct bound_in, member)
    static const struct json_field fields[] = {
        {"job", JSON_FIELD_INT, AT(job), true, 1, BIG},
        {"n", JSON_FIELD_INT, AT(n), true, 1, NUMBER_MOST},
        {"namespace", JSON_FIELD_TEXT, AT(namespace)},
        {"devices", JSON_FIELD_ARRAY, AT(devices), true, 0, DEVICES_MOST},
    };
#undef AT
    struct bound_in in = {0};
    size_t i;
    json_t *item;
    if (json_read_fields(object, fields, COUNT_OF(fields), false, &in, e) < 0)
        return -1;
    ret->what = REPORT_BOUND;
    ret->job = in.job;
    ret->n = in.n;
    text_cut(ret->pod_namespace, sizeof ret->pod_namespace, in.namespace);
    ret->devices = mem_alloc(json_array_size(in.devices) + 1, sizeof *ret->devices);
    json_array_foreach((json_t *)in.devices, i, item)
    {
        text_cut(ret->devices[ret->device_count++], sizeof *ret->devices, json_string_value(item));
    }
    return 0;
}

/* ---- the whole ---- */

struct top_in {
    const char *boot_id, *data_id;
    int64_t seq, now_ms;
    const json_t *hello, *host, *devices, *attempts, *progress, *meters, *bound;
};

#define AT(member) offsetof(struct top_in, member)
static const struct json_field top_fields[] = {
    {"boot_id", JSON_FIELD_TEXT, AT(boot_id), true, 1, FLEET_NAME - 1},
    {"data_id", JSON_FIELD_TEXT, AT(data_id), true, 1, FLEET_NAME - 1},
    {"seq", JSON_FIELD_INT, AT(seq), true, 0, BIG},
    {"now_ms", JSON_FIELD_INT, AT(now_ms), .least = 0, .most = BIG},
    {"hello", JSON_FIELD_OBJECT, AT(hello)},
    {"host", JSON_FIELD_OBJECT, AT(host)},
    {"devices", JSON_FIELD_ARRAY, AT(devices), .least = 0, .most = DEVICES_MOST},
    {"attempts", JSON_FIELD_ARRAY, AT(attempts), .least = 0, .most = ATTEMPTS_MOST},
    {"progress", JSON_FIELD_ARRAY, AT(progress), .least = 0, .most = PROGRESS_MOST},
    {"meters", JSON_FIELD_ARRAY, AT(meters), .least = 0, .most = METERS_MOST},
    {"bound", JSON_FIELD_ARRAY, AT(bound), .least = 0, .most = BOUND_MOST},
};
#undef AT

static int wrap_index(struct err *e, const char *list, size_t i)
{
    char field[sizeof e->field];
    strcpy(field, e->field);
    err_wrap(e, "%s[%zu]", list, i);
    return err_blame(e, "%s[%zu]%s%.40s", list, i, field[0] ? "." : "", field);
}

static int read_lists(const struct top_in *in, struct report_in *ret, struct err *e)
{
    struct report *r = ret->report;
    size_t i;
    json_t *item;
    r->devices = mem_new_array(struct device_report, json_array_size(in->devices));
    r->attempts = mem_new_array(struct attempt_report,
                                json_array_size(in->attempts) + json_array_size(in->bound));
    r->meters = mem_new_array(struct meter_report, json_array_size(in->meters));
    ret->progress = mem_new_array(struct progress_report, json_array_size(in->progress));
    json_array_foreach((json_t *)in->devices, i, item)
    {
        if (read_device(item, &r->devices[r->device_count++], e) < 0)
            return wrap_index(e, "devices", i);
    }
    json_array_foreach((json_t *)in->attempts, i, item)
    {
        if (read_attempt(item, &r->attempts[r->attempt_count++], e) < 0)
            return wrap_index(e, "attempts", i);
    }
    json_array_foreach((json_t *)in->bound, i, item)
    {
        if (read_bound(item, &r->attempts[r->attempt_count++], e) < 0)
            return wrap_index(e, "bound", i);
    }
    json_array_foreach((json_t *)in->meters, i, item)
    {
        if (read_meter(item, &r->meters[r->meter_count++], e) < 0)
            return wrap_index(e, "meters", i);
    }
    json_array_foreach((json_t *)in->progress, i, item)
    {
        if (read_progress(item, &ret->progress[ret->progress_count++], e) < 0)
            return wrap_index(e, "progress", i);
    }
    return 0;
}

int report_read(const json_t *object, struct report_in *ret, struct err *e)
{
    struct top_in in = {0};
    *ret = (struct report_in){0};
    if (json_read_fields(object, top_fields, COUNT_OF(top_fields), false, &in, e) < 0)
        return -1;
    struct report *r = ret->report = mem_new(struct report);
    text_cut(r->boot_id, sizeof r->boot_id, in.boot_id);
    text_cut(r->data_id, sizeof r->data_id, in.data_id);
    ret->seq = in.seq;
    ret->now_ms = in.now_ms;
    if (read_hello(in.hello, r, e) < 0 || read_host(in.host, r, e) < 0 ||
        read_lists(&in, ret, e) < 0) {
        report_in_done(ret);
        return -1;
    }
    return 0;
}

void report_in_done(struct report_in *in)
{
    report_free(in->report);
    free(in->progress);
    *in = (struct report_in){0};
}
