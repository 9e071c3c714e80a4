#include "agent/devices.h"
#include "machine.h"
#include "test.h"

/* Processes from 100 to 199 are ours, those from 900 on are not known to /proc. */
static enum owner owner_of(void *arg, uint32_t pid, char words[DEVICE_HOLDER_SIZE])
{
    (void)arg;
    if (pid >= 300 && pid < 400)
        strcpy(words, "pod lab/notebook");
    return pid >= 900 ? OWNER_UNKNOWN : pid >= 100 && pid < 200 ? OWNER_OURS : OWNER_OTHER;
}

static bool held_is(void *arg, const char *uuid)
{
    return arg && strcmp(arg, uuid) == 0;
}

static const struct gate_limits limits = {
    .free_mib = 2048, .gpu_pct = 80, .cpu_pct = 90, .memory_pct = 85};

static bool look(struct devices *d, const struct gpu_report *r, const char *held)
{
    char *arg = (char *)(uintptr_t)held;
    return devices_update(d, r, &(struct devices_context){&limits, owner_of, held_is, arg});
}

static void tell_all(struct devices *d)
{
    for (size_t i = 0; i < d->count; i++)
        device_told(&d->items[i]);
    d->is_new_set = false;
}

TEST("what a job of ours uses counts as free, what others use does not")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(2);
    add_process(&r->devices[0], 100, 9 * GIB, 99);
    add_process(&r->devices[1], 50, 9 * GIB, 99);
    look(d, r, "GPU-0");
    CHECK_INT(d->items[0].use.free_mib, 10240);
    CHECK_INT(d->items[0].use.gpu_pct, 0);
    CHECK(!d->items[0].busy.busy && !d->items[0].foreign);
    CHECK_INT(d->items[1].use.free_mib, 1024);
    CHECK(d->items[1].busy.busy && d->items[1].foreign);
    CHECK(strstr(d->items[1].why, "1024 MiB free"));
    free(d);
}

TEST("what is told is told once, until free memory moves by more than 256 MiB or a word changes")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(1);
    CHECK(look(d, r, NULL));
    CHECK(d->is_new_set);
    tell_all(d);
    CHECK(!look(d, r, NULL));
    r->devices[0].sample.memory_free_bytes -= 256LL << 20;
    CHECK(!look(d, r, NULL));
    r->devices[0].sample.memory_free_bytes -= 1LL << 20;
    CHECK(look(d, r, NULL));
    tell_all(d);
    r->devices[0].health = GPU_LOST;
    snprintf(r->devices[0].reason, sizeof r->devices[0].reason, "it fell off the bus");
    CHECK(look(d, r, NULL));
    CHECK_TEXT(d->items[0].why, "it fell off the bus");
    free(d);
}

TEST("free memory of a device that a job of ours holds is not told")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(1);
    look(d, r, "GPU-0");
    tell_all(d);
    r->devices[0].sample.memory_free_bytes -= 2 * GIB;
    CHECK(!look(d, r, "GPU-0"));
    free(d);
}

TEST("a process that has just ended is nobody's, one that is unknown twice is somebody else's")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(1);
    add_process(&r->devices[0], 900, 0, 0);
    look(d, r, NULL);
    CHECK(!d->items[0].foreign);
    look(d, r, NULL);
    CHECK(d->items[0].foreign);
    free(d);
}

TEST("right after a job of ours its load does not count against the next one")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(1);
    char why[GATE_WHY_SIZE];
    look(d, r, NULL);
    devices_hold(d, "GPU-0", false, r->boot_ms - 300);
    r->devices[0].sample.utilization_pct = 95;
    look(d, r, NULL);
    CHECK(device_may_start(&d->items[0], &limits, 0, why));
    r->boot_ms = r->devices[0].sample.boot_ms += 2000;
    look(d, r, NULL);
    CHECK(!device_may_start(&d->items[0], &limits, 0, why));
    free(d);
}

TEST("a device that is not well takes no job, and the reason is said")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(1);
    char why[GATE_WHY_SIZE];
    r->devices[0].health = GPU_HUNG;
    snprintf(r->devices[0].reason, sizeof r->devices[0].reason, "a call did not come back");
    look(d, r, NULL);
    CHECK(!device_may_start(&d->items[0], &limits, 0, why));
    CHECK_TEXT(why, "it is hung: a call did not come back");
    CHECK_TEXT(device_health_word(GPU_HUNG), "faulty");
    CHECK_TEXT(device_health_word(GPU_LOST), "gone");
    free(d);
}

/* Device 0 is held by a pod of ours, device 1 by somebody else's. */
static enum owner pod_on(void *arg, const char *uuid, char words[DEVICE_HOLDER_SIZE])
{
    (void)arg;
    if (strcmp(uuid, "GPU-0") == 0)
        return OWNER_OURS;
    if (strcmp(uuid, "GPU-1") != 0)
        return OWNER_UNKNOWN;
    strcpy(words, "pod team-a/trainer");
    return OWNER_OTHER;
}

static bool look_with_pods(struct devices *d, const struct gpu_report *r)
{
    return devices_update(d, r,
                          &(struct devices_context){&limits, owner_of, held_is, NULL, pod_on});
}

TEST("a pod of ours makes a device ours, also its processes that we cannot see")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(1);
    add_process(&r->devices[0], 900, 4 * GIB, 90);
    look_with_pods(d, r);
    look_with_pods(d, r);
    CHECK(d->items[0].is_ours && !d->items[0].foreign && !d->items[0].busy.busy);
    CHECK_INT(d->items[0].use.free_mib, 10240);
    CHECK_TEXT(d->items[0].why, "");
    add_process(&r->devices[0], 50, GIB, 5);
    look_with_pods(d, r);
    CHECK(d->items[0].foreign);
    free(d);
}

TEST("somebody else's pod makes a device foreign, idle as it may be, and is named")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(2);
    look_with_pods(d, r);
    CHECK(d->items[1].foreign && !d->items[1].is_ours && !d->items[1].busy.busy);
    CHECK_TEXT(d->items[1].why, "pod team-a/trainer");
    tell_all(d);
    CHECK(!look_with_pods(d, r));
    CHECK(look(d, r, NULL)); /* it has gone */
    CHECK(!d->items[1].foreign);
    CHECK_TEXT(d->items[1].why, "");
    free(d);
}

TEST("a process in a pod that kubelet has given no device is named by its pod")
{
    struct devices *d = calloc(1, sizeof *d);
    auto_free struct gpu_report *r = a_report(1);
    add_process(&r->devices[0], 300, GIB, 5);
    look(d, r, NULL);
    CHECK(d->items[0].foreign);
    CHECK_TEXT(d->items[0].why, "pod lab/notebook");
    tell_all(d);
    r->devices[0].sample.process_count = 0;
    add_process(&r->devices[0], 50, 0, 0);
    CHECK(look(d, r, NULL));
    CHECK(d->items[0].foreign);
    CHECK_TEXT(d->items[0].why, "");
    free(d);
}
