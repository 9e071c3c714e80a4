#include "node/host.h"

#include "base/file.h"
#include "base/mem.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

TEST("processor times are read from any kernel's columns, guests counted once")
{
    struct host_stat s;
    CHECK(host_parse_stat("cpu  1000 200 300 4000 50 6 7 8 100 20\n"
                          "cpu0 1 2 3 4 5 6 7 8 0 0\ncpu3 1 2 3 4\n"
                          "intr 12345 1 2 3\nctxt 99\nbtime 1700000000\nprocesses 77\n"
                          "procs_running 2\nprocs_blocked 1\nsoftirq 5 1\n",
                          &s));
    CHECK_INT(s.all.user, 900);
    CHECK_INT(s.all.nice, 180);
    CHECK_INT(s.all.steal, 8);
    CHECK_INT(s.cpu_count, 2);
    CHECK_INT(s.cpus[1].index, 3);
    CHECK_INT(s.cpus[1].times.iowait, 0);
    CHECK_INT(s.interrupts, 12345);
    CHECK_INT(s.boot_time_s, 1700000000);
    CHECK_INT(s.forks, 77);
    CHECK_INT(s.running, 2);
    host_stat_done(&s);
    CHECK(!host_parse_stat("intr 5\n", &s));
    CHECK(!host_parse_stat("", &s));
}

TEST("busy time is what is neither idle nor waiting, and no counter going back makes it odd")
{
    struct host_cpu_times a = {.user = 100, .idle = 100, .iowait = 50};
    struct host_cpu_times b = {.user = 125, .idle = 150, .iowait = 75};
    struct host_cpu_times c = {.user = 150, .idle = 150, .iowait = 10};
    CHECK_INT(host_cpu_milli_pct(&a, &b), 25000);
    CHECK_INT(host_cpu_milli_pct(&b, &c), 100000);
    CHECK_INT(host_cpu_milli_pct(&a, &a), HOST_NO_VALUE);
}

TEST("memory is what the kernel says is available, or guessed as it did before it said")
{
    struct host_memory m;
    CHECK(host_parse_meminfo("MemFree: 100 kB\nMemTotal:  1000 kB\nMemAvailable: 600 kB\n"
                             "Active(anon): 5 kB\nHugePages_Total: 3\nodd line\n",
                             &m));
    CHECK_INT(m.total_bytes, 1024000);
    CHECK_INT(m.available_bytes, 614400);
    CHECK_INT(m.key_count, 5);
    CHECK_TEXT(m.keys[3].name, "Active_anon");
    CHECK(m.keys[3].is_bytes && !m.keys[4].is_bytes && m.keys[4].value == 3);

    CHECK(host_parse_meminfo("MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 10 kB\nCached: 200 kB\n"
                             "SReclaimable: 30 kB\nShmem: 40 kB\n",
                             &m));
    CHECK_INT(m.available_bytes, 300 * 1024);
    CHECK(!host_parse_meminfo("MemTotal: 0 kB\n", &m));
    CHECK(!host_parse_meminfo("", &m));
}

TEST("disks are whole devices")
{
    struct host_disk d[HOST_DISKS_MOST];
    size_t n = host_parse_diskstats("   7 0 loop0 1 0 8 0 0 0 0 0 0 0 0\n"
                                    "   8 0 sda 10 0 800 5 20 0 1600 7 0 33 12 0 0 0 0\n"
                                    "   8 1 sda1 1 0 8 0 0 0 0 0 0 0 0\n"
                                    " 259 0 nvme0n1 1 0 2 3 4 5 6 7 8 9 10\n"
                                    " 259 1 nvme0n1p1 1 0 2 3 4 5 6 7 8 9 10\n"
                                    " 259 2 nvme0n12 1 0 2 3 4 5 6 7 8 9 10\nshort 1 2\n",
                                    d);
    CHECK_INT(n, 3);
    CHECK_TEXT(d[0].name, "sda");
    CHECK_INT(d[0].read_bytes, 800 * 512);
    CHECK_INT(d[0].written_bytes, 1600 * 512);
    CHECK_INT(d[0].io_ms, 33);
    CHECK_TEXT(d[1].name, "nvme0n1");
    CHECK_TEXT(d[2].name, "nvme0n12");
}

