#include "state.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define STATE_MAGIC UINT64_C(0x7265657665300a01) /* the last byte is the version of the layout */

struct state {
    int fd; /* -1: memory of this process alone */
    struct state_file *file;
    bool is_private;
};

static void read_boot_id(char id[40])
{
    memset(id, 0, 40);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, id, 36);
    if (n < 0)
        id[0] = '\0';
    close(fd);
}

/* Two scenarios of one name but with other devices must not share counters. */
static uint64_t shape_of(const struct scenario *s)
{
    uint64_t h = s->device_count;
    for (size_t i = 0; i < s->device_count; i++)
        for (const char *p = s->devices[i].uuid; *p; p++)
            h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
    return h;
}

/*
 * In a folder that everyone may write to: no link is followed, and a file that is neither ours nor
 * root's is left alone. What exists is opened without O_CREAT, which the kernel may refuse for
 * files of others there.
 */
static int open_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
                    (st.st_uid != 0 && st.st_uid != geteuid()))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Another user's agent may have the file: it is read, and a process without the right to write
 * plays on its own copy. */
static int open_to_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 ||
                    st.st_size < (off_t)sizeof(struct state_file))) {
        close(fd);
        return -1;
    }
    return fd;
}

static struct state *map(int fd, bool writable)
{
    struct stat st;
    if (writable && (fstat(fd, &st) < 0 || (st.st_size < (off_t)sizeof(struct state_file) &&
                                            ftruncate(fd, sizeof(struct state_file)) < 0)))
        return NULL;
    void *p = mmap(NULL, sizeof(struct state_file), PROT_READ | PROT_WRITE,
                   writable ? MAP_SHARED : MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return NULL;
    struct state *state = mem_new(struct state);
    *state = (struct state){.fd = fd, .file = p, .is_private = !writable};
    return state;
}

static struct state *open_any(const char *path, uint64_t shape)
{
    char name[128];
    const char *const folders[] = {"/dev/shm", "/tmp"};

    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        if (path)
            snprintf(name, sizeof name, "%s", path);
        else
            snprintf(name, sizeof name, "%s/reeve-sim-%016llx", folders[i],
                     (unsigned long long)shape);
        int fd = open_file(path ? path : name);
        bool writable = fd >= 0;
        if (!writable)
            fd = open_to_read(path ? path : name);
        struct state *state = fd >= 0 ? map(fd, writable) : NULL;
        if (state)
            return state;
        if (fd >= 0)
            close(fd);
    }

    struct state *state = mem_new(struct state);
    state->fd = -1;
    state->is_private = true;
    state->file = mem_new(struct state_file);
    return state;
}

struct state *state_open(const char *path, const struct scenario *s, int64_t boot_ms)
{
    uint64_t shape = shape_of(s);
    struct state *state = open_any(path, shape);
    struct state_file *f = state->file;
    char boot_id[40];
    read_boot_id(boot_id);

    if (state->fd >= 0 && !state->is_private)
        flock(state->fd, LOCK_EX); /* held for microseconds by others */
    if (f->magic != STATE_MAGIC || f->shape != shape ||
        memcmp(f->boot_id, boot_id, sizeof boot_id) != 0) {
        memset(f, 0, sizeof *f);
        f->shape = shape;
        memcpy(f->boot_id, boot_id, sizeof boot_id);
        f->began_ms = f->used_ms = f->advanced_ms = boot_ms;
        f->magic = STATE_MAGIC;
    }
    int64_t now_ms = boot_ms + f->skew_ms;
    if (now_ms - f->used_ms > STATE_LINGER_MS || now_ms < f->used_ms - STATE_LINGER_MS) {
        f->began_ms = f->used_ms = now_ms;
        if (f->advanced_ms > now_ms)
            f->advanced_ms = now_ms;
    }
    state_unlock(state);
    return state;
}

void state_close(struct state *st)
{
    if (!st)
        return;
    if (st->fd >= 0) {
        munmap(st->file, sizeof *st->file);
        close(st->fd);
    } else {
        free(st->file);
    }
    free(st);
}

struct state_file *state_get(struct state *st)
{
    return st->file;
}

bool state_try_lock(struct state *st)
{
    return st->is_private || flock(st->fd, LOCK_EX | LOCK_NB) == 0;
}

void state_unlock(struct state *st)
{
    if (!st->is_private)
        flock(st->fd, LOCK_UN);
}
