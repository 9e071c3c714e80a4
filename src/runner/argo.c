/* Argo Workflows through the Kubernetes API. */
#include "runner/argo.h"

static int make(const struct runner_attempt *a, const struct kube_place *p,
                const struct kube_settings *s, struct runner_request *ret, struct err *e)
{
    if (argo_write(&ret->body, a, p, s, true, e) < 0)
        return -1;
    kube_request_create(&kube_workflows, s->ns, ret);
    return 0;
}

/* Its controller ends the pods and notes how; deleting it would take them away unseen. */
static void cancel(const struct kube_head *object, int64_t grace_s, struct runner_request *ret)
{
    struct json_out o = {.text = &ret->body};
    (void)grace_s; /* the pods' own */
    ret->method = HTTP_PATCH;
    ret->type = "application/merge-patch+json";
    ret->repeatable = true;
    kube_path(&ret->target, &kube_workflows.at, object->ns, object->name, NULL);
    jo_object(&o, NULL);
    jo_object(&o, "metadata");
    jo_text(&o, "uid", object->uid);
    jo_end(&o);
    jo_object(&o, "spec");
    jo_text(&o, "shutdown", "Terminate");
    jo_end(&o);
    jo_end(&o);
}

const struct kube_runner kube_runner_argo = {
    .name = "argo", .kind = &kube_workflows, .make = make, .judge = argo_judge, .cancel = cancel};
