/* What the library answers through its own interface, where pynvml and the backend do not look. */
#include "api.h"
#include "test.h"

#include <stdlib.h>

static nvml_device d;

static void begin(const char *yaml)
{
    static char path[] = "/tmp/reeve-test-abi.XXXXXX", state[80];
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert(fd >= 0 && write(fd, yaml, strlen(yaml)) == (ssize_t)strlen(yaml));
    close(fd);
    snprintf(state, sizeof state, "%s.state", path);
    setenv("REEVE_SIM_SCENARIO", path, 1);
    setenv("REEVE_SIM_STATE", state, 1);
    CHECK_INT(nvmlInit_v2(), NVML_SUCCESS);
    CHECK_INT(nvmlDeviceGetHandleByIndex_v2(0, &d), NVML_SUCCESS);
    unlink(path);
    unlink(state);
}

static void done(void)
{
    CHECK_INT(nvmlShutdown(), NVML_SUCCESS);
}

TEST("nothing works before the library is initialised, which is counted")
{
    unsigned n;
    CHECK_INT(nvmlDeviceGetCount_v2(&n), NVML_UNINITIALIZED);
    CHECK_INT(nvmlShutdown(), NVML_UNINITIALIZED);
    begin("name: t\ndevices: [{}]\n");
    CHECK_INT(nvmlInitWithFlags(1), NVML_SUCCESS);
    CHECK_INT(nvmlShutdown(), NVML_SUCCESS);
    CHECK_INT(nvmlDeviceGetCount_v2(&n), NVML_SUCCESS);
    CHECK_INT(n, 1);
    done();
    CHECK_INT(nvmlDeviceGetCount_v2(&n), NVML_UNINITIALIZED);
}

TEST("what is not a handle, too short or of another version is refused")
{
    begin("name: t\ndevices: [{}]\n");
    char name[8];
    unsigned n;
    CHECK_INT(nvmlDeviceGetName(d, name, sizeof name), NVML_INSUFFICIENT_SIZE);
    CHECK_INT(nvmlDeviceGetName(NULL, name, sizeof name), NVML_INVALID_ARGUMENT);
    CHECK_INT(nvmlDeviceGetIndex((nvml_device)&n, &n), NVML_INVALID_ARGUMENT);
    CHECK_INT(nvmlDeviceGetIndex(api_handle(1), &n), NVML_INVALID_ARGUMENT);
    CHECK_INT(nvmlDeviceGetIndex(d, NULL), NVML_INVALID_ARGUMENT);
    struct nvml_memory_v2 m = {.version = 1};
    CHECK_INT(nvmlDeviceGetMemoryInfo_v2(d, &m), NVML_ARGUMENT_VERSION_MISMATCH);
    CHECK_INT(nvmlDeviceGetHandleByIndex_v2(1, &d), NVML_INVALID_ARGUMENT);
    CHECK_INT(nvmlDeviceGetHandleByUUID("GPU-none", &d), NVML_NOT_FOUND);
    CHECK_TEXT(nvmlErrorString(15), "GPU is lost");
    CHECK_TEXT(nvmlErrorString(12345), "Unknown Error");
    done();
}

TEST("a device is found by UUID, serial and every way to write its place on the bus")
{
    begin("name: t\ndevices: [{}, {model: h100}]\n");
    nvml_device two, found;
    CHECK_INT(nvmlDeviceGetHandleByIndex_v2(1, &two), NVML_SUCCESS);
    char uuid[96], serial[32];
    CHECK_INT(nvmlDeviceGetUUID(two, uuid, sizeof uuid), NVML_SUCCESS);
    CHECK_INT(nvmlDeviceGetSerial(two, serial, sizeof serial), NVML_SUCCESS);
    CHECK_INT(nvmlDeviceGetHandleByUUID(uuid, &found), NVML_SUCCESS);
    CHECK(found == two);
    CHECK_INT(nvmlDeviceGetHandleBySerial(serial, &found), NVML_SUCCESS);
    CHECK(found == two);
    const char *const places[] = {"00000000:06:00.0", "0000:06:00.0", "06:00.0"};
    for (int i = 0; i < 3; i++) {
        found = NULL;
        CHECK_INT(nvmlDeviceGetHandleByPciBusId_v2(places[i], &found), NVML_SUCCESS);
        CHECK(found == two);
    }
    CHECK_INT(nvmlDeviceGetHandleByPciBusId_v2("7:00.0", &found), NVML_NOT_FOUND);
    CHECK_INT(nvmlDeviceGetHandleByPciBusId_v2("here", &found), NVML_INVALID_ARGUMENT);
    done();
}

