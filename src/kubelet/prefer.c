#include "kubelet/prefer.h"

struct node_tally {
    int64_t node;
    size_t left;   /* not chosen yet */
    size_t chosen; /* of those that have to be in */
};

static struct node_tally tally(const struct prefer_device *devices, size_t count, int64_t node)
{
    struct node_tally t = {.node = node};
    for (size_t i = 0; i < count; i++) {
        if (devices[i].numa_node != node)
            continue;
        t.left += !devices[i].is_chosen;
        t.chosen += devices[i].is_chosen;
    }
    return t;
}

/* Is A the better node to take WANTED from? One where some are already; then one that has enough,
 * the fewest of these; then the one with most. */
static bool is_better(const struct node_tally *a, const struct node_tally *b, size_t wanted)
{
    bool a_fits = a->left >= wanted, b_fits = b->left >= wanted;
    if (a->chosen != b->chosen)
        return a->chosen > b->chosen;
    if (a_fits != b_fits)
        return a_fits;
    return a_fits ? a->left < b->left : a->left > b->left;
}

/* The node to take the next ones from. */
static struct node_tally best_node(const struct prefer_device *devices, size_t count, size_t wanted)
{
    struct node_tally best = {0};
    for (size_t i = 0; i < count; i++) {
        if (devices[i].is_chosen)
            continue;
        struct node_tally t = tally(devices, count, devices[i].numa_node);
        if (!best.left || is_better(&t, &best, wanted))
            best = t;
    }
    return best;
}

int prefer_choose(struct prefer_device *devices, size_t count, size_t wanted, struct err *e)
{
    size_t must = 0;
    for (size_t i = 0; i < count; i++) {
        devices[i].is_chosen = devices[i].must;
        must += devices[i].must;
    }
    if (wanted > count || must > wanted)
        return err_set(e, ERR_INVALID, "%zu of %zu devices, %zu of them given, cannot be chosen",
                       wanted, count, must);
    for (size_t left = wanted - must; left;) {
        struct node_tally t = best_node(devices, count, left);
        for (size_t i = 0; i < count && left; i++) {
            if (devices[i].is_chosen || devices[i].numa_node != t.node)
                continue;
            devices[i].is_chosen = true;
            left--;
        }
    }
    return 0;
}
