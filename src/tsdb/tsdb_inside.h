/* What the files of the series store share; nobody else includes it. */
#ifndef TSDB_TSDB_INSIDE_H
#define TSDB_TSDB_INSIDE_H

#include "tsdb/chunk.h"
#include "tsdb/minutes.h"
#include "tsdb/symbol.h"
#include "tsdb/tsdb.h"

#include <pthread.h>

struct series_label {
    struct symbol *name, *value;
};

struct series_entry {
    uint64_t hash;
    struct series_entry *next; /* in its bucket */
    size_t slot;
    struct chunk *oldest, *newest;
    struct chunk_state state; /* of the newest */
    struct minutes *minutes;  /* NULL: nobody has asked for them yet */
    int64_t last_ms;          /* of the newest sample */
    bool busy;                /* being appended to: not to be removed */
    uint16_t label_count;
    struct series_label labels[];
};

struct slab {
    struct slab *next;
    struct chunk chunks[128]; /* 64 KiB */
};

struct tsdb {
    struct tsdb_limits limits;
    uint64_t seed;

    pthread_rwlock_t lock; /* guards all below; queries share it, one series at a time */
    struct symbols symbols;
    struct series_entry **buckets;
    size_t bucket_count;         /* a power of two */
    struct series_entry **slots; /* for walking: NULL where one was removed */
    size_t slot_count, slot_room;
    size_t *free_slots;
    size_t free_count, free_room, series;

    struct slab *slabs;
    struct chunk *free;         /* by later */
    struct chunk *first, *last; /* in use, by age */
    int64_t chunks_made, chunks_used, chunks_most;
    struct tsdb_stats stats;
};

#endif
