/* Custom resources of a cluster that is played, as jobs of an engine. */
#include "api/job_in.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/cluster.h"
#include "operator/reconciler.h"
#include "play.h"

struct scene {
    struct play play;
    char folder[64];
    uv_loop_t loop;
    struct engine *engine;
    struct cluster *cluster;
    struct reconciler *reconciler;
    struct mailbox *door;
    struct log_store *logs;
    const struct log_store_ops *log_ops;
    char *admin_token;
    char site[16];
    int64_t refresh_ms;
    struct command *answer;
    int answers;
};

static void on_broken(void *arg, const struct err *why)
{
    (void)arg;
    ck_abort_msg("broken: %s", why->text);
}

static int read_job(void *arg, const json_t *job, struct submission *ret, struct err *e)
{
    const char *user;
    (void)arg;
    return job_in_read(job, ret, &user, e);
}

static void start_guest(void *arg, struct engine *g, struct kube_client *client,
                        struct mailbox *box)
{
    reconciler_start(arg, g, client, box);
}

static void stop_guest(void *arg)
{
    reconciler_stop(arg);
}

static struct cluster_config cluster_config(struct scene *s)
{
    struct cluster_config c = {.name = "played",
                               .start_limit_ms = 60000,
                               .log_ops = s->log_ops,
                               .logs = s->logs,
                               .guest = {start_guest, stop_guest, s->reconciler},
                               .tick_ms = 50,
                               .ask_ms = 50};
    auto_free char *text = mem_printf(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: "
        "{cluster: k, user: u, namespace: jobs}}], clusters: [{name: k, cluster: {server: '%s'}}], "
        "users: [{name: u, user: {}}]}",
        s->play.f.url);
    CHECK_OK(kube_config_parse(text, strlen(text), "/tmp", &(struct kube_config_options){0},
                               &c.kube, &test_err));
    kube_settings_init(&c.settings);
    c.settings.grace_s = 1;
    return c;
}

static void begin(struct scene *s)
{
    auto_free char *store = mem_printf("sqlite:%s/reeve.db", s->folder);
    auto_free char *logs = mem_printf("directory:%s/logs", s->folder);
    struct engine_config c = {
        .store = store,
        .silence_ms = 15000,
        .retry_pause_ms = 10,
        .policy = {.gate_off = 1, .pue_milli = 1000, .lost_after_ms = 300000, .currency = "USD"}};
    struct engine_hooks hooks = {on_broken, NULL};
    struct reconciler_config o = {.read_job = read_job,
                                  .fallback_image = "localhost/t:1",
                                  .tick_ms = 50,
                                  .refresh_ms = s->refresh_ms ? s->refresh_ms : 100,
                                  .ask_ms = 50};
    uv_loop_init(&s->loop);
    CHECK_OK(log_store_open(logs, NULL, &s->log_ops, &s->logs, &test_err));
    CHECK_OK(engine_start(&s->loop, &c, &hooks, &s->engine, &s->admin_token, &test_err));
    s->door = mailbox_new(&s->loop, 1000);
    s->reconciler = reconciler_new(&o);
    const struct engine_view *v = engine_view_get(s->engine);
    snprintf(s->site, sizeof s->site, "%s", v->fleet.site);
    engine_view_release(s->engine, v);
    struct cluster_config config = cluster_config(s);
    CHECK_OK(cluster_start(s->engine, &config, &s->cluster, &test_err));
}

static void end(struct scene *s)
{
    cluster_stop(s->cluster);
    engine_stop(s->engine);
    cluster_free(s->cluster);
    reconciler_free(s->reconciler);
    mailbox_close(s->door);
    uv_run(&s->loop, UV_RUN_NOWAIT);
    mailbox_free(s->door);
    CHECK_INT(uv_loop_close(&s->loop), 0);
    s->log_ops->close(s->logs);
    free(TAKE(s->admin_token));
}

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

static int64_t add_user(struct scene *s, const char *name)
{
    int before = s->answers;
    struct command *c = command_new(COMMAND_PRINCIPAL_ADD);
    snprintf(c->name, sizeof c->name, "%s", name);
    c->role = 2; /* user */
    c->actor = 1;
    c->on_done = on_answer;
    c->reply_to = s->door;
    c->arg = s;
    CHECK(engine_command(s->engine, c));
    UNTIL(s, s->answers > before);
    ck_assert_msg(s->answer->error.code == ERR_NONE, "%s", s->answer->error.text);
    return s->answer->ret_id;
}

