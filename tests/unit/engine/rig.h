/* One loop for the owner and a door; an agent, and a cluster, that are only lines. */
#ifndef UNIT_ENGINE_RIG_H
#define UNIT_ENGINE_RIG_H

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "store/ledger.h"
#include "test.h"

static uv_loop_t loop;
static struct engine *engine;
static struct mailbox *door;
static char *admin_token;
static bool broken, clusters_have_image;
static char lines[64][2048]; /* to agents */
static int line_count;
static char cluster_lines[64][2048]; /* to a cluster */
static int cluster_line_count;

static inline void on_broken(void *arg, const struct err *why)
{
    (void)arg, (void)why;
    broken = true;
}

static inline void on_line(void *arg, int64_t node, char *line)
{
    (void)arg, (void)node;
    snprintf(lines[line_count++ % 64], sizeof lines[0], "%s", line);
    free(line);
}

static inline void on_cluster_line(void *arg, int64_t node, char *line)
{
    (void)arg, (void)node;
    snprintf(cluster_lines[cluster_line_count++ % 64], sizeof lines[0], "%s", line);
    free(line);
}

static inline int begin(const char *store)
{
    struct engine_config c = {.store = store,
                              .silence_ms = 15000,
                              .retry_pause_ms = 40,
                              .clusters_have_image = clusters_have_image,
                              .policy = {.gpu_hour_micros = 3600000,
                                         .kwh_micros = 150000,
                                         .pue_milli = 1000,
                                         .lost_after_ms = 300000,
                                         .currency = "USD"}};
    struct engine_hooks hooks = {on_broken, NULL};
    uv_loop_init(&loop);
    broken = false;
    line_count = 0;
    if (engine_start(&loop, &c, &hooks, &engine, &admin_token, &test_err) < 0)
        return -1;
    door = mailbox_new(&loop, 1000);
    cluster_line_count = 0;
    engine_set_sender(engine, LINK_AGENT, on_line, NULL);
    engine_set_sender(engine, LINK_CLUSTER, on_cluster_line, NULL);
    return 0;
}

static inline void end(void)
{
    engine_stop(engine);
    mailbox_close(door);
    uv_run(&loop, UV_RUN_NOWAIT);
    mailbox_free(door);
    CHECK_INT(uv_loop_close(&loop), 0);
    free(admin_token);
    admin_token = NULL;
}

static struct command *answered;
static inline void on_done(struct command *c)
{
    answered = c;
}

/* Sends it and waits; the answer is freed at the next call. */
static inline const struct command *ask(struct command *c)
{
    command_free(answered);
    answered = NULL;
    c->on_done = on_done;
    c->reply_to = door;
    CHECK(engine_command(engine, c));
    while (!answered)
        uv_run(&loop, UV_RUN_ONCE);
    return answered;
}

