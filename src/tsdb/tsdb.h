/*
 * Samples of series. A series is named by its labels, a name among them ("__name__"). What came in
 * the last hour is kept in memory, compressed, within a bound: the oldest goes first.
 *
 * All calls from any thread. Time is given: the newest sample decides nothing.
 */
#ifndef TSDB_TSDB_H
#define TSDB_TSDB_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tsdb;

struct label {
    const char *name, *value;
};

struct sample {
    int64_t t_ms; /* Unix */
    double value; /* a NaN ends the series for now (stale) */
};

enum {
    TSDB_LABELS_MOST = 64,       /* of one series */
    TSDB_LABEL_BYTES_MOST = 4096 /* of one series, names and values with a NUL each */
};

struct tsdb_limits {       /* 0: the default */
    int64_t retention_ms;  /* an hour */
    int64_t most_bytes;    /* 64 MiB of samples */
    int64_t most_series;   /* 100,000 */
    int64_t most_ahead_ms; /* samples further in the future are refused; 10 minutes */
};

/* LIMITS may be NULL. Never NULL. */
struct tsdb *tsdb_new(const struct tsdb_limits *limits);
void tsdb_free(struct tsdb *db);
DEFINE_AUTO(struct tsdb, tsdb_free)
#define auto_tsdb AUTO(tsdb_freep)

/*
 * Adds samples to the series of these LABELS: sorted by name, no name twice, values not empty.
 * Samples not newer than the series' last one, older than the retention or too far ahead are passed
 * over; RET_TAKEN (may be NULL) says how many were not. ERR_INVALID: the labels are wrong.
 * ERR_EXHAUSTED: too many series.
 */
int tsdb_append(struct tsdb *db, const struct label *labels, size_t label_count,
                const struct sample *samples, size_t count, int64_t now_ms, size_t *ret_taken,
                struct err *e);

enum tsdb_match { TSDB_IS, TSDB_IS_NOT };

/* An absent label has the value "". */
struct tsdb_matcher {
    const char *name, *value;
    enum tsdb_match match;
};

enum tsdb_aggregate {
    TSDB_LAST,
    TSDB_MEAN,
    TSDB_MIN,
    TSDB_MAX,
    TSDB_SUM,
    TSDB_COUNT,
    TSDB_RAW, /* every sample as it came, stale marks too; step is not used */
};

struct tsdb_query {
    const struct tsdb_matcher *matchers;
    size_t matcher_count;
    int64_t from_ms, to_ms; /* from <= t < to */
    int64_t step_ms;        /* one point a step, at the step's start; empty steps give none */
    enum tsdb_aggregate aggregate;
    size_t most_points; /* of one series; 0: 11000. More: ERR_TOO_LARGE */
    /* Means of whole minutes, from a whole minute on, within the last hour are kept as sums once
     * they were asked for: ten times as fast, to the seven digits of a float. */
};

/* One matching series that has points; all is good during the call. Not 0: stop, and tsdb_query()
 * returns -1 without touching its error. No lock is held. */
typedef int (*tsdb_on_series)(void *arg, const struct label *labels, size_t label_count,
                              const struct sample *points, size_t count);

int tsdb_query(struct tsdb *db, const struct tsdb_query *q, tsdb_on_series on_series, void *arg,
               struct err *e);

struct tsdb_stats {
    int64_t series, bytes; /* bytes: of chunks in use */
    int64_t samples;       /* taken since the start */
    int64_t passed_over;
    int64_t evicted; /* chunks that had to go before their time */
};
void tsdb_stats(struct tsdb *db, struct tsdb_stats *ret);

#endif
