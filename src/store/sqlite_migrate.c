/* The schema of a sqlite database: what it is, and the way from one version to the next. */
#include "store/sqlite_inside.h"

#include "base/mem.h"
#include "base/text.h"

enum { APPLICATION_ID = 0x52656576 }; /* "Reev", so that file(1) and we know it */

/* A column is added like this, together with its place at the end of schema/tables.def:
 *
 *     {"jobs have a priority",
 *      "ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
 *      "ALTER TABLE job DROP COLUMN priority"},
 */
const struct sqlite_migration sqlite_migrations[] = {
    {"the tables of schema/tables.def", NULL, NULL},
    {"a job waits a while after a lost attempt",
     "ALTER TABLE job_state ADD COLUMN pause_ms INTEGER NOT NULL DEFAULT 0",
     "ALTER TABLE job_state DROP COLUMN pause_ms"},
    {"a device of two nodes is given out by one",
     "ALTER TABLE device ADD COLUMN twin INTEGER NOT NULL DEFAULT 0",
     "ALTER TABLE device DROP COLUMN twin"},
    {"tokens are of a kind",
     "ALTER TABLE token ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;\n"
     "ALTER TABLE token ADD COLUMN until_ms INTEGER NOT NULL DEFAULT 0",
     /* An older program would take a session that has ended for a token, and a code for one, too.
      */
     "DELETE FROM token WHERE kind <> 0;\n"
     "ALTER TABLE token DROP COLUMN until_ms;\n"
     "ALTER TABLE token DROP COLUMN kind"},
    {"waiting jobs can be held",
     "CREATE TABLE job_hold(id INTEGER PRIMARY KEY, actor INTEGER NOT NULL DEFAULT 0,"
     " since_ms INTEGER NOT NULL DEFAULT 0, why TEXT) STRICT",
     "DROP TABLE job_hold"},
    {"ended jobs know their place",
     "ALTER TABLE job_history ADD COLUMN scheduled_ms INTEGER NOT NULL DEFAULT 0;\n"
     "ALTER TABLE job_history ADD COLUMN node INTEGER NOT NULL DEFAULT 0;\n"
     "ALTER TABLE job_history ADD COLUMN devices TEXT;\n"
     "UPDATE job_history SET scheduled_ms = a.decided_ms, node = a.node, devices ="
     " (SELECT group_concat(device) FROM (SELECT device FROM part_history p"
     " WHERE p.job = a.job AND p.n = a.n ORDER BY part))"
     " FROM attempt_history a WHERE a.job = id AND a.n = attempts",
     "ALTER TABLE job_history DROP COLUMN devices;\n"
     "ALTER TABLE job_history DROP COLUMN node;\n"
     "ALTER TABLE job_history DROP COLUMN scheduled_ms"},
    {"replay may begin in the middle",
     "CREATE TABLE snapshot(seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL DEFAULT 0,"
     " format INTEGER NOT NULL DEFAULT 0, parts INTEGER NOT NULL DEFAULT 0,"
     " bytes INTEGER NOT NULL DEFAULT 0, complete INTEGER NOT NULL DEFAULT 0) STRICT;\n"
     "CREATE TABLE snapshot_part(seq INTEGER NOT NULL DEFAULT 0, part INTEGER NOT NULL DEFAULT 0,"
     " data BLOB, PRIMARY KEY(seq, part)) STRICT, WITHOUT ROWID",
     "DROP TABLE snapshot_part;\nDROP TABLE snapshot"},
    {"attempts leave notes",
     "CREATE TABLE attempt_note(job INTEGER NOT NULL DEFAULT 0, kind INTEGER NOT NULL DEFAULT 0,"
     " n INTEGER NOT NULL DEFAULT 0, text TEXT, PRIMARY KEY(job, kind, n)) STRICT, WITHOUT ROWID",
     "DROP TABLE attempt_note"},
    {"nodes of clusters, and jobs for them",
     "ALTER TABLE node ADD COLUMN cluster TEXT;\n"
     "ALTER TABLE job ADD COLUMN selector TEXT;\n"
     "ALTER TABLE job ADD COLUMN tolerations TEXT;\n"
     "ALTER TABLE job_spec ADD COLUMN selector TEXT;\n"
     "ALTER TABLE job_spec ADD COLUMN tolerations TEXT;\n"
     "ALTER TABLE attempt ADD COLUMN sent_ms INTEGER NOT NULL DEFAULT 0;\n"
     "ALTER TABLE attempt_history ADD COLUMN sent_ms INTEGER NOT NULL DEFAULT 0",
     /* An older program does not know SENT: what was sent and has not begun is decided for it. */
     "UPDATE attempt SET state = 0 WHERE state = 4;\n"
     "ALTER TABLE attempt_history DROP COLUMN sent_ms;\n"
     "ALTER TABLE attempt DROP COLUMN sent_ms;\n"
     "ALTER TABLE job_spec DROP COLUMN tolerations;\n"
     "ALTER TABLE job_spec DROP COLUMN selector;\n"
     "ALTER TABLE job DROP COLUMN tolerations;\n"
     "ALTER TABLE job DROP COLUMN selector;\n"
     "ALTER TABLE node DROP COLUMN cluster"},
};
const int sqlite_newest = COUNT_OF(sqlite_migrations);

