/* The NVML backend against the simulator's library, opened as the real one would be. */
#include "gpu/backend.h"
#include "gpu/nvml_lib.h"
#include "sim_stage.h"
#include "test.h"

#include <stdlib.h>

static struct gpu_session *session;
static struct gpu_sample sample;
static const struct gpu_backend *nvml = &gpu_backend_nvml;

static int play(const char *yaml)
{
    struct gpu_backend_config config = {.timeout_ms = 3000};
    stage_set(yaml);
    config.library = stage_library();
    return nvml->open(&config, &session, &test_err);
}

static void done(void)
{
    nvml->close(session);
    session = NULL;
    stage_clear();
}

TEST("an H100 tells what it is")
{
    CHECK_OK(play("name: t\ndevices: [{model: h100}]\n"));
    struct gpu_info i;
    CHECK_INT(nvml->count(session), 1);
    CHECK_OK(nvml->info(session, 0, &i, &test_err));
    CHECK_TEXT(i.name, "NVIDIA H100 80GB HBM3");
    CHECK_TEXT(i.vendor, "nvidia");
    CHECK_TEXT(i.architecture, "Hopper");
    CHECK_TEXT(i.pci, "00000000:03:00.0");
    CHECK(strncmp(i.uuid, "GPU-", 4) == 0 && strlen(i.uuid) == 40);
    CHECK(i.serial[0]);
    CHECK_INT(i.compute_major, 9);
    CHECK(i.memory_total_bytes == 81559ll << 20);
    CHECK_INT(i.power_min_mw, 200000);
    CHECK_INT(i.power_max_mw, 700000);
    CHECK_INT(i.power_default_mw, 700000);
    CHECK_INT(i.mig_mode, 0);
    CHECK_INT(i.ecc_mode, 1);
    CHECK_INT(i.pcie_max_generation, 5);
    struct gpu_driver d;
    nvml->driver(session, &d);
    CHECK_TEXT(d.driver_version, "535.183.01");
    CHECK_TEXT(d.cuda_version, "12.2");
    done();
}

TEST("every reading that an H100 has comes through")
{
    CHECK_OK(play("name: t\ndevices: [{model: h100, load: 50, memory: 1000, ecc_corrected: 3,"
                  " remapped_corrected: 2, remap_pending: 1}]\n"));
    CHECK_OK(nvml->sample(session, 0, &sample, &test_err));
    CHECK_INT(sample.utilization_pct, 50);
    CHECK(sample.memory_total_bytes == 81559ll << 20);
    CHECK(sample.memory_used_bytes == 1000ll << 20);
    CHECK(sample.memory_reserved_bytes == 479ll << 20);
    CHECK(sample.memory_free_bytes == (81559ll - 1000 - 479) << 20);
    CHECK_INT(sample.power_mw, (70 + 620 / 2) * 1000);
    CHECK_INT(sample.power_limit_mw, 700000);
    CHECK_INT(sample.ecc_corrected, 3);
    CHECK_INT(sample.ecc_uncorrected, 0);
    CHECK_INT(sample.remapped_corrected, 2);
    CHECK_INT(sample.remap_pending, 1);
    CHECK_INT(sample.remap_failed, 0);
    CHECK_INT(sample.recovery_action, 0);
    CHECK_INT(sample.pcie_generation, 5);
    CHECK_INT(sample.sm_clock_mhz, 1980);
    CHECK_INT(sample.pstate, 0);
    CHECK_INT(sample.temperature_margin_c, 87 - sample.temperature_c);
    CHECK(sample.memory_temperature_c > sample.temperature_c);
    CHECK(sample.fan_pct == GPU_NO_READING);        /* it has none */
    CHECK(sample.retired_single == GPU_NO_READING); /* it replaces rows */
    for (int i = 0; i < GPU_READING_COUNT; i++)
        if (strncmp(gpu_readings[i].name, "retired", 7) != 0 && i != GPU_READING_fan_pct)
            ck_assert_msg(sample.readings[i] != GPU_NO_READING, "%s", gpu_readings[i].name);
    done();
}

TEST("what a board does not have is no reading, and the rest is there")
{
    CHECK_OK(play("name: t\ndevices: [{model: gtx-1080, not_supported: [power, utilization]}]\n"));
    struct gpu_info i;
    CHECK_OK(nvml->info(session, 0, &i, &test_err));
    CHECK_TEXT(i.serial, "");
    CHECK(i.mig_mode == GPU_NO_READING && i.ecc_mode == GPU_NO_READING);
    for (int round = 0; round < 3; round++) {
        CHECK_OK(nvml->sample(session, 0, &sample, &test_err));
        CHECK(sample.power_mw == GPU_NO_READING);
        CHECK(sample.utilization_pct == GPU_NO_READING);
        CHECK(sample.energy_mj == GPU_NO_READING);
        CHECK(sample.ecc_corrected == GPU_NO_READING);
        CHECK(sample.temperature_margin_c == GPU_NO_READING);
        CHECK_INT(sample.temperature_c, 36);
        CHECK_INT(sample.power_limit_mw, 180000); /* carried over between slow looks */
        CHECK_INT(sample.fan_pct, 0);
    }
    done();
}

TEST("a lost device is told, and the one beside it goes on")
{
    CHECK_OK(play("name: t\ndevices: [{model: h100, count: 2}]\n"
                  "faults: [{kind: lost, device: 0, from: 10s, for: 10s}]\n"));
    CHECK_OK(nvml->sample(session, 0, &sample, &test_err));
    stage_skip(11000);
    CHECK_FAILS(nvml->sample(session, 0, &sample, &test_err), ERR_NOT_FOUND, "lost");
    CHECK_OK(nvml->sample(session, 1, &sample, &test_err));
    struct gpu_event events[4];
    CHECK_INT(nvml->events(session, events, 4), 1);
    CHECK_INT(events[0].xid, 79);
    CHECK_INT(events[0].device, 0);
    done();
}