TEST("lists tell how much room they need, in each of their forms")
{
    begin("name: t\ndevices: [{processes: [{pid: 5, memory: 100, load: 3}, {pid: 6, memory: "
          "200}]}]\n");
    unsigned n = 0;
    CHECK_INT(nvmlDeviceGetComputeRunningProcesses_v3(d, &n, NULL), NVML_INSUFFICIENT_SIZE);
    CHECK_INT(n, 2);
    struct nvml_process_v1 v1[3] = {0};
    n = 3;
    CHECK_INT(nvmlDeviceGetComputeRunningProcesses(d, &n, v1), NVML_SUCCESS);
    CHECK_INT(n, 2);
    CHECK_INT(v1[1].pid, 6);
    CHECK(v1[1].used_bytes == 200ull << 20);
    CHECK_INT(v1[2].pid, 0);
    struct nvml_process v3[2];
    n = 2;
    CHECK_INT(nvmlDeviceGetComputeRunningProcesses_v2(d, &n, v3), NVML_SUCCESS);
    CHECK_INT(v3[0].gpu_instance, NVML_NO_INSTANCE);
    struct nvml_process_detail detail[2];
    struct nvml_process_detail_list list = {
        .version = NVML_VERSION(struct nvml_process_detail_list, 1),
        .count = 1,
        .processes = detail,
    };
    CHECK_INT(nvmlDeviceGetRunningProcessDetailList(d, &list), NVML_INSUFFICIENT_SIZE);
    CHECK_INT(list.count, 2);
    CHECK_INT(nvmlDeviceGetRunningProcessDetailList(d, &list), NVML_SUCCESS);
    CHECK_INT(detail[1].pid, 6);
    n = 0;
    CHECK_INT(nvmlDeviceGetGraphicsRunningProcesses_v3(d, &n, NULL), NVML_SUCCESS);
    struct nvml_process_utilization use[1];
    n = 0;
    CHECK_INT(nvmlDeviceGetProcessUtilization(d, NULL, &n, 0), NVML_INSUFFICIENT_SIZE);
    CHECK_INT(n, 1); /* the other one did nothing */
    CHECK_INT(nvmlDeviceGetProcessUtilization(d, use, &n, 0), NVML_SUCCESS);
    CHECK_INT(use[0].sm, 3);
    CHECK_INT(nvmlDeviceGetProcessUtilization(d, use, &n, ~0ull), NVML_NOT_FOUND);
    char name[16];
    CHECK_INT(nvmlSystemGetProcessName(5, name, sizeof name), NVML_SUCCESS);
    CHECK_TEXT(name, "foreign");
    done();
}

TEST("values by number have a code each, and only what the device has")
{
    begin("name: t\ndevices: [{model: h100, ecc_corrected: 9, load: 50}]\n");
    struct nvml_field_value v[] = {
        {.field = NVML_FIELD_SBE_VOLATILE},
        {.field = NVML_FIELD_RETIRED_SBE},
        {.field = 9999},
        {.field = NVML_FIELD_POWER_AVERAGE},
        {.field = NVML_FIELD_NVLINK_DATA_TX, .scope = NVML_ALL_LINKS},
        {.field = NVML_FIELD_NVLINK_DATA_TX, .scope = 18},
    };
    CHECK_INT(nvmlDeviceGetFieldValues(d, 6, v), NVML_SUCCESS);
    CHECK_INT(v[0].code, NVML_SUCCESS);
    CHECK_INT(v[0].type, NVML_VALUE_U64);
    CHECK_INT(v[0].value.u64, 9);
    CHECK_INT(v[1].code, NVML_NOT_SUPPORTED);
    CHECK_INT(v[2].code, NVML_NOT_SUPPORTED);
    CHECK_INT(v[3].type, NVML_VALUE_U32);
    CHECK_INT(v[3].value.u32, 380000);
    CHECK_INT(v[4].code, NVML_SUCCESS);
    CHECK_INT(v[5].code, NVML_NOT_SUPPORTED);
    done();
}

TEST("the old form of memory counts what is reserved as used, the new one names it")
{
    begin("name: t\ndevices: [{model: h100, memory: 1000}]\n");
    struct nvml_memory m;
    struct nvml_memory_v2 m2 = {.version = NVML_VERSION(struct nvml_memory_v2, 2)};
    CHECK_INT(nvmlDeviceGetMemoryInfo(d, &m), NVML_SUCCESS);
    CHECK_INT(nvmlDeviceGetMemoryInfo_v2(d, &m2), NVML_SUCCESS);
    CHECK(m.total == m2.total && m.free == m2.free);
    CHECK(m.used == m2.used + m2.reserved);
    CHECK(m2.total == m2.reserved + m2.used + m2.free);
    done();
}

TEST("an event set waits no longer than it is told and wakes with the event")
{
    begin("name: t\ndevices: [{}]\nfaults: [{kind: xid, code: 43, from: 0.1}]\n");
    nvml_event_set set;
    struct nvml_event_data data;
    CHECK_INT(nvmlEventSetCreate(&set), NVML_SUCCESS);
    CHECK_INT(nvmlEventSetWait_v2(set, &data, 0), NVML_TIMEOUT);
    CHECK_INT(nvmlDeviceRegisterEvents(d, NVML_EVENT_XID | 1, set), NVML_NOT_SUPPORTED);
    CHECK_INT(nvmlDeviceRegisterEvents(d, NVML_EVENT_XID, set), NVML_SUCCESS);
    CHECK_INT(nvmlEventSetWait_v2(set, &data, 5000), NVML_SUCCESS);
    CHECK_INT(data.data, 43);
    CHECK(data.device == d);
    CHECK_INT(nvmlEventSetWait_v2(set, &data, 1), NVML_TIMEOUT);
    CHECK_INT(nvmlEventSetFree(set), NVML_SUCCESS);
    done();
}

TEST("a power limit is kept within its bounds")
{
    begin("name: t\ndevices: [{load: 100}]\n");
    unsigned mw;
    CHECK_INT(nvmlDeviceSetPowerManagementLimit(d, 50000), NVML_INVALID_ARGUMENT);
    int code = nvmlDeviceSetPowerManagementLimit(d, 150000);
    CHECK_INT(code, geteuid() == 0 ? NVML_SUCCESS : NVML_NO_PERMISSION);
    CHECK_INT(nvmlDeviceGetEnforcedPowerLimit(d, &mw), NVML_SUCCESS);
    CHECK_INT(mw, geteuid() == 0 ? 150000 : 320000);
    done();
}
