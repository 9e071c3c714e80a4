/* One pod on the node that Reeve has chosen: the fast path. No scheduler looks at it. */
#include "base/mem.h"
#include "runner/kube_runner.h"

static int make(const struct runner_attempt *a, const struct kube_place *p,
                const struct kube_settings *s, struct runner_request *ret, struct err *e)
{
    auto_kube_work struct kube_work w = {0};
    struct json_out o = {.text = &ret->body};
    if (kube_work_read(a->spec, &w, e) < 0)
        return -1;
    if (w.template)
        return err_set(e, ERR_INVALID, "a template is for jobs that run by Argo");
    jo_object(&o, NULL);
    jo_text(&o, "apiVersion", "v1");
    jo_text(&o, "kind", "Pod");
    kube_write_metadata(&o, a, p, s, &w);
    jo_object(&o, "spec");
    if (kube_write_pod_spec(&o, a, p, s, &w, kube_deadline_s(a, p), e) < 0)
        return -1;
    jo_end(&o);
    jo_end(&o);
    kube_request_create(&kube_pods, s->ns, ret);
    return 0;
}

/* ---- judging ---- */

struct phrase {
    const char *reason, *words;
    bool is_hopeless;
};

static const struct phrase *find_phrase(const struct phrase *list, size_t count, const char *reason)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].reason, reason) == 0)
            return &list[i];
    return NULL;
}

/* Why a container is not there yet. */
static const struct phrase waiting[] = {
    {"ContainerCreating", "its container is being made", false},
    {"PodInitializing", "its pod is being prepared", false},
    {"ErrImagePull", "the image cannot be pulled", false},
    {"ImagePullBackOff", "the image cannot be pulled", false},
    {"RegistryUnavailable", "the image's registry does not answer", false},
    {"ErrImageNeverPull", "the image is not on the node, and may not be pulled", true},
    {"InvalidImageName", "the image's name is not valid", true},
    {"ErrImageInspect", "the image cannot be read", false},
    {"CreateContainerConfigError", "the container's configuration cannot be had", false},
    {"CreateContainerError", "the container cannot be made", false},
    {"CreatePodSandboxError", "the pod cannot be made", false},
    {"PreCreateHookError", "the container cannot be made", false},
    {"PostStartHookError", "the container cannot be started", false},
    {"RunContainerError", "the container cannot be started", false},
};

/* How a pod that was there is taken away. */
static const struct phrase disruptions[] = {
    {"PreemptionByScheduler", "its pod made room for one of higher priority", false},
    {"DeletionByTaintManager", "its pod was sent away by a taint of the node", false},
    {"EvictionByEvictionAPI", "its pod was evicted", false},
    {"DeletionByPodGC", "its pod was cleared away: its node is gone or out of service", false},
    {"TerminationByKubelet", "its pod was ended by its node", false},
};

static const struct kube_container *find_container(const struct kube_pod *p, const char *name)
{
    const struct kube_container *only = NULL;
    for (const struct kube_container *c = p->containers; c; c = c->next) {
        if (strcmp(c->name, name) == 0)
            return c;
        if (!c->is_init && !only)
            only = c;
    }
    return only;
}

/* Kubelet says 137 of containers, too, that it never made as it did not take their pod in. */
static const struct kube_container *failed_init(const struct kube_pod *p)
{
    for (const struct kube_container *c = p->containers; c; c = c->next)
        if (c->is_init && c->state == KUBE_TERMINATED && c->exit_code != 0 &&
            strcmp(c->reason, "ContainerStatusUnknown") != 0)
            return c;
    return NULL;
}

static void judge_waiting(const struct kube_pod *p, const struct kube_container *c,
                          struct runner_view *v)
{
    const struct phrase *f = NULL;
    v->state = RUNNER_WAITING;
    if (p->is_unschedulable || p->is_gated) {
        runner_view_say(v, "no node takes its pod", p->scheduled_message);
        v->is_crowded = strstr(p->scheduled_message, "Insufficient ");
        return;
    }
    /* Containers that prepare it come first, and one of them may be what everything waits for. */
    for (const struct kube_container *i = p->containers; i && !f; i = i->next) {
        if (i->state != KUBE_WAITING || !i->reason[0] || strcmp(i->reason, "PodInitializing") == 0)
            continue;
        f = find_phrase(waiting, COUNT_OF(waiting), i->reason);
        v->is_hopeless = f && f->is_hopeless;
        runner_view_say(v, f ? f->words : i->reason, i->message);
        if (!f)
            return;
    }
    if (!f)
        runner_view_say(v, c ? "its pod is being prepared" : "its node has not taken it in yet",
                        "");
}

