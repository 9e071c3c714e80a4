/* The engine's lines, as docs/agent-protocol.md has them for agents. */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/internal.h"

/* One of any type; what a type does not have is zero. */
struct line {
    const char *type, *attempt, *name, *job_name, *user, *boot_id, *data_id, *why;
    const char *selector, *tolerations;
    int64_t epoch, job, n, gpu_memory_mib, cpu_milli, memory_mib, time_limit_ms;
    bool memory_default;
    const json_t *devices, *spec;
};

#define AT(member) offsetof(struct line, member)
static const struct json_field fields[] = {
    {"type", JSON_FIELD_TEXT, AT(type), true},
    {"attempt", JSON_FIELD_TEXT, AT(attempt), false, ATTEMPT_ID_SIZE - 1, ATTEMPT_ID_SIZE - 1},
    {"epoch", JSON_FIELD_INT, AT(epoch)},
    {"job", JSON_FIELD_INT, AT(job)},
    {"n", JSON_FIELD_INT, AT(n)},
    {"name", JSON_FIELD_TEXT, AT(name), .most = ATTEMPT_NAME_SIZE - 1},
    {"job_name", JSON_FIELD_TEXT, AT(job_name)},
    {"user", JSON_FIELD_TEXT, AT(user)},
    {"boot_id", JSON_FIELD_TEXT, AT(boot_id)},
    {"data_id", JSON_FIELD_TEXT, AT(data_id)},
    {"why", JSON_FIELD_TEXT, AT(why)},
    {"selector", JSON_FIELD_TEXT, AT(selector)},
    {"tolerations", JSON_FIELD_TEXT, AT(tolerations)},
    {"memory_default", JSON_FIELD_BOOL, AT(memory_default)},
    {"gpu_memory_mib", JSON_FIELD_INT, AT(gpu_memory_mib)},
    {"cpu_milli", JSON_FIELD_INT, AT(cpu_milli)},
    {"memory_mib", JSON_FIELD_INT, AT(memory_mib)},
    {"time_limit_ms", JSON_FIELD_INT, AT(time_limit_ms)},
    {"devices", JSON_FIELD_ARRAY, AT(devices)},
    {"spec", JSON_FIELD_OBJECT, AT(spec)},
};
#undef AT

/* ---- start ---- */

static int claim(struct kube_place *p, const char *resource, struct err *e)
{
    for (size_t i = 0; i < p->claim_count; i++)
        if (strcmp(p->claims[i].resource, resource) == 0) {
            p->claims[i].count++;
            return 0;
        }
    if (p->claim_count == KUBE_CLAIMS_MOST)
        return err_set(e, ERR_INVALID, "its GPUs are of too many kinds");
    p->claims[p->claim_count++] = (struct kube_claim){resource, 1};
    return 0;
}

/* Counted ones name their resource; others are known by name to the node's agent, and whole. NAMES
 * is where resources' names go. */
