/* The watch with its real helper process over the simulator. */
#include "gpu/watch.h"
#include "sim_stage.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static uv_loop_t loop;
static uv_timer_t limit;
static uint64_t began_ms;
static struct gpu_watch *watch;
static struct {
    int reports, troubles, answers, events;
    int64_t last_event;
    struct err trouble, answer_err;
    enum gpu_health health[4];
    uint32_t devices;
    int64_t power_mw, energy_mj;
    char reason[256], why[200];
} seen;

static void on_report(void *arg, const struct gpu_report *r)
{
    (void)arg;
    seen.reports++;
    seen.devices = r->device_count;
    strcpy(seen.reason, r->reason);
    for (uint32_t i = 0; i < r->device_count && i < 4; i++)
        seen.health[i] = r->devices[i].health;
    if (r->device_count) {
        strcpy(seen.why, r->devices[0].reason);
        seen.power_mw = r->devices[0].sample.power_mw;
        seen.energy_mj = r->devices[0].sample.energy_mj;
    }
    for (uint32_t i = 0; i < r->event_count; i++, seen.events++)
        seen.last_event = r->events[i].xid;
}

static void on_trouble(void *arg, const struct err *e)
{
    (void)arg;
    seen.troubles++;
    seen.trouble = *e;
}

static void on_answer(void *arg, const struct gpu_report *r, const struct err *e)
{
    (void)arg;
    seen.answers++;
    seen.answer_err = r ? (struct err){0} : *e;
}

/* UV_RUN_ONCE waits for something after the timers that are due: this one lets it come back. */
static void on_limit(uv_timer_t *t)
{
    (void)t;
    if (uv_now(&loop) - began_ms > 20000)
        ck_abort_msg("waited too long");
}

static void begin(const struct gpu_watch_config *config)
{
    struct gpu_watch_config c = *config;
    const struct gpu_watch_callbacks callbacks = {on_report, on_trouble, NULL};
    memset(&seen, 0, sizeof seen);
    if (!c.library)
        c.library = stage_library();
    if (!c.nvidia_smi)
        c.nvidia_smi = "/nowhere/nvidia-smi";
    c.helper = getenv("REEVE_TEST_HELPER");
    uv_loop_init(&loop);
    uv_timer_init(&loop, &limit);
    uv_timer_start(&limit, on_limit, 5, 5);
    began_ms = uv_now(&loop);
    watch = gpu_watch_start(&loop, &c, &callbacks, &test_err);
    ck_assert_msg(watch, "%s", test_err.text);
}

#define UNTIL(condition)                                                                           \
    while (!(condition))                                                                           \
    uv_run(&loop, UV_RUN_ONCE)

