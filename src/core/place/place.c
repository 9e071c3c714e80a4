#include "core/place/place.h"

#include "base/mem.h"
#include "core/fleet/where.h"

#include <assert.h>

void place_plan_init(struct place_plan *p, const struct fleet_view *v)
{
    size_t devices = (size_t)v->device_count + 1, nodes = (size_t)v->node_count + 1;
    *p = (struct place_plan){
        .view = v,
        .node = mem_new_array(struct place_node, nodes),
        .touched = mem_new_array(uint32_t, nodes),
        .device = mem_alloc(devices, 1),
        .cpu_milli = mem_new_array(uint32_t, nodes),
        .memory_mib = mem_new_array(uint32_t, nodes),
        .owner = mem_new_array(int64_t, nodes),
    };
}

void place_plan_done(struct place_plan *p)
{
    free(p->node);
    free(p->touched);
    free(p->device);
    free(p->cpu_milli);
    free(p->memory_mib);
    free(p->owner);
    *p = (struct place_plan){0};
}

enum device_fit place_device_fit(const struct place_plan *p, const struct shape *s,
                                 const struct device *d)
{
    if (d->memory_mib < s->gpu_memory_mib)
        return FIT_TOO_SMALL;
    if (d->health != DEVICE_OK)
        return FIT_UNHEALTHY;
    if (d->twin)
        return FIT_TWIN;
    if (d->attempt != NO_ROW)
        return FIT_HELD;
    if (p->device[d->id] == 1)
        return FIT_GIVEN;
    if (p->device[d->id] == 2)
        return FIT_RESERVED;
    if (d->busy && !p->view->policy.gate_off)
        return FIT_BUSY;
    if (d->free_mib < s->gpu_memory_mib)
        return FIT_NOT_FREE;
    return FIT_OK;
}

void place_plan_changed(struct place_plan *p, int64_t node)
{
    p->node[node].known = false;
}

void place_plan_reset(struct place_plan *p)
{
    for (size_t i = 0; i < p->touched_count; i++) {
        const struct node *n = fleet_node(p->view, p->touched[i]);
        for (uint32_t d = n->first_device; n->devices && d != NO_ROW;
             d = fleet_device(p->view, d)->next_on_node)
            p->device[d] = 0;
        p->cpu_milli[n->id] = p->memory_mib[n->id] = 0;
        p->owner[n->id] = 0;
        p->node[n->id] = (struct place_node){0};
    }
    p->touched_count = 0;
}

static void touch(struct place_plan *p, int64_t node)
{
    struct place_node *sum = &p->node[node];
    sum->known = false;
    if (!sum->touched)
        p->touched[p->touched_count++] = (uint32_t)node;
    sum->touched = true;
}

/* Whether D, used by processes of others, is one of those that place_device_fit() turns down,
 * whatever the plan has given out. */
static bool is_seen_foreign(const struct place_plan *p, const struct device *d)
{
    return d->foreign && d->attempt == NO_ROW &&
           (d->health != DEVICE_OK || d->twin || (d->busy && !p->view->policy.gate_off));
}

/*
 * In a cluster others hold devices, too, and all that is told is how many. Those that are seen to
 * be used by others are taken to be theirs; for the rest as many are kept back. The same for a
 * device of ours that is held, but goes by another name now.
 */
static uint32_t count_hidden(const struct place_plan *p, const struct node *n)
{
    uint32_t seen = 0, renamed = 0;
    if (!n->cluster[0])
        return 0;
    for (uint32_t d = n->first_device; n->devices && d != NO_ROW;) {
        const struct device *device = fleet_device(p->view, d);
        d = device->next_on_node;
        if (device->health == DEVICE_GONE)
            renamed += device->attempt != NO_ROW;
        else
            seen += is_seen_foreign(p, device);
    }
    return (n->foreign_gpus > seen ? n->foreign_gpus - seen : 0) + renamed;
}

static void sum_up(const struct place_plan *p, const struct node *n, struct place_node *sum)
{
    static const struct shape least = {0};
    *sum = (struct place_node){
        .least_free = UINT32_MAX, .least_size = UINT32_MAX, .known = true, .touched = sum->touched};
    for (uint32_t d = n->first_device; n->devices && d != NO_ROW;) {
        const struct device *device = fleet_device(p->view, d);
        d = device->next_on_node;
        if (device->health == DEVICE_GONE)
            continue;
        sum->able++;
        if (device->memory_mib < sum->least_size)
            sum->least_size = device->memory_mib;
        if (place_device_fit(p, &least, device) != FIT_OK)
            continue;
        sum->usable++;
        if (device->free_mib < sum->least_free)
            sum->least_free = device->free_mib;
    }
    sum->hidden = count_hidden(p, n);
}

