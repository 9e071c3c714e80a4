#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "logs/log_store.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

struct place {
    char folder[64];
    struct log_limits limits;
    const struct log_store_ops *ops;
    struct log_store *s;
};

static void open_it(struct place *p)
{
    auto_free char *address = mem_printf("directory:%s/logs", p->folder);
    CHECK_OK(log_store_open(address, &p->limits, &p->ops, &p->s, &test_err));
}

/* FREE_BYTES of -1 lets a test run on a disk that is nearly full. */
static void make(struct place *p, int64_t attempt_bytes)
{
    *p = (struct place){.folder = "/tmp/test_logsXXXXXX",
                        .limits = {.attempt_bytes = attempt_bytes, .free_bytes = -1}};
    CHECK(mkdtemp(p->folder) != NULL);
    open_it(p);
}

static void again(struct place *p)
{
    p->ops->close(p->s);
    open_it(p);
}

static void done(struct place *p)
{
    p->ops->close(p->s);
    CHECK_OK(file_remove_tree(p->folder, &test_err));
}

static const struct log_ref one = {7, 1};

static int64_t append(struct place *p, struct log_ref ref, int64_t offset, const char *text)
{
    int64_t end = -1;
    CHECK_OK(p->ops->append(p->s, ref, offset, text, (int64_t)strlen(text), &end, &test_err));
    return end;
}

/* The whole stream as text, gaps as "[4 missing]", " (ended)" at its end. ROOM a read. */
static char *whole(struct place *p, struct log_ref ref, int64_t room)
{
    struct text t = {0};
    auto_free char *buf = mem_alloc(1, (size_t)room);
    for (int64_t at = 0;;) {
        struct log_piece piece;
        CHECK_OK(p->ops->read(p->s, ref, at, buf, room, &piece, &test_err));
        if (piece.offset > at)
            text_addf(&t, "[%d missing]", (int)(piece.offset - at));
        text_add_bytes(&t, buf, (size_t)piece.len);
        at = piece.offset + piece.len;
        if (piece.ended)
            text_add(&t, " (ended)");
        if (piece.ended || piece.len == 0)
            return text_take(&t);
    }
}

#define CHECK_WHOLE(p, ref, text)                                                                  \
    do {                                                                                           \
        auto_free char *small_ = whole(p, ref, 3), *large_ = whole(p, ref, 1000000);               \
        CHECK_TEXT(small_, text);                                                                  \
        CHECK_TEXT(large_, text);                                                                  \
    } while (0)

TEST("pieces sent twice or overlapping are kept once, also over a restart")
{
    struct place p;
    make(&p, 0);
    CHECK_INT(append(&p, one, 0, "hello "), 6);
    CHECK_INT(append(&p, one, 0, "hello "), 6);
    CHECK_INT(append(&p, one, 3, "lo world"), 11);
    CHECK_WHOLE(&p, one, "hello world");
    again(&p);
    CHECK_INT(append(&p, one, 6, "world\n"), 12);
    CHECK_INT(append(&p, one, 12, ""), 12);
    CHECK_WHOLE(&p, one, "hello world\n");
    done(&p);
}

TEST("what was lost is a gap, told to readers, and stays one over a restart")
{
    struct place p;
    make(&p, 0);
    append(&p, one, 4, "late");
    CHECK_INT(append(&p, one, 20, "later"), 25);
    CHECK_INT(append(&p, one, 25, "!"), 26);
    CHECK_WHOLE(&p, one, "[4 missing]late[12 missing]later!");
    again(&p);
    CHECK_INT(append(&p, one, 24, "r!?"), 27);
    CHECK_WHOLE(&p, one, "[4 missing]late[12 missing]later!?");
    struct log_info info;
    CHECK_OK(p.ops->info(p.s, one, &info, &test_err));
    CHECK_INT(info.end, 27);
    CHECK_INT(info.bytes, 11);
    CHECK(!info.ended);
    done(&p);
}