static void namespace_of(struct scene *s, const char *ns, const char *user)
{
    auto_free char *text =
        user ? mem_printf("{\"metadata\":{\"name\":\"%s\",\"uid\":\"ns-%s\",\"annotations\":{"
                          "\"reeve.gpu/user\":\"%s\"}}}",
                          ns, ns, user)
             : mem_printf("{\"metadata\":{\"name\":\"%s\",\"uid\":\"ns-%s\"}}", ns, ns);
    play_put(&s->play, "namespaces", NULL, text);
}

static void scene_open(struct scene *s)
{
    strcpy(s->folder, "/tmp/reeve-operator-XXXXXX");
    CHECK(mkdtemp(s->folder));
    auto_free char *logs = mem_printf("%s/logs", s->folder);
    CHECK_OK(file_make_folder(logs, 0700, &test_err));
    signal(SIGPIPE, SIG_IGN);
    play_open(&s->play);
    play_node(&s->play, "gpu-a", 1, "boot-1");
    namespace_of(s, "team-a", "alice");
    begin(s);
    add_user(s, "alice");
}

static void scene_close(struct scene *s)
{
    end(s);
    play_close(&s->play);
    command_free(s->answer);
    file_remove_tree(s->folder, NULL);
}
#define auto_scene AUTO(scene_close)

/* ---- what the tests look at ---- */

#define TRAIN      "{\"image\":\"localhost/t:1\",\"command\":[\"train\"]}"

static void apply(struct scene *s, const char *collection, const char *name, const char *spec)
{
    auto_free char *text = mem_printf("{\"metadata\":{\"name\":\"%s\"},\"spec\":%s}", name, spec);
    play_put(&s->play, collection, "team-a", text);
}

static bool status_is(struct scene *s, const char *collection, const char *name, const char *key,
                      const char *value)
{
    auto_json json_t *object = play_get(&s->play, collection, "team-a", name);
    const json_t *member = json_object_get(json_object_get(object, "status"), key);
    char number[32];
    const char *is = json_string_value(member);
    if (json_is_integer(member)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(member));
        is = number;
    }
    return value ? is && strcmp(is, value) == 0 : object && !member;
}

static bool phase_is(struct scene *s, const char *name, const char *phase)
{
    return status_is(s, "trainingjobs", name, "phase", phase);
}

static bool condition_is(struct scene *s, const char *collection, const char *name,
                         const char *type, const char *status, const char *words)
{
    auto_json json_t *object = play_get(&s->play, collection, "team-a", name);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(json_object_get(object, "status"), "conditions"), i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "type")), type) == 0)
            return strcmp(json_string_value(json_object_get(item, "status")), status) == 0 &&
                   strstr(json_string_value(json_object_get(item, "message")), words);
    }
    return false;
}

static bool is_held(struct scene *s, const char *collection, const char *name)
{
    auto_json json_t *object = play_get(&s->play, collection, "team-a", name);
    return json_array_size(json_object_get(json_object_get(object, "metadata"), "finalizers")) > 0;
}

static bool is_there(struct scene *s, const char *collection, const char *name)
{
    auto_json json_t *object = play_get(&s->play, collection, "team-a", name);
    return object != NULL;
}

static char *pod_of(struct scene *s, int64_t job)
{
    static char name[ATTEMPT_NAME_SIZE];
    attempt_name(name, s->site, job, 1);
    return name;
}

static int64_t jobs_so_far(struct scene *s)
{
    const struct engine_view *v = engine_view_get(s->engine);
    int64_t count = v->fleet.next_job - 1;
    engine_view_release(s->engine, v);
    return count;
}

static int64_t count_of(struct scene *s, enum job_state state)
{
    const struct engine_view *v = engine_view_get(s->engine);
    int64_t count = state == JOB_CANCELLED ? v->fleet.cancelled : v->fleet.completed;
    engine_view_release(s->engine, v);
    return count;
}

/* A job that runs. */
static void run_one(struct scene *s)
{
    apply(s, "trainingjobs", "one", TRAIN);
    UNTIL(s, play_has(&s->play, pod_of(s, 1)));
    play_running(&s->play, pod_of(s, 1));
    UNTIL(s, phase_is(s, "one", "Running"));
}

