#include "agent/status.h"

#include "base/json_out.h"

#include <string.h>

#define MIB ((int64_t)1 << 20)

static int64_t lesser_index(const struct gpu_device *a, const struct gpu_device *b)
{
    return !b || a->info.index < b->info.index;
}

const struct gpu_device *status_device(const struct status_input *in)
{
    const struct gpu_device *first = NULL, *next = NULL;
    for (uint32_t i = 0; in->gpus && i < in->gpus->device_count; i++) {
        const struct gpu_device *d = &in->gpus->devices[i];
        if (lesser_index(d, first))
            first = d;
        for (size_t v = 0; v < in->devices->count; v++) {
            const struct device_view *view = &in->devices->items[v];
            if (strcmp(view->uuid, d->info.uuid) == 0 && view->health == GPU_OK && !view->is_ours &&
                !view->busy.busy && lesser_index(d, next))
                next = d;
        }
    }
    return next ? next : first;
}

static void add_reading(struct json_out *o, const char *key, int64_t value, int64_t divisor)
{
    if (value == GPU_NO_READING)
        jo_null(o, key);
    else
        jo_int(o, key, value / divisor);
}

static void add_host_pct(struct json_out *o, const char *key, int64_t milli_pct)
{
    jo_fixed(o, key, milli_pct == HOST_NO_VALUE ? 0 : milli_pct / 10, 100);
}

/* By the very figures that are shown, so that the answer agrees with itself. */
static bool is_available(const struct status_input *in, const struct gpu_device *d)
{
    char why[GATE_WHY_SIZE];
    struct gate_limits limits = *in->limits;
    limits.off = false;
    if (!d || d->health != GPU_OK || !in->host || in->host->cpu_milli_pct == HOST_NO_VALUE)
        return false;
    const struct gpu_sample *s = &d->sample;
    if (s->memory_total_bytes == GPU_NO_READING || s->memory_used_bytes == GPU_NO_READING)
        return false;
    const struct gate_device use = {s->memory_total_bytes / MIB - s->memory_used_bytes / MIB,
                                    s->utilization_pct == GPU_NO_READING ? GATE_UNKNOWN
                                                                         : s->utilization_pct};
    const struct gate_host host = {in->host->cpu_milli_pct, in->host->memory_milli_pct};
    return gate_device_is_free(&limits, &use, 0, why) && gate_host_is_free(&limits, &host, why);
}

static void write_six(struct json_out *o, const struct status_input *in)
{
    const struct gpu_device *d = status_device(in);
    const struct gpu_sample *s = d ? &d->sample : NULL;
    add_reading(o, "gpu_utilization", s ? s->utilization_pct : GPU_NO_READING, 1);
    add_reading(o, "gpu_memory_used", s ? s->memory_used_bytes : GPU_NO_READING, MIB);
    add_reading(o, "gpu_memory_total", s ? s->memory_total_bytes : GPU_NO_READING, MIB);
    add_host_pct(o, "cpu_usage", in->host ? in->host->cpu_milli_pct : HOST_NO_VALUE);
    add_host_pct(o, "memory_usage", in->host ? in->host->memory_milli_pct : HOST_NO_VALUE);
    jo_bool(o, "available", is_available(in, d));
}

static void write_job(struct json_out *o, bool is_there, const struct status_job *job)
{
    if (!is_there) {
        jo_null(o, "job");
        return;
    }
    jo_object(o, "job");
    jo_int(o, "id", job->job);
    jo_int(o, "attempt", job->n);
    jo_end(o);
}

static void write_pod(struct json_out *o, bool is_there, const struct status_pod *pod)
{
    if (!is_there) {
        jo_null(o, "pod");
        return;
    }
    jo_object(o, "pod");
    jo_text(o, "namespace", pod->namespace);
    jo_text(o, "name", pod->name);
    jo_text(o, "uid", pod->uid);
    jo_text(o, "container", pod->container);
    jo_end(o);
}

static void write_user(struct json_out *o, const struct status_input *in,
                       const struct gpu_process *p)
{
    struct status_user u;
    bool known = in->user_of && in->user_of(in->arg, p->pid, &u);
    jo_object(o, NULL);
    jo_int(o, "pid", p->pid);
    add_reading(o, "used_bytes", p->used_bytes, 1);
    add_reading(o, "sm_util_pct", p->sm_util_pct, 1);
    write_job(o, known && u.job.job, &u.job);
    write_pod(o, known && (u.pod.name[0] || u.pod.uid[0]), &u.pod);
    jo_end(o);
}

