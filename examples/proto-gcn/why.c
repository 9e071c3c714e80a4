#include "why.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int why_set(struct why *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(w->text, sizeof w->text, fmt, args);
    va_end(args);
    return -1;
}

void *room_for(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p) {
        fprintf(stderr, "proto-gcn: not enough memory for %zu x %zu bytes\n", count, size);
        exit(1);
    }
    return p;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd);
}

int file_replace(const char *path, const void *data, size_t len, struct why *w)
{
    char tmp[4096];
    if (snprintf(tmp, sizeof tmp, "%s.new", path) >= (int)sizeof tmp)
        return why_set(w, "file name '%.40s...' is too long", path);

    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return why_set(w, "could not create file '%s': %s", tmp, strerror(errno));

    int failed = write_all(fd, data, len) < 0 ? errno : 0;
    if (close(fd) < 0 && !failed)
        failed = errno;
    if (!failed && rename(tmp, path) < 0)
        failed = errno;
    if (!failed)
        return 0;
    unlink(tmp);
    return why_set(w, "could not write file '%s': %s", path, strerror(failed));
}
