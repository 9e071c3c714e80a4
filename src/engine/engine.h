/*
 * The one way in. A command comes from a door's thread, is checked and applied on the owner's
 * thread, its rows are committed, and only then its answer leaves, events are told and attempts are
 * started.
 *
 *     door: engine_command() -> owner: check, core, rows -> writer: commit -> owner: publish, act
 *       ^------------------------- answer, after the commit ------------------------|
 *
 * The owner thread is the thread of the loop given to engine_start().
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "core/core.h"
#include "engine/stats.h"
#include "identity/tokens.h"
#include "net/mailbox.h"
#include "net/workers.h"
#include "store/store.h"

#include <uv.h>

struct engine;

struct engine_config {
    const char *store;      /* "sqlite:/var/lib/reeve/reeve.db" */
    struct policy policy;   /* what configuration says; a change is a ledger row */
    int64_t silence_ms;     /* a node not heard for so long is unknown */
    int64_t retry_pause_ms; /* of a job after its second lost attempt; doubles; 0: never */
    unsigned workers;       /* threads that read the store; 0: 2 */
    /* Jobs that name no image may run in clusters: there is one for them. Else they are for
     * machines only. It counts when they are submitted. */
    bool clusters_have_image;
};

struct engine_hooks {
    /* Something happened that the process must end for, with the reason: deposed, a broken disk. On
     * the owner thread. */
    void (*on_broken)(void *arg, const struct err *why);
    void *arg;
};

/*
 * Opens the store, becomes its owner, loads what is open and goes on. RET_ADMIN_TOKEN is text of
 * its own when the store is new: the only time the admin token can be read; else NULL. On the owner
 * thread, before the loop runs.
 */
int engine_start(uv_loop_t *loop, const struct engine_config *config,
                 const struct engine_hooks *hooks, struct engine **ret, char **ret_admin_token,
                 struct err *e);

/* Takes over the policy, SILENCE_MS and RETRY_PAUSE_MS of CONFIG, at once: a change of the policy
 * is a ledger row, and agents hear of the gate. False: the policy is as it was. On the owner
 * thread. */
bool engine_reload(struct engine *g, const struct engine_config *config);

/* The member "gate" of what agents are told, into the object that is open. Any thread. */
struct json_out;
void policy_write_gate(const struct policy *p, struct json_out *o);

/* Commits what is under way, answers the rest with "shutting down", frees everything. Doors must
 * have stopped sending and released their views before. On the owner thread. */
void engine_stop(struct engine *g);

/* ---- reading: any thread ---- */

/* A moment that is durable: nobody can be shown what a crash takes back. */
struct engine_view {
    struct fleet_view fleet;
    struct engine_stats stats;
    int64_t taken_ms;
};
/* The newest one; release it soon (within a second). Never NULL after engine_start(). */
const struct engine_view *engine_view_get(struct engine *g);
void engine_view_release(struct engine *g, const struct engine_view *v);

/* Who shows which token. Thread-safe, kept up to date by the engine. */
struct tokens *engine_tokens(struct engine *g);
/* Threads for reading the store: each job's state is a struct store_reader *, to be used with
 * engine_store(). */
struct workers *engine_workers(struct engine *g);
const struct store_ops *engine_store(struct engine *g);
/* A reader of the store for somebody who is no worker; close it with engine_store()->reader_close.
 */
int engine_reader_open(struct engine *g, struct store_reader **ret, struct err *e);
/* The engine's own clock (Unix ms, never below what the ledger has). */
int64_t engine_now_ms(struct engine *g);

/* ---- commands: any thread ---- */

/*
 * The two ways to a node. A machine is reached through its agent's stream. A cluster's node is
 * reached through src/cluster/, which speaks for all of them; an agent there reports its GPUs and
 * its readings, opens the gate and measures, and nothing else: it never runs an attempt.
 */
enum engine_link { LINK_AGENT, LINK_CLUSTER, ENGINE_LINKS };

enum command_kind {
    COMMAND_SUBMIT,
    COMMAND_CANCEL,
    COMMAND_RETRY,
    COMMAND_DELETE,
    COMMAND_HOLD,
    COMMAND_RELEASE,
    COMMAND_PRINCIPAL_ADD,
    COMMAND_PRINCIPAL_CHANGE,
    COMMAND_TOKEN_CREATE,
    COMMAND_TOKEN_REVOKE,
    COMMAND_SESSION_BEGIN,
    COMMAND_ENROLMENT_CREATE,
    COMMAND_ENROL,
    COMMAND_NODE_LOST,
    COMMAND_NODE_RETIRE,
    COMMAND_REPORT,
    COMMAND_LINK,       /* a way to a node is there, or gone */
    COMMAND_NODE_FOUND, /* a cluster has this node */
    COMMAND_NOTE_ADD,
    COMMAND_KINDS
};

