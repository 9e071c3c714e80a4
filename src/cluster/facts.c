#include "cluster/facts.h"

#include "base/digest.h"
#include "base/mem.h"

enum { DEVICES_MOST = 256, LABELS_MOST = 256, TAINTS_MOST = 32 };

/* ---- which resources are GPUs ---- */

/* NAME with '*' behind: all that begin so. MODEL, MEMORY: labels; NULL: nobody says. */
struct gpu_resource {
    const char *name, *vendor;
    const char *model, *memory;
    const char *usual_model;
    bool is_whole; /* a device as the machine has it, not a slice of one */
};

static const struct gpu_resource gpu_resources[] = {
    {"nvidia.com/gpu", "nvidia", "nvidia.com/gpu.product", "nvidia.com/gpu.memory", "NVIDIA GPU",
     true},
    {"nvidia.com/gpu.shared", "nvidia", "nvidia.com/gpu.product", "nvidia.com/gpu.memory",
     "NVIDIA GPU, shared", false},
    {"nvidia.com/mig-*", "nvidia", "product", "memory", "NVIDIA MIG slice", false},
    {"amd.com/gpu", "amd", "amd.com/gpu.product-name", "amd.com/gpu.vram", "AMD GPU", true},
    {"amd.com/*", "amd", "amd.com/gpu.product-name", NULL, "AMD GPU partition", false},
    {"gpu.intel.com/i915", "intel", "gpu.intel.com/product", NULL, "Intel GPU", true},
    {"gpu.intel.com/xe", "intel", "gpu.intel.com/product", NULL, "Intel GPU", true},
    {"habana.ai/gaudi", "habana", NULL, NULL, "Gaudi", true},
};

static const struct gpu_resource *find_resource(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(gpu_resources); i++) {
        const char *pattern = gpu_resources[i].name;
        size_t len = strlen(pattern);
        if (pattern[len - 1] == '*' ? strncmp(name, pattern, len - 1) == 0
                                    : strcmp(name, pattern) == 0)
            return &gpu_resources[i];
    }
    return NULL;
}

const char *gpu_vendor_of(const char *resource)
{
    const struct gpu_resource *g = find_resource(resource);
    return g ? g->vendor : NULL;
}

const char *whole_gpu_resource(const struct kube_node *n)
{
    for (size_t i = 0; i < COUNT_OF(gpu_resources); i++)
        for (const struct kube_supply *s = n->supplies; s; s = s->next)
            if (gpu_resources[i].is_whole && s->capacity &&
                strcmp(s->name, gpu_resources[i].name) == 0)
                return gpu_resources[i].name;
    return NULL;
}

/* ---- other people's pods ---- */

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void foreign_add(struct foreign_sums *sums, const struct kube_pod *pod)
{
    if (kube_pod_is_over(pod))
        return;
    sums->cpu_milli = plus(sums->cpu_milli, pod->cpu_milli);
    sums->memory_bytes = plus(sums->memory_bytes, pod->memory_bytes);
    for (const struct kube_need *r = pod->needs; r; r = r->next)
        if (find_resource(r->name))
            sums->gpus = plus(sums->gpus, r->count);
}

/* ---- labels ---- */

static const char *label(const struct kube_node *n, const char *key)
{
    const char *value = key ? kube_pair_find(n->head.labels, key) : NULL;
    return value && value[0] ? value : NULL;
}

/* "81920" is MiB; "64G" is GiB. 0: not said. */
static int64_t label_mib(const struct kube_node *n, const char *key)
{
    const char *text = label(n, key);
    char *end;
    if (!text)
        return 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || value < 0 || value > JOB_MIB_MOST)
        return 0;
    if (*end == 'G')
        value *= 1024;
    return value > JOB_MIB_MOST ? JOB_MIB_MOST : value;
}

/* "nvidia.com/mig-1g.5gb" -> "nvidia.com/mig-1g.5gb.product"; other labels are said in full. */
static char *label_key(const char *resource, const char *said)
{
    if (!said)
        return NULL;
    return strchr(said, '/') ? mem_strdup(said) : mem_printf("%s.%s", resource, said);
}