int sqlite_version(sqlite3 *db, const char *path, int newest, int *ret, struct err *e)
{
    int64_t tables, ours, version, id;
    if (sqlite_number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'", 0, &tables,
                      e) < 0 ||
        sqlite_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'", 0,
                      &ours, e) < 0 ||
        sqlite_number(db, "PRAGMA application_id", 0, &id, e) < 0)
        return -1;
    if (tables == 0) {
        *ret = 0;
        return 0;
    }
    if (!ours || id != APPLICATION_ID)
        return err_set(e, ERR_CONFLICT, "'%s' is the database of another program", path);
    if (sqlite_number(db, "SELECT version FROM schema_version", 0, &version, e) < 0)
        return -1;
    if (version > newest)
        return err_set(e, ERR_CONFLICT,
                       "database '%s' has schema %lld, which is newer than this program (schema "
                       "%d): start the newer program, or let it bring the schema down first",
                       path, (long long)version, newest);
    *ret = (int)version;
    return 0;
}

static void create_all(struct text *sql)
{
    for (int t = 0; t < TABLE_COUNT; t++)
        sql_create(sql, (enum table_id)t);
    for (size_t i = 0; i < table_index_count; i++)
        sql_index(sql, &table_indexes[i]);
    /* The number of the last batch, and of the last program that took over. */
    text_add(sql, "CREATE TABLE leader(id INTEGER PRIMARY KEY CHECK(id = 1),"
                  " epoch INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT;\n"
                  "INSERT INTO leader VALUES(1, 0, 0);\n"
                  "CREATE TABLE IF NOT EXISTS schema_version(version INTEGER NOT NULL) STRICT;\n"
                  "DELETE FROM schema_version;\n"
                  "INSERT INTO schema_version VALUES(0);\n");
    text_addf(sql, "PRAGMA application_id = %d;\n", APPLICATION_ID);
}

/* Tables that came with a later schema have gone before. */
static void drop_all(struct text *sql)
{
    for (int t = 0; t < TABLE_COUNT; t++)
        text_addf(sql, "DROP TABLE IF EXISTS %s;\n", table_descs[t].name);
    text_add(sql, "DROP TABLE leader;\n");
}

static int step(sqlite3 *db, const char *sql, int version, struct err *e)
{
    auto_text struct text all = {0};
    text_addf(&all, "BEGIN IMMEDIATE;\n%s;\nUPDATE schema_version SET version = %d;\nCOMMIT;", sql,
              version);
    if (sqlite_run(db, text_get(&all), e) == 0)
        return 0;
    if (!sqlite3_get_autocommit(db))
        sqlite_run(db, "ROLLBACK", NULL);
    return -1;
}

int sqlite_migrate(sqlite3 *db, const struct sqlite_migration *list, int newest, int to,
                   int *version, struct err *e)
{
    if (to < 0 || to > newest)
        return err_set(e, ERR_INVALID, "there is no schema %d: it can be 0..%d", to, newest);
    while (*version != to) {
        auto_text struct text made = {0};
        bool up = *version < to;
        int next = !up ? *version - 1 : *version ? *version + 1 : newest;
        int number = up ? next : *version; /* whose way we go */
        const struct sqlite_migration *m = &list[number - 1];
        const char *sql = up ? m->up : m->down;
        if (up && *version == 0)
            create_all(&made);
        else if (!up && number == 1)
            drop_all(&made);
        if (made.len)
            sql = text_get(&made);
        if (step(db, sql, next, e) < 0)
            return err_wrap(e, "schema %d to %d (%s)", *version, next, m->what);
        *version = next;
    }
    return 0;
}
