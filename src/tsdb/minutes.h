/*
 * The last hour of one series as sums a minute: what charts ask for again and again. Made when
 * first asked for, kept up from then on.
 */
#ifndef TSDB_MINUTES_H
#define TSDB_MINUTES_H

#include "tsdb/tsdb.h"

enum { MINUTE_MS = 60000, MINUTES_KEPT = 64 };

struct minutes {
    int64_t newest; /* number of the newest minute since 1970 */
    float sum[MINUTES_KEPT];
    uint16_t count[MINUTES_KEPT];
};

/* A NaN is passed over; times only go up, but for what is older than all that is kept. */
void minutes_add(struct minutes *m, const struct sample *s);
/* The sum and number of samples in the COUNT minutes from FIRST on. */
double minutes_sum(const struct minutes *m, int64_t first, int64_t count, int64_t *ret_samples);

#endif
