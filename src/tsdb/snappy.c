#include "tsdb/snappy.h"

#include <string.h>

enum {
    LITERAL = 0,
    COPY_1 = 1, /* 4..11 bytes from up to 2047 bytes before */
    COPY_2 = 2, /* 1..64 bytes from up to 65535 bytes before */
    COPY_4 = 3,
    HASH_BITS = 12,
    WINDOW = 65535
};

/* ---- packing: the last place of each four bytes' hash is tried, longest match from there ---- */

size_t snappy_room(size_t len)
{
    return 32 + len + len / 6;
}

static uint32_t four(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint8_t *put_literal(uint8_t *out, const uint8_t *from, size_t len)
{
    if (!len)
        return out;
    size_t n = len - 1;
    if (n < 60) {
        *out++ = (uint8_t)(n << 2 | LITERAL);
    } else {
        unsigned bytes = n < 1 << 8 ? 1 : n < 1 << 16 ? 2 : n < 1 << 24 ? 3 : 4;
        *out++ = (uint8_t)((59 + bytes) << 2 | LITERAL);
        for (unsigned i = 0; i < bytes; i++)
            *out++ = (uint8_t)(n >> 8 * i);
    }
    memcpy(out, from, len);
    return out + len;
}

static uint8_t *put_copy(uint8_t *out, size_t offset, size_t len)
{
    while (len) {
        /* What is left for the last piece may be short: any length from 1 on can be said. */
        size_t part = len < 64 ? len : 64;
        if (part >= 4 && part <= 11 && offset < 2048) {
            *out++ = (uint8_t)((offset >> 8) << 5 | (part - 4) << 2 | COPY_1);
            *out++ = (uint8_t)offset;
        } else {
            *out++ = (uint8_t)((part - 1) << 2 | COPY_2);
            *out++ = (uint8_t)offset;
            *out++ = (uint8_t)(offset >> 8);
        }
        len -= part;
    }
    return out;
}

size_t snappy_pack(const uint8_t *in, size_t len, uint8_t *out)
{
    uint32_t last[1 << HASH_BITS]; /* place + 1 of these four bytes; 0: none yet */
    uint8_t *start = out;
    size_t at = 0, done = 0;
    for (size_t n = len;; n >>= 7) {
        *out++ = (uint8_t)(n > 127 ? (n & 127) | 128 : n);
        if (n <= 127)
            break;
    }
    memset(last, 0, sizeof last);
    while (at + 4 <= len) {
        uint32_t word = four(in + at), *slot = &last[word * 0x9E3779B1U >> (32 - HASH_BITS)];
        size_t before = *slot;
        *slot = (uint32_t)at + 1;
        if (!before || at - (before - 1) > WINDOW || four(in + before - 1) != word) {
            at += 1 + (at - done) / 64; /* faster and faster where nothing matches */
            continue;
        }
        size_t offset = at - (before - 1), match = 4;
        while (at + match < len && in[at + match] == in[at + match - offset])
            match++;
        out = put_literal(out, in + done, at - done);
        out = put_copy(out, offset, match);
        at += match;
        done = at;
    }
    out = put_literal(out, in + done, len - done);
    return (size_t)(out - start);
}

/* ---- unpacking: from outside, so every step is checked ---- */

/* The number at the front, five bytes at most; false: there is none. */
static bool read_size(const uint8_t **p, const uint8_t *end, size_t *ret)
{
    uint64_t size = 0;
    for (unsigned shift = 0; shift < 35 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        size |= (uint64_t)(byte & 127) << shift;
        if (byte & 128)
            continue;
        *ret = (size_t)size;
        return size <= UINT32_MAX;
    }
    return false;
}

bool snappy_content(const uint8_t *in, size_t len, size_t *ret_size)
{
    return read_size(&in, in + len, ret_size);
}

static bool read_number(const uint8_t **p, const uint8_t *end, unsigned bytes, size_t *ret)
{
    if ((size_t)(end - *p) < bytes)
        return false;
    *ret = 0;
    for (unsigned i = 0; i < bytes; i++)
        *ret |= (size_t) * (*p)++ << 8 * i;
    return true;
}

static void copy_before(uint8_t *out, size_t offset, size_t len)
{
    if (offset >= len) {
        memcpy(out, out - offset, len);
        return;
    }
    const uint8_t *from = out - offset;
    for (size_t i = 0; i < len; i++) /* overlapping: a pattern that repeats */
        out[i] = from[i];
}

bool snappy_unpack(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
    const uint8_t *p = in, *end = in + len;
    uint8_t *at = out, *stop = out + size;
    size_t said;
    if (!read_size(&p, end, &said) || said != size)
        return false;
    while (p < end) {
        unsigned tag = *p++;
        size_t part = (tag >> 2) + 1, offset = 0;
        switch (tag & 3) {
        case LITERAL:
            if (part > 60) {
                if (!read_number(&p, end, (unsigned)part - 60, &part))
                    return false;
                part++;
            }
            if (part > (size_t)(end - p) || part > (size_t)(stop - at))
                return false;
            memcpy(at, p, part);
            p += part;
            at += part;
            continue;
        case COPY_1:
            part = (tag >> 2 & 7) + 4;
            if (!read_number(&p, end, 1, &offset))
                return false;
            offset |= (size_t)(tag >> 5) << 8;
            break;
        case COPY_2:
            if (!read_number(&p, end, 2, &offset))
                return false;
            break;
        default: /* COPY_4 */
            if (!read_number(&p, end, 4, &offset))
                return false;
        }
        if (!offset || offset > (size_t)(at - out) || part > (size_t)(stop - at))
            return false;
        copy_before(at, offset, part);
        at += part;
    }
    return at == stop;
}
