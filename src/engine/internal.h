/* Shared by the files of engine; not for anybody else. All on the owner thread unless said
 * otherwise. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/idempotency.h"
#include "engine/specs.h"
#include "store/ledger.h"
#include "store/writer.h"

#include <pthread.h>
#include <stdatomic.h>

/* Something to be done once the batch it belongs to is durable. */
struct action {
    enum {
        ACTION_SEND_START, /* A: job, B: attempt number */
        ACTION_SEND_CANCEL,
        ACTION_SEND_CLEAR, /* the same as START: its node's gate is open */
        ACTION_SEND_LINE,  /* A: node; B: enum engine_link; TEXT: the line */
        ACTION_TOKEN_PUT,  /* HASH, HOLDER */
        ACTION_TOKEN_DROP, /* HASH */
    } what;
    int64_t a, b;
    char *text; /* owned */
    struct digest hash;
    struct token_holder holder;
    struct action *next;
};

/* A view with its references; freed on the owner thread once it is old and nobody reads it. */
struct shared_view {
    struct engine_view view; /* first: what readers hold */
    struct snapshot snapshot;
    atomic_int refs;
    struct shared_view *next; /* older, waiting for its readers */
};

/* What belongs to one batch and leaves with it. */
struct cargo {
    int64_t seq;
    struct command *commands, **last_command;
    struct action *actions, **last_action;
    struct event *events;
    size_t event_count, event_room;
    struct shared_view *view;
    struct cargo *next;
};

struct listener {
    struct mailbox *box;
    void (*on_events)(void *arg, struct event_run *r);
    void *arg;
};

enum { LISTENERS_MOST = 8, NODES_MOST = 65536 };

/* What the engine knows of a node besides the fleet; lost with the process. */
struct node_side {
    _Atomic int64_t heard_mono_ms[ENGINE_LINKS]; /* any thread */
    bool linked[ENGINE_LINKS];
    /* Of a cluster's node: its agent has said hello to this process, as this. */
    bool agent_hello;
    bool agent_gone; /* was there and is not heard any more: the cluster's devices count */
    char agent_boot[FLEET_NAME], agent_data[FLEET_NAME];
    bool host_busy;             /* the agent's last word; the node's own may be ours, see below */
    int64_t held_until_mono_ms; /* marked busy by us after a refusal that nothing explained */
};

/* A step of the wall clock forward that idempotency keys may still be older than. */
struct clock_step {
    int64_t from_ms, by_ms;
};
enum { CLOCK_STEPS_KEPT = 32 };

/* A fleet in the store that replay may begin with. */
struct kept_snapshot {
    int64_t seq, time_ms, parts;
    bool complete;
};
enum { SNAPSHOTS_KEPT = 7 };

struct engine {
    uv_loop_t *loop;
    struct engine_config config;
    struct engine_hooks hooks;
    bool broken, stopping;

    const struct store_ops *ops;
    struct store *store;
    struct writer *writer;
    struct ledger_tail tail; /* as loaded; the writer goes on from it */
    int64_t epoch, batch_seq, durable_seq;
    bool full; /* the disk takes nothing for now */
    int64_t free_checked_ms;
    bool low; /* less than STORE_FREE_LOW is free: no new jobs */

    struct core core;
    struct engine_clock clock;
    _Atomic int64_t offset_ms;                 /* any thread: what to add to the steady clock */
    struct clock_step steps[CLOCK_STEPS_KEPT]; /* the oldest first */
    size_t step_count;
    struct idempotency *idempotency;
    struct specs *specs;
    struct tokens *tokens;
    struct workers *workers;
    struct mailbox *inbox;
    uv_prepare_t prepare;
    uv_timer_t second, net, due;
    int64_t due_ms; /* what DUE waits for: the next job that has paused long enough */

    struct batch *open; /* rows of the batch that fills; NULL: nothing yet */
    struct cargo *filling, *flying, **last_flying;
    int64_t next_token, next_enrolment;
    int64_t snapshot_day; /* of the last digest in the ledger: days since 1970 */
    struct kept_snapshot kept[SNAPSHOTS_KEPT + 8]; /* the oldest first */
    size_t kept_count;
    struct snapshot_work *snapshot_work; /* being written; NULL: none */

    pthread_mutex_t view_lock; /* guards CURRENT and OLD; innermost, held for a few instructions */
    struct shared_view *current, *old;

    struct listener listeners[LISTENERS_MOST];
    size_t listener_count;
    struct {
        void (*send)(void *arg, int64_t node, char *line);
        void *arg;
    } senders[ENGINE_LINKS];
    char *pod_namespace; /* of the pods of attempts; NULL: any */
    int64_t began_mono_ms;
    struct check *checks;  /* starts that wait for a gate */
    struct meters *meters; /* what agents say that running attempts have used */

    struct node_side *nodes; /* by id, NODES_MOST + 1 */
    struct engine_stats stats;
};

/* batch.c: rows, events and what hangs on them. */
struct batch *engine_batch(struct engine *g);
/* Numbers the event, applies it and writes it to the ledger. What cannot be applied is our mistake.
 */
void engine_event(struct engine *g, struct event *ev);
/* The digest of the fleet as it is, into the ledger. */
void engine_snapshot_event(struct engine *g);
void engine_answer(struct engine *g, struct command *c); /* when what was done so far is durable */
void engine_answer_now(struct engine *g, struct command *c); /* it shows nothing of the state */
void engine_act(struct engine *g, const struct action *a);   /* the same; TEXT is taken */
void engine_flush(struct engine *g);
void engine_on_durable(struct engine *g, int64_t seq);
void engine_views_done(struct engine *g);

