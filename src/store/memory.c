/*
 * The memory member: the same promises, kept until the program ends. It is the second opinion of
 * the conformance suite, and it can fail at a given call. Tables are arrays in key order.
 */
#include "store/query.h"
#include "store/store.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#include <pthread.h>
#include <stdatomic.h>

/* ------------------------------------------------------------------ tables */

struct table {
    void **records; /* each one block: the struct, then its texts and blobs */
    size_t count, room;
};

enum call { CALL_OPEN, CALL_CLAIM, CALL_LOAD, CALL_COMMIT, CALL_READ, CALL_COUNT };
static const char *const call_names[CALL_COUNT] = {"open", "claim", "load", "commit", "read"};

struct fault {
    enum err_code code;
    enum call call;
    int64_t from, upto;
};

struct store {
    pthread_rwlock_t lock; /* guards all of it; readers share it during a read */
    struct table tables[TABLE_COUNT];
    int64_t epoch, seq;
    bool claimed, broken;
    int version;
    struct fault faults[8];
    int fault_count;
    atomic_llong calls[CALL_COUNT];
};

struct store_reader {
    struct store *store;
};

static int compare(const struct table_desc *d, const void *a, const void *b)
{
    for (unsigned i = 0; i < d->keys; i++) {
        const struct column *c = &d->columns[i];
        const void *x = (const char *)a + c->offset, *y = (const char *)b + c->offset;
        int order;
        if (c->type == COLUMN_INT)
            order = (*(const int64_t *)x > *(const int64_t *)y) -
                    (*(const int64_t *)x < *(const int64_t *)y);
        else
            order = strcmp(*(const char *const *)x, *(const char *const *)y);
        if (order)
            return order;
    }
    return 0;
}