TEST("network counters, load and pressure are read")
{
    struct host_net n[HOST_NETS_MOST];
    CHECK_INT(host_parse_net_dev("Inter-|   Receive |  Transmit\n face |bytes packets\n"
                                 "    lo:    3193      29    0    0    0     0          0         "
                                 "0     3194      30    1    2    0     0       0          0\n"
                                 "eth0:1 2 3 4 5 6 7 8 9 10 11 12\n broken: 1 2\n",
                                 n),
              2);
    CHECK_TEXT(n[0].name, "lo");
    CHECK_INT(n[0].received_bytes, 3193);
    CHECK_INT(n[0].sent_bytes, 3194);
    CHECK_INT(n[0].sent_dropped, 2);
    CHECK_INT(n[1].sent_packets, 10);

    int64_t load[3], some, full;
    CHECK(host_parse_loadavg("0.05 1.5 12.345 1/123 456\n", load));
    CHECK(load[0] == 50 && load[1] == 1500 && load[2] == 12345);
    CHECK(!host_parse_loadavg("0.05 x", load));
    CHECK(host_parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=123\n"
                              "full avg10=0.00 avg60=0.00 avg300=0.00 total=45\n",
                              &some, &full));
    CHECK(some == 123 && full == 45);
    CHECK(!host_parse_pressure("", &some, &full));
}

struct fake {
    char root[32];
    char *proc;
};

static void fake_done(struct fake *f)
{
    file_remove_tree(f->root, NULL);
    free(f->proc);
}
#define auto_fake AUTO(fake_done)

static void put(const char *root, const char *file, const char *text)
{
    auto_free char *path = mem_printf("%s/%s", root, file);
    *strrchr(path, '/') = '\0';
    CHECK_OK(file_make_folder(path, 0755, &test_err));
    path[strlen(path)] = '/';
    CHECK_OK(file_replace(path, text, strlen(text), 0644, &test_err));
}

/* A machine of 4 CPUs and 1000 kB, 600 available. */
static struct fake a_machine(void)
{
    struct fake f = {"/tmp/test_hostXXXXXX", NULL};
    CHECK(mkdtemp(f.root) != NULL);
    f.proc = mem_printf("%s/proc", f.root);
    put(f.root, "proc/stat", "cpu  100 0 0 100\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\n");
    put(f.root, "proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n");
    put(f.root, "proc/uptime", "123.45 400.00\n");
    put(f.root, "proc/vmstat", "nr_free 1\noom_kill 4\n");
    return f;
}

TEST("a machine without limits is shown as it is")
{
    auto_fake struct fake f = a_machine();
    auto_host struct host *h = host_open(f.proc, true);
    const struct host_sample *s = host_read(h);
    CHECK_INT(s->cpu_milli_pct, HOST_NO_VALUE);
    CHECK_INT(s->memory_milli_pct, 40000);
    CHECK_INT(s->capacity.cpu_milli, 4000);
    CHECK_INT(s->capacity.memory_bytes, 1024000);
    CHECK(!s->capacity.cpu_is_limited && !s->capacity.memory_is_limited);
    CHECK_INT(s->uptime_ms, 123450);
    CHECK_INT(s->oom_kills, 4);
    CHECK_INT(s->load_milli[0], HOST_NO_VALUE);
    CHECK_INT(s->pressure_cpu_us, HOST_NO_VALUE);

    put(f.root, "proc/stat", "cpu  130 0 0 170\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\n");
    CHECK_INT(host_read(h)->cpu_milli_pct, 30000);
}

