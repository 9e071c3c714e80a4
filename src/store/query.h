/* What the questions of store.h mean, once for all members. */
#ifndef STORE_QUERY_H
#define STORE_QUERY_H

#include "store/store.h"

#include <stdbool.h>

enum {
    READ_SLICE_MS = 300, /* how long a snapshot is held */
    READ_WHOLE_MS = 10000,
};

/* ERR_INVALID: it makes no sense. */
int query_check(const struct store_query *q, struct err *e);

/* Whether the arguments that are not a range let RECORD of TABLE through. For jobs and ledger rows;
 * attempts and parts are asked for by job, whose owner is checked instead. */
bool query_lets_through(const struct store_query *q, enum table_id table, const void *record);

/* The values of the key columns of a record. */
int64_t record_int(const struct table_desc *d, const void *record, unsigned column);

#endif
