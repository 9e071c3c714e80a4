#include "api/chart.h"

#include "base/mem.h"
#include "tsdb/tsdb.h"

#include <math.h>

/* DCGM-exporter's names for devices, our own for nodes: as agents send them. */
static const struct {
    const char *name, *series;
    bool is_whole;
} metrics[][CHART_METRICS] = {
    [CHART_DEVICES] = {{"gpu_utilization", "DCGM_FI_DEV_GPU_UTIL", false},
                       {"memory_used_mib", "DCGM_FI_DEV_FB_USED", true},
                       {"power_watts", "DCGM_FI_DEV_POWER_USAGE", false},
                       {"temperature_celsius", "DCGM_FI_DEV_GPU_TEMP", false}},
    [CHART_NODES] = {{"cpu_usage", "reeve_node_cpu_percent", false},
                     {"memory_usage", "reeve_node_memory_percent", false}},
};

static const char *const key_labels[] = {[CHART_DEVICES] = "UUID", [CHART_NODES] = "node"};

/* ---- what is asked for ---- */

static int find_metric(enum chart_kind kind, const char *name, size_t len)
{
    for (int i = 0; i < CHART_METRICS; i++)
        if (metrics[kind][i].name && strlen(metrics[kind][i].name) == len &&
            memcmp(metrics[kind][i].name, name, len) == 0)
            return i;
    return -1;
}

int chart_read_metrics(enum chart_kind kind, const char *names, unsigned *ret, struct err *e)
{
    *ret = 0;
    for (int i = 0; i < CHART_METRICS && !names; i++)
        *ret |= metrics[kind][i].name ? 1u << i : 0;
    for (const char *at = names; at;) {
        size_t len = strcspn(at, ",");
        int i = find_metric(kind, at, len);
        if (i < 0) {
            err_set(e, ERR_INVALID, "parameter metrics: there is no '%.*s' here",
                    (int)(len < 40 ? len : 40), at);
            return err_blame(e, "metrics");
        }
        *ret |= 1u << i;
        at = at[len] ? at + len + 1 : NULL;
    }
    return 0;
}

void chart_add(struct chart *c, const char *key, int64_t id, int64_t since_ms)
{
    if ((c->count & (c->count - 1)) == 0) /* a power of two: full */
        c->items = mem_resize_array(c->items, c->count ? 2 * c->count : 1);
    struct chart_item *item = &c->items[c->count];
    *item = (struct chart_item){
        .id = id, .since_ms = since_ms, .at = c->count * CHART_METRICS * c->points};
    snprintf(item->key, sizeof item->key, "%s", key);
    c->count++;
}

void chart_done(struct chart *c)
{
    free(c->items);
    free(c->values);
    *c = (struct chart){0};
}

/* ---- reading ---- */

struct reading {
    struct chart *chart;
    const struct chart_item **by_key; /* sorted */
    int metric;
};

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const struct chart_item *const *)a)->key,
                  (*(const struct chart_item *const *)b)->key);
}

static int is_key(const void *key, const void *item)
{
    return strcmp(key, (*(const struct chart_item *const *)item)->key);
}

static int on_series(void *arg, const struct label *labels, size_t label_count,
                     const struct sample *points, size_t count)
{
    struct reading *r = arg;
    struct chart *c = r->chart;
    const struct chart_item *const *item = NULL;
    for (size_t i = 0; i < label_count && !item; i++)
        if (strcmp(labels[i].name, key_labels[c->kind]) == 0)
            item = bsearch(labels[i].value, r->by_key, c->count, sizeof *r->by_key, is_key);
    if (!item)
        return 0;
    float *values = c->values + (*item)->at + (size_t)r->metric * c->points;
    for (size_t i = 0; i < count; i++)
        if (points[i].t_ms + c->step_ms > (*item)->since_ms)
            values[(points[i].t_ms - c->from_ms) / c->step_ms] = (float)points[i].value;
    return 0;
}

static int read_metric(struct reading *r, struct tsdb *db, struct err *e)
{
    struct chart *c = r->chart;
    struct tsdb_matcher matchers[] = {
        {"__name__", metrics[c->kind][r->metric].series, TSDB_IS},
        {key_labels[c->kind], c->items[0].key, TSDB_IS}, /* where one is asked for */
    };
    struct tsdb_query q = {.matchers = matchers,
                           .matcher_count = c->count == 1 ? 2 : 1,
                           .from_ms = c->from_ms,
                           .to_ms = c->from_ms + (int64_t)c->points * c->step_ms,
                           .step_ms = c->step_ms,
                           .aggregate = TSDB_MEAN};
    return tsdb_query(db, &q, on_series, r, e);
}

int chart_read(struct chart *c, struct tsdb *db, struct err *e)
{
    size_t room = c->count * CHART_METRICS * c->points;
    c->values = mem_new_array(float, room + 1);
    for (size_t i = 0; i < room; i++)
        c->values[i] = NAN;
    if (!c->count || !c->points)
        return 0;
    auto_free const struct chart_item **sorted = mem_new_array(const struct chart_item *, c->count);
    for (size_t i = 0; i < c->count; i++)
        sorted[i] = &c->items[i];
    qsort(sorted, c->count, sizeof *sorted, by_key);
    struct reading r = {.chart = c, .by_key = sorted};
    for (r.metric = 0; r.metric < CHART_METRICS; r.metric++)
        if (c->metrics & 1u << r.metric && read_metric(&r, db, e) < 0)
            return -1;
    return 0;
}

/* ---- writing ---- */

static void write_values(struct json_out *o, const char *key, const float *values, size_t count,
                         bool is_whole)
{
    jo_list(o, key);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]) || fabsf(values[i]) > 1e15f) {
            jo_null(o, NULL);
            continue;
        }
        int64_t tenths = llround((double)values[i] * 10);
        if (is_whole || tenths % 10 == 0)
            jo_int(o, NULL, llround((double)values[i]));
        else
            jo_fixed(o, NULL, tenths, 10);
    }
    jo_end(o);
}

void chart_write(const struct chart *c, struct json_out *o)
{
    jo_time(o, "start", c->from_ms);
    jo_int(o, "step_ms", c->step_ms);
    jo_int(o, "points", (int64_t)c->points);
    jo_list(o, "items");
    for (size_t i = 0; i < c->count; i++) {
        const struct chart_item *item = &c->items[i];
        jo_object(o, NULL);
        if (c->kind == CHART_DEVICES)
            jo_int(o, "id", item->id);
        else
            jo_text(o, "id", item->key);
        for (int m = 0; m < CHART_METRICS; m++)
            if (c->metrics & 1u << m)
                write_values(o, metrics[c->kind][m].name,
                             c->values + item->at + (size_t)m * c->points, c->points,
                             metrics[c->kind][m].is_whole);
        jo_end(o);
    }
    jo_end(o);
}
