/* Jobs of an engine that run as pods of a cluster that is played. */
#include "base/file.h"
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
    int64_t done, total; /* progress */
};

static void on_broken(void *arg, const struct err *why)
{
    (void)arg;
    ck_abort_msg("broken: %s", why->text);
}

static void on_progress(void *arg, int64_t job, int64_t n, int64_t done, int64_t total)
{
    struct scene *s = arg;
    (void)job, (void)n;
    __atomic_store_n(&s->done, done, __ATOMIC_RELAXED);
    __atomic_store_n(&s->total, total, __ATOMIC_RELAXED);
}

static struct cluster_config cluster_config(struct scene *s)
{
    struct cluster_config c = {.name = "played",
                               .start_limit_ms = s->start_limit_ms ? s->start_limit_ms : 60000,
                               .keep_ms = s->keep_ms,
                               .log_ops = s->log_ops,
                               .logs = s->logs,
                               .positions = s->positions,
                               .on_progress = on_progress,
                               .arg = s,
                               .tick_ms = 50,
                               .ask_ms = 50};
    auto_free char *text = mem_printf(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: "
        "{cluster: "
        "k, user: u, namespace: jobs}}], clusters: [{name: k, cluster: {server: '%s'}}], users: "
        "[{name: u, user: {}}]}",
        s->play.f.url);
    CHECK_OK(kube_config_parse(text, strlen(text), "/tmp", &(struct kube_config_options){0},
                               &c.kube, &test_err));
    kube_settings_init(&c.settings);
    c.settings.grace_s = 1;
    return c;
}

/* reeved, as far as it matters here. */
static void begin(struct scene *s)
{
    auto_free char *store = mem_printf("sqlite:%s/reeve.db", s->folder);
    auto_free char *logs = mem_printf("directory:%s/logs", s->folder);
    struct engine_config c = {
        .store = store,
        .silence_ms = s->silence_ms ? s->silence_ms : 15000,
        .retry_pause_ms = 10,
        .policy = {.gate_off = 1, .pue_milli = 1000, .lost_after_ms = 300000, .currency = "USD"}};
    struct engine_hooks hooks = {on_broken, NULL};
    uv_loop_init(&s->loop);
    CHECK_OK(log_store_open(logs, NULL, &s->log_ops, &s->logs, &test_err));
    CHECK_OK(engine_start(&s->loop, &c, &hooks, &s->engine, &s->admin_token, &test_err));
    s->door = mailbox_new(&s->loop, 1000);
    const struct engine_view *v = engine_view_get(s->engine);
    snprintf(s->site, sizeof s->site, "%s", v->fleet.site);
    snprintf(s->incarnation, sizeof s->incarnation, "%s", v->fleet.incarnation);
    engine_view_release(s->engine, v);
    struct cluster_config config = cluster_config(s);
    CHECK_OK(cluster_start(s->engine, &config, &s->cluster, &test_err));
}

static void end(struct scene *s)
{
    cluster_stop(s->cluster);
    engine_stop(s->engine);
    cluster_free(s->cluster);
    mailbox_close(s->door);
    uv_run(&s->loop, UV_RUN_NOWAIT);
    mailbox_free(s->door);
    CHECK_INT(uv_loop_close(&s->loop), 0);
    s->log_ops->close(s->logs);
    free(TAKE(s->admin_token));
}

static void scene_open(struct scene *s)
{
    strcpy(s->folder, "/tmp/reeve-cluster-XXXXXX");
    CHECK(mkdtemp(s->folder));
    auto_free char *logs = mem_printf("%s/logs", s->folder);
    CHECK_OK(file_make_folder(logs, 0700, &test_err));
    s->positions = mem_printf("%s/positions.json", s->folder);
    signal(SIGPIPE, SIG_IGN);
    play_open(&s->play);
    play_node(&s->play, "gpu-a", 1, "boot-1");
    begin(s);
}

static void scene_close(struct scene *s)
{
    end(s);
    play_close(&s->play);
    free(s->positions);
    command_free(s->answer);
    file_remove_tree(s->folder, NULL);
}
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

