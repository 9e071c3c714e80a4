/*
 * Custom resources of a cluster as jobs of the fleet: a TrainingJob is a job that is handed in with
 * kubectl, a GPUAllocation a GPU that is held until the object is deleted. It watches both, hands
 * in one job for each, writes down in its status how that job goes, and cancels it when the object
 * is deleted. An object acts as the user that an administrator wrote on its namespace (annotation
 * reeve.gpu/user); in a namespace without one nothing is done.
 *
 * It works on a thread that somebody else runs, with a client of the cluster; it keeps nothing:
 * what matters stands in the objects, and in the engine under the object's uid.
 */
#ifndef OPERATOR_RECONCILER_H
#define OPERATOR_RECONCILER_H

#include "base/json.h"
#include "engine/engine.h"
#include "kube/client.h"

struct reconciler;

/* Copied, texts too. */
struct reconciler_config {
    /* A job as people write it (POST /api/v1/jobs) -> a submission, whose SPEC is the caller's
     * then. A job that names its user is an error. On the thread of the operator. */
    int (*read_job)(void *arg, const json_t *job, struct submission *ret, struct err *e);
    void *arg;
    /* What holds a GPU for a GPUAllocation: a pod of this image, with reeve-agent in it. NULL:
     * FALLBACK_IMAGE, which must have "sh" and "sleep"; both NULL: there are no GPUAllocations. */
    const char *hold_image, *fallback_image;

    /* For tests: pauses shorter than in life; 0: as usual. */
    int64_t tick_ms;    /* 1 s */
    int64_t refresh_ms; /* how often a place in the queue is told anew; 10 s */
    int64_t ask_ms;     /* between tries of what failed, at least; 2 s */
};

/* Never NULL. */
struct reconciler *reconciler_new(const struct reconciler_config *config);

/* On the thread of BOX and CLIENT, both of which must last until reconciler_stop(). */
void reconciler_start(struct reconciler *o, struct engine *g, struct kube_client *client,
                      struct mailbox *box);
/* On the same thread, before the client goes; the loop must run until the timer has gone. */
void reconciler_stop(struct reconciler *o);
/* Behind engine_stop(), once no message to BOX can come any more. NULL is fine. */
void reconciler_free(struct reconciler *o);

#endif
