/* What Q10 asks for, measured. Kept by the owner thread, copied into each view. */
#ifndef ENGINE_STATS_H
#define ENGINE_STATS_H

#include <stdint.h>

/* Times by powers of two of a quarter: bucket I holds values below 2^(I/4) microseconds. */
enum { HISTOGRAM_BUCKETS = 160 };

struct histogram {
    uint64_t count, sum_us;
    uint32_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, int64_t us);
void histogram_merge(struct histogram *h, const struct histogram *other);
/* The time that PERMILLE of the values stay below (within 19 %), in microseconds; 0 without values.
 */
int64_t histogram_quantile_us(const struct histogram *h, int permille);

/* How long jobs waited, and what for. */
struct waits {
    struct histogram submit_to_start; /* accepted to the attempt's start, jobs that did not wait */
    struct histogram wait;            /* the same, all jobs */
    int64_t wait_ms, run_ms;          /* sums over jobs that ended */
};

struct engine_stats {
    struct waits waits;     /* since this program started */
    struct waits before;    /* of the newest jobs that had ended by then */
    int64_t started, ended; /* attempts since this program started */
    int64_t plans, plan_us;
    int64_t commands, refused; /* refused: with an error */
    int64_t batches, rows;
    int64_t started_ms; /* this program: Unix */
    int64_t disk_full;  /* 1: changes are refused for now */
};

#endif
