#include "core/explain/when.h"

#include "base/mem.h"
#include "core/fleet/where.h"
#include "core/plan.h"
#include "core/queue/queue.h"

/*
 * The copy is a fleet of its own with the nodes, the devices and the jobs in front; its job rows
 * are numbered as the answers are. Running jobs are no rows in it: they only hold devices until
 * they end.
 */

const char *when_basis_name(enum when_basis b)
{
    static const char *const names[WHEN_BASES] = {"none", "limit", "history", "progress", "free"};
    return names[b];
}

/* How many nodes may be looked at in all: with it the worst case takes some tenths of a second. */
#define LOOKS_MOST INT64_C(20000000)

/* What an attempt holds, to be given back at its end. */
struct held {
    int64_t node;
    uint32_t cpu_milli, memory_mib;
    size_t first, count; /* its devices */
};

struct moment {
    int64_t at_ms;
    uint64_t place; /* keeps the order of those at the same time */
    enum when_basis basis;
    uint32_t held; /* what comes free; NO_ROW: */
    uint32_t due;  /* the job in this row may be planned again */
};

struct future {
    const struct when_question *q;
    struct when_start *starts;
    struct fleet *fleet;
    struct place_plan places;
    int64_t now_ms, looks, order;
    size_t waiting; /* may still start */

    struct moment *heap; /* the earliest on top */
    size_t count, room;
    struct held *held;
    size_t held_count, held_room;
    int64_t *devices; /* of HELD, one after the other */
    size_t device_count, device_room;
    uint8_t *node_basis; /* by id: the weakest of what came free there */
};

/* ---- what is to come, the earliest first ---- */

static bool is_before(const struct moment *a, const struct moment *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->place < b->place;
}

static void swap(struct moment *a, struct moment *b)
{
    struct moment m = *a;
    *a = *b;
    *b = m;
}

static void expect(struct future *f, struct moment m)
{
    if (f->count == f->room) {
        f->room = f->room ? 2 * f->room : 64;
        f->heap = mem_resize_array(f->heap, f->room);
    }
    size_t i = f->count++;
    f->heap[i] = m;
    for (; i && is_before(&f->heap[i], &f->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&f->heap[i], &f->heap[(i - 1) / 2]);
}

static struct moment take_next(struct future *f)
{
    struct moment first = f->heap[0];
    f->heap[0] = f->heap[--f->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < f->count; child++)
            if (is_before(&f->heap[child], &f->heap[least]))
                least = child;
        if (least == i)
            return first;
        swap(&f->heap[i], &f->heap[least]);
        i = least;
    }
}

/* ---- holding and giving back ---- */

static enum when_basis weaker(enum when_basis a, enum when_basis b)
{
    return a < b ? a : b;
}

static uint32_t reserved_memory(const struct job *j)
{
    return j->flags & JOB_MEMORY_DEFAULT ? 0 : j->memory_mib;
}

static void add_device(struct future *f, int64_t device)
{
    if (f->device_count == f->device_room) {
        f->device_room = f->device_room ? 2 * f->device_room : 256;
        f->devices = mem_resize_array(f->devices, f->device_room);
    }
    f->devices[f->device_count++] = device;
    f->held[f->held_count - 1].count++;
}

static uint32_t add_held(struct future *f, const struct job *j, int64_t node)
{
    if (f->held_count == f->held_room) {
        f->held_room = f->held_room ? 2 * f->held_room : 64;
        f->held = mem_resize_array(f->held, f->held_room);
    }
    f->held[f->held_count] = (struct held){.node = node,
                                           .cpu_milli = j->cpu_milli,
                                           .memory_mib = reserved_memory(j),
                                           .first = f->device_count};
    return (uint32_t)f->held_count++;
}

