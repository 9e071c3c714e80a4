#include "kube/job.h"
#include "kube_words.h"

/* Workflows and pods as a real controller leaves them, cut down to what is looked at. */
#define WF(status)                                                                                 \
    "{\"metadata\":{\"name\":\"w\",\"namespace\":\"n\",\"uid\":\"u\"},\"spec\":{},\"status\":"     \
    "{" status "}}"
#define WF_STOPPED(status)                                                                         \
    "{\"metadata\":{\"name\":\"w\",\"namespace\":\"n\",\"uid\":\"u\"},"                            \
    "\"spec\":{\"shutdown\":\"Terminate\"},\"status\":{" status "}}"
#define STEP(id, name, phase, more)                                                                \
    "\"" id "\":{\"id\":\"" id "\",\"type\":\"Pod\",\"displayName\":\"" name                       \
    "\",\"phase\":\"" phase "\"" more "}"
#define GROUP(id, type, phase)                                                                     \
    "\"" id "\":{\"id\":\"" id "\",\"type\":\"" type "\",\"displayName\":\"" id                    \
    "\",\"phase\":\"" phase "\"}"
#define MESSAGE(words) ",\"message\":\"" words "\""
#define CODE(n)        ",\"outputs\":{\"exitCode\":\"" n "\"}"
#define POD(id, status)                                                                            \
    "{\"metadata\":{\"name\":\"p-" id "\",\"namespace\":\"n\",\"annotations\":"                    \
    "{\"workflows.argoproj.io/node-id\":\"" id "\"}},\"status\":{" status "}}"
#define GONE_POD(id, status)                                                                       \
    "{\"metadata\":{\"name\":\"p-" id "\",\"namespace\":\"n\",\"deletionTimestamp\":"              \
    "\"2026-11-25T07:00:03Z\",\"annotations\":{\"workflows.argoproj.io/node-id\":\"" id            \
    "\"}},\"status\":{" status "}}"
#define MAIN(state)                                                                                \
    "\"containerStatuses\":[{\"name\":\"main\",\"state\":{" state                                  \
    "}},{\"name\":\"wait\",\"state\":{\"terminated\":{\"exitCode\":0}}}]"
#define RUNS "\"phase\":\"Running\"," MAIN("\"running\":{\"startedAt\":\"2026-11-25T07:00:01Z\"}")
#define ENDED(phase, code, reason)                                                                 \
    "\"phase\":\"" phase "\"," MAIN(                                                               \
        "\"terminated\":{\"exitCode\":" code ",\"reason\":\"" reason                               \
        "\",\"startedAt\":\"2026-11-25T07:00:01Z\",\"finishedAt\":\"2026-11-25T07:00:05Z\"}")
#define WAITS(reason) "\"phase\":\"Pending\"," MAIN("\"waiting\":{\"reason\":\"" reason "\"}")
#define REJECTED                                                                                   \
    "\"phase\":\"Failed\",\"reason\":\"OutOfnvidia.com/gpu\",\"message\":\"Pod was rejected\","    \
    "\"initContainerStatuses\":[{\"name\":\"init\",\"state\":{\"terminated\":{\"exitCode\":137,"   \
    "\"reason\":\"ContainerStatusUnknown\"}}}]"
#define UNSCHEDULABLE                                                                              \
    "\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","       \
    "\"reason\":\"Unschedulable\",\"message\":\"1 Insufficient nvidia.com/gpu\"}]"

