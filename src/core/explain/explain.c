#include "core/explain/explain.h"

#include "base/clock.h"
#include "core/place/place.h"

/*
 * The planner stops at the first node that serves; here we look for the node that is nearest to
 * serving, with the planner's own tests, and say what is missing on it. So the answer can only be
 * out of date, not wrong.
 */
struct nearest {
    const struct node *node;  /* NULL: no node can ever serve it as the fleet is */
    enum node_fit fit;        /* of that node */
    int free_devices;         /* there */
    const struct node *small; /* else: the one that comes nearest to being large enough */
    int small_able;
    const struct node *others; /* or one that runs another principal's jobs only */
    int64_t nodes;             /* looked at */
};

static bool is_there(const struct node *n)
{
    return n->state == NODE_READY || n->state == NODE_UNKNOWN;
}

/* As the planner prefers them: one that fits, then the one with most devices free. */
static void look(const struct place_plan *p, const struct shape *s, struct nearest *ret)
{
    *ret = (struct nearest){.free_devices = -1, .small_able = -1};
    for (int64_t id = 1; id <= p->view->node_count; id++) {
        const struct node *n = fleet_node(p->view, id);
        if (!is_there(n))
            continue;
        ret->nodes++;
        int free_devices, able;
        enum node_fit fit = place_node_fit(p, s, n, &free_devices, &able);
        if (fit == NODE_TOO_SMALL) {
            if (able > ret->small_able) {
                ret->small = n;
                ret->small_able = able;
            }
        } else if (fit == NODE_OTHERS_ONLY) {
            ret->others = ret->others ? ret->others : n;
        } else if (!ret->node || (fit == NODE_FITS && ret->fit != NODE_FITS) ||
                   (ret->fit != NODE_FITS && free_devices > ret->free_devices)) {
            ret->node = n;
            ret->fit = fit;
            ret->free_devices = free_devices;
        }
    }
}

static const struct device *next_device(const struct fleet_view *v, const struct node *n,
                                        const struct device *last)
{
    uint32_t id = last ? last->next_on_node : n->devices ? n->first_device : NO_ROW;
    return id == NO_ROW ? NULL : fleet_device(v, id);
}

static void say_needs(const struct shape *s, struct text *out)
{
    const char *more = "";
    text_add(out, "needs ");
    if (s->gpus) {
        text_addf(out, "%u GPU%s", s->gpus, s->gpus == 1 ? "" : "s");
        if (s->gpu_memory_mib)
            text_addf(out, " with %u MiB free", s->gpu_memory_mib);
        more = " and ";
    }
    if (s->cpu_milli) {
        text_addf(out, "%s%g CPU cores", more, s->cpu_milli / 1000.0);
        more = " and ";
    }
    if (s->memory_mib && (!(s->flags & JOB_MEMORY_DEFAULT) || !*more))
        text_addf(out, "%s%u MiB of memory", more, s->memory_mib);
    text_add(out, "; ");
}

static void say_holder(const struct fleet_view *v, const struct device *d, bool mask_users,
                       struct text *out)
{
    const struct attempt *a = fleet_attempt_at(v, d->attempt);
    text_addf(out, "used by job %lld", (long long)a->job);
    const struct job *j = fleet_job_at(v, a->job_row);
    const struct principal *p = fleet_principal(v, j->principal);
    if (p && !mask_users)
        text_addf(out, " of %s", p->name);
}