TEST("an ended log takes what it has already and nothing more")
{
    struct place p;
    make(&p, 0);
    append(&p, one, 0, "all");
    CHECK_OK(p.ops->end(p.s, one, 3, &test_err));
    CHECK_OK(p.ops->end(p.s, one, 3, &test_err));
    for (int i = 0; i < 2; i++) {
        CHECK_WHOLE(&p, one, "all (ended)");
        CHECK_INT(append(&p, one, 0, "all"), 3);
        CHECK_FAILS(p.ops->append(p.s, one, 3, "x", 1, NULL, &test_err), ERR_CONFLICT,
                    "job 7, attempt 1, has ended");
        again(&p);
    }
    done(&p);
}

TEST("a log may end without output, or with its end lost")
{
    struct place p;
    const struct log_ref silent = {8, 1}, lost = {8, 2};
    make(&p, 0);
    CHECK_OK(p.ops->end(p.s, silent, -1, &test_err));
    append(&p, lost, 0, "abc");
    CHECK_OK(p.ops->end(p.s, lost, 10, &test_err));
    for (int i = 0; i < 2; i++) {
        CHECK_WHOLE(&p, silent, " (ended)");
        CHECK_WHOLE(&p, lost, "abc[7 missing] (ended)");
        again(&p);
    }
    done(&p);
}

TEST("an attempt that never printed is empty, not an error")
{
    struct place p;
    struct log_info info;
    make(&p, 0);
    CHECK_OK(p.ops->info(p.s, one, &info, &test_err));
    CHECK_INT(info.end + info.bytes + info.ended, 0);
    CHECK_WHOLE(&p, one, "");
    done(&p);
}

TEST("over its quota an attempt keeps its first and its last half")
{
    enum { QUOTA = 16 * 4096, STEP = 1000, STEPS = 300 };
    struct place p;
    make(&p, QUOTA);
    char text[STEP + 1];
    for (int i = 0; i < STEPS; i++) {
        snprintf(text, sizeof text, "%0*d", STEP, i);
        append(&p, one, (int64_t)i * STEP, text);
    }
    for (int round = 0; round < 2; round++) {
        struct log_info info;
        CHECK_OK(p.ops->info(p.s, one, &info, &test_err));
        CHECK_INT(info.end, STEP * STEPS);
        CHECK(info.bytes <= QUOTA && info.bytes > QUOTA - 2 * 4096);
        auto_free char *all = whole(&p, one, 100000);
        const char *gap = strstr(all, "[");
        CHECK(gap && strstr(gap, " missing]") && !strstr(gap + 1, "["));
        CHECK(gap - all >= QUOTA / 2 - 4096);
        CHECK(memcmp(all, "00000", 5) == 0 && text_ends_with(all, "0299"));
        CHECK((int64_t)strlen(gap) > QUOTA / 2 - 2 * 4096);
        again(&p);
    }
    done(&p);
}

TEST("many gaps cannot make many files")
{
    struct place p;
    make(&p, 0);
    for (int i = 0; i < 2000; i++)
        append(&p, one, (int64_t)i * 10, "x");
    struct log_info info;
    CHECK_OK(p.ops->info(p.s, one, &info, &test_err));
    CHECK_INT(info.end, 19991);
    CHECK(info.bytes <= 256);
    done(&p);
}

TEST("a full disk is said, and the same piece is taken once there is room")
{
    struct place p;
    make(&p, 0);
    append(&p, one, 0, "before ");
    p.limits.free_bytes = INT64_MAX;
    again(&p);
    CHECK_FAILS(p.ops->append(p.s, one, 7, "behind", 6, NULL, &test_err), ERR_EXHAUSTED, "is full");
    CHECK_WHOLE(&p, one, "before ");
    p.limits.free_bytes = -1;
    again(&p);
    append(&p, one, 7, "behind");
    CHECK_WHOLE(&p, one, "before behind");
    done(&p);
}

static int note_ref(void *arg, struct log_ref ref)
{
    text_addf(arg, " %d/%d", (int)ref.job, (int)ref.n);
    return 0;
}