/* ---- TrainingJobs ---- */

TEST("a TrainingJob becomes a job of its namespace's user, and its status follows it to the end")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);

    CHECK(status_is(&s, "trainingjobs", "one", "jobId", "1"));
    CHECK(status_is(&s, "trainingjobs", "one", "node", "gpu-a"));
    CHECK(status_is(&s, "trainingjobs", "one", "observedGeneration", "1"));
    CHECK(condition_is(&s, "trainingjobs", "one", "Accepted", "True", "user alice"));
    CHECK(condition_is(&s, "trainingjobs", "one", "Running", "True", ""));
    CHECK(is_held(&s, "trainingjobs", "one"));

    play_ended(&s.play, pod_of(&s, 1), 0);
    UNTIL(&s, phase_is(&s, "one", "Completed"));
    CHECK(condition_is(&s, "trainingjobs", "one", "Complete", "True", ""));
    CHECK(condition_is(&s, "trainingjobs", "one", "Failed", "False", ""));
    CHECK(status_is(&s, "trainingjobs", "one", "exitCode", "0"));
    UNTIL(&s, !is_held(&s, "trainingjobs", "one"));
    CHECK_INT(jobs_so_far(&s), 1);
    CHECK(fake_count(&s.play.f, "POST /apis/events.k8s.io/v1/namespaces/team-a/events") >= 2);
}

TEST("a job that fails says with what")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);
    play_ended(&s.play, pod_of(&s, 1), 3);
    UNTIL(&s, phase_is(&s, "one", "Failed"));
    CHECK(condition_is(&s, "trainingjobs", "one", "Failed", "True", "exit code 3"));
    CHECK(status_is(&s, "trainingjobs", "one", "exitCode", "3"));
}

TEST("one that waits says its place, and why")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);
    apply(&s, "trainingjobs", "two", TRAIN);
    apply(&s, "trainingjobs", "three", TRAIN);
    UNTIL(&s, phase_is(&s, "two", "Queued") && phase_is(&s, "three", "Queued"));
    UNTIL(&s, status_is(&s, "trainingjobs", "two", "position", "1") ||
                  status_is(&s, "trainingjobs", "three", "position", "1"));
    CHECK(!status_is(&s, "trainingjobs", "two", "message", NULL));
    play_ended(&s.play, pod_of(&s, 1), 0);
    UNTIL(&s, play_has(&s.play, pod_of(&s, 2)));
    UNTIL(&s, phase_is(&s, "two", "Scheduled") || phase_is(&s, "three", "Scheduled"));
    UNTIL(&s, status_is(&s, "trainingjobs", "two", "position", NULL) ||
                  status_is(&s, "trainingjobs", "three", "position", NULL));
}

TEST("that it runs is told at once, however seldom small changes are")
{
    auto_scene struct scene s = {.refresh_ms = 3600000};
    scene_open(&s);
    apply(&s, "trainingjobs", "one", TRAIN);
    UNTIL(&s, phase_is(&s, "one", "Scheduled") && play_has(&s.play, pod_of(&s, 1)));
    play_status(&s.play, pod_of(&s, 1),
                "{\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"main\",\"state\":{"
                "\"waiting\":{\"reason\":\"ContainerCreating\"}}}]}");
    rest(&s, 300);
    play_running(&s.play, pod_of(&s, 1));
    UNTIL(&s, phase_is(&s, "one", "Running"));
    play_ended(&s.play, pod_of(&s, 1), 0);
    UNTIL(&s, phase_is(&s, "one", "Completed"));
}

TEST("a spec that makes no sense is said to, and asked about once; mended, it runs")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    apply(&s, "trainingjobs", "one", "{\"command\":[\"a\"],\"gpuMemory\":\"much\"}");
    UNTIL(&s, phase_is(&s, "one", "Invalid"));
    CHECK(
        condition_is(&s, "trainingjobs", "one", "Accepted", "False", "field 'gpuMemory' must be"));
    int patches = fake_count(&s.play.f, "PATCH /apis/reeve.gpu");
    rest(&s, 1200);
    CHECK_INT(fake_count(&s.play.f, "PATCH /apis/reeve.gpu"), patches);
    CHECK_INT(jobs_so_far(&s), 0);
    CHECK(!is_held(&s, "trainingjobs", "one"));

    play_edit(&s.play, "trainingjobs", "team-a", "one",
              "{\"spec\":{\"gpuMemory\":null,\"image\":\"localhost/t:1\"}}");
    UNTIL(&s, status_is(&s, "trainingjobs", "one", "jobId", "1"));
    UNTIL(&s, status_is(&s, "trainingjobs", "one", "observedGeneration", "2"));
}

