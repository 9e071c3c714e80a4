#include "engine/clock.h"
#include "engine/stats.h"
#include "test.h"

TEST("the clock never gives a time twice, whatever the wall clock does")
{
    struct engine_clock c;
    int64_t from, to;
    engine_clock_init(&c, 1000000, 0, 1500000);
    CHECK_INT(engine_clock_now(&c, 0), 1500000);
    CHECK_INT(engine_clock_now(&c, 10), 1500010);
    CHECK(engine_clock_slew(&c, 1000010, 10, &from, &to));
    CHECK_INT(to - from, -500000);
    CHECK(!engine_clock_slew(&c, 1001010, 1010, &from, &to));
    CHECK_INT(engine_clock_now(&c, 1010), 1501010);
}

TEST("a step forward is followed and told once, a small difference is drawn in slowly")
{
    struct engine_clock c;
    int64_t from, to;
    engine_clock_init(&c, 1000000, 0, 0);
    CHECK(!engine_clock_slew(&c, 1000500, 0, &from, &to));
    CHECK_INT(engine_clock_now(&c, 0), 1000001);
    CHECK(engine_clock_slew(&c, 5000000, 0, &from, &to));
    CHECK_INT(engine_clock_now(&c, 0), 5000000);
    CHECK(!engine_clock_slew(&c, 5000000, 0, &from, &to));
}

TEST("quantiles of a histogram are within a fifth of the truth")
{
    struct histogram h = {0};
    for (int i = 1; i <= 1000; i++)
        histogram_add(&h, i * 100);
    int64_t p50 = histogram_quantile_us(&h, 500), p99 = histogram_quantile_us(&h, 990);
    CHECK(p50 >= 50000 && p50 <= 60000);
    CHECK(p99 >= 99000 && p99 <= 118000);
    struct histogram empty = {0};
    CHECK_INT(histogram_quantile_us(&empty, 500), 0);
}
