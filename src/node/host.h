/*
 * The machine itself: processors, memory, load, disks, network, and what of them jobs may have.
 * Parsers take the kernel's text and are pure; they pass over what they do not understand. Inside a
 * container the machine's own files are shown there too, so what counts are the control group's
 * limits, which host_read() takes into account.
 */
#ifndef NODE_HOST_H
#define NODE_HOST_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_NO_VALUE         (-1)
#define HOST_CPUS_MOST        1024
#define HOST_DISKS_MOST       64
#define HOST_NETS_MOST        64
#define HOST_MEMORY_KEYS_MOST 96

/* USER_HZ ticks since boot; user and nice without the guest time that the kernel counts in them. */
struct host_cpu_times {
    int64_t user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice;
};

struct host_stat {
    struct host_cpu_times all;
    size_t cpu_count;
    struct host_cpu {
        int index;
        struct host_cpu_times times;
    } * cpus; /* owned */
    int64_t context_switches, interrupts, forks, boot_time_s, running, blocked;
};
bool host_parse_stat(const char *text, struct host_stat *ret);
void host_stat_done(struct host_stat *s);

/* Busy thousandths of a percent between two samples; HOST_NO_VALUE when no time passed. */
int64_t host_cpu_milli_pct(const struct host_cpu_times *before, const struct host_cpu_times *now);

struct host_memory {
    int64_t total_bytes, available_bytes, free_bytes; /* HOST_NO_VALUE where not given */
    size_t key_count;
    struct host_memory_key {
        char name[40]; /* as node_exporter writes it: "Active_anon" */
        int64_t value;
        bool is_bytes; /* else a plain number */
    } keys[HOST_MEMORY_KEYS_MOST];
};
bool host_parse_meminfo(const char *text, struct host_memory *ret);

struct host_disk {
    char name[32];
    int64_t read_bytes, written_bytes, io_ms, reads, writes;
};
/* Whole devices only, no partitions, loop or ram disks. Returns how many. */
size_t host_parse_diskstats(const char *text, struct host_disk ret[HOST_DISKS_MOST]);

struct host_net {
    char name[32];
    int64_t received_bytes, sent_bytes, received_packets, sent_packets, received_errors,
        sent_errors, received_dropped, sent_dropped;
};
size_t host_parse_net_dev(const char *text, struct host_net ret[HOST_NETS_MOST]);

bool host_parse_loadavg(const char *text, int64_t ret_milli[3]);
bool host_parse_uptime(const char *text, int64_t *ret_ms);

/* Total stall time in microseconds of the "some" and the "full" line; HOST_NO_VALUE where absent.
 */
bool host_parse_pressure(const char *text, int64_t *ret_some_us, int64_t *ret_full_us);

struct host_space {
    int64_t size_bytes, free_bytes, available_bytes; /* available: for other than root */
    int64_t files, files_free;
};
/* The file system that PATH is on. May block on a dead network mount. */
int host_read_space(const char *path, struct host_space *ret, struct err *e);

/* What jobs on this node can have: the least of the machine, our cpuset and affinity, and the
 * control groups around us. */
struct host_capacity {
    int cpus_online;   /* of the machine */
    int64_t cpu_milli; /* thousandths of a core */
    int64_t memory_bytes;
    bool cpu_is_limited, memory_is_limited; /* by a control group */
};

/* One look at everything. */
struct host_sample {
    int64_t mono_ms, wall_ms;
    int64_t cpu_milli_pct;    /* of the capacity, 0..100000; HOST_NO_VALUE in the first sample */
    int64_t memory_milli_pct; /* of the capacity */
    int64_t memory_total_bytes, memory_used_bytes;
    int64_t load_milli[3];
    int64_t uptime_ms;
    int64_t oom_kills; /* of the machine since boot */
    struct host_capacity capacity;
    struct host_stat stat;
    struct host_memory memory;
    size_t disk_count, net_count;
    struct host_disk disks[HOST_DISKS_MOST];
    struct host_net nets[HOST_NETS_MOST];
    int64_t pressure_cpu_us, pressure_memory_us, pressure_memory_full_us, pressure_io_us,
        pressure_io_full_us; /* HOST_NO_VALUE without PSI */
};

/*
 * Keeps what the next sample is compared with. PROC is "/proc", the host's own /proc mounted
 * elsewhere, or a folder shaped like it. OWN_LIMITS: the control groups around this process limit
 * what jobs can have, as they do for jobs that run here as processes; false where the agent only
 * looks after a machine whose jobs run in containers of their own.
 */
struct host;
struct host *host_open(const char *proc, bool own_limits);
void host_close(struct host *h);
/* About 0.3 ms. The sample stays good until the next call; one thread. What cannot be read is
 * HOST_NO_VALUE or empty. */
const struct host_sample *host_read(struct host *h);

/* The capacity alone. */
void host_read_capacity(const char *proc, bool own_limits, struct host_capacity *ret);

DEFINE_AUTO(struct host, host_close)
#define auto_host AUTO(host_closep)

#endif
