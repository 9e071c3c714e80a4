#include "record/tables.h"

#define C_INT_(n)  {#n, COLUMN_INT, 0, offsetof(ROW_, n)},
#define C_TEXT_(n) {#n, COLUMN_TEXT, 0, offsetof(ROW_, n)},
#define C_BLOB_(n) {#n, COLUMN_BLOB, 0, offsetof(ROW_, n)},
#define C_COLD_(n) {#n, COLUMN_TEXT, 1, offsetof(ROW_, n)},

/* One array a table; ROW_ is the struct whose offsets the column macros take. */
#define COLUMNS_OF(id)                                                                             \
    {                                                                                              \
        TABLE_##id(C_INT_, C_TEXT_, C_BLOB_, C_COLD_)                                              \
    }

/* clang-format off */
#define ROW_ struct meta_row
static const struct column meta_columns[] = COLUMNS_OF(META);
#undef ROW_
#define ROW_ struct principal_row
static const struct column principal_columns[] = COLUMNS_OF(PRINCIPAL);
#undef ROW_
#define ROW_ struct token_row
static const struct column token_columns[] = COLUMNS_OF(TOKEN);
#undef ROW_
#define ROW_ struct enrolment_row
static const struct column enrolment_columns[] = COLUMNS_OF(ENROLMENT);
#undef ROW_
#define ROW_ struct node_row
static const struct column node_columns[] = COLUMNS_OF(NODE);
#undef ROW_
#define ROW_ struct node_key_row
static const struct column node_key_columns[] = COLUMNS_OF(NODE_KEY);
#undef ROW_
#define ROW_ struct device_row
static const struct column device_columns[] = COLUMNS_OF(DEVICE);
#undef ROW_
#define ROW_ struct device_time_row
static const struct column device_time_columns[] = COLUMNS_OF(DEVICE_TIME);
#undef ROW_
#define ROW_ struct job_row
static const struct column job_columns[] = COLUMNS_OF(JOB);
#undef ROW_
#define ROW_ struct job_state_row
static const struct column job_state_columns[] = COLUMNS_OF(JOB_STATE);
#undef ROW_
#define ROW_ struct job_hold_row
static const struct column job_hold_columns[] = COLUMNS_OF(JOB_HOLD);
#undef ROW_
#define ROW_ struct job_spec_row
static const struct column job_spec_columns[] = COLUMNS_OF(JOB_SPEC);
#undef ROW_
#define ROW_ struct job_history_row
static const struct column job_history_columns[] = COLUMNS_OF(JOB_HISTORY);
#undef ROW_
#define ROW_ struct attempt_row
static const struct column attempt_columns[] = COLUMNS_OF(ATTEMPT);
#undef ROW_
#define ROW_ struct attempt_history_row
static const struct column attempt_history_columns[] = COLUMNS_OF(ATTEMPT_HISTORY);
#undef ROW_
#define ROW_ struct part_row
static const struct column part_columns[] = COLUMNS_OF(PART);
#undef ROW_
#define ROW_ struct part_history_row
static const struct column part_history_columns[] = COLUMNS_OF(PART_HISTORY);
#undef ROW_
#define ROW_ struct attempt_note_row
static const struct column attempt_note_columns[] = COLUMNS_OF(ATTEMPT_NOTE);
#undef ROW_
#define ROW_ struct idempotency_row
static const struct column idempotency_columns[] = COLUMNS_OF(IDEMPOTENCY);
#undef ROW_
#define ROW_ struct ledger_row
static const struct column ledger_columns[] = COLUMNS_OF(LEDGER);
#undef ROW_
#define ROW_ struct ledger_segment_row
static const struct column ledger_segment_columns[] = COLUMNS_OF(LEDGER_SEGMENT);
#undef ROW_
#define ROW_ struct snapshot_row
static const struct column snapshot_columns[] = COLUMNS_OF(SNAPSHOT);
#undef ROW_
#define ROW_ struct snapshot_part_row
static const struct column snapshot_part_columns[] = COLUMNS_OF(SNAPSHOT_PART);
#undef ROW_

#define DESC_(id, name, keys)                                                                      \
    [TABLE_ID_##id] = {#name, name##_columns, sizeof name##_columns / sizeof *name##_columns,      \
                       keys, sizeof(struct name##_row)},
const struct table_desc table_descs[TABLE_COUNT] = {TABLES(DESC_)};

#define INDEX_(id, columns) {TABLE_ID_##id, columns},
const struct table_index table_indexes[] = {TABLE_INDEXES(INDEX_)};
const size_t table_index_count = sizeof table_indexes / sizeof *table_indexes;
/* clang-format on */
