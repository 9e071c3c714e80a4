#include "place.h"

#define DAY ((int64_t)86400000)

/* Seals and commits, as the writer does. */
static int commit_sealed(struct place *p, struct ledger_tail *t, struct batch *b)
{
    CHECK_OK(ledger_seal(t, b, &test_err));
    return place_commit(p, b);
}

/* Rows 1..N, two a batch, DAY_ROWS a day. */
static void write_ledger(struct place *p, struct ledger_tail *t, int n, int day_rows)
{
    for (int seq = (int)t->seq + 1; seq <= n; seq += 2) {
        struct batch *b = place_batch(p);
        for (int i = seq; i < seq + 2 && i <= n; i++)
            put_ledger(b, i, 1000 + (i - 1) / day_rows * DAY, 40 + i % 3,
                       i % 4 ? "{\"a\":1}" : NULL);
        CHECK_OK(commit_sealed(p, t, b));
    }
}

static struct ledger_check verified(struct place *p)
{
    struct ledger_check c;
    CHECK_OK(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err));
    return c;
}

struct row_copy {
    struct ledger_row row;
    struct digest body_hash, hash;
    char body[64];
};

static int keep_row(void *arg, enum table_id table, const void *record)
{
    (void)table;
    struct row_copy *c = arg;
    c->row = *(const struct ledger_row *)record;
    memcpy(c->body_hash.bytes, c->row.body_hash.data, DIGEST_SIZE);
    memcpy(c->hash.bytes, c->row.hash.data, DIGEST_SIZE);
    snprintf(c->body, sizeof c->body, "%s", c->row.body ? c->row.body : "");
    c->row.body = c->body;
    c->row.body_hash.data = c->body_hash.bytes;
    c->row.hash.data = c->hash.bytes;
    return 0;
}

static void read_row(struct place *p, int64_t seq, struct row_copy *ret)
{
    struct store_query q = {.id = QUERY_LEDGER, .after = seq - 1, .limit = 1};
    CHECK_OK(p->ops->read(p->r, &q, keep_row, ret, &test_err));
    CHECK_INT(ret->row.seq, seq);
}

/* Writes around the writer, as somebody with the file in hand could. */
static void forge(struct place *p, const struct ledger_row *row)
{
    struct batch *b = place_batch(p);
    batch_put(b, TABLE_ID_LEDGER, row);
    CHECK_OK(place_commit(p, b));
}

