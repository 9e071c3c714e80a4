#include "agent/plugin.h"

#include "agent/after.h"
#include "agent/plugin_grant.h"
#include "agent/pods.h"
#include "agent/sampler.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "kubelet/device_plugin.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CHECK_MS      1000 /* kubelet hears within a second that a GPU is ill */
#define LIBRARY_MOST  (16 << 20)
#define SCENARIO_MOST (1 << 20)
#define LIBRARY_NAME  "libnvidia-ml.so.1"

struct plugin {
    struct agent *agent;
    struct device_plugin *plugin;
    enum device_plugin_state state;
    struct after *timer;
    struct grant_config grant;
    char *simulator, *scenario; /* of GRANT */
    bool has_devices;           /* a GPU was seen: a node without any offers none */
};

const char *plugin_state_word(const struct plugin *p)
{
    return p ? device_plugin_state_word(p->state) : "off";
}

/* ---- looking often ---- */

static void on_time(void *arg)
{
    struct plugin *p = arg;
    p->timer = after_start(p->agent->loop, CHECK_MS, on_time, p);
    sampler_check(p->agent->sampler);
    pods_look(p->agent->pods);
}

/* Only while kubelet listens. */
static void on_state(void *arg, enum device_plugin_state state, const char *why)
{
    struct plugin *p = arg;
    p->state = state;
    if (state == PLUGIN_SERVING)
        log_info("kubelet has taken the GPUs",
                 F_TEXT("resource", p->agent->options.plugin_resource));
    else if (state == PLUGIN_YIELDING)
        log_info("the GPUs are not offered to kubelet", F_TEXT("why", why));
    else
        log_info("kubelet does not have the GPUs", F_TEXT("why", why));
    after_cancel(TAKE(p->timer));
    if (state == PLUGIN_SERVING)
        p->timer = after_start(p->agent->loop, CHECK_MS, on_time, p);
}

/* ---- devices ---- */

/* A job that this agent runs itself holds it: pods must not get it. */
static bool is_held_here(const struct plugin *p, const char *uuid)
{
    return attempt_holding(p->agent, uuid) != NULL;
}

void plugin_feed(struct plugin *p, const struct gpu_report *r)
{
    struct plugin_device devices[GPU_MAX_DEVICES];
    size_t count = 0;
    if (!p)
        return;
    for (uint32_t i = 0; i < r->device_count && count < GPU_MAX_DEVICES; i++) {
        const struct gpu_device *d = &r->devices[i];
        if (!d->info.uuid[0] || strlen(d->info.uuid) >= PLUGIN_ID_SIZE)
            continue;
        struct plugin_device *to = &devices[count++];
        *to = (struct plugin_device){
            .is_healthy = d->health == GPU_OK && !is_held_here(p, d->info.uuid),
            .numa_node = d->info.numa_node == GPU_NO_READING ? -1 : d->info.numa_node};
        strcpy(to->id, d->info.uuid);
    }
    p->has_devices |= count > 0;
    if (p->has_devices)
        device_plugin_set(p->plugin, devices, count);
}

static int give(void *arg, const struct plugin_device *const *devices, size_t count,
                struct plugin_grant *ret, struct err *e)
{
    struct plugin *p = arg;
    if (FAILPOINT("agent.grant"))
        return err_set(e, ERR_UNAVAILABLE, "failpoint agent.grant");
    for (size_t i = 0; i < count; i++) {
        const struct attempt *a = attempt_holding(p->agent, devices[i]->id);
        if (a)
            return err_set(e, ERR_CONFLICT, "device '%s' is held by job %lld", devices[i]->id,
                           (long long)a->job);
    }
    return grant_make(&p->grant, sampler_gpus(p->agent->sampler), devices, count, ret, e);
}

/* ---- simulated GPUs ---- */

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Copies FROM into the folder under its own name: scenarios are called like their files. */
static int copy_into(const char *folder, const char *from, const char *name, size_t most,
                     struct err *e)
{
    auto_free char *bytes = NULL;
    auto_free char *to = mem_printf("%s/%s", folder, name);
    size_t len;
    if (file_read(from, most, &bytes, &len, e) < 0)
        return -1;
    return file_replace(to, bytes, len, 0644, e);
}

static bool is_simulator(const char *library)
{
    static const char mark[] = "reeve_sim_skip"; /* a function that only it has */
    auto_free char *bytes = NULL;
    size_t len;
    return library && strchr(library, '/') &&
           file_read(library, LIBRARY_MOST, &bytes, &len, NULL) == 0 &&
           memmem(bytes, len, mark, strlen(mark)) != NULL;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A scenario is a file, or the name of one beside the library. */
static char *find_scenario(const char *library, const char *name)
{
    if (strchr(name, '/') || exists(name))
        return mem_strdup(name);
    return mem_printf("%.*s/scenarios/%s.yaml", (int)(strrchr(library, '/') - library), library,
                      name);
}

/* A container has a root of its own, so what the simulator needs is gathered in one folder, which
 * containers get. The folder is the machine's by the same name if the data folder is. */
static int gather_simulator(struct plugin *p, struct err *e)
{
    const char *library = p->agent->options.gpu_library;
    const char *scenario = getenv("REEVE_SIM_SCENARIO");
    p->simulator = mem_printf("%s/gpu", p->agent->data.path);
    if (file_make_folder(p->simulator, 0755, e) < 0 ||
        copy_into(p->simulator, library, LIBRARY_NAME, LIBRARY_MOST, e) < 0)
        return -1;
    p->grant.simulator = p->simulator;
    p->grant.sim_node = getenv("REEVE_SIM_NODE");
    p->grant.sim_state = getenv("REEVE_SIM_STATE");
    if (!scenario || !scenario[0])
        return 0;
    auto_free char *file = find_scenario(library, scenario);
    p->scenario = mem_strdup(last_part(file));
    p->grant.scenario = p->scenario;
    return copy_into(p->simulator, file, p->scenario, SCENARIO_MOST, e);
}

/* ---- the outside ---- */

int plugin_start(struct agent *agent, struct plugin **ret, struct err *e)
{
    const struct agent_options *o = &agent->options;
    if (strcmp(o->device_plugin, "off") == 0)
        return 0;
    struct plugin *p = mem_new(struct plugin);
    p->agent = agent;
    p->grant = (struct grant_config){.cdi = o->plugin_cdi,
                                     .mounts = &o->plugin_mounts,
                                     .envs = &o->plugin_envs,
                                     .exists = exists};
    if (is_simulator(o->gpu_library) && gather_simulator(p, e) < 0) {
        plugin_stop(p);
        return err_wrap(e, "the simulator cannot be offered to containers");
    }
    const struct device_plugin_config config = {.kubelet = o->kubelet_dir,
                                                .resource = o->plugin_resource,
                                                .yields = strcmp(o->device_plugin, "auto") == 0,
                                                .grant = give,
                                                .on_state = on_state,
                                                .arg = p};
    p->plugin = device_plugin_start(agent->loop, &config);
    *ret = p;
    return 0;
}

void plugin_stop(struct plugin *p)
{
    if (!p)
        return;
    device_plugin_stop(p->plugin);
    after_cancel(p->timer);
    free(p->simulator);
    free(p->scenario);
    free(p);
}
