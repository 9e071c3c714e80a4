#include "kube_words.h"

static const char *const some_spec =
    "{\"command\":[\"python3\",\"train.py\",\"$(HOME) $$ $x\"],\"env\":{\"LR\":\"0.1\","
    "\"REEVE_ATTEMPT\":\"mine\",\"SAYS\":\"$(LR)\"},\"image\":\"localhost/train:3\","
    "\"work_dir\":\"/src\",\"mounts\":[{\"name\":\"data\",\"path\":\"/d\",\"read_only\":true},"
    "\"data\"]}";

static struct kube_settings some_settings(void)
{
    static const char yaml[] = "namespace: jobs\n"
                               "pull_secrets: [registry]\n"
                               "results: data\n"
                               "mounts:\n"
                               "- {name: data, nfs_server: nas, nfs_path: /export}\n";
    struct kube_settings s;
    kube_settings_init(&s);
    CHECK_OK(kube_settings_parse(&s, yaml, strlen(yaml), &test_err));
    return s;
}

TEST("a pod is named, marked, held and placed as the attempt says")
{
    struct kube_settings s = some_settings();
    struct runner_attempt a = an_attempt(some_spec);
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    auto_json json_t *pod = made_by(&kube_runner_pod, &a, &p, &s, &r);
    CHECK_TEXT(text_get(&r.target), "/api/v1/namespaces/jobs/pods");
    CHECK_INT(r.method, HTTP_POST);
    CHECK_TEXT(text_at(pod, "metadata/name"), "reeve-abcdefgh-7-2");
    CHECK_TEXT(text_at(pod, "metadata/namespace"), "jobs");
    CHECK_TEXT(text_at(pod, "metadata/labels/reeve.gpu~site"), "(none)");
    const json_t *labels = json_at(pod, "metadata/labels");
    CHECK_TEXT(json_string_value(json_object_get(labels, KUBE_LABEL_SITE)), "abcdefgh");
    CHECK_TEXT(json_string_value(json_object_get(labels, KUBE_LABEL_JOB)), "7");
    CHECK_TEXT(json_string_value(json_object_get(labels, KUBE_LABEL_ATTEMPT)), "2");
    CHECK_TEXT(json_string_value(json_object_get(labels, KUBE_LABEL_USER)), "alice");
    CHECK_TEXT(json_string_value(
                   json_object_get(json_at(pod, "metadata/annotations"), KUBE_ANNOTATION_ID)),
               THE_ID);
    CHECK_TEXT(text_at(pod, "metadata/finalizers/0"), KUBE_FINALIZER);
    CHECK_TEXT(text_at(pod, "spec/nodeName"), "gpu-a");
    CHECK_TEXT(text_at(pod, "spec/restartPolicy"), "Never");
    CHECK_TEXT(text_at(pod, "spec/imagePullSecrets/0/name"), "registry");
    CHECK(json_is_false(json_at(pod, "spec/automountServiceAccountToken")));
    CHECK(!json_at(pod, "spec/activeDeadlineSeconds"));
    kube_settings_done(&s);
}

TEST("its container has the job's command and limits, and nothing in them is taken for a variable")
{
    struct kube_settings s = some_settings();
    struct runner_attempt a = an_attempt(some_spec);
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    auto_json json_t *pod = made_by(&kube_runner_pod, &a, &p, &s, &r);
    const json_t *main = json_at(pod, "spec/containers/0");
    CHECK_TEXT(text_at(main, "image"), "localhost/train:3");
    CHECK_TEXT(text_at(main, "command/2"), "$$(HOME) $$$ $x");
    CHECK_TEXT(text_at(main, "workingDir"), "/src");
    CHECK_TEXT(text_at(main, "resources/limits/memory"), "16384Mi");
    CHECK_TEXT(text_at(main, "resources/requests/memory"), "256Mi");
    CHECK_TEXT(text_at(main, "resources/requests/cpu"), "100m");
    const json_t *limits = json_at(main, "resources/limits");
    CHECK_TEXT(json_string_value(json_object_get(limits, "nvidia.com/gpu")), "1");
    CHECK(!json_object_get(limits, "cpu"));
    auto_free char *env = json_write(json_at(main, "env"));
    CHECK(strstr(env, "{\"name\":\"LR\",\"value\":\"0.1\"}"));
    CHECK(strstr(env, "{\"name\":\"SAYS\",\"value\":\"$$(LR)\"}"));
    CHECK(strstr(env, "{\"name\":\"REEVE_ATTEMPT\",\"value\":\"" THE_ID "\"}"));
    CHECK(!strstr(env, "mine"));
    auto_free char *volumes = json_write(json_at(pod, "spec/volumes"));
    CHECK_TEXT(volumes, "[{\"name\":\"data\",\"nfs\":{\"server\":\"nas\",\"path\":\"/export\"}}]");
    auto_free char *mounts = json_write(json_at(main, "volumeMounts"));
    CHECK_TEXT(mounts, "[{\"name\":\"data\",\"mountPath\":\"/d\",\"readOnly\":true},"
                       "{\"name\":\"data\",\"mountPath\":\"/mnt/data\"},"
                       "{\"name\":\"data\",\"mountPath\":\"/results\","
                       "\"subPath\":\"job-7/attempt-2\"}]");
    kube_settings_done(&s);
}

