#include "kube/records.h"

#include "base/mem.h"

/* Linear probing; what is behind a record that goes moves up, so there are no marks to clean. */

static uint64_t hash_text(uint64_t h, const char *s)
{
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

static size_t home(const struct kube_records *r, const char *ns, const char *name)
{
    uint64_t h = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), ns), name);
    return (size_t)(h ^ h >> 32) & (r->room - 1);
}

/* Its slot, or the empty one where it would go. */
static size_t slot_of(const struct kube_records *r, const char *ns, const char *name)
{
    size_t i = home(r, ns, name);
    while (r->slots[i] &&
           (strcmp(r->slots[i]->name, name) != 0 || strcmp(r->slots[i]->ns, ns) != 0))
        i = (i + 1) & (r->room - 1);
    return i;
}

void kube_records_done(struct kube_records *r)
{
    for (size_t i = 0; i < r->room; i++)
        free(r->slots[i]);
    free(r->slots);
    *r = (struct kube_records){0};
}

struct kube_head *kube_records_find(const struct kube_records *r, const char *ns, const char *name)
{
    return r->room ? r->slots[slot_of(r, ns, name)] : NULL;
}

static void grow(struct kube_records *r)
{
    struct kube_records bigger = {.room = r->room ? r->room * 2 : 64};
    bigger.slots = mem_new_array(struct kube_head *, bigger.room);
    for (size_t i = 0; i < r->room; i++)
        if (r->slots[i])
            bigger.slots[slot_of(&bigger, r->slots[i]->ns, r->slots[i]->name)] = r->slots[i];
    free(r->slots);
    r->slots = bigger.slots;
    r->room = bigger.room;
}

struct kube_head *kube_records_put(struct kube_records *r, struct kube_head *record)
{
    if (r->count * 4 >= r->room * 3)
        grow(r);
    size_t i = slot_of(r, record->ns, record->name);
    struct kube_head *old = r->slots[i];
    r->slots[i] = record;
    r->count += !old;
    r->bytes += record->size - (old ? old->size : 0);
    return old;
}

struct kube_head *kube_records_take(struct kube_records *r, const char *ns, const char *name)
{
    if (!r->room)
        return NULL;
    size_t hole = slot_of(r, ns, name), mask = r->room - 1;
    struct kube_head *taken = r->slots[hole];
    if (!taken)
        return NULL;
    r->count--;
    r->bytes -= taken->size;
    r->slots[hole] = NULL;
    for (size_t i = (hole + 1) & mask; r->slots[i]; i = (i + 1) & mask) {
        size_t its = home(r, r->slots[i]->ns, r->slots[i]->name);
        if (((i - its) & mask) < ((i - hole) & mask))
            continue; /* it is found without passing the hole */
        r->slots[hole] = r->slots[i];
        r->slots[i] = NULL;
        hole = i;
    }
    return taken;
}

struct kube_head *kube_records_next(const struct kube_records *r, size_t *at)
{
    while (*at < r->room)
        if (r->slots[(*at)++])
            return r->slots[*at - 1];
    return NULL;
}
