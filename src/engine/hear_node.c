/* What agents and clusters say of their nodes: hello, devices, readings, what others use. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/fleet/where.h"
#include "engine/internal.h"

static const struct fleet_view *view(struct engine *g)
{
    return &g->core.fleet->view;
}

/* ---- devices ---- */

const struct device *node_device(const struct fleet_view *v, const struct node *n, const char *uuid)
{
    for (uint32_t d = n->first_device; n->devices && d != NO_ROW;) {
        const struct device *device = fleet_device(v, d);
        if (strcmp(device->uuid, uuid) == 0)
            return device;
        d = device->next_on_node;
    }
    return NULL;
}

/* Is it there, as far as we know, and given out? */
static bool has_it(struct engine *g, const struct device *d)
{
    const struct node *n = fleet_node(view(g), d->node);
    return d->health != DEVICE_GONE && !d->twin &&
           (n->state == NODE_READY || n->state == NODE_UNKNOWN);
}

/* A device of another node with this uuid that was there first; 0: none. Two agents on one machine,
 * say, or copies of one virtual machine: given out twice, two jobs would share it unknowingly. */
static int64_t find_twin(struct engine *g, int64_t node, const char *uuid)
{
    for (int64_t id = 1; id <= view(g)->device_count; id++) {
        const struct device *d = fleet_device(view(g), id);
        if (d->node != node && strcmp(d->uuid, uuid) == 0 && has_it(g, d))
            return id;
    }
    return 0;
}

static void warn_of_twin(struct engine *g, const struct device *d)
{
    const struct node *n = fleet_node(view(g), d->node);
    const struct node *first = fleet_node(view(g), fleet_device(view(g), d->twin)->node);
    log_warn("two nodes report a GPU with the same UUID; only that of the first is given out",
             F_TEXT("uuid", d->uuid), F_TEXT("node", n->name), F_TEXT("first", first->name));
}

void report_check_twins(struct engine *g)
{
    for (int64_t id = 1; id <= view(g)->device_count; id++) {
        const struct device *d = fleet_device(view(g), id);
        if (!d->twin || has_it(g, fleet_device(view(g), d->twin)))
            continue;
        struct event ev = {.kind = EVENT_ID_DEVICE_CHANGED, .subject = id};
        ev.DEVICE_CHANGED.health = d->health;
        ev.DEVICE_CHANGED.busy = d->busy;
        ev.DEVICE_CHANGED.foreign = d->foreign;
        ev.DEVICE_CHANGED.free_mib = d->free_mib;
        ev.DEVICE_CHANGED.gpu_pct = d->gpu_pct;
        event_set_text(ev.DEVICE_CHANGED.why, d->why);
        ev.DEVICE_CHANGED.twin = find_twin(g, d->node, d->uuid);
        engine_event(g, &ev);
    }
}

/* IS_HELLO: the node may have got devices that it had not before. */
static void see_device(struct engine *g, int64_t node, const struct device_report *r, bool is_hello)
{
    int64_t twin = 0;
    const struct device *d = node_device(view(g), fleet_node(view(g), node), r->uuid);
    if (!d || d->memory_mib != r->memory_mib || strcmp(d->model, r->model) != 0 ||
        d->health == DEVICE_GONE) {
        struct event ev = {.kind = EVENT_ID_DEVICE_SEEN,
                           .subject = d ? d->id : view(g)->device_count + 1};
        ev.DEVICE_SEEN.node = node;
        ev.DEVICE_SEEN.number = r->number;
        ev.DEVICE_SEEN.memory_mib = r->memory_mib;
        event_set_text(ev.DEVICE_SEEN.uuid, r->uuid);
        event_set_text(ev.DEVICE_SEEN.vendor, r->vendor);
        event_set_text(ev.DEVICE_SEEN.model, r->model);
        engine_event(g, &ev);
        d = fleet_device(view(g), ev.subject);
        is_hello = true;
    }
    if (r->health != DEVICE_GONE && !device_is_counted(d))
        twin = is_hello ? find_twin(g, node, r->uuid) : d->twin;
    if (d->twin == twin && d->health == r->health && d->busy == r->busy &&
        d->foreign == r->foreign && d->free_mib == r->free_mib && strcmp(d->why, r->why) == 0)
        return;
    struct event ev = {.kind = EVENT_ID_DEVICE_CHANGED, .subject = d->id};
    ev.DEVICE_CHANGED.health = r->health;
    ev.DEVICE_CHANGED.busy = r->busy;
    ev.DEVICE_CHANGED.foreign = r->foreign;
    ev.DEVICE_CHANGED.free_mib = r->free_mib;
    ev.DEVICE_CHANGED.gpu_pct = r->gpu_pct;
    ev.DEVICE_CHANGED.twin = twin;
    event_set_text(ev.DEVICE_CHANGED.why, r->why);
    bool is_news = twin && d->twin != twin;
    engine_event(g, &ev);
    if (is_news)
        warn_of_twin(g, fleet_device(view(g), ev.subject));
}

