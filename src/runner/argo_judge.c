/*
 * What became of a Workflow: from its own words, from those of its steps, and from its pods, which
 * say most. A Workflow that is over is so for us when its pods are, too: until then they hold their
 * devices.
 */
#include "base/mem.h"
#include "runner/argo.h"

enum { PROGRESS_MOST = 1000000000 };

/* All that there is to see of one Workflow. */
struct sight {
    const struct kube_workflow *w;
    const struct kube_pod *const *pods;
    size_t count;
    bool began;      /* some step's container ran */
    bool pods_go_on; /* not all of them are over */
    int64_t tries;   /* of the step that was tried most; 1: once */
    int64_t started_ms, ended_ms;
};

static bool is(const char *s, const char *word)
{
    return strcmp(s, word) == 0;
}

/* Argo calls the tries of a step "name(0)", "name(1)". False: it is none. */
static bool try_of(const char *name, size_t *ret_len, int64_t *ret_n)
{
    size_t len = strlen(name), digits = 0;
    *ret_len = len;
    *ret_n = 0;
    if (len < 4 || name[len - 1] != ')')
        return false;
    while (digits < 6 && digits + 2 < len && name[len - 2 - digits] >= '0' &&
           name[len - 2 - digits] <= '9')
        digits++;
    if (!digits || name[len - 2 - digits] != '(')
        return false;
    *ret_n = strtoll(name + len - 1 - digits, NULL, 10);
    *ret_len = len - 2 - digits;
    return true;
}

static const struct kube_pod *pod_of(const struct sight *o, const struct kube_workflow_step *step)
{
    for (size_t i = 0; i < o->count; i++) {
        const char *id =
            kube_pair_find(o->pods[i]->head.annotations, "workflows.argoproj.io/node-id");
        if (id && is(id, step->id))
            return o->pods[i];
    }
    return NULL;
}

static bool step_failed(const struct kube_workflow_step *s)
{
    return is(s->phase, "Failed") || is(s->phase, "Error");
}

/* Whether a container of the step ran, as far as the step itself tells. */
static bool step_began(const struct kube_workflow_step *s)
{
    return s->exit_code[0] || is(s->phase, "Succeeded") || is(s->phase, "Running");
}

static void look(struct sight *o)
{
    o->tries = 1;
    for (size_t i = 0; i < o->count; i++) {
        struct runner_view v;
        kube_judge_pod(o->pods[i], "main", &v);
        o->pods_go_on |= !kube_pod_is_over(o->pods[i]);
        if (!v.started_ms)
            continue;
        o->began = true;
        if (!o->started_ms || v.started_ms < o->started_ms)
            o->started_ms = v.started_ms;
        if (v.ended_ms > o->ended_ms)
            o->ended_ms = v.ended_ms;
    }
    for (const struct kube_workflow_step *s = o->w->steps; s; s = s->next) {
        size_t len;
        int64_t n;
        if (try_of(s->name, &len, &n) && n + 1 > o->tries)
            o->tries = n + 1;
        if (!step_began(s) || pod_of(o, s))
            continue;
        o->began = true;
        if (s->started_ms && (!o->started_ms || s->started_ms < o->started_ms))
            o->started_ms = s->started_ms;
    }
}

/* WORDS, which may be V's own, about STEP: which one it is, where there are several, and how often
 * it was tried. */
static void say_of(const struct sight *o, const struct kube_workflow_step *step, const char *words,
                   struct runner_view *v)
{
    size_t len;
    int64_t n;
    auto_text struct text t = {0};
    try_of(step->name, &len, &n);
    if (strncmp(step->name, o->w->head.name, len) != 0 || o->w->head.name[len])
        text_addf(&t, "step '%.*s': ", (int)(len < 60 ? len : 60), step->name);
    if (o->tries > 1)
        text_addf(&t, "tried %lld times, at last: ", (long long)o->tries);
    text_add(&t, words);
    runner_view_say(v, text_get(&t), "");
}

/* "3/7"; what is but one of one says nothing. */
static void read_progress(const char *progress, struct runner_view *v)
{
    char *end;
    long long done = strtoll(progress, &end, 10);
    if (end == progress || *end != '/')
        return;
    long long total = strtoll(end + 1, &end, 10);
    if (*end || total < 2 || total > PROGRESS_MOST || done < 0 || done > total)
        return;
    v->done = done;
    v->total = total;
}

/* ---- while it is not over ---- */

/* What the steps that do not run yet wait for; the first one that says so. */
static bool say_waiting_step(const struct sight *o, struct runner_view *v)
{
    for (const struct kube_workflow_step *s = o->w->steps; s; s = s->next) {
        const struct kube_pod *p = pod_of(o, s);
        struct runner_view of_pod = {0};
        if (!is(s->phase, "Pending"))
            continue;
        if (p)
            kube_judge_pod(p, "main", &of_pod);
        if (p && of_pod.state != RUNNER_WAITING)
            continue;
        const char *words = of_pod.why[0] ? of_pod.why : s->message;
        if (!words[0])
            continue;
        v->is_hopeless = of_pod.is_hopeless;
        v->is_crowded = of_pod.is_crowded || strstr(words, "exceeded quota");
        say_of(o, s, words, v);
        return true;
    }
    return false;
}

static bool say_waiting_pod(const struct sight *o, struct runner_view *v)
{
    for (size_t i = 0; i < o->count; i++) {
        struct runner_view of_pod;
        kube_judge_pod(o->pods[i], "main", &of_pod);
        if (of_pod.state != RUNNER_WAITING)
            continue;
        v->is_hopeless = of_pod.is_hopeless;
        v->is_crowded = of_pod.is_crowded;
        runner_view_say(v, of_pod.why, "");
        return true;
    }
    return false;
}