static void rest(struct scene *s, int ms)
{
    for (int i = 0; i < ms; i++) {
        uv_run(&s->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static void on_answer(struct command *c)
{
    struct scene *s = c->arg;
    command_free(s->answer);
    s->answer = c;
    s->answers++;
}

static const struct command *ask(struct scene *s, struct command *c)
{
    int before = s->answers;
    c->on_done = on_answer;
    c->reply_to = s->door;
    c->arg = s;
    c->actor = c->actor ? c->actor : 1;
    CHECK(engine_command(s->engine, c));
    UNTIL(s, s->answers > before);
    ck_assert_msg(s->answer->error.code == ERR_NONE, "%s", s->answer->error.text);
    return s->answer;
}

static int64_t submit_as(struct scene *s, const char *spec, int gpus, int64_t time_limit_ms)
{
    struct command *c = command_new(COMMAND_SUBMIT);
    c->jobs = mem_new(struct submission);
    c->job_count = 1;
    struct submission *j = c->jobs;
    j->gpus = gpus;
    j->memory_mib = 16384;
    j->time_limit_ms = time_limit_ms;
    j->flags = JOB_MEMORY_DEFAULT | JOB_NEEDS_CLUSTER;
    j->retries = 1;
    snprintf(j->name, sizeof j->name, "job");
    j->spec = mem_strdup(spec);
    return ask(s, c)->jobs[0].ret_id;
}

static int64_t submit(struct scene *s)
{
    return submit_as(s, "{\"command\":[\"train\"],\"image\":\"localhost/t:1\"}", 1, 0);
}

static char *pod_name(struct scene *s, int64_t job, int n)
{
    static char name[ATTEMPT_NAME_SIZE];
    attempt_name(name, s->site, job, n);
    return name;
}

/* Of an open job; -1 when it is over. */
static int state_of(struct scene *s, int64_t job)
{
    const struct engine_view *v = engine_view_get(s->engine);
    const struct job *j = fleet_job(&v->fleet, job);
    int state = j ? j->state : -1;
    engine_view_release(s->engine, v);
    return state;
}

static int attempt_state(struct scene *s, int64_t job, char *why, size_t size)
{
    const struct engine_view *v = engine_view_get(s->engine);
    const struct job *j = fleet_job(&v->fleet, job);
    const struct attempt *a = j ? fleet_job_attempt(&v->fleet, j) : NULL;
    int state = a ? a->state : -1;
    if (why)
        snprintf(why, size, "%s", a ? a->why : "");
    engine_view_release(s->engine, v);
    return state;
}

static bool waits_for(struct scene *s, int64_t job, const char *words)
{
    char why[FLEET_WHY];
    return attempt_state(s, job, why, sizeof why) == ATTEMPT_SENT && strstr(why, words);
}

static int64_t counted(struct scene *s, enum job_state state)
{
    const struct engine_view *v = engine_view_get(s->engine);
    int64_t count = state == JOB_COMPLETED ? v->fleet.completed
                    : state == JOB_FAILED  ? v->fleet.failed
                                           : v->fleet.cancelled;
    engine_view_release(s->engine, v);
    return count;
}

struct last_attempt {
    int64_t n, outcome, exit_code;
    char why[256];
};

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct last_attempt *last = arg;
    const struct attempt_row *row = record;
    (void)table;
    last->n = row->n;
    last->outcome = row->outcome;
    last->exit_code = row->exit_code;
    snprintf(last->why, sizeof last->why, "%s", row->reason_text ? row->reason_text : "");
    return 0;
}

static struct last_attempt last_attempt(struct scene *s, int64_t job)
{
    struct last_attempt last = {0};
    struct store_reader *reader;
    struct store_query q = {.id = QUERY_ATTEMPTS, .key = job, .limit = STORE_LIMIT};
    CHECK_OK(engine_reader_open(s->engine, &reader, &test_err));
    CHECK_OK(engine_store(s->engine)->read(reader, &q, on_row, &last, &test_err));
    engine_store(s->engine)->reader_close(reader);
    return last;
}

static int node_state(struct scene *s, const char *name)
{
    const struct engine_view *v = engine_view_get(s->engine);
    const struct node *n = fleet_node_named(&v->fleet, name);
    int state = n ? n->state : -1;
    engine_view_release(s->engine, v);
    return state;
}

static bool is_released(struct scene *s, const char *pod)
{
    auto_json json_t *object = play_get(&s->play, "pods", "jobs", pod);
    const json_t *meta = json_object_get(object, "metadata");
    return object && json_array_size(json_object_get(meta, "finalizers")) == 0;
}

static bool is_deleted(struct scene *s, const char *pod)
{
    auto_json json_t *object = play_get(&s->play, "pods", "jobs", pod);
    return json_object_get(json_object_get(object, "metadata"), "deletionTimestamp") != NULL;
}

static char *output_of(struct scene *s, int64_t job)
{
    static char bytes[4096];
    struct log_piece piece;
    CHECK_OK(s->log_ops->read(s->logs, (struct log_ref){job, 1}, 0, bytes, sizeof bytes - 1, &piece,
                              &test_err));
    bytes[piece.len] = '\0';
    return bytes;
}

#define KILLED                                                                                     \
    "{\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"main\",\"state\":{\"terminated\":{"  \
    "\"exitCode\":137,\"reason\":\"Error\",\"startedAt\":\"2026-01-31T09:00:00Z\","                \
    "\"finishedAt\":\"2026-01-31T09:00:05Z\"}}}]}"

/* ---- nodes ---- */

TEST("a node of the cluster becomes one of the fleet, with its GPUs")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    UNTIL(&s, node_state(&s, "gpu-a") == NODE_READY);
    const struct engine_view *v = engine_view_get(s.engine);
    const struct node *n = fleet_node_named(&v->fleet, "gpu-a");
    CHECK_TEXT(n->cluster, "played");
    CHECK_TEXT(n->boot_id, "boot-1");
    CHECK_TEXT(n->data_id, "the-cluster");
    CHECK_INT(n->devices, 1);
    CHECK_TEXT(fleet_device(&v->fleet, 1)->uuid, "gpu-a/nvidia.com/gpu/0");
    engine_view_release(s.engine, v);
    play_node(&s.play, "gpu-b", 2, "boot-2");
    UNTIL(&s, node_state(&s, "gpu-b") == NODE_READY);
}

TEST("a GPU that somebody else's pod has is not given out until the pod is over")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    play_put(&s.play, "pods", "other",
             "{\"metadata\":{\"name\":\"theirs\"},\"spec\":{\"nodeName\":\"gpu-a\",\"containers\":"
             "[{\"name\":\"x\",\"resources\":{\"requests\":{\"nvidia.com/gpu\":\"1\"}}}]},"
             "\"status\":{\"phase\":\"Running\"}}");
    UNTIL(&s, node_state(&s, "gpu-a") == NODE_READY);
    rest(&s, 300);
    int64_t job = submit(&s);
    rest(&s, 300);
    CHECK_INT(state_of(&s, job), JOB_QUEUED);
    play_drop(&s.play, "pods", "other", "theirs");
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 1)));
}