static void finish(void)
{
    gpu_watch_stop(watch);
    uv_close((uv_handle_t *)&limit, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
    stage_clear();
}

static const struct gpu_watch_config quick = {.interval_ms = 20, .call_timeout_ms = 300};

TEST("reports come at the interval, with readings and a driver")
{
    stage_set("name: t\ndevices: [{model: h100, count: 2}]\n");
    begin(&quick);
    CHECK(!gpu_watch_last(watch));
    UNTIL(seen.reports >= 3);
    const struct gpu_report *r = gpu_watch_last(watch);
    CHECK_INT(r->device_count, 2);
    CHECK_TEXT(r->backend, "nvml");
    CHECK_TEXT(r->driver_version, "535.183.01");
    CHECK_TEXT(r->reason, "");
    CHECK_INT(r->devices[1].health, GPU_OK);
    CHECK_TEXT(r->devices[1].info.name, "NVIDIA H100 80GB HBM3");
    CHECK_INT(r->devices[1].sample.power_mw, 70000);
    CHECK(r->devices[0].sample.boot_ms > 0 && r->boot_ms >= r->devices[0].sample.boot_ms);
    CHECK(gpu_watch_helper_pid(watch) > 0);
    CHECK_INT(seen.troubles, 0);
    finish();
}

TEST("a fresh sample can be had between two intervals, and many who ask share one")
{
    stage_set("name: t\ndevices: [{}]\n");
    begin(&(struct gpu_watch_config){.interval_ms = 3600000, .call_timeout_ms = 2000});
    UNTIL(seen.reports >= 1);
    int before = seen.reports;
    for (int i = 0; i < 10; i++)
        gpu_watch_sample_now(watch, on_answer, NULL);
    CHECK_INT(seen.answers, 0);
    UNTIL(seen.answers == 10);
    CHECK_INT(seen.answer_err.code, ERR_NONE);
    CHECK(seen.reports > before && seen.reports <= before + 2);
    finish();
}

TEST("asked while a round runs, the answer is from the next one")
{
    stage_set("name: t\ndevices: [{}]\n"
              "faults: [{kind: slow, call: nvmlDeviceGetPowerUsage, delay_ms: 100}]\n");
    begin(&(struct gpu_watch_config){.interval_ms = 3600000, .call_timeout_ms = 5000});
    UNTIL(seen.reports >= 1);
    gpu_watch_sample_now(watch, on_answer, NULL); /* begins a round */
    uv_run(&loop, UV_RUN_NOWAIT);
    gpu_watch_sample_now(watch, on_answer, NULL); /* in the midst of it */
    UNTIL(seen.answers);
    CHECK_INT(seen.answers, 1);
    CHECK_INT(seen.reports, 2);
    UNTIL(seen.answers == 2);
    CHECK_INT(seen.reports, 3);
    finish();
}

static void ask_again(void *arg, const struct gpu_report *r)
{
    on_report(arg, r);
    if (seen.reports == 1)
        gpu_watch_sample_now(watch, on_answer, NULL);
}

TEST("asked from within a report, the answer is not that report")
{
    stage_set("name: t\ndevices: [{}]\n");
    const struct gpu_watch_callbacks callbacks = {ask_again, on_trouble, NULL};
    begin(&(struct gpu_watch_config){.interval_ms = 3600000, .call_timeout_ms = 5000});
    gpu_watch_stop(watch);
    memset(&seen, 0, sizeof seen);
    watch = gpu_watch_start(&loop,
                            &(struct gpu_watch_config){.library = stage_library(),
                                                       .helper = getenv("REEVE_TEST_HELPER"),
                                                       .interval_ms = 3600000},
                            &callbacks, &test_err);
    UNTIL(seen.answers);
    CHECK_INT(seen.reports, 2);
    finish();
}

TEST("a call about one device hangs: it is told and passed over, the others go on, it comes back")
{
    stage_set("name: t\ndevices: [{model: h100, count: 2}]\n"
              "faults: [{kind: hang, device: 1, call: nvmlDeviceGetPower, from: 60s, for: 60s}]\n");
    begin(&quick);
    UNTIL(seen.reports >= 2);
    int helper = gpu_watch_helper_pid(watch);
    stage_skip(61000);
    gpu_watch_sample_now(watch, on_answer, NULL);
    UNTIL(seen.health[1] == GPU_HUNG);
    CHECK_INT(seen.health[0], GPU_OK); /* it answered before */
    CHECK(strstr(seen.trouble.text, "nvmlDeviceGetPowerUsage did not come back within 300 ms"));
    CHECK(strstr(gpu_watch_last(watch)->devices[1].reason, "nvmlDeviceGetPowerUsage"));
    CHECK(gpu_watch_last(watch)->devices[1].sample.power_mw == GPU_NO_READING);

    int reports = seen.reports;
    UNTIL(seen.reports >= reports + 3 && seen.answers);
    CHECK_INT(seen.health[0], GPU_OK);
    CHECK_INT(seen.health[1], GPU_HUNG);
    CHECK(gpu_watch_helper_pid(watch) != helper);
    finish();
}

TEST("the first call of all hangs: told within its time, and asked for in vain")
{
    stage_set("name: t\ndevices: [{}]\nfaults: [{kind: hang, call: nvmlInit}]\n");
    begin(&quick);
    gpu_watch_sample_now(watch, on_answer, NULL);
    UNTIL(seen.answers);
    CHECK_INT(seen.answer_err.code, ERR_TIMEOUT);
    UNTIL(seen.reports);
    CHECK(strstr(seen.reason, "nvmlInit did not come back"));
    CHECK_INT(seen.devices, 0);
    finish();
}

TEST("slow calls are not taken for hung ones")
{
    stage_set("name: t\ndevices: [{}]\n"
              "faults: [{kind: slow, call: nvmlDeviceGetC, delay_ms: 100}]\n");
    begin(&(struct gpu_watch_config){.interval_ms = 20, .call_timeout_ms = 300});
    UNTIL(seen.reports >= 1);
    CHECK_INT(seen.health[0], GPU_OK);
    CHECK_INT(seen.troubles, 0);
    finish();
}

TEST("a lost device is told with its event; the others go on")
{
    stage_set("name: t\ndevices: [{model: h100, count: 2}]\n"
              "faults: [{kind: lost, device: 0, from: 60s, for: 60s}]\n");
    begin(&quick);
    UNTIL(seen.reports >= 2);
    stage_skip(61000);
    UNTIL(seen.health[0] == GPU_LOST && seen.events);
    CHECK_INT(seen.health[1], GPU_OK);
    CHECK_INT(seen.last_event, 79);
    CHECK(strstr(seen.why, "lost"));
    stage_skip(61000);
    UNTIL(seen.health[0] == GPU_OK);
    finish();
}

TEST("after a critical error the device is failed with the code as the reason")
{
    stage_set("name: t\ndevices: [{model: h100, count: 2}]\n"
              "faults: [{kind: xid, device: 0, code: 62, from: 60s},"
              " {kind: xid, device: 1, code: 13, from: 60s}]\n");
    begin(&quick);
    UNTIL(seen.reports >= 2);
    stage_skip(61000);
    UNTIL(seen.events >= 2);
    CHECK_INT(seen.health[0], GPU_FAILED);
    CHECK_INT(seen.health[1], GPU_OK);
    CHECK(strstr(seen.why, "XID 62"));
    finish();
}

TEST("the driver is reloaded: unknown meanwhile, then all is well again")
{
    stage_set("name: t\ndevices: [{load: 100}]\n"
              "faults: [{kind: driver_restart, from: 60s, for: 60s}]\n");
    begin(&quick);
    UNTIL(seen.reports >= 2);
    stage_skip(59000);
    UNTIL(seen.energy_mj > 10000000);
    stage_skip(2000);
    UNTIL(seen.health[0] == GPU_UNKNOWN);
    CHECK(strstr(seen.reason, "driver is gone"));
    while (seen.health[0] != GPU_OK) {
        uv_run(&loop, UV_RUN_ONCE);
        if (strstr(seen.reason, "could not initialise")) {
            memset(seen.reason, 0, sizeof seen.reason);
            setenv("REEVE_SIM_SCENARIO", stage_path("after.yaml"), 1);
            FILE *f = fopen(stage_path("after.yaml"), "w");
            fputs("name: t\ndevices: [{load: 100}]\n", f);
            fclose(f);
        }
    }
    CHECK(seen.troubles >= 1);
    finish();
}

TEST("a helper that is killed is started again")
{
    stage_set("name: t\ndevices: [{}]\n");
    begin(&quick);
    UNTIL(seen.reports >= 2);
    int helper = gpu_watch_helper_pid(watch), reports = seen.reports;
    kill(helper, SIGKILL);
    UNTIL(seen.troubles);
    CHECK(strstr(seen.trouble.text, "signal 9"));
    UNTIL(seen.reports >= reports + 3 && gpu_watch_helper_pid(watch) != helper);
    CHECK_INT(seen.health[0], GPU_OK);
    finish();
}

/* Gone, or only waiting for whoever adopted it. */
static bool is_over(int pid)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return true;
    char *got = fgets(line, sizeof line, f);
    fclose(f);
    return got && strstr(line, ") Z ");
}

