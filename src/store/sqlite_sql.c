/* The descriptors of record/tables.h as SQL, and rows as records. */
#include "store/sqlite_inside.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>

static const char *const types[] = {
    [COLUMN_INT] = "INTEGER", [COLUMN_TEXT] = "TEXT", [COLUMN_BLOB] = "BLOB"};

static bool is_row_number(const struct table_desc *d)
{
    return d->keys == 1 && d->columns[0].type == COLUMN_INT;
}

static void key_columns(struct text *t, const struct table_desc *d)
{
    for (unsigned i = 0; i < d->keys; i++)
        text_addf(t, "%s%s", i ? ", " : "", d->columns[i].name);
}

static void where_key(struct text *t, const struct table_desc *d)
{
    for (unsigned i = 0; i < d->keys; i++)
        text_addf(t, "%s%s = ?%u", i ? " AND " : " WHERE ", d->columns[i].name, i + 1);
}

void sql_create(struct text *t, enum table_id table)
{
    const struct table_desc *d = &table_descs[table];
    bool row_number = is_row_number(d);
    text_addf(t, "CREATE TABLE %s(", d->name);
    for (unsigned i = 0; i < d->count; i++) {
        const struct column *c = &d->columns[i];
        text_addf(t, "%s%s %s", i ? ", " : "", c->name, types[c->type]);
        if (row_number && i == 0)
            text_add(t, " PRIMARY KEY");
        else if (c->type == COLUMN_INT)
            text_add(t, " NOT NULL DEFAULT 0");
        else if (i < d->keys)
            text_add(t, " NOT NULL");
    }
    if (row_number) {
        text_add(t, ") STRICT;\n");
    } else {
        text_add(t, ", PRIMARY KEY(");
        key_columns(t, d);
        text_add(t, ")) STRICT, WITHOUT ROWID;\n");
    }
}

void sql_index(struct text *t, const struct table_index *index)
{
    const char *table = table_descs[index->table].name, *c = index->columns;
    text_addf(t, "CREATE INDEX %s_by_%.*s ON %s(%s);\n", table, (int)strcspn(c, ", "), c, table, c);
}

void sql_put(struct text *t, enum table_id table)
{
    const struct table_desc *d = &table_descs[table];
    text_addf(t, "INSERT OR REPLACE INTO %s(", d->name);
    sql_columns(t, table, true);
    text_add(t, ") VALUES(");
    for (unsigned i = 0; i < d->count; i++)
        text_addf(t, "%s?%u", i ? ", " : "", i + 1);
    text_add(t, ")");
}

void sql_delete(struct text *t, enum table_id table)
{
    text_addf(t, "DELETE FROM %s", table_descs[table].name);
    where_key(t, &table_descs[table]);
}

void sql_copy(struct text *t, enum table_id from, enum table_id to)
{
    text_addf(t, "INSERT OR REPLACE INTO %s(", table_descs[to].name);
    sql_columns(t, to, true);
    text_add(t, ") SELECT ");
    sql_columns(t, from, true);
    text_addf(t, " FROM %s", table_descs[from].name);
    where_key(t, &table_descs[from]);
}

void sql_columns(struct text *t, enum table_id table, bool cold)
{
    const struct table_desc *d = &table_descs[table];
    const char *comma = "";
    for (unsigned i = 0; i < d->count; i++) {
        if (d->columns[i].cold && !cold)
            continue;
        text_addf(t, "%s%s", comma, d->columns[i].name);
        comma = ", ";
    }
}

void sql_by_key(struct text *t, enum table_id table)
{
    text_add(t, " ORDER BY ");
    key_columns(t, &table_descs[table]);
}

