#include "kube/pod.h"

#include "base/mem.h"

/* ---- what it asks for ---- */

/*
 * By resource: CPU, memory, scratch space, then what else was named. A pod needs what all its
 * containers need together; containers that initialise run one after the other before, beside those
 * among them that stay ("restartPolicy: Always"). Kubernetes counts in this way.
 */
enum { CPU, MEMORY, SCRATCH, FIRST_NAMED, MOST_RESOURCES = 20 };

struct amounts {
    int64_t of[MOST_RESOURCES];
};

struct tally {
    const char *names[MOST_RESOURCES]; /* from FIRST_NAMED; in the record */
    size_t count;
    struct amounts main, init_peak, staying, overhead, whole;
    bool has_whole[MOST_RESOURCES]; /* resources stated for the pod as a whole */
    struct amounts one;             /* of the container being read */
    bool one_stays;
};

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static size_t resource_index(struct kube_build *b, struct tally *t, const struct json_part *name)
{
    static const char *const plain[] = {"cpu", "memory", "ephemeral-storage"};
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        if (json_part_is(name, plain[i]))
            return i;
    for (size_t i = FIRST_NAMED; i < t->count; i++)
        if (json_part_is(name, t->names[i]))
            return i;
    const char **slot = t->count < MOST_RESOURCES ? kube_build_more(b, sizeof *slot) : NULL;
    if (!slot)
        return MOST_RESOURCES;
    kube_build_text(b, name, 253, slot);
    if (!*slot)
        return MOST_RESOURCES;
    t->names[t->count] = *slot;
    return t->count++;
}

static struct tally *tally_of(struct kube_build *b)
{
    struct tally *t = kube_build_aside(b, sizeof *t);
    if (!t->count)
        t->count = FIRST_NAMED;
    return t;
}

/* A map of amounts; HAS, which may be NULL, notes what is in it. */
static void read_amounts(struct kube_build *b, struct json_scan *s, struct amounts *into, bool *has)
{
    struct tally *t = tally_of(b);
    struct json_part name, value;
    if (json_scan_next(s) != JSON_PART_OBJECT) {
        json_scan_pass(s, &value);
        return;
    }
    for (json_scan_object(s); json_scan_member(s, &name);) {
        int64_t amount;
        json_scan_pass(s, &value);
        size_t i = resource_index(b, t, &name);
        if (i == MOST_RESOURCES || !kube_part_quantity(&value, i == CPU ? 1000 : 1, &amount) ||
            amount < 0)
            continue;
        into->of[i] = amount;
        if (has)
            has[i] = true;
    }
}

static void read_one_requests(struct kube_build *b, struct json_scan *s, void *into)
{
    (void)into;
    read_amounts(b, s, &tally_of(b)->one, NULL);
}

static void read_restart_policy(struct kube_build *b, struct json_scan *s, void *into)
{
    struct json_part value;
    (void)into;
    json_scan_pass(s, &value);
    tally_of(b)->one_stays = json_part_is(&value, "Always");
}

static void read_whole_requests(struct kube_build *b, struct json_scan *s, void *into)
{
    (void)into;
    read_amounts(b, s, &tally_of(b)->whole, tally_of(b)->has_whole);
}

static void read_overhead(struct kube_build *b, struct json_scan *s, void *into)
{
    (void)into;
    read_amounts(b, s, &tally_of(b)->overhead, NULL);
}

static const struct kube_field container_resources[] = {
    {"requests", KUBE_CALL, .call = read_one_requests},
    {0},
};

static const struct kube_field container_spec[] = {
    {"resources", KUBE_OBJECT, .fields = container_resources},
    {"restartPolicy", KUBE_CALL, .call = read_restart_policy},
    {0},
};

static void read_specs(struct kube_build *b, struct json_scan *s, bool init)
{
    struct tally *t = tally_of(b);
    struct json_part part;
    if (json_scan_next(s) != JSON_PART_LIST) {
        json_scan_pass(s, &part);
        return;
    }
    for (json_scan_list(s); json_scan_item(s);) {
        t->one = (struct amounts){0};
        t->one_stays = false;
        kube_build_read(b, s, container_spec, t);
        for (size_t i = 0; i < MOST_RESOURCES; i++) {
            int64_t now = plus(t->staying.of[i], t->one.of[i]);
            if (!init)
                t->main.of[i] = plus(t->main.of[i], t->one.of[i]);
            else if (t->one_stays)
                t->staying.of[i] = now;
            else if (now > t->init_peak.of[i])
                t->init_peak.of[i] = now;
        }
    }
}

static void read_containers(struct kube_build *b, struct json_scan *s, void *into)
{
    (void)into;
    read_specs(b, s, false);
}

static void read_init_containers(struct kube_build *b, struct json_scan *s, void *into)
{
    (void)into;
    read_specs(b, s, true);
}

