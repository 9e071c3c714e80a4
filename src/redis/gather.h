/*
 * What the mirror should show: the first jobs that wait, in their order, and all that run, each as
 * a line. Taken from the engine's newest view; what only the store knows is read by a worker.
 */
#ifndef REDIS_GATHER_H
#define REDIS_GATHER_H

#include "engine/engine.h"
#include "redis/line.h"

enum { MIRROR_WAITING_MOST = 10000, MIRROR_RUNNING_MOST = 100000 };

/* What a line depends on. */
struct line_facts {
    int64_t since_ms, started_ms;
    uint32_t attempts;
    uint8_t state;
    bool held;
};

struct wanted {
    int64_t job;
    struct line_facts facts;
    struct line *line; /* NULL until it is written */
    char *head;        /* waits for its paths; NULL: the line is there */
    char *paths;       /* NULL: not read yet, or not to be shown */
    bool waiting;
};

struct gather;

struct gather_config {
    struct engine *engine;
    struct mailbox *box; /* answers of workers come there */
    bool mask;           /* neither users nor paths */
    /* All lines are there; or E says why not, and none can be asked for. Not from within a call. */
    void (*on_ready)(void *arg, const struct err *e);
    void *arg;
};

struct gather *gather_new(const struct gather_config *config);
/* When the loop has run its last answer. */
void gather_free(struct gather *g);
/* The engine is not asked any more; ON_READY does not come. */
void gather_stop(struct gather *g);

/* Looks at the newest view. False: nothing has changed since the last time, no call-back comes. */
bool gather_begin(struct gather *g);

/* After ON_READY; borrowed until the next gather_begin(). */
struct line *const *gather_waiting(const struct gather *g, size_t *ret_count); /* next one first */
struct line *const *gather_running(const struct gather *g, size_t *ret_count); /* by job */
/* The line of a job that is wanted; NULL: it is not. */
struct line *gather_find(const struct gather *g, int64_t job, bool waiting);

#endif
