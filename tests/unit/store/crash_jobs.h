/* What batch N of the crash tests holds: N % 5 + 1 new jobs, the end of the first job of batch N -
 * 3, and a ledger row for each. */
#ifndef UNIT_STORE_CRASH_JOBS_H
#define UNIT_STORE_CRASH_JOBS_H

#include "record/batch.h"

#include <string.h>

static inline int64_t crash_jobs_count(int64_t batch)
{
    return batch % 5 + 1;
}

/* Large enough that the log is moved into the database while we are being killed. */
enum { CRASH_SPEC = 20000 };

static inline void crash_jobs_fill(struct batch *b, int64_t *ledger)
{
    static char spec[CRASH_SPEC + 1];
    memset(spec, 'x', CRASH_SPEC);
    struct ledger_row row = {.batch = b->seq, .time_ms = 1700000000000 + b->seq * 3600000};
    for (int64_t i = 0; i < crash_jobs_count(b->seq); i++) {
        struct job_row job = {.id = b->seq * 10 + i, .principal = 7, .name = "n", .spec = spec};
        batch_put(b, TABLE_ID_JOB, &job);
        row.seq = ++*ledger;
        row.subject = job.id;
        row.body = "{\"submitted\":true}";
        batch_put(b, TABLE_ID_LEDGER, &row);
    }
    if (b->seq <= 3)
        return;
    struct job_row key = {.id = (b->seq - 3) * 10};
    struct job_history_row end = {.id = key.id, .principal = 7, .state = 3};
    batch_move(b, TABLE_ID_JOB, TABLE_ID_JOB_SPEC, &key);
    batch_put(b, TABLE_ID_JOB_HISTORY, &end);
    row.seq = ++*ledger;
    row.subject = key.id;
    row.body = "{\"ended\":true}";
    batch_put(b, TABLE_ID_LEDGER, &row);
}

#endif
