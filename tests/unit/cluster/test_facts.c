#include "base/mem.h"
#include "cluster/facts.h"
#include "test.h"

static void *a_record(const struct kube_kind *kind, const char *json)
{
    struct kube_build *b = kube_build_new();
    struct kube_head *head = NULL;
    CHECK_OK(kube_record_read(kind, b, json, strlen(json), &head, &test_err));
    kube_build_free(b);
    return head;
}

static const struct foreign_sums nobody;

static struct node_facts facts_of(const char *json, const struct foreign_sums *foreign)
{
    struct node_facts f;
    auto_free struct kube_node *n = a_record(&kube_nodes, json);
    node_facts_read(n, foreign, &f);
    return f;
}

#define NODE(labels, spec, conditions, capacity, allocatable)                                      \
    "{\"metadata\":{\"name\":\"gpu-a\",\"uid\":\"u\",\"labels\":{" labels "}},\"spec\":{" spec     \
    "},\"status\":{\"conditions\":[" conditions "],\"capacity\":{\"cpu\":\"16\",\"memory\":"       \
    "\"64Gi\"" capacity "},\"allocatable\":{\"cpu\":\"15\",\"memory\":\"60Gi\"" allocatable        \
    "},\"nodeInfo\":{\"bootID\":\"boot\",\"kubeletVersion\":\"v1.34.4\"}}}"
#define READY "{\"type\":\"Ready\",\"status\":\"True\"}"

TEST("a node has what is left of it, and GPUs by number with what its labels say")
{
    struct foreign_sums foreign = {1500, INT64_C(4) << 30, 1};
    struct node_facts f = facts_of(
        NODE("\"nvidia.com/gpu.product\":\"NVIDIA-A100\",\"nvidia.com/gpu.memory\":\"81920\"", "",
             READY, ",\"nvidia.com/gpu\":\"2\"", ",\"nvidia.com/gpu\":\"1\""),
        &foreign);
    CHECK_TEXT(f.boot_id, "boot");
    CHECK_TEXT(f.version, "v1.34.4");
    CHECK_INT(f.cpu_milli, 15000);
    CHECK_INT(f.share_cpu_milli, 13500);
    CHECK_INT(f.share_memory_mib, 56 * 1024);
    CHECK_INT(f.foreign_gpus, 1);
    CHECK(f.is_heard && !f.cordoned);
    CHECK_INT(f.device_count, 2);
    CHECK_TEXT(f.devices[0].uuid, "gpu-a/nvidia.com/gpu/0");
    CHECK_TEXT(f.devices[0].model, "NVIDIA-A100");
    CHECK_TEXT(f.devices[0].vendor, "nvidia");
    CHECK_INT(f.devices[0].memory_mib, 81920);
    CHECK_INT(f.devices[0].health, DEVICE_OK);
    CHECK_INT(f.devices[1].health, DEVICE_UNKNOWN);
    CHECK_INT(f.label_count, 2);
    node_facts_done(&f);
}

TEST("slices, partitions and other vendors' GPUs are GPUs too, in an order that stays")
{
    struct node_facts f = facts_of(
        NODE("\"nvidia.com/mig-1g.5gb.product\":\"NVIDIA-A100-MIG-1g.5gb\","
             "\"nvidia.com/mig-1g.5gb.memory\":\"4864\",\"amd.com/gpu.vram\":\"64G\"",
             "", READY,
             ",\"nvidia.com/mig-1g.5gb\":\"1\",\"habana.ai/gaudi\":\"1\",\"amd.com/gpu\":\"1\","
             "\"gpu.intel.com/i915\":\"1\",\"gpu.intel.com/monitoring\":\"1\",\"example.com/x\":"
             "\"3\"",
             ""),
        &nobody);
    CHECK_INT(f.device_count, 4);
    CHECK_TEXT(f.devices[0].uuid, "gpu-a/amd.com/gpu/0");
    CHECK_INT(f.devices[0].memory_mib, 65536);
    CHECK_TEXT(f.devices[1].vendor, "intel");
    CHECK_TEXT(f.devices[2].vendor, "habana");
    CHECK_TEXT(f.devices[3].uuid, "gpu-a/nvidia.com/mig-1g.5gb/0");
    CHECK_TEXT(f.devices[3].model, "NVIDIA-A100-MIG-1g.5gb");
    CHECK_INT(f.devices[3].memory_mib, 4864);
    CHECK_INT(f.devices[3].number, 3);
    node_facts_done(&f);
}

