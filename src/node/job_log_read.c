/* The reading side of job_log.h. */
#include "node/job_log.h"
#include "node/job_log_file.h"

#include "base/mem.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MOST 64
/* The writer may remove a file between our look at the folder and the opening. */
#define TRIES      8

struct part {
    int64_t start;
    char name[40];
};

static bool part_of(const char *name, struct part *ret)
{
    if (strcmp(name, JOB_LOG_HEAD) == 0) {
        ret->start = 0;
    } else {
        const char *digits = name + 4;
        if (strncmp(name, "log.", 4) != 0 || strlen(digits) != JOB_LOG_DIGITS ||
            strspn(digits, "0123456789") != JOB_LOG_DIGITS)
            return false;
        errno = 0;
        ret->start = strtoll(digits, NULL, 10);
        if (errno)
            return false;
    }
    memcpy(ret->name, name, strlen(name) + 1); /* both forms are shorter than 40 */
    return true;
}

static int by_start(const void *a, const void *b)
{
    int64_t x = ((const struct part *)a)->start, y = ((const struct part *)b)->start;
    return (x > y) - (x < y);
}

static int list_parts(const char *folder, struct part parts[FILES_MOST], size_t *ret_count,
                      struct err *e)
{
    *ret_count = 0;
    DIR *d = opendir(folder);
    if (!d && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (!d)
        return err_sys(e, errno, "could not read folder '%s'", folder);
    for (struct dirent *entry; *ret_count < FILES_MOST && (entry = readdir(d));)
        *ret_count += part_of(entry->d_name, &parts[*ret_count]);
    closedir(d);
    qsort(parts, *ret_count, sizeof *parts, by_start);
    return 0;
}

static int64_t part_len(const char *folder, const struct part *p)
{
    auto_free char *path = mem_printf("%s/%s", folder, p->name);
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

int job_log_end(const char *folder, int64_t *ret, struct err *e)
{
    for (int i = 0; i < TRIES; i++) {
        struct part parts[FILES_MOST];
        size_t count;
        if (list_parts(folder, parts, &count, e) < 0)
            return -1;
        int64_t len = count ? part_len(folder, &parts[count - 1]) : 0;
        if (len < 0)
            continue;
        *ret = count ? parts[count - 1].start + len : 0;
        return 0;
    }
    return err_set(e, ERR_UNAVAILABLE, "the log in folder '%s' moves too fast", folder);
}

/* Reads from one file. Returns the bytes read; -1 with errno, ENOENT when the file has gone. */
static ssize_t read_part(const char *folder, const struct part *p, int64_t offset, char *buf,
                         size_t room)
{
    auto_free char *path = mem_printf("%s/%s", folder, p->name);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    ssize_t n;
    do
        n = pread(fd, buf, room, (off_t)(offset - p->start));
    while (n < 0 && errno == EINTR);
    return n;
}

/* One try; *RET_LEN stays -1 when the files changed meanwhile. */
static void try_read(const char *folder, const struct part *parts, size_t count, int64_t offset,
                     char *buf, size_t room, ssize_t *ret_len, int64_t *ret_at)
{
    for (size_t i = 0; i < count; i++) {
        bool is_last = i + 1 == count;
        if (!is_last && parts[i + 1].start <= offset)
            continue;
        int64_t at = offset < parts[i].start ? parts[i].start : offset;
        ssize_t n = read_part(folder, &parts[i], at, buf, room);
        if (n != 0 || is_last) {
            *ret_len = n;
            *ret_at = at;
            return;
        }
        /* Behind this file's end, before the next one's start: that was removed by the quota. */
    }
}

int job_log_read(const char *folder, int64_t offset, char *buf, size_t room, size_t *ret_len,
                 int64_t *ret_next, int64_t *ret_gap, struct err *e)
{
    if (offset < 0)
        return err_set(e, ERR_INVALID, "log offset %lld is negative", (long long)offset);
    for (int i = 0; i < TRIES; i++) {
        struct part parts[FILES_MOST];
        size_t count;
        if (list_parts(folder, parts, &count, e) < 0)
            return -1;
        ssize_t len = -1;
        int64_t at = offset;
        if (count)
            try_read(folder, parts, count, offset, buf, room, &len, &at);
        else
            len = 0;
        if (len < 0 && errno != ENOENT)
            return err_sys(e, errno, "could not read the log in folder '%s'", folder);
        if (len < 0)
            continue;
        *ret_len = (size_t)len;
        /* Without bytes nothing is known to be missing for good. */
        *ret_gap = len ? at - offset : 0;
        *ret_next = len ? at + len : offset;
        return 0;
    }
    return err_set(e, ERR_UNAVAILABLE, "the log in folder '%s' moves too fast", folder);
}
