/* Nodes and devices, with what was measured of them last. */
#include "api/fleet_json.h"

#include "api/door.h"
#include "api/handlers.h"
#include "api/job_json.h"
#include "core/meter/meter.h"

const char *const device_state_names[DEVICE_STATES] = {"available", "allocated", "busy", "faulty",
                                                       "unknown"};

enum device_state device_state(const struct fleet_view *v, const struct device *d)
{
    const struct node *n = fleet_node(v, d->node);
    if (d->health == DEVICE_FAULTY)
        return DEVICE_STATE_FAULTY;
    if (d->attempt != NO_ROW)
        return DEVICE_STATE_ALLOCATED;
    if (d->health != DEVICE_OK || d->twin || !n || n->state != NODE_READY)
        return DEVICE_STATE_UNKNOWN;
    return d->busy || d->foreign ? DEVICE_STATE_BUSY : DEVICE_STATE_AVAILABLE;
}

bool device_is_shown(const struct fleet_view *v, const struct device *d)
{
    const struct node *n = fleet_node(v, d->node);
    /* One that a cluster counted, and that goes by its own name now, was never another one. */
    bool renamed = d->health == DEVICE_GONE && d->attempt == NO_ROW && device_is_counted(d);
    return n && n->state != NODE_RETIRED_ && !renamed;
}

void device_time_now(const struct fleet_view *v, const struct device *d, int64_t now_ms,
                     struct device *ret)
{
    *ret = *d;
    meter_advance(v, ret, now_ms, NULL, NULL);
}

void device_time_write(struct json_out *o, const char *key, const int64_t bucket[BUCKET_COUNT])
{
    int64_t total = 0;
    jo_object(o, key);
    for (enum bucket b = 0; b < BUCKET_COUNT; b++) {
        char name[32];
        /* Kept in microseconds x thousandths of the device. */
        snprintf(name, sizeof name, "%s_us", b == BUCKET_FOREIGN ? "foreign" : bucket_name(b));
        jo_int(o, name, bucket[b] / 1000);
        total += bucket[b] / 1000;
    }
    jo_int(o, "total_us", total);
    jo_end(o);
}

/* ---- devices ---- */

struct fleet_writer {
    struct call *call;
    const struct engine_view *held;
    const struct fleet_view *view; /* of it */
    struct device_samples samples;
};

static void write_reading(struct json_out *o, const char *key, const struct device_sample *s,
                          enum device_reading reading, int64_t scale)
{
    if (!s || !s->has[reading])
        jo_null(o, key);
    else if (scale == 1)
        jo_int(o, key, s->value[reading]);
    else
        jo_fixed(o, key, s->value[reading], scale);
}

static void write_figures(struct fleet_writer *w, struct json_out *o, const struct device *d)
{
    const struct device_sample *s = device_samples_find(&w->samples, d->uuid);
    if (s && s->has[READING_MEMORY_USED_MIB])
        jo_int(o, "memory_used_mib", s->value[READING_MEMORY_USED_MIB]);
    else
        jo_int(o, "memory_used_mib", (int64_t)d->memory_mib - d->free_mib);
    write_reading(o, "gpu_utilization", s, READING_GPU_PCT, 1);
    write_reading(o, "power_watts", s, READING_POWER_MW, 1000);
    write_reading(o, "temperature_celsius", s, READING_CELSIUS, 1);

    struct device now;
    device_time_now(w->view, d, w->call->now_ms, &now);
    device_time_write(o, "time", now.bucket);
}

static void write_health(struct fleet_writer *w, struct json_out *o, const struct device *d)
{
    const struct fleet_view *v = w->view;
    auto_text struct text twin = {0};
    const char *health = device_health_name(d->health);
    if (d->twin) {
        text_addf(&twin, "not used: node %s has a GPU with the same UUID",
                  fleet_node(v, fleet_device(v, d->twin)->node)->name);
        health = text_get(&twin);
    } else if (d->health != DEVICE_OK && d->why[0]) {
        health = d->why;
    }
    job_write_sentence(o, "health", &w->call->caller, health);
}