/* ---- whose word counts, where a cluster and an agent name the devices of a node ---- */

enum { AGENT_GONE_MS = 120000 };

static bool agent_is_stale(struct engine *g, int64_t node)
{
    int64_t heard = atomic_load(&g->nodes[node].heard_mono_ms[LINK_AGENT]);
    /* It may come again as the program did. */
    int64_t since = heard > g->began_mono_ms ? heard : g->began_mono_ms;
    return clock_mono_ms() - since > AGENT_GONE_MS;
}

/* Devices by the names that their driver gave them: they come from an agent. */
static bool has_named_devices(struct engine *g, const struct node *n)
{
    for (uint32_t d = n->first_device; n->devices && d != NO_ROW;) {
        const struct device *device = fleet_device(view(g), d);
        d = device->next_on_node;
        if (device->health != DEVICE_GONE && !device_is_counted(device))
            return true;
    }
    return false;
}

bool node_expects_agent(struct engine *g, const struct node *n)
{
    return (g->nodes[n->id].agent_hello || has_named_devices(g, n)) && !agent_is_stale(g, n->id);
}

void report_check_agents(struct engine *g)
{
    for (int64_t id = 1; id <= view(g)->node_count; id++) {
        const struct node *n = fleet_node(view(g), id);
        struct node_side *side = &g->nodes[id];
        if (!n->cluster[0] || n->state != NODE_READY || side->agent_gone ||
            !agent_is_stale(g, id) || !has_named_devices(g, n))
            continue;
        struct text line = {0};
        side->agent_gone = true;
        side->agent_hello = false;
        text_add(&line, "{\"type\":\"hello\"}");
        send_line(g, LINK_CLUSTER, id, &line);
        log_warn("the agent of a node is not heard any more: its GPUs are counted by the cluster",
                 F_TEXT("node", n->name));
    }
}

/* A hello names all devices: what is not named is not there. What a cluster counts is there for an
 * agent that names none: it may just not see them. */
static void miss_devices(struct engine *g, const struct report *r, bool keeps_counted)
{
    const struct node *n = fleet_node(view(g), r->node);
    for (uint32_t d = n->first_device; n->devices && d != NO_ROW;) {
        const struct device *device = fleet_device(view(g), d);
        d = device->next_on_node;
        bool counted = device_is_counted(device), named = keeps_counted && counted;
        for (size_t i = 0; i < r->device_count; i++)
            named |= strcmp(r->devices[i].uuid, device->uuid) == 0;
        if (named || device->health == DEVICE_GONE)
            continue;
        struct event ev = {.kind = EVENT_ID_DEVICE_CHANGED, .subject = device->id};
        ev.DEVICE_CHANGED.health = DEVICE_GONE;
        event_set_text(ev.DEVICE_CHANGED.why, counted && r->source == LINK_AGENT
                                                  ? "the node's agent names its GPUs itself"
                                                  : "the node does not have it any more");
        engine_event(g, &ev);
    }
}

void hear_devices(struct engine *g, const struct report *r)
{
    const struct node *n = fleet_node(view(g), r->node);
    bool by_agent = r->source == LINK_AGENT;
    if (!by_agent && has_named_devices(g, n) && node_expects_agent(g, n))
        return;
    for (size_t i = 0; i < r->device_count; i++)
        see_device(g, r->node, &r->devices[i], r->is_hello);
    if (r->is_hello)
        miss_devices(g, r, by_agent && n->cluster[0] && !r->device_count);
}

/* ---- the node ---- */

/* An agent on a cluster's node is no word of the node's own: it is remembered while we run. */
static void hear_agent_hello(struct engine *g, const struct report *r)
{
    struct node_side *side = &g->nodes[r->node];
    side->agent_hello = true;
    side->agent_gone = false;
    text_cut(side->agent_boot, sizeof side->agent_boot, r->boot_id);
    text_cut(side->agent_data, sizeof side->agent_data, r->data_id);
}

void hear_hello(struct engine *g, const struct report *r)
{
    if (fleet_node(view(g), r->node)->cluster[0] && r->source == LINK_AGENT) {
        hear_agent_hello(g, r);
        return;
    }
    struct event ev = {.kind = EVENT_ID_NODE_HELLO, .subject = r->node};
    event_set_text(ev.NODE_HELLO.boot_id, r->boot_id);
    event_set_text(ev.NODE_HELLO.data_id, r->data_id);
    event_set_text(ev.NODE_HELLO.version, r->version);
    ev.NODE_HELLO.cpu_milli = r->cpu_milli;
    ev.NODE_HELLO.memory_mib = r->memory_mib;
    ev.NODE_HELLO.isolation = r->isolation;
    engine_event(g, &ev);
}

