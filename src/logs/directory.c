/*
 * The directory member. An attempt's stream is a few files, each named by the offset of its first
 * byte in the stream and without holes: what no file covers is a gap. So a crash, a lost tail or a
 * dropped middle need no book-keeping, the names say it all:
 *
 *     FOLDER/JOB div 1000/JOB/N-OFFSET.log     OFFSET: 16 hex digits
 *     FOLDER/JOB div 1000/JOB/N.end            once ended: the length of the stream
 *
 * Once an attempt has more than its quota, the oldest file behind the first half is removed.
 * Attempts that were used lately are kept in memory with their newest file open.
 */
#include "logs/log_store.h"
#include "logs/log_watch.h"

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
    BUCKETS = 1024,
    CACHED_MOST = 256, /* attempts in memory, each with a descriptor */
    PIECES_MOST = 256, /* files of one attempt: many gaps make many */
    PIECES_OF_QUOTA = 16,
    LEAST_PIECE = 4096,
    NAME_SIZE = 48,
};

/* One file. */
struct piece {
    int64_t start, size;
    bool dirty; /* not synced since it was written */
};

struct attempt {
    struct log_ref ref;
    struct attempt *next; /* in its bucket; under the store's lock, as the next two */
    int users;
    uint64_t used; /* when it was last asked for: counts up */

    pthread_mutex_t lock; /* guards what follows; taken after the store's lock or alone */
    bool loaded, ended, names_dirty;
    int64_t end, bytes;
    struct piece *pieces;
    size_t count, room;
    int fd; /* of the last piece, or -1 */
};

struct log_store {
    char *path;
    struct log_limits limits;
    struct log_watchers *watchers;
    pthread_mutex_t lock; /* guards the buckets */
    struct attempt *buckets[BUCKETS];
    size_t cached;
    uint64_t clock;
};

/* ------------------------------------------------------------------ names */

static char *folder_of(const struct log_store *s, int64_t job)
{
    return mem_printf("%s/%" PRId64 "/%" PRId64, s->path, job / 1000, job);
}

static char *piece_path(const struct log_store *s, struct log_ref ref, int64_t start)
{
    auto_free char *folder = folder_of(s, ref.job);
    return mem_printf("%s/%" PRId64 "-%016" PRIx64 ".log", folder, ref.n, (uint64_t)start);
}

static char *end_path(const struct log_store *s, struct log_ref ref)
{
    auto_free char *folder = folder_of(s, ref.job);
    return mem_printf("%s/%" PRId64 ".end", folder, ref.n);
}

/* "3-00000000000000ff.log" -> 3, 255; "3.end" -> 3, -1. False for what is not ours. */
static bool parse_name(const char *name, int64_t *n, int64_t *start)
{
    char *rest, again[NAME_SIZE];
    *n = strtoll(name, &rest, 10);
    *start = -1;
    if (*rest == '-') {
        *start = strtoll(rest + 1, NULL, 16);
        snprintf(again, sizeof again, "%" PRId64 "-%016" PRIx64 ".log", *n, (uint64_t)*start);
    } else {
        snprintf(again, sizeof again, "%" PRId64 ".end", *n);
    }
    return *n > 0 && strcmp(name, again) == 0;
}

static int check_ref(struct log_ref ref, struct err *e)
{
    if (ref.job < 1 || ref.n < 1)
        return err_set(e, ERR_INVALID, "job %" PRId64 " has no attempt %" PRId64, ref.job, ref.n);
    return 0;
}

/* ------------------------------------------------------------------ what is on the disk */

static void forget(struct attempt *a)
{
    closep(&a->fd);
    free(a->pieces);
    a->fd = -1;
    a->pieces = NULL;
    a->count = a->room = 0;
    a->end = a->bytes = 0;
    a->loaded = a->ended = a->names_dirty = false;
}

