/* How weights follow a gradient: Adam (with decoupled weight decay), or descent with momentum. */
#ifndef PROTO_GCN_OPTIMIZER_H
#define PROTO_GCN_OPTIMIZER_H

#include "config.h"
#include "num.h"

struct optimizer {
    int64_t kind; /* enum optimizer_kind */
    double weight_decay;
    int64_t steps; /* made so far */
    size_t size;
    real *first;  /* [size] running mean of gradients */
    real *second; /* [size] of their squares; Adam only, but always there: checkpoints look alike */
};

void optimizer_init(struct optimizer *o, const struct config *c, size_t size);
void optimizer_done(struct optimizer *o);

/* One step at learning rate LR; GRADIENT is that of the mean loss over the batch. */
void optimizer_step(struct optimizer *o, double lr, real *weights, const real *gradient);

#endif
