/* What only the sqlite member promises: its file. */
#include "place.h"

#include "base/clock.h"
#include "base/file.h"
#include "store/sqlite_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void make(struct place *p)
{
    *p = (struct place){0};
    place_make(p, "sqlite", "");
}

static const char *path_of(const struct place *p)
{
    return p->address + strlen("sqlite:");
}

static void commit_jobs(struct place *p, int64_t from, int64_t upto)
{
    struct batch *b = place_batch(p);
    for (int64_t id = from; id <= upto; id++)
        put_job(b, id, 7);
    CHECK_OK(place_commit(p, b));
}

/* Runs SQL on the closed database as a stranger would. */
static void by_hand(const struct place *p, const char *sql)
{
    sqlite3 *db;
    CHECK_INT(sqlite3_open(path_of(p), &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

TEST("what was committed is there after closing and opening, and the epoch goes on")
{
    struct place p;
    make(&p);
    commit_jobs(&p, 1, 3);
    place_again(&p);
    CHECK_INT(p.epoch, 2);
    CHECK_INT(p.seq, 1);
    CHECK_TEXT(place_load(&p, TABLE_ID_JOB), "job 1, job 2, job 3");
    place_remove(&p);
}

TEST("the database and its log can be read by their owner only")
{
    struct place p;
    make(&p);
    commit_jobs(&p, 1, 1);
    static const char *const behind[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < COUNT_OF(behind); i++) {
        auto_free char *path = mem_printf("%s%s", path_of(&p), behind[i]);
        struct stat st;
        CHECK_INT(stat(path, &st), 0);
        CHECK_INT(st.st_mode & 0777, 0600);
    }
    place_remove(&p);
}

TEST("a second program is told which process has the database open")
{
    struct place p;
    struct store *second;
    char words[64];
    make(&p);
    snprintf(words, sizeof words, "in use by process %d: stop that one", (int)getpid());
    CHECK_FAILS(store_open(p.address, &p.ops, &second, &test_err), ERR_CONFLICT, words);
    place_remove(&p);
}

TEST("a database that is newer than the program is refused, and left as it is")
{
    struct place p;
    make(&p);
    commit_jobs(&p, 1, 1);
    place_close(&p);
    by_hand(&p, "UPDATE schema_version SET version = 99");
    CHECK_FAILS(store_open(p.address, &p.ops, &p.s, &test_err), ERR_CONFLICT,
                "has schema 99, which is newer than this program");
    auto_free char *back = mem_printf("UPDATE schema_version SET version = %d", sqlite_newest);
    by_hand(&p, back);
    place_again(&p);
    CHECK_TEXT(place_load(&p, TABLE_ID_JOB), "job 1");
    place_remove(&p);
}

TEST("the database of another program is refused")
{
    struct place p;
    make(&p);
    place_close(&p);
    unlink(path_of(&p));
    by_hand(&p, "CREATE TABLE song(name)");
    CHECK_FAILS(store_open(p.address, &p.ops, &p.s, &test_err), ERR_CONFLICT, "another program");
    place_remove(&p);
}

TEST("a file that is no database is called damaged, with a way out")
{
    struct place p;
    make(&p);
    place_close(&p);
    auto_free char *junk = mem_alloc(1, 100000);
    random_fill(junk, 100000);
    CHECK_OK(file_replace(path_of(&p), junk, 100000, 0600, &test_err));
    CHECK_FAILS(store_open(p.address, &p.ops, &p.s, &test_err), ERR_UNPROCESSABLE,
                "is damaged (file is not a database): put a backup in its place");
    place_remove(&p);
}

static int pass(void *arg, enum table_id table, const void *record)
{
    (void)arg, (void)table, (void)record;
    return 0;
}

/* Opening and loading, as a program does at its start. */
static int start_up(struct place *p)
{
    int rc = store_open(p->address, &p->ops, &p->s, &test_err);
    if (rc < 0)
        return rc;
    for (int t = 0; rc == 0 && t < TABLE_COUNT; t++)
        rc = p->ops->load(p->s, (enum table_id)t, pass, NULL, &test_err);
    p->ops->close(TAKE(p->s));
    return rc;
}

TEST("a database that was cut short, or overwritten in its middle, is called damaged at the start")
{
    struct place p;
    make(&p);
    commit_jobs(&p, 1, 5000);
    place_close(&p);
    auto_free char *bytes = NULL;
    size_t len;
    CHECK_OK(file_read(path_of(&p), 64 << 20, &bytes, &len, &test_err));
    CHECK(len > 300000);

    CHECK_INT(truncate(path_of(&p), (off_t)(len / 2)), 0);
    CHECK_FAILS(start_up(&p), ERR_UNPROCESSABLE, "is damaged");

    memset(bytes + len / 4, 0xff, len / 2);
    CHECK_OK(file_replace(path_of(&p), bytes, len, 0600, &test_err));
    CHECK_FAILS(start_up(&p), ERR_UNPROCESSABLE, "is damaged");
    place_remove(&p);
}

TEST("a folder that is not there is named")
{
    struct store *s;
    const struct store_ops *ops;
    CHECK_FAILS(store_open("sqlite:/nowhere/at/all.db", &ops, &s, &test_err), ERR_NOT_FOUND,
                "/nowhere/at/all.db.lock");
}

TEST("a log whose end was torn off is used up to the last whole batch")
{
    struct place p;
    make(&p);
    commit_jobs(&p, 1, 1);
    commit_jobs(&p, 2, 200);
    /* What a crash leaves: the files as they are now, without the end of the log. */
    auto_free char *wal_path = mem_printf("%s-wal", path_of(&p));
    auto_free char *db = NULL, *wal = NULL;
    size_t db_len, wal_len;
    CHECK_OK(file_read(path_of(&p), 64 << 20, &db, &db_len, &test_err));
    CHECK_OK(file_read(wal_path, 64 << 20, &wal, &wal_len, &test_err));
    place_close(&p);
    CHECK_OK(file_replace(path_of(&p), db, db_len, 0600, &test_err));
    CHECK_OK(file_replace(wal_path, wal, wal_len - 5000, 0600, &test_err));
    place_again(&p);
    CHECK_INT(p.seq, 1);
    CHECK_TEXT(place_load(&p, TABLE_ID_JOB), "job 1");
    place_remove(&p);
}

/* ------------------------------------------------------------------ migrations */

static const struct sqlite_migration three_steps[] = {
    {"all tables", NULL, NULL},
    {"jobs have a mood", "ALTER TABLE job ADD COLUMN mood INTEGER NOT NULL DEFAULT 0;",
     "ALTER TABLE job DROP COLUMN mood;"},
    {"a step that breaks half way", "CREATE TABLE half(x); INSERT INTO nowhere VALUES(1);",
     "DROP TABLE half;"},
};

static int64_t count_of(sqlite3 *db, const char *sql)
{
    int64_t n;
    CHECK_OK(sqlite_number(db, sql, -1, &n, &test_err));
    return n;
}

static char *all_columns(sqlite3 *db)
{
    sqlite3_stmt *s;
    struct text t = {0};
    CHECK_INT(sqlite3_prepare_v2(db,
                                 "SELECT m.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk "
                                 "FROM sqlite_schema m, pragma_table_info(m.name) c "
                                 "WHERE m.type = 'table' ORDER BY m.name, c.cid",
                                 -1, &s, NULL),
              SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(s); i++)
            text_addf(&t, "%s%s", (const char *)sqlite3_column_text(s, i) ?: "-",
                      i + 1 < sqlite3_column_count(s) ? " " : "\n");
    sqlite3_finalize(s);
    return text_take(&t);
}

TEST("every migration goes back and forward, and the tables are then those of a new database")
{
    struct place p;
    make(&p);
    commit_jobs(&p, 1, 3);
    place_close(&p);
    sqlite3 *db;
    int version = sqlite_newest;
    CHECK_OK(sqlite_connect(path_of(&p), false, &db, &test_err));
    auto_free char *fresh = all_columns(db);
    CHECK_OK(sqlite_migrate(db, sqlite_migrations, sqlite_newest, 1, &version, &test_err));
    auto_free char *oldest = all_columns(db);
    CHECK(sqlite_newest == 1 || strcmp(oldest, fresh) != 0);
    CHECK_OK(
        sqlite_migrate(db, sqlite_migrations, sqlite_newest, sqlite_newest, &version, &test_err));
    auto_free char *again = all_columns(db);
    CHECK_TEXT(again, fresh);
    sqlite3_close(db);
    place_again(&p);
    CHECK_TEXT(place_load(&p, TABLE_ID_JOB), "job 1, job 2, job 3");
    place_remove(&p);
}

TEST("jobs that ended before know where, from their last attempt")
{
    struct place p;
    make(&p);
    place_close(&p);
    sqlite3 *db;
    int version = sqlite_newest;
    CHECK_OK(sqlite_connect(path_of(&p), false, &db, &test_err));
    CHECK_OK(sqlite_migrate(db, sqlite_migrations, sqlite_newest, 1, &version, &test_err));
    CHECK_OK(sqlite_run(db,
                        "INSERT INTO job_history(id, attempts) VALUES(7, 2), (8, 0);"
                        "INSERT INTO attempt_history(job, n, node, decided_ms)"
                        " VALUES(7, 1, 4, 400), (7, 2, 5, 500);"
                        "INSERT INTO part_history(job, n, part, device)"
                        " VALUES(7, 1, 0, 40), (7, 2, 0, 52), (7, 2, 1, 51)",
                        &test_err));
    CHECK_OK(
        sqlite_migrate(db, sqlite_migrations, sqlite_newest, sqlite_newest, &version, &test_err));
    CHECK_INT(count_of(db, "SELECT count(*) FROM job_history WHERE id = 7 AND node = 5 AND"
                           " scheduled_ms = 500 AND devices = '52,51'"),
              1);
    CHECK_INT(count_of(db, "SELECT count(*) FROM job_history WHERE id = 8 AND node = 0 AND"
                           " scheduled_ms = 0 AND devices IS NULL"),
              1);
    sqlite3_close(db);
    place_remove(&p);
}

TEST("migrations go forward and back with the rows kept, and a step that fails changes nothing")
{
    struct place p;
    make(&p);
    commit_jobs(&p, 1, 3);
    place_close(&p);
    sqlite3 *db;
    int version;
    CHECK_OK(sqlite_connect(path_of(&p), false, &db, &test_err));
    CHECK_OK(sqlite_version(db, "x", sqlite_newest, &version, &test_err));
    CHECK_INT(version, sqlite_newest);
    CHECK_OK(sqlite_migrate(db, sqlite_migrations, sqlite_newest, 1, &version, &test_err));
    CHECK_OK(sqlite_migrate(db, three_steps, 3, 2, &version, &test_err));
    CHECK_INT(version, 2);
    CHECK_INT(count_of(db, "SELECT sum(mood) + count(*) FROM job"), 3);
    CHECK_FAILS(sqlite_migrate(db, three_steps, 3, 3, &version, &test_err), ERR_INTERNAL,
                "schema 2 to 3 (a step that breaks half way)");
    CHECK_INT(version, 2);
    CHECK_INT(count_of(db, "SELECT version FROM schema_version"), 2);
    CHECK_INT(count_of(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
    CHECK_FAILS(sqlite_version(db, "x", 1, &version, &test_err), ERR_CONFLICT, "newer");

    version = 2;
    CHECK_OK(sqlite_migrate(db, three_steps, 3, 1, &version, &test_err));
    CHECK_INT(count_of(db, "SELECT count(*) FROM pragma_table_info('job') WHERE name = 'mood'"), 0);
    sqlite3_close(db);
    place_again(&p);
    CHECK_TEXT(place_load(&p, TABLE_ID_JOB), "job 1, job 2, job 3");
    place_remove(&p);
}

/* ------------------------------------------------------------------ the log */

TEST("under steady commits and reads the log stays near 32 MiB")
{
    struct place p;
    make(&p);
    auto_free char *spec = mem_alloc(1, 60001);
    memset(spec, 'x', 60000);
    auto_free char *wal = mem_printf("%s-wal", path_of(&p));
    int64_t most = 0;
    for (int i = 1; i <= 130; i++) {
        struct batch *b = place_batch(&p);
        for (int k = 0; k < 16; k++) /* a megabyte */
            batch_put(b, TABLE_ID_JOB, &(struct job_row){.id = i * 16 + k, .spec = spec});
        CHECK_OK(place_commit(&p, b));
        struct stat st;
        CHECK_INT(stat(wal, &st), 0);
        most = st.st_size > most ? st.st_size : most;
        place_ask(&p, (struct store_query){.id = QUERY_JOB, .key = i * 16});
    }
    ck_assert_msg(most < (int64_t)96 << 20, "the log had %lld MiB", (long long)(most >> 20));
    place_remove(&p);
}

struct slow {
    struct place *p;
    int64_t rows, last;
    bool in_order;
};

static int slowly(void *arg, enum table_id table, const void *record)
{
    (void)table;
    struct slow *s = arg;
    int64_t seq = ((const struct ledger_row *)record)->seq;
    s->in_order = s->in_order && seq == s->last + 1;
    s->last = seq;
    if (s->rows++ == 0) {
        /* While this snapshot is held, a row comes that it does not hold. */
        struct batch *b = place_batch(s->p);
        put_ledger(b, 201, 1000, 1, "x");
        CHECK_OK(place_commit(s->p, b));
    }
    if (s->rows <= 70)
        usleep(READ_SLICE_MS * 1000 / 60);
    return 0;
}

TEST("a slow reader lets its snapshot go, and goes on where it was")
{
    struct place p;
    make(&p);
    struct batch *b = place_batch(&p);
    for (int i = 1; i <= 200; i++)
        put_ledger(b, i, 1000, 1, "x");
    CHECK_OK(place_commit(&p, b));
    struct slow slow = {.p = &p, .in_order = true};
    struct store_query q = {.id = QUERY_LEDGER, .limit = 1000};
    CHECK_OK(p.ops->read(p.r, &q, slowly, &slow, &test_err));
    CHECK(slow.in_order);
    CHECK_INT(slow.rows, 201);
    place_remove(&p);
}

/* ------------------------------------------------------------------ backups */

struct busy {
    struct place *p;
    atomic_bool stop;
    int64_t committed;
};

static void *commit_on(void *arg)
{
    struct busy *busy = arg;
    while (!atomic_load(&busy->stop)) {
        commit_jobs(busy->p, 1000 + busy->committed * 10, 1009 + busy->committed * 10);
        busy->committed++;
    }
    return NULL;
}

TEST("a backup taken while commits go on is one moment of the store, and known as a copy")
{
    struct place p, copy = {0};
    make(&p);
    commit_jobs(&p, 1, 900);
    struct batch *b = place_batch(&p);
    batch_put(b, TABLE_ID_META, &(struct meta_row){.name = STORE_META_INCARNATION, .text = "abc"});
    batch_put(b, TABLE_ID_META, &(struct meta_row){.name = "site", .text = "here"});
    CHECK_OK(place_commit(&p, b));

    struct busy busy = {.p = &p};
    pthread_t thread;
    pthread_create(&thread, NULL, commit_on, &busy);
    snprintf(copy.address, sizeof copy.address, "sqlite:%s/copy.db", p.folder);
    auto_free char *old_log = mem_printf("%s-wal", path_of(&copy));
    CHECK_OK(file_replace(old_log, "of another database", 19, 0600, &test_err));
    for (int i = 0; i < 3; i++)
        CHECK_OK(p.ops->backup(p.s, path_of(&copy), &test_err));
    atomic_store(&busy.stop, true);
    pthread_join(thread, NULL);
    CHECK(access(old_log, F_OK) < 0);

    place_again(&copy);
    CHECK_INT(copy.epoch, p.epoch + 1000000 + 1);
    CHECK(copy.seq >= 2 && copy.seq <= p.seq);
    CHECK_TEXT(place_load(&copy, TABLE_ID_META), "meta site");
    auto_text struct text jobs = {0};
    text_add(&jobs, place_load(&copy, TABLE_ID_JOB));
    int64_t rows = 1;
    for (const char *c = text_get(&jobs); *c; c++)
        rows += *c == ',';
    CHECK_INT(rows, 900 + (copy.seq - 2) * 10);
    commit_jobs(&copy, 100000, 100000);
    place_close(&copy);
    text_done(&copy.seen);
    CHECK_TEXT(place_load(&p, TABLE_ID_META), "meta incarnation, meta site");
    CHECK_FAILS(p.ops->backup(p.s, path_of(&p), &test_err), ERR_INVALID, "its own backup");
    CHECK_FAILS(p.ops->backup(p.s, "/nowhere/copy.db", &test_err), ERR_NOT_FOUND, "/nowhere/copy");
    place_remove(&p);
}

/* ------------------------------------------------------------------ disks */

/* A disk of so many bytes at P's folder, seen by this process only; false where that is not
 * permitted. The rest of the process lives on in its own view of the file systems. */
static bool mount_small(const char *folder, const char *options)
{
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", folder, "tmpfs", 0, options) == 0;
}

static bool on_small_disk(struct place *p)
{
    strcpy(p->folder, "/tmp/test_storeXXXXXX");
    CHECK(mkdtemp(p->folder) != NULL);
    snprintf(p->address, sizeof p->address, "sqlite:%s/reeve.db", p->folder);
    if (mount_small(p->folder, "size=12m,mode=0700")) {
        place_again(p);
        return true;
    }
    fprintf(stderr, "skipped: no right to mount a small disk here (%s)\n", strerror(errno));
    rmdir(p->folder);
    return false;
}

static void off_small_disk(struct place *p)
{
    place_close(p);
    text_done(&p->seen);
    CHECK_INT(umount(p->folder), 0);
    rmdir(p->folder);
}

static struct batch *big_batch(struct place *p, int64_t id, const char *spec)
{
    struct batch *b = place_batch(p);
    batch_put(b, TABLE_ID_JOB, &(struct job_row){.id = id, .spec = spec});
    batch_put(b, TABLE_ID_JOB, &(struct job_row){.id = id + 1000, .spec = spec});
    return b;
}

TEST("a full disk takes a batch back whole; with room again the same batch is written")
{
    struct place place = {0}, *p = &place;
    if (!on_small_disk(p))
        return;
    auto_free char *spare = mem_printf("%s/spare", p->folder);
    auto_free char *bytes = mem_alloc(1, 7000000);
    auto_free char *spec = mem_alloc(1, 30001);
    memset(spec, 'x', 30000);
    CHECK_OK(file_replace(spare, bytes, 7000000, 0600, &test_err));

    int64_t id = 1;
    struct batch *b = big_batch(p, id, spec);
    while (p->ops->commit(p->s, b, &test_err) == 0) {
        batch_free(b);
        p->seq++;
        b = big_batch(p, ++id, spec);
        CHECK(id < 500);
    }
    CHECK_INT(test_err.code, ERR_EXHAUSTED);
    CHECK(strstr(test_err.text, "the disk is full") != NULL);
    for (int i = 0; i < 3; i++)
        CHECK_FAILS(p->ops->commit(p->s, b, &test_err), ERR_EXHAUSTED, "the disk is full");
    struct store_stats st;
    CHECK_OK(p->ops->stats(p->s, &st, &test_err));
    CHECK(st.free_bytes < 200000);
    CHECK(ASK(.id = QUERY_JOB, .key = id - 1)[0] != 0);
    CHECK_TEXT(ASK(.id = QUERY_JOB, .key = id), "");
    CHECK_TEXT(ASK(.id = QUERY_JOB, .key = id + 1000), "");

    unlink(spare);
    CHECK_OK(place_commit(p, b));
    place_again(p);
    CHECK_INT(p->seq, id);
    for (int64_t i = 1; i <= id; i++)
        CHECK(ASK(.id = QUERY_JOB, .key = i)[0] && ASK(.id = QUERY_JOB, .key = i + 1000)[0]);
    off_small_disk(p);
}

TEST("a new database on a full disk, and one on a read-only disk, are told in a sentence")
{
    struct place place = {0}, *p = &place;
    if (!on_small_disk(p))
        return;
    commit_jobs(p, 1, 10);
    place_close(p);
    CHECK_INT(mount(NULL, p->folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    CHECK_FAILS(store_open(p->address, &p->ops, &p->s, &test_err), ERR_DENIED, "is read-only");
    CHECK_INT(mount(NULL, p->folder, NULL, MS_REMOUNT, NULL), 0);

    unlink(path_of(p));
    auto_free char *spare = mem_printf("%s/spare", p->folder);
    int fd = open(spare, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    char bytes[4096] = {0};
    while (write(fd, bytes, sizeof bytes) > 0)
        ;
    close(fd);
    CHECK_FAILS(store_open(p->address, &p->ops, &p->s, &test_err), ERR_EXHAUSTED, "disk is full");
    off_small_disk(p);
}