static void write_device(struct fleet_writer *w, struct json_out *o, const struct device *d)
{
    const struct fleet_view *v = w->view;
    const struct caller *who = &w->call->caller;
    const struct node *n = fleet_node(v, d->node);
    const struct attempt *a = d->attempt == NO_ROW ? NULL : fleet_attempt_at(v, d->attempt);
    const struct job *j = a ? fleet_job_at(v, a->job_row) : NULL;

    jo_object(o, NULL);
    jo_int(o, "id", d->id);
    jo_text(o, "node", n->name);
    jo_int(o, "index", d->number);
    jo_text(o, "uuid", d->uuid);
    jo_text(o, "vendor", d->vendor);
    jo_text(o, "model", d->model);
    jo_text(o, "state", device_state_names[device_state(v, d)]);
    jo_int(o, "memory_total_mib", d->memory_mib);
    write_health(w, o, d);
    if (j) {
        enum sight sight = caller_sight(who, j->principal, j->submitter);
        jo_object(o, "job");
        jo_int(o, "id", j->id);
        job_write_user(o, "user", v, j->principal, caller_sees_user(w->call->api, sight));
        jo_end(o);
    } else {
        jo_null(o, "job");
    }
    /* Who may see only what is theirs sees the figures of devices that their jobs hold. */
    if (w->call->scope == SCOPE_ALL || (j && (who->id == j->principal || who->id == j->submitter)))
        write_figures(w, o, d);
    jo_end(o);
}

static int begin(struct call *c, struct fleet_writer *ret, struct err *e)
{
    *ret = (struct fleet_writer){.call = c};
    if (samples_of_devices(c->api->config.tsdb, c->now_ms, &ret->samples, e) < 0)
        return -1;
    ret->held = engine_view_get(c->api->engine);
    ret->view = &ret->held->fleet;
    return 0;
}

static void end(struct fleet_writer *w)
{
    engine_view_release(w->call->api->engine, w->held);
    device_samples_done(&w->samples);
}

int read_devices(struct call *c, struct store_reader *r, struct err *e)
{
    (void)r;
    struct fleet_writer w;
    if (begin(c, &w, e) < 0)
        return -1;
    struct json_out o = call_out(c);
    int64_t count = 0, id = c->cursor + 1;
    jo_object(&o, NULL);
    jo_list(&o, "items");
    for (; id <= w.view->device_count && count < c->limit; id++) {
        const struct device *d = fleet_device(w.view, id);
        if (!device_is_shown(w.view, d))
            continue;
        write_device(&w, &o, d);
        count++;
    }
    jo_end(&o);
    call_write_cursor(&o, id <= w.view->device_count ? id - 1 : 0);
    jo_end(&o);
    end(&w);
    return 0;
}

int read_device(struct call *c, struct store_reader *r, struct err *e)
{
    (void)r;
    int64_t id;
    struct fleet_writer w;
    if (call_param_id(c, 0, "device", &id, e) < 0 || begin(c, &w, e) < 0)
        return -1;
    const struct device *d = fleet_device(w.view, id);
    bool found = d && device_is_shown(w.view, d);
    struct json_out o = call_out(c);
    if (found)
        write_device(&w, &o, d);
    end(&w);
    return found ? 0 : err_set(e, ERR_NOT_FOUND, "there is no device %lld", (long long)id);
}

/* ---- nodes ---- */

