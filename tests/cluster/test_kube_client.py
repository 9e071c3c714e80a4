"""The client of src/kube against a real API server and kubelet: all that it does, and what it does when they fail."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from faults import wait_for

STORY = Path(os.environ.get("REEVE_BUILD", Path(__file__).parents[2] / "build")) / "tests/unit/kube/kube_story"


@pytest.fixture
def story(cluster):
    """Starts kube_story with these arguments; what it says goes into a file that is returned with it."""
    started = []

    def start(path: Path, *arguments: str) -> subprocess.Popen:
        kubeconfig = cluster.place.environment()["KUBECONFIG"]
        with path.open("wb") as out:
            process = cluster.popen(str(STORY), kubeconfig, *arguments, stdout=out, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_all_that_the_client_does_is_done_by_a_real_server(story, tmp_path):
    told = story(tmp_path / "story", "100")
    assert told.wait(120) == 0, (tmp_path / "story").read_text()


def changes(path: Path, space) -> list[str]:
    """What happened in this namespace, without versions."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return [f"{what[0]} {what[1].split('/')[1]}" for what in lines if len(what) > 1 and what[1].startswith(space.name)]


def test_a_silent_server_does_not_stop_a_watch_for_long(story, space, faults, tmp_path):
    out = tmp_path / "watch"
    story(out, "watch")
    wait_for("the first list", lambda: "synced 1" in out.read_text())
    with faults.paused("kube-apiserver"):
        time.sleep(5)
    space.pod("after", "true", nodeName="no-such-node")
    wait_for("the pod", lambda: "added after" in changes(out, space))


def test_a_log_comes_whole_and_once_over_a_server_that_restarts(story, space, faults, tmp_path):
    space.pod("talks", "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; sleep 0.02; done; printf end")
    space.wait_phase("talks", "Running")
    out = tmp_path / "log"
    follower = story(out, "log", space.name, "talks")
    wait_for("some lines", lambda: out.read_text().count("\n") > 20)
    faults.restart("kube-apiserver")
    assert follower.wait(60) == 0, follower.stderr.read()
    lines = out.read_text().splitlines()
    assert lines[:400] == [f"line {i}" for i in range(1, 401)]
    assert lines[400].startswith("end")


def test_a_watch_goes_on_over_a_server_that_dies_and_forgets(story, cluster, space, faults, tmp_path):
    out = tmp_path / "watch"
    story(out, "watch")
    wait_for("the first list", lambda: "synced 1" in out.read_text())
    space.pod("first", "sleep 1000", nodeName="no-such-node")
    wait_for("the first pod", lambda: "added first" in changes(out, space))
    with faults.stopped("kube-apiserver"):
        wait_for("trouble", lambda: "trouble" in out.read_text())
    space.kubectl("delete", "pod", "first", "--force", "--grace-period=0")
    space.pod("second", "sleep 1000", nodeName="no-such-node")
    cluster.compact()
    wait_for("both", lambda: {"added second", "gone first"} <= set(changes(out, space)))
    assert changes(out, space).count("added second") == 1