TEST("what was asked for is requested, tolerated and limited in time")
{
    static const char *const tolerations[] = {"team=ml:NoSchedule", "spot"};
    struct kube_settings s = some_settings();
    struct runner_attempt a = an_attempt("{\"image\":\"i\"}");
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    a.cpu_milli = 2000;
    a.memory_mib = 1024;
    a.time_limit_ms = 90500;
    p.memory_is_default = false;
    p.selector = "zone=a,disk=ssd";
    p.tolerations = tolerations;
    p.toleration_count = 2;
    auto_json json_t *pod = made_by(&kube_runner_pod, &a, &p, &s, &r);
    const json_t *main = json_at(pod, "spec/containers/0");
    CHECK(!json_at(main, "command"));
    CHECK_TEXT(text_at(main, "resources/requests/memory"), "1024Mi");
    CHECK_TEXT(text_at(main, "resources/limits/cpu"), "2000m");
    CHECK_TEXT(text_at(pod, "spec/nodeSelector/disk"), "ssd");
    CHECK_INT(json_integer_value(json_at(pod, "spec/activeDeadlineSeconds")), 751);
    auto_free char *text = json_write(json_at(pod, "spec/tolerations"));
    CHECK_TEXT(text, "[{\"key\":\"nvidia.com/gpu\",\"operator\":\"Exists\"},"
                     "{\"key\":\"team\",\"operator\":\"Equal\",\"value\":\"ml\","
                     "\"effect\":\"NoSchedule\"},{\"key\":\"spot\",\"operator\":\"Exists\"}]");
    kube_settings_done(&s);
}

TEST("what the administrator adds to every pod is added, and the job's own stays")
{
    static const char yaml[] = "pod: {runtimeClassName: nvidia, securityContext: {runAsUser: "
                               "1000}, tolerations: [{key: x, operator: Exists}]}\n"
                               "container: {securityContext: {runAsNonRoot: true}}\n";
    struct kube_settings s = some_settings();
    struct runner_attempt a = an_attempt("{\"image\":\"i\"}");
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    CHECK_OK(kube_settings_parse(&s, yaml, strlen(yaml), &test_err));
    auto_json json_t *pod = made_by(&kube_runner_pod, &a, &p, &s, &r);
    CHECK_TEXT(text_at(pod, "spec/runtimeClassName"), "nvidia");
    CHECK_INT(json_integer_value(json_at(pod, "spec/securityContext/runAsUser")), 1000);
    CHECK_TEXT(text_at(pod, "spec/securityContext/seccompProfile/type"), "RuntimeDefault");
    CHECK_INT(json_array_size(json_at(pod, "spec/tolerations")), 2);
    const json_t *main = json_at(pod, "spec/containers/0");
    CHECK(json_is_true(json_at(main, "securityContext/runAsNonRoot")));
    CHECK(json_is_false(json_at(main, "securityContext/allowPrivilegeEscalation")));
    kube_settings_done(&s);
}

