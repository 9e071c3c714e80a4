#include "store/ledger.h"

#include "base/mem.h"

#include <string.h>

#define DAY_MS        ((int64_t)86400000)
#define SEGMENT_BYTES ((int64_t)1 << 30)

enum {
    ROW_BYTES = 160, /* of a row beside its body, with what the index takes */
    PAGE_ROWS = STORE_LIMIT,
};

/* ------------------------------------------------------------------ hashes */

static unsigned char *put_int(unsigned char *p, int64_t value)
{
    for (int i = 0; i < 8; i++)
        *p++ = (unsigned char)((uint64_t)value >> (8 * i));
    return p;
}

struct digest ledger_row_hash(const struct digest *previous, const struct ledger_row *row,
                              const struct digest *body_hash)
{
    unsigned char all[DIGEST_SIZE + 7 * 8 + DIGEST_SIZE], *p = all;
    const int64_t fixed[] = {row->seq,     row->batch, row->time_ms,  row->kind,
                             row->subject, row->actor, row->on_behalf};
    memcpy(p, previous->bytes, DIGEST_SIZE);
    p += DIGEST_SIZE;
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        p = put_int(p, fixed[i]);
    memcpy(p, body_hash->bytes, DIGEST_SIZE);
    return digest_of(all, sizeof all);
}

struct digest ledger_body_hash(const char *body)
{
    return digest_of(body ? body : "", body ? strlen(body) : 0);
}

/* ------------------------------------------------------------------ writing */

static int64_t day_of(int64_t time_ms)
{
    return time_ms / DAY_MS;
}

/* The segment ends before ROW: puts its head. */
static void close_segment(struct ledger_tail *t, struct batch *b, const struct ledger_row *row)
{
    struct ledger_segment_row segment = {
        .first_seq = t->segment_first,
        .last_seq = t->seq,
        .closed_ms = row->time_ms,
        .head = {t->head.bytes, DIGEST_SIZE},
    };
    batch_put(b, TABLE_ID_LEDGER_SEGMENT, &segment);
    t->segment_first = 0;
}

static int seal_row(struct ledger_tail *t, struct batch *b, struct ledger_row *row, struct err *e)
{
    if (row->hash.len == DIGEST_SIZE && row->body_hash.len == DIGEST_SIZE && row->seq <= t->seq)
        return 0;
    if (row->seq != t->seq + 1)
        return err_set(e, ERR_INTERNAL, "ledger row %lld was to follow row %lld",
                       (long long)row->seq, (long long)t->seq);

    if (t->segment_first &&
        (day_of(row->time_ms) != day_of(t->segment_time_ms) || t->segment_bytes >= SEGMENT_BYTES))
        close_segment(t, b, row);
    if (!t->segment_first) {
        t->segment_first = row->seq;
        t->segment_time_ms = row->time_ms;
        t->segment_bytes = 0;
    }

    struct digest *hashes = batch_memory(b, 2 * sizeof *hashes);
    hashes[0] = ledger_body_hash(row->body);
    hashes[1] = ledger_row_hash(&t->head, row, &hashes[0]);
    row->body_hash = (struct blob){hashes[0].bytes, DIGEST_SIZE};
    row->hash = (struct blob){hashes[1].bytes, DIGEST_SIZE};
    t->head = hashes[1];
    t->seq = row->seq;
    t->batch = row->batch;
    t->time_ms = row->time_ms;
    t->segment_bytes += ROW_BYTES + (row->body ? (int64_t)strlen(row->body) : 0);
    return 0;
}

