#include "kube/job.h"
#include "kube_words.h"

TEST("a Job is tried once, and its pod is the one that kube-pod makes")
{
    struct kube_settings s;
    struct runner_attempt a = an_attempt("{\"image\":\"i\",\"command\":[\"train\"]}");
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    kube_settings_init(&s);
    s.ns = mem_strdup("jobs");
    a.time_limit_ms = 60000;
    auto_json json_t *job = made_by(&kube_runner_job, &a, &p, &s, &r);
    CHECK_TEXT(text_get(&r.target), "/apis/batch/v1/namespaces/jobs/jobs");
    CHECK_TEXT(text_at(job, "kind"), "Job");
    CHECK_TEXT(text_at(job, "metadata/name"), "reeve-abcdefgh-7-2");
    CHECK_TEXT(text_at(job, "metadata/finalizers/0"), KUBE_FINALIZER);
    CHECK_INT(json_integer_value(json_at(job, "spec/backoffLimit")), 0);
    CHECK(json_is_integer(json_at(job, "spec/backoffLimit")));
    CHECK_INT(json_integer_value(json_at(job, "spec/template/spec/activeDeadlineSeconds")), 720);
    CHECK(
        json_equal(json_at(job, "metadata/labels"), json_at(job, "spec/template/metadata/labels")));
    CHECK(json_equal(json_at(job, "metadata/annotations"),
                     json_at(job, "spec/template/metadata/annotations")));
    CHECK(!json_at(job, "spec/template/metadata/finalizers"));
    auto_request struct runner_request pod_r = {0};
    auto_json json_t *pod = made_by(&kube_runner_pod, &a, &p, &s, &pod_r);
    CHECK(json_equal(json_at(pod, "spec"), json_at(job, "spec/template/spec")));
    kube_settings_done(&s);
}

TEST("a Job takes no template")
{
    struct kube_settings s;
    struct runner_attempt a = an_attempt("{\"template\":{\"name\":\"x\"}}");
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    kube_settings_init(&s);
    s.ns = mem_strdup("jobs");
    CHECK_FAILS(kube_runner_job.make(&a, &p, &s, &r, &test_err), ERR_INVALID, "Argo");
    kube_settings_done(&s);
}

#define JOB(rest) "{\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\"" rest "}"
#define POD(rest) "{\"metadata\":{\"name\":\"j-x\",\"namespace\":\"n\"" rest "}"
#define FAILED(why)                                                                                \
    JOB("},\"status\":{\"startTime\":\"2026-11-25T07:00:00Z\",\"failed\":1,\"conditions\":["       \
        "{\"type\":\"FailureTarget\",\"status\":\"True\",\"reason\":\"" why "\"},"                 \
        "{\"type\":\"Failed\",\"status\":\"True\",\"reason\":\"" why "\"}]}")
#define ACTIVE JOB("},\"status\":{\"startTime\":\"2026-11-25T07:00:00Z\",\"active\":1}")
#define ENDED(phase, code, reason, more)                                                           \
    "\"status\":{\"phase\":\"" phase "\"" more ",\"containerStatuses\":[{\"name\":\"main\","       \
    "\"state\":{\"terminated\":{\"exitCode\":" code ",\"reason\":\"" reason "\","                  \
    "\"startedAt\":\"2026-11-25T07:00:01Z\",\"finishedAt\":\"2026-11-25T07:00:05Z\"}}}]}"

