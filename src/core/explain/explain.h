/* Why a job waits, from the same facts that plans are made from. */
#ifndef CORE_EXPLAIN_EXPLAIN_H
#define CORE_EXPLAIN_EXPLAIN_H

#include "base/text.h"
#include "core/fleet/fleet.h"
#include "record/phrase.h"

struct explain_reader {
    bool mask_users; /* is not told whose jobs hold things */
    enum language language;
};

/* A stable word for programs, and into OUT one sentence for people: "needs 1 GPU with 8192 MiB
 * free; node a has 2311 MiB free on GPU 0, used by job 12 of bob". For a job that does not wait: ""
 * and nothing is added. */
const char *explain_wait(const struct fleet_view *v, const struct job *j,
                         const struct explain_reader *reader, struct text *out);

/* The same for needs that no job has yet. SHAPE need not be of the view. */
const char *explain_shape(const struct fleet_view *v, const struct shape *shape,
                          const struct explain_reader *reader, struct text *out);

/* How the planner chose a node for a job with so many GPUs, which went to N: a sentence in English;
 * NULL where there was no choice between nodes of this fleet. */
const char *explain_choice(const struct fleet_view *v, const struct node *n, int64_t gpus);

/* The devices of the node that is nearest to serving J and that other attempts hold: their ids into
 * RET, at most MOST. 0 when it does not wait for a device. The answer is the same for all jobs of a
 * shape. */
size_t explain_held_by(const struct fleet_view *v, const struct job *j, int64_t *ret, size_t most);

#endif
