/* A copy of a database in use. */
#include "store/sqlite_inside.h"

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { STEP_PAGES = 4096 };

/* Copies through one snapshot, which is held from the first step on: without it, SQLite would begin
 * anew after each commit. */
static int copy_pages(struct store *s, sqlite3 *to, struct err *e)
{
    auto_sqlite sqlite3 *from = NULL;
    if (sqlite_connect(s->path, true, &from, e) < 0 ||
        sqlite_run(from, "BEGIN; SELECT count(*) FROM leader", e) < 0)
        return -1;

    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return sqlite_fail(to, "write", e);
    int rc;
    do
        rc = sqlite3_backup_step(b, STEP_PAGES);
    while (rc == SQLITE_OK);
    sqlite3_backup_finish(b);
    if (rc != SQLITE_DONE)
        return sqlite_fail(to, "write", e);
    return 0;
}

static int make_copy(struct store *s, const char *path, struct err *e)
{
    auto_sqlite sqlite3 *to = NULL;
    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return sqlite_fail(to, "open", e);
    /* A copy that is not complete is thrown away, so it needs no journal. */
    if (sqlite_run(to, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF", e) < 0 ||
        copy_pages(s, to, e) < 0)
        return -1;
    return sqlite_run(to,
                      "PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF;"
                      "BEGIN;"
                      "DELETE FROM meta WHERE name = '" STORE_META_INCARNATION "';"
                      "UPDATE leader SET epoch = epoch + 1000000;"
                      "COMMIT",
                      e);
}

/* A log left beside PATH belongs to another database: with ours it would be read into it. */
static void remove_log_of(const char *path)
{
    static const char *const behind[] = {"-wal", "-shm"};
    for (size_t i = 0; i < COUNT_OF(behind); i++) {
        auto_free char *log = mem_printf("%s%s", path, behind[i]);
        unlink(log);
    }
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int sqlite_backup(struct store *s, const char *path, struct err *e)
{
    if (is_same_file(s->path, path))
        return err_set(e, ERR_INVALID, "database '%s' cannot be its own backup", path);
    auto_free char *beside = mem_printf("%s.new", path);
    unlink(beside);
    auto_close int fd = open(beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, errno, "could not create file '%s'", beside);

    atomic_fetch_add(&s->backups, 1);
    int rc = make_copy(s, beside, e);
    atomic_fetch_sub(&s->backups, 1);

    if (rc == 0 && FAILPOINT("store.backup"))
        rc = err_set(e, ERR_UNAVAILABLE, "could not sync file '%s': told to fail", beside);
    if (rc == 0 && fsync(fd) < 0)
        rc = err_sys(e, errno, "could not sync file '%s'", beside);
    if (rc == 0)
        remove_log_of(path);
    if (rc == 0 && rename(beside, path) < 0)
        rc = err_sys(e, errno, "could not rename '%s' to '%s'", beside, path);
    if (rc < 0) {
        unlink(beside);
        return -1;
    }
    return file_sync_parent(path, e);
}
