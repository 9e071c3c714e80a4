#include "curve.h"

#include "base/mem.h"

enum { MOST_POINTS = 1000 };

static int read_points(const json_t *list, double most, const char *what, struct curve *c,
                       struct err *e)
{
    size_t count = json_array_size(list);
    if (!count || count > MOST_POINTS)
        return err_set(e, ERR_INVALID, "%s needs 1 to %d points", what, MOST_POINTS);

    c->kind = CURVE_POINTS;
    c->points = mem_new_array(struct curve_point, count);
    for (c->count = 0; c->count < count; c->count++) {
        const json_t *pair = json_array_get(list, c->count);
        const json_t *t = json_array_get(pair, 0), *v = json_array_get(pair, 1);
        if (json_array_size(pair) != 2 || !json_is_number(t) || !json_is_number(v))
            return err_set(e, ERR_INVALID, "point %zu of %s is not [seconds, value]", c->count + 1,
                           what);
        struct curve_point *p = &c->points[c->count];
        *p = (struct curve_point){json_number_value(t), json_number_value(v)};
        if (p->seconds < 0 || (c->count && p->seconds < p[-1].seconds))
            return err_set(e, ERR_INVALID, "point %zu of %s is earlier than the one before",
                           c->count + 1, what);
        if (p->value < 0 || p->value > most)
            return err_set(e, ERR_INVALID, "point %zu of %s is not between 0 and %g", c->count + 1,
                           what, most);
    }
    return 0;
}

static int read_sine(const json_t *sine, double most, const char *what, struct curve *c,
                     struct err *e)
{
    const json_t *mean = json_object_get(sine, "mean"),
                 *amplitude = json_object_get(sine, "amplitude"),
                 *period = json_object_get(sine, "period");
    if (json_object_size(sine) != 3 || !json_is_number(mean) || !json_is_number(amplitude) ||
        !json_is_number(period))
        return err_set(e, ERR_INVALID, "the sine of %s needs mean, amplitude and period, no more",
                       what);
    c->kind = CURVE_SINE;
    c->value = json_number_value(mean);
    c->amplitude = json_number_value(amplitude);
    c->period = json_number_value(period);
    if (c->period <= 0 || c->value < 0 || c->value > most)
        return err_set(e, ERR_INVALID,
                       "the sine of %s needs a period above 0 and a mean between 0 and %g", what,
                       most);
    c->most = most;
    return 0;
}

struct curve_text {
    const json_t *points, *sine;
    bool loop, step;
};

static const struct json_field curve_fields[] = {
    {"points", JSON_FIELD_ARRAY, offsetof(struct curve_text, points)},
    {"sine", JSON_FIELD_OBJECT, offsetof(struct curve_text, sine)},
    {"loop", JSON_FIELD_BOOL, offsetof(struct curve_text, loop)},
    {"step", JSON_FIELD_BOOL, offsetof(struct curve_text, step)},
};

static int read_object(const json_t *object, double most, const char *what, struct curve *c,
                       struct err *e)
{
    struct curve_text in = {0};
    if (json_read_fields(object, curve_fields, COUNT_OF(curve_fields), true, &in, e) < 0)
        return err_wrap(e, "%s cannot be read", what);
    if (!in.points == !in.sine)
        return err_set(e, ERR_INVALID, "%s needs either points or sine", what);
    c->loop = in.loop;
    c->step = in.step;
    return in.sine ? read_sine(in.sine, most, what, c, e)
                   : read_points(in.points, most, what, c, e);
}

int curve_read(const json_t *value, double most, const char *what, struct curve *ret, struct err *e)
{
    struct curve c = {0};
    int rc;

    if (json_is_number(value)) {
        c.value = json_number_value(value);
        rc = c.value >= 0 && c.value <= most
                 ? 0
                 : err_set(e, ERR_INVALID, "%s is not between 0 and %g", what, most);
    } else if (json_is_array(value)) {
        rc = read_points(value, most, what, &c, e);
    } else if (json_is_object(value)) {
        rc = read_object(value, most, what, &c, e);
    } else {
        rc = err_set(e, ERR_INVALID, "%s is neither a number, nor points, nor a sine", what);
    }
    if (rc < 0) {
        curve_done(&c);
        return -1;
    }
    curve_done(ret);
    *ret = c;
    return 0;
}

void curve_done(struct curve *c)
{
    free(c->points);
    *c = (struct curve){0};
}

static double points_at(const struct curve *c, double t)
{
    const struct curve_point *p = c->points, *last = &c->points[c->count - 1];

    if (c->loop && last->seconds > 0 && t > last->seconds)
        t -= (double)(int64_t)(t / last->seconds) * last->seconds;
    if (t <= p->seconds)
        return p->value;
    while (p < last && t >= p[1].seconds)
        p++;
    if (p == last || c->step)
        return p->value;
    return p->value + (p[1].value - p->value) * (t - p->seconds) / (p[1].seconds - p->seconds);
}

/*
 * The sine of so many whole turns, within 0.001. libm's would bring half a MiB into each process
 * that opens the simulator, which is to be as light as what it stands for.
 */
static double sine(double turns)
{
    double x = turns - (double)(int64_t)turns;
    x = x < 0 ? x + 1 : x;
    bool second = x >= 0.5;
    double p = (second ? x - 0.5 : x) * 2, y = 4 * p * (1 - p); /* half a turn as a parabola */
    y = y * (0.775 + 0.225 * y);
    return second ? -y : y;
}

double curve_at(const struct curve *c, double seconds)
{
    switch (c->kind) {
    case CURVE_POINTS:
        return points_at(c, seconds);
    case CURVE_SINE: {
        double v = c->value + c->amplitude * sine(seconds / c->period);
        return v < 0 ? 0 : v > c->most ? c->most : v;
    }
    case CURVE_CONSTANT:
        break;
    }
    return c->value;
}
