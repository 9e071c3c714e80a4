/* Every parser of the kernel's texts, each on all of the input: the first byte doesn't choose one,
 * so a find for one is a seed for all. */
#include "base/mem.h"
#include "node/account.h"
#include "node/cgroup.h"
#include "node/host.h"
#include "node/process.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_cgroups(const char *text)
{
    int64_t v;
    cgroup_parse_limit(text, &v);
    if (cgroup_parse_cpu_max(text, &v))
        assert(v >= 0);
    cgroup_parse_key(text, "oom_kill", &v);
    assert(cgroup_parse_cpu_list(text) >= 0);
    auto_free char *unified = cgroup_parse_own(text, "");
    auto_free char *memory = cgroup_parse_own(text, "memory");
    auto_cgroup_mounts struct cgroup_mounts mounts;
    cgroup_parse_mounts(text, &mounts);
    free(cgroup_folder(&mounts.unified, unified ? unified : "/"));
    free(cgroup_folder(&mounts.memory, memory ? memory : "/"));
}

static void parse_host(const char *text)
{
    struct host_stat stat;
    if (host_parse_stat(text, &stat)) {
        struct host_cpu_times zero = {0};
        int64_t pct = host_cpu_milli_pct(&zero, &stat.all);
        assert(pct == HOST_NO_VALUE || (pct >= 0 && pct <= 100000));
        assert(stat.cpu_count <= HOST_CPUS_MOST);
        host_stat_done(&stat);
    }
    struct host_memory memory;
    if (host_parse_meminfo(text, &memory))
        assert(memory.total_bytes > 0 && memory.available_bytes >= 0);
    static struct host_disk disks[HOST_DISKS_MOST];
    static struct host_net nets[HOST_NETS_MOST];
    assert(host_parse_diskstats(text, disks) <= HOST_DISKS_MOST);
    assert(host_parse_net_dev(text, nets) <= HOST_NETS_MOST);
    int64_t load[3], some, full;
    host_parse_loadavg(text, load);
    host_parse_uptime(text, &some);
    host_parse_pressure(text, &some, &full);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = mem_strndup((const char *)data, size);
    parse_host(text);
    parse_cgroups(text);
    struct process p;
    if (process_parse_stat(text, &p))
        assert(p.id.pid > 0);
    process_parse_catches(text, 10);
    account_range_is_mapped(text, 1000, 10);
    return 0;
}
