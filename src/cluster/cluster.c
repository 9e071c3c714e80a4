/* The cluster as a whole: its thread, its watches, and what happens every second. */
#include "cluster/cluster.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/output.h"

enum {
    MAILBOX_MOST = 65536,
    SUM_MS = 200,        /* other people's pods are summed up so often at most */
    PING_MS = 5000,      /* of silence of all watches: does the API server answer? */
    PATIENCE_MS = 12000, /* without an answer: it does not */
};

/* ---- for the other files ---- */

struct kube_client *cluster_client(struct cluster *c, const struct kube_runner *r)
{
    return r->transport == KUBE_BY_ARGO_SERVER && c->argo ? c->argo : c->client;
}

struct kube_call *cluster_send(struct cluster *c, const struct kube_runner *by,
                               const struct runner_request *r, kube_done *on_done, void *arg)
{
    return kube_send(cluster_client(c, by),
                     &(struct kube_request){.method = r->method,
                                            .target = text_get(&r->target),
                                            .type = r->type,
                                            .body = r->body.len ? text_get(&r->body) : NULL,
                                            .len = r->body.len,
                                            .repeatable = r->repeatable},
                     on_done, arg);
}

bool cluster_is_synced(const struct cluster *c)
{
    bool synced = c->nodes_synced && c->pods_synced && c->data_id[0];
    for (size_t i = 0; i < c->object_count; i++)
        synced = synced && (c->objects[i].is_synced || c->objects[i].is_absent);
    return synced;
}

bool cluster_ask(struct cluster *c, struct command *command, void (*on_done)(struct command *),
                 void *arg)
{
    command->on_done = on_done;
    command->reply_to = c->box;
    command->arg = arg;
    return !c->stopping && engine_command(c->engine, command);
}

static void on_soon(uv_timer_t *timer)
{
    struct cluster *c = timer->data;
    c->sums_due = false;
    if (c->nodes_synced && c->pods_synced)
        members_sum(c);
}

void cluster_sum_soon(struct cluster *c)
{
    if (c->sums_due || c->stopping)
        return;
    c->sums_due = true;
    uv_timer_start(&c->soon, on_soon, SUM_MS, 0);
}

static void on_tick(uv_timer_t *timer);

/* Not in a second, but now. */
static void tick_now(struct cluster *c)
{
    uv_timer_start(&c->tick, on_tick, 0, (uint64_t)c->config.tick_ms);
}

/* ---- what the watches say ---- */

static void on_node(void *arg, const struct kube_head *before, const struct kube_head *now)
{
    (void)before;
    member_on_node(arg, (const struct kube_node *)now);
}

static void on_node_gone(void *arg, const struct kube_head *last)
{
    member_on_gone(arg, last->name);
}

static void on_nodes_synced(void *arg)
{
    struct cluster *c = arg;
    c->nodes_synced = true;
    tick_now(c);
}

static void on_pod(void *arg, const struct kube_head *before, const struct kube_head *now)
{
    (void)before;
    objects_on_pod(arg, (const struct kube_pod *)now);
    cluster_sum_soon(arg);
}

static void on_pod_gone(void *arg, const struct kube_head *last)
{
    objects_on_pod_gone(arg, (const struct kube_pod *)last);
    cluster_sum_soon(arg);
}

static void on_pods_synced(void *arg)
{
    struct cluster *c = arg;
    if (!c->pods_synced) {
        members_sum(c);
        log_info("the cluster's pods are known", F_TEXT("cluster", c->config.name),
                 F_INT("attempts", c->track_count));
    }
    c->pods_synced = true;
    tick_now(c);
}

static void on_trouble(void *arg, const struct err *why)
{
    struct cluster *c = arg;
    if (c->trouble_ms)
        return;
    c->trouble_ms = cluster_now();
    log_warn("the cluster cannot be watched just now", F_TEXT("cluster", c->config.name),
             F_ERR(why));
}

static const struct kube_watch_ops node_ops = {on_node, on_node_gone, on_nodes_synced, on_trouble};
static const struct kube_watch_ops pod_ops = {on_pod, on_pod_gone, on_pods_synced, on_trouble};

/* ---- whether it answers ---- */

static void on_pinged(void *arg, const struct kube_answer *a)
{
    struct cluster *c = arg;
    c->ping = NULL;
    if (a->http_status && a->err.code != ERR_UNAVAILABLE)
        c->answered_ms = cluster_now();
}

static void ask_whether_it_is_there(struct cluster *c)
{
    c->ping = kube_send(
        c->client,
        &(struct kube_request){.target = "/version", .only_once = true, .timeout_ms = PING_MS},
        on_pinged, c);
}

static int64_t heard_ms(const struct kube_watch *w)
{
    struct kube_watch_stats stats;
    kube_watch_stats(w, &stats);
    return stats.heard_ms;
}

