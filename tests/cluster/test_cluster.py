"""The test cluster itself: that it is a real one, whole, and does what tests of Reeve rely on."""

import json
import signal
import time

import pytest
from conftest import fake_node
from faults import hold, wait_for
from parts import programs
from parts.components import NODE
from parts.images import TEST
from parts.say import Unable


def test_every_component_runs_and_the_node_is_ready(cluster):
    assert set(cluster.running().values()) == {"runs"}
    info = cluster.get("node", NODE)["status"]["nodeInfo"]
    assert info["kubeletVersion"] == programs.version("kubernetes", "k8s.io/kubernetes")
    assert info["containerRuntimeVersion"].startswith("containerd://")


def test_a_pod_runs_and_its_log_is_read(space):
    space.pod("hello", "echo one; echo two >&2; exit 3")
    assert space.ended("hello")["exitCode"] == 3
    assert sorted(space.logs("hello").split()) == ["one", "two"]


def test_a_log_is_followed_and_a_command_runs_in_a_pod(space):
    space.pod("talks", "while [ ! -e /tmp/enough ]; do sleep 0.1; done; echo enough")
    space.wait_phase("talks", "Running")
    space.kubectl("exec", "talks", "--", "touch", "/tmp/enough")
    assert space.kubectl("logs", "--follow", "talks") == "enough\n"


def test_a_pod_that_takes_too_much_memory_is_killed_for_it(space):
    space.pod("eats", "x=xxxxxxxx; while :; do x=$x$x; done", {"resources": {"limits": {"memory": "24Mi"}}})
    ended = space.ended("eats")
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_an_image_that_is_not_there_is_said_to_be_missing(space):
    space.pod("lacks", "true", {"image": "localhost/nowhere:1", "imagePullPolicy": "Never"})

    def reason() -> bool:
        statuses = space.get("pod", "lacks")["status"].get("containerStatuses", [])
        return any(one["state"].get("waiting", {}).get("reason") == "ErrImageNeverPull" for one in statuses)

    wait_for("ErrImageNeverPull", reason)


def test_a_pod_reaches_services_by_name_and_the_api_with_its_token(space):
    space.pod("serves", "while :; do echo served | nc -l -p 8080; done")
    space.kubectl("label", "pod", "serves", "app=serves")
    space.kubectl("expose", "pod", "serves", "--port=80", "--target-port=8080")
    space.wait_phase("serves", "Running")
    script = f"""
        until nc -w 2 serves 80 </dev/null | grep served; do sleep 0.2; done
        until nc -w 2 serves.{space.name}.svc.cluster.local 80 </dev/null | grep served; do sleep 0.2; done
        token=$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)
        wget --no-check-certificate -qO- --header "Authorization: Bearer $token" https://kubernetes.default/apis |
            grep -o APIGroupList
    """
    space.pod("asks", script)
    assert space.ended("asks")["exitCode"] == 0
    assert space.logs("asks").split() == ["served", "served", "APIGroupList"]


def test_a_job_of_kubernetes_completes(space):
    space.kubectl("create", "job", "counts", f"--image={TEST}", "--", "sh", "-c", "echo counted")
    space.kubectl("wait", "--for=condition=complete", "--timeout=60s", "job/counts")
    assert space.kubectl("logs", "job/counts") == "counted\n"


TEMPLATE = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "greets"},
    "spec": {
        "entrypoint": "main",
        "arguments": {"parameters": [{"name": "user"}]},
        "templates": [
            {
                "name": "main",
                "container": {
                    "image": TEST,
                    "imagePullPolicy": "Never",
                    "command": ["sh", "-c"],
                    "args": ["echo hello {{workflow.parameters.user}}; exit {{workflow.parameters.code}}"],
                },
            }
        ],
    },
}


def workflow(name: str, user: str, code: int) -> dict:
    parameters = [{"name": "user", "value": user}, {"name": "code", "value": str(code)}]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"workflowTemplateRef": {"name": "greets"}, "arguments": {"parameters": parameters}},
    }


def test_workflows_of_argo_succeed_and_fail(space):
    space.apply(TEMPLATE)
    space.apply(workflow("good", "user1", 0), workflow("bad", "user2", 4))

    def phases() -> dict | None:
        now = {one["metadata"]["name"]: one.get("status", {}) for one in space.get("workflows")["items"]}
        return now if all("finishedAt" in one and one["finishedAt"] for one in now.values()) else None

    ended = wait_for("both Workflows ended", phases, 90)
    assert (ended["good"]["phase"], ended["bad"]["phase"]) == ("Succeeded", "Failed")
    said = space.kubectl("logs", "--selector=workflows.argoproj.io/workflow=good", "--container=main")
    assert said.splitlines()[0] == "hello user1"


def test_argo_server_answers(cluster):
    with cluster.network():
        assert cluster.place.answers("http://127.0.0.1:2746/api/v1/workflows/argo")