static struct piece *add_piece(struct attempt *a, int64_t start, int64_t size)
{
    if (a->count == a->room) {
        a->room = a->room ? 2 * a->room : 8;
        a->pieces = mem_resize_array(a->pieces, a->room);
    }
    struct piece *p = &a->pieces[a->count++];
    *p = (struct piece){.start = start, .size = size};
    a->bytes += size;
    if (start + size > a->end)
        a->end = start + size;
    return p;
}

static int by_start(const void *x, const void *y)
{
    const struct piece *a = x, *b = y;
    return (a->start > b->start) - (a->start < b->start);
}

static int load_end(struct log_store *s, struct attempt *a, struct err *e)
{
    auto_free char *path = end_path(s, a->ref), *text = NULL;
    struct err why = {0};
    if (file_read(path, 64, &text, NULL, &why) < 0) {
        if (why.code == ERR_NOT_FOUND)
            return 0;
        if (e)
            *e = why;
        return -1;
    }
    int64_t end = strtoll(text, NULL, 10);
    a->ended = true;
    a->end = end > a->end ? end : a->end;
    return 0;
}

/* Each file of the job's folder: its attempt and offset (-1: the mark of an end). */
static int each_file(const struct log_store *s, int64_t job,
                     void (*fn)(void *arg, int folder, const char *name, int64_t n, int64_t start),
                     void *arg, struct err *e)
{
    auto_free char *folder = folder_of(s, job);
    DIR *d = opendir(folder);
    if (!d && errno == ENOENT)
        return 0;
    if (!d)
        return err_sys(e, errno, "could not read folder '%s'", folder);
    for (struct dirent *entry; (entry = readdir(d));) {
        int64_t n, start;
        if (parse_name(entry->d_name, &n, &start))
            fn(arg, dirfd(d), entry->d_name, n, start);
    }
    closedir(d);
    return 0;
}

static void load_piece(void *arg, int folder, const char *name, int64_t n, int64_t start)
{
    struct attempt *a = arg;
    struct stat st;
    if (n != a->ref.n || start < 0 || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode))
        return;
    /* Made, but a crash came before the first byte: the name may be needed again. */
    if (st.st_size == 0)
        unlinkat(folder, name, 0);
    else
        add_piece(a, start, st.st_size);
}

static int load(struct log_store *s, struct attempt *a, struct err *e)
{
    if (each_file(s, a->ref.job, load_piece, a, e) < 0 || load_end(s, a, e) < 0) {
        forget(a);
        return -1;
    }
    if (a->count)
        qsort(a->pieces, a->count, sizeof *a->pieces, by_start);
    /* Nobody remembers what was synced before we last looked. */
    for (size_t i = 0; i < a->count; i++)
        a->pieces[i].dirty = !a->ended;
    a->names_dirty = a->count && !a->ended;
    a->loaded = true;
    return 0;
}

/* ------------------------------------------------------------------ attempts in memory */

static struct attempt **bucket_of(struct log_store *s, struct log_ref ref)
{
    uint64_t hash = ((uint64_t)ref.job * 31 + (uint64_t)ref.n) * 0x9e3779b97f4a7c15u;
    return &s->buckets[hash >> 54];
}

static void free_attempt(struct attempt *a)
{
    forget(a);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* Lets the one go that was not used for longest, unless all are in use. */
static void evict_locked(struct log_store *s)
{
    struct attempt **oldest = NULL;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct attempt **at = &s->buckets[i]; *at; at = &(*at)->next)
            if (!(*at)->users && (!oldest || (*at)->used < (*oldest)->used))
                oldest = at;
    if (!oldest)
        return;
    struct attempt *a = *oldest;
    *oldest = a->next;
    s->cached--;
    free_attempt(a);
}

