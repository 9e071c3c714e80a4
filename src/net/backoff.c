#include "net/backoff.h"

int64_t backoff_ms(unsigned failures, int64_t least_ms, int64_t most_ms, uint64_t random)
{
    int64_t step = least_ms;
    for (unsigned i = 1; i < failures && step < most_ms; i++)
        step = step > most_ms / 2 ? most_ms : 2 * step;
    if (step > most_ms)
        step = most_ms;
    return step - backoff_spread_ms(step / 2, random);
}

int64_t backoff_spread_ms(int64_t spread_ms, uint64_t random)
{
    return spread_ms <= 0 ? 0 : (int64_t)(random % ((uint64_t)spread_ms + 1));
}
