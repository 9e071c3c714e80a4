#include "train.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Kinds of random streams; see rng_for(). */
enum { STREAM_ORDER = 2000, STREAM_AUGMENT = 3000 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The learning rate falls from its start value along half a cosine to a fiftieth of it. */
static double lr_now(const struct training *t)
{
    double steps = (double)training_steps_per_epoch(t);
    double done = ((double)t->epoch + (double)t->step / steps) / (double)t->config.epochs;
    return t->config.lr * (0.02 + 0.98 * 0.5 * (1 + cos(3.14159265358979323846 * done)));
}

static void shuffle(struct training *t)
{
    struct rng r = rng_for((uint64_t)t->config.seed, STREAM_ORDER, (uint64_t)t->epoch);
    for (int i = 0; i < t->train->count; i++)
        t->order[i] = i;
    for (int i = t->train->count - 1; i > 0; i--) {
        int other = (int)rng_below(&r, (uint32_t)i + 1), kept = t->order[i];
        t->order[i] = t->order[other];
        t->order[other] = kept;
    }
}

/* A prototype begins as the mean of its class, so that learning begins with "nearest mean" and not
 * with guesses. */
static void init_prototypes(struct training *t)
{
    int features = model_features(t->model), classes = (int)t->config.classes;
    real *mean = room_for((size_t)features, sizeof *mean);
    for (int k = 0; k < classes; k++) {
        memset(mean, 0, (size_t)features * sizeof *mean);
        int count = (t->train->count - k + classes - 1) / classes;
        for (int i = 0; i < t->train->count; i++) {
            if (t->train->labels[i] != k)
                continue;
            dataset_view(t->train, i, t->config.stream, &t->norm, NULL, t->view);
            const real *z = model_embed(t->model, t->view);
            for (int f = 0; f < features; f++)
                mean[f] += z[f] / (real)count;
        }
        model_set_prototype(t->model, k, mean);
    }
    free(mean);
}

void training_init(struct training *t, const struct config *c)
{
    *t = (struct training){.config = *c};
    t->train = dataset_new(c, PART_TRAIN);
    t->val = dataset_new(c, PART_VAL);
    t->norm = norm_of(t->train, c->stream);
    t->model = model_new(c);
    optimizer_init(&t->optimizer, c, model_size(t->model));
    t->history = room_for((size_t)c->epochs, sizeof *t->history);
    t->order = room_for((size_t)t->train->count, sizeof *t->order);
    t->view = room_for((size_t)(c->frames * c->joints * CHANNELS), sizeof *t->view);
    model_init(t->model, (uint64_t)c->seed);
    init_prototypes(t);
}

void training_done(struct training *t)
{
    dataset_free(t->train);
    dataset_free(t->val);
    model_free(t->model);
    optimizer_done(&t->optimizer);
    free(t->history);
    free(t->order);
    free(t->view);
    *t = (struct training){0};
}

int64_t training_steps_per_epoch(const struct training *t)
{
    return (t->config.train_samples + t->config.batch - 1) / t->config.batch;
}

bool training_is_over(const struct training *t)
{
    return t->epoch >= t->config.epochs;
}

static void end_epoch(struct training *t, double lr, double began_ms)
{
    struct score val = training_evaluate(t, t->val);
    t->history[t->epoch] = (struct epoch_row){
        .loss = t->loss_sum / (double)t->seen,
        .train_acc = (double)t->right / (double)t->seen,
        .val_acc = score_accuracy(&val),
        .lr = lr,
        .ms = t->ms + now_ms() - began_ms,
    };
    t->epoch++;
    t->step = t->right = t->seen = 0;
    t->loss_sum = t->ms = 0;
}

/* The gradient of the mean loss over COUNT samples, the first of them the FIRST in this order. */
static void learn_batch(struct training *t, int first, int count)
{
    const struct config *c = &t->config;
    real *gradient = model_gradient(t->model);
    memset(gradient, 0, model_size(t->model) * sizeof *gradient);
    for (int i = first; i < first + count; i++) {
        int sample = t->order[i], label = t->train->labels[sample];
        struct rng r =
            rng_for((uint64_t)c->seed, STREAM_AUGMENT + (uint64_t)t->epoch, (uint64_t)sample);
        dataset_view(t->train, sample, c->stream, &t->norm, c->augment ? &r : NULL, t->view);
        double loss = 0;
        t->right += model_learn(t->model, t->view, label, &loss) == label;
        t->loss_sum += loss;
    }
    t->seen += count;
    for (size_t i = 0; i < model_size(t->model); i++)
        gradient[i] /= (real)count;
}

int training_step(struct training *t, struct why *w)
{
    assert(!training_is_over(t));
    double began_ms = now_ms(), lr = lr_now(t);
    int first = (int)(t->step * t->config.batch), count = t->train->count - first;
    if (count > t->config.batch)
        count = (int)t->config.batch;

    shuffle(t); /* cheap, and correct in the middle of an epoch that a checkpoint began */
    learn_batch(t, first, count);
    if (!isfinite(t->loss_sum))
        return why_set(w,
                       "the loss is no number any more in epoch %lld, step %lld: try a learning "
                       "rate below %g",
                       (long long)t->epoch + 1, (long long)t->step + 1, t->config.lr);

    optimizer_step(&t->optimizer, lr, model_weights(t->model), model_gradient(t->model));
    t->step++;
    if (t->step == training_steps_per_epoch(t))
        end_epoch(t, lr, began_ms);
    else
        t->ms += now_ms() - began_ms;
    return 0;
}

struct score training_evaluate(struct training *t, const struct dataset *d)
{
    struct score s = {.loss = 0};
    for (int i = 0; i < d->count; i++) {
        double loss = 0;
        int label = d->labels[i];
        dataset_view(d, i, t->config.stream, &t->norm, NULL, t->view);
        s.right[label] += model_classify(t->model, t->view, label, &loss) == label;
        s.all[label]++;
        s.loss += loss / d->count;
    }
    return s;
}

double score_accuracy(const struct score *s)
{
    int64_t right = 0, all = 0;
    for (int k = 0; k < ACTIONS; k++) {
        right += s->right[k];
        all += s->all[k];
    }
    return all ? (double)right / (double)all : 0;
}
