#include "optimizer.h"

#include <stdlib.h>

void optimizer_init(struct optimizer *o, const struct config *c, size_t size)
{
    *o = (struct optimizer){.kind = c->optimizer, .weight_decay = c->weight_decay, .size = size};
    o->first = room_for(size, sizeof(real));
    o->second = room_for(size, sizeof(real));
}

void optimizer_done(struct optimizer *o)
{
    free(o->first);
    free(o->second);
    *o = (struct optimizer){0};
}

void optimizer_step(struct optimizer *o, double lr, real *weights, const real *gradient)
{
    const double keep_first = 0.9, keep_second = 0.999;
    o->steps++;
    /* The running means start at 0 and are too small at first; Adam divides that out. */
    real scale = (real)(1 / (1 - pow(keep_first, (double)o->steps)));
    real scale_second = (real)(1 / (1 - pow(keep_second, (double)o->steps)));
    real b1 = (real)keep_first, b2 = (real)keep_second, rate = (real)lr;
    real decay = (real)(lr * o->weight_decay);

    for (size_t i = 0; i < o->size; i++) {
        real g = gradient[i];
        if (o->kind == OPTIMIZER_SGD) {
            o->first[i] = b1 * o->first[i] + g;
            weights[i] -= rate * o->first[i] + decay * weights[i];
            continue;
        }
        o->first[i] = b1 * o->first[i] + (1 - b1) * g;
        o->second[i] = b2 * o->second[i] + (1 - b2) * g * g;
        real size = (real)sqrt((double)(o->second[i] * scale_second)) + (real)1e-8;
        weights[i] -= rate * o->first[i] * scale / size + decay * weights[i];
    }
}
