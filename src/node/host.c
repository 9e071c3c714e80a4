#include "node/host.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/cgroup.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_MOST (4 << 20)

struct host {
    char *proc;
    bool own_limits;
    struct host_sample sample;
    bool has_before;
    struct host_cpu_times before;
    int64_t cpu_us_before, mono_us_before; /* of the limiting control group */
};

/* FOLDER/FILE as text; NULL when it can't be read. The caller frees it. */
static char *read_text(const char *folder, const char *file)
{
    auto_free char *path = mem_printf("%s/%s", folder, file);
    char *text = NULL;
    return file_read(path, FILE_MOST, &text, NULL, NULL) == 0 ? text : NULL;
}

/* The control group that sets the limit, and the limit. */
struct limit {
    char *folder; /* NULL: none does */
    char *path;   /* of the group, within its hierarchy */
    int64_t value;
};

static void limit_done(struct limit *l)
{
    free(l->folder);
    free(l->path);
    *l = (struct limit){0};
}

static bool read_v1_quota(const char *folder, int64_t *ret_milli)
{
    auto_free char *quota = read_text(folder, "cpu.cfs_quota_us");
    auto_free char *period = read_text(folder, "cpu.cfs_period_us");
    int64_t q, p;
    if (!quota || !period || !cgroup_parse_limit(quota, &q) || !cgroup_parse_limit(period, &p) ||
        p <= 0)
        return false;
    *ret_milli = q > INT64_MAX / 1000 ? INT64_MAX : q * 1000 / p;
    return true;
}

static bool read_v2_quota(const char *folder, int64_t *ret_milli)
{
    auto_free char *text = read_text(folder, "cpu.max");
    return text && cgroup_parse_cpu_max(text, ret_milli);
}

static bool read_v1_memory(const char *folder, int64_t *ret)
{
    auto_free char *text = read_text(folder, "memory.limit_in_bytes");
    return text && cgroup_parse_limit(text, ret);
}

static bool read_v2_memory(const char *folder, int64_t *ret)
{
    auto_free char *text = read_text(folder, "memory.max");
    return text && cgroup_parse_limit(text, ret);
}

/* The least limit between our own group and the root of its hierarchy: any level may set it. */
static void least_limit(const struct cgroup_mount *m, const char *own_path,
                        bool (*read)(const char *folder, int64_t *ret), struct limit *l)
{
    auto_free char *path = own_path && m->folder ? mem_strdup(own_path) : NULL;
    while (path) {
        auto_free char *folder = cgroup_folder(m, path);
        int64_t value;
        if (folder && read(folder, &value) && value < l->value) {
            free(l->folder);
            free(l->path);
            l->folder = TAKE(folder);
            l->path = mem_strdup(path);
            l->value = value;
        }
        char *slash = strrchr(path, '/');
        if (!slash || strcmp(path, "/") == 0)
            return;
        slash[slash == path] = '\0';
    }
}

struct limits {
    struct limit memory, cpu;
    int cpuset; /* CPUs that the control group leaves us; 0: it doesn't say */
    bool memory_v2, cpu_v2;
    char *cpu_usage; /* the file that counts the group's CPU time */
};

static void limits_done(struct limits *l)
{
    limit_done(&l->memory);
    limit_done(&l->cpu);
    free(l->cpu_usage);
}

static int read_cpuset(const struct cgroup_mount *m, const char *own, const char *file)
{
    auto_free char *folder = own ? cgroup_folder(m, own) : NULL;
    auto_free char *text = folder ? read_text(folder, file) : NULL;
    return text ? cgroup_parse_cpu_list(text) : 0;
}

static char *usage_file(const struct cgroup_mounts *mounts, const struct limits *l,
                        const char *own_unified, const char *own_cpuacct)
{
    const char *limiting = l->cpu.path;
    if (l->cpu_v2 || !mounts->cpuacct.folder) {
        const char *path = l->cpu_v2 && limiting ? limiting : own_unified;
        auto_free char *folder = path ? cgroup_folder(&mounts->unified, path) : NULL;
        return folder ? mem_printf("%s/cpu.stat", folder) : NULL;
    }
    const char *path = limiting ? limiting : own_cpuacct;
    auto_free char *folder = path ? cgroup_folder(&mounts->cpuacct, path) : NULL;
    return folder ? mem_printf("%s/cpuacct.usage", folder) : NULL;
}

