/*
 * Readers of the sqlite member. A question is a walk along the key of one table, or of two that
 * hold the same rows before and after they ended. What is no range (state, team, kind, owner) is
 * looked at here, row by row, and not by SQLite: so we always know how far the walk came, and it
 * can let its snapshot go and take another.
 */
#include "store/sqlite_inside.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

enum { ARGS = 5, LOOK_AT_CLOCK = 64 };

struct store_reader {
    struct store *store;
    sqlite3 *db;
    sqlite3_stmt *begin, *end;
    sqlite3_stmt *walks[QUERY_COUNT], *walks_by[QUERY_COUNT]; /* BY: through the other index */
    sqlite3_stmt *job, *job_spec, *owner;
};

/* One walk. FROM..: parameters ?1.., moved behind each row. */
struct walk {
    enum table_id table, ended; /* the same for one table */
    const char *where;          /* and the order */
    const char *where_by;       /* when asked for a principal's history or a subject's rows */
    void (*start)(const struct store_query *q, int64_t args[ARGS]);
    void (*pass)(const void *record, int64_t args[ARGS]);
};

static void jobs_start(const struct store_query *q, int64_t args[ARGS])
{
    args[0] = q->from;
    args[1] = q->upto;
}

static void jobs_pass(const void *record, int64_t args[ARGS])
{
    args[1] = ((const struct job_row *)record)->id - 1;
}

static void history_start(const struct store_query *q, int64_t args[ARGS])
{
    args[0] = q->before ? q->before : INT64_MAX;
    args[1] = q->principal;
}

static void history_pass(const void *record, int64_t args[ARGS])
{
    args[0] = ((const struct job_history_row *)record)->id;
}

static void of_job_start(const struct store_query *q, int64_t args[ARGS])
{
    args[0] = q->key;
    args[1] = args[2] = INT64_MIN;
}

static void attempts_pass(const void *record, int64_t args[ARGS])
{
    args[1] = ((const struct attempt_row *)record)->n;
}

static void parts_pass(const void *record, int64_t args[ARGS])
{
    args[1] = ((const struct part_row *)record)->n;
    args[2] = ((const struct part_row *)record)->part;
}

static void notes_start(const struct store_query *q, int64_t args[ARGS])
{
    args[0] = q->key;
    args[1] = q->kind;
    args[2] = INT64_MIN;
}

static void notes_pass(const void *record, int64_t args[ARGS])
{
    args[2] = ((const struct attempt_note_row *)record)->n;
}

static void ledger_start(const struct store_query *q, int64_t args[ARGS])
{
    args[0] = q->after;
    args[1] = q->upto ? q->upto : INT64_MAX;
    args[2] = q->subject;
}

static void ledger_pass(const void *record, int64_t args[ARGS])
{
    args[0] = ((const struct ledger_row *)record)->seq;
}

static void newest_start(const struct store_query *q, int64_t args[ARGS])
{
    args[0] = q->before ? q->before : INT64_MAX;
    args[1] = q->subject;
}

static void device_time_start(const struct store_query *q, int64_t args[ARGS])
{
    args[0] = q->from;
    args[1] = q->upto;
    args[2] = q->key ? q->key : INT64_MIN;
    args[3] = INT64_MIN;
    args[4] = q->key ? q->key : INT64_MAX;
}

static void device_time_pass(const void *record, int64_t args[ARGS])
{
    args[2] = ((const struct device_time_row *)record)->device;
    args[3] = ((const struct device_time_row *)record)->day;
}

static void after_start(const struct store_query *q, int64_t args[ARGS])
{
    args[0] = q->after;
}

static void segments_pass(const void *record, int64_t args[ARGS])
{
    args[0] = ((const struct ledger_segment_row *)record)->first_seq;
}

static void tokens_pass(const void *record, int64_t args[ARGS])
{
    args[0] = ((const struct token_row *)record)->id;
}

static void enrolments_pass(const void *record, int64_t args[ARGS])
{
    args[0] = ((const struct enrolment_row *)record)->id;
}

static void before_start(const struct store_query *q, int64_t args[ARGS])
{
    args[0] = q->before ? q->before : INT64_MAX;
}

static void snapshots_pass(const void *record, int64_t args[ARGS])
{
    args[0] = ((const struct snapshot_row *)record)->seq;
}

