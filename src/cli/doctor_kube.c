/*
 * What Reeve needs of a Kubernetes cluster: that it is reached, that our account may do what the
 * control plane does, and what has to be installed. Asked as the account that we are there, so it
 * tells most when run in the control plane's pod.
 */
#include "base/json_out.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/doctor.h"
#include "cli/json_view.h"
#include "cli/kube_side.h"
#include "kube/node.h"

#include <inttypes.h>
#include <string.h>

#define MANIFESTS "deploy/kubernetes/default"
#define APPLY     "kubectl apply -k " MANIFESTS

struct look {
    struct doctor *d;
    struct kube_side *side;
    const char *jobs_ns, *own_ns;
    bool has_argo, has_training, has_allocation;
};

/* ---- what we may do ---- */

enum where { ANYWHERE, WITH_JOBS, AT_HOME };

enum need { ALWAYS, FOR_JOBS, FOR_ARGO, FOR_POD_AGENTS, FOR_TRAINING, FOR_ALLOCATION };

/* Each verb of each row is asked for; deploy/kubernetes/ gives all of them. */
static const struct permission_row {
    enum where where;
    const char *group, *resource, *sub, *name, *verbs;
    enum need need;
    const char *what_for;
} permissions[] = {
    {ANYWHERE, "", "nodes", "", "", "get list watch", ALWAYS, "see which GPUs there are"},
    {ANYWHERE, "", "pods", "", "", "get list watch", ALWAYS, "see what others' pods hold"},
    {ANYWHERE, "", "namespaces", "", "kube-system", "get", ALWAYS, "tell one cluster from another"},
    {WITH_JOBS, "", "pods", "", "", "create delete patch", ALWAYS, "run jobs"},
    {WITH_JOBS, "", "pods", "log", "", "get", ALWAYS, "keep what jobs print"},
    {WITH_JOBS, "events.k8s.io", "events", "", "", "create patch", FOR_JOBS,
     "say in events what it does with pods"},
    {WITH_JOBS, "", "events", "", "", "list", FOR_JOBS, "see why a Job gets no pod"},
    {WITH_JOBS, "batch", "jobs", "", "", "create delete get list patch watch", FOR_JOBS,
     "run jobs by runner kube-job"},
    {WITH_JOBS, "argoproj.io", "workflows", "", "", "create delete get list patch watch", FOR_ARGO,
     "run jobs by runner argo"},
    {WITH_JOBS, "argoproj.io", "workflowtemplates", "", "", "get list", FOR_ARGO,
     "use templates of Argo"},
    {ANYWHERE, "authentication.k8s.io", "tokenreviews", "", "", "create", FOR_POD_AGENTS,
     "let agents in that run as pods"},
    {AT_HOME, "", "configmaps", "", "reeve-ca", "patch", FOR_POD_AGENTS,
     "tell such agents whom to trust"},
    {ANYWHERE, "", "namespaces", "", "", "list watch", FOR_TRAINING, "know whom namespaces act as"},
    {ANYWHERE, "reeve.gpu", "trainingjobs", "", "", "get list patch watch", FOR_TRAINING,
     "take TrainingJobs"},
    {ANYWHERE, "reeve.gpu", "trainingjobs", "status", "", "patch", FOR_TRAINING,
     "say how TrainingJobs go"},
    {ANYWHERE, "gpu.k8s.io", "gpuallocations", "", "", "get list patch watch", FOR_ALLOCATION,
     "take GPUAllocations"},
    {ANYWHERE, "gpu.k8s.io", "gpuallocations", "status", "", "patch", FOR_ALLOCATION,
     "say what GPUAllocations are given"},
};

static const char *ns_of(const struct look *l, enum where where)
{
    return where == WITH_JOBS ? l->jobs_ns : where == AT_HOME ? l->own_ns : "";
}

static char *write_review(const struct look *l, const struct permission_row *p, const char *verb)
{
    struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_text(&o, "apiVersion", "authorization.k8s.io/v1");
    jo_text(&o, "kind", "SelfSubjectAccessReview");
    jo_object(&o, "spec");
    jo_object(&o, "resourceAttributes");
    jo_text(&o, "verb", verb);
    jo_text(&o, "group", p->group);
    jo_text(&o, "resource", p->resource);
    if (*p->sub)
        jo_text(&o, "subresource", p->sub);
    if (*p->name)
        jo_text(&o, "name", p->name);
    if (p->where != ANYWHERE)
        jo_text(&o, "namespace", ns_of(l, p->where));
    jo_end(&o);
    jo_end(&o);
    jo_end(&o);
    return text_take(&t);
}