TEST("nothing is done in a namespace that is nobody's, until an administrator says whose it is")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    namespace_of(&s, "team-a", NULL);
    rest(&s, 50);
    apply(&s, "trainingjobs", "one", TRAIN);
    UNTIL(&s, phase_is(&s, "one", "Pending"));
    CHECK(
        condition_is(&s, "trainingjobs", "one", "Accepted", "False", "kubectl annotate namespace"));
    namespace_of(&s, "team-a", "nobody-of-this-name");
    UNTIL(&s, condition_is(&s, "trainingjobs", "one", "Accepted", "False", "not known to Reeve"));
    CHECK_INT(jobs_so_far(&s), 0);

    namespace_of(&s, "team-a", "alice");
    UNTIL(&s, status_is(&s, "trainingjobs", "one", "jobId", "1"));
}

TEST("deleting one that runs cancels its job, and the object goes")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);
    CHECK(play_delete(&s.play, "trainingjobs", "team-a", "one"));
    UNTIL(&s, !is_there(&s, "trainingjobs", "one"));
    UNTIL(&s, !play_has(&s.play, pod_of(&s, 1)) || count_of(&s, JOB_CANCELLED) == 1 ||
                  fake_count(&s.play.f, "DELETE /api/v1/namespaces/jobs/pods/") > 0);
    play_ended(&s.play, pod_of(&s, 1), 143);
    UNTIL(&s, count_of(&s, JOB_CANCELLED) == 1);
}

TEST("whose finalizer somebody took off is cancelled all the same")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);
    play_drop(&s.play, "trainingjobs", "team-a", "one");
    UNTIL(&s, fake_count(&s.play.f, "DELETE /api/v1/namespaces/jobs/pods/") > 0);
    play_ended(&s.play, pod_of(&s, 1), 143);
    UNTIL(&s, count_of(&s, JOB_CANCELLED) == 1);
}

TEST("one that is deleted goes even when its namespace's user has changed, and the other's job "
     "runs on")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    add_user(&s, "bob");
    run_one(&s);
    namespace_of(&s, "team-a", "bob");
    rest(&s, 100);
    CHECK(play_delete(&s.play, "trainingjobs", "team-a", "one"));
    UNTIL(&s, !is_there(&s, "trainingjobs", "one"));
    rest(&s, 200);
    CHECK_INT(fake_count(&s.play.f, "DELETE /api/v1/namespaces/jobs/pods/"), 0);
}

TEST("a number that somebody wrote into a status gets at nobody's job")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);
    add_user(&s, "bob");
    play_put(&s.play, "namespaces", NULL,
             "{\"metadata\":{\"name\":\"team-b\",\"uid\":\"ns-b\",\"annotations\":{\"reeve.gpu/"
             "user\":\"bob\"}}}");
    rest(&s, 100);
    auto_free char *text = mem_printf(
        "{\"metadata\":{\"name\":\"evil\",\"finalizers\":[\"reeve.gpu/"
        "trainingjob\"],\"annotations\":{"
        "\"reeve.gpu/taken-by\":\"%s 1\"}},\"spec\":{},\"status\":{\"jobId\":1,\"site\":\"%s\"}}",
        s.site, s.site);
    play_put(&s.play, "trainingjobs", "team-b", text);
    rest(&s, 300);
    auto_json json_t *evil = play_get(&s.play, "trainingjobs", "team-b", "evil");
    CHECK(!json_object_get(json_object_get(evil, "status"), "node"));
    CHECK(play_delete(&s.play, "trainingjobs", "team-b", "evil"));
    for (int i = 0; i < 5000 && evil; i++) {
        rest(&s, 1);
        json_decref(evil);
        evil = play_get(&s.play, "trainingjobs", "team-b", "evil");
    }
    CHECK(!evil);
    CHECK_INT(fake_count(&s.play.f, "DELETE /api/v1/namespaces/jobs/pods/"), 0);
    CHECK(phase_is(&s, "one", "Running"));
}

