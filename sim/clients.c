#include "clients.h"

#include "base/mem.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>

enum {
    LOOK_EVERY_MS = 50,
    WALK_EVERY_MS = 10000,
    /* A process may still be between fork and exec when we first see it: looked at again after
     * one, two, four, ... times that, at most so often. */
    YOUNG_LOOKS = 5,
    MOST_YOUNG = 512,
    MOST_STEPS = 4096, /* numbers to try one by one; with more a walk is cheaper */
    LEAST_PREFIX = 12,
    MOST_ENVIRON = 256 << 10,
};

struct young {
    int pid, looks;
    int64_t again_ms;
};

struct clients {
    char *proc;
    const char *const *uuids;
    size_t uuid_count;
    int64_t looked_ms, walked_ms;
    int newest; /* number of the newest process at the last look, 0: unknown */
    size_t count, young_count;
    struct client *list;
    size_t room;
    struct young young[MOST_YOUNG];
    char *environ; /* for reading one */
};

struct clients *clients_new(const char *proc, const char *const *uuids, size_t count)
{
    struct clients *c = mem_new(struct clients);
    c->proc = mem_strdup(proc);
    c->uuids = uuids;
    c->uuid_count = count;
    c->looked_ms = c->walked_ms = INT64_MIN / 2;
    return c;
}

void clients_free(struct clients *c)
{
    if (!c)
        return;
    free(c->proc);
    free(c->list);
    free(c->environ);
    free(c);
}

const struct client *clients_list(const struct clients *c, size_t *ret_count)
{
    *ret_count = c->count;
    return c->list;
}

uint64_t clients_match(const char *value, size_t len, const char *const *uuids, size_t count)
{
    uint64_t found = 0;
    const char *end = value + len;
    while (value < end) {
        const char *comma = memchr(value, ',', (size_t)(end - value));
        size_t part = (size_t)((comma ? comma : end) - value);
        uint64_t these = 0;
        for (size_t i = 0; part >= LEAST_PREFIX && i < count; i++)
            if (part <= strlen(uuids[i]) && memcmp(uuids[i], value, part) == 0)
                these |= UINT64_C(1) << i;
        if (!(these & (these - 1))) /* a beginning that fits several names none */
            found |= these;
        value += part + 1;
    }
    return found;
}

/* At most ROOM bytes of a small file of /proc; -1: it is not there or not for us. */
static ssize_t read_proc(const struct clients *c, int pid, const char *name, char *buf, size_t room)
{
    char path[512];
    if (pid)
        snprintf(path, sizeof path, "%s/%d/%s", c->proc, pid, name);
    else
        snprintf(path, sizeof path, "%s/%s", c->proc, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t got = 0;
    for (ssize_t n; got < room && (n = read(fd, buf + got, room - got)) > 0;)
        got += (size_t)n;
    close(fd);
    return (ssize_t)got;
}

enum sight { SIGHT_NONE, SIGHT_OTHER, SIGHT_CLIENT };

/* SIGHT_NONE: it is not there, or not ours to look at. */
static enum sight devices_of(struct clients *c, int pid, uint64_t *ret)
{
    static const char key[] = "CUDA_VISIBLE_DEVICES=";
    if (!c->environ)
        c->environ = mem_alloc(MOST_ENVIRON, 1);
    ssize_t len = read_proc(c, pid, "environ", c->environ, MOST_ENVIRON);

    for (const char *p = c->environ, *end = p + (len > 0 ? len : 0); p < end;) {
        size_t one = strnlen(p, (size_t)(end - p));
        if (one >= sizeof key - 1 && memcmp(p, key, sizeof key - 1) == 0) {
            *ret =
                clients_match(p + sizeof key - 1, one - (sizeof key - 1), c->uuids, c->uuid_count);
            return *ret ? SIGHT_CLIENT : SIGHT_OTHER;
        }
        p += one + 1;
    }
    return len < 0 ? SIGHT_NONE : SIGHT_OTHER;
}

/* State, parent and start of a process; false when it is gone or a zombie. */
static bool read_stat(struct clients *c, int pid, struct client *ret)
{
    char buf[512];
    ssize_t len = read_proc(c, pid, "stat", buf, sizeof buf - 1);
    if (len <= 0)
        return false;
    buf[len] = '\0';
    const char *p = strrchr(buf, ')'); /* the name before may hold anything */
    char state;
    unsigned long long start;
    int parent;
    if (!p ||
        sscanf(p + 1,
               " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &state, &parent, &start) != 3)
        return false;
    ret->pid = pid;
    ret->parent = parent;
    ret->start_ticks = start;
    ret->start_ms = (int64_t)(start * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
    return state != 'Z' && state != 'X';
}

/* A number may be a thread's: those have a folder, too, only not one that is listed. */
static bool is_process(struct clients *c, int pid)
{
    char buf[256];
    ssize_t len = read_proc(c, pid, "status", buf, sizeof buf - 1);
    if (len <= 0)
        return false;
    buf[len] = '\0';
    const char *group = strstr(buf, "\nTgid:");
    return !group || atoi(group + 6) == pid;
}

static bool is_known(const struct clients *c, int pid)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i].pid == pid)
            return true;
    return false;
}

static enum sight look_at(struct clients *c, int pid)
{
    struct client one = {0};
    if (is_known(c, pid))
        return SIGHT_CLIENT;
    enum sight sight = devices_of(c, pid, &one.devices);
    if (sight != SIGHT_CLIENT)
        return sight;
    if (c->count == CLIENTS_MOST || !is_process(c, pid) || !read_stat(c, pid, &one))
        return SIGHT_NONE;
    if (c->count == c->room) {
        c->room = c->room ? c->room * 2 : 16;
        c->list = mem_resize_array(c->list, c->room);
    }
    c->list[c->count++] = one;
    return SIGHT_CLIENT;
}

static void look_at_young(struct clients *c, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->young_count; i++) {
        struct young y = c->young[i];
        if (now_ms >= y.again_ms) {
            if (look_at(c, y.pid) != SIGHT_OTHER || ++y.looks == YOUNG_LOOKS)
                continue;
            y.again_ms = now_ms + (LOOK_EVERY_MS << y.looks);
        }
        c->young[kept++] = y;
    }
    c->young_count = kept;
}

