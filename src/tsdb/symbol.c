#include "tsdb/symbol.h"

#include "base/mem.h"

uint64_t symbol_hash(uint64_t seed, const char *text, size_t len)
{
    /* Seeded, so that labels from outside cannot be made to collide. */
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t h = seed ^ (uint64_t)len * odd;
    for (; len >= 8; text += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, text, sizeof word);
        h = (h ^ word) * odd;
        h ^= h >> 29;
    }
    uint64_t rest = 0;
    memcpy(&rest, text, len);
    h = (h ^ rest) * odd;
    return h ^ h >> 32;
}

static void grow(struct symbols *s)
{
    size_t count = s->bucket_count ? 2 * s->bucket_count : 256;
    struct symbol **buckets = mem_new_array(struct symbol *, count);
    for (size_t i = 0; i < s->bucket_count; i++)
        for (struct symbol *symbol = s->buckets[i], *next; symbol; symbol = next) {
            next = symbol->next;
            symbol->next = buckets[symbol->hash & (count - 1)];
            buckets[symbol->hash & (count - 1)] = symbol;
        }
    free(s->buckets);
    s->buckets = buckets;
    s->bucket_count = count;
}

struct symbol *symbol_use(struct symbols *s, uint64_t seed, const char *text)
{
    if (s->count >= s->bucket_count)
        grow(s);
    size_t len = strlen(text);
    uint64_t hash = symbol_hash(seed, text, len);
    struct symbol **bucket = &s->buckets[hash & (s->bucket_count - 1)], *symbol = *bucket;
    while (symbol && (symbol->hash != hash || strcmp(symbol->text, text) != 0))
        symbol = symbol->next;
    if (!symbol) {
        symbol = mem_alloc(1, sizeof *symbol + len + 1);
        symbol->hash = hash;
        memcpy(symbol->text, text, len);
        symbol->next = *bucket;
        *bucket = symbol;
        s->count++;
    }
    symbol->users++;
    return symbol;
}

void symbol_release(struct symbols *s, struct symbol *symbol)
{
    if (--symbol->users)
        return;
    struct symbol **at = &s->buckets[symbol->hash & (s->bucket_count - 1)];
    while (*at != symbol)
        at = &(*at)->next;
    *at = symbol->next;
    s->count--;
    free(symbol);
}

void symbols_done(struct symbols *s)
{
    for (size_t i = 0; i < s->bucket_count; i++)
        for (struct symbol *symbol = s->buckets[i], *next; symbol; symbol = next) {
            next = symbol->next;
            free(symbol);
        }
    free(s->buckets);
    *s = (struct symbols){0};
}
