#include "agent/plugin_grant.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* Beside a GPU's own node; which of them there are depends on the driver. */
static const char *const common_nodes[] = {"/dev/nvidiactl", "/dev/nvidia-uvm",
                                           "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"};

/* A mount in its parts; texts are owned. */
struct mount_text {
    char *outside, *inside;
    bool is_writable;
};

static void mount_text_done(struct mount_text *m)
{
    free(m->outside);
    free(m->inside);
}
#define auto_mount_text AUTO(mount_text_done)

static int read_mount(const char *text, struct mount_text *ret, struct err *e)
{
    const char *colon = strchr(text, ':');
    size_t len = strlen(text);
    ret->is_writable = colon && text_ends_with(colon + 1, ":rw");
    if (ret->is_writable)
        len -= 3;
    ret->outside = mem_strndup(text, colon ? (size_t)(colon - text) : len);
    ret->inside =
        colon ? mem_strndup(colon + 1, len - (size_t)(colon + 1 - text)) : mem_strdup(ret->outside);
    if (ret->outside[0] != '/' || ret->inside[0] != '/' || strchr(ret->inside, ':'))
        return err_set(e, ERR_INVALID, "'%.200s' is no mount: /OUTSIDE[:/INSIDE[:rw]]", text);
    return 0;
}

int grant_check_mount(const char *text, struct err *e)
{
    auto_mount_text struct mount_text m = {0};
    return read_mount(text, &m, e);
}

int grant_check_env(const char *text, struct err *e)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t len = strspn(text, letters);
    if (!len || text[len] != '=' || (text[0] >= '0' && text[0] <= '9') ||
        !text_is_utf8(text, strlen(text)))
        return err_set(e, ERR_INVALID, "'%.200s' is no variable: NAME=VALUE", text);
    return 0;
}

static const struct gpu_device *find(const struct gpu_report *r, const char *uuid)
{
    for (uint32_t i = 0; r && i < r->device_count; i++)
        if (strcmp(r->devices[i].info.uuid, uuid) == 0)
            return &r->devices[i];
    return NULL;
}

static int add_nodes(const struct grant_config *c, const struct gpu_report *gpus,
                     const struct plugin_device *const *devices, size_t count,
                     struct plugin_grant *g, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        char path[40];
        const struct gpu_device *d = find(gpus, devices[i]->id);
        if (!d)
            return err_set(e, ERR_UNAVAILABLE, "there is no word from the driver about device '%s'",
                           devices[i]->id);
        if (d->info.minor_number == GPU_NO_READING)
            continue;
        snprintf(path, sizeof path, "/dev/nvidia%lld", (long long)d->info.minor_number);
        if (c->exists(path))
            plugin_grant_node(g, path, path, "rw");
    }
    for (size_t i = 0; i < COUNT_OF(common_nodes); i++)
        if (c->exists(common_nodes[i]))
            plugin_grant_node(g, common_nodes[i], common_nodes[i], "rw");
    return 0;
}

static void add_simulator(const struct grant_config *c, struct plugin_grant *g)
{
    plugin_grant_mount(g, GRANT_SIMULATOR_FOLDER, c->simulator, true);
    plugin_grant_env(g, "LD_LIBRARY_PATH", GRANT_SIMULATOR_FOLDER);
    if (c->scenario) {
        auto_free char *path = mem_printf("%s/%s", GRANT_SIMULATOR_FOLDER, c->scenario);
        plugin_grant_env(g, "REEVE_SIM_SCENARIO", path);
    }
    if (c->sim_node)
        plugin_grant_env(g, "REEVE_SIM_NODE", c->sim_node);
    if (c->sim_state && c->sim_state[0] == '/' && c->exists(c->sim_state)) {
        plugin_grant_env(g, "REEVE_SIM_STATE", c->sim_state);
        plugin_grant_mount(g, c->sim_state, c->sim_state, false);
    }
}

static void add_configured(const struct grant_config *c, struct plugin_grant *g)
{
    for (size_t i = 0; c->envs && i < c->envs->count; i++) {
        const char *text = c->envs->items[i], *equals = strchr(text, '=');
        auto_free char *name = mem_strndup(text, (size_t)(equals - text));
        plugin_grant_env(g, name, equals + 1);
    }
    for (size_t i = 0; c->mounts && i < c->mounts->count; i++) {
        auto_mount_text struct mount_text m = {0};
        if (read_mount(c->mounts->items[i], &m, NULL) == 0)
            plugin_grant_mount(g, m.inside, m.outside, !m.is_writable);
    }
}

int grant_make(const struct grant_config *c, const struct gpu_report *gpus,
               const struct plugin_device *const *devices, size_t count, struct plugin_grant *ret,
               struct err *e)
{
    auto_text struct text uuids = {0};
    for (size_t i = 0; i < count; i++) {
        text_add(&uuids, i ? "," : "");
        text_add(&uuids, devices[i]->id);
    }
    /* The runtime's own hook would add what CDI adds once more: "void" tells it to keep away. */
    plugin_grant_env(ret, "NVIDIA_VISIBLE_DEVICES", c->cdi ? "void" : text_get(&uuids));
    plugin_grant_env(ret, "CUDA_VISIBLE_DEVICES", text_get(&uuids));
    for (size_t i = 0; c->cdi && i < count; i++) {
        auto_free char *name = mem_printf("%s=%s", c->cdi, devices[i]->id);
        plugin_grant_cdi(ret, name);
    }
    if (c->simulator)
        add_simulator(c, ret);
    else if (!c->cdi && add_nodes(c, gpus, devices, count, ret, e) < 0)
        return -1;
    add_configured(c, ret);
    return 0;
}
