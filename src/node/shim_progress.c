/* How far the job is, looked at only when its progress file or its output changed. */
#include "node/shim_private.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Without inotify (128 of them for each account by default) look as often as this. */
#define LOOK_WITHOUT_WATCH_MS 5000

void shim_watch_progress(struct shim *s)
{
    auto_free char *job = mem_printf("%s/job", s->folder);
    auto_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd >= 0 && inotify_add_watch(fd, job, IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO) >= 0)
        s->watch = take_fd(&fd);
}

void shim_on_progress_change(struct shim *s, int64_t now_ms)
{
    char events[4096];
    bool any = false;
    while (read(s->watch, events, sizeof events) > 0)
        any = true;
    if (!any)
        return; /* asked at the end, though nothing had changed: most jobs have no such file */
    s->file_changed = true;
    shim_progress_soon(s, now_ms);
}

void shim_progress_soon(struct shim *s, int64_t now_ms)
{
    if (s->progress_at != NEVER)
        return;
    int64_t earliest = s->progress_looked_ms + PROGRESS_LOOK_MS;
    s->progress_at = earliest > now_ms ? earliest : now_ms;
}

static void keep(struct shim *s, const struct progress *p)
{
    const struct progress *b = &s->best;
    if (p->source < b->source ||
        (p->source == b->source && p->done == b->done && p->total == b->total))
        return;
    s->best = *p;
    progress_write(s->folder, p, NULL); /* a full disk only makes it stale */
}

/* In a child with the job's identity: the file may be anything that the job could make. */
static void send_file(int out, void *arg)
{
    const struct shim *s = arg;
    auto_free char *path = mem_printf("%s/job", s->folder);
    auto_close int job = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    auto_close int fd = openat(job, "progress", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    char text[PROGRESS_FILE_MOST];
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    off_t from = st.st_size > (off_t)sizeof text ? st.st_size - (off_t)sizeof text : 0;
    ssize_t n = pread(fd, text, sizeof text, from);
    if (n > 0)
        file_write_all(out, text, (size_t)n, NULL);
}

void shim_look_at_progress(struct shim *s, int64_t now_ms)
{
    s->progress_looked_ms = now_ms;
    s->progress_at = s->watch < 0 ? now_ms + LOOK_WITHOUT_WATCH_MS : NEVER;
    if ((s->file_changed || s->watch < 0) && s->progress < 0) {
        s->file_changed = false;
        s->progress_helper = job_helper(&s->spec, send_file, s, &s->progress);
    }
    if (s->best.source == PROGRESS_FILE)
        return;
    size_t len;
    const char *tail = job_log_tail(s->log, &len);
    struct progress p;
    if (progress_from_log(tail, len, s->spec.progress_pattern, s->best.source, &p))
        keep(s, &p);
}

void shim_on_progress_read(struct shim *s)
{
    char text[PROGRESS_FILE_MOST];
    ssize_t n = read(s->progress, text, sizeof text);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(take_fd(&s->progress));
    struct progress p;
    if (n > 0 && progress_from_file(text, (size_t)n, &p))
        keep(s, &p);
}

/* Waits for the look that is under way, if one is. */
static void finish_look(struct shim *s)
{
    struct pollfd fd = {.fd = s->progress, .events = POLLIN};
    if (s->progress >= 0 && poll(&fd, 1, 1200) > 0)
        shim_on_progress_read(s);
}

void shim_last_progress(struct shim *s, int64_t now_ms)
{
    /* One that began before the last change may have seen what was there before it. */
    finish_look(s);
    if (s->watch >= 0)
        shim_on_progress_change(s, now_ms);
    if (s->progress_at != NEVER)
        shim_look_at_progress(s, now_ms);
    finish_look(s);
}
