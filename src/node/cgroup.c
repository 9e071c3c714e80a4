#include "node/cgroup.h"

#include "base/file.h"
#include "base/mem.h"
#include "node/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CPU_PERIOD_US      100000
/* The kernel refuses a quota below 1 ms. */
#define CPU_QUOTA_LEAST_US 1000
#define SWEEP_AFTER_S      600

void cgroup_parent_done(struct cgroup_parent *p)
{
    free(p->unified);
    free(p->memory);
    free(p->cpu);
    free(p->pids);
    *p = (struct cgroup_parent){0};
}

void cgroup_done(struct cgroup *c)
{
    free(c->unified);
    free(c->memory);
    free(c->cpu);
    free(c->pids);
    *c = (struct cgroup){0};
}

/* Reads FOLDER/FILE; NULL when that is not possible. The caller frees it. */
static char *read_text(const char *folder, const char *file)
{
    if (!folder)
        return NULL;
    auto_free char *path = mem_printf("%s/%s", folder, file);
    char *text = NULL;
    return file_read(path, 1 << 20, &text, NULL, NULL) == 0 ? text : NULL;
}

/* Returns 0 or an errno. */
static int write_text(const char *folder, const char *file, const char *value)
{
    auto_free char *path = mem_printf("%s/%s", folder, file);
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t n = write(fd, value, strlen(value));
    return n < 0 ? errno : 0;
}

static int write_int(const char *folder, const char *file, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return write_text(folder, file, text);
}

static bool has_file(const char *folder, const char *file)
{
    auto_free char *path = mem_printf("%s/%s", folder, file);
    return access(path, F_OK) == 0;
}

/* Whether groups can be made here: the only sure way to know is to make one. */
static bool may_make_groups(const char *folder)
{
    auto_free char *probe = mem_printf("%s/reeve-probe-%d", folder, (int)getpid());
    if (mkdir(probe, 0755) < 0)
        return false;
    bool works = has_file(probe, "cgroup.procs");
    rmdir(probe);
    return works;
}

/* Turns on what there is for the children of FOLDER; returns what its children then have. */
static unsigned enable_controllers(const char *folder)
{
    static const struct {
        const char *on, *name;
        unsigned bit;
    } kinds[] = {{"+memory", "memory", CGROUP_MEMORY},
                 {"+cpu", "cpu", CGROUP_CPU},
                 {"+pids", "pids", CGROUP_PIDS}};

    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        write_text(folder, "cgroup.subtree_control", kinds[i].on); /* one by one: some may fail */
    unsigned have = 0;
    auto_free char *text = read_text(folder, "cgroup.subtree_control");
    char *rest = text;
    for (char *word; rest && (word = strsep(&rest, " \n"));)
        for (size_t i = 0; i < COUNT_OF(kinds); i++)
            if (strcmp(word, kinds[i].name) == 0)
                have |= kinds[i].bit;
    return have;
}

static unsigned available_controllers(const char *folder)
{
    auto_free char *text = read_text(folder, "cgroup.controllers");
    unsigned have = 0;
    char *rest = text;
    for (char *word; rest && (word = strsep(&rest, " \n"));) {
        have |= strcmp(word, "memory") == 0 ? CGROUP_MEMORY : 0U;
        have |= strcmp(word, "cpu") == 0 ? CGROUP_CPU : 0U;
        have |= strcmp(word, "pids") == 0 ? CGROUP_PIDS : 0U;
    }
    return have;
}

/* Takes version 2 group FOLDER as the parent if it works and gives its children all that it has
 * itself. */
static bool try_unified(const char *folder, struct cgroup_parent *ret)
{
    if (!may_make_groups(folder))
        return false;
    unsigned have = enable_controllers(folder);
    if (have != available_controllers(folder))
        return false;
    ret->unified = mem_strdup(folder);
    ret->controllers = have;
    return true;
}

/* Whether this process is the only one right in this group. */
static bool is_alone(const char *folder)
{
    auto_free char *text = read_text(folder, "cgroup.procs");
    char me[16];
    snprintf(me, sizeof me, "%d\n", (int)getpid());
    return text && strcmp(text, me) == 0;
}

static bool move_into_leaf(const char *folder)
{
    auto_free char *leaf = mem_printf("%s/agent", folder);
    if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
        return false;
    if (write_int(leaf, "cgroup.procs", getpid()) == 0)
        return true;
    rmdir(leaf);
    return false;
}

