#include "core/place/place.h"

#include "base/mem.h"

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
}

static void count_devices(const struct place_plan *p, const struct shape *s, const struct node *n,
                          int *ret_free, int *ret_able)
{
    struct place_node *sum = &p->node[n->id];
    if (!sum->known)
        sum_up(p, n, sum);
    if (s->gpu_memory_mib <= sum->least_size && s->gpu_memory_mib <= sum->least_free) {
        *ret_free = (int)sum->usable;
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
}

/* Memory that is only the default limit is enforced, not reserved. */
static uint32_t reserved_memory(const struct shape *s)
{
    return s->flags & JOB_MEMORY_DEFAULT ? 0 : s->memory_mib;
}

enum node_fit place_node_fit(const struct place_plan *p, const struct shape *s,
                             const struct node *n, int *ret_free, int *ret_able)
{
    uint32_t memory = reserved_memory(s);
    count_devices(p, s, n, ret_free, ret_able);
    if (*ret_able < s->gpus || n->cpu_milli < s->cpu_milli || n->memory_mib < memory)
        return NODE_TOO_SMALL;
    if (n->isolation == ISOLATION_NONE) {
        int64_t owner = n->only_principal ? n->only_principal : p->owner[n->id];
        if (owner && owner != s->principal)
            return NODE_OTHERS_ONLY;
    }
    if (n->state != NODE_READY || n->heard_epoch != p->view->epoch)
        return NODE_NOT_HEARD;
    if (n->busy == NODE_REFUSES || (n->busy && !p->view->policy.gate_off))
        return NODE_BUSY;
    /* Wide sums: a node may come back smaller than what still runs on it. */
    if ((uint64_t)n->cpu_milli_used + p->cpu_milli[n->id] + s->cpu_milli > n->cpu_milli)
        return NODE_NO_CPU;
    if ((uint64_t)n->memory_mib_used + p->memory_mib[n->id] + memory > n->memory_mib)
        return NODE_NO_MEMORY;
    return *ret_free < s->gpus ? NODE_NO_DEVICES : NODE_FITS;
}

/* The smallest devices that serve; device lists of a node are kept in the order of their numbers.
 */
static void choose_devices(const struct place_plan *p, const struct shape *s, const struct node *n,
                           struct place_choice *ret)
{
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
            if (!best || device->memory_mib < best->memory_mib)
                best = device;
        }
        assert(best); /* the node was chosen because it has enough */
        ret->device[ret->devices++] = best->id;
    }
}

static bool is_better(const struct shape *s, const struct node *n, int free_devices, int best_free)
{
    /* A whole node: the emptiest; a part of one: the fullest. Ties keep the lower id. */
    return s->gpus >= n->devices ? free_devices > best_free : free_devices < best_free;
}

enum place_answer place_find(const struct place_plan *p, const struct shape *s,
                             struct place_choice *ret)
{
    const struct node *best = NULL, *nearest = NULL;
    int best_free = 0, nearest_free = -1;

    *ret = (struct place_choice){0};
    for (int64_t id = 1; id <= p->view->node_count; id++) {
        const struct node *n = fleet_node(p->view, id);
        if (n->state == NODE_GONE || n->state == NODE_RETIRED_ || n->state == NODE_NONE)
            continue;
        int free_devices, able;
        enum node_fit fit = place_node_fit(p, s, n, &free_devices, &able);
        if (fit == NODE_FITS && (!best || is_better(s, n, free_devices, best_free))) {
            best = n;
            best_free = free_devices;
        } else if (fit != NODE_FITS && fit != NODE_TOO_SMALL && fit != NODE_OTHERS_ONLY &&
                   free_devices > nearest_free) {
            nearest = n;
            nearest_free = free_devices;
        }
    }
    if (!best) {
        ret->node = nearest ? nearest->id : 0;
        return nearest ? PLACE_LATER : PLACE_NEVER;
    }
    ret->node = best->id;
    choose_devices(p, s, best, ret);
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
