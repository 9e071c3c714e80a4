/* Which requests were done already: keys that clients chose, for 24 hours. */
#ifndef ENGINE_IDEMPOTENCY_H
#define ENGINE_IDEMPOTENCY_H

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>

struct idempotency;

struct idempotency_entry {
    struct digest body_hash;
    int64_t subject, expires_ms;
};

enum { IDEMPOTENCY_MS = 24 * 3600 * 1000 };

struct idempotency *idempotency_new(void);
void idempotency_free(struct idempotency *m);

/* Borrowed until the map changes; NULL: not there. */
const struct idempotency_entry *idempotency_find(const struct idempotency *m, const char *key);
void idempotency_put(struct idempotency *m, const char *key, const struct idempotency_entry *e);
/* Removes what expired, at most MOST entries a call, and tells each key. Returns how many. */
size_t idempotency_expire(struct idempotency *m, int64_t now_ms, size_t most,
                          void (*on_expired)(void *arg, const char *key), void *arg);
/* Whatever was there at FROM_MS and would expire after it does so this much later. */
void idempotency_postpone(struct idempotency *m, int64_t from_ms, int64_t by_ms);
size_t idempotency_count(const struct idempotency *m);

#endif
