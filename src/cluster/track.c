/* The life of an attempt, as far as it is ours: what its object says, and what follows from that.
 */
#include "cluster/internal.h"

#include "base/clock.h"
#include "base/mem.h"

enum {
    HOPELESS_MS = 60000,   /* for what will not come by itself */
    SURE_EXTRA_MS = 15000, /* beyond the grace of a pod, until a node that is well has ended it */
    REST_MS = 30000,       /* for others in a pod whose job has ended */
    WARN_MS = 60000,       /* before the time limit */
};

int64_t cluster_now(void)
{
    return clock_mono_ms();
}

/* ---- the table ---- */

static struct track **bucket_of(const struct cluster *c, int64_t job, int64_t n)
{
    uint64_t hash = (uint64_t)job * 0x9e3779b97f4a7c15u + (uint64_t)n;
    return (struct track **)&c->tracks[(hash ^ hash >> 29) % TRACK_BUCKETS];
}

struct track *track_find(const struct cluster *c, int64_t job, int64_t n)
{
    struct track *t = *bucket_of(c, job, n);
    while (t && (t->job != job || t->n != n))
        t = t->next_in_bucket;
    return t;
}

struct track *track_new(struct cluster *c, struct member *m, int64_t job, int64_t n, const char *id,
                        const char *name)
{
    struct track **bucket = bucket_of(c, job, n), *t = mem_new(struct track);
    t->cluster = c;
    t->member = m;
    t->job = job;
    t->n = n;
    t->since_ms = cluster_now();
    t->view.exit_code = -1;
    snprintf(t->id, sizeof t->id, "%s", id);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->next_in_bucket = *bucket;
    *bucket = t;
    t->next_of_member = m->tracks;
    m->tracks = t;
    c->track_count++;
    return t;
}

static void drop_make(struct track *t)
{
    if (t->make)
        runner_request_done(t->make);
    free(TAKE(t->make));
}

#define UNLINK(head, t, link)                                                                      \
    do {                                                                                           \
        struct track **p_ = &(head);                                                               \
        while (*p_ && *p_ != (t))                                                                  \
            p_ = &(*p_)->link;                                                                     \
        if (*p_)                                                                                   \
            *p_ = (t)->link;                                                                       \
    } while (0)

void track_free(struct track *t)
{
    UNLINK(*bucket_of(t->cluster, t->job, t->n), t, next_in_bucket);
    UNLINK(t->member->tracks, t, next_of_member);
    UNLINK(t->member->dirty, t, next_dirty);
    UNLINK(t->member->in_report, t, next_told);
    t->cluster->track_count--;
    if (t->call)
        kube_cancel(t->call);
    if (t->events_call)
        kube_cancel(t->events_call);
    output_drop(t);
    drop_make(t);
    for (size_t i = 0; i < t->pod_count; i++)
        free((char *)t->pods[i]);
    free(t->pods);
    free(t);
}

void tracks_free(struct cluster *c)
{
    for (size_t i = 0; i < TRACK_BUCKETS; i++)
        while (c->tracks[i])
            track_free(c->tracks[i]);
}

bool track_is_known(const struct track *t, const struct fleet_view *v)
{
    const struct job *j = fleet_job(v, t->job);
    const struct attempt *a = j ? fleet_job_attempt(v, j) : NULL;
    const struct node *node = a ? fleet_node(v, a->node) : NULL;
    char id[ATTEMPT_ID_SIZE];
    /* By name: in our first moments we know no ids of nodes yet. */
    if (!node || a->n != t->n || strcmp(node->name, t->member->name) != 0)
        return false;
    attempt_id(id, v->incarnation, t->job, t->n);
    return strcmp(id, t->id) == 0;
}

/* ---- the end ---- */

/* Why it ended is ours to say where we ended it: also of a job that takes the word to end as one to
 * finish, as on a machine. */