/* Makes every level of PATH below the mount, with controllers on at each. */
static bool try_unified_path(const struct cgroup_mount *m, const char *path,
                             struct cgroup_parent *ret)
{
    auto_free char *folder = cgroup_folder(m, path);
    if (!folder)
        return false;
    for (char *p = folder + strlen(m->folder); *p; p++) {
        if (*p != '/' || p == folder)
            continue;
        *p = '\0';
        enable_controllers(folder);
        *p = '/';
        char *next = strchr(p + 1, '/');
        if (next)
            *next = '\0';
        bool made = mkdir(folder, 0755) == 0 || errno == EEXIST;
        if (next)
            *next = '/';
        if (!made)
            return false;
    }
    return try_unified(folder, ret);
}

static void find_unified(const char *wanted, const struct cgroup_mount *m, const char *own_path,
                         struct cgroup_parent *ret)
{
    if (wanted) {
        try_unified_path(m, wanted, ret);
        return;
    }
    auto_free char *own = own_path ? cgroup_folder(m, own_path) : NULL;
    if (own && text_ends_with(own, "/agent")) {
        auto_free char *above = mem_strndup(own, strlen(own) - strlen("/agent"));
        if (try_unified(above, ret))
            return;
    }
    if (own && !text_ends_with(own, ".service") && is_alone(own) && may_make_groups(own) &&
        move_into_leaf(own)) {
        if (try_unified(own, ret))
            return;
        write_int(own, "cgroup.procs", getpid());
    }
    if (geteuid() == 0)
        try_unified_path(m, "/reeve.jobs", ret);
    /* Non-root in a delegated service of its own: nothing better than the rule above broken. */
    if (!ret->unified && own && geteuid() != 0 && is_alone(own) && may_make_groups(own) &&
        move_into_leaf(own))
        try_unified(own, ret);
}

static char *find_v1(const char *wanted, const struct cgroup_mount *m, const char *proc_cgroup,
                     const char *controller)
{
    auto_free char *own = wanted ? mem_strdup(wanted) : cgroup_parse_own(proc_cgroup, controller);
    auto_free char *folder = own ? cgroup_folder(m, own) : NULL;
    if (folder && wanted)
        file_make_folder(folder, 0755, NULL);
    return folder && may_make_groups(folder) ? TAKE(folder) : NULL;
}

/* Removes groups of jobs that are long empty: their shims and all that knew of them were killed. A
 * group that has processes cannot be removed, and one that is just being made is young. */
static void sweep(const char *parent)
{
    DIR *d = parent ? opendir(parent) : NULL;
    if (!d)
        return;
    time_t now = time(NULL);
    for (struct dirent *entry; (entry = readdir(d));) {
        struct stat st;
        if (text_starts_with(entry->d_name, "reeve-") &&
            fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode) && now - st.st_mtime > SWEEP_AFTER_S)
            unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
    }
    closedir(d);
}

void cgroup_find(const char *wanted, struct cgroup_parent *ret)
{
    *ret = (struct cgroup_parent){0};
    auto_free char *own = NULL;
    auto_free char *mountinfo = NULL;
    if (file_read("/proc/self/cgroup", 1 << 20, &own, NULL, NULL) < 0 ||
        file_read("/proc/self/mountinfo", 16 << 20, &mountinfo, NULL, NULL) < 0)
        return;

    auto_cgroup_mounts struct cgroup_mounts mounts = {0};
    cgroup_parse_mounts(mountinfo, &mounts);
    ret->memory = find_v1(wanted, &mounts.memory, own, "memory");
    ret->cpu = find_v1(wanted, &mounts.cpu, own, "cpu");
    ret->pids = find_v1(wanted, &mounts.pids, own, "pids");
    if (mounts.unified.folder) {
        auto_free char *path = cgroup_parse_own(own, "");
        find_unified(wanted, &mounts.unified, path, ret);
    }
    sweep(ret->unified);
    sweep(ret->memory);
    sweep(ret->cpu);
    sweep(ret->pids);
}

static int make_folder(const char *parent, const char *name, char **ret, struct err *e)
{
    if (!parent)
        return 0;
    auto_free char *folder = mem_printf("%s/%s", parent, name);
    if (mkdir(folder, 0755) < 0) {
        if (errno != EEXIST)
            return 0; /* left out */
        auto_free char *procs = read_text(folder, "cgroup.procs");
        if (procs && procs[0])
            return err_set(e, ERR_CONFLICT, "control group '%s' still has processes", folder);
    }
    *ret = TAKE(folder);
    return 0;
}

