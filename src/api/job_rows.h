/* Rows of jobs read from the store and kept beyond the call that delivered them. On a worker. */
#ifndef API_JOB_ROWS_H
#define API_JOB_ROWS_H

#include "core/fleet/fleet.h"
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
/* The same without the spec itself, the longest of them. */
void job_rows_keep_name(struct job_rows *r, enum table_id table, const struct job_spec_row *spec);
void job_rows_keep_history(struct job_rows *r, const struct job_history_row *history);
void job_rows_done(struct job_rows *r);

/* Not there is no error: nothing is set then. */
int job_rows_read_spec(const struct store_ops *ops, struct store_reader *r, int64_t job,
                       struct job_rows *ret, struct err *e);
int job_rows_read_history(const struct store_ops *ops, struct store_reader *r, int64_t job,
                          struct job_rows *ret, struct err *e);

/* A job of a list: open, as the snapshot has it, or (NULL) ended, and ROWS has it. */
struct job_entry {
    const struct job *open;
    struct job_rows rows;
};
int64_t job_entry_id(const struct job_entry *en);

/* The record as submitted of each of these open jobs, at most STORE_LIMIT / 10 of them, whose order
 * is changed. WITH_SPEC: not only with the name. None is there for a job that was deleted since. */
int job_entries_read(const struct store_ops *ops, struct store_reader *r,
                     struct job_entry **entries, size_t count, bool with_spec, struct err *e);

#endif
