/* What the series store knows of devices just now, and samples coming in. Any thread; may take
 * milliseconds. */
#ifndef API_SAMPLES_H
#define API_SAMPLES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tsdb;

enum device_reading {
    READING_GPU_PCT,
    READING_MEMORY_USED_MIB,
    READING_POWER_MW,
    READING_CELSIUS,
    READINGS
};

struct device_sample {
    char uuid[96];
    bool has[READINGS];
    int64_t value[READINGS];
};

/* The newest readings of every device that has any not older than a minute, by UUID. */
struct device_samples {
    struct device_sample *items;
    size_t count;
};
int samples_of_devices(struct tsdb *db, int64_t now_ms, struct device_samples *ret, struct err *e);
void device_samples_done(struct device_samples *s);
const struct device_sample *device_samples_find(const struct device_samples *s, const char *uuid);

/* Takes in a remote-write body. NODE not NULL: every series must carry it as its label "node"
 * (ERR_DENIED). What came before a bad series stays taken. */
int samples_take(struct tsdb *db, const void *body, size_t len, const char *node, int64_t now_ms,
                 struct err *e);

#endif