static int64_t cpu_quota_us(int64_t cpu_milli)
{
    int64_t quota = cpu_milli * CPU_PERIOD_US / 1000;
    return quota < CPU_QUOTA_LEAST_US ? CPU_QUOTA_LEAST_US : quota;
}

static void limit_unified(struct cgroup *c, const struct cgroup_limits *l)
{
    if (l->memory_bytes && write_int(c->unified, "memory.max", l->memory_bytes) == 0) {
        c->limited |= CGROUP_MEMORY;
        write_text(c->unified, "memory.swap.max", "0"); /* absent without swap accounting */
        /* One process of a job rarely makes sense without the others. */
        write_text(c->unified, "memory.oom.group", "1");
    }
    char text[64];
    snprintf(text, sizeof text, "%lld %d", (long long)cpu_quota_us(l->cpu_milli), CPU_PERIOD_US);
    if (l->cpu_milli && write_text(c->unified, "cpu.max", text) == 0)
        c->limited |= CGROUP_CPU;
    if (l->pids && write_int(c->unified, "pids.max", l->pids) == 0)
        c->limited |= CGROUP_PIDS;
}

static void limit_v1(struct cgroup *c, const struct cgroup_limits *l)
{
    if (c->memory && l->memory_bytes &&
        write_int(c->memory, "memory.limit_in_bytes", l->memory_bytes) == 0) {
        c->limited |= CGROUP_MEMORY;
        write_int(c->memory, "memory.memsw.limit_in_bytes", l->memory_bytes);
    }
    if (c->cpu && l->cpu_milli && write_int(c->cpu, "cpu.cfs_period_us", CPU_PERIOD_US) == 0 &&
        write_int(c->cpu, "cpu.cfs_quota_us", cpu_quota_us(l->cpu_milli)) == 0)
        c->limited |= CGROUP_CPU;
    if (c->pids && l->pids && write_int(c->pids, "pids.max", l->pids) == 0)
        c->limited |= CGROUP_PIDS;
}

int cgroup_make(const struct cgroup_parent *p, const char *name, const struct cgroup_limits *l,
                struct cgroup *ret, struct err *e)
{
    auto_cgroup struct cgroup c = {0};
    if (make_folder(p->unified, name, &c.unified, e) < 0 ||
        make_folder(p->memory, name, &c.memory, e) < 0 ||
        (l->cpu_milli && make_folder(p->cpu, name, &c.cpu, e) < 0) ||
        make_folder(p->pids, name, &c.pids, e) < 0)
        return -1;
    if (c.unified)
        limit_unified(&c, l);
    limit_v1(&c, l);
    *ret = c;
    c = (struct cgroup){0};
    return 0;
}

static char *beneath(const char *parent, const char *name)
{
    return parent ? mem_printf("%s/%s", parent, name) : NULL;
}

void cgroup_open(const struct cgroup_parent *p, const char *name, struct cgroup *ret)
{
    *ret = (struct cgroup){.unified = beneath(p->unified, name),
                           .memory = beneath(p->memory, name),
                           .cpu = beneath(p->cpu, name),
                           .pids = beneath(p->pids, name)};
}

#define EACH_FOLDER(c, folder)                                                                     \
    for (size_t i_ = 0; i_ < 4; i_++)                                                              \
        if ((folder = (const char *[]){(c)->unified, (c)->pids, (c)->memory, (c)->cpu}[i_]))

bool cgroup_exists(const struct cgroup *c)
{
    const char *folder;
    EACH_FOLDER(c, folder)
    {
        if (access(folder, F_OK) == 0)
            return true;
    }
    return false;
}

pid_t cgroup_fork(const struct cgroup *c, bool *ret_inside)
{
    *ret_inside = false;
    auto_close int fd = c->unified ? open(c->unified, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return fork();
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)fd};
    *ret_inside = true;
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid >= 0 || (errno != ENOSYS && errno != EINVAL && errno != EPERM))
        return (pid_t)pid;
    /* A container's filter that does not know clone3, or a kernel before 5.7. */
    *ret_inside = false;
    return fork();
}

