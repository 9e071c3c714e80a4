#include "base/mem.h"
#include "kube/job.h"
#include "kube/lease.h"
#include "kube/node.h"
#include "kube/pod.h"
#include "test.h"

static void *record(const struct kube_kind *kind, const char *json)
{
    struct kube_build *b = kube_build_new();
    struct kube_head *head = NULL;
    CHECK_OK(kube_record_read(kind, b, json, strlen(json), &head, &test_err));
    kube_build_free(b); /* nothing of it is in the record */
    return head;
}

static const char pod_json[] =
    "{\"metadata\":{\"name\":\"reeve-a-7-1\",\"namespace\":\"work\",\"uid\":\"u-1\","
    "\"resourceVersion\":\"812\",\"creationTimestamp\":\"2026-01-31T09:00:00Z\","
    "\"deletionTimestamp\":\"2026-01-31T10:00:00Z\",\"finalizers\":[\"reeve.gpu/hold\",\"x/y\"],"
    "\"labels\":{\"reeve.gpu/job\":\"7\",\"app\":\"other\",\"workflows.argoproj.io/"
    "workflow\":\"w\"},"
    "\"annotations\":{\"reeve.gpu/attempt\":\"a\\u00e9\\\"b\",\"kubectl\":\"long\"},"
    "\"ownerReferences\":[{\"kind\":\"Node\",\"name\":\"n\",\"uid\":\"q\"},{\"apiVersion\":\"batch/"
    "v1\","
    "\"kind\":\"Job\",\"name\":\"j\",\"uid\":\"ju\",\"controller\":true}],"
    "\"managedFields\":[{\"fieldsV1\":{\"f:a\":{\"f:b\":{}}}}]},"
    "\"spec\":{\"nodeName\":\"n1\",\"schedulerName\":\"reeve\",\"priority\":-5,"
    "\"schedulingGates\":[{\"name\":\"g\"}],"
    "\"initContainers\":[{\"name\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"3\","
    "\"memory\":\"1Gi\"}}},{\"name\":\"s\",\"restartPolicy\":\"Always\",\"resources\":{"
    "\"requests\":"
    "{\"cpu\":\"100m\"}}},{\"name\":\"i2\",\"resources\":{\"requests\":{\"cpu\":\"1\","
    "\"example.com/x\":\"9\"}}}],"
    "\"containers\":[{\"name\":\"main\",\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"9\"},"
    "\"requests\":{\"cpu\":\"500m\",\"memory\":\"16Gi\",\"nvidia.com/gpu\":\"2\"}}},"
    "{\"name\":\"b\",\"resources\":{\"requests\":{\"memory\":\"1Gi\",\"nvidia.com/gpu\":1,"
    "\"zero.com/x\":\"0\"}}}],\"overhead\":{\"cpu\":\"250m\"}},"
    "\"status\":{\"phase\":\"Pending\",\"reason\":\"Evicted\",\"message\":\"low on memory\","
    "\"startTime\":\"2026-01-31T09:00:01Z\",\"conditions\":[{\"type\":\"Ready\",\"status\":"
    "\"False\"},"
    "{\"type\":\"PodScheduled\",\"status\":\"False\",\"reason\":\"Unschedulable\",\"message\":\"0/"
    "3\"},"
    "{\"type\":\"DisruptionTarget\",\"status\":\"True\",\"reason\":\"PreemptionByScheduler\"}],"
    "\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"waiting\":{\"reason\":"
    "\"ImagePullBackOff\",\"message\":\"no such image\"}}}],"
    "\"containerStatuses\":[{\"name\":\"main\",\"ready\":true,\"restartCount\":2,\"state\":{"
    "\"terminated\":{\"exitCode\":137,\"reason\":\"OOMKilled\",\"startedAt\":"
    "\"2026-01-31T09:00:02Z\",\"finishedAt\":\"2026-01-31T09:00:03Z\"}},\"lastState\":{"
    "\"terminated\":{\"exitCode\":1,\"reason\":\"Error\"}}},"
    "{\"name\":\"b\",\"state\":{\"running\":{\"startedAt\":\"2026-01-31T09:00:04Z\"}}}]}}";

