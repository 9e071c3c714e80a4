#include "kubelet/pod_resources.h"

#include "base/mem.h"
#include "kubelet/message.h"
#include "net/grpc_client.h"
#include "pod_resources.pb-c.h"

#include <string.h>

#define TIMEOUT_MS 5000

/* ---- messages ---- */

void pod_holdings_done(struct pod_holdings *h)
{
    free(h->items);
    message_free(h->message_);
    *h = (struct pod_holdings){0};
}

const struct pod_holding *pod_holdings_find(const struct pod_holdings *h, const char *device)
{
    size_t len = strlen(device);
    for (size_t i = 0; i < h->count; i++) {
        const char *id = h->items[i].device;
        if (strncmp(id, device, len) == 0 && (!id[len] || strncmp(id + len, "::", 2) == 0))
            return &h->items[i];
    }
    return NULL;
}

static size_t count_ids(const PodResources__ListResponse *m)
{
    size_t n = 0;
    for (size_t p = 0; p < m->n_pods; p++)
        for (size_t c = 0; c < m->pods[p]->n_containers; c++)
            for (size_t d = 0; d < m->pods[p]->containers[c]->n_devices; d++)
                n += m->pods[p]->containers[c]->devices[d]->n_ids;
    return n;
}

static void add_container(struct pod_holdings *h, const PodResources__Pod *pod,
                          const PodResources__Container *c)
{
    for (size_t d = 0; d < c->n_devices; d++)
        for (size_t i = 0; i < c->devices[d]->n_ids; i++)
            h->items[h->count++] = (struct pod_holding){.resource = c->devices[d]->resource_name,
                                                        .device = c->devices[d]->ids[i],
                                                        .namespace = pod->namespace_,
                                                        .pod = pod->name,
                                                        .container = c->name};
}

/* Texts are shown to people and in metrics. */
static bool is_readable(const struct pod_holding *h)
{
    const char *const texts[] = {h->resource, h->device, h->namespace, h->pod, h->container};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!text_is_utf8(texts[i], strlen(texts[i])))
            return false;
    return true;
}

int pod_holdings_read(const uint8_t *bytes, size_t len, struct pod_holdings *ret, struct err *e)
{
    auto_message PodResources__ListResponse *m = message_unpack(
        &pod_resources__list_response__descriptor, bytes, len, "kubelet's list of pods", e);
    if (!m)
        return -1;
    struct pod_holdings h = {.items = mem_new_array(struct pod_holding, count_ids(m))};
    for (size_t p = 0; p < m->n_pods; p++)
        for (size_t c = 0; c < m->pods[p]->n_containers; c++)
            add_container(&h, m->pods[p], m->pods[p]->containers[c]);
    for (size_t i = 0; i < h.count; i++)
        if (!is_readable(&h.items[i])) {
            free(h.items);
            return err_set(e, ERR_INVALID, "kubelet's list of pods holds text that is not UTF-8");
        }
    h.message_ = TAKE(m);
    *ret = h;
    return 0;
}

int64_t pod_allocatable_read(const uint8_t *bytes, size_t len, const char *resource, struct err *e)
{
    int64_t count = 0;
    auto_message PodResources__AllocatableResponse *m =
        message_unpack(&pod_resources__allocatable_response__descriptor, bytes, len,
                       "kubelet's list of devices", e);
    if (!m)
        return -1;
    for (size_t d = 0; d < m->n_devices; d++)
        if (strcmp(m->devices[d]->resource_name, resource) == 0)
            count += (int64_t)m->devices[d]->n_ids;
    return count;
}

/* ---- asking ---- */

struct pod_resources {
    struct grpc_client *client;
    struct grpc_call *list, *allocatable;
    void (*on_list)(void *arg, struct pod_holdings *list, const struct err *e);
    void *list_arg;
    char *resource;
    void (*on_count)(void *arg, int64_t count, const struct err *e);
    void *count_arg;
};

struct pod_resources *pod_resources_new(uv_loop_t *loop, const char *kubelet)
{
    struct pod_resources *r = mem_new(struct pod_resources);
    auto_free char *socket = mem_printf("%s/pod-resources/kubelet.sock", kubelet);
    r->client = grpc_client_new(loop, socket);
    return r;
}

void pod_resources_free(struct pod_resources *r)
{
    if (!r)
        return;
    grpc_client_free(r->client);
    free(r->resource);
    free(r);
}

static void on_list(void *arg, const struct grpc_reply *reply)
{
    struct pod_resources *r = arg;
    struct pod_holdings list = {0};
    struct err e = reply->err;
    r->list = NULL;
    if (!e.code)
        pod_holdings_read(reply->bytes, reply->len, &list, &e);
    r->on_list(r->list_arg, &list, e.code ? &e : NULL);
    pod_holdings_done(&list); /* what was not taken over */
}

void pod_resources_list(struct pod_resources *r,
                        void (*on)(void *arg, struct pod_holdings *list, const struct err *e),
                        void *arg)
{
    static const struct grpc_call_config config = {.path = "/v1.PodResourcesLister/List",
                                                   .timeout_ms = TIMEOUT_MS};
    if (r->list)
        return;
    r->on_list = on;
    r->list_arg = arg;
    r->list = grpc_call_send(r->client, &config, on_list, r);
}

static void on_allocatable(void *arg, const struct grpc_reply *reply)
{
    struct pod_resources *r = arg;
    struct err e = reply->err;
    int64_t count = -1;
    r->allocatable = NULL;
    if (!e.code)
        count = pod_allocatable_read(reply->bytes, reply->len, r->resource, &e);
    r->on_count(r->count_arg, count, e.code ? &e : NULL);
}

void pod_resources_allocatable(struct pod_resources *r, const char *resource,
                               void (*on)(void *arg, int64_t count, const struct err *e), void *arg)
{
    static const struct grpc_call_config config = {
        .path = "/v1.PodResourcesLister/GetAllocatableResources", .timeout_ms = TIMEOUT_MS};
    if (r->allocatable)
        return;
    free(r->resource);
    r->resource = mem_strdup(resource);
    r->on_count = on;
    r->count_arg = arg;
    r->allocatable = grpc_call_send(r->client, &config, on_allocatable, r);
}