static int read_devices(const struct line *l, const struct kube_node *node, struct kube_place *p,
                        char (*names)[FLEET_NAME + 32], struct err *e)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)l->devices, i, item)
    {
        const char *uuid = json_string_value(item), *whole;
        if (!uuid || i >= JOB_GPUS_MOST)
            return err_set(e, ERR_INVALID, "its GPUs cannot be read");
        if (counted_device_read(uuid, node->head.name, names[i])) {
            if (claim(p, names[i], e) < 0)
                return -1;
        } else if (!(whole = whole_gpu_resource(node))) {
            return err_set(e, ERR_UNAVAILABLE, "the node does not offer its GPUs to pods");
        } else if (claim(p, whole, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static struct runner_attempt attempt_of(const struct line *l, const char *spec)
{
    return (struct runner_attempt){
        .epoch = l->epoch,
        .job = l->job,
        .n = l->n,
        .id = l->attempt,
        .name = l->name,
        .user = l->user ? l->user : "",
        .boot_id = l->boot_id,
        .data_id = l->data_id,
        .gpu_memory_mib = l->gpu_memory_mib,
        .cpu_milli = l->cpu_milli,
        .memory_mib = l->memory_mib,
        .time_limit_ms = l->time_limit_ms,
        .job_name = l->job_name ? l->job_name : "",
        .spec = spec,
    };
}

/* At its commas, in place. */
static size_t split(char *text, const char *ret[JOB_TOLERATIONS_MOST])
{
    size_t count = 0;
    char *rest = text, *one;
    while (rest && *rest && (one = strsep(&rest, ",")) && count < JOB_TOLERATIONS_MOST)
        ret[count++] = one;
    return count;
}

/* The request that makes it. ERR_UNAVAILABLE: not on this node, just now. */
static int prepare(struct track *t, const struct line *l, const struct kube_node *node,
                   struct err *e)
{
    struct cluster *c = t->cluster;
    char names[JOB_GPUS_MOST][FLEET_NAME + 32];
    auto_free char *spec = json_write(l->spec);
    auto_kube_work struct kube_work work = {0};
    struct runner_attempt a = attempt_of(l, spec);
    const char *hostname = kube_pair_find(node->head.labels, "kubernetes.io/hostname");
    struct kube_place p = {.site = c->site,
                           .node = node->head.name,
                           .hostname = hostname ? hostname : "",
                           .memory_is_default = l->memory_default,
                           .selector = l->selector,
                           .start_limit_ms = c->config.start_limit_ms};
    auto_free char *tolerations = mem_strdup(l->tolerations ? l->tolerations : "");
    const char *list[JOB_TOLERATIONS_MOST];
    if (kube_work_read(spec, &work, e) < 0)
        return -1;
    t->runner = kube_runner_of(&work, &c->config.settings, e);
    if (!t->runner || read_devices(l, node, &p, names, e) < 0)
        return -1;
    const struct objects *o = t->runner->is_pod ? NULL : objects_of(c, t->runner);
    if (!t->runner->is_pod && (!o || o->is_absent))
        return err_set(e, ERR_INVALID, "this cluster does not let it run by %s", t->runner->name);
    p.runner = t->runner->name;
    p.tolerations = list;
    p.toleration_count = split(tolerations, list);
    t->make = mem_new(struct runner_request);
    return t->runner->make(&a, &p, &c->config.settings, t->make, e);
}

static void start(struct cluster *c, struct member *m, const struct line *l)
{
    const struct kube_node *node = (const struct kube_node *)kube_watch_find(c->nodes, "", m->name);
    struct track *t = track_find(c, l->job, l->n);
    struct err e = {0};
    if (l->job <= 0 || l->n <= 0 || !l->name || !l->spec)
        return;
    if (t) { /* known: it is told how it goes, and nothing is done twice */
        if (strcmp(t->id, l->attempt) == 0)
            member_tell(t);
        return;
    }
    t = track_new(c, m, l->job, l->n, l->attempt, l->name);
    t->time_limit_ms = l->time_limit_ms;
    if (!node || !m->is_heard || (l->boot_id && strcmp(l->boot_id, m->boot_id) != 0)) {
        track_fail(t, RUNNER_REFUSED, OUTCOME_NONE, "its node is not what it was");
        return;
    }
    if (prepare(t, l, node, &e) < 0) {
        if (e.code == ERR_UNAVAILABLE)
            track_fail(t, RUNNER_REFUSED, OUTCOME_NONE, e.text);
        else
            track_fail(t, RUNNER_ENDED, OUTCOME_NOT_STARTED, e.text);
        return;
    }
    member_tell(t); /* that it will be made; it is when that is durable */
}

/* ---- the others ---- */

static void cancel(struct cluster *c, const struct line *l)
{
    struct track *t = track_find(c, l->job, l->n);
    if (t && strcmp(t->id, l->attempt) == 0) {
        remark(t, false, "Cancelled", "job %lld of Reeve was cancelled", (long long)t->job);
        track_cancel(t, CAUSE_CANCEL, l->why ? l->why : "");
    }
}

static struct track *find_by_id(struct member *m, const char *id)
{
    struct track *t = m->tracks;
    while (t && strcmp(t->id, id) != 0)
        t = t->next_of_member;
    return t;
}

static void take(struct cluster *c, struct member *m, const struct line *l)
{
    struct track *t;
    if (strcmp(l->type, "hello") == 0)
        m->hello_due = c->flush_due = true;
    else if (!l->attempt)
        log_debug("a line of the engine names no attempt", F_TEXT("type", l->type));
    else if (strcmp(l->type, "start") == 0)
        start(c, m, l);
    else if (strcmp(l->type, "cancel") == 0)
        cancel(c, l);
    else if ((t = find_by_id(m, l->attempt)) && strcmp(l->type, "forget") == 0)
        track_forget(t);
    else if (t && strcmp(l->type, "end") == 0)
        t->phase >= TRACK_OVER ? track_forget(t)
                               : track_cancel(t, CAUSE_NOT_OURS, "Reeve does not know it any more");
}

struct message {
    struct cluster *cluster;
    int64_t node;
    char *line;
};

static void on_line(void *arg)
{
    struct message *message = arg;
    struct cluster *c = message->cluster;
    struct member *m = member_by_id(c, message->node);
    auto_json json_t *tree = NULL;
    struct line l = {0};
    struct err e = {0};
    if (m && !c->stopping) {
        if (json_parse(message->line, strlen(message->line), &tree, &e) < 0 ||
            json_read_fields(tree, fields, COUNT_OF(fields), false, &l, &e) < 0)
            log_debug("a line of the engine is not for a cluster", F_ERR(&e));
        else
            take(c, m, &l);
    }
    free(message->line);
    free(message);
}

void line_send(void *cluster, int64_t node, char *line)
{
    struct cluster *c = cluster;
    struct message *m = mem_new(struct message);
    *m = (struct message){c, node, line};
    if (mailbox_post_answer(c->box, on_line, m))
        return;
    free(line);
    free(m);
}
