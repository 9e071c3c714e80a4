#include "identity/tokens.h"

#include "base/mem.h"

#include <pthread.h>

/*
 * A chained hash table. The keys are SHA-256 values of texts that the asker chose, so their first
 * bits spread well, and finding one by comparing hashes tells nobody how near a guess was.
 */
struct entry {
    struct digest hash;
    struct token_holder holder;
    struct entry *next;
};

struct tokens {
    pthread_rwlock_t lock; /* guards all of it; a leaf: nothing else is locked while it is held */
    struct entry **slots;
    size_t slot_count, count; /* slot_count is a power of two */
};

const char *token_kind_name(enum token_kind kind)
{
    static const char *const names[] = {"token", "session", "link", "node", "enrolment"};
    return (size_t)kind < COUNT_OF(names) ? names[kind] : "unknown";
}

struct tokens *tokens_new(void)
{
    struct tokens *t = mem_new(struct tokens);
    pthread_rwlock_init(&t->lock, NULL);
    t->slot_count = 64;
    t->slots = mem_new_array(struct entry *, t->slot_count);
    return t;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->slot_count; i++)
        while (t->slots[i]) {
            struct entry *gone = t->slots[i];
            t->slots[i] = gone->next;
            free(gone);
        }
    free(t->slots);
    pthread_rwlock_destroy(&t->lock);
    free(t);
}

static struct entry **slot_of(struct entry **slots, size_t count, const struct digest *hash)
{
    uint64_t bits;
    memcpy(&bits, hash->bytes, sizeof bits);
    return &slots[bits & (count - 1)];
}

/* The link that leads to the entry of this hash, or to the NULL behind the last one. */
static struct entry **link_to_locked(struct tokens *t, const struct digest *hash)
{
    struct entry **link = slot_of(t->slots, t->slot_count, hash);
    while (*link && !digest_equal(&(*link)->hash, hash))
        link = &(*link)->next;
    return link;
}

static void grow_locked(struct tokens *t)
{
    size_t count = 2 * t->slot_count;
    struct entry **slots = mem_new_array(struct entry *, count);
    for (size_t i = 0; i < t->slot_count; i++)
        while (t->slots[i]) {
            struct entry *moved = t->slots[i];
            t->slots[i] = moved->next;
            struct entry **slot = slot_of(slots, count, &moved->hash);
            moved->next = *slot;
            *slot = moved;
        }
    free(t->slots);
    t->slots = slots;
    t->slot_count = count;
}

static void remove_locked(struct tokens *t, struct entry **link)
{
    struct entry *gone = *link;
    *link = gone->next;
    free(gone);
    t->count--;
}

void tokens_put(struct tokens *t, const struct digest *hash, const struct token_holder *holder)
{
    pthread_rwlock_wrlock(&t->lock);
    struct entry **link = link_to_locked(t, hash);
    if (!*link) {
        struct entry *added = mem_new(struct entry);
        added->hash = *hash;
        *link = added;
        t->count++;
    }
    (*link)->holder = *holder;
    if (t->count > t->slot_count)
        grow_locked(t);
    pthread_rwlock_unlock(&t->lock);
}

void tokens_remove(struct tokens *t, const struct digest *hash)
{
    pthread_rwlock_wrlock(&t->lock);
    struct entry **link = link_to_locked(t, hash);
    if (*link)
        remove_locked(t, link);
    pthread_rwlock_unlock(&t->lock);
}

void tokens_remove_holder(struct tokens *t, enum token_kind kind, int64_t holder)
{
    pthread_rwlock_wrlock(&t->lock);
    for (size_t i = 0; i < t->slot_count; i++) {
        struct entry **link = &t->slots[i];
        while (*link)
            if ((*link)->holder.kind == kind && (*link)->holder.holder == holder)
                remove_locked(t, link);
            else
                link = &(*link)->next;
    }
    pthread_rwlock_unlock(&t->lock);
}