/* The first place whose record is not below KEY. */
static size_t place_of(const struct table *t, const struct table_desc *d, const void *key)
{
    size_t low = 0, high = t->count;
    if (high && compare(d, t->records[high - 1], key) < 0)
        return high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(d, t->records[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void *find(const struct table *t, const struct table_desc *d, const void *key)
{
    size_t i = place_of(t, d, key);
    return i < t->count && compare(d, t->records[i], key) == 0 ? t->records[i] : NULL;
}

static size_t extra_bytes(const struct column *c, const void *field)
{
    const char *text = c->type == COLUMN_TEXT ? *(const char *const *)field : NULL;
    if (c->type == COLUMN_BLOB)
        return ((const struct blob *)field)->len;
    return text && text[0] ? strlen(text) + 1 : 0;
}

static void *copy_record(const struct table_desc *d, const void *record)
{
    size_t size = d->size;
    for (unsigned i = 0; i < d->count; i++)
        size += extra_bytes(&d->columns[i], (const char *)record + d->columns[i].offset);

    char *copy = mem_alloc(1, size), *next = copy + d->size;
    memcpy(copy, record, d->size);
    for (unsigned i = 0; i < d->count; i++) {
        const struct column *c = &d->columns[i];
        void *field = copy + c->offset;
        size_t bytes = extra_bytes(c, field);
        if (c->type == COLUMN_TEXT)
            *(char **)field = bytes ? memcpy(next, *(char **)field, bytes) : NULL;
        else if (c->type == COLUMN_BLOB)
            ((struct blob *)field)->data =
                bytes ? memcpy(next, ((struct blob *)field)->data, bytes) : NULL;
        next += bytes;
    }
    return copy;
}

/* Puts RECORD (owned by the table from now on) in place of the one with its key; NULL takes that
 * one out. Gives the old one, owned by the caller, or NULL. */
static void *exchange(struct table *t, const struct table_desc *d, const void *key, void *record)
{
    size_t i = place_of(t, d, key);
    bool there = i < t->count && compare(d, t->records[i], key) == 0;
    void *old = there ? t->records[i] : NULL;
    if (there && record) {
        t->records[i] = record;
    } else if (there) {
        memmove(t->records + i, t->records + i + 1, (--t->count - i) * sizeof *t->records);
    } else if (record) {
        if (t->count == t->room) {
            t->room = t->room ? 2 * t->room : 64;
            t->records = mem_resize_array(t->records, t->room);
        }
        memmove(t->records + i + 1, t->records + i, (t->count++ - i) * sizeof *t->records);
        t->records[i] = record;
    }
    return old;
}

static void clear_table(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->records[i]);
    free(t->records);
    *t = (struct table){0};
}

/* ------------------------------------------------------------------ failing on purpose */

static int parse_fault(struct store *s, const char *text, struct err *e)
{
    static const struct {
        const char *word;
        enum err_code code;
    } kinds[] = {{"fail=", ERR_UNAVAILABLE}, {"full=", ERR_EXHAUSTED}, {"deposed=", ERR_CONFLICT}};
    struct fault *f = &s->faults[s->fault_count];
    const char *name = NULL, *at = strchr(text, '@');
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (text_starts_with(text, kinds[i].word)) {
            f->code = kinds[i].code;
            name = text + strlen(kinds[i].word);
        }
    for (int c = 0; name && at && c < CALL_COUNT; c++) {
        char *end;
        if (strlen(call_names[c]) != (size_t)(at - name) ||
            memcmp(call_names[c], name, (size_t)(at - name)) != 0)
            continue;
        f->call = (enum call)c;
        f->from = f->upto = strtoll(at + 1, &end, 10);
        if (*end == '-')
            f->upto = strtoll(end + 1, &end, 10);
        if (*end || f->from < 1 || s->fault_count == (int)COUNT_OF(s->faults) - 1)
            break;
        s->fault_count++;
        return 0;
    }
    return err_set(e, ERR_INVALID, "store 'memory:' cannot use '%s': it takes 'fail=commit@3'",
                   text);
}

static int count_call(struct store *s, enum call call, struct err *e)
{
    int64_t n = atomic_fetch_add(&s->calls[call], 1) + 1;
    for (int i = 0; i < s->fault_count; i++) {
        const struct fault *f = &s->faults[i];
        if (f->call == call && f->from <= n && n <= f->upto)
            return err_set(e, f->code, "the memory store was told to fail at %s %lld",
                           call_names[call], (long long)n);
    }
    return 0;
}

/* ------------------------------------------------------------------ the owner */

static void memory_close(struct store *s)
{
    if (!s)
        return;
    for (int t = 0; t < TABLE_COUNT; t++)
        clear_table(&s->tables[t]);
    pthread_rwlock_destroy(&s->lock);
    free(s);
}

static int memory_open(const char *where, struct store **ret, struct err *e)
{
    struct store *s = mem_new(struct store);
    pthread_rwlock_init(&s->lock, NULL);
    s->version = 1;
    auto_free char *all = mem_strdup(where);
    char *rest = all;
    int rc = 0;
    for (char *one; rc == 0 && (one = strsep(&rest, ","));)
        if (one[0])
            rc = parse_fault(s, one, e);
    if (rc < 0 || count_call(s, CALL_OPEN, e) < 0) {
        memory_close(s);
        return -1;
    }
    *ret = s;
    return 0;
}

static int memory_claim(struct store *s, int64_t *ret_epoch, int64_t *ret_seq, struct err *e)
{
    if (count_call(s, CALL_CLAIM, e) < 0)
        return -1;
    pthread_rwlock_wrlock(&s->lock);
    int rc = 0;
    if (s->version != 1) {
        rc = err_set(e, ERR_CONFLICT, "the memory store has schema %d, this program needs 1",
                     s->version);
    } else {
        s->claimed = true;
        *ret_epoch = ++s->epoch;
        *ret_seq = s->seq;
    }
    pthread_rwlock_unlock(&s->lock);
    return rc;
}

static void without_cold(const struct table_desc *d, void *record)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->columns[i].cold)
            *(const char **)((char *)record + d->columns[i].offset) = NULL;
}

