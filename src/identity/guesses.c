#include "identity/guesses.h"

#include "base/digest.h"
#include "base/mem.h"

#include <arpa/inet.h>

enum { PLACES = 1024, FREE = 10, EACH_MS = 6000 };

struct guesses {
    uint64_t seed;                /* so that nobody chooses who shares an account with whom */
    int64_t paid_mono_ms[PLACES]; /* each wrong guess moves it on by EACH_MS, from now at least */
};

struct guesses *guesses_new(void)
{
    struct guesses *g = mem_new(struct guesses);
    g->seed = random_u64();
    return g;
}

void guesses_free(struct guesses *g)
{
    free(g);
}

/* The address without its port; of IPv6 the network. */
static size_t place_of(const char *from, unsigned char place[64])
{
    char host[64] = {0};
    struct in6_addr six;
    bool in_brackets = *from == '[';
    from += in_brackets;
    snprintf(host, sizeof host, "%s", from);
    host[strcspn(host, in_brackets ? "]" : ":")] = '\0';
    if (in_brackets && inet_pton(AF_INET6, host, &six) == 1) {
        memcpy(place, &six, sizeof six / 2);
        return sizeof six / 2;
    }
    memcpy(place, host, sizeof host);
    return strlen(host);
}

static unsigned account_of(const struct guesses *g, const char *from)
{
    unsigned char place[64];
    size_t len = place_of(from, place);
    struct digest_state *s = digest_begin();
    digest_add_int(s, (int64_t)g->seed);
    digest_add(s, place, len);
    struct digest d = digest_end(s);
    unsigned bits;
    memcpy(&bits, d.bytes, sizeof bits);
    return bits % PLACES;
}

int64_t guesses_wait_ms(const struct guesses *g, const char *from, int64_t now_mono_ms)
{
    int64_t wait = g->paid_mono_ms[account_of(g, from)] - now_mono_ms - (FREE - 1) * EACH_MS;
    return wait > 0 ? wait : 0;
}

void guesses_wrong(struct guesses *g, const char *from, int64_t now_mono_ms)
{
    int64_t *paid = &g->paid_mono_ms[account_of(g, from)];
    *paid = (*paid > now_mono_ms ? *paid : now_mono_ms) + EACH_MS;
}
