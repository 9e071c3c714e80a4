#include "tsdb/minutes.h"

#include <math.h>

static void go_on_to(struct minutes *m, int64_t minute)
{
    int64_t from = m->newest + 1;
    if (minute - from >= MINUTES_KEPT)
        from = minute - MINUTES_KEPT + 1;
    for (int64_t at = from; at <= minute; at++) {
        m->sum[at % MINUTES_KEPT] = 0;
        m->count[at % MINUTES_KEPT] = 0;
    }
    m->newest = minute;
}

void minutes_add(struct minutes *m, const struct sample *s)
{
    int64_t minute = s->t_ms / MINUTE_MS;
    if (isnan(s->value) || s->t_ms < 0 || minute <= m->newest - MINUTES_KEPT)
        return;
    if (minute > m->newest)
        go_on_to(m, minute);
    uint16_t *count = &m->count[minute % MINUTES_KEPT];
    if (*count == UINT16_MAX)
        return;
    m->sum[minute % MINUTES_KEPT] += (float)s->value;
    ++*count;
}

double minutes_sum(const struct minutes *m, int64_t first, int64_t count, int64_t *ret_samples)
{
    double sum = 0;
    *ret_samples = 0;
    for (int64_t at = first; at < first + count; at++) {
        if (at < 0 || at > m->newest || at <= m->newest - MINUTES_KEPT)
            continue;
        sum += (double)m->sum[at % MINUTES_KEPT];
        *ret_samples += m->count[at % MINUTES_KEPT];
    }
    return sum;
}
