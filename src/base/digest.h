/* SHA-256, random bits and their text forms. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32
#define DIGEST_HEX  65 /* with the NUL */

struct digest {
    unsigned char bytes[DIGEST_SIZE];
};

/* Hashes piece after piece. digest_end() frees the state. */
struct digest_state;
struct digest_state *digest_begin(void);
void digest_add(struct digest_state *s, const void *p, size_t len);
void digest_add_int(struct digest_state *s, int64_t value); /* 8 bytes, little endian */
struct digest digest_end(struct digest_state *s);

struct digest digest_of(const void *p, size_t len);
bool digest_equal(const struct digest *a, const struct digest *b); /* in constant time */

/* Lower-case hex of LEN bytes into OUT (2 * LEN + 1 bytes). Returns OUT. */
char *hex_write(char *out, const void *p, size_t len);
/* Exactly 2 * LEN hex digits into P; false when they are not. */
bool hex_read(void *p, size_t len, const char *hex);

/* Bits from the kernel; ends the program when there are none. */
void random_fill(void *p, size_t len);
uint64_t random_u64(void);

#endif
