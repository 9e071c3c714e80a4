/*
 * Numbers: the type that weights and activations have, and a small random generator whose whole
 * state is one word, so that any part of the program can derive its own stream from (seed, what).
 */
#ifndef PROTO_GCN_NUM_H
#define PROTO_GCN_NUM_H

#include <assert.h>
#include <math.h>
#include <stdint.h>

/* Training runs in float, twice as fast as double. The gradient test builds the same files in
 * double: finite differences of floats are too coarse to tell a wrong gradient from a right one. */
#ifdef PROTO_GCN_DOUBLE
typedef double real;
#else
typedef float real;
#endif

struct rng {
    uint64_t state;
};

/* splitmix64: passes BigCrush, and neighbouring seeds give unrelated streams. */
static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The stream number B of kind A under SEED. */
static inline struct rng rng_for(uint64_t seed, uint64_t a, uint64_t b)
{
    struct rng r = {seed};
    r.state = rng_next(&r) ^ a;
    r.state = rng_next(&r) ^ b;
    rng_next(&r);
    return r;
}

/* From LOW up to, not including, HIGH. */
static inline double rng_between(struct rng *r, double low, double high)
{
    return low + (high - low) * ((double)(rng_next(r) >> 11) * 0x1p-53);
}

/* 0 .. n-1; N must not be 0. The bias of the remainder is below 2^-40 for the sizes used here. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
    assert(n > 0);
    return (uint32_t)(rng_next(r) % n);
}

/* Normal, mean 0 and deviation 1 (Box-Muller; the second value is not kept, to stay stateless). */
static inline double rng_normal(struct rng *r)
{
    double u = rng_between(r, 0x1p-53, 1.0), v = rng_between(r, 0.0, 2.0 * 3.14159265358979323846);
    return sqrt(-2.0 * log(u)) * cos(v);
}

#endif
