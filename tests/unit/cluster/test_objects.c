/* Jobs that run by a Job or a Workflow, whose controllers are played by the tests. */
#include "scene.h"

static int64_t submit_by(struct scene *s, const char *runner)
{
    auto_free char *spec = mem_printf(
        "{\"command\":[\"train\"],\"image\":\"localhost/t:1\",\"runner\":\"%s\"}", runner);
    return submit_as(s, spec, 1, 0);
}

static bool has(struct scene *s, const char *collection, const char *name)
{
    auto_json json_t *object = play_get(&s->play, collection, "jobs", name);
    return object != NULL;
}

static const char *text_in(const json_t *object, const char *part, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, part), key));
    return text ? text : "";
}

/* What a controller writes. */
static void set(struct scene *s, const char *collection, const char *name, const char *part,
                const char *json)
{
    auto_json json_t *object = play_get(&s->play, collection, "jobs", name);
    json_t *value = NULL;
    CHECK_OK(json_parse(json, strlen(json), &value, &test_err));
    json_object_set_new(object, part, value);
    auto_free char *text = json_write(object);
    play_put(&s->play, collection, "jobs", text);
}

/* The pod of an object, called as it is with "-x" behind. */
static char *make_pod(struct scene *s, const char *kind, const char *name)
{
    char *pod = mem_printf("%s-x", name);
    auto_free char *text = mem_printf(
        "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"%s\":\"%s\"},\"annotations\":"
        "{\"workflows.argoproj.io/node-id\":\"%s\"},\"ownerReferences\":[{\"controller\":true,"
        "\"kind\":\"%s\",\"name\":\"%s\",\"uid\":\"u\"}]},\"spec\":{\"nodeName\":\"gpu-a\"},"
        "\"status\":{\"phase\":\"Pending\"}}",
        pod,
        strcmp(kind, "Job") == 0 ? "batch.kubernetes.io/job-name"
                                 : "workflows.argoproj.io/workflow",
        name, name, kind, name);
    play_put(&s->play, "pods", "jobs", text);
    return pod;
}

#define NAME(var, s, job, n) auto_free char *var = mem_strdup(pod_name(s, job, n))

TEST("a job runs as a Job; its pod's end is its own, and the Job is let go")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit_by(&s, "kube-job");
    NAME(name, &s, job, 1);
    UNTIL(&s, has(&s, "jobs", name));
    UNTIL(&s, waits_for(&s, job, "waiting for Kubernetes' controllers"));
    auto_free char *pod = make_pod(&s, "Job", name);
    play_running(&s.play, pod);
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    play_ended(&s.play, pod, 3);
    UNTIL(&s, counted(&s, JOB_FAILED) == 1);
    CHECK_INT(last_attempt(&s, job).exit_code, 3);
    UNTIL(&s, !has(&s, "jobs", name));
}

TEST("a Job that somebody deletes is ended, for its pod would run on; then it is tried again")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit_by(&s, "kube-job");
    NAME(name, &s, job, 1);
    NAME(next, &s, job, 2);
    UNTIL(&s, has(&s, "jobs", name));
    auto_free char *pod = make_pod(&s, "Job", name);
    play_running(&s.play, pod);
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    auto_json json_t *object = play_get(&s.play, "jobs", "jobs", name);
    json_object_set_new(json_object_get(object, "metadata"), "deletionTimestamp",
                        json_string("2026-01-31T09:00:30Z"));
    auto_free char *deleted = json_write(object);
    play_put(&s.play, "jobs", "jobs", deleted);
    UNTIL(&s, fake_count(&s.play.f, "DELETE /apis/batch/v1/namespaces/jobs/jobs/") == 1);
    CHECK(!has(&s, "jobs", next)); /* its pod is there */
    play_status(&s.play, pod, KILLED);
    UNTIL(&s, has(&s, "jobs", next));
    CHECK_TEXT(the_attempt(&s, job, 1).why, "somebody deleted its Job");
}

TEST("a Job whose controller is away is ended by its pods when it is cancelled")
{
    auto_scene struct scene s = {0};
    scene_open(&s);
    int64_t job = submit_by(&s, "kube-job");
    NAME(name, &s, job, 1);
    UNTIL(&s, has(&s, "jobs", name));
    auto_free char *pod = make_pod(&s, "Job", name);
    play_running(&s.play, pod);
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    struct command *c = command_new(COMMAND_CANCEL);
    c->id = job;
    scene_ask(&s, c);
    UNTIL(&s, is_deleted(&s, pod)); /* nobody but us did that */
    play_status(&s.play, pod, KILLED);
    UNTIL(&s, counted(&s, JOB_CANCELLED) == 1);
    UNTIL(&s, !has(&s, "jobs", name));
}

TEST("why a Job gets no pod is told; a quota is another decision's matter, for a while")
{
    auto_scene struct scene s = {.start_limit_ms = 90000};
    scene_open(&s);
    play_put(&s.play, "events", "jobs",
             "{\"metadata\":{\"name\":\"e\"},\"reason\":\"FailedCreate\",\"lastTimestamp\":"
             "\"2026-01-31T09:00:30Z\",\"message\":\"Error creating: pods \\\"x-1\\\" is "
             "forbidden: exceeded quota: q\"}");
    int64_t job = submit_by(&s, "kube-job");
    NAME(name, &s, job, 1);
    NAME(next, &s, job, 2);
    UNTIL(&s, has(&s, "jobs", name));
    set(&s, "jobs", name, "status", "{\"startTime\":\"2026-01-31T09:00:30Z\"}");
    UNTIL(&s, waits_for(&s, job, "the cluster makes no pod for it: exceeded quota: q"));
    UNTIL(&s, has(&s, "jobs", next));
    CHECK_INT(the_attempt(&s, job, 1).outcome, OUTCOME_REFUSED);
    UNTIL(&s, !has(&s, "jobs", name));
}

