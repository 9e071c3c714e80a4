#include "core/fleet/tree.h"

#include <assert.h>
#include <string.h>

enum { DEPTH_MOST = 12 };

struct leaf_entry {
    struct tree_key key;
    uint32_t value, unused;
};

struct inner_entry {
    struct tree_key least; /* no key below is smaller, except below the first entry */
    uint32_t child, count;
};

struct tree_node {
    uint32_t leaf; /* 1 or 0 */
    uint32_t n;
    union {
        struct leaf_entry leaves[(TREE_NODE_BYTES - 8) / sizeof(struct leaf_entry)];
        struct inner_entry inner[(TREE_NODE_BYTES - 8) / sizeof(struct inner_entry)];
    };
};

_Static_assert(sizeof(struct tree_node) <= TREE_NODE_BYTES, "a node fits its row");
#define LEAF_ROOM  ((uint32_t)((TREE_NODE_BYTES - 8) / sizeof(struct leaf_entry)))
#define INNER_ROOM ((uint32_t)((TREE_NODE_BYTES - 8) / sizeof(struct inner_entry)))

static const struct tree_node *look(const struct table_view *v, uint32_t i)
{
    return table_row(v, i);
}

static int compare(struct tree_key x, struct tree_key y)
{
    if (x.a != y.a)
        return x.a < y.a ? -1 : 1;
    return x.b == y.b ? 0 : x.b < y.b ? -1 : 1;
}