static int less_hidden(int free_devices, const struct place_node *sum)
{
    return free_devices > (int)sum->hidden ? free_devices - (int)sum->hidden : 0;
}

static void count_devices(const struct place_plan *p, const struct shape *s, const struct node *n,
                          int *ret_free, int *ret_able)
{
    struct place_node *sum = &p->node[n->id];
    if (!sum->known)
        sum_up(p, n, sum);
    if (s->gpu_memory_mib <= sum->least_size && s->gpu_memory_mib <= sum->least_free) {
        *ret_free = less_hidden((int)sum->usable, sum);
        *ret_able = (int)sum->able;
        return;
    }
    *ret_free = *ret_able = 0;
    for (uint32_t d = n->first_device; d != NO_ROW && n->devices;) {
        const struct device *device = fleet_device(p->view, d);
        enum device_fit fit = place_device_fit(p, s, device);
        *ret_free += fit == FIT_OK;
        *ret_able += fit != FIT_TOO_SMALL && device->health != DEVICE_GONE;
        d = device->next_on_node;
    }
    *ret_free = less_hidden(*ret_free, sum);
}

/* Memory that is only the default limit is enforced, not reserved. */
static uint32_t reserved_memory(const struct shape *s)
{
    return s->flags & JOB_MEMORY_DEFAULT ? 0 : s->memory_mib;
}

bool node_fit_is_never(enum node_fit fit)
{
    return fit == NODE_TOO_SMALL || fit == NODE_OTHERS_ONLY || fit == NODE_NO_CLUSTER ||
           fit == NODE_NO_MACHINE || fit == NODE_NO_LABEL || fit == NODE_TAINTED;
}

/* Whether the job may run there at all, whatever it has: NODE_FITS, or what keeps it away. */
static enum node_fit may_run(const struct fleet_view *v, const struct shape *s,
                             const struct node *n)
{
    const struct where *w = fleet_where(v, s->where);
    if (s->flags & JOB_NEEDS_CLUSTER && !n->cluster[0])
        return NODE_NO_CLUSTER;
    if (s->flags & JOB_NEEDS_MACHINE && n->cluster[0])
        return NODE_NO_MACHINE;
    if (w && node_lacks(v, n, w) >= 0)
        return NODE_NO_LABEL;
    return n->taints && node_repels(v, n, w, s->gpus) ? NODE_TAINTED : NODE_FITS;
}

enum node_fit place_node_fit(const struct place_plan *p, const struct shape *s,
                             const struct node *n, int *ret_free, int *ret_able)
{
    uint32_t memory = reserved_memory(s);
    count_devices(p, s, n, ret_free, ret_able);
    enum node_fit may = may_run(p->view, s, n);
    if (may != NODE_FITS)
        return may;
    uint32_t cpu_most = n->has_share ? n->share_cpu_milli : n->cpu_milli;
    uint32_t memory_most = n->has_share ? n->share_memory_mib : n->memory_mib;
    if (*ret_able < s->gpus || n->cpu_milli < s->cpu_milli || n->memory_mib < memory)
        return NODE_TOO_SMALL;
    if (n->isolation == ISOLATION_NONE) {
        int64_t owner = n->only_principal ? n->only_principal : p->owner[n->id];
        if (owner && owner != s->principal)
            return NODE_OTHERS_ONLY;
    }
    if (n->state != NODE_READY || n->heard_epoch != p->view->epoch)
        return NODE_NOT_HEARD;
    if (n->cordoned || n->share_why[0])
        return NODE_CORDONED;
    if (n->busy == NODE_REFUSES || (n->busy && !p->view->policy.gate_off))
        return NODE_BUSY;
    /* Wide sums: a node may come back smaller than what still runs on it. */
    if ((uint64_t)n->cpu_milli_used + p->cpu_milli[n->id] + s->cpu_milli > cpu_most)
        return NODE_NO_CPU;
    if ((uint64_t)n->memory_mib_used + p->memory_mib[n->id] + memory > memory_most)
        return NODE_NO_MEMORY;
    return *ret_free < s->gpus ? NODE_NO_DEVICES : NODE_FITS;
}

/* The word of models that are taken first; "" where it does not matter. */
static const char *preference(const struct place_plan *p, const struct shape *s)
{
    const struct where *w = s->gpus ? fleet_where(p->view, s->where) : NULL;
    return w ? w->prefers : "";
}

/* Where kubelet gives out devices, one that others use is perhaps not to be had. */
static bool is_better_device(const struct node *n, const struct device *d,
                             const struct device *best, const char *prefers)
{
    if (prefers[0]) {
        bool liked = model_is_like(d->model, prefers);
        if (liked != model_is_like(best->model, prefers))
            return liked;
    }
    if (n->cluster[0] && d->foreign != best->foreign)
        return best->foreign;
    return d->memory_mib < best->memory_mib;
}

