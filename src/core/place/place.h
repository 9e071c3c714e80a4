/*
 * Where a job could run: filter, then score. Functions of a view and of what the plan under way has
 * already given out; nothing is changed but that.
 */
#ifndef CORE_PLACE_PLACE_H
#define CORE_PLACE_PLACE_H

#include "core/fleet/fleet.h"

/* A node's devices in short, so that most of them need not be looked at one by one. */
struct place_node {
    uint32_t usable, able;           /* now, but for their memory; at all */
    uint32_t hidden;                 /* so many of the usable are taken, and nobody says which */
    uint32_t least_free, least_size; /* MiB, of the usable and of the able */
    bool known;                      /* the above is set */
    bool touched;                    /* something here is given out or put aside */
};

/* What a plan has given out or put aside so far, on top of what the view shows. */
struct place_plan {
    const struct fleet_view *view;
    struct place_node *node; /* by id */
    uint32_t *touched;       /* ids of these */
    size_t touched_count;
    uint8_t *device;     /* by id: 1 given out, 2 put aside for a job further in front */
    uint32_t *cpu_milli; /* by node id: given out or put aside */
    uint32_t *memory_mib;
    int64_t *owner;  /* by node id: principal that a node without isolation was given to; 0 */
    bool ties_by_id; /* as plans of version 1 were made */
};

void place_plan_init(struct place_plan *p, const struct fleet_view *v);
void place_plan_done(struct place_plan *p);

/* For a plan that is made again and again on a view that changes a little: forgets what was given
 * out; and that this node, or a device of it, has changed in the view. */
void place_plan_reset(struct place_plan *p);
void place_plan_changed(struct place_plan *p, int64_t node);

enum place_answer {
    PLACE_FITS,
    PLACE_LATER, /* some node will do once others are done or it is less busy */
    PLACE_NEVER, /* no node as the fleet is now */
};

struct place_choice {
    int64_t node; /* FITS: where; LATER: the node that is nearest to it; NEVER: 0 */
    int64_t device[JOB_GPUS_MOST];
    int devices;
};

/*
 * Among the nodes that fit: those first that have GPUs of a model that is preferred; the fullest
 * for a part of a node, the emptiest for a whole one, ties by name. On the node those devices first
 * that no process of others uses, of these the smallest that do, ties by their number.
 */
enum place_answer place_find(const struct place_plan *p, const struct shape *s,
                             struct place_choice *ret);
/* Gives the choice to the job, so that the next one sees it as taken. */
void place_take(struct place_plan *p, const struct shape *s, const struct place_choice *c);
/* Puts aside on this node what the shape will need there. */
void place_reserve(struct place_plan *p, const struct shape *s, int64_t node);

/* Why a device does not serve this shape now. */
enum device_fit {
    FIT_OK,
    FIT_TOO_SMALL, /* for ever */
    FIT_UNHEALTHY,
    FIT_TWIN,     /* another node has one with the same uuid */
    FIT_HELD,     /* by an attempt */
    FIT_BUSY,     /* the gate: others use it */
    FIT_NOT_FREE, /* not enough memory free just now */
    FIT_GIVEN,    /* by this plan */
    FIT_RESERVED,
};
enum device_fit place_device_fit(const struct place_plan *p, const struct shape *s,
                                 const struct device *d);

enum node_fit {
    NODE_FITS,
    NODE_NOT_HEARD,
    NODE_BUSY,   /* CPU or memory: the gate; or it has just refused a start */
    NODE_NO_CPU, /* reserved by jobs */
    NODE_NO_MEMORY,
    NODE_TOO_SMALL,   /* for ever: CPU, memory or devices */
    NODE_OTHERS_ONLY, /* no isolation: it runs jobs of one principal */
    NODE_NO_DEVICES,  /* not enough of them free */
    NODE_CORDONED,    /* its cluster says that it takes no new work */
    NODE_NO_CLUSTER,  /* for ever: the job needs a node of a cluster */
    NODE_NO_MACHINE,  /* for ever: it has no image, and this is a cluster's */
    NODE_NO_LABEL,    /* it lacks one that the job asks for */
    NODE_TAINTED,     /* it has a taint that the job does not bear */
};
/* No job of others has to end, no node to become calm: as the fleet is, it will never do. */
bool node_fit_is_never(enum node_fit fit);
/* FREE: how many devices serve it now; ABLE: how many could at all. */
enum node_fit place_node_fit(const struct place_plan *p, const struct shape *s,
                             const struct node *n, int *ret_free, int *ret_able);

#endif
