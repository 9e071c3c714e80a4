#include "agent/telemetry.h"

#include "agent/agent.h"
#include "agent/frames.h"
#include "agent/link.h"
#include "agent/metrics.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/backoff.h"

#include <stdio.h>

#define MESSAGE_SAMPLES_MOST 20000

enum { FROM_GPUS, FROM_HOST };

struct telemetry {
    struct agent *agent;
    struct frames *frames;
    struct http_client_call *call;
    unsigned failures;
    int64_t not_before_ms; /* mono */
};

struct telemetry *telemetry_new(struct agent *agent)
{
    struct telemetry *t = mem_new(struct telemetry);
    t->agent = agent;
    t->frames = frames_new(TELEMETRY_BYTES_MOST);
    return t;
}

void telemetry_free(struct telemetry *t)
{
    if (!t)
        return;
    if (t->call)
        http_call_cancel(t->call);
    frames_free(t->frames);
    free(t);
}

/* ---- rows ---- */

static void set_gpus(struct telemetry *t, const struct gpu_report *r, const char *key)
{
    size_t count = 0;
    auto_free struct frame_series *series =
        mem_new_array(struct frame_series, r->device_count * gpu_metric_count);
    char numbers[GPU_MAX_DEVICES][12];
    for (uint32_t d = 0; d < r->device_count; d++) {
        const struct gpu_info *info = &r->devices[d].info;
        snprintf(numbers[d], sizeof numbers[d], "%u", info->index);
        for (size_t m = 0; m < gpu_metric_count; m++)
            series[count++] = (struct frame_series){{{"__name__", gpu_metrics[m].name},
                                                     {"node", t->agent->options.node},
                                                     {"UUID", info->uuid},
                                                     {"gpu", numbers[d]},
                                                     {"modelName", info->name}},
                                                    5};
    }
    frames_set(t->frames, FROM_GPUS, key, series, count);
}

void telemetry_add_gpus(struct telemetry *t, const struct gpu_report *r)
{
    if (!r->device_count || r->device_count > GPU_MAX_DEVICES)
        return;
    auto_text struct text key = {0};
    for (uint32_t d = 0; d < r->device_count; d++)
        text_addf(&key, "%u %s %s\n", r->devices[d].info.index, r->devices[d].info.uuid,
                  r->devices[d].info.name);
    if (!frames_has_set(t->frames, FROM_GPUS, text_get(&key)))
        set_gpus(t, r, text_get(&key));

    auto_free double *values = mem_new_array(double, r->device_count *gpu_metric_count);
    size_t at = 0;
    for (uint32_t d = 0; d < r->device_count; d++)
        for (size_t m = 0; m < gpu_metric_count; m++)
            values[at++] = gpu_metric_value(&gpu_metrics[m], &r->devices[d]);
    int64_t age_ms = clock_boot_ms() - r->boot_ms;
    frames_add(t->frames, FROM_GPUS, clock_wall_ms() - (age_ms > 0 ? age_ms : 0), values);
}

void telemetry_add_host(struct telemetry *t, const struct host_sample *h)
{
    double values[64];
    if (!frames_has_set(t->frames, FROM_HOST, "host")) {
        struct frame_series series[64];
        for (size_t m = 0; m < host_metric_sent_count; m++)
            series[m] = (struct frame_series){
                {{"__name__", host_metrics[m].name}, {"node", t->agent->options.node}}, 2};
        frames_set(t->frames, FROM_HOST, "host", series, host_metric_sent_count);
    }
    for (size_t m = 0; m < host_metric_sent_count; m++)
        values[m] = host_metrics[m].value(h);
    frames_add(t->frames, FROM_HOST, h->wall_ms, values);
}

/* ---- sending ---- */

static void on_sent(void *arg, const struct http_reply *reply)
{
    struct telemetry *t = arg;
    struct err e = {0};
    t->call = NULL;
    if (http_reply_check(reply, &e) == 0) {
        t->failures = 0;
        frames_commit(t->frames);
        telemetry_send(t);
        return;
    }
    if (reply->status == 400 || reply->status == 413) {
        /* It will not be liked better the next time. */
        log_warn("samples were refused, dropping them", F_ERR(&e));
        frames_commit(t->frames);
        return;
    }
    t->failures++;
    t->not_before_ms = clock_mono_ms() + backoff_ms(t->failures, 500, 30000, random_u64());
}

void telemetry_send(struct telemetry *t)
{
    if (t->call || !link_is_up(t->agent->link) || clock_mono_ms() < t->not_before_ms)
        return;
    auto_free void *body = NULL;
    size_t len = 0;
    struct err e = {0};
    if (!frames_encode(t->frames, MESSAGE_SAMPLES_MOST, &body, &len, &e))
        return;
    if (!body) {
        log_warn("samples could not be written, dropping them", F_ERR(&e));
        frames_commit(t->frames);
        return;
    }
    const struct http_header headers[] = {
        {"Content-Encoding", REMOTE_WRITE_CONTENT_ENCODING},
        {REMOTE_WRITE_VERSION_HEADER, REMOTE_WRITE_VERSION},
        {NULL, NULL},
    };
    const struct link_call call = {.method = HTTP_POST,
                                   .path = "/agent/v1/write",
                                   .type = REMOTE_WRITE_CONTENT_TYPE,
                                   .more_headers = headers,
                                   .body = body,
                                   .len = len,
                                   .timeout_ms = 20000};
    t->call = link_send(t->agent->link, &call, on_sent, t);
}

void telemetry_rewind(struct telemetry *t)
{
    frames_rewind(t->frames);
    t->not_before_ms = 0;
}

struct telemetry_counts telemetry_counts(const struct telemetry *t)
{
    struct frames_counts c = frames_counts(t->frames);
    return (struct telemetry_counts){c.samples, c.taken, c.dropped, c.bytes};
}
