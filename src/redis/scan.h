/*
 * What of ours stands in Redis: the list and the hash read through in pieces, as hashes of our
 * lines, not their texts. What is ours but should not be there, from before or changed by others,
 * is removed on the way.
 */
#ifndef REDIS_SCAN_H
#define REDIS_SCAN_H

#include "redis/gather.h"
#include "redis/inside.h"

struct scan;

struct scan_result {
    struct lines list; /* from the right end; a job may stand there twice */
    struct lines hash; /* by job */
    int64_t hash_others;
    bool is_sure; /* else others changed the list meanwhile: look again */
};

/* ON_DONE may take what it wants out of the result. It does not come when the link fails. */
struct scan *scan_new(struct redis *r, struct gather *g,
                      void (*on_done)(void *arg, struct scan_result *s), void *arg);
void scan_free(struct scan *s);
/* Against what G wants. */
void scan_begin(struct scan *s);
void scan_cancel(struct scan *s); /* the link is down */

#endif