/* The numbers that were given out since the last look. */
static void look_at_new(struct clients *c, int first, int newest, int64_t now_ms)
{
    for (int pid = first; pid <= newest; pid++)
        if (look_at(c, pid) == SIGHT_OTHER && c->young_count < MOST_YOUNG && is_process(c, pid))
            c->young[c->young_count++] = (struct young){pid, 0, now_ms + LOOK_EVERY_MS};
}

static void walk(struct clients *c)
{
    DIR *dir = opendir(c->proc);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (isdigit((unsigned char)entry->d_name[0]))
            look_at(c, atoi(entry->d_name));
    closedir(dir);
}

/* Clients that ended, or whose number another process has now. */
static void drop_ended(struct clients *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct client now = {0};
        if (!read_stat(c, c->list[i].pid, &now) || now.start_ticks != c->list[i].start_ticks)
            continue;
        c->list[i].parent = now.parent;
        c->list[kept++] = c->list[i];
    }
    c->count = kept;
}

/* Which devices of each client one of its ancestors names, too: a whole tree inherits the
 * variable, but only one program of it uses the GPU. */
static void find_topmost(struct clients *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct client *one = &c->list[i];
        one->topmost = one->devices;
        int parent = one->parent;
        for (int depth = 0; depth < 32 && parent > 1; depth++) {
            struct client up = {0};
            for (size_t k = 0; k < c->count; k++)
                if (c->list[k].pid == parent)
                    up = c->list[k];
            one->topmost &= ~up.devices;
            if (!up.pid && !read_stat(c, parent, &up))
                break;
            parent = up.parent;
        }
    }
}

/* The number that the newest process or thread of our pid namespace got; 0: unknown. */
static int newest_process(struct clients *c)
{
    char buf[128];
    ssize_t len = read_proc(c, 0, "loadavg", buf, sizeof buf - 1);
    if (len <= 0)
        return 0;
    buf[len] = '\0';
    const char *last = strrchr(buf, ' ');
    return last ? atoi(last + 1) : 0;
}

void clients_refresh(struct clients *c, int64_t boot_ms)
{
    if (boot_ms - c->looked_ms < LOOK_EVERY_MS && boot_ms >= c->looked_ms)
        return;
    c->looked_ms = boot_ms;

    size_t before = c->count;
    drop_ended(c);
    bool changed = c->count != before;
    before = c->count;

    look_at_young(c, boot_ms);
    int newest = newest_process(c), seen = c->newest;
    bool in_steps = newest && seen && newest >= seen && newest - seen <= MOST_STEPS;
    if (in_steps)
        look_at_new(c, seen + 1, newest, boot_ms);
    if (!in_steps || boot_ms - c->walked_ms >= WALK_EVERY_MS) {
        walk(c);
        c->walked_ms = boot_ms;
    }
    c->newest = newest;
    if (changed || c->count != before)
        find_topmost(c);
}