/* False: it never ends, or has ended. */
static bool postpone(int64_t *expires_ms, int64_t from_ms, int64_t by_ms)
{
    if (*expires_ms <= from_ms)
        return false;
    if (__builtin_add_overflow(*expires_ms, by_ms, expires_ms))
        *expires_ms = INT64_MAX;
    return true;
}

void tokens_postpone(struct tokens *t, int64_t from_ms, int64_t by_ms,
                     void (*on_postponed)(void *arg, const struct digest *hash,
                                          const struct token_holder *holder),
                     void *arg)
{
    pthread_rwlock_wrlock(&t->lock);
    for (size_t i = 0; i < t->slot_count; i++)
        for (struct entry *at = t->slots[i]; at; at = at->next) {
            bool changed = postpone(&at->holder.expires_ms, from_ms, by_ms);
            changed |= postpone(&at->holder.until_ms, from_ms, by_ms);
            if (changed && on_postponed)
                on_postponed(arg, &at->hash, &at->holder);
        }
    pthread_rwlock_unlock(&t->lock);
}

void tokens_expire(struct tokens *t, int64_t now_ms, size_t most,
                   void (*on_expired)(void *arg, const struct token_holder *holder), void *arg)
{
    pthread_rwlock_wrlock(&t->lock);
    for (size_t i = 0; i < t->slot_count && most; i++) {
        struct entry **link = &t->slots[i];
        while (*link && most) {
            const struct token_holder *h = &(*link)->holder;
            if ((h->kind != TOKEN_SESSION && h->kind != TOKEN_LINK) || h->expires_ms > now_ms) {
                link = &(*link)->next;
                continue;
            }
            on_expired(arg, h);
            remove_locked(t, link);
            most--;
        }
    }
    pthread_rwlock_unlock(&t->lock);
}

bool tokens_find(struct tokens *t, const struct digest *hash, int64_t now_ms,
                 struct token_holder *ret)
{
    pthread_rwlock_rdlock(&t->lock);
    const struct entry *found = *link_to_locked(t, hash);
    bool good = found && (!found->holder.expires_ms || now_ms < found->holder.expires_ms);
    if (good)
        *ret = found->holder;
    pthread_rwlock_unlock(&t->lock);
    return good;
}

bool tokens_find_id(struct tokens *t, enum token_kind kind, int64_t id, struct digest *ret_hash,
                    struct token_holder *ret)
{
    const struct entry *found = NULL;
    pthread_rwlock_rdlock(&t->lock);
    for (size_t i = 0; i < t->slot_count && !found; i++) {
        found = t->slots[i];
        while (found && (found->holder.kind != kind || found->holder.id != id))
            found = found->next;
    }
    if (found) {
        *ret_hash = found->hash;
        *ret = found->holder;
    }
    pthread_rwlock_unlock(&t->lock);
    return found != NULL;
}

size_t tokens_count(struct tokens *t, enum token_kind kind, int64_t holder)
{
    size_t count = 0;
    pthread_rwlock_rdlock(&t->lock);
    for (size_t i = 0; i < t->slot_count; i++)
        for (const struct entry *at = t->slots[i]; at; at = at->next)
            count += at->holder.kind == kind && at->holder.holder == holder;
    pthread_rwlock_unlock(&t->lock);
    return count;
}

char *token_make(struct digest *ret_hash)
{
    unsigned char bits[32];
    char hex[2 * sizeof bits + 1];
    random_fill(bits, sizeof bits);
    char *token = mem_printf("rv_%s", hex_write(hex, bits, sizeof bits));
    *ret_hash = token_hash(token);
    return token;
}

char *token_code_make(struct digest *ret_hash)
{
    unsigned char bits[16];
    random_fill(bits, sizeof bits);
    char *code = mem_alloc(1, 2 * sizeof bits + 1);
    hex_write(code, bits, sizeof bits);
    *ret_hash = token_hash(code);
    return code;
}

struct digest token_hash(const char *token)
{
    return digest_of(token, strlen(token));
}
