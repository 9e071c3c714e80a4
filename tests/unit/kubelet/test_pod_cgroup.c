#include "base/mem.h"
#include "kubelet/pod_cgroup.h"

#include "test.h"

#define UID "0fa9b2f4-6a1c-4d0e-9b57-3f1d2c4b5a69"
#define UNI "0fa9b2f4_6a1c_4d0e_9b57_3f1d2c4b5a69"
#define ID  "4f1c0a9b8e7d6c5b4a39281706f5e4d3c2b1a0998877665544332211ffeeddcc"

static const struct {
    const char *text, *uid, *container;
} shapes[] = {
    /* version 2, systemd */
    {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UNI
     ".slice/cri-containerd-" ID ".scope\n",
     UID, ID},
    {"0::/kubepods.slice/kubepods-pod" UNI ".slice/crio-" ID ".scope\n", UID, ID},
    {"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UNI ".slice/docker-" ID
     ".scope\n",
     UID, ID},
    /* an init system of its own inside the container, and CRI-O's group below its scope */
    {"0::/kubepods.slice/kubepods-pod" UNI ".slice/cri-containerd-" ID
     ".scope/system.slice/x.service\n",
     UID, ID},
    {"0::/kubepods.slice/kubepods-pod" UNI ".slice/crio-" ID ".scope/container\n", UID, ID},
    /* cgroupfs, both versions, each class of service, cgroups with a root of their own */
    {"0::/kubepods/burstable/pod" UID "/" ID "\n", UID, ID},
    {"0::/kubepods/pod" UID "/" ID "\n", UID, ID},
    {"12:cpuset:/\n5:memory:/kubepods/besteffort/pod" UID "/" ID "\n0::/\n", UID, ID},
    {"3:cpu,cpuacct:/test/kubepods/burstable/pod" UID "/" ID "\n", UID, ID},
    {"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UNI ".slice/cri-containerd-" ID
     ".scope\n",
     UID, ID},
    /* kubelet with systemd, containerd with cgroupfs */
    {"4:cpu:/system.slice/containerd.service/kubepods-besteffort-pod" UNI
     ".slice:cri-containerd:" ID "\n",
     UID, ID},
    /* seen from inside another pod's cgroup namespace */
    {"0::/../../burstable/pod" UID "/" ID "\n", UID, ID},
    {"0::/../../kubepods-burstable.slice/kubepods-burstable-pod" UNI ".slice/cri-containerd-" ID
     ".scope\n",
     UID, ID},
    /* a pod that kubelet read from a file has a hash for a uid */
    {"0::/kubepods/burstable/pod00112233445566778899aabbccddeeff/" ID "\n",
     "00112233445566778899aabbccddeeff", ID},
    /* the pod itself, no container */
    {"0::/kubepods/burstable/pod" UID "\n", UID, ""},
};

TEST("a process in a pod is known by its control group, whoever named it")
{
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        struct pod_cgroup g;
        ck_assert_msg(pod_cgroup_parse(shapes[i].text, &g), "%s", shapes[i].text);
        CHECK_TEXT(g.uid, shapes[i].uid);
        CHECK_TEXT(g.container, shapes[i].container);
    }
}

TEST("what is in no pod is in none")
{
    static const char *const texts[] = {
        "",
        "\n\n",
        "0::/\n",
        "0::/user.slice/user-1000.slice/session-2.scope\n",
        "0::/system.slice/docker-" ID ".scope\n",
        "0::/reeve.jobs/reeve-main-7-1\n",
        "0::/podman/" ID "\n",
        "0::/kubepods/burstable/pod0fa9b2f4-6a1c\n",
        "0::/kubepods/burstable/mypod" UID "\n",
        "0::/kubepods/burstable/pod" UID "x/" ID "\n",
        "/kubepods/burstable/pod" UID "/" ID "\n",
        "0:/kubepods/burstable/pod" UID "/" ID "\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct pod_cgroup g;
        ck_assert_msg(!pod_cgroup_parse(texts[i], &g), "%s", texts[i]);
    }
}

TEST("a container's id that is none is left out")
{
    struct pod_cgroup g;
    CHECK(pod_cgroup_parse("0::/kubepods/pod" UID "/../x\n", &g));
    CHECK_TEXT(g.container, "");
    CHECK(pod_cgroup_parse("0::/kubepods/pod" UID "/" ID "00\n", &g));
    CHECK_TEXT(g.container, "");
}