/* What keeps one device from serving, as what "node a has"; "" when it does serve. */
static const char *say_device(const struct place_plan *p, const struct shape *s,
                              const struct device *d, bool mask_users, struct text *out)
{
    long long number = (long long)d->number;
    switch (place_device_fit(p, s, d)) {
    case FIT_TOO_SMALL:
        text_addf(out, "only %u MiB on GPU %lld", d->memory_mib, number);
        return "too-small";
    case FIT_UNHEALTHY:
        text_addf(out, "GPU %lld %s", number, device_health_name(d->health));
        if (d->why[0])
            text_addf(out, " (%s)", d->why);
        return "gpu-unhealthy";
    case FIT_TWIN:
        text_addf(out, "GPU %lld has the same UUID as one of node %s", number,
                  fleet_node(p->view, fleet_device(p->view, d->twin)->node)->name);
        return "gpu-twice";
    case FIT_HELD:
        text_addf(out, "%u MiB free on GPU %lld, ", d->free_mib, number);
        say_holder(p->view, d, mask_users, out);
        return "gpu-held";
    case FIT_BUSY:
        text_addf(out, "GPU %lld busy", number);
        if (d->why[0])
            text_addf(out, " (%s)", d->why);
        return "gpu-busy";
    case FIT_NOT_FREE:
        text_addf(out, "%u MiB free on GPU %lld", d->free_mib, number);
        if (d->foreign)
            text_add(out, ", used by processes that Reeve did not start");
        return "gpu-busy";
    default:
        return "";
    }
}

enum { DEVICES_SAID = 3 };

static const char *say_devices(const struct place_plan *p, const struct shape *s,
                               const struct node *n, int free_devices, bool mask_users,
                               struct text *out)
{
    const char *code = "";
    int said = 0, unsaid = 0;
    text_addf(out, "node %s has ", n->name);
    if (free_devices)
        text_addf(out, "%d that would do, ", free_devices);
    for (const struct device *d = next_device(p->view, n, NULL); d;
         d = next_device(p->view, n, d)) {
        struct text one = {0};
        const char *why = say_device(p, s, d, mask_users, &one);
        /* A GPU that is held will be free; that is the word for all. */
        if (*why && (!*code || strcmp(why, "gpu-held") == 0))
            code = why;
        if (*why && said < DEVICES_SAID) {
            text_addf(out, "%s%s", said ? "; " : "", text_get(&one));
            said++;
        } else if (*why) {
            unsaid++;
        }
        text_done(&one);
    }
    if (unsaid)
        text_addf(out, "; and %d more in use", unsaid);
    return *code ? code : "gpu-held";
}

/* What others use too much of; both figures while a node that was busy must stay calm a little. */
static void say_busy_node(const struct policy *p, const struct node *n, struct text *out)
{
    bool cpu = n->cpu_pct >= p->gate_cpu_pct, memory = n->memory_pct >= p->gate_memory_pct;
    bool calm = !cpu && !memory;
    text_addf(out, "node %s is busy: others use ", n->name);
    if (cpu || calm)
        text_addf(out, "%d %% of its CPU (limit %lld %%)", n->cpu_pct, (long long)p->gate_cpu_pct);
    if (cpu == memory)
        text_add(out, " and ");
    if (memory || calm)
        text_addf(out, "%d %% of its memory (limit %lld %%)", n->memory_pct,
                  (long long)p->gate_memory_pct);
    if (calm)
        text_add(out, " now; a little more calm is waited for");
}

static const char *say_waits_for(const struct place_plan *p, const struct shape *s,
                                 const struct nearest *near, bool mask_users, struct text *out)
{
    const struct node *n = near->node;
    switch (near->fit) {
    case NODE_NOT_HEARD:
        text_addf(out, "node %s is not heard", n->name);
        return "node-unknown";
    case NODE_BUSY:
        if (n->busy == NODE_REFUSES) {
            text_addf(out, "node %s refused a start and is asked again in a few seconds", n->name);
            return "node-refused";
        }
        say_busy_node(&p->view->policy, n, out);
        return "node-busy";
    case NODE_NO_CPU:
        text_addf(out, "jobs have reserved %g of the %g cores of node %s",
                  n->cpu_milli_used / 1000.0, n->cpu_milli / 1000.0, n->name);
        return "cpu-held";
    case NODE_NO_MEMORY:
        text_addf(out, "jobs have reserved %u of the %u MiB of node %s", n->memory_mib_used,
                  n->memory_mib, n->name);
        return "memory-held";
    case NODE_NO_DEVICES:
        return say_devices(p, s, n, near->free_devices, mask_users, out);
    default: /* it fits: the next plan starts it, unless somebody in front needs the place */
        for (uint32_t i = 1; i < p->view->shapes.count; i++) {
            const struct shape *other = fleet_shape_at(p->view, i);
            if (other != s && other->ready && other->reserved_node == (uint32_t)n->id) {
                text_addf(out, "node %s is kept for a job further in front", n->name);
                return "reserved";
            }
        }
        text_addf(out, "node %s is free: it starts with the next plan", n->name);
        return "next";
    }
}

