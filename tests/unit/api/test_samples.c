#include "api/samples.h"
#include "base/mem.h"
#include "test.h"
#include "tsdb/tsdb.h"

#define NOW ((int64_t)1700000000000)

static void add(struct tsdb *db, const char *series, int device, int64_t t_ms, double value)
{
    char uuid[32];
    snprintf(uuid, sizeof uuid, "GPU-%03d", device);
    struct label labels[] = {{"UUID", uuid}, {"__name__", series}};
    struct sample s = {t_ms, value};
    CHECK_OK(tsdb_append(db, labels, 2, &s, 1, NOW, NULL, &test_err));
}

static const struct device_sample *find(const struct device_samples *s, int device)
{
    char uuid[32];
    snprintf(uuid, sizeof uuid, "GPU-%03d", device);
    return device_samples_find(s, uuid);
}

TEST("each device has its own newest readings, in whatever order they came")
{
    auto_tsdb struct tsdb *db = tsdb_new(NULL);
    for (int i = 0; i < 300; i++) {
        int device = (i * 7) % 300; /* all of them, mixed */
        add(db, "DCGM_FI_DEV_GPU_UTIL", device, NOW - 2000, 1);
        add(db, "DCGM_FI_DEV_GPU_UTIL", device, NOW - 1000, device % 100);
        if (device % 2)
            add(db, "DCGM_FI_DEV_POWER_USAGE", 299 - device, NOW - 1000, 19.5);
    }
    struct device_samples s;
    CHECK_OK(samples_of_devices(db, NOW, &s, &test_err));
    CHECK_INT(s.count, 300);
    for (int i = 0; i < 300; i++) {
        const struct device_sample *d = find(&s, i);
        CHECK(d && d->has[READING_GPU_PCT] && !d->has[READING_CELSIUS]);
        CHECK_INT(d->value[READING_GPU_PCT], i % 100);
        CHECK_INT(d->has[READING_POWER_MW], i % 2 == 0);
        CHECK(!d->has[READING_POWER_MW] || d->value[READING_POWER_MW] == 19500);
    }
    CHECK(!find(&s, 300));
    device_samples_done(&s);
}

TEST("what is older than a minute is not known, and without any samples there are none")
{
    auto_tsdb struct tsdb *db = tsdb_new(NULL);
    struct device_samples s;
    CHECK_OK(samples_of_devices(db, NOW, &s, &test_err));
    CHECK(s.count == 0 && !find(&s, 1));
    device_samples_done(&s);
    add(db, "DCGM_FI_DEV_GPU_TEMP", 1, NOW - 61000, 40);
    CHECK_OK(samples_of_devices(db, NOW, &s, &test_err));
    CHECK(!find(&s, 1));
    device_samples_done(&s);
}
