/* What kubelet and the kernel say of pods and devices: messages, control groups, folder names. */
#include "kubelet/plugin_answer.h"
#include "kubelet/pod_cgroup.h"
#include "kubelet/pod_name.h"
#include "kubelet/pod_resources.h"

static int grant(void *arg, const struct plugin_device *const *devices, size_t count,
                 struct plugin_grant *ret, struct err *e)
{
    (void)arg, (void)e;
    for (size_t i = 0; i < count; i++)
        plugin_grant_env(ret, devices[i]->id, "x");
    return 0;
}

static void say(const uint8_t *data, size_t size)
{
    struct plugin_device some[] = {{"GPU-0", true, 0}, {"GPU-1", true, 1}};
    const struct plugin_devices d = {some, 2};
    auto_text struct text out = {0};
    struct pod_holdings h = {0};
    plugin_allocate(data, size, &d, grant, NULL, &out, NULL);
    plugin_prefer(data, size, &d, &out, NULL);
    pod_allocatable_read(data, size, "nvidia.com/gpu", NULL);
    if (pod_holdings_read(data, size, &h, NULL) == 0)
        pod_holdings_find(&h, "GPU-0");
    pod_holdings_done(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pod_cgroup g;
    struct pod_name n;
    int64_t job, attempt;
    say(data, size);
    auto_free char *text = strndup((const char *)data, size);
    if (pod_cgroup_parse(text, &g))
        pod_name_of_folder(text, g.uid, &n);
    pod_name_of_folder(text, "00112233445566778899aabbccddeeff", &n);
    pod_name_attempt(text, "main", &job, &attempt);
    return 0;
}