static void take_labels(const struct kube_node *n, struct node_facts *f)
{
    size_t count = 0;
    for (const struct kube_pair *p = n->head.labels; p; p = p->next)
        count++;
    f->labels = mem_new_array(char *, count + 1);
    for (const struct kube_pair *p = n->head.labels; p && f->label_count < LABELS_MOST; p = p->next)
        if (strcmp(p->key, "nvidia.com/gfd.timestamp") != 0) /* of every restart of its writer */
            f->labels[f->label_count++] = mem_printf("%s=%s", p->key, p->value);
}

/* ---- whether it takes new work ---- */

/* Taints that say once more what the node's conditions say, or its cordon. */
static bool is_condition_taint(const char *key)
{
    static const char *const keys[] = {
        "node.kubernetes.io/unschedulable",   "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",     "node.kubernetes.io/out-of-service",
        "node.kubernetes.io/memory-pressure", "node.kubernetes.io/disk-pressure",
        "node.kubernetes.io/pid-pressure",    "node.kubernetes.io/network-unavailable",
    };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static void take_taints(const struct kube_node *n, struct node_facts *f)
{
    size_t count = 0;
    for (const struct kube_taint *t = n->taints; t; t = t->next)
        count++;
    f->taints = mem_new_array(char *, count + 1);
    for (const struct kube_taint *t = n->taints; t && f->taint_count < TAINTS_MOST; t = t->next)
        if (strcmp(t->effect, "PreferNoSchedule") != 0 && !is_condition_taint(t->key))
            f->taints[f->taint_count++] =
                mem_printf("%s%s%s:%s", t->key, t->value[0] ? "=" : "", t->value, t->effect);
}

static void put_why(struct node_facts *f, const char *words, const struct kube_condition *c)
{
    const char *more = !c ? "" : c->message[0] ? c->message : c->reason;
    f->cordoned = true;
    snprintf(f->why, sizeof f->why, "%s%s%s", words, more[0] ? ": " : "", more);
    for (size_t len = strlen(f->why); len && !text_is_utf8(f->why, len);)
        f->why[--len] = '\0';
}

static void judge_node(const struct kube_node *n, struct node_facts *f)
{
    static const struct {
        const char *type, *words;
    } bad[] = {
        {"MemoryPressure", "its memory is nearly full"},
        {"DiskPressure", "its disk is nearly full"},
        {"PIDPressure", "it has hardly any process ids left"},
        {"NetworkUnavailable", "its network is not there"},
    };
    f->is_heard = n->is_ready && !n->head.deleted_ms;
    f->is_out = kube_node_taint(n, "node.kubernetes.io/out-of-service") != NULL;
    if (n->head.deleted_ms)
        put_why(f, "it is being removed from the cluster", NULL);
    else if (f->is_out)
        put_why(f, "out of service", NULL);
    else if (!n->is_ready)
        put_why(f, "not ready", kube_condition_find(n->conditions, "Ready"));
    else if (n->is_cordoned)
        put_why(f, "cordoned", NULL);
    for (size_t i = 0; i < COUNT_OF(bad) && !f->cordoned; i++) {
        const struct kube_condition *c = kube_condition_find(n->conditions, bad[i].type);
        if (c && strcmp(c->status, "True") == 0)
            put_why(f, bad[i].words, c);
    }
}

/* ---- devices ---- */

static void add_devices(const struct kube_node *n, const struct kube_supply *s,
                        const struct gpu_resource *g, struct node_facts *f)
{
    auto_free char *model_key = label_key(s->name, g->model);
    auto_free char *memory_key = label_key(s->name, g->memory);
    const char *model = label(n, model_key);
    int64_t memory = label_mib(n, memory_key);
    /* Shared, each has its part, whether that is enforced or not. */
    const char *replicas = label(n, "nvidia.com/gpu.replicas");
    long times = replicas && strcmp(g->vendor, "nvidia") == 0 && !strchr(s->name, '-')
                     ? strtol(replicas, NULL, 10)
                     : 1;
    if (times > 1)
        memory /= times;
    for (int64_t i = 0; i < s->capacity && f->device_count < DEVICES_MOST; i++) {
        struct device_report *d = &f->devices[f->device_count];
        int len =
            snprintf(d->uuid, sizeof d->uuid, "%s/%s/%lld", n->head.name, s->name, (long long)i);
        if (len >= (int)sizeof d->uuid)
            return;
        snprintf(d->model, sizeof d->model, "%s", model ? model : g->usual_model);
        snprintf(d->vendor, sizeof d->vendor, "%s", g->vendor);
        d->number = (int64_t)f->device_count++;
        d->memory_mib = d->free_mib = memory;
        d->health = DEVICE_OK;
        /* Which of them it is nobody says; so it is the last one. */
        if (i >= s->allocatable) {
            d->health = DEVICE_UNKNOWN;
            snprintf(d->why, sizeof d->why, "its device plugin does not offer it just now");
        }
    }
}

static int compare_supplies(const void *a, const void *b)
{
    const struct kube_supply *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* By name, so that they keep their places. */
static void take_devices(const struct kube_node *n, struct node_facts *f)
{
    const struct kube_supply *list[16];
    size_t count = 0;
    int64_t devices = 0;
    for (const struct kube_supply *s = n->supplies; s && count < COUNT_OF(list); s = s->next)
        if (find_resource(s->name) && s->capacity > 0) {
            list[count++] = s;
            devices = plus(devices, s->capacity);
        }
    f->devices = mem_new_array(struct device_report,
                               (size_t)(devices < DEVICES_MOST ? devices : DEVICES_MOST) + 1);
    if (count)
        qsort(list, count, sizeof *list, compare_supplies);
    for (size_t i = 0; i < count; i++)
        add_devices(n, list[i], find_resource(list[i]->name), f);
}

bool counted_device_read(const char *uuid, const char *node, char *resource)
{
    size_t len = strlen(node);
    const char *name = uuid + len + 1, *index = strrchr(uuid, '/');
    if (strncmp(uuid, node, len) != 0 || uuid[len] != '/' || index <= name)
        return false;
    snprintf(resource, FLEET_NAME + 32, "%.*s", (int)(index - name), name);
    return find_resource(resource) != NULL;
}

/* ---- the whole ---- */

static int64_t above_zero(int64_t value)
{
    return value > 0 ? value : 0;
}

void node_facts_read(const struct kube_node *n, const struct foreign_sums *foreign,
                     struct node_facts *ret)
{
    struct node_facts *f = ret;
    *f = (struct node_facts){.cpu_milli = n->cpu_milli, .memory_mib = n->memory_bytes >> 20};
    snprintf(f->boot_id, sizeof f->boot_id, "%s", n->boot_id[0] ? n->boot_id : n->head.uid);
    snprintf(f->version, sizeof f->version, "%.31s", n->kubelet[0] ? n->kubelet : "unknown");
    f->share_cpu_milli = above_zero(n->cpu_milli - foreign->cpu_milli);
    f->share_memory_mib = above_zero(n->memory_bytes - foreign->memory_bytes) >> 20;
    f->foreign_gpus = foreign->gpus < DEVICES_MOST ? foreign->gpus : DEVICES_MOST;
    judge_node(n, f);
    take_labels(n, f);
    take_taints(n, f);
    take_devices(n, f);
}

static void free_list(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

void node_facts_done(struct node_facts *f)
{
    free_list(f->labels, f->label_count);
    free_list(f->taints, f->taint_count);
    free(f->devices);
    *f = (struct node_facts){0};
}

static void add_list(struct digest_state *s, char *const *list, size_t count)
{
    digest_add_int(s, (int64_t)count);
    for (size_t i = 0; i < count; i++)
        digest_add(s, list[i], strlen(list[i]) + 1);
}

uint64_t node_facts_hash(const struct node_facts *f)
{
    const int64_t numbers[] = {
        f->cpu_milli,    f->memory_mib, f->share_cpu_milli,      f->share_memory_mib,
        f->foreign_gpus, f->cordoned,   (int64_t)f->device_count};
    struct digest_state *s = digest_begin();
    uint64_t hash;
    digest_add(s, f->boot_id, sizeof f->boot_id);
    digest_add(s, f->version, sizeof f->version);
    digest_add(s, f->why, sizeof f->why);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        digest_add_int(s, numbers[i]);
    add_list(s, f->labels, f->label_count);
    add_list(s, f->taints, f->taint_count);
    digest_add(s, f->devices, f->device_count * sizeof *f->devices); /* zeroed, then filled */
    struct digest d = digest_end(s);
    memcpy(&hash, d.bytes, sizeof hash);
    return hash;
}
