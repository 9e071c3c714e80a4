"""The agent as a device plugin of a real kubelet: simulated GPUs become the node's, pods get them, and it is known who
has which."""

import json
import secrets
import signal
import subprocess
import time

import pytest
from faults import Faults, wait_for
from parts.components import NODE

SCENARIO = """
name: plugin-{name}
devices: [{{model: h100, count: 2}}]
client: {{memory: 3GiB, load: 60}}
"""
GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
STATUS = "http://127.0.0.1:18080/status"


class Agent:
    def __init__(self, cluster, build, folder):
        self.cluster, self.build, self.folder = cluster, build, folder
        self.scenario = folder / "scenario.yaml"
        self.play("")
        self.process = None

    def play(self, more: str) -> None:
        name = getattr(self, "name", None) or secrets.token_hex(6)
        self.name = name
        self.scenario.write_text(SCENARIO.format(name=name) + more)

    def start(self, mode: str = "on") -> None:
        self.process = self.cluster.popen(
            str(self.build / "src/agent/reeve-agent"),
            f"--data={self.folder / 'data'}",
            "--listen=127.0.0.1:18080",
            "--node=node-a",
            f"--gpu-library={self.build / 'sim/libnvidia-ml.so.1'}",
            f"--device-plugin={mode}",
            env={"PATH": "/usr/bin:/bin", "REEVE_SIM_SCENARIO": str(self.scenario)},
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
        )

    def stop(self, by: int = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(by)
            self.process.wait(20)

    def status(self) -> dict:
        done = self.cluster.call("curl", "-sf", STATUS, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def devices(self) -> list[dict]:
        return self.status().get("devices", [])


@pytest.fixture(scope="module", autouse=True)
def plugins(cluster):
    yield
    Faults(cluster).forget_plugins()


@pytest.fixture
def agent(cluster, build, tmp_path):
    agent = Agent(cluster, build, tmp_path)
    yield agent
    agent.stop()
    print((tmp_path / "log").read_text() if (tmp_path / "log").exists() else "")
    wait_for("no GPUs left", lambda: allocatable(cluster) in (None, 0), 60)


def allocatable(cluster) -> int | None:
    gpus = cluster.get("node", NODE)["status"]["allocatable"].get("nvidia.com/gpu")
    return None if gpus is None else int(gpus)


def gpus_are(cluster, count: int) -> None:
    wait_for(f"{count} GPUs allocatable", lambda: allocatable(cluster) == count, 30)


def test_pods_get_simulated_gpus_and_it_is_known_who_has_which(cluster, space, agent):
    agent.start()
    gpus_are(cluster, 2)
    uuids = {one["uuid"] for one in agent.devices()}

    script = "env; ls /run/reeve/gpu; while [ ! -e /tmp/enough ]; do sleep 0.1; done"
    for name in ("first", "second"):
        space.pod(name, script, GPU)
    for name in ("first", "second"):
        space.wait_phase(name, "Running")
    wait_for("both logs", lambda: all("scenario.yaml" in space.logs(name).splitlines() for name in ("first", "second")))
    given = {}
    for name in ("first", "second"):
        lines = space.logs(name).splitlines()
        env = dict(line.split("=", 1) for line in lines if "=" in line)
        given[env["NVIDIA_VISIBLE_DEVICES"]] = name
        assert env["CUDA_VISIBLE_DEVICES"] == env["NVIDIA_VISIBLE_DEVICES"]
        assert env["REEVE_SIM_SCENARIO"] == "/run/reeve/gpu/scenario.yaml"
        assert "libnvidia-ml.so.1" in lines
    assert set(given) == uuids

    # kubelet's word and the control group's agree: the container's shell is on the very GPU that its pod holds.
    def known() -> bool:
        for one in agent.devices():
            pod, users = one["pod"], one["users"]
            if not pod or not users or not one["foreign"]:
                return False
            assert (pod["namespace"], pod["name"]) == (space.name, given[one["uuid"]])
            assert pod["container"] == "main"
            assert one["reason"] == f"pod {space.name}/{given[one['uuid']]}"
            for user in users:
                assert user["pod"]["name"] == given[one["uuid"]], user
                assert user["pod"]["namespace"] == space.name
                assert user["pod"]["uid"] == space.get("pod", given[one["uuid"]])["metadata"]["uid"]
        return True

    wait_for("who has which", known)
    metrics = cluster.call("curl", "-sf", STATUS.replace("status", "metrics")).stdout
    for uuid, name in given.items():
        labels = f'namespace="{space.name}",pod="{name}",container="main"'
        lines = [line for line in metrics.splitlines() if uuid in line]
        assert lines
        assert all(labels in line for line in lines)

    # A third one waits until a GPU is free again.
    space.pod("third", "true", GPU)
    time.sleep(2)
    assert space.phase("third") == "Pending"
    space.kubectl("exec", "first", "--", "touch", "/tmp/enough")
    assert space.ended("third")["exitCode"] == 0
    space.kubectl("exec", "second", "--", "touch", "/tmp/enough")
    assert space.ended("second")["exitCode"] == 0
    wait_for("nobody's GPUs", lambda: not any(one["foreign"] or one["pod"] for one in agent.devices()), 30)


def test_a_gpu_that_is_lost_is_no_longer_given_away(cluster, space, agent):
    agent.play("faults: [{kind: lost, device: 1, from: 12s, for: 25s}]\n")
    agent.start()
    gpus_are(cluster, 2)
    wait_for("the loss", lambda: any(one["health"] == "lost" for one in agent.devices()), 20)
    lost = time.monotonic()
    gpus_are(cluster, 1)
    # kubelet itself tells the API server every five seconds.
    assert time.monotonic() - lost < 8
    space.pod("works", 'echo "$CUDA_VISIBLE_DEVICES"', GPU)
    assert space.ended("works")["exitCode"] == 0
    gpus_are(cluster, 2)


def test_kubelet_and_agent_come_back_without_each_other_and_pods_go_on(cluster, space, faults, agent):
    agent.start("auto")
    gpus_are(cluster, 2)
    space.pod("goes-on", "while [ ! -e /tmp/enough ]; do sleep 0.1; done; echo went on", GPU)
    space.wait_phase("goes-on", "Running")

    faults.restart("kubelet")
    wait_for("serving", lambda: agent.status().get("device_plugin") == "serving", 30)
    gpus_are(cluster, 2)
    space.pod("after-kubelet", "true", GPU)
    assert space.ended("after-kubelet")["exitCode"] == 0

    agent.stop(signal.SIGKILL)
    gpus_are(cluster, 0)
    agent.start("auto")
    gpus_are(cluster, 2)
    space.pod("after-agent", "true", GPU)
    assert space.ended("after-agent")["exitCode"] == 0
    wait_for("who holds it", lambda: [bool(one["pod"]) for one in agent.devices()].count(True) == 1)

    agent.stop()
    gpus_are(cluster, 0)
    space.kubectl("exec", "goes-on", "--", "touch", "/tmp/enough")
    assert space.ended("goes-on")["exitCode"] == 0
