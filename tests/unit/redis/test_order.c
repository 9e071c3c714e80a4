#include "base/mem.h"
#include "redis/order.h"

#include "test.h"

enum { MOST = 64 };

/* A list as Redis has it, from the right end; foreign elements have no line. */
struct model {
    struct line *all[4 * MOST];
    size_t count, steps;
    bool failed;
};

static struct line *line(int64_t job, int version)
{
    char text[64];
    int len = snprintf(text, sizeof text, "{\"job\":%d,\"version\":%d}", (int)job, version);
    return line_new(job, text, (size_t)len);
}

static void put_at(struct model *m, size_t at, struct line *l)
{
    memmove(m->all + at + 1, m->all + at, (m->count - at) * sizeof *m->all);
    m->all[at] = l;
    m->count++;
}

static void remove_at(struct model *m, size_t at)
{
    m->count--;
    memmove(m->all + at, m->all + at + 1, (m->count - at) * sizeof *m->all);
}

static size_t index_of(const struct model *m, const struct line *l)
{
    size_t i = 0;
    while (i < m->count && m->all[i] != l)
        i++;
    return i;
}

static void play(void *arg, const struct order_step *s)
{
    struct model *m = arg;
    size_t at;
    m->steps++;
    switch (s->what) {
    case ORDER_REMOVE:
        at = index_of(m, s->lines[0]);
        m->failed = m->failed || at == m->count;
        if (at < m->count)
            remove_at(m, at);
        break;
    case ORDER_REMOVE_ALL:
        while ((at = index_of(m, s->lines[0])) < m->count)
            remove_at(m, at);
        break;
    case ORDER_PUSH_RIGHT:
        for (size_t i = 0; i < s->count; i++)
            put_at(m, 0, s->lines[i]);
        break;
    case ORDER_PUSH_LEFT:
        for (size_t i = 0; i < s->count; i++)
            put_at(m, m->count, s->lines[i]);
        break;
    case ORDER_INSERT:
        at = index_of(m, s->pivot);
        m->failed = m->failed || at == m->count;
        put_at(m, at + 1, s->lines[0]);
        break;
    }
}

/* Ours in the model must be WANT, in that order. */
static void check(struct model *m, struct line *const *is, size_t is_count,
                  struct line *const *want, size_t count)
{
    order_steps(is, is_count, want, count, play, m);
    CHECK(!m->failed);
    size_t ours = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (!m->all[i])
            continue;
        ck_assert_msg(ours < count && m->all[i] == want[ours], "element %zu", ours);
        ours++;
    }
    CHECK_INT(ours, count);
}

static void check_lists(const int *is, size_t is_count, const int *want, size_t count, size_t steps)
{
    struct line *lines[MOST], *from[MOST], *to[MOST];
    struct model m = {0};
    for (int i = 0; i < MOST; i++)
        lines[i] = line(i, 1);
    for (size_t i = 0; i < is_count; i++)
        m.all[m.count++] = from[i] = lines[is[i]];
    for (size_t i = 0; i < count; i++)
        to[i] = lines[want[i]];
    check(&m, from, is_count, to, count);
    if (steps != SIZE_MAX)
        CHECK_INT(m.steps, steps);
    for (int i = 0; i < MOST; i++)
        line_unref(lines[i]);
}

#define LIST(...) (const int[]){__VA_ARGS__}, COUNT_OF(((const int[]){__VA_ARGS__}))

TEST("what is in order costs nothing")
{
    check_lists(LIST(1, 2, 3), LIST(1, 2, 3), 0);
}

TEST("a job that starts and one that comes cost a step each")
{
    check_lists(LIST(1, 2, 3), LIST(2, 3, 4), 2);
}

TEST("many that come are pushed together, at either end")
{
    check_lists(LIST(1), LIST(1, 2, 3, 4, 5), 1);
    check_lists(LIST(5), LIST(1, 2, 3, 4, 5), 1);
    check_lists(LIST(9), LIST(1, 2, 3), 2);
}

TEST("one that comes back in between is put there")
{
    check_lists(LIST(1, 2, 4, 5), LIST(1, 2, 3, 4, 5), 1);
}

TEST("one in a wrong place is moved, the others stay")
{
    check_lists(LIST(5, 1, 2, 3, 4), LIST(1, 2, 3, 4, 5), 2);
}

TEST("one that stands there twice is there once afterwards, in its place")
{
    check_lists(LIST(1, 3, 2, 3), LIST(1, 2, 3), SIZE_MAX);
    check_lists(LIST(1, 1, 1), LIST(1), SIZE_MAX);
}

TEST("a line that changed takes the place of the old one")
{
    struct line *old[] = {line(1, 1), line(2, 1), line(3, 1)};
    struct line *changed = line(2, 2);
    struct model m = {.all = {old[0], old[1], old[2]}, .count = 3};
    check(&m, old, 3, (struct line *[]){old[0], changed, old[2]}, 3);
    CHECK_INT(m.steps, 2);
    for (int i = 0; i < 3; i++)
        line_unref(old[i]);
    line_unref(changed);
}

TEST("whatever stands there becomes what should, and elements of others stay")
{
    struct line *lines[MOST];
    unsigned seed = 7;
    for (int i = 0; i < MOST; i++)
        lines[i] = line(i, 1);
    for (int round = 0; round < 3000; round++) {
        struct model m = {0};
        struct line *is[2 * MOST], *want[MOST];
        size_t is_count = 0, count = 0, foreign = 0, left = 0;
        int upto = 1 + rand_r(&seed) % MOST;
        for (int i = 0; i < upto; i++)
            if (rand_r(&seed) % 3)
                want[count++] = lines[i];
        for (size_t i = 0; i + 1 < count && round % 3 == 0; i++) { /* any order */
            size_t k = i + (size_t)rand_r(&seed) % (count - i);
            struct line *swap = want[i];
            want[i] = want[k];
            want[k] = swap;
        }
        for (int i = 0; i < upto; i++) {
            struct line *l = lines[round % 2 ? i : rand_r(&seed) % upto];
            if (rand_r(&seed) % 4 == 0) {
                m.all[m.count++] = NULL;
                foreign++;
            }
            if (rand_r(&seed) % 4)
                m.all[m.count++] = is[is_count++] = l;
        }
        check(&m, is, is_count, want, count);
        for (size_t i = 0; i < m.count; i++)
            left += !m.all[i];
        CHECK_INT(left, foreign);
    }
    for (int i = 0; i < MOST; i++)
        line_unref(lines[i]);
}

TEST("ten thousand that are there cost nothing, and one in their midst one step")
{
    enum { MANY = 10000 };
    static struct line *all[MANY], *is[MANY];
    struct model m = {0};
    for (int i = 0; i < MANY; i++)
        all[i] = is[i] = line(i + 1, 1);
    order_steps(is, MANY, all, MANY, play, &m);
    CHECK_INT(m.steps, 0);
    memmove(is + 5000, is + 5001, 4999 * sizeof *is);
    m.all[0] = all[4999];
    m.count = 1;
    order_steps(is, MANY - 1, all, MANY, play, &m);
    CHECK_INT(m.steps, 1);
    for (int i = 0; i < MANY; i++)
        line_unref(all[i]);
}
