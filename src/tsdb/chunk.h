/*
 * Samples of one series in a block of fixed size, each as the difference to the one before: times
 * as the change of their distance, values as the bits that differ. A gauge read at a steady pace
 * takes one to three bytes a sample, one that does not change two bits.
 */
#ifndef TSDB_CHUNK_H
#define TSDB_CHUNK_H

#include "tsdb/tsdb.h"

enum {
    CHUNK_SIZE = 512,
    CHUNK_PAD = 16, /* so that reading may look past the end */
};

struct chunk {
    struct chunk *newer; /* of the same series */
    struct chunk *later; /* taken into use after this one, of any series */
    struct series_entry *owner;
    int64_t first_ms, last_ms;
    uint32_t bits;
    uint32_t count;
    uint8_t data[CHUNK_SIZE - 48];
};

/* What the next sample is told against. All zero for an empty chunk. */
struct chunk_state {
    int64_t t_ms, delta_ms;
    uint64_t value;
    uint8_t leading, significant; /* the window of bits that differed last; 0 significant: none */
};

/* False: it has no room for another one. */
bool chunk_add(struct chunk *c, struct chunk_state *s, int64_t t_ms, double value);

/* Reads from the first sample on. */
struct chunk_reader {
    const struct chunk *chunk;
    struct chunk_state state;
    uint32_t at, left;
};

void chunk_read(struct chunk_reader *r, const struct chunk *c);
bool chunk_next(struct chunk_reader *r, struct sample *ret);

#endif
