#include "engine/stats.h"

/* A bucket's upper bound in microseconds, times 2^(1/4) each: fixed-point, since this must agree on
 * every machine. */
static int64_t bound(int i)
{
    static const int64_t quarter[4] = {65536, 77936, 92682, 110218}; /* 2^(k/4) x 65536 */
    return i / 4 > 40 ? INT64_MAX : (quarter[i % 4] << (i / 4)) >> 16;
}

void histogram_add(struct histogram *h, int64_t us)
{
    int i = 0;
    while (i < HISTOGRAM_BUCKETS - 1 && us >= bound(i))
        i++;
    h->bucket[i]++;
    h->count++;
    h->sum_us += us > 0 ? (uint64_t)us : 0;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->bucket[i] += other->bucket[i];
    h->count += other->count;
    h->sum_us += other->sum_us;
}

int64_t histogram_quantile_us(const struct histogram *h, int permille)
{
    uint64_t rank = (h->count * (uint64_t)permille + 999) / 1000, seen = 0;
    if (!h->count)
        return 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank && seen)
            return bound(i);
    }
    return bound(HISTOGRAM_BUCKETS - 1);
}
