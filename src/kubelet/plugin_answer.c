#include "kubelet/plugin_answer.h"

#include "base/mem.h"
#include "device_plugin.pb-c.h"
#include "kubelet/message.h"
#include "kubelet/prefer.h"

#define VERSION      "v1beta1"
#define HEALTHY      "Healthy"
#define UNHEALTHY    "Unhealthy"
#define DEVICES_MOST 1024 /* that one container may ask for */

/* ---- what a container is given ---- */

static void add(struct plugin_item **items, size_t *count, const char *name, const char *value,
                const char *more)
{
    *items = mem_resize_array(*items, *count + 1);
    (*items)[(*count)++] = (struct plugin_item){mem_strdup(name), value ? mem_strdup(value) : NULL,
                                                more ? mem_strdup(more) : NULL};
}

void plugin_grant_env(struct plugin_grant *g, const char *name, const char *value)
{
    add(&g->envs, &g->env_count, name, value, NULL);
}

void plugin_grant_mount(struct plugin_grant *g, const char *inside, const char *outside,
                        bool is_read_only)
{
    add(&g->mounts, &g->mount_count, inside, outside, is_read_only ? "ro" : "rw");
}

void plugin_grant_node(struct plugin_grant *g, const char *inside, const char *outside,
                       const char *permissions)
{
    add(&g->nodes, &g->node_count, inside, outside, permissions);
}

void plugin_grant_cdi(struct plugin_grant *g, const char *name)
{
    add(&g->cdi, &g->cdi_count, name, NULL, NULL);
}

static void drop(struct plugin_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i].name);
        free(items[i].value);
        free(items[i].more);
    }
    free(items);
}

void plugin_grant_done(struct plugin_grant *g)
{
    drop(g->envs, g->env_count);
    drop(g->mounts, g->mount_count);
    drop(g->nodes, g->node_count);
    drop(g->cdi, g->cdi_count);
    *g = (struct plugin_grant){0};
}

/* ---- what we say of ourselves ---- */

/* protobuf-c only reads them. */
static char *lent(const char *text)
{
    return (char *)(uintptr_t)text;
}

void plugin_say_nothing(struct text *out)
{
    DevicePlugin__Empty m = DEVICE_PLUGIN__EMPTY__INIT;
    message_pack(&m.base, out);
}

void plugin_say_options(struct text *out)
{
    DevicePlugin__Options m = DEVICE_PLUGIN__OPTIONS__INIT;
    m.prefers = true;
    message_pack(&m.base, out);
}

void plugin_say_register(const char *resource, const char *endpoint, struct text *out)
{
    DevicePlugin__Options options = DEVICE_PLUGIN__OPTIONS__INIT;
    DevicePlugin__RegisterRequest m = DEVICE_PLUGIN__REGISTER_REQUEST__INIT;
    options.prefers = true;
    m.version = lent(VERSION);
    m.endpoint = lent(endpoint);
    m.resource_name = lent(resource);
    m.options = &options;
    message_pack(&m.base, out);
}

/* A device as protobuf-c wants it: a tree of pointers. */
struct device_tree {
    DevicePlugin__Device device;
    DevicePlugin__Topology topology;
    DevicePlugin__NumaNode node, *nodes[1];
};

void plugin_say_devices(const struct plugin_devices *d, struct text *out)
{
    DevicePlugin__DeviceList m = DEVICE_PLUGIN__DEVICE_LIST__INIT;
    auto_free struct device_tree *trees = mem_new_array(struct device_tree, d->count);
    auto_free DevicePlugin__Device **devices = mem_new_array(DevicePlugin__Device *, d->count);
    for (size_t i = 0; i < d->count; i++) {
        struct device_tree *t = &trees[i];
        device_plugin__device__init(&t->device);
        t->device.id = d->items[i].id;
        t->device.health = lent(d->items[i].is_healthy ? HEALTHY : UNHEALTHY);
        devices[i] = &t->device;
        if (d->items[i].numa_node < 0)
            continue;
        device_plugin__topology__init(&t->topology);
        device_plugin__numa_node__init(&t->node);
        t->node.id = d->items[i].numa_node;
        t->nodes[0] = &t->node;
        t->topology.nodes = t->nodes;
        t->topology.n_nodes = 1;
        t->device.topology = &t->topology;
    }
    m.devices = devices;
    m.n_devices = d->count;
    message_pack(&m.base, out);
}

