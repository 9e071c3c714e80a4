#include "base/digest.h"

#include "base/mem.h"

#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <sys/random.h>

/* nettle's, as GnuTLS is in our programs anyway: libcrypto would be 1.5 MiB more of the agent. */
struct digest_state {
    struct sha256_ctx ctx;
};

struct digest_state *digest_begin(void)
{
    struct digest_state *s = mem_new(struct digest_state);
    sha256_init(&s->ctx);
    return s;
}

void digest_add(struct digest_state *s, const void *p, size_t len)
{
    sha256_update(&s->ctx, len, p);
}

void digest_add_int(struct digest_state *s, int64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)value >> (8 * i));
    digest_add(s, bytes, sizeof bytes);
}

struct digest digest_end(struct digest_state *s)
{
    struct digest d;
    sha256_digest(&s->ctx, sizeof d.bytes, d.bytes);
    free(s);
    return d;
}

struct digest digest_of(const void *p, size_t len)
{
    struct sha256_ctx ctx;
    struct digest d;
    sha256_init(&ctx);
    sha256_update(&ctx, len, p);
    sha256_digest(&ctx, sizeof d.bytes, d.bytes);
    return d;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memeql_sec(a->bytes, b->bytes, DIGEST_SIZE);
}

char *hex_write(char *out, const void *p, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = p;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
    return out;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool hex_read(void *p, size_t len, const char *hex)
{
    unsigned char *bytes = p;
    if (strlen(hex) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

void random_fill(void *p, size_t len)
{
    unsigned char *bytes = p;
    while (len) {
        ssize_t n = getrandom(bytes, len, 0);
        if (n <= 0) {
            fprintf(stderr, "the kernel gives no random bits\n");
            abort();
        }
        bytes += n;
        len -= (size_t)n;
    }
}

uint64_t random_u64(void)
{
    uint64_t value;
    random_fill(&value, sizeof value);
    return value;
}
