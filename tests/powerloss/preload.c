/* Preloaded: notes how to take back each change below POWERLOSS_ROOT before it is made. */
#include "powerloss.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT     __attribute__((visibility("default")))
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *root, *log_folder;
static size_t root_len;
static int log_fd = -1;
static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* a record and its change belong together */

__attribute__((constructor)) static void begin(void)
{
    static char path[PATH_MAX];
    root = getenv("POWERLOSS_ROOT");
    log_folder = getenv("POWERLOSS_LOG");
    if (!root || !log_folder)
        return;
    root_len = strlen(root);
    snprintf(path, sizeof path, "%s/log", log_folder);
    log_fd = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* A program that closes all descriptors closes ours, too, and may open others under its number. */
static void be_sure_of_log(void)
{
    static struct stat known;
    struct stat now;
    if (known.st_ino && fstat(log_fd, &now) == 0 && now.st_ino == known.st_ino &&
        now.st_dev == known.st_dev)
        return;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/log", log_folder);
    int fd = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0)
        fchmod(fd, 0666); /* jobs of other users write, too */
    log_fd = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 700);
    if (fd >= 0)
        REAL(close)(fd);
    fstat(log_fd, &known);
}

static void put(struct record r, const char *path, const char *path2, const void *bytes)
{
    struct iovec v[4] = {{&r, sizeof r},
                         {(void *)path, r.path_len = path ? (uint32_t)strlen(path) : 0},
                         {(void *)path2, r.path2_len = path2 ? (uint32_t)strlen(path2) : 0},
                         {(void *)bytes, r.bytes}};
    be_sure_of_log();
    if (log_fd < 0)
        return;
    if (REAL(writev)(log_fd, v, 4) < 0) {
        perror("powerloss: the log cannot be written");
        abort();
    }
}

/* The absolute path of NAME in the folder DIR, its last part not followed. False: not below the
 * root. */
static bool absolute(int dir, const char *name, char out[PATH_MAX])
{
    char folder[PATH_MAX], from[64];
    if (log_fd < 0)
        return false;
    if (name[0] == '/') {
        snprintf(out, PATH_MAX, "%s", name);
    } else {
        if (dir == AT_FDCWD) {
            if (!getcwd(folder, sizeof folder))
                return false;
        } else {
            snprintf(from, sizeof from, "/proc/self/fd/%d", dir);
            ssize_t len = readlink(from, folder, sizeof folder - 1);
            if (len < 0)
                return false;
            folder[len] = '\0';
        }
        if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
            return false;
    }
    size_t len = strlen(out);
    bool shm = len > 4 && strcmp(out + len - 4, "-shm") == 0;
    return strncmp(out, root, root_len) == 0 && (out[root_len] == '/' || !out[root_len]) && !shm;
}

static uint64_t folder_inode(const char *path)
{
    char folder[PATH_MAX];
    struct stat st;
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    return stat(folder, &st) == 0 ? st.st_ino : 0;
}

/* A second name for what is about to go, in the log folder; 0: a folder, or not there. */
static uint64_t keep(const char *path)
{
    static uint64_t count;
    char name[PATH_MAX];
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    uint64_t number = (uint64_t)getpid() << 32 | ++count;
    snprintf(name, sizeof name, "%s/%llx", log_folder, (unsigned long long)number);
    return link(path, name) == 0 ? number : 0;
}

/* ---- bytes ---- */

static bool is_ours(int fd, struct stat *st)
{
    char from[64], path[PATH_MAX];
    if (log_fd < 0 || fstat(fd, st) < 0 || (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)))
        return false;
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(from, path, sizeof path - 1);
    if (len < 0)
        return false;
    path[len] = '\0';
    char out[PATH_MAX];
    return absolute(AT_FDCWD, path, out);
}

/* Notes the LEN bytes at OFFSET as they are. Locked by the caller. */
static void note_bytes(int fd, const struct stat *st, off_t offset, size_t len)
{
    char from[64];
    struct record r = {
        .kind = BYTES_CHANGED, .inode = st->st_ino, .offset = offset, .old_size = st->st_size};
    char *old = NULL;
    if (offset < st->st_size && len) {
        size_t have = (size_t)(st->st_size - offset);
        size_t want = len < have ? len : have;
        old = malloc(want);
        snprintf(from, sizeof from, "/proc/self/fd/%d", fd); /* FD may be write-only */
        int again = REAL(open)(from, O_RDONLY | O_CLOEXEC);
        ssize_t n = again < 0 ? -1 : pread(again, old, want, offset);
        if (again >= 0)
            REAL(close)(again);
        r.bytes = n > 0 ? (uint32_t)n : 0;
    }
    put(r, NULL, NULL, old);
    free(old);
}

EXPORT ssize_t pwrite64(int fd, const void *p, size_t len, off64_t offset)
{
    struct stat st;
    if (!is_ours(fd, &st))
        return REAL(pwrite64)(fd, p, len, offset);
    pthread_mutex_lock(&lock);
    note_bytes(fd, &st, offset, len);
    ssize_t n = REAL(pwrite64)(fd, p, len, offset);
    pthread_mutex_unlock(&lock);
    return n;
}

EXPORT ssize_t pwrite(int fd, const void *p, size_t len, off_t offset)
{
    return pwrite64(fd, p, len, offset);
}

static off_t write_place(int fd, const struct stat *st)
{
    return fcntl(fd, F_GETFL) & O_APPEND ? st->st_size : lseek(fd, 0, SEEK_CUR);
}