/* clang-format off */
static const struct {
    const char *workflow, *pods[3];
    enum runner_state state;
    enum attempt_outcome outcome;
    int exit_code;
    const char *why; /* all of it, unless it ends with "..." */
} cases[] = {
    /* ---- it has not begun ---- */
    {WF(""), {0}, RUNNER_WAITING, OUTCOME_NONE, -1, "Argo's controller has not looked at its workflow yet"},
    {WF("\"phase\":\"Pending\",\"message\":\"Workflow processing has been postponed\""), {0},
     RUNNER_WAITING, OUTCOME_NONE, -1, "its workflow waits: Workflow processing has been postponed"},
    {WF("\"phase\":\"Running\",\"progress\":\"0/1\",\"nodes\":{" STEP("w", "w", "Pending",
        MESSAGE("pods 'w' is forbidden: exceeded quota: q")) "}"), {0},
     RUNNER_WAITING, OUTCOME_NONE, -1, "pods 'w' is forbidden: exceeded quota: q"},
    {WF("\"phase\":\"Running\",\"nodes\":{" STEP("w", "w", "Pending", MESSAGE("ErrImagePull")) "}"),
     {POD("w", WAITS("ErrImageNeverPull"))},
     RUNNER_WAITING, OUTCOME_NONE, -1, "the image is not on the node, and may not be pulled"},
    {WF("\"phase\":\"Running\",\"nodes\":{" STEP("w", "w", "Pending", "") "}"), {POD("w", UNSCHEDULABLE)},
     RUNNER_WAITING, OUTCOME_NONE, -1, "no node takes its pod: 1 Insufficient nvidia.com/gpu"},
    {WF("\"phase\":\"Running\",\"compressedNodes\":\"H4sI\""), {POD("w", WAITS("ErrImageNeverPull"))},
     RUNNER_WAITING, OUTCOME_NONE, -1, "the image is not on the node, and may not be pulled"},
    /* ---- it runs ---- */
    {WF("\"phase\":\"Running\",\"progress\":\"1/3\",\"nodes\":{" GROUP("w", "Steps", "Running") ","
        STEP("a", "prepare", "Succeeded", CODE("0")) "," STEP("b", "train", "Pending", "") "}"),
     {POD("a", ENDED("Succeeded", "0", "Completed")), POD("b", WAITS("ErrImageNeverPull"))},
     RUNNER_RUNNING, OUTCOME_NONE, -1, "step 'train': the image is not on the node, and may not be pulled"},
    {WF("\"phase\":\"Running\",\"nodes\":{" GROUP("w", "Retry", "Running") "," STEP("a", "w(0)", "Failed", "") ","
        STEP("b", "w(1)", "Running", "") "}"), {POD("b", RUNS)}, RUNNER_RUNNING, OUTCOME_NONE, -1, ""},
    {WF("\"phase\":\"Running\",\"nodes\":{" STEP("w", "w", "Running", "") "}"), {POD("w", ENDED("Succeeded", "0", "Completed"))},
     RUNNER_RUNNING, OUTCOME_NONE, -1, "waiting for Argo's controller to go on"},
    /* Terminated, and its pod still has its device. */
    {WF_STOPPED("\"phase\":\"Failed\",\"message\":\"Stopped with strategy 'Terminate'\",\"nodes\":{"
        STEP("w", "w", "Failed", MESSAGE("workflow shutdown with strategy:  Terminate")) "}"), {POD("w", RUNS)},
     RUNNER_RUNNING, OUTCOME_NONE, -1, "its pods are being ended"},
    /* ---- it is over ---- */
    {WF_STOPPED("\"phase\":\"Failed\",\"message\":\"Stopped with strategy 'Terminate'\",\"nodes\":{"
        STEP("w", "w", "Failed", MESSAGE("workflow shutdown with strategy:  Terminate")) "}"),
     {POD("w", ENDED("Failed", "143", "Error"))},
     RUNNER_ENDED, OUTCOME_CANCELLED, -1, "its workflow was stopped: Terminate"},
    {WF("\"phase\":\"Succeeded\",\"progress\":\"1/1\",\"nodes\":{" STEP("w", "w", "Succeeded", CODE("0")) "}"),
     {POD("w", ENDED("Succeeded", "0", "Completed"))}, RUNNER_ENDED, OUTCOME_COMPLETED, 0, ""},
    {WF("\"phase\":\"Succeeded\",\"nodes\":{" GROUP("w", "Retry", "Succeeded") "," STEP("a", "w(0)", "Failed", CODE("4")) ","
        STEP("b", "w(1)", "Succeeded", CODE("0")) "}"), {0},
     RUNNER_ENDED, OUTCOME_COMPLETED, 0, "a step of it was tried 2 times"},
    {WF("\"phase\":\"Failed\",\"message\":\"main: Error (exit code 7)\",\"nodes\":{"
        STEP("w", "w", "Failed", MESSAGE("main: Error (exit code 7)") CODE("7")) "}"),
     {POD("w", ENDED("Failed", "7", "Error"))}, RUNNER_ENDED, OUTCOME_FAILED, 7, "exit code 7"},
    /* Its pods are cleared away already. */
    {WF("\"phase\":\"Failed\",\"message\":\"main: Error (exit code 7)\",\"nodes\":{"
        STEP("w", "w", "Failed", MESSAGE("main: Error (exit code 7)") CODE("7")) "}"), {0},
     RUNNER_ENDED, OUTCOME_FAILED, 7, "main: Error (exit code 7)"},
    {WF("\"phase\":\"Failed\",\"message\":\"main: OOMKilled (exit code 137)\",\"nodes\":{"
        STEP("w", "w", "Failed", MESSAGE("main: OOMKilled (exit code 137)") CODE("137")) "}"), {0},
     RUNNER_ENDED, OUTCOME_OUT_OF_MEMORY, 137, "main: OOMKilled (exit code 137)"},
    {WF("\"phase\":\"Failed\",\"nodes\":{" STEP("w", "w", "Failed", MESSAGE("main: OOMKilled (exit code 137)") CODE("137")) "}"),
     {POD("w", ENDED("Failed", "137", "OOMKilled"))},
     RUNNER_ENDED, OUTCOME_OUT_OF_MEMORY, 137, "it used more memory than its limit"},
    {WF("\"phase\":\"Failed\",\"message\":\"No more retries left\",\"nodes\":{" GROUP("w", "Retry", "Failed") ","
        STEP("a", "w(0)", "Failed", CODE("4")) "," STEP("b", "w(1)", "Failed", CODE("4")) "," STEP("c", "w(2)", "Failed", CODE("5")) "}"),
     {POD("a", ENDED("Failed", "4", "Error")), POD("c", ENDED("Failed", "5", "Error"))},
     RUNNER_ENDED, OUTCOME_FAILED, 5, "tried 3 times, at last: exit code 5"},
    {WF("\"phase\":\"Failed\",\"message\":\"child 'b' failed\",\"nodes\":{" GROUP("w", "Steps", "Failed") ","
        STEP("a", "prepare", "Succeeded", CODE("0")) "," STEP("b", "train", "Failed", MESSAGE("main: Error (exit code 1)") CODE("1")) "}"),
     {POD("a", ENDED("Succeeded", "0", "Completed")), POD("b", ENDED("Failed", "1", "Error"))},
     RUNNER_ENDED, OUTCOME_FAILED, 1, "step 'train': exit code 1"},
    {WF("\"phase\":\"Failed\",\"message\":\"Step exceeded its deadline\",\"nodes\":{"
        STEP("w", "w", "Failed", MESSAGE("Step exceeded its deadline")) "}"),
     {POD("w", "\"reason\":\"DeadlineExceeded\"," ENDED("Failed", "137", "Error"))},
     RUNNER_ENDED, OUTCOME_TIME_LIMIT, -1, "it ran longer than it may"},
    {WF("\"phase\":\"Failed\",\"message\":\"Step exceeded its deadline\",\"nodes\":{"
        STEP("w", "w", "Failed", MESSAGE("Step exceeded its deadline") CODE("137")) "}"), {0},
     RUNNER_ENDED, OUTCOME_TIME_LIMIT, 137, "Step exceeded its deadline"},
    /* ---- its node did not take it in ---- */
    {WF("\"phase\":\"Failed\",\"message\":\"Pod was rejected\",\"nodes\":{" STEP("w", "w", "Failed", MESSAGE("Pod was rejected")) "}"),
     {POD("w", REJECTED)}, RUNNER_REFUSED, OUTCOME_NONE, -1, "its node has no room for it any more: Pod was rejected"},
    {WF("\"phase\":\"Failed\",\"nodes\":{" STEP("a", "prepare", "Succeeded", CODE("0")) "," STEP("b", "train", "Failed", "") "}"),
     {POD("a", ENDED("Succeeded", "0", "Completed")), POD("b", REJECTED)},
     RUNNER_LOST, OUTCOME_NONE, -1, "step 'train': its node has no room for it any more: Pod was rejected"},
    /* ---- it cannot run ---- */
    {WF("\"phase\":\"Error\",\"message\":\"workflowtemplates.argoproj.io 'nothere' not found\""), {0},
     RUNNER_ENDED, OUTCOME_NOT_STARTED, -1, "workflowtemplates.argoproj.io 'nothere' not found"},
    {WF("\"phase\":\"Failed\",\"message\":\"invalid spec: spec.arguments.x.value is required\""), {0},
     RUNNER_ENDED, OUTCOME_NOT_STARTED, -1, "invalid spec: spec.arguments.x.value is required"},
    {WF("\"phase\":\"Error\",\"message\":\"error in entry template execution\",\"nodes\":{"
        STEP("w", "w", "Error", MESSAGE("pods 'w' is forbidden: violates PodSecurity")) "}"), {0},
     RUNNER_ENDED, OUTCOME_NOT_STARTED, -1, "pods 'w' is forbidden: violates PodSecurity"},
    /* ---- somebody took it away ---- */
    {WF("\"phase\":\"Error\",\"message\":\"pod deleted\",\"nodes\":{" STEP("w", "w", "Error", MESSAGE("pod deleted") CODE("0")) "}"), {0},
     RUNNER_LOST, OUTCOME_NONE, -1, "its pod was deleted"},
    {WF("\"phase\":\"Error\",\"message\":\"pod deleted\",\"nodes\":{" STEP("w", "w", "Error", MESSAGE("pod deleted")) "}"),
     {GONE_POD("w", ENDED("Failed", "137", "Error"))}, RUNNER_LOST, OUTCOME_NONE, -1, "its pod was deleted"},
    {WF("\"phase\":\"Failed\",\"nodes\":{" STEP("w", "w", "Failed", "") "}"),
     {POD("w", "\"reason\":\"Evicted\",\"message\":\"low on memory\"," ENDED("Failed", "137", "Error"))},
     RUNNER_LOST, OUTCOME_NONE, -1, "its node sent it away: low on memory"},
    /* Its container did well, what Argo did afterwards not. */
    {WF("\"phase\":\"Error\",\"nodes\":{" STEP("w", "w", "Error", MESSAGE("failed to save outputs") CODE("0")) "}"),
     {POD("w", ENDED("Failed", "0", "Completed"))}, RUNNER_ENDED, OUTCOME_FAILED, 0, "failed to save outputs"},
};
/* clang-format on */

