/*
 * The ledger's hash chain. Rows are numbered from 1 without gaps. HASH of a row = SHA-256 over the
 * previous row's HASH (32 zero bytes before the first), the columns seq, batch, time_ms, kind,
 * subject, actor, on_behalf as 8 bytes little endian each, and BODY_HASH = SHA-256 of the body. So
 * a body can be erased (the row is put again without it, but with both hashes) and the chain still
 * verifies.
 *
 * The chain is cut into segments: a new one begins with the first row of a UTC day, or when the
 * rows of the open one take about 1 GiB. A closed segment has a LEDGER_SEGMENT row with the hash of
 * its last row; this head is never removed, so the rows may be.
 */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include "base/digest.h"
#include "store/store.h"

/* Where the chain goes on. All zero: nothing was written yet. */
struct ledger_tail {
    int64_t seq;     /* of the last row; the next one is seq + 1 */
    int64_t batch;   /* of that row */
    int64_t time_ms; /* of that row: the engine's clock never goes below it */
    struct digest head;
    int64_t segment_first;   /* first row of the open segment; 0: it has none yet */
    int64_t segment_time_ms; /* of that row */
    int64_t segment_bytes;   /* roughly, of its rows */
};

/* Reads it from the store, after claim() and before writer_start(). */
int ledger_read_tail(const struct store_ops *ops, struct store *s, struct ledger_tail *ret,
                     struct err *e);

/* HASH of a row; its members body_hash and hash are not looked at. */
struct digest ledger_row_hash(const struct digest *previous, const struct ledger_row *row,
                              const struct digest *body_hash);
/* BODY_HASH of a body; NULL is the empty one. */
struct digest ledger_body_hash(const char *body);

/*
 * Completes the ledger rows of B and puts a LEDGER_SEGMENT row where a segment ends; T moves to the
 * last row. Rows that come with both hashes are erasures and stay as they are. ERR_INTERNAL: a row
 * is not the next one. The writer calls this once for a batch, before its first try.
 */
int ledger_seal(struct ledger_tail *t, struct batch *b, struct err *e);

struct ledger_check {
    int64_t rows;     /* read and found right */
    int64_t erased;   /* of these, with an erased body */
    int64_t dropped;  /* rows of closed segments that are no longer kept */
    int64_t segments; /* closed ones, heads compared */
    int64_t bad_seq;  /* the first row that is wrong; 0: none is */
    struct digest head;
    int64_t last_seq, last_batch;
};

/* Called now and then; not 0: stop, and ledger_verify() returns -1 without touching its error. */
typedef int (*ledger_on_progress)(void *arg, int64_t rows);

/*
 * Walks all rows and segments and computes every hash again. ERR_UNPROCESSABLE: the ledger was
 * changed, the sentence names the first bad row and so does RET->bad_seq; any other failure is one
 * of reading. RET is filled either way. ON_PROGRESS may be NULL.
 */
int ledger_verify(const struct store_ops *ops, struct store_reader *r,
                  ledger_on_progress on_progress, void *arg, struct ledger_check *ret,
                  struct err *e);

#endif
