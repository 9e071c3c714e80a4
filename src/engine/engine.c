/* Start and end, the owner's tick, and how commands find their function. */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"
#include "engine/meters.h"

#include <assert.h>

/* ---- commands ---- */

static int (*const handlers[COMMAND_KINDS])(struct engine *, struct command *, struct err *) = {
    [COMMAND_SUBMIT] = command_submit,
    [COMMAND_CANCEL] = command_cancel,
    [COMMAND_RETRY] = command_retry,
    [COMMAND_DELETE] = command_retry,
    [COMMAND_HOLD] = command_hold,
    [COMMAND_RELEASE] = command_hold,
    [COMMAND_PRINCIPAL_ADD] = command_principal_add,
    [COMMAND_PRINCIPAL_CHANGE] = command_principal_change,
    [COMMAND_TOKEN_CREATE] = command_token_create,
    [COMMAND_TOKEN_REVOKE] = command_token_revoke,
    [COMMAND_SESSION_BEGIN] = command_session_begin,
    [COMMAND_ENROLMENT_CREATE] = command_enrolment_create,
    [COMMAND_ENROL] = command_enrol,
    [COMMAND_NODE_LOST] = command_node_lost,
    [COMMAND_NODE_RETIRE] = command_node_retire,
    [COMMAND_REPORT] = command_report,
    [COMMAND_LINK] = command_link,
    [COMMAND_NODE_FOUND] = command_node_found,
    [COMMAND_NOTE_ADD] = command_note_add,
};

/* What agents say goes on while the disk is full: their reports wait in the batch, answers with it.
 */
static bool goes_on_when_full(enum command_kind kind)
{
    return kind == COMMAND_REPORT || kind == COMMAND_LINK;
}

/* True: an earlier request had this key, and C has its answer. */
static bool is_repeated(struct engine *g, struct command *c, struct err *e)
{
    const struct idempotency_entry *entry =
        c->idempotency_key ? idempotency_find(g->idempotency, c->idempotency_key) : NULL;
    if (!entry || entry->expires_ms <= g->clock.last_ms)
        return false;
    if (!digest_equal(&entry->body_hash, &c->body_hash)) {
        err_set(e, ERR_UNPROCESSABLE,
                "this Idempotency-Key was used with another body before; choose a new one");
        return true;
    }
    c->ret_id = entry->subject;
    c->ret_repeated = true;
    c->ret_queue_length = fleet_queue_length(&g->core.fleet->view);
    for (size_t i = 0; i < c->job_count; i++) {
        const struct job *j = fleet_job(&g->core.fleet->view, entry->subject + (int64_t)i);
        c->jobs[i].ret_id = entry->subject + (int64_t)i;
        c->jobs[i].ret_position = j ? fleet_position(&g->core.fleet->view, j) : 0;
    }
    return true;
}

static void remember_key(struct engine *g, const struct command *c)
{
    if (!c->idempotency_key || c->dry_run)
        return;
    struct idempotency_entry entry = {c->body_hash, c->ret_id, g->clock.last_ms + IDEMPOTENCY_MS};
    idempotency_put(g->idempotency, c->idempotency_key, &entry);
    struct idempotency_row row = {.key = c->idempotency_key,
                                  .body_hash = {c->body_hash.bytes, DIGEST_SIZE},
                                  .subject = c->ret_id,
                                  .expires_ms = entry.expires_ms};
    batch_put(engine_batch(g), TABLE_ID_IDEMPOTENCY, &row);
}

static void on_command(void *message)
{
    struct command *c = message;
    struct engine *g = c->arg_engine;
    struct err *e = &c->error;
    engine_clock_now(&g->clock, clock_mono_ms());
    g->stats.commands++;
    if (g->broken || g->stopping) {
        err_set(e, ERR_UNAVAILABLE, "the control plane is shutting down");
    } else if (g->full && !goes_on_when_full(c->kind)) {
        /* At once: the batch that waits for room may wait for hours. */
        err_set(e, ERR_UNAVAILABLE,
                "the disk of the database is full; nothing can be changed until "
                "there is room");
        g->stats.refused++;
        engine_answer_now(g, c);
        return;
    } else if (!is_repeated(g, c, e)) {
        bool later = c->kind == COMMAND_RETRY || c->kind == COMMAND_DELETE;
        if (handlers[c->kind](g, c, e) == 0) {
            if (later)
                return; /* answers itself */
            remember_key(g, c);
        }
    }
    g->stats.refused += e->code != ERR_NONE;
    engine_answer(g, c);
}