/* ---- a life ---- */

TEST("a job runs as a pod; its states, its output and its end are kept, and the pod is let go")
{
    auto_scene struct scene s = {.keep_ms = 2000};
    scene_open(&s);
    int64_t job = submit(&s);
    const char *pod = pod_name(&s, job, 1);
    UNTIL(&s, play_has(&s.play, pod));
    CHECK_INT(attempt_state(&s, job, NULL, 0), ATTEMPT_SENT);
    play_status(&s.play, pod,
                "{\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"main\",\"state\":{"
                "\"waiting\":{\"reason\":\"ImagePullBackOff\",\"message\":\"no such image\"}}}]}");
    UNTIL(&s, waits_for(&s, job, "the image cannot be pulled: no such image"));
    PLAY_SET(&s.play, log,
             "2026-01-31T09:00:01.000000000Z epoch 1/4\n"
             "2026-01-31T09:00:01.500000000Z epoch 2/4\n");
    play_running(&s.play, pod);
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    UNTIL(&s, strstr(output_of(&s, job), "epoch 2/4"));
    UNTIL(&s, __atomic_load_n(&s.done, __ATOMIC_RELAXED) == 2);
    CHECK_INT(__atomic_load_n(&s.total, __ATOMIC_RELAXED), 4);
    play_ended(&s.play, pod, 0);
    UNTIL(&s, state_of(&s, job) == -1);
    CHECK_INT(counted(&s, JOB_COMPLETED), 1);
    UNTIL(&s, is_released(&s, pod));
    CHECK_TEXT(output_of(&s, job), "epoch 1/4\nepoch 2/4\n");
    CHECK(!is_deleted(&s, pod));
    UNTIL(&s, !play_has(&s.play, pod));
    CHECK_INT(PLAY_GET(&s.play, created), 1);
}

