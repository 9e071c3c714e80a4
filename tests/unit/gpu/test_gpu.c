#include "gpu/gpu.h"
#include "test.h"

TEST("a cleared sample has no reading, and each reading has a name and a meaning")
{
    struct gpu_sample s;
    gpu_sample_clear(&s);
    CHECK(s.power_mw == GPU_NO_READING);
    CHECK(s.recovery_action == GPU_NO_READING);
    for (int i = 0; i < GPU_READING_COUNT; i++) {
        CHECK(s.readings[i] == GPU_NO_READING);
        CHECK(gpu_readings[i].name[0] && gpu_readings[i].help[0]);
    }
    s.readings[GPU_READING_energy_mj] = 7;
    CHECK_INT(s.energy_mj, 7);
}

TEST("text from a driver becomes text that can be shown")
{
    char a[16] = "ok \xc3\xa4";
    gpu_clean_text(a, sizeof a);
    CHECK_TEXT(a, "ok \xc3\xa4");

    char b[16] = "a\x01\xff\xc3z\n";
    gpu_clean_text(b, sizeof b);
    CHECK_TEXT(b, "a???z?");

    char c[4] = {'a', 'b', 'c', 'd'};
    gpu_clean_text(c, sizeof c);
    CHECK_TEXT(c, "abc");

    char d[3];
    gpu_copy_text(d, sizeof d, "x\xc3\xa4y"); /* the cut falls into a character */
    CHECK_TEXT(d, "x?");
}

TEST("each health has a word")
{
    for (int i = 0; i < GPU_HEALTH_COUNT; i++)
        CHECK(gpu_health_name(i)[0]);
    CHECK_TEXT(gpu_health_name(GPU_HUNG), "hung");
}
