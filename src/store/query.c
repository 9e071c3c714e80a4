#include "store/query.h"

#include <string.h>

int query_check(const struct store_query *q, struct err *e)
{
    if ((unsigned)q->id >= QUERY_COUNT)
        return err_set(e, ERR_INVALID, "there is no query number %d", (int)q->id);
    if (q->limit < 1 || q->limit > STORE_LIMIT)
        return err_set(e, ERR_INVALID, "limit %lld is not within 1..%d", (long long)q->limit,
                       STORE_LIMIT);
    if (q->before < 0 || q->after < 0 || q->upto < 0 || q->looks < 0)
        return err_set(e, ERR_INVALID, "a page cannot begin or end below 0");
    return 0;
}

static bool is_team(const char *wanted, const char *team)
{
    return !wanted || strcmp(wanted, team ? team : "") == 0;
}

bool query_lets_through(const struct store_query *q, enum table_id table, const void *record)
{
    switch (table) {
    case TABLE_ID_JOB:
    case TABLE_ID_JOB_SPEC: {
        const struct job_row *job = record;
        return !q->principal || job->principal == q->principal;
    }
    case TABLE_ID_JOB_HISTORY: {
        const struct job_history_row *job = record;
        if (q->principal && job->principal != q->principal)
            return false;
        return q->id != QUERY_HISTORY ||
               ((q->state < 0 || job->state == q->state) && is_team(q->team, job->team));
    }
    case TABLE_ID_LEDGER: {
        const struct ledger_row *row = record;
        if (q->principal && row->actor != q->principal && row->on_behalf != q->principal)
            return false;
        return (!q->subject || row->subject == q->subject) && (!q->kind || row->kind == q->kind);
    }
    case TABLE_ID_TOKEN: {
        const struct token_row *token = record;
        return !q->principal || token->principal == q->principal;
    }
    default:
        return true;
    }
}

int64_t record_int(const struct table_desc *d, const void *record, unsigned column)
{
    int64_t value;
    memcpy(&value, (const char *)record + d->columns[column].offset, sizeof value);
    return value;
}
