#include "agent/report.h"

#include "base/json_out.h"

#include <string.h>

bool report_is_empty(const struct report *r)
{
    return !r->hello && !r->host && !r->device_count && !r->attempt_count && !r->progress_count &&
           !r->meter_count && !r->has_bound;
}

static void write_hello(struct json_out *o, const struct report_hello *h)
{
    jo_object(o, "hello");
    jo_text(o, "version", h->version);
    jo_list(o, "features");
    jo_end(o);
    jo_int(o, "cpu_milli", h->cpu_milli);
    jo_int(o, "memory_mib", h->memory_mib);
    jo_text(o, "isolation", h->isolation);
    jo_end(o);
}

static int64_t known(int64_t value)
{
    return value == GATE_UNKNOWN ? 0 : value;
}

static void write_host(struct json_out *o, const struct gate_host *h, bool busy)
{
    jo_object(o, "host");
    jo_bool(o, "busy", busy);
    jo_int(o, "cpu_pct", known(h->cpu_milli_pct) / 1000);
    jo_int(o, "memory_pct", known(h->memory_milli_pct) / 1000);
    jo_end(o);
}

static void write_device(struct json_out *o, const struct device_view *v)
{
    jo_object(o, NULL);
    jo_text(o, "uuid", v->uuid);
    jo_int(o, "index", v->index);
    jo_text(o, "model", v->model);
    jo_text(o, "vendor", v->vendor);
    jo_int(o, "memory_mib", v->memory_mib);
    jo_text(o, "health", device_health_word(v->health));
    jo_bool(o, "busy", v->busy.busy);
    jo_bool(o, "foreign", v->foreign);
    jo_int(o, "free_mib", known(v->use.free_mib));
    jo_int(o, "gpu_pct", known(v->use.gpu_pct));
    jo_text(o, "why", v->why);
    jo_end(o);
}

static void write_attempt(struct json_out *o, const struct report_attempt *a)
{
    jo_object(o, NULL);
    jo_text(o, "id", a->id);
    jo_int(o, "job", a->job);
    jo_int(o, "n", a->n);
    jo_text(o, "state", a->state);
    jo_int(o, "ago_ms", a->ago_ms);
    if (strcmp(a->state, "ended") == 0) {
        jo_text(o, "outcome", a->outcome);
        jo_int(o, "exit_code", a->exit_code);
        jo_int(o, "signal", a->signal);
        if (a->results)
            jo_raw(o, "results", a->results, strlen(a->results));
        if (a->metadata)
            jo_raw(o, "metadata", a->metadata, strlen(a->metadata));
    }
    if (strcmp(a->state, "ended") == 0 || strcmp(a->state, "lost") == 0) {
        jo_int(o, "run_ms", a->run_ms);
        jo_int(o, "energy_mj", a->energy_mj);
        jo_bool(o, "energy_measured", a->energy_measured);
    }
    if (strcmp(a->state, "started") != 0)
        jo_text(o, "why", a->why);
    jo_end(o);
}

static void write_bound(struct json_out *o, const struct report_bound *b)
{
    jo_object(o, NULL);
    jo_int(o, "job", b->job);
    jo_int(o, "n", b->n);
    jo_text(o, "namespace", b->namespace);
    jo_text(o, "pod", b->pod);
    jo_list(o, "devices");
    for (size_t i = 0; i < b->device_count; i++)
        jo_text(o, NULL, b->devices[i]);
    jo_end(o);
    jo_end(o);
}

void report_write(const struct report *r, struct text *out)
{
    struct json_out o = {.text = out};
    jo_object(&o, NULL);
    jo_text(&o, "boot_id", r->boot_id);
    jo_text(&o, "data_id", r->data_id);
    jo_int(&o, "seq", r->seq);
    if (r->now_ms)
        jo_int(&o, "now_ms", r->now_ms);
    if (r->hello)
        write_hello(&o, r->hello);
    if (r->host)
        write_host(&o, r->host, r->host_busy);
    /* A hello names everything, also nothing. */
    if (r->device_count || r->hello) {
        jo_list(&o, "devices");
        for (size_t i = 0; i < r->device_count; i++)
            write_device(&o, r->devices[i]);
        jo_end(&o);
    }
    if (r->attempt_count || r->hello) {
        jo_list(&o, "attempts");
        for (size_t i = 0; i < r->attempt_count; i++)
            write_attempt(&o, &r->attempts[i]);
        jo_end(&o);
    }
    if (r->progress_count) {
        jo_list(&o, "progress");
        for (size_t i = 0; i < r->progress_count; i++) {
            jo_object(&o, NULL);
            jo_int(&o, "job", r->progress[i].job);
            jo_int(&o, "n", r->progress[i].n);
            jo_int(&o, "done", r->progress[i].done);
            jo_int(&o, "total", r->progress[i].total);
            jo_end(&o);
        }
        jo_end(&o);
    }
    if (r->meter_count) {
        jo_list(&o, "meters");
        for (size_t i = 0; i < r->meter_count; i++) {
            jo_object(&o, NULL);
            jo_int(&o, "job", r->meters[i].job);
            jo_int(&o, "n", r->meters[i].n);
            jo_int(&o, "energy_mj", r->meters[i].energy_mj);
            jo_bool(&o, "measured", r->meters[i].measured);
            jo_end(&o);
        }
        jo_end(&o);
    }
    if (r->has_bound) {
        jo_list(&o, "bound");
        for (size_t i = 0; i < r->bound_count; i++)
            write_bound(&o, &r->bound[i]);
        jo_end(&o);
    }
    jo_end(&o);
}
