/*
 * Readings of many series taken at the same moments, as rows of numbers: a ring of blocks within a
 * bound of bytes. A block's series never change; another set of series begins a new block. Pure.
 */
#ifndef AGENT_FRAMES_H
#define AGENT_FRAMES_H

#include "tsdb/remote_write.h"

enum { FRAMES_LABELS_MOST = 8, FRAMES_BLOCK_ROWS = 32 };

/* The labels of one series, "__name__" among them, in any order. */
struct frame_series {
    struct label labels[FRAMES_LABELS_MOST];
    size_t count;
};

struct frames;

struct frames *frames_new(size_t most_bytes);
void frames_free(struct frames *f);

/* True: the next row of this SOURCE (a small number) has the series it had last time. KEY names the
 * set. */
bool frames_has_set(const struct frames *f, int source, const char *key);
/* Another set from now on; texts are copied. */
void frames_set(struct frames *f, int source, const char *key, const struct frame_series *series,
                size_t count);

/* Adds a row of as many values as the source's set has; NAN: no reading. Drops the oldest block
 * when there is no room. Rows not newer than the source's last are passed over. */
void frames_add(struct frames *f, int source, int64_t t_ms, const double *values);

/*
 * Encodes the oldest rows that were not taken yet, at most MOST samples unless one row alone is
 * more. False: there are none. What was encoded counts as taken after frames_commit().
 */
bool frames_encode(struct frames *f, size_t most, void **ret, size_t *ret_len, struct err *e);
void frames_commit(struct frames *f);
/* Nothing was taken. */
void frames_rewind(struct frames *f);

struct frames_counts {
    int64_t samples, taken, dropped, bytes; /* dropped: never taken */
};
struct frames_counts frames_counts(const struct frames *f);

#endif
