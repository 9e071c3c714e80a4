#include "data.h"

#include <stdlib.h>
#include <string.h>

enum { PEOPLE = 40 }; /* of each part */

/* What stays with a person: size, proportions and habits. */
static struct performance person(uint64_t seed, enum part part, uint32_t number)
{
    struct rng r = rng_for(seed, 100 + part, number);
    return (struct performance){
        .body = rng_between(&r, 0.85, 1.15),
        .limbs = rng_between(&r, 0.92, 1.08),
        .vigour = rng_between(&r, 0.4, 1.1),
        .speed = rng_between(&r, 0.8, 1.2),
        .sway = rng_between(&r, 0.0, 0.06),
        .stoop = rng_between(&r, -0.05, 0.12),
    };
}

/* How this person does it this time. */
static struct performance performed(struct performance p, struct rng *r)
{
    p.vigour *= rng_between(r, 0.85, 1.15);
    p.speed *= rng_between(r, 0.85, 1.15);
    p.phase = rng_between(r, 0, 1);
    p.delay = rng_between(r, 0, 0.2);
    p.facing = rng_between(r, -1.2, 1.2);
    return p;
}

/* The sensor loses an arm or a leg for a while and goes on reporting where it was last. */
static void lose_part(const struct dataset *d, real *x, struct rng *r)
{
    int part = 1 + (int)rng_below(r, BODY_PARTS - 1);
    int first = 1 + (int)rng_below(r, (uint32_t)d->frames - 1);
    int last = first + d->frames / 4;
    size_t row = (size_t)d->joints * CHANNELS;
    for (int t = first; t < last && t < d->frames; t++)
        for (int j = 0; j < d->joints; j++)
            if (joints[j].part == part)
                memcpy(x + (size_t)t * row + (size_t)j * CHANNELS,
                       x + (size_t)(t - 1) * row + (size_t)j * CHANNELS, CHANNELS * sizeof *x);
}

/* A sensor's error wanders rather than jumps: each frame keeps most of the last one's. */
static void record(const struct dataset *d, int action, const struct performance *p, double noise,
                   struct rng *r, real *x)
{
    const double kept = 0.7, fresh = sqrt(1 - kept * kept);
    double error[MAX_JOINTS][CHANNELS];
    for (int j = 0; j < d->joints; j++)
        for (int k = 0; k < CHANNELS; k++)
            error[j][k] = noise * rng_normal(r);
    for (int t = 0; t < d->frames; t++) {
        double pose[MAX_JOINTS][3];
        action_pose(action, p, (double)t / (d->frames - 1), pose);
        for (int j = 0; j < d->joints; j++) {
            for (int k = 0; k < CHANNELS; k++) {
                *x++ = (real)(pose[j][k] + error[j][k]);
                error[j][k] = kept * error[j][k] + fresh * noise * rng_normal(r);
            }
        }
    }
    if (rng_below(r, 3) == 0)
        lose_part(d, x - (size_t)d->frames * (size_t)d->joints * CHANNELS, r);
}

struct dataset *dataset_new(const struct config *c, enum part part)
{
    struct dataset *d = room_for(1, sizeof *d);
    int64_t counts[] = {c->train_samples, c->val_samples, c->test_samples};
    d->count = (int)counts[part];
    d->frames = (int)c->frames;
    d->joints = (int)c->joints;
    size_t size = (size_t)d->frames * (size_t)d->joints * CHANNELS;
    d->labels = room_for((size_t)d->count, sizeof *d->labels);
    d->positions = room_for((size_t)d->count * size, sizeof *d->positions);

    for (int i = 0; i < d->count; i++) {
        struct rng r = rng_for((uint64_t)c->seed, part, (uint64_t)i);
        d->labels[i] = i % (int)c->classes;
        struct performance p = person((uint64_t)c->seed, part, rng_below(&r, PEOPLE));
        p = performed(p, &r);
        record(d, d->labels[i], &p, c->noise, &r, d->positions + (size_t)i * size);
    }
    return d;
}

