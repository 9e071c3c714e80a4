#include "api/job_rows.h"

#include "base/mem.h"

static const char *kept(const char *text)
{
    return text ? mem_strdup(text) : NULL;
}

void job_rows_keep_spec(struct job_rows *r, enum table_id table, const struct job_spec_row *spec)
{
    if (r->has_spec)
        return;
    r->has_spec = true;
    r->is_open = table == TABLE_ID_JOB;
    r->spec = *spec;
    r->spec.team = kept(spec->team);
    r->spec.name = kept(spec->name);
    r->spec.spec = kept(spec->spec);
}

void job_rows_keep_history(struct job_rows *r, const struct job_history_row *history)
{
    if (r->has_history)
        return;
    r->has_history = true;
    r->history = *history;
    r->history.team = kept(history->team);
    r->history.reason_text = kept(history->reason_text);
}

void job_rows_done(struct job_rows *r)
{
    const char *texts[] = {r->spec.team, r->spec.name, r->spec.spec, r->history.team,
                           r->history.reason_text};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        free((char *)texts[i]);
    *r = (struct job_rows){0};
}

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct job_rows *r = arg;
    if (table == TABLE_ID_JOB_HISTORY)
        job_rows_keep_history(r, record);
    else /* struct job_row has the same columns: the table is defined as JOB's */
        job_rows_keep_spec(r, table, record);
    return 0;
}

static int read_one(const struct store_ops *ops, struct store_reader *r, enum store_query_id id,
                    int64_t job, struct job_rows *ret, struct err *e)
{
    struct store_query q = {.id = id, .key = job, .limit = 1};
    return ops->read(r, &q, on_row, ret, e);
}

int job_rows_read_spec(const struct store_ops *ops, struct store_reader *r, int64_t job,
                       struct job_rows *ret, struct err *e)
{
    return read_one(ops, r, QUERY_JOB, job, ret, e);
}

int job_rows_read_history(const struct store_ops *ops, struct store_reader *r, int64_t job,
                          struct job_rows *ret, struct err *e)
{
    return read_one(ops, r, QUERY_JOB_HISTORY, job, ret, e);
}
