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

/* One reading of one device, as the series store tells them: a series after the other. */
struct found {
    char uuid[sizeof((struct device_sample){0}.uuid)];
    enum device_reading reading;
    int64_t value;
};

struct gathering {
    struct found *found;
    size_t count, room;
    enum device_reading reading;
};

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
    if (g->count == g->room) {
        g->room = g->room ? 2 * g->room : 64;
        g->found = mem_resize_array(g->found, g->room);
    }
    struct found *f = &g->found[g->count++];
    *f = (struct found){.reading = g->reading,
                        .value = (int64_t)llround(value * readings[g->reading].scale)};
    snprintf(f->uuid, sizeof f->uuid, "%s", uuid);
    return 0;
}

static int by_uuid(const void *a, const void *b)
{
    return strcmp(((const struct found *)a)->uuid, ((const struct found *)b)->uuid);
}

/* One item a device, ordered by UUID: lists look for each of theirs. */
static void put_together(const struct gathering *g, struct device_samples *ret)
{
    ret->items = mem_resize_array(ret->items, g->count);
    for (size_t i = 0; i < g->count; i++) {
        const struct found *f = &g->found[i];
        struct device_sample *item = &ret->items[ret->count ? ret->count - 1 : 0];
        if (!ret->count || strcmp(item->uuid, f->uuid) != 0) {
            item = &ret->items[ret->count++];
            *item = (struct device_sample){0};
            memcpy(item->uuid, f->uuid, sizeof item->uuid);
        }
        item->has[f->reading] = true;
        item->value[f->reading] = f->value;
    }
}

int samples_of_devices(struct tsdb *db, int64_t now_ms, struct device_samples *ret, struct err *e)
{
    struct gathering g = {0};
    int rc = 0;
    *ret = (struct device_samples){0};
    for (enum device_reading i = 0; i < READINGS && rc == 0; i++) {
        g.reading = i;
        struct tsdb_matcher name = {"__name__", readings[i].series, TSDB_IS};
        struct tsdb_query q = {.matchers = &name,
                               .matcher_count = 1,
                               .from_ms = now_ms - FRESH_MS,
                               .to_ms = now_ms + FRESH_MS,
                               .step_ms = 3 * FRESH_MS,
                               .aggregate = TSDB_LAST};
        rc = tsdb_query(db, &q, on_series, &g, e);
    }
    if (rc == 0 && g.count) {
        qsort(g.found, g.count, sizeof *g.found, by_uuid);
        put_together(&g, ret);
    }
    free(g.found);
    return rc < 0 ? -1 : 0;
}

void device_samples_done(struct device_samples *s)
{
    free(s->items);
    *s = (struct device_samples){0};
}

static int with_uuid(const void *uuid, const void *item)
{
    return strcmp(uuid, ((const struct device_sample *)item)->uuid);
}

const struct device_sample *device_samples_find(const struct device_samples *s, const char *uuid)
{
    return s->count ? bsearch(uuid, s->items, s->count, sizeof *s->items, with_uuid) : NULL;
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