static void judge_under_way(const struct sight *o, struct runner_view *v)
{
    const struct kube_workflow *w = o->w;
    v->state = o->began ? RUNNER_RUNNING : RUNNER_WAITING;
    read_progress(w->progress, v);
    if (kube_workflow_is_over(w)) {
        v->main_is_over = true;
        runner_view_say(v, "its pods are being ended", "");
    } else if (!w->phase[0] && !o->count) {
        runner_view_say(v, "Argo's controller has not looked at its workflow yet", "");
    } else if (w->is_suspended) {
        runner_view_say(v, "its workflow is suspended", "");
    } else if (!say_waiting_step(o, v) && !say_waiting_pod(o, v)) {
        const char *words = w->message[0]   ? "its workflow waits"
                            : !o->count     ? "its pod is not made yet"
                            : o->pods_go_on ? ""
                                            : "waiting for Argo's controller to go on";
        runner_view_say(v, words, w->message);
    }
}

/* ---- when it is ---- */

/* The one to blame: of those that failed, the last. */
static const struct kube_workflow_step *failed_step(const struct kube_workflow *w)
{
    const struct kube_workflow_step *found = NULL;
    for (const struct kube_workflow_step *s = w->steps; s; s = s->next) {
        size_t len;
        int64_t n, found_n = 0;
        if (!step_failed(s))
            continue;
        if (found)
            try_of(found->name, &len, &found_n);
        try_of(s->name, &len, &n);
        if (!found || s->finished_ms > found->finished_ms ||
            (s->finished_ms == found->finished_ms && n > found_n))
            found = s;
    }
    return found;
}

/* By what Argo wrote, where the pod is gone. */
static void judge_words(const struct sight *o, const char *message, const char *exit_code,
                        struct runner_view *v)
{
    char *end;
    long long code = strtoll(exit_code, &end, 10);
    bool has_code = end != exit_code && !*end;
    v->state = RUNNER_ENDED;
    v->exit_code = has_code ? code : -1;
    if (!o->began) {
        v->outcome = OUTCOME_NOT_STARTED;
    } else if (strstr(message, "OOMKilled")) {
        v->outcome = OUTCOME_OUT_OF_MEMORY;
        v->term_signal = 9;
    } else if (strstr(message, "exceeded its deadline") || strstr(message, "DeadlineExceeded") ||
               strstr(message, "deadline exceeded")) {
        v->outcome = OUTCOME_TIME_LIMIT;
    } else if (is(message, "pod deleted") || text_starts_with(message, "pod deleted ")) {
        v->state = RUNNER_LOST;
        v->exit_code = -1;
    } else {
        v->outcome = OUTCOME_FAILED;
    }
    runner_view_say(v, v->state == RUNNER_LOST ? "its pod was deleted" : "",
                    v->state == RUNNER_LOST ? "" : message);
}

static void judge_failed(const struct sight *o, struct runner_view *v)
{
    const struct kube_workflow_step *step = failed_step(o->w);
    const struct kube_pod *p = step ? pod_of(o, step) : o->count == 1 ? o->pods[0] : NULL;
    if (p && !step && !kube_pod_is_over(p))
        p = NULL;
    if (p) {
        struct runner_view of_pod;
        kube_judge_pod(p, "main", &of_pod);
        /* Argo may call failed what went well for its container: outputs that cannot be kept. */
        if (of_pod.state == RUNNER_ENDED && of_pod.outcome == OUTCOME_COMPLETED)
            p = NULL;
        else if (of_pod.state == RUNNER_WAITING || of_pod.state == RUNNER_RUNNING)
            p = NULL;
        else
            *v = of_pod;
    }
    if (!p)
        judge_words(o, step && step->message[0] ? step->message : o->w->message,
                    step ? step->exit_code : "", v);
    /* One step was turned away, others ran: what they did is lost. */
    if (v->state == RUNNER_REFUSED && o->began)
        v->state = RUNNER_LOST;
    if (step && v->why[0])
        say_of(o, step, v->why, v);
}

static void judge_end(const struct sight *o, struct runner_view *v)
{
    const struct kube_workflow *w = o->w;
    if (is(w->phase, "Succeeded")) {
        v->state = RUNNER_ENDED;
        v->outcome = OUTCOME_COMPLETED;
        v->exit_code = 0;
        if (o->tries > 1) {
            char words[64];
            snprintf(words, sizeof words, "a step of it was tried %lld times", (long long)o->tries);
            runner_view_say(v, words, "");
        }
    } else if (w->shutdown[0]) {
        v->state = RUNNER_ENDED;
        v->outcome = OUTCOME_CANCELLED;
        runner_view_say(v, "its workflow was stopped", w->shutdown);
    } else {
        judge_failed(o, v);
    }
    read_progress(w->progress, v);
}

void argo_judge(const struct kube_head *object, const struct kube_pod *const *pods, size_t count,
                struct runner_view *ret)
{
    struct sight o = {.w = (const struct kube_workflow *)object, .pods = pods, .count = count};
    bool is_over = kube_workflow_is_over(o.w);
    look(&o);
    *ret = (struct runner_view){.exit_code = -1};
    if (!is_over || o.pods_go_on)
        judge_under_way(&o, ret);
    else
        judge_end(&o, ret);
    ret->started_ms = o.started_ms;
    ret->ended_ms = ret->state == RUNNER_WAITING || ret->state == RUNNER_RUNNING ? 0
                    : o.ended_ms                                                 ? o.ended_ms
                                                                                 : o.w->finished_ms;
}