TEST("the helper ends with its parent, also in the midst of a call that hangs")
{
    stage_set("name: t\ndevices: [{}]\nfaults: [{kind: hang, call: nvmlDeviceGetPowerUsage}]\n");
    int ends[2], helper = 0;
    ck_assert(pipe(ends) == 0);
    pid_t parent = fork();
    if (parent == 0) {
        begin(&(struct gpu_watch_config){.call_timeout_ms = 60000});
        while (!helper) {
            uv_run(&loop, UV_RUN_ONCE);
            helper = gpu_watch_helper_pid(watch);
        }
        ck_assert(write(ends[1], &helper, sizeof helper) == sizeof helper);
        uv_run(&loop, UV_RUN_DEFAULT);
        _exit(0);
    }
    ck_assert(read(ends[0], &helper, sizeof helper) == sizeof helper);
    CHECK(!is_over(helper));
    kill(parent, SIGKILL);
    ck_assert(waitpid(parent, NULL, 0) == parent);
    for (int i = 0; i < 1000 && !is_over(helper); i++)
        usleep(5000);
    CHECK(is_over(helper));
    stage_clear();
}

TEST("wherever the helper dies, the next one goes on")
{
    static const char *const points[] = {"gpu.helper.open=kill@1", "gpu.helper.sample=kill@3",
                                         "gpu.helper.open=error@1", "gpu.helper.sample=error@2"};
    for (int i = 0; i < 4; i++) {
        setenv("REEVE_FAILPOINTS", points[i], 1);
        stage_set("name: t\ndevices: [{count: 2}]\n");
        begin(&quick);
        if (i == 3)
            UNTIL(seen.health[1] == GPU_UNKNOWN && seen.reports);
        else
            UNTIL(seen.troubles);
        unsetenv("REEVE_FAILPOINTS");
        int reports = seen.reports;
        UNTIL(seen.reports >= reports + 3 && seen.health[0] == GPU_OK && seen.health[1] == GPU_OK);
        finish();
    }
}