TEST("a row's hash covers the previous hash, each fixed column and the body's hash, in that order")
{
    struct ledger_row row = {
        .seq = 1, .batch = 2, .time_ms = 3, .kind = 4, .subject = 5, .actor = 6, .on_behalf = -7};
    struct digest zero = {0}, body = ledger_body_hash("x");
    struct digest_state *s = digest_begin();
    digest_add(s, zero.bytes, DIGEST_SIZE);
    for (int i = 1; i <= 6; i++)
        digest_add_int(s, i);
    digest_add_int(s, -7);
    digest_add(s, body.bytes, DIGEST_SIZE);
    struct digest expected = digest_end(s), real = ledger_row_hash(&zero, &row, &body);
    CHECK(digest_equal(&expected, &real));

    char hex[DIGEST_HEX];
    struct digest empty = ledger_body_hash(NULL);
    CHECK_TEXT(hex_write(hex, empty.bytes, DIGEST_SIZE),
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

CONFORM("a ledger over several days verifies, its closed segments too, and goes on from its tail")
{
    struct ledger_tail t = {0}, again;
    write_ledger(p, &t, 20, 6);
    struct ledger_check c = verified(p);
    CHECK_INT(c.rows, 20);
    CHECK_INT(c.segments, 3);
    CHECK_INT(c.erased + c.dropped + c.bad_seq, 0);
    CHECK_INT(c.last_seq, 20);
    CHECK(digest_equal(&c.head, &t.head));
    CHECK_TEXT(ASK(.id = QUERY_SEGMENTS), "ledger_segment 1, ledger_segment 7, ledger_segment 13");

    CHECK_OK(ledger_read_tail(p->ops, p->s, &again, &test_err));
    CHECK_INT(again.seq, 20);
    CHECK_INT(again.batch, t.batch);
    CHECK_INT(again.time_ms, t.time_ms);
    CHECK_INT(again.segment_first, 19);
    CHECK_INT(again.segment_time_ms, t.segment_time_ms);
    CHECK(digest_equal(&again.head, &t.head));
    write_ledger(p, &again, 30, 6);
    CHECK_INT(verified(p).segments, 4);
}

CONFORM("a segment ends when it has a gigabyte")
{
    struct ledger_tail t = {0};
    write_ledger(p, &t, 4, 100);
    t.segment_bytes = (int64_t)1 << 30;
    write_ledger(p, &t, 6, 100);
    CHECK_TEXT(ASK(.id = QUERY_SEGMENTS), "ledger_segment 1");
    CHECK_INT(t.segment_first, 5);
    CHECK_INT(verified(p).rows, 6);
}

CONFORM("an empty ledger verifies")
{
    struct ledger_tail t;
    CHECK_OK(ledger_read_tail(p->ops, p->s, &t, &test_err));
    CHECK_INT(t.seq, 0);
    CHECK_INT(t.segment_first, 0);
    CHECK_INT(verified(p).rows, 0);
}

CONFORM("an erased body is counted and the chain still verifies")
{
    struct ledger_tail t = {0};
    write_ledger(p, &t, 10, 100);
    struct row_copy r;
    read_row(p, 5, &r);
    r.row.body = NULL;
    struct batch *b = place_batch(p);
    batch_put(b, TABLE_ID_LEDGER, &r.row);
    CHECK_OK(commit_sealed(p, &t, b));
    struct ledger_check c = verified(p);
    CHECK_INT(c.rows, 10);
    CHECK_INT(c.erased, 1);
}

CONFORM("a changed body, a changed column, a missing and a forged row are each named")
{
    struct ledger_tail t = {0};
    struct ledger_check c;
    struct row_copy r;
    write_ledger(p, &t, 10, 100);

    read_row(p, 5, &r);
    r.row.body = "{\"a\":2}";
    forge(p, &r.row);
    CHECK_FAILS(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err), ERR_UNPROCESSABLE,
                "ledger row 5 has another body");
    CHECK_INT(c.bad_seq, 5);
    CHECK_INT(c.rows, 4);
    r.row.body = "{\"a\":1}";
    r.row.actor = 99;
    forge(p, &r.row);
    CHECK_FAILS(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err), ERR_UNPROCESSABLE,
                "ledger row 5 does not fit");
    /* Whoever changes a row can make its own hash fit, but then not the next one's. */
    struct row_copy before;
    read_row(p, 4, &before);
    struct digest made = ledger_row_hash(&before.hash, &r.row, &r.body_hash);
    r.row.hash.data = made.bytes;
    forge(p, &r.row);
    CHECK_FAILS(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err), ERR_UNPROCESSABLE,
                "ledger row 6 does not fit");

    struct batch *b = place_batch(p);
    batch_delete(b, TABLE_ID_LEDGER, &(struct ledger_row){.seq = 5});
    CHECK_OK(place_commit(p, b));
    CHECK_FAILS(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err), ERR_UNPROCESSABLE,
                "ledger row 5 is missing");
}