static int memory_load(struct store *s, enum table_id table, store_on_row on_row, void *arg,
                       struct err *e)
{
    if (count_call(s, CALL_LOAD, e) < 0)
        return -1;
    const struct table_desc *d = &table_descs[table];
    int rc = 0;
    pthread_rwlock_rdlock(&s->lock);
    for (size_t i = 0; rc == 0 && i < s->tables[table].count; i++) {
        union any_row record;
        memcpy(&record, s->tables[table].records[i], d->size);
        without_cold(d, &record);
        rc = on_row(arg, table, &record) ? -1 : 0;
    }
    pthread_rwlock_unlock(&s->lock);
    return rc;
}

/* ------------------------------------------------------------------ committing */

/* What a step replaced, to take it back. */
struct undo {
    enum table_id table;
    void *key;    /* where; NULL: OLD says it */
    void *record; /* what was there, or NULL */
    struct undo *next;
};

static void change(struct store *s, enum table_id table, const void *key, void *record,
                   struct undo **undo)
{
    const struct table_desc *d = &table_descs[table];
    struct undo *u = mem_new(struct undo);
    u->table = table;
    u->record = exchange(&s->tables[table], d, key, record);
    u->key = u->record ? NULL : record; /* the record we put has the key, too */
    u->next = *undo;
    *undo = u;
}

static void take_back(struct store *s, struct undo *u)
{
    const struct table_desc *d = &table_descs[u->table];
    if (u->record)
        free(exchange(&s->tables[u->table], d, u->record, u->record));
    else if (u->key)
        free(exchange(&s->tables[u->table], d, u->key, NULL));
}

static int write_row(struct store *s, const struct row *row, struct undo **undo, struct err *e)
{
    const struct table_desc *d = &table_descs[row->table];
    if (row->op == ROW_PUT) {
        change(s, row->table, row->record, copy_record(d, row->record), undo);
        return 0;
    }
    if (row->op == ROW_MOVE) {
        const void *old = find(&s->tables[row->table], d, row->record);
        if (!old)
            return err_set(e, ERR_INTERNAL, "there is no such %s to move to %s", d->name,
                           table_descs[row->to].name);
        void *moved = copy_record(d, old);
        change(s, row->to, moved, moved, undo);
    }
    change(s, row->table, row->record, NULL, undo);
    return 0;
}

static int commit_locked(struct store *s, const struct batch *b, struct err *e)
{
    if (s->broken || !s->claimed)
        return err_set(e, ERR_INTERNAL, "the memory store %s",
                       s->broken ? "has failed before" : "was not claimed");
    if (b->epoch != s->epoch || b->seq != s->seq + 1)
        return err_set(e, ERR_CONFLICT,
                       "batch %lld of epoch %lld is not the next one: another owner has taken over",
                       (long long)b->seq, (long long)b->epoch);
    int rc = 0;
    struct undo *undo = NULL;
    for (const struct row *row = b->first; rc == 0 && row; row = row->next)
        rc = write_row(s, row, &undo, e);
    for (struct undo *next; undo; undo = next) {
        next = undo->next;
        if (rc < 0)
            take_back(s, undo);
        else
            free(undo->record);
        free(undo);
    }
    if (rc == 0)
        s->seq = b->seq;
    return rc;
}

static int memory_commit(struct store *s, const struct batch *b, struct err *e)
{
    struct err why = {0};
    pthread_rwlock_wrlock(&s->lock);
    int rc = count_call(s, CALL_COMMIT, &why);
    if (rc == 0)
        rc = commit_locked(s, b, &why);
    if (rc < 0 && why.code != ERR_EXHAUSTED && why.code != ERR_CONFLICT)
        s->broken = true;
    pthread_rwlock_unlock(&s->lock);
    if (rc < 0 && e)
        *e = why;
    return rc;
}

/* ------------------------------------------------------------------ reading */

/* A question as a walk over one table, or over two that are merged by key. */
struct walk {
    const struct table *tables[2];
    enum table_id ids[2];
    union any_row low;  /* the first key; its columns behind the key are not looked at */
    union any_row high; /* the last one */
    bool down;
};

