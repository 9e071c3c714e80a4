/*
 * Where a job may run, besides what it needs: labels that a node must have, taints that the job
 * bears. Kept once for all jobs that say the same; compared as hashes, so that a plan compares
 * numbers.
 */
#ifndef CORE_FLEET_WHERE_H
#define CORE_FLEET_WHERE_H

#include "core/fleet/fleet.h"

/* As a job has it: SELECTOR "a=b,c=d", TOLERATIONS "key,key=value,key:Effect,key=value:Effect". */
struct where {
    char selector[FLEET_WHY], tolerations[FLEET_WHY];
    int64_t pair[JOB_PAIRS_MOST], tolerated[JOB_TOLERATIONS_MOST];
    char prefers[FLEET_NAME]; /* a word of models that are taken first; "" is none */
    uint32_t pairs, toleration_count;
    uint32_t jobs; /* open ones that say this; without any it goes */
};

/* A pair of the selector that is no label: GPUs of models like this one are taken first among those
 * that fit, and others where there are none. Its value is a model_word(). */
#define WHERE_PREFERS_MODEL "reeve.gpu/prefers-model"

/* Letters and digits of a model's name, small: "NVIDIA A100-SXM4" -> "nvidiaa100sxm4", cut to SIZE.
 * False: there are none. */
bool model_word(char *to, size_t size, const char *model);
/* Whether WORD is in that of MODEL: "a100" is like every A100. */
bool model_is_like(const char *model, const char *word);

/* Labels of a node, WHERE_CHUNK at a time. */
enum { WHERE_CHUNK = 64 };
struct node_labels {
    int64_t at[WHERE_CHUNK];
    uint32_t count, next; /* row; 0 ends */
};

/* A taint, and the forms of toleration that take it. */
enum { TAINT_FORMS = 4 };
struct node_taint {
    char text[2 * FLEET_NAME]; /* "key=value:Effect", cut */
    int64_t form[TAINT_FORMS];
    uint32_t forms, next; /* row; 0 ends */
    uint32_t is_gpu;      /* marks nodes with GPUs: every job that needs one bears it */
    uint32_t unused;
};

/* Of "key=value", or of a form of toleration; never negative. */
int64_t where_hash(const char *text, size_t len);

/* Whether a taint, "key=value:Effect" or "key:Effect", only says that the node has GPUs. */
bool taint_is_gpu(const char *taint);
/* The forms of toleration that take it: into RET, how many. */
size_t taint_forms(const char *taint, int64_t ret[TAINT_FORMS]);

/* Fills RET from the texts; more than there may be, and what is longer, is cut off. */
void where_fill(struct where *ret, const char *selector, const char *tolerations);

/* The row of what one more open job says, made when it is the first; 0: it says nothing. */
uint32_t where_take(struct fleet *f, const char *selector, const char *tolerations);
void where_drop(struct fleet *f, uint32_t row);

/* What a job or shape with this row says; NULL: nothing. NO_ROW: what V->other_where points to. */
const struct where *fleet_where(const struct fleet_view *v, uint32_t row);
/* "" is nothing. */
const char *fleet_selector(const struct fleet_view *v, const struct job *j);
const char *fleet_tolerations(const struct fleet_view *v, const struct job *j);

/* NULL behind the last. */
const struct node_labels *fleet_labels(const struct fleet_view *v, uint32_t row);
const struct node_taint *fleet_taint(const struct fleet_view *v, uint32_t row);
bool node_has_label(const struct fleet_view *v, const struct node *n, int64_t label);
/* The first pair of W that the node lacks: its place among those of the selector; -1: it has all.
 */
int node_lacks(const struct fleet_view *v, const struct node *n, const struct where *w);
/* The first taint that keeps a job away that says W (NULL: nothing) and needs GPUS; NULL: none. */
const struct node_taint *node_repels(const struct fleet_view *v, const struct node *n,
                                     const struct where *w, unsigned gpus);

/* While an event is applied: the node has none any more; has these behind the others. */
void node_forget_labels(struct fleet *f, struct node *n);
void node_forget_taints(struct fleet *f, struct node *n);
void node_add_labels(struct fleet *f, struct node *n, const int64_t *labels, size_t count);
void node_add_taint(struct fleet *f, struct node *n, const struct node_taint *taint);

#endif
