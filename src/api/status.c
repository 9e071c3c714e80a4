/* How the whole is doing, and who is asking. */
#include "api/auth.h"
#include "api/door.h"
#include "api/fleet_json.h"
#include "api/handlers.h"
#include "core/meter/meter.h"

static void write_percentiles(struct json_out *o, const char *key, const struct histogram *h)
{
    jo_object(o, key);
    if (h->count) {
        jo_fixed(o, "p50", histogram_quantile_us(h, 500), 1000);
        jo_fixed(o, "p99", histogram_quantile_us(h, 990), 1000);
    } else {
        jo_null(o, "p50");
        jo_null(o, "p99");
    }
    jo_end(o);
}

static void write_nodes(struct json_out *o, const struct fleet_view *v)
{
    int64_t count[NODE_STATES] = {0}, total = 0;
    for (int64_t id = 1; id <= v->node_count; id++) {
        const struct node *n = fleet_node(v, id);
        count[n->state]++;
        total += n->state != NODE_RETIRED_;
    }
    jo_object(o, "nodes");
    jo_int(o, "total", total);
    for (enum node_state s = NODE_NONE; s < NODE_RETIRED_; s++)
        jo_int(o, node_state_name(s), count[s]);
    jo_end(o);
}

struct today {
    int64_t device[DEVICE_STATES], total;
    int64_t bucket[BUCKET_COUNT];
    int64_t energy_mj, cost_micros;
};

/* Device time of today at today's price, and the energy of attempts that ended today. */
static void sum_up(const struct fleet_view *v, int64_t now_ms, struct today *ret)
{
    *ret = (struct today){0};
    for (int64_t id = 1; id <= v->device_count; id++) {
        const struct device *d = fleet_device(v, id);
        if (!device_is_shown(v, d))
            continue;
        struct device now;
        device_time_now(v, d, now_ms, &now);
        ret->total++;
        ret->device[device_state(v, d)]++;
        for (enum bucket b = 0; b < BUCKET_COUNT; b++)
            ret->bucket[b] += now.bucket[b];
        ret->energy_mj += now.energy_mj;
        ret->cost_micros += meter_cost_micros(&v->policy, v->policy.gpu_hour_micros, 1,
                                              now.bucket[BUCKET_JOBS] / 1000000, now.energy_mj);
    }
}

static void write_devices(struct json_out *o, const struct today *t)
{
    jo_object(o, "devices");
    jo_int(o, "total", t->total);
    for (enum device_state s = 0; s < DEVICE_STATES; s++)
        jo_int(o, device_state_names[s], t->device[s]);
    jo_end(o);
}

static void write_ratio(struct json_out *o, const char *key, int64_t part, int64_t whole,
                        int64_t scale)
{
    if (whole > 0)
        jo_fixed(o, key, (int64_t)((__int128)part * scale * 1000 / whole), 1000);
    else
        jo_null(o, key);
}

static void write_targets(struct json_out *o, struct call *c, const struct engine_stats *s,
                          const struct today *t)
{
    int64_t whole = 0;
    for (enum bucket b = 0; b < BUCKET_COUNT; b++)
        whole += t->bucket[b];
    struct waits waits = s->waits; /* with those of before: a restart does not begin them anew */
    histogram_merge(&waits.submit_to_start, &s->before.submit_to_start);
    histogram_merge(&waits.wait, &s->before.wait);
    write_percentiles(o, "submit_to_start_ms", &waits.submit_to_start);
    write_percentiles(o, "wait_to_start_ms", &waits.wait);
    write_percentiles(o, "status_latency_ms", &c->api->status_latency);
    write_ratio(o, "gpu_busy_percent", t->bucket[BUCKET_JOBS], whole, 100);
    write_ratio(o, "wait_run_ratio", waits.wait_ms + s->before.wait_ms,
                waits.run_ms + s->before.run_ms, 1);
}

/* Where Workflows are shown, for links. */
static void write_argo(struct json_out *o, const struct api_config *config)
{
    if (!config->argo_url || !config->argo_ns) {
        jo_null(o, "argo");
        return;
    }
    jo_object(o, "argo");
    jo_text(o, "url", config->argo_url);
    jo_text(o, "namespace", config->argo_ns);
    jo_end(o);
}

void serve_status(struct call *c)
{
    const struct engine_view *view = engine_view_get(c->api->engine);
    const struct fleet_view *v = &view->fleet;
    const struct engine_stats *s = &view->stats;
    struct today today;
    sum_up(v, c->now_ms, &today);

    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_text(&o, "version", REEVE_VERSION);
    jo_text(&o, "site", v->site);
    jo_int(&o, "uptime_ms", c->now_ms - s->started_ms);
    jo_time(&o, "now", c->now_ms);
    jo_int(&o, "queue_length", fleet_queue_length(v));
    jo_int(&o, "running", v->running.count);
    jo_int(&o, "completed", v->completed);
    jo_int(&o, "failed", v->failed);
    jo_int(&o, "cancelled", v->cancelled);
    write_nodes(&o, v);
    write_devices(&o, &today);
    write_targets(&o, c, s, &today);
    if (caller_scope(&c->caller, PERMISSION_COST) == SCOPE_ALL) {
        jo_int(&o, "cost_today_micros", today.cost_micros);
        jo_text(&o, "currency", v->policy.currency);
        jo_fixed(&o, "energy_today_joules", today.energy_mj, 1000);
    }
    device_time_write(&o, "time", today.bucket);
    jo_int(&o, "ledger_seq", v->last_seq);
    jo_bool(&o, "disk_full", s->disk_full);
    const struct api_neighbour *redis = &c->api->config.redis;
    if (redis->metrics)
        redis->status(redis->arg, &o, caller_scope(&c->caller, PERMISSION_OPERATE) == SCOPE_ALL);
    write_argo(&o, &c->api->config);
    jo_end(&o);
    engine_view_release(c->api->engine, view);
    call_answer(c);
}

void serve_whoami(struct call *c)
{
    if (c->caller.kind != CALLER_PRINCIPAL) {
        call_refuse(c, ERR_DENIED, "this token belongs to nobody");
        return;
    }
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    auth_write_principal(&o, c->caller.name, c->caller.role);
    jo_time(&o, "expires_at", c->caller.expires_ms);
    jo_end(&o);
    call_answer(c);
}
