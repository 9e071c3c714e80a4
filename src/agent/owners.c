#include "agent/owners.h"

#include "base/mem.h"
#include "node/process.h"

#include <string.h>

#define ANCESTORS_MOST 64

struct known {
    struct process_id id;
    bool is_ours, is_asked; /* since the last sweep */
};

struct owners {
    bool (*is_shim)(void *arg, pid_t pid);
    void *arg;
    struct known *known;
    size_t count, room;
};

struct owners *owners_new(bool (*is_shim)(void *arg, pid_t pid), void *arg)
{
    struct owners *o = mem_new(struct owners);
    o->is_shim = is_shim;
    o->arg = arg;
    return o;
}

void owners_free(struct owners *o)
{
    if (!o)
        return;
    free(o->known);
    free(o);
}

static bool is_below_shim(struct owners *o, struct process p)
{
    for (int i = 0; i < ANCESTORS_MOST && p.id.pid > 1; i++) {
        if (o->is_shim(o->arg, p.id.pid))
            return true;
        if (p.parent <= 1 || !process_read(p.parent, &p))
            return false;
    }
    return false;
}

enum owner owners_find(struct owners *o, uint32_t pid)
{
    struct process p;
    struct known *k = NULL;
    for (size_t i = 0; i < o->count && !k; i++)
        if (o->known[i].id.pid == (pid_t)pid)
            k = &o->known[i];
    if (!process_read((pid_t)pid, &p)) {
        /* It has just ended. */
        if (!k)
            return OWNER_UNKNOWN;
        k->is_asked = true;
        return k->is_ours ? OWNER_OURS : OWNER_UNKNOWN;
    }
    if (!k) {
        if (o->count == o->room) {
            o->room = o->room ? o->room * 2 : 16;
            o->known = mem_resize_array(o->known, o->room);
        }
        k = &o->known[o->count++];
        *k = (struct known){0};
    }
    if (k->id.pid != p.id.pid || k->id.start_ticks != p.id.start_ticks)
        *k = (struct known){.id = p.id, .is_ours = is_below_shim(o, p)};
    k->is_asked = true;
    return k->is_ours ? OWNER_OURS : OWNER_OTHER;
}

void owners_sweep(struct owners *o)
{
    size_t left = 0;
    for (size_t i = 0; i < o->count; i++) {
        if (!o->known[i].is_asked)
            continue;
        o->known[left] = o->known[i];
        o->known[left++].is_asked = false;
    }
    o->count = left;
}
