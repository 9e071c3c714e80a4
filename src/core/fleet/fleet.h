/*
 * The fleet: every principal, node, device, open job, attempt and part, as tables that can be
 * shared as snapshots. This is what plans, answers and digests are made from.
 *
 * Changed only by core_apply() (core/apply.h). Reading functions take a view: the live one on the
 * owner thread, or a snapshot's on any thread.
 */
#ifndef CORE_FLEET_FLEET_H
#define CORE_FLEET_FLEET_H

#include "base/digest.h"
#include "core/fleet/tree.h"
#include "record/job.h"
#include "record/tables.h"

#include <string.h>

enum { FLEET_NAME = 64, FLEET_WHY = 256 };

/* Principals, nodes and devices are few and never forgotten: their id is their row; row 0 is
 * unused. */

struct principal {
    int64_t id;
    char name[FLEET_NAME];
    char team[FLEET_NAME];
    int64_t created_ms, disabled_ms;
    int32_t role; /* enum role */
    uint32_t open_jobs;
};

enum node_state {
    NODE_NONE, /* enrolled, never heard */
    NODE_READY,
    NODE_UNKNOWN, /* silent, or not yet heard under this epoch: its devices are not given out */
    NODE_GONE,    /* declared lost */
    NODE_RETIRED_,
    NODE_STATES
};
const char *node_state_name(enum node_state s);

enum node_isolation { ISOLATION_NONE, ISOLATION_SHARED, ISOLATION_USER };
const char *isolation_name(int isolation);

enum node_busy {
    NODE_IS_FREE,
    NODE_IS_USED, /* by others, above the gate's thresholds */
    NODE_REFUSES, /* a start, for a reason that no fact shows: left alone for a while, gate or not
                   */
};

struct node {
    int64_t id;
    char name[FLEET_NAME];
    char cluster[FLEET_NAME]; /* whose node it is; "": a machine with an agent */
    char boot_id[FLEET_NAME], data_id[FLEET_NAME], version[32];
    int64_t enrolled_ms, since_ms, heard_epoch;
    int64_t only_principal; /* isolation none: whose jobs it runs; 0: not decided yet */
    int32_t state, isolation, cpu_pct, memory_pct;
    int32_t busy;                             /* enum node_busy */
    uint32_t cpu_milli, memory_mib;           /* what it has */
    uint32_t cpu_milli_used, memory_mib_used; /* what jobs have reserved */
    uint32_t attempts;                        /* open ones here */
    uint32_t first_device, devices;           /* chained by next_on_node */
    /* What its cluster says, under this epoch; of a machine nothing is set. */
    uint32_t has_share;                         /* the next two are set */
    uint32_t share_cpu_milli, share_memory_mib; /* of the above, less what pods of others ask for */
    uint32_t foreign_gpus; /* such pods ask for so many, and nobody says which */
    uint32_t cordoned;
    char share_why[128];     /* why it takes no new work; "" is none */
    uint32_t labels, taints; /* rows, chained; 0: none */
};

enum device_health { DEVICE_OK, DEVICE_UNKNOWN, DEVICE_FAULTY, DEVICE_GONE, DEVICE_HEALTHS };
const char *device_health_name(int health);

/* Where a device's time goes. Together they are all of it. */
#define BUCKETS(X)                                                                                 \
    X(JOBS, jobs)                                                                                  \
    X(RESERVED, reserved)                                                                          \
    X(IDLE, idle)                                                                                  \
    X(MAINTENANCE, maintenance)                                                                    \
    X(FAULTY, faulty)                                                                              \
    X(FOREIGN, foreign_use)                                                                        \
    X(UNMEASURED, unmeasured)                                                                      \
    X(SYSTEM, system)
enum bucket {
#define X(id, name) BUCKET_##id,
    BUCKETS(X)
#undef X
        BUCKET_COUNT
};
const char *bucket_name(enum bucket b);

