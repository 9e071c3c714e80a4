#include "agent/metrics.h"
#include "machine.h"
#include "test.h"

TEST("a page names GPUs as DCGM-exporter does and leaves out what a device cannot tell")
{
    auto_text struct text t = {0};
    auto_free struct gpu_report *r = a_report(1);
    snprintf(r->driver_version, sizeof r->driver_version, "535.1");
    metrics_write(&(struct metrics_input){.gpus = r, .hostname = "host-a"}, &t);
    CHECK(strstr(text_get(&t),
                 "# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).\n"
                 "# TYPE DCGM_FI_DEV_POWER_USAGE gauge\n"
                 "DCGM_FI_DEV_POWER_USAGE{gpu=\"0\",UUID=\"GPU-0\",pci_bus_id=\"\","
                 "device=\"nvidia0\",modelName=\"Model \\\"X\\\"\",Hostname=\"host-a\","
                 "DCGM_FI_DRIVER_VERSION=\"535.1\"} 19.5\n"));
    CHECK(strstr(text_get(&t), "DCGM_FI_DEV_FB_TOTAL{gpu=\"0\""));
    CHECK(strstr(text_get(&t), "\"} 10240\n"));
    CHECK(!strstr(text_get(&t), "DCGM_FI_DEV_GPU_TEMP"));
}

TEST("a block stands once and has a line for each device")
{
    auto_text struct text t = {0};
    auto_free struct gpu_report *r = a_report(3);
    metrics_write(&(struct metrics_input){.gpus = r, .hostname = "h"}, &t);
    const char *type = strstr(text_get(&t), "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n");
    CHECK(type && !strstr(type + 1, "# TYPE DCGM_FI_DEV_GPU_UTIL "));
    CHECK(strstr(type, "DCGM_FI_DEV_GPU_UTIL{gpu=\"2\""));
}

TEST("the machine is named as node_exporter does")
{
    auto_text struct text t = {0};
    auto_free struct host_sample *h = calloc(1, sizeof *h);
    struct host_cpu cpu = {.index = 3, .times = {.user = 150, .idle = 5}};
    h->stat.cpus = &cpu;
    h->stat.cpu_count = 1;
    h->load_milli[0] = 1250;
    h->net_count = 1;
    snprintf(h->nets[0].name, sizeof h->nets[0].name, "eth0");
    h->nets[0].received_bytes = 77;
    h->pressure_cpu_us = HOST_NO_VALUE;
    metrics_write(&(struct metrics_input){.host = h, .hostname = "h"}, &t);
    CHECK(strstr(text_get(&t), "\nnode_load1 1.25\n"));
    CHECK(strstr(text_get(&t), "\nnode_cpu_seconds_total{cpu=\"3\",mode=\"user\"} 1.5\n"));
    CHECK(strstr(text_get(&t), "\nnode_network_receive_bytes_total{device=\"eth0\"} 77\n"));
    CHECK(!strstr(text_get(&t), "node_pressure_cpu_waiting"));
}

TEST("no metric is named twice, and counters end as they should")
{
    for (size_t i = 0; i < gpu_metric_count; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(gpu_metrics[i].name, gpu_metrics[j].name) != 0);
    for (size_t i = 0; i < host_metric_count; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(host_metrics[i].name, host_metrics[j].name) != 0);
    CHECK(host_metric_sent_count <= host_metric_count);
}

static bool pod_on(void *arg, const char *uuid, struct metric_pod *ret)
{
    (void)arg;
    *ret = (struct metric_pod){"team-a", "trainer", "main"};
    return strcmp(uuid, "GPU-1") == 0;
}

TEST("a GPU that a pod holds has the pod's labels, another has none")
{
    auto_text struct text t = {0};
    auto_free struct gpu_report *r = a_report(2);
    metrics_write(&(struct metrics_input){.gpus = r, .hostname = "h", .pod_on = pod_on}, &t);
    CHECK(strstr(text_get(&t), "DCGM_FI_DRIVER_VERSION=\"\",namespace=\"team-a\",pod=\"trainer\","
                               "container=\"main\"} 10240\n"));
    CHECK(strstr(text_get(&t), "DCGM_FI_DEV_FB_TOTAL{gpu=\"0\",UUID=\"GPU-0\",pci_bus_id=\"\","
                               "device=\"nvidia0\",modelName=\"Model \\\"X\\\"\",Hostname=\"h\","
                               "DCGM_FI_DRIVER_VERSION=\"\"} 10240\n"));
}
