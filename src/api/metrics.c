/* Figures of the control plane for Prometheus (text format 0.0.4). */
#include "api/door.h"
#include "api/fleet_json.h"
#include "api/handlers.h"

#include <math.h>
#include <sys/resource.h>

static void head(struct text *t, const char *name, const char *type, const char *help)
{
    text_addf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct text *t, const char *name, const char *type, const char *help, double value)
{
    head(t, name, type, help);
    text_addf(t, "%s %.15g\n", name, value);
}

/* Bounds in microseconds, each written as seconds. */
static const int64_t bounds_us[] = {
    1000,    5000,    10000,    25000,    50000,     100000,     250000,     500000,
    1000000, 5000000, 30000000, 60000000, 300000000, 1800000000, 7200000000, 86400000000};

/* Ours have four buckets an octave: all that lie wholly below a bound are counted in it. */
static void histogram(struct text *t, const char *name, const char *help, const struct histogram *h)
{
    uint64_t below = 0;
    int bucket = 0;
    head(t, name, "histogram", help);
    for (size_t i = 0; i < sizeof bounds_us / sizeof *bounds_us; i++) {
        while (bucket < HISTOGRAM_BUCKETS && exp2(bucket / 4.0) <= (double)bounds_us[i])
            below += h->bucket[bucket++];
        text_addf(t, "%s_bucket{le=\"%g\"} %llu\n", name, (double)bounds_us[i] / 1e6,
                  (unsigned long long)below);
    }
    text_addf(t, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name,
              (unsigned long long)h->count, name, (double)h->sum_us / 1e6, name,
              (unsigned long long)h->count);
}

static void queue_metrics(struct text *t, const struct fleet_view *v)
{
    one(t, "reeve_queue_length", "gauge", "Jobs that wait.", (double)fleet_queue_length(v));
    one(t, "reeve_jobs_running", "gauge", "Jobs scheduled or running.", v->running.count);
    head(t, "reeve_jobs_ended_total", "counter", "Jobs that ended, since the store was made.");
    text_addf(t, "reeve_jobs_ended_total{state=\"Completed\"} %lld\n", (long long)v->completed);
    text_addf(t, "reeve_jobs_ended_total{state=\"Failed\"} %lld\n", (long long)v->failed);
    text_addf(t, "reeve_jobs_ended_total{state=\"Cancelled\"} %lld\n", (long long)v->cancelled);
    one(t, "reeve_ledger_rows_total", "counter", "Rows of the ledger.", (double)v->last_seq);
}

static void fleet_metrics(struct text *t, const struct fleet_view *v, int64_t now_ms)
{
    int64_t nodes[NODE_STATES] = {0}, devices[DEVICE_STATES] = {0}, bucket[BUCKET_COUNT] = {0};
    for (int64_t id = 1; id <= v->node_count; id++)
        nodes[fleet_node(v, id)->state]++;
    for (int64_t id = 1; id <= v->device_count; id++) {
        const struct device *d = fleet_device(v, id);
        struct device now;
        if (!device_is_shown(v, d))
            continue;
        devices[device_state(v, d)]++;
        device_time_now(v, d, now_ms, &now);
        for (enum bucket b = 0; b < BUCKET_COUNT; b++)
            bucket[b] += now.bucket[b];
    }
    head(t, "reeve_nodes", "gauge", "Nodes by state.");
    for (enum node_state s = 0; s < NODE_RETIRED_; s++)
        text_addf(t, "reeve_nodes{state=\"%s\"} %lld\n", node_state_name(s), (long long)nodes[s]);
    head(t, "reeve_devices", "gauge", "Devices by state.");
    for (enum device_state s = 0; s < DEVICE_STATES; s++)
        text_addf(t, "reeve_devices{state=\"%s\"} %lld\n", device_state_names[s],
                  (long long)devices[s]);
    head(t, "reeve_device_time_today_seconds", "gauge", "Where the devices' time of today went.");
    for (enum bucket b = 0; b < BUCKET_COUNT; b++)
        text_addf(t, "reeve_device_time_today_seconds{bucket=\"%s\"} %.3f\n", bucket_name(b),
                  (double)bucket[b] / 1e9);
}

static void engine_metrics(struct text *t, const struct engine_stats *s)
{
    histogram(t, "reeve_submit_to_start_seconds",
              "From acceptance to start, jobs that had not to wait.", &s->waits.submit_to_start);
    histogram(t, "reeve_wait_seconds", "From acceptance to start, all jobs.", &s->waits.wait);
    one(t, "reeve_attempts_started_total", "counter", "Attempts started.", (double)s->started);
    one(t, "reeve_attempts_ended_total", "counter", "Attempts that ended.", (double)s->ended);
    one(t, "reeve_commands_total", "counter", "Commands taken.", (double)s->commands);
    one(t, "reeve_commands_refused_total", "counter", "Commands that failed.", (double)s->refused);
    one(t, "reeve_plans_total", "counter", "Plans made.", (double)s->plans);
    one(t, "reeve_plan_seconds_total", "counter", "Time spent planning.", (double)s->plan_us / 1e6);
    one(t, "reeve_store_batches_total", "counter", "Batches committed.", (double)s->batches);
    one(t, "reeve_store_rows_total", "counter", "Rows committed.", (double)s->rows);
    one(t, "reeve_store_full", "gauge", "1 while the disk is full.", (double)s->disk_full);
}

static void door_metrics(struct text *t, struct api *a)
{
    struct http_server_counts h = http_server_counts(a->server);
    head(t, "reeve_http_answers_total", "counter", "Answers by class of status.");
    for (int i = 2; i < 6; i++)
        text_addf(t, "reeve_http_answers_total{class=\"%dxx\"} %llu\n", i,
                  (unsigned long long)a->answered[i]);
    one(t, "reeve_http_connections", "gauge", "Open connections.", h.connections);
    one(t, "reeve_http_streams", "gauge", "Held streams.", h.streams);
    one(t, "reeve_event_subscribers", "gauge", "Readers of live events.",
        (double)events_subscribers(a->events));
    histogram(t, "reeve_status_latency_seconds", "Time to answer questions about state.",
              &a->status_latency);
}

static void process_metrics(struct text *t, int64_t started_ms)
{
    struct rusage use;
    long rss_pages = 0;
    getrusage(RUSAGE_SELF, &use);
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%*s %ld", &rss_pages) != 1)
            rss_pages = 0;
        fclose(f);
    }
    one(t, "process_cpu_seconds_total", "counter", "CPU time used.",
        (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
            (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    one(t, "process_resident_memory_bytes", "gauge", "Memory in use.",
        (double)rss_pages * (double)sysconf(_SC_PAGESIZE));
    one(t, "process_start_time_seconds", "gauge", "When the program started.",
        (double)started_ms / 1000);
}

void serve_metrics(struct call *c)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    struct text *t = &c->answer.body;
    head(t, "reeve_build_info", "gauge", "The program's version.");
    text_addf(t, "reeve_build_info{version=\"%s\"} 1\n", REEVE_VERSION);
    queue_metrics(t, &v->fleet);
    fleet_metrics(t, &v->fleet, c->now_ms);
    engine_metrics(t, &v->stats);
    door_metrics(t, c->api);
    if (c->api->config.redis.metrics)
        c->api->config.redis.metrics(c->api->config.redis.arg, t);
    process_metrics(t, v->stats.started_ms);
    engine_view_release(c->api->engine, v);
    c->answer.type = "text/plain; version=0.0.4; charset=utf-8";
    call_answer(c);
}