static void write_node(struct fleet_writer *w, struct json_out *o, const struct node *n)
{
    const struct fleet_view *v = w->view;
    struct link_state link = links_get(w->call->api->links, n->id);
    jo_object(o, NULL);
    jo_int(o, "id", n->id);
    jo_text(o, "name", n->name);
    jo_text(o, "state", node_state_name((enum node_state)n->state));
    jo_time(o, "since", n->since_ms ? n->since_ms : n->enrolled_ms);
    jo_text(o, "version", n->version[0] ? n->version : NULL);
    if (n->version[0]) {
        jo_fixed(o, "cpu", n->cpu_milli, 1000);
        jo_int(o, "memory", n->memory_mib);
        jo_text(o, "isolation", isolation_name(n->isolation));
    } else { /* never heard */
        jo_null(o, "cpu");
        jo_null(o, "memory");
        jo_null(o, "isolation");
    }
    jo_bool(o, "connected", n->cluster[0] ? n->state == NODE_READY : link.linked);
    jo_bool(o, "agent", link.linked);
    jo_text(o, "cluster", n->cluster[0] ? n->cluster : NULL);
    jo_bool(o, "cordoned", n->cordoned);
    job_write_sentence(o, "refuses", &w->call->caller, n->share_why);
    jo_int(o, "foreign_gpus", n->foreign_gpus);
    if (link.has_skew)
        jo_int(o, "skew_ms", link.skew_ms);
    else
        jo_null(o, "skew_ms");
    jo_time(o, "last_report_at", link.last_report_ms);
    jo_list(o, "devices");
    for (uint32_t d = n->devices ? n->first_device : NO_ROW; d != NO_ROW;) {
        const struct device *device = fleet_device(v, d);
        if (device_is_shown(v, device))
            write_device(w, o, device);
        d = device->next_on_node;
    }
    jo_end(o);
    jo_end(o);
}

int read_nodes(struct call *c, struct store_reader *r, struct err *e)
{
    (void)r;
    struct fleet_writer w;
    if (begin(c, &w, e) < 0)
        return -1;
    struct json_out o = call_out(c);
    int64_t count = 0, id = c->cursor + 1;
    jo_object(&o, NULL);
    jo_list(&o, "items");
    for (; id <= w.view->node_count && count < c->limit; id++) {
        const struct node *n = fleet_node(w.view, id);
        if (n->state == NODE_RETIRED_)
            continue;
        write_node(&w, &o, n);
        count++;
    }
    jo_end(&o);
    call_write_cursor(&o, id <= w.view->node_count ? id - 1 : 0);
    jo_end(&o);
    end(&w);
    return 0;
}

int read_node(struct call *c, struct store_reader *r, struct err *e)
{
    (void)r;
    struct fleet_writer w;
    if (begin(c, &w, e) < 0)
        return -1;
    const struct node *n = fleet_node_named(w.view, c->param[0]);
    struct json_out o = call_out(c);
    if (n)
        write_node(&w, &o, n);
    end(&w);
    return n ? 0 : err_set(e, ERR_NOT_FOUND, "there is no node '%.64s'", c->param[0]);
}

/* ---- an operator's and an administrator's word ---- */

static bool find_node(struct call *c)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    const struct node *n = fleet_node_named(&v->fleet, c->param[0]);
    c->subject = n ? n->id : 0;
    engine_view_release(c->api->engine, v);
    if (!n)
        call_refuse(c, ERR_NOT_FOUND, "there is no node '%.64s'", c->param[0]);
    return n != NULL;
}

static void answer_node(struct call *c, struct command *command)
{
    (void)command;
    call_read(c, read_node, NULL);
}

void serve_node_lost(struct call *c)
{
    if (!find_node(c))
        return;
    struct command *command = command_new(COMMAND_NODE_LOST);
    command->id = c->subject;
    snprintf(command->why, sizeof command->why, "declared by %s", c->caller.name);
    call_idempotency(c, command);
    call_command(c, command, answer_node);
}

void serve_node_retire(struct call *c)
{
    if (!find_node(c))
        return;
    struct command *command = command_new(COMMAND_NODE_RETIRE);
    command->id = c->subject;
    snprintf(command->why, sizeof command->why, "retired by %s", c->caller.name);
    call_command(c, command, call_answer_gone);
}