/* 1: we may; 0: we may not. */
static int may(const struct look *l, const struct permission_row *p, const char *verb,
               struct err *e)
{
    auto_json json_t *answer = NULL;
    auto_free char *body = write_review(l, p, verb);
    if (kube_side_send(l->side, HTTP_POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                       NULL, body, &answer, e) < 0)
        return -1;
    return json_is_true(json_object_get(json_object_get(answer, "status"), "allowed"));
}

static void say_denied(const struct look *l, const struct permission_row *p, const char *verbs)
{
    auto_text struct text what = {0};
    text_addf(&what, "%s%s%s", p->resource, *p->sub ? "/" : "", p->sub);
    if (*p->group)
        text_addf(&what, ".%s", p->group);
    if (*p->name)
        text_addf(&what, " '%s'", p->name);
    doctor_found(l->d, "permission", p->need == ALWAYS ? BAD : WARN,
                 p->need == FOR_ARGO
                     ? "kubectl apply -k deploy/kubernetes/argo gives it, or add it to a role"
                 : p->need >= FOR_TRAINING
                     ? "kubectl apply -k deploy/kubernetes/operator gives it, or add it to a role"
                     : APPLY " gives it, or add it to a role of this account",
                 "may not %s %s%s%s, so it cannot %s", verbs, text_get(&what),
                 p->where == ANYWHERE ? "" : " in namespace ", ns_of(l, p->where), p->what_for);
}

/* Whether what needs it is there. */
static bool is_needed(const struct look *l, enum need need)
{
    switch (need) {
    case FOR_ARGO:
        return l->has_argo;
    case FOR_TRAINING:
        return l->has_training;
    case FOR_ALLOCATION:
        return l->has_allocation;
    default:
        return true;
    }
}

/* Adds VERB to LIST, with "or" in between. */
static void add_verb(struct text *list, const char *verb)
{
    text_addf(list, "%s%s", list->len ? " or " : "", verb);
}

static void look_at_permissions(const struct look *l)
{
    size_t asked = 0, missing = 0;
    for (size_t i = 0; i < COUNT_OF(permissions); i++) {
        const struct permission_row *p = &permissions[i];
        auto_text struct text denied = {0};
        auto_free char *verbs = mem_strdup(p->verbs);
        char *rest = NULL;
        if (!is_needed(l, p->need))
            continue;
        for (char *verb = strtok_r(verbs, " ", &rest); verb; verb = strtok_r(NULL, " ", &rest)) {
            struct err e = {0};
            int rc = may(l, p, verb, &e);
            if (rc < 0) {
                doctor_found(l->d, "permission", BAD, NULL, "could not ask for permissions: %s",
                             e.text);
                return;
            }
            asked++;
            missing += !rc;
            if (!rc)
                add_verb(&denied, verb);
        }
        if (denied.len)
            say_denied(l, p, text_get(&denied));
    }
    if (!missing)
        doctor_found(l->d, "permissions", GOOD, NULL, "all %zu that are needed", asked);
}

/* ---- what is installed ---- */

static bool is_there(const struct look *l, const char *target)
{
    auto_json json_t *ignored = NULL;
    struct err e = {0};
    return kube_side_get(l->side, target, &ignored, &e) == 0;
}

/* Kinds of objects that others, or we, add to a cluster. */
static const struct extension {
    const char *check, *target, *fix, *without;
} extensions[] = {
    {"Argo Workflows", "/apis/argoproj.io/v1alpha1",
     "install Argo Workflows, where jobs are to run as Workflows", "runners argo and argo-server"},
    {"TrainingJob", "/apis/reeve.gpu/v1alpha1",
     "kubectl apply -k deploy/kubernetes/operator, where people are to submit with kubectl",
     "TrainingJobs"},
    {"GPUAllocation", "/apis/gpu.k8s.io/v1",
     "kubectl apply -k deploy/kubernetes/operator, where people are to allocate with kubectl",
     "GPUAllocations"},
};

static void look_at_extensions(struct look *l)
{
    for (size_t i = 0; i < COUNT_OF(extensions); i++) {
        const struct extension *x = &extensions[i];
        bool there = is_there(l, x->target);
        bool *has[] = {&l->has_argo, &l->has_training, &l->has_allocation};
        *has[i] = there;
        if (there)
            doctor_found(l->d, x->check, GOOD, NULL, "its kinds are installed");
        else
            doctor_found(l->d, x->check, WARN, x->fix, "its kinds are not installed: no %s",
                         x->without);
    }
}