/* The attempt, loaded and locked: give it back with release(). NULL: the error says why. */
static struct attempt *acquire(struct log_store *s, struct log_ref ref, struct err *e)
{
    if (check_ref(ref, e) < 0)
        return NULL;
    pthread_mutex_lock(&s->lock);
    struct attempt **bucket = bucket_of(s, ref), *a = *bucket;
    while (a && (a->ref.job != ref.job || a->ref.n != ref.n))
        a = a->next;
    if (!a) {
        if (s->cached >= CACHED_MOST)
            evict_locked(s);
        a = mem_new(struct attempt);
        a->ref = ref;
        a->fd = -1;
        pthread_mutex_init(&a->lock, NULL);
        a->next = *bucket;
        *bucket = a;
        s->cached++;
    }
    a->users++;
    a->used = ++s->clock;
    pthread_mutex_unlock(&s->lock);

    pthread_mutex_lock(&a->lock);
    if (a->loaded || load(s, a, e) == 0)
        return a;
    pthread_mutex_unlock(&a->lock);
    pthread_mutex_lock(&s->lock);
    a->users--;
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void release(struct log_store *s, struct attempt *a)
{
    pthread_mutex_unlock(&a->lock);
    pthread_mutex_lock(&s->lock);
    a->users--;
    pthread_mutex_unlock(&s->lock);
}

/* ------------------------------------------------------------------ appending */

static void drop_piece(struct log_store *s, struct attempt *a, size_t i)
{
    auto_free char *path = piece_path(s, a->ref, a->pieces[i].start);
    unlink(path);
    a->bytes -= a->pieces[i].size;
    a->count--;
    memmove(a->pieces + i, a->pieces + i + 1, (a->count - i) * sizeof *a->pieces);
}

/* The first half of the quota stays, and as much of the rest as fits. */
static void hold_quota(struct log_store *s, struct attempt *a)
{
    while (a->bytes > s->limits.attempt_bytes || a->count > PIECES_MOST) {
        size_t first = 0;
        int64_t bytes = a->count ? a->pieces[0].size : 0;
        while (first + 1 < a->count && first < PIECES_MOST / 2 &&
               bytes <= s->limits.attempt_bytes / 2)
            bytes += a->pieces[++first].size;
        if (first + 1 >= a->count)
            return; /* the newest is being written */
        drop_piece(s, a, first);
    }
}

static int new_piece(struct log_store *s, struct attempt *a, int64_t start, struct err *e)
{
    if (a->count && a->pieces[a->count - 1].size == 0)
        drop_piece(s, a, a->count - 1);
    closep(&a->fd);
    a->fd = -1;

    auto_free char *path = piece_path(s, a->ref, start), *folder = folder_of(s, a->ref.job);
    int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    a->fd = open(path, flags, 0600);
    if (a->fd < 0 && errno == ENOENT) {
        if (file_make_folder(folder, 0700, e) < 0)
            return -1;
        a->fd = open(path, flags, 0600);
    }
    if (a->fd < 0 && errno == EEXIST)
        return err_set(e, ERR_UNAVAILABLE, "log '%s' is there, made by somebody else", path);
    if (a->fd < 0)
        return err_sys(e, errno, "could not create log '%s'", path);
    add_piece(a, start, 0);
    a->names_dirty = true;
    return 0;
}

/* Makes sure that FD is the last piece and that it takes more at START. */
static int open_last(struct log_store *s, struct attempt *a, int64_t start, struct err *e)
{
    int64_t most = s->limits.attempt_bytes / PIECES_OF_QUOTA;
    most = most < LEAST_PIECE ? LEAST_PIECE : most;
    if (!a->count)
        return new_piece(s, a, start, e);
    const struct piece *last = &a->pieces[a->count - 1];
    if (last->start + last->size != start || last->size >= most)
        return new_piece(s, a, start, e);
    if (a->fd >= 0)
        return 0;
    auto_free char *path = piece_path(s, a->ref, last->start);
    a->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (a->fd < 0)
        return err_sys(e, errno, "could not open log '%s'", path);
    return 0;
}

static int write_piece(struct log_store *s, struct attempt *a, int64_t offset, const char *data,
                       int64_t len, int64_t *ret_written, struct err *e)
{
    if (open_last(s, a, offset, e) < 0)
        return -1;
    struct piece *p = &a->pieces[a->count - 1];
    int64_t room = s->limits.attempt_bytes / PIECES_OF_QUOTA - p->size;
    if (room < LEAST_PIECE)
        room = LEAST_PIECE;
    /* At its place rather than at the end, so that what a failed write left there is covered. */
    ssize_t n = pwrite(a->fd, data, (size_t)(len < room ? len : room), p->size);
    if (n < 0 && errno != EINTR)
        return err_sys(e, errno, "could not write the log of job %" PRId64, a->ref.job);
    if (n < 0)
        n = 0;
    p->size += n;
    p->dirty = true;
    a->bytes += n;
    a->end = offset + n;
    *ret_written = n;
    return 0;
}

static int check_room(const struct log_store *s, struct err *e)
{
    struct statvfs v;
    if (FAILPOINT("logs.full"))
        return err_set(e, ERR_EXHAUSTED, "could not write a log: told that the disk is full");
    if (statvfs(s->path, &v) < 0)
        return err_sys(e, errno, "could not ask for the free space below '%s'", s->path);
    if ((int64_t)v.f_bavail * (int64_t)v.f_frsize < s->limits.free_bytes)
        return err_set(e, ERR_EXHAUSTED, "the disk of log folder '%s' is full", s->path);
    return 0;
}

static int append_locked(struct log_store *s, struct attempt *a, int64_t offset, const char *data,
                         int64_t len, struct err *e)
{
    int64_t known = offset < a->end ? a->end - offset : 0;
    if (known >= len)
        return 0;
    if (a->ended)
        return err_set(e, ERR_CONFLICT,
                       "the log of job %" PRId64 ", attempt %" PRId64 ", has ended", a->ref.job,
                       a->ref.n);
    if (check_room(s, e) < 0)
        return -1;
    data += known;
    offset += known;
    len -= known;
    while (len > 0) {
        int64_t written = 0;
        if (write_piece(s, a, offset, data, len, &written, e) < 0)
            return -1;
        data += written;
        offset += written;
        len -= written;
        hold_quota(s, a);
    }
    return 0;
}

static int directory_append(struct log_store *s, struct log_ref ref, int64_t offset,
                            const void *data, int64_t len, int64_t *ret_end, struct err *e)
{
    if (offset < 0 || len < 0 || len > LOG_APPEND_MOST || offset > INT64_MAX - len)
        return err_set(e, ERR_INVALID, "%" PRId64 " bytes at %" PRId64 " are no piece of a log",
                       len, offset);
    struct attempt *a = acquire(s, ref, e);
    if (!a)
        return -1;
    int64_t before = a->end;
    int rc = append_locked(s, a, offset, data, len, e);
    int64_t end = a->end;
    release(s, a);
    if (end != before)
        log_watchers_tell(s->watchers, ref);
    if (rc == 0 && ret_end)
        *ret_end = end;
    return rc;
}

/* ------------------------------------------------------------------ syncing and ending */

static int sync_piece(struct log_store *s, struct attempt *a, size_t i, struct err *e)
{
    auto_free char *path = piece_path(s, a->ref, a->pieces[i].start);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_sys(e, errno, "could not open log '%s'", path);
    if (fdatasync(fd) < 0)
        return err_sys(e, errno, "could not sync log '%s'", path);
    a->pieces[i].dirty = false;
    return 0;
}

static int sync_locked(struct log_store *s, struct attempt *a, struct err *e)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->pieces[i].dirty && sync_piece(s, a, i, e) < 0)
            return -1;
    if (!a->names_dirty)
        return 0;
    auto_free char *folder = folder_of(s, a->ref.job);
    /* The folders above may be new as well. */
    if (file_sync_folder(folder, e) < 0 || file_sync_parent(folder, e) < 0 ||
        file_sync_folder(s->path, e) < 0)
        return -1;
    a->names_dirty = false;
    return 0;
}

