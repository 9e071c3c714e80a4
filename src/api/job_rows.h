/* Rows of jobs read from the store and kept beyond the call that delivered them. On a worker. */
#ifndef API_JOB_ROWS_H
#define API_JOB_ROWS_H

#include "store/store.h"

#include <stdbool.h>

/* All that the store has of one job beside its attempts. */
struct job_rows {
    bool has_spec, is_open; /* IS_OPEN: it stands among the open jobs */
    bool has_history;
    struct job_spec_row spec;
    struct job_history_row history;
};

/* Copies, with their texts. */
void job_rows_keep_spec(struct job_rows *r, enum table_id table, const struct job_spec_row *spec);
void job_rows_keep_history(struct job_rows *r, const struct job_history_row *history);
void job_rows_done(struct job_rows *r);

/* Not there is no error: nothing is set then. */
int job_rows_read_spec(const struct store_ops *ops, struct store_reader *r, int64_t job,
                       struct job_rows *ret, struct err *e);
int job_rows_read_history(const struct store_ops *ops, struct store_reader *r, int64_t job,
                          struct job_rows *ret, struct err *e);

#endif
