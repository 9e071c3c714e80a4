#include "data.h"
#include "model.h"
#include "test.h"

#include <stdlib.h>

/* The loss of one sample, from the forward pass alone. */
static double loss_at(struct model *m, const real *x, int label)
{
    double loss = 0;
    model_classify(m, x, label, &loss);
    return loss;
}

/* Every weight moved a little both ways gives the slope that the backward pass should have found.
 */
static void check_gradient(const struct config *c)
{
    struct model *m = model_new(c);
    size_t values = (size_t)(c->frames * c->joints * CHANNELS);
    real *x = room_for(values, sizeof *x);
    struct rng r = rng_for(7, 0, 0);
    model_init(m, 7);
    real *weights = model_weights(m), *gradient = model_gradient(m);
    for (size_t i = 0; i < values; i++)
        x[i] = (real)rng_normal(&r);
    for (size_t i = 0; i < model_size(m); i++)
        weights[i] += (real)(0.1 * rng_normal(&r)); /* biases and prototypes begin at 0 */

    const int label = 1;
    double loss = 0, nonzero = 0;
    model_learn(m, x, label, &loss);
    for (size_t i = 0; i < model_size(m); i++) {
        const double by = 1e-5;
        double kept = weights[i];
        weights[i] = kept + by;
        double above = loss_at(m, x, label);
        weights[i] = kept - by;
        double below = loss_at(m, x, label);
        weights[i] = kept;

        double slope = (above - below) / (2 * by);
        double away = fabs(slope - gradient[i]), size = fabs(slope) + fabs(gradient[i]);
        ck_assert_msg(away <= 1e-7 + 1e-5 * size, "weight %zu: gradient %.9g, differences say %.9g",
                      i, gradient[i], slope);
        nonzero += fabs(slope) > 1e-6;
    }
    /* A gradient of zeros would agree with a loss that hears nothing. */
    CHECK(nonzero > 0.5 * (double)model_size(m));
    free(x);
    model_free(m);
}

TEST("the gradient by every weight is what finite differences say")
{
    struct config c = config_defaults;
    c.width = 3;
    c.frames = 9; /* odd: the last frame has no partner for the stride */
    c.classes = 4;
    check_gradient(&c);
}

TEST("the gradient also holds for the smaller skeleton and an even number of frames")
{
    struct config c = config_defaults;
    c.width = 2;
    c.frames = 8;
    c.classes = 3;
    c.joints = MIN_JOINTS;
    check_gradient(&c);
}

TEST("gradients of samples add up")
{
    struct config c = config_defaults;
    c.width = 2;
    c.frames = 8;
    struct model *m = model_new(&c);
    model_init(m, 3);
    real *x = room_for((size_t)(c.frames * c.joints * CHANNELS), sizeof *x);
    for (int i = 0; i < c.frames * c.joints * CHANNELS; i++)
        x[i] = (real)sin(i);
    double loss = 0;
    model_learn(m, x, 0, &loss);
    size_t size = model_size(m);
    real *once = room_for(size, sizeof *once);
    memcpy(once, model_gradient(m), size * sizeof *once);
    model_learn(m, x, 0, &loss);
    double sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += fabs(once[i]);
        CHECK(fabs(model_gradient(m)[i] - 2 * once[i]) <= 1e-9 * fabs(once[i]));
    }
    CHECK(sum > 0);
    free(once);
    free(x);
    model_free(m);
}