static int directory_sync(struct log_store *s, struct log_ref ref, struct err *e)
{
    struct attempt *a = acquire(s, ref, e);
    if (!a)
        return -1;
    int rc = sync_locked(s, a, e);
    release(s, a);
    return rc;
}

static int end_locked(struct log_store *s, struct attempt *a, int64_t end, struct err *e)
{
    if (a->ended)
        return 0;
    if (end < a->end)
        end = a->end;
    if (sync_locked(s, a, e) < 0)
        return -1;
    if (FAILPOINT("logs.end"))
        return err_set(e, ERR_UNAVAILABLE, "could not end a log: told to fail");
    auto_free char *folder = folder_of(s, a->ref.job), *path = end_path(s, a->ref);
    char text[NAME_SIZE];
    snprintf(text, sizeof text, "%" PRId64 "\n", end);
    if (file_make_folder(folder, 0700, e) < 0 ||
        file_replace(path, text, strlen(text), 0600, e) < 0)
        return -1;
    a->names_dirty = a->count == 0; /* then the folder itself is new */
    if (sync_locked(s, a, e) < 0)
        return -1;
    a->ended = true;
    a->end = end;
    closep(&a->fd);
    a->fd = -1;
    return 0;
}

static int directory_end(struct log_store *s, struct log_ref ref, int64_t end, struct err *e)
{
    struct attempt *a = acquire(s, ref, e);
    if (!a)
        return -1;
    int rc = end_locked(s, a, end, e);
    release(s, a);
    if (rc == 0)
        log_watchers_tell(s->watchers, ref);
    return rc;
}