TEST("a job without an image, or with a mount that nobody defined, says so")
{
    struct kube_settings s = some_settings();
    struct runner_attempt a = an_attempt("{\"command\":[\"x\"]}");
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    CHECK_FAILS(kube_runner_pod.make(&a, &p, &s, &r, &test_err), ERR_INVALID, "names no image");
    runner_request_done(&r);
    a.spec = "{\"image\":\"i\",\"mounts\":[\"secrets\"]}";
    CHECK_FAILS(kube_runner_pod.make(&a, &p, &s, &r, &test_err), ERR_INVALID, "no mount 'secrets'");
    kube_settings_done(&s);
}

TEST("objects are ended, released and removed by name and uid")
{
    auto_free struct kube_head *pod = a_record(
        &kube_pods, "{\"metadata\":{\"namespace\":\"jobs\",\"name\":\"p\",\"uid\":\"u1\","
                    "\"resourceVersion\":\"9\",\"finalizers\":[\"a/b\",\"reeve.gpu/result\"]}}");
    auto_request struct runner_request end = {0}, release = {0}, gone = {0};
    kube_runner_cancel(&kube_runner_pod, pod, 30, &end);
    CHECK_INT(end.method, HTTP_DELETE);
    CHECK_TEXT(text_get(&end.target), "/api/v1/namespaces/jobs/pods/p");
    CHECK_TEXT(text_get(&end.body), "{\"preconditions\":{\"uid\":\"u1\"},\"gracePeriodSeconds\":30,"
                                    "\"propagationPolicy\":\"Background\"}");
    kube_runner_release(&kube_runner_pod, pod, &release);
    CHECK_INT(release.method, HTTP_PATCH);
    CHECK_TEXT(text_get(&release.body), "{\"metadata\":{\"uid\":\"u1\",\"resourceVersion\":\"9\","
                                        "\"finalizers\":[\"a/b\"]}}");
    kube_runner_remove(&kube_runner_pod, pod, &gone);
    CHECK_INT(gone.method, HTTP_DELETE);
    CHECK(!strstr(text_get(&gone.body), "grace"));
}

/* ---- judging ---- */

#define POD(meta, status)                                                                          \
    "{\"metadata\":{\"name\":\"p\"" meta "},\"spec\":{\"nodeName\":\"n\"},\"status\":{" status "}" \
    "}"
