/*
 * The sqlite member: one file, with its log (WAL) and a lock beside it. Here: opening, loading and
 * committing; reading, migrating, checkpoints and backups have files of their own.
 */
#include "store/sqlite_inside.h"

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
    WRITER_CACHE_KIB = 16384,
    READER_CACHE_KIB = 4096,
    BUSY_MS = 5000, /* only a stranger (a shell) can make us wait */
    DROP_ROWS = 2000,
};

/* ------------------------------------------------------------------ one process */

static int fail_locked(int fd, const char *path, struct err *e)
{
    char pid[24] = {0};
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return err_set(e, ERR_CONFLICT,
                   "database '%s' is in use by process %s: stop that one first, or use another "
                   "data folder",
                   path, pid[0] ? pid : "(unknown)");
}

static int take_lock(struct store *s, struct err *e)
{
    auto_free char *path = mem_printf("%s.lock", s->path);
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EROFS)
        return err_set(
            e, ERR_DENIED,
            "database '%s' cannot be used: its disk is read-only, use a data folder that "
            "can be written",
            s->path);
    if (fd < 0)
        return err_sys(e, errno, "could not open lock file '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return fail_locked(fd, s->path, e);
        return err_sys(e, errno, "could not lock file '%s'", path);
    }
    /* For people and for the sentence above only: on a full disk it stays unknown. */
    if (ftruncate(fd, 0) == 0)
        dprintf(fd, "%d\n", (int)getpid());
    s->lock_fd = take_fd(&fd);
    return 0;
}

/* ------------------------------------------------------------------ opening */

static void configure_once(void)
{
    /* Counting every allocation takes a lock that all threads would share. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
}

int sqlite_connect(const char *path, bool read_only, sqlite3 **ret, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_once);

    auto_sqlite sqlite3 *db = NULL;
    int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK)
        return sqlite_fail(db, "open", e);
    sqlite3_extended_result_codes(db, 0);
    sqlite3_busy_timeout(db, BUSY_MS);

    auto_text struct text sql = {0};
    text_addf(&sql, "PRAGMA cache_size = -%d; PRAGMA temp_store = MEMORY;",
              read_only ? READER_CACHE_KIB : WRITER_CACHE_KIB);
    if (!read_only)
        text_add(&sql, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
                       "PRAGMA secure_delete = FAST;");
    if (sqlite_run(db, text_get(&sql), e) < 0)
        return -1;
    *ret = TAKE(db);
    return 0;
}

/* Makes an empty file that only we may read; SQLite gives its log the same mode. */
static int make_file(const char *path, struct err *e)
{
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return 0;
    if (fd < 0)
        return err_sys(e, errno, "could not create database '%s'", path);
    return file_sync_parent(path, e);
}

static int use_wal(sqlite3 *db, const char *path, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    if (sqlite_prepare(db, "PRAGMA journal_mode = WAL", &stmt, e) < 0)
        return -1;
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return sqlite_fail(db, "open", e);
    const char *mode = (const char *)sqlite3_column_text(stmt, 0);
    if (!mode || strcmp(mode, "wal") != 0)
        return err_set(
            e, ERR_DENIED,
            "database '%s' cannot be used on this file system, which cannot share memory "
            "between connections: use a local disk",
            path);
    return 0;
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    (void)db, (void)name;
    struct store *s = arg;
    if (s->checkpointer)
        checkpointer_note(s->checkpointer, pages);
    return SQLITE_OK;
}

static int open_database(struct store *s, struct err *e)
{
    if (make_file(s->path, e) < 0 || sqlite_connect(s->path, false, &s->db, e) < 0)
        return -1;
    if (sqlite_version(s->db, s->path, sqlite_newest, &s->version, e) < 0 ||
        use_wal(s->db, s->path, e) < 0 ||
        /* Says at once when the file may be read but not written. */
        sqlite_run(s->db, "BEGIN IMMEDIATE; COMMIT", e) < 0)
        return -1;
    sqlite3_wal_hook(s->db, on_commit, s);
    if (sqlite_migrate(s->db, sqlite_migrations, sqlite_newest, sqlite_newest, &s->version, e) < 0)
        return err_wrap(e, "could not bring database '%s' up to date", s->path);
    return 0;
}

static void forget_statements(struct store *s)
{
    sqlite3_stmt **each[] = {&s->begin, &s->commit, &s->rollback, &s->leader};
    for (size_t i = 0; i < COUNT_OF(each); i++)
        sqlite3_finalize(TAKE(*each[i]));
    for (int t = 0; t < TABLE_COUNT; t++) {
        sqlite3_finalize(TAKE(s->put[t]));
        sqlite3_finalize(TAKE(s->del[t]));
        for (int to = 0; to < TABLE_COUNT; to++)
            sqlite3_finalize(TAKE(s->copy[t][to]));
    }
}

static void sqlite_close(struct store *s)
{
    if (!s)
        return;
    checkpointer_stop(s);
    forget_statements(s);
    sqlite3_close(s->db); /* the last one: moves the log into the database and removes it */
    closep(&s->lock_fd);
    pthread_mutex_destroy(&s->write_lock);
    pthread_rwlock_destroy(&s->gate);
    free(s->path);
    free(s);
}

static int sqlite_open(const char *where, struct store **ret, struct err *e)
{
    if (!where[0])
        return err_set(e, ERR_INVALID, "store 'sqlite:' needs the path of a file");
    struct store *s = mem_new(struct store);
    s->lock_fd = -1;
    s->path = mem_strdup(where);
    pthread_mutex_init(&s->write_lock, NULL);
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    /* Else readers could keep the checkpointer waiting for ever. */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->gate, &attr);
    pthread_rwlockattr_destroy(&attr);

    if (take_lock(s, e) < 0 || open_database(s, e) < 0 || checkpointer_start(s, e) < 0) {
        sqlite_close(s);
        return -1;
    }
    *ret = s;
    return 0;
}