struct device {
    int64_t id;
    char uuid[FLEET_NAME + 32], model[FLEET_NAME], vendor[16];
    int64_t node, number; /* its place in the machine, from 0 */
    int64_t since_ms, first_seen_ms;
    uint32_t memory_mib, free_mib;
    int32_t health, busy, foreign, gpu_pct;
    char why[128];         /* health or business, in words */
    int64_t twin;          /* another node's device with this uuid: not given out; 0: none */
    uint32_t attempt;      /* row of who holds it; NO_ROW: nobody */
    uint32_t next_on_node; /* NO_ROW ends */
    /* The day's account: buckets in microseconds x thousandths of the device. */
    int64_t day, upto_ms; /* day: days since 1970 */
    int64_t bucket[BUCKET_COUNT];
    int64_t energy_mj; /* of attempts that ended today */
};

struct job {
    int64_t id, submitted_ms, since_ms, started_ms;
    int64_t run_ms, energy_mj, cost_micros; /* of ended attempts */
    uint64_t place; /* lower goes first: the ledger number of its submission or retry */
    uint32_t principal, submitter, team, shape, attempt;
    uint32_t gpu_memory_mib, cpu_milli, memory_mib, time_limit_s, attempts;
    uint32_t pause_ms; /* waits, but is not planned for so long after SINCE_MS */
    uint32_t hold;     /* row of its hold; 0: it is not held */
    uint16_t gpus, retries, retries_left, flags;
    uint8_t state, unused[3];
    uint32_t where; /* row of where it may run; 0: anywhere */
};
_Static_assert(sizeof(struct job) <= 128, "a queued job is at most 128 bytes hot");

/* A waiting job that keeps its place and is passed over until somebody releases it. */
struct hold {
    int64_t job, actor, since_ms;
    char why[FLEET_WHY]; /* "" is none given */
};

struct attempt {
    int64_t job, n, node;
    int64_t decided_ms, started_ms, cancel_ms, sent_ms, epoch;
    int64_t gpu_hour_micros; /* fixed when it was decided */
    uint32_t job_row, first_part, parts;
    uint8_t state, unused[3];
    char boot_id[FLEET_NAME], data_id[FLEET_NAME];
    char why[128]; /* why it has not begun, though it is on its node; "" is none */
};

/* What an attempt holds: a whole device (capacity 1000), later a MIG instance or a share. */
struct part {
    int64_t device;
    int64_t wanted_ms, bound_ms;
    uint32_t capacity, attempt, next;
    uint32_t unused;
};

/* Waiting jobs with the same owner and needs. What blocks one blocks all. */
struct shape {
    uint32_t principal, gpu_memory_mib, cpu_milli, memory_mib;
    uint16_t gpus, flags;
    uint8_t awake; /* something changed that may let it start */
    uint8_t unused[3];
    uint32_t ready; /* waiting jobs that are not held */
    uint32_t
        reserved_node; /* blocked: where it will start, so that later jobs leave room; 0: none */
    uint32_t where;    /* as a job's */
    uint32_t unused_too;
};

struct team_label {
    char text[FLEET_NAME];
};

struct policy {
    int64_t version, gate_off, gate_free_mib, gate_gpu_pct, gate_cpu_pct, gate_memory_pct;
    int64_t gpu_hour_micros, kwh_micros, pue_milli, lost_after_ms;
    char currency[8];
};

/* Everything a reader needs. Small: copied as a whole into each snapshot. */
struct fleet_view {
    struct table_view principals, nodes, devices, jobs, holds, attempts, parts, shapes, labels,
        wheres, node_labels, node_taints, tree_nodes;
    struct tree by_id;    /* (0, job id) -> job row: every open job */
    struct tree by_owner; /* (principal, job id) */
    struct tree waiting;  /* (0, place): the queue */
    struct tree
        by_shape; /* (shape, place): waiting jobs of a shape that neither pause nor are held */
    struct tree paused;      /* (when it is due, place): waiting jobs that are not planned yet */
    struct tree running;     /* (0, job id): scheduled and running */
    struct tree shape_keys;  /* hash of a shape's needs -> shape */
    struct tree team_names;  /* hash of a team's name -> label */
    struct tree where_texts; /* hash of what jobs say of where -> its row */
    const struct where *other_where; /* row NO_ROW, for a shape that is not of this view */
    uint32_t awake;                  /* shapes that something changed for: a plan is due */
    struct policy policy;
    int64_t last_seq; /* the newest event applied */
    int64_t last_time_ms;
    int64_t epoch;
    int64_t next_job;
    int64_t principal_count, node_count, device_count; /* ids given so far */
    int64_t completed, failed, cancelled;              /* since the store was made */
    char incarnation[FLEET_NAME], site[16];
};

