#include "tsdb/chunk.h"

#include <endian.h>
#include <string.h>

_Static_assert(sizeof(struct chunk) == CHUNK_SIZE, "the header is not 48 bytes");

enum {
    DATA_BITS = (CHUNK_SIZE - 48 - CHUNK_PAD) * 8,
    SAMPLE_BITS = 4 + 64 + 2 + 6 + 6 + 64, /* at most */
};

/* ------------------------------------------------------------------ bits */

/* Appends the COUNT (1..64) low bits of VALUE. What lies behind the end is zero. */
static void put(struct chunk *c, uint64_t value, unsigned count)
{
    if (count < 64)
        value &= ((uint64_t)1 << count) - 1;
    uint8_t *p = c->data + c->bits / 8;
    unsigned used = c->bits % 8;
    uint64_t word;
    memcpy(&word, p, sizeof word);
    word = be64toh(word);
    if (used + count <= 64) {
        word |= value << (64 - used - count);
    } else {
        word |= value >> (used + count - 64);
        p[8] = (uint8_t)(value << (72 - used - count));
    }
    word = htobe64(word);
    memcpy(p, &word, sizeof word);
    c->bits += count;
}

/* The next 64 bits at AT, in the high end. */
static uint64_t peek(const struct chunk *c, uint32_t at)
{
    const uint8_t *p = c->data + at / 8;
    unsigned used = at % 8;
    uint64_t word;
    memcpy(&word, p, sizeof word);
    word = be64toh(word);
    return used ? word << used | p[8] >> (8 - used) : word;
}

static uint64_t get(struct chunk_reader *r, unsigned count)
{
    uint64_t value = peek(r->chunk, r->at) >> (64 - count);
    r->at += count;
    return value;
}

/* ------------------------------------------------------------------ times */

/* How the change of the distance is written: a prefix, then so many bits of it. */
static const struct {
    uint8_t prefix, prefix_bits, bits;
} spans[] = {{0x2, 2, 7}, {0x6, 3, 11}, {0xe, 4, 16}, {0xf, 4, 64}};

static bool fits(int64_t value, unsigned bits)
{
    if (bits == 64)
        return true;
    int64_t most = (int64_t)1 << (bits - 1);
    return value >= -most && value < most;
}

static void put_time(struct chunk *c, struct chunk_state *s, int64_t t_ms)
{
    int64_t delta = t_ms - s->t_ms, change = delta - s->delta_ms;
    s->t_ms = t_ms;
    s->delta_ms = delta;
    if (change == 0) {
        put(c, 0, 1);
        return;
    }
    unsigned i = 0;
    while (!fits(change, spans[i].bits))
        i++;
    put(c, spans[i].prefix, spans[i].prefix_bits);
    put(c, (uint64_t)change, spans[i].bits);
}

static void get_time(struct chunk_reader *r)
{
    struct chunk_state *s = &r->state;
    uint64_t word = peek(r->chunk, r->at);
    if (word >> 63 == 0) {
        r->at++;
    } else {
        unsigned i = word >> 62 == 2 ? 0 : word >> 61 == 6 ? 1 : word >> 60 == 0xe ? 2 : 3;
        r->at += spans[i].prefix_bits;
        unsigned shift = 64 - spans[i].bits;
        s->delta_ms += (int64_t)(get(r, spans[i].bits) << shift) >> shift;
    }
    s->t_ms += s->delta_ms;
}

/* ------------------------------------------------------------------ values */

static void put_value(struct chunk *c, struct chunk_state *s, uint64_t value)
{
    uint64_t differ = value ^ s->value;
    s->value = value;
    if (!differ) {
        put(c, 0, 1);
        return;
    }
    unsigned leading = (unsigned)__builtin_clzll(differ);
    unsigned trailing = (unsigned)__builtin_ctzll(differ);
    unsigned significant = 64 - leading - trailing;
    /* The last window again, unless a new one saves more than the 12 bits that tell it. */
    if (s->significant && leading >= s->leading && trailing >= 64u - s->leading - s->significant &&
        s->significant <= significant + 12) {
        put(c, 2, 2);
    } else {
        s->leading = (uint8_t)leading;
        s->significant = (uint8_t)significant;
        put(c, 3, 2);
        put(c, leading, 6);
        put(c, significant - 1, 6);
    }
    put(c, differ >> (64 - s->leading - s->significant), s->significant);
}

static void get_value(struct chunk_reader *r)
{
    struct chunk_state *s = &r->state;
    uint64_t word = peek(r->chunk, r->at);
    if (word >> 63 == 0) {
        r->at++;
        return;
    }
    r->at += 2;
    if (word >> 62 == 3) {
        s->leading = (uint8_t)get(r, 6);
        s->significant = (uint8_t)(get(r, 6) + 1);
    }
    s->value ^= get(r, s->significant) << (64 - s->leading - s->significant);
}

/* ------------------------------------------------------------------ samples */

bool chunk_add(struct chunk *c, struct chunk_state *s, int64_t t_ms, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (c->count == 0) {
        memset(c->data, 0, sizeof c->data);
        c->bits = 0;
        c->first_ms = t_ms;
        *s = (struct chunk_state){.t_ms = t_ms, .value = bits};
        put(c, bits, 64);
    } else {
        if (c->bits + SAMPLE_BITS > DATA_BITS)
            return false;
        put_time(c, s, t_ms);
        put_value(c, s, bits);
    }
    c->last_ms = t_ms;
    c->count++;
    return true;
}

void chunk_read(struct chunk_reader *r, const struct chunk *c)
{
    *r = (struct chunk_reader){.chunk = c, .left = c->count};
}

bool chunk_next(struct chunk_reader *r, struct sample *ret)
{
    if (!r->left)
        return false;
    if (r->left-- == r->chunk->count) {
        r->state.t_ms = r->chunk->first_ms;
        r->state.value = get(r, 64);
    } else {
        get_time(r);
        get_value(r);
    }
    ret->t_ms = r->state.t_ms;
    memcpy(&ret->value, &r->state.value, sizeof ret->value);
    return true;
}
