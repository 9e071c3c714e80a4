#include "agent/pods.h"

#include "agent/link.h"
#include "agent/report.h"
#include "agent/sampler.h"
#include "base/log.h"
#include "base/mem.h"
#include "kubelet/pod_name.h"

#include <stdio.h>
#include <string.h>

struct pods {
    struct agent *agent;
    struct pod_resources *kubelet;
    char *socket;
    struct pod_holdings list;
    bool is_known, has_complained;
};

bool pods_is_ours(const struct agent *agent, const char *pod, int64_t *ret_job, int64_t *ret_n)
{
    return pod_name_attempt(pod, agent->site, ret_job, ret_n);
}

bool pods_are_known(const struct pods *p)
{
    return p && p->is_known;
}

const struct pod_holding *pods_holding(const struct pods *p, const char *uuid)
{
    return p ? pod_holdings_find(&p->list, uuid) : NULL;
}

enum owner pods_owner(const struct pods *p, const char *uuid, char words[DEVICE_HOLDER_SIZE])
{
    int64_t job, n;
    const struct pod_holding *h = pods_holding(p, uuid);
    words[0] = '\0';
    if (!h)
        return OWNER_UNKNOWN;
    if (pods_is_ours(p->agent, h->pod, &job, &n))
        return OWNER_OURS;
    snprintf(words, DEVICE_HOLDER_SIZE, "pod %.60s/%.60s", h->namespace, h->pod);
    return OWNER_OTHER;
}

static bool is_same_list(const struct pod_holdings *a, const struct pod_holdings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct pod_holding *x = &a->items[i], *y = &b->items[i];
        if (strcmp(x->device, y->device) != 0 || strcmp(x->pod, y->pod) != 0 ||
            strcmp(x->namespace, y->namespace) != 0 || strcmp(x->container, y->container) != 0)
            return false;
    }
    return true;
}

static void on_list(void *arg, struct pod_holdings *list, const struct err *e)
{
    struct pods *p = arg;
    if (e) {
        /* What was last told holds on: a kubelet that restarts has not freed anything. */
        if (!p->has_complained)
            log_warn("kubelet does not tell which pod holds which GPU", F_ERR(e));
        p->has_complained = true;
        return;
    }
    p->has_complained = false;
    if (p->is_known && is_same_list(&p->list, list))
        return;
    p->is_known = true;
    pod_holdings_done(&p->list);
    p->list = *list;
    *list = (struct pod_holdings){0};
    p->agent->tell_bound = true;
    sampler_judge(p->agent->sampler);
    link_wake(p->agent->link);
}

void pods_look(struct pods *p)
{
    if (!p)
        return;
    if (access(p->socket, F_OK) == 0)
        pod_resources_list(p->kubelet, on_list, p);
}

struct pods *pods_start(struct agent *agent)
{
    struct pods *p = mem_new(struct pods);
    p->agent = agent;
    p->socket = mem_printf("%s/pod-resources/kubelet.sock", agent->options.kubelet_dir);
    p->kubelet = pod_resources_new(agent->loop, agent->options.kubelet_dir);
    return p;
}

void pods_stop(struct pods *p)
{
    if (!p)
        return;
    pod_resources_free(p->kubelet);
    pod_holdings_done(&p->list);
    free(p->socket);
    free(p);
}

/* The one of the first COUNT that is this attempt's in this pod. */
static struct report_bound *find_bound(struct report_bound *all, size_t count,
                                       const struct pod_holding *h, int64_t job, int64_t n)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].job == job && all[i].n == n && strcmp(all[i].pod, h->pod) == 0 &&
            strcmp(all[i].namespace, h->namespace) == 0)
            return &all[i];
    return NULL;
}

size_t pods_bound(const struct pods *p, struct report_bound *ret, size_t room)
{
    size_t count = 0;
    for (size_t d = 0; p && d < p->agent->devices.count; d++) {
        const char *uuid = p->agent->devices.items[d].uuid;
        const struct pod_holding *h = pods_holding(p, uuid);
        int64_t job, n;
        if (!h || !pods_is_ours(p->agent, h->pod, &job, &n))
            continue;
        struct report_bound *b = find_bound(ret, count, h, job, n);
        if (!b && count == room)
            continue;
        if (!b) {
            b = &ret[count++];
            *b =
                (struct report_bound){.job = job, .n = n, .namespace = h->namespace, .pod = h->pod};
        }
        b->devices[b->device_count++] = uuid;
    }
    return count;
}