struct fleet {
    struct fleet_view view; /* its table views are kept equal to the tables' own */
    struct table principals, nodes, devices, jobs, holds, attempts, parts, shapes, labels, wheres,
        node_labels, node_taints, tree_nodes;
    struct pages *pages;
};

struct fleet *fleet_new(void);
void fleet_free(struct fleet *f);
/* After rows were added: lets the view see them. core calls it; nobody else needs to. */
void fleet_refresh(struct fleet *f);

/* A snapshot: taken and dropped by the owner, read by anyone in between. */
struct snapshot {
    struct fleet_view view;
    uint64_t moment;
};
void fleet_snapshot(struct fleet *f, struct snapshot *ret);
void fleet_snapshot_drop(struct fleet *f, struct snapshot *s);

/* Borrowed rows; NULL: there is none. By id, not by row. */
const struct principal *fleet_principal(const struct fleet_view *v, int64_t id);
const struct principal *fleet_principal_named(const struct fleet_view *v, const char *name);
const struct node *fleet_node(const struct fleet_view *v, int64_t id);
const struct node *fleet_node_named(const struct fleet_view *v, const char *name);
const struct device *fleet_device(const struct fleet_view *v, int64_t id);
const struct job *fleet_job(const struct fleet_view *v, int64_t id);
uint32_t fleet_job_row(const struct fleet_view *v, int64_t id); /* NO_ROW */
const struct attempt *fleet_job_attempt(const struct fleet_view *v, const struct job *j);
const struct hold *fleet_job_hold(const struct fleet_view *v, const struct job *j);
const char *fleet_team(const struct fleet_view *v, const struct job *j); /* "" is none */

/* One of those that a cluster only counts: "NODE/RESOURCE/INDEX", no uuid that a driver gave (of
 * which "MIG-GPU-.../1/0" has such strokes, and no node has such a name). */
static inline bool device_is_counted(const struct device *d)
{
    return strchr(d->uuid, '/') != NULL && strncmp(d->uuid, "MIG-", 4) != 0;
}

/* When a waiting job is planned at the earliest; 0: it does not pause. */
static inline int64_t job_due_ms(const struct job *j)
{
    return j->pause_ms ? j->since_ms + j->pause_ms : 0;
}
/* When the first of them is due; 0: none pauses. */
int64_t fleet_next_due(const struct fleet_view *v, const struct job **ret_job);

/* Its place among the waiting, from 1; 0 when it does not wait. */
int64_t fleet_position(const struct fleet_view *v, const struct job *j);
static inline int64_t fleet_queue_length(const struct fleet_view *v)
{
    return v->waiting.count;
}

static inline const struct job *fleet_job_at(const struct fleet_view *v, uint32_t row)
{
    return table_row(&v->jobs, row);
}
static inline const struct attempt *fleet_attempt_at(const struct fleet_view *v, uint32_t row)
{
    return table_row(&v->attempts, row);
}
static inline const struct part *fleet_part_at(const struct fleet_view *v, uint32_t row)
{
    return table_row(&v->parts, row);
}
static inline const struct shape *fleet_shape_at(const struct fleet_view *v, uint32_t row)
{
    return table_row(&v->shapes, row);
}

/* A digest over everything that plans are made from, the same for the same history. */
struct digest fleet_digest(const struct fleet_view *v);

#endif
