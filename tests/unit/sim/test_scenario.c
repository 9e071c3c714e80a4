#include "scenario.h"
#include "test.h"

static struct scenario *s;

static int read_as(const char *node, const char *yaml)
{
    scenario_free(s);
    s = NULL;
    return scenario_read(yaml, strlen(yaml), "file.yaml", node, &s, &test_err);
}

#define READ(yaml) read_as("", yaml)

TEST("without a file there is one idle RTX 3080")
{
    CHECK_OK(scenario_load(NULL, "", &s, &test_err));
    CHECK_INT(s->device_count, 1);
    CHECK_TEXT(s->devices[0].name, "NVIDIA GeForce RTX 3080");
    CHECK_INT(s->devices[0].model.memory_mib, 10240);
    CHECK_INT((int)curve_at(&s->devices[0].load_pct, 100), 0);
    CHECK_INT((int)s->devices[0].client.memory_mib.value, 3072);
    scenario_free(s);
    s = NULL;
}

TEST("the same scenario gives the same UUIDs, another place, node or name gives others")
{
    static const char yaml[] = "name: a\ndevices: [{model: h100, count: 3}]\n";
    CHECK_OK(READ(yaml));
    char first[SIM_UUID_SIZE], second[SIM_UUID_SIZE];
    strcpy(first, s->devices[0].uuid);
    strcpy(second, s->devices[1].uuid);
    CHECK(strncmp(first, "GPU-", 4) == 0);
    CHECK_INT(strlen(first), 40);
    CHECK(strcmp(first, second) != 0);
    CHECK_OK(READ(yaml));
    CHECK_TEXT(s->devices[0].uuid, first);
    CHECK_OK(READ("name: a\ndevices: [{model: h100, load: 50}, {}]\n"));
    CHECK_TEXT(s->devices[0].uuid, first); /* what it does is not who it is */
    CHECK_OK(read_as("node-2", yaml));
    CHECK(strcmp(s->devices[0].uuid, first) != 0);
    CHECK_OK(READ("name: b\ndevices: [{model: h100}]\n"));
    CHECK(strcmp(s->devices[0].uuid, first) != 0);
    CHECK_OK(READ("devices: [{uuid: GPU-1234}]\n"));
    CHECK_TEXT(s->devices[0].uuid, "GPU-1234");
    scenario_free(s);
    s = NULL;
}

TEST("a device takes a model's figures but for those that it names")
{
    CHECK_OK(READ("devices:\n"
                  "  - {model: A100-80GB, memory_total_mib: 40960, power_limit_w: 300, count: 2}\n"
                  "  - {model: NVIDIA H100 80GB HBM3, name: Mine, has_energy: false, load: 7}\n"));
    CHECK_INT(s->device_count, 3);
    CHECK_INT(s->devices[1].model.memory_mib, 40960);
    CHECK_INT(s->devices[1].model.power_limit_w, 300);
    CHECK_INT(s->devices[1].model.cores, 6912);
    CHECK_TEXT(s->devices[2].name, "Mine");
    CHECK(s->devices[2].missing >> SIM_ENERGY & 1);
    CHECK(!(s->devices[1].missing >> SIM_ENERGY & 1));
    CHECK(s->devices[2].missing >> SIM_FAN & 1);
    scenario_free(s);
    s = NULL;
}

TEST("times and sizes may be written for people")
{
    CHECK_OK(READ("devices: [{memory: 6GiB, processes: [{pid: 9, from: 1m30s, for: 2.5}]}]\n"
                  "client: {memory: 512 MiB, load: 10, count: process}\n"
                  "faults: [{kind: hang, from: 20s, for: 30s}]\n"));
    CHECK_INT((int)s->devices[0].memory_mib.value, 6144);
    CHECK_INT(s->devices[0].foreign[0].from_ms, 90000);
    CHECK_INT(s->devices[0].foreign[0].for_ms, 2500);
    CHECK_INT((int)s->devices[0].client.memory_mib.value, 512);
    CHECK(s->devices[0].client.every_process);
    CHECK_INT(s->faults[0].from_ms, 20000);
    CHECK_INT(s->faults[0].device, -1);
    scenario_free(s);
    s = NULL;
}

TEST("a fault is on in its time, and every so often if it says so")
{
    struct sim_fault f = {.from_ms = 1000, .for_ms = 500};
    CHECK(!sim_fault_is_on(&f, 999));
    CHECK(sim_fault_is_on(&f, 1000));
    CHECK(!sim_fault_is_on(&f, 1500));
    f.every_ms = 2000;
    CHECK(sim_fault_is_on(&f, 3200));
    CHECK(!sim_fault_is_on(&f, 3600));
    f.for_ms = -1;
    f.every_ms = 0;
    CHECK(sim_fault_is_on(&f, 1 << 30));
}

TEST("how often something happened between two moments")
{
    struct sim_fault f = {.from_ms = 1000};
    CHECK_INT(sim_fault_count(&f, 0, 999), 0);
    CHECK_INT(sim_fault_count(&f, 0, 1000), 1);
    CHECK_INT(sim_fault_count(&f, 1000, 5000), 0);
    f.every_ms = 1000;
    CHECK_INT(sim_fault_count(&f, 0, 3500), 3);
    CHECK_INT(sim_fault_count(&f, 1000, 3500), 2);
    CHECK_INT(sim_fault_count(&f, 3500, 3400), 0);
}

TEST("what makes no sense is refused, and the sentence says where")
{
    static const struct {
        const char *yaml, *words;
    } table[] = {
        {"name: x\n", "'devices' is missing"},
        {"devices: [{model: rtx-9999}]\n", "rtx-9999"},
        {"devices: [{}, {load: 200}]\n", "device 1: load"},
        {"devices: [{colour: red}]\n", "colour"},
        {"devices: [{count: 65}]\n", "count"},
        {"devices: [{count: 40}, {count: 40}]\n", "more than 64"},
        {"devices: [{count: 2, uuid: GPU-1}]\n", "without uuid"},
        {"devices: [{uuid: GPU-1}, {uuid: GPU-1}]\n", "twice"},
        {"devices: [{uuid: MIG-1}]\n", "does not begin with GPU-"},
        {"devices: [{memory_total_mib: 100, memory_reserved_mib: 200}]\n", "reserved"},
        {"devices: [{power_limit_w: 5000}]\n", "limit lie between"},
        {"devices: [{not_supported: [colour]}]\n", "'colour'"},
        {"devices: [{jitter: 99}]\n", "jitter"},
        {"devices: [{processes: [{name: x}]}]\n", "'pid' is missing"},
        {"devices: [{}]\nclient: {count: maybe}\n", "neither tree nor process"},
        {"devices: [{}]\nfaults: [{kind: fire}]\n", "'fire'"},
        {"devices: [{}]\nfaults: [{kind: lost, device: 1}]\n", "no device 1"},
        {"devices: [{}]\nfaults: [{kind: xid}]\n", "needs its code"},
        {"devices: [{}]\nfaults: [{kind: not_supported}]\n", "needs values"},
        {"devices: [{}]\nfaults: [{kind: hang, from: soon}]\n", "soon"},
        {"devices: [{}]\nfaults: [{kind: hang, every: 5}]\n", "every needs for"},
        {"devices: [{}]\ndriver: {cuda: new}\n", "'new'"},
        {"devices: [\n", "line"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        CHECK_FAILS(READ(table[i].yaml), ERR_INVALID, table[i].words);
    CHECK_FAILS(scenario_load("/nowhere/x.yaml", "", &s, &test_err), ERR_NOT_FOUND, "/nowhere");
}
