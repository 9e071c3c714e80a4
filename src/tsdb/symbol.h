/* Label names and values, each kept once for all series that have it. */
#ifndef TSDB_SYMBOL_H
#define TSDB_SYMBOL_H

#include <stddef.h>
#include <stdint.h>

struct symbol {
    struct symbol *next;
    uint64_t hash;
    uint32_t users;
    char text[];
};

struct symbols {
    struct symbol **buckets;
    size_t bucket_count, count;
};

uint64_t symbol_hash(uint64_t seed, const char *text, size_t len);

/* The one for TEXT, made if need be; each use is given back with symbol_release(). */
struct symbol *symbol_use(struct symbols *s, uint64_t seed, const char *text);
void symbol_release(struct symbols *s, struct symbol *symbol);
void symbols_done(struct symbols *s);

#endif
