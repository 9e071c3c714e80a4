/*
 * Samples a second through the series store and its remote-write codec, as an agent with 100 series
 * sends them: a sample each, in one message; and in messages of 12 samples a series, as after a
 * pause. Peers publish 308,000 (Prometheus 2.42 remote-write) to 840,000 (InfluxDB 1.6) a second.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "tsdb/remote_write.h"

enum { NODES = 100, PER_NODE = 100, SERIES = NODES * PER_NODE, STEP_MS = 5000, LABELS = 8 };
#define NOW ((int64_t)1700000000000)

static struct label labels[SERIES][LABELS];
static double values[SERIES];
static struct err err;

static void must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_tsdb: %s\n", err.text);
    exit(1);
}

static void make_labels(void)
{
    static const char *const names[LABELS] = {"__name__", "Hostname", "UUID",      "device",
                                              "gpu",      "job",      "modelName", "pci_bus_id"};
    for (int i = 0; i < SERIES; i++)
        for (int k = 0; k < LABELS; k++) {
            char *value;
            if (k == 0)
                value = mem_printf("DCGM_FI_DEV_FIELD_%d", i % 25);
            else if (k == 1)
                value = mem_printf("gpu-node-%03d", i / PER_NODE);
            else if (k == 2)
                value = mem_printf("GPU-%08x-1c2d-3e4f-5a6b-%012x", i / 25, i / 25);
            else
                value = mem_printf("%s-%d", names[k], i / 25 % 4);
            labels[i][k] = (struct label){names[k], value};
        }
}

/* A gauge in small steps, now and then. */
static double next_value(int i)
{
    int r = rand() % 10;
    values[i] += r < 2 ? 1 : r < 4 ? -1 : 0;
    return values[i];
}

static int64_t taken;

static int to_store(void *arg, const struct series *s)
{
    int64_t now = s->samples[s->sample_count - 1].t_ms;
    taken += (int64_t)s->sample_count;
    return tsdb_append(arg, s->labels, s->label_count, s->samples, s->sample_count, now, NULL,
                       &err);
}

static int to_nothing(void *arg, const struct series *s)
{
    (void)arg;
    taken += (int64_t)s->sample_count;
    return 0;
}

static double seconds_since(int64_t start)
{
    return (double)(clock_mono_us() - start) / 1e6;
}

/* Sends ROUNDS of EACH samples a series. */
static void send_all(struct tsdb *db, int rounds, int each)
{
    struct sample *samples = mem_new_array(struct sample, (size_t)(SERIES * each));
    struct series series[PER_NODE];
    double encode = 0, decode = 0, store = 0;
    size_t bytes = 0;
    int64_t count = 0;
    static int64_t at;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < SERIES; i++)
            for (int k = 0; k < each; k++)
                samples[i * each + k] = (struct sample){NOW + (at + k) * STEP_MS, next_value(i)};
        at += each;
        for (int node = 0; node < NODES; node++) {
            for (int i = 0; i < PER_NODE; i++) {
                int n = node * PER_NODE + i;
                series[i] = (struct series){labels[n], LABELS, samples + n * each, (size_t)each};
            }
            void *body;
            size_t len;
            int64_t start = clock_mono_us();
            must(remote_write_encode(series, PER_NODE, &body, &len, &err));
            encode += seconds_since(start);
            start = clock_mono_us();
            must(remote_write_decode(body, len, to_nothing, NULL, &err));
            decode += seconds_since(start);
            start = clock_mono_us();
            must(remote_write_decode(body, len, to_store, db, &err));
            store += seconds_since(start);
            bytes += len;
            count += PER_NODE * each;
            free(body);
        }
    }
    printf("%3d samples a series: encoded %9.0f /s, decoded %9.0f /s, decoded and stored %9.0f /s, "
           "%.1f bytes a sample\n",
           each, (double)count / encode, (double)count / decode, (double)count / store,
           (double)bytes / (double)count);
    free(samples);
}

static int count_points(void *arg, const struct label *l, size_t n, const struct sample *p,
                        size_t count)
{
    (void)l, (void)n, (void)p;
    *(int64_t *)arg += (int64_t)count;
    return 0;
}

int main(void)
{
    make_labels();
    struct tsdb *db = tsdb_new(NULL);
    send_all(db, 120, 1);
    send_all(db, 50, 12);

    struct tsdb_stats st;
    tsdb_stats(db, &st);
    printf("%lld series, %lld samples in %.1f MiB of chunks: %.2f bytes a sample\n",
           (long long)st.series, (long long)st.samples, (double)st.bytes / 1048576,
           (double)st.bytes / (double)st.samples);

    int64_t points = 0, start = clock_mono_us();
    struct tsdb_matcher m = {"__name__", "DCGM_FI_DEV_FIELD_3", TSDB_IS};
    struct tsdb_query q = {.matchers = &m,
                           .matcher_count = 1,
                           .from_ms = NOW,
                           .to_ms = NOW + 3600000,
                           .step_ms = 15000,
                           .aggregate = TSDB_MEAN};
    must(tsdb_query(db, &q, count_points, &points, &err));
    printf("the last hour of %d series, %lld points: %.2f ms\n", SERIES / 25, (long long)points,
           seconds_since(start) * 1e3);
    tsdb_free(db);
    for (int i = 0; i < SERIES; i++)
        for (int k = 0; k < LABELS; k++)
            free((char *)(uintptr_t)labels[i][k].value);
    return 0;
}
