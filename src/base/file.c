#include "base/file.h"

#include "base/failpoint.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

int file_read(const char *path, size_t most, char **ret, size_t *ret_len, struct err *e)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno, "could not open file '%s'", path);

    /* Files in /proc have no size, so read until the end rather than ask. */
    auto_text struct text t = {0};
    for (;;) {
        text_reserve(&t, 8192);
        ssize_t n = read(fd, t.data + t.len, t.room - t.len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "could not read file '%s'", path);
        if (n == 0)
            break;
        t.len += (size_t)n;
        if (t.len > most)
            return err_set(e, ERR_TOO_LARGE, "file '%s' has more than %zu bytes", path, most);
    }
    if (ret_len)
        *ret_len = t.len;
    *ret = text_take(&t);
    return 0;
}

int file_write_all(int fd, const void *p, size_t len, struct err *e)
{
    const char *bytes = p;
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "could not write");
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

int file_sync_folder(const char *path, struct err *e)
{
    auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_sys(e, errno, "could not sync folder '%s'", path);
    return 0;
}

int file_sync_parent(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return file_sync_folder(".", e);
    auto_free char *parent = mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    return file_sync_folder(parent, e);
}

static int write_beside(const char *path, const void *p, size_t len, mode_t mode, struct err *e)
{
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_sys(e, errno, "could not create file '%s'", path);
    if (fchmod(fd, mode) < 0)
        return err_sys(e, errno, "could not set the mode of file '%s'", path);
    if (file_write_all(fd, p, len, e) < 0)
        return err_wrap(e, "file '%s'", path);
    if (fsync(fd) < 0)
        return err_sys(e, errno, "could not sync file '%s'", path);
    return 0;
}

int file_replace(const char *path, const void *p, size_t len, mode_t mode, struct err *e)
{
    auto_free char *beside = mem_printf("%s.new", path);
    if (write_beside(beside, p, len, mode, e) < 0) {
        unlink(beside);
        return -1;
    }
    if (rename(beside, path) < 0)
        return err_sys(e, errno, "could not rename '%s' to '%s'", beside, path);
    return file_sync_parent(path, e);
}

static int make_folders_above(const char *path, struct err *e)
{
    auto_free char *part = mem_strdup(path);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return err_sys(e, errno, "could not make folder '%s'", part);
        *p = '/';
    }
    return 0;
}

int file_make_folder(const char *path, mode_t mode, struct err *e)
{
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno == ENOENT) {
        if (make_folders_above(path, e) < 0)
            return -1;
        if (mkdir(path, mode) == 0)
            return 0;
    }
    if (errno != EEXIST)
        return err_sys(e, errno, "could not make folder '%s'", path);

    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFLICT, "'%s' is there, but not a folder", path);
    return 0;
}

static int remove_entries(int folder, const char *path, struct err *e)
{
    DIR *d = fdopendir(folder);
    if (!d)
        return err_sys(e, errno, "could not read folder '%s'", path);

    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(d));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(d), entry->d_name, 0) == 0 || errno == ENOENT)
            continue;
        if (errno != EISDIR && errno != EPERM) {
            rc = err_sys(e, errno, "could not remove '%s/%s'", path, entry->d_name);
            break;
        }
        int inner =
            openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner < 0)
            rc = err_sys(e, errno, "could not open '%s/%s'", path, entry->d_name);
        else
            rc = remove_entries(inner, entry->d_name, e); /* closes it */
        if (rc == 0 && unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR) < 0)
            rc = err_sys(e, errno, "could not remove '%s/%s'", path, entry->d_name);
    }
    closedir(d);
    return rc;
}

int file_remove_tree(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return err_sys(e, errno, "could not open folder '%s'", path);
    if (remove_entries(fd, path, e) < 0)
        return -1;
    if (rmdir(path) < 0)
        return err_sys(e, errno, "could not remove folder '%s'", path);
    return 0;
}

const char *file_program_folder(void)
{
    static char folder[PATH_MAX];
    if (!folder[0]) {
        ssize_t len = readlink("/proc/self/exe", folder, sizeof folder - 1);
        char *slash = len > 0 ? memrchr(folder, '/', (size_t)len) : NULL;
        if (slash)
            *slash = '\0';
        else
            strcpy(folder, ".");
    }
    return folder;
}