/* steps.c: after a step of the clock forward no time has passed, so nothing that was to last for a
 * while is over, also not after a restart. */
void steps_take(struct engine *g, int64_t from_ms, int64_t by_ms);
void steps_load(struct engine *g, const struct meta_row *r);
/* All is loaded: keys as the steps left them; steps that matter no more are forgotten. */
void steps_loaded(struct engine *g);
void steps_tidy(struct engine *g, int64_t now_ms);

/* past.c: fills STATS.BEFORE, by a worker. */
void past_begin(struct engine *g);

/* policy.c: makes what configuration wants the policy; false: it is already. */
bool policy_follow(struct engine *g);

/* snapshots.c: the fleet as of the last event, which is its digest, is kept unless one of today is;
 * it goes on when a batch is durable. */
void snapshots_begin(struct engine *g);
void snapshots_on_durable(struct engine *g, int64_t seq);
/* At start: one that is in the store; then those that were not completed go. */
void snapshots_load(struct engine *g, const struct snapshot_row *r);
void snapshots_tidy(struct engine *g);
void snapshots_done(struct engine *g);

/* jobs.c, admin.c, report.c: one function a command. Their error goes into C->error. */
int command_submit(struct engine *g, struct command *c, struct err *e);
int command_cancel(struct engine *g, struct command *c, struct err *e);
int command_hold(struct engine *g, struct command *c, struct err *e);
int command_principal_add(struct engine *g, struct command *c, struct err *e);
int command_principal_change(struct engine *g, struct command *c, struct err *e);
int command_token_create(struct engine *g, struct command *c, struct err *e);
int command_token_revoke(struct engine *g, struct command *c, struct err *e);
int command_session_begin(struct engine *g, struct command *c, struct err *e);
/* Drops the sessions and links that have ended. */
void engine_expire_tokens(struct engine *g, int64_t now_ms);
int command_enrolment_create(struct engine *g, struct command *c, struct err *e);
int command_enrol(struct engine *g, struct command *c, struct err *e);
int command_node_lost(struct engine *g, struct command *c, struct err *e);
int command_node_retire(struct engine *g, struct command *c, struct err *e);
int command_report(struct engine *g, struct command *c, struct err *e);
int command_note_add(struct engine *g, struct command *c, struct err *e);
/* A note of an attempt, with the batch that fills. */
void engine_note(struct engine *g, int64_t job, int64_t n, enum attempt_note kind,
                 const char *text);
/* All notes of a job that was tried so often. */
void engine_drop_notes(struct engine *g, int64_t job, int64_t attempts);
int command_link(struct engine *g, struct command *c, struct err *e);
int command_node_found(struct engine *g, struct command *c, struct err *e);
/* What is kept in memory of these records. */
struct token_holder engine_token_holder(const struct token_row *r);
/* The record of what is in memory, once more; not of a node's key, which never ends. */
void engine_put_token(struct engine *g, const struct digest *hash,
                      const struct token_holder *holder);
struct token_holder engine_enrolment_holder(const struct enrolment_row *r);
/* Reads the job's records on a worker and answers C later, by itself. */
int command_retry(struct engine *g, struct command *c, struct err *e);

/* hear_node.c: what a report says of the node itself. */
/* Devices that were another node's too, and are not any more. */
void report_check_twins(struct engine *g);
/* Agents of clusters' nodes that have not been heard for long. */
void report_check_agents(struct engine *g);
void hear_hello(struct engine *g, const struct report *r);
void hear_devices(struct engine *g, const struct report *r);
void hear_host(struct engine *g, const struct report *r);
void hear_share(struct engine *g, const struct report *r);
/* An agent of this cluster's node names its GPUs, or will again in a moment. */
bool node_expects_agent(struct engine *g, const struct node *n);
const struct device *node_device(const struct fleet_view *v, const struct node *n,
                                 const char *uuid);

/* lines.c: what is told to nodes. */
enum engine_link node_link(const struct node *n); /* by which attempts on it are started */
void send_line(struct engine *g, enum engine_link link, int64_t node, struct text *line);
void send_about(struct engine *g, enum engine_link link, int64_t node, const char *type,
                const char *attempt);
void schedule_send_start(struct engine *g, int64_t job, int64_t n);
void schedule_send_clear(struct engine *g, int64_t job, int64_t n);
void schedule_send_cancel(struct engine *g, int64_t job, int64_t n);
/* To the agent of a cluster's node, which measures for it. */
void send_meter(struct engine *g, const struct attempt *a);
void send_gate_check(struct engine *g, const struct attempt *a);

/* The attempt ends, whatever by: nobody has to measure it or to open a gate for it any more. Call
 * it before the event. */
void attempt_is_over(struct engine *g, const struct attempt *a);

/* gate.c: before an attempt goes to a cluster, the agent of its node is asked. */
/* True: it has been asked, and says so itself. */
bool gate_ask(struct engine *g, const struct attempt *a);
/* An answer; false: nobody had asked. */
bool gate_hear(struct engine *g, int64_t node, const struct attempt_report *a);
void gate_second(struct engine *g, int64_t mono);
void gate_done(struct engine *g);

/* The attempt's node would not start it; the attempt is over. */
void hear_refused(struct engine *g, int64_t node, const struct attempt_report *a);

/* schedule.c */
void schedule_plan(struct engine *g); /* while a plan is due */
void schedule_due(struct engine *g);  /* jobs that have paused for long enough */
void schedule_second(struct engine *g);
void schedule_net(struct engine *g);
/* The attempt is over without its node's word. */
void schedule_lose(struct engine *g, const struct job *j, const char *why);

/* A principal that may be acted as: known and not disabled. */
const struct principal *engine_principal(struct engine *g, int64_t id, struct err *e);

#endif
