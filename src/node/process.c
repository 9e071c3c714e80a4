#include "node/process.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A small file of /proc in one read. Returns the length, or -1. */
static ssize_t read_small(const char *path, char *buf, size_t room)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t len = 0;
    while (len < room - 1) {
        ssize_t n = read(fd, buf + len, room - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    buf[len] = '\0';
    return (ssize_t)len;
}

char *boot_id_read(char buf[BOOT_ID_SIZE])
{
    char text[64];
    buf[0] = '\0';
    if (read_small("/proc/sys/kernel/random/boot_id", text, sizeof text) >= BOOT_ID_SIZE - 1) {
        memcpy(buf, text, BOOT_ID_SIZE - 1);
        buf[BOOT_ID_SIZE - 1] = '\0';
    }
    return buf;
}

bool process_parse_stat(const char *text, struct process *ret)
{
    char *end;
    errno = 0;
    long pid = strtol(text, &end, 10);
    if (errno || end == text || pid <= 0 || pid > INT32_MAX || strncmp(end, " (", 2) != 0)
        return false;

    /* The name may hold parentheses and blanks; no later field does. */
    const char *rest = strrchr(end, ')');
    if (!rest)
        return false;
    struct process p = {.id.pid = (pid_t)pid};
    int parent, group, session;
    if (sscanf(rest, ") %c %d %d %d", &p.state, &parent, &group, &session) != 4)
        return false;

    /* Numbers from field 4 on; 14 to 17 are times, 22 is the start. */
    uint64_t fields[23] = {0};
    const char *at = rest + 1 + strspn(rest + 1, " ");
    at += strcspn(at, " ");
    for (int field = 4; field < 23; field++) {
        at += strspn(at, " ");
        char *number_end;
        fields[field] = strtoull(at, &number_end, 10); /* some may be below 0, none that we use */
        if (number_end == at)
            return false;
        at = number_end;
    }
    p.id.start_ticks = fields[22];
    p.cpu_ticks = fields[14] + fields[15];
    p.reaped_cpu_ticks = fields[16] + fields[17];
    p.parent = parent;
    p.group = group;
    p.session = session;
    *ret = p;
    return true;
}

bool process_parse_catches(const char *status, int signal)
{
    const char *line = strstr(status, "\nSigCgt:");
    if (!line || signal < 1 || signal > 64)
        return false;
    uint64_t mask = strtoull(line + 8, NULL, 16);
    return mask >> (signal - 1) & 1;
}

bool process_read(pid_t pid, struct process *ret)
{
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    return read_small(path, text, sizeof text) > 0 && process_parse_stat(text, ret);
}

void process_list_done(struct process_list *l)
{
    free(l->items);
    *l = (struct process_list){0};
}

void process_list_add(struct process_list *l, const struct process *p)
{
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 64;
        l->items = mem_resize_array(l->items, l->room);
    }
    l->items[l->count++] = *p;
}

bool process_list_has(const struct process_list *l, pid_t pid)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].id.pid == pid)
            return true;
    return false;
}

void process_scan(struct process_list *ret)
{
    *ret = (struct process_list){0};
    DIR *d = opendir("/proc");
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        struct process p;
        if (isdigit((unsigned char)entry->d_name[0]) && process_read(atoi(entry->d_name), &p))
            process_list_add(ret, &p);
    }
    closedir(d);
}

static int by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct process *)a)->id.pid, y = ((const struct process *)b)->id.pid;
    return (x > y) - (x < y);
}

static size_t index_of(const struct process_list *l, pid_t pid)
{
    struct process key = {.id.pid = pid};
    const struct process *found =
        l->count ? bsearch(&key, l->items, l->count, sizeof key, by_pid) : NULL;
    return found ? (size_t)(found - l->items) : SIZE_MAX;
}

void process_keep_descendants(struct process_list *l, pid_t root)
{
    enum { UNKNOWN, BELOW, ELSEWHERE };
    if (!l->count)
        return;
    qsort(l->items, l->count, sizeof *l->items, by_pid);
    auto_free char *where = mem_alloc(l->count, 1);

    for (size_t i = 0; i < l->count; i++) {
        /* Climb until somebody is known, then mark the whole way. Parents may have changed while we
         * read, so a circle is possible: the number of steps is bounded. */
        char found = ELSEWHERE;
        size_t at = i;
        for (size_t steps = 0; steps <= l->count && at != SIZE_MAX; steps++) {
            if (where[at] != UNKNOWN) {
                found = where[at];
                break;
            }
            if (l->items[at].parent == root) {
                found = BELOW;
                break;
            }
            at = index_of(l, l->items[at].parent);
        }
        at = i;
        for (size_t steps = 0; steps <= l->count && at != SIZE_MAX && where[at] == UNKNOWN;
             steps++) {
            where[at] = found;
            if (l->items[at].parent == root)
                break;
            at = index_of(l, l->items[at].parent);
        }
    }

    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++)
        if (where[i] == BELOW && l->items[i].id.pid != root)
            l->items[kept++] = l->items[i];
    l->count = kept;
}

bool process_has_variable(pid_t pid, const char *variable)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;

    /* Read in windows that overlap by what we look for, as an environment may have megabytes. */
    size_t want = strlen(variable) + 1, have = 0;
    char buf[16384];
    bool at_start = true;
    if (want + 1 >= sizeof buf / 2)
        return false;
    for (;;) {
        ssize_t n = read(fd, buf + have, sizeof buf - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        have += (size_t)n;
        if (at_start && have >= want && memcmp(buf, variable, want) == 0)
            return true;
        for (const char *p = buf; (p = memchr(p, '\0', have - (size_t)(p - buf)));) {
            p++;
            if ((size_t)(p - buf) + want > have)
                break;
            if (memcmp(p, variable, want) == 0)
                return true;
        }
        if (have > want) {
            at_start = false;
            size_t keep = want; /* with the NUL in front of a variable that begins at the end */
            memmove(buf, buf + have - keep, keep);
            have = keep;
        }
    }
}

int64_t process_own_bytes(pid_t pid)
{
    char path[40], text[256];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    long long size, resident, shared;
    if (read_small(path, text, sizeof text) <= 0 ||
        sscanf(text, "%lld %lld %lld", &size, &resident, &shared) != 3 || resident < shared)
        return 0;
    return (resident - shared) * sysconf(_SC_PAGESIZE);
}

static bool is_same(const struct process_id *id)
{
    struct process now;
    return process_read(id->pid, &now) && now.id.start_ticks == id->start_ticks &&
           now.state != 'Z' && now.state != 'X';
}

int process_open(const struct process_id *id)
{
    if (id->pid <= 0) {
        errno = ESRCH;
        return -1;
    }
    auto_close int fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
    if (fd < 0)
        return -1;
    /* The pidfd holds whoever had the pid a moment ago; only now the start time proves who. */
    if (!is_same(id)) {
        errno = ESRCH;
        return -1;
    }
    return take_fd(&fd);
}

bool process_signal(const struct process_id *id, int signal)
{
    auto_close int fd = process_open(id);
    return fd >= 0 && syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0;
}

bool process_signal_if_caught(const struct process_id *id, int signal)
{
    auto_close int fd = process_open(id);
    if (fd < 0)
        return false;
    char path[40], text[8192];
    snprintf(path, sizeof path, "/proc/%d/status", (int)id->pid);
    if (read_small(path, text, sizeof text) <= 0 || !process_parse_catches(text, signal))
        return false;
    return syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0;
}
