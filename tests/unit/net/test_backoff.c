#include "net/backoff.h"
#include "test.h"

TEST("the wait doubles up to its most, and half of it is left to chance")
{
    CHECK_INT(backoff_ms(1, 100, 10000, 0), 100);
    CHECK_INT(backoff_ms(2, 100, 10000, 0), 200);
    CHECK_INT(backoff_ms(5, 100, 10000, 0), 1600);
    CHECK_INT(backoff_ms(8, 100, 10000, 0), 10000);
    CHECK_INT(backoff_ms(4000000000u, 100, 10000, 0), 10000);
    for (uint64_t random = 0; random < 5000; random += 7) {
        int64_t ms = backoff_ms(3, 100, 10000, random * 0x9E3779B97F4A7C15u);
        CHECK(ms >= 200 && ms <= 400);
    }
}

TEST("nothing overflows")
{
    CHECK_INT(backoff_ms(100, INT64_MAX / 2, INT64_MAX, 0), INT64_MAX);
    CHECK(backoff_ms(100, 1, INT64_MAX, UINT64_MAX) > 0);
    CHECK_INT(backoff_spread_ms(0, 12345), 0);
    CHECK(backoff_spread_ms(10000, UINT64_MAX) <= 10000);
}
