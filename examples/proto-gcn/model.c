#include "model.h"
#include "data.h"
#include "layer.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 2 };

/* One block, its gradients, and what it keeps of a sample until the way back. */
struct block {
    struct spatial spatial, d_spatial;
    struct temporal temporal, d_temporal;
    real *gathered;          /* by spatial */
    real *middle, *d_middle; /* between spatial and temporal */
    real *output, *d_output; /* behind temporal */
    real *scratch;
};

struct model {
    struct graph graph;
    struct block blocks[BLOCKS];
    struct head head, d_head;
    real *pooled, *d_pooled, *score;
    size_t size;
    real *weights, *gradient;
};

/* Where the next array of weights, and beside it that of its gradient, begins. */
struct cursor {
    real *weights, *gradient;
    size_t used;
};

static void place(struct cursor *at, real **weights, real **gradient, int count)
{
    *weights = at->weights ? at->weights + at->used : NULL;
    *gradient = at->gradient ? at->gradient + at->used : NULL;
    at->used += (size_t)count;
}

/* Gives every layer its part of the weights and of the gradient; returns how many there are. */
static size_t place_weights(struct model *m, real *weights, real *gradient)
{
    struct cursor at = {weights, gradient, 0};
    for (int i = 0; i < BLOCKS; i++) {
        struct spatial *s = &m->blocks[i].spatial, *ds = &m->blocks[i].d_spatial;
        struct temporal *t = &m->blocks[i].temporal, *dt = &m->blocks[i].d_temporal;
        place(&at, &s->weight, &ds->weight, PARTITIONS * s->in * s->out);
        place(&at, &s->bias, &ds->bias, s->out);
        place(&at, &s->importance, &ds->importance, m->graph.edge_count);
        place(&at, &t->weight, &dt->weight, TAPS * t->channels);
        place(&at, &t->bias, &dt->bias, t->channels);
    }
    place(&at, &m->head.prototype, &m->d_head.prototype, m->head.classes * head_size(&m->head));
    return at.used;
}

static void block_new(struct block *b, const struct graph *g, int frames, int in, int out)
{
    b->spatial = (struct spatial){.graph = g, .frames = frames, .in = in, .out = out};
    b->temporal = (struct temporal){.frames = frames, .joints = g->joints, .channels = out};
    size_t before = (size_t)(frames * g->joints);
    size_t after = (size_t)(temporal_frames(frames) * g->joints);
    size_t row = (size_t)(PARTITIONS * in);
    b->gathered = room_for(before * row, sizeof(real));
    b->middle = room_for(before * (size_t)out, sizeof(real));
    b->d_middle = room_for(before * (size_t)out, sizeof(real));
    b->output = room_for(after * (size_t)out, sizeof(real));
    b->d_output = room_for(after * (size_t)out, sizeof(real));
    b->scratch = room_for(row * (size_t)(out + g->joints), sizeof(real));
}

struct model *model_new(const struct config *c)
{
    struct model *m = room_for(1, sizeof *m);
    m->graph = graph_make((int)c->joints);
    int frames = (int)c->frames, in = CHANNELS, out = (int)c->width;
    for (int i = 0; i < BLOCKS; i++) {
        block_new(&m->blocks[i], &m->graph, frames, in, out);
        frames = temporal_frames(frames);
        in = out;
        out *= 2;
    }
    m->head = (struct head){&m->graph, frames, in, (int)c->classes, NULL};
    m->pooled = room_for((size_t)head_size(&m->head), sizeof(real));
    m->d_pooled = room_for((size_t)head_size(&m->head), sizeof(real));
    m->score = room_for((size_t)c->classes, sizeof(real));
    m->size = place_weights(m, NULL, NULL);
    m->weights = room_for(m->size, sizeof(real));
    m->gradient = room_for(m->size, sizeof(real));
    place_weights(m, m->weights, m->gradient);
    return m;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    for (int i = 0; i < BLOCKS; i++) {
        struct block *b = &m->blocks[i];
        real *all[] = {b->gathered, b->middle, b->d_middle, b->output, b->d_output, b->scratch};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            free(all[k]);
    }
    free(m->pooled);
    free(m->d_pooled);
    free(m->score);
    free(m->weights);
    free(m->gradient);
    free(m);
}

size_t model_size(const struct model *m)
{
    return m->size;
}

real *model_weights(struct model *m)
{
    return m->weights;
}

real *model_gradient(struct model *m)
{
    return m->gradient;
}

/* Deviation sqrt(2 / inputs) keeps the size of values through ReLU layers (He et al., 2015). */
static void init_array(real *weights, int count, int inputs, struct rng *r)
{
    double deviation = sqrt(2.0 / inputs);
    for (int i = 0; i < count; i++)
        weights[i] = (real)(deviation * rng_normal(r));
}

void model_init(struct model *m, uint64_t seed)
{
    struct rng r = rng_for(seed, 1000, 0);
    memset(m->weights, 0, m->size * sizeof(real));
    for (int i = 0; i < BLOCKS; i++) {
        struct spatial *s = &m->blocks[i].spatial;
        struct temporal *t = &m->blocks[i].temporal;
        int row = PARTITIONS * s->in;
        init_array(s->weight, row * s->out, row, &r);
        init_array(t->weight, TAPS * t->channels, TAPS, &r);
        for (int e = 0; e < m->graph.edge_count; e++)
            s->importance[e] = 1;
    }
}

int model_features(const struct model *m)
{
    return head_size(&m->head);
}

const real *model_embed(struct model *m, const real *x)
{
    for (int i = 0; i < BLOCKS; i++) {
        struct block *b = &m->blocks[i];
        spatial_forward(&b->spatial, x, b->gathered, b->middle);
        temporal_forward(&b->temporal, b->middle, b->output);
        x = b->output;
    }
    head_pool(&m->head, x, m->pooled);
    return m->pooled;
}

void model_set_prototype(struct model *m, int class, const real *features)
{
    size_t size = (size_t)head_size(&m->head);
    memcpy(m->head.prototype + (size_t) class * size, features, size * sizeof(real));
}

int model_classify(struct model *m, const real *x, int label, double *ret_loss)
{
    head_score(&m->head, model_embed(m, x), m->score);
    *ret_loss = softmax_loss(m->score, m->head.classes, label);
    int best = 0;
    for (int k = 1; k < m->head.classes; k++)
        if (m->score[k] > m->score[best])
            best = k;
    return best;
}

int model_learn(struct model *m, const real *x, int label, double *ret_loss)
{
    int best = model_classify(m, x, label, ret_loss);
    m->score[label] -= 1; /* probabilities less the truth: the gradient by the scores */
    head_backward(&m->head, &m->d_head, m->pooled, m->score, m->d_pooled,
                  m->blocks[BLOCKS - 1].d_output);
    for (int i = BLOCKS - 1; i >= 0; i--) {
        struct block *b = &m->blocks[i];
        const real *input = i > 0 ? m->blocks[i - 1].output : x;
        real *d_input = i > 0 ? m->blocks[i - 1].d_output : NULL;
        temporal_backward(&b->temporal, &b->d_temporal, b->middle, b->output, b->d_output,
                          b->d_middle);
        spatial_backward(&b->spatial, &b->d_spatial, input, b->gathered, b->middle, b->d_middle,
                         b->scratch, d_input);
    }
    return best;
}