static void snapshot_parts_pass(const void *record, int64_t args[ARGS])
{
    args[1] = ((const struct snapshot_part_row *)record)->part;
}

#define ONE(id) TABLE_ID_##id, TABLE_ID_##id
#define TWO(id) TABLE_ID_##id, TABLE_ID_##id##_HISTORY

/* clang-format off */
static const struct walk walks[QUERY_COUNT] = {
    [QUERY_JOBS] = {ONE(JOB), "WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC", NULL,
                    jobs_start, jobs_pass},
    [QUERY_HISTORY] = {ONE(JOB_HISTORY), "WHERE id < ?1 ORDER BY id DESC",
                       "WHERE principal = ?2 AND id < ?1 ORDER BY id DESC",
                       history_start, history_pass},
    [QUERY_ATTEMPTS] = {TWO(ATTEMPT), "WHERE job = ?1 AND n > ?2", NULL,
                        of_job_start, attempts_pass},
    [QUERY_PARTS] = {TWO(PART), "WHERE job = ?1 AND (n, part) > (?2, ?3)", NULL,
                     of_job_start, parts_pass},
    [QUERY_NOTES] = {ONE(ATTEMPT_NOTE), "WHERE job = ?1 AND kind = ?2 AND n > ?3 ORDER BY n", NULL,
                     notes_start, notes_pass},
    [QUERY_LEDGER] = {ONE(LEDGER), "WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
                      "WHERE subject = ?3 AND seq > ?1 AND seq <= ?2 ORDER BY seq",
                      ledger_start, ledger_pass},
    [QUERY_LEDGER_NEWEST] = {ONE(LEDGER), "WHERE seq < ?1 ORDER BY seq DESC",
                             "WHERE subject = ?2 AND seq < ?1 ORDER BY seq DESC",
                             newest_start, ledger_pass},
    [QUERY_DEVICE_TIME] = {ONE(DEVICE_TIME),
                           "WHERE (device, day) > (?3, ?4) AND device <= ?5 AND day BETWEEN ?1 AND ?2"
                           " ORDER BY device, day", NULL,
                           device_time_start, device_time_pass},
    [QUERY_SEGMENTS] = {ONE(LEDGER_SEGMENT), "WHERE first_seq > ?1 ORDER BY first_seq", NULL,
                        after_start, segments_pass},
    [QUERY_TOKENS] = {ONE(TOKEN), "WHERE id > ?1 ORDER BY id", NULL, after_start, tokens_pass},
    [QUERY_ENROLMENTS] = {ONE(ENROLMENT), "WHERE id > ?1 ORDER BY id", NULL,
                          after_start, enrolments_pass},
    [QUERY_SNAPSHOTS] = {ONE(SNAPSHOT), "WHERE seq < ?1 ORDER BY seq DESC", NULL,
                         before_start, snapshots_pass},
    [QUERY_SNAPSHOT_PARTS] = {ONE(SNAPSHOT_PART), "WHERE seq = ?1 AND part > ?2 ORDER BY part", NULL,
                              of_job_start, snapshot_parts_pass},
};
/* clang-format on */

static void select_from(struct text *t, enum table_id table, const char *where)
{
    /* The last column says which of two tables it was. */
    text_add(t, "SELECT ");
    sql_columns(t, table, true);
    text_addf(t, ", %d FROM %s %s", (int)table, table_descs[table].name, where);
}

static int prepare_walk(struct store_reader *r, const struct walk *w, const char *where,
                        sqlite3_stmt **stmt, struct err *e)
{
    auto_text struct text sql = {0};
    select_from(&sql, w->table, where);
    if (w->ended != w->table) {
        text_add(&sql, " UNION ALL ");
        select_from(&sql, w->ended, where);
        sql_by_key(&sql, w->table);
    }
    return sqlite_prepare(r->db, text_get(&sql), stmt, e);
}

static int prepare_point(struct store_reader *r, enum table_id table, sqlite3_stmt **stmt,
                         struct err *e)
{
    if (*stmt)
        return 0;
    auto_text struct text sql = {0};
    select_from(&sql, table, "WHERE id = ?1");
    return sqlite_prepare(r->db, text_get(&sql), stmt, e);
}

