#include "node/job_log.h"

#include "base/file.h"
#include "base/mem.h"
#include "node/job_log_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_SEGMENTS 8
#define TAIL_BYTES    4096 /* kept in memory for whoever looks for progress */
#define QUOTA_LEAST   4096

struct job_log {
    char *folder;
    int64_t head_room, segment_room; /* bytes of the first part, of each later file */
    int64_t line_most, rate;

    int fd;             /* of the file that is written to; -1: none could be opened */
    int64_t file_start; /* its first logical offset */
    int64_t file_len;
    int64_t kept[TAIL_SEGMENTS]; /* first offsets of the later files, oldest first */
    size_t kept_count;
    int64_t length;

    int64_t line_len;                   /* bytes of the unfinished line that came in */
    int64_t line_dropped;               /* of these, left out as the line is too long */
    int64_t tokens;                     /* bytes that may still be written at once */
    int64_t tokens_at_ms;               /* when that was last reckoned; 0: never */
    int64_t rate_dropped, disk_dropped; /* not yet marked */
    int64_t dropped;                    /* ever */
    bool ends_in_newline;

    char tail[TAIL_BYTES];
    size_t tail_len;
};

static void open_file(struct job_log *l)
{
    char *name = l->length == 0 ? mem_printf("%s/" JOB_LOG_HEAD, l->folder)
                                : mem_printf("%s/" JOB_LOG_TAIL, l->folder, (long long)l->length);
    l->fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    l->file_start = l->length;
    l->file_len = 0;
    free(name);
}

static void forget_oldest(struct job_log *l)
{
    char *name = mem_printf("%s/" JOB_LOG_TAIL, l->folder, (long long)l->kept[0]);
    unlink(name);
    free(name);
    memmove(l->kept, l->kept + 1, (TAIL_SEGMENTS - 1) * sizeof *l->kept);
    l->kept_count--;
}

/* Goes on to the next file when this one is full. */
static void make_room(struct job_log *l)
{
    int64_t room = l->file_start == 0 ? l->head_room : l->segment_room;
    if (l->fd >= 0 && l->file_len < room)
        return;
    if (l->fd >= 0)
        close(l->fd);
    else if (l->length == 0 || (l->kept_count && l->kept[l->kept_count - 1] == l->length)) {
        open_file(l); /* it could not be opened last time */
        return;
    }
    if (l->kept_count == TAIL_SEGMENTS)
        forget_oldest(l);
    l->kept[l->kept_count++] = l->length;
    open_file(l);
}

