/*
 * What the parts of the agent's loop share. All of it belongs to the loop's thread; workers get
 * copies (docs/threads.md).
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/attempt.h"
#include "agent/data_folder.h"
#include "agent/devices.h"
#include "agent/gate.h"
#include "agent/options.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/workers.h"
#include "node/account.h"
#include "node/host.h"
#include "node/process.h"

#include <uv.h>

struct aside;
struct link;
struct plugin;
struct pods;
struct sampler;
struct signals;
struct nursery;
struct telemetry;

struct agent {
    struct agent_options options;
    uv_loop_t *loop;
    char boot_id[BOOT_ID_SIZE];
    struct data_folder data;
    char *results, *shim_program;
    struct nursery *nursery;
    const char *isolation;        /* "none", "shared", "user" */
    struct account_map *accounts; /* NULL: without root */
    struct cgroup_parent cgroup;
    struct host_capacity capacity;

    struct mailbox *box;
    struct workers *workers;
    struct http_client *client;
    struct http_server *server;
    const char **hosts; /* that the server answers to; ends with NULL */

    struct gate_limits gate;
    struct devices devices;
    struct gate_busy host_busy;
    struct gate_host host_use; /* without what jobs of ours use */
    bool tell_host;
    struct after *trouble; /* trouble.h: while it runs this node calls itself busy */
    unsigned troubles;     /* starts in a row that failed here */

    struct attempt *attempts;
    struct log_pushes *logs;
    struct sampler *sampler;
    struct pods *pods;
    struct aside *aside;   /* attempts that run here as pods */
    struct plugin *plugin; /* NULL: off */
    struct telemetry *telemetry;
    struct link *link;
    bool is_stopping;
    struct signals *signals;
    char site[65];         /* of the control plane, by its last welcome; "" before */
    bool tell_bound;       /* which pods of ours have which GPUs */
    bool tell_meters;      /* what running attempts have used so far */
    int64_t clock_skew_ms; /* our wall clock less the control plane's, by the last welcome */
    int64_t ended_cpu_us;  /* processor time of attempts that are over, since the agent began */

    struct agent_counts {
        int64_t starts, refusals, cancels, lost, reports, report_failures, log_bytes;
    } counts;
};

/* Runs until a signal asks it to end. Returns the exit code. */
int agent_run(struct agent_options *options);

/* ---- attempts.c: the list ---- */

struct attempt *attempt_find(struct agent *agent, const char *id);
struct attempt *attempt_add(struct agent *agent, const char *id, int64_t job, int64_t n,
                            const char *name);
/* Takes it off the list and frees it; its folder stays. */
void attempt_drop(struct attempt *a);
struct attempt *attempt_holding(struct agent *agent, const char *uuid);
struct attempt *attempt_of_shim(struct agent *agent, pid_t pid);
void attempt_set_devices(struct attempt *a, const char *const *uuids, size_t count);
/* DEVICES is what CUDA_VISIBLE_DEVICES holds; NULL: none. */
void attempt_set_device_text(struct attempt *a, const char *devices);

/* ---- start.c ---- */

struct command;
/* A start command. Takes C's tree. */
void start_attempt(struct agent *agent, struct command *c);
/* Frees what a start under way holds. */
void start_free(struct start *s);
/* A cancel, or "end" from the control plane. */
void cancel_attempt(struct agent *agent, const struct command *c);

/* ---- finish.c ---- */

/* The shim of A runs: watch for its end. */
void follow_shim(struct attempt *a);
/* A is over without ever having run; it is told and then dropped. */
void finish_unstarted(struct attempt *a, enum attempt_phase phase, const char *outcome,
                      const char *why);
/* Looks at A's folder, whose shim is gone, and takes it to its end. */
void finish_by_folder(struct attempt *a);
void finish_by_folder_later(void *attempt); /* for a timer */
/* The control plane has A's end: its folder may go. */
void forget_attempt(struct attempt *a);
/* Removes A, if it was asked to and its log is out. */
void forget_if_done(struct attempt *a);

/* ---- adopt.c ---- */

/* Finds again what an earlier agent left in the data folder. */
void adopt_all(struct agent *agent);

/* ---- usage.c ---- */

/* Reads what running attempts use now into them. Returns how much processor time attempts of ours
 * have used since the agent began, and their memory now. */
void usage_read(struct agent *agent, int64_t *ret_cpu_us, int64_t *ret_memory_bytes);
/* A is over: what it used in all stays counted. */
void usage_keep(struct attempt *a, int64_t total_cpu_us);

#endif
