/*
 * Moves what the log (WAL) holds into the database. SQLite would do it inside of a commit, every
 * 1000 pages, and that one commit waits for all of it. Instead a thread with a connection of its
 * own moves a slice as soon as there is one, which never stops the writer.
 *
 * While commits go on, such a slice never catches up quite, and then the log would grow for ever:
 * it starts again at its beginning only when all of it was moved and no reader needs it. So when it
 * has RESET_PAGES, readers are held at the gate, the writer between two commits, and the few pages
 * that came since the last slice are moved too.
 */
#include "store/sqlite_inside.h"

#include "base/failpoint.h"
#include "base/mem.h"

enum {
    SLICE_PAGES = 1000,
    RESET_PAGES = 8192, /* 32 MiB: opening after a crash reads it through, reads search its index */
};

struct checkpointer {
    struct store *store;
    sqlite3 *db;
    pthread_t thread;
    pthread_mutex_t lock; /* the last one to be taken; guards what follows */
    pthread_cond_t wake;
    int wal_pages, moved_pages;
    bool stop, failed;
    struct err why;
};

void checkpointer_note(struct checkpointer *c, int wal_pages)
{
    pthread_mutex_lock(&c->lock);
    if (wal_pages < c->moved_pages)
        c->moved_pages = 0; /* the log began anew */
    c->wal_pages = wal_pages;
    if (wal_pages - c->moved_pages >= SLICE_PAGES)
        pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

int checkpointer_check(struct checkpointer *c, struct err *e)
{
    pthread_mutex_lock(&c->lock);
    bool failed = c->failed;
    if (failed && e)
        *e = c->why;
    pthread_mutex_unlock(&c->lock);
    return failed ? -1 : 0;
}

/* Moves what it can. A full disk is survived, another try follows with the next slice; so is a log
 * that somebody else is busy with. All else is not: the next commit says why. */
static int move(struct checkpointer *c, int mode, int *ret_pages)
{
    int moved = 0;
    struct err why = {0};
    int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, mode, ret_pages, &moved);
    bool passing = rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED;
    if (!passing)
        sqlite_fail(c->db, "move the log into", &why);
    if (FAILPOINT("store.checkpoint"))
        err_set(&why, ERR_UNAVAILABLE, "could not move the log: told to fail");

    pthread_mutex_lock(&c->lock);
    if (why.code && why.code != ERR_EXHAUSTED) {
        c->failed = true;
        c->why = why;
    }
    c->moved_pages = rc == SQLITE_OK ? moved : c->wal_pages; /* not at once again */
    pthread_mutex_unlock(&c->lock);
    return rc == SQLITE_OK ? 0 : -1;
}

static void reset_log(struct checkpointer *c)
{
    struct store *s = c->store;
    int pages;
    pthread_rwlock_wrlock(&s->gate);
    pthread_mutex_lock(&s->write_lock);
    move(c, SQLITE_CHECKPOINT_RESTART, &pages);
    pthread_mutex_unlock(&s->write_lock);
    pthread_rwlock_unlock(&s->gate);
}

static void *run(void *arg)
{
    struct checkpointer *c = arg;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        while (!c->stop && c->wal_pages - c->moved_pages < SLICE_PAGES)
            pthread_cond_wait(&c->wake, &c->lock);
        bool stop = c->stop || c->failed;
        pthread_mutex_unlock(&c->lock);
        if (stop)
            return NULL;

        int pages = 0;
        int rc = move(c, SQLITE_CHECKPOINT_PASSIVE, &pages);
        /* A backup holds its snapshot for long: meanwhile the log grows. */
        if (rc == 0 && pages >= RESET_PAGES && !atomic_load(&c->store->backups))
            reset_log(c);
    }
}

int checkpointer_start(struct store *s, struct err *e)
{
    struct checkpointer *c = mem_new(struct checkpointer);
    c->store = s;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    s->checkpointer = c;
    if (sqlite_connect(s->path, false, &c->db, e) < 0)
        return -1;
    /* Whoever still reads (a backup, a stranger's shell) is not waited for: the writer would wait
     * too.
     */
    sqlite3_busy_timeout(c->db, 0);
    int rc = pthread_create(&c->thread, NULL, run, c);
    if (rc) {
        sqlite3_close(TAKE(c->db));
        return err_sys(e, rc, "could not start the checkpoint thread");
    }
    pthread_setname_np(c->thread, "checkpointer");
    return 0;
}

void checkpointer_stop(struct store *s)
{
    struct checkpointer *c = TAKE(s->checkpointer);
    if (!c)
        return;
    if (c->db) {
        pthread_mutex_lock(&c->lock);
        c->stop = true;
        pthread_cond_signal(&c->wake);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
        sqlite3_close(c->db);
    }
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