TEST("in a version 2 container the limits of any level around us count, and its own use")
{
    auto_fake struct fake f = a_machine();
    auto_free char *mounts = mem_printf("1 1 0:1 / %s/cg rw - cgroup2 cgroup2 rw\n", f.root);
    put(f.root, "proc/self/mountinfo", mounts);
    put(f.root, "proc/self/cgroup", "0::/outer/inner\n");
    put(f.root, "cg/outer/memory.max", "400000\n");
    put(f.root, "cg/outer/memory.current", "150000\n");
    put(f.root, "cg/outer/memory.stat", "inactive_file 50000\n");
    put(f.root, "cg/outer/inner/memory.max", "500000\n");
    put(f.root, "cg/outer/inner/cpu.max", "150000 100000\n");
    put(f.root, "cg/outer/inner/cpu.stat", "usage_usec 1000\n");
    put(f.root, "cg/outer/inner/cpuset.cpus.effective", "0-2\n");
    auto_host struct host *h = host_open(f.proc, true);

    const struct host_sample *s = host_read(h);

    CHECK_INT(s->capacity.memory_bytes, 400000);
    CHECK_INT(s->memory_milli_pct, 25000);
    CHECK_INT(s->capacity.cpu_milli, 1500);
    CHECK(s->capacity.cpu_is_limited && s->capacity.memory_is_limited);
    put(f.root, "cg/outer/inner/cpu.stat", "usage_usec 999999999\n");
    CHECK_INT(host_read(h)->cpu_milli_pct, 100000);
    CHECK_INT(host_read(h)->cpu_milli_pct, 0);

    struct host_capacity whole;
    host_read_capacity(f.proc, false, &whole);
    CHECK_INT(whole.memory_bytes, 1024000);
    CHECK_INT(whole.cpu_milli, 4000);
}

TEST("in a version 1 container the same")
{
    auto_fake struct fake f = a_machine();
    auto_free char *mounts = mem_printf("1 1 0:1 /docker/x %s/mem rw - cgroup cgroup rw,memory\n"
                                        "1 1 0:1 /docker/x %s/cpu rw - cgroup cgroup rw,cpu\n"
                                        "1 1 0:1 /docker/x %s/set rw - cgroup cgroup rw,cpuset\n",
                                        f.root, f.root, f.root);
    put(f.root, "proc/self/mountinfo", mounts);
    put(f.root, "proc/self/cgroup", "3:memory:/docker/x\n2:cpu:/docker/x\n1:cpuset:/docker/x\n");
    put(f.root, "mem/memory.limit_in_bytes", "500000\n");
    put(f.root, "mem/memory.usage_in_bytes", "300000\n");
    put(f.root, "mem/memory.stat", "inactive_file 1\ntotal_inactive_file 50000\n");
    put(f.root, "cpu/cpu.cfs_quota_us", "-1\n");
    put(f.root, "cpu/cpu.cfs_period_us", "100000\n");
    put(f.root, "set/cpuset.cpus", "1,3\n");
    auto_host struct host *h = host_open(f.proc, true);

    const struct host_sample *s = host_read(h);

    CHECK_INT(s->capacity.memory_bytes, 500000);
    CHECK_INT(s->memory_used_bytes, 250000);
    CHECK_INT(s->capacity.cpu_milli, 2000);
}

TEST("this machine gives figures that can be true")
{
    auto_host struct host *h = host_open("/proc", true);
    host_read(h);
    usleep(20000);
    const struct host_sample *s = host_read(h);
    CHECK(s->memory_milli_pct > 0 && s->memory_milli_pct <= 100000);
    CHECK(s->cpu_milli_pct <= 100000);
    CHECK(s->capacity.cpu_milli > 0 && s->capacity.memory_bytes > 1 << 20);
    CHECK(s->stat.cpu_count > 0 && s->memory.key_count > 10);
    CHECK(s->uptime_ms > 0 && s->load_milli[0] >= 0);
    struct host_space space;
    CHECK_OK(host_read_space("/tmp", &space, &test_err));
    CHECK(space.size_bytes > 0);
    CHECK_FAILS(host_read_space("/no/such", &space, &test_err), ERR_NOT_FOUND, "/no/such");
}

TEST("a machine that shows nothing at all is survived")
{
    auto_host struct host *h = host_open("/no/such/proc", true);
    const struct host_sample *s = host_read(h);
    CHECK_INT(s->memory_milli_pct, HOST_NO_VALUE);
    CHECK_INT(s->cpu_milli_pct, HOST_NO_VALUE);
    CHECK_INT(s->disk_count, 0);
}