def test_nodes_are_played_with_gpus_that_are_not_there(cluster, space):
    names = [f"fake-{number}" for number in range(10)]
    cluster.apply([fake_node(name) for name in names])
    try:
        for name in names:
            wait_for(f"{name} Ready", lambda name=name: cluster.node_is_ready(name))
        gpus = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
        spec = {"nodeSelector": {"type": "kwok"}, "tolerations": [{"operator": "Exists"}]}
        for number in range(10):
            space.pod(f"trains-{number}", "true", gpus, **spec)
        for number in range(10):
            space.wait_phase(f"trains-{number}", "Running")
        where = {pod["spec"]["nodeName"] for pod in space.get("pods")["items"]}
        assert where == set(names), "one took more than it has"
    finally:
        cluster.kubectl("delete", "nodes", "--selector=type=kwok", "--wait=false")
        space.kubectl("delete", "pods", "--all", "--force", "--grace-period=0")


def test_the_node_offers_gpus_when_told_to(cluster, space):
    path = "/status/capacity/nvidia.com~1gpu"
    patch = ("patch", "node", NODE, "--subresource=status", "--type=json", "--patch")
    cluster.kubectl(*patch, json.dumps([{"op": "add", "path": path, "value": "1"}]))
    try:
        gpu = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
        space.pod("first", "sleep 2", gpu)
        assert space.ended("first")["exitCode"] == 0
    finally:
        cluster.kubectl(*patch, json.dumps([{"op": "remove", "path": path}]))


# Faults: that they are ones, and are over afterwards.


@pytest.mark.parametrize(
    "name", ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "containerd"]
)
def test_a_component_that_is_killed_comes_back_and_pods_go_on(cluster, space, faults, name):
    space.pod("goes-on", "while [ ! -e /tmp/enough ]; do sleep 0.1; done; echo went on")
    space.wait_phase("goes-on", "Running")
    with faults.stopped(name, by=signal.SIGKILL):
        assert cluster.running()[name] == "ended"
    assert cluster.running()[name] == "runs"
    wait_for("a command to run in the pod", lambda: space.does("exec", "goes-on", "--", "touch", "/tmp/enough"))
    ended = space.ended("goes-on")
    assert ended["exitCode"] == 0
    assert space.get("pod", "goes-on")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_an_api_server_that_is_silent_stops_nobody(cluster, space, faults):
    space.pod("counts", "for i in 1 2 3 4 5 6; do echo $i; sleep 1; done")
    space.wait_phase("counts", "Running")
    with faults.paused("kube-apiserver"):
        with pytest.raises(Unable):
            cluster.kubectl("--request-timeout=3s", "get", "nodes")
        time.sleep(4)
    assert space.ended("counts")["exitCode"] == 0
    assert space.logs("counts").split() == list("123456")


def test_a_node_without_its_kubelet_is_lost_and_its_pods_hang_in_terminating(cluster, space, faults, neighbour):
    space.pod("hangs", "sleep 600")
    space.wait_phase("hangs", "Running")
    with faults.stopped("kubelet", by=signal.SIGKILL):
        wait_for("the node lost", lambda: not cluster.node_is_ready(), 60)
        wait_for("the pod told to end", lambda: "deletionTimestamp" in space.get("pod", "hangs")["metadata"], 60)
        hold(3, lambda: space.phase("hangs") == "Running")
    wait_for("the pod gone", lambda: not space.get("pods")["items"], 90)


def test_after_a_power_failure_the_node_comes_back_without_its_containers(space, faults):
    space.pod("was-there", "sleep 600")
    space.wait_phase("was-there", "Running")
    with faults.node_off():
        pass
    ended = space.ended("was-there", 90)
    assert ended["exitCode"] != 0
    space.pod("after", "echo fine")
    assert space.ended("after", 90)["exitCode"] == 0


def test_a_slow_etcd_is_slow_and_loses_nothing(cluster, space, faults):
    def writing(name: str) -> float:
        began = time.monotonic()
        space.kubectl("create", "configmap", name)
        return time.monotonic() - began

    usual = min(writing(f"usual-{number}") for number in range(3))
    with faults.slow("etcd"):
        slow = max(writing(f"slow-{number}") for number in range(3))
    assert slow > usual + 0.2
    names = {one["metadata"]["name"] for one in space.get("configmaps")["items"]}
    assert names >= {f"{kind}-{number}" for kind in ("usual", "slow") for number in range(3)}


def test_a_version_from_before_a_compaction_is_gone(cluster, space, faults):
    path = f"/api/v1/namespaces/{space.name}/configmaps"
    watch = f"{path}?watch=1&timeoutSeconds=3&resourceVersion={cluster.raw(path)['metadata']['resourceVersion']}"
    space.kubectl("create", "configmap", "later")
    assert "later" in space.kubectl("get", "--raw", watch)
    faults.expire_watches()
    said = space.kubectl("get", "--raw", watch, check=False)
    assert "later" not in said
    assert "too old resource version" in said