static void judge_cause(struct track *t)
{
    struct runner_view *v = &t->view;
    bool by_us = t->is_ending && (t->cause == CAUSE_CANCEL || t->cause == CAUSE_NOT_OURS ||
                                  t->cause == CAUSE_TIME_LIMIT);
    if (v->state == RUNNER_ENDED && v->outcome == OUTCOME_COMPLETED && !by_us)
        return;
    switch ((enum track_cause)t->cause) {
    case CAUSE_CANCEL:
    case CAUSE_NOT_OURS:
        v->state = RUNNER_ENDED;
        v->outcome = OUTCOME_CANCELLED;
        snprintf(v->why, sizeof v->why, "%s", t->why_cause);
        break;
    case CAUSE_TIME_LIMIT:
        v->state = RUNNER_ENDED;
        v->outcome = OUTCOME_TIME_LIMIT;
        snprintf(v->why, sizeof v->why, "%s", t->why_cause);
        break;
    case CAUSE_START_LIMIT:
        if (v->started_ms)
            break;
        v->state = RUNNER_ENDED;
        v->outcome = OUTCOME_NOT_STARTED;
        snprintf(v->why, sizeof v->why, "%s", t->why_cause);
        break;
    case CAUSE_CROWDED:
        if (v->started_ms)
            break;
        v->state = RUNNER_REFUSED;
        snprintf(v->why, sizeof v->why, "%s", t->why_cause);
        break;
    case CAUSE_DELETED:
        v->state = RUNNER_LOST;
        snprintf(v->why, sizeof v->why, "%s", t->why_cause);
        break;
    case CAUSE_NONE:
    case CAUSE_REST:
        break;
    }
}

static void end(struct track *t)
{
    judge_cause(t);
    t->phase = TRACK_OVER;
    t->over_ms = cluster_now();
    drop_make(t);
    output_end(t);
    member_tell(t);
    if (t->cause == CAUSE_NOT_OURS)
        t->cluster->sums_due = true;
}

void track_fail(struct track *t, enum runner_state state, enum attempt_outcome outcome,
                const char *why)
{
    t->view = (struct runner_view){.state = state, .outcome = outcome, .exit_code = -1};
    runner_view_say(&t->view, why, "");
    t->output_done = true;
    end(t);
}

/* ---- what its object says ---- */

enum { PODS_MOST = 64 };

static size_t find_pods(const struct track *t, const struct kube_pod **ret)
{
    const struct cluster *c = t->cluster;
    size_t count = 0;
    for (size_t i = 0; i < t->pod_count && count < PODS_MOST; i++) {
        const struct kube_head *h = kube_watch_find(c->pods, c->config.settings.ns, t->pods[i]);
        if (h)
            ret[count++] = (const struct kube_pod *)h;
    }
    return count;
}

/* Its node has said itself that nothing of it runs. Others call pods over, too, whose node is away:
 * that is no proof of anything. */
static bool pod_is_sure(const struct kube_pod *p)
{
    if (!kube_pod_is_over(p))
        return false;
    for (const struct kube_container *k = p->containers; k; k = k->next)
        if (k->state == KUBE_RUNNING)
            return false;
    return true;
}

/* Else a node that is well, and was for long enough to have ended it, or one that is off. */
static bool is_sure(struct track *t, const struct kube_pod *const *pods, size_t count)
{
    const struct member *m = t->member;
    int64_t now = cluster_now(), grace = t->cluster->config.settings.grace_s * 1000;
    bool sure = !t->is_gone;
    for (size_t i = 0; i < count; i++)
        sure = sure && pod_is_sure(pods[i]);
    if (sure || m->is_out)
        return true;
    if (!t->unsure_ms)
        t->unsure_ms = now;
    int64_t since = t->unsure_ms > m->heard_since_ms ? t->unsure_ms : m->heard_since_ms;
    return m->is_present && m->is_heard && t->cluster->is_reachable &&
           now - since > grace + SURE_EXTRA_MS;
}

static bool is_final(const struct runner_view *v)
{
    return v->state == RUNNER_ENDED || v->state == RUNNER_REFUSED || v->state == RUNNER_LOST;
}

