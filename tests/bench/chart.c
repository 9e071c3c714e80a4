/* The last hour of 1,000 devices by the minute, as /api/v1/samples answers it for the page. */
#include "api/chart.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tsdb/tsdb.h"

enum { DEVICES = 1000, SAMPLES = 720, STEP_MS = 5000, OTHERS = 10 };
#define NOW ((int64_t)1700003640000)

static struct err err;

static void must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_chart: %s\n", err.text);
    exit(1);
}

static void fill(struct tsdb *db)
{
    static const char *const names[] = {"DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_GPU_TEMP",
                                        "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE"};
    struct sample *s = mem_new_array(struct sample, SAMPLES);
    for (int d = 0; d < DEVICES; d++)
        for (size_t m = 0; m < COUNT_OF(names) + OTHERS; m++) {
            char uuid[64], node[32], name[32];
            snprintf(uuid, sizeof uuid, "GPU-%08x-1c2d-3e4f-5a6b-%012x", d * 7919, d);
            snprintf(node, sizeof node, "gpu-node-%03d", d / 8);
            snprintf(name, sizeof name, "DCGM_FI_DEV_FIELD_%zu", m);
            struct label labels[] = {{"UUID", uuid},
                                     {"__name__", m < COUNT_OF(names) ? names[m] : name},
                                     {"modelName", "NVIDIA H100"},
                                     {"node", node}};
            double value = 50;
            for (int i = 0; i < SAMPLES; i++) {
                value += rand() % 3 - 1;
                s[i] = (struct sample){NOW - (int64_t)(SAMPLES - i) * STEP_MS,
                                       value + rand() % 2 / 2.0};
            }
            must(tsdb_append(db, labels, 4, s, SAMPLES, NOW, NULL, &err));
        }
    free(s);
}

static double ask(struct tsdb *db, size_t *ret_bytes)
{
    int64_t start = clock_mono_us();
    auto_text struct text out = {0};
    auto_chart struct chart c = {
        .kind = CHART_DEVICES, .from_ms = NOW - 3600000, .step_ms = 60000, .points = 60};
    struct json_out o = {.text = &out};
    must(chart_read_metrics(CHART_DEVICES, NULL, &c.metrics, &err));
    for (int d = 0; d < DEVICES; d++) {
        char uuid[64];
        snprintf(uuid, sizeof uuid, "GPU-%08x-1c2d-3e4f-5a6b-%012x", d * 7919, d);
        chart_add(&c, uuid, d + 1, 0);
    }
    must(chart_read(&c, db, &err));
    jo_object(&o, NULL);
    chart_write(&c, &o);
    jo_end(&o);
    *ret_bytes = out.len;
    return (double)(clock_mono_us() - start) / 1e3;
}

int main(void)
{
    struct tsdb *db = tsdb_new(&(struct tsdb_limits){.most_bytes = (int64_t)256 << 20});
    fill(db);
    size_t bytes;
    double first = ask(db, &bytes), best = 1e9, sum = 0;
    enum { ROUNDS = 50 };
    for (int i = 0; i < ROUNDS; i++) {
        double took = ask(db, &bytes);
        best = took < best ? took : best;
        sum += took;
    }
    printf(
        "%d devices x 60 minutes x 4 figures among %d series: %.1f ms (best %.1f, the first time "
        "%.1f), %.0f kB\n",
        DEVICES, DEVICES * (4 + OTHERS), sum / ROUNDS, best, first, (double)bytes / 1e3);
    tsdb_free(db);
    return 0;
}