TEST("a lost device does not hide the others when the library is opened")
{
    CHECK_OK(play("name: t\ndevices: [{model: h100, count: 3}]\n"
                  "faults: [{kind: lost, device: 1}]\n"));
    CHECK_INT(nvml->count(session), 2);
    struct gpu_info i;
    CHECK_OK(nvml->info(session, 1, &i, &test_err));
    CHECK_INT(i.index, 2);
    done();
}

TEST("an error event comes once, with its device")
{
    CHECK_OK(play("name: t\ndevices: [{model: h100, count: 2}]\n"
                  "faults: [{kind: xid, device: 1, code: 48, from: 5s}]\n"));
    struct gpu_event events[4];
    CHECK_INT(nvml->events(session, events, 4), 0);
    stage_skip(6000);
    CHECK_INT(nvml->events(session, events, 4), 1);
    CHECK_INT(events[0].xid, 48);
    CHECK_INT(events[0].device, 1);
    CHECK_INT(nvml->events(session, events, 4), 0);
    done();
}

TEST("a device that needs a reset and a driver that is gone are told apart")
{
    CHECK_OK(play("name: t\ndevices: [{model: h100}]\nfaults:\n"
                  "  - {kind: reset_required, from: 10s, for: 10s}\n"
                  "  - {kind: driver_restart, from: 60s, for: 10s}\n"));
    stage_skip(11000);
    CHECK_FAILS(nvml->sample(session, 0, &sample, &test_err), ERR_CONFLICT, "needs a reset");
    stage_skip(10000);
    CHECK_OK(nvml->sample(session, 0, &sample, &test_err));
    stage_skip(51000);
    /* It was reloaded: what we opened before is of no use any more. */
    CHECK_FAILS(nvml->sample(session, 0, &sample, &test_err), ERR_UNAVAILABLE, "driver is gone");
    done();
}

TEST("reasons why there is no NVML")
{
    struct gpu_backend_config config = {.library = "/nowhere/libnvidia-ml.so.1"};
    CHECK_FAILS(nvml->open(&config, &session, &test_err), ERR_NOT_FOUND, "could not load");
    CHECK_FAILS(play("name: t\ndevices: [{}]\nfaults: [{kind: init}]\n"), ERR_NOT_FOUND,
                "Driver Not Loaded");
    CHECK_FAILS(play("name: t\ndevices: [{}]\nfaults: [{kind: init, code: 18}]\n"), ERR_UNAVAILABLE,
                "reload its modules");
    CHECK_FAILS(play("name: t\ndevices: []\n"), ERR_NOT_FOUND, "knows no GPU");
    stage_clear();
}

TEST("a call that fails without saying why costs its own reading only")
{
    CHECK_OK(play("name: t\ndevices: [{}]\n"
                  "faults: [{kind: error, call: nvmlDeviceGetPowerUsage, code: 999}]\n"));
    CHECK_OK(nvml->sample(session, 0, &sample, &test_err));
    CHECK(sample.power_mw == GPU_NO_READING);
    CHECK_INT(sample.utilization_pct, 0);
    done();
}

TEST("a driver that answers nothing is no success")
{
    CHECK_OK(play("name: t\ndevices: [{}]\nfaults: [{kind: error, code: 999, from: 5s}]\n"));
    CHECK_OK(nvml->sample(session, 0, &sample, &test_err));
    stage_skip(6000);
    CHECK_FAILS(nvml->sample(session, 0, &sample, &test_err), ERR_INTERNAL, "answers nothing");
    done();
}

TEST("devices that are to be passed over are not touched")
{
    stage_set("name: t\ndevices: [{model: h100, count: 3}]\nfaults: [{kind: hang, device: 1}]\n");
    struct gpu_backend_config config = {.library = stage_library(), .skip = 1 << 1};
    CHECK_OK(nvml->open(&config, &session, &test_err));
    CHECK_INT(nvml->count(session), 2);
    CHECK_OK(nvml->sample(session, 1, &sample, &test_err));
    done();
}

TEST("the pulse names the call and moves")
{
    stage_set("name: t\ndevices: [{}]\n");
    struct gpu_pulse pulse = {0};
    struct gpu_backend_config config = {.library = stage_library(), .pulse = &pulse};
    CHECK_OK(nvml->open(&config, &session, &test_err));
    uint32_t before = pulse.beat;
    CHECK_OK(nvml->sample(session, 0, &sample, &test_err));
    CHECK(pulse.beat > before + 10);
    CHECK_INT(pulse.device, 0);
    CHECK(strncmp(pulse.call, "nvml", 4) == 0);
    done();
}

TEST("processes of others are listed with their memory and use")
{
    CHECK_OK(play("name: t\ndevices: [{processes: [{pid: 4000001, memory: 2GiB, load: 30},"
                  " {pid: 4000002, memory: 1GiB}]}]\n"));
    CHECK_OK(nvml->sample(session, 0, &sample, &test_err));
    CHECK_INT(sample.process_count, 2);
    CHECK_INT(sample.processes[0].pid, 4000001);
    CHECK(sample.processes[0].used_bytes == 2ll << 30);
    CHECK_INT(sample.processes[0].sm_util_pct, 30);
    CHECK_INT(sample.processes[0].kind, 'C');
    CHECK(sample.processes[1].sm_util_pct == GPU_NO_READING);
    CHECK_INT(sample.utilization_pct, 30);
    CHECK(sample.memory_used_bytes == 3ll << 30);
    done();
}
