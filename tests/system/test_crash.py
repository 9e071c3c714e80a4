"""Kills everything, over and over, while clients submit and jobs run.

What must hold: no accepted job is lost or doubled, no attempt starts twice (each start leaves a line in
a file that our programs do not touch), an attempt whose shim was killed is Lost and said so, and the
ledger verifies and replays.
"""

import collections
import os
import random
import signal
import threading
import time

import pytest
import requests
from plant import Plant, until

KILLS = int(os.environ.get("REEVE_KILLS", "100"))
ENDED = ("Completed", "Failed", "Cancelled")

SCENARIO = """\
devices:
  - model: rtx-3080
  - model: rtx-3080
  - model: rtx-3080
  - model: rtx-3080
"""


class Clients:
    """Three of them: submit with a key of their own, and ask again until there is an answer."""

    def __init__(self, plant, proof):
        self.plant, self.proof = plant, proof
        self.accepted = {}  # key -> job id
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.errors = []
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(3)]
        for t in self.threads:
            t.start()

    def body(self, key):
        script = f'echo "$REEVE_JOB_ID $REEVE_ATTEMPT" >> {self.proof}; sleep 0.$(( $$ % 8 + 1 ))'
        return {"name": key, "command": ["sh", "-c", script], "retries": 20}

    def run(self, number):
        token, count = self.plant.admin_token, 0
        while not self.stopping.is_set():
            key = f"c{number}-{count}"
            count += 1
            while True:
                try:
                    answer = requests.post(
                        self.plant.url + "/api/v1/jobs",
                        json=self.body(key),
                        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
                        timeout=5,
                    )
                except requests.RequestException:
                    if self.stopping.is_set():
                        return  # never answered: it may be there or not
                    time.sleep(0.02)
                    continue
                if answer.status_code // 100 == 2:
                    with self.lock:
                        self.accepted[key] = answer.json()["id"]
                    break
                if answer.status_code not in (429, 503):
                    self.errors.append(f"{answer.status_code} {answer.text}")
                    return
                time.sleep(0.05)
            time.sleep(0.12)

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()


def kill_one(plant, rng, killed):
    what = rng.choice(["reeved", "agent", "shim", "shim"])
    if what == "shim":
        shims = plant.locking_shims()
        if not shims:
            return False
        pid, folder = rng.choice(shims)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        killed["shim"] += 1
        return True
    process = plant.reeved if what == "reeved" else plant.agent
    process.kill()
    process.wait()
    killed[what] += 1
    if what == "reeved":
        plant.start_reeved(wait=False)
    else:
        plant.start_agent(wait=False)
    return True


def all_jobs(plant):
    jobs, cursor = [], None
    while True:
        query = "?limit=1000" + (f"&cursor={cursor}" if cursor else "")
        answer = plant.ask("GET", "/api/v1/jobs" + query).json()
        jobs += answer["items"]
        cursor = answer["next_cursor"]
        if not cursor:
            return jobs


def check(plant, clients, proof, killed):
    assert not clients.errors, clients.errors[:3]
    until(plant.is_ready, 60)
    until(plant.node_is_ready, 60)
    until(lambda: all(j["state"] in ENDED for j in all_jobs(plant)), 180, every=0.5)
    jobs = {j["id"]: j for j in all_jobs(plant)}
    lost = [k for k, job in clients.accepted.items() if job not in jobs]
    names = collections.Counter(j["name"] for j in jobs.values())
    doubled = [n for n, count in names.items() if count > 1]
    starts = collections.Counter(proof.read_text().split("\n")[:-1])
    twice = [line for line, count in starts.items() if count > 1]
    states = collections.Counter(j["state"] for j in jobs.values())
    attempts = [a for j in jobs for a in plant.job(j)["attempts"]]
    outcomes = collections.Counter(a["outcome"] for a in attempts)
    verify = plant.ask("POST", "/api/v1/ledger:verify", {}, timeout=60).json()
    replay = plant.ask("POST", "/api/v1/ledger:replay", {}, timeout=60).json()
    print(
        f"\nkilled {dict(killed)}; accepted {len(clients.accepted)}, in the store {len(jobs)}, lost "
        f"{len(lost)}, doubled {len(doubled)}; attempts {len(attempts)} {dict(outcomes)}, starts proven "
        f"{sum(starts.values())}, started twice {len(twice)}; states {dict(states)}; ledger rows "
        f"{verify['rows']}, plans {replay['plans']}"
    )
    assert not lost, lost
    assert not doubled, doubled
    assert not twice, twice
    assert verify["ok"], verify
    assert replay["identical"], replay
    assert set(states) <= {"Completed", "Failed"}
    # A job only fails here when its tries were used up; none has so many.
    failed = [plant.job(j["id"])["attempts"] for j in jobs.values() if j["state"] == "Failed"]
    assert not failed, [(a["n"], a["outcome"], a["reason"]) for a in failed[0]]
    if killed["shim"] >= 10:
        assert outcomes["lost"] > 0
    return outcomes


