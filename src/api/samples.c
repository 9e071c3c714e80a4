#include "api/samples.h"

#include "base/mem.h"
#include "tsdb/remote_write.h"

#include <math.h>

enum { FRESH_MS = 60000 };

/* DCGM-exporter's names: what existing dashboards read. */
static const struct {
    const char *series;
    double scale;
} readings[READINGS] = {
    [READING_GPU_PCT] = {"DCGM_FI_DEV_GPU_UTIL", 1},
    [READING_MEMORY_USED_MIB] = {"DCGM_FI_DEV_FB_USED", 1},
    [READING_POWER_MW] = {"DCGM_FI_DEV_POWER_USAGE", 1000},
    [READING_CELSIUS] = {"DCGM_FI_DEV_GPU_TEMP", 1},
};

struct gathering {
    struct device_samples *into;
    enum device_reading reading;
};

static struct device_sample *item_of(struct device_samples *s, const char *uuid)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].uuid, uuid) == 0)
            return &s->items[i];
    s->items = mem_resize_array(s->items, s->count + 1);
    struct device_sample *item = &s->items[s->count++];
    *item = (struct device_sample){0};
    snprintf(item->uuid, sizeof item->uuid, "%s", uuid);
    return item;
}

static const char *label_of(const struct label *labels, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(labels[i].name, name) == 0)
            return labels[i].value;
    return NULL;
}

static int on_series(void *arg, const struct label *labels, size_t label_count,
                     const struct sample *points, size_t count)
{
    struct gathering *g = arg;
    const char *uuid = label_of(labels, label_count, "UUID");
    double value = count ? points[count - 1].value : NAN;
    if (!uuid || !isfinite(value))
        return 0;
    struct device_sample *item = item_of(g->into, uuid);
    item->has[g->reading] = true;
    item->value[g->reading] = (int64_t)llround(value * readings[g->reading].scale);
    return 0;
}

int samples_of_devices(struct tsdb *db, int64_t now_ms, struct device_samples *ret, struct err *e)
{
    *ret = (struct device_samples){0};
    for (enum device_reading i = 0; i < READINGS; i++) {
        struct gathering g = {ret, i};
        struct tsdb_matcher name = {"__name__", readings[i].series, TSDB_IS};
        struct tsdb_query q = {.matchers = &name,
                               .matcher_count = 1,
                               .from_ms = now_ms - FRESH_MS,
                               .to_ms = now_ms + FRESH_MS,
                               .step_ms = 3 * FRESH_MS,
                               .aggregate = TSDB_LAST};
        if (tsdb_query(db, &q, on_series, &g, e) < 0) {
            device_samples_done(ret);
            return -1;
        }
    }
    return 0;
}

void device_samples_done(struct device_samples *s)
{
    free(s->items);
    *s = (struct device_samples){0};
}

const struct device_sample *device_samples_find(const struct device_samples *s, const char *uuid)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].uuid, uuid) == 0)
            return &s->items[i];
    return NULL;
}

struct taking {
    struct tsdb *db;
    const char *node;
    int64_t now_ms;
    struct err *err;
};

static int take_series(void *arg, const struct series *s)
{
    struct taking *t = arg;
    const char *node = label_of(s->labels, s->label_count, "node");
    if (t->node && (!node || strcmp(node, t->node) != 0))
        return err_set(t->err, ERR_DENIED, "a series is of node '%.64s', but the key is of '%s'",
                       node ? node : "", t->node);
    return tsdb_append(t->db, s->labels, s->label_count, s->samples, s->sample_count, t->now_ms,
                       NULL, t->err);
}

int samples_take(struct tsdb *db, const void *body, size_t len, const char *node, int64_t now_ms,
                 struct err *e)
{
    struct taking t = {db, node, now_ms, e};
    return remote_write_decode(body, len, take_series, &t, e);
}