/* One job to be submitted: checked for form by the door, for sense by the engine. */
struct submission {
    int64_t gpus, gpu_memory_mib, cpu_milli, memory_mib, time_limit_ms, retries;
    int64_t flags; /* of JOB_SUBMIT_FLAGS */
    char name[JOB_NAME_MOST + 1];
    char team[FLEET_NAME];
    /* Joined and sorted: "a=b,c=d"; "key,key=value,key:Effect,key=value:Effect". */
    char selector[JOB_WHERE_MOST + 1], tolerations[JOB_WHERE_MOST + 1];
    char *spec; /* JSON object: what nothing is decided by (api/job_spec.h); owned */
    int64_t ret_id, ret_position;
};

struct device_report {
    char uuid[FLEET_NAME + 32], model[FLEET_NAME], vendor[16], why[128];
    int64_t number, memory_mib;
    int64_t health, busy, foreign, free_mib, gpu_pct; /* health: enum device_health */
};

enum attempt_word {
    REPORT_STARTED,
    REPORT_REFUSED, /* nothing of it ran: decided anew, no try is lost. WHY */
    REPORT_ENDED,
    REPORT_LOST, /* proof that it is over, and not by its own end: tried again. WHY */
    /* The object is about to be created. Send it, wait for its answer, then create: only then a
     * crash in between is known. When the attempt is over already, an "end" line comes before that
     * answer. Twice is fine. */
    REPORT_SENT,
    REPORT_WAITING, /* it is there and has not begun. WHY, shown as the job's reason */
    REPORT_BOUND,   /* it really has these DEVICES, by their uuids; before or after its start */
    REPORT_CLEAR,   /* an agent's answer to "check": its gate is open for this one now */
};

/* What is said of one attempt. */
struct attempt_report {
    char id[ATTEMPT_ID_SIZE];
    int64_t job, n;
    enum attempt_word what;
    int64_t ago_ms; /* how long since it started */
    int64_t outcome, exit_code, term_signal, run_ms, energy_mj, energy_measured;
    char why[EVENT_TEXT];
    char *results, *metadata;         /* JSON of NOTE_RESULTS, NOTE_OUTCOME; NULL: none; owned */
    char (*devices)[FLEET_NAME + 32]; /* BOUND: uuids; owned */
    size_t device_count;
    char
        pod_namespace[FLEET_NAME]; /* BOUND by an agent, who sees pods of anybody; it gives no ID */
};

/* Energy of an attempt so far, as an agent measures it. Kept in memory; what ends unmeasured takes
 * the last figure. */
struct meter_report {
    int64_t job, n, energy_mj;
    bool measured; /* all of the time is in it */
};

/*
 * What an agent says of its node, or a cluster of one of its nodes; applied together and
 * acknowledged once it is durable. ERR_CONFLICT: say hello first. That is so at the beginning,
 * after a restart of this program and after the node was silent; a cluster says hello for each of
 * its nodes.
 *
 * A cluster's hello: BOOT_ID is the machine's (nodeInfo.bootID), DATA_ID the uid of namespace
 * kube-system; ISOLATION is ISOLATION_USER, as pods are; CPU_MILLI and MEMORY_MIB are the node's
 * allocatable; VERSION is kubelet's; ATTEMPTS are all of ours on that node. DEVICES are counted
 * ones, "NODE/RESOURCE/INDEX", one for each that kubelet has; they are taken while no agent of that
 * node names its GPUs itself, so always give them.
 */
struct report {
    int64_t node;
    enum engine_link source;
    char boot_id[FLEET_NAME], data_id[FLEET_NAME];
    bool is_hello; /* everything the agent knows: what it does not name is not there */
    char version[32];
    int64_t cpu_milli, memory_mib, isolation;
    bool has_host; /* the next three are set */
    int64_t host_busy, cpu_pct, memory_pct;
    struct device_report *devices;   /* owned */
    struct attempt_report *attempts; /* owned */
    size_t device_count, attempt_count;
    struct meter_report *meters; /* owned */
    size_t meter_count;

    /* From a cluster; give it with every hello, and when it changed. */
    bool has_share; /* the next five are set */
    int64_t share_cpu_milli,
        share_memory_mib; /* allocatable less what pods of others request; >= 0 */
    int64_t foreign_gpus; /* that pods of others request */
    bool cordoned;
    char share_why[128]; /* why no new work goes there: "cordoned", "not ready: ..."; "" is none */
    bool has_labels;     /* the next two are set, and are all that there are */
    char **labels;       /* "key=value"; owned */
    char **taints;       /* "key=value:Effect" or "key:Effect"; owned */
    size_t label_count, taint_count;
};

struct command {
    enum command_kind kind;
    /* Who asks, and for whom: principal ids. ON_BEHALF 0: for oneself. */
    int64_t actor, on_behalf;
    /* Optional, for submit, cancel, retry, users, tokens: "principal/route/key" and the body's
     * hash. */
    char *idempotency_key; /* owned */
    struct digest body_hash;

