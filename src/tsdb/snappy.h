/*
 * The snappy block format, as remote-write uses it: a length, then literals and copies. The usual
 * library brings the C++ runtime along, 1.3 MiB of an agent that packs 2 KiB now and then.
 */
#ifndef TSDB_SNAPPY_H
#define TSDB_SNAPPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that packing LEN bytes may need. */
size_t snappy_room(size_t len);
/* Packs LEN bytes (less than 4 GiB) into OUT; returns how many that are. */
size_t snappy_pack(const uint8_t *in, size_t len, uint8_t *out);

/* How long the block's content is; false: it is no block. */
bool snappy_content(const uint8_t *in, size_t len, size_t *ret_size);
/* Exactly SIZE bytes into OUT; false: it is no sound block of that size. */
bool snappy_unpack(const uint8_t *in, size_t len, uint8_t *out, size_t size);

#endif