bool engine_command(struct engine *g, struct command *c)
{
    assert(c->on_done && c->reply_to);
    c->arg_engine = g;
    return mailbox_post(g->inbox, on_command, c);
}

/* ---- the tick ---- */

static void on_tick(uv_prepare_t *handle)
{
    struct engine *g = handle->data;
    if (g->broken)
        return;
    if (!g->full) {
        schedule_due(g);
        schedule_plan(g);
    }
    engine_flush(g);
}

static void on_second(uv_timer_t *timer)
{
    struct engine *g = timer->data;
    atomic_store_explicit(&g->offset_ms, g->clock.base_wall_ms - g->clock.base_mono_ms,
                          memory_order_relaxed);
    if (!g->broken && !g->full)
        schedule_second(g);
}

static void on_net(uv_timer_t *timer)
{
    struct engine *g = timer->data;
    if (!g->broken && !g->full)
        schedule_net(g);
}

/* ---- what the writer says, brought to the owner thread ---- */

struct word {
    struct engine *g;
    int64_t seq;
    bool full;
    struct err err;
};

static void take_durable(void *message)
{
    struct word *w = message;
    engine_on_durable(w->g, w->seq);
    free(w);
}

static void take_full(void *message)
{
    struct word *w = message;
    w->g->full = w->full;
    w->g->stats.disk_full = w->full;
    if (w->full)
        log_error("the disk is full: changes are refused until there is room", F_ERR(&w->err));
    else
        log_info("the disk takes writes again");
    free(w);
}

static void take_broken(void *message)
{
    struct word *w = message;
    w->g->broken = true;
    if (w->g->hooks.on_broken)
        w->g->hooks.on_broken(w->g->hooks.arg, &w->err);
    free(w);
}

static void post_word(struct engine *g, void (*fn)(void *), const struct word *w)
{
    struct word *copy = mem_dup(w, sizeof *w);
    copy->g = g;
    if (!mailbox_post_answer(g->inbox, fn, copy))
        free(copy);
}

static void on_durable(void *arg, int64_t seq)
{
    post_word(arg, take_durable, &(struct word){.seq = seq});
}

static void on_full(void *arg, bool full, const struct err *why)
{
    post_word(arg, take_full, &(struct word){.full = full, .err = why ? *why : (struct err){0}});
}

static void on_broken(void *arg, const struct err *why)
{
    post_word(arg, take_broken, &(struct word){.err = *why});
}

/* ---- loading ---- */

struct loading {
    struct engine *g;
    struct err *e;
};

static int on_core_row(void *arg, enum table_id table, const void *record)
{
    struct loading *l = arg;
    return core_load(&l->g->core, table, record, l->e);
}

static struct digest blob_digest(const struct blob *b)
{
    struct digest d = {0};
    if (b->len == DIGEST_SIZE)
        memcpy(d.bytes, b->data, DIGEST_SIZE);
    return d;
}

