#include "api/job_rows.h"

#include "base/mem.h"

static const char *kept(const char *text)
{
    return text ? mem_strdup(text) : NULL;
}

void job_rows_keep_name(struct job_rows *r, enum table_id table, const struct job_spec_row *spec)
{
    if (r->has_spec)
        return;
    r->has_spec = true;
    r->is_open = table == TABLE_ID_JOB;
    r->spec = *spec;
    r->spec.team = kept(spec->team);
    r->spec.name = kept(spec->name);
    r->spec.selector = kept(spec->selector);
    r->spec.tolerations = kept(spec->tolerations);
    r->spec.spec = NULL;
}

void job_rows_keep_spec(struct job_rows *r, enum table_id table, const struct job_spec_row *spec)
{
    if (r->has_spec)
        return;
    job_rows_keep_name(r, table, spec);
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
    r->history.devices = kept(history->devices);
}

void job_rows_done(struct job_rows *r)
{
    if (!r->has_spec && !r->has_history)
        return;
    const char *texts[] = {r->spec.team,           r->spec.name,        r->spec.spec,
                           r->spec.selector,       r->spec.tolerations, r->history.team,
                           r->history.reason_text, r->history.devices};
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

/* ---- many ---- */

int64_t job_entry_id(const struct job_entry *en)
{
    return en->open ? en->open->id : en->rows.history.id;
}

struct gathering {
    struct job_entry **entries; /* ids fall */
    size_t count, at;
    bool with_spec;
};

static int on_record(void *arg, enum table_id table, const void *record)
{
    struct gathering *g = arg;
    const struct job_spec_row *spec = record;
    while (g->at < g->count && job_entry_id(g->entries[g->at]) > spec->id)
        g->at++;
    if (g->at == g->count || job_entry_id(g->entries[g->at]) != spec->id)
        return 0;
    struct job_rows *rows = &g->entries[g->at]->rows;
    if (g->with_spec)
        job_rows_keep_spec(rows, table, spec);
    else
        job_rows_keep_name(rows, table, spec);
    return 0;
}

static int by_falling_id(const void *a, const void *b)
{
    int64_t x = job_entry_id(*(struct job_entry *const *)a),
            y = job_entry_id(*(struct job_entry *const *)b);
    return (x < y) - (x > y);
}

/* Walking over so many rows that are not wanted costs less than another question. */
enum { GAP_MOST = 8 };

/* Those at the beginning that stand close together: how many. */
static size_t run_length(const struct gathering *g)
{
    size_t n = 1;
    while (n < g->count &&
           job_entry_id(g->entries[n - 1]) - job_entry_id(g->entries[n]) <= GAP_MOST)
        n++;
    return n;
}

int job_entries_read(const struct store_ops *ops, struct store_reader *r,
                     struct job_entry **entries, size_t count, bool with_spec, struct err *e)
{
    qsort(entries, count, sizeof *entries, by_falling_id);
    struct gathering g = {.entries = entries, .count = count, .with_spec = with_spec};
    for (size_t n; g.count; g.entries += n, g.count -= n) {
        n = run_length(&g);
        g.at = 0;
        struct store_query range = {.id = QUERY_JOBS,
                                    .from = job_entry_id(g.entries[n - 1]),
                                    .upto = job_entry_id(g.entries[0]),
                                    .limit = STORE_LIMIT};
        if (n > 1 && ops->read(r, &range, on_record, &g, e) < 0)
            return -1;
        for (size_t i = 0; i < n; i++) {
            /* One alone, or one that has ended since the snapshot. */
            struct store_query one = {
                .id = QUERY_JOB, .key = job_entry_id(g.entries[i]), .limit = 1};
            g.at = i;
            if (!g.entries[i]->rows.has_spec && ops->read(r, &one, on_record, &g, e) < 0)
                return -1;
        }
    }
    return 0;
}
