#include "node/attempt_folder.h"

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "node/attempt_record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_MOST  65536
/* The places in `lock`. Each has more room than its record can need: that of the start has four
 * paths, that of the end its sentences. */
#define STARTED_AT   0
#define STARTED_ROOM 8192
#define EXIT_AT      8192
#define EXIT_ROOM    8192

static char *in(const char *folder, const char *file)
{
    return mem_printf("%s/%s", folder, file);
}

void attempt_status_done(struct attempt_status *s)
{
    attempt_started_done(&s->started);
    *s = (struct attempt_status){0};
}

int attempt_lock(const char *folder, int *ret_fd, struct err *e)
{
    auto_free char *path = in(folder, "lock");
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, errno, "could not open file '%s'", path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) < 0) {
        if (errno == EAGAIN || errno == EACCES)
            return err_set(e, ERR_CONFLICT, "another shim holds file '%s'", path);
        return err_sys(e, errno, "could not lock file '%s'", path);
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

pid_t attempt_lock_holder(const char *folder, struct err *e)
{
    auto_free char *path = in(folder, "lock");
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0)
        return err_sys(e, errno, "could not ask who holds file '%s'", path);
    if (lock.l_type == F_UNLCK)
        return 0;
    if (lock.l_pid <= 0)
        return err_set(e, ERR_UNAVAILABLE,
                       "file '%s' is held by a process that cannot be seen from here (another "
                       "process namespace)",
                       path);
    return lock.l_pid;
}

/* A small file, whole. Returns 0 with *RET NULL when there is none. */
static int read_record(const char *folder, const char *file, char **ret, size_t *ret_len,
                       struct err *e)
{
    auto_free char *path = in(folder, file);
    struct err why = {0};
    *ret = NULL;
    *ret_len = 0;
    if (file_read(path, RECORD_MOST, ret, ret_len, &why) == 0)
        return 0;
    if (why.code == ERR_TOO_LARGE) { /* not ours, so as good as damaged */
        *ret = mem_strdup("");
        return 0;
    }
    struct stat st;
    if (lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        *ret = mem_strdup("");
        return 0;
    }
    if (e)
        *e = why;
    return -1;
}

/* The bytes of LOCK's record at START; NULL: there is none. */
static char *record_at(const char *lock, size_t len, size_t start, size_t room)
{
    if (len <= start || !lock[start])
        return NULL;
    return mem_strndup(lock + start, len - start < room ? len - start : room);
}

/* Both records' bytes; NULL for one that is not there. */
static int read_records(const char *folder, char **ret_started, char **ret_exit, struct err *e)
{
    auto_free char *lock = NULL;
    auto_free char *started = NULL;
    size_t len;
    *ret_started = *ret_exit = NULL;
    if (read_record(folder, "lock", &lock, &len, e) < 0)
        return -1;
    if (lock) {
        started = record_at(lock, len, STARTED_AT, STARTED_ROOM);
        *ret_exit = record_at(lock, len, EXIT_AT, EXIT_ROOM);
    }
    /* An older shim's. */
    if (!started && read_record(folder, "started", &started, &len, e) < 0)
        return -1;
    if (!*ret_exit && read_record(folder, "exit", ret_exit, &len, e) < 0)
        return -1;
    *ret_started = TAKE(started);
    return 0;
}

static void take_started(const char *text, struct attempt_status *s)
{
    char boot_id[BOOT_ID_SIZE];
    if (!attempt_started_parse(text, strlen(text), &s->started)) {
        snprintf(s->note, sizeof s->note, "its start was recorded, but the record is damaged");
        return;
    }
    s->has_started = true;
    s->same_boot = strcmp(boot_id_read(boot_id), s->started.boot_id) == 0;
}

int attempt_state(const char *folder, struct attempt_status *ret, struct err *e)
{
    auto_attempt_status struct attempt_status s = {0};
    /* In this order: the lock is let go of after everything else was written, so what is found
     * later is at least as new. */
    s.shim = attempt_lock_holder(folder, e);
    if (s.shim < 0)
        return -1;
    auto_free char *started = NULL;
    auto_free char *ended = NULL;
    if (read_records(folder, &started, &ended, e) < 0)
        return -1;
    if (started)
        take_started(started, &s);

    if (s.shim > 0) {
        s.state = ATTEMPT_RUNNING;
    } else if (ended && attempt_exit_parse(ended, strlen(ended), &s.end)) {
        s.state = ATTEMPT_ENDED;
    } else if (started || ended) {
        s.state = ATTEMPT_LOST;
        if (ended)
            snprintf(s.note, sizeof s.note, "its exit record is damaged");
    } else {
        s.state = ATTEMPT_NEVER_STARTED;
    }
    *ret = s;
    s = (struct attempt_status){0};
    return 0;
}

