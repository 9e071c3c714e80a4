/* What the files of the sqlite member share; nobody else includes it. */
#ifndef STORE_SQLITE_INSIDE_H
#define STORE_SQLITE_INSIDE_H

#include "store/query.h"
#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

struct checkpointer;

/*
 * One connection writes, under write_lock; each reader and the checkpointer have one of their own.
 * Locks are taken in this order: gate, write_lock, the checkpointer's own.
 */
struct store {
    char *path;
    int lock_fd; /* flock: one process at a time */
    sqlite3 *db;
    pthread_mutex_t write_lock; /* guards db and all below */
    pthread_rwlock_t gate;      /* a reader shares it for as long as it holds a snapshot */
    atomic_int backups;         /* running; they hold a snapshot without the gate */
    struct checkpointer *checkpointer;
    int version; /* of the schema */
    bool claimed, broken;
    sqlite3_stmt *begin, *commit, *rollback, *leader;
    sqlite3_stmt *put[TABLE_COUNT], *del[TABLE_COUNT], *copy[TABLE_COUNT][TABLE_COUNT];
};

/* A connection of our making. READ_ONLY: for readers and backups. */
int sqlite_connect(const char *path, bool read_only, sqlite3 **ret, struct err *e);

/* What the last failure on DB means, with "could not WHAT" in front: a full disk is ERR_EXHAUSTED,
 * nothing else is; nothing is ERR_CONFLICT. */
int sqlite_fail(sqlite3 *db, const char *what, struct err *e);

int sqlite_run(sqlite3 *db, const char *sql, struct err *e);
int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct err *e);
/* The first column of the first row as a number; ABSENT when there is no row. */
int sqlite_number(sqlite3 *db, const char *sql, int64_t absent, int64_t *ret, struct err *e);

/* SQL from the descriptors. */
struct text;
void sql_create(struct text *t, enum table_id table);
void sql_index(struct text *t, const struct table_index *index);
void sql_put(struct text *t, enum table_id table);
void sql_delete(struct text *t, enum table_id table);
void sql_copy(struct text *t, enum table_id from, enum table_id to);
/* "a, b, c", without the cold ones if asked; they are left out, not NULL. */
void sql_columns(struct text *t, enum table_id table, bool cold);
/* " ORDER BY key, key" */
void sql_by_key(struct text *t, enum table_id table);

/* The first COUNT columns of the record as parameters 1.. */
int sqlite_bind(sqlite3_stmt *stmt, const struct table_desc *d, const void *record, unsigned count);
/* The row as a record; its columns begin at FIRST. Texts and blobs point into STMT. */
void sqlite_record(sqlite3_stmt *stmt, int first, const struct table_desc *d, bool cold,
                   void *record);

/*
 * Migrations, numbered from 1 without gaps. A new database is made from the descriptors at the
 * newest version, so UP only tells how an older one gets there; both are SQL.
 */
struct sqlite_migration {
    const char *what;
    const char *up, *down; /* NULL for number 1, which makes and drops what is described */
};
extern const struct sqlite_migration sqlite_migrations[];
extern const int sqlite_newest;

/* The version of an existing database, 0: it is empty. ERR_CONFLICT: it is not ours, or newer than
 * NEWEST. */
int sqlite_version(sqlite3 *db, const char *path, int newest, int *ret, struct err *e);
/* Each step is a transaction of its own; *VERSION follows. */
int sqlite_migrate(sqlite3 *db, const struct sqlite_migration *list, int newest, int to,
                   int *version, struct err *e);

int checkpointer_start(struct store *s, struct err *e);
void checkpointer_stop(struct store *s);
/* How many pages the log has after a commit. */
void checkpointer_note(struct checkpointer *c, int wal_pages);
/* A checkpoint that failed for good; under write_lock. */
int checkpointer_check(struct checkpointer *c, struct err *e);

int sqlite_reader_open(struct store *s, struct store_reader **ret, struct err *e);
void sqlite_reader_close(struct store_reader *r);
int sqlite_read(struct store_reader *r, const struct store_query *q, store_on_row on_row, void *arg,
                struct err *e);
int sqlite_backup(struct store *s, const char *path, struct err *e);

DEFINE_AUTO(sqlite3_stmt, sqlite3_finalize)
#define auto_stmt AUTO(sqlite3_finalizep)
DEFINE_AUTO(sqlite3, sqlite3_close)
#define auto_sqlite AUTO(sqlite3_closep)

#endif
