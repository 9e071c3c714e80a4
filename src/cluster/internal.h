/* Shared by the files of cluster; not for anybody else. All on the cluster's thread unless said
 * otherwise. */
#ifndef CLUSTER_INTERNAL_H
#define CLUSTER_INTERNAL_H

#include "cluster/agents.h"
#include "cluster/cluster.h"
#include "cluster/facts.h"
#include "kube/object.h"
#include "kube/watch.h"
#include "net/loop.h"
#include "runner/kube_runner.h"

struct member;
struct track;
struct output;

/* ---- one attempt ---- */

/*
 *   TELLING --> MAKING <--> LOOKING
 *      |           |           |
 *      |           +-> THERE <-+      each may go to OVER: its end is known, and told until the
 *      |                 |            engine's "forget" says that it is durable
 *      +---> OVER <------+
 *              |
 *            FREED    our finalizer is off; the object goes when it was kept for long enough
 */
enum track_phase {
    TRACK_TELLING, /* that it will be made, which must be durable before it is */
    TRACK_MAKING,
    TRACK_LOOKING, /* it may be there: nobody knows */
    TRACK_THERE,
    TRACK_OVER,
    TRACK_FREED,
};

/* Why we end it ourselves. */
enum track_cause {
    CAUSE_NONE,
    CAUSE_CANCEL,
    CAUSE_TIME_LIMIT,
    CAUSE_START_LIMIT,
    CAUSE_CROWDED,  /* others have what it was decided for */
    CAUSE_DELETED,  /* somebody deleted its object, which our finalizer keeps going */
    CAUSE_NOT_OURS, /* the engine does not know it (any more) */
    CAUSE_REST,     /* the job has ended, and others in its pod go on */
};

struct track {
    struct track *next_in_bucket, *next_of_member, *next_dirty, *next_told;
    struct cluster *cluster;
    struct member *member;
    const struct kube_runner *runner; /* NULL: it could not even be made */
    int64_t job, n;
    char id[ATTEMPT_ID_SIZE];
    char name[ATTEMPT_NAME_SIZE];

    uint8_t phase;     /* enum track_phase */
    uint8_t cause;     /* enum track_cause */
    bool is_dirty;     /* in its member's list: something is to be told */
    bool is_in_report; /* the one under way has it */
    bool is_seen;      /* its object was in a list or stream */
    bool is_gone;      /* ... and is no more */
    bool is_ending;    /* the request that ends it was done */
    bool is_forgotten; /* its end is durable */
    bool is_freed;     /* our finalizer is off */
    bool is_removed;   /* its object was deleted */
    bool was_warned;   /* of its time limit */
    bool was_made;     /* by us, in this life */
    bool is_pressed;   /* it did not end when it was asked to: its pods were deleted */

    struct kube_call *call;        /* about its object; NULL: none under way */
    struct kube_call *events_call; /* why there is no pod; NULL: none under way */
    int64_t events_ms;             /* steady: not asked for before */
    char refusal[200];             /* why, as far as is known */
    struct runner_request *make;   /* until it is made */
    int64_t again_ms;              /* steady: not before; what failed is tried again */
    int64_t since_ms;              /* steady: when it was made, or begun to be */
    int64_t started_ms;            /* steady: when it began to run; 0: not yet */
    int64_t unsure_ms;             /* steady: since when it seems over without its node's word; 0 */
    int64_t ending_ms;             /* steady: when it was asked to end */
    int64_t over_ms;               /* steady: when its end was known */
    int64_t rest_ms;               /* steady: since when only others in its pod go on; 0 */
    int64_t time_limit_ms;
    char why_cause[160]; /* in words, of START_LIMIT and cancelling */

    struct runner_view view; /* the newest, or its end */
    int32_t told;            /* what the engine has taken in last: 1 + its kind of report; 0 */
    uint32_t told_why;       /* hash of the reason that went with it */
    int32_t telling;         /* the same, of the report under way */
    uint32_t telling_why;

    const char **pods; /* names of those that its object made; owned */
    size_t pod_count;
    struct output *output; /* NULL: nothing of it is pulled */
    bool output_done;
};

/* ---- one node ---- */

struct member {
    struct member *next_in_bucket;
    struct cluster *cluster;
    char name[FLEET_NAME];
    int64_t id;    /* in the fleet; 0: not known there yet */
    bool is_asked; /* COMMAND_NODE_FOUND is under way */
    bool is_linked, link_asked;
    bool is_refused; /* the fleet does not want it (it was retired) */
    bool is_present; /* the cluster has it */
    bool is_heard;   /* and its kubelet is well */
    bool is_out;     /* out of service */
    bool hello_due, report_under_way, facts_due;
    bool lost_asked;        /* COMMAND_NODE_LOST is under way, or done */
    int64_t heard_since_ms; /* steady */
    int64_t hello_at_ms;    /* steady; when it was said last */
    int64_t again_ms;       /* steady: reports not before */
    uint64_t told_facts;    /* hash of what the engine has */
    char boot_id[FLEET_NAME];
    struct foreign_sums foreign, summing;
    struct track *tracks, *dirty, *in_report; /* each by its own link */
};

/* ---- kinds of objects besides pods ---- */

enum { KINDS_MOST = 4 };

/* Objects of one runner that are not pods. */
struct objects {
    struct cluster *cluster;
    const struct kube_runner *runner;
    struct kube_watch *watch;
    bool is_absent; /* the cluster does not have the kind, or does not let us see it */
    bool is_denied; /* ... the latter */
    bool is_synced;
};

enum { MEMBER_BUCKETS = 4096, TRACK_BUCKETS = 8192 };

