/* The output of one attempt, on its way into the log store; shared by output.c and positions.c. */
#ifndef CLUSTER_OUTPUT_H
#define CLUSTER_OUTPUT_H

#include "cluster/internal.h"
#include "kube/logs.h"
#include "node/progress.h"

/* Where the source is, and where in the stream of the attempt that belongs. */
struct output_place {
    size_t done;                 /* pods that are pulled */
    struct kube_log_position at; /* in the one that follows */
    int64_t offset;
};

struct output {
    struct output *next;
    struct cluster *cluster;
    struct track *track; /* NULL: it is gone, and a worker still writes */
    struct log_ref ref;
    char container[64];
    char **pods;            /* in the order they are pulled; owned */
    size_t pod_count, done; /* DONE of them are pulled */
    struct kube_log *log;   /* NULL: none is asked for now */
    bool follows;           /* LOG is one of the cluster's streams */
    bool is_looked;         /* into the store, whether the log has ended already */
    bool is_busy;           /* a worker has a piece */
    bool is_paused, is_ending;
    bool pod_is_over; /* the one being pulled has no more; what came of it may still be kept */
    unsigned tries;
    int64_t again_ms, ending_ms; /* steady */

    struct text kept;            /* came in, not given to a worker yet */
    struct kube_log_position at; /* behind it */
    struct output_place taken;   /* behind what workers were given */
    struct output_place written; /* behind what they have written */

    char *pattern; /* of progress; NULL: the usual forms; owned */
    struct progress progress;
    char line[PROGRESS_LINE_MOST];
    size_t line_len;
    char note[256]; /* why there is no more; "" */
};

/* ---- positions.c ---- */

/* Goes on where an earlier life of ours was. */
void positions_take(struct output *o);
void positions_load(struct cluster *c);
void positions_tick(struct cluster *c);
void positions_done(struct cluster *c);

#endif