static int on_side_row(void *arg, enum table_id table, const void *record)
{
    struct engine *g = ((struct loading *)arg)->g;
    if (table == TABLE_ID_TOKEN) {
        const struct token_row *r = record;
        struct digest hash = blob_digest(&r->hash);
        struct token_holder holder = engine_token_holder(r);
        if (!r->revoked_ms)
            tokens_put(g->tokens, &hash, &holder);
        g->next_token = r->id + 1;
    } else if (table == TABLE_ID_ENROLMENT) {
        const struct enrolment_row *r = record;
        struct digest hash = blob_digest(&r->hash);
        struct token_holder holder = engine_enrolment_holder(r);
        if (!r->used_ms)
            tokens_put(g->tokens, &hash, &holder);
        g->next_enrolment = r->id + 1;
    } else if (table == TABLE_ID_NODE_KEY) {
        const struct node_key_row *r = record;
        struct digest hash = blob_digest(&r->hash);
        tokens_put(g->tokens, &hash,
                   &(struct token_holder){.kind = TOKEN_NODE, .id = r->node, .holder = r->node});
    } else if (table == TABLE_ID_META) {
        steps_load(g, record);
    } else if (table == TABLE_ID_SNAPSHOT) {
        snapshots_load(g, record);
    } else {
        const struct idempotency_row *r = record;
        struct idempotency_entry entry = {blob_digest(&r->body_hash), r->subject, r->expires_ms};
        idempotency_put(g->idempotency, r->key, &entry);
    }
    return 0;
}

static int on_newest(void *arg, enum table_id table, const void *record)
{
    struct engine *g = ((struct loading *)arg)->g;
    if (table == TABLE_ID_JOB_HISTORY) {
        int64_t id = ((const struct job_history_row *)record)->id;
        if (id >= g->core.fleet->view.next_job)
            g->core.fleet->view.next_job = id + 1;
    }
    return 0;
}

static int load_newest_ended(struct engine *g, struct loading *l, struct err *e)
{
    struct store_reader *reader;
    if (g->ops->reader_open(g->store, &reader, e) < 0)
        return -1;
    struct store_query q = {.id = QUERY_HISTORY, .state = -1, .limit = 1};
    int rc = g->ops->read(reader, &q, on_newest, l, e);
    g->ops->reader_close(reader);
    return rc;
}

static int load(struct engine *g, struct err *e)
{
    static const enum table_id side[] = {TABLE_ID_META,        TABLE_ID_TOKEN,
                                         TABLE_ID_ENROLMENT,   TABLE_ID_NODE_KEY,
                                         TABLE_ID_IDEMPOTENCY, TABLE_ID_SNAPSHOT};
    struct loading l = {g, e};
    for (size_t i = 0; i < core_load_count; i++)
        if (g->ops->load(g->store, core_load_order[i], on_core_row, &l, e) < 0)
            return err_wrap(e, "could not load table '%s'", table_descs[core_load_order[i]].name);
    core_loaded(&g->core);
    for (size_t i = 0; i < COUNT_OF(side); i++)
        if (g->ops->load(g->store, side[i], on_side_row, &l, e) < 0)
            return err_wrap(e, "could not load table '%s'", table_descs[side[i]].name);
    steps_loaded(g);
    if (load_newest_ended(g, &l, e) < 0 || ledger_read_tail(g->ops, g->store, &g->tail, e) < 0)
        return -1;
    g->core.fleet->view.last_seq = g->tail.seq;
    g->core.fleet->view.last_time_ms = g->tail.time_ms;
    return 0;
}

/* ---- start and stop ---- */

static void create(struct engine *g, char **ret_token)
{
    struct event ev = {.kind = EVENT_ID_STORE_CREATED};
    unsigned char bits[16];
    random_fill(bits, sizeof bits);
    hex_write(ev.STORE_CREATED.incarnation, bits, sizeof bits);
    random_fill(bits, sizeof bits);
    hex_write(ev.STORE_CREATED.site, bits, 4);
    if (g->core.fleet->view.site[0]) /* a restored copy: another incarnation of the same site */
        event_set_text(ev.STORE_CREATED.site, g->core.fleet->view.site);
    engine_event(g, &ev);
    if (g->core.fleet->view.principal_count)
        return;

    struct event admin = {.kind = EVENT_ID_PRINCIPAL_ADDED, .subject = 1};
    event_set_text(admin.PRINCIPAL_ADDED.name, "admin");
    engine_event(g, &admin); /* role 0 is admin */

    struct command token = {.principal = 1};
    *ret_token = token_make(&token.hash);
    snprintf(token.name, sizeof token.name, "first");
    struct err e = {0};
    command_token_create(g, &token, &e);
}