/* Returns how many bytes the disk took. */
static size_t put(struct job_log *l, const char *p, size_t len)
{
    size_t done = 0;
    while (done < len) {
        make_room(l);
        if (l->fd < 0)
            break;
        int64_t room = (l->file_start == 0 ? l->head_room : l->segment_room) - l->file_len;
        size_t part = len - done < (size_t)room ? len - done : (size_t)room;
        ssize_t n = write(l->fd, p + done, part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
        l->file_len += n;
        l->length += n;
        l->ends_in_newline = p[done - 1] == '\n';
    }
    return done;
}

static void put_mark(struct job_log *l, int64_t *dropped, const char *what, const char *why)
{
    if (!*dropped)
        return;
    char mark[200];
    int len =
        snprintf(mark, sizeof mark, "%s[reeve: %lld bytes of %s left out here: %s]\n",
                 l->ends_in_newline || !l->length ? "" : "\n", (long long)*dropped, what, why);
    /* Half a mark is no harm; the count stays until a whole one is on the disk. */
    if (put(l, mark, (size_t)len) == (size_t)len)
        *dropped = 0;
}

static void put_marks(struct job_log *l)
{
    char why[80];
    snprintf(why, sizeof why, "more than %lld bytes a second", (long long)l->rate);
    put_mark(l, &l->rate_dropped, "output", why);
    put_mark(l, &l->disk_dropped, "output", "the disk did not take them");
}

/* Bytes that passed all limits. */
static void emit(struct job_log *l, const char *p, size_t len)
{
    if (l->rate_dropped || l->disk_dropped)
        put_marks(l);
    size_t lost = len;
    if (!l->disk_dropped)
        lost -= put(l, p, len);
    l->disk_dropped += (int64_t)lost;
    l->dropped += (int64_t)lost;
}

static void end_line(struct job_log *l)
{
    if (l->line_dropped) {
        char mark[96];
        int len = snprintf(mark, sizeof mark, " [reeve: %lld more bytes of this line left out]",
                           (long long)l->line_dropped);
        emit(l, mark, (size_t)len);
    }
    l->line_len = l->line_dropped = 0;
}

/* A piece without newline or carriage return inside, perhaps one at its end. */
static void add_piece(struct job_log *l, const char *p, size_t len)
{
    bool ends = len && (p[len - 1] == '\n' || p[len - 1] == '\r');
    size_t body = len - ends, keep = body;
    if (l->line_most) {
        int64_t room = l->line_most - l->line_len;
        keep = room <= 0 ? 0 : (int64_t)body > room ? (size_t)room : body;
    }
    l->line_len += (int64_t)body;
    l->line_dropped += (int64_t)(body - keep);
    l->dropped += (int64_t)(body - keep);
    if (!l->line_dropped) {
        emit(l, p, len);
    } else {
        emit(l, p, keep);
        if (ends) {
            end_line(l);
            emit(l, p + len - 1, 1);
        }
    }
    if (ends)
        l->line_len = l->line_dropped = 0;
}

/* How many of these bytes are whole lines. tqdm and its like rewrite one line for hours by carriage
 * return: that ends a line, too. */
static size_t last_line_end(const char *p, size_t len)
{
    const char *newline = memrchr(p, '\n', len);
    size_t done = newline ? (size_t)(newline + 1 - p) : 0;
    const char *back = memrchr(p + done, '\r', len - done);
    return back ? (size_t)(back + 1 - p) : done;
}

/* The whole lines and the rest of LEN bytes. Long runs of short lines go out as one. */
static void add_lines(struct job_log *l, const char *p, size_t len)
{
    if (!l->line_most) {
        emit(l, p, len);
        return;
    }
    while (len) {
        /* As many bytes as surely hold no line that is too long. */
        size_t window = len < (size_t)l->line_most ? len : (size_t)l->line_most;
        size_t whole = l->line_len == 0 ? last_line_end(p, window) : 0;
        if (whole) {
            emit(l, p, whole);
            p += whole;
            len -= whole;
            continue;
        }
        size_t piece = 0;
        while (piece < len && p[piece] != '\n' && p[piece] != '\r')
            piece++;
        piece += piece < len;
        add_piece(l, p, piece);
        p += piece;
        len -= piece;
    }
}

static void keep_tail(struct job_log *l, const char *p, size_t len)
{
    if (len >= TAIL_BYTES) {
        memcpy(l->tail, p + len - TAIL_BYTES, TAIL_BYTES);
        l->tail_len = TAIL_BYTES;
        return;
    }
    size_t old = l->tail_len + len > TAIL_BYTES ? TAIL_BYTES - len : l->tail_len;
    memmove(l->tail, l->tail + l->tail_len - old, old);
    memcpy(l->tail + old, p, len);
    l->tail_len = old + len;
}

static size_t take_tokens(struct job_log *l, size_t len, int64_t now_ms)
{
    if (!l->rate)
        return len;
    int64_t passed = l->tokens_at_ms ? now_ms - l->tokens_at_ms : 1000;
    int64_t more = l->rate * (passed > 1000 ? 1000 : passed) / 1000;
    if (more > 0) { /* at a low rate several milliseconds make one byte */
        l->tokens = l->tokens + more > l->rate ? l->rate : l->tokens + more;
        l->tokens_at_ms = now_ms;
    }
    /* After a gap go on only with a good part of a second's worth, not with a gap at each line. */
    if (l->rate_dropped && l->tokens < l->rate / 4)
        return 0;
    size_t may = l->tokens < (int64_t)len ? (size_t)l->tokens : len;
    l->tokens -= (int64_t)may;
    return may;
}

size_t job_log_write(struct job_log *l, const char *p, size_t len, int64_t now_mono_ms)
{
    keep_tail(l, p, len);
    size_t may = take_tokens(l, len, now_mono_ms);
    add_lines(l, p, may);
    if (may == len)
        return 0;

    if (l->line_dropped)
        end_line(l); /* the rest of that line falls into the gap */
    l->rate_dropped += (int64_t)(len - may);
    l->dropped += (int64_t)(len - may);
    /* Where the next kept byte stands in its line is not known; a new line begins there. */
    l->line_len = 0;
    return len - may;
}

void job_log_note(struct job_log *l, const char *sentence)
{
    put_marks(l);
    auto_free char *line =
        mem_printf("%s[reeve: %s]\n", l->ends_in_newline || !l->length ? "" : "\n", sentence);
    put(l, line, strlen(line));
    l->line_len = 0;
}

struct job_log *job_log_open(const char *folder, int64_t quota_bytes, int64_t line_bytes,
                             int64_t rate_bytes)
{
    assert(quota_bytes >= QUOTA_LEAST);
    struct job_log *l = mem_new(struct job_log);
    l->folder = mem_strdup(folder);
    l->head_room = quota_bytes / 4;
    l->segment_room = (quota_bytes - l->head_room) / TAIL_SEGMENTS;
    l->line_most = line_bytes;
    l->rate = rate_bytes;
    l->fd = -1; /* made when there is something to write */
    return l;
}

static void finish(struct job_log *l)
{
    if (l->line_dropped)
        end_line(l);
    put_marks(l);
}

void job_log_sync(struct job_log *l)
{
    finish(l);
    /* That it fails is known from the writes, and no reason to lose an exit. */
    if (l->fd >= 0)
        fdatasync(l->fd);
}

void job_log_close(struct job_log *l)
{
    if (!l)
        return;
    finish(l);
    if (l->fd >= 0)
        close(l->fd);
    free(l->folder);
    free(l);
}

int64_t job_log_length(const struct job_log *l)
{
    return l->length;
}

int64_t job_log_dropped(const struct job_log *l)
{
    return l->dropped;
}

const char *job_log_tail(const struct job_log *l, size_t *ret_len)
{
    size_t skip = 0;
    if (l->tail_len == TAIL_BYTES) {
        const char *newline = memchr(l->tail, '\n', l->tail_len);
        skip = newline ? (size_t)(newline + 1 - l->tail) : 0;
    }
    *ret_len = l->tail_len - skip;
    return l->tail + skip;
}
