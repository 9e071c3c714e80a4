#include "redis/order.h"

#include "base/mem.h"

enum { PUSH_LINES_MOST = 100 /* elements a command: some 30 KiB */ };

#define NOWHERE SIZE_MAX

struct place {
    int64_t job;
    size_t at, seen; /* in WANT; how often in IS */
};

struct order {
    struct line *const *is, *const *want;
    size_t is_count, want_count;
    struct place *places; /* of WANT, by job */
    size_t *target;       /* of each of IS: where in WANT; NOWHERE: it goes */
    bool *stays;          /* of each of WANT: it is there already */
    void (*on_step)(void *arg, const struct order_step *s);
    void *arg;
};

static int by_job(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->job > y->job) - (x->job < y->job);
}

static struct place *find(const struct order *o, int64_t job)
{
    struct place key = {.job = job};
    return bsearch(&key, o->places, o->want_count, sizeof key, by_job);
}

static void step(const struct order *o, enum order_what what, struct line *const *lines,
                 size_t count, struct line *pivot)
{
    o->on_step(o->arg, &(struct order_step){what, lines, count, pivot});
}

static void find_targets(struct order *o)
{
    for (size_t i = 0; i < o->want_count; i++)
        o->places[i] = (struct place){o->want[i]->job, i, 0};
    qsort(o->places, o->want_count, sizeof *o->places, by_job);
    for (size_t i = 0; i < o->is_count; i++) {
        struct place *p = find(o, o->is[i]->job);
        if (p && o->want[p->at] == o->is[i])
            p->seen++;
        else
            p = NULL;
        o->target[i] = p ? p->at : NOWHERE;
    }
}

/*
 * Of those that are there once and as they should be, the most that stand in the right order
 * already: the longest rising run of targets. The others are taken out and put in again.
 */
static void keep_most(struct order *o)
{
    auto_free size_t *ends = mem_new_array(size_t, o->is_count + 1); /* of the best run by length */
    auto_free size_t *before = mem_new_array(size_t, o->is_count + 1);
    size_t longest = 0;
    for (size_t i = 0; i < o->is_count; i++) {
        size_t low = 0, high = longest;
        if (o->target[i] == NOWHERE || find(o, o->is[i]->job)->seen > 1)
            continue;
        if (longest && o->target[ends[longest - 1]] < o->target[i])
            low = longest; /* the usual case: all is in order */
        while (low < high && low != longest) {
            size_t middle = (low + high) / 2;
            if (o->target[ends[middle]] < o->target[i])
                low = middle + 1;
            else
                high = middle;
        }
        before[i] = low ? ends[low - 1] : NOWHERE;
        ends[low] = i;
        longest += low == longest;
    }
    for (size_t i = longest ? ends[longest - 1] : NOWHERE; i != NOWHERE; i = before[i])
        o->stays[o->target[i]] = true;
}

static void remove_others(struct order *o)
{
    for (size_t i = 0; i < o->is_count; i++) {
        struct place *p = o->target[i] == NOWHERE ? NULL : find(o, o->is[i]->job);
        if (p && o->stays[p->at])
            continue;
        if (!p || p->seen == 1) {
            step(o, ORDER_REMOVE, &o->is[i], 1, NULL);
        } else if (p->seen) {
            step(o, ORDER_REMOVE_ALL, &o->is[i], 1, NULL);
            p->seen = 0; /* said once */
        }
    }
}

/* In front of the first that stays: pushed as a whole, the last of them first. */
static void push_right(struct order *o, size_t count)
{
    auto_free struct line **lines = mem_new_array(struct line *, count + 1);
    for (size_t i = 0; i < count; i++)
        lines[i] = o->want[count - 1 - i];
    for (size_t i = 0; i < count; i += PUSH_LINES_MOST)
        step(o, ORDER_PUSH_RIGHT, lines + i,
             count - i < PUSH_LINES_MOST ? count - i : PUSH_LINES_MOST, NULL);
}

static void put_in(struct order *o)
{
    size_t first = 0, end = o->want_count;
    while (first < o->want_count && !o->stays[first])
        first++;
    if (first == o->want_count)
        first = 0; /* nothing stays: all of it is pushed at the left */
    else
        push_right(o, first);
    while (end > first && !o->stays[end - 1])
        end--;
    for (size_t i = first; i < end; i++)
        if (!o->stays[i])
            step(o, ORDER_INSERT, &o->want[i], 1, o->want[i - 1]);
    for (size_t i = end; i < o->want_count; i += PUSH_LINES_MOST)
        step(o, ORDER_PUSH_LEFT, o->want + i,
             o->want_count - i < PUSH_LINES_MOST ? o->want_count - i : PUSH_LINES_MOST, NULL);
}

void order_steps(struct line *const *is, size_t is_count, struct line *const *want,
                 size_t want_count, void (*on_step)(void *arg, const struct order_step *s),
                 void *arg)
{
    struct order o = {.is = is,
                      .want = want,
                      .is_count = is_count,
                      .want_count = want_count,
                      .on_step = on_step,
                      .arg = arg};
    o.places = mem_new_array(struct place, want_count + 1);
    o.target = mem_new_array(size_t, is_count + 1);
    o.stays = mem_new_array(bool, want_count + 1);
    find_targets(&o);
    keep_most(&o);
    remove_others(&o);
    put_in(&o);
    free(o.places);
    free(o.target);
    free(o.stays);
}
