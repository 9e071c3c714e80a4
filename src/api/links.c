#include "api/links.h"

#include "base/mem.h"

#include <pthread.h>

struct links {
    pthread_mutex_t lock;     /* guards the table; a leaf */
    uint64_t version;         /* atomic */
    struct link_state *nodes; /* by node id */
    int64_t room;
};

struct links *links_new(void)
{
    struct links *l = mem_new(struct links);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void links_free(struct links *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l->nodes);
    free(l);
}

static struct link_state *node_locked(struct links *l, int64_t node)
{
    if (node >= l->room) {
        int64_t room = 2 * node + 16;
        l->nodes = mem_resize_array(l->nodes, (size_t)room);
        memset(l->nodes + l->room, 0, (size_t)(room - l->room) * sizeof *l->nodes);
        l->room = room;
    }
    return &l->nodes[node];
}

static void changed(struct links *l)
{
    pthread_mutex_unlock(&l->lock);
    __atomic_add_fetch(&l->version, 1, __ATOMIC_RELAXED);
}

void links_set_linked(struct links *l, int64_t node, bool linked)
{
    pthread_mutex_lock(&l->lock);
    node_locked(l, node)->linked = linked;
    changed(l);
}

void links_reported(struct links *l, int64_t node, int64_t now_ms, const int64_t *skew_ms)
{
    pthread_mutex_lock(&l->lock);
    struct link_state *state = node_locked(l, node);
    state->last_report_ms = now_ms;
    if (skew_ms) {
        state->has_skew = true;
        state->skew_ms = *skew_ms;
    }
    changed(l);
}

struct link_state links_get(struct links *l, int64_t node)
{
    pthread_mutex_lock(&l->lock);
    struct link_state state = node < l->room ? l->nodes[node] : (struct link_state){0};
    pthread_mutex_unlock(&l->lock);
    return state;
}

uint64_t links_version(struct links *l)
{
    return __atomic_load_n(&l->version, __ATOMIC_RELAXED);
}