TEST("a pod is what a scheduler and a runner use of it")
{
    auto_free struct kube_pod *p = record(&kube_pods, pod_json);
    CHECK_TEXT(p->head.name, "reeve-a-7-1");
    CHECK_TEXT(p->head.ns, "work");
    CHECK_TEXT(p->head.version, "812");
    CHECK_INT(p->head.created_ms, INT64_C(1769850000000));
    CHECK_INT(p->head.deleted_ms, INT64_C(1769853600000));
    CHECK_TEXT(p->head.finalizers->next->text, "x/y");
    CHECK_TEXT(kube_pair_find(p->head.labels, "reeve.gpu/job"), "7");
    CHECK_TEXT(kube_pair_find(p->head.labels, "workflows.argoproj.io/workflow"), "w");
    CHECK_TEXT(kube_pair_find(p->head.labels, "app"), NULL);
    CHECK_TEXT(kube_pair_find(p->head.annotations, "reeve.gpu/attempt"), "a\xc3\xa9\"b");
    CHECK(!p->head.annotations->next);
    CHECK_TEXT(p->head.owner_kind, "Job");
    CHECK_TEXT(p->head.owner_uid, "ju");
    CHECK_TEXT(p->node, "n1");
    CHECK_TEXT(p->scheduler, "reeve");
    CHECK_INT(p->priority, -5);
    CHECK(p->is_gated && p->is_unschedulable && !p->is_ready);
    CHECK_INT(p->phase, KUBE_POD_PENDING);
    CHECK_TEXT(p->reason, "Evicted");
    CHECK_TEXT(p->scheduled_message, "0/3");
    CHECK_TEXT(p->disruption_reason, "PreemptionByScheduler");
    CHECK(!kube_pod_is_over(p));

    const struct kube_container *c = p->containers;
    CHECK(c->is_init && c->state == KUBE_WAITING);
    CHECK_TEXT(c->reason, "ImagePullBackOff");
    c = c->next;
    CHECK(!c->is_init && c->state == KUBE_TERMINATED && c->is_ready);
    CHECK_INT(c->exit_code, 137);
    CHECK_TEXT(c->reason, "OOMKilled");
    CHECK_INT(c->restarts, 2);
    CHECK_TEXT(c->last_reason, "Error");
    CHECK_INT(c->finished_ms - c->started_ms, 1000);
    CHECK_INT(c->next->state, KUBE_RUNNING);
    CHECK(!c->next->next);
}

TEST("what a pod asks for is counted as Kubernetes counts it")
{
    auto_free struct kube_pod *p = record(&kube_pods, pod_json);
    CHECK_INT(p->cpu_milli, 3000 + 250); /* the first to initialise asks for most */
    CHECK_INT(p->memory_bytes, INT64_C(17) << 30);
    CHECK_INT(kube_pod_need(p, "nvidia.com/gpu"), 3);
    CHECK_INT(kube_pod_need(p, "example.com/x"), 9);
    CHECK_INT(kube_pod_need(p, "zero.com/x"), 0);
    CHECK_INT(kube_pod_need(p, "cpu"), 0);

    auto_free struct kube_pod *whole = record(
        &kube_pods, "{\"spec\":{\"resources\":{\"requests\":{\"cpu\":\"1\"}},\"containers\":[{"
                    "\"resources\":{\"requests\":{\"cpu\":\"7\",\"memory\":\"1\"}}}]},"
                    "\"metadata\":{\"name\":\"p\"}}");
    CHECK_INT(whole->cpu_milli, 1000);
    CHECK_INT(whole->memory_bytes, 1);
    CHECK_INT(whole->phase, KUBE_POD_UNKNOWN);
    CHECK_TEXT(whole->node, "");
    CHECK_TEXT(whole->disruption_reason, "");
    CHECK_TEXT(whole->head.owner_kind, "");
}

