/* Rows, events, answers and actions gather in a batch, and leave together once it is durable. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

#include <assert.h>

static struct cargo *cargo_new(void)
{
    struct cargo *c = mem_new(struct cargo);
    c->last_command = &c->commands;
    c->last_action = &c->actions;
    return c;
}

static struct cargo *filling(struct engine *g)
{
    if (!g->filling)
        g->filling = cargo_new();
    return g->filling;
}

struct batch *engine_batch(struct engine *g)
{
    if (!g->open)
        g->open = batch_new();
    filling(g);
    return g->open;
}

static void remember_event(struct engine *g, const struct event *ev)
{
    struct cargo *c = filling(g);
    if (c->event_count == c->event_room) {
        c->event_room = c->event_room ? 2 * c->event_room : 8;
        c->events = mem_resize_array(c->events, c->event_room);
    }
    c->events[c->event_count++] = *ev;
}

void engine_event(struct engine *g, struct event *ev)
{
    struct batch *b = engine_batch(g);
    struct err e = {0};
    ev->seq = g->core.fleet->view.last_seq + 1;
    ev->time_ms = engine_clock_now(&g->clock, clock_mono_ms());
    if (core_apply(&g->core, ev, b, &e) < 0) {
        /* Checked before, so the state in memory cannot be trusted: a restart reads it anew. */
        log_error("an event does not fit the state; ending before more is decided from it",
                  F_TEXT("event", event_name(ev->kind)), F_ERR(&e));
        abort();
    }

    auto_text struct text body = {0};
    event_write_body(ev, &body);
    struct ledger_row row = {.seq = ev->seq,
                             .batch = g->batch_seq + 1,
                             .time_ms = ev->time_ms,
                             .kind = ev->kind,
                             .subject = ev->subject,
                             .actor = ev->actor,
                             .on_behalf = ev->on_behalf,
                             .body = body.data};
    batch_put(b, TABLE_ID_LEDGER, &row);
    if (g->listener_count)
        remember_event(g, ev);
}

void engine_snapshot_event(struct engine *g)
{
    struct event ev = {.kind = EVENT_ID_SNAPSHOT};
    fleet_refresh(g->core.fleet);
    struct digest d = fleet_digest(&g->core.fleet->view);
    hex_write(ev.SNAPSHOT.digest, d.bytes, DIGEST_SIZE);
    engine_event(g, &ev);
}

void engine_answer(struct engine *g, struct command *c)
{
    /* Even what changed nothing waits for the batch: it may show what that batch holds. */
    struct cargo *cargo = filling(g);
    c->next = NULL;
    *cargo->last_command = c;
    cargo->last_command = &c->next;
}

void engine_act(struct engine *g, const struct action *a)
{
    struct cargo *cargo = filling(g);
    struct action *copy = mem_dup(a, sizeof *a);
    copy->next = NULL;
    *cargo->last_action = copy;
    cargo->last_action = &copy->next;
}

/* ---- views ---- */

static struct shared_view *view_take(struct engine *g)
{
    struct shared_view *v = mem_new(struct shared_view);
    fleet_snapshot(g->core.fleet, &v->snapshot);
    v->view.fleet = v->snapshot.view;
    v->view.stats = g->stats;
    v->view.taken_ms = g->clock.last_ms;
    atomic_init(&v->refs, 1); /* being the current one counts */
    return v;
}

static void view_drop(struct engine *g, struct shared_view *v)
{
    fleet_snapshot_drop(g->core.fleet, &v->snapshot);
    free(v);
}

/* Owner thread: old views that nobody reads any more go. */
static void drop_old(struct engine *g)
{
    struct shared_view *gone = NULL;
    pthread_mutex_lock(&g->view_lock);
    for (struct shared_view **at = &g->old; *at;) {
        struct shared_view *v = *at;
        if (atomic_load(&v->refs) == 0) {
            *at = v->next;
            v->next = gone;
            gone = v;
        } else {
            at = &v->next;
        }
    }
    pthread_mutex_unlock(&g->view_lock);
    while (gone) {
        struct shared_view *next = gone->next;
        view_drop(g, gone);
        gone = next;
    }
}

static void publish(struct engine *g, struct shared_view *v)
{
    pthread_mutex_lock(&g->view_lock);
    struct shared_view *before = g->current;
    g->current = v;
    if (before) {
        atomic_fetch_sub(&before->refs, 1);
        before->next = g->old;
        g->old = before;
    }
    pthread_mutex_unlock(&g->view_lock);
    drop_old(g);
}

void engine_views_done(struct engine *g)
{
    if (g->current) {
        atomic_fetch_sub(&g->current->refs, 1);
        g->current->next = g->old;
        g->old = g->current;
        g->current = NULL;
    }
    drop_old(g);
    assert(!g->old); /* doors have released theirs */
    pthread_mutex_destroy(&g->view_lock);
}