@pytest.fixture
def plant(build, tmp_path):
    scenario = tmp_path / "sim.yaml"
    scenario.write_text(SCENARIO + f"name: {tmp_path.name}-{os.getpid()}\n")
    # Without the gate: how busy the machine is otherwise must not decide how long this takes.
    p = Plant(build, scenario, reeved=["--no-gate", "--retry-pause", "100ms"], agent=["--shared-uid", "--sample", "1s"])
    p.start()
    yield p
    print(p.log_tail("reeved.log"), p.log_tail("agent.log"))
    p.stop()


@pytest.mark.timeout(600)
def test_no_kill_loses_a_job_or_starts_an_attempt_twice(plant):
    seed = int(os.environ.get("REEVE_SEED", "0")) or random.randrange(1 << 30)
    rng, killed = random.Random(seed), collections.Counter()
    print(f"seed {seed}")
    proof = plant.folder / "proof"
    proof.touch()
    proof.chmod(0o666)
    clients = Clients(plant, proof)
    try:
        while sum(killed.values()) < KILLS:
            time.sleep(rng.uniform(0.05, 0.6))
            kill_one(plant, rng, killed)
    finally:
        clients.stop()
    check(plant, clients, proof, killed)


def power_cut(plant, log):
    """Everything dies at once, and what was not made durable is gone."""
    import subprocess

    for process in (plant.reeved, plant.agent):
        process.kill()
    time.sleep(0.05)  # what the agent had just forked has become a shim by then
    for pid, _ in plant.shims():
        os.kill(pid, signal.SIGKILL)
    for process in (plant.reeved, plant.agent):
        process.wait()
    until(lambda: not plant.shims(), 10)
    end_jobs(plant)
    for data in (plant.data, plant.agent_data):
        done = subprocess.run(
            [str(plant.build / "tests/powerloss/powerloss-undo"), str(data), str(log[data])],
            capture_output=True,
            text=True,
            check=True,
        )
        print(data.name, done.stdout.strip())
        for entry in log[data].iterdir():
            entry.unlink()


def end_jobs(plant):
    """A machine without power runs nothing: the jobs themselves go too."""
    from pathlib import Path

    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"REEVE_ATTEMPT=" in environment and str(plant.folder).encode() in environment:
                try:
                    os.kill(int(entry.name), signal.SIGKILL)
                except ProcessLookupError:
                    pass


@pytest.mark.plain("a library is preloaded")
@pytest.mark.timeout(300)
def test_a_power_cut_loses_nothing_that_was_acknowledged(plant):
    rng = random.Random(1)
    log, env = {}, {}
    library = str(plant.build / "tests/powerloss/libpowerloss.so")
    for data in (plant.data, plant.agent_data):
        log[data] = plant.folder / f"undo-{data.name}"
        log[data].mkdir()
        log[data].chmod(0o777)
        env[data] = {
            "LD_PRELOAD": library,
            "POWERLOSS_ROOT": str(data),
            "POWERLOSS_LOG": str(log[data]),
        }
    plant.stop(remove=False)
    proof = plant.folder / "proof"
    proof.touch()
    proof.chmod(0o666)
    plant.start_reeved(env[plant.data])
    plant.start_agent(env[plant.agent_data])
    clients = Clients(plant, proof)
    killed = collections.Counter()
    try:
        for _ in range(8):
            time.sleep(rng.uniform(1, 2))
            power_cut(plant, log)
            killed["all"] += 1
            plant.start_reeved(env[plant.data])
            plant.start_agent(env[plant.agent_data])
    finally:
        clients.stop()
    check(plant, clients, proof, killed)