TEST("attempts of a job are listed in order, and all of them go when it is removed")
{
    struct place p;
    auto_text struct text t = {0};
    make(&p, 0);
    append(&p, (struct log_ref){7, 10}, 0, "x");
    append(&p, (struct log_ref){7, 2}, 0, "x");
    append(&p, (struct log_ref){7, 2}, 9, "x");
    append(&p, (struct log_ref){8, 1}, 0, "x");
    CHECK_OK(p.ops->end(p.s, (struct log_ref){7, 3}, -1, &test_err));
    CHECK_OK(p.ops->list(p.s, 7, note_ref, &t, &test_err));
    CHECK_TEXT(text_get(&t), " 7/2 7/3 7/10");

    CHECK_OK(p.ops->remove(p.s, 7, &test_err));
    CHECK_OK(p.ops->remove(p.s, 7, &test_err));
    text_clear(&t);
    CHECK_OK(p.ops->list(p.s, 7, note_ref, &t, &test_err));
    CHECK_OK(p.ops->list(p.s, 8, note_ref, &t, &test_err));
    CHECK_TEXT(text_get(&t), " 8/1");
    CHECK_WHOLE(&p, ((struct log_ref){7, 2}), "");
    append(&p, (struct log_ref){7, 2}, 0, "new");
    CHECK_WHOLE(&p, ((struct log_ref){7, 2}), "new");
    done(&p);
}

TEST("what makes no sense is refused, and foreign files are left alone")
{
    struct place p;
    struct log_piece piece;
    char buf[10];
    make(&p, 0);
    static const struct log_ref wrong[] = {{0, 1}, {1, 0}, {-5, 1}, {INT64_MIN, INT64_MIN}};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        CHECK_FAILS(p.ops->append(p.s, wrong[i], 0, "x", 1, NULL, &test_err), ERR_INVALID,
                    "has no attempt");
    CHECK_FAILS(p.ops->append(p.s, one, -1, "x", 1, NULL, &test_err), ERR_INVALID, "no piece");
    CHECK_FAILS(p.ops->append(p.s, one, INT64_MAX, "x", 1, NULL, &test_err), ERR_INVALID,
                "no piece");
    CHECK_FAILS(p.ops->append(p.s, one, 0, "x", LOG_APPEND_MOST + 1, NULL, &test_err), ERR_INVALID,
                "no piece");
    CHECK_FAILS(p.ops->read(p.s, one, -1, buf, 10, &piece, &test_err), ERR_INVALID, "from -1");
    struct log_store *none;
    CHECK_FAILS(log_store_open("ftp:x", NULL, &p.ops, &none, &test_err), ERR_INVALID, "directory:");

    append(&p, one, 0, "mine");
    auto_free char *foreign = mem_printf("%s/logs/0/7/1-zz.log", p.folder);
    CHECK_OK(file_replace(foreign, "x", 1, 0600, &test_err));
    auto_free char *link = mem_printf("%s/logs/0/7/1-0000000000000005.log", p.folder);
    CHECK(symlink("/etc/passwd", link) == 0);
    again(&p);
    CHECK_WHOLE(&p, one, "mine");
    CHECK_FAILS(p.ops->append(p.s, one, 5, "x", 1, NULL, &test_err), ERR_UNAVAILABLE,
                "made by somebody else");
    done(&p);
}

