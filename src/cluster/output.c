/*
 * What jobs print, pulled from kubelets through the API server into the log store: one pod of an
 * attempt after the other, as one stream. Writing is done by the engine's workers; while one of
 * them writes, what comes in is kept, and when that is much, no more is asked for.
 */
#include "cluster/output.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    PODS_MOST = 64,
    KEEP_MOST = 1 << 20, /* bytes in memory, beyond the piece under way */
    TURN_MS = 10000,     /* between looks, where no more can be followed */
    LATE_MS = 60000,     /* for the rest, once the attempt is over */
    STREAMS_USUAL = 200,
};

static void go_on(struct output *o);

/* ---- progress in it ---- */

static void take_progress(struct output *o, const char *p, size_t len)
{
    struct cluster *c = o->cluster;
    struct progress found;
    bool seen = false;
    for (size_t i = 0; i < len; i++) {
        if (p[i] != '\n' && p[i] != '\r') {
            if (o->line_len < sizeof o->line)
                o->line[o->line_len++] = p[i];
            continue;
        }
        if (progress_from_line(o->line, o->line_len, o->pattern, &found) &&
            found.source >= o->progress.source) {
            o->progress = found;
            seen = true;
        }
        o->line_len = 0;
    }
    if (seen && o->track && !o->track->view.total && c->config.on_progress)
        c->config.on_progress(c->config.arg, o->ref.job, o->ref.n, o->progress.done,
                              o->progress.total);
}

/* ---- writing, on a worker ---- */

struct piece {
    struct output *output;
    const struct log_store_ops *ops;
    struct log_store *logs;
    struct log_ref ref;
    int64_t offset;
    struct text bytes;
    bool at_end; /* behind what is there, and then it is ended */
    bool only_look;
    struct log_info info;
    struct err err;
};

static int write_piece(struct piece *p, struct err *e)
{
    int64_t next;
    if (p->only_look)
        return p->ops->info(p->logs, p->ref, &p->info, e);
    if (p->at_end) {
        if (p->ops->info(p->logs, p->ref, &p->info, e) < 0)
            return -1;
        if (p->info.ended)
            return 0;
        p->offset = p->info.end;
    }
    if (p->bytes.len && p->ops->append(p->logs, p->ref, p->offset, text_get(&p->bytes),
                                       (int64_t)p->bytes.len, &next, e) < 0)
        return -1;
    return p->at_end ? p->ops->end(p->logs, p->ref, -1, e) : 0;
}

static void on_worker(void *state, void *job)
{
    struct piece *p = job;
    (void)state;
    write_piece(p, &p->err);
}

static void free_piece(struct piece *p)
{
    text_done(&p->bytes);
    free(p);
}

static void output_free(struct output *o)
{
    for (size_t i = 0; i < o->pod_count; i++)
        free(o->pods[i]);
    free(o->pods);
    free(o->pattern);
    text_done(&o->kept);
    free(o);
}

/* It is all there, or given up: the track may be let go. */
static void finish(struct output *o)
{
    struct track *t = o->track;
    output_drop(t);
    t->output_done = true;
    track_step(t);
}

static void on_written(void *job)
{
    struct piece *p = job;
    struct output *o = p->output;
    struct err e = p->err;
    bool looked = p->only_look, ended = p->at_end || p->info.ended;
    o->is_busy = false;
    if (!o->track) { /* nobody wants it any more */
        free_piece(p);
        output_free(o);
        return;
    }
    if (e.code == ERR_EXHAUSTED || e.code == ERR_UNAVAILABLE) {
        /* In front of what came meanwhile; the end is asked for again by itself. */
        if (!p->at_end) {
            text_add_bytes(&p->bytes, text_get(&o->kept), o->kept.len);
            text_done(&o->kept);
            o->kept = p->bytes;
            p->bytes = (struct text){0};
            if (!looked)
                o->taken.offset = p->offset;
        }
        o->again_ms = cluster_now() + o->cluster->config.ask_ms;
        free_piece(p);
        return;
    }
    if (e.code != ERR_NONE && e.code != ERR_CONFLICT) {
        log_warn("the output of a job is not kept", F_INT("job", o->ref.job), F_ERR(&e));
        ended = true;
    }
    free_piece(p);
    if (ended || e.code == ERR_CONFLICT) {
        finish(o);
        return;
    }
    if (looked) {
        o->is_looked = true;
    } else {
        o->written = o->taken;
        o->cluster->positions_due = true;
    }
    go_on(o);
}