TEST("what became of a Workflow, by its own words, its steps' and its pods'")
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct kube_workflow *w = a_record(&kube_workflows, cases[i].workflow);
        struct kube_pod *made[3] = {0};
        const struct kube_pod *pods[3];
        struct runner_view v;
        size_t count = 0;
        for (; count < 3 && cases[i].pods[count]; count++)
            pods[count] = made[count] = a_record(&kube_pods, cases[i].pods[count]);
        kube_runner_argo.judge(&w->head, pods, count, &v);
        ck_assert_msg(v.state == cases[i].state, "case %zu: state %d (%s)", i, (int)v.state, v.why);
        ck_assert_msg(v.outcome == cases[i].outcome, "case %zu: outcome %d", i, (int)v.outcome);
        ck_assert_msg(v.exit_code == cases[i].exit_code || v.outcome == OUTCOME_TIME_LIMIT ||
                          v.outcome == OUTCOME_CANCELLED,
                      "case %zu: exit code %d", i, (int)v.exit_code);
        ck_assert_msg(strcmp(v.why, cases[i].why) == 0, "case %zu: '%s'", i, v.why);
        for (size_t k = 0; k < count; k++)
            free(made[k]);
        free(w);
    }
}

static void check_progress(const char *progress, int done, int total)
{
    auto_free char *json =
        mem_printf("{\"metadata\":{\"name\":\"w\"},\"status\":{\"phase\":\"Running\","
                   "\"progress\":\"%s\"}}",
                   progress);
    struct kube_workflow *w = a_record(&kube_workflows, json);
    struct runner_view v;
    kube_runner_argo.judge(&w->head, NULL, 0, &v);
    CHECK_INT(v.done, done);
    CHECK_INT(v.total, total);
    free(w);
}

TEST("progress is Argo's, where it says something")
{
    check_progress("37/100", 37, 100);
    check_progress("1/3", 1, 3);
    check_progress("0/1", 0, 0); /* one pod, and it tells nothing */
    check_progress("0/0", 0, 0);
    check_progress("5/3", 0, 0);
    check_progress("-1/3", 0, 0);
    check_progress("1/3/5", 0, 0);
    check_progress("", 0, 0);
    check_progress("99999999999999999999/99999999999999999999", 0, 0);
}

TEST("a hopeless wait of one step is told as such")
{
    struct kube_workflow *w = a_record(
        &kube_workflows, WF("\"phase\":\"Running\",\"nodes\":{" STEP("w", "w", "Pending", "") "}"));
    struct kube_pod *pod = a_record(&kube_pods, POD("w", WAITS("ErrImageNeverPull")));
    const struct kube_pod *const pods[] = {pod};
    struct runner_view v;
    kube_runner_argo.judge(&w->head, pods, 1, &v);
    CHECK(v.is_hopeless);
    free(w);
    free(pod);
}
