/* What time, energy and money go to: whole numbers only, and every device's buckets add up. */
#ifndef CORE_METER_METER_H
#define CORE_METER_METER_H

#include "core/fleet/fleet.h"

/* Called for each day of a device's account that is over, before the next begins. */
typedef void (*meter_on_day)(void *arg, const struct device *d);

/* Where the device's time goes as things stand. */
enum bucket meter_bucket(const struct fleet_view *v, const struct device *d);

/* Puts the time since the device's account was last brought up to date into the bucket it is in:
 * call it before anything about the device changes. A NOW that is not later changes nothing. */
void meter_advance(const struct fleet_view *v, struct device *d, int64_t now_ms,
                   meter_on_day on_day, void *arg);

/* The same, but what passed is put into BUCKET: after a restart nobody was looking. */
void meter_advance_into(struct device *d, enum bucket bucket, int64_t now_ms, meter_on_day on_day,
                        void *arg);

/* In millionths: device time x price per GPU hour, plus energy x tariff x PUE; each part rounded to
 * the nearest. */
int64_t meter_cost_micros(const struct policy *p, int64_t gpu_hour_micros, int64_t gpus,
                          int64_t run_ms, int64_t energy_mj);

/* Shares of AMOUNT by WEIGHTS that add up to it exactly (largest remainders, ties by index). */
void meter_split(int64_t amount, const int64_t *weights, size_t count, int64_t *ret);

#endif