TEST("a pod takes less than a kilobyte")
{
    auto_free struct kube_pod *p = record(&kube_pods, pod_json);
    ck_assert_msg(p->head.size <= 1400, "%u bytes, and this one has everything", p->head.size);
    auto_free struct kube_pod *usual = record(
        &kube_pods,
        "{\"metadata\":{\"name\":\"train-resnet-7d9c5b8f6-x2x4q\",\"namespace\":\"team-vision\","
        "\"uid\":\"0f4c2b1e-5a8d-4a55-9d2c-0a2a4e6b1c3d\",\"resourceVersion\":\"123456789\","
        "\"labels\":{\"reeve.gpu/"
        "job\":\"123456\",\"app\":\"train\"},\"ownerReferences\":[{\"kind\":"
        "\"ReplicaSet\",\"name\":\"train-resnet-7d9c5b8f6\",\"uid\":"
        "\"1f4c2b1e-5a8d-4a55-9d2c-0a2a4e6b1c3d\",\"controller\":true}]},\"spec\":{\"nodeName\":"
        "\"gpu-node-0123.cluster.example\",\"schedulerName\":\"default-scheduler\",\"containers\":["
        "{"
        "\"name\":\"main\",\"resources\":{\"requests\":{\"cpu\":\"8\",\"memory\":\"16Gi\","
        "\"nvidia.com/gpu\":\"1\"}}}]},\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":"
        "\"PodScheduled\",\"status\":\"True\"},{\"type\":\"Ready\",\"status\":\"True\"}],"
        "\"containerStatuses\":[{\"name\":\"main\",\"ready\":true,\"state\":{\"running\":{"
        "\"startedAt\":\"2026-01-31T09:00:04Z\"}}}]}}");
    ck_assert_msg(usual->head.size <= 1000, "%u bytes", usual->head.size);
}

TEST("a node is its devices, labels, taints and conditions")
{
    auto_free struct kube_node *n = record(
        &kube_nodes,
        "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\",\"labels\":{\"nvidia.com/gpu.product\":"
        "\"A100\",\"zone\":\"b\"},\"annotations\":{\"x\":\"y\"}},\"spec\":{\"unschedulable\":true,"
        "\"taints\":[{\"key\":\"gpu\",\"value\":\"yes\",\"effect\":\"NoSchedule\"},{\"key\":"
        "\"node.kubernetes.io/out-of-service\",\"effect\":\"NoExecute\"}]},\"status\":{"
        "\"allocatable\":{\"cpu\":\"7900m\",\"memory\":\"60Gi\",\"nvidia.com/gpu\":\"7\","
        "\"pods\":\"110\"},\"capacity\":{\"cpu\":\"8\",\"nvidia.com/gpu\":\"8\",\"x.y/z\":\"1\"},"
        "\"conditions\":[{\"type\":\"MemoryPressure\",\"status\":\"False\"},{\"type\":\"Ready\","
        "\"status\":\"True\",\"reason\":\"KubeletReady\",\"lastTransitionTime\":"
        "\"2026-01-31T09:00:00Z\"}],\"addresses\":[{\"type\":\"Hostname\",\"address\":\"h\"},{"
        "\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"},{\"type\":\"InternalIP\",\"address\":"
        "\"fd00::1\"}],\"nodeInfo\":{\"bootID\":\"b-1\",\"kubeletVersion\":\"v1.34.4\"}}}");
    CHECK(n->is_ready && n->is_cordoned);
    CHECK_INT(n->cpu_milli, 7900);
    CHECK_INT(n->memory_bytes, INT64_C(60) << 30);
    CHECK_INT(n->pods, 110);
    CHECK_INT(kube_node_supply(n, "nvidia.com/gpu")->capacity, 8);
    CHECK_INT(kube_node_supply(n, "nvidia.com/gpu")->allocatable, 7);
    CHECK_INT(kube_node_supply(n, "x.y/z")->allocatable, 0);
    CHECK_INT(kube_node_supply(n, "cpu")->capacity, 8000);
    CHECK(!kube_node_supply(n, "amd.com/gpu"));
    CHECK_TEXT(kube_pair_find(n->head.labels, "nvidia.com/gpu.product"), "A100");
    CHECK_TEXT(kube_node_taint(n, "node.kubernetes.io/out-of-service")->effect, "NoExecute");
    CHECK_TEXT(kube_node_taint(n, "gpu")->value, "yes");
    CHECK_INT(kube_condition_find(n->conditions, "Ready")->changed_ms, INT64_C(1769850000000));
    CHECK_TEXT(n->address, "10.0.0.1");
    CHECK_TEXT(n->hostname, "h");
    CHECK_TEXT(n->boot_id, "b-1");
    CHECK_TEXT(n->kubelet, "v1.34.4");
}

