"""reeve-agent against a stand-in of the control plane: docs/agent-protocol.md, line by line."""

import json
import os
import secrets
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
import requests
from control_plane import ControlPlane

NO_GPU = ("--gpu", "none")
ONE_GPU = "devices: [{model: rtx-3080}]\nclient: {memory: 3GiB, load: 88}"


class Agent:
    """The agent under test, its data in a folder of its own. Restarts keep the folder."""

    def __init__(self, build, folder, plane, *options, scenario=None, env=None):
        self.build, self.folder, self.plane, self.options = Path(build), folder, plane, options
        self.env = {k: v for k, v in os.environ.items() if k != "REEVE_FAILPOINTS"}
        self.env.update(env or {})
        self.env["LSAN_OPTIONS"] = "exitcode=0"
        # Simulated devices are the machine's, so each test has some of its own.
        path = folder / "scenario.yaml"
        path.write_text((scenario or ONE_GPU) + f"\nname: test-{secrets.token_hex(8)}\n")
        self.env["REEVE_SIM_SCENARIO"] = str(path)
        self.data = folder / "data"
        self.token_file = folder / "token"
        if not self.token_file.exists():
            self.token_file.write_text("the token is one-time\n")
        self.process = None
        self.start()

    def start(self, **env):
        words = [
            str(self.build / "src/agent/reeve-agent"),
            "--data", str(self.data),
            "--listen", "127.0.0.1:0",
            "--node", "node-a",
            "--gpu-library", str(self.build / "sim/libnvidia-ml.so.1"),
            "--grace", "2s",
            "--shared-uid",
        ]  # fmt: skip
        if self.plane:
            words += ["--server", self.plane.url, "--token-file", str(self.token_file)]
        (self.data / "agent.ports").unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*words, *self.options],
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def url(self, path):
        end = time.monotonic() + 20
        while not (self.data / "agent.ports").exists():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, "no agent.ports"
            time.sleep(0.01)
        port = json.loads((self.data / "agent.ports").read_text())["port"]
        return f"http://127.0.0.1:{port}{path}"

    def get(self, path):
        return requests.get(self.url(path), timeout=10)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def shims(self):
        """Process ids of the shims of this agent's folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--shim" in words and any(str(self.data).encode() in w for w in words):
                found.append(int(entry.name))
        return found

    def log(self):
        return (self.folder / "log").read_text()

    def end(self):
        self.stop()
        for pid in self.shims():
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 10
        while self.shims() and time.monotonic() < end:
            time.sleep(0.05)


@pytest.fixture
def plane():
    plane = ControlPlane()
    yield plane
    plane.close()


@pytest.fixture
def agent_with(build, plane, tmp_path):
    """Starts an agent with further options; ends it after the test."""
    started = []
    # Jobs run under accounts of their own and must be able to pass.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IXGRP)

    def start(*options, plane=plane, **more):
        agent = Agent(build, tmp_path, plane, *options, **more)
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.end()


def one_device(plane):
    return [next(iter(plane.devices()))]


def log_of(plane, job, n=1):
    plane.wait_for(lambda: plane.logs.get((job, n), {}).get("ended"))
    return plane.logs[(job, n)]["data"].decode()


# ---- who it is ----


@pytest.mark.short
def test_an_agent_enrols_once_and_says_hello_with_all_it_has(agent_with, plane):
    agent = agent_with()
    hello = plane.wait_hello()

    assert plane.enrolments == [{"node": "node-a", "version": hello["hello"]["version"]}]
    assert len(hello["data_id"]) == 32 and hello["boot_id"] and hello["seq"] == 1
    assert hello["hello"]["cpu_milli"] > 0 and hello["hello"]["memory_mib"] > 0
    assert hello["attempts"] == []
    (device,) = hello["devices"]
    assert device["model"] == "NVIDIA GeForce RTX 3080" and device["health"] == "ok"
    assert device["memory_mib"] == 10240 and device["free_mib"] > 9000 and not device["busy"]
    key = agent.data / "node.key"
    assert key.stat().st_mode & 0o777 == 0o600 and key.read_text().strip() in plane.keys

    assert agent.stop() == 0
    agent.start()
    again = plane.wait_hello(2)
    assert again["data_id"] == hello["data_id"] and again["seq"] == 1
    assert len(plane.enrolments) == 1, "the key is kept"


def test_a_wrong_token_is_said_and_a_good_one_is_taken_later(agent_with, plane):
    plane.tokens.clear()
    agent = agent_with(*NO_GPU)
    plane.wait_for(lambda: plane.enrolments)
    assert agent.get("/status").json()["link"] != "up"
    assert "could not enrol" in agent.log()

    plane.tokens.add("second")
    agent.token_file.write_text("second\n")
    plane.wait_hello()


def test_a_void_key_is_replaced_when_there_is_a_new_token(agent_with, plane):
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    plane.keys.clear()
    plane.tokens.add("second")
    agent.token_file.write_text("second\n")
    plane.cut()
    plane.wait_hello(2)
    assert len(plane.keys) == 1


def test_a_pods_own_token_is_used_as_often_as_a_key_is_void(agent_with, plane, tmp_path):
    plane.tokens = {"of.a.pod"}
    (tmp_path / "token").write_text("of.a.pod")
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    for again in (2, 3):
        plane.keys.clear()
        plane.cut()
        plane.wait_hello(again)
        assert len(plane.keys) == 1 and len(plane.enrolments) == again
    assert "enrolling anew" in agent.log()


def test_a_second_agent_with_the_same_folder_is_refused(agent_with, plane):
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    second = subprocess.run(
        [agent.build / "src/agent/reeve-agent", "--data", agent.data, "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 5 and "another reeve-agent" in second.stderr


def test_a_lower_epoch_is_not_obeyed(agent_with, plane):
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    plane.epoch = 3
    plane.cut()
    plane.wait_for(lambda: "not the leader" in agent.log())
    assert len(plane.hellos()) == 1
    plane.epoch = 5
    plane.wait_hello(2)
    assert (agent.data / "epoch").read_text() == "5\n"


# ---- jobs ----


@pytest.mark.short
def test_a_job_runs_on_its_device_and_its_end_log_and_energy_are_told(agent_with, plane):
    agent = agent_with()
    plane.wait_hello()
    devices = one_device(plane)
    attempt, job, _ = plane.start(["sh", "-c", "echo on $CUDA_VISIBLE_DEVICES; sleep 1.2; echo done; exit 3"], devices)
    plane.wait_said(attempt, "started")
    ended = plane.wait_said(attempt, "ended")

    assert ended["outcome"] == "failed" and ended["exit_code"] == 3 and ended["signal"] == 0
    assert ended["run_ms"] >= 1200
    assert ended["energy_measured"] and 20_000 < ended["energy_mj"] < 2_000_000
    assert log_of(plane, job) == f"on {devices[0]}\ndone\n"

    plane.send(type="forget", attempt=attempt, job=job, n=1)
    folder = agent.data / "attempts" / plane.name(job)
    plane.wait_for(lambda: not folder.exists())
    results = agent.data / "results" / "alice" / str(job) / "1"
    assert json.loads((results / "params.json").read_text())["devices"] == devices
    assert json.loads((results / "outcome.json").read_text())


def test_a_start_that_comes_twice_starts_once(agent_with, plane, tmp_path):
    agent_with(*NO_GPU)
    plane.wait_hello()
    proof = tmp_path / "proof"
    proof.mkdir()
    proof.chmod(0o777)
    attempt, job, message = plane.start(["sh", "-c", f"echo x >> {proof}/starts; sleep 1"])
    plane.send(**message)
    plane.wait_said(attempt, "started")
    plane.send(**message)
    plane.wait_said(attempt, "started", 2)
    plane.wait_said(attempt, "ended")
    plane.send(**message)
    plane.wait_said(attempt, "ended", 2)

    plane.send(type="forget", attempt=attempt, job=job, n=1)
    time.sleep(0.5)
    plane.send(**message)
    assert "is over" in plane.wait_said(attempt, "refused")["why"]
    assert (proof / "starts").read_text() == "x\n"


def test_a_cancel_ends_a_job_and_also_what_ignores_it(agent_with, plane):
    agent_with(*NO_GPU)
    plane.wait_hello()
    attempt, job, _ = plane.start(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"])
    plane.wait_for(lambda: plane.logs.get((job, 1), {}).get("data"))
    plane.send(type="cancel", attempt=attempt, job=job, n=1, why="alice asked")
    ended = plane.wait_said(attempt, "ended")
    assert ended["outcome"] == "cancelled" and "alice asked" in ended["why"]


def test_a_cancel_that_comes_before_the_start_holds_also_after_a_restart(agent_with, plane):
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    attempt = "0123456789abcdef" * 2
    plane.send(type="cancel", attempt=attempt, job=77, n=1, why="changed her mind")
    assert plane.wait_said(attempt, "ended")["outcome"] == "cancelled"
    agent.kill()
    agent.start()
    plane.wait_hello(2)
    plane.start(["true"], attempt=attempt, job=77)
    assert plane.wait_said(attempt, "ended", 2)["outcome"] == "cancelled"
    assert not plane.said(attempt, "started")


@pytest.mark.parametrize(
    "wrong, why",
    [
        ({"epoch": 3}, "epoch"),
        ({"boot_id": "00000000-0000-0000-0000-000000000000"}, "booted"),
        ({"data_id": "00" * 16}, "data folder"),
        ({"devices": ["GPU-nothing"]}, "no device"),
    ],
)
def test_what_is_not_for_this_node_is_refused(agent_with, plane, wrong, why):
    agent_with(*NO_GPU)
    plane.wait_hello()
    attempt, _, _ = plane.start(["true"], **wrong)
    assert why in plane.wait_said(attempt, "refused")["why"]


@pytest.mark.parametrize(
    "command, spec, why",
    [
        (["/no/such/program"], {}, "/no/such/program"),
        (["true"], {"work_dir": "/no/such/folder"}, "/no/such/folder"),
        ([], {}, "command"),
        (["true"], {"env": {"A=B": "c"}}, "A=B"),
        (["true"], {"progress": "no figures"}, "progress"),
    ],
)
def test_a_job_that_can_never_run_ends_with_the_reason(agent_with, plane, command, spec, why):
    agent_with(*NO_GPU)
    plane.wait_hello()
    attempt, _, _ = plane.start(command, spec=spec)
    ended = plane.wait_said(attempt, "ended")
    assert ended["outcome"] == "not-started" and why in ended["why"]


def test_progress_and_a_growing_log_come_while_the_job_runs(agent_with, plane):
    agent_with(*NO_GPU)
    plane.wait_hello()
    attempt, job, _ = plane.start(["sh", "-c", "for i in 1 2 3; do echo epoch $i/3; sleep 0.8; done"])
    plane.wait_for(lambda: plane.logs.get((job, 1), {}).get("data", b"").startswith(b"epoch 1/3\n"))
    assert not plane.said(attempt, "ended")
    plane.wait_said(attempt, "ended")
    steps = [(p["done"], p["total"]) for r in plane.reports for p in r.get("progress", [])]
    assert (2, 3) in steps and steps == sorted(steps)


# ---- the gate ----

BUSY = """
devices:
  - model: rtx-3080
    processes: [{pid: 4000001, name: render, memory: 9GiB, load: 30, for: 6s}]
  - {model: rtx-3080, memory: 1GiB}
