/*
 * How long to wait before the next try: doubling from LEAST to MOST, with jitter, so that a
 * thousand agents do not come back in the same second. Pure: the random number is an argument.
 */
#ifndef NET_BACKOFF_H
#define NET_BACKOFF_H

#include <stdint.h>

/* FAILURES so far in a row, from 1. Between half of the step and the whole of it, chosen by RANDOM.
 */
int64_t backoff_ms(unsigned failures, int64_t least_ms, int64_t most_ms, uint64_t random);

/* Somewhere in 0 .. SPREAD_MS: when all were cut off at once, the first try is spread too. */
int64_t backoff_spread_ms(int64_t spread_ms, uint64_t random);

#endif