static inline void settle(void)
{
    for (int i = 0; i < 50; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static inline struct command *a_submission(int64_t actor, int jobs)
{
    struct command *c = command_new(COMMAND_SUBMIT);
    c->actor = actor;
    c->jobs = mem_new_array(struct submission, (size_t)jobs);
    c->job_count = (size_t)jobs;
    for (int i = 0; i < jobs; i++) {
        c->jobs[i].gpus = 1;
        c->jobs[i].memory_mib = 16384;
        c->jobs[i].flags = JOB_MEMORY_DEFAULT;
        c->jobs[i].retries = 1;
        snprintf(c->jobs[i].name, sizeof c->jobs[i].name, "job");
        c->jobs[i].spec = mem_strdup("{\"command\":[\"true\"]}");
    }
    return c;
}

static inline struct command *a_report(int64_t node, const char *boot, bool hello)
{
    struct command *c = command_new(COMMAND_REPORT);
    struct report *r = c->report = mem_new(struct report);
    r->node = node;
    r->is_hello = hello;
    snprintf(r->boot_id, sizeof r->boot_id, "%s", boot);
    snprintf(r->data_id, sizeof r->data_id, "data");
    if (hello) {
        r->cpu_milli = 8000;
        r->memory_mib = 32768;
        r->isolation = ISOLATION_SHARED;
        r->device_count = 1;
        r->devices = mem_new(struct device_report);
        snprintf(r->devices->uuid, sizeof r->devices->uuid, "GPU-1");
        snprintf(r->devices->model, sizeof r->devices->model, "RTX 3080");
        r->devices->memory_mib = r->devices->free_mib = 10240;
    }
    return c;
}

static inline struct attempt_report *an_attempt(struct command *c, int64_t job, int64_t n, int what)
{
    const struct engine_view *v = engine_view_get(engine);
    c->report->attempts = mem_new(struct attempt_report);
    c->report->attempt_count = 1;
    struct attempt_report *a = c->report->attempts;
    attempt_id(a->id, v->fleet.incarnation, job, n);
    engine_view_release(engine, v);
    a->job = job;
    a->n = n;
    a->what = what;
    return a;
}

static inline int64_t join_node(const char *name)
{
    struct command *c = command_new(COMMAND_ENROLMENT_CREATE);
    c->actor = 1;
    free(token_make(&c->hash));
    struct digest hash = c->hash;
    CHECK_INT(ask(c)->error.code, 0);
    c = command_new(COMMAND_ENROL);
    c->hash = hash;
    snprintf(c->name, sizeof c->name, "%s", name);
    free(token_make(&c->key_hash));
    CHECK_INT(ask(c)->error.code, 0);
    int64_t node = answered->ret_id;
    c = command_new(COMMAND_ENROL);
    c->hash = hash;
    snprintf(c->name, sizeof c->name, "thief");
    CHECK_INT(ask(c)->error.code, ERR_UNAUTHENTICATED); /* good once */

    c = command_new(COMMAND_LINK);
    c->node = node;
    c->linked = true;
    ask(c);
    CHECK_INT(ask(a_report(node, "boot-1", true))->error.code, 0);
    return node;
}

static inline int state_of(int64_t job)
{
    const struct engine_view *v = engine_view_get(engine);
    const struct job *j = fleet_job(&v->fleet, job);
    int state = j ? j->state : -1;
    engine_view_release(engine, v);
    return state;
}

static inline struct replay_result replay_from(bool start)
{
    struct replay_result r;
    struct store_reader *reader;
    CHECK_OK(engine_reader_open(engine, &reader, &test_err));
    CHECK_OK(engine_replay(engine_store(engine), reader, start, &r, &test_err));
    struct ledger_check check;
    CHECK_OK(ledger_verify(engine_store(engine), reader, NULL, NULL, &check, &test_err));
    CHECK_INT(r.began + r.rows, check.rows);
    engine_store(engine)->reader_close(reader);
    return r;
}

/* The whole of it, and what comes behind the newest snapshot. */
static inline struct replay_result replay(void)
{
    CHECK_INT(replay_from(false).first_different, 0);
    return replay_from(true);
}

TEST("a node that somebody vouches for gets a key, time and again")
{
    CHECK_OK(begin("memory:"));
    struct digest keys[2], shown;
    struct token_holder holder;
    free(token_make(&shown));
    for (int i = 0; i < 2; i++) {
        struct command *c = command_new(COMMAND_ENROL);
        c->vouched = true;
        c->hash = shown;
        free(token_make(&c->key_hash));
        keys[i] = c->key_hash;
        snprintf(c->name, sizeof c->name, "gpu-1");
        CHECK_INT(ask(c)->error.code, 0);
        CHECK_INT(answered->ret_id, 1);
    }
    CHECK(!tokens_find(engine_tokens(engine), &keys[0], 1, &holder)); /* replaced */
    CHECK(tokens_find(engine_tokens(engine), &keys[1], 1, &holder) && holder.kind == TOKEN_NODE);
    CHECK(!tokens_find(engine_tokens(engine), &shown, 1, &holder)); /* opens nothing here itself */
    replay();
    end();
}

#endif