/* The first place in a leaf whose key is not below KEY. */
static uint32_t leaf_place(const struct tree_node *n, struct tree_key key)
{
    uint32_t low = 0, high = n->n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (compare(n->leaves[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The child of an inner node that KEY belongs to. */
static uint32_t inner_place(const struct tree_node *n, struct tree_key key)
{
    uint32_t low = 1, high = n->n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (compare(n->inner[mid].least, key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low - 1;
}

static uint32_t count_of(const struct tree_node *n)
{
    if (n->leaf)
        return n->n;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n->n; i++)
        sum += n->inner[i].count;
    return sum;
}

/* Splits the full node I; returns the new right one and its least key. Where the new key goes
 * behind everything (FIFO), the left one stays full. */
static uint32_t split(struct table *nodes, uint32_t i, bool at_end, struct tree_key *ret_least)
{
    uint32_t right_at = table_add(nodes);
    struct tree_node *right = table_edit(nodes, right_at);
    struct tree_node *left = table_edit(nodes, i);
    uint32_t keep = at_end ? left->n - 1 : left->n / 2;

    right->leaf = left->leaf;
    right->n = left->n - keep;
    if (left->leaf) {
        memcpy(right->leaves, left->leaves + keep, right->n * sizeof *right->leaves);
        *ret_least = right->leaves[0].key;
    } else {
        memcpy(right->inner, left->inner + keep, right->n * sizeof *right->inner);
        *ret_least = right->inner[0].least;
    }
    left->n = keep;
    return right_at;
}

static bool is_full(const struct tree_node *n)
{
    return n->n == (n->leaf ? LEAF_ROOM : INNER_ROOM);
}

static void make_root(struct tree *t, struct table *nodes)
{
    uint32_t old = t->root;
    t->root = table_add(nodes);
    struct tree_node *n = table_edit(nodes, t->root);
    n->leaf = old == NO_ROW;
    if (old != NO_ROW) {
        n->n = 1;
        n->inner[0] = (struct inner_entry){.child = old, .count = t->count};
    }
}

/* Makes room in child AT of the inner node I, which has room itself. */
static void split_child(struct table *nodes, uint32_t i, uint32_t at, struct tree_key key)
{
    struct tree_node *n = table_edit(nodes, i);
    const struct tree_node *child = look(&nodes->view, n->inner[at].child);
    struct tree_key last =
        child->leaf ? child->leaves[child->n - 1].key : child->inner[child->n - 1].least;
    struct tree_key least;
    uint32_t right = split(nodes, n->inner[at].child, compare(last, key) < 0, &least);

    n = table_edit(nodes, i);
    memmove(n->inner + at + 2, n->inner + at + 1, (n->n - at - 1) * sizeof *n->inner);
    n->inner[at + 1] = (struct inner_entry){least, right, count_of(look(&nodes->view, right))};
    n->inner[at].count -= n->inner[at + 1].count;
    n->n++;
}

void tree_put(struct tree *t, struct table *nodes, struct tree_key key, uint32_t value)
{
    if (t->root == NO_ROW || is_full(look(&nodes->view, t->root)))
        make_root(t, nodes);

    uint32_t i = t->root;
    for (const struct tree_node *n; !(n = look(&nodes->view, i))->leaf;) {
        uint32_t at = inner_place(n, key);
        if (is_full(look(&nodes->view, n->inner[at].child))) {
            split_child(nodes, i, at, key);
            at = inner_place(look(&nodes->view, i), key);
        }
        struct tree_node *edit = table_edit(nodes, i);
        edit->inner[at].count++;
        i = edit->inner[at].child;
    }

    struct tree_node *leaf = table_edit(nodes, i);
    uint32_t at = leaf_place(leaf, key);
    assert(at == leaf->n || compare(leaf->leaves[at].key, key) != 0);
    memmove(leaf->leaves + at + 1, leaf->leaves + at, (leaf->n - at) * sizeof *leaf->leaves);
    leaf->leaves[at] = (struct leaf_entry){key, value, 0};
    leaf->n++;
    t->count++;
}

uint32_t tree_find(const struct tree *t, const struct table_view *nodes, struct tree_key key)
{
    if (t->root == NO_ROW)
        return NO_ROW;
    const struct tree_node *n = look(nodes, t->root);
    while (!n->leaf)
        n = look(nodes, n->inner[inner_place(n, key)].child);
    uint32_t at = leaf_place(n, key);
    return at < n->n && compare(n->leaves[at].key, key) == 0 ? n->leaves[at].value : NO_ROW;
}

uint32_t tree_remove(struct tree *t, struct table *nodes, struct tree_key key)
{
    uint32_t value = tree_find(t, &nodes->view, key);
    if (value == NO_ROW)
        return NO_ROW;

    uint32_t path[DEPTH_MOST], places[DEPTH_MOST] = {0};
    int depth = 0;
    uint32_t i = t->root;
    for (const struct tree_node *n; !(n = look(&nodes->view, i))->leaf; depth++) {
        path[depth] = i;
        places[depth] = inner_place(n, key);
        i = n->inner[places[depth]].child;
    }
    struct tree_node *leaf = table_edit(nodes, i);
    uint32_t at = leaf_place(leaf, key);
    memmove(leaf->leaves + at, leaf->leaves + at + 1, (leaf->n - at - 1) * sizeof *leaf->leaves);
    leaf->n--;
    t->count--;

    /* Nodes are not merged: an empty one goes, a sparse one costs at most 1 KiB a key. */
    bool empty = leaf->n == 0;
    if (empty)
        table_remove(nodes, i);
    while (depth--) {
        struct tree_node *n = table_edit(nodes, path[depth]);
        n->inner[places[depth]].count--;
        if (!empty)
            continue;
        memmove(n->inner + places[depth], n->inner + places[depth] + 1,
                (n->n - places[depth] - 1) * sizeof *n->inner);
        n->n--;
        empty = n->n == 0;
        if (empty)
            table_remove(nodes, path[depth]);
    }
    if (empty)
        t->root = NO_ROW;
    for (const struct tree_node *n;
         t->root != NO_ROW && !(n = look(&nodes->view, t->root))->leaf && n->n == 1;) {
        uint32_t child = n->inner[0].child;
        table_remove(nodes, t->root);
        t->root = child;
    }
    return value;
}

uint32_t tree_rank(const struct tree *t, const struct table_view *nodes, struct tree_key key)
{
    uint32_t rank = 0;
    if (t->root == NO_ROW)
        return 0;
    const struct tree_node *n = look(nodes, t->root);
    while (!n->leaf) {
        uint32_t at = inner_place(n, key);
        for (uint32_t k = 0; k < at; k++)
            rank += n->inner[k].count;
        n = look(nodes, n->inner[at].child);
    }
    return rank + leaf_place(n, key);
}

static void stand(struct tree_walk *w)
{
    const struct tree_node *leaf = look(w->nodes, w->path[w->depth]);
    w->key = leaf->leaves[w->at[w->depth]].key;
    w->value = leaf->leaves[w->at[w->depth]].value;
}

static void descend(struct tree_walk *w, uint32_t root, struct tree_key key)
{
    w->depth = 0;
    w->path[0] = root;
    for (const struct tree_node *n; !(n = look(w->nodes, w->path[w->depth]))->leaf;) {
        w->at[w->depth] = inner_place(n, key);
        w->path[w->depth + 1] = n->inner[w->at[w->depth]].child;
        w->depth++;
    }
    w->at[w->depth] = leaf_place(look(w->nodes, w->path[w->depth]), key);
}

/* From the current path to the neighbouring leaf: its first or last place. */
static bool sidestep(struct tree_walk *w, bool forward)
{
    int d = w->depth - 1;
    for (; d >= 0; d--) {
        const struct tree_node *n = look(w->nodes, w->path[d]);
        if (forward ? w->at[d] + 1 < n->n : w->at[d] > 0)
            break;
    }
    if (d < 0)
        return false;
    w->at[d] += forward ? 1 : (uint32_t)-1;
    for (; d < w->depth; d++) {
        const struct tree_node *n = look(w->nodes, w->path[d]);
        w->path[d + 1] = n->inner[w->at[d]].child;
        const struct tree_node *below = look(w->nodes, w->path[d + 1]);
        w->at[d + 1] = forward ? 0 : below->n - 1;
    }
    stand(w);
    return true;
}

bool tree_first(struct tree_walk *w, const struct tree *t, const struct table_view *nodes,
                struct tree_key from)
{
    w->nodes = nodes;
    if (t->root == NO_ROW)
        return false;
    descend(w, t->root, from);
    if (w->at[w->depth] == look(nodes, w->path[w->depth])->n)
        return sidestep(w, true);
    stand(w);
    return true;
}

bool tree_next(struct tree_walk *w)
{
    if (w->at[w->depth] + 1 == look(w->nodes, w->path[w->depth])->n)
        return sidestep(w, true);
    w->at[w->depth]++;
    stand(w);
    return true;
}

bool tree_last(struct tree_walk *w, const struct tree *t, const struct table_view *nodes,
               struct tree_key upto)
{
    w->nodes = nodes;
    if (t->root == NO_ROW)
        return false;
    descend(w, t->root, upto);
    const struct tree_node *leaf = look(nodes, w->path[w->depth]);
    uint32_t at = w->at[w->depth];
    if (at < leaf->n && compare(leaf->leaves[at].key, upto) == 0) {
        stand(w);
        return true;
    }
    return tree_previous(w);
}

bool tree_previous(struct tree_walk *w)
{
    if (w->at[w->depth] == 0)
        return sidestep(w, false);
    w->at[w->depth]--;
    stand(w);
    return true;
}