    struct submission *jobs; /* SUBMIT: owned, all or nothing */
    size_t job_count;
    bool dry_run;          /* SUBMIT: is checked, gets its places, changes nothing; with a key: says
                              whether it was done already (RET_REPEATED) */
    int64_t id;            /* CANCEL..RELEASE: job; TOKEN_REVOKE: token; NODE_*: node */
    char why[EVENT_TEXT];  /* CANCEL, HOLD, NODE_LOST: reason or proof */
    char name[FLEET_NAME]; /* PRINCIPAL_ADD; TOKEN_CREATE, SESSION_BEGIN: its label; ENROL*: node */
    char team[FLEET_NAME];
    int64_t role; /* PRINCIPAL_* */
    int64_t disabled;
    int64_t principal;  /* PRINCIPAL_CHANGE; TOKEN_CREATE: whose; SESSION_BEGIN: gets it */
    int64_t expires_ms; /* TOKEN_CREATE, ENROLMENT_CREATE: Unix; 0: never; SESSION_BEGIN: gets it */
    enum token_kind token_kind; /* TOKEN_CREATE */
    int64_t until_ms;           /* TOKEN_CREATE of a link: see struct token_holder */
    struct digest hash;         /* of the token made by the door; ENROL, SESSION_BEGIN: of what is
                                   used up */
    struct digest key_hash;     /* ENROL, SESSION_BEGIN: of the new key or token */
    bool vouched; /* ENROL: somebody else proved which node it is. HASH is of what they were shown;
                     no one-time token is needed, and the enrolment is made and used at once */
    int64_t attempt; /* NOTE_ADD: of job ID */
    enum attempt_note note_kind;
    char *note;            /* NOTE_ADD: JSON; owned */
    struct report *report; /* REPORT: owned */
    enum engine_link link; /* LINK: which way */
    int64_t node;          /* LINK; 0 with LINK_CLUSTER: all nodes of CLUSTER */
    bool linked;           /* LINK: it is up, or gone */
    /* NODE_FOUND: the node NAME is of this cluster; RET_ID is its id. It is linked from then on. A
     * machine of that name becomes the cluster's; ERR_CONFLICT: not while jobs run on it, ask
     * again; or it is another cluster's. Twice is fine. */
    char cluster[FLEET_NAME];

    /* The answer. ERROR.code 0: done and durable. */
    struct err error;
    int64_t ret_id, ret_queue_length;
    bool ret_repeated; /* an earlier request with this idempotency key had done it */

    /* Called on the thread of REPLY_TO, which owns the command from then on: command_free() it. */
    void (*on_done)(struct command *c);
    struct mailbox *reply_to;
    void *arg;
    /* The engine's own. */
    struct command *next;
    struct engine *arg_engine;
};

struct command *command_new(enum command_kind kind);
void command_free(struct command *c); /* with what it owns */
void report_free(struct report *r);   /* the same; NULL is fine */

/* Any thread. False: too many wait (429 with Retry-After); the caller still owns C. */
bool engine_command(struct engine *g, struct command *c);

/* ---- what happened: for live events ---- */

/* Durable events in the order of the ledger. Shared, immutable; unref when done. */
struct event_run {
    size_t count;
    struct event *events;
    int refs;
};
void event_run_unref(struct event_run *r);

/* ON_EVENTS is called on the thread of BOX for every run from now on; it gets a reference. */
void engine_listen(struct engine *g, struct mailbox *box,
                   void (*on_events)(void *arg, struct event_run *r), void *arg);

/* ---- nodes ---- */

/* Any thread: this node was heard of just now by this way, whatever it said: by its agent; by
 * kubelet's word in a cluster. A node that is not heard for SILENCE_MS by its own way becomes
 * unknown. */
void engine_node_heard(struct engine *g, enum engine_link link, int64_t node);

/*
 * How lines reach a node: called on the owner thread, in order, and before the answers to what
 * caused them. LINE is JSON without a newline, owned by the callee. A node that is not linked loses
 * it; what matters is said again after its next hello.
 *
 * To a machine's agent, and to a cluster: start, cancel, forget, end of docs/agent-protocol.md. A
 * start for a cluster has "node" (its name), "memory_default", "selector" and "tolerations"
 * besides, and comes once the gate of the node's agent, where it has one, is open. "forget": the
 * end is durable, or we know nothing of it and it is over; "end": it is none of ours and has to go.
 * To a cluster also
 * {"type":"hello"}: say hello for this node, its GPUs are needed.
 * To the agent of a cluster's node: check, meter, forget.
 */
void engine_set_sender(struct engine *g, enum engine_link link,
                       void (*send)(void *arg, int64_t node, char *line), void *arg);

/* The namespace in which the pods of attempts are: agents tell of pods by their names, which
 * anybody may choose elsewhere. Until it is told, any. On the owner thread. */
void engine_set_pod_namespace(struct engine *g, const char *pod_namespace);

/* ---- the ledger ---- */

/*
 * Runs every decision again from the ledger, beginning with the newest snapshot that can be loaded,
 * else, or when it is to (FROM_START), with the first row; blocks, so on a worker with its reader.
 */
struct replay_result {
    int64_t began;             /* ledger row of the snapshot; 0: the first row */
    int64_t passed_over;       /* newer snapshots that could not be loaded */
    char why_passed_over[512]; /* the newest of them */
    int64_t rows, plans, decisions;
    int64_t first_different; /* ledger row; 0: all identical */
    char why[512];
};
int engine_replay(const struct store_ops *ops, struct store_reader *r, bool from_start,
                  struct replay_result *ret, struct err *e);

#endif
