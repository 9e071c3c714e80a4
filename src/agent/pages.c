#include "agent/pages.h"

#include "agent/link.h"
#include "agent/metrics.h"
#include "agent/plugin.h"
#include "agent/pods.h"
#include "agent/sampler.h"
#include "agent/status.h"
#include "agent/telemetry.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

static bool job_on(void *arg, const char *uuid, struct status_job *ret)
{
    const struct agent *agent = arg;
    const struct attempt *a = attempt_holding(arg, uuid);
    if (a) {
        *ret = (struct status_job){a->job, a->n};
        return true;
    }
    const struct pod_holding *h = pods_holding(agent->pods, uuid);
    return h && pods_is_ours(agent, h->pod, &ret->job, &ret->n);
}

static bool pod_on(void *arg, const char *uuid, struct status_pod *ret)
{
    const struct agent *agent = arg;
    const struct pod_holding *h = pods_holding(agent->pods, uuid);
    if (h)
        *ret = (struct status_pod){h->namespace, h->pod, "", h->container};
    return h != NULL;
}

static bool label_on(void *arg, const char *uuid, struct metric_pod *ret)
{
    const struct agent *agent = arg;
    const struct pod_holding *h = pods_holding(agent->pods, uuid);
    if (h)
        *ret = (struct metric_pod){h->namespace, h->pod, h->container};
    return h != NULL;
}

static bool user_of(void *arg, uint32_t pid, struct status_user *ret)
{
    struct agent *agent = arg;
    const struct process_owner *p = sampler_owner(agent->sampler, pid);
    if (!p)
        return false;
    *ret = (struct status_user){.pod = {p->name.namespace, p->name.name, p->pod.uid, ""}};
    const struct attempt *a = p->shim ? attempt_of_shim(agent, p->shim) : NULL;
    if (a)
        ret->job = (struct status_job){a->job, a->n};
    else if (!pods_is_ours(agent, p->name.name, &ret->job.job, &ret->job.n))
        ret->job = (struct status_job){0};
    return true;
}

static void show_status(struct agent *agent, struct text *out)
{
    const struct status_input in = {.node = agent->options.node,
                                    .version = REEVE_VERSION,
                                    .link = link_state_word(agent->link),
                                    .wall_ms = clock_wall_ms(),
                                    .sample_ms = sampler_interval_ms(agent->sampler),
                                    .limits = &agent->gate,
                                    .gpus = sampler_gpus(agent->sampler),
                                    .host = sampler_host(agent->sampler),
                                    .devices = &agent->devices,
                                    .job_on = job_on,
                                    .pod_on = pod_on,
                                    .user_of = user_of,
                                    .device_plugin = plugin_state_word(agent->plugin),
                                    .arg = agent};
    status_write(&in, out);
}