static int snapshot_begin(struct store_reader *r, struct err *e)
{
    pthread_rwlock_rdlock(&r->store->gate);
    if (sqlite3_step(r->begin) == SQLITE_DONE) {
        sqlite3_reset(r->begin);
        return 0;
    }
    sqlite_fail(r->db, "read", e);
    sqlite3_reset(r->begin);
    pthread_rwlock_unlock(&r->store->gate);
    return -1;
}

static void snapshot_end(struct store_reader *r)
{
    sqlite3_step(r->end); /* ends a read transaction: cannot fail */
    sqlite3_reset(r->end);
    pthread_rwlock_unlock(&r->store->gate);
}

/* Delivers the record with this id if there is one and the query lets it through: 1, else 0. */
static int deliver_point(struct store_reader *r, sqlite3_stmt *stmt, enum table_id table,
                         const struct store_query *q, int64_t id, store_on_row on_row, void *arg,
                         struct err *e)
{
    union any_row record;
    sqlite3_bind_int64(stmt, 1, id);
    int rc = sqlite3_step(stmt), ret = 0;
    if (rc == SQLITE_ROW) {
        sqlite_record(stmt, 0, &table_descs[table], true, &record);
        if (query_lets_through(q, table, &record))
            ret = on_row(arg, table, &record) ? -1 : 1;
    } else if (rc != SQLITE_DONE) {
        ret = sqlite_fail(r->db, "read", e);
    }
    sqlite3_reset(stmt);
    return ret;
}

/* Whether the job of this query is the principal's. 1: yes. */
static int is_owner(struct store_reader *r, const struct store_query *q, struct err *e)
{
    static const char sql[] = "SELECT 1 FROM job WHERE id = ?1 AND principal = ?2 UNION ALL "
                              "SELECT 1 FROM job_spec WHERE id = ?1 AND principal = ?2 UNION ALL "
                              "SELECT 1 FROM job_history WHERE id = ?1 AND principal = ?2";
    if (!q->principal)
        return 1;
    if (!r->owner && sqlite_prepare(r->db, sql, &r->owner, e) < 0)
        return -1;
    sqlite3_bind_int64(r->owner, 1, q->key);
    sqlite3_bind_int64(r->owner, 2, q->principal);
    int rc = sqlite3_step(r->owner);
    int ret = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : sqlite_fail(r->db, "read", e);
    sqlite3_reset(r->owner);
    return ret;
}

struct progress {
    int64_t args[ARGS];
    int64_t left;  /* rows to deliver */
    int64_t looks; /* rows to look at */
    int64_t slice_ends, ends;
    bool done;
};

/* One snapshot's worth of a walk. */
static int walk_slice(struct store_reader *r, const struct walk *w, sqlite3_stmt *stmt,
                      const struct store_query *q, struct progress *p, store_on_row on_row,
                      void *arg, struct err *e)
{
    const struct table_desc *d = &table_descs[w->table];
    union any_row record;
    for (int i = 0; i < sqlite3_bind_parameter_count(stmt); i++)
        sqlite3_bind_int64(stmt, i + 1, p->args[i]);

    for (unsigned looked_at = 1;; looked_at++) {
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_DONE) {
            p->done = true;
            return 0;
        }
        if (rc != SQLITE_ROW)
            return sqlite_fail(r->db, "read", e);

        sqlite_record(stmt, 0, d, true, &record);
        enum table_id table = (enum table_id)sqlite3_column_int(stmt, d->count);
        w->pass(&record, p->args);
        if (query_lets_through(q, table, &record)) {
            if (on_row(arg, table, &record))
                return -1;
            if (q->id == QUERY_HISTORY && deliver_point(r, r->job_spec, TABLE_ID_JOB_SPEC, q,
                                                        record.job_history.id, on_row, arg, e) < 0)
                return -1;
            p->left--;
        }
        p->looks--;
        if (!p->left || !p->looks) {
            p->done = true;
            return 0;
        }
        if (looked_at % LOOK_AT_CLOCK == 0 && clock_mono_ms() >= p->slice_ends)
            return 0;
    }
}

