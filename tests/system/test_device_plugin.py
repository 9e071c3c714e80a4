"""The agent and kubelet: offering GPUs as a device plugin, knowing which pod holds which. kubelet is played here
(fake_kubelet.py); tests/cluster/test_device_plugin.py has the real one."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import grpc
import pytest
from control_plane import ControlPlane
from fake_kubelet import FakeKubelet
from test_agent import Agent

TWO = "devices: [{model: h100, count: 2, numa_node: 1}]\n"
LOST = TWO + "faults: [{kind: lost, device: 1, from: 5s, for: 4s}]\n"


def until(what, seconds=20):
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


@pytest.fixture
def kubelet():
    # Sockets' paths are short ones.
    with tempfile.TemporaryDirectory(prefix="kubelet-") as folder:
        played = FakeKubelet(Path(folder) / "k")
        yield played
        played.stop()


@pytest.fixture
def agent_with(build, kubelet, tmp_path):
    started = []

    def start(*options, plane=None, mode="on", **more):
        options = ("--device-plugin", mode, "--kubelet-dir", str(kubelet.folder), *options)
        started.append(Agent(build, tmp_path, plane, *options, **more))
        return started[-1]

    yield start
    for agent in started:
        agent.end()
        print(agent.log())


def listened(kubelet, count):
    """The plugin, as soon as it offers so many healthy devices."""
    return until(lambda: kubelet.plugin and len(kubelet.plugin.healthy()) == count and kubelet.plugin)


def test_gpus_are_offered_and_given_with_what_makes_them_work(agent_with, kubelet):
    kubelet.start()
    agent = agent_with("--plugin-env", "GREETING=hello", "--plugin-mount", "/etc/hostname:/x", scenario=TWO)
    plugin = listened(kubelet, 2)
    uuids = [one["uuid"] for one in agent.get("/status").json()["devices"]]
    assert (plugin.version, plugin.resource) == ("v1beta1", "nvidia.com/gpu")
    assert sorted(uuids) == plugin.healthy()
    assert plugin.options == {2: [1]}
    assert all(one["numa"] == [1] for one in plugin.devices.values())
    assert os.stat(kubelet.sockets / plugin.endpoint).st_mode & 0o777 == 0o600

    one, both = plugin.allocate([uuids[0]], uuids)
    assert one["envs"]["NVIDIA_VISIBLE_DEVICES"] == uuids[0]
    assert both["envs"]["CUDA_VISIBLE_DEVICES"] == ",".join(uuids)
    assert one["envs"]["GREETING"] == "hello"
    assert one["mounts"]["/x"] == ("/etc/hostname", True)
    assert one["nodes"] == []
    until(lambda: agent.get("/status").json()["device_plugin"] == "serving")
    assert "reeve_agent_device_plugin_serving 1\n" in agent.get("/metrics").text

    # The simulator goes along: with it and its variables, whoever is in the container sees the same GPUs.
    folder, read_only = one["mounts"]["/run/reeve/gpu"]
    assert read_only
    env = {name: value.replace("/run/reeve/gpu", folder) for name, value in one["envs"].items()}
    if b"__asan_init" in Path(folder, "libnvidia-ml.so.1").read_bytes():
        return  # Python cannot open it
    look = "import ctypes, os; n = ctypes.CDLL('libnvidia-ml.so.1'); n.nvmlInit_v2(); h = ctypes.c_void_p()"
    look += "; b = ctypes.create_string_buffer(96); assert n.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(h)) == 0"
    look += "; n.nvmlDeviceGetUUID(h, b, 96); print(b.value.decode())"
    seen = subprocess.run(["python3", "-c", look], env={**os.environ, **env}, capture_output=True, text=True)
    assert seen.stdout.strip() == uuids[0], seen.stderr


def test_what_cannot_be_given_is_refused_with_the_reason(agent_with, kubelet):
    kubelet.start()
    agent_with(scenario=TWO)
    plugin = listened(kubelet, 2)
    for ask, code in ((["GPU-none"], "NOT_FOUND"), ([], "INVALID_ARGUMENT")):
        with pytest.raises(grpc.RpcError) as refused:
            plugin.allocate(ask)
        assert refused.value.code().name == code, refused.value
    with pytest.raises(grpc.RpcError) as refused:
        plugin.call("Allocate", b"\xff\xff\xff")
    assert refused.value.code().name == "INVALID_ARGUMENT"
    with pytest.raises(grpc.RpcError) as refused:
        plugin.call("Allocate", b"\n" * 2_000_000)
    assert refused.value.code().name == "RESOURCE_EXHAUSTED"
    with pytest.raises(grpc.RpcError) as refused:
        plugin.call("NoSuchMethod", b"")
    assert refused.value.code().name == "UNIMPLEMENTED"
    assert plugin.call("PreStartContainer", b"") == b""
    assert len(plugin.healthy()) == 2


def test_devices_that_go_well_together_are_preferred(agent_with, kubelet):
    kubelet.start()
    agent_with(scenario="devices: [{model: h100, count: 2, numa_node: 0}, {model: h100, count: 2, numa_node: 1}]\n")
    plugin = listened(kubelet, 4)
    node = {name: one["numa"][0] for name, one in plugin.devices.items()}
    chosen = plugin.prefer(list(node), [], 2)
    assert len(chosen) == 2
    assert node[chosen[0]] == node[chosen[1]]
    must = next(name for name in node if node[name] == 1)
    assert {node[name] for name in plugin.prefer(list(node), [must], 2)} == {1}


def test_a_gpu_that_falls_ill_is_told_within_a_second_or_so_and_so_is_its_return(agent_with, kubelet):
    kubelet.start()
    began = time.monotonic()
    agent = agent_with("--sample", "30s", scenario=LOST)
    plugin = listened(kubelet, 2)
    until(lambda: len(plugin.healthy()) == 1)
    assert 5 <= time.monotonic() - began < 8, "a second, and what a busy machine adds"
    states = agent.get("/status").json()["devices"]
    assert [one["health"] for one in states] == ["ok", "lost"]
    ill = next(name for name in plugin.devices if name not in plugin.healthy())
    with pytest.raises(grpc.RpcError) as refused:
        plugin.allocate([ill])
    assert refused.value.code().name == "FAILED_PRECONDITION"
    until(lambda: len(plugin.healthy()) == 2, 30)


def test_looks_for_health_are_not_samples(agent_with, kubelet):
    kubelet.start()
    agent = agent_with("--sample", "30s", scenario=TWO)
    listened(kubelet, 2)
    until(lambda: agent.get("/status").json()["device_plugin"] == "serving")

    def samples():
        lines = agent.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("reeve_agent_samples_total "))

    before = samples()
    time.sleep(4)
    assert samples() - before < 60, "a sample of every reading a second is what nobody asked for"


def test_it_registers_again_when_kubelet_restarts_and_when_it_comes_late(agent_with, kubelet):
    agent = agent_with(scenario=TWO)
    until(lambda: agent.get("/status").json()["device_plugin"] == "waiting")
    for _ in range(3):
        began = time.monotonic()
        kubelet.start()
        listened(kubelet, 2)
        assert time.monotonic() - began < 5
        kubelet.stop()


def test_it_comes_back_when_its_socket_is_removed_or_the_folder_is_new(agent_with, kubelet):
    kubelet.start()
    agent_with(scenario=TWO)
    first = listened(kubelet, 2)
    (kubelet.sockets / first.endpoint).unlink()
    until(lambda: kubelet.plugin is not first and listened(kubelet, 2))
    kubelet.stop()
    for path in kubelet.sockets.iterdir():
        path.unlink()
    kubelet.sockets.rmdir()
    time.sleep(0.3)
    kubelet.sockets.mkdir()
    kubelet.start()
    listened(kubelet, 2)


def test_a_kubelet_that_refuses_is_asked_again_and_its_words_are_logged(agent_with, kubelet):
    kubelet.refuse = "not today"
    kubelet.start()
    agent = agent_with(scenario=TWO)
    until(lambda: len(kubelet.registrations) > 2)
    assert "not today" in agent.log()
    kubelet.refuse = None
    listened(kubelet, 2)


def test_a_kubelet_that_leaves_the_list_is_registered_at_again(agent_with, kubelet):
    kubelet.start()
    agent_with(scenario=TWO)
    first = listened(kubelet, 2)
    first.stream.cancel()
    until(lambda: kubelet.plugin is not first)
    listened(kubelet, 2)


def test_it_keeps_away_where_another_plugin_serves(agent_with, kubelet):
    kubelet.start()
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(kubelet.sockets / "nvidia-gpu.sock"))
    other.listen()
    agent = agent_with(mode="auto", scenario=TWO)
    until(lambda: agent.get("/status").json()["device_plugin"] == "yielding")
    assert "nvidia-gpu.sock" in agent.log()
    assert not kubelet.registrations
    other.close()  # its file stays behind, but nobody listens
    (kubelet.sockets / "wakes").touch()
    listened(kubelet, 2)


def test_it_keeps_away_where_kubelet_has_such_devices_already(agent_with, kubelet):
    kubelet.other = 8
    kubelet.start()
    agent = agent_with(mode="auto", scenario=TWO)
    until(lambda: agent.get("/status").json()["device_plugin"] == "yielding")
    assert not kubelet.registrations
    kubelet.other = 0
    (kubelet.sockets / "wakes").touch()
    listened(kubelet, 2)


def test_off_is_off_and_a_node_without_gpus_offers_none(agent_with, kubelet):
    kubelet.start()
    agent = agent_with("--gpu", "none")
    until(lambda: agent.get("/status").json()["reason"])
    time.sleep(1)
    assert not kubelet.registrations
    agent.end()
    agent = agent_with(mode="off", scenario=TWO)
    until(lambda: agent.get("/status").json()["devices"])
    time.sleep(1)
    assert agent.get("/status").json()["device_plugin"] == "off"
    assert not kubelet.registrations


def test_after_a_crash_the_next_agent_takes_over_and_the_end_is_clean(agent_with, kubelet):
    kubelet.start()
    agent = agent_with(mode="auto", scenario=TWO)
    first = listened(kubelet, 2)
    agent.kill()
    until(lambda: first.ended)
    agent.start()
    until(lambda: kubelet.plugin is not first)
    second = listened(kubelet, 2)
    assert agent.stop() == 0
    until(lambda: second.ended)
    assert [path.name for path in kubelet.sockets.iterdir()] == ["kubelet.sock"]


@pytest.mark.parametrize("point", ["net.grpc_call", "net.grpc_answer", "agent.grant"])
def test_an_agent_that_dies_in_a_call_is_followed_by_one_that_serves(agent_with, kubelet, point):
    kubelet.start()
    agent = agent_with(scenario=TWO, env={"REEVE_FAILPOINTS": f"{point}=kill@1"})
    if point == "agent.grant":
        plugin = listened(kubelet, 2)
        with pytest.raises(grpc.RpcError):
            plugin.allocate([plugin.healthy()[0]])
    assert agent.process.wait(20) == -signal.SIGKILL
    kubelet.plugins = []
    agent.start(REEVE_FAILPOINTS="")
    plugin = listened(kubelet, 2)
    assert plugin.allocate([plugin.healthy()[0]])


# Pods.


def device(agent, index):
    return agent.get("/status").json()["devices"][index]


def test_a_gpu_of_somebody_elses_pod_is_foreign_and_says_whose(agent_with, kubelet):
    kubelet.start()
    plane = ControlPlane()
    try:
        agent = agent_with(plane=plane, scenario=TWO, mode="off")
        until(lambda: len(agent.get("/status").json()["devices"]) == 2)
        uuids = [one["uuid"] for one in agent.get("/status").json()["devices"]]
        kubelet.held = [("team-a", "trainer", "main", "nvidia.com/gpu", [uuids[1]])]
        until(lambda: device(agent, 1)["foreign"])
        assert not device(agent, 0)["foreign"]
        assert device(agent, 1)["pod"] == {"namespace": "team-a", "name": "trainer", "uid": "", "container": "main"}
        labels = 'namespace="team-a",pod="trainer",container="main"'
        lines = [line for line in agent.get("/metrics").text.splitlines() if labels in line]
        assert lines
        assert all(uuids[1] in line for line in lines)

        def told():
            all_of_them = [one for report in plane.reports for one in report.get("devices", [])]
            return next((one for one in all_of_them if one["uuid"] == uuids[1] and one["foreign"]), None)

        assert until(told)["why"] == "pod team-a/trainer"
        kubelet.held = []
        until(lambda: not device(agent, 1)["foreign"])
    finally:
        plane.close()


def test_gpus_of_pods_that_are_attempts_of_ours_are_reported_and_not_foreign(agent_with, kubelet):
    kubelet.start()
    plane = ControlPlane()
    try:
        agent = agent_with(plane=plane, scenario=TWO)
        listened(kubelet, 2)
        uuids = [one["uuid"] for one in agent.get("/status").json()["devices"]]
        site = plane.site
        kubelet.held = [("reeve", f"reeve-{site}-7-2", "main", "nvidia.com/gpu", [uuids[0]])]

        def bound():
            reports = [report["bound"] for report in plane.reports if "bound" in report]
            return reports[-1] if reports else None

        want = {"job": 7, "n": 2, "namespace": "reeve", "pod": f"reeve-{site}-7-2", "devices": [uuids[0]]}
        until(lambda: bound() == [want])
        until(lambda: device(agent, 0)["job"] == {"id": 7, "attempt": 2})
        assert not device(agent, 0)["foreign"]
        kubelet.held = []
        until(lambda: bound() == [])
    finally:
        plane.close()


def test_a_kubelet_that_does_not_answer_frees_nothing(agent_with, kubelet):
    kubelet.start()
    agent = agent_with("--sample", "1s", scenario=TWO, mode="off")
    until(lambda: len(agent.get("/status").json()["devices"]) == 2)
    kubelet.held = [("team-a", "trainer", "main", "nvidia.com/gpu", [device(agent, 1)["uuid"]])]
    until(lambda: device(agent, 1)["foreign"])
    kubelet.stop()
    time.sleep(3)
    assert device(agent, 1)["foreign"]
