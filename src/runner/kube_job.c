/* A Kubernetes Job of one pod, on the node that Reeve has chosen: for clusters whose tools look at
 * Jobs. Whether it is tried again is Reeve's to decide, so the Job itself never does. */
#include "kube/job.h"
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
    jo_text(&o, "apiVersion", "batch/v1");
    jo_text(&o, "kind", "Job");
    kube_write_metadata(&o, a, p, s, &w);
    jo_object(&o, "spec");
    jo_int(&o, "backoffLimit", 0);
    jo_object(&o, "template");
    jo_object(&o, "metadata");
    kube_write_marks(&o, a, p, &w);
    jo_end(&o);
    jo_object(&o, "spec");
    /* The limit is the pod's: kubelet keeps it, whoever else is away. */
    if (kube_write_pod_spec(&o, a, p, s, &w, kube_deadline_s(a, p), e) < 0)
        return -1;
    jo_end(&o);
    jo_end(&o);
    jo_end(&o);
    jo_end(&o);
    kube_request_create(&kube_jobs, s->ns, ret);
    return 0;
}

/* There is one, unless somebody deleted it: then Kubernetes may have made another before it
 * noticed. */
static const struct kube_pod *newest(const struct kube_pod *const *pods, size_t count)
{
    const struct kube_pod *p = NULL;
    for (size_t i = 0; i < count; i++)
        if (!p || pods[i]->head.created_ms > p->head.created_ms)
            p = pods[i];
    return p;
}

static void judge_end_without_pod(const struct kube_job *j, const struct kube_condition *end,
                                  struct runner_view *v)
{
    v->ended_ms = j->completed_ms;
    if (end && strcmp(end->type, "Complete") == 0) {
        v->state = RUNNER_ENDED;
        v->outcome = OUTCOME_COMPLETED;
        v->exit_code = 0;
    } else if (end && strcmp(end->reason, "DeadlineExceeded") == 0) {
        v->state = RUNNER_ENDED;
        v->outcome = OUTCOME_TIME_LIMIT;
        runner_view_say(v, "it ran longer than it may", "");
    } else {
        v->state = RUNNER_LOST;
        runner_view_say(v,
                        end ? "its pod is gone, and nobody knows how it ended"
                            : "its Job was deleted, and its pod with it",
                        "");
    }
}

static void judge(const struct kube_head *object, const struct kube_pod *const *pods, size_t count,
                  struct runner_view *ret)
{
    const struct kube_job *j = (const struct kube_job *)object;
    const struct kube_condition *end = kube_job_end(j);
    const struct kube_pod *p = newest(pods, count);
    if (p) {
        kube_judge_pod(p, "main", ret);
        /* The Job's own limit ends its pod by deleting it. */
        if (ret->state == RUNNER_LOST && end && strcmp(end->reason, "DeadlineExceeded") == 0) {
            ret->state = RUNNER_ENDED;
            ret->outcome = OUTCOME_TIME_LIMIT;
            runner_view_say(ret, "it ran longer than it may", "");
        }
        return;
    }
    *ret = (struct runner_view){.exit_code = -1};
    if (end || object->deleted_ms) {
        judge_end_without_pod(j, end, ret);
        return;
    }
    ret->state = RUNNER_WAITING;
    if (j->is_suspended)
        runner_view_say(ret, "its Job is suspended", "");
    else if (!j->started_ms)
        runner_view_say(ret, "waiting for Kubernetes' controllers to look at its Job", "");
    else
        runner_view_say(ret, "no pod of its Job is there yet", "");
}

/* What it has made goes first, and by itself: else its pod would run on while our finalizer holds
 * it. */
static void cancel(const struct kube_head *object, int64_t grace_s, struct runner_request *ret)
{
    struct json_out o = {.text = &ret->body};
    (void)grace_s; /* the pod's own */
    ret->method = HTTP_DELETE;
    ret->repeatable = true;
    kube_path(&ret->target, &kube_jobs.at, object->ns, object->name, NULL);
    jo_object(&o, NULL);
    jo_object(&o, "preconditions");
    jo_text(&o, "uid", object->uid);
    jo_end(&o);
    jo_text(&o, "propagationPolicy", "Foreground");
    jo_end(&o);
}

const struct kube_runner kube_runner_job = {
    .name = "kube-job", .kind = &kube_jobs, .make = make, .judge = judge, .cancel = cancel};
