#include "scene.h"

#include "base/file.h"

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

/* The directory on a disk that is full for a while. */
static int *disk_is_full;

static int append(struct log_store *logs, struct log_ref ref, int64_t offset, const void *data,
                  int64_t len, int64_t *ret_end, struct err *e)
{
    if (__atomic_load_n(disk_is_full, __ATOMIC_RELAXED) > 0) {
        __atomic_sub_fetch(disk_is_full, 1, __ATOMIC_RELAXED);
        return err_set(e, ERR_EXHAUSTED, "the disk is full");
    }
    return log_store_directory.append(logs, ref, offset, data, len, ret_end, e);
}

static struct cluster_config cluster_config(struct scene *s)
{
    static struct log_store_ops ops;
    ops = *s->log_ops;
    ops.append = append;
    disk_is_full = &s->full;
    struct cluster_config c = {.name = "played",
                               .start_limit_ms = s->start_limit_ms ? s->start_limit_ms : 60000,
                               .keep_ms = s->keep_ms,
                               .log_ops = &ops,
                               .logs = s->logs,
                               .positions = s->positions,
                               .on_progress = on_progress,
                               .arg = s,
                               .tick_ms = 50,
                               .ask_ms = 50,
                               .press_ms = 200};
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
    c.settings.argo_server = s->has_argo_server ? mem_strdup(s->play.f.url) : NULL;
    return c;
}

/* reeved, as far as it matters here. */
void scene_begin(struct scene *s)
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

void scene_end(struct scene *s)
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

void scene_open(struct scene *s)
{
    strcpy(s->folder, "/tmp/reeve-cluster-XXXXXX");
    CHECK(mkdtemp(s->folder));
    auto_free char *logs = mem_printf("%s/logs", s->folder);
    CHECK_OK(file_make_folder(logs, 0700, &test_err));
    s->positions = mem_printf("%s/positions.json", s->folder);
    signal(SIGPIPE, SIG_IGN);
    play_open(&s->play);
    PLAY_SET(&s->play, has_workflows, s->has_workflows || s->has_argo_server);
    play_node(&s->play, "gpu-a", 1, "boot-1");
    scene_begin(s);
}

void scene_close(struct scene *s)
{
    scene_end(s);
    play_close(&s->play);
    free(s->positions);
    command_free(s->answer);
    file_remove_tree(s->folder, NULL);
}

void scene_rest(struct scene *s, int ms)
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

const struct command *scene_ask(struct scene *s, struct command *c)
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

int64_t submit_as(struct scene *s, const char *spec, int gpus, int64_t time_limit_ms)
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
    return scene_ask(s, c)->jobs[0].ret_id;
}

int64_t submit(struct scene *s)
{
    return submit_as(s, "{\"command\":[\"train\"],\"image\":\"localhost/t:1\"}", 1, 0);
}

char *pod_name(struct scene *s, int64_t job, int n)
{
    static char name[ATTEMPT_NAME_SIZE];
    attempt_name(name, s->site, job, n);
    return name;
}

/* Of an open job; -1 when it is over. */
int state_of(struct scene *s, int64_t job)
{
    const struct engine_view *v = engine_view_get(s->engine);
    const struct job *j = fleet_job(&v->fleet, job);
    int state = j ? j->state : -1;
    engine_view_release(s->engine, v);
    return state;
}

int attempt_state(struct scene *s, int64_t job, char *why, size_t size)
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

bool waits_for(struct scene *s, int64_t job, const char *words)
{
    char why[FLEET_WHY];
    return attempt_state(s, job, why, sizeof why) == ATTEMPT_SENT && strstr(why, words);
}

int64_t counted(struct scene *s, enum job_state state)
{
    const struct engine_view *v = engine_view_get(s->engine);
    int64_t count = state == JOB_COMPLETED ? v->fleet.completed
                    : state == JOB_FAILED  ? v->fleet.failed
                                           : v->fleet.cancelled;
    engine_view_release(s->engine, v);
    return count;
}

struct attempt_search {
    int64_t n; /* 0: the last one */
    struct last_attempt found;
};

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct attempt_search *search = arg;
    struct last_attempt *last = &search->found;
    const struct attempt_row *row = record;
    (void)table;
    if (search->n && row->n != search->n)
        return 0;
    last->n = row->n;
    last->outcome = row->outcome;
    last->exit_code = row->exit_code;
    snprintf(last->why, sizeof last->why, "%s", row->reason_text ? row->reason_text : "");
    return 0;
}

struct last_attempt the_attempt(struct scene *s, int64_t job, int64_t n)
{
    struct attempt_search search = {.n = n};
    struct store_reader *reader;
    struct store_query q = {.id = QUERY_ATTEMPTS, .key = job, .limit = STORE_LIMIT};
    CHECK_OK(engine_reader_open(s->engine, &reader, &test_err));
    CHECK_OK(engine_store(s->engine)->read(reader, &q, on_row, &search, &test_err));
    engine_store(s->engine)->reader_close(reader);
    return search.found;
}

struct last_attempt last_attempt(struct scene *s, int64_t job)
{
    return the_attempt(s, job, 0);
}

int node_state(struct scene *s, const char *name)
{
    const struct engine_view *v = engine_view_get(s->engine);
    const struct node *n = fleet_node_named(&v->fleet, name);
    int state = n ? n->state : -1;
    engine_view_release(s->engine, v);
    return state;
}

bool is_released(struct scene *s, const char *pod)
{
    auto_json json_t *object = play_get(&s->play, "pods", "jobs", pod);
    const json_t *meta = json_object_get(object, "metadata");
    return object && json_array_size(json_object_get(meta, "finalizers")) == 0;
}

bool is_deleted(struct scene *s, const char *pod)
{
    auto_json json_t *object = play_get(&s->play, "pods", "jobs", pod);
    return json_object_get(json_object_get(object, "metadata"), "deletionTimestamp") != NULL;
}

char *output_of(struct scene *s, int64_t job)
{
    static char bytes[4096];
    struct log_piece piece;
    CHECK_OK(s->log_ops->read(s->logs, (struct log_ref){job, 1}, 0, bytes, sizeof bytes - 1, &piece,
                              &test_err));
    bytes[piece.len] = '\0';
    return bytes;
}
