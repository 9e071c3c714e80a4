/*
 * From the list that stands in Redis to the one that should: which elements to remove and where to
 * put in which. A function of two lists; what has not changed is not touched.
 */
#ifndef REDIS_ORDER_H
#define REDIS_ORDER_H

#include "redis/line.h"

enum order_what {
    ORDER_REMOVE,     /* LINES[0], the copy nearest to the right end */
    ORDER_REMOVE_ALL, /* every copy of LINES[0] */
    ORDER_PUSH_RIGHT, /* one after the other at the right end */
    ORDER_PUSH_LEFT,  /* one after the other at the left end */
    ORDER_INSERT,     /* LINES[0], just left of PIVOT */
};

struct order_step {
    enum order_what what;
    struct line *const *lines; /* borrowed, as all of it */
    size_t count;
    struct line *pivot;
};

/*
 * Both lists from the right end, which runs next, to the left. IS knows only our elements; others
 * may stand between them, and stay. WANT has no job twice. The steps are to be done in their order.
 */
void order_steps(struct line *const *is, size_t is_count, struct line *const *want,
                 size_t want_count, void (*on_step)(void *arg, const struct order_step *s),
                 void *arg);

#endif