static void find_limits(const char *proc, struct limits *ret)
{
    *ret = (struct limits){.memory.value = INT64_MAX, .cpu.value = INT64_MAX};
    auto_free char *own = read_text(proc, "self/cgroup");
    auto_free char *mountinfo = read_text(proc, "self/mountinfo");
    if (!own || !mountinfo)
        return;
    auto_cgroup_mounts struct cgroup_mounts mounts;
    cgroup_parse_mounts(mountinfo, &mounts);
    auto_free char *unified = cgroup_parse_own(own, "");
    auto_free char *memory = cgroup_parse_own(own, "memory");
    auto_free char *cpu = cgroup_parse_own(own, "cpu");
    auto_free char *cpuset = cgroup_parse_own(own, "cpuset");
    auto_free char *cpuacct = cgroup_parse_own(own, "cpuacct");

    least_limit(&mounts.unified, unified, read_v2_memory, &ret->memory);
    ret->memory_v2 = ret->memory.folder != NULL;
    least_limit(&mounts.unified, unified, read_v2_quota, &ret->cpu);
    ret->cpu_v2 = ret->cpu.folder != NULL || !mounts.cpu.folder;
    if (mounts.memory.folder && !ret->memory_v2)
        least_limit(&mounts.memory, memory, read_v1_memory, &ret->memory);
    if (mounts.cpu.folder && !ret->cpu.folder)
        least_limit(&mounts.cpu, cpu, read_v1_quota, &ret->cpu);

    ret->cpuset = read_cpuset(&mounts.unified, unified, "cpuset.cpus.effective");
    if (!ret->cpuset)
        ret->cpuset = read_cpuset(&mounts.cpuset, cpuset, "cpuset.cpus");
    ret->cpu_usage = usage_file(&mounts, ret, unified, cpuacct);
}