TEST("a Job ends with one of two conditions")
{
    auto_free struct kube_job *j = record(
        &kube_jobs, "{\"metadata\":{\"name\":\"j\"},\"spec\":{\"suspend\":true,\"parallelism\":1},"
                    "\"status\":{\"failed\":1,\"conditions\":[{\"type\":\"FailureTarget\","
                    "\"status\":\"True\"},{\"type\":\"Complete\",\"status\":\"False\"},{\"type\":"
                    "\"Failed\",\"status\":\"True\",\"reason\":\"BackoffLimitExceeded\"}]}}");
    CHECK(j->is_suspended);
    CHECK_INT(j->failed, 1);
    CHECK_TEXT(kube_job_end(j)->reason, "BackoffLimitExceeded");
}

TEST("a Workflow's steps are those that are pods")
{
    auto_free struct kube_workflow *w = record(
        &kube_workflows,
        "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"shutdown\":\"Terminate\"},\"status\":{"
        "\"phase\":"
        "\"Failed\",\"progress\":\"1/2\",\"nodes\":{\"w\":{\"type\":\"DAG\",\"id\":\"w\"},\"w-1\":{"
        "\"id\":\"w-1\",\"type\":\"Pod\",\"phase\":\"Failed\",\"message\":\"OOMKilled (exit code "
        "137)\",\"hostNodeName\":\"n1\",\"outputs\":{\"exitCode\":\"137\"}},\"w-2\":{\"id\":\"w-"
        "2\","
        "\"type\":\"Pod\"}}}}");
    CHECK(kube_workflow_is_over(w) && !w->is_packed);
    CHECK_TEXT(w->shutdown, "Terminate");
    CHECK_TEXT(w->steps->exit_code, "137");
    CHECK_TEXT(w->steps->host, "n1");
    CHECK_TEXT(w->steps->next->id, "w-2");
    CHECK(!w->steps->next->next);
    auto_free struct kube_workflow *packed =
        record(&kube_workflows, "{\"metadata\":{\"name\":\"w\"},\"status\":{\"compressedNodes\":"
                                "\"H4s\"}}");
    CHECK(packed->is_packed && !packed->steps);
    CHECK(!kube_workflow_is_over(packed));
}

TEST("any other kind keeps its spec and status as they are")
{
    struct kube_kind kind = kube_custom_kind("gpu.k8s.io", "v1", "gpuallocations", "GPUAllocation");
    auto_free struct kube_custom *c = record(
        &kind, "{\"apiVersion\":\"gpu.k8s.io/v1\",\"kind\":\"GPUAllocation\",\"metadata\":{"
               "\"name\":\"a\",\"generation\":3},\"spec\": {\"gpus\" : [1, {\"a\":\"\\u0000\"}]}"
               " ,\"other\":1}");
    CHECK_TEXT(c->spec, "{\"gpus\" : [1, {\"a\":\"\\u0000\"}]}");
    CHECK_TEXT(c->status, NULL);
    CHECK_INT(c->head.generation, 3);
}

