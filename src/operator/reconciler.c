/* The operator as a whole: its watches, and who is looked at when. */
#include "operator/reconciler.h"

#include "base/clock.h"
#include "base/log.h"
#include "kube/event.h"
#include "operator/internal.h"

#include <stdarg.h>

enum { CHECK_TICKS = 10 /* so often those are looked at that wait for something outside */ };

/* ---- who is looked at ---- */

void reconciler_due(struct wish *w)
{
    struct reconciler *o = w->of->reconciler;
    if (w->is_due || o->stopped)
        return;
    w->is_due = true;
    w->next_due = NULL;
    *o->last_due = w;
    o->last_due = &w->next_due;
}

static struct wish *pop(struct reconciler *o)
{
    struct wish *w = o->due;
    if (!w)
        return NULL;
    o->due = w->next_due;
    if (!o->due)
        o->last_due = &o->due;
    w->is_due = false;
    return w;
}

void reconciler_pump(struct reconciler *o)
{
    while (!o->stopped && o->is_synced && o->calls < CALLS_MOST && o->due)
        wish_step(pop(o));
}

/* A few at a time, so that the queue's places are told now and then, and whoever waits is heard. */
static void on_tick(uv_timer_t *timer)
{
    struct reconciler *o = timer->data;
    int64_t now = reconciler_mono();
    for (size_t i = 0; i < WISH_BUCKETS; i++)
        for (struct wish *w = o->by_uid[i]; w; w = w->next_by_uid)
            if (!w->call && !w->is_asking && !w->is_due &&
                ((w->again_ms && now >= w->again_ms) || (w->refresh_ms && now >= w->refresh_ms) ||
                 (!w->is_over && now - w->looked_ms >= o->config.tick_ms * CHECK_TICKS))) {
                w->looked_ms = now;
                reconciler_due(w);
            }
    reconciler_pump(o);
}

static void on_events(void *arg, struct event_run *r)
{
    struct reconciler *o = arg;
    for (size_t i = 0; i < r->count && !o->stopped; i++) {
        const struct event *ev = &r->events[i];
        if (event_subject(ev->kind) != SUBJECT_JOB)
            continue;
        for (struct wish *w = wish_of_job(o, ev->subject); w; w = w->next_by_job)
            if (w->job == ev->subject) {
                if (ev->kind == EVENT_ID_JOB_CANCEL) {
                    free(w->cancel_why);
                    w->cancel_why = mem_strdup(ev->JOB_CANCEL.why);
                }
                wish_forget_end(w);
                reconciler_due(w);
            }
    }
    event_run_unref(r);
    reconciler_pump(o);
}

/* ---- events for people ---- */