#define MAIN(state)  "\"containerStatuses\":[{\"name\":\"main\",\"state\":{" state "}}]"
#define PHASE(phase) "\"phase\":\"" phase "\""
#define TIMES        "\"startedAt\":\"2026-01-31T09:00:00Z\",\"finishedAt\":\"2026-01-31T09:00:05Z\""
#define ENDED(code, reason)                                                                        \
    PHASE("Failed")                                                                                \
    "," MAIN("\"terminated\":{\"exitCode\":" #code ",\"reason\":\"" reason "\"," TIMES "}")
#define DELETED ",\"deletionTimestamp\":\"2026-01-31T09:00:30Z\""
#define WAITS(reason, message)                                                                     \
    PHASE("Pending")                                                                               \
    "," MAIN("\"waiting\":{\"reason\":\"" reason "\",\"message\":\"" message "\"}")

static struct runner_view judged(const char *json)
{
    struct runner_view v;
    auto_free struct kube_head *pod = a_record(&kube_pods, json);
    kube_runner_pod.judge(pod, NULL, 0, &v);
    return v;
}

TEST("a pod is judged by its phase, its reason and its container")
{
    static const struct {
        const char *json;
        enum runner_state state;
        enum attempt_outcome outcome;
        int exit_code;
        const char *words;
    } cases[] = {
        {POD("", PHASE("Pending")), RUNNER_WAITING, 0, -1, "its node has not taken it in yet"},
        {POD("", WAITS("ContainerCreating", "")), RUNNER_WAITING, 0, -1, "is being made"},
        {POD("", WAITS("ImagePullBackOff", "no such image")), RUNNER_WAITING, 0, -1,
         "the image cannot be pulled: no such image"},
        {POD("", WAITS("NewReason", "what")), RUNNER_WAITING, 0, -1, "NewReason: what"},
        {POD("", PHASE("Running") "," MAIN("\"running\":{\"startedAt\":"
                                           "\"2026-01-31T09:00:00Z\"}")),
         RUNNER_RUNNING, 0, -1, ""},
        {POD("", PHASE("Succeeded")), RUNNER_ENDED, OUTCOME_COMPLETED, 0, ""},
        {POD("", ENDED(3, "Error")), RUNNER_ENDED, OUTCOME_FAILED, 3, "exit code 3"},
        {POD("", ENDED(137, "Error")), RUNNER_ENDED, OUTCOME_FAILED, 137, "signal 9"},
        {POD("", ENDED(137, "OOMKilled")), RUNNER_ENDED, OUTCOME_OUT_OF_MEMORY, 137, "memory"},
        {POD(DELETED, ENDED(137, "OOMKilled")), RUNNER_ENDED, OUTCOME_OUT_OF_MEMORY, 137, ""},
        {POD(DELETED, ENDED(143, "Error")), RUNNER_LOST, 0, -1, "its pod was deleted"},
        {POD(DELETED, ENDED(2, "Error")), RUNNER_ENDED, OUTCOME_FAILED, 2, ""},
        {POD(DELETED, PHASE("Failed")), RUNNER_LOST, 0, -1, "its pod was deleted"},
        {POD("", "\"reason\":\"DeadlineExceeded\"," ENDED(137, "Error")), RUNNER_ENDED,
         OUTCOME_TIME_LIMIT, -1, "longer than it may"},
        {POD("", "\"reason\":\"Evicted\",\"message\":\"low on memory.\"," ENDED(137, "Error")),
         RUNNER_LOST, 0, -1, "its node sent it away: low on memory"},
        {POD("", PHASE("Failed") ",\"reason\":\"UnexpectedAdmissionError\",\"message\":\"Allocate "
                                 "failed\""),
         RUNNER_REFUSED, 0, -1, "could not give it the devices: Allocate failed"},
        {POD("", PHASE("Failed") ",\"reason\":\"OutOfnvidia.com/gpu\""), RUNNER_REFUSED, 0, -1,
         "no room"},
        {POD("", PHASE("Failed") ",\"reason\":\"NodeAffinity\""), RUNNER_REFUSED, 0, -1,
         "NodeAffinity"},
        {POD("", PHASE("Failed") ",\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":"
                                 "\"True\",\"reason\":\"DeletionByPodGC\"}]," ENDED(137, "Error")),
         RUNNER_LOST, 0, -1, "cleared away"},
        {POD("", PHASE("Failed") "," MAIN("\"terminated\":{\"exitCode\":128,\"reason\":"
                                          "\"StartError\",\"message\":\"no such file\"}")),
         RUNNER_ENDED, OUTCOME_NOT_STARTED, 128, "cannot be started: no such file"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct runner_view v = judged(cases[i].json);
        ck_assert_msg(v.state == cases[i].state && v.outcome == cases[i].outcome &&
                          v.exit_code == cases[i].exit_code && strstr(v.why, cases[i].words),
                      "case %zu: state %d, outcome %d, code %lld, '%s'", i, (int)v.state,
                      (int)v.outcome, (long long)v.exit_code, v.why);
    }
}

TEST("an image that cannot come by itself is hopeless, one that may is not")
{
    CHECK(judged(POD("", WAITS("ErrImageNeverPull", ""))).is_hopeless);
    CHECK(!judged(POD("", WAITS("ImagePullBackOff", ""))).is_hopeless);
}

TEST("a container that prepares the pod and fails is named")
{
    struct runner_view v =
        judged(POD("", PHASE("Failed") ",\"initContainerStatuses\":[{\"name\":\"fetch\",\"state\":{"
                                       "\"terminated\":{\"exitCode\":4}}}],"
                                       "\"containerStatuses\":[{\"name\":\"main\",\"state\":{"
                                       "\"waiting\":{\"reason\":\"PodInitializing\"}}}]"));
    CHECK_INT(v.outcome, OUTCOME_NOT_STARTED);
    CHECK(strstr(v.why, "'fetch'"));
}

TEST("when it began and ended is the container's own word")
{
    struct runner_view v = judged(POD("", ENDED(0, "Completed")));
    CHECK_INT(v.ended_ms - v.started_ms, 5000);
    v = judged(POD("", PHASE("Running") "," MAIN("\"terminated\":{\"exitCode\":0," TIMES "}")));
    CHECK_INT(v.state, RUNNER_RUNNING);
    CHECK(v.main_is_over);
}
