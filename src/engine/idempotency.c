#include "engine/idempotency.h"

#include "base/mem.h"

struct node {
    char *key;
    uint64_t hash;
    struct idempotency_entry entry;
    struct node *next;  /* in its bucket */
    struct node *later; /* in the order of arrival, which is the order of expiry */
};

struct idempotency {
    struct node **buckets;
    size_t count, mask;
    struct node *first, **last;
};

/* Seeded: keys come from outside. */
static uint64_t hash_of(const char *key)
{
    static uint64_t seed;
    if (!seed)
        seed = random_u64() | 1;
    uint64_t h = seed;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

struct idempotency *idempotency_new(void)
{
    struct idempotency *m = mem_new(struct idempotency);
    m->mask = 63;
    m->buckets = mem_new_array(struct node *, m->mask + 1);
    m->last = &m->first;
    return m;
}

void idempotency_free(struct idempotency *m)
{
    if (!m)
        return;
    for (struct node *n = m->first, *later; n; n = later) {
        later = n->later;
        free(n->key);
        free(n);
    }
    free(m->buckets);
    free(m);
}

size_t idempotency_count(const struct idempotency *m)
{
    return m->count;
}

static struct node **slot(const struct idempotency *m, const char *key, uint64_t hash)
{
    struct node **at = &m->buckets[hash & m->mask];
    while (*at && ((*at)->hash != hash || strcmp((*at)->key, key) != 0))
        at = &(*at)->next;
    return at;
}

const struct idempotency_entry *idempotency_find(const struct idempotency *m, const char *key)
{
    const struct node *n = *slot(m, key, hash_of(key));
    return n ? &n->entry : NULL;
}

static void grow(struct idempotency *m)
{
    size_t mask = 2 * m->mask + 1;
    struct node **buckets = mem_new_array(struct node *, mask + 1);
    for (struct node *n = m->first; n; n = n->later) {
        n->next = buckets[n->hash & mask];
        buckets[n->hash & mask] = n;
    }
    free(m->buckets);
    m->buckets = buckets;
    m->mask = mask;
}

void idempotency_put(struct idempotency *m, const char *key, const struct idempotency_entry *e)
{
    uint64_t hash = hash_of(key);
    struct node *n = *slot(m, key, hash);
    if (n) {
        n->entry = *e;
        return;
    }
    if (m->count > m->mask)
        grow(m);
    n = mem_new(struct node);
    n->key = mem_strdup(key);
    n->hash = hash;
    n->entry = *e;
    n->next = m->buckets[hash & m->mask];
    m->buckets[hash & m->mask] = n;
    *m->last = n;
    m->last = &n->later;
    m->count++;
}

size_t idempotency_expire(struct idempotency *m, int64_t now_ms, size_t most,
                          void (*on_expired)(void *arg, const char *key), void *arg)
{
    size_t removed = 0;
    while (m->first && m->first->entry.expires_ms <= now_ms && removed < most) {
        struct node *n = m->first;
        m->first = n->later;
        if (!m->first)
            m->last = &m->first;
        *slot(m, n->key, n->hash) = n->next;
        on_expired(arg, n->key);
        free(n->key);
        free(n);
        m->count--;
        removed++;
    }
    return removed;
}

void idempotency_postpone(struct idempotency *m, int64_t from_ms, int64_t by_ms)
{
    for (struct node *n = m->first; n; n = n->later)
        if (n->entry.expires_ms > from_ms && n->entry.expires_ms - IDEMPOTENCY_MS <= from_ms)
            n->entry.expires_ms += by_ms;
}