const struct engine_view *engine_view_get(struct engine *g)
{
    pthread_mutex_lock(&g->view_lock);
    struct shared_view *v = g->current;
    atomic_fetch_add(&v->refs, 1);
    pthread_mutex_unlock(&g->view_lock);
    return &v->view;
}

void engine_view_release(struct engine *g, const struct engine_view *view)
{
    (void)g; /* freed by the owner, at its next publication */
    struct shared_view *v = (struct shared_view *)view;
    atomic_fetch_sub(&v->refs, 1);
}

/* ---- leaving ---- */

static void reply(struct command *c)
{
    void (*on_done)(struct command *) = c->on_done;
    if (!c->reply_to || !mailbox_post_answer(c->reply_to, (void (*)(void *))on_done, c))
        command_free(c);
}

static void run_action(struct engine *g, struct action *a)
{
    switch (a->what) {
    case ACTION_SEND_START:
        schedule_send_start(g, a->a, a->b);
        break;
    case ACTION_SEND_CANCEL:
        schedule_send_cancel(g, a->a, a->b);
        break;
    case ACTION_SEND_CLEAR:
        schedule_send_clear(g, a->a, a->b);
        break;
    case ACTION_SEND_LINE:
        if (g->senders[a->b].send && g->nodes[a->a].linked[a->b])
            g->senders[a->b].send(g->senders[a->b].arg, a->a, TAKE(a->text));
        break;
    case ACTION_TOKEN_PUT:
        tokens_put(g->tokens, &a->hash, &a->holder);
        break;
    case ACTION_TOKEN_DROP:
        tokens_remove(g->tokens, &a->hash);
        break;
    }
    free(a->text);
    free(a);
}

static void unref(struct event_run *r, int count)
{
    if (__atomic_sub_fetch(&r->refs, count, __ATOMIC_ACQ_REL) > 0)
        return;
    free(r->events);
    free(r);
}

struct told {
    struct listener to;
    struct event_run *run;
};

static void on_told(void *message)
{
    struct told *t = message;
    t->to.on_events(t->to.arg, t->run); /* with our reference */
    free(t);
}

static void tell(struct engine *g, struct cargo *c)
{
    if (!c->event_count) {
        free(c->events);
        return;
    }
    struct event_run *run = mem_new(struct event_run);
    run->count = c->event_count;
    run->events = TAKE(c->events);
    run->refs = 1 + (int)g->listener_count;
    int over = 1; /* ours, and those of who is no longer there */
    for (size_t i = 0; i < g->listener_count; i++) {
        struct told *t = mem_new(struct told);
        *t = (struct told){g->listeners[i], run};
        if (!mailbox_post_answer(t->to.box, on_told, t)) {
            over++;
            free(t);
        }
    }
    unref(run, over);
}

void engine_answer_now(struct engine *g, struct command *c)
{
    (void)g;
    reply(c);
}

void engine_on_durable(struct engine *g, int64_t seq)
{
    while (g->flying && g->flying->seq <= seq) {
        struct cargo *c = g->flying;
        g->flying = c->next;
        if (!g->flying)
            g->last_flying = &g->flying;
        g->durable_seq = c->seq;
        publish(g, c->view);
        snapshots_on_durable(g, c->seq);
        for (struct action *a = c->actions, *next; a; a = next) {
            next = a->next;
            run_action(g, a);
        }
        for (struct command *k = c->commands, *next; k; k = next) {
            next = k->next;
            reply(k);
        }
        tell(g, c);
        free(c);
    }
}

void engine_flush(struct engine *g)
{
    if (!g->filling || g->broken)
        return;
    if (!g->open && !g->flying) {
        /* Only answers, and all that they show is durable. */
        struct cargo *c = g->filling;
        g->filling = NULL;
        for (struct action *a = c->actions, *next; a; a = next) {
            next = a->next;
            run_action(g, a);
        }
        for (struct command *k = c->commands, *next; k; k = next) {
            next = k->next;
            reply(k);
        }
        free(c->events);
        free(c);
        return;
    }
    if (!writer_is_idle(g->writer) || g->flying)
        return; /* the next batch fills while this one is synced */

    struct batch *b = g->open ? g->open : batch_new();
    struct cargo *c = g->filling;
    g->open = NULL;
    g->filling = NULL;
    c->seq = b->seq = ++g->batch_seq;
    b->epoch = g->epoch;
    g->stats.batches++;
    g->stats.rows += (int64_t)b->rows;
    c->view = view_take(g);
    *g->last_flying = c;
    g->last_flying = &c->next;
    writer_commit(g->writer, b);
}

/* ---- events for others ---- */

void event_run_unref(struct event_run *r)
{
    unref(r, 1);
}