static void walk_one(struct walk *w, struct store *s, enum table_id table)
{
    w->tables[0] = &s->tables[table];
    w->ids[0] = table;
}

static void walk_two(struct walk *w, struct store *s, enum table_id open, enum table_id ended)
{
    walk_one(w, s, open);
    w->tables[1] = &s->tables[ended];
    w->ids[1] = ended;
}

/* The least key above, or the greatest below, a number that may be the last one there is. */
static int64_t above(int64_t n)
{
    return n == INT64_MAX ? n : n + 1;
}

static int64_t below(int64_t n)
{
    return n ? n - 1 : INT64_MAX;
}

static void plan_walk(struct walk *w, struct store *s, const struct store_query *q)
{
    switch (q->id) {
    case QUERY_JOBS:
        walk_one(w, s, TABLE_ID_JOB);
        w->low.job.id = q->from;
        w->high.job.id = q->upto;
        w->down = true;
        break;
    case QUERY_HISTORY:
        walk_one(w, s, TABLE_ID_JOB_HISTORY);
        w->low.job_history.id = INT64_MIN;
        w->high.job_history.id = below(q->before);
        w->down = true;
        break;
    case QUERY_JOB_HISTORY:
        walk_one(w, s, TABLE_ID_JOB_HISTORY);
        w->low.job_history.id = w->high.job_history.id = q->key;
        break;
    case QUERY_JOB:
        walk_two(w, s, TABLE_ID_JOB, TABLE_ID_JOB_SPEC);
        w->low.job.id = w->high.job.id = q->key;
        break;
    case QUERY_ATTEMPTS:
        walk_two(w, s, TABLE_ID_ATTEMPT, TABLE_ID_ATTEMPT_HISTORY);
        w->low.attempt = (struct attempt_row){.job = q->key, .n = INT64_MIN};
        w->high.attempt = (struct attempt_row){.job = q->key, .n = INT64_MAX};
        break;
    case QUERY_PARTS:
        walk_two(w, s, TABLE_ID_PART, TABLE_ID_PART_HISTORY);
        w->low.part = (struct part_row){.job = q->key, .n = INT64_MIN, .part = INT64_MIN};
        w->high.part = (struct part_row){.job = q->key, .n = INT64_MAX, .part = INT64_MAX};
        break;
    case QUERY_NOTES:
        walk_one(w, s, TABLE_ID_ATTEMPT_NOTE);
        w->low.attempt_note =
            (struct attempt_note_row){.job = q->key, .kind = q->kind, .n = INT64_MIN};
        w->high.attempt_note =
            (struct attempt_note_row){.job = q->key, .kind = q->kind, .n = INT64_MAX};
        break;
    case QUERY_LEDGER:
        walk_one(w, s, TABLE_ID_LEDGER);
        w->low.ledger.seq = above(q->after);
        w->high.ledger.seq = q->upto ? q->upto : INT64_MAX;
        break;
    case QUERY_LEDGER_NEWEST:
        walk_one(w, s, TABLE_ID_LEDGER);
        w->low.ledger.seq = INT64_MIN;
        w->high.ledger.seq = below(q->before);
        w->down = true;
        break;
    case QUERY_DEVICE_TIME:
        walk_one(w, s, TABLE_ID_DEVICE_TIME);
        w->low.device_time = (struct device_time_row){.device = q->key ? q->key : INT64_MIN,
                                                      .day = q->key ? q->from : INT64_MIN};
        w->high.device_time = (struct device_time_row){.device = q->key ? q->key : INT64_MAX,
                                                       .day = q->key ? q->upto : INT64_MAX};
        break;
    case QUERY_SEGMENTS:
        walk_one(w, s, TABLE_ID_LEDGER_SEGMENT);
        w->low.ledger_segment.first_seq = above(q->after);
        w->high.ledger_segment.first_seq = INT64_MAX;
        break;
    case QUERY_TOKENS:
        walk_one(w, s, TABLE_ID_TOKEN);
        w->low.token.id = above(q->after);
        w->high.token.id = INT64_MAX;
        break;
    case QUERY_ENROLMENTS:
        walk_one(w, s, TABLE_ID_ENROLMENT);
        w->low.enrolment.id = above(q->after);
        w->high.enrolment.id = INT64_MAX;
        break;
    case QUERY_SNAPSHOTS:
        walk_one(w, s, TABLE_ID_SNAPSHOT);
        w->low.snapshot.seq = INT64_MIN;
        w->high.snapshot.seq = below(q->before);
        w->down = true;
        break;
    case QUERY_SNAPSHOT_PARTS:
        walk_one(w, s, TABLE_ID_SNAPSHOT_PART);
        w->low.snapshot_part = (struct snapshot_part_row){.seq = q->key, .part = INT64_MIN};
        w->high.snapshot_part = (struct snapshot_part_row){.seq = q->key, .part = INT64_MAX};
        break;
    case QUERY_COUNT:
        break;
    }
}

