#include "kube/node.h"

#include "base/mem.h"

/* ---- what it has ---- */

/* Reads "capacity" or "allocatable"; both may name a resource, in either order. */
static void read_supplies(struct kube_build *b, struct json_scan *s, struct kube_node *n,
                          bool allocatable)
{
    struct json_part name, value;
    if (json_scan_next(s) != JSON_PART_OBJECT) {
        json_scan_pass(s, &value);
        return;
    }
    for (json_scan_object(s); json_scan_member(s, &name);) {
        int64_t amount;
        void *slot = &n->supplies;
        struct kube_supply *found = NULL;
        size_t count = 0;
        json_scan_pass(s, &value);
        bool is_cpu = json_part_is(&name, "cpu");
        if (!kube_part_quantity(&value, is_cpu ? 1000 : 1, &amount) || amount < 0)
            continue;
        for (const struct kube_supply *p = n->supplies; p && !found; p = p->next, count++) {
            slot = (void *)p;
            if (json_part_is(&name, p->name))
                found = (struct kube_supply *)p;
        }
        if (!found && count < 64 && (found = kube_build_more(b, sizeof *found))) {
            found->name = "";
            kube_build_text(b, &name, 253, &found->name);
            kube_build_link(b, slot, found);
        }
        if (found)
            *(allocatable ? &found->allocatable : &found->capacity) = amount;
    }
}

static void read_capacity(struct kube_build *b, struct json_scan *s, void *into)
{
    read_supplies(b, s, into, false);
}

static void read_allocatable(struct kube_build *b, struct json_scan *s, void *into)
{
    read_supplies(b, s, into, true);
}

/* ---- where it is ---- */

static void read_addresses(struct kube_build *b, struct json_scan *s, void *into)
{
    struct kube_node *n = into;
    struct json_part key, value, type, address;
    if (json_scan_next(s) != JSON_PART_LIST) {
        json_scan_pass(s, &value);
        return;
    }
    for (json_scan_list(s); json_scan_item(s);) {
        type = address = (struct json_part){0};
        if (json_scan_next(s) != JSON_PART_OBJECT) {
            json_scan_pass(s, &value);
            continue;
        }
        for (json_scan_object(s); json_scan_member(s, &key);) {
            json_scan_pass(s, &value);
            if (json_part_is(&key, "type"))
                type = value;
            else if (json_part_is(&key, "address"))
                address = value;
        }
        if (json_part_is(&type, "InternalIP") && !n->address[0])
            kube_build_text(b, &address, 253, &n->address);
        else if (json_part_is(&type, "Hostname"))
            kube_build_text(b, &address, 253, &n->hostname);
    }
}

/* ---- the table ---- */

static void finish(struct kube_build *b, void *record)
{
    struct kube_node *n = record;
    const struct kube_condition *ready = kube_condition_find(n->conditions, "Ready");
    (void)b;
    n->is_ready = ready && strcmp(ready->status, "True") == 0;
    const struct {
        const char *name;
        int64_t *into;
    } plain[] = {{"cpu", &n->cpu_milli},
                 {"memory", &n->memory_bytes},
                 {"ephemeral-storage", &n->scratch_bytes},
                 {"pods", &n->pods}};
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        const struct kube_supply *p = kube_node_supply(n, plain[i].name);
        *plain[i].into = p ? p->allocatable : 0;
    }
}

#define K(member) offsetof(struct kube_condition, member)
const struct kube_field kube_condition_fields[] = {
    {"type", KUBE_TEXT, K(type), .most = 64},
    {"status", KUBE_TEXT, K(status), .most = 16},
    {"reason", KUBE_TEXT, K(reason), .most = 64},
    {"message", KUBE_TEXT, K(message), .most = 256},
    {"lastTransitionTime", KUBE_TIME, K(changed_ms)},
    {0},
};

#define T(member) offsetof(struct kube_taint, member)
static const struct kube_field taint_fields[] = {
    {"key", KUBE_TEXT, T(key)},
    {"value", KUBE_TEXT, T(value)},
    {"effect", KUBE_TEXT, T(effect), .most = 32},
    {0},
};

#define N(member) offsetof(struct kube_node, member)
static const struct kube_field spec_fields[] = {
    {"unschedulable", KUBE_BOOL, N(is_cordoned)},
    {"taints", KUBE_LIST, N(taints), .fields = taint_fields, .size = sizeof(struct kube_taint)},
    {0},
};
static const struct kube_field info_fields[] = {
    {"bootID", KUBE_TEXT, N(boot_id), .most = 64},
    {"machineID", KUBE_TEXT, N(machine_id), .most = 64},
    {"systemUUID", KUBE_TEXT, N(system_uuid), .most = 64},
    {"operatingSystem", KUBE_TEXT, N(os), .most = 64},
    {"architecture", KUBE_TEXT, N(arch), .most = 64},
    {"kernelVersion", KUBE_TEXT, N(kernel), .most = 128},
    {"osImage", KUBE_TEXT, N(os_image), .most = 128},
    {"containerRuntimeVersion", KUBE_TEXT, N(runtime), .most = 128},
    {"kubeletVersion", KUBE_TEXT, N(kubelet), .most = 64},
    {0},
};
static const struct kube_field status_fields[] = {
    {"capacity", KUBE_CALL, .call = read_capacity},
    {"allocatable", KUBE_CALL, .call = read_allocatable},
    {"conditions", KUBE_LIST, N(conditions), .most = 32, .fields = kube_condition_fields,
     .size = sizeof(struct kube_condition)},
    {"addresses", KUBE_CALL, .call = read_addresses},
    {"nodeInfo", KUBE_OBJECT, .fields = info_fields},
    {0},
};
static const struct kube_field node_fields[] = {
    {"spec", KUBE_OBJECT, .fields = spec_fields},
    {"status", KUBE_OBJECT, .fields = status_fields},
    {"address", KUBE_FILLED, N(address)},
    {"hostname", KUBE_FILLED, N(hostname)},
    {0},
};

static const char *const all[] = {"", NULL};
static const char *const ours[] = {"reeve.gpu/", NULL};

const struct kube_kind kube_nodes = {.at = {"", "v1", "nodes"},
                                     .kind = "Node",
                                     .cluster_scoped = true,
                                     .size = sizeof(struct kube_node),
                                     .fields = node_fields,
                                     .labels = all,
                                     .annotations = ours,
                                     .finish = finish};

const struct kube_supply *kube_node_supply(const struct kube_node *n, const char *name)
{
    for (const struct kube_supply *p = n->supplies; p; p = p->next)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

const struct kube_condition *kube_condition_find(const struct kube_condition *list,
                                                 const char *type)
{
    for (; list; list = list->next)
        if (strcmp(list->type, type) == 0)
            return list;
    return NULL;
}

const struct kube_taint *kube_node_taint(const struct kube_node *n, const char *key)
{
    for (const struct kube_taint *t = n->taints; t; t = t->next)
        if (strcmp(t->key, key) == 0)
            return t;
    return NULL;
}
