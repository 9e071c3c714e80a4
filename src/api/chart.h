/*
 * What was measured of devices or nodes, step by step: the figures of charts, as numbers in lists
 * of one length. On a worker; takes milliseconds.
 */
#ifndef API_CHART_H
#define API_CHART_H

#include "base/err.h"
#include "base/json_out.h"

struct tsdb;

enum chart_kind { CHART_DEVICES, CHART_NODES };
enum { CHART_METRICS = 4, CHART_KEY = 96 };

struct chart_item {
    char key[CHART_KEY]; /* UUID, or the node's name */
    int64_t id;          /* of a device */
    int64_t since_ms;    /* nothing is told of before; 0: all of it */
    size_t at;           /* where its values begin */
};

struct chart {
    enum chart_kind kind;
    unsigned metrics; /* bits */
    int64_t from_ms, step_ms;
    size_t points;
    struct chart_item *items;
    size_t count;
    float *values; /* NaN: none. By item, metric, point */
};

/* Bits by names with commas ("power_watts,gpu_utilization"); NULL: all. */
int chart_read_metrics(enum chart_kind kind, const char *names, unsigned *ret, struct err *e);

void chart_add(struct chart *c, const char *key, int64_t id, int64_t since_ms);
/* Means of all that is measured of the items. */
int chart_read(struct chart *c, struct tsdb *db, struct err *e);
/* "start", "step_ms", "points" and "items", in the order of adding, into an open object. */
void chart_write(const struct chart *c, struct json_out *o);
void chart_done(struct chart *c);

#define auto_chart AUTO(chart_done)

#endif
