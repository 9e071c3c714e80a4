#include "test.h"
#include "tsdb/chunk.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Bits, because a NaN is not equal to itself. */
static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Fills a chunk and reads it back; gives how many fitted. */
static unsigned round_trip(const struct sample *samples, unsigned count)
{
    struct chunk *c = calloc(1, sizeof *c);
    struct chunk_state state;
    unsigned fitted = 0;
    while (fitted < count && chunk_add(c, &state, samples[fitted].t_ms, samples[fitted].value))
        fitted++;
    CHECK_INT(c->count, fitted);
    CHECK_INT(c->first_ms, samples[0].t_ms);
    CHECK_INT(c->last_ms, samples[fitted - 1].t_ms);
    struct chunk_reader r;
    struct sample s;
    chunk_read(&r, c);
    for (unsigned i = 0; i < fitted; i++) {
        CHECK(chunk_next(&r, &s));
        CHECK_INT(s.t_ms, samples[i].t_ms);
        CHECK(bits_of(s.value) == bits_of(samples[i].value));
    }
    CHECK(!chunk_next(&r, &s));
    free(c);
    return fitted;
}

TEST("values of every kind come back bit by bit")
{
    const double values[] = {0,
                             -0.0,
                             1,
                             1,
                             1,
                             -1,
                             0.1,
                             1e300,
                             -1e-300,
                             INFINITY,
                             -INFINITY,
                             NAN,
                             DBL_MIN,
                             DBL_MAX,
                             DBL_TRUE_MIN,
                             36.6,
                             36.7,
                             36.6,
                             1234567890123.0};
    struct sample samples[sizeof values / sizeof *values];
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
        samples[i] = (struct sample){1700000000000 + i * 5000, values[i]};
    uint64_t stale = 0x7ff0000000000002;
    memcpy(&samples[11].value, &stale, sizeof stale);
    CHECK_INT(round_trip(samples, sizeof values / sizeof *values), sizeof values / sizeof *values);
}

TEST("distances of every size come back")
{
    static const int64_t steps[] = {1,       1,    64,   63,         127, 1,       1000,  1,
                                    1024,    1023, 2047, 32768,      1,   32767,   65536, 1,
                                    1000000, 5000, 5000, 4294967296, 1,   86400000};
    struct sample samples[sizeof steps / sizeof *steps];
    int64_t t = 1700000000000;
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++)
        samples[i] = (struct sample){t += steps[i], i};
    CHECK_INT(round_trip(samples, sizeof steps / sizeof *steps), sizeof steps / sizeof *steps);
}

TEST("random walks of any shape come back, whatever fits")
{
    static struct sample samples[4000];
    srand(1);
    for (int shape = 0; shape < 200; shape++) {
        int64_t t = 1700000000000;
        double value = 50;
        for (int i = 0; i < 4000; i++) {
            t += shape % 2 ? 1000 : 900 + rand() % 200;
            value = shape % 3 == 0 ? value : shape % 3 == 1 ? value + rand() % 3 - 1 : rand() / 7.0;
            samples[i] = (struct sample){t, value};
        }
        CHECK(round_trip(samples, 4000) > 40);
    }
}

TEST("a value that does not change, at a steady pace, takes two bits")
{
    static struct sample samples[4000];
    for (int i = 0; i < 4000; i++)
        samples[i] = (struct sample){1700000000000 + i * 5000, 42.5};
    CHECK(round_trip(samples, 4000) > 1600);
}