static int walk_all(struct store_reader *r, const struct store_query *q, store_on_row on_row,
                    void *arg, struct err *e)
{
    const struct walk *w = &walks[q->id];
    bool by = w->where_by && (q->id == QUERY_HISTORY ? q->principal : q->subject);
    sqlite3_stmt **stmt = by ? &r->walks_by[q->id] : &r->walks[q->id];
    if (!*stmt && prepare_walk(r, w, by ? w->where_by : w->where, stmt, e) < 0)
        return -1;
    if (q->id == QUERY_HISTORY && prepare_point(r, TABLE_ID_JOB_SPEC, &r->job_spec, e) < 0)
        return -1;

    bool owned = q->id == QUERY_ATTEMPTS || q->id == QUERY_PARTS || q->id == QUERY_NOTES;
    struct progress p = {.left = q->limit,
                         .looks = q->looks ? q->looks : INT64_MAX,
                         .ends = clock_mono_ms() + READ_WHOLE_MS};
    w->start(q, p.args);
    while (!p.done) {
        p.slice_ends = clock_mono_ms() + READ_SLICE_MS;
        if (p.slice_ends > p.ends + READ_SLICE_MS)
            return err_set(e, ERR_TIMEOUT,
                           "too many rows to look through: ask for a smaller range");
        if (snapshot_begin(r, e) < 0)
            return -1;
        int rc = owned ? is_owner(r, q, e) : 1;
        if (rc > 0)
            rc = walk_slice(r, w, *stmt, q, &p, on_row, arg, e);
        else
            p.done = true;
        sqlite3_reset(*stmt);
        snapshot_end(r);
        if (rc < 0)
            return -1;
    }
    if (q->ret_stopped && q->id == QUERY_HISTORY)
        *q->ret_stopped = p.left && p.looks ? 0 : p.args[0];
    return 0;
}

/* A job by its id, first where open jobs are. */
static int read_job(struct store_reader *r, const struct store_query *q, store_on_row on_row,
                    void *arg, struct err *e)
{
    if (prepare_point(r, TABLE_ID_JOB, &r->job, e) < 0 ||
        prepare_point(r, TABLE_ID_JOB_SPEC, &r->job_spec, e) < 0 || snapshot_begin(r, e) < 0)
        return -1;
    int rc = deliver_point(r, r->job, TABLE_ID_JOB, q, q->key, on_row, arg, e);
    if (rc == 0)
        rc = deliver_point(r, r->job_spec, TABLE_ID_JOB_SPEC, q, q->key, on_row, arg, e);
    snapshot_end(r);
    return rc < 0 ? -1 : 0;
}

static int read_history_of(struct store_reader *r, const struct store_query *q, store_on_row on_row,
                           void *arg, struct err *e)
{
    sqlite3_stmt **stmt = &r->walks[QUERY_JOB_HISTORY];
    if (prepare_point(r, TABLE_ID_JOB_HISTORY, stmt, e) < 0 || snapshot_begin(r, e) < 0)
        return -1;
    int rc = deliver_point(r, *stmt, TABLE_ID_JOB_HISTORY, q, q->key, on_row, arg, e);
    snapshot_end(r);
    return rc < 0 ? -1 : 0;
}

int sqlite_read(struct store_reader *r, const struct store_query *q, store_on_row on_row, void *arg,
                struct err *e)
{
    if (query_check(q, e) < 0)
        return -1;
    if (q->id == QUERY_JOB)
        return read_job(r, q, on_row, arg, e);
    if (q->id == QUERY_JOB_HISTORY)
        return read_history_of(r, q, on_row, arg, e);
    return walk_all(r, q, on_row, arg, e);
}

int sqlite_reader_open(struct store *s, struct store_reader **ret, struct err *e)
{
    struct store_reader *r = mem_new(struct store_reader);
    r->store = s;
    if (sqlite_connect(s->path, true, &r->db, e) < 0 ||
        sqlite_prepare(r->db, "BEGIN", &r->begin, e) < 0 ||
        sqlite_prepare(r->db, "COMMIT", &r->end, e) < 0) {
        sqlite_reader_close(r);
        return -1;
    }
    *ret = r;
    return 0;
}

void sqlite_reader_close(struct store_reader *r)
{
    if (!r)
        return;
    sqlite3_finalize(r->begin);
    sqlite3_finalize(r->end);
    for (int i = 0; i < QUERY_COUNT; i++) {
        sqlite3_finalize(r->walks[i]);
        sqlite3_finalize(r->walks_by[i]);
    }
    sqlite3_finalize(r->job);
    sqlite3_finalize(r->job_spec);
    sqlite3_finalize(r->owner);
    sqlite3_close(r->db);
    free(r);
}