static int64_t needed(const struct tally *t, size_t i)
{
    int64_t most = plus(t->main.of[i], t->staying.of[i]);
    if (t->init_peak.of[i] > most)
        most = t->init_peak.of[i];
    if (t->has_whole[i])
        most = t->whole.of[i];
    return plus(most, t->overhead.of[i]);
}

static void finish(struct kube_build *b, void *record)
{
    struct kube_pod *p = record;
    const struct tally *t = tally_of(b);
    void *slot = &p->needs;
    p->cpu_milli = needed(t, CPU);
    p->memory_bytes = needed(t, MEMORY);
    p->scratch_bytes = needed(t, SCRATCH);
    for (size_t i = FIRST_NAMED; i < t->count; i++) {
        int64_t count = needed(t, i);
        struct kube_need *r = count ? kube_build_more(b, sizeof *r) : NULL;
        if (!r)
            continue;
        r->count = count;
        kube_build_link(b, &r->name, t->names[i]);
        kube_build_link(b, slot, r);
        slot = r;
    }
}

/* ---- how it goes ---- */

static void read_phase(struct kube_build *b, struct json_scan *s, void *into)
{
    static const char *const names[] = {"Unknown", "Pending", "Running", "Succeeded", "Failed"};
    enum kube_pod_phase *phase = into;
    struct json_part value;
    (void)b;
    json_scan_pass(s, &value);
    *phase = KUBE_POD_UNKNOWN;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_part_is(&value, names[i]))
            *phase = (enum kube_pod_phase)i;
}

static void read_gates(struct kube_build *b, struct json_scan *s, void *into)
{
    struct json_part value;
    (void)b;
    json_scan_pass(s, &value);
    *(bool *)into = value.kind == JSON_PART_LIST && memchr(value.at, '{', value.len);
}

/* The parts of a condition, where they stand in the object: a pod has five and keeps three. */
struct condition {
    struct json_part type, status, reason, message;
};

static void read_condition(struct json_scan *s, struct condition *ret)
{
    struct json_part key, value;
    *ret = (struct condition){0};
    if (json_scan_next(s) != JSON_PART_OBJECT) {
        json_scan_pass(s, &value);
        return;
    }
    for (json_scan_object(s); json_scan_member(s, &key);) {
        json_scan_pass(s, &value);
        if (json_part_is(&key, "type"))
            ret->type = value;
        else if (json_part_is(&key, "status"))
            ret->status = value;
        else if (json_part_is(&key, "reason"))
            ret->reason = value;
        else if (json_part_is(&key, "message"))
            ret->message = value;
    }
}

static void take_condition(struct kube_build *b, struct kube_pod *p, const struct condition *c)
{
    bool is_true = json_part_is(&c->status, "True");
    if (json_part_is(&c->type, "Ready")) {
        p->is_ready = is_true;
    } else if (json_part_is(&c->type, "PodScheduled") && !is_true) {
        p->is_unschedulable = json_part_is(&c->reason, "Unschedulable");
        kube_build_text(b, &c->reason, 64, &p->scheduled_reason);
        kube_build_text(b, &c->message, 256, &p->scheduled_message);
    } else if (json_part_is(&c->type, "DisruptionTarget") && is_true) {
        kube_build_text(b, &c->reason, 64, &p->disruption_reason);
    }
}

static void read_conditions(struct kube_build *b, struct json_scan *s, void *into)
{
    struct condition c;
    if (json_scan_next(s) != JSON_PART_LIST) {
        json_scan_pass(s, &c.type);
        return;
    }
    for (json_scan_list(s); json_scan_item(s);) {
        read_condition(s, &c);
        take_condition(b, into, &c);
    }
}

/* "state" has one member: "waiting", "running" or "terminated". */
#define C(member) offsetof(struct kube_container, member)
static const struct kube_field waiting_fields[] = {
    {"reason", KUBE_TEXT, C(reason), .most = 64},
    {"message", KUBE_TEXT, C(message), .most = 256},
    {0},
};
static const struct kube_field running_fields[] = {
    {"startedAt", KUBE_TIME, C(started_ms)},
    {0},
};
static const struct kube_field terminated_fields[] = {
    {"exitCode", KUBE_INT, C(exit_code)},
    {"signal", KUBE_INT, C(signal)},
    {"reason", KUBE_TEXT, C(reason), .most = 64},
    {"message", KUBE_TEXT, C(message), .most = 256},
    {"startedAt", KUBE_TIME, C(started_ms)},
    {"finishedAt", KUBE_TIME, C(finished_ms)},
    {0},
};
static const struct kube_field last_fields[] = {
    {"exitCode", KUBE_INT, C(last_exit_code)},
    {"reason", KUBE_TEXT, C(last_reason), .most = 64},
    {0},
};
static const struct kube_field last_state[] = {
    {"terminated", KUBE_OBJECT, .fields = last_fields},
    {0},
};

