/* What the store tells of jobs that ended before this program started, for figures about waiting.
 */
#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

enum { JOBS_MOST = 2000 };

struct past {
    struct engine *g;
    struct waits waits;
    struct err error;
};

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct past *p = arg;
    const struct job_history_row *h = record;
    if (table != TABLE_ID_JOB_HISTORY || !h->started_ms)
        return 0;
    int64_t waited_ms = h->started_ms - h->submitted_ms;
    histogram_add(&p->waits.wait, waited_ms * 1000);
    if (h->attempts == 1)
        histogram_add(&p->waits.submit_to_start, waited_ms * 1000);
    p->waits.wait_ms += waited_ms;
    p->waits.run_ms += h->run_ms;
    return 0;
}

static void look_back(void *reader, void *job)
{
    struct past *p = job;
    struct store_query q = {.id = QUERY_HISTORY, .state = -1, .limit = JOBS_MOST};
    p->g->ops->read(reader, &q, on_row, p, &p->error);
}

static void on_looked_back(void *job)
{
    struct past *p = job;
    if (p->error.code)
        log_warn("could not read how long jobs waited before; figures begin anew",
                 F_ERR(&p->error));
    else
        p->g->stats.before = p->waits;
    free(p);
}

void past_begin(struct engine *g)
{
    struct past *p = mem_new(struct past);
    p->g = g;
    if (!workers_submit(g->workers, look_back, on_looked_back, g->inbox, p))
        free(p);
}