void reconciler_remark(const struct wish *w, bool is_warning, const char *reason, const char *fmt,
                       ...)
{
    struct reconciler *o = w->of->reconciler;
    const struct wish_kind *k = w->of->kind;
    auto_free char *version = mem_printf("%s/%s", k->group, k->version);
    char note[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(note, sizeof note, fmt, args);
    va_end(args);
    struct kube_event ev = {.ns = w->ns,
                            .api_version = version,
                            .kind = k->kind,
                            .name = w->name,
                            .uid = w->uid,
                            .is_warning = is_warning,
                            .reason = reason,
                            .action = "Reconcile",
                            .note = note,
                            .controller = "reeve.gpu/operator",
                            .instance = o->site,
                            .now_ms = clock_wall_ms()};
    kube_event_send(o->client, &ev, NULL, NULL);
}

/* ---- watches ---- */

static void on_changed(void *arg, const struct kube_head *before, const struct kube_head *now)
{
    struct kind_watch *k = arg;
    struct reconciler *o = k->reconciler;
    struct wish *w = wish_find(o, now->uid);
    if (!w)
        w = wish_new(k, now);
    if (before && before->generation != now->generation) {
        w->again_ms = 0;
        w->failures = 0;
        w->why = (struct verdict){0};
    }
    if (now->deleted_ms && before && !before->deleted_ms)
        w->again_ms = 0;
    reconciler_due(w);
    reconciler_pump(o);
}

static void on_gone(void *arg, const struct kube_head *last)
{
    struct kind_watch *k = arg;
    struct wish *w = wish_find(k->reconciler, last->uid);
    if (!w)
        return;
    w->again_ms = 0;
    reconciler_due(w);
    reconciler_pump(k->reconciler);
}

static void on_synced(void *arg)
{
    struct kind_watch *k = arg;
    k->was_told = false;
}

/* Kinds that are not installed are looked for again and again; that is said once. */
static void on_trouble(void *arg, const struct err *why)
{
    struct kind_watch *k = arg;
    if (k->was_told)
        return;
    k->was_told = true;
    if (why->code == ERR_NOT_FOUND || why->code == ERR_DENIED)
        log_info("the cluster has no such kind, or does not show it; kubectl apply -k "
                 "deploy/kubernetes/operator changes that",
                 F_TEXT("kind", k->kind->kind));
    else
        log_warn("custom resources cannot be watched just now", F_TEXT("kind", k->kind->kind),
                 F_ERR(why));
}

static const struct kube_watch_ops watch_ops = {on_changed, on_gone, on_synced, on_trouble};

/* Whoever waits for its namespace to be somebody's. */
static void on_namespace(void *arg, const struct kube_head *before, const struct kube_head *now)
{
    struct reconciler *o = arg;
    const char *was = before ? kube_pair_find(before->annotations, MARK_USER) : NULL;
    const char *is = kube_pair_find(now->annotations, MARK_USER);
    if (!o->is_synced || strcmp(was ? was : "", is ? is : "") == 0)
        return;
    for (size_t i = 0; i < WISH_BUCKETS; i++)
        for (struct wish *w = o->by_uid[i]; w; w = w->next_by_uid)
            if (strcmp(w->ns, now->name) == 0)
                reconciler_due(w);
    reconciler_pump(o);
}

static void on_namespace_gone(void *arg, const struct kube_head *last)
{
    (void)arg, (void)last; /* its objects went before */
}

static void on_namespaces_synced(void *arg)
{
    struct reconciler *o = arg;
    o->is_synced = true;
    reconciler_pump(o);
}

static void on_namespace_trouble(void *arg, const struct err *why)
{
    struct reconciler *o = arg;
    if (why->code != ERR_DENIED || o->is_synced || o->was_told)
        return;
    o->was_told = true;
    log_info("namespaces may not be seen, so custom resources are left alone; kubectl apply -k "
             "deploy/kubernetes/operator changes that");
}

static const struct kube_watch_ops namespace_ops = {on_namespace, on_namespace_gone,
                                                    on_namespaces_synced, on_namespace_trouble};

/* ---- start and end ---- */

struct reconciler *reconciler_new(const struct reconciler_config *config)
{
    struct reconciler *o = mem_new(struct reconciler);
    o->config = *config;
    o->config.hold_image = config->hold_image ? mem_strdup(config->hold_image) : NULL;
    o->config.fallback_image = config->fallback_image ? mem_strdup(config->fallback_image) : NULL;
    o->config.tick_ms = config->tick_ms ? config->tick_ms : 1000;
    o->config.refresh_ms = config->refresh_ms ? config->refresh_ms : 10000;
    o->config.ask_ms = config->ask_ms ? config->ask_ms : 2000;
    o->last_due = &o->due;
    return o;
}

static void start_kind(struct reconciler *o, size_t i, const struct wish_kind *kind)
{
    struct kind_watch *k = &o->kinds[i];
    *k = (struct kind_watch){
        .reconciler = o,
        .kind = kind,
        .record = kube_custom_kind(kind->group, kind->version, kind->resource, kind->kind)};
    k->watch =
        kube_watch_start(o->client, &(struct kube_selection){.kind = &k->record}, &watch_ops, k);
}

void reconciler_start(struct reconciler *o, struct engine *g, struct kube_client *client,
                      struct mailbox *box)
{
    static const struct kube_field no_fields[] = {{0}};
    static const char *const marks[] = {"reeve.gpu/", NULL};
    const struct engine_view *v = engine_view_get(g);
    snprintf(o->site, sizeof o->site, "%s", v->fleet.site);
    engine_view_release(g, v);
    o->engine = g;
    o->client = client;
    o->box = box;
    o->namespaces = (struct kube_kind){.at = {"", "v1", "namespaces"},
                                       .kind = "Namespace",
                                       .cluster_scoped = true,
                                       .size = sizeof(struct kube_head),
                                       .fields = no_fields,
                                       .annotations = marks};
    uv_timer_init(kube_client_loop(client), &o->tick);
    o->tick.data = o;
    uv_timer_start(&o->tick, on_tick, (uint64_t)o->config.tick_ms, (uint64_t)o->config.tick_ms);
    engine_listen(g, box, on_events, o);
    o->namespace_watch = kube_watch_start(client, &(struct kube_selection){.kind = &o->namespaces},
                                          &namespace_ops, o);
    start_kind(o, 0, &training_jobs);
    start_kind(o, 1, &gpu_allocations);
}

void reconciler_stop(struct reconciler *o)
{
    if (!o->client || o->stopped)
        return;
    o->stopped = true;
    for (size_t i = 0; i < WISH_BUCKETS; i++)
        for (struct wish *w = o->by_uid[i]; w; w = w->next_by_uid)
            if (w->call)
                kube_cancel(TAKE(w->call));
    for (size_t i = 0; i < COUNT_OF(o->kinds); i++)
        kube_watch_stop(o->kinds[i].watch);
    kube_watch_stop(o->namespace_watch);
    uv_close((uv_handle_t *)&o->tick, NULL);
}

void reconciler_free(struct reconciler *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < WISH_BUCKETS; i++)
        while (o->by_uid[i])
            wish_free(o->by_uid[i]);
    free((char *)o->config.hold_image);
    free((char *)o->config.fallback_image);
    free(o);
}
