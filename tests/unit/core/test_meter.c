#include "core/meter/meter.h"
#include "test.h"

TEST("an hour of one GPU and a kilowatt-hour cost what the policy says")
{
    struct policy p = {.kwh_micros = 150000, .pue_milli = 1500};
    CHECK_INT(meter_cost_micros(&p, 300000, 1, 3600000, 0), 300000);
    CHECK_INT(meter_cost_micros(&p, 300000, 2, 1800000, 0), 300000);
    CHECK_INT(meter_cost_micros(&p, 0, 1, 0, 3600000000), 225000);
    CHECK_INT(meter_cost_micros(&p, 300000, 1, 1, 0), 0); /* 0.083 rounds down */
    CHECK_INT(meter_cost_micros(&p, 300000, 1, 7, 0), 1); /* 0.583 rounds up */
}

TEST("a year of a large job does not overflow")
{
    struct policy p = {.kwh_micros = 1000000, .pue_milli = 3000};
    CHECK_INT(meter_cost_micros(&p, 10000000, 64, INT64_C(365) * 86400000, 0),
              INT64_C(64) * 365 * 24 * 10000000);
}

TEST("shares add up to the whole, by largest remainder")
{
    int64_t w[3] = {1, 1, 1}, r[3];
    meter_split(100, w, 3, r);
    CHECK_INT(r[0], 34);
    CHECK_INT(r[1], 33);
    CHECK_INT(r[0] + r[1] + r[2], 100);
    int64_t v[3] = {7, 2, 1};
    meter_split(11, v, 3, r);
    CHECK_INT(r[0] + r[1] + r[2], 11);
    CHECK_INT(r[0], 8);
}

static int days;
static void on_day(void *arg, const struct device *d)
{
    int64_t sum = 0;
    for (int b = 0; b < BUCKET_COUNT; b++)
        sum += d->bucket[b];
    CHECK_INT(sum, *(int64_t *)arg);
    *(int64_t *)arg = INT64_C(86400) * 1000000 * 1000;
    days++;
}

TEST("an account is cut at midnight, each day with all of its time")
{
    struct device d = {.day = 100, .upto_ms = INT64_C(100) * 86400000 + 3600000};
    int64_t first = INT64_C(82800) * 1000000 * 1000;
    meter_advance_into(&d, BUCKET_IDLE, INT64_C(103) * 86400000 + 1000, on_day, &first);
    CHECK_INT(days, 3);
    CHECK_INT(d.day, 103);
    CHECK_INT(d.bucket[BUCKET_IDLE], 1000 * 1000 * 1000);
}