int sqlite_bind(sqlite3_stmt *stmt, const struct table_desc *d, const void *record, unsigned count)
{
    int rc = SQLITE_OK;
    for (unsigned i = 0; i < count && rc == SQLITE_OK; i++) {
        const void *field = (const char *)record + d->columns[i].offset;
        const char *text;
        const struct blob *blob;
        switch (d->columns[i].type) {
        case COLUMN_INT:
            rc = sqlite3_bind_int64(stmt, (int)i + 1, *(const int64_t *)field);
            break;
        case COLUMN_TEXT:
            text = *(const char *const *)field;
            rc = text && text[0] ? sqlite3_bind_text(stmt, (int)i + 1, text, -1, SQLITE_STATIC)
                                 : sqlite3_bind_null(stmt, (int)i + 1);
            break;
        case COLUMN_BLOB:
            blob = field;
            rc = blob->len
                     ? sqlite3_bind_blob64(stmt, (int)i + 1, blob->data, blob->len, SQLITE_STATIC)
                     : sqlite3_bind_null(stmt, (int)i + 1);
            break;
        }
    }
    return rc;
}

void sqlite_record(sqlite3_stmt *stmt, int first, const struct table_desc *d, bool cold,
                   void *record)
{
    for (unsigned i = 0; i < d->count; i++) {
        void *field = (char *)record + d->columns[i].offset;
        struct blob *blob = field;
        if (d->columns[i].cold && !cold) {
            *(const char **)field = NULL;
            continue;
        }
        switch (d->columns[i].type) {
        case COLUMN_INT:
            *(int64_t *)field = sqlite3_column_int64(stmt, first);
            break;
        case COLUMN_TEXT:
            *(const char **)field = (const char *)sqlite3_column_text(stmt, first);
            break;
        case COLUMN_BLOB:
            blob->data = sqlite3_column_blob(stmt, first);
            blob->len = (size_t)sqlite3_column_bytes(stmt, first);
            break;
        }
        first++;
    }
}

static bool is_full(sqlite3 *db)
{
    if (sqlite3_errcode(db) == SQLITE_FULL)
        return true;
    int kind = sqlite3_extended_errcode(db), errnum = sqlite3_system_errno(db);
    /* SQLite says "full" for ENOSPC of a write only. The index of its log is a file too; when that
     * cannot grow, the transaction goes back in the same way. A failed sync is never "full". */
    return (kind == SQLITE_IOERR_WRITE || kind == SQLITE_IOERR_SHMSIZE) &&
           (errnum == ENOSPC || errnum == EDQUOT);
}

int sqlite_fail(sqlite3 *db, const char *what, struct err *e)
{
    const char *path = sqlite3_db_filename(db, "main"), *why = sqlite3_errmsg(db);
    int errnum = sqlite3_system_errno(db);
    if (!path || !path[0])
        path = "?";
    if (is_full(db))
        return err_set(e, ERR_EXHAUSTED, "could not %s database '%s': the disk is full", what,
                       path);
    switch (sqlite3_errcode(db)) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(e, ERR_UNPROCESSABLE,
                       "database '%s' is damaged (%s): put a backup in its place, or move it away "
                       "to start empty; either way without '%s-wal' beside it",
                       path, why, path);
    case SQLITE_READONLY:
        return err_set(
            e, ERR_DENIED,
            "database '%s' cannot be written: the disk is read-only, or the file belongs "
            "to somebody else",
            path);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return err_set(e, ERR_DENIED, "could not %s database '%s': %s%s%s", what, path, why,
                       errnum ? ": " : "", errnum ? strerror(errnum) : "");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, ERR_UNAVAILABLE,
                       "could not %s database '%s': another program has it locked", what, path);
    case SQLITE_IOERR:
        return err_set(e, ERR_UNAVAILABLE, "could not %s database '%s': %s%s%s", what, path, why,
                       errnum ? ": " : "", errnum ? strerror(errnum) : "");
    default:
        return err_set(e, ERR_INTERNAL, "could not %s database '%s': %s", what, path, why);
    }
}

int sqlite_run(sqlite3 *db, const char *sql, struct err *e)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return sqlite_fail(db, "use", e);
    return 0;
}

int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct err *e)
{
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) != SQLITE_OK)
        return sqlite_fail(db, "use", e);
    return 0;
}

int sqlite_number(sqlite3 *db, const char *sql, int64_t absent, int64_t *ret, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    if (sqlite_prepare(db, sql, &stmt, e) < 0)
        return -1;
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return sqlite_fail(db, "read", e);
    *ret = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : absent;
    return 0;
}
