/*
 * Rows that become durable together. A batch copies what it is given, so records may be reused at
 * once. Filled by one thread, then handed on as a whole.
 */
#ifndef RECORD_BATCH_H
#define RECORD_BATCH_H

#include "record/tables.h"

#include <stdbool.h>

enum row_op {
    ROW_PUT,    /* insert, or replace the record with this key */
    ROW_DELETE, /* not there is fine; only the key columns are given */
    ROW_MOVE,   /* the record with this key goes, as it is, to the table TO (of the same columns) */
};

struct row {
    enum row_op op;
    enum table_id table, to; /* TO only for ROW_MOVE */
    const void *record;      /* the table's struct, in the batch's memory */
    struct row *next;
};

struct batch {
    int64_t epoch, seq; /* given by the engine: seq counts up by one, without gaps, from 1 */
    struct row *first, **last;
    size_t rows, bytes; /* bytes: roughly, for limits */
    int64_t ledger_rows;
    struct batch_chunk *chunks;
};

struct batch *batch_new(void);
void batch_free(struct batch *b);

void batch_put(struct batch *b, enum table_id table, const void *record);
void batch_delete(struct batch *b, enum table_id table, const void *record);
void batch_move(struct batch *b, enum table_id from, enum table_id to, const void *record);

/* Memory that lives as long as the batch; zeroed. For what the writer adds (hashes). */
void *batch_memory(struct batch *b, size_t size);

#endif