client: {memory: 3GiB, load: 50}
"""


def test_a_device_that_others_use_is_told_busy_and_refused_until_it_is_free(agent_with, plane):
    agent_with(scenario=BUSY)
    plane.wait_hello()
    busy, free = sorted(plane.devices().values(), key=lambda d: d["index"])
    assert busy["busy"] and "MiB free" in busy["why"] and not free["busy"]
    attempt, _, _ = plane.start(["true"], [busy["uuid"]])
    refused = plane.wait_said(attempt, "refused")
    assert "not free" in refused["why"] and "MiB free" in refused["why"]

    attempt, _, _ = plane.start(["true"], [free["uuid"]], gpu_memory_mib=9999)
    assert "9999 needed" in plane.wait_said(attempt, "refused")["why"]

    plane.wait_for(lambda: plane.devices()[busy["uuid"]]["foreign"])
    plane.wait_for(lambda: not plane.devices()[busy["uuid"]]["busy"])
    attempt, _, _ = plane.start(["true"], [busy["uuid"]])
    plane.wait_said(attempt, "ended")


def test_what_a_job_of_ours_uses_does_not_make_its_device_busy(agent_with, plane):
    agent_with(scenario="devices: [{model: rtx-3080}]\nclient: {memory: 9GiB, load: 99}\n")
    plane.wait_hello()
    devices = one_device(plane)
    attempt, _, _ = plane.start(["sleep", "3"], devices)
    plane.wait_said(attempt, "ended")
    assert not any(d["busy"] or d["foreign"] for r in plane.reports for d in r.get("devices", []))
    # The next one gets in at once, though the last one's load may still show.
    attempt, _, _ = plane.start(["true"], devices)
    assert plane.wait_said(attempt, "ended")["outcome"] == "completed"
    assert not plane.said(attempt, "refused")


def test_what_a_running_job_has_used_is_told_while_it_runs(agent_with, plane):
    agent_with("--sample", "1s")
    plane.wait_hello()
    attempt, job, n = plane.start(["sleep", "6"], one_device(plane))
    plane.wait_said(attempt, "started")

    def meters():
        return [m for r in plane.reports for m in r.get("meters", []) if (m["job"], m["n"]) == (job, 1)]

    plane.wait_for(lambda: len({m["energy_mj"] for m in meters()}) >= 3)
    used = [m["energy_mj"] for m in meters()]
    assert used == sorted(used) and all(m["measured"] for m in meters())
    ended = plane.wait_said(attempt, "ended")
    assert ended["energy_mj"] >= used[-1] > 0


def test_an_attempt_that_runs_as_a_pod_is_asked_for_and_measured(agent_with, plane):
    """What a cluster's node is for its agent: the gate, and a meter."""
    agent_with("--sample", "1s", scenario=BUSY)
    plane.wait_hello()
    busy, free = sorted(plane.devices().values(), key=lambda d: d["index"])
    asked = [(free["uuid"], "clear"), (busy["uuid"], "refused"), ("GPU-none", "refused")]
    for number, (uuid, state) in enumerate(asked):
        attempt = f"{number:032x}"
        plane.send(type="check", attempt=attempt, job=70 + number, n=1, devices=[uuid], gpu_memory_mib=0)
        word = plane.wait_said(attempt, state)
        assert (word["job"], word["n"]) == (70 + number, 1) and (state == "clear" or word["why"])
    attempt = "f" * 32
    plane.send(type="meter", attempt=attempt, job=80, n=1, devices=[free["uuid"]], ago_ms=0)

    def meters():
        return [m for r in plane.reports for m in r.get("meters", []) if m["job"] == 80]

    plane.wait_for(lambda: len({m["energy_mj"] for m in meters()}) >= 3)
    assert meters()[-1]["measured"]
    plane.send(type="forget", attempt=attempt)
    count = len(meters())
    time.sleep(2.5)
    assert len(meters()) <= count + 1


