#include "core/meter/meter.h"

#include "base/mem.h"

enum { DAY_MS = 86400000 };

enum bucket meter_bucket(const struct fleet_view *v, const struct device *d)
{
    const struct node *n = fleet_node(v, d->node);
    if (d->attempt != NO_ROW)
        return fleet_attempt_at(v, d->attempt)->state == ATTEMPT_STARTED ? BUCKET_JOBS
                                                                         : BUCKET_RESERVED;
    if (d->health == DEVICE_GONE && device_is_counted(d))
        return BUCKET_COUNT; /* it never was one of its own: an agent names it better */
    if (d->health == DEVICE_FAULTY)
        return BUCKET_FAULTY;
    if (d->health != DEVICE_OK || d->twin || !n || n->state != NODE_READY)
        return BUCKET_UNMEASURED;
    if (d->foreign)
        return BUCKET_FOREIGN;
    return BUCKET_IDLE;
}

void meter_advance_into(struct device *d, enum bucket bucket, int64_t now_ms, meter_on_day on_day,
                        void *arg)
{
    while (d->upto_ms < now_ms) {
        int64_t end = (d->day + 1) * DAY_MS, upto = now_ms < end ? now_ms : end;
        if (bucket < BUCKET_COUNT)
            d->bucket[bucket] += (upto - d->upto_ms) * 1000 * 1000;
        d->upto_ms = upto;
        if (upto < end)
            return;
        if (on_day)
            on_day(arg, d);
        d->day++;
        memset(d->bucket, 0, sizeof d->bucket);
        d->energy_mj = 0;
    }
}

void meter_advance(const struct fleet_view *v, struct device *d, int64_t now_ms,
                   meter_on_day on_day, void *arg)
{
    meter_advance_into(d, meter_bucket(v, d), now_ms, on_day, arg);
}

static int64_t scaled(__int128 value, __int128 by)
{
    return (int64_t)((value + by / 2) / by);
}

int64_t meter_cost_micros(const struct policy *p, int64_t gpu_hour_micros, int64_t gpus,
                          int64_t run_ms, int64_t energy_mj)
{
    int64_t time = scaled((__int128)gpus * run_ms * gpu_hour_micros, 3600000);
    /* 3.6e9 mJ are a kWh; the PUE is in thousandths. */
    int64_t energy =
        scaled((__int128)energy_mj * p->kwh_micros * p->pue_milli, (__int128)3600000000 * 1000);
    return time + energy;
}

void meter_split(int64_t amount, const int64_t *weights, size_t count, int64_t *ret)
{
    __int128 sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += weights[i];
    if (!sum) {
        for (size_t i = 0; i < count; i++)
            ret[i] = i == 0 ? amount : 0;
        return;
    }

    auto_free int64_t *rest = mem_new_array(int64_t, count);
    int64_t left = amount;
    for (size_t i = 0; i < count; i++) {
        __int128 part = (__int128)amount * weights[i];
        ret[i] = (int64_t)(part / sum);
        rest[i] = (int64_t)(part % sum);
        left -= ret[i];
    }
    for (; left > 0; left--) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++)
            if (rest[i] > rest[best])
                best = i;
        ret[best]++;
        rest[best] = -1;
    }
}