TEST("shared GPUs have a part of the memory each")
{
    struct node_facts f =
        facts_of(NODE("\"nvidia.com/gpu.replicas\":\"4\",\"nvidia.com/gpu.memory\":\"40960\"", "",
                      READY, ",\"nvidia.com/gpu\":\"4\"", ",\"nvidia.com/gpu\":\"4\""),
                 &nobody);
    CHECK_INT(f.device_count, 4);
    CHECK_INT(f.devices[3].memory_mib, 10240);
    node_facts_done(&f);
}

TEST("a node takes no new work when it is cordoned, not well, or leaves; and says why")
{
    static const struct {
        const char *json, *why;
        bool heard;
    } cases[] = {
        {NODE("", "", READY, "", ""), "", true},
        {NODE("", "\"unschedulable\":true", READY, "", ""), "cordoned", true},
        {NODE("", "", "{\"type\":\"Ready\",\"status\":\"Unknown\",\"message\":\"silent\"}", "", ""),
         "not ready: silent", false},
        {NODE("", "", READY ",{\"type\":\"DiskPressure\",\"status\":\"True\"}", "", ""),
         "its disk is nearly full", true},
        {NODE("",
              "\"taints\":[{\"key\":\"node.kubernetes.io/out-of-service\",\"effect\":"
              "\"NoExecute\"}]",
              READY, "", ""),
         "out of service", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct node_facts f = facts_of(cases[i].json, &nobody);
        CHECK_TEXT(f.why, cases[i].why);
        CHECK_INT(f.is_heard, cases[i].heard);
        CHECK_INT(f.cordoned, cases[i].why[0] != '\0');
        node_facts_done(&f);
    }
}

TEST("taints that keep pods away are told, those of conditions are not")
{
    struct node_facts f =
        facts_of(NODE("",
                      "\"taints\":[{\"key\":\"team\",\"value\":\"ml\",\"effect\":\"NoSchedule\"},"
                      "{\"key\":\"soft\",\"effect\":\"PreferNoSchedule\"},"
                      "{\"key\":\"node.kubernetes.io/not-ready\",\"effect\":\"NoExecute\"}]",
                      READY, "", ""),
                 &nobody);
    CHECK_INT(f.taint_count, 1);
    CHECK_TEXT(f.taints[0], "team=ml:NoSchedule");
    node_facts_done(&f);
}

TEST("what others ask for counts until their pods are over")
{
    struct foreign_sums sums = {0};
    auto_free struct kube_pod *runs = a_record(
        &kube_pods, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"resources\":{"
                    "\"requests\":{\"cpu\":\"500m\",\"memory\":\"1Gi\",\"nvidia.com/gpu\":\"2\","
                    "\"example.com/x\":\"7\"}}}]},\"status\":{\"phase\":\"Running\"}}");
    auto_free struct kube_pod *over = a_record(
        &kube_pods, "{\"metadata\":{\"name\":\"q\"},\"spec\":{\"containers\":[{\"resources\":{"
                    "\"requests\":{\"cpu\":\"500m\"}}}]},\"status\":{\"phase\":\"Failed\"}}");
    foreign_add(&sums, runs);
    foreign_add(&sums, over);
    CHECK_INT(sums.cpu_milli, 500);
    CHECK_INT(sums.memory_bytes, INT64_C(1) << 30);
    CHECK_INT(sums.gpus, 2);
}

TEST("the same facts have the same hash, others another")
{
    const char *json = NODE("\"a\":\"b\"", "", READY, ",\"nvidia.com/gpu\":\"2\"", "");
    struct foreign_sums some = {.gpus = 1};
    struct node_facts a = facts_of(json, &nobody), b = facts_of(json, &nobody),
                      c = facts_of(json, &some);
    CHECK(node_facts_hash(&a) == node_facts_hash(&b));
    CHECK(node_facts_hash(&a) != node_facts_hash(&c));
    node_facts_done(&a);
    node_facts_done(&b);
    node_facts_done(&c);
}

TEST("a counted device names its resource, another does not")
{
    char resource[FLEET_NAME + 32];
    CHECK(counted_device_read("gpu-a/nvidia.com/mig-1g.5gb/3", "gpu-a", resource));
    CHECK_TEXT(resource, "nvidia.com/mig-1g.5gb");
    CHECK(!counted_device_read("gpu-a/nvidia.com/gpu/3", "gpu-b", resource));
    CHECK(!counted_device_read("GPU-00112233", "gpu-a", resource));
    CHECK(!counted_device_read("gpu-a/3", "gpu-a", resource));
    CHECK(!counted_device_read("gpu-a", "gpu-a", resource));
}