static uint32_t largest_mib(const struct fleet_view *v, const struct node *n)
{
    uint32_t largest = 0;
    for (const struct device *d = next_device(v, n, NULL); d; d = next_device(v, n, d))
        if (d->health != DEVICE_GONE && d->memory_mib > largest)
            largest = d->memory_mib;
    return largest;
}

static const char *say_impossible(const struct place_plan *p, const struct shape *s,
                                  const struct nearest *near, bool mask_users, struct text *out)
{
    if (near->others) {
        const struct principal *owner = fleet_principal(p->view, near->others->only_principal);
        text_addf(out, "node %s has no isolation and runs jobs of ", near->others->name);
        text_addf(out, "%s only", owner && !mask_users ? owner->name : "one other user");
        return "other-user";
    }
    if (!near->small) {
        text_add(out, "no node is there");
        return "no-node";
    }
    const struct node *n = near->small;
    if (near->small_able >= s->gpus)
        text_addf(out, "the nearest is node %s with %g cores and %u MiB of memory", n->name,
                  n->cpu_milli / 1000.0, n->memory_mib);
    else if (s->gpu_memory_mib && n->devices >= s->gpus)
        text_addf(out, "no node has that: the largest GPU of node %s has %u MiB", n->name,
                  largest_mib(p->view, n));
    else
        text_addf(out, "no node has that: node %s has %u GPU%s", n->name, n->devices,
                  n->devices == 1 ? "" : "s");
    return "impossible";
}

/* "held by NAME since T: why" */
static const char *say_held(const struct fleet_view *v, const struct hold *h, bool mask_users,
                            struct text *out)
{
    const struct principal *p = fleet_principal(v, h->actor);
    char since[CLOCK_TEXT_SIZE];
    text_addf(out, "held by %s since %s", p && !mask_users ? p->name : "an operator",
              clock_format(h->since_ms, since));
    if (h->why[0])
        text_addf(out, ": %s", h->why);
    return "held";
}

const char *explain_shape(const struct fleet_view *v, const struct shape *s, bool mask_users,
                          struct text *out)
{
    struct place_plan p;
    struct nearest near;
    place_plan_init(&p, v);
    look(&p, s, &near);
    say_needs(s, out);
    const char *code = near.node ? say_waits_for(&p, s, &near, mask_users, out)
                                 : say_impossible(&p, s, &near, mask_users, out);
    place_plan_done(&p);
    return code;
}

const char *explain_wait(const struct fleet_view *v, const struct job *j, bool mask_users,
                         struct text *out)
{
    if (j->state != JOB_QUEUED)
        return "";
    if (j->hold)
        return say_held(v, fleet_job_hold(v, j), mask_users, out);
    if (j->pause_ms) {
        char when[CLOCK_TEXT_SIZE];
        text_addf(out, "attempt %u was lost; it is tried again at %s", j->attempts,
                  clock_format(job_due_ms(j), when));
        return "paused";
    }
    return explain_shape(v, fleet_shape_at(v, j->shape), mask_users, out);
}

size_t explain_held_by(const struct fleet_view *v, const struct job *j, int64_t *ret, size_t most)
{
    if (j->state != JOB_QUEUED || j->hold || j->pause_ms)
        return 0;
    const struct shape *s = fleet_shape_at(v, j->shape);
    struct place_plan p;
    struct nearest near;
    size_t count = 0;
    place_plan_init(&p, v);
    look(&p, s, &near);
    if (near.node && near.fit == NODE_NO_DEVICES)
        for (const struct device *d = next_device(v, near.node, NULL); d && count < most;
             d = next_device(v, near.node, d))
            if (place_device_fit(&p, s, d) == FIT_HELD)
                ret[count++] = d->id;
    place_plan_done(&p);
    return count;
}