int ledger_seal(struct ledger_tail *t, struct batch *b, struct err *e)
{
    /* Heads of segments are put behind the last row, where this loop sees and passes them. */
    for (struct row *row = b->first; row; row = row->next) {
        if (row->table != TABLE_ID_LEDGER || row->op != ROW_PUT)
            continue;
        /* The batch owns the record and is ours to complete. */
        if (seal_row(t, b, (struct ledger_row *)(uintptr_t)row->record, e) < 0)
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------ where it goes on */

static int on_last_row(void *arg, enum table_id table, const void *record)
{
    (void)table;
    const struct ledger_row *row = record;
    struct ledger_tail *t = arg;
    t->seq = row->seq;
    t->batch = row->batch;
    t->time_ms = row->time_ms;
    if (row->hash.len == DIGEST_SIZE)
        memcpy(t->head.bytes, row->hash.data, DIGEST_SIZE);
    return 0;
}

static int on_segment(void *arg, enum table_id table, const void *record)
{
    (void)table;
    const struct ledger_segment_row *segment = record;
    struct ledger_tail *t = arg;
    t->segment_first = segment->last_seq; /* of the newest one; the open one begins behind it */
    if (segment->last_seq > t->seq && segment->head.len == DIGEST_SIZE) {
        /* All rows were dropped: the heads are what is left. */
        t->seq = segment->last_seq;
        t->time_ms = segment->closed_ms;
        memcpy(t->head.bytes, segment->head.data, DIGEST_SIZE);
    }
    return 0;
}

static int on_first_row(void *arg, enum table_id table, const void *record)
{
    (void)table;
    const struct ledger_row *row = record;
    struct ledger_tail *t = arg;
    t->segment_first = row->seq;
    t->segment_time_ms = row->time_ms;
    return 0;
}

int ledger_read_tail(const struct store_ops *ops, struct store *s, struct ledger_tail *ret,
                     struct err *e)
{
    struct ledger_tail t = {0};
    struct store_reader *r = NULL;
    struct store_query newest = {.id = QUERY_LEDGER_NEWEST, .limit = 1};
    struct store_query first = {.id = QUERY_LEDGER, .limit = 1};
    if (ops->reader_open(s, &r, e) < 0)
        return -1;
    int rc = ops->read(r, &newest, on_last_row, &t, e);
    if (rc == 0)
        rc = ops->load(s, TABLE_ID_LEDGER_SEGMENT, on_segment, &t, e);
    if (rc == 0) {
        first.after = t.segment_first;
        t.segment_first = 0;
        rc = ops->read(r, &first, on_first_row, &t, e);
    }
    ops->reader_close(r);
    if (rc < 0)
        return err_wrap(e, "could not read the end of the ledger");
    /* Bodies are not read again for this: a day has far less than a segment's most bytes. */
    if (t.segment_first)
        t.segment_bytes = (t.seq - t.segment_first + 1) * 2 * ROW_BYTES;
    *ret = t;
    return 0;
}

/* ------------------------------------------------------------------ verifying */

struct segment {
    int64_t first, last;
    struct digest head;
};

struct verify {
    struct ledger_check *check;
    struct segment *segments;
    size_t count, room, at; /* AT: the one that is being walked through */
    int64_t expected;       /* number of the next row */
    int64_t last_asked, seen;
    ledger_on_progress on_progress;
    void *progress_arg;
    struct err *e;
};

static int bad(struct verify *v, int64_t seq, const char *why)
{
    v->check->bad_seq = seq;
    return err_set(v->e, ERR_UNPROCESSABLE, "ledger row %lld %s", (long long)seq, why);
}

static int on_head(void *arg, enum table_id table, const void *record)
{
    (void)table;
    struct verify *v = arg;
    const struct ledger_segment_row *row = record;
    int64_t expected = v->count ? v->segments[v->count - 1].last + 1 : 1;
    v->last_asked = row->first_seq;
    v->seen++;
    if (row->first_seq != expected || row->last_seq < row->first_seq ||
        row->head.len != DIGEST_SIZE) {
        v->check->bad_seq = row->first_seq;
        return err_set(v->e, ERR_UNPROCESSABLE,
                       "the ledger segment of row %lld does not follow the one before",
                       (long long)row->first_seq);
    }
    if (v->count == v->room) {
        v->room = v->room ? 2 * v->room : 64;
        v->segments = mem_resize_array(v->segments, v->room);
    }
    struct segment *s = &v->segments[v->count++];
    *s = (struct segment){.first = row->first_seq, .last = row->last_seq};
    memcpy(s->head.bytes, row->head.data, DIGEST_SIZE);
    return 0;
}

/* Rows from the expected one up to SEQ are missing: fine where they end a closed segment, whose
 * head then stands for them. */
static int pass_dropped(struct verify *v, int64_t seq)
{
    struct ledger_check *c = v->check;
    while (v->expected < seq && v->at < v->count && v->segments[v->at].last < seq) {
        const struct segment *s = &v->segments[v->at++];
        c->dropped += s->last - v->expected + 1;
        c->segments++;
        c->head = s->head;
        c->last_seq = s->last;
        v->expected = s->last + 1;
    }
    return v->expected == seq ? 0 : bad(v, v->expected, "is missing");
}

static int check_body(struct verify *v, const struct ledger_row *row, struct digest *ret)
{
    if (row->body_hash.len != DIGEST_SIZE || row->hash.len != DIGEST_SIZE)
        return bad(v, row->seq, "has no hash");
    memcpy(ret->bytes, row->body_hash.data, DIGEST_SIZE);
    struct digest real = ledger_body_hash(row->body);
    if (digest_equal(&real, ret))
        return 0;
    if (row->body)
        return bad(v, row->seq, "has another body than was written");
    v->check->erased++;
    return 0;
}

static int on_row(void *arg, enum table_id table, const void *record)
{
    (void)table;
    struct verify *v = arg;
    struct ledger_check *c = v->check;
    const struct ledger_row *row = record;
    v->last_asked = row->seq;
    v->seen++;
    if (row->seq != v->expected && pass_dropped(v, row->seq) < 0)
        return -1;

    struct digest body_hash;
    if (check_body(v, row, &body_hash) < 0)
        return -1;
    struct digest hash = ledger_row_hash(&c->head, row, &body_hash);
    if (memcmp(hash.bytes, row->hash.data, DIGEST_SIZE) != 0)
        return bad(v, row->seq, "does not fit the row before, or was changed");
    c->rows++;
    c->head = hash;
    c->last_seq = row->seq;
    c->last_batch = row->batch;
    v->expected = row->seq + 1;

    if (v->at < v->count && v->segments[v->at].last == row->seq) {
        if (!digest_equal(&hash, &v->segments[v->at].head))
            return bad(v, row->seq, "is not the one whose hash its segment's head holds");
        v->at++;
        c->segments++;
    }
    return 0;
}

/* Page after page, so that no snapshot is held for long. */
static int walk_pages(struct verify *v, const struct store_ops *ops, struct store_reader *r,
                      enum store_query_id id, int64_t upto, store_on_row fn)
{
    struct store_query q = {.id = id, .upto = upto, .limit = PAGE_ROWS};
    do {
        v->seen = 0;
        v->last_asked = q.after;
        if (ops->read(r, &q, fn, v, v->e) < 0)
            return -1;
        if (id == QUERY_LEDGER && v->on_progress && v->on_progress(v->progress_arg, v->check->rows))
            return -1;
        q.after = v->last_asked;
    } while (v->seen == PAGE_ROWS);
    return 0;
}

int ledger_verify(const struct store_ops *ops, struct store_reader *r,
                  ledger_on_progress on_progress, void *arg, struct ledger_check *ret,
                  struct err *e)
{
    *ret = (struct ledger_check){0};
    struct ledger_tail newest = {0};
    struct store_query q = {.id = QUERY_LEDGER_NEWEST, .limit = 1};
    struct verify v = {
        .check = ret, .expected = 1, .on_progress = on_progress, .progress_arg = arg, .e = e};
    /* The segments first: their rows are all there then. Rows that come while we walk are left out.
     */
    int rc = walk_pages(&v, ops, r, QUERY_SEGMENTS, 0, on_head);
    if (rc == 0)
        rc = ops->read(r, &q, on_last_row, &newest, e);
    if (rc == 0 && newest.seq)
        rc = walk_pages(&v, ops, r, QUERY_LEDGER, newest.seq, on_row);
    if (rc == 0 && v.at < v.count && v.segments[v.at].last > newest.seq)
        rc = pass_dropped(&v, v.segments[v.count - 1].last + 1);
    free(v.segments);
    return rc;
}
