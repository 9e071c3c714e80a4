/* Jobs of an engine that run as pods of a cluster that is played. */
#include "scene.h"

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
    scene_rest(&s, 300);
    int64_t job = submit(&s);
    scene_rest(&s, 300);
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

TEST("output that the disk had no room for is written where it belongs")
{
    auto_scene struct scene s = {.full = 2};
    struct log_info info;
    scene_open(&s);
    PLAY_SET(&s.play, log, "2026-01-31T09:00:01.000000000Z first\n");
    int64_t job = submit(&s);
    const char *pod = pod_name(&s, job, 1);
    UNTIL(&s, play_has(&s.play, pod));
    play_running(&s.play, pod);
    UNTIL(&s, strstr(output_of(&s, job), "first"));
    CHECK_INT(__atomic_load_n(&s.full, __ATOMIC_RELAXED), 0);
    play_ended(&s.play, pod, 0);
    UNTIL(&s, !play_has(&s.play, pod));
    CHECK_OK(s.log_ops->info(s.logs, (struct log_ref){job, 1}, &info, &test_err));
    CHECK_INT(info.end, strlen("first\n"));
}

TEST("a job that ends well when it is asked to end was cancelled all the same")
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
    scene_ask(&s, c);
    UNTIL(&s, is_deleted(&s, pod));
    play_ended(&s.play, pod, 0);
    UNTIL(&s, state_of(&s, job) == -1);
    CHECK_INT(counted(&s, JOB_CANCELLED), 1);
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
    scene_ask(&s, c);
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
    scene_rest(&s, 200);
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
    scene_end(&s);
    play_ended(&s.play, pod_name(&s, ends, 1), 0);
    scene_begin(&s);
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
    scene_end(&s);
    play_drop(&s.play, "nodes", NULL, "gpu-a");
    scene_begin(&s);
    scene_rest(&s, 500);
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
    scene_end(&s);
    PLAY_SET(&s.play, ignores_creates, false);
    scene_begin(&s);
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