TEST("what a pod ends with is the job's end")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit(&s);
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 1)));
    play_ended(&s.play, pod_name(&s, job, 1), 3);
    UNTIL(&s, state_of(&s, job) == -1);
    struct last_attempt last = last_attempt(&s, job);
    CHECK_INT(last.outcome, OUTCOME_FAILED);
    CHECK_INT(last.exit_code, 3);
}

TEST("a job that is cancelled is asked to end, and is over when it has")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit(&s);
    const char *pod = pod_name(&s, job, 1);
    UNTIL(&s, play_has(&s.play, pod));
    play_running(&s.play, pod);
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    struct command *c = command_new(COMMAND_CANCEL);
    c->id = job;
    ask(&s, c);
    UNTIL(&s, is_deleted(&s, pod));
    CHECK_INT(state_of(&s, job), JOB_RUNNING);
    play_status(&s.play, pod, KILLED);
    UNTIL(&s, state_of(&s, job) == -1);
    CHECK_INT(counted(&s, JOB_CANCELLED), 1);
    UNTIL(&s, !play_has(&s.play, pod));
}

TEST("a job that runs longer than it may is ended for that")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit_as(&s, "{\"image\":\"i\"}", 1, 1000);
    const char *pod = pod_name(&s, job, 1);
    UNTIL(&s, play_has(&s.play, pod));
    play_running(&s.play, pod);
    UNTIL(&s, is_deleted(&s, pod));
    play_status(&s.play, pod, KILLED);
    UNTIL(&s, state_of(&s, job) == -1);
    CHECK_INT(last_attempt(&s, job).outcome, OUTCOME_TIME_LIMIT);
}

TEST("a pod that does not start for too long is given up, with the reason")
{
    auto_scene struct scene s = {.start_limit_ms = 400};
    scene_open(&s);
    int64_t job = submit(&s);
    const char *pod = pod_name(&s, job, 1);
    UNTIL(&s, play_has(&s.play, pod));
    play_status(&s.play, pod,
                "{\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"main\",\"state\":{"
                "\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":\"no such image\"}}}]}");
    UNTIL(&s, is_deleted(&s, pod));
    play_status(&s.play, pod, "{\"phase\":\"Failed\"}");
    UNTIL(&s, state_of(&s, job) == -1);
    struct last_attempt last = last_attempt(&s, job);
    CHECK_INT(last.outcome, OUTCOME_NOT_STARTED);
    CHECK(strstr(last.why, "cannot be pulled"));
}

TEST("a pod that kubelet turns away is a new decision")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit(&s);
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 1)));
    play_status(&s.play, pod_name(&s, job, 1),
                "{\"phase\":\"Failed\",\"reason\":\"UnexpectedAdmissionError\","
                "\"message\":\"Allocate failed\"}");
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 2)));
    UNTIL(&s, !play_has(&s.play, pod_name(&s, job, 1)));
    play_running(&s.play, pod_name(&s, job, 2));
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
}

TEST("a pod that somebody deletes is lost, and tried again as often as the job may be")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit(&s);
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 1)));
    play_running(&s.play, pod_name(&s, job, 1));
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    auto_json json_t *object = play_get(&s.play, "pods", "jobs", pod_name(&s, job, 1));
    json_object_set_new(json_object_get(object, "metadata"), "deletionTimestamp",
                        json_string("2026-01-31T09:00:30Z"));
    auto_free char *deleted = json_write(object);
    play_put(&s.play, "pods", "jobs", deleted);
    rest(&s, 200);
    CHECK_INT(state_of(&s, job), JOB_RUNNING);
    play_status(&s.play, pod_name(&s, job, 1), KILLED);
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 2)));
    play_ended(&s.play, pod_name(&s, job, 2), 0);
    UNTIL(&s, counted(&s, JOB_COMPLETED) == 1);
}

