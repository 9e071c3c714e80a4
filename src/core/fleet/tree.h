/*
 * A counted B+tree inside a table, so that snapshots have it too: keys in order, each with a row
 * index, and the rank of any key in logarithmic time. Several trees may share one table of nodes.
 * Filling it in ascending order leaves full nodes.
 */
#ifndef CORE_FLEET_TREE_H
#define CORE_FLEET_TREE_H

#include "core/fleet/table.h"

/* Ordered by A, then B. Keys are unique. */
struct tree_key {
    uint64_t a, b;
};

struct tree {
    uint32_t root;  /* NO_ROW: empty */
    uint32_t count; /* keys */
};

#define TREE_EMPTY ((struct tree){NO_ROW, 0})

enum { TREE_NODE_BYTES = 1024 };

/* NODES is a table of TREE_NODE_BYTES rows. The key must not be there yet. */
void tree_put(struct tree *t, struct table *nodes, struct tree_key key, uint32_t value);
/* The value that was there; NO_ROW: it was not there. */
uint32_t tree_remove(struct tree *t, struct table *nodes, struct tree_key key);

uint32_t tree_find(const struct tree *t, const struct table_view *nodes, struct tree_key key);
/* How many keys come before KEY. */
uint32_t tree_rank(const struct tree *t, const struct table_view *nodes, struct tree_key key);

/* Walks: begin at the first key >= KEY (or, backwards, the last one <= KEY), then next while true.
 * A walk over the live tree ends when the tree is changed. */
struct tree_walk {
    const struct table_view *nodes;
    uint32_t path[12], at[12];
    int depth;
    struct tree_key key; /* of the current place */
    uint32_t value;
};
bool tree_first(struct tree_walk *w, const struct tree *t, const struct table_view *nodes,
                struct tree_key from);
bool tree_next(struct tree_walk *w);
bool tree_last(struct tree_walk *w, const struct tree *t, const struct table_view *nodes,
               struct tree_key upto);
bool tree_previous(struct tree_walk *w);

#endif