def test_two_jobs_never_get_one_device(agent_with, plane):
    agent_with()
    plane.wait_hello()
    first, job, _ = plane.start(["sleep", "2"], one_device(plane))
    second, _, _ = plane.start(["true"], one_device(plane))
    assert f"held by job {job}" in plane.wait_said(second, "refused")["why"]
    plane.wait_said(first, "ended")


HUNG = """
devices: [{model: rtx-3080, count: 2}]
faults: [{kind: hang, device: 1, from: 2s}]
"""


def test_a_hung_driver_stops_neither_the_agent_nor_jobs_elsewhere(agent_with, plane):
    agent = agent_with(scenario=HUNG)
    plane.wait_hello()
    good, bad = (d["uuid"] for d in sorted(plane.devices().values(), key=lambda d: d["index"]))
    plane.wait_for(lambda: plane.devices()[bad]["health"] == "faulty", 30)
    begin = time.monotonic()
    assert agent.get("/status").status_code == 200 and time.monotonic() - begin < 1
    attempt, _, _ = plane.start(["true"], [bad])
    assert plane.wait_said(attempt, "refused", seconds=30)["why"]
    attempt, _, _ = plane.start(["true"], [good])
    plane.wait_said(attempt, "ended", seconds=40)


def test_without_a_gpu_the_node_is_told_and_runs_jobs_that_need_none(agent_with, plane):
    agent = agent_with(*NO_GPU)
    assert plane.wait_hello()["devices"] == []
    attempt, _, _ = plane.start(["true"])
    assert plane.wait_said(attempt, "ended")["outcome"] == "completed"
    status = agent.get("/status").json()
    assert list(status)[:6] == [
        "gpu_utilization", "gpu_memory_used", "gpu_memory_total", "cpu_usage", "memory_usage", "available",
    ]  # fmt: skip
    assert [status[k] for k in list(status)[:3]] == [None] * 3 and status["available"] is False


