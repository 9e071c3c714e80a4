"""That a cluster leaves nothing behind, however it ends."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faults import wait_for
from parts.cluster import COMMAND, Cluster
from parts.say import Unable


class Other:
    """A second cluster beside the tests' own; it takes nothing from that one."""

    def __init__(self, folder: Path):
        self.cluster = Cluster(folder)
        self.env = os.environ | {"REEVE_CLUSTER_STATE": str(folder)}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(COMMAND), *arguments]

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        options = {"check": True, "timeout": 200} | options
        return subprocess.run(self.command(*arguments), env=self.env, capture_output=True, text=True, **options)

    def up(self, *options: str) -> None:
        self.run("up", "--no-argo", *options)

    def begin(self, *options: str) -> subprocess.Popen:
        """`up` in the midst of its work: namespaces are there, programs are being started."""
        up = subprocess.Popen(
            self.command("up", "--no-argo", *options), env=self.env, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_for("the house there", self.cluster.is_up, 60, 0.02)
        return up

    def gone(self) -> bool:
        return not self.cluster.is_up() and not self.traces() and self.nobody_keeps_it()

    def nobody_keeps_it(self) -> bool:
        """Keeper and watcher hold the lock while they live."""
        try:
            os.close(self.cluster.house.lock(0))
        except Unable:
            return False
        return True

    def traces(self) -> list[str]:
        """What there is of it on this machine."""
        house = self.cluster.house
        found = [str(path) for path in Path("/sys/fs/cgroup").rglob(f"{house.name}*")]
        found += [str(path) for path in house.state.iterdir() if path != house.logs]
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and str(house.state).encode() in (entry / "cmdline").read_bytes():
                    found.append(f"process {entry.name}: {(entry / 'cmdline').read_text()[:80]}")
            except OSError:
                pass
        return found


@pytest.fixture
def other(cluster, tmp_path):
    there = Other(tmp_path / "other")
    there.cluster.house.logs.mkdir(parents=True)
    yield there
    there.run("down")


def machine() -> dict:
    """What a cluster could change of the machine outside of it."""
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout
    settings = "kernel/panic kernel/panic_on_oops vm/overcommit_memory net/ipv4/ip_forward kernel/keys/root_maxkeys"
    return {
        "mounts": [re.sub(r"^\S+ \S+ ", "", line) for line in Path("/proc/self/mountinfo").read_text().splitlines()],
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "rules": re.sub(r"\[\d+:\d+\]|#.*", "", rules),
        "settings": {name: Path("/proc/sys", name).read_text() for name in settings.split()},
        "folders": [sorted(os.listdir(folder)) for folder in ("/", "/etc", "/var/lib", "/var/log", "/run", "/opt")],
    }


def test_down_leaves_nothing_behind(other):
    before = machine()
    other.up()
    other.run("exec", "kubectl", "create", "deployment", "--image=localhost/test:1", "sleeps", "--", "sleep", "600")
    other.run("exec", "kubectl", "rollout", "status", "deployment/sleeps", "--timeout=60s")
    assert other.traces()
    assert machine() == before, "a running one is not to be seen either"
    other.run("down")
    assert other.gone()
    assert machine() == before


def test_status_and_exec_say_how_things_are(other):
    assert other.run("status", check=False).returncode == 3
    other.up()
    said = other.run("status").stdout
    assert re.search(r"^node-1 +Ready$", said, re.M) and "ended" not in said
    assert other.run("exec", "sh", "-c", "exit 7", check=False).returncode == 7
    assert other.run("exec", "hostname").stdout == "node-1\n"
    again = other.run("up", check=False)
    assert again.returncode == 1 and "up already" in again.stderr


def test_up_that_is_killed_leaves_nothing_behind(other):
    up = other.begin()
    up.kill()
    up.wait()
    wait_for("all of it gone", other.gone, 30)


def test_up_that_is_interrupted_leaves_nothing_behind(other):
    up = other.begin()
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 130
    assert other.gone()


@pytest.mark.parametrize("who", ["keeper", "first"])
def test_a_keeper_that_is_killed_leaves_nothing_behind(other, who):
    other.up()
    os.kill(json.loads((other.cluster.house.state / "house.json").read_text())[who], signal.SIGKILL)
    wait_for("all of it gone", other.gone, 30)


def test_it_ends_with_the_process_that_it_is_for(other):
    waits = subprocess.Popen(["sleep", "600"])
    try:
        other.up("--for", str(waits.pid))
        assert other.cluster.is_up()
    finally:
        waits.kill()
        waits.wait()
    wait_for("all of it gone", other.gone, 30)


def test_what_both_guards_left_the_next_call_removes(other):
    other.up()
    keeper = other.cluster.house.facts()["keeper"]
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    for pid in [*map(int, children), keeper]:
        os.kill(pid, signal.SIGSTOP)
    for pid in [*map(int, children), keeper]:
        os.kill(pid, signal.SIGKILL)
    wait_for("the first process gone", lambda: not other.cluster.is_up(), 30)
    other.run("down")
    assert other.gone()


def test_a_program_inside_gets_signals_and_ends_with_its_caller(cluster):
    script = "trap 'exit 5' TERM; echo listens; while :; do sleep 0.1; done"
    started = cluster.popen("sh", "-c", script, stdout=subprocess.PIPE)
    assert started.stdout.readline() == b"listens\n"
    started.terminate()
    assert started.wait(10) == 5
    started = cluster.popen("sleep", "600")
    started.kill()
    started.wait()
    wait_for("it gone too", lambda: not Path(f"/proc/{started.inner_pid}").exists(), 10)