/* ---- what is asked for ---- */

static const struct plugin_device *find(const struct plugin_devices *d, const char *id)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->items[i].id, id) == 0)
            return &d->items[i];
    return NULL;
}

static int find_all(char *const *ids, size_t count, const struct plugin_devices *d,
                    const struct plugin_device **ret, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        ret[i] = find(d, ids[i]);
        if (!ret[i])
            return err_set(e, ERR_NOT_FOUND, "there is no device '%.64s' on this node", ids[i]);
        if (!ret[i]->is_healthy)
            return err_set(e, ERR_CONFLICT, "device '%s' is not well", ids[i]);
    }
    return 0;
}

/* A message of pairs, mounts and nodes: one block of memory a kind. */
struct grant_tree {
    DevicePlugin__ContainerGrant grant;
    DevicePlugin__Pair *envs, **envs_at;
    DevicePlugin__Mount *mounts, **mounts_at;
    DevicePlugin__DeviceNode *nodes, **nodes_at;
    DevicePlugin__CdiDevice *cdi, **cdi_at;
};

static void plant(struct grant_tree *t, const struct plugin_grant *g)
{
    DevicePlugin__ContainerGrant *m = &t->grant;
    device_plugin__container_grant__init(m);
    t->envs = mem_new_array(DevicePlugin__Pair, g->env_count);
    m->envs = t->envs_at = mem_new_array(DevicePlugin__Pair *, g->env_count);
    for (; m->n_envs < g->env_count; m->n_envs++) {
        DevicePlugin__Pair *p = m->envs[m->n_envs] = &t->envs[m->n_envs];
        device_plugin__pair__init(p);
        p->key = g->envs[m->n_envs].name;
        p->value = g->envs[m->n_envs].value;
    }
    t->mounts = mem_new_array(DevicePlugin__Mount, g->mount_count);
    m->mounts = t->mounts_at = mem_new_array(DevicePlugin__Mount *, g->mount_count);
    for (; m->n_mounts < g->mount_count; m->n_mounts++) {
        DevicePlugin__Mount *p = m->mounts[m->n_mounts] = &t->mounts[m->n_mounts];
        device_plugin__mount__init(p);
        p->container_path = g->mounts[m->n_mounts].name;
        p->host_path = g->mounts[m->n_mounts].value;
        p->read_only = strcmp(g->mounts[m->n_mounts].more, "ro") == 0;
    }
    t->nodes = mem_new_array(DevicePlugin__DeviceNode, g->node_count);
    m->nodes = t->nodes_at = mem_new_array(DevicePlugin__DeviceNode *, g->node_count);
    for (; m->n_nodes < g->node_count; m->n_nodes++) {
        DevicePlugin__DeviceNode *p = m->nodes[m->n_nodes] = &t->nodes[m->n_nodes];
        device_plugin__device_node__init(p);
        p->container_path = g->nodes[m->n_nodes].name;
        p->host_path = g->nodes[m->n_nodes].value;
        p->permissions = g->nodes[m->n_nodes].more;
    }
    t->cdi = mem_new_array(DevicePlugin__CdiDevice, g->cdi_count);
    m->cdi = t->cdi_at = mem_new_array(DevicePlugin__CdiDevice *, g->cdi_count);
    for (; m->n_cdi < g->cdi_count; m->n_cdi++) {
        DevicePlugin__CdiDevice *p = m->cdi[m->n_cdi] = &t->cdi[m->n_cdi];
        device_plugin__cdi_device__init(p);
        p->name = g->cdi[m->n_cdi].name;
    }
}

static void fell(struct grant_tree *t)
{
    void *const blocks[] = {t->envs,  t->envs_at,  t->mounts, t->mounts_at,
                            t->nodes, t->nodes_at, t->cdi,    t->cdi_at};
    for (size_t i = 0; i < COUNT_OF(blocks); i++)
        free(blocks[i]);
}