CONFORM("dropped segments are counted, and what follows them still hangs on their heads")
{
    struct ledger_tail t = {0};
    write_ledger(p, &t, 20, 6);
    CHECK_OK(p->ops->segment_drop(p->s, 7, &test_err));
    struct ledger_check c = verified(p);
    CHECK_INT(c.rows, 14);
    CHECK_INT(c.dropped, 6);
    CHECK_INT(c.segments, 3);

    /* Stopped half way: the first rows of the segment are still there. */
    struct batch *b = place_batch(p);
    for (int64_t seq = 3; seq <= 6; seq++)
        batch_delete(b, TABLE_ID_LEDGER, &(struct ledger_row){.seq = seq});
    CHECK_OK(place_commit(p, b));
    c = verified(p);
    CHECK_INT(c.rows, 10);
    CHECK_INT(c.dropped, 10);

    /* A row in the middle of what is kept is not "dropped". */
    b = place_batch(p);
    batch_delete(b, TABLE_ID_LEDGER, &(struct ledger_row){.seq = 14});
    CHECK_OK(place_commit(p, b));
    CHECK_FAILS(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err), ERR_UNPROCESSABLE,
                "ledger row 14 is missing");
}

CONFORM("a head that does not fit its rows, and heads that do not follow each other, are named")
{
    struct ledger_tail t = {0};
    struct ledger_check c;
    write_ledger(p, &t, 20, 6);
    struct digest other = ledger_body_hash("other");
    struct batch *b = place_batch(p);
    batch_put(b, TABLE_ID_LEDGER_SEGMENT,
              &(struct ledger_segment_row){
                  .first_seq = 7, .last_seq = 12, .head = {other.bytes, DIGEST_SIZE}});
    CHECK_OK(place_commit(p, b));
    CHECK_FAILS(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err), ERR_UNPROCESSABLE,
                "row 12 is not the one whose hash");
    b = place_batch(p);
    batch_delete(b, TABLE_ID_LEDGER_SEGMENT, &(struct ledger_segment_row){.first_seq = 7});
    CHECK_OK(place_commit(p, b));
    CHECK_FAILS(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err), ERR_UNPROCESSABLE,
                "segment of row 13");
}

CONFORM("when every row was dropped, the tail is the last segment's head")
{
    struct ledger_tail t = {0}, again;
    write_ledger(p, &t, 7, 6);
    struct batch *b = place_batch(p);
    batch_delete(b, TABLE_ID_LEDGER, &(struct ledger_row){.seq = 7});
    CHECK_OK(place_commit(p, b));
    CHECK_OK(p->ops->segment_drop(p->s, 1, &test_err));
    CHECK_OK(ledger_read_tail(p->ops, p->s, &again, &test_err));
    CHECK_INT(again.seq, 6);
    CHECK_INT(again.segment_first, 0);
    struct ledger_check c = verified(p);
    CHECK_INT(c.dropped, 6);
    CHECK(digest_equal(&again.head, &c.head));
    write_ledger(p, &again, 12, 100);
    CHECK_INT(verified(p).rows, 6);
}

TEST("a row that is not the next one is our mistake and is refused before it is written")
{
    struct ledger_tail t = {.seq = 5};
    struct batch *b = batch_new();
    put_ledger(b, 7, 1000, 1, "x");
    CHECK_FAILS(ledger_seal(&t, b, &test_err), ERR_INTERNAL, "row 7 was to follow row 5");
    batch_free(b);
}

static int stop_soon(void *arg, int64_t rows)
{
    *(int64_t *)arg = rows;
    return 1;
}

TEST("verifying a long ledger tells how far it is, and can be stopped")
{
    struct place place = {0}, *p = &place;
    struct ledger_tail t = {0};
    struct ledger_check c;
    int64_t rows = 0;
    place_make(p, "memory", "");
    struct batch *b = place_batch(p);
    for (int i = 1; i <= STORE_LIMIT + 10; i++)
        put_ledger(b, i, 1000, 1, "x");
    CHECK_OK(commit_sealed(p, &t, b));
    CHECK(ledger_verify(p->ops, p->r, stop_soon, &rows, &c, &test_err) < 0);
    CHECK_INT(rows, STORE_LIMIT);
    CHECK_INT(c.bad_seq, 0);
    CHECK_INT(verified(p).rows, STORE_LIMIT + 10);
    place_remove(p);
}