TEST("a lease is read by its fields and as it stands")
{
    auto_free struct kube_lease *l =
        record(&kube_leases, "{\"metadata\":{\"name\":\"l\",\"resourceVersion\":\"5\"},\"spec\":{"
                             "\"holderIdentity\":\"a\",\"leaseDurationSeconds\":15,\"renewTime\":"
                             "\"2026-01-31T09:00:00.250000Z\",\"leaseTransitions\":2}}");
    CHECK_TEXT(l->holder, "a");
    CHECK_INT(l->seconds, 15);
    CHECK_INT(l->transitions, 2);
    CHECK_INT(l->renewed_ms, INT64_C(1769850000250));
    CHECK(strstr(l->raw_spec, "\"renewTime\":\"2026"));
    auto_free struct kube_lease *none = record(&kube_leases, "{\"metadata\":{\"name\":\"l\"}}");
    CHECK_TEXT(none->holder, "");
}

TEST("nothing that a user can put into an object stops its reading")
{
    auto_text struct text json = {0};
    text_add(&json, "{\"metadata\":{\"name\":\"p\",\"labels\":null,\"ownerReferences\":{},"
                    "\"annotations\":[1],\"finalizers\":[1,\"f\",null],\"deep\":");
    for (int i = 0; i < 3000; i++)
        text_add(&json, "[{\"a\":");
    text_add(&json, "1");
    for (int i = 0; i < 3000; i++)
        text_add(&json, "}]");
    text_add(&json, "},\"spec\":{\"nodeName\":7,\"priority\":\"x\",\"containers\":[null,3,{}],"
                    "\"overhead\":\"\"},\"status\":{\"phase\":{},\"conditions\":[[],{\"type\":1}],"
                    "\"reason\":\"a\\u0000b\\ud800c\\q\xff\\ud83d\\ude00\",\"message\":\"");
    for (int i = 0; i < 5000; i++)
        text_add(&json, "\xc3\xa9");
    text_add(&json, "\",\"containerStatuses\":[{\"state\":{\"terminated\":null}}]}}");
    auto_free struct kube_pod *p = record(&kube_pods, text_get(&json));
    CHECK_TEXT(p->node, "");
    CHECK_TEXT(p->reason, "a\xef\xbf\xbd"
                          "b\xef\xbf\xbd"
                          "c\xef\xbf\xbdq\xef\xbf\xbd\xf0\x9f\x98\x80");
    CHECK_INT(strlen(p->message), 256);
    CHECK_TEXT(p->head.finalizers->text, "");
    CHECK_TEXT(p->head.finalizers->next->text, "f");
    CHECK_INT(p->containers->state, KUBE_WAITING);
}

TEST("an object larger than any record's room is read as far as that goes")
{
    auto_text struct text json = {0};
    text_add(&json, "{\"metadata\":{\"name\":\"p\",\"labels\":{");
    for (int i = 0; i < 40000; i++)
        text_addf(&json, "%s\"k%d\":\"%0300d\"", i ? "," : "", i, i);
    text_add(&json, "}},\"spec\":\"");
    for (int i = 0; i < 70000; i++)
        text_add_char(&json, 'x');
    text_add(&json, "\",\"status\":{\"a\":1}}");
    struct kube_kind kind = kube_custom_kind("a.b", "v1", "cs", "C");
    auto_free struct kube_custom *c = record(&kind, text_get(&json));
    CHECK_TEXT(c->spec, NULL); /* more than 64 KiB */
    CHECK_TEXT(c->status, "{\"a\":1}");
    CHECK(c->head.size < 192 * 1024);
}

TEST("what is no object, or has no name, is no record")
{
    struct kube_build *b = kube_build_new();
    struct kube_head *head = NULL;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{",
                                      "{\"metadata\":{\"name\":\"x\"}",
                                      "{}",
                                      "7",
                                      "{\"metadata\":{\"name\":\"\"}}",
                                      "{\"metadata\":7}"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(kube_record_read(&kube_pods, b, bad[i], strlen(bad[i]), &head, &test_err) < 0);
    CHECK(!head);
    kube_build_free(b);
}