/* ------------------------------------------------------------------ the owner */

static int claim_locked(struct store *s, int64_t *ret_epoch, int64_t *ret_seq, struct err *e)
{
    if (s->version != sqlite_newest)
        return err_set(e, ERR_CONFLICT, "database '%s' has schema %d, this program needs %d",
                       s->path, s->version, sqlite_newest);
    auto_stmt sqlite3_stmt *stmt = NULL;
    if (sqlite_prepare(s->db, "UPDATE leader SET epoch = epoch + 1 RETURNING epoch, seq", &stmt,
                       e) < 0)
        return -1;
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return sqlite_fail(s->db, "claim", e);
    int64_t epoch = sqlite3_column_int64(stmt, 0), seq = sqlite3_column_int64(stmt, 1);
    if (sqlite3_step(stmt) != SQLITE_DONE || sqlite3_reset(stmt) != SQLITE_OK)
        return sqlite_fail(s->db, "claim", e);
    s->claimed = true;
    *ret_epoch = epoch;
    *ret_seq = seq;
    return 0;
}

static int sqlite_claim(struct store *s, int64_t *ret_epoch, int64_t *ret_seq, struct err *e)
{
    pthread_mutex_lock(&s->write_lock);
    int rc = claim_locked(s, ret_epoch, ret_seq, e);
    pthread_mutex_unlock(&s->write_lock);
    return rc;
}

static int load_locked(struct store *s, enum table_id table, store_on_row on_row, void *arg,
                       struct err *e)
{
    const struct table_desc *d = &table_descs[table];
    auto_text struct text sql = {0};
    text_add(&sql, "SELECT ");
    sql_columns(&sql, table, false);
    text_addf(&sql, " FROM %s", d->name);
    sql_by_key(&sql, table);

    auto_stmt sqlite3_stmt *stmt = NULL;
    if (sqlite_prepare(s->db, text_get(&sql), &stmt, e) < 0)
        return -1;
    union any_row record;
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        sqlite_record(stmt, 0, d, false, &record);
        if (on_row(arg, table, &record))
            return -1;
    }
    if (rc != SQLITE_DONE)
        return sqlite_fail(s->db, "read", e);
    return 0;
}