static int grant_one(const DevicePlugin__ContainerAllocateRequest *c,
                     const struct plugin_devices *d, plugin_grant_fn *grant, void *arg,
                     struct plugin_grant *ret, struct err *e)
{
    if (!c->n_ids || c->n_ids > DEVICES_MOST)
        return err_set(e, ERR_INVALID, "a container asks for %zu devices", c->n_ids);
    auto_free const struct plugin_device **devices =
        mem_new_array(const struct plugin_device *, c->n_ids);
    if (find_all(c->ids, c->n_ids, d, devices, e) < 0)
        return -1;
    return grant(arg, devices, c->n_ids, ret, e);
}

int plugin_allocate(const uint8_t *request, size_t len, const struct plugin_devices *d,
                    plugin_grant_fn *grant, void *arg, struct text *out, struct err *e)
{
    auto_message DevicePlugin__AllocateRequest *in = message_unpack(
        &device_plugin__allocate_request__descriptor, request, len, "kubelet's request", e);
    if (!in)
        return -1;
    DevicePlugin__AllocateResponse m = DEVICE_PLUGIN__ALLOCATE_RESPONSE__INIT;
    size_t count = in->n_containers;
    auto_free struct plugin_grant *grants = mem_new_array(struct plugin_grant, count);
    auto_free struct grant_tree *trees = mem_new_array(struct grant_tree, count);
    auto_free DevicePlugin__ContainerGrant **containers =
        mem_new_array(DevicePlugin__ContainerGrant *, count);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = grant_one(in->containers[i], d, grant, arg, &grants[i], e);
        plant(&trees[i], &grants[i]);
        containers[i] = &trees[i].grant;
    }
    m.containers = containers;
    m.n_containers = count;
    if (rc == 0)
        message_pack(&m.base, out);
    for (size_t i = 0; i < count; i++) {
        fell(&trees[i]);
        plugin_grant_done(&grants[i]);
    }
    return rc;
}

/* ---- what had best be asked for ---- */

static bool is_among(const char *id, char *const *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(ids[i], id) == 0)
            return true;
    return false;
}

/* RET->ids gets pointers into C; its array is the caller's to free. */
static int prefer_one(const DevicePlugin__ContainerPreference *c, const struct plugin_devices *d,
                      DevicePlugin__ContainerPreferred *ret, struct err *e)
{
    if (c->size < 0 || c->n_available > DEVICES_MOST)
        return err_set(e, ERR_INVALID, "%d of %zu devices cannot be chosen", c->size,
                       c->n_available);
    auto_free struct prefer_device *devices = mem_new_array(struct prefer_device, c->n_available);
    for (size_t i = 0; i < c->n_available; i++) {
        const struct plugin_device *known = find(d, c->available[i]);
        devices[i].numa_node = known ? known->numa_node : -1;
        devices[i].must = is_among(c->available[i], c->must_include, c->n_must_include);
    }
    if (prefer_choose(devices, c->n_available, (size_t)c->size, e) < 0)
        return -1;
    ret->ids = mem_new_array(char *, c->n_available);
    for (size_t i = 0; i < c->n_available; i++)
        if (devices[i].is_chosen)
            ret->ids[ret->n_ids++] = c->available[i];
    return 0;
}

int plugin_prefer(const uint8_t *request, size_t len, const struct plugin_devices *d,
                  struct text *out, struct err *e)
{
    auto_message DevicePlugin__PreferredRequest *in = message_unpack(
        &device_plugin__preferred_request__descriptor, request, len, "kubelet's request", e);
    if (!in)
        return -1;
    DevicePlugin__PreferredResponse m = DEVICE_PLUGIN__PREFERRED_RESPONSE__INIT;
    size_t count = in->n_containers;
    auto_free DevicePlugin__ContainerPreferred *items =
        mem_new_array(DevicePlugin__ContainerPreferred, count);
    auto_free DevicePlugin__ContainerPreferred **at =
        mem_new_array(DevicePlugin__ContainerPreferred *, count);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        device_plugin__container_preferred__init(&items[i]);
        at[i] = &items[i];
        rc = prefer_one(in->containers[i], d, &items[i], e);
    }
    m.containers = at;
    m.n_containers = count;
    if (rc == 0)
        message_pack(&m.base, out);
    for (size_t i = 0; i < count; i++)
        free(items[i].ids);
    return rc;
}