static bool is_owner(struct store *s, const struct store_query *q)
{
    if (!q->principal || (q->id != QUERY_ATTEMPTS && q->id != QUERY_PARTS && q->id != QUERY_NOTES))
        return true;
    const struct job_row *open =
        find(&s->tables[TABLE_ID_JOB], &table_descs[TABLE_ID_JOB], &(struct job_row){.id = q->key});
    if (!open)
        open = find(&s->tables[TABLE_ID_JOB_SPEC], &table_descs[TABLE_ID_JOB_SPEC],
                    &(struct job_row){.id = q->key});
    if (open)
        return open->principal == q->principal;
    const struct job_history_row *ended =
        find(&s->tables[TABLE_ID_JOB_HISTORY], &table_descs[TABLE_ID_JOB_HISTORY],
             &(struct job_history_row){.id = q->key});
    return ended && ended->principal == q->principal;
}

static int deliver(struct store *s, const struct store_query *q, enum table_id table,
                   const void *record, int64_t *left, store_on_row on_row, void *arg)
{
    const struct device_time_row *time = record;
    if (!query_lets_through(q, table, record) ||
        (table == TABLE_ID_DEVICE_TIME && (time->day < q->from || time->day > q->upto)))
        return 0;
    (*left)--;
    if (on_row(arg, table, record))
        return -1;
    if (q->id != QUERY_HISTORY)
        return 0;
    struct job_spec_row key = {.id = ((const struct job_history_row *)record)->id};
    const void *spec = find(&s->tables[TABLE_ID_JOB_SPEC], &table_descs[TABLE_ID_JOB_SPEC], &key);
    return spec && on_row(arg, TABLE_ID_JOB_SPEC, spec) ? -1 : 0;
}

static int walk_up(struct store *s, const struct walk *w, const struct store_query *q,
                   store_on_row on_row, void *arg)
{
    const struct table_desc *d = &table_descs[w->ids[0]];
    size_t at[2] = {0};
    for (int i = 0; i < 2 && w->tables[i]; i++)
        at[i] = place_of(w->tables[i], d, &w->low);
    for (int64_t left = q->limit; left > 0;) {
        const void *next = NULL;
        int from = 0;
        for (int i = 0; i < 2 && w->tables[i]; i++) {
            const void *record = at[i] < w->tables[i]->count ? w->tables[i]->records[at[i]] : NULL;
            if (record && (!next || compare(d, record, next) < 0)) {
                next = record;
                from = i;
            }
        }
        if (!next || compare(d, next, &w->high) > 0)
            return 0;
        at[from]++;
        if (deliver(s, q, w->ids[from], next, &left, on_row, arg) < 0)
            return -1;
    }
    return 0;
}

