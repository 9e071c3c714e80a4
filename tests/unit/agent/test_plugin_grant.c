#include "agent/plugin_grant.h"
#include "base/mem.h"
#include "machine.h"
#include "test.h"

#define S(text) ((char *)(uintptr_t)(text))

static bool there_are_nodes(const char *path)
{
    return strcmp(path, "/dev/nvidia3") == 0 || strcmp(path, "/dev/nvidiactl") == 0 ||
           strcmp(path, "/dev/nvidia-uvm") == 0 || strcmp(path, "/srv/state") == 0;
}

/* What containers with the first COUNT devices get, a line a thing. */
static char *given(const struct grant_config *more, size_t count)
{
    static const struct plugin_device items[] = {{"GPU-0", true, 0}, {"GPU-1", true, 0}};
    const struct plugin_device *const devices[] = {&items[0], &items[1]};
    auto_free struct gpu_report *r = a_report(2);
    r->devices[0].info.minor_number = 3;
    r->devices[1].info.minor_number = 4;
    struct grant_config c = *more;
    struct plugin_grant g = {0};
    struct text t = {0};
    c.exists = there_are_nodes;
    CHECK_OK(grant_make(&c, r, devices, count, &g, &test_err));
    for (size_t i = 0; i < g.env_count; i++)
        text_addf(&t, "%s=%s\n", g.envs[i].name, g.envs[i].value);
    for (size_t i = 0; i < g.node_count; i++)
        text_addf(&t, "node %s %s\n", g.nodes[i].name, g.nodes[i].more);
    for (size_t i = 0; i < g.mount_count; i++)
        text_addf(&t, "mount %s at %s %s\n", g.mounts[i].value, g.mounts[i].name, g.mounts[i].more);
    for (size_t i = 0; i < g.cdi_count; i++)
        text_addf(&t, "cdi %s\n", g.cdi[i].name);
    plugin_grant_done(&g);
    return text_take(&t);
}

TEST("a container gets its GPUs' names and those device nodes that there are")
{
    auto_free char *text = given(&(struct grant_config){0}, 2);
    CHECK_TEXT(text, "NVIDIA_VISIBLE_DEVICES=GPU-0,GPU-1\n"
                     "CUDA_VISIBLE_DEVICES=GPU-0,GPU-1\n"
                     "node /dev/nvidia3 rw\n"
                     "node /dev/nvidiactl rw\n"
                     "node /dev/nvidia-uvm rw\n");
}

TEST("it gets what is configured besides")
{
    char *mounts[] = {S("/opt/driver/lib:/usr/lib/driver"), S("/scratch::x"),
                      S("/cache:/cache:rw")};
    char *envs[] = {S("LD_LIBRARY_PATH=/usr/lib/driver")};
    const struct option_list mount_list = {mounts, 3}, env_list = {envs, 1};
    auto_free char *text =
        given(&(struct grant_config){.mounts = &mount_list, .envs = &env_list}, 1);
    CHECK(strstr(text, "LD_LIBRARY_PATH=/usr/lib/driver\n"));
    CHECK(strstr(text, "mount /opt/driver/lib at /usr/lib/driver ro\n"
                       "mount /cache at /cache rw\n"));
    CHECK(!strstr(text, "scratch"));
}

TEST("with CDI the runtime is told names and its own hook to keep away")
{
    auto_free char *text = given(&(struct grant_config){.cdi = "nvidia.com/gpu"}, 1);
    CHECK_TEXT(text, "NVIDIA_VISIBLE_DEVICES=void\n"
                     "CUDA_VISIBLE_DEVICES=GPU-0\n"
                     "cdi nvidia.com/gpu=GPU-0\n");
}

TEST("simulated GPUs come with the simulator, its scenario and its state")
{
    auto_free char *text = given(&(struct grant_config){.simulator = "/data/gpu",
                                                        .scenario = "x.yaml",
                                                        .sim_node = "a",
                                                        .sim_state = "/srv/state"},
                                 1);
    CHECK_TEXT(text, "NVIDIA_VISIBLE_DEVICES=GPU-0\n"
                     "CUDA_VISIBLE_DEVICES=GPU-0\n"
                     "LD_LIBRARY_PATH=/run/reeve/gpu\n"
                     "REEVE_SIM_SCENARIO=/run/reeve/gpu/x.yaml\n"
                     "REEVE_SIM_NODE=a\n"
                     "REEVE_SIM_STATE=/srv/state\n"
                     "mount /data/gpu at /run/reeve/gpu ro\n"
                     "mount /srv/state at /srv/state rw\n");
}

TEST("a GPU that the driver says nothing of is not given away")
{
    static const struct plugin_device gone = {"GPU-9", true, 0};
    const struct plugin_device *const devices[] = {&gone};
    auto_free struct gpu_report *r = a_report(1);
    struct plugin_grant g = {0};
    const struct grant_config c = {.exists = there_are_nodes};
    CHECK_FAILS(grant_make(&c, r, devices, 1, &g, &test_err), ERR_UNAVAILABLE, "'GPU-9'");
    CHECK_FAILS(grant_make(&c, NULL, devices, 1, &g, &test_err), ERR_UNAVAILABLE, "no word");
    plugin_grant_done(&g);
}