int cgroup_join(const struct cgroup *c, bool inside)
{
    int why = c->unified && !inside ? write_text(c->unified, "cgroup.procs", "0") : 0;
    const char *const v1[] = {c->pids, c->memory, c->cpu};
    for (size_t i = 0; i < COUNT_OF(v1) && !why; i++)
        if (v1[i])
            why = write_text(v1[i], "tasks", "0");
    return why;
}

/* Adds the processes of FOLDER and of all groups below it. */
static void collect(const char *folder, struct process_list *l)
{
    auto_free char *text = read_text(folder, "cgroup.procs");
    char *rest = text;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        struct process p = {.id.pid = atoi(line)};
        if (p.id.pid > 0 && !process_list_has(l, p.id.pid))
            process_list_add(l, &p);
    }

    DIR *d = opendir(folder);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        auto_free char *below = mem_printf("%s/%s", folder, entry->d_name);
        collect(below, l);
    }
    closedir(d);
}

void cgroup_each(const struct cgroup *c, void (*fn)(pid_t pid, void *arg), void *arg)
{
    struct process_list l = {0};
    const char *folder;
    EACH_FOLDER(c, folder)
    {
        collect(folder, &l);
    }
    for (size_t i = 0; i < l.count; i++)
        fn(l.items[i].id.pid, arg);
    process_list_done(&l);
}

static void kill_one(pid_t pid, void *arg)
{
    size_t *count = arg;
    if (kill(pid, SIGKILL) == 0)
        ++*count;
}

static void count_one(pid_t pid, void *arg)
{
    (void)pid;
    ++*(size_t *)arg;
}

size_t cgroup_kill(const struct cgroup *c)
{
    size_t count = 0;
    cgroup_each(c, count_one, &count);
    if (!count)
        return 0;

    /* A job that forks faster than we kill must not win. */
    if (c->pids)
        write_text(c->pids, "pids.max", "0");
    if (c->unified)
        write_text(c->unified, "cgroup.kill", "1");
    /* Also after cgroup.kill: in the hybrid layout somebody with the right may have moved out of
     * one hierarchy, but hardly out of all. Between the reading of a pid here and the signal, it
     * can only come to be another process if that one ended and 32,768 or more were started. */
    size_t killed = 0;
    cgroup_each(c, kill_one, &killed);
    return count;
}

/* Removes FOLDER with all groups below it. */
static bool remove_group(const char *folder)
{
    if (rmdir(folder) == 0 || errno == ENOENT)
        return true;
    DIR *d = opendir(folder);
    if (!d)
        return false;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        auto_free char *below = mem_printf("%s/%s", folder, entry->d_name);
        remove_group(below);
    }
    closedir(d);
    return rmdir(folder) == 0 || errno == ENOENT;
}

bool cgroup_remove(const struct cgroup *c)
{
    bool all = true;
    const char *folder;
    EACH_FOLDER(c, folder)
    {
        all &= remove_group(folder);
    }
    return all;
}

static int64_t key_of(const char *folder, const char *file, const char *key)
{
    auto_free char *text = read_text(folder, file);
    int64_t value;
    return text && cgroup_parse_key(text, key, &value) ? value : -1;
}

static int64_t number_of(const char *folder, const char *file)
{
    auto_free char *text = read_text(folder, file);
    int64_t value;
    return text && cgroup_parse_limit(text, &value) ? value : -1;
}

int64_t cgroup_oom_kills(const struct cgroup *c)
{
    if (c->memory)
        return key_of(c->memory, "memory.oom_control", "oom_kill");
    return key_of(c->unified, "memory.events", "oom_kill");
}

int64_t cgroup_memory_bytes(const struct cgroup *c)
{
    int64_t used = c->memory ? number_of(c->memory, "memory.usage_in_bytes")
                             : number_of(c->unified, "memory.current");
    int64_t cache = c->memory ? key_of(c->memory, "memory.stat", "total_inactive_file")
                              : key_of(c->unified, "memory.stat", "inactive_file");
    if (used < 0 || cache < 0)
        return used;
    return used > cache ? used - cache : 0;
}

int64_t cgroup_memory_peak_bytes(const struct cgroup *c)
{
    return c->memory ? number_of(c->memory, "memory.max_usage_in_bytes")
                     : number_of(c->unified, "memory.peak"); /* since Linux 5.19 */
}

int64_t cgroup_cpu_us(const struct cgroup *c)
{
    return key_of(c->unified, "cpu.stat", "usage_usec");
}
