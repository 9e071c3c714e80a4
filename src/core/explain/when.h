/*
 * When waiting jobs may start: plans made one after the other in simulated time, by the very
 * functions that plan for real, on a copy of what matters. What runs is taken to end when it is
 * expected to; who waits, and in what order, is the view's. A function of its question alone.
 */
#ifndef CORE_EXPLAIN_WHEN_H
#define CORE_EXPLAIN_WHEN_H

#include "core/fleet/fleet.h"

/* What an expectation rests on, the weakest first. */
enum when_basis {
    WHEN_NONE,     /* nothing is known */
    WHEN_LIMIT,    /* time limits */
    WHEN_HISTORY,  /* how long such jobs ran before */
    WHEN_PROGRESS, /* how far the running ones have come */
    WHEN_FREE,     /* there is room now: nothing has to end first */
    WHEN_BASES
};
const char *when_basis_name(enum when_basis b);

/* A time and what it rests on; WHEN_NONE: it is not known. */
struct when_span {
    int64_t ms;
    enum when_basis basis;
};

/* Those behind them in the queue are not looked at. */
enum { WHEN_JOBS_MOST = 1000 };

struct when_question {
    const struct fleet_view *view;
    int64_t now_ms;
    /* How much longer each job of VIEW->RUNNING takes, in its order. */
    const struct when_span *left;
    /* How long each of the first WHEN_JOBS_MOST jobs of VIEW->WAITING will run, in its order. */
    const struct when_span *runs;
};

struct when_start {
    int64_t job;
    int64_t start_ms; /* Unix; 0: not known, as the job is held or waits for what nobody knows */
    int64_t order;    /* from 1, in the order of starts; 0: not known */
    enum when_basis basis;
};

/* Into RET (room for WHEN_JOBS_MOST) one answer a job, in the order of the queue; returns how many.
 * Work is cut by count: what was not reached is not known. */
size_t when_look(const struct when_question *q, struct when_start *ret);

#endif
