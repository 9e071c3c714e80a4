/*
 * The records of the store as structs, and the description that lets generic code walk them. Both
 * are made from schema/tables.def. struct job_row, struct ledger_row, ... hold int64_t, const char
 * * and struct blob members named as the columns; they own nothing.
 */
#ifndef RECORD_TABLES_H
#define RECORD_TABLES_H

#include "tables.def"

#include <stddef.h>
#include <stdint.h>

struct blob {
    const void *data;
    size_t len;
};

#define X_INT_(name)  int64_t name;
#define X_TEXT_(name) const char *name;
#define X_BLOB_(name) struct blob name;
#define X_STRUCT_(id, name, keys)                                                                  \
    struct name##_row {                                                                            \
        TABLE_##id(X_INT_, X_TEXT_, X_BLOB_, X_TEXT_)                                              \
    };
TABLES(X_STRUCT_)

/* Room for a record of any table. */
#define X_ANY_(id, name, keys) struct name##_row name;
union any_row {
    TABLES(X_ANY_)
};

#define X_ID_(id, name, keys) TABLE_ID_##id,
enum table_id { TABLES(X_ID_) TABLE_COUNT };

#undef X_INT_
#undef X_TEXT_
#undef X_BLOB_
#undef X_STRUCT_
#undef X_ID_

enum column_type { COLUMN_INT, COLUMN_TEXT, COLUMN_BLOB };

struct column {
    const char *name;
    enum column_type type;
    uint8_t cold;    /* not delivered by a load */
    uint16_t offset; /* in the table's struct */
};

enum { COLUMNS_MOST = 24 };

struct table_desc {
    const char *name;
    const struct column *columns;
    uint8_t count;
    uint8_t keys;  /* the first so many columns are the key */
    uint16_t size; /* of the table's struct */
};

extern const struct table_desc table_descs[TABLE_COUNT];

struct table_index {
    enum table_id table;
    const char *columns; /* as SQL writes them */
};
extern const struct table_index table_indexes[];
extern const size_t table_index_count;

#endif