/* What is known of nodes is worth something while the watch of them goes on, or would. */
static void check_reach(struct cluster *c)
{
    int64_t now = cluster_now(), nodes = heard_ms(c->nodes), pods = heard_ms(c->pods);
    int64_t newest = nodes > pods ? nodes : pods, oldest = nodes < pods ? nodes : pods;
    if (newest > c->answered_ms)
        c->answered_ms = newest;
    if (c->trouble_ms && oldest > c->trouble_ms)
        c->trouble_ms = 0;
    if (!c->ping && now - c->answered_ms > PING_MS)
        ask_whether_it_is_there(c);
    bool was = c->is_reachable;
    c->is_reachable = c->answered_ms && now - c->answered_ms < PATIENCE_MS &&
                      (!c->trouble_ms || now - c->trouble_ms < PATIENCE_MS);
    if (was && !c->is_reachable)
        log_warn("the cluster does not answer; nothing new starts there",
                 F_TEXT("cluster", c->config.name),
                 F_TEXT("server", kube_client_server(c->client)));
    else if (!was && c->is_reachable)
        log_info("the cluster answers", F_TEXT("cluster", c->config.name),
                 F_TEXT("server", kube_client_server(c->client)));
}

/* ---- which cluster it is ---- */

static const struct kube_field no_fields[] = {{0}};
static const struct kube_kind namespaces = {.at = {"", "v1", "namespaces"},
                                            .kind = "Namespace",
                                            .cluster_scoped = true,
                                            .size = sizeof(struct kube_head),
                                            .fields = no_fields};

static void on_data_id(void *arg, const struct kube_answer *a)
{
    struct cluster *c = arg;
    struct kube_head *head;
    struct err e = a->err;
    c->data_call = NULL;
    if (e.code == ERR_NONE && kube_record_read(&namespaces, kube_client_build(c->client), a->body,
                                               a->len, &head, &e) == 0) {
        snprintf(c->data_id, sizeof c->data_id, "%.63s", head->uid[0] ? head->uid : "none");
        c->flush_due = true;
        free(head);
        return;
    }
    if (c->ticks % 30 < 2)
        log_warn("could not ask which cluster this is", F_TEXT("cluster", c->config.name),
                 F_ERR(&e));
}

static void ask_data_id(struct cluster *c)
{
    struct kube_object o = {.kind = &namespaces, .name = "kube-system"};
    if (!c->data_id[0] && !c->data_call && c->ticks % 2 == 0)
        c->data_call = kube_get(c->client, &o, on_data_id, c);
}

/* ---- every second, and every turn ---- */

static void on_tick(uv_timer_t *timer)
{
    struct cluster *c = timer->data;
    const struct engine_view *v = engine_view_get(c->engine);
    c->ticks++;
    ask_data_id(c);
    check_reach(c);
    members_tick(c, &v->fleet);
    tracks_tick(c, &v->fleet);
    engine_view_release(c->engine, v);
    outputs_tick(c);
}

static void on_prepare(uv_prepare_t *prepare)
{
    members_flush(prepare->data);
}

/* ---- start ---- */

static struct kube_config *argo_config(const struct kube_settings *s)
{
    struct kube_config *config = mem_new(struct kube_config);
    size_t len = strlen(s->argo_server);
    while (len && s->argo_server[len - 1] == '/')
        len--;
    config->source = mem_strdup("the settings of Argo Server");
    config->server = mem_strndup(s->argo_server, len);
    config->ns = mem_strdup(s->ns);
    config->token_file = s->argo_token_file ? mem_strdup(s->argo_token_file) : NULL;
    config->ca_file = s->argo_ca_file ? mem_strdup(s->argo_ca_file) : NULL;
    config->insecure = s->argo_insecure;
    return config;
}

static int start_agents(struct cluster *c, struct err *e)
{
    struct cluster_agents_config config = {.account = c->config.agent_account,
                                           .ca = c->config.ca_pem ? c->config.ca_map : NULL,
                                           .ca_pem = c->config.ca_pem};
    if (!config.account && !config.ca)
        return 0;
    return cluster_agents_start(c->client, c->box, &config, &c->agents, e);
}