TEST("after a restart everything goes on, and nothing is handed in twice")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);
    end(&s);
    begin(&s);
    rest(&s, 500);
    CHECK_INT(jobs_so_far(&s), 1);
    play_ended(&s.play, pod_of(&s, 1), 0);
    UNTIL(&s, phase_is(&s, "one", "Completed"));
    int patches = fake_count(&s.play.f, "PATCH /apis/reeve.gpu");
    UNTIL(&s, !is_held(&s, "trainingjobs", "one"));
    end(&s);
    begin(&s);
    rest(&s, 500);
    CHECK(fake_count(&s.play.f, "PATCH /apis/reeve.gpu") <= patches + 1);
    CHECK_INT(jobs_so_far(&s), 1);
}

TEST("one whose job's number was not written down before a crash gets the same job again")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);
    end(&s);
    play_edit(&s.play, "trainingjobs", "team-a", "one", "{\"status\":null}");
    begin(&s);
    UNTIL(&s, status_is(&s, "trainingjobs", "one", "jobId", "1"));
    CHECK_INT(jobs_so_far(&s), 1);
}

TEST("one that is deleted before its job's number was written down is cancelled by its uid")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);
    end(&s);
    play_edit(&s.play, "trainingjobs", "team-a", "one", "{\"status\":null}");
    CHECK(play_delete(&s.play, "trainingjobs", "team-a", "one"));
    begin(&s);
    UNTIL(&s, !is_there(&s, "trainingjobs", "one"));
    UNTIL(&s, fake_count(&s.play.f, "DELETE /api/v1/namespaces/jobs/pods/") > 0);
    CHECK_INT(jobs_so_far(&s), 1);
}

TEST("one that was being handed in too long ago to know is not handed in again")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    auto_free char *text = mem_printf("{\"metadata\":{\"name\":\"old\",\"finalizers\":[\"reeve.gpu/"
                                      "trainingjob\"],\"annotations\":{"
                                      "\"reeve.gpu/taken-by\":\"%s %lld\"}},\"spec\":" TRAIN "}",
                                      s.site, (long long)(clock_wall_ms() - 30 * 3600000LL));
    play_put(&s.play, "trainingjobs", "team-a", text);
    UNTIL(&s, condition_is(&s, "trainingjobs", "old", "Accepted", "False", "make it anew"));
    rest(&s, 200);
    CHECK_INT(jobs_so_far(&s), 0);
}

TEST("one that another Reeve has taken is left alone")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    play_put(&s.play, "trainingjobs", "team-a",
             "{\"metadata\":{\"name\":\"other\",\"annotations\":{\"reeve.gpu/taken-by\":\"ffff "
             "1\"}},\"spec\":" TRAIN "}");
    rest(&s, 500);
    CHECK_INT(jobs_so_far(&s), 0);
    CHECK_INT(fake_count(&s.play.f, "PATCH /apis/reeve.gpu"), 0);
}

TEST("a kind that is installed later is taken up then")
{
    auto_scene struct scene s = {0};
    s.play.absent = NULL;
    scene_open(&s);
    end(&s);
    pthread_mutex_lock(&s.play.lock);
    s.play.absent = "gpuallocations";
    pthread_mutex_unlock(&s.play.lock);
    begin(&s);
    rest(&s, 200);
    run_one(&s);
    pthread_mutex_lock(&s.play.lock);
    s.play.absent = NULL;
    pthread_mutex_unlock(&s.play.lock);
    apply(&s, "gpuallocations", "hold", "{}");
    UNTIL(&s, status_is(&s, "gpuallocations", "hold", "phase", "Pending"));
}

TEST("while nothing can be written, jobs go on; it is written when it can be")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    run_one(&s);
    pthread_mutex_lock(&s.play.lock);
    s.play.refuse_patches = true;
    pthread_mutex_unlock(&s.play.lock);
    play_ended(&s.play, pod_of(&s, 1), 0);
    UNTIL(&s, count_of(&s, JOB_COMPLETED) == 1);
    rest(&s, 300);
    CHECK(phase_is(&s, "one", "Running"));
    pthread_mutex_lock(&s.play.lock);
    s.play.refuse_patches = false;
    pthread_mutex_unlock(&s.play.lock);
    UNTIL(&s, phase_is(&s, "one", "Completed"));
}