TEST("energy does not fall when the helper is started again")
{
    stage_set("name: t\ndevices: [{load: 100}]\n");
    begin(&quick);
    UNTIL(seen.reports >= 2);
    stage_skip(30000);
    UNTIL(seen.energy_mj > 316 * 30000);
    int64_t before = seen.energy_mj;
    kill(gpu_watch_helper_pid(watch), SIGKILL);
    int reports = seen.reports;
    UNTIL(seen.troubles && seen.reports >= reports + 3);
    CHECK(seen.energy_mj >= before);
    finish();
}

TEST("without any GPU there is a report with the reason, at once and again later")
{
    stage_set("name: t\ndevices: [{}]\n");
    begin(&(struct gpu_watch_config){
        .library = "/nowhere/libnvidia-ml.so.1", .interval_ms = 20, .look_again_ms = 100});
    UNTIL(seen.reports >= 1);
    CHECK_INT(seen.devices, 0);
    CHECK(strstr(seen.reason, "could not load"));
    CHECK(strstr(seen.reason, "nvidia-smi"));
    CHECK_INT(seen.troubles, 0); /* a node without GPU is nothing to worry about */
    gpu_watch_sample_now(watch, on_answer, NULL);
    UNTIL(seen.answers);
    CHECK_INT(seen.answer_err.code, ERR_NONE);
    UNTIL(seen.reports >= 3);
    finish();
}

TEST("switched off, it says so and starts nothing")
{
    begin(&(struct gpu_watch_config){.backend = "none"});
    UNTIL(seen.reports);
    CHECK_TEXT(seen.reason, "looking for GPUs is switched off");
    gpu_watch_sample_now(watch, on_answer, NULL);
    UNTIL(seen.answers);
    CHECK_INT(gpu_watch_helper_pid(watch), 0);
    finish();
}

TEST("without the library the program nvidia-smi is asked")
{
    const char *script =
        stage_script("nvidia-smi", "#!/bin/sh\ncase $1 in --query-gpu=*) echo GPU-a, 0, NVIDIA A, "
                                   "b, 535.1, 1000, 400, 600, 50, 20, 40, 100.5;; *) exit 1;; "
                                   "esac\n");
    char path[256];
    strcpy(path, script);
    begin(&(struct gpu_watch_config){.library = "/nowhere/libnvidia-ml.so.1",
                                     .nvidia_smi = path,
                                     .interval_ms = 20,
                                     .call_timeout_ms = 2000});
    UNTIL(seen.reports >= 2);
    CHECK_TEXT(gpu_watch_last(watch)->backend, "nvidia-smi");
    CHECK_INT(seen.power_mw, 100500);
    finish();
}

TEST("the interval can be changed; a longer pause that is over takes effect at once")
{
    stage_set("name: t\ndevices: [{}]\n");
    begin(&(struct gpu_watch_config){.interval_ms = 3600000, .call_timeout_ms = 2000});
    UNTIL(seen.reports >= 1);
    gpu_watch_set_interval(watch, 20);
    UNTIL(seen.reports >= 4);
    finish();
}

TEST("stopping answers those who wait and leaves no process")
{
    stage_set("name: t\ndevices: [{}]\nfaults: [{kind: hang, call: nvmlInit}]\n");
    begin(&(struct gpu_watch_config){.interval_ms = 20, .call_timeout_ms = 10000});
    gpu_watch_sample_now(watch, on_answer, NULL);
    while (!gpu_watch_helper_pid(watch))
        uv_run(&loop, UV_RUN_ONCE);
    int helper = gpu_watch_helper_pid(watch);
    gpu_watch_stop(watch);
    CHECK_INT(seen.answers, 1);
    CHECK_INT(seen.answer_err.code, ERR_UNAVAILABLE);
    watch = NULL;
    finish();
    CHECK(kill(helper, 0) < 0);
}

TEST("a backend that does not exist is refused")
{
    const struct gpu_watch_callbacks callbacks = {0};
    uv_loop_init(&loop);
    CHECK(!gpu_watch_start(&loop, &(struct gpu_watch_config){.backend = "cuda"}, &callbacks,
                           &test_err));
    CHECK(strstr(test_err.text, "'cuda'"));
    uv_loop_close(&loop);
}
