"""Jobs as pods of a cluster that is played (tests/unit/cluster/played_cluster.c): what the whole program does with
them, and that it may die at any of its points."""

import contextlib
import subprocess
import time
from collections import Counter

import pytest
from plant import Plant, until
from test_crash_points import killing, restart_when_dead, rows


class Played:
    """The cluster, and what it has done with pods so far."""

    def __init__(self, build, folder):
        self.told = folder / "cluster.log"
        self.process = subprocess.Popen(
            [str(build / "tests/unit/cluster/played_cluster"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=self.told.open("wb"),
        )
        until((folder / "kubeconfig").exists)

    def pods(self, word):
        lines = [line.split() for line in self.told.read_text().splitlines()]
        return [name for what, name in lines if what == word]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture
def played(build, tmp_path):
    cluster = Played(build, tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture
def plant(build, tmp_path, played):
    options = ["--kube", str(tmp_path / "kubeconfig"), "--kube-image", "localhost/t:1", "--kube-keep", "1s"]
    p = Plant(build, reeved=["--retry-pause", "100ms", *options])
    yield p
    print(p.log_tail("reeved.log", 5000), played.told.read_text())
    p.stop()


def check(plant, played, job, state="Completed", pods=1):
    answer = plant.wait_state(job, seconds=60)
    assert answer["state"] == state, answer
    until(lambda: len(played.pods("gone")) == pods, 20)
    assert set(Counter(played.pods("made")).values()) == {1}
    assert len(played.pods("made")) == pods
    assert plant.ask("POST", "/api/v1/ledger:verify", {}).json()["ok"]
    replay = plant.ask("POST", "/api/v1/ledger:replay?from_start=true", {}).json()
    assert replay["identical"], replay
    return answer


def test_jobs_run_as_pods_of_two_nodes_at_once(plant, played):
    plant.start_reeved()
    nodes = until(lambda: [n for n in plant.ask("GET", "/api/v1/nodes").json()["items"] if n["state"] == "ready"][1:])
    assert nodes
    jobs = [plant.submit(["sleep", "0.5"], gpus=1)["id"] for _ in range(4)]
    for job in jobs:
        assert plant.wait_state(job)["state"] == "Completed"
    assert len(played.pods("made")) == 4
    until(lambda: "it works" in plant.log(jobs[0]))
    until(lambda: len(played.pods("gone")) == 4, 20)
    story = [line.split()[0] for line in played.told.read_text().splitlines()]
    most = running = 0
    for word in story:
        running += {"runs": 1, "ended": -1}.get(word, 0)
        most = max(most, running)
    assert most == 2


def test_a_job_that_is_cancelled_takes_its_pod_with_it(plant, played):
    plant.start_reeved()
    job = plant.submit(["sleep", "100"], gpus=1)["id"]
    plant.wait_state(job, "Running")
    assert plant.ask("POST", f"/api/v1/jobs/{job}/cancel", {}).status_code // 100 == 2
    check(plant, played, job, "Cancelled")


POINTS = [name for name, _, test in rows() if test == "system: cluster"]


@pytest.mark.parametrize("point", POINTS)
def test_reeved_dies_and_nothing_starts_twice(plant, played, point):
    seconds, state = ("100", "Cancelled") if point == "cluster.end" else ("0.2", "Completed")
    body = {"command": ["sleep", seconds], "gpus": 1}

    def submit():
        return plant.ask("POST", "/api/v1/jobs", body, headers={"Idempotency-Key": "once"}).json()["id"]

    doomed = plant.start_reeved(killing(point))
    with contextlib.suppress(OSError):  # its answer may be lost
        submit()
    if point == "cluster.end":
        plant.wait_state(1, "Running")
        with contextlib.suppress(OSError):
            plant.ask("POST", "/api/v1/jobs/1/cancel", {})
    restart_when_dead(doomed, plant.start_reeved)
    check(plant, played, submit(), state)


def test_reeved_dies_at_any_moment_and_nothing_starts_twice(plant, played):
    plant.start_reeved()
    jobs = [plant.submit(["sleep", "0.4"], gpus=1)["id"] for _ in range(6)]
    for moment in (0.1, 0.35, 0.2, 0.55, 0.05):
        time.sleep(moment)
        plant.reeved.kill()
        plant.reeved.wait()
        plant.start_reeved()
    for job in jobs:
        assert plant.wait_state(job, seconds=60)["state"] == "Completed"
    until(lambda: len(played.pods("gone")) == 6, 20)
    assert len(played.pods("made")) == 6