static int online_cpus(const char *proc, const struct host_stat *stat)
{
    if (strcmp(proc, "/proc") != 0)
        return (int)stat->cpu_count;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

static int affinity_cpus(const char *proc)
{
    /* More than fits into a cpu_set_t of 1,024: then there is no affinity worth the name. */
    cpu_set_t set;
    if (strcmp(proc, "/proc") != 0 || sched_getaffinity(0, sizeof set, &set) < 0)
        return INT32_MAX;
    return CPU_COUNT(&set);
}

static void take_capacity(const char *proc, const struct host_stat *stat,
                          const struct host_memory *memory, const struct limits *limits,
                          struct host_capacity *ret)
{
    *ret = (struct host_capacity){.cpus_online = online_cpus(proc, stat)};
    int cpus = ret->cpus_online, allowed = affinity_cpus(proc);
    if (allowed < cpus)
        cpus = allowed;
    ret->memory_bytes = memory->total_bytes;
    if (limits) {
        if (limits->cpuset && limits->cpuset < cpus)
            cpus = limits->cpuset;
        ret->cpu_is_limited = limits->cpuset && limits->cpuset < ret->cpus_online;
    }
    ret->cpu_milli = (int64_t)cpus * 1000;
    if (limits && limits->cpu.value > 0 && limits->cpu.value < ret->cpu_milli) {
        ret->cpu_milli = limits->cpu.value;
        ret->cpu_is_limited = true;
    }
    if (limits && limits->memory.value < memory->total_bytes) {
        ret->memory_bytes = limits->memory.value;
        ret->memory_is_limited = true;
    }
}

static void read_memory(const char *proc, struct host_memory *ret)
{
    auto_free char *text = read_text(proc, "meminfo");
    if (!text || !host_parse_meminfo(text, ret))
        ret->total_bytes = ret->available_bytes = HOST_NO_VALUE;
}

static void read_stat(const char *proc, struct host_stat *ret)
{
    auto_free char *text = read_text(proc, "stat");
    if (!text || !host_parse_stat(text, ret))
        *ret = (struct host_stat){0};
}

void host_read_capacity(const char *proc, bool own_limits, struct host_capacity *ret)
{
    struct host_stat stat;
    struct host_memory memory = {0};
    struct limits limits = {0};
    read_stat(proc, &stat);
    read_memory(proc, &memory);
    if (own_limits)
        find_limits(proc, &limits);
    take_capacity(proc, &stat, &memory, own_limits ? &limits : NULL, ret);
    limits_done(&limits);
    host_stat_done(&stat);
}

struct host *host_open(const char *proc, bool own_limits)
{
    struct host *h = mem_new(struct host);
    h->proc = mem_strdup(proc);
    h->own_limits = own_limits;
    h->cpu_us_before = HOST_NO_VALUE;
    return h;
}

void host_close(struct host *h)
{
    if (!h)
        return;
    host_stat_done(&h->sample.stat);
    free(h->proc);
    free(h);
}

/* Microseconds that the control group has used; HOST_NO_VALUE when unknown. */
static int64_t group_cpu_us(const struct limits *l)
{
    auto_free char *text = NULL;
    int64_t value;
    if (!l->cpu_usage || file_read(l->cpu_usage, FILE_MOST, &text, NULL, NULL) < 0)
        return HOST_NO_VALUE;
    if (text_ends_with(l->cpu_usage, "cpu.stat"))
        return cgroup_parse_key(text, "usage_usec", &value) ? value : HOST_NO_VALUE;
    return cgroup_parse_limit(text, &value) ? value / 1000 : HOST_NO_VALUE;
}

static void take_cpu(struct host *h, const struct limits *limits)
{
    struct host_sample *s = &h->sample;
    s->cpu_milli_pct = HOST_NO_VALUE;
    int64_t now_us = clock_mono_us();
    int64_t used_us = s->capacity.cpu_is_limited ? group_cpu_us(limits) : HOST_NO_VALUE;
    int64_t passed_us = now_us - h->mono_us_before;

    if (used_us >= 0 && h->cpu_us_before >= 0 && passed_us > 0 && s->capacity.cpu_milli > 0) {
        double used = (double)(used_us - h->cpu_us_before);
        double could = (double)passed_us * (double)s->capacity.cpu_milli / 1000;
        double pct = used < 0 ? 0 : used > could ? 100 : used * 100 / could;
        s->cpu_milli_pct = (int64_t)(pct * 1000);
    } else if (used_us < 0 && h->has_before) {
        s->cpu_milli_pct = host_cpu_milli_pct(&h->before, &s->stat.all);
    }
    h->cpu_us_before = used_us;
    h->mono_us_before = now_us;
    h->before = s->stat.all;
    h->has_before = s->stat.cpu_count > 0;
}

static void take_memory(struct host *h, const struct limits *limits)
{
    struct host_sample *s = &h->sample;
    s->memory_milli_pct = s->memory_used_bytes = HOST_NO_VALUE;
    s->memory_total_bytes = s->capacity.memory_bytes;
    if (s->capacity.memory_is_limited) {
        /* cgroup.h knows which files; this is not a job's group, but the figure is the same. */
        const struct cgroup group = {.unified = limits->memory_v2 ? limits->memory.folder : NULL,
                                     .memory = limits->memory_v2 ? NULL : limits->memory.folder};
        s->memory_used_bytes = cgroup_memory_bytes(&group);
    } else if (s->memory.total_bytes > 0) {
        s->memory_used_bytes = s->memory.total_bytes - s->memory.available_bytes;
        if (s->memory_used_bytes < 0)
            s->memory_used_bytes = 0;
    }
    if (s->memory_used_bytes >= 0 && s->memory_total_bytes > 0) {
        double pct = (double)s->memory_used_bytes * 100 / (double)s->memory_total_bytes;
        s->memory_milli_pct = (int64_t)((pct > 100 ? 100 : pct) * 1000);
    }
}

static void read_pressure(const char *proc, const char *file, int64_t *some, int64_t *full)
{
    auto_free char *text = read_text(proc, file);
    *some = *full = HOST_NO_VALUE;
    if (text)
        host_parse_pressure(text, some, full);
}

static void read_rest(struct host *h)
{
    struct host_sample *s = &h->sample;
    auto_free char *disks = read_text(h->proc, "diskstats");
    s->disk_count = disks ? host_parse_diskstats(disks, s->disks) : 0;
    auto_free char *nets = read_text(h->proc, "net/dev");
    s->net_count = nets ? host_parse_net_dev(nets, s->nets) : 0;

    auto_free char *load = read_text(h->proc, "loadavg");
    if (!load || !host_parse_loadavg(load, s->load_milli))
        s->load_milli[0] = s->load_milli[1] = s->load_milli[2] = HOST_NO_VALUE;
    auto_free char *uptime = read_text(h->proc, "uptime");
    if (!uptime || !host_parse_uptime(uptime, &s->uptime_ms))
        s->uptime_ms = HOST_NO_VALUE;

    auto_free char *vmstat = read_text(h->proc, "vmstat");
    if (!vmstat || !cgroup_parse_key(vmstat, "oom_kill", &s->oom_kills))
        s->oom_kills = HOST_NO_VALUE;
    int64_t unused;
    read_pressure(h->proc, "pressure/cpu", &s->pressure_cpu_us, &unused);
    read_pressure(h->proc, "pressure/memory", &s->pressure_memory_us, &s->pressure_memory_full_us);
    read_pressure(h->proc, "pressure/io", &s->pressure_io_us, &s->pressure_io_full_us);
}

const struct host_sample *host_read(struct host *h)
{
    struct host_sample *s = &h->sample;
    s->mono_ms = clock_mono_ms();
    s->wall_ms = clock_wall_ms();
    host_stat_done(&s->stat);
    read_stat(h->proc, &s->stat);
    read_memory(h->proc, &s->memory);

    struct limits limits = {0};
    if (h->own_limits)
        find_limits(h->proc, &limits);
    take_capacity(h->proc, &s->stat, &s->memory, h->own_limits ? &limits : NULL, &s->capacity);
    take_cpu(h, &limits);
    take_memory(h, &limits);
    limits_done(&limits);
    read_rest(h);
    return s;
}

int host_read_space(const char *path, struct host_space *ret, struct err *e)
{
    struct statvfs v;
    if (statvfs(path, &v) < 0)
        return err_sys(e, errno, "could not ask about the file system of '%s'", path);
    int64_t unit = (int64_t)v.f_frsize;
    *ret = (struct host_space){.size_bytes = (int64_t)v.f_blocks * unit,
                               .free_bytes = (int64_t)v.f_bfree * unit,
                               .available_bytes = (int64_t)v.f_bavail * unit,
                               .files = (int64_t)v.f_files,
                               .files_free = (int64_t)v.f_ffree};
    return 0;
}