int attempt_folder_make(const char *folder, const struct attempt_spec *spec, struct err *e)
{
    if (attempt_spec_check(spec, e) < 0)
        return -1;
    /* Users must be able to reach job/ below, but not to see what else there is. */
    if (file_make_folder(folder, 0711, e) < 0)
        return -1;
    auto_free char *job = in(folder, "job");
    if (file_make_folder(job, 0700, e) < 0)
        return -1;

    auto_text struct text t = {0};
    attempt_spec_write(spec, &t);
    if (t.len > ATTEMPT_SPEC_MOST)
        return err_set(e, ERR_TOO_LARGE, "the attempt's spec has over %d bytes", ATTEMPT_SPEC_MOST);

    /* Not synced here: the shim does that together with `started`. */
    auto_free char *path = in(folder, "spec");
    auto_free char *beside = in(folder, "spec.new");
    auto_close int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, errno, "could not create file '%s'", beside);
    if (file_write_all(fd, t.data, t.len, e) < 0)
        return err_wrap(e, "file '%s'", beside);
    if (FAILPOINT("launcher.before_spec"))
        return err_set(e, ERR_UNAVAILABLE, "could not write file '%s'", path);
    if (rename(beside, path) < 0)
        return err_sys(e, errno, "could not rename '%s' to '%s'", beside, path);
    return 0;
}

int attempt_cancel_write(const char *folder, const char *reason, struct err *e)
{
    /* For an attempt never heard of, too: that is how a late start of it is refused. */
    if (file_make_folder(folder, 0711, e) < 0)
        return -1;
    auto_free char *path = in(folder, "cancel");
    auto_free char *beside = in(folder, "cancel.new");
    auto_close int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, errno, "could not create file '%s'", beside);
    size_t len = strlen(reason);
    if (file_write_all(fd, reason, len < 300 ? len : 300, e) < 0)
        return err_wrap(e, "file '%s'", beside);
    if (rename(beside, path) < 0)
        return err_sys(e, errno, "could not rename '%s' to '%s'", beside, path);
    return 0;
}

bool attempt_cancel_read(const char *folder, char *ret_reason, size_t room)
{
    auto_free char *path = in(folder, "cancel");
    auto_free char *text = NULL;
    ret_reason[0] = '\0';
    if (file_read(path, 4096, &text, NULL, NULL) == 0) {
        snprintf(ret_reason, room, "%s", text);
        for (char *p = ret_reason; *p; p++)
            *p = (char)((unsigned char)*p < ' ' ? ' ' : *p);
        return true;
    }
    return access(path, F_OK) == 0;
}

static int sync_folders(const char *folder, struct err *e)
{
    if (file_sync_folder(folder, e) < 0)
        return -1;
    auto_free char *above = in(folder, "..");
    return file_sync_folder(above, e);
}

bool attempt_was_begun(const char *folder, int lock)
{
    char first = 0;
    auto_free char *started = in(folder, "started"); /* an older shim's */
    auto_free char *ended = in(folder, "exit");
    return pread(lock, &first, 1, STARTED_AT) < 0 || first || access(started, F_OK) == 0 ||
           access(ended, F_OK) == 0;
}

static int write_at(int fd, const char *p, size_t len, off_t at, struct err *e)
{
    while (len) {
        ssize_t n = pwrite(fd, p, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "could not write the attempt's record");
        p += n;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int sync_start(int lock, const char *folder, struct err *e)
{
    if (FAILPOINT("shim.in_started"))
        return err_sys(e, ENOSPC, "could not write the attempt's record");
    if (fsync(lock) < 0)
        return err_sys(e, errno, "could not sync the attempt's record");
    return sync_folders(folder, e);
}

int attempt_started_write(const char *folder, int lock, const struct attempt_started *s,
                          struct err *e)
{
    auto_text struct text t = {0};
    attempt_started_text(s, &t);
    if (t.len >= STARTED_ROOM)
        return err_set(e, ERR_TOO_LARGE, "the attempt's record has over %d bytes", STARTED_ROOM);
    if (write_at(lock, t.data, t.len, STARTED_AT, e) == 0 && sync_start(lock, folder, e) == 0)
        return 0;
    /* Nothing ran and nothing will, so the attempt may be tried again. */
    if (ftruncate(lock, 0) < 0)
        return err_wrap(e, "it counts as started");
    return -1;
}

int attempt_exit_reserve(int lock, struct err *e)
{
    static const char zeros[EXIT_ROOM];
    /* Written, not only allocated: a file system may turn allocated space into data only with more
     * space, and copy-on-write ones give no promise at all. */
    return write_at(lock, zeros, sizeof zeros, EXIT_AT, e);
}

int attempt_exit_write(int lock, const struct attempt_exit *x, struct err *e)
{
    auto_text struct text t = {0};
    attempt_exit_text(x, &t);
    /* Over what was reserved, which needs no new space. */
    assert(t.len < EXIT_ROOM);
    if (write_at(lock, t.data, t.len, EXIT_AT, e) < 0)
        return -1;
    if (FAILPOINT("shim.in_exit"))
        return err_sys(e, EIO, "could not sync the attempt's record");
    if (fdatasync(lock) < 0)
        return err_sys(e, errno, "could not sync the attempt's record");
    return 0;
}