static void look_at_namespace(const struct look *l)
{
    struct err e = {0};
    auto_json json_t *answer = NULL;
    auto_text struct text target = {0};
    static const struct kube_resource_name namespaces = {"", "v1", "namespaces"};
    kube_path(&target, &namespaces, NULL, l->jobs_ns, NULL);
    if (kube_side_get(l->side, text_get(&target), &answer, &e) == 0)
        doctor_found(l->d, "namespace", GOOD, NULL, "'%s' is there for jobs", l->jobs_ns);
    else if (e.code == ERR_NOT_FOUND)
        doctor_found(l->d, "namespace", BAD, APPLY " makes it; or name another by --kube-namespace",
                     "there is no namespace '%s' for jobs", l->jobs_ns);
    /* Else it may be there, and we may not look. */
}

/* ---- nodes ---- */

struct nodes {
    size_t count, ready, with_gpus;
    int64_t gpus;
    struct text kinds; /* "nvidia.com/gpu" */
    char **names;      /* of nodes with GPUs */
};

static void nodes_done(struct nodes *n)
{
    for (size_t i = 0; i < n->with_gpus; i++)
        free(n->names[i]);
    free(n->names);
    text_done(&n->kinds);
}

static bool is_gpu(const char *resource)
{
    static const char *const begins[] = {"nvidia.com/gpu",   "nvidia.com/mig-",
                                         "amd.com/",         "gpu.intel.com/i915",
                                         "gpu.intel.com/xe", "habana.ai/gaudi"};
    for (size_t i = 0; i < COUNT_OF(begins); i++)
        if (text_starts_with(resource, begins[i]) && !strstr(resource, "_monitoring"))
            return true;
    return false;
}

static void on_node(void *arg, struct kube_head *record)
{
    struct nodes *n = arg;
    const struct kube_node *node = (const struct kube_node *)record;
    int64_t gpus = 0;
    for (const struct kube_supply *s = node->supplies; s; s = s->next) {
        if (!is_gpu(s->name) || s->allocatable <= 0)
            continue;
        gpus += s->allocatable;
        if (!n->kinds.len || !strstr(text_get(&n->kinds), s->name))
            text_addf(&n->kinds, "%s%s", n->kinds.len ? ", " : "", s->name);
    }
    n->count++;
    n->ready += node->is_ready;
    n->gpus += gpus;
    if (gpus) {
        n->names = mem_resize_array(n->names, n->with_gpus + 1);
        n->names[n->with_gpus++] = mem_strdup(node->head.name);
    }
    free(record);
}

/* Whether an agent of this node is linked to the control plane; -1: it does not know the node. */
static int is_linked(const json_t *nodes, const char *name)
{
    size_t i;
    json_t *node;
    json_array_foreach(view_items(nodes), i, node)
    {
        if (strcmp(view_text(node, "name"), name) == 0)
            return json_is_true(json_object_get(node, "agent"));
    }
    return -1;
}

static void look_at_agents(const struct look *l, const struct nodes *n)
{
    enum { NAMED = 5 };
    struct err e = {0};
    auto_json json_t *nodes = NULL;
    auto_text struct text names = {0};
    size_t missing = 0;
    if (!l->d->reachable || !n->with_gpus ||
        client_list(l->d->client, "/api/v1/nodes", 10000, &nodes, &e) < 0)
        return;
    for (size_t i = 0; i < n->with_gpus; i++) {
        if (is_linked(nodes, n->names[i]) > 0)
            continue;
        if (missing++ < NAMED)
            text_addf(&names, "%s%s", names.len ? ", " : "", n->names[i]);
    }
    if (!missing)
        doctor_found(l->d, "agents", GOOD, NULL, "one is linked on each node with GPUs");
    else
        doctor_found(l->d, "agents", WARN,
                     "look at them: kubectl -n reeve get pods -o wide; kubectl -n reeve logs POD",
                     "%zu of %zu nodes with GPUs have none that is linked: %s%s", missing,
                     n->with_gpus, text_get(&names), missing > NAMED ? ", ..." : "");
}

