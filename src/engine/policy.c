/* The policy that configuration wants, in force: a ledger row, and word of it to the agents. */
#include "base/json_out.h"
#include "base/mem.h"
#include "engine/internal.h"

static bool policy_differs(const struct policy *a, const struct policy *b)
{
    struct policy x = *a, y = *b;
    x.version = y.version = 0;
    return memcmp(&x, &y, sizeof x) != 0;
}

bool policy_follow(struct engine *g)
{
    const struct policy *now = &g->core.fleet->view.policy, *want = &g->config.policy;
    if (!policy_differs(now, want))
        return false;
    struct event ev = {.kind = EVENT_ID_POLICY_SET};
    ev.POLICY_SET.version = now->version + 1;
    ev.POLICY_SET.gate_off = want->gate_off;
    ev.POLICY_SET.gate_free_mib = want->gate_free_mib;
    ev.POLICY_SET.gate_gpu_pct = want->gate_gpu_pct;
    ev.POLICY_SET.gate_cpu_pct = want->gate_cpu_pct;
    ev.POLICY_SET.gate_memory_pct = want->gate_memory_pct;
    ev.POLICY_SET.gpu_hour_micros = want->gpu_hour_micros;
    ev.POLICY_SET.kwh_micros = want->kwh_micros;
    ev.POLICY_SET.pue_milli = want->pue_milli;
    ev.POLICY_SET.lost_after_ms = want->lost_after_ms;
    event_set_text(ev.POLICY_SET.currency, want->currency);
    engine_event(g, &ev);
    return true;
}

/* Agents got the gate's thresholds with their welcome. */
static void tell_nodes(struct engine *g)
{
    const struct fleet_view *v = &g->core.fleet->view;
    for (int64_t id = 1; id <= v->node_count; id++) {
        if (!g->nodes[id].linked[LINK_AGENT])
            continue;
        struct text t = {0};
        struct json_out o = {.text = &t};
        jo_object(&o, NULL);
        jo_text(&o, "type", "gate");
        policy_write_gate(&v->policy, &o);
        jo_end(&o);
        send_line(g, LINK_AGENT, id, &t);
    }
}

void policy_write_gate(const struct policy *p, struct json_out *o)
{
    jo_object(o, "gate");
    jo_bool(o, "off", p->gate_off);
    jo_int(o, "free_mib", p->gate_free_mib);
    jo_int(o, "gpu_pct", p->gate_gpu_pct);
    jo_int(o, "cpu_pct", p->gate_cpu_pct);
    jo_int(o, "memory_pct", p->gate_memory_pct);
    jo_end(o);
}

bool engine_reload(struct engine *g, const struct engine_config *config)
{
    if (g->broken || g->stopping)
        return false;
    g->config.policy = config->policy;
    g->config.silence_ms = config->silence_ms;
    g->config.retry_pause_ms = config->retry_pause_ms;
    if (!policy_follow(g))
        return false;
    tell_nodes(g);
    return true;
}