void hear_host(struct engine *g, const struct report *r)
{
    const struct node *n = fleet_node(view(g), r->node);
    struct node_side *side = &g->nodes[r->node];
    side->host_busy = r->host_busy;
    if (r->is_hello)
        side->held_until_mono_ms = 0;
    /* The very report that refuses a start says that the machine is not busy. Taken at its word,
     * the next start would be refused a millisecond later, and so on for as long as the cause
     * lasts. */
    int32_t busy = side->held_until_mono_ms ? NODE_REFUSES
                   : r->host_busy           ? NODE_IS_USED
                                            : NODE_IS_FREE;
    if (n->busy == busy && !r->is_hello)
        return;
    struct event ev = {.kind = EVENT_ID_NODE_CHANGED, .subject = r->node};
    ev.NODE_CHANGED.busy = busy;
    ev.NODE_CHANGED.cpu_pct = r->cpu_pct;
    ev.NODE_CHANGED.memory_pct = r->memory_pct;
    engine_event(g, &ev);
}

/* ---- what a cluster says of it ---- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static bool labels_are(struct engine *g, const struct node *n, const int64_t *hashes, size_t count)
{
    size_t at = 0;
    const struct fleet_view *v = view(g);
    for (const struct node_labels *l = fleet_labels(v, n->labels); l; l = fleet_labels(v, l->next))
        for (uint32_t i = 0; i < l->count; i++, at++)
            if (at >= count || l->at[i] != hashes[at])
                return false;
    return at == count;
}

static void hear_labels(struct engine *g, const struct report *r)
{
    size_t count = r->label_count;
    auto_free int64_t *hashes = mem_new_array(int64_t, count);
    for (size_t i = 0; i < count; i++)
        hashes[i] = where_hash(r->labels[i], strlen(r->labels[i]));
    /* In any order the same set is no news. */
    qsort(hashes, count, sizeof *hashes, by_value);
    if (labels_are(g, fleet_node(view(g), r->node), hashes, count))
        return;
    size_t at = 0;
    do {
        struct event ev = {.kind = EVENT_ID_NODE_LABELS, .subject = r->node};
        struct event_list *list = &ev.NODE_LABELS.labels;
        ev.NODE_LABELS.more = at > 0;
        for (; at < count && list->count < EVENT_LIST; at++)
            list->at[list->count++] = hashes[at];
        engine_event(g, &ev);
    } while (at < count);
}

/* One that keeps pods away, and is not told by the node's being cordoned. */
static bool taint_counts(const char *taint)
{
    static const char cordon[] = "node.kubernetes.io/unschedulable";
    const char *effect = strchr(taint, ':');
    size_t key = strcspn(taint, "=:");
    return !(effect && strcmp(effect, ":PreferNoSchedule") == 0) &&
           !(key == strlen(cordon) && memcmp(taint, cordon, key) == 0);
}

static bool taints_are(struct engine *g, const struct node *n, const struct report *r)
{
    const struct node_taint *t = fleet_taint(view(g), n->taints);
    for (size_t i = 0; i < r->taint_count; i++) {
        if (!taint_counts(r->taints[i]))
            continue;
        int64_t forms[TAINT_FORMS] = {0};
        size_t count = taint_forms(r->taints[i], forms);
        if (!t || t->forms != count || memcmp(t->form, forms, count * sizeof *forms) != 0)
            return false;
        t = fleet_taint(view(g), t->next);
    }
    return !t;
}

static void hear_taints(struct engine *g, const struct report *r)
{
    if (taints_are(g, fleet_node(view(g), r->node), r))
        return;
    bool more = false;
    for (size_t i = 0; i < r->taint_count; i++) {
        if (!taint_counts(r->taints[i]))
            continue;
        struct event ev = {.kind = EVENT_ID_NODE_TAINT, .subject = r->node};
        ev.NODE_TAINT.more = more;
        event_set_text(ev.NODE_TAINT.taint, r->taints[i]);
        ev.NODE_TAINT.forms.count = (int64_t)taint_forms(r->taints[i], ev.NODE_TAINT.forms.at);
        engine_event(g, &ev);
        more = true;
    }
    if (!more)
        engine_event(g, &(struct event){.kind = EVENT_ID_NODE_TAINT, .subject = r->node});
}

void hear_share(struct engine *g, const struct report *r)
{
    const struct node *n = fleet_node(view(g), r->node);
    if (r->has_share &&
        (!n->has_share || n->share_cpu_milli != (uint64_t)r->share_cpu_milli ||
         n->share_memory_mib != (uint64_t)r->share_memory_mib ||
         n->foreign_gpus != (uint64_t)r->foreign_gpus || (n->cordoned != 0) != r->cordoned ||
         strcmp(n->share_why, r->share_why) != 0)) {
        struct event ev = {.kind = EVENT_ID_NODE_SHARE, .subject = r->node};
        ev.NODE_SHARE.cpu_milli = r->share_cpu_milli;
        ev.NODE_SHARE.memory_mib = r->share_memory_mib;
        ev.NODE_SHARE.foreign_gpus = r->foreign_gpus;
        ev.NODE_SHARE.cordoned = r->cordoned;
        event_set_text(ev.NODE_SHARE.why, r->share_why);
        engine_event(g, &ev);
    }
    if (r->has_labels) {
        hear_labels(g, r);
        hear_taints(g, r);
    }
}