static void begin_epoch(struct engine *g, char **ret_token)
{
    if (!g->core.fleet->view.incarnation[0])
        create(g, ret_token);
    struct event ev = {.kind = EVENT_ID_EPOCH_BEGAN};
    ev.EPOCH_BEGAN.epoch = g->epoch;
    engine_event(g, &ev);
    policy_follow(g);
    engine_snapshot_event(g);
    snapshots_tidy(g);
    steps_tidy(g, g->clock.last_ms);
    snapshots_begin(g);
    g->snapshot_day = g->clock.last_ms / 86400000;
}

static int start_reader(void *arg, void **ret, struct err *e)
{
    struct engine *g = arg;
    struct store_reader *r;
    if (g->ops->reader_open(g->store, &r, e) < 0)
        return -1;
    *ret = r;
    return 0;
}

/* The workers outlive no engine, and there is one store kind a process. */
static const struct store_ops *reader_ops;
static void stop_reader(void *state)
{
    reader_ops->reader_close(state);
}

static int start_threads(struct engine *g, struct err *e)
{
    struct writer_callbacks cb = {on_durable, on_full, on_broken, g, 0};
    reader_ops = g->ops;
    struct workers_config w = {.name = "store-read",
                               .count = g->config.workers ? g->config.workers : 2,
                               .most = 4096,
                               .on_start = start_reader,
                               .on_stop = stop_reader,
                               .arg = g};
    if (workers_new(&w, &g->workers, e) < 0)
        return -1;
    return writer_start(g->ops, g->store, g->batch_seq, &g->tail, &cb, &g->writer, e);
}

static void start_handles(struct engine *g)
{
    uv_prepare_init(g->loop, &g->prepare);
    uv_timer_init(g->loop, &g->second);
    uv_timer_init(g->loop, &g->net);
    uv_timer_init(g->loop, &g->due);
    g->prepare.data = g->second.data = g->net.data = g->due.data = g;
    uv_prepare_start(&g->prepare, on_tick);
    uv_timer_start(&g->second, on_second, 1000, 1000);
    uv_timer_start(&g->net, on_net, 10000, 10000);
}

int engine_start(uv_loop_t *loop, const struct engine_config *config,
                 const struct engine_hooks *hooks, struct engine **ret, char **ret_admin_token,
                 struct err *e)
{
    struct engine *g = mem_new(struct engine);
    *ret_admin_token = NULL;
    g->loop = loop;
    g->config = *config;
    if (hooks)
        g->hooks = *hooks;
    g->last_flying = &g->flying;
    g->next_token = g->next_enrolment = 1;
    core_init(&g->core);
    g->idempotency = idempotency_new();
    g->specs = specs_new();
    g->tokens = tokens_new();
    g->meters = meters_new();
    g->began_mono_ms = clock_mono_ms();
    g->nodes = mem_new_array(struct node_side, NODES_MOST + 1);
    g->inbox = mailbox_new(loop, 16384);
    pthread_mutex_init(&g->view_lock, NULL);

    if (store_open(config->store, &g->ops, &g->store, e) < 0 ||
        g->ops->claim(g->store, &g->epoch, &g->batch_seq, e) < 0 || load(g, e) < 0 ||
        start_threads(g, e) < 0) {
        engine_stop(g);
        return -1;
    }
    int64_t mono = clock_mono_ms();
    engine_clock_init(&g->clock, clock_wall_ms(), mono, g->tail.time_ms);
    atomic_store(&g->offset_ms, g->clock.base_wall_ms - g->clock.base_mono_ms);
    g->stats.started_ms = g->clock.base_wall_ms;
    for (int64_t id = 1; id <= NODES_MOST; id++)
        for (int link = 0; link < ENGINE_LINKS; link++)
            atomic_store_explicit(&g->nodes[id].heard_mono_ms[link], mono, memory_order_relaxed);
    start_handles(g);
    begin_epoch(g, ret_admin_token);
    past_begin(g);
    engine_flush(g);
    while (!g->current && !g->broken)
        uv_run(loop, UV_RUN_ONCE);
    if (g->broken) {
        engine_stop(g);
        return err_set(e, ERR_UNAVAILABLE, "the store could not be written at the start");
    }
    *ret = g;
    return 0;
}

