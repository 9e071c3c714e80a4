/* A figure that changes over time: constant, straight lines between points, or a sine. */
#ifndef SIM_CURVE_H
#define SIM_CURVE_H

#include "base/json.h"

struct curve_point {
    double seconds, value;
};

/* All zero: 0 for ever. */
struct curve {
    enum { CURVE_CONSTANT, CURVE_POINTS, CURVE_SINE } kind;
    double value;                   /* constant; mean of a sine */
    double amplitude, period, most; /* sine; it is cut off at 0 and MOST */
    bool loop;                      /* begins anew behind the last point */
    bool step;                      /* holds each value until the next point */
    size_t count;
    struct curve_point *points; /* by time */
};

/*
 * A number; or a list of [seconds, value]; or {points: [...], loop: true, step: true}; or {sine:
 * {mean: 50, amplitude: 30, period: 60}}. Values must lie in 0..MOST. WHAT names it in the error.
 */
int curve_read(const json_t *value, double most, const char *what, struct curve *ret,
               struct err *e);
void curve_done(struct curve *c);

/* The value SECONDS after the curve's beginning; its first before that, its last behind the end. */
double curve_at(const struct curve *c, double seconds);

#endif
