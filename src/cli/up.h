/*
 * A control plane and an agent on this machine, as child processes. What `reeve up` and its demo
 * share.
 */
#ifndef CLI_UP_H
#define CLI_UP_H

#include "cli/client.h"
#include "cli/supervise.h"

struct up_options {
    char *data, *listen, *agent_listen, *sim, *node, *config, *tls_cert, *tls_key, *template_dir;
    char *redis, *redis_password_file, *redis_users, *redis_ca, *redis_cert, *redis_key;
    char *kube, *kube_context, *kube_namespace, *kube_image, *kube_runner, *kube_settings;
    bool no_agent, shared_uid, insecure, demo, once;
};

struct up {
    const struct up_options *o;
    struct supervisor *children;
    int reeved, agent; /* numbers in CHILDREN; -1: not started */
    char *data;        /* absolute */
    char *socket;      /* of reeved, in DATA */
    char *agent_data;  /* the agent's folder; NULL: DATA/agent */
    char *log_folder;  /* children's output goes into files there; NULL: to ours */
    bool shared_uid, simulated;
    char *scenario;        /* NULL: the simulator's default */
    struct client *client; /* as admin, over the socket */
    int64_t started_ms;    /* steady clock */
    int64_t link;          /* number of the link that was printed last; 0: none waits */
    int64_t link_until_ms; /* steady clock */
};

/* Fills in U, makes the data folder and starts both programs, each ready when this returns.
 * ERR_CONFLICT: somebody runs with this data already. -1 with code ERR_NONE: we were asked to end.
 */
int up_start(struct up *u, struct err *e);
/* Ends the agent, then the control plane. Fine for one that was not started or only in part. */
void up_stop(struct up *u);
void up_done(struct up *u);

/* Where they really listen, which matters with port 0; "" when it is not known. The caller frees.
 */
char *up_address(const struct up *u, bool of_agent);
/* "1 simulated NVIDIA GeForce RTX 3080" for people. */
void up_describe_gpus(struct up *u, struct text *out);
/* An absolute path to a data folder as U->data wants it. */
int up_data_folder(const struct up_options *o, char **ret, struct err *e);

/* Before the start: an empty data folder, and the example where all users' jobs can reach it. */
int demo_prepare(struct up *u, struct err *e);
/* Once both run: submits, shows, ends with the table. Returns an exit code; -1 and E (code
 * ERR_NONE: asked to end). */
int demo_run(struct up *u, struct cli *c, struct err *e);
/* Before the stop: jobs outlive what started them, but a demo's should not. */
void demo_cancel(struct up *u);
/* After the stop: removes what the demo left outside of its data folder. */
void demo_remove(struct up *u);

#endif