/* The smallest devices that serve; device lists of a node are kept in the order of their numbers.
 */
static void choose_devices(const struct place_plan *p, const struct shape *s, const struct node *n,
                           struct place_choice *ret)
{
    const char *prefers = preference(p, s);
    ret->devices = 0;
    while (ret->devices < s->gpus) {
        const struct device *best = NULL;
        for (uint32_t d = n->first_device; d != NO_ROW;) {
            const struct device *device = fleet_device(p->view, d);
            d = device->next_on_node;
            bool chosen = false;
            for (int i = 0; i < ret->devices; i++)
                chosen |= ret->device[i] == device->id;
            if (chosen || place_device_fit(p, s, device) != FIT_OK)
                continue;
            if (!best || is_better_device(n, device, best, prefers))
                best = device;
        }
        assert(best); /* the node was chosen because it has enough */
        ret->device[ret->devices++] = best->id;
    }
}

/* A node with so many devices that are free, of so many that could serve. */
struct candidate {
    const struct node *node;
    int free_devices, able;
    bool is_liked; /* it has enough of a model that is preferred */
};

static bool is_liked(const struct place_plan *p, const struct shape *s, const struct node *n,
                     const char *prefers)
{
    int liked = 0;
    for (uint32_t d = n->first_device; prefers[0] && n->devices && d != NO_ROW;) {
        const struct device *device = fleet_device(p->view, d);
        d = device->next_on_node;
        liked += place_device_fit(p, s, device) == FIT_OK && model_is_like(device->model, prefers);
    }
    return prefers[0] && liked >= s->gpus;
}

static bool is_better(const struct place_plan *p, const struct shape *s, const struct candidate *c,
                      const struct candidate *best)
{
    if (c->is_liked != best->is_liked)
        return c->is_liked;
    /* A whole node: the emptiest; a part of one: the fullest. */
    bool whole = s->gpus >= (p->ties_by_id ? (int)c->node->devices : c->able);
    if (c->free_devices != best->free_devices)
        return whole ? c->free_devices > best->free_devices : c->free_devices < best->free_devices;
    return !p->ties_by_id && strcmp(c->node->name, best->node->name) < 0;
}

enum place_answer place_find(const struct place_plan *p, const struct shape *s,
                             struct place_choice *ret)
{
    struct candidate best = {0}, nearest = {.free_devices = -2};
    const char *prefers = preference(p, s);

    *ret = (struct place_choice){0};
    for (int64_t id = 1; id <= p->view->node_count; id++) {
        const struct node *n = fleet_node(p->view, id);
        if (n->state == NODE_GONE || n->state == NODE_RETIRED_ || n->state == NODE_NONE)
            continue;
        struct candidate c = {.node = n};
        enum node_fit fit = place_node_fit(p, s, n, &c.free_devices, &c.able);
        if (fit == NODE_CORDONED)
            c.free_devices = -1; /* only where no other is near */
        if (fit == NODE_FITS)
            c.is_liked = is_liked(p, s, n, prefers);
        if (fit == NODE_FITS && (!best.node || is_better(p, s, &c, &best)))
            best = c;
        else if (fit != NODE_FITS && !node_fit_is_never(fit) &&
                 c.free_devices > nearest.free_devices)
            nearest = c;
    }
    if (!best.node) {
        ret->node = nearest.node ? nearest.node->id : 0;
        return nearest.node ? PLACE_LATER : PLACE_NEVER;
    }
    ret->node = best.node->id;
    choose_devices(p, s, best.node, ret);
    return PLACE_FITS;
}

void place_take(struct place_plan *p, const struct shape *s, const struct place_choice *c)
{
    touch(p, c->node);
    for (int i = 0; i < c->devices; i++)
        p->device[c->device[i]] = 1;
    p->cpu_milli[c->node] += s->cpu_milli;
    p->memory_mib[c->node] += reserved_memory(s);
    if (!p->owner[c->node])
        p->owner[c->node] = s->principal;
}

void place_reserve(struct place_plan *p, const struct shape *s, int64_t node)
{
    const struct node *n = fleet_node(p->view, node);
    int left = s->gpus;
    touch(p, node);
    for (uint32_t d = n->first_device; d != NO_ROW && n->devices && left;) {
        const struct device *device = fleet_device(p->view, d);
        if (place_device_fit(p, s, device) == FIT_OK) {
            p->device[device->id] = 2;
            left--;
        }
        d = device->next_on_node;
    }
    p->cpu_milli[node] += s->cpu_milli;
    p->memory_mib[node] += reserved_memory(s);
}