static void close_handle(uv_handle_t *h)
{
    if (h->type && !uv_is_closing(h))
        uv_close(h, NULL);
}

static void drop_cargo(struct engine *g, struct cargo *c)
{
    for (struct command *k = c->commands, *next; k; k = next) {
        next = k->next;
        err_set(&k->error, ERR_UNAVAILABLE, "the control plane ended before this was durable");
        if (!mailbox_post_answer(k->reply_to, (void (*)(void *))k->on_done, k))
            command_free(k);
    }
    for (struct action *a = c->actions, *next; a; a = next) {
        next = a->next;
        free(a->text);
        free(a);
    }
    if (c->view) {
        fleet_snapshot_drop(g->core.fleet, &c->view->snapshot);
        free(c->view);
    }
    free(c->events);
    free(c);
}

/* What is under way first, then what has gathered behind it; a full disk is not waited for. */
static void finish_writing(struct engine *g)
{
    for (int i = 0; i < 2 && g->writer; i++) {
        while (g->flying && !g->broken && !g->full)
            uv_run(g->loop, UV_RUN_ONCE);
        if (!g->full)
            engine_flush(g);
    }
    writer_stop(g->writer);
    mailbox_drain(g->inbox);
}

void engine_stop(struct engine *g)
{
    if (!g)
        return;
    g->stopping = true;
    close_handle((uv_handle_t *)&g->prepare);
    close_handle((uv_handle_t *)&g->second);
    close_handle((uv_handle_t *)&g->net);
    close_handle((uv_handle_t *)&g->due);
    workers_free(g->workers);
    mailbox_drain(g->inbox);
    finish_writing(g);
    mailbox_close(g->inbox);
    while (g->flying) {
        struct cargo *c = g->flying;
        g->flying = c->next;
        drop_cargo(g, c);
    }
    if (g->filling)
        drop_cargo(g, g->filling);
    batch_free(g->open);
    snapshots_done(g);
    uv_run(g->loop, UV_RUN_NOWAIT);
    mailbox_free(g->inbox);
    engine_views_done(g);
    if (g->store)
        g->ops->close(g->store);
    core_done(&g->core);
    idempotency_free(g->idempotency);
    specs_free(g->specs);
    tokens_free(g->tokens);
    gate_done(g);
    meters_free(g->meters);
    free(g->nodes);
    free(g->pod_namespace);
    free(g);
}

/* ---- what others may look at ---- */

struct tokens *engine_tokens(struct engine *g)
{
    return g->tokens;
}

struct workers *engine_workers(struct engine *g)
{
    return g->workers;
}

const struct store_ops *engine_store(struct engine *g)
{
    return g->ops;
}

int64_t engine_now_ms(struct engine *g)
{
    return clock_mono_ms() + atomic_load_explicit(&g->offset_ms, memory_order_relaxed);
}

void engine_node_heard(struct engine *g, enum engine_link link, int64_t node)
{
    if (node > 0 && node <= NODES_MOST)
        atomic_store_explicit(&g->nodes[node].heard_mono_ms[link], clock_mono_ms(),
                              memory_order_relaxed);
}

void engine_listen(struct engine *g, struct mailbox *box,
                   void (*on_events)(void *arg, struct event_run *r), void *arg)
{
    assert(g->listener_count < LISTENERS_MOST);
    g->listeners[g->listener_count++] = (struct listener){box, on_events, arg};
}

void engine_set_sender(struct engine *g, enum engine_link link,
                       void (*send)(void *arg, int64_t node, char *line), void *arg)
{
    g->senders[link].send = send;
    g->senders[link].arg = arg;
}

void engine_set_pod_namespace(struct engine *g, const char *pod_namespace)
{
    free(g->pod_namespace);
    g->pod_namespace = mem_strdup(pod_namespace);
}

int engine_reader_open(struct engine *g, struct store_reader **ret, struct err *e)
{
    return g->ops->reader_open(g->store, ret, e);
}