# ---- what survives ----


@pytest.mark.short
def test_a_job_outlives_its_agent_and_its_exit_code_is_not_lost(agent_with, plane):
    agent = agent_with()
    plane.wait_hello()
    attempt, job, _ = plane.start(["sh", "-c", "echo one; sleep 2; echo two; exit 7"], one_device(plane))
    plane.wait_said(attempt, "started")
    agent.kill()
    agent.start()
    hello = plane.wait_hello(2)
    assert [(a["id"], a["state"]) for a in hello["attempts"]] == [(attempt, "started")]
    ended = plane.wait_said(attempt, "ended")
    assert ended["exit_code"] == 7 and ended["energy_mj"] > 0 and ended["energy_measured"]
    assert log_of(plane, job) == "one\ntwo\n"


def test_an_end_in_the_agents_absence_is_told_when_it_is_back(agent_with, plane):
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    attempt, job, _ = plane.start(["sh", "-c", "sleep 0.5; echo late; exit 9"])
    plane.wait_said(attempt, "started")
    agent.kill()
    time.sleep(1.5)
    agent.start()
    hello = plane.wait_hello(2)
    (told,) = [a for a in hello["attempts"] if a["id"] == attempt]
    assert told["state"] == "ended" and told["exit_code"] == 9
    assert log_of(plane, job) == "late\n"