static void begin_to_run(struct track *t, const struct runner_view *v)
{
    int64_t now = cluster_now(), ago = engine_now_ms(t->cluster->engine) - v->started_ms;
    if (t->started_ms || !v->started_ms)
        return;
    /* By the cluster's clock, which is another one: not before it was made. */
    if (ago > now - t->since_ms)
        ago = now - t->since_ms;
    t->started_ms = now - (ago > 0 ? ago : 0);
    remark(t, false, "Started", "job %lld of Reeve runs", (long long)t->job);
}

static void take(struct track *t, const struct runner_view *v, const struct kube_pod *const *pods,
                 size_t count)
{
    struct cluster *c = t->cluster;
    if (v->total && (v->done != t->view.done || v->total != t->view.total) && c->config.on_progress)
        c->config.on_progress(c->config.arg, t->job, t->n, v->done, v->total);
    begin_to_run(t, v);
    t->rest_ms = !v->main_is_over ? 0 : t->rest_ms ? t->rest_ms : cluster_now();
    if (is_final(v)) {
        if (is_sure(t, pods, count)) {
            t->view = *v;
            end(t);
            return;
        }
        /* It holds its devices until somebody knows. */
        char why[sizeof t->view.why];
        snprintf(why, sizeof why, "it seems to be over, which its node does not confirm");
        bool news = strcmp(why, t->view.why) != 0;
        memcpy(t->view.why, why, sizeof why);
        if (news && t->view.state == RUNNER_WAITING)
            member_tell(t);
        return;
    }
    t->unsure_ms = 0;
    bool news = t->view.state != v->state ||
                (v->state == RUNNER_WAITING && strcmp(t->view.why, v->why) != 0) || !t->told;
    t->view = *v;
    if (news)
        member_tell(t);
}

static void follow_output(struct track *t, const struct kube_pod *const *pods, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (const struct kube_container *k = pods[i]->containers; k; k = k->next)
            if (strcmp(k->name, "main") == 0 && k->state != KUBE_WAITING && k->started_ms)
                output_follow(t, pods[i], "main");
}

static bool has_finalizer(const struct kube_head *h)
{
    for (const struct kube_word *f = h->finalizers; f; f = f->next)
        if (strcmp(f->text, KUBE_FINALIZER) == 0)
            return true;
    return false;
}

/* Asked to end, it did not say that it did; but none of its pods is there any more. */
static bool was_pressed_out(const struct track *t, const struct kube_pod *const *pods, size_t count)
{
    if (!t->is_pressed || t->runner->is_pod)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!kube_pod_is_over(pods[i]))
            return false;
    return true;
}

void track_look(struct track *t, const struct kube_head *object)
{
    const struct kube_pod *pods[PODS_MOST];
    struct runner_view v = {.exit_code = -1};
    if (!object || !t->runner)
        return;
    if (!objects_is_of(object, t))
        return;
    t->is_seen = true;
    t->is_freed = t->runner->transport == KUBE_BY_API && !has_finalizer(object);
    if (t->phase == TRACK_TELLING)
        return; /* made before; it is looked at when that is durable */
    if (t->phase < TRACK_THERE)
        t->phase = TRACK_THERE;
    if (t->phase != TRACK_THERE)
        return;
    drop_make(t);
    size_t count = find_pods(t, pods);
    t->runner->judge(object, pods, count, &v);
    refusal_tell(t, &v);
    if (t->runner->is_pod) {
        pods[0] = (const struct kube_pod *)object;
        count = 1;
    }
    if (!is_final(&v) && was_pressed_out(t, pods, count)) {
        v.state = RUNNER_LOST;
        runner_view_say(&v, "it did not end when it was asked to; its pods were deleted", "");
    }
    follow_output(t, pods, count);
    take(t, &v, pods, count);
}

/* Without our finalizer's being taken off by us: somebody was in a hurry. */
void track_on_gone(struct track *t, const struct kube_head *last)
{
    const struct kube_pod *pods[PODS_MOST];
    struct runner_view v = {.exit_code = -1};
    t->is_gone = true;
    if (t->phase == TRACK_FREED || (t->phase == TRACK_OVER && t->is_forgotten)) {
        track_free(t);
        return;
    }
    if (t->phase != TRACK_THERE)
        return;
    size_t count = find_pods(t, pods);
    t->runner->judge(last, pods, count, &v);
    if (t->runner->is_pod) {
        pods[0] = (const struct kube_pod *)last;
        count = 1;
        t->is_gone = !pod_is_sure(pods[0]);
    }
    if (!is_final(&v) || t->is_gone) {
        v.state = RUNNER_LOST;
        v.exit_code = -1;
        runner_view_say(&v, "somebody deleted its object, and did not let it end", "");
    }
    begin_to_run(t, &v);
    if (is_sure(t, pods, count)) {
        t->view = v;
        end(t);
    }
}