/* ---- making ---- */

TEST("an answer that is lost makes nothing twice")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    PLAY_SET(&s.play, loses_answers, true);
    int64_t job = submit(&s);
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 1)));
    play_running(&s.play, pod_name(&s, job, 1));
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    CHECK_INT(PLAY_GET(&s.play, created), 1);
}

TEST("a request that did not get through is made again")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    PLAY_SET(&s.play, ignores_creates, true);
    int64_t job = submit(&s);
    UNTIL(&s, waits_for(&s, job, "does not answer"));
    PLAY_SET(&s.play, ignores_creates, false);
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 1)));
    CHECK_INT(PLAY_GET(&s.play, created), 1);
}

TEST("what the cluster will never take ends the job, in the cluster's words")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    PLAY_SET(&s.play, refuse, 422);
    PLAY_SET(&s.play, refuse_reason, "Invalid");
    PLAY_SET(&s.play, refuse_message, "spec.containers[0].image: bad");
    int64_t job = submit(&s);
    UNTIL(&s, state_of(&s, job) == -1);
    struct last_attempt last = last_attempt(&s, job);
    CHECK_INT(last.outcome, OUTCOME_NOT_STARTED);
    CHECK(strstr(last.why, "image: bad"));
}

TEST("a quota that is full is waited for")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    PLAY_SET(&s.play, refuse, 403);
    PLAY_SET(&s.play, refuse_reason, "Forbidden");
    PLAY_SET(&s.play, refuse_message, "pods is forbidden: exceeded quota: gpus");
    int64_t job = submit(&s);
    UNTIL(&s, last_attempt(&s, job).outcome == OUTCOME_REFUSED);
    CHECK(strstr(last_attempt(&s, job).why, "exceeded quota"));
    UNTIL(&s, state_of(&s, job) == JOB_QUEUED);
}

TEST("an object of that name which is somebody else's stays theirs")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    auto_free char *text = mem_printf(
        "{\"metadata\":{\"name\":\"%s\"},\"status\":{\"phase\":\"Running\"}}", pod_name(&s, 1, 1));
    play_put(&s.play, "pods", "jobs", text);
    int64_t job = submit(&s);
    CHECK_INT(job, 1);
    UNTIL(&s, state_of(&s, job) == -1);
    CHECK(strstr(last_attempt(&s, job).why, "somebody else's"));
    CHECK(!is_deleted(&s, pod_name(&s, 1, 1)));
}

TEST("a job that names no image, where none is usual, does not start and says so")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit_as(&s, "{\"command\":[\"x\"]}", 1, 0);
    UNTIL(&s, state_of(&s, job) == -1);
    CHECK(strstr(last_attempt(&s, job).why, "names no image"));
    CHECK_INT(PLAY_GET(&s.play, created), 0);
}

/* ---- starting anew ---- */

TEST("after a restart what runs is found again, and what ended meanwhile has ended")
{
    auto_scene struct scene s = {.keep_ms = 100000};
    scene_open(&s);
    play_node(&s.play, "gpu-b", 1, "boot-2");
    int64_t runs = submit(&s), ends = submit(&s);
    UNTIL(&s, play_has(&s.play, pod_name(&s, runs, 1)));
    play_running(&s.play, pod_name(&s, runs, 1));
    UNTIL(&s, play_has(&s.play, pod_name(&s, ends, 1)));
    play_running(&s.play, pod_name(&s, ends, 1));
    UNTIL(&s, state_of(&s, runs) == JOB_RUNNING && state_of(&s, ends) == JOB_RUNNING);
    end(&s);
    play_ended(&s.play, pod_name(&s, ends, 1), 0);
    begin(&s);
    UNTIL(&s, state_of(&s, ends) == -1);
    CHECK_INT(state_of(&s, runs), JOB_RUNNING);
    UNTIL(&s, is_released(&s, pod_name(&s, ends, 1)));
    play_ended(&s.play, pod_name(&s, runs, 1), 0);
    UNTIL(&s, counted(&s, JOB_COMPLETED) == 2);
    CHECK_INT(PLAY_GET(&s.play, created), 2);
}

