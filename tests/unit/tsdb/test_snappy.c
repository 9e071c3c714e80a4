#include "tsdb/snappy.h"

#include "base/mem.h"
#include "test.h"

#include <snappy-c.h>
#include <string.h>

/* Ours packs what theirs unpacks to the same bytes, and the other way round. */
static void both_ways(const uint8_t *in, size_t len)
{
    auto_free uint8_t *packed = mem_alloc(1, snappy_room(len)), *back = mem_alloc(1, len + 1);
    size_t n = snappy_pack(in, len, packed), size = 0, theirs = len + 1;
    CHECK(n <= snappy_room(len));
    CHECK(snappy_uncompress((char *)packed, n, (char *)back, &theirs) == SNAPPY_OK);
    CHECK(theirs == len && memcmp(in, back, len) == 0);
    CHECK(snappy_content(packed, n, &size) && size == len);
    CHECK(snappy_unpack(packed, n, back, len) && memcmp(in, back, len) == 0);

    size_t room = snappy_max_compressed_length(len);
    auto_free uint8_t *other = mem_alloc(1, room);
    CHECK(snappy_compress((const char *)in, len, (char *)other, &room) == SNAPPY_OK);
    memset(back, 0, len);
    CHECK(snappy_unpack(other, room, back, len) && memcmp(in, back, len) == 0);
}

TEST("what is packed is unpacked by the usual library, and the other way round")
{
    enum { MOST = 300000 };
    auto_free uint8_t *bytes = mem_alloc(1, MOST);
    static const size_t lengths[] = {0,  1,   3,   4,   5,    59,    60,  61,
                                     62, 255, 256, 257, 4096, 70000, MOST};
    /* Noise that does not pack, texts that repeat near and far, one byte over and over. */
    for (unsigned alphabet = 1; alphabet <= 256; alphabet *= 4)
        for (size_t l = 0; l < COUNT_OF(lengths); l++) {
            uint64_t seed = alphabet;
            for (size_t i = 0; i < lengths[l]; i++) {
                seed = seed * 6364136223846793005U + 1442695040888963407U;
                bytes[i] =
                    i > 100 && seed >> 60 < 12 ? bytes[i - 97] : (uint8_t)((seed >> 33) % alphabet);
            }
            both_ways(bytes, lengths[l]);
        }
}

TEST("a text that repeats becomes much smaller")
{
    char text[8192];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "__name__=DCGM_FI_DEV_GPU_UTIL,gpu=0;"[i % 36];
    auto_free uint8_t *packed = mem_alloc(1, snappy_room(sizeof text));
    CHECK(snappy_pack((uint8_t *)text, sizeof text, packed) < sizeof text / 15);
}

TEST("a block that lies is refused")
{
    static const struct {
        const char *bytes;
        size_t len, size;
    } bad[] = {
        {"", 0, 0},                               /* no length */
        {"\xff\xff\xff\xff\xff\x01", 6, 5},       /* too long a length */
        {"\x05\x10hell", 6, 5},                   /* literal cut off */
        {"\x05\x14hello!", 8, 5},                 /* more than it said */
        {"\x05\x0chell", 6, 5},                   /* less than it said */
        {"\x05\xf0", 2, 5},                       /* literal's length cut off */
        {"\x05\xfc\xff\xff\xff\xffhello", 11, 5}, /* a literal of 4 GiB */
        {"\x05\x00h\x01\x00", 5, 5},              /* copy from itself */
        {"\x05\x00h\x01\x02", 5, 5},              /* copy from before the beginning */
        {"\x05\x00h\x12\x01", 5, 5},              /* copy cut off */
        {"\x05\x00h\xfe\x01\x00", 6, 5},          /* copy longer than all */
        {"\x05\x00h\x13\x01\x00\x00", 7, 5},      /* far copy cut off */
    };
    uint8_t out[64];
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_msg(!snappy_unpack((const uint8_t *)bad[i].bytes, bad[i].len, out, bad[i].size),
                      "row %zu", i);
}