TEST("a job runs as a Workflow: it waits for its controller, runs, and is over when its pods are")
{
    auto_scene struct scene s = {.has_workflows = true};
    scene_open(&s);
    int64_t job = submit_by(&s, "argo");
    NAME(name, &s, job, 1);
    UNTIL(&s, has(&s, "workflows", name));
    UNTIL(&s, waits_for(&s, job, "Argo's controller has not looked at its workflow yet"));
    auto_free char *pod = make_pod(&s, "Workflow", name);
    set(&s, "workflows", name, "status", "{\"phase\":\"Running\",\"progress\":\"2/5\"}");
    play_running(&s.play, pod);
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    UNTIL(&s, __atomic_load_n(&s.total, __ATOMIC_RELAXED) == 5);
    set(&s, "workflows", name, "status", "{\"phase\":\"Succeeded\"}");
    scene_rest(&s, 200);
    CHECK_INT(state_of(&s, job), JOB_RUNNING); /* its pod has not said so yet */
    play_ended(&s.play, pod, 0);
    UNTIL(&s, counted(&s, JOB_COMPLETED) == 1);
    UNTIL(&s, !has(&s, "workflows", name));
}

TEST("a Workflow that is cancelled is terminated, not deleted")
{
    auto_scene struct scene s = {.has_workflows = true};
    scene_open(&s);
    int64_t job = submit_by(&s, "argo");
    NAME(name, &s, job, 1);
    UNTIL(&s, has(&s, "workflows", name));
    auto_free char *pod = make_pod(&s, "Workflow", name);
    set(&s, "workflows", name, "status", "{\"phase\":\"Running\"}");
    play_running(&s.play, pod);
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    struct command *c = command_new(COMMAND_CANCEL);
    c->id = job;
    scene_ask(&s, c);
    for (bool asked = false; !asked;) {
        auto_json json_t *object = play_get(&s.play, "workflows", "jobs", name);
        asked = strcmp(text_in(object, "spec", "shutdown"), "Terminate") == 0;
        CHECK_TEXT(text_in(object, "metadata", "deletionTimestamp"), "");
        scene_rest(&s, 20);
    }
    set(&s, "workflows", name, "status", "{\"phase\":\"Failed\",\"message\":\"Stopped\"}");
    play_ended(&s.play, pod, 143);
    UNTIL(&s, counted(&s, JOB_CANCELLED) == 1);
}

TEST("a Workflow whose pod waits for devices that others took is another decision")
{
    auto_scene struct scene s = {.has_workflows = true, .start_limit_ms = 9000};
    scene_open(&s);
    int64_t job = submit_by(&s, "argo");
    NAME(name, &s, job, 1);
    NAME(next, &s, job, 2);
    UNTIL(&s, has(&s, "workflows", name));
    auto_free char *pod = make_pod(&s, "Workflow", name);
    set(&s, "workflows", name, "status", "{\"phase\":\"Running\"}");
    play_status(&s.play, pod,
                "{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":"
                "\"False\",\"reason\":\"Unschedulable\",\"message\":\"1 Insufficient "
                "nvidia.com/gpu\"}]}");
    UNTIL(&s, fake_count(&s.play.f, "PATCH /apis/argoproj.io/v1alpha1/namespaces/jobs/workflows"));
    play_drop(&s.play, "pods", "jobs", pod);
    set(&s, "workflows", name, "status", "{\"phase\":\"Failed\",\"message\":\"Stopped\"}");
    UNTIL(&s, has(&s, "workflows", next));
    CHECK_INT(the_attempt(&s, job, 1).outcome, OUTCOME_REFUSED);
    CHECK(strstr(the_attempt(&s, job, 1).why, "Insufficient nvidia.com/gpu"));
}

TEST("Argo Server is asked for all of it in its own words")
{
    auto_scene struct scene s = {.has_argo_server = true};
    scene_open(&s);
    int64_t job = submit_by(&s, "argo-server");
    NAME(name, &s, job, 1);
    UNTIL(&s, has(&s, "workflows", name));
    CHECK_INT(fake_count(&s.play.f, "POST /api/v1/workflows/jobs"), 1);
    auto_free char *pod = make_pod(&s, "Workflow", name);
    set(&s, "workflows", name, "status", "{\"phase\":\"Running\"}");
    play_running(&s.play, pod);
    UNTIL(&s, state_of(&s, job) == JOB_RUNNING);
    struct command *c = command_new(COMMAND_CANCEL);
    c->id = job;
    scene_ask(&s, c);
    UNTIL(&s, fake_count(&s.play.f, "PUT /api/v1/workflows/jobs") == 1);
    set(&s, "workflows", name, "status", "{\"phase\":\"Failed\",\"message\":\"Stopped\"}");
    play_ended(&s.play, pod, 143);
    UNTIL(&s, counted(&s, JOB_CANCELLED) == 1);
    UNTIL(&s, !has(&s, "workflows", name));
    CHECK_INT(fake_count(&s.play.f, "DELETE /api/v1/workflows/jobs"), 1);
}
