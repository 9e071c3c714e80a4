#include "api/agents.h"

#include "api/door.h"
#include "api/handlers.h"
#include "api/report.h"
#include "api/samples.h"
#include "base/mem.h"

enum { KEEP_ALIVE_S = 10 };

/* One agent's stream of commands. */
struct agent_link {
    struct agent_hub *hub;
    struct agent_link *next;
    int64_t node;
    struct http_stream *stream;
    bool current; /* not replaced by a newer one of the same node */
    bool told_up; /* the engine knows that it is up */
};

struct agent_hub {
    struct api *api;
    struct agent_link *first;
    int64_t *to_tell_down; /* nodes whose loss the engine has to hear yet */
    size_t down_count;
};

struct agent_hub *agents_new(struct api *a)
{
    struct agent_hub *h = mem_new(struct agent_hub);
    h->api = a;
    return h;
}

void agents_free(struct agent_hub *h)
{
    if (!h)
        return;
    free(h->to_tell_down);
    free(h);
}

static struct agent_link *current_link(struct agent_hub *h, int64_t node)
{
    struct agent_link *l = h->first;
    while (l && (l->node != node || !l->current))
        l = l->next;
    return l;
}

/* ---- telling the engine ---- */

static void on_told(struct command *command)
{
    struct api *a = command->arg;
    command_free(command);
    api_work_done(a);
}

static bool tell(struct agent_hub *h, int64_t node, bool linked)
{
    struct api *a = h->api;
    struct command *command = command_new(COMMAND_LINK);
    command->node = node;
    command->linked = linked;
    command->on_done = on_told;
    command->reply_to = a->box;
    command->arg = a;
    a->under_way++;
    if (engine_command(a->engine, command))
        return true;
    a->under_way--;
    command_free(command);
    return false; /* the next tick tries again */
}

static void tell_down(struct agent_hub *h, int64_t node)
{
    links_set_linked(h->api->links, node, false);
    if (tell(h, node, false))
        return;
    h->to_tell_down = mem_resize_array(h->to_tell_down, h->down_count + 1);
    h->to_tell_down[h->down_count++] = node;
}

/* ---- the stream ---- */

static void on_close(void *arg, struct http_stream *stream)
{
    struct agent_link *l = arg;
    struct agent_hub *h = l->hub;
    struct agent_link **link = &h->first;
    (void)stream;
    while (*link != l)
        link = &(*link)->next;
    *link = l->next;
    if (l->current && l->told_up)
        tell_down(h, l->node);
    free(l);
}

static char *welcome(struct call *c)
{
    const struct engine_view *view = engine_view_get(c->api->engine);
    const struct fleet_view *v = &view->fleet;
    struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_text(&o, "type", "welcome");
    jo_int(&o, "epoch", v->epoch);
    jo_int(&o, "server_time_ms", c->now_ms);
    jo_int(&o, "node_id", c->caller.id);
    jo_text(&o, "node", c->caller.name);
    jo_text(&o, "site", v->site);
    jo_int(&o, "sample_ms", c->api->config.sample_ms);
    policy_write_gate(&v->policy, &o);
    jo_end(&o);
    text_add_char(&t, '\n');
    engine_view_release(c->api->engine, view);
    return text_take(&t);
}

void serve_agent_stream(struct call *c)
{
    struct agent_hub *h = c->api->agents;
    if (http_request_method(c->request) == HTTP_HEAD) {
        c->answer.type = "application/x-ndjson";
        call_answer(c);
        return;
    }
    auto_free char *first_line = welcome(c);
    struct agent_link *old = current_link(h, c->caller.id);
    struct agent_link *l = mem_new(struct agent_link);
    struct http_stream_events on = {.on_close = on_close, .arg = l};
    *l = (struct agent_link){.hub = h, .next = h->first, .node = c->caller.id, .current = true};
    l->stream = http_stream_begin(c->request, 200, "application/x-ndjson", NULL, &on);
    if (!l->stream) { /* no descriptor is left, and that was answered */
        free(l);
        return;
    }
    h->first = l;
    if (old) { /* it has lost the old one and we have not noticed */
        old->current = false;
        http_stream_cut(old->stream);
    }
    http_stream_write(l->stream, first_line, strlen(first_line));
    links_set_linked(h->api->links, l->node, true);
    engine_node_heard(h->api->engine, LINK_AGENT, l->node);
    l->told_up = tell(h, l->node, true);
}

