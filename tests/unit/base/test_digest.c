#include "base/digest.h"
#include "test.h"

TEST("SHA-256 of a known text, whole and in pieces")
{
    char hex[DIGEST_HEX];
    struct digest d = digest_of("abc", 3);
    CHECK_TEXT(hex_write(hex, d.bytes, DIGEST_SIZE),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");

    struct digest_state *s = digest_begin();
    digest_add(s, "a", 1);
    digest_add(s, "bc", 2);
    struct digest again = digest_end(s);
    CHECK(digest_equal(&d, &again));

    struct digest back;
    CHECK(hex_read(back.bytes, DIGEST_SIZE, hex));
    CHECK(digest_equal(&d, &back));
    CHECK(!hex_read(back.bytes, DIGEST_SIZE, "ABC"));
}