def test_when_the_shim_is_killed_the_job_is_lost_and_what_it_left_is_ended(agent_with, plane, tmp_path):
    agent = agent_with()
    plane.wait_hello()
    attempt, _, _ = plane.start(["sh", "-c", "sleep 1000 & echo $! $$; wait"], one_device(plane))
    plane.wait_said(attempt, "started")
    job = plane.said(attempt)[0]["job"]
    pids = plane.wait_for(lambda: plane.logs.get((job, 1), {}).get("data", b"").split())
    (shim,) = agent.shims()
    os.kill(shim, signal.SIGKILL)
    lost = plane.wait_said(attempt, "lost")
    assert "shim died" in lost["why"]
    assert not any(Path(f"/proc/{int(p)}").exists() and is_alive(int(p)) for p in pids)
    again, _, _ = plane.start(["true"], one_device(plane))
    assert plane.wait_said(again, "ended")["outcome"] == "completed"


def is_alive(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_an_agent_killed_at_the_gate_has_started_nothing(agent_with, plane):
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    agent.stop()
    agent.start(REEVE_FAILPOINTS="agent.gate=kill")
    plane.wait_hello(2)
    attempt, job, message = plane.start(["true"])
    agent.process.wait(20)
    agent.start()
    assert plane.wait_hello(3)["attempts"] == []
    plane.send(**message)
    assert plane.wait_said(attempt, "ended")["outcome"] == "completed"
    assert job


@pytest.mark.parametrize("point", ["agent.before_start", "agent.after_start", "agent.before_ack", "agent.before_end"])
def test_an_agent_killed_anywhere_starts_a_job_once(agent_with, plane, tmp_path, point):
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    agent.stop()
    proof = tmp_path / "proof"
    proof.mkdir()
    proof.chmod(0o777)
    # The hello's own acknowledgement is the first.
    times = "@2" if point == "agent.before_ack" else ""
    agent.start(REEVE_FAILPOINTS=f"{point}=kill{times}")
    plane.wait_hello(2)
    attempt, _, message = plane.start(["sh", "-c", f"echo x >> {proof}/starts; sleep 0.3"])
    agent.process.wait(20)
    agent.start()
    plane.wait_hello(3)
    plane.send(**message)
    assert plane.wait_said(attempt, "ended")["outcome"] == "completed"
    assert (proof / "starts").read_text() == "x\n"


def test_an_attempt_whose_spec_is_damaged_is_still_told(agent_with, plane):
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    attempt, job, _ = plane.start(["sh", "-c", "sleep 1; exit 4"])
    plane.wait_said(attempt, "started")
    agent.kill()
    (agent.data / "attempts" / plane.name(job) / "spec").write_text("nonsense")
    agent.start()
    ended = plane.wait_said(attempt, "ended")
    assert (ended["job"], ended["n"], ended["exit_code"]) == (job, 1, 4)


def test_a_node_that_cannot_start_jobs_calls_itself_busy_for_a_while(agent_with, plane):
    agent_with(*NO_GPU, env={"REEVE_FAILPOINTS": "agent.before_start=error@1"})
    plane.wait_hello()
    attempt, _, _ = plane.start(["true"])
    plane.wait_said(attempt, "refused")

    def hosts():
        return [r["host"]["busy"] for r in plane.reports if "host" in r]

    plane.wait_for(lambda: hosts()[-2:] == [True, False])
    attempt, _, _ = plane.start(["true"])
    plane.wait_said(attempt, "ended")


def test_a_cancel_that_could_not_be_kept_is_not_answered(agent_with, plane):
    agent = agent_with(*NO_GPU, env={"REEVE_FAILPOINTS": "agent.before_tombstone=kill"})
    plane.wait_hello()
    attempt = "0123456789abcdef" * 2
    plane.send(type="cancel", attempt=attempt, job=77, n=1)
    agent.process.wait(20)
    assert not plane.said(attempt)
    agent.start(REEVE_FAILPOINTS="")
    plane.wait_hello(2)
    plane.send(type="cancel", attempt=attempt, job=77, n=1)
    assert plane.wait_said(attempt, "ended")["outcome"] == "cancelled"


def test_an_agent_killed_while_it_forgets_does_so_when_it_is_told_again(agent_with, plane):
    agent = agent_with(*NO_GPU, env={"REEVE_FAILPOINTS": "agent.before_remove=kill"})
    plane.wait_hello()
    attempt, job, _ = plane.start(["true"])
    plane.wait_said(attempt, "ended")
    plane.send(type="forget", attempt=attempt, job=job, n=1)
    agent.process.wait(20)
    folder = agent.data / "attempts" / plane.name(job)
    assert folder.exists()
    agent.start(REEVE_FAILPOINTS="")
    hello = plane.wait_hello(2)
    assert [(a["id"], a["state"]) for a in hello["attempts"]] == [(attempt, "ended")]
    plane.send(type="forget", attempt=attempt, job=job, n=1)
    plane.wait_for(lambda: not folder.exists())


def test_reports_and_logs_wait_for_a_control_plane_that_is_away(agent_with, plane):
    agent = agent_with(*NO_GPU)
    plane.wait_hello()
    attempt, job, _ = plane.start(["sh", "-c", "echo one; sleep 1; echo two"])
    plane.wait_said(attempt, "started")
    plane.close()
    time.sleep(2)
    assert agent.get("/status").json()["link"] != "up"
    plane.open()
    plane.wait_hello(2)
    assert plane.wait_said(attempt, "ended")["outcome"] == "completed"
    assert log_of(plane, job) == "one\ntwo\n"


def test_a_report_that_failed_comes_again(agent_with, plane):
    agent_with(*NO_GPU)
    plane.wait_hello()
    plane.broken = True
    attempt, _, _ = plane.start(["true"])
    time.sleep(1)
    plane.broken = False
    ended = plane.wait_said(attempt, "ended")
    assert ended["outcome"] == "completed" and plane.said(attempt)[0]["state"] == "started"


# ---- measuring ----


def test_samples_are_sent_by_remote_write(agent_with, plane):
    agent_with()
    plane.wait_hello()
    plane.wait_for(lambda: len(plane.writes) >= 3)
    headers, body = plane.writes[-1]
    assert headers["Content-Encoding"] == "snappy" and body
    assert headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"


def test_status_agrees_with_itself_and_metrics_have_the_usual_names(agent_with, plane):
    agent = agent_with()
    plane.wait_hello()
    status = plane.wait_for(lambda: (s := agent.get("/status").json())["cpu_usage"] and s)
    text = agent.get("/status").text
    assert '"cpu_usage":' in text and "." in text.split('"cpu_usage":')[1].split(",")[0]
    gate = status["gate"]
    assert status["available"] == (
        status["gpu_memory_total"] - status["gpu_memory_used"] > gate["free_mib"]
        and status["gpu_utilization"] < gate["gpu_pct"]
        and status["cpu_usage"] < gate["cpu_pct"]
        and status["memory_usage"] < gate["memory_pct"]
    )
    assert status["devices"][0]["uuid"].startswith("GPU-")

    metrics = agent.get("/metrics").text
    for name in ("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_POWER_USAGE",
                 "node_memory_MemTotal_bytes", "node_cpu_seconds_total", "node_load1"):  # fmt: skip
        assert f"\n{name}" in metrics or metrics.startswith(name), name
    line = next(x for x in metrics.splitlines() if x.startswith("DCGM_FI_DEV_GPU_UTIL{"))
    labels = [part.split("=")[0] for part in line.split("{")[1].split("}")[0].split(",")]
    assert labels == ["gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION"]


def test_it_answers_to_its_names_only(agent_with):
    agent = agent_with(*NO_GPU, "--node", "gpu-7", "--host", "resource-monitor", plane=None)
    for host, status in (("gpu-7", 200), ("resource-monitor:8080", 200), ("10.0.0.7", 200), ("rebound.example", 421)):
        assert requests.get(agent.url("/status"), headers={"Host": host}, timeout=5).status_code == status, host


def test_an_agent_without_a_control_plane_measures(agent_with):
    agent = agent_with(*NO_GPU, plane=None)
    assert agent.get("/status").json()["link"] == "off"
    assert agent.get("/healthz").json() == {"status": "ok"}
    assert agent.get("/nothing").status_code == 404
    assert requests.post(agent.url("/status"), timeout=5).status_code == 405


@pytest.mark.parametrize(
    "options, code, words",
    [
        (("--listen", "0.0.0.0:0"), 3, "TLS"),
        (("--server", "http://10.0.0.1:8081"), 3, "loopback"),
        (("--server", "ftp://x"), 2, "must begin with"),
        (("--sample", "10ms"), 2, "sample"),
        (("--tls-cert", "/x"), 2, "--tls-key"),
        (("--node", "a b"), 2, "no name"),
        (("--gpu", "magic"), 2, "magic"),
        (("extra",), 2, "extra"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_sentence(build, tmp_path, options, code, words):
    done = subprocess.run(
        [build / "src/agent/reeve-agent", "--data", tmp_path / "d", "--listen", "127.0.0.1:0", *options],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert words in done.stderr and done.returncode == code
