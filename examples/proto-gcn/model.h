/*
 * The net: two blocks of spatial and temporal convolution, and a head of class prototypes. All its
 * weights are one array, all gradients another of the same length, which is what optimizers,
 * checkpoints and the gradient test want to see.
 */
#ifndef PROTO_GCN_MODEL_H
#define PROTO_GCN_MODEL_H

#include "config.h"
#include "num.h"

#include <stddef.h>

struct model;

struct model *model_new(const struct config *c);
void model_free(struct model *m);

size_t model_size(const struct model *m); /* number of weights */
real *model_weights(struct model *m);
real *model_gradient(struct model *m);

/* Random weights of the convolutions; the prototypes stay 0 until model_set_prototype(). */
void model_init(struct model *m, uint64_t seed);

/* What the head compares with prototypes; model_features() of them, good until the next call. */
int model_features(const struct model *m);
const real *model_embed(struct model *m, const real *x);
void model_set_prototype(struct model *m, int class, const real *features);

/* The likeliest class of X; *RET_LOSS as if LABEL were right. */
int model_classify(struct model *m, const real *x, int label, double *ret_loss);

/* The same, and adds the loss's gradient to model_gradient(). */
int model_learn(struct model *m, const real *x, int label, double *ret_loss);

#endif