static void write_device(struct json_out *o, const struct status_input *in,
                         const struct gpu_device *d)
{
    const struct device_view *view = NULL;
    for (size_t v = 0; v < in->devices->count; v++)
        if (strcmp(in->devices->items[v].uuid, d->info.uuid) == 0)
            view = &in->devices->items[v];
    struct status_job job;
    struct status_pod pod;
    const struct gpu_sample *s = &d->sample;
    jo_object(o, NULL);
    jo_int(o, "index", d->info.index);
    jo_text(o, "uuid", d->info.uuid);
    jo_text(o, "model", d->info.name);
    jo_text(o, "vendor", d->info.vendor);
    jo_text(o, "pci_bus_id", d->info.pci);
    jo_text(o, "health", gpu_health_name(d->health));
    jo_text(o, "reason", d->reason[0] ? d->reason : view ? view->why : "");
    jo_bool(o, "busy", view && view->busy.busy);
    jo_bool(o, "foreign", view && view->foreign);
    write_job(o, in->job_on(in->arg, d->info.uuid, &job), &job);
    write_pod(o, in->pod_on && in->pod_on(in->arg, d->info.uuid, &pod), &pod);
    jo_int(o, "processes", s->process_total);
    jo_list(o, "users");
    for (uint32_t i = 0; i < s->process_count; i++)
        write_user(o, in, &s->processes[i]);
    jo_end(o);
    for (size_t i = 0; i < GPU_READING_COUNT; i++)
        add_reading(o, gpu_readings[i].name, s->readings[i], 1);
    add_reading(o, "last_xid", d->last_xid, 1);
    jo_end(o);
}

static void write_host(struct json_out *o, const struct host_sample *h)
{
    jo_object(o, "host");
    jo_int(o, "cpu_milli", h->capacity.cpu_milli);
    jo_int(o, "memory_bytes", h->capacity.memory_bytes);
    jo_int(o, "memory_used_bytes", h->memory_used_bytes);
    jo_fixed(o, "load1", h->load_milli[0] < 0 ? 0 : h->load_milli[0], 1000);
    jo_fixed(o, "load5", h->load_milli[1] < 0 ? 0 : h->load_milli[1], 1000);
    jo_fixed(o, "load15", h->load_milli[2] < 0 ? 0 : h->load_milli[2], 1000);
    jo_int(o, "uptime_ms", h->uptime_ms);
    jo_end(o);
}

static void write_limits(struct json_out *o, const struct gate_limits *l)
{
    jo_object(o, "gate");
    jo_bool(o, "off", l->off);
    jo_int(o, "free_mib", l->free_mib);
    jo_int(o, "gpu_pct", l->gpu_pct);
    jo_int(o, "cpu_pct", l->cpu_pct);
    jo_int(o, "memory_pct", l->memory_pct);
    jo_end(o);
}

void status_write(const struct status_input *in, struct text *out)
{
    struct json_out o = {.text = out};
    jo_object(&o, NULL);
    write_six(&o, in);

    jo_text(&o, "node", in->node);
    jo_text(&o, "version", in->version);
    jo_time(&o, "time", in->wall_ms);
    jo_int(&o, "sample_ms", in->sample_ms);
    jo_text(&o, "link", in->link);
    jo_text(&o, "device_plugin", in->device_plugin);
    jo_text(&o, "gpu_backend", in->gpus ? in->gpus->backend : "");
    jo_text(&o, "driver_version", in->gpus ? in->gpus->driver_version : "");
    jo_text(&o, "reason", in->gpus ? in->gpus->reason : "the GPUs have not been looked at yet");
    write_limits(&o, in->limits);
    if (in->host)
        write_host(&o, in->host);
    jo_list(&o, "devices");
    for (uint32_t i = 0; in->gpus && i < in->gpus->device_count; i++)
        write_device(&o, in, &in->gpus->devices[i]);
    jo_end(&o);
    jo_end(&o);
    text_add_char(out, '\n');
}
