#include "agent/tombstones.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#define LINE 35 /* 32 hex digits, a blank, a letter, a newline */

struct grave {
    unsigned char id[16];
    unsigned char kind;
};

/* The newest of TOMBSTONES_MOST, as a ring that is searched from its newest: a few thousand short
 * comparisons, and only when a start names an attempt that is not at hand. */
struct tombstones {
    pthread_mutex_t lock; /* guards all below; a leaf */
    int fd;
    size_t count, next, room;
    struct grave *ring;
};

static void remember(struct tombstones *t, const struct grave *g)
{
    if (t->count < TOMBSTONES_MOST && t->count == t->room) {
        t->room = t->room ? t->room * 2 : 64;
        t->ring = mem_resize_array(t->ring, t->room);
    }
    t->ring[t->next] = *g;
    t->next = (t->next + 1) % TOMBSTONES_MOST;
    t->count += t->count < TOMBSTONES_MOST;
}

static const char letters[] = {
    [TOMBSTONE_NONE] = '?', [TOMBSTONE_CANCELLED] = 'c', [TOMBSTONE_FORGOTTEN] = 'f'};

static bool parse(const char *line, struct grave *ret)
{
    char hex[33];
    memcpy(hex, line, 32);
    hex[32] = '\0';
    if (!hex_read(ret->id, sizeof ret->id, hex) || line[32] != ' ')
        return false;
    ret->kind = line[33] == letters[TOMBSTONE_CANCELLED]   ? TOMBSTONE_CANCELLED
                : line[33] == letters[TOMBSTONE_FORGOTTEN] ? TOMBSTONE_FORGOTTEN
                                                           : TOMBSTONE_NONE;
    return ret->kind != TOMBSTONE_NONE;
}

static void print(const struct grave *g, char line[LINE + 1])
{
    hex_write(line, g->id, sizeof g->id);
    line[32] = ' ';
    line[33] = letters[g->kind];
    line[34] = '\n';
    line[35] = '\0';
}

/* Writes the ring anew, oldest first. */
static int pack(struct tombstones *t, const char *path, struct err *e)
{
    auto_text struct text all = {0};
    size_t oldest = t->count < TOMBSTONES_MOST ? 0 : t->next;
    for (size_t i = 0; i < t->count; i++) {
        char line[LINE + 1];
        print(&t->ring[(oldest + i) % TOMBSTONES_MOST], line);
        text_add_bytes(&all, line, LINE);
    }
    return file_replace(path, text_get(&all), all.len, 0600, e);
}

int tombstones_open(const char *path, struct tombstones **ret, struct err *e)
{
    auto_free char *text = NULL;
    size_t len = 0;
    struct err why = {0};
    /* Packed at each start, so it only outgrows this when an agent runs for ages. */
    if (file_read(path, 64 << 20, &text, &len, &why) < 0 && why.code != ERR_NOT_FOUND) {
        if (e)
            *e = why;
        return -1;
    }
    struct tombstones *t = mem_new(struct tombstones);
    pthread_mutex_init(&t->lock, NULL);
    t->fd = -1;
    size_t lines = 0;
    bool damaged = false;
    for (size_t at = 0; at < len; lines++) {
        const char *line = text + at;
        const char *end = memchr(line, '\n', len - at);
        size_t line_len = end ? (size_t)(end - line) + 1 : len - at;
        struct grave g;
        if (end && line_len == LINE && parse(line, &g))
            remember(t, &g);
        else
            damaged = true; /* a line that was being written when the machine stopped */
        at += line_len;
    }
    if (damaged || lines > 2 * TOMBSTONES_MOST) {
        if (pack(t, path, e) < 0) {
            tombstones_close(t);
            return -1;
        }
    }
    t->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (t->fd < 0) {
        err_sys(e, errno, "could not open file '%s'", path);
        tombstones_close(t);
        return -1;
    }
    if (!len && file_sync_parent(path, e) < 0) {
        tombstones_close(t);
        return -1;
    }
    *ret = t;
    return 0;
}

void tombstones_close(struct tombstones *t)
{
    if (!t)
        return;
    if (t->fd >= 0)
        close(t->fd);
    pthread_mutex_destroy(&t->lock);
    free(t->ring);
    free(t);
}

int tombstone_add(struct tombstones *t, const char *id, enum tombstone kind, struct err *e)
{
    struct grave g = {.kind = (unsigned char)kind};
    if (!hex_read(g.id, sizeof g.id, id))
        return err_set(e, ERR_INVALID, "'%.40s' is not the id of an attempt", id);
    char line[LINE + 1];
    print(&g, line);
    if (file_write_all(t->fd, line, LINE, e) < 0)
        return err_wrap(e, "could not note that attempt %s must not start", id);
    if (fdatasync(t->fd) < 0)
        return err_sys(e, errno, "could not sync the list of ended attempts");

    pthread_mutex_lock(&t->lock);
    remember(t, &g);
    pthread_mutex_unlock(&t->lock);
    return 0;
}

enum tombstone tombstone_find(struct tombstones *t, const char *id)
{
    unsigned char bits[16];
    if (!hex_read(bits, sizeof bits, id))
        return TOMBSTONE_NONE;
    enum tombstone found = TOMBSTONE_NONE;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->count && !found; i++) {
        const struct grave *g = &t->ring[(t->next + TOMBSTONES_MOST - 1 - i) % TOMBSTONES_MOST];
        if (memcmp(g->id, bits, sizeof bits) == 0)
            found = (enum tombstone)g->kind;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}