/* ------------------------------------------------------------------ reading */

static int directory_info(struct log_store *s, struct log_ref ref, struct log_info *ret,
                          struct err *e)
{
    struct attempt *a = acquire(s, ref, e);
    if (!a)
        return -1;
    *ret = (struct log_info){.end = a->end, .bytes = a->bytes, .ended = a->ended};
    release(s, a);
    return 0;
}

static int read_file(struct log_store *s, struct attempt *a, const struct piece *p, int64_t offset,
                     void *buf, int64_t room, int64_t *ret_len, struct err *e)
{
    auto_free char *path = piece_path(s, a->ref, p->start);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_sys(e, errno, "could not open log '%s'", path);
    int64_t left = p->start + p->size - offset;
    ssize_t n = pread(fd, buf, (size_t)(left < room ? left : room), offset - p->start);
    if (n < 0)
        return err_sys(e, errno, "could not read log '%s'", path);
    if (n == 0)
        return err_set(e, ERR_UNAVAILABLE, "log '%s' was cut short by somebody else", path);
    *ret_len = n;
    return 0;
}

static int read_locked(struct log_store *s, struct attempt *a, int64_t offset, void *buf,
                       int64_t room, struct log_piece *ret, struct err *e)
{
    struct log_piece piece = {.offset = offset < a->end ? a->end : offset};
    for (size_t i = 0; i < a->count && offset < a->end; i++) {
        const struct piece *p = &a->pieces[i];
        if (p->start + p->size <= offset)
            continue;
        piece.offset = p->start > offset ? p->start : offset;
        if (read_file(s, a, p, piece.offset, buf, room, &piece.len, e) < 0)
            return -1;
        break;
    }
    piece.ended = a->ended && piece.offset + piece.len >= a->end;
    *ret = piece;
    return 0;
}

static int directory_read(struct log_store *s, struct log_ref ref, int64_t offset, void *buf,
                          int64_t room, struct log_piece *ret, struct err *e)
{
    if (offset < 0 || room < 1)
        return err_set(e, ERR_INVALID, "a log cannot be read from %" PRId64, offset);
    struct attempt *a = acquire(s, ref, e);
    if (!a)
        return -1;
    int rc = read_locked(s, a, offset, buf, room, ret, e);
    release(s, a);
    return rc;
}

