/*
 * Argo Workflows through Argo Server, for who may not make Workflows in the cluster itself. It
 * changes no object's metadata, so none carries our finalizer: they stay for a day after their end,
 * whatever their template says.
 */
#include "runner/argo.h"

#include "base/json.h"

static const struct kube_resource_name workflows = {"", "v1", "workflows"};

static void begin(struct runner_request *ret, enum http_method method, const char *ns,
                  const char *name)
{
    ret->method = method;
    ret->repeatable = method != HTTP_POST;
    kube_path(&ret->target, &workflows, NULL, ns, name);
}

static int make(const struct runner_attempt *a, const struct kube_place *p,
                const struct kube_settings *s, struct runner_request *ret, struct err *e)
{
    auto_text struct text workflow = {0};
    struct json_out o = {.text = &ret->body};
    if (argo_write(&workflow, a, p, s, false, e) < 0)
        return -1;
    jo_object(&o, NULL);
    jo_text(&o, "namespace", s->ns);
    jo_raw(&o, "workflow", text_get(&workflow), workflow.len);
    jo_end(&o);
    begin(ret, HTTP_POST, s->ns, NULL);
    return 0;
}

static void get(const char *ns, const char *name, struct runner_request *ret)
{
    begin(ret, HTTP_GET, ns, name);
}

static void cancel(const struct kube_head *object, int64_t grace_s, struct runner_request *ret)
{
    struct json_out o = {.text = &ret->body};
    (void)grace_s; /* the pods' own */
    begin(ret, HTTP_PUT, object->ns, object->name);
    text_add(&ret->target, "/terminate");
    jo_object(&o, NULL);
    jo_text(&o, "namespace", object->ns);
    jo_text(&o, "name", object->name);
    jo_end(&o);
}

static void remove_object(const struct kube_head *object, struct runner_request *ret)
{
    begin(ret, HTTP_DELETE, object->ns, object->name);
}

/* Nothing holds it: asking for it is all there is to do. */
static void release(const struct kube_head *object, struct runner_request *ret)
{
    get(object->ns, object->name, ret);
}

static void list(const char *ns, const char *selector, struct runner_request *ret)
{
    begin(ret, HTTP_GET, ns, NULL);
    kube_query(&ret->target, "listOptions.labelSelector", selector);
}

const struct kube_runner kube_runner_argo_server = {
    .name = "argo-server",
    .transport = KUBE_BY_ARGO_SERVER,
    .kind = &kube_workflows,
    .make = make,
    .judge = argo_judge,
    .cancel = cancel,
    .get = get,
    .release = release,
    .remove = remove_object,
    .list = list,
};