static int on_start(void *arg, struct loop_thread *thread, struct err *e)
{
    struct cluster *c = arg;
    struct kube_client_options o = {.least_wait_ms = c->config.ask_ms / 10,
                                    .most_wait_ms = c->config.ask_ms * 5};
    c->thread = thread;
    c->loop = loop_thread_loop(thread);
    c->box = loop_thread_mailbox(thread);
    c->client = kube_client_new(c->loop, TAKE(c->config.kube), &o);
    if (c->config.settings.argo_server)
        c->argo = kube_client_new(c->loop, argo_config(&c->config.settings), &o);
    if (start_agents(c, e) < 0) {
        kube_client_free(c->argo);
        kube_client_free(c->client);
        return -1;
    }
    uv_timer_init(c->loop, &c->tick);
    uv_timer_init(c->loop, &c->soon);
    uv_prepare_init(c->loop, &c->prepare);
    c->tick.data = c->soon.data = c->prepare.data = c;
    uv_timer_start(&c->tick, on_tick, 0, (uint64_t)c->config.tick_ms);
    uv_prepare_start(&c->prepare, on_prepare);
    positions_load(c);
    c->nodes =
        kube_watch_start(c->client, &(struct kube_selection){.kind = &kube_nodes}, &node_ops, c);
    c->pods =
        kube_watch_start(c->client, &(struct kube_selection){.kind = &kube_pods}, &pod_ops, c);
    objects_start(c);
    if (c->config.guest.start)
        c->config.guest.start(c->config.guest.arg, c->engine, c->client, c->box);
    return 0;
}

/* ---- the end, in two steps ---- */

static void cancel_calls(struct cluster *c)
{
    struct kube_call **calls[] = {&c->data_call, &c->ping};
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        if (*calls[i]) {
            kube_cancel(*calls[i]);
            *calls[i] = NULL;
        }
    for (size_t i = 0; i < TRACK_BUCKETS; i++)
        for (struct track *t = c->tracks[i]; t; t = t->next_in_bucket) {
            struct kube_call **of_track[] = {&t->call, &t->events_call};
            for (size_t k = 0; k < COUNT_OF(of_track); k++)
                if (*of_track[k])
                    kube_cancel(TAKE(*of_track[k]));
        }
}

static void stop_asking(void *arg)
{
    struct cluster *c = arg;
    c->stopping = true;
    uv_timer_stop(&c->tick);
    uv_timer_stop(&c->soon);
    uv_prepare_stop(&c->prepare);
    cancel_calls(c);
    outputs_stop(c);
    objects_stop(c);
    if (c->config.guest.stop)
        c->config.guest.stop(c->config.guest.arg);
    cluster_agents_stop(c->agents);
    kube_watch_stop(c->pods);
    kube_watch_stop(c->nodes);
    kube_client_free(c->argo);
    kube_client_free(c->client);
    uv_sem_post(&c->stopped);
}

static void on_stop(void *arg, struct loop_thread *thread)
{
    struct cluster *c = arg;
    (void)thread;
    tracks_free(c);
    members_free(c);
    positions_done(c);
    uv_close((uv_handle_t *)&c->tick, NULL);
    uv_close((uv_handle_t *)&c->soon, NULL);
    uv_close((uv_handle_t *)&c->prepare, NULL);
}

static void free_config(struct cluster *c)
{
    cluster_agents_free(c->agents);
    kube_config_free(c->config.kube);
    kube_settings_done(&c->config.settings);
    uv_sem_destroy(&c->stopped);
    free(c);
}

int cluster_start(struct engine *g, const struct cluster_config *config, struct cluster **ret,
                  struct err *e)
{
    struct cluster *c = mem_new(struct cluster);
    struct loop_thread_config thread = {.name = "cluster",
                                        .most = MAILBOX_MOST,
                                        .on_start = on_start,
                                        .on_stop = on_stop,
                                        .arg = c};
    const struct engine_view *v = engine_view_get(g);
    c->config = *config;
    c->engine = g;
    c->config.tick_ms = config->tick_ms ? config->tick_ms : 1000;
    c->config.ask_ms = config->ask_ms ? config->ask_ms : 2000;
    c->config.press_ms = config->press_ms ? config->press_ms : 60000;
    snprintf(c->site, sizeof c->site, "%s", v->fleet.site);
    engine_view_release(g, v);
    uv_sem_init(&c->stopped, 0);
    if (!c->config.settings.ns)
        c->config.settings.ns = mem_strdup(config->kube->ns);
    if (loop_thread_start(&thread, &c->thread, e) < 0) {
        free_config(c);
        return -1;
    }
    engine_set_pod_namespace(g, c->config.settings.ns);
    engine_set_sender(g, LINK_CLUSTER, line_send, c);
    *ret = c;
    return 0;
}

bool cluster_vouch(struct cluster *c, const char *token,
                   void (*on_done)(void *own, const char *node, const struct err *why), void *own)
{
    return c && c->agents && cluster_agents_vouch(c->agents, token, on_done, own);
}

void cluster_stop(struct cluster *c)
{
    if (!c)
        return;
    engine_set_sender(c->engine, LINK_CLUSTER, NULL, NULL);
    if (mailbox_post_answer(c->box, stop_asking, c))
        uv_sem_wait(&c->stopped);
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    loop_thread_stop(c->thread);
    free_config(c);
}
