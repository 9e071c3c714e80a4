#include "agent/gate.h"
#include "test.h"

static const struct gate_limits usual = {
    .free_mib = 2048, .gpu_pct = 80, .cpu_pct = 90, .memory_pct = 85};

TEST("a device is free with more than the least free memory and less than the most utilisation")
{
    char why[GATE_WHY_SIZE];
    CHECK(gate_device_is_free(&usual, &(struct gate_device){2049, 79}, 0, why));
    CHECK(!gate_device_is_free(&usual, &(struct gate_device){2048, 0}, 0, why));
    CHECK_TEXT(why, "2048 MiB free, must be more than 2048");
    CHECK(!gate_device_is_free(&usual, &(struct gate_device){9000, 80}, 0, why));
    CHECK_TEXT(why, "utilisation 80 %, must be less than 80");
}

TEST("a job that needs more memory than is free does not get in, gate or no gate")
{
    char why[GATE_WHY_SIZE];
    struct gate_limits off = usual;
    off.off = true;
    CHECK(!gate_device_is_free(&usual, &(struct gate_device){8000, 0}, 8192, why));
    CHECK_TEXT(why, "8000 MiB free, 8192 needed");
    CHECK(!gate_device_is_free(&off, &(struct gate_device){8000, 0}, 8192, why));
    CHECK(gate_device_is_free(&off, &(struct gate_device){100, 100}, 0, why));
}

TEST("a device whose memory is not known is not free; one without utilisation is judged by memory")
{
    char why[GATE_WHY_SIZE];
    CHECK(!gate_device_is_free(&usual, &(struct gate_device){GATE_UNKNOWN, 0}, 0, why));
    CHECK(gate_device_is_free(&usual, &(struct gate_device){9000, GATE_UNKNOWN}, 0, why));
}

TEST("the machine is free below both of its limits")
{
    char why[GATE_WHY_SIZE];
    CHECK(gate_host_is_free(&usual, &(struct gate_host){89999, 84999}, why));
    CHECK(!gate_host_is_free(&usual, &(struct gate_host){90000, 0}, why));
    CHECK(strstr(why, "processors"));
    CHECK(!gate_host_is_free(&usual, &(struct gate_host){0, 85000}, why));
    CHECK(strstr(why, "memory"));
    CHECK(gate_host_is_free(&usual, &(struct gate_host){GATE_UNKNOWN, GATE_UNKNOWN}, why));
}

TEST("what is near a limit becomes busy at once, and free only when it stays below or is clear of "
     "it")
{
    struct gate_busy b = {0};
    CHECK(!gate_busy_device(&b, &usual, &(struct gate_device){9000, 10}));
    CHECK(gate_busy_device(&b, &usual, &(struct gate_device){9000, 85}));
    CHECK(b.busy && strstr(b.why, "85 %"));
    CHECK(!gate_busy_device(&b, &usual, &(struct gate_device){9000, 79}));
    CHECK(!gate_busy_device(&b, &usual, &(struct gate_device){9000, 81}));
    CHECK(!gate_busy_device(&b, &usual, &(struct gate_device){9000, 79}));
    CHECK(!gate_busy_device(&b, &usual, &(struct gate_device){9000, 79}));
    CHECK(gate_busy_device(&b, &usual, &(struct gate_device){9000, 79}));
    CHECK(!b.busy && !b.why[0]);

    gate_busy_device(&b, &usual, &(struct gate_device){1000, 0});
    CHECK(b.busy);
    CHECK(gate_busy_device(&b, &usual, &(struct gate_device){9000, 0}));
    CHECK(!b.busy);
}

TEST("a limit of 100 % is none: the rest still counts")
{
    struct gate_busy b = {0};
    struct gate_limits any = {.free_mib = 2048, .gpu_pct = 100, .cpu_pct = 100, .memory_pct = 85};
    char why[GATE_WHY_SIZE];
    CHECK(!gate_busy_host(&b, &any, &(struct gate_host){100000, 1000}));
    CHECK(gate_device_is_free(&any, &(struct gate_device){4096, 100}, 0, why));
    CHECK(!gate_host_is_free(&any, &(struct gate_host){100000, 85000}, why));
    CHECK(strstr(why, "memory"));
}
