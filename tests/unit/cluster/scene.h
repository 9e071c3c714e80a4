/*
 * An engine with a cluster that is played, as far as it matters to the tests of how attempts go
 * there: what reeved is made of, and questions about it.
 */
#ifndef UNIT_CLUSTER_SCENE_H
#define UNIT_CLUSTER_SCENE_H

#include "base/mem.h"
#include "cluster/cluster.h"
#include "play.h"

struct scene {
    struct play play;
    char folder[64];
    uv_loop_t loop;
    struct engine *engine;
    struct cluster *cluster;
    struct mailbox *door;
    struct log_store *logs;
    const struct log_store_ops *log_ops;
    char *positions, *admin_token;
    char site[16], incarnation[FLEET_NAME];
    struct command *answer;
    int answers;
    int64_t start_limit_ms, keep_ms, silence_ms;
    int full; /* so many pieces of output find the disk full */
    bool has_workflows;
    bool has_argo_server; /* the played one takes workflows in its words, too */
    int64_t done, total;  /* progress */
};

void scene_begin(struct scene *s); /* reeved, as far as it matters here */
void scene_end(struct scene *s);
void scene_open(struct scene *s);
void scene_close(struct scene *s);
#define auto_scene AUTO(scene_close)

/* Runs the owner's loop until COND; fails after fifteen seconds. */
#define UNTIL(s, cond)                                                                             \
    do {                                                                                           \
        int turns_ = 0;                                                                            \
        for (; turns_ < 15000 && !(cond); turns_++) {                                              \
            uv_run(&(s)->loop, UV_RUN_NOWAIT);                                                     \
            usleep(1000);                                                                          \
        }                                                                                          \
        ck_assert_msg(turns_ < 15000, "never: %s", #cond);                                         \
    } while (0)

void scene_rest(struct scene *s, int ms);
const struct command *scene_ask(struct scene *s, struct command *c);
int64_t submit_as(struct scene *s, const char *spec, int gpus, int64_t time_limit_ms);
int64_t submit(struct scene *s);

char *pod_name(struct scene *s, int64_t job, int n);
/* Of an open job; -1 when it is over. */
int state_of(struct scene *s, int64_t job);
int attempt_state(struct scene *s, int64_t job, char *why, size_t size);
bool waits_for(struct scene *s, int64_t job, const char *words);
int64_t counted(struct scene *s, enum job_state state);

struct last_attempt {
    int64_t n, outcome, exit_code;
    char why[256];
};
struct last_attempt last_attempt(struct scene *s, int64_t job);
struct last_attempt the_attempt(struct scene *s, int64_t job, int64_t n);
int node_state(struct scene *s, const char *name);
bool is_released(struct scene *s, const char *pod);
bool is_deleted(struct scene *s, const char *pod);
char *output_of(struct scene *s, int64_t job);

#define KILLED                                                                                     \
    "{\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"main\",\"state\":{\"terminated\":{"  \
    "\"exitCode\":137,\"reason\":\"Error\",\"startedAt\":\"2026-01-31T09:00:00Z\","                \
    "\"finishedAt\":\"2026-01-31T09:00:05Z\"}}}]}"

#endif
