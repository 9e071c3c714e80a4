#include "agent/status.h"
#include "base/json.h"
#include "machine.h"
#include "test.h"

static bool no_job(void *arg, const char *uuid, struct status_job *ret)
{
    (void)arg, (void)uuid, (void)ret;
    return false;
}

static enum owner others(void *arg, uint32_t pid, char words[DEVICE_HOLDER_SIZE])
{
    (void)arg, (void)pid, (void)words;
    return OWNER_OTHER;
}

static bool held_is(void *arg, const char *uuid)
{
    return arg && strcmp(arg, uuid) == 0;
}

static const struct gate_limits limits = {
    .free_mib = 2048, .gpu_pct = 80, .cpu_pct = 90, .memory_pct = 85};

/* The answer for this machine; HELD is a device that a job of ours has. */
static char *status_of(const struct gpu_report *r, const struct host_sample *h, const char *held)
{
    struct devices *d = calloc(1, sizeof *d);
    if (r)
        devices_update(
            d, r, &(struct devices_context){&limits, others, held_is, (char *)(uintptr_t)held});
    struct text t = {0};
    status_write(&(struct status_input){.node = "a",
                                        .version = "1",
                                        .link = "up",
                                        .limits = &limits,
                                        .gpus = r,
                                        .host = h,
                                        .devices = d,
                                        .job_on = no_job},
                 &t);
    free(d);
    return text_take(&t);
}

static struct host_sample *a_host(void)
{
    struct host_sample *h = calloc(1, sizeof *h);
    h->cpu_milli_pct = 12345;
    h->memory_milli_pct = 40000;
    return h;
}

#define CHECK_BEGINS(s, with) CHECK_TEXT((s[strlen(with)] = '\0', s), with)

TEST("the six figures come first, whole numbers but for processors and memory")
{
    auto_free struct gpu_report *r = a_report(1);
    auto_free struct host_sample *h = a_host();
    add_process(&r->devices[0], 1, 3 * GIB, 20);
    auto_free char *s = status_of(r, h, NULL);
    auto_json json_t *tree = NULL;
    CHECK_OK(json_parse(s, strlen(s), &tree, &test_err));
    CHECK_BEGINS(s, "{\"gpu_utilization\":20,\"gpu_memory_used\":3072,\"gpu_memory_total\":10240,"
                    "\"cpu_usage\":12.34,\"memory_usage\":40.0,\"available\":true,");
}

TEST("without a GPU its figures are null, and the answer still comes")
{
    auto_free struct gpu_report *r = a_report(0);
    auto_free struct host_sample *h = a_host();
    auto_free char *s = status_of(r, h, NULL);
    CHECK_BEGINS(s, "{\"gpu_utilization\":null,\"gpu_memory_used\":null,\"gpu_memory_total\":null,"
                    "\"cpu_usage\":12.34,\"memory_usage\":40.0,\"available\":false,");
    auto_free char *early = status_of(NULL, NULL, NULL);
    CHECK_BEGINS(early, "{\"gpu_utilization\":null,\"gpu_memory_used\":null,"
                        "\"gpu_memory_total\":null,\"cpu_usage\":0.0,\"memory_usage\":0.0,"
                        "\"available\":false,");
}

TEST("the device that would be offered next is shown, the lowest when all are taken")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(3);
    add_process(&r->devices[0], 1, 9 * GIB, 20);
    const struct status_input in = {.gpus = r, .devices = d, .limits = &limits};
    devices_update(d, r, &(struct devices_context){&limits, others, held_is, NULL});
    CHECK_TEXT(status_device(&in)->info.uuid, "GPU-1");
    d->items[1].is_ours = true;
    CHECK_TEXT(status_device(&in)->info.uuid, "GPU-2");
    d->items[2].health = GPU_LOST;
    CHECK_TEXT(status_device(&in)->info.uuid, "GPU-0");
    free(d);
}

TEST("availability is judged by the figures shown, at their limits")
{
    static const struct {
        int64_t used_mib, gpu_pct, cpu_milli_pct, memory_milli_pct;
        bool available;
    } cases[] = {
        {8191, 79, 89999, 84999, true}, {8192, 0, 0, 0, false},  {0, 80, 0, 0, false},
        {0, 0, 90000, 0, false},        {0, 0, 0, 85000, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_free struct gpu_report *r = a_report(1);
        auto_free struct host_sample *h = a_host();
        r->devices[0].sample.memory_used_bytes = cases[i].used_mib << 20;
        r->devices[0].sample.utilization_pct = cases[i].gpu_pct;
        h->cpu_milli_pct = cases[i].cpu_milli_pct;
        h->memory_milli_pct = cases[i].memory_milli_pct;
        auto_free char *s = status_of(r, h, NULL);
        CHECK((strstr(s, "\"available\":true") != NULL) == cases[i].available);
    }
}

TEST("readings that a device does not have are null, never 0")
{
    auto_free struct gpu_report *r = a_report(1);
    auto_free struct host_sample *h = a_host();
    r->devices[0].sample.utilization_pct = GPU_NO_READING;
    auto_free char *s = status_of(r, h, NULL);
    CHECK(strstr(s, "{\"gpu_utilization\":null,\"gpu_memory_used\":0,"));
    CHECK(strstr(s, "\"temperature_c\":null"));
    CHECK(strstr(s, "\"available\":true"));
}
