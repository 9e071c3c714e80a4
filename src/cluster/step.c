/* What is asked of the API server about an attempt's object: one request at a time, and what it
 * answers. */
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/internal.h"

enum {
    SEEN_MS = 30000,    /* what was made is seen by then, or looked for */
    OUTPUT_MS = 120000, /* for the output of what has ended */
};

static void wait_a_while(struct track *t)
{
    t->again_ms = cluster_now() + t->cluster->config.ask_ms;
}

static void say_waiting(struct track *t, const char *words, const struct err *e)
{
    struct runner_view v = {.state = RUNNER_WAITING, .exit_code = -1};
    runner_view_say(&v, words, e->text);
    if (strcmp(v.why, t->view.why) == 0)
        return;
    t->view = v;
    member_tell(t);
}

/* ---- making ---- */

/* For whoever set the cluster up, or for the next minute: the job itself is fine. */
static bool is_for_now(const struct kube_answer *a)
{
    return strstr(a->status.message, "exceeded quota") ||
           strstr(a->status.message, "cannot create resource") || a->err.code == ERR_NOT_FOUND ||
           a->err.code == ERR_UNAUTHENTICATED;
}

static void turn_down(struct track *t, const struct kube_answer *a)
{
    const char *words = a->status.message[0] ? a->status.message : a->err.text;
    struct runner_view v = {0};
    log_info("the cluster does not take a job", F_INT("job", t->job), F_INT("attempt", t->n),
             F_ERR(&a->err));
    runner_view_say(&v, "the cluster does not take it", words);
    if (is_for_now(a))
        track_fail(t, RUNNER_REFUSED, OUTCOME_NONE, v.why);
    else
        track_fail(t, RUNNER_ENDED, OUTCOME_NOT_STARTED, v.why);
}

static void on_made(void *arg, const struct kube_answer *a)
{
    struct track *t = arg;
    t->call = NULL;
    if (a->err.code == ERR_NONE && FAILPOINT("cluster.made"))
        return;
    if (t->phase != TRACK_MAKING) { /* it was seen meanwhile */
        track_step(t);
        return;
    }
    if (a->err.code == ERR_NONE) {
        t->was_made = true;
        t->phase = TRACK_THERE;
        t->since_ms = cluster_now();
        track_look(t, objects_find(t->cluster, t));
        track_step(t);
        return;
    }
    switch (a->err.code) {
    case ERR_CONFLICT: /* maybe by ourselves, by an answer that was lost */
        t->phase = TRACK_LOOKING;
        track_step(t);
        return;
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_EXHAUSTED:
    case ERR_INTERNAL:
        if (a->uncertain)
            t->phase = TRACK_LOOKING;
        wait_a_while(t);
        say_waiting(t, "the cluster does not answer", &a->err);
        return;
    default:
        turn_down(t, a);
        track_step(t);
    }
}

static void make(struct track *t)
{
    if (t->cause || !t->make) {
        track_fail(t, RUNNER_ENDED, OUTCOME_CANCELLED, t->why_cause);
        return;
    }
    if (cluster_now() - t->since_ms > t->cluster->config.start_limit_ms) {
        track_fail(t, RUNNER_REFUSED, OUTCOME_NONE, "the cluster did not take it for too long");
        return;
    }
    t->call = cluster_send(t->cluster, t->runner, t->make, on_made, t);
}

void track_make(struct track *t)
{
    if (FAILPOINT("cluster.sent"))
        return;
    t->phase = TRACK_MAKING;
    t->since_ms = cluster_now();
    if (t->is_seen) {
        t->phase = TRACK_THERE;
        track_look(t, objects_find(t->cluster, t));
    }
    track_step(t);
}

/* ---- looking ---- */

static bool is_ours(struct track *t, const struct kube_answer *a)
{
    struct kube_client *client = cluster_client(t->cluster, t->runner);
    struct kube_head *head = NULL;
    bool ours = false;
    if (kube_record_read(t->runner->kind, kube_client_build(client), a->body, a->len, &head,
                         NULL) == 0) {
        ours = objects_is_of(head, t);
        free(head);
    }
    return ours;
}

static void on_looked(void *arg, const struct kube_answer *a)
{
    struct track *t = arg;
    t->call = NULL;
    if (t->phase != TRACK_LOOKING) {
        track_step(t);
    } else if (a->err.code == ERR_NONE) {
        if (is_ours(t, a)) {
            t->was_made = true;
            t->phase = TRACK_THERE;
            track_look(t, objects_find(t->cluster, t));
        } else {
            track_fail(t, RUNNER_ENDED, OUTCOME_NOT_STARTED,
                       "an object of its name is there already, and is somebody else's");
        }
        track_step(t);
    } else if (a->err.code == ERR_NOT_FOUND && t->was_made) {
        track_fail(t, RUNNER_LOST, OUTCOME_NONE, "somebody deleted its object at once");
        track_step(t);
    } else if (a->err.code == ERR_NOT_FOUND) {
        t->phase = TRACK_MAKING;
        track_step(t);
    } else {
        wait_a_while(t);
        say_waiting(t, "the cluster does not answer", &a->err);
    }
}

static void look(struct track *t)
{
    auto_request struct runner_request r = {0};
    kube_runner_get(t->runner, t->cluster->config.settings.ns, t->name, &r);
    t->call = cluster_send(t->cluster, t->runner, &r, on_looked, t);
}

/* ---- ending ---- */