TEST("the last lines are found, over gaps and without a newline at the end")
{
    struct place p;
    int64_t at;
    make(&p, 0);
    append(&p, one, 0, "one\ntwo\nthree\n");
    CHECK_OK(log_tail(p.ops, p.s, one, 2, &at, &test_err));
    CHECK_INT(at, 4);
    CHECK_OK(log_tail(p.ops, p.s, one, 0, &at, &test_err));
    CHECK_INT(at, 14);
    CHECK_OK(log_tail(p.ops, p.s, one, 100, &at, &test_err));
    CHECK_INT(at, 0);
    append(&p, one, 14, "four");
    CHECK_OK(log_tail(p.ops, p.s, one, 1, &at, &test_err));
    CHECK_INT(at, 14);
    append(&p, one, 100, "five\nsix");
    CHECK_OK(log_tail(p.ops, p.s, one, 3, &at, &test_err));
    CHECK_INT(at, 14);
    CHECK_OK(log_tail(p.ops, p.s, one, 2, &at, &test_err));
    CHECK_INT(at, 100);
    CHECK_OK(log_tail(p.ops, p.s, (struct log_ref){9, 9}, 2, &at, &test_err));
    CHECK_INT(at, 0);
    CHECK_FAILS(log_tail(p.ops, p.s, one, -1, &at, &test_err), ERR_INVALID, "0..10000");
    done(&p);
}

TEST("more attempts than are kept in memory are all kept on the disk")
{
    struct place p;
    make(&p, 0);
    for (int round = 0; round < 2; round++)
        for (int job = 1; job <= 600; job++)
            append(&p, (struct log_ref){job, 1}, round, round ? "b" : "a");
    for (int job = 1; job <= 600; job += 37)
        CHECK_WHOLE(&p, ((struct log_ref){job, 1}), "ab");
    CHECK_OK(p.ops->sync(p.s, (struct log_ref){1, 1}, &test_err));
    done(&p);
}

/* ------------------------------------------------------------------ following */

static void count_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

TEST("who watches is called after each change, of that attempt only, until it stops watching")
{
    struct place p;
    atomic_int calls = 0;
    make(&p, 0);
    struct log_watch *w = p.ops->watch(p.s, one, count_call, &calls);
    append(&p, one, 0, "x");
    append(&p, one, 0, "x"); /* nothing new */
    append(&p, (struct log_ref){7, 2}, 0, "x");
    CHECK_INT(atomic_load(&calls), 1);
    CHECK_OK(p.ops->end(p.s, one, -1, &test_err));
    CHECK_INT(atomic_load(&calls), 2);
    p.ops->unwatch(w);
    append(&p, one, 0, "x");
    CHECK_INT(atomic_load(&calls), 2);
    done(&p);
}

struct follower {
    struct place *p;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int changes;
    struct text seen;
};

static void wake(void *arg)
{
    struct follower *f = arg;
    pthread_mutex_lock(&f->lock);
    f->changes++;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void *follow(void *arg)
{
    struct follower *f = arg;
    char buf[50];
    struct log_piece piece = {0};
    struct log_watch *w = f->p->ops->watch(f->p->s, one, wake, f);
    for (int64_t at = 0; !piece.ended; at = piece.offset + piece.len) {
        pthread_mutex_lock(&f->lock);
        int before = f->changes;
        pthread_mutex_unlock(&f->lock);
        if (f->p->ops->read(f->p->s, one, at, buf, sizeof buf, &piece, NULL) < 0)
            break;
        text_add_bytes(&f->seen, buf, (size_t)piece.len);
        pthread_mutex_lock(&f->lock);
        while (!piece.len && !piece.ended && f->changes == before)
            pthread_cond_wait(&f->changed, &f->lock);
        pthread_mutex_unlock(&f->lock);
    }
    f->p->ops->unwatch(w);
    return NULL;
}

TEST("followers on other threads see every byte once, in order, and the end")
{
    struct place p;
    make(&p, 0);
    struct follower followers[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        followers[i] = (struct follower){
            .p = &p, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
        pthread_create(&threads[i], NULL, follow, &followers[i]);
    }
    auto_text struct text all = {0};
    for (int i = 0; i < 500; i++) {
        char line[32];
        snprintf(line, sizeof line, "line %d\n", i);
        append(&p, one, (int64_t)all.len, line);
        text_add(&all, line);
    }
    CHECK_OK(p.ops->end(p.s, one, -1, &test_err));
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        CHECK_TEXT(text_get(&followers[i].seen), text_get(&all));
        text_done(&followers[i].seen);
    }
    done(&p);
}
