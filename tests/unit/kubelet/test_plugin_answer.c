#include "kubelet/plugin_answer.h"

#include "base/mem.h"
#include "device_plugin.pb-c.h"
#include "kubelet/message.h"

#include "test.h"

static struct plugin_device four[] = {
    {"GPU-0", true, 0}, {"GPU-1", true, 0}, {"GPU-2", false, 1}, {"GPU-3", true, -1}};
static const struct plugin_devices devices = {four, COUNT_OF(four)};

TEST("the list tells health and NUMA node of each device")
{
    auto_text struct text out = {0};
    plugin_say_devices(&devices, &out);
    DevicePlugin__DeviceList *m =
        device_plugin__device_list__unpack(NULL, out.len, (const uint8_t *)out.data);
    CHECK(m);
    CHECK_INT(m->n_devices, 4);
    CHECK_TEXT(m->devices[0]->id, "GPU-0");
    CHECK_TEXT(m->devices[0]->health, "Healthy");
    CHECK_INT(m->devices[0]->topology->nodes[0]->id, 0);
    CHECK_TEXT(m->devices[2]->health, "Unhealthy");
    CHECK(!m->devices[3]->topology);
    device_plugin__device_list__free_unpacked(m, NULL);
}

TEST("an empty list and an empty answer are messages, too")
{
    auto_text struct text out = {0};
    plugin_say_devices(&(struct plugin_devices){0}, &out);
    plugin_say_nothing(&out);
    CHECK_INT(out.len, 0);
    plugin_say_options(&out);
    CHECK(out.len == 2 && memcmp(out.data, "\x10\x01", 2) == 0);
}

TEST("who registers says version, socket and resource")
{
    auto_text struct text out = {0};
    plugin_say_register("nvidia.com/gpu", "x.sock", &out);
    DevicePlugin__RegisterRequest *m =
        device_plugin__register_request__unpack(NULL, out.len, (const uint8_t *)out.data);
    CHECK(m);
    CHECK_TEXT(m->version, "v1beta1");
    CHECK_TEXT(m->endpoint, "x.sock");
    CHECK_TEXT(m->resource_name, "nvidia.com/gpu");
    CHECK(m->options->prefers && !m->options->pre_start_required);
    device_plugin__register_request__free_unpacked(m, NULL);
}

/* Grants each container the names of its devices. */
static int grant(void *arg, const struct plugin_device *const *got, size_t count,
                 struct plugin_grant *ret, struct err *e)
{
    auto_text struct text names = {0};
    for (size_t i = 0; i < count; i++)
        text_addf(&names, "%s%s", i ? "," : "", got[i]->id);
    if (strstr(text_get(&names), "GPU-3"))
        return err_set(e, ERR_CONFLICT, "not that one");
    plugin_grant_env(ret, "DEVICES", text_get(&names));
    plugin_grant_mount(ret, "/in", "/out", true);
    plugin_grant_node(ret, "/dev/a", "/dev/b", "rw");
    plugin_grant_cdi(ret, "x/y=z");
    *(int *)arg += 1;
    return 0;
}

static int ask(const char *request, size_t len, struct text *out, int *grants)
{
    return plugin_allocate((const uint8_t *)request, len, &devices, grant, grants, out, &test_err);
}

TEST("each container of a pod is given what belongs to its devices")
{
    static const char request[] = "\x0a\x0e\x0a\x05GPU-0\x0a\x05GPU-1\x0a\x07\x0a\x05GPU-1";
    auto_text struct text out = {0};
    int grants = 0;
    CHECK_OK(ask(request, sizeof request - 1, &out, &grants));
    DevicePlugin__AllocateResponse *m =
        device_plugin__allocate_response__unpack(NULL, out.len, (const uint8_t *)out.data);
    CHECK(m);
    CHECK_INT(m->n_containers, 2);
    CHECK_TEXT(m->containers[0]->envs[0]->key, "DEVICES");
    CHECK_TEXT(m->containers[0]->envs[0]->value, "GPU-0,GPU-1");
    CHECK_TEXT(m->containers[1]->envs[0]->value, "GPU-1");
    CHECK_TEXT(m->containers[0]->mounts[0]->container_path, "/in");
    CHECK_TEXT(m->containers[0]->mounts[0]->host_path, "/out");
    CHECK(m->containers[0]->mounts[0]->read_only);
    CHECK_TEXT(m->containers[0]->nodes[0]->permissions, "rw");
    CHECK_TEXT(m->containers[0]->cdi[0]->name, "x/y=z");
    CHECK_INT(grants, 2);
    device_plugin__allocate_response__free_unpacked(m, NULL);
}

TEST("a device that is unknown, ill or refused is not given away, and the reason is told")
{
    auto_text struct text out = {0};
    int grants = 0;
    CHECK_FAILS(ask("\x0a\x07\x0a\x05GPU-9", 9, &out, &grants), ERR_NOT_FOUND, "'GPU-9'");
    CHECK_FAILS(ask("\x0a\x07\x0a\x05GPU-2", 9, &out, &grants), ERR_CONFLICT, "not well");
    CHECK_FAILS(ask("\x0a\x07\x0a\x05GPU-0\x0a\x07\x0a\x05GPU-3", 18, &out, &grants), ERR_CONFLICT,
                "not that one");
    CHECK_FAILS(ask("\x0a\0", 2, &out, &grants), ERR_INVALID, "asks for 0");
    CHECK_FAILS(ask("\x0a", 1, &out, &grants), ERR_INVALID, "no such message");
    CHECK_INT(out.len, 0);
}

TEST("what had best be taken together is told by id")
{
    static const char request[] = "\x0a\x17\x0a\x05GPU-2\x0a\x05GPU-0\x0a\x05GPU-1\x18\x02";
    auto_text struct text out = {0};
    CHECK_OK(
        plugin_prefer((const uint8_t *)request, sizeof request - 1, &devices, &out, &test_err));
    static const char answer[] = "\x0a\x0e\x0a\x05GPU-0\x0a\x05GPU-1";
    CHECK_INT(out.len, sizeof answer - 1);
    CHECK(memcmp(out.data, answer, out.len) == 0);
    static const char much[] = "\x0a\x09\x0a\x05GPU-2\x18\x02";
    CHECK_FAILS(plugin_prefer((const uint8_t *)much, sizeof much - 1, &devices, &out, &test_err),
                ERR_INVALID, "2 of 1");
    static const char below[] = "\x0a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    CHECK_FAILS(plugin_prefer((const uint8_t *)below, sizeof below - 1, &devices, &out, &test_err),
                ERR_INVALID, "-1 of 0");
}