static int sqlite_load(struct store *s, enum table_id table, store_on_row on_row, void *arg,
                       struct err *e)
{
    pthread_mutex_lock(&s->write_lock);
    int rc = load_locked(s, table, on_row, arg, e);
    pthread_mutex_unlock(&s->write_lock);
    return rc;
}

/* ------------------------------------------------------------------ committing */

static int prepared(struct store *s, sqlite3_stmt **stmt, const char *sql, struct err *e)
{
    return *stmt ? 0 : sqlite_prepare(s->db, sql, stmt, e);
}

static int prepare_row(struct store *s, const struct row *row, sqlite3_stmt **ret, struct err *e)
{
    auto_text struct text sql = {0};
    sqlite3_stmt **slot = row->op == ROW_PUT    ? &s->put[row->table]
                          : row->op == ROW_MOVE ? &s->copy[row->table][row->to]
                                                : &s->del[row->table];
    if (!*slot) {
        if (row->op == ROW_PUT)
            sql_put(&sql, row->table);
        else if (row->op == ROW_MOVE)
            sql_copy(&sql, row->table, row->to);
        else
            sql_delete(&sql, row->table);
        if (sqlite_prepare(s->db, text_get(&sql), slot, e) < 0)
            return -1;
    }
    *ret = *slot;
    return 0;
}

/* Runs a statement that gives no rows. */
static int run_once(struct store *s, sqlite3_stmt *stmt, struct err *e)
{
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_DONE)
        sqlite_fail(s->db, "write", e);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? 0 : -1;
}

static int write_row(struct store *s, const struct row *row, struct err *e)
{
    const struct table_desc *d = &table_descs[row->table];
    sqlite3_stmt *stmt;
    if (prepare_row(s, row, &stmt, e) < 0)
        return -1;
    if (sqlite_bind(stmt, d, row->record, row->op == ROW_PUT ? d->count : d->keys) != SQLITE_OK)
        return sqlite_fail(s->db, "write", e);
    if (run_once(s, stmt, e) < 0)
        return -1;
    if (row->op != ROW_MOVE)
        return 0;
    if (sqlite3_changes(s->db) != 1)
        return err_set(e, ERR_INTERNAL, "there is no such %s to move to %s", d->name,
                       table_descs[row->to].name);
    struct row gone = {.op = ROW_DELETE, .table = row->table, .record = row->record};
    return write_row(s, &gone, e);
}

/* The one line that keeps two owners apart: it changes nothing unless we still are the owner and
 * this is the next batch. */
static int take_turn(struct store *s, const struct batch *b, struct err *e)
{
    sqlite3_bind_int64(s->leader, 1, b->seq);
    sqlite3_bind_int64(s->leader, 2, b->epoch);
    if (run_once(s, s->leader, e) < 0)
        return -1;
    if (sqlite3_changes(s->db) != 1)
        return err_set(e, ERR_CONFLICT,
                       "batch %lld of epoch %lld is not the next one: another program has taken "
                       "over database '%s'",
                       (long long)b->seq, (long long)b->epoch, s->path);
    return 0;
}

static int write_batch(struct store *s, const struct batch *b, struct err *e)
{
    if (run_once(s, s->begin, e) < 0 || take_turn(s, b, e) < 0)
        return -1;
    for (const struct row *row = b->first; row; row = row->next)
        if (write_row(s, row, e) < 0)
            return -1;
    if (FAILPOINT("store.mid_commit"))
        return err_set(e, ERR_UNAVAILABLE, "could not write: told to fail");
    return run_once(s, s->commit, e);
}

