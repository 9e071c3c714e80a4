/*
 * The three kinds of layer, forward and backward. All work on one sample, whose values lie as
 * [frame][joint][channel] with the channels side by side.
 *
 * Each backward function takes the gradient of the loss by the layer's output, ADDS to the
 * gradients of its weights, and writes the gradient by its input (NULL: nobody needs it).
 */
#ifndef PROTO_GCN_LAYER_H
#define PROTO_GCN_LAYER_H

#include "graph.h"
#include "num.h"

enum { TAPS = 5, STRIDE = 2 }; /* of the convolution over time */

/*
 * Convolution over the graph, then ReLU: a joint collects its neighbours, partition by partition,
 * each edge with an importance that is learned; a matrix turns what was collected into OUT
 * channels.
 */
struct spatial {
    const struct graph *graph;
    int frames, in, out;
    real *weight;     /* [PARTITIONS * in][out] */
    real *bias;       /* [out] */
    real *importance; /* [edge_count] */
};

/* GATHERED [frames][joints][PARTITIONS * in] is kept for the way back. */
void spatial_forward(const struct spatial *s, const real *x, real *gathered, real *y);
/* GRAD holds the gradients in the places where S has the weights. D_Y is spoiled. */
void spatial_backward(const struct spatial *s, const struct spatial *grad, const real *x,
                      const real *gathered, const real *y, real *d_y, real *scratch, real *d_x);

/*
 * Convolution over time, then ReLU: TAPS frames around every second frame, each channel on its own
 * (the next spatial layer mixes channels).
 */
struct temporal {
    int frames, joints, channels;
    real *weight; /* [TAPS][channels] */
    real *bias;   /* [channels] */
};

int temporal_frames(int frames); /* that come out when FRAMES go in */
void temporal_forward(const struct temporal *l, const real *x, real *y);
void temporal_backward(const struct temporal *l, const struct temporal *grad, const real *x,
                       const real *y, real *d_y, real *d_x);

/*
 * Mean over time and over the joints of each part of the body, and how far that is from a prototype
 * of each class: the nearer, the more likely.
 */
struct head {
    const struct graph *graph;
    int frames, channels, classes;
    real *prototype; /* [classes][head_size] */
};

int head_size(const struct head *h); /* of what it pools: BODY_PARTS * channels */
void head_pool(const struct head *h, const real *x, real *pooled);
/* Minus half the squared distance to each prototype. */
void head_score(const struct head *h, const real *pooled, real *score);
void head_backward(const struct head *h, const struct head *grad, const real *pooled,
                   const real *d_score, real *d_pooled, real *d_x);

/* SCORE [n] becomes the probabilities; returns the loss, -log of that of LABEL. */
double softmax_loss(real *score, int n, int label);

#endif
