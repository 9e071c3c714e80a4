/* Any bytes are a record of each kind, within its limits and whole, or an error. The first byte
 * says which kind. */
#include "base/mem.h"
#include "kube/job.h"
#include "kube/lease.h"
#include "kube/node.h"
#include "kube/pod.h"
#include "kube/status.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kube_kind custom;

/* Texts lie within the record and are UTF-8; lists end. */
static void is_good(const struct kube_head *head, const char *s)
{
    const char *start = (const char *)head;
    assert(s && text_is_utf8(s, strlen(s)));
    assert(!*s || (s > start && s < start + head->size));
}

static void are_good(const struct kube_head *head, const struct kube_pair *list)
{
    for (; list; list = list->next) {
        is_good(head, list->key);
        is_good(head, list->value);
    }
}

static void look_at_pod(const struct kube_pod *p)
{
    is_good(&p->head, p->node);
    is_good(&p->head, p->scheduler);
    is_good(&p->head, p->message);
    is_good(&p->head, p->scheduled_reason);
    is_good(&p->head, p->disruption_reason);
    assert(strlen(p->message) <= 256 && p->cpu_milli >= 0 && p->memory_bytes >= 0);
    for (const struct kube_need *n = p->needs; n; n = n->next) {
        is_good(&p->head, n->name);
        assert(n->count > 0 && kube_pod_need(p, n->name) > 0);
    }
    for (const struct kube_container *c = p->containers; c; c = c->next) {
        is_good(&p->head, c->name);
        is_good(&p->head, c->reason);
        is_good(&p->head, c->message);
        is_good(&p->head, c->last_reason);
    }
}

static void look_at_node(const struct kube_node *n)
{
    is_good(&n->head, n->address);
    is_good(&n->head, n->boot_id);
    for (const struct kube_supply *s = n->supplies; s; s = s->next) {
        is_good(&n->head, s->name);
        assert(s->capacity >= 0 && s->allocatable >= 0);
    }
    for (const struct kube_taint *t = n->taints; t; t = t->next)
        is_good(&n->head, t->effect);
    for (const struct kube_condition *c = n->conditions; c; c = c->next)
        is_good(&n->head, c->message);
}

static void look_at_workflow(const struct kube_workflow *w)
{
    is_good(&w->head, w->phase);
    for (const struct kube_workflow_step *s = w->steps; s; s = s->next) {
        is_good(&w->head, s->id);
        is_good(&w->head, s->exit_code);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kube_build *b;
    if (!b) {
        b = kube_build_new();
        custom = kube_custom_kind("a.example", "v1", "things", "Thing");
    }
    const struct kube_kind *const kinds[] = {&kube_pods,      &kube_nodes,  &kube_jobs,
                                             &kube_workflows, &kube_leases, &custom};
    if (!size)
        return 0;
    const struct kube_kind *kind = kinds[data[0] % COUNT_OF(kinds)];
    struct kube_head *head = NULL;
    struct err e = {0};
    struct kube_status status;
    const char *json = (const char *)data + 1;
    kube_status_parse(json, size - 1, &status);
    if (kube_record_read(kind, b, json, size - 1, &head, &e) < 0) {
        assert(e.code && !head);
        return 0;
    }
    assert(head->name[0] && head->size >= kind->size && head->size <= 192 * 1024);
    is_good(head, head->name);
    is_good(head, head->ns);
    is_good(head, head->version);
    is_good(head, head->owner_uid);
    are_good(head, head->labels);
    are_good(head, head->annotations);
    for (const struct kube_word *w = head->finalizers; w; w = w->next)
        is_good(head, w->text);
    if (kind == &kube_pods)
        look_at_pod((const void *)head);
    if (kind == &kube_nodes)
        look_at_node((const void *)head);
    if (kind == &kube_workflows)
        look_at_workflow((const void *)head);
    free(head);
    return 0;
}