TEST("after a restart a job goes on whose node comes later than its pod")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit(&s);
    const char *pod = pod_name(&s, job, 1);
    UNTIL(&s, play_has(&s.play, pod));
    play_running(&s.play, pod);
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    end(&s);
    play_drop(&s.play, "nodes", NULL, "gpu-a");
    begin(&s);
    rest(&s, 500);
    CHECK(!is_deleted(&s, pod));
    play_node(&s.play, "gpu-a", 1, "boot-1");
    UNTIL(&s, node_state(&s, "gpu-a") == NODE_READY);
    CHECK_INT(state_of(&s, job), JOB_RUNNING);
    play_ended(&s.play, pod, 0);
    UNTIL(&s, counted(&s, JOB_COMPLETED) == 1);
}

TEST("what was told to be made and is not there after a restart is made then, once")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    PLAY_SET(&s.play, ignores_creates, true);
    int64_t job = submit(&s);
    UNTIL(&s, attempt_state(&s, job, NULL, 0) == ATTEMPT_SENT);
    end(&s);
    PLAY_SET(&s.play, ignores_creates, false);
    begin(&s);
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 1)));
    play_ended(&s.play, pod_name(&s, job, 1), 0);
    UNTIL(&s, counted(&s, JOB_COMPLETED) == 1);
    CHECK_INT(PLAY_GET(&s.play, created), 1);
}

TEST("a pod of ours that no job knows is ended")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    const char *pod = pod_name(&s, 77, 1);
    auto_free char *text = mem_printf(
        "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"reeve.gpu/site\":\"%s\",\"reeve.gpu/job\":"
        "\"77\",\"reeve.gpu/attempt\":\"1\"},\"annotations\":{\"reeve.gpu/attempt-id\":"
        "\"00112233445566778899aabbccddeeff\",\"reeve.gpu/node\":\"gpu-a\",\"reeve.gpu/runner\":"
        "\"kube-pod\"},\"finalizers\":[\"reeve.gpu/result\"]},\"spec\":{\"nodeName\":\"gpu-a\"},"
        "\"status\":{\"phase\":\"Pending\"}}",
        pod, s.site);
    play_put(&s.play, "pods", "jobs", text);
    play_running(&s.play, pod);
    UNTIL(&s, is_deleted(&s, pod));
    play_status(&s.play, pod, KILLED);
    UNTIL(&s, !play_has(&s.play, pod));
}

/* ---- nodes that go ---- */

TEST("a node that was restarted has lost what ran there")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit(&s);
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 1)));
    play_running(&s.play, pod_name(&s, job, 1));
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    play_node(&s.play, "gpu-a", 1, "boot-9");
    play_status(&s.play, pod_name(&s, job, 1), KILLED);
    UNTIL(&s, state_of(&s, job) != JOB_RUNNING);
}

TEST("what ran on a node that is out of service is lost, and runs elsewhere")
{
    auto_scene struct scene s = {.silence_ms = 1000};
    scene_open(&s);
    UNTIL(&s, node_state(&s, "gpu-a") == NODE_READY);
    int64_t job = submit(&s);
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 1)));
    play_running(&s.play, pod_name(&s, job, 1));
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    play_node(&s.play, "gpu-b", 1, "boot-2");
    UNTIL(&s, node_state(&s, "gpu-b") == NODE_READY);
    play_put(&s.play, "nodes", NULL,
             "{\"metadata\":{\"name\":\"gpu-a\",\"uid\":\"node-gpu-a\"},\"spec\":{\"taints\":[{"
             "\"key\":\"node.kubernetes.io/out-of-service\",\"value\":\"nodeshutdown\",\"effect\":"
             "\"NoExecute\"}]},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":"
             "\"Unknown\"}],\"nodeInfo\":{\"bootID\":\"boot-1\"}}}");
    UNTIL(&s, play_has(&s.play, pod_name(&s, job, 2)));
}