static int walk_down(struct store *s, const struct walk *w, const struct store_query *q,
                     store_on_row on_row, void *arg)
{
    const struct table *t = w->tables[0];
    const struct table_desc *d = &table_descs[w->ids[0]];
    size_t at = place_of(t, d, &w->high);
    if (at < t->count && compare(d, t->records[at], &w->high) == 0)
        at++;
    int64_t left = q->limit, looks = q->looks ? q->looks : INT64_MAX, stopped = 0;
    while (!stopped && at > 0) {
        const void *record = t->records[--at];
        if (compare(d, record, &w->low) < 0)
            break;
        if (deliver(s, q, w->ids[0], record, &left, on_row, arg) < 0)
            return -1;
        if (!left || !--looks)
            stopped = record_int(d, record, 0);
    }
    if (q->ret_stopped)
        *q->ret_stopped = stopped;
    return 0;
}

static int memory_read(struct store_reader *r, const struct store_query *q, store_on_row on_row,
                       void *arg, struct err *e)
{
    struct store *s = r->store;
    struct walk w = {0};
    if (query_check(q, e) < 0 || count_call(s, CALL_READ, e) < 0)
        return -1;
    pthread_rwlock_rdlock(&s->lock);
    plan_walk(&w, s, q);
    int rc = 0;
    if (is_owner(s, q))
        rc = w.down ? walk_down(s, &w, q, on_row, arg) : walk_up(s, &w, q, on_row, arg);
    pthread_rwlock_unlock(&s->lock);
    return rc;
}

static int memory_reader_open(struct store *s, struct store_reader **ret, struct err *e)
{
    (void)e;
    struct store_reader *r = mem_new(struct store_reader);
    r->store = s;
    *ret = r;
    return 0;
}

static void memory_reader_close(struct store_reader *r)
{
    free(r);
}

/* ------------------------------------------------------------------ upkeep */

static int memory_migrate(struct store *s, int version, struct err *e)
{
    if (version < -1 || version > 1)
        return err_set(e, ERR_INVALID, "there is no schema %d: it can be 0..1", version);
    pthread_rwlock_wrlock(&s->lock);
    int rc = 0;
    if (s->claimed)
        rc = err_set(e, ERR_CONFLICT, "the memory store is in use: its schema cannot change now");
    else
        s->version = version ? 1 : 0;
    for (int t = 0; rc == 0 && version == 0 && t < TABLE_COUNT; t++)
        clear_table(&s->tables[t]);
    if (rc == 0 && version == 0)
        s->epoch = s->seq = 0;
    pthread_rwlock_unlock(&s->lock);
    return rc;
}

static int memory_backup(struct store *s, const char *path, struct err *e)
{
    (void)s;
    return err_set(e, ERR_UNPROCESSABLE,
                   "the memory store cannot be copied to '%s': it ends with the program", path);
}

static int memory_segment_drop(struct store *s, int64_t first_seq, struct err *e)
{
    struct ledger_segment_row key = {.first_seq = first_seq};
    struct table *ledger = &s->tables[TABLE_ID_LEDGER];
    pthread_rwlock_wrlock(&s->lock);
    const struct ledger_segment_row *segment =
        find(&s->tables[TABLE_ID_LEDGER_SEGMENT], &table_descs[TABLE_ID_LEDGER_SEGMENT], &key);
    int rc = segment ? 0
                     : err_set(e, ERR_NOT_FOUND, "no closed ledger segment begins with row %lld",
                               (long long)first_seq);
    for (int64_t seq = segment ? segment->last_seq : 0; seq && seq >= first_seq; seq--)
        free(exchange(ledger, &table_descs[TABLE_ID_LEDGER], &(struct ledger_row){.seq = seq},
                      NULL));
    pthread_rwlock_unlock(&s->lock);
    return rc;
}

static int memory_stats(struct store *s, struct store_stats *ret, struct err *e)
{
    (void)s, (void)e;
    *ret = (struct store_stats){.file_bytes = 0, .free_bytes = INT64_MAX};
    return 0;
}

const struct store_ops store_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .claim = memory_claim,
    .load = memory_load,
    .commit = memory_commit,
    .reader_open = memory_reader_open,
    .reader_close = memory_reader_close,
    .read = memory_read,
    .migrate = memory_migrate,
    .backup = memory_backup,
    .segment_drop = memory_segment_drop,
    .stats = memory_stats,
};
