#include "layer.h"

#include <string.h>

static void zero(real *x, size_t n)
{
    memset(x, 0, n * sizeof *x);
}

static void relu(real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

static void relu_backward(const real *y, real *d_y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        d_y[i] = y[i] > 0 ? d_y[i] : 0;
}

/* Y [out] += X [in] times M [in][out]. The inner loop runs over neighbours in memory without a sum
 * across them, so the compiler can use vectors and the result does not depend on whether it did. */
static void add_product(real *restrict y, const real *restrict x, const real *restrict m, int in,
                        int out)
{
    for (int i = 0; i < in; i++, m += out)
        for (int o = 0; o < out; o++)
            y[o] += x[i] * m[o];
}

/* --- spatial --- */

/* GATHERED := what each joint collects from its neighbours in X, for one frame. */
static void gather(const struct spatial *s, const real *x, real *gathered)
{
    int in = s->in, row = PARTITIONS * in;
    zero(gathered, (size_t)(s->graph->joints * row));
    for (int i = 0; i < s->graph->edge_count; i++) {
        const struct edge *e = &s->graph->edges[i];
        real weight = (real)e->weight * s->importance[i];
        real *to = gathered + e->to * row + e->partition * in;
        const real *from = x + e->from * in;
        for (int c = 0; c < in; c++)
            to[c] += weight * from[c];
    }
}

void spatial_forward(const struct spatial *s, const real *x, real *gathered, real *y)
{
    int n = s->graph->joints, row = PARTITIONS * s->in;
    real *first = y;
    for (int t = 0; t < s->frames; t++, x += n * s->in) {
        gather(s, x, gathered);
        for (int j = 0; j < n; j++, gathered += row, y += s->out) {
            memcpy(y, s->bias, (size_t)s->out * sizeof *y);
            add_product(y, gathered, s->weight, row, s->out);
        }
    }
    relu(first, (size_t)(y - first));
}

/* The way back through gather(), for one frame. */
static void scatter(const struct spatial *s, real *d_importance, const real *x,
                    const real *d_gathered, real *d_x)
{
    int in = s->in, row = PARTITIONS * in;
    if (d_x)
        zero(d_x, (size_t)(s->graph->joints * in));
    for (int i = 0; i < s->graph->edge_count; i++) {
        const struct edge *e = &s->graph->edges[i];
        const real *d_to = d_gathered + e->to * row + e->partition * in;
        const real *from = x + e->from * in;
        real sum = 0;
        for (int c = 0; c < in; c++)
            sum += d_to[c] * from[c];
        d_importance[i] += (real)e->weight * sum;

        real weight = (real)e->weight * s->importance[i];
        for (int c = 0; c < in && d_x; c++)
            d_x[e->from * in + c] += weight * d_to[c];
    }
}

void spatial_backward(const struct spatial *s, const struct spatial *grad, const real *x,
                      const real *gathered, const real *y, real *d_y, real *scratch, real *d_x)
{
    int n = s->graph->joints, row = PARTITIONS * s->in, out = s->out;
    real *transposed = scratch, *d_gathered = scratch + row * out;
    for (int i = 0; i < row; i++)
        for (int o = 0; o < out; o++)
            transposed[o * row + i] = s->weight[i * out + o];

    relu_backward(y, d_y, (size_t)(s->frames * n * out));
    for (int t = 0; t < s->frames; t++, x += n * s->in) {
        zero(d_gathered, (size_t)(n * row));
        for (int j = 0; j < n; j++, gathered += row, d_y += out) {
            for (int o = 0; o < out; o++)
                grad->bias[o] += d_y[o];
            for (int i = 0; i < row; i++)
                for (int o = 0; o < out; o++)
                    grad->weight[i * out + o] += gathered[i] * d_y[o];
            add_product(d_gathered + j * row, d_y, transposed, out, row);
        }
        scatter(s, grad->importance, x, d_gathered, d_x);
        if (d_x)
            d_x += n * s->in;
    }
}

/* --- temporal --- */

int temporal_frames(int frames)
{
    return (frames + STRIDE - 1) / STRIDE;
}

/* The frame that tap K of output frame T looks at, or -1 outside of the clip. */
static int tapped(const struct temporal *l, int t, int k)
{
    int source = t * STRIDE + k - TAPS / 2;
    return source < l->frames ? source : -1;
}

void temporal_forward(const struct temporal *l, const real *x, real *y)
{
    int channels = l->channels, row = l->joints * channels, frames = temporal_frames(l->frames);
    for (int t = 0; t < frames; t++) {
        real *to = y + t * row;
        for (int j = 0; j < l->joints; j++)
            memcpy(to + j * channels, l->bias, (size_t)channels * sizeof *to);
        for (int k = 0; k < TAPS; k++) {
            int source = tapped(l, t, k);
            for (int i = 0; i < row && source >= 0; i += channels)
                for (int c = 0; c < channels; c++)
                    to[i + c] += l->weight[k * channels + c] * x[source * row + i + c];
        }
    }
    relu(y, (size_t)(frames * row));
}

void temporal_backward(const struct temporal *l, const struct temporal *grad, const real *x,
                       const real *y, real *d_y, real *d_x)
{
    int channels = l->channels, row = l->joints * channels, frames = temporal_frames(l->frames);
    relu_backward(y, d_y, (size_t)(frames * row));
    zero(d_x, (size_t)(l->frames * row));
    for (int t = 0; t < frames; t++) {
        const real *d_to = d_y + t * row;
        for (int i = 0; i < row; i += channels)
            for (int c = 0; c < channels; c++)
                grad->bias[c] += d_to[i + c];
        for (int k = 0; k < TAPS; k++) {
            int source = tapped(l, t, k);
            for (int i = 0; i < row && source >= 0; i += channels) {
                for (int c = 0; c < channels; c++) {
                    grad->weight[k * channels + c] += d_to[i + c] * x[source * row + i + c];
                    d_x[source * row + i + c] += d_to[i + c] * l->weight[k * channels + c];
                }
            }
        }
    }
}

/* --- head --- */

int head_size(const struct head *h)
{
    return BODY_PARTS * h->channels;
}

/* What one value of joint J counts in the mean of its part of the body. */
static real share_of(const struct head *h, int j)
{
    return 1 / (real)(h->frames * h->graph->part_size[joints[j].part]);
}

void head_pool(const struct head *h, const real *x, real *pooled)
{
    zero(pooled, (size_t)head_size(h));
    for (int t = 0; t < h->frames; t++) {
        for (int j = 0; j < h->graph->joints; j++, x += h->channels) {
            real *to = pooled + joints[j].part * h->channels, share = share_of(h, j);
            for (int c = 0; c < h->channels; c++)
                to[c] += share * x[c];
        }
    }
}

void head_score(const struct head *h, const real *pooled, real *score)
{
    int size = head_size(h);
    for (int k = 0; k < h->classes; k++) {
        real sum = 0;
        for (int i = 0; i < size; i++) {
            real away = pooled[i] - h->prototype[k * size + i];
            sum += away * away;
        }
        score[k] = -sum / 2;
    }
}

void head_backward(const struct head *h, const struct head *grad, const real *pooled,
                   const real *d_score, real *d_pooled, real *d_x)
{
    int size = head_size(h);
    zero(d_pooled, (size_t)size);
    for (int k = 0; k < h->classes; k++) {
        for (int i = 0; i < size; i++) {
            real pull = d_score[k] * (pooled[i] - h->prototype[k * size + i]);
            grad->prototype[k * size + i] += pull;
            d_pooled[i] -= pull;
        }
    }
    for (int t = 0; t < h->frames; t++) {
        for (int j = 0; j < h->graph->joints; j++, d_x += h->channels) {
            const real *from = d_pooled + joints[j].part * h->channels;
            real share = share_of(h, j);
            for (int c = 0; c < h->channels; c++)
                d_x[c] = share * from[c];
        }
    }
}

double softmax_loss(real *score, int n, int label)
{
    int best = 0;
    for (int k = 1; k < n; k++)
        if (score[k] > score[best])
            best = k;
    double most = score[best], others = 0;
    for (int k = 0; k < n; k++)
        others += k == best ? 0 : exp(score[k] - most);
    double loss = log1p(others) - (score[label] - most);
    for (int k = 0; k < n; k++)
        score[k] = (real)(exp(score[k] - most) / (1 + others));
    return loss;
}