/* ---- ended by us ---- */

void track_cancel(struct track *t, enum track_cause cause, const char *why)
{
    if (t->phase >= TRACK_OVER || (t->cause && cause != CAUSE_NOT_OURS))
        return;
    if (!t->cause)
        snprintf(t->why_cause, sizeof t->why_cause, "%s", why);
    t->cause = cause;
    t->again_ms = 0;
    if (cause == CAUSE_NOT_OURS)
        cluster_sum_soon(t->cluster);
    if (t->phase == TRACK_TELLING && !t->is_in_report && !t->is_seen)
        track_fail(t, RUNNER_ENDED, OUTCOME_CANCELLED, t->why_cause);
    else
        track_step(t);
}

static void check_limits(struct track *t, int64_t now)
{
    const struct cluster *c = t->cluster;
    char why[160];
    int64_t limit = t->time_limit_ms, start = c->config.start_limit_ms;
    if (t->cause)
        return;
    const struct kube_head *object = t->runner->is_pod ? NULL : objects_find(t->cluster, t);
    if (object && object->deleted_ms) {
        snprintf(why, sizeof why, "somebody deleted its %s", t->runner->kind->kind);
        track_cancel(t, CAUSE_DELETED, why);
    } else if (t->rest_ms && now - t->rest_ms > REST_MS) {
        track_cancel(t, CAUSE_REST, "");
    } else if (t->started_ms && limit && now - t->started_ms >= limit) {
        remark(t, true, "TimeLimit", "it has run for %lld s, which is its limit",
               (long long)limit / 1000);
        track_cancel(t, CAUSE_TIME_LIMIT, "it ran longer than it may");
    } else if (t->started_ms && limit > 2 * WARN_MS && !t->was_warned &&
               now - t->started_ms >= limit - WARN_MS) {
        t->was_warned = true;
        remark(t, true, "TimeLimitNear", "it will be ended in a minute: its time limit");
    } else if (t->view.state == RUNNER_WAITING && !t->unsure_ms) {
        int64_t waited = now - t->since_ms;
        /* Twenty seconds of ten minutes: others may hold it for long. */
        if (t->view.is_crowded && waited >= start / 30 && !t->started_ms) {
            track_cancel(t, CAUSE_CROWDED, t->view.why);
            return;
        }
        if (waited < start && !(t->view.is_hopeless && waited >= HOPELESS_MS))
            return;
        snprintf(why, sizeof why, "%.120s; given up after %lld s",
                 t->view.why[0] ? t->view.why : "it did not start", (long long)waited / 1000);
        remark(t, true, "StartLimit", "%s", why);
        track_cancel(t, CAUSE_START_LIMIT, why);
    }
}

void track_check(struct track *t, const struct fleet_view *v)
{
    int64_t now = cluster_now();
    if (!track_is_known(t, v)) {
        if (t->phase >= TRACK_OVER)
            track_forget(t);
        else
            track_cancel(t, CAUSE_NOT_OURS, "Reeve does not know it any more");
        return;
    }
    if (t->phase == TRACK_THERE) {
        check_limits(t, now);
        refusal_look(t, now);
        if (t->phase == TRACK_THERE && t->unsure_ms && t->is_gone) {
            if (is_sure(t, NULL, 0)) {
                t->view.state = RUNNER_LOST;
                runner_view_say(&t->view, "somebody deleted its object, and did not let it end",
                                "");
                end(t);
            }
        } else if (t->phase == TRACK_THERE && (t->unsure_ms || t->is_pressed)) {
            track_look(t, objects_find(t->cluster, t));
        }
    }
    track_step(t);
}