struct line {
    struct api *api;
    int64_t node;
    char *text;
};

static void on_line(void *message)
{
    struct line *m = message;
    struct agent_link *l = current_link(m->api->agents, m->node);
    if (l) {
        struct text t = {0};
        text_add(&t, m->text);
        text_add_char(&t, '\n');
        /* One that takes nothing any more comes back and is told everything again. */
        if (!http_stream_write(l->stream, text_get(&t), t.len))
            http_stream_cut(l->stream);
        text_done(&t);
    }
    free(m->text);
    free(m);
}

void agents_send(void *arg, int64_t node, char *line)
{
    struct api *a = arg;
    struct line *m = mem_new(struct line);
    *m = (struct line){a, node, line};
    if (mailbox_post_answer(a->box, on_line, m))
        return;
    free(line);
    free(m);
}

void agents_tick(struct agent_hub *h, int64_t ticks)
{
    if (h->api->stopping)
        return;
    while (h->down_count && tell(h, h->to_tell_down[h->down_count - 1], false))
        h->down_count--;
    for (struct agent_link *l = h->first; l; l = l->next) {
        if (l->current && !l->told_up)
            l->told_up = tell(h, l->node, true);
        if ((ticks + l->node) % KEEP_ALIVE_S == 0)
            http_stream_write(l->stream, "\n", 1);
    }
}

/* ---- reports ---- */

static void answer_report(struct call *c, struct command *command)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    struct json_out o = call_out(c);
    (void)command;
    jo_object(&o, NULL);
    jo_int(&o, "acked", c->subject);
    jo_int(&o, "epoch", v->fleet.epoch);
    jo_end(&o);
    engine_view_release(c->api->engine, v);
    call_answer(c);
}

/* Only of jobs that run on this node. */
static void take_progress(struct call *c, const struct report_in *in)
{
    const struct engine_view *v = engine_view_get(c->api->engine);
    for (size_t i = 0; i < in->progress_count; i++) {
        const struct progress_report *p = &in->progress[i];
        const struct job *j = fleet_job(&v->fleet, p->job);
        const struct attempt *a = j ? fleet_job_attempt(&v->fleet, j) : NULL;
        struct job_progress value = p->value;
        value.at_ms = c->now_ms;
        if (a && a->n == value.n && a->node == c->caller.id)
            progress_set(c->api->progress, p->job, &value);
    }
    for (size_t i = 0; i < in->report->meter_count; i++) {
        const struct meter_report *m = &in->report->meters[i];
        const struct job *j = fleet_job(&v->fleet, m->job);
        const struct attempt *a = j ? fleet_job_attempt(&v->fleet, j) : NULL;
        struct job_meter value = {m->n, m->energy_mj, m->measured};
        if (a && a->n == m->n && a->node == c->caller.id)
            progress_set_meter(c->api->progress, m->job, &value);
    }
    engine_view_release(c->api->engine, v);
}