static void give_back(struct future *f, const struct held *h)
{
    struct node *n = table_edit(&f->fleet->nodes, (uint32_t)h->node);
    n->cpu_milli_used -= h->cpu_milli;
    n->memory_mib_used -= h->memory_mib;
    n->attempts--;
    for (size_t i = 0; i < h->count; i++) {
        struct device *d = table_edit(&f->fleet->devices, (uint32_t)f->devices[h->first + i]);
        d->attempt = NO_ROW;
        if (!d->foreign) /* what others hold stays held */
            d->free_mib = d->memory_mib;
    }
    place_plan_changed(&f->places, h->node);
    queue_wake_node(f->fleet, h->node);
}

/* ---- a plan carried out ---- */

static void start_job(struct future *f, const struct decision *d, enum when_basis cause)
{
    uint32_t row = fleet_job_row(&f->fleet->view, d->job);
    const struct when_span *run = &f->q->runs[row];
    struct when_start *start = &f->starts[row];
    *start = (struct when_start){d->job, f->now_ms, ++f->order,
                                 weaker(cause, (enum when_basis)f->node_basis[d->node])};
    queue_leave(f->fleet, row);
    f->waiting--;

    const struct job *j = fleet_job_at(&f->fleet->view, row);
    struct node *n = table_edit(&f->fleet->nodes, (uint32_t)d->node);
    uint32_t held = add_held(f, j, d->node);
    n->cpu_milli_used += j->cpu_milli;
    n->memory_mib_used += reserved_memory(j);
    n->attempts++;
    if (n->isolation == ISOLATION_NONE && !n->only_principal)
        n->only_principal = j->principal;
    for (int64_t i = 0; i < d->devices.count; i++) {
        ((struct device *)table_edit(&f->fleet->devices, (uint32_t)d->devices.at[i]))->attempt = 0;
        add_device(f, d->devices.at[i]);
    }
    if (run->basis != WHEN_NONE)
        expect(f, (struct moment){.at_ms = f->now_ms + run->ms,
                                  .place = (uint64_t)f->order + f->q->view->running.count,
                                  .basis = weaker(start->basis, run->basis),
                                  .held = held});
}

static void take_news(struct future *f, const struct plan *p)
{
    for (size_t i = 0; i < p->news_count; i++) {
        struct shape *s = table_edit(&f->fleet->shapes, p->news[i].shape);
        f->fleet->view.awake -= s->awake;
        s->awake = 0;
        s->reserved_node = p->news[i].reserved_node;
    }
}

static void plan_now(struct future *f, enum when_basis cause)
{
    bool more = true;
    while (more && f->looks < LOOKS_MOST) {
        fleet_refresh(f->fleet);
        if (!plan_is_due(&f->fleet->view))
            return;
        struct plan p;
        plan_make_in(&f->places, f->now_ms, &p);
        place_plan_reset(&f->places);
        take_news(f, &p);
        for (size_t i = 0; i < p.decision_count; i++)
            start_job(f, &p.decisions[i], cause);
        f->looks += (int64_t)(p.decision_count + p.news_count + 1) * f->fleet->view.node_count;
        more = p.more;
        plan_done(&p);
    }
}

/* All that happens at the next moment; returns the weakest of what it rests on. */
static enum when_basis pass_time(struct future *f)
{
    enum when_basis cause = WHEN_FREE;
    int64_t at_ms = f->heap[0].at_ms;
    f->now_ms = at_ms > f->now_ms ? at_ms : f->now_ms;
    while (f->count && f->heap[0].at_ms == at_ms) {
        struct moment m = take_next(f);
        cause = weaker(cause, m.basis);
        if (m.held == NO_ROW) {
            queue_due(f->fleet, m.due);
            continue;
        }
        const struct held *h = &f->held[m.held];
        f->node_basis[h->node] = (uint8_t)weaker((enum when_basis)f->node_basis[h->node], m.basis);
        give_back(f, h);
    }
    return cause;
}

/* ---- the copy ---- */

static void copy_rows(struct table *to, const struct table_view *from)
{
    for (uint32_t i = to->view.count; i < from->count; i++)
        memcpy(table_edit(to, table_add(to)), table_row(from, i), from->row_size);
}