static int commit_locked(struct store *s, const struct batch *b, struct err *e)
{
    struct err why = {0};
    if (s->broken || !s->claimed)
        return err_set(e, ERR_INTERNAL, "database '%s' %s", s->path,
                       s->broken ? "has failed before" : "was not claimed");
    if (checkpointer_check(s->checkpointer, e) < 0 ||
        prepared(s, &s->begin, "BEGIN IMMEDIATE", e) < 0 ||
        prepared(s, &s->commit, "COMMIT", e) < 0 || prepared(s, &s->rollback, "ROLLBACK", e) < 0 ||
        prepared(s, &s->leader, "UPDATE leader SET seq = ?1 WHERE epoch = ?2 AND seq = ?1 - 1", e) <
            0)
        return -1;

    if (write_batch(s, b, &why) == 0)
        return 0;
    /* Some failures take the transaction back by themselves. */
    if (!sqlite3_get_autocommit(s->db) && run_once(s, s->rollback, &why) < 0)
        why.code = ERR_UNAVAILABLE; /* even if the first reason was a full disk */
    s->broken = why.code != ERR_EXHAUSTED && why.code != ERR_CONFLICT;
    if (e)
        *e = why;
    return -1;
}

static int sqlite_commit(struct store *s, const struct batch *b, struct err *e)
{
    pthread_mutex_lock(&s->write_lock);
    int rc = commit_locked(s, b, e);
    pthread_mutex_unlock(&s->write_lock);
    return rc;
}

/* ------------------------------------------------------------------ upkeep */

static int sqlite_migrate_to(struct store *s, int version, struct err *e)
{
    pthread_mutex_lock(&s->write_lock);
    int rc;
    if (s->claimed) {
        rc = err_set(e, ERR_CONFLICT, "database '%s' is in use: its schema cannot change now",
                     s->path);
    } else {
        forget_statements(s);
        rc = sqlite_migrate(s->db, sqlite_migrations, sqlite_newest,
                            version < 0 ? sqlite_newest : version, &s->version, e);
    }
    pthread_mutex_unlock(&s->write_lock);
    return rc;
}

/* The last rows go first: what is left when we are stopped half way still hangs on the chain. */
static int drop_slice(struct store *s, int64_t first_seq, int64_t *last, struct err *e)
{
    char sql[128];
    if (!*last) {
        snprintf(sql, sizeof sql, "SELECT last_seq FROM ledger_segment WHERE first_seq = %lld",
                 (long long)first_seq);
        if (sqlite_number(s->db, sql, 0, last, e) < 0)
            return -1;
        if (!*last)
            return err_set(e, ERR_NOT_FOUND, "no closed ledger segment begins with row %lld",
                           (long long)first_seq);
    }
    int64_t from = *last - DROP_ROWS + 1;
    if (from < first_seq)
        from = first_seq;
    snprintf(sql, sizeof sql, "DELETE FROM ledger WHERE seq BETWEEN %lld AND %lld", (long long)from,
             (long long)*last);
    *last = from - 1;
    return sqlite_run(s->db, sql, e);
}

static int sqlite_segment_drop(struct store *s, int64_t first_seq, struct err *e)
{
    int64_t last = 0;
    do {
        pthread_mutex_lock(&s->write_lock);
        int rc = drop_slice(s, first_seq, &last, e);
        pthread_mutex_unlock(&s->write_lock);
        if (rc < 0)
            return -1;
        usleep(1000); /* lets the writer have the lock */
    } while (last >= first_seq);
    return 0;
}

static int64_t size_of(const char *path, const char *behind)
{
    auto_free char *name = mem_printf("%s%s", path, behind);
    struct stat st;
    return stat(name, &st) < 0 ? 0 : (int64_t)st.st_size;
}

static int sqlite_stats(struct store *s, struct store_stats *ret, struct err *e)
{
    struct statvfs v;
    if (statvfs(s->path, &v) < 0)
        return err_sys(e, errno, "could not ask for the free space below '%s'", s->path);
    ret->free_bytes = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    ret->file_bytes = size_of(s->path, "") + size_of(s->path, "-wal");
    return 0;
}

const struct store_ops store_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .claim = sqlite_claim,
    .load = sqlite_load,
    .commit = sqlite_commit,
    .reader_open = sqlite_reader_open,
    .reader_close = sqlite_reader_close,
    .read = sqlite_read,
    .migrate = sqlite_migrate_to,
    .backup = sqlite_backup,
    .segment_drop = sqlite_segment_drop,
    .stats = sqlite_stats,
};