void serve_agent_report(struct call *c)
{
    auto_json json_t *object = NULL;
    struct report_in in = {0};
    struct err e = {0};
    if (call_json(c, &object, &e) < 0 || report_read(object, &in, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    int64_t skew_ms = in.now_ms - c->now_ms;
    links_reported(c->api->links, c->caller.id, c->now_ms, in.now_ms ? &skew_ms : NULL);
    engine_node_heard(c->api->engine, LINK_AGENT, c->caller.id);
    take_progress(c, &in);

    struct command *command = command_new(COMMAND_REPORT);
    command->report = TAKE(in.report);
    command->report->node = c->caller.id;
    c->subject = in.seq;
    report_in_done(&in);
    call_command(c, command, answer_report);
}

/* ---- output of jobs, on a worker ---- */

struct output {
    struct log_ref ref;
    int64_t offset;
    bool end;
};

struct finding {
    int64_t n, node;
    bool found;
};

static int on_attempt(void *arg, enum table_id table, const void *record)
{
    struct finding *f = arg;
    const struct attempt_row *row = record;
    (void)table;
    if (row->n == f->n) {
        f->node = row->node;
        f->found = true;
    }
    return 0;
}

/* A node's key speaks of attempts of its own node only. */
static int check_attempt(struct call *c, struct store_reader *r, const struct log_ref *ref,
                         struct err *e)
{
    struct engine *g = c->api->engine;
    struct finding f = {.n = ref->n};
    const struct engine_view *v = engine_view_get(g);
    const struct job *j = fleet_job(&v->fleet, ref->job);
    const struct attempt *a = j ? fleet_job_attempt(&v->fleet, j) : NULL;
    if (a && a->n == ref->n) {
        f.node = a->node;
        f.found = true;
    }
    engine_view_release(g, v);
    struct store_query q = {.id = QUERY_ATTEMPTS, .key = ref->job, .limit = STORE_LIMIT};
    if (!f.found && engine_store(g)->read(r, &q, on_attempt, &f, e) < 0)
        return -1;
    if (!f.found)
        return err_set(e, ERR_NOT_FOUND, "job %lld has no attempt %lld", (long long)ref->job,
                       (long long)ref->n);
    if (f.node != c->caller.id)
        return err_set(e, ERR_DENIED, "attempt %lld of job %lld is not of node '%s'",
                       (long long)ref->n, (long long)ref->job, c->caller.name);
    return 0;
}

static int take_output(struct call *c, struct store_reader *r, struct err *e)
{
    const struct output *out = c->own;
    const struct api_config *config = &c->api->config;
    struct log_info info;
    size_t len;
    const char *body = http_request_body(c->request, &len);
    if (check_attempt(c, r, &out->ref, e) < 0)
        return -1;
    int64_t next = 0;
    if (len && config->log_ops->append(config->logs, out->ref, out->offset, body, (int64_t)len,
                                       &next, e) < 0)
        return -1;
    if (out->end && config->log_ops->end(config->logs, out->ref, -1, e) < 0)
        return -1;
    if (!len) {
        if (config->log_ops->info(config->logs, out->ref, &info, e) < 0)
            return -1;
        next = info.end;
    }
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_int(&o, "next", next);
    jo_end(&o);
    return 0;
}

void serve_agent_logs(struct call *c)
{
    struct output *out = mem_new(struct output);
    struct err e = {0};
    c->own = out;
    c->own_free = free;
    if (call_param_id(c, 0, "job", &out->ref.job, &e) < 0 ||
        call_param_id(c, 1, "attempt", &out->ref.n, &e) < 0 ||
        call_query_int(c, "offset", 0, INT64_C(1) << 53, -1, &out->offset, &e) < 0 ||
        call_query_bool(c, "end", &out->end, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    if (out->offset < 0) {
        err_set(&e, ERR_INVALID, "parameter offset is missing");
        err_blame(&e, "offset");
        call_fail(c, &e);
        return;
    }
    engine_node_heard(c->api->engine, LINK_AGENT, c->caller.id);
    call_read(c, take_output, NULL);
}

/* ---- samples, on a worker ---- */

static int take_samples(struct call *c, struct store_reader *r, struct err *e)
{
    size_t len;
    const char *body = http_request_body(c->request, &len);
    const char *node = c->caller.kind == CALLER_NODE ? c->caller.name : NULL;
    (void)r;
    if (samples_take(c->api->config.tsdb, body, len, node, c->now_ms, e) < 0)
        return -1;
    __atomic_add_fetch(&c->api->sample_version, 1, __ATOMIC_RELAXED);
    c->answer.status = 204;
    return 0;
}

void serve_write(struct call *c)
{
    call_read(c, take_samples, NULL);
}

void serve_agent_write(struct call *c)
{
    engine_node_heard(c->api->engine, LINK_AGENT, c->caller.id);
    call_read(c, take_samples, NULL);
}