static void read_state(struct kube_build *b, struct json_scan *s, void *into)
{
    struct kube_container *c = into;
    struct json_part key;
    if (json_scan_next(s) != JSON_PART_OBJECT) {
        json_scan_pass(s, &key);
        return;
    }
    for (json_scan_object(s); json_scan_member(s, &key);) {
        bool runs = json_part_is(&key, "running"), over = json_part_is(&key, "terminated");
        if (json_scan_next(s) == JSON_PART_OBJECT)
            c->state = over ? KUBE_TERMINATED : runs ? KUBE_RUNNING : KUBE_WAITING;
        kube_build_read(b, s, over ? terminated_fields : runs ? running_fields : waiting_fields, c);
    }
}

static const struct kube_field status_fields[] = {
    {"name", KUBE_TEXT, C(name), .most = 63},         {"state", KUBE_CALL, .call = read_state},
    {"lastState", KUBE_OBJECT, .fields = last_state}, {"ready", KUBE_BOOL, C(is_ready)},
    {"restartCount", KUBE_INT, C(restarts)},          {0},
};

/* Both lists of statuses go into one: behind what is there. */
static void read_statuses(struct kube_build *b, struct json_scan *s, struct kube_pod *p, bool init)
{
    struct json_part part;
    void *slot = &p->containers;
    size_t count = 0;
    for (const struct kube_container *c = p->containers; c; c = c->next, count++)
        slot = (void *)c;
    if (json_scan_next(s) != JSON_PART_LIST) {
        json_scan_pass(s, &part);
        return;
    }
    for (json_scan_list(s); json_scan_item(s);) {
        struct kube_container *c = count++ < 64 ? kube_build_more(b, sizeof *c) : NULL;
        if (!c) {
            json_scan_pass(s, &part);
            continue;
        }
        c->name = c->reason = c->message = c->last_reason = "";
        c->is_init = init;
        kube_build_link(b, slot, c);
        slot = c;
        kube_build_read(b, s, status_fields, c);
    }
}

static void read_container_statuses(struct kube_build *b, struct json_scan *s, void *into)
{
    read_statuses(b, s, into, false);
}

static void read_init_statuses(struct kube_build *b, struct json_scan *s, void *into)
{
    read_statuses(b, s, into, true);
}

/* ---- the table ---- */

#define P(member) offsetof(struct kube_pod, member)

static const struct kube_field resources_fields[] = {
    {"requests", KUBE_CALL, .call = read_whole_requests},
    {0},
};
static const struct kube_field spec_fields[] = {
    {"nodeName", KUBE_TEXT, P(node)},
    {"schedulerName", KUBE_TEXT, P(scheduler)},
    {"priority", KUBE_INT, P(priority)},
    {"schedulingGates", KUBE_CALL, P(is_gated), .call = read_gates},
    {"containers", KUBE_CALL, .call = read_containers},
    {"initContainers", KUBE_CALL, .call = read_init_containers},
    {"overhead", KUBE_CALL, .call = read_overhead},
    {"resources", KUBE_OBJECT, .fields = resources_fields},
    {0},
};
static const struct kube_field pod_status_fields[] = {
    {"phase", KUBE_CALL, P(phase), .call = read_phase},
    {"reason", KUBE_TEXT, P(reason), .most = 64},
    {"message", KUBE_TEXT, P(message), .most = 256},
    {"startTime", KUBE_TIME, P(started_ms)},
    {"conditions", KUBE_CALL, .call = read_conditions},
    {"initContainerStatuses", KUBE_CALL, .call = read_init_statuses},
    {"containerStatuses", KUBE_CALL, .call = read_container_statuses},
    {0},
};
static const struct kube_field pod_fields[] = {
    {"spec", KUBE_OBJECT, .fields = spec_fields},
    {"status", KUBE_OBJECT, .fields = pod_status_fields},
    {"scheduled_reason", KUBE_FILLED, P(scheduled_reason)},
    {"scheduled_message", KUBE_FILLED, P(scheduled_message)},
    {"disruption_reason", KUBE_FILLED, P(disruption_reason)},
    {0},
};

/* Ours, and what ties a pod to a Workflow or Job of ours. */
static const char *const labels[] = {"reeve.gpu/", "workflows.argoproj.io/workflow",
                                     "batch.kubernetes.io/job-name", NULL};
static const char *const annotations[] = {"reeve.gpu/", "workflows.argoproj.io/node-",
                                          "workflows.argoproj.io/progress", NULL};

const struct kube_kind kube_pods = {.at = {"", "v1", "pods"},
                                    .kind = "Pod",
                                    .size = sizeof(struct kube_pod),
                                    .fields = pod_fields,
                                    .labels = labels,
                                    .annotations = annotations,
                                    .finish = finish};

bool kube_pod_is_over(const struct kube_pod *p)
{
    return p->phase == KUBE_POD_SUCCEEDED || p->phase == KUBE_POD_FAILED;
}

int64_t kube_pod_need(const struct kube_pod *p, const char *name)
{
    for (const struct kube_need *r = p->needs; r; r = r->next)
        if (strcmp(r->name, name) == 0)
            return r->count;
    return 0;
}
