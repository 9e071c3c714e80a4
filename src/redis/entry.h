/* What somebody pushed into the queue, as a job. */
#ifndef REDIS_ENTRY_H
#define REDIS_ENTRY_H

#include "redis/redis.h"

enum {
    ENTRY_BYTES_MOST = 1 << 20, /* as the body of a request */
    ENTRY_KEY_MOST = 128,
};

struct entry_job {
    struct submission job; /* its SPEC is the caller's */
    char user[FLEET_NAME];
    char key[ENTRY_KEY_MOST + 1]; /* its idempotency_key; "" is none */
};

/* ERR_INVALID, ERR_DENIED...: it is no job; the sentence says why and E->field which field. */
int entry_read(const char *text, size_t len, const struct redis_config *config,
               struct entry_job *ret, struct err *e);

/* What is kept of one that is no job, as the element of reeve:dead. TEXT may be cut already, BYTES
 * is how long it was. */
void entry_write_dead(const char *id, const char *text, size_t len, size_t bytes,
                      const struct err *why, int64_t now_ms, struct text *out);

/* Ids under which entries wait: "1767225600000-0123456789abcdef-0001", the time (Unix ms) in front;
 * behind a '>' how long it was when it had to be cut. */
enum { ENTRY_ID_SIZE = 80 };
bool entry_id_read(const char *id, int64_t *ret_ms, size_t *ret_cut_bytes);

#endif
