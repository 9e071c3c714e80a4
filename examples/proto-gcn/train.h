/*
 * A training run, one step at a time. Everything random in it follows from (seed, epoch, sample),
 * so a run that stops after any step and goes on from its checkpoint ends with the same weights,
 * bit for bit, as one that was never stopped.
 */
#ifndef PROTO_GCN_TRAIN_H
#define PROTO_GCN_TRAIN_H

#include "config.h"
#include "data.h"
#include "model.h"
#include "optimizer.h"

struct epoch_row {
    double loss, train_acc, val_acc, lr, ms;
};

/* Right and all of some samples, by class. */
struct score {
    int64_t right[ACTIONS], all[ACTIONS];
    double loss; /* mean */
};

struct training {
    struct config config;
    struct dataset *train, *val;
    struct norm norm;
    struct model *model;
    struct optimizer optimizer;

    /* Where we are: EPOCH epochs are complete, and STEP steps of the next one. */
    int64_t epoch, step;
    /* Of the epoch under way: */
    double loss_sum, ms;
    int64_t right, seen;

    struct epoch_row *history; /* [config.epochs]; the first EPOCH of them are set */
    int *order;                /* of the samples in the epoch under way */
    real *view;                /* one sample as the net sees it */
};

/* Makes the data and a fresh model whose prototypes are the means of their classes. */
void training_init(struct training *t, const struct config *c);
void training_done(struct training *t);

int64_t training_steps_per_epoch(const struct training *t);
bool training_is_over(const struct training *t);

/*
 * One batch; the last one of an epoch also looks at the validation samples and adds a row to the
 * history. Fails when the loss is no number any more: the learning rate was too high.
 */
int training_step(struct training *t, struct why *w);

struct score training_evaluate(struct training *t, const struct dataset *d);
double score_accuracy(const struct score *s);

#endif