/* It never ran: kubelet did not take it in. Nothing of the job's happened. */
static void judge_turned_away(const struct kube_pod *p, struct runner_view *v)
{
    const struct kube_container *init = failed_init(p);
    if (init) {
        char words[128];
        v->state = RUNNER_ENDED;
        v->outcome = OUTCOME_NOT_STARTED;
        v->exit_code = init->exit_code;
        snprintf(words, sizeof words, "container '%.40s', which prepares it, failed with %lld",
                 init->name, (long long)init->exit_code);
        runner_view_say(v, words, init->message);
        return;
    }
    v->state = RUNNER_REFUSED;
    if (strcmp(p->reason, "UnexpectedAdmissionError") == 0)
        runner_view_say(v, "its node could not give it the devices", p->message);
    else if (text_starts_with(p->reason, "OutOf"))
        runner_view_say(v, "its node has no room for it any more", p->message);
    else if (strcmp(p->reason, "Evicted") == 0)
        runner_view_say(v, "its node sent it away", p->message);
    else
        runner_view_say(v, p->reason[0] ? p->reason : "its node did not take it in", p->message);
}

static void judge_exit(const struct kube_container *c, struct runner_view *v)
{
    char words[64];
    v->state = RUNNER_ENDED;
    v->exit_code = c->exit_code;
    if (c->exit_code == 0) {
        v->outcome = OUTCOME_COMPLETED;
    } else if (strcmp(c->reason, "OOMKilled") == 0) {
        v->outcome = OUTCOME_OUT_OF_MEMORY;
        v->term_signal = 9;
        runner_view_say(v, "it used more memory than its limit", "");
    } else if (strcmp(c->reason, "StartError") == 0 ||
               strcmp(c->reason, "ContainerCannotRun") == 0) {
        v->outcome = OUTCOME_NOT_STARTED;
        runner_view_say(v, "its command cannot be started", c->message);
    } else {
        v->outcome = OUTCOME_FAILED;
        if (c->exit_code > 128 && c->exit_code <= 128 + 64)
            snprintf(words, sizeof words, "exit code %lld, as by signal %lld",
                     (long long)c->exit_code, (long long)c->exit_code - 128);
        else
            snprintf(words, sizeof words, "exit code %lld", (long long)c->exit_code);
        runner_view_say(v, words, "");
    }
}

/* Ended by others than itself: nobody knows what it would have come to. */
static bool was_taken_away(const struct kube_pod *p, const struct kube_container *c)
{
    bool by_signal = !c || c->state != KUBE_TERMINATED || c->exit_code == 137 ||
                     c->exit_code == 143 || strcmp(c->reason, "ContainerStatusUnknown") == 0;
    if (c && strcmp(c->reason, "OOMKilled") == 0)
        return false;
    return by_signal && (p->head.deleted_ms || p->disruption_reason[0] || p->reason[0] ||
                         (c && strcmp(c->reason, "ContainerStatusUnknown") == 0));
}

static void judge_taken_away(const struct kube_pod *p, struct runner_view *v)
{
    const struct phrase *f = find_phrase(disruptions, COUNT_OF(disruptions), p->disruption_reason);
    v->state = RUNNER_LOST;
    v->exit_code = -1;
    if (strcmp(p->reason, "Evicted") == 0)
        runner_view_say(v, "its node sent it away", p->message);
    else if (f)
        runner_view_say(v, f->words, p->message);
    else if (p->head.deleted_ms)
        runner_view_say(v, "its pod was deleted", p->message);
    else
        runner_view_say(v, p->reason[0] ? p->reason : "its container is gone", p->message);
}

void kube_judge_pod(const struct kube_pod *p, const char *container, struct runner_view *ret)
{
    const struct kube_container *c = find_container(p, container);
    *ret = (struct runner_view){.exit_code = -1};
    bool began = c && c->state != KUBE_WAITING && c->started_ms;
    if (began) {
        ret->started_ms = c->started_ms;
        ret->ended_ms = c->state == KUBE_TERMINATED ? c->finished_ms : 0;
    }
    if (!kube_pod_is_over(p)) {
        if (!began) {
            judge_waiting(p, c, ret);
            return;
        }
        ret->state = RUNNER_RUNNING;
        ret->main_is_over = c->state == KUBE_TERMINATED;
        if (p->phase == KUBE_POD_UNKNOWN || strcmp(p->reason, "NodeLost") == 0)
            runner_view_say(ret, "its node does not answer", "");
        return;
    }
    if (p->phase == KUBE_POD_SUCCEEDED) {
        ret->state = RUNNER_ENDED;
        ret->outcome = OUTCOME_COMPLETED;
        ret->exit_code = 0;
    } else if (strcmp(p->reason, "DeadlineExceeded") == 0) {
        ret->state = RUNNER_ENDED;
        ret->outcome = began ? OUTCOME_TIME_LIMIT : OUTCOME_NOT_STARTED;
        runner_view_say(ret, began ? "it ran longer than it may" : "it took too long to start", "");
    } else if (was_taken_away(p, c) && (began || p->head.deleted_ms)) {
        judge_taken_away(p, ret);
    } else if (c && c->state == KUBE_TERMINATED) {
        judge_exit(c, ret);
    } else {
        judge_turned_away(p, ret);
    }
}

static void judge(const struct kube_head *object, const struct kube_pod *const *pods, size_t count,
                  struct runner_view *ret)
{
    (void)pods;
    (void)count;
    kube_judge_pod((const struct kube_pod *)object, "main", ret);
}

const struct kube_runner kube_runner_pod = {
    .name = "kube-pod", .kind = &kube_pods, .is_pod = true, .make = make, .judge = judge};
