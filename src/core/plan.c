#include "core/plan.h"

#include "base/mem.h"

/* A shape that takes part, standing at its first job not yet given a place. */
struct contender {
    struct tree_walk walk; /* over its waiting jobs */
    uint32_t shape;
    uint64_t place;
};

/* Contenders as a heap: the one whose next job stands first in the queue is on top. */
struct contest {
    struct contender *heap;
    size_t count;
};

static void sink(struct contest *c, size_t i)
{
    for (;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < c->count && c->heap[left].place < c->heap[least].place)
            least = left;
        if (right < c->count && c->heap[right].place < c->heap[least].place)
            least = right;
        if (least == i)
            return;
        struct contender swap = c->heap[i];
        c->heap[i] = c->heap[least];
        c->heap[least] = swap;
        i = least;
    }
}

static void drop_top(struct contest *c)
{
    c->heap[0] = c->heap[--c->count];
    sink(c, 0);
}

static bool takes_part(const struct shape *s)
{
    return s->ready && (s->awake || s->reserved_node);
}

static void gather(struct contest *c, const struct fleet_view *v)
{
    size_t most = 0;
    for (uint32_t i = 1; i < v->shapes.count; i++)
        most += takes_part(fleet_shape_at(v, i));
    c->heap = mem_new_array(struct contender, most);

    for (uint32_t i = 1; i < v->shapes.count; i++) {
        if (!takes_part(fleet_shape_at(v, i)))
            continue;
        struct contender *n = &c->heap[c->count];
        if (!tree_first(&n->walk, &v->by_shape, &v->tree_nodes, (struct tree_key){i, 0}) ||
            n->walk.key.a != i)
            continue;
        n->shape = i;
        n->place = n->walk.key.b;
        c->count++;
    }
    for (size_t i = c->count / 2; i-- > 0;)
        sink(c, i);
}

static void add_news(struct plan *p, uint32_t shape, int64_t node)
{
    if (p->news_count == p->news_room) {
        p->news_room = p->news_room ? 2 * p->news_room : 16;
        p->news = mem_resize_array(p->news, p->news_room);
    }
    p->news[p->news_count++] = (struct shape_news){shape, (uint32_t)node};
}

static void add_decision(struct plan *p, int64_t job, const struct place_choice *c)
{
    if (p->decision_count == p->decision_room) {
        p->decision_room = p->decision_room ? 2 * p->decision_room : 16;
        p->decisions = mem_resize_array(p->decisions, p->decision_room);
    }
    struct decision *d = &p->decisions[p->decision_count++];
    *d = (struct decision){.job = job, .node = c->node, .devices.count = c->devices};
    memcpy(d->devices.at, c->device, (size_t)c->devices * sizeof *c->device);
}

static void decide(struct plan *p, struct place_plan *places, struct contest *c)
{
    struct contender *top = &c->heap[0];
    const struct fleet_view *v = places->view;
    const struct shape *s = fleet_shape_at(v, top->shape);
    if (!s->awake) {
        place_reserve(places, s, s->reserved_node);
        drop_top(c);
        return;
    }

    struct place_choice choice;
    switch (place_find(places, s, &choice)) {
    case PLACE_FITS:
        place_take(places, s, &choice);
        add_decision(p, fleet_job_at(v, top->walk.value)->id, &choice);
        if (tree_next(&top->walk) && top->walk.key.a == top->shape) {
            top->place = top->walk.key.b;
            sink(c, 0);
        } else {
            add_news(p, top->shape, 0);
            drop_top(c);
        }
        return;
    case PLACE_LATER:
        place_reserve(places, s, choice.node);
        add_news(p, top->shape, choice.node);
        drop_top(c);
        return;
    case PLACE_NEVER:
        add_news(p, top->shape, 0);
        drop_top(c);
        return;
    }
}

static struct digest digest_decisions(const struct plan *p)
{
    struct digest_state *s = digest_begin();
    for (size_t i = 0; i < p->decision_count; i++) {
        const struct decision *d = &p->decisions[i];
        digest_add_int(s, d->job);
        digest_add_int(s, d->node);
        for (int64_t k = 0; k < d->devices.count; k++)
            digest_add_int(s, d->devices.at[k]);
    }
    return digest_end(s);
}

void plan_make_in(struct place_plan *places, int64_t now_ms, struct plan *ret)
{
    (void)now_ms; /* FIFO does not look at the clock; later policies do, and the ledger has it */
    struct contest contest = {0};
    *ret = (struct plan){0};
    gather(&contest, places->view);
    while (contest.count && ret->decision_count < PLAN_DECISIONS_MOST)
        decide(ret, places, &contest);
    ret->more = contest.count > 0;
    ret->digest = digest_decisions(ret);
    free(contest.heap);
}

void plan_make(const struct fleet_view *v, int64_t now_ms, int64_t version, struct plan *ret)
{
    struct place_plan places;
    place_plan_init(&places, v);
    places.ties_by_id = version < 2;
    plan_make_in(&places, now_ms, ret);
    place_plan_done(&places);
}

bool plan_starts_behind(const struct fleet_view *v, const struct shape *s)
{
    struct place_plan places;
    struct place_choice choice;
    struct contest contest = {0};
    struct plan others = {0};
    place_plan_init(&places, v);
    gather(&contest, v);
    while (contest.count)
        decide(&others, &places, &contest);
    bool starts = place_find(&places, s, &choice) == PLACE_FITS;
    plan_done(&others);
    free(contest.heap);
    place_plan_done(&places);
    return starts;
}

void plan_done(struct plan *p)
{
    free(p->decisions);
    free(p->news);
    *p = (struct plan){0};
}

bool plan_is_due(const struct fleet_view *v)
{
    return v->awake > 0;
}