/* ------------------------------------------------------------------ listing and removing */

struct numbers {
    int64_t *n;
    size_t count, room;
};

static void note_number(void *arg, int folder, const char *name, int64_t n, int64_t start)
{
    (void)folder, (void)name, (void)start;
    struct numbers *list = arg;
    for (size_t i = list->count; i-- > 0;)
        if (list->n[i] == n)
            return;
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 8;
        list->n = mem_resize_array(list->n, list->room);
    }
    list->n[list->count++] = n;
}

static int by_number(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

static int directory_list(struct log_store *s, int64_t job,
                          int (*on_ref)(void *arg, struct log_ref ref), void *arg, struct err *e)
{
    struct numbers list = {0};
    int rc = check_ref((struct log_ref){job, 1}, e);
    if (rc == 0)
        rc = each_file(s, job, note_number, &list, e);
    if (list.count)
        qsort(list.n, list.count, sizeof *list.n, by_number);
    for (size_t i = 0; rc == 0 && i < list.count; i++)
        rc = on_ref(arg, (struct log_ref){job, list.n[i]}) ? -1 : 0;
    free(list.n);
    return rc;
}

static void forget_job_locked(struct log_store *s, int64_t job)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct attempt *a = s->buckets[i]; a; a = a->next)
            if (a->ref.job == job) {
                pthread_mutex_lock(&a->lock);
                forget(a);
                pthread_mutex_unlock(&a->lock);
            }
}

static int directory_remove(struct log_store *s, int64_t job, struct err *e)
{
    if (check_ref((struct log_ref){job, 1}, e) < 0)
        return -1;
    auto_free char *folder = folder_of(s, job);
    /* Nobody new comes in meanwhile; who was in already looks at the disk again. */
    pthread_mutex_lock(&s->lock);
    forget_job_locked(s, job);
    int rc = file_remove_tree(folder, e);
    forget_job_locked(s, job);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* ------------------------------------------------------------------ opening */

static void directory_close(struct log_store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct attempt *a = s->buckets[i], *next; a; a = next) {
            next = a->next;
            free_attempt(a);
        }
    log_watchers_free(s->watchers);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

static int directory_open(const char *where, const struct log_limits *limits,
                          struct log_store **ret, struct err *e)
{
    if (!where[0])
        return err_set(e, ERR_INVALID, "log store 'directory:' needs the path of a folder");
    if (file_make_folder(where, 0700, e) < 0)
        return -1;
    if (access(where, W_OK | X_OK) < 0)
        return err_sys(e, errno, "logs cannot be kept in folder '%s'", where);
    struct log_store *s = mem_new(struct log_store);
    s->path = mem_strdup(where);
    if (limits)
        s->limits = *limits;
    if (!s->limits.attempt_bytes)
        s->limits.attempt_bytes = (int64_t)64 << 20;
    if (!s->limits.free_bytes)
        s->limits.free_bytes = (int64_t)64 << 20;
    s->watchers = log_watchers_new();
    pthread_mutex_init(&s->lock, NULL);
    *ret = s;
    return 0;
}

static struct log_watch *directory_watch(struct log_store *s, struct log_ref ref,
                                         log_on_change on_change, void *arg)
{
    return log_watchers_add(s->watchers, ref, on_change, arg);
}

const struct log_store_ops log_store_directory = {
    .name = "directory",
    .open = directory_open,
    .close = directory_close,
    .append = directory_append,
    .sync = directory_sync,
    .end = directory_end,
    .info = directory_info,
    .read = directory_read,
    .list = directory_list,
    .remove = directory_remove,
    .watch = directory_watch,
    .unwatch = log_watchers_remove,
};