static void copy_machines(struct future *f)
{
    const struct fleet_view *v = f->q->view;
    struct fleet_view *copy = &f->fleet->view;
    copy_rows(&f->fleet->nodes, &v->nodes);
    copy_rows(&f->fleet->devices, &v->devices);
    copy_rows(&f->fleet->wheres, &v->wheres);
    copy_rows(&f->fleet->node_labels, &v->node_labels);
    copy_rows(&f->fleet->node_taints, &v->node_taints);
    copy->node_count = v->node_count;
    copy->device_count = v->device_count;
    copy->policy = v->policy;
    copy->epoch = v->epoch;
    for (int64_t id = 1; id <= v->node_count; id++) {
        struct node *n = table_edit(&f->fleet->nodes, (uint32_t)id);
        if (n->busy == NODE_REFUSES) /* for some seconds only */
            n->busy = NODE_IS_FREE;
    }
}

static void copy_running(struct future *f)
{
    const struct fleet_view *v = f->q->view;
    struct tree_walk w;
    size_t i = 0;
    for (bool more = tree_first(&w, &v->running, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&w), i++) {
        const struct when_span *left = &f->q->left[i];
        if (left->basis == WHEN_NONE)
            continue;
        const struct job *j = fleet_job_at(v, w.value);
        const struct attempt *a = fleet_job_attempt(v, j);
        uint32_t held = add_held(f, j, a->node);
        for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(v, p)->next)
            add_device(f, fleet_part_at(v, p)->device);
        expect(f, (struct moment){.at_ms = f->now_ms + (left->ms > 0 ? left->ms : 0),
                                  .place = i,
                                  .basis = left->basis,
                                  .held = held});
    }
}

/* The queue's front, and what its shapes know already: where they will start, and whether anything
 * changed for them. */
static size_t copy_waiting(struct future *f)
{
    const struct fleet_view *v = f->q->view;
    struct fleet *copy = f->fleet;
    struct tree_walk w;
    uint32_t row = 0;
    for (bool more = tree_first(&w, &v->waiting, &v->tree_nodes, (struct tree_key){0, 0});
         more && row < WHEN_JOBS_MOST; more = tree_next(&w), row++) {
        const struct job *j = fleet_job_at(v, w.value);
        struct job *own = table_edit(&copy->jobs, table_add(&copy->jobs));
        *own = *j;
        own->shape = 0;
        tree_put(&copy->view.by_id, &copy->tree_nodes, (struct tree_key){0, (uint64_t)j->id}, row);
        queue_enter(copy, row);
        f->starts[row] = (struct when_start){.job = j->id};
        f->waiting += !j->hold;
        if (j->pause_ms)
            expect(f, (struct moment){.at_ms = job_due_ms(j),
                                      .place = UINT64_MAX,
                                      .basis = WHEN_FREE,
                                      .held = NO_ROW,
                                      .due = row});
        if (!j->shape)
            continue;
        const struct shape *known = fleet_shape_at(v, j->shape);
        struct shape *s = table_edit(&copy->shapes,
                                     ((const struct job *)table_row(&copy->jobs.view, row))->shape);
        copy->view.awake += known->awake;
        copy->view.awake -= s->awake;
        s->awake = known->awake;
        s->reserved_node = known->reserved_node;
    }
    return row;
}

size_t when_look(const struct when_question *q, struct when_start *ret)
{
    struct future f = {.q = q, .starts = ret, .fleet = fleet_new(), .now_ms = q->now_ms};
    f.node_basis = mem_new_array(uint8_t, (size_t)q->view->node_count + 1);
    memset(f.node_basis, WHEN_FREE, (size_t)q->view->node_count + 1);
    copy_machines(&f);
    copy_running(&f);
    size_t count = copy_waiting(&f);
    fleet_refresh(f.fleet);
    place_plan_init(&f.places, &f.fleet->view);

    plan_now(&f, WHEN_FREE);
    while (f.waiting && f.count && f.looks < LOOKS_MOST)
        plan_now(&f, pass_time(&f));

    place_plan_done(&f.places);
    fleet_free(f.fleet);
    free(f.heap);
    free(f.held);
    free(f.devices);
    free(f.node_basis);
    return count;
}
