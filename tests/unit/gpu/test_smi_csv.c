#include "gpu/smi_csv.h"
#include "test.h"

#include "base/mem.h"

static struct smi_row rows[GPU_MAX_DEVICES];

TEST("a value is read as its type or not at all")
{
    static const struct {
        enum smi_kind kind;
        int64_t scale;
        const char *text;
        int64_t value;
    } table[] = {
        {SMI_NUMBER, 1, "81559", 81559},
        {SMI_NUMBER, 1, "81559 MiB", 81559},
        {SMI_NUMBER, 1, "100 %", 100},
        {SMI_NUMBER, 1000, "631.95", 631950},
        {SMI_NUMBER, 1000, "631.95 W", 631950},
        {SMI_NUMBER, 1000, "7", 7000},
        {SMI_NUMBER, 1, "-3", -3},
        {SMI_NUMBER, 1, "204642816 us", 204642816},
        {SMI_NUMBER, 1 << 20, "2", 2 << 20},
        {SMI_NUMBER, 1, "9223372036854775808", GPU_NO_READING},
        {SMI_NUMBER, 1 << 20, "9223372036854775807", GPU_NO_READING},
        {SMI_NUMBER, 1, "12x7", GPU_NO_READING},
        {SMI_NUMBER, 1, "12 [N/A]", GPU_NO_READING},
        {SMI_NUMBER, 1, "0x10", GPU_NO_READING},
        {SMI_NUMBER, 1, "ERR!", GPU_NO_READING},
        {SMI_NUMBER, 1, "nan", GPU_NO_READING},
        {SMI_MASK, 1, "0x00000000000001FF", 0x1ff},
        {SMI_MASK, 1, "0x0000000000000000", 0},
        {SMI_MASK, 1, "0xFFFFFFFFFFFFFFFF", GPU_NO_READING},
        {SMI_MASK, 1, "1FF", GPU_NO_READING},
        {SMI_MASK, 1, "0x", GPU_NO_READING},
        {SMI_PSTATE, 1, "P0", 0},
        {SMI_PSTATE, 1, "P12", 12},
        {SMI_PSTATE, 1, "P99", GPU_NO_READING},
        {SMI_PSTATE, 1, "8", GPU_NO_READING},
        {SMI_YES, 1, "Yes", 1},
        {SMI_YES, 1, "No", 0},
        {SMI_YES, 1, "Enabled", 1},
        {SMI_YES, 1, "Disabled", 0},
        {SMI_YES, 1, "Not Active", 0},
        {SMI_YES, 1, "perhaps", GPU_NO_READING},
        {SMI_RECOVERY, 1, "None", 0},
        {SMI_RECOVERY, 1, "Drain and Reset", GPU_RECOVERY_DRAIN_AND_RESET},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        ck_assert_msg(smi_value(table[i].kind, table[i].text, table[i].scale) == table[i].value,
                      "'%s' became %lld", table[i].text,
                      (long long)smi_value(table[i].kind, table[i].text, table[i].scale));
}

TEST("every way to say nothing is no reading, in every type")
{
    static const char *const nothings[] = {
        "[N/A]",
        "N/A",
        "",
        "[Not Supported]",
        "[Requested functionality has been deprecated]",
        "[Insufficient Permissions]",
        "[Unknown Error]",
        "[GPU requires reset]",
        "[GPU is lost]",
        "[Not Found]",
        "Unknown Error",
    };
    for (size_t i = 0; i < COUNT_OF(nothings); i++)
        for (int kind = SMI_NUMBER; kind <= SMI_DRIVER; kind++)
            ck_assert_msg(smi_value(kind, nothings[i], 1000) == GPU_NO_READING, "'%s' as %d",
                          nothings[i], kind);
}

static struct smi_query minimal(void)
{
    struct smi_query q;
    smi_query_choose(NULL, &q);
    return q;
}

TEST("the answers of an H100, an idle GeForce and a board in MIG mode are understood")
{
    struct smi_query q = minimal();
    CHECK_INT(q.count, 12);
    int n = smi_rows_read(
        &q,
        "GPU-a, 0, NVIDIA H100 80GB HBM3, 00000000:3B:00.0, 590.48.01, 81559, 19818, 61263, 100, "
        "11, "
        "59, 631.95\n"
        "GPU-b, 1, NVIDIA GeForce RTX 4080 SUPER, 00000000:01:00.0, 595.71, 16376, 1474, 14470, 7, "
        "2, "
        "46, 84.24\n"
        "GPU-c, 2, NVIDIA H100 80GB HBM3, 00000000:4B:00.0, 590.48.01, 81559, 11125, 69956, [N/A], "
        "[N/A], 53, 433.78\r\n",
        rows, GPU_MAX_DEVICES, &test_err);
    CHECK_INT(n, 3);
    CHECK_TEXT(rows[0].info.name, "NVIDIA H100 80GB HBM3");
    CHECK_TEXT(rows[0].info.pci, "00000000:3B:00.0");
    CHECK_TEXT(rows[0].driver_version, "590.48.01");
    CHECK(rows[0].sample.memory_used_bytes == 19818ll << 20);
    CHECK(rows[0].info.memory_total_bytes == 81559ll << 20);
    CHECK_INT(rows[0].sample.power_mw, 631950);
    CHECK_INT(rows[1].info.index, 1);
    CHECK_INT(rows[1].sample.utilization_pct, 7);
    CHECK(rows[2].sample.utilization_pct == GPU_NO_READING);
    CHECK_INT(rows[2].sample.temperature_c, 53);
    CHECK(rows[2].sample.energy_mj == GPU_NO_READING);
}

TEST("lines that are no rows are passed over, and an answer without one says what came instead")
{
    struct smi_query q = minimal();
    int n = smi_rows_read(&q,
                          "warning: something\n"
                          "\n"
                          "GPU-a, 0, X, b, 1, 1, 1, 1, 1, 1, 1, 1, one too many\n"
                          "[N/A], 0, X, b, 1, 1, 1, 1, 1, 1, 1, 1\n"
                          "GPU-z, 0, X, b, 1, 1, 1, 1, 1, 1, 1, 1\n",
                          rows, GPU_MAX_DEVICES, &test_err);
    CHECK_INT(n, 1);
    CHECK_TEXT(rows[0].info.uuid, "GPU-z");
    CHECK_FAILS(smi_rows_read(&q, "No devices were found\n", rows, GPU_MAX_DEVICES, &test_err),
                ERR_UNAVAILABLE, "No devices were found");
    CHECK_FAILS(smi_rows_read(&q, "", rows, GPU_MAX_DEVICES, &test_err), ERR_UNAVAILABLE, "no GPU");
}

TEST("a device that is lost or needs a reset says so in its row")
{
    struct smi_query q = minimal();
    int n =
        smi_rows_read(&q,
                      "GPU-a, 0, [GPU is lost], [GPU is lost], 1, [GPU is lost], 1, 1, 1, 1, 1, 1\n"
                      "GPU-b, 1, X, b, 1, [GPU requires reset], 1, 1, 1, 1, 1, 1\n",
                      rows, GPU_MAX_DEVICES, &test_err);
    CHECK_INT(n, 2);
    CHECK(rows[0].lost && !rows[0].needs_reset);
    CHECK(!rows[1].lost && rows[1].needs_reset);
    CHECK_TEXT(rows[0].info.name, "");
}

TEST("only fields that the program lists are asked for, by the name it lists")
{
    struct smi_query q;
    smi_query_choose("\"clocks_throttle_reasons.active\"\n\"power.min_limit\" or \"x\"\n"
                     "\"xpstate\"\n\"ecc.mode.currently\"",
                     &q);
    bool throttle = false, min_limit = false;
    for (size_t i = 0; i < q.count; i++) {
        throttle |= strcmp(q.names[i], "clocks_throttle_reasons.active") == 0;
        min_limit |= strcmp(q.names[i], "power.min_limit") == 0;
        CHECK(strcmp(q.names[i], "pstate") != 0);
        CHECK(strcmp(q.names[i], "ecc.mode.current") != 0);
    }
    CHECK(throttle && min_limit);
    CHECK_INT(q.count, 14);
}

TEST("processes find their device; those without a number or a device are passed over")
{
    struct smi_query q = minimal();
    smi_rows_read(
        &q, "GPU-a, 0, X, b, 1, 1, 1, 1, 1, 1, 1, 1\nGPU-b, 1, X, b, 1, 1, 1, 1, 1, 1, 1, 1\n",
        rows, GPU_MAX_DEVICES, &test_err);
    smi_processes_read("GPU-b, 4711, 300\nGPU-b, 12, [N/A]\nGPU-x, 1, 1\nGPU-a, none, 3\n"
                       "GPU-a\nGPU-a, 5\nGPU-a, -5, 7\n",
                       rows, 2);
    CHECK_INT(rows[0].sample.process_count, 0);
    CHECK_INT(rows[1].sample.process_count, 2);
    CHECK_INT(rows[1].sample.processes[0].pid, 4711);
    CHECK_INT(rows[1].sample.processes[0].used_bytes, 300 << 20);
    CHECK(rows[1].sample.processes[1].used_bytes == GPU_NO_READING);
}

TEST("more processes than have room are counted")
{
    struct smi_query q = minimal();
    smi_rows_read(&q, "GPU-a, 0, X, b, 1, 1, 1, 1, 1, 1, 1, 1\n", rows, GPU_MAX_DEVICES, &test_err);
    for (int i = 0; i < GPU_MAX_PROCESSES + 5; i++) {
        char line[64];
        snprintf(line, sizeof line, "GPU-a, %d, 1\n", i + 1);
        smi_processes_read(line, rows, 1);
    }
    CHECK_INT(rows[0].sample.process_count, GPU_MAX_PROCESSES);
    CHECK_INT(rows[0].sample.process_total, GPU_MAX_PROCESSES + 5);
}