static void submit(struct output *o, struct piece *p)
{
    struct cluster *c = o->cluster;
    p->output = o;
    p->ops = c->config.log_ops;
    p->logs = c->config.logs;
    p->ref = o->ref;
    o->is_busy = true;
    if (workers_submit(engine_workers(c->engine), on_worker, on_written, c->box, p))
        return;
    err_set(&p->err, ERR_EXHAUSTED, "all workers are busy");
    on_written(p);
}

static void write_kept(struct output *o)
{
    struct piece *p = mem_new(struct piece);
    p->offset = o->taken.offset;
    p->bytes = o->kept;
    o->kept = (struct text){0};
    o->taken.offset += (int64_t)p->bytes.len;
    o->taken.at = o->at;
    submit(o, p);
}

static void look(struct output *o)
{
    struct piece *p = mem_new(struct piece);
    p->only_look = true;
    submit(o, p);
}

static void write_end(struct output *o)
{
    struct piece *p = mem_new(struct piece);
    p->at_end = true;
    if (o->note[0])
        text_addf(&p->bytes, "[reeve: %s]\n", o->note);
    submit(o, p);
}

/* ---- pulling ---- */

static const struct kube_pod *pod_of(const struct output *o)
{
    struct cluster *c = o->cluster;
    return (const struct kube_pod *)kube_watch_find(c->pods, c->config.settings.ns,
                                                    o->pods[o->done]);
}

static bool container_is_over(const struct output *o)
{
    const struct kube_pod *p = pod_of(o);
    if (!p || kube_pod_is_over(p))
        return true;
    for (const struct kube_container *k = p->containers; k; k = k->next)
        if (strcmp(k->name, o->container) == 0)
            return k->state == KUBE_TERMINATED;
    return false;
}

static bool on_bytes(void *arg, const char *bytes, size_t len,
                     const struct kube_log_position *position)
{
    struct output *o = arg;
    text_add_bytes(&o->kept, bytes, len);
    o->at = *position;
    take_progress(o, bytes, len);
    if (!o->is_busy && cluster_now() >= o->again_ms)
        write_kept(o);
    o->is_paused = o->kept.len > KEEP_MOST;
    return !o->is_paused;
}

/* What it printed is in the store: on to the next one. */
static void next_pod(struct output *o)
{
    o->done++;
    o->pod_is_over = false;
    o->tries = 0;
    o->at = (struct kube_log_position){0};
    o->taken.at = o->at;
    o->taken.done = o->done;
    o->written = o->taken;
    o->cluster->positions_due = true;
}

static void on_log_end(void *arg, const struct kube_log_position *position,
                       const struct kube_answer *a)
{
    struct output *o = arg;
    bool over = container_is_over(o);
    enum err_code code = a->err.code;
    (void)position;
    o->log = NULL;
    if (o->follows)
        o->cluster->streams--;
    if (o->is_paused) {
        /* Goes on when what there is was written. */
    } else if (code == ERR_NONE) {
        if (over)
            o->pod_is_over = true;
        else
            o->again_ms = cluster_now() + (o->follows ? o->cluster->config.ask_ms : TURN_MS);
    } else if (code == ERR_NOT_FOUND || code == ERR_DENIED || (over && ++o->tries > 3)) {
        snprintf(o->note, sizeof o->note, "the rest of the output could not be had: %.200s",
                 a->status.message[0] ? a->status.message : a->err.text);
        o->pod_is_over = true;
    } else {
        o->again_ms = cluster_now() + o->cluster->config.ask_ms;
    }
    go_on(o);
}