struct cluster {
    struct cluster_config config;
    struct engine *engine;
    struct loop_thread *thread;
    uv_loop_t *loop;
    struct mailbox *box;
    bool stopping;
    uv_sem_t stopped;

    struct kube_client *client;
    struct kube_client *argo;      /* NULL: no Argo Server */
    struct cluster_agents *agents; /* NULL: nobody asks */
    struct kube_watch *nodes, *pods;
    bool nodes_synced, pods_synced;
    struct objects objects[KINDS_MOST];
    size_t object_count;

    uv_timer_t tick, soon;
    uv_prepare_t prepare;
    int64_t ticks;
    bool sums_due;
    bool flush_due; /* some node has something to tell */

    char site[16];
    char data_id[FLEET_NAME]; /* uid of namespace kube-system; "" until known */
    struct kube_call *data_call, *ping;
    int64_t answered_ms; /* steady: the API server's last word */
    int64_t trouble_ms;  /* steady: since when a watch does not go on; 0: all do */
    bool is_reachable, was_told_away;

    struct member *members[MEMBER_BUCKETS];
    struct member **by_id; /* by the fleet's id */
    size_t by_id_count;
    struct track *tracks[TRACK_BUCKETS];
    size_t track_count;
    struct output *outputs; /* all of them */
    unsigned streams;       /* of them follow */
    json_t *positions;      /* how far an earlier life of ours has pulled them */
    bool positions_due, positions_under_way;
};

/* ---- cluster.c ---- */

struct kube_client *cluster_client(struct cluster *c, const struct kube_runner *r);
/* Sends R, which stays the caller's. */
struct kube_call *cluster_send(struct cluster *c, const struct kube_runner *by,
                               const struct runner_request *r, kube_done *on_done, void *arg);
/* All lists have come in: who is not seen is not there. */
bool cluster_is_synced(const struct cluster *c);
/* False: too many wait; the caller still owns COMMAND. */
bool cluster_ask(struct cluster *c, struct command *command, void (*on_done)(struct command *),
                 void *arg);
/* Foreign pods have changed. */
void cluster_sum_soon(struct cluster *c);

/* ---- member.c ---- */

struct member *member_find(const struct cluster *c, const char *name); /* NULL */
struct member *member_get(struct cluster *c, const char *name);        /* NULL: no name for one */
struct member *member_by_id(const struct cluster *c, int64_t id);      /* NULL */
void members_free(struct cluster *c);
void member_on_node(struct cluster *c, const struct kube_node *n);
void member_on_gone(struct cluster *c, const char *name);
/* Something of the attempt is to be told. */
void member_tell(struct track *t);
void member_flush(struct member *m);
void members_flush(struct cluster *c);
void members_tick(struct cluster *c, const struct fleet_view *v);
void members_sum(struct cluster *c);

/* ---- line.c ---- */

/* engine_set_sender()'s; on the owner's thread. */
void line_send(void *cluster, int64_t node, char *line);

/* ---- objects.c ---- */

void objects_start(struct cluster *c);
void objects_stop(struct cluster *c);
struct objects *objects_of(struct cluster *c, const struct kube_runner *r); /* NULL: pods */
bool objects_is_of(const struct kube_head *h, const struct track *t);
const struct kube_head *objects_find(struct cluster *c, const struct track *t);
/* Whether this pod belongs to an attempt of ours, and which; NULL: it is somebody else's. */
struct track *objects_owner_of_pod(struct cluster *c, const struct kube_pod *pod, bool *ret_ours);
void objects_on_pod(struct cluster *c, const struct kube_pod *pod);
void objects_on_pod_gone(struct cluster *c, const struct kube_pod *last);

/* ---- track.c ---- */

struct track *track_find(const struct cluster *c, int64_t job, int64_t n); /* NULL */
struct track *track_new(struct cluster *c, struct member *m, int64_t job, int64_t n, const char *id,
                        const char *name);
void track_free(struct track *t);
void tracks_free(struct cluster *c);
/* Its object, as it is now; NULL: it is not there. */
void track_look(struct track *t, const struct kube_head *object);
/* It is gone, and was LAST. */
void track_on_gone(struct track *t, const struct kube_head *last);
/* It is over without an object. */
void track_fail(struct track *t, enum runner_state state, enum attempt_outcome outcome,
                const char *why);
void track_cancel(struct track *t, enum track_cause cause, const char *why);
void track_forget(struct track *t); /* T may be freed */
/* Every second: limits, and what nobody tells. V is the engine's newest. T may be freed. */
void track_check(struct track *t, const struct fleet_view *v);
bool track_is_known(const struct track *t, const struct fleet_view *v);

/* ---- step.c: what is sent about an attempt's object ---- */

/* The engine has it durably that the object will be made. */
void track_make(struct track *t);
/* Whatever is to be done next, unless it is under way or has just failed. T may be freed. */
void track_step(struct track *t);
void tracks_tick(struct cluster *c, const struct fleet_view *v);

/* ---- output.c ---- */

/* Pulls the output of this pod's container into the log store; one after the other. */
void output_follow(struct track *t, const struct kube_pod *pod, const char *container);
/* No more will come: what is still missing is waited for, for a while. */
void output_end(struct track *t);
void output_drop(struct track *t);
void outputs_tick(struct cluster *c);
void outputs_stop(struct cluster *c);

/* ---- refusal.c ---- */

/* Asks why there is no pod, where that would be told elsewhere than in its object. */
void refusal_look(struct track *t, int64_t now);
/* Puts what is known of it into V. */
void refusal_tell(const struct track *t, struct runner_view *v);

/* ---- remark.c ---- */

/* For people who ask kubectl. */
void remark(struct track *t, bool is_warning, const char *reason, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Steady clock. */
int64_t cluster_now(void);

#endif