/* clang-format off */
static const struct {
    const char *job, *pod; /* POD NULL: there is none */
    enum runner_state state;
    enum attempt_outcome outcome;
    int exit_code;
    const char *words;
} cases[] = {
    {JOB("}"), NULL, RUNNER_WAITING, OUTCOME_NONE, -1, "waiting for Kubernetes' controllers"},
    {JOB("},\"status\":{\"startTime\":\"2026-11-25T07:00:00Z\"}"), NULL, RUNNER_WAITING, OUTCOME_NONE, -1, "no pod"},
    {JOB("},\"spec\":{\"suspend\":true}"), NULL, RUNNER_WAITING, OUTCOME_NONE, -1, "suspended"},
    {ACTIVE, POD("},\"status\":{\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"main\",\"state\":"
                 "{\"waiting\":{\"reason\":\"ErrImageNeverPull\"}}}]}"),
     RUNNER_WAITING, OUTCOME_NONE, -1, "image is not on the node"},
    {ACTIVE, POD("},\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"main\",\"state\":"
                 "{\"running\":{\"startedAt\":\"2026-11-25T07:00:01Z\"}}}]}"),
     RUNNER_RUNNING, OUTCOME_NONE, -1, ""},
    /* Its end counts before its Job knows it, too. */
    {ACTIVE, POD("}," ENDED("Succeeded", "0", "Completed", "")), RUNNER_ENDED, OUTCOME_COMPLETED, 0, ""},
    {FAILED("BackoffLimitExceeded"), POD("}," ENDED("Failed", "3", "Error", "")), RUNNER_ENDED, OUTCOME_FAILED, 3, "exit code 3"},
    {FAILED("BackoffLimitExceeded"), POD("}," ENDED("Failed", "137", "OOMKilled", "")),
     RUNNER_ENDED, OUTCOME_OUT_OF_MEMORY, 137, "memory"},
    {FAILED("BackoffLimitExceeded"),
     POD("},\"status\":{\"phase\":\"Failed\",\"reason\":\"OutOfnvidia.com/gpu\",\"message\":\"Pod was rejected\"}"),
     RUNNER_REFUSED, OUTCOME_NONE, -1, "no room"},
    {FAILED("BackoffLimitExceeded"),
     POD("},\"status\":{\"phase\":\"Failed\",\"reason\":\"UnexpectedAdmissionError\",\"message\":\"Allocate failed\"}"),
     RUNNER_REFUSED, OUTCOME_NONE, -1, "devices: Allocate failed"},
    {FAILED("BackoffLimitExceeded"),
     POD("}," ENDED("Failed", "137", "Error", ",\"reason\":\"DeadlineExceeded\"")), RUNNER_ENDED, OUTCOME_TIME_LIMIT, -1, "longer"},
    /* A limit that somebody put on the Job itself. */
    {FAILED("DeadlineExceeded"), POD(",\"deletionTimestamp\":\"2026-11-25T07:00:03Z\"}," ENDED("Failed", "137", "Error", "")),
     RUNNER_ENDED, OUTCOME_TIME_LIMIT, -1, "longer"},
    {FAILED("BackoffLimitExceeded"), POD(",\"deletionTimestamp\":\"2026-11-25T07:00:03Z\"}," ENDED("Failed", "137", "Error", "")),
     RUNNER_LOST, OUTCOME_NONE, -1, "deleted"},
    {FAILED("BackoffLimitExceeded"), NULL, RUNNER_LOST, OUTCOME_NONE, -1, "nobody knows"},
    {FAILED("DeadlineExceeded"), NULL, RUNNER_ENDED, OUTCOME_TIME_LIMIT, -1, "longer"},
    {JOB("},\"status\":{\"conditions\":[{\"type\":\"Complete\",\"status\":\"True\"}]}"), NULL,
     RUNNER_ENDED, OUTCOME_COMPLETED, 0, ""},
    {JOB(",\"deletionTimestamp\":\"2026-11-25T07:00:03Z\"},\"status\":{}"), NULL, RUNNER_LOST, OUTCOME_NONE, -1, "deleted"},
};
/* clang-format on */

TEST("what became of a Job is what became of its pod, and else what its conditions say")
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct kube_job *job = a_record(&kube_jobs, cases[i].job);
        struct kube_pod *pod = cases[i].pod ? a_record(&kube_pods, cases[i].pod) : NULL;
        const struct kube_pod *const pods[] = {pod};
        struct runner_view v;
        kube_runner_job.judge(&job->head, pods, pod ? 1 : 0, &v);
        ck_assert_msg(v.state == cases[i].state, "case %zu: state %d (%s)", i, (int)v.state, v.why);
        ck_assert_msg(v.outcome == cases[i].outcome, "case %zu: outcome %d", i, (int)v.outcome);
        ck_assert_msg(v.outcome == OUTCOME_TIME_LIMIT || v.exit_code == cases[i].exit_code,
                      "case %zu: exit code %d", i, (int)v.exit_code);
        ck_assert_msg(strstr(v.why, cases[i].words), "case %zu: '%s'", i, v.why);
        free(job);
        free(pod);
    }
}

TEST("a Job that is cancelled goes behind its pod")
{
    auto_request struct runner_request r = {0};
    struct kube_job *job = a_record(&kube_jobs, JOB("}"));
    kube_runner_cancel(&kube_runner_job, &job->head, 30, &r);
    CHECK_INT(r.method, HTTP_DELETE);
    CHECK_TEXT(text_get(&r.target), "/apis/batch/v1/namespaces/n/jobs/j");
    CHECK_TEXT(text_get(&r.body),
               "{\"preconditions\":{\"uid\":\"u\"},\"propagationPolicy\":\"Foreground\"}");
    free(job);
}
