#include "agent/metrics.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define MIB (1.0 / (1 << 20))

/* clang-format off */
#define GAUGE   METRIC_GAUGE
#define COUNTER METRIC_COUNTER
#define R(member) GPU_READING_##member
const struct gpu_metric gpu_metrics[] = {
    {"DCGM_FI_DEV_SM_CLOCK",                    GAUGE,   "SM clock frequency (in MHz).",                                R(sm_clock_mhz), 1},
    {"DCGM_FI_DEV_MEM_CLOCK",                   GAUGE,   "Memory clock frequency (in MHz).",                            R(memory_clock_mhz), 1},
    {"DCGM_FI_DEV_MEMORY_TEMP",                 GAUGE,   "Memory temperature (in C).",                                  R(memory_temperature_c), 1},
    {"DCGM_FI_DEV_GPU_TEMP",                    GAUGE,   "GPU temperature (in C).",                                     R(temperature_c), 1},
    {"DCGM_FI_DEV_POWER_USAGE",                 GAUGE,   "Power draw (in W).",                                          R(power_mw), 0.001},
    {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",    COUNTER, "Total energy consumption since boot (in mJ).",                R(energy_mj), 1},
    {"DCGM_FI_DEV_PCIE_REPLAY_COUNTER",         COUNTER, "Total number of PCIe retries.",                               R(pcie_replays), 1},
    {"DCGM_FI_DEV_GPU_UTIL",                    GAUGE,   "GPU utilization (in %).",                                     R(utilization_pct), 1},
    {"DCGM_FI_DEV_MEM_COPY_UTIL",               GAUGE,   "Memory utilization (in %).",                                  R(memory_utilization_pct), 1},
    {"DCGM_FI_DEV_ENC_UTIL",                    GAUGE,   "Encoder utilization (in %).",                                 R(encoder_pct), 1},
    {"DCGM_FI_DEV_DEC_UTIL",                    GAUGE,   "Decoder utilization (in %).",                                 R(decoder_pct), 1},
    {"DCGM_FI_DEV_XID_ERRORS",                  GAUGE,   "Value of the last XID error encountered.",                    GPU_READING_COUNT, 1},
    {"DCGM_FI_DEV_FB_TOTAL",                    GAUGE,   "Framebuffer memory in all (in MiB).",                         R(memory_total_bytes), MIB},
    {"DCGM_FI_DEV_FB_FREE",                     GAUGE,   "Framebuffer memory free (in MiB).",                           R(memory_free_bytes), MIB},
    {"DCGM_FI_DEV_FB_USED",                     GAUGE,   "Framebuffer memory used (in MiB).",                           R(memory_used_bytes), MIB},
    {"DCGM_FI_DEV_FB_RESERVED",                 GAUGE,   "Framebuffer memory reserved (in MiB).",                       R(memory_reserved_bytes), MIB},
    {"DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", COUNTER, "Number of remapped rows for uncorrectable errors",            R(remapped_uncorrected), 1},
    {"DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",   COUNTER, "Number of remapped rows for correctable errors",              R(remapped_corrected), 1},
    {"DCGM_FI_DEV_ROW_REMAP_FAILURE",           GAUGE,   "Whether remapping of rows has failed",                        R(remap_failed), 1},
    {"DCGM_FI_DEV_ROW_REMAP_PENDING",           GAUGE,   "Whether a remapping of rows waits for a reset",               R(remap_pending), 1},
    {"DCGM_FI_DEV_POWER_MGMT_LIMIT",            GAUGE,   "Power limit in force (in W).",                                R(power_limit_mw), 0.001},
    {"DCGM_FI_DEV_FAN_SPEED",                   GAUGE,   "Fan speed (in %).",                                           R(fan_pct), 1},
    {"DCGM_FI_DEV_PSTATE",                      GAUGE,   "Performance state, 0 (fastest) to 15.",                       R(pstate), 1},
    {"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS",      GAUGE,   "Why clocks are held back (bit mask).",                        R(throttle_reasons), 1},
    {"DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",           COUNTER, "Total number of single-bit volatile ECC errors.",             R(ecc_corrected), 1},
    {"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",           COUNTER, "Total number of double-bit volatile ECC errors.",             R(ecc_uncorrected), 1},
    {"DCGM_FI_DEV_ECC_SBE_AGG_TOTAL",           COUNTER, "Total number of single-bit persistent ECC errors.",           R(ecc_corrected_life), 1},
    {"DCGM_FI_DEV_ECC_DBE_AGG_TOTAL",           COUNTER, "Total number of double-bit persistent ECC errors.",           R(ecc_uncorrected_life), 1},
    {"DCGM_FI_DEV_RETIRED_SBE",                 COUNTER, "Total number of retired pages due to single-bit errors.",     R(retired_single), 1},
    {"DCGM_FI_DEV_RETIRED_DBE",                 COUNTER, "Total number of retired pages due to double-bit errors.",     R(retired_double), 1},
    {"DCGM_FI_DEV_RETIRED_PENDING",             COUNTER, "Total number of pages pending retirement.",                   R(retired_pending), 1},
    {"DCGM_FI_PROF_PCIE_TX_BYTES",              COUNTER, "Total number of bytes transmitted through PCIe TX via NVML.", R(pcie_tx_bytes), 1},
    {"DCGM_FI_PROF_PCIE_RX_BYTES",              COUNTER, "Total number of bytes received through PCIe RX via NVML.",    R(pcie_rx_bytes), 1},
};
/* clang-format on */
const size_t gpu_metric_count = COUNT_OF(gpu_metrics);

double gpu_metric_value(const struct gpu_metric *m, const struct gpu_device *d)
{
    if (m->reading == GPU_READING_COUNT)
        return d->last_xid == GPU_NO_READING ? 0 : (double)d->last_xid;
    int64_t v = d->sample.readings[m->reading];
    return v == GPU_NO_READING ? (double)NAN : (double)v * m->scale;
}

/* ---- the machine ---- */

static double or_nan(int64_t v, double scale)
{
    return v == HOST_NO_VALUE ? (double)NAN : (double)v * scale;
}

#define HOST_VALUE(fn, expression)                                                                 \
    static double fn(const struct host_sample *h)                                                  \
    {                                                                                              \
        return expression;                                                                         \
    }
HOST_VALUE(cpu_percent, or_nan(h->cpu_milli_pct, 0.001))
HOST_VALUE(memory_percent, or_nan(h->memory_milli_pct, 0.001))
HOST_VALUE(memory_total, or_nan(h->memory.total_bytes, 1))
HOST_VALUE(memory_available, or_nan(h->memory.available_bytes, 1))
HOST_VALUE(load1, or_nan(h->load_milli[0], 0.001))
HOST_VALUE(load5, or_nan(h->load_milli[1], 0.001))
HOST_VALUE(load15, or_nan(h->load_milli[2], 0.001))
HOST_VALUE(boot_time, or_nan(h->stat.boot_time_s, 1))
HOST_VALUE(time_now, (double)h->wall_ms / 1000)
HOST_VALUE(context_switches, or_nan(h->stat.context_switches, 1))
HOST_VALUE(interrupts, or_nan(h->stat.interrupts, 1))
HOST_VALUE(forks, or_nan(h->stat.forks, 1))
HOST_VALUE(running, or_nan(h->stat.running, 1))
HOST_VALUE(blocked, or_nan(h->stat.blocked, 1))
HOST_VALUE(oom_kills, or_nan(h->oom_kills, 1))
HOST_VALUE(pressure_cpu, or_nan(h->pressure_cpu_us, 1e-6))
HOST_VALUE(pressure_memory, or_nan(h->pressure_memory_us, 1e-6))
HOST_VALUE(pressure_memory_full, or_nan(h->pressure_memory_full_us, 1e-6))
HOST_VALUE(pressure_io, or_nan(h->pressure_io_us, 1e-6))
HOST_VALUE(pressure_io_full, or_nan(h->pressure_io_full_us, 1e-6))

/* clang-format off */
#define SENT 7
const struct host_metric host_metrics[] = {
    {"reeve_node_cpu_percent",                      GAUGE,   "Processors in use, of what this node can have.", cpu_percent},
    {"reeve_node_memory_percent",                   GAUGE,   "Memory in use, of what this node can have.",     memory_percent},
    {"node_memory_MemTotal_bytes",                  GAUGE,   "Memory information field MemTotal_bytes.",       memory_total},
    {"node_memory_MemAvailable_bytes",              GAUGE,   "Memory information field MemAvailable_bytes.",   memory_available},
    {"node_load1",                                  GAUGE,   "1m load average.",                               load1},
    {"node_load5",                                  GAUGE,   "5m load average.",                               load5},
    {"node_load15",                                 GAUGE,   "15m load average.",                              load15},
    {"node_boot_time_seconds",                      GAUGE,   "Node boot time, in unixtime.",                   boot_time},
    {"node_time_seconds",                           GAUGE,   "System time in seconds since epoch (1970).",     time_now},
    {"node_context_switches_total",                 COUNTER, "Total number of context switches.",              context_switches},
    {"node_intr_total",                             COUNTER, "Total number of interrupts serviced.",           interrupts},
    {"node_forks_total",                            COUNTER, "Total number of forks.",                         forks},
    {"node_procs_running",                          GAUGE,   "Number of processes in runnable state.",         running},
    {"node_procs_blocked",                          GAUGE,   "Number of processes blocked waiting for I/O to complete.", blocked},
    {"node_vmstat_oom_kill",                        COUNTER, "/proc/vmstat information field oom_kill.",       oom_kills},
    {"node_pressure_cpu_waiting_seconds_total",     COUNTER, "Total time in seconds that processes have waited for CPU time", pressure_cpu},
    {"node_pressure_memory_waiting_seconds_total",  COUNTER, "Total time in seconds that processes have waited for memory", pressure_memory},
    {"node_pressure_memory_stalled_seconds_total",  COUNTER, "Total time in seconds no process could make progress due to memory congestion", pressure_memory_full},
    {"node_pressure_io_waiting_seconds_total",      COUNTER, "Total time in seconds that processes have waited due to IO congestion", pressure_io},
    {"node_pressure_io_stalled_seconds_total",      COUNTER, "Total time in seconds no process could make progress due to IO congestion", pressure_io_full},
};
/* clang-format on */
const size_t host_metric_count = COUNT_OF(host_metrics), host_metric_sent_count = SENT;

/* ---- text ---- */

static void write_head(struct text *out, const char *name, enum metric_type type, const char *help)
{
    text_add(out, "# HELP ");
    text_add(out, name);
    text_add_char(out, ' ');
    text_add(out, help);
    text_add(out, "\n# TYPE ");
    text_add(out, name);
    text_add(out, type == METRIC_COUNTER ? " counter\n" : " gauge\n");
}

/* Whole numbers as such: printf's %g is the slow part of a page of hundreds of lines. */
static void write_value(struct text *out, double v)
{
    char buf[40], *end = buf + sizeof buf, *p = end;
    if (v >= 0 && v < 9e15 && v == (double)(int64_t)v) {
        int64_t whole = (int64_t)v;
        do
            *--p = (char)('0' + whole % 10);
        while (whole /= 10);
        text_add_bytes(out, p, (size_t)(end - p));
    } else {
        text_add_bytes(out, buf, (size_t)snprintf(buf, sizeof buf, "%.10g", v));
    }
    text_add_char(out, '\n');
}

static void add_label(struct text *out, bool first, const char *name, const char *value)
{
    if (!first)
        text_add_char(out, ',');
    text_add(out, name);
    text_add(out, "=\"");
    for (const char *p = value; *p; p++) {
        if (*p == '\\' || *p == '"')
            text_add_char(out, '\\');
        if (*p == '\n')
            text_add(out, "\\n");
        else
            text_add_char(out, *p);
    }
    text_add_char(out, '"');
}

/* Each device's labels are the same in every block. */
static char *device_labels(const struct metrics_input *in, const struct gpu_device *d)
{
    struct metric_pod pod;
    struct text t = {0};
    char number[16], device[24];
    snprintf(number, sizeof number, "%u", d->info.index);
    int64_t minor = d->info.minor_number;
    snprintf(device, sizeof device, "%s%lld", d->info.vendor,
             minor == GPU_NO_READING ? (long long)d->info.index : (long long)minor);
    text_add_char(&t, '{');
    add_label(&t, true, "gpu", number);
    add_label(&t, false, "UUID", d->info.uuid);
    add_label(&t, false, "pci_bus_id", d->info.pci);
    add_label(&t, false, "device", device);
    add_label(&t, false, "modelName", d->info.name);
    add_label(&t, false, "Hostname", in->hostname);
    add_label(&t, false, "DCGM_FI_DRIVER_VERSION", in->gpus->driver_version);
    if (in->pod_on && in->pod_on(in->arg, d->info.uuid, &pod)) {
        add_label(&t, false, "namespace", pod.namespace);
        add_label(&t, false, "pod", pod.pod);
        add_label(&t, false, "container", pod.container);
    }
    text_add(&t, "} ");
    return text_take(&t);
}

static void write_gpus(struct text *out, const struct metrics_input *in)
{
    const struct gpu_report *r = in->gpus;
    char *labels[GPU_MAX_DEVICES];
    size_t count = r->device_count < GPU_MAX_DEVICES ? r->device_count : GPU_MAX_DEVICES;
    for (size_t i = 0; i < count; i++)
        labels[i] = device_labels(in, &r->devices[i]);
    for (size_t m = 0; m < gpu_metric_count; m++) {
        bool has_head = false;
        for (size_t i = 0; i < count; i++) {
            double v = gpu_metric_value(&gpu_metrics[m], &r->devices[i]);
            if (isnan(v))
                continue;
            if (!has_head)
                write_head(out, gpu_metrics[m].name, gpu_metrics[m].type, gpu_metrics[m].help);
            has_head = true;
            text_add(out, gpu_metrics[m].name);
            text_add(out, labels[i]);
            write_value(out, v);
        }
    }
    for (size_t i = 0; i < count; i++)
        free(labels[i]);
}

static void write_cpus(struct text *out, const struct host_stat *s)
{
    static const char *const modes[] = {"user",   "nice", "system",  "idle",
                                        "iowait", "irq",  "softirq", "steal"};
    write_head(out, "node_cpu_seconds_total", METRIC_COUNTER,
               "Seconds the CPUs spent in each mode.");
    for (size_t i = 0; i < s->cpu_count; i++) {
        const struct host_cpu_times *t = &s->cpus[i].times;
        const int64_t ticks[] = {t->user,   t->nice, t->system,  t->idle,
                                 t->iowait, t->irq,  t->softirq, t->steal};
        for (size_t m = 0; m < COUNT_OF(modes); m++) {
            text_addf(out, "node_cpu_seconds_total{cpu=\"%d\",mode=\"%s\"} ", s->cpus[i].index,
                      modes[m]);
            write_value(out, (double)ticks[m] / 100);
        }
    }
}

static void write_memory(struct text *out, const struct host_memory *m)
{
    for (size_t i = 0; i < m->key_count; i++) {
        char name[80], help[96];
        const char *unit = m->keys[i].is_bytes ? "_bytes" : "";
        if (strcmp(m->keys[i].name, "MemTotal") == 0 ||
            strcmp(m->keys[i].name, "MemAvailable") == 0)
            continue; /* they stand in the table */
        snprintf(name, sizeof name, "node_memory_%s%s", m->keys[i].name, unit);
        snprintf(help, sizeof help, "Memory information field %s%s.", m->keys[i].name, unit);
        write_head(out, name, METRIC_GAUGE, help);
        text_add(out, name);
        text_add_char(out, ' ');
        write_value(out, (double)m->keys[i].value);
    }
}

struct column {
    const char *name, *help;
    size_t offset;
    double scale;
};

/* One block a column, one line in it a thing of SIZE bytes whose name stands at its begin. */
static void write_columns(struct text *out, const struct column *columns, size_t column_count,
                          const void *things, size_t size, size_t count)
{
    for (size_t c = 0; c < column_count && count; c++) {
        write_head(out, columns[c].name, METRIC_COUNTER, columns[c].help);
        for (size_t i = 0; i < count; i++) {
            const char *thing = (const char *)things + i * size;
            int64_t v;
            memcpy(&v, thing + columns[c].offset, sizeof v);
            text_add(out, columns[c].name);
            text_add_char(out, '{');
            add_label(out, true, "device", thing);
            text_add(out, "} ");
            write_value(out, (double)v * columns[c].scale);
        }
    }
}

/* clang-format off */
static const struct column disk_columns[] = {
    {"node_disk_read_bytes_total",       "The total number of bytes read successfully.",    offsetof(struct host_disk, read_bytes), 1},
    {"node_disk_written_bytes_total",    "The total number of bytes written successfully.", offsetof(struct host_disk, written_bytes), 1},
    {"node_disk_io_time_seconds_total",  "Total seconds spent doing I/Os.",                 offsetof(struct host_disk, io_ms), 0.001},
    {"node_disk_reads_completed_total",  "The total number of reads completed successfully.",  offsetof(struct host_disk, reads), 1},
    {"node_disk_writes_completed_total", "The total number of writes completed successfully.", offsetof(struct host_disk, writes), 1},
};
static const struct column net_columns[] = {
    {"node_network_receive_bytes_total",    "Network device statistic receive_bytes.",    offsetof(struct host_net, received_bytes), 1},
    {"node_network_transmit_bytes_total",   "Network device statistic transmit_bytes.",   offsetof(struct host_net, sent_bytes), 1},
    {"node_network_receive_packets_total",  "Network device statistic receive_packets.",  offsetof(struct host_net, received_packets), 1},
    {"node_network_transmit_packets_total", "Network device statistic transmit_packets.", offsetof(struct host_net, sent_packets), 1},
    {"node_network_receive_errs_total",     "Network device statistic receive_errs.",     offsetof(struct host_net, received_errors), 1},
    {"node_network_transmit_errs_total",    "Network device statistic transmit_errs.",    offsetof(struct host_net, sent_errors), 1},
    {"node_network_receive_drop_total",     "Network device statistic receive_drop.",     offsetof(struct host_net, received_dropped), 1},
    {"node_network_transmit_drop_total",    "Network device statistic transmit_drop.",    offsetof(struct host_net, sent_dropped), 1},
};
/* clang-format on */

static void write_host(struct text *out, const struct host_sample *h)
{
    for (size_t i = 0; i < host_metric_count; i++) {
        double v = host_metrics[i].value(h);
        if (isnan(v))
            continue;
        write_head(out, host_metrics[i].name, host_metrics[i].type, host_metrics[i].help);
        text_add(out, host_metrics[i].name);
        text_add_char(out, ' ');
        write_value(out, v);
    }
    write_cpus(out, &h->stat);
    write_memory(out, &h->memory);
    write_columns(out, disk_columns, COUNT_OF(disk_columns), h->disks, sizeof *h->disks,
                  h->disk_count);
    write_columns(out, net_columns, COUNT_OF(net_columns), h->nets, sizeof *h->nets, h->net_count);
}

void metrics_write(const struct metrics_input *in, struct text *out)
{
    if (in->gpus)
        write_gpus(out, in);
    if (in->host)
        write_host(out, in->host);
    for (size_t i = 0; i < in->own_count; i++) {
        const struct agent_metric *m = &in->own[i];
        write_head(out, m->name, m->type, m->help);
        text_addf(out, "%s ", m->name);
        write_value(out, (double)m->value * (m->scale ? m->scale : 1));
    }
}
