#include "gpu/backend.h"
#include "sim_stage.h"
#include "test.h"

#include <stdio.h>

static struct gpu_session *session;
static const struct gpu_backend *smi = &gpu_backend_nvidia_smi;

static int open_with(const char *script)
{
    struct gpu_backend_config config = {
        .program = stage_script("nvidia-smi", script),
        .timeout_ms = 1000,
    };
    return smi->open(&config, &session, &test_err);
}

static void done(void)
{
    smi->close(session);
    session = NULL;
    stage_clear();
}

/* Answers what it is asked: help, devices, processes. */
#define SCRIPT(help, devices, processes)                                                           \
    "#!/bin/sh\n"                                                                                  \
    "case $1 in\n"                                                                                 \
    "--help-query-gpu) " help ";;\n"                                                               \
    "--query-gpu=*) " devices ";;\n"                                                               \
    "--query-compute-apps=*) " processes ";;\n"                                                    \
    "*) exit 2;;\n"                                                                                \
    "esac\n"

#define ROW "echo GPU-a, 0, NVIDIA A, 00000000:01:00.0, 535.1, 1000, 400, 600, 50, 20, 40, 100.5"

TEST("devices, readings and processes come from the program")
{
    CHECK_OK(open_with(SCRIPT("exit 1", ROW, "echo GPU-a, 42, 300")));
    CHECK_INT(smi->count(session), 1);
    struct gpu_info info;
    CHECK_OK(smi->info(session, 0, &info, &test_err));
    CHECK_TEXT(info.uuid, "GPU-a");
    CHECK_TEXT(info.vendor, "nvidia");
    struct gpu_driver driver;
    smi->driver(session, &driver);
    CHECK_TEXT(driver.driver_version, "535.1");

    struct gpu_sample s;
    CHECK_OK(smi->begin(session, &test_err));
    CHECK_OK(smi->sample(session, 0, &s, &test_err));
    CHECK_INT(s.power_mw, 100500);
    CHECK_INT(s.process_count, 1);
    CHECK_INT(s.processes[0].pid, 42);
    done();
}

TEST("a program that refuses a field is asked again for the few that all know")
{
    CHECK_OK(open_with(SCRIPT("echo '\"pstate\"'",
                              "case $1 in *pstate*) echo 'Field \"pstate\" is not a valid field to "
                              "query.'; exit 2;; *) " ROW ";; esac",
                              "exit 1")));
    struct gpu_sample s;
    CHECK_OK(smi->begin(session, &test_err));
    CHECK_OK(smi->sample(session, 0, &s, &test_err));
    CHECK_INT(s.utilization_pct, 50);
    CHECK(s.pstate == GPU_NO_READING);
    CHECK_INT(s.process_count, 0);
    done();
}

TEST("a field that the program lists is asked for")
{
    CHECK_OK(open_with(SCRIPT("echo '\"pstate\"'", ROW ", P2", "exit 1")));
    struct gpu_sample s;
    CHECK_OK(smi->begin(session, &test_err));
    CHECK_OK(smi->sample(session, 0, &s, &test_err));
    CHECK_INT(s.pstate, 2);
    done();
}

TEST("no program, no driver and no device are told apart")
{
    struct gpu_backend_config config = {.program = "/nowhere/nvidia-smi"};
    CHECK_FAILS(smi->open(&config, &session, &test_err), ERR_NOT_FOUND, "could not run");
    CHECK_FAILS(open_with("#!/bin/sh\necho 'NVIDIA-SMI has failed: no driver' >&2; exit 9\n"),
                ERR_UNAVAILABLE, "no driver");
    CHECK_FAILS(open_with("#!/bin/sh\necho 'No devices were found'\n"), ERR_UNAVAILABLE,
                "No devices were found");
    CHECK_FAILS(open_with("#!/bin/sh\nsleep 10\n"), ERR_TIMEOUT, "took too long");
    done();
}

TEST("a device that is no longer named is lost; the driver's end is told")
{
    const char *flag = stage_path("gone");
    char script[1000];
    snprintf(script, sizeof script,
             SCRIPT("exit 1",
                    "[ -e %s ] && { echo GPU-b, 0, B, x, 1, 1, 1, 1, 1, 1, 1, 1; exit 0; }; " ROW,
                    "exit 0"),
             flag);
    CHECK_OK(open_with(script));
    fclose(fopen(stage_path("gone"), "w"));
    struct gpu_sample s;
    CHECK_OK(smi->begin(session, &test_err));
    CHECK_FAILS(smi->sample(session, 0, &s, &test_err), ERR_NOT_FOUND, "no longer");

    stage_script("nvidia-smi", "#!/bin/sh\necho failed >&2; exit 9\n");
    CHECK_FAILS(smi->begin(session, &test_err), ERR_UNAVAILABLE, "failed");
    done();
}