static const struct kube_log_ops log_ops = {on_bytes, on_log_end};

static void pull(struct output *o)
{
    struct cluster *c = o->cluster;
    unsigned most = c->config.log_streams ? c->config.log_streams : STREAMS_USUAL;
    o->follows = c->streams < most;
    c->streams += o->follows;
    struct kube_log_request r = {.ns = c->config.settings.ns,
                                 .pod = o->pods[o->done],
                                 .container = o->container,
                                 .follow = o->follows,
                                 .from = o->at};
    o->log = kube_log_start(c->client, &r, &log_ops, o);
}

/* The next thing, unless it is under way or has to wait. */
static void go_on(struct output *o)
{
    int64_t now = cluster_now();
    if (o->cluster->stopping || o->is_busy || now < o->again_ms)
        return;
    if (!o->is_looked) {
        look(o);
        return;
    } else if (o->kept.len) {
        write_kept(o);
        return;
    } else if (o->log) {
        return;
    }
    if (o->pod_is_over)
        next_pod(o);
    if (o->done < o->pod_count) {
        o->is_paused = false;
        pull(o);
    } else if (o->is_ending) {
        write_end(o);
    }
}

/* ---- asked for ---- */

void output_follow(struct track *t, const struct kube_pod *pod, const char *container)
{
    struct cluster *c = t->cluster;
    struct output *o = t->output;
    if (t->output_done)
        return;
    if (!o) {
        const char *pattern = kube_pair_find(pod->head.annotations, KUBE_ANNOTATION_PROGRESS);
        o = t->output = mem_new(struct output);
        o->cluster = c;
        o->track = t;
        o->ref = (struct log_ref){t->job, t->n};
        snprintf(o->container, sizeof o->container, "%s", container);
        o->pattern = pattern ? mem_strdup(pattern) : NULL;
        o->next = c->outputs;
        c->outputs = o;
        positions_take(o);
    }
    for (size_t i = 0; i < o->pod_count; i++)
        if (strcmp(o->pods[i], pod->head.name) == 0)
            return;
    if (o->pod_count == PODS_MOST)
        return;
    o->pods = mem_resize_array(o->pods, o->pod_count + 1);
    o->pods[o->pod_count++] = mem_strdup(pod->head.name);
    go_on(o);
}

void output_end(struct track *t)
{
    struct output *o = t->output;
    if (!o) {
        t->output_done = true;
        return;
    }
    o->is_ending = true;
    o->ending_ms = cluster_now();
    o->again_ms = 0; /* what it was waiting for has happened */
    go_on(o);
}

static void stop_log(struct output *o)
{
    if (!o->log)
        return;
    kube_log_stop(o->log);
    o->log = NULL;
    o->cluster->streams -= o->follows;
}

void output_drop(struct track *t)
{
    struct output *o = t->output, **link = &t->cluster->outputs;
    if (!o)
        return;
    stop_log(o);
    while (*link != o)
        link = &(*link)->next;
    *link = o->next;
    t->output = NULL;
    o->track = NULL;
    t->cluster->positions_due = true;
    if (!o->is_busy)
        output_free(o);
}

void outputs_tick(struct cluster *c)
{
    for (struct output *o = c->outputs, *next; o; o = next) {
        next = o->next;
        if (o->is_ending && o->done < o->pod_count && cluster_now() - o->ending_ms > LATE_MS) {
            stop_log(o);
            o->done = o->pod_count;
            o->pod_is_over = false;
            snprintf(o->note, sizeof o->note, "the rest of the output could not be had in time");
        }
        go_on(o);
    }
    positions_tick(c);
}

void outputs_stop(struct cluster *c)
{
    for (struct output *o = c->outputs; o; o = o->next)
        stop_log(o);
}