EXPORT ssize_t write(int fd, const void *p, size_t len)
{
    struct stat st;
    if (fd == log_fd || !is_ours(fd, &st))
        return REAL(write)(fd, p, len);
    pthread_mutex_lock(&lock);
    note_bytes(fd, &st, write_place(fd, &st), len);
    ssize_t n = REAL(write)(fd, p, len);
    pthread_mutex_unlock(&lock);
    return n;
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int count)
{
    struct stat st;
    if (fd == log_fd || !is_ours(fd, &st))
        return REAL(writev)(fd, v, count);
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += v[i].iov_len;
    pthread_mutex_lock(&lock);
    note_bytes(fd, &st, write_place(fd, &st), len);
    ssize_t n = REAL(writev)(fd, v, count);
    pthread_mutex_unlock(&lock);
    return n;
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    struct stat st;
    if (!is_ours(fd, &st))
        return REAL(ftruncate64)(fd, size);
    pthread_mutex_lock(&lock);
    note_bytes(fd, &st, size, size < st.st_size ? (size_t)(st.st_size - size) : 0);
    int rc = REAL(ftruncate64)(fd, size);
    pthread_mutex_unlock(&lock);
    return rc;
}

EXPORT int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

static void note_sync(int fd)
{
    struct stat st;
    if (is_ours(fd, &st))
        put((struct record){.kind = S_ISDIR(st.st_mode) ? FOLDER_SYNCED : FILE_SYNCED,
                            .inode = st.st_ino},
            NULL, NULL, NULL);
}

/* Noted only after it was done, and nothing may be written in between: what is not synced must not
 * count as synced. */
EXPORT int fsync(int fd)
{
    pthread_mutex_lock(&lock);
    int rc = REAL(fsync)(fd);
    if (rc == 0 && log_fd >= 0)
        note_sync(fd);
    pthread_mutex_unlock(&lock);
    return rc;
}

EXPORT int fdatasync(int fd)
{
    pthread_mutex_lock(&lock);
    int rc = REAL(fdatasync)(fd);
    if (rc == 0 && log_fd >= 0)
        note_sync(fd);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* ---- entries ---- */

static int open_noted(int dir, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct stat st;
    if (!(flags & (O_CREAT | O_TRUNC)) || !absolute(dir, name, path))
        return REAL(openat64)(dir, name, flags, mode);

    pthread_mutex_lock(&lock);
    bool there = lstat(path, &st) == 0;
    if (there && flags & O_TRUNC && S_ISREG(st.st_mode)) {
        int old = REAL(open)(path, O_RDONLY | O_CLOEXEC);
        if (old >= 0) {
            note_bytes(old, &st, 0, (size_t)st.st_size);
            REAL(close)(old);
        }
    }
    int fd = REAL(openat64)(dir, name, flags, mode);
    if (fd >= 0 && !there)
        put((struct record){.kind = ENTRY_MADE, .inode = folder_inode(path)}, path, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = va_arg(args, mode_t);                                                               \
        va_end(args);                                                                              \
    }

EXPORT int open(const char *name, int flags, ...)
{
    MODE_OF(flags)
    return open_noted(AT_FDCWD, name, flags, mode);
}

EXPORT int open64(const char *name, int flags, ...)
{
    MODE_OF(flags)
    return open_noted(AT_FDCWD, name, flags, mode);
}

EXPORT int openat(int dir, const char *name, int flags, ...)
{
    MODE_OF(flags)
    return open_noted(dir, name, flags, mode);
}

EXPORT int openat64(int dir, const char *name, int flags, ...)
{
    MODE_OF(flags)
    return open_noted(dir, name, flags, mode);
}

EXPORT int mkdirat(int dir, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    if (!absolute(dir, name, path))
        return REAL(mkdirat)(dir, name, mode);
    pthread_mutex_lock(&lock);
    int rc = REAL(mkdirat)(dir, name, mode);
    if (rc == 0)
        put((struct record){.kind = ENTRY_MADE, .inode = folder_inode(path)}, path, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return rc;
}

EXPORT int mkdir(const char *name, mode_t mode)
{
    return mkdirat(AT_FDCWD, name, mode);
}

EXPORT int renameat(int dir, const char *from, int dir2, const char *to)
{
    char path[PATH_MAX], path2[PATH_MAX];
    if (!absolute(dir, from, path) || !absolute(dir2, to, path2))
        return REAL(renameat)(dir, from, dir2, to);
    pthread_mutex_lock(&lock);
    uint64_t kept = keep(path2);
    int rc = REAL(renameat)(dir, from, dir2, to);
    if (rc == 0)
        put((struct record){.kind = ENTRY_MOVED,
                            .inode = folder_inode(path),
                            .inode2 = folder_inode(path2),
                            .kept = kept},
            path, path2, NULL);
    pthread_mutex_unlock(&lock);
    return rc;
}

EXPORT int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

EXPORT int unlinkat(int dir, const char *name, int flags)
{
    char path[PATH_MAX];
    if (!absolute(dir, name, path))
        return REAL(unlinkat)(dir, name, flags);
    pthread_mutex_lock(&lock);
    uint64_t kept = keep(path);
    int rc = REAL(unlinkat)(dir, name, flags);
    if (rc == 0)
        put((struct record){.kind = ENTRY_GONE, .inode = folder_inode(path), .kept = kept}, path,
            NULL, NULL);
    pthread_mutex_unlock(&lock);
    return rc;
}

EXPORT int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

EXPORT int rmdir(const char *name)
{
    return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}
