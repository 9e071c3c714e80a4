/* Charts as answers: of the fleet just now, and of one attempt. */
#include "api/auth.h"
#include "api/chart.h"
#include "api/door.h"
#include "api/fleet_json.h"
#include "api/handlers.h"
#include "base/mem.h"

enum {
    POINTS_MOST = 1440,
    ALL_POINTS_MOST = 100000, /* of all items together */
    SPAN_MS = 3600000,
    STEP_MS = 60000,
};

struct chart_question {
    enum chart_kind kind;
    int64_t since_ms, step_ms;
    const char *id;
};

static int read_span(struct call *c, const char *name, int64_t least, int64_t fallback,
                     int64_t *ret, struct err *e)
{
    const char *value = http_query_get(c->request, name);
    char what[32];
    *ret = fallback;
    if (!value)
        return 0;
    snprintf(what, sizeof what, "parameter %s", name);
    if (text_to_duration_ms(value, what, ret, e) < 0)
        return err_blame(e, "%s", name);
    if (*ret >= least && *ret <= INT64_C(30) * 86400000)
        return 0;
    err_set(e, ERR_INVALID, "parameter %s must be between %lld s and 30 days", name,
            (long long)least / 1000);
    return err_blame(e, "%s", name);
}

static int read_question(struct call *c, struct chart_question *ret, struct chart *chart,
                         struct err *e)
{
    const char *of = http_query_get(c->request, "of");
    *ret = (struct chart_question){.id = http_query_get(c->request, "id")};
    if (of && strcmp(of, "nodes") == 0) {
        ret->kind = CHART_NODES;
    } else if (of && strcmp(of, "devices") != 0) {
        err_set(e, ERR_INVALID, "parameter of must be devices or nodes");
        return err_blame(e, "of");
    }
    if (read_span(c, "since", 1000, SPAN_MS, &ret->since_ms, e) < 0 ||
        read_span(c, "step", 1000, STEP_MS, &ret->step_ms, e) < 0)
        return -1;
    int64_t points = (ret->since_ms + ret->step_ms - 1) / ret->step_ms;
    if (points > POINTS_MOST) {
        err_set(e, ERR_INVALID,
                "that would be %lld points, but %d are the most: ask for a larger step",
                (long long)points, POINTS_MOST);
        return err_blame(e, "step");
    }
    /* Whole steps, so that who asks again gets the same ones. The last one is not over yet. */
    int64_t end = (c->now_ms / ret->step_ms + 1) * ret->step_ms;
    chart->kind = ret->kind;
    chart->step_ms = ret->step_ms;
    chart->points = (size_t)points;
    chart->from_ms = end - points * ret->step_ms;
    return chart_read_metrics(ret->kind, http_query_get(c->request, "metrics"), &chart->metrics, e);
}

/* Who may see only what is theirs sees devices that their jobs hold, and since when. */
static bool is_shown(const struct call *c, const struct fleet_view *v, const struct device *d,
                     int64_t *ret_since_ms)
{
    *ret_since_ms = 0;
    if (!device_is_shown(v, d))
        return false;
    if (c->scope == SCOPE_ALL)
        return true;
    if (d->attempt == NO_ROW)
        return false;
    const struct attempt *a = fleet_attempt_at(v, d->attempt);
    const struct job *j = fleet_job_at(v, a->job_row);
    *ret_since_ms = a->decided_ms;
    return c->caller.id == j->principal || c->caller.id == j->submitter;
}

static int add_devices(const struct call *c, const struct fleet_view *v,
                       const struct chart_question *q, struct chart *chart, struct err *e)
{
    int64_t only = 0, since_ms;
    if (q->id && (text_to_int(q->id, 1, v->device_count, "device", &only, NULL) < 0 ||
                  !is_shown(c, v, fleet_device(v, only), &since_ms))) {
        err_set(e, ERR_NOT_FOUND, "there is no device '%.40s' that could be shown", q->id);
        return err_blame(e, "id");
    }
    for (int64_t id = only ? only : 1; id <= (only ? only : v->device_count); id++) {
        const struct device *d = fleet_device(v, id);
        if (is_shown(c, v, d, &since_ms))
            chart_add(chart, d->uuid, id, since_ms);
    }
    return 0;
}

/* A node's figures are those of all who use it, so they are for those who see all. */
static int add_nodes(const struct call *c, const struct fleet_view *v,
                     const struct chart_question *q, struct chart *chart, struct err *e)
{
    if (c->scope != SCOPE_ALL)
        return 0;
    if (q->id && !fleet_node_named(v, q->id)) {
        err_set(e, ERR_NOT_FOUND, "there is no node '%.64s'", q->id);
        return err_blame(e, "id");
    }
    for (int64_t id = 1; id <= v->node_count; id++) {
        const struct node *n = fleet_node(v, id);
        if (n->state != NODE_RETIRED_ && (!q->id || strcmp(n->name, q->id) == 0))
            chart_add(chart, n->name, 0, 0);
    }
    return 0;
}

int read_samples(struct call *c, struct store_reader *r, struct err *e)
{
    (void)r;
    struct chart_question q;
    auto_chart struct chart chart = {0};
    if (read_question(c, &q, &chart, e) < 0)
        return -1;
    const struct engine_view *v = engine_view_get(c->api->engine);
    int rc = q.kind == CHART_DEVICES ? add_devices(c, &v->fleet, &q, &chart, e)
                                     : add_nodes(c, &v->fleet, &q, &chart, e);
    engine_view_release(c->api->engine, v);
    if (rc < 0)
        return -1;
    if (chart.count * chart.points > ALL_POINTS_MOST) {
        err_set(e, ERR_INVALID,
                "%zu times %zu points are too many for one answer: ask for a shorter time, a "
                "larger step or one id",
                chart.count, chart.points);
        return err_blame(e, "step");
    }
    if (chart_read(&chart, c->api->config.tsdb, e) < 0)
        return -1;
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    chart_write(&chart, &o);
    jo_end(&o);
    return 0;
}