static void on_ended(void *arg, const struct kube_answer *a)
{
    struct track *t = arg;
    t->call = NULL;
    if (a->err.code == ERR_NONE || a->err.code == ERR_NOT_FOUND) {
        t->is_ending = true;
        t->ending_ms = cluster_now();
        track_step(t);
        return;
    }
    wait_a_while(t);
}

static void ask_to_end(struct track *t, const struct kube_head *object)
{
    auto_request struct runner_request r = {0};
    if (FAILPOINT("cluster.end"))
        return;
    kube_runner_cancel(t->runner, object, t->cluster->config.settings.grace_s, &r);
    t->call = cluster_send(t->cluster, t->runner, &r, on_ended, t);
}

/* Its controller does not do it, being away: then we end the pods. */
static void press(struct track *t)
{
    struct cluster *c = t->cluster;
    t->is_pressed = true;
    for (size_t i = 0; i < t->pod_count; i++) {
        struct kube_object pod = {
            .kind = &kube_pods, .ns = c->config.settings.ns, .name = t->pods[i]};
        struct kube_delete how = {.grace_seconds = c->config.settings.grace_s};
        kube_delete(c->client, &pod, &how, NULL, NULL);
    }
}

static void step_there(struct track *t)
{
    struct cluster *c = t->cluster;
    const struct kube_head *object = objects_find(c, t);
    int64_t now = cluster_now();
    if (!object) {
        /* Neither its coming nor its going was seen. */
        if (!t->is_seen && !t->is_gone && now - t->since_ms > SEEN_MS) {
            t->since_ms = now;
            t->phase = TRACK_LOOKING;
            look(t);
        }
        return;
    }
    if (!t->cause || t->call || now < t->again_ms)
        return;
    if (!t->is_ending)
        ask_to_end(t, object);
    else if (!t->is_pressed && !t->runner->is_pod &&
             now - t->ending_ms > c->config.press_ms + c->config.settings.grace_s * 1000)
        press(t);
}

/* ---- forgetting ---- */

void track_forget(struct track *t)
{
    if (t->phase < TRACK_OVER) {
        track_cancel(t, CAUSE_NOT_OURS, "Reeve does not know it any more");
        return;
    }
    if (!t->is_forgotten)
        cluster_sum_soon(t->cluster);
    t->is_forgotten = true;
    track_step(t);
}

static void on_released(void *arg, const struct kube_answer *a)
{
    struct track *t = arg;
    t->call = NULL;
    if (a->err.code == ERR_NONE || a->err.code == ERR_NOT_FOUND) {
        t->is_freed = true;
        track_step(t);
        return;
    }
    wait_a_while(t); /* a conflict, too: the watch brings its newest version */
}

static void on_removed(void *arg, const struct kube_answer *a)
{
    struct track *t = arg;
    t->call = NULL;
    if (a->err.code == ERR_NONE || a->err.code == ERR_NOT_FOUND)
        t->is_removed = true; /* and is gone when the watch says so */
    else
        wait_a_while(t);
}

static int64_t keep_ms(const struct track *t)
{
    bool at_once = t->cause == CAUSE_NOT_OURS || t->view.state == RUNNER_REFUSED;
    return at_once ? 0 : t->cluster->config.keep_ms;
}

/* When it ended, also where that was before our time. */
static int64_t ended_ago_ms(const struct track *t)
{
    int64_t ago = cluster_now() - t->over_ms, since;
    if (t->view.ended_ms) {
        since = engine_now_ms(t->cluster->engine) - t->view.ended_ms;
        if (since > ago)
            return since;
    }
    return ago;
}

/* Its end is durable: the object is let go, and removed once it was kept for long enough. */
static void step_over(struct track *t)
{
    auto_request struct runner_request r = {0};
    const struct kube_head *object = objects_find(t->cluster, t);
    if (!t->is_forgotten)
        return;
    if (!t->output_done && t->output && cluster_now() - t->over_ms < OUTPUT_MS)
        return;
    if (!object || t->is_gone) {
        track_free(t);
        return;
    }
    t->phase = TRACK_FREED;
    if (!t->is_freed) {
        if (FAILPOINT("cluster.release"))
            return;
        kube_runner_release(t->runner, object, &r);
        t->call = cluster_send(t->cluster, t->runner, &r, on_released, t);
    } else if (!t->is_removed && !object->deleted_ms && ended_ago_ms(t) >= keep_ms(t)) {
        if (FAILPOINT("cluster.remove"))
            return;
        kube_runner_remove(t->runner, object, &r);
        t->call = cluster_send(t->cluster, t->runner, &r, on_removed, t);
    }
}

/* ---- the next thing ---- */

void track_step(struct track *t)
{
    if (t->cluster->stopping || t->call || cluster_now() < t->again_ms)
        return;
    switch ((enum track_phase)t->phase) {
    case TRACK_TELLING:
        break;
    case TRACK_MAKING:
        make(t);
        break;
    case TRACK_LOOKING:
        look(t);
        break;
    case TRACK_THERE:
        step_there(t);
        break;
    case TRACK_OVER:
    case TRACK_FREED:
        step_over(t);
        break;
    }
}

void tracks_tick(struct cluster *c, const struct fleet_view *v)
{
    if (!cluster_is_synced(c))
        return;
    for (size_t i = 0; i < TRACK_BUCKETS; i++)
        for (struct track *t = c->tracks[i], *next; t; t = next) {
            next = t->next_in_bucket;
            track_check(t, v);
        }
}