static void look_at_nodes(const struct look *l)
{
    struct err e = {0};
    AUTO(nodes_done) struct nodes n = {0};
    const struct kube_selection all = {.kind = &kube_nodes};
    if (kube_side_list(l->side, &all, on_node, &n, &e) < 0) {
        doctor_found(l->d, "cluster's nodes", BAD, APPLY " gives the permission", "%s", e.text);
        return;
    }
    doctor_found(l->d, "cluster's nodes", n.ready ? GOOD : BAD,
                 "kubectl describe nodes says what is wrong with them", "%zu of %zu ready", n.ready,
                 n.count);
    if (n.gpus)
        doctor_found(l->d, "cluster's GPUs", GOOD, NULL, "%" PRId64 " on %zu nodes: %s", n.gpus,
                     n.with_gpus, text_get(&n.kinds));
    else
        doctor_found(l->d, "cluster's GPUs", WARN,
                     "install the vendor's device plugin, or let the agents offer them: "
                     "deploy/kubernetes/components/device-plugin",
                     "no node offers any, so no job with a GPU can start");
    look_at_agents(l, &n);
}

/* ---- storage ---- */

static void look_at_claims(const struct look *l, const char *ns, bool *ret_any)
{
    static const struct kube_resource_name claims = {"", "v1", "persistentvolumeclaims"};
    struct err e = {0};
    auto_json json_t *list = NULL;
    auto_text struct text target = {0};
    size_t i;
    json_t *claim;
    kube_path(&target, &claims, ns, NULL, NULL);
    if (kube_side_get(l->side, text_get(&target), &list, &e) < 0)
        return; /* nothing hangs on our seeing them */
    json_array_foreach(view_items(list), i, claim)
    {
        const char *name = view_text(json_object_get(claim, "metadata"), "name");
        const char *phase = view_text(json_object_get(claim, "status"), "phase");
        bool good = strcmp(phase, "Bound") == 0;
        *ret_any = true;
        doctor_found(l->d, "storage", good ? GOOD : BAD,
                     "give the cluster a default storage class, or name one in the claim "
                     "(storageClassName)",
                     "claim '%s' in namespace %s is %s", name, ns, phase);
    }
}

static bool is_default(const json_t *class)
{
    const json_t *marks = json_object_get(json_object_get(class, "metadata"), "annotations");
    return strcmp(view_text(marks, "storageclass.kubernetes.io/is-default-class"), "true") == 0;
}

static void look_at_storage(const struct look *l)
{
    struct err e = {0};
    auto_json json_t *list = NULL;
    size_t i;
    json_t *class;
    bool any = false;
    look_at_claims(l, l->own_ns, &any);
    if (strcmp(l->jobs_ns, l->own_ns) != 0)
        look_at_claims(l, l->jobs_ns, &any);
    if (any || kube_side_get(l->side, "/apis/storage.k8s.io/v1/storageclasses", &list, &e) < 0)
        return;
    json_array_foreach(view_items(list), i, class)
    {
        if (!is_default(class))
            continue;
        doctor_found(l->d, "storage", GOOD, NULL, "class '%s' is the default",
                     view_text(json_object_get(class, "metadata"), "name"));
        return;
    }
    doctor_found(l->d, "storage", WARN,
                 "mark one: annotation storageclass.kubernetes.io/is-default-class=true",
                 "no storage class is the default: claims without one stay pending");
}

/* ---- all of it ---- */

void doctor_look_at_cluster(struct doctor *d, const struct doctor_options *o)
{
    struct err e = {0};
    auto_kube_side struct kube_side *side = NULL;
    auto_json json_t *version = NULL;
    if (kube_side_open(o->kube, o->kube_context, &side, &e) < 0 ||
        kube_side_reach(side, &version, &e) < 0) {
        doctor_found(d, "Kubernetes", BAD,
                     "name a kubeconfig by --kube FILE, or run this in the control plane's pod: "
                     "kubectl -n reeve exec deploy/reeve -- reeve doctor",
                     "%s", e.text);
        return;
    }
    doctor_found(d, "Kubernetes", GOOD, NULL, "%s at %s", view_text(version, "gitVersion"),
                 kube_side_server(side));
    struct look l = {.d = d,
                     .side = side,
                     .jobs_ns = o->kube_namespace,
                     .own_ns = kube_side_in_pod() ? kube_side_namespace(side) : "reeve"};
    look_at_extensions(&l);
    look_at_permissions(&l);
    look_at_namespace(&l);
    look_at_nodes(&l);
    look_at_storage(&l);
}