void dataset_free(struct dataset *d)
{
    if (!d)
        return;
    free(d->labels);
    free(d->positions);
    free(d);
}

/* From positions to what STREAM shows, in place. */
static void to_stream(real *x, int frames, int joint_count, int64_t stream)
{
    size_t row = (size_t)joint_count * CHANNELS;
    if (stream == STREAM_MOTION) {
        for (int t = 0; t + 1 < frames; t++)
            for (size_t i = 0; i < row; i++)
                x[(size_t)t * row + i] = x[(size_t)(t + 1) * row + i] - x[(size_t)t * row + i];
        memset(x + (size_t)(frames - 1) * row, 0, row * sizeof *x);
    }
    if (stream != STREAM_BONE)
        return;
    for (int t = 0; t < frames; t++, x += row)
        for (int n = MAX_JOINTS - 1; n > 0; n--) { /* children before parents */
            int j = joints_from_root[n], parent = joints[j].parent;
            for (int k = 0; k < CHANNELS && j < joint_count; k++)
                x[j * CHANNELS + k] -= x[parent * CHANNELS + k];
        }
}

/* Copies sample I into X, turned around the vertical by ANGLE, SCALE times as large, and beginning
 * SHIFT frames later; the first or last frame fills the gap. */
static void copy_sample(const struct dataset *d, int i, double angle, double scale, int shift,
                        real *x)
{
    size_t row = (size_t)d->joints * CHANNELS;
    const real *from = d->positions + (size_t)i * (size_t)d->frames * row;
    real c = (real)(scale * cos(angle)), s = (real)(scale * sin(angle)), up = (real)scale;
    for (int t = 0; t < d->frames; t++) {
        int source = t + shift < 0 ? 0 : t + shift >= d->frames ? d->frames - 1 : t + shift;
        const real *p = from + (size_t)source * row;
        for (int j = 0; j < d->joints; j++, p += CHANNELS, x += CHANNELS) {
            x[0] = c * p[0] + s * p[2];
            x[1] = up * p[1];
            x[2] = c * p[2] - s * p[0];
        }
    }
}

void dataset_view(const struct dataset *d, int i, int64_t stream, const struct norm *n,
                  struct rng *augment, real *x)
{
    double angle = 0, scale = 1;
    int shift = 0;
    if (augment) {
        angle = rng_between(augment, -0.3, 0.3);
        scale = rng_between(augment, 0.9, 1.1);
        shift = (int)rng_below(augment, (uint32_t)d->frames / 4) - d->frames / 8;
    }
    copy_sample(d, i, angle, scale, shift, x);
    to_stream(x, d->frames, d->joints, stream);
    for (int t = 0; t < d->frames; t++)
        for (int k = 0; k < d->joints * CHANNELS; k++, x++)
            *x = (*x - n->mean[k]) * n->scale;
}

struct norm norm_of(const struct dataset *d, int64_t stream)
{
    int row = d->joints * CHANNELS;
    struct norm n = {.scale = 1}, none = n;
    real *x = room_for((size_t)d->frames * (size_t)row, sizeof *x);
    double sum[MAX_JOINTS * CHANNELS] = {0}, squares[MAX_JOINTS * CHANNELS] = {0};
    for (int i = 0; i < d->count; i++) {
        dataset_view(d, i, stream, &none, NULL, x);
        for (int t = 0; t < d->frames; t++) {
            for (int k = 0; k < row; k++) {
                double value = x[t * row + k];
                sum[k] += value;
                squares[k] += value * value;
            }
        }
    }
    free(x);

    double values = (double)d->count * d->frames, variance = 0;
    for (int k = 0; k < row; k++) {
        double mean = sum[k] / values;
        n.mean[k] = (real)mean;
        variance += (squares[k] / values - mean * mean) / row;
    }
    n.scale = (real)(1 / sqrt(variance + 1e-12));
    return n;
}