/* ---- owners ---- */

TEST("a pod belongs to a TrainingJob of its own namespace, and to none of another")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    play_put(&s.play, "namespaces", NULL,
             "{\"metadata\":{\"name\":\"jobs\",\"uid\":\"ns-j\",\"annotations\":{\"reeve.gpu/"
             "user\":\"alice\"}}}");
    rest(&s, 50);
    play_put(&s.play, "trainingjobs", "jobs",
             "{\"metadata\":{\"name\":\"near\",\"uid\":\"u-near\"},\"spec\":" TRAIN "}");
    UNTIL(&s, play_has(&s.play, pod_of(&s, 1)));
    auto_json json_t *pod = play_get(&s.play, "pods", "jobs", pod_of(&s, 1));
    const json_t *owner =
        json_array_get(json_object_get(json_object_get(pod, "metadata"), "ownerReferences"), 0);
    CHECK_TEXT(json_string_value(json_object_get(owner, "kind")), "TrainingJob");
    CHECK_TEXT(json_string_value(json_object_get(owner, "uid")), "u-near");
    play_running(&s.play, pod_of(&s, 1));
    play_ended(&s.play, pod_of(&s, 1), 0);

    apply(&s, "trainingjobs", "far", TRAIN);
    UNTIL(&s, play_has(&s.play, pod_of(&s, 2)));
    auto_json json_t *other = play_get(&s.play, "pods", "jobs", pod_of(&s, 2));
    CHECK(!json_object_get(json_object_get(other, "metadata"), "ownerReferences"));
}

/* ---- GPUAllocations ---- */

TEST("a GPUAllocation holds a GPU that nobody else is given, until it is deleted")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    apply(&s, "gpuallocations", "mine", "{\"workloadType\":\"training\"}");
    UNTIL(&s, play_has(&s.play, pod_of(&s, 1)));
    CHECK(status_is(&s, "gpuallocations", "mine", "allocatedDevice", NULL));
    play_running(&s.play, pod_of(&s, 1));
    UNTIL(&s, status_is(&s, "gpuallocations", "mine", "phase", "Allocated"));
    CHECK(status_is(&s, "gpuallocations", "mine", "allocatedDevice", "gpu-a/0"));
    CHECK(!status_is(&s, "gpuallocations", "mine", "allocationTime", NULL));
    CHECK(condition_is(&s, "gpuallocations", "mine", "Allocated", "True", ""));

    apply(&s, "trainingjobs", "waits", TRAIN);
    UNTIL(&s, phase_is(&s, "waits", "Queued"));
    CHECK(play_delete(&s.play, "gpuallocations", "team-a", "mine"));
    UNTIL(&s, !is_there(&s, "gpuallocations", "mine"));
    UNTIL(&s, fake_count(&s.play.f, "DELETE /api/v1/namespaces/jobs/pods/") > 0);
    play_ended(&s.play, pod_of(&s, 1), 143);
    UNTIL(&s, play_has(&s.play, pod_of(&s, 2)));
}

TEST("an allocation that somebody cancels in Reeve is released, and says so")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    apply(&s, "gpuallocations", "mine", "{}");
    UNTIL(&s, play_has(&s.play, pod_of(&s, 1)));
    play_running(&s.play, pod_of(&s, 1));
    UNTIL(&s, status_is(&s, "gpuallocations", "mine", "phase", "Allocated"));
    struct command *c = command_new(COMMAND_CANCEL);
    c->id = 1;
    c->actor = 1;
    c->on_done = on_answer;
    c->reply_to = s.door;
    c->arg = &s;
    CHECK(engine_command(s.engine, c));
    UNTIL(&s, fake_count(&s.play.f, "DELETE /api/v1/namespaces/jobs/pods/") > 0);
    play_ended(&s.play, pod_of(&s, 1), 143);
    UNTIL(&s, status_is(&s, "gpuallocations", "mine", "phase", "Released"));
    CHECK(condition_is(&s, "gpuallocations", "mine", "Released", "True", "cancelled by admin"));
    CHECK(status_is(&s, "gpuallocations", "mine", "allocatedDevice", NULL));
}