static void show_metrics(struct agent *agent, struct text *out)
{
    struct telemetry_counts t = telemetry_counts(agent->telemetry);
    const struct agent_counts *c = &agent->counts;
    int64_t running = 0;
    for (const struct attempt *a = agent->attempts; a; a = a->next)
        running += a->phase == PHASE_RUNNING;
    /* clang-format off */
    const struct agent_metric own[] = {
        {"reeve_agent_jobs_running",          METRIC_GAUGE,   "Jobs that run on this node now.", running},
        {"reeve_agent_starts_total",          METRIC_COUNTER, "Jobs started.", c->starts},
        {"reeve_agent_refusals_total",        METRIC_COUNTER, "Starts refused by the gate or for another reason.", c->refusals},
        {"reeve_agent_lost_total",            METRIC_COUNTER, "Jobs whose end is not known.", c->lost},
        {"reeve_agent_reports_total",         METRIC_COUNTER, "Reports acknowledged by the control plane.", c->reports},
        {"reeve_agent_report_failures_total", METRIC_COUNTER, "Reports that had to be sent again.", c->report_failures},
        {"reeve_agent_log_bytes_total",       METRIC_COUNTER, "Job output sent.", c->log_bytes},
        {"reeve_agent_samples_total",         METRIC_COUNTER, "Samples taken.", t.samples},
        {"reeve_agent_samples_sent_total",    METRIC_COUNTER, "Samples sent.", t.sent},
        {"reeve_agent_samples_dropped_total", METRIC_COUNTER, "Samples dropped before they could be sent.", t.dropped},
        {"reeve_agent_link_up",               METRIC_GAUGE,   "1: the control plane is connected.", link_is_up(agent->link)},
        {"reeve_agent_device_plugin_serving", METRIC_GAUGE,   "1: kubelet has the GPUs from this agent.", strcmp(plugin_state_word(agent->plugin), "serving") == 0},
        {"reeve_agent_clock_skew_seconds",    METRIC_GAUGE,   "Our clock less the control plane's.", agent->clock_skew_ms, 1e-3},
    };
    /* clang-format on */
    const struct metrics_input in = {.gpus = sampler_gpus(agent->sampler),
                                     .host = sampler_host(agent->sampler),
                                     .hostname = agent->options.node,
                                     .own = own,
                                     .own_count = COUNT_OF(own),
                                     .pod_on = label_on,
                                     .arg = agent};
    metrics_write(&in, out);
}

static void show_health(struct agent *agent, struct text *out)
{
    (void)agent;
    text_add(out, "{\"status\":\"ok\"}\n");
}

static const struct page {
    const char *path, *type;
    void (*show)(struct agent *agent, struct text *out);
    size_t usual_bytes; /* so that a page is not copied while it grows */
} pages[] = {
    {"/status", "application/json", show_status, 4096},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", show_metrics, 65536},
    {"/healthz", "application/json", show_health, 64},
};

static void on_request(void *arg, struct http_request *r)
{
    struct agent *agent = arg;
    struct err e = {0};
    const char *path = http_request_path(r);
    enum http_method method = http_request_method(r);
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        if (strcmp(path, pages[i].path) != 0)
            continue;
        if (method != HTTP_GET && method != HTTP_HEAD) {
            const struct http_header allow[] = {{"Allow", "GET, HEAD"}, {NULL, NULL}};
            err_set(&e, ERR_METHOD, "'%s' can only be read", path);
            http_answer_err(r, &e, allow);
            return;
        }
        struct text body = {0};
        text_reserve(&body, pages[i].usual_bytes);
        pages[i].show(agent, &body);
        const struct http_header fresh[] = {{"Cache-Control", "no-store"}, {NULL, NULL}};
        http_answer(r, 200, pages[i].type, fresh, &body);
        return;
    }
    err_set(&e, ERR_NOT_FOUND, "there is nothing at '%s': try /status, /metrics or /healthz", path);
    http_answer_err(r, &e, NULL);
}

static void on_problem(void *arg, const struct err *e)
{
    (void)arg;
    log_warn("the server has trouble, going on", F_ERR(e));
}

int pages_start(struct agent *agent, struct err *e)
{
    const struct agent_options *o = &agent->options;
    agent->hosts = mem_new_array(const char *, o->hosts.count + 2);
    agent->hosts[0] = o->node;
    for (size_t i = 0; i < o->hosts.count; i++)
        agent->hosts[i + 1] = o->hosts.items[i];
    const struct http_server_config config = {.on_request = on_request,
                                              .arg = agent,
                                              .on_problem = on_problem,
                                              .hosts = agent->hosts,
                                              .max_connections = 256};
    const struct http_listen how = {.address = o->listen,
                                    .certificate = o->tls_cert,
                                    .key = o->tls_key,
                                    .insecure = o->insecure};
    uint16_t port;
    agent->server = http_server_new(agent->loop, &config);
    if (http_server_listen(agent->server, &how, &port, e) < 0 ||
        data_folder_write_ports(&agent->data, o->listen, port, e) < 0)
        return -1;
    log_info("serving /status and /metrics", F_TEXT("listen", o->listen), F_INT("port", port));
    return 0;
}
