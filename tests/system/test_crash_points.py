"""Dies at every point of docs/crash-points.md, one at a time, and looks that what stands there is so."""

import re
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
import requests
from plant import Plant, until

TOP = Path(__file__).resolve().parents[2]


def rows():
    for line in (TOP / "docs/crash-points.md").read_text().splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            yield cells[0].strip("`"), cells[1], cells[4]


def test_every_failpoint_of_the_sources_has_a_row_and_the_other_way_round():
    found = set()
    for source in (TOP / "src").rglob("*.c"):
        found |= set(re.findall(r'FAILPOINT\("([^"]+)"\)', source.read_text()))
    assert found == {name for name, _, _ in rows()}


def test_every_row_that_names_a_unit_test_has_one():
    for name, _, test in rows():
        if test.startswith("unit: "):
            folder = TOP / "tests/unit" / test.removeprefix("unit: ")
            assert any(f.suffix == ".c" for f in folder.iterdir()), name


@pytest.fixture
def plant(build, tmp_path):
    scenario = tmp_path / "sim.yaml"
    scenario.write_text("devices:\n  - model: rtx-3080\n  - model: rtx-3080\n")
    p = Plant(build, scenario, reeved=["--retry-pause", "100ms"], agent=["--sample", "1s"])
    p.proof = p.folder / "proof"
    p.proof.touch()
    p.proof.chmod(0o666)
    yield p
    print(p.log_tail("reeved.log", 3000), p.log_tail("agent.log", 3000))
    p.stop()


def submit(plant, seconds=0.3, **fields):
    script = f'echo "$REEVE_JOB_ID $REEVE_ATTEMPT" >> {plant.proof}; sleep {seconds}'
    return plant.submit(["sh", "-c", script], work_dir=str(plant.folder), **{"retries": 5} | fields)["id"]


def check(plant, job, state="Completed"):
    answer = plant.wait_state(job, seconds=60)
    assert answer["state"] == state, answer
    starts = Counter(plant.proof.read_text().split("\n")[:-1])
    assert all(count == 1 for count in starts.values()), starts
    if state == "Completed":
        assert starts
    verify = plant.ask("POST", "/api/v1/ledger:verify", {}).json()
    assert verify["ok"], verify
    for start in ["false", "true"]:
        replay = plant.ask("POST", f"/api/v1/ledger:replay?from_start={start}", {}).json()
        assert replay["identical"], replay
    return answer


def killing(point):
    return {"REEVE_FAILPOINTS": f"{point}=kill@1"}


def restart_when_dead(process, start):
    until(lambda: process.poll() is not None, 30)
    assert process.returncode == -9
    start()


@pytest.mark.parametrize("point", [n for n, who, t in rows() if who == "reeved" and t == "job"])
def test_reeved_dies(plant, point):
    plant.start()
    job = submit(plant) if point == "logs.end" else None
    plant.reeved.terminate()
    plant.reeved.wait()
    # The first batches are those of the start itself; the point is passed at the third at the latest.
    doomed = plant.start_reeved({"REEVE_FAILPOINTS": f"{point}=kill@{3 if 'commit' in point else 1}"}, wait=False)
    key = {"Idempotency-Key": "once"}
    script = f'echo "$REEVE_JOB_ID $REEVE_ATTEMPT" >> {plant.proof}; sleep 0.3'
    body = {"command": ["sh", "-c", script], "work_dir": str(plant.folder), "retries": 5}
    end, accepted = time.monotonic() + 40, job
    while doomed.poll() is None and time.monotonic() < end:
        try:
            answer = plant.ask("POST", "/api/v1/jobs", body, headers=key, timeout=5)
            accepted = answer.json()["id"] if answer.status_code // 100 == 2 else accepted
        except OSError:
            pass
        time.sleep(0.05)
    restart_when_dead(doomed, plant.start_reeved)
    again = plant.ask("POST", "/api/v1/jobs", body, headers=key).json()["id"]
    if accepted and not job:
        assert again == accepted
    check(plant, again)


@pytest.mark.parametrize("point", [n for n, _, t in rows() if t == "snapshot"])
def test_reeved_dies_while_it_keeps_a_snapshot(plant, point):
    doomed = plant.start_reeved(killing(point), wait=False)
    restart_when_dead(doomed, plant.start_reeved)
    plant.start_agent()
    check(plant, submit(plant))
    until(lambda: plant.ask("POST", "/api/v1/ledger:replay", {}).json()["began"], 10)
    whole = plant.ask("POST", "/api/v1/ledger:replay?from_start=true", {}).json()
    assert whole["identical"] and whole["began"] is None and whole["plans"] > 0


@pytest.mark.parametrize("point", [n for n, who, t in rows() if who == "agent" and t == "job"])
def test_agent_dies(plant, point):
    import os

    if point == "account.save" and os.geteuid() != 0:
        pytest.skip("only with root are users mapped to accounts")
    plant.start_reeved()
    token = plant.ask("POST", "/api/v1/users", {"name": "alice", "role": "user"})
    assert token.status_code == 201
    doomed = plant.start_agent(killing(point), wait=False)
    job = submit(plant, user="alice")
    restart_when_dead(doomed, plant.start_agent)
    answer = check(plant, job)
    outcomes = [a["outcome"] for a in answer["attempts"]]
    assert "lost" not in outcomes, outcomes


def test_agent_dies_while_it_finds_attempts_again(plant):
    plant.start()
    job = submit(plant, seconds=3)
    plant.wait_state(job, "Running")
    plant.agent.kill()
    plant.agent.wait()
    doomed = plant.start_agent(killing("agent.after_adopt"), wait=False)
    restart_when_dead(doomed, plant.start_agent)
    assert len(check(plant, job)["attempts"]) == 1


def test_agent_dies_before_its_key_is_kept(plant):
    plant.start_reeved()
    doomed = plant.start_agent(killing("agent.before_key"), wait=False)
    # The token is used up; an operator makes another one, as start_agent() does here.
    restart_when_dead(doomed, plant.start_agent)
    check(plant, submit(plant))


def test_agent_dies_after_a_cancel_was_written_down(plant):
    plant.start_reeved()
    doomed = plant.start_agent(killing("launcher.after_cancel_file"))
    job = submit(plant, seconds=60)
    plant.wait_state(job, "Running")
    assert plant.ask("POST", f"/api/v1/jobs/{job}/cancel", {}).status_code // 100 == 2
    restart_when_dead(doomed, plant.start_agent)
    check(plant, job, "Cancelled")


def test_reeved_dies_before_the_admin_token_is_written(plant):
    doomed = plant.start_reeved(killing("reeved.admin-token"), wait=False)
    assert doomed.wait(30) == -9
    plant.start_reeved()
    assert not (plant.data / "admin.token").exists()
    made = subprocess.run(
        [
            str(plant.build / "src/cli/reeve"),
            "token",
            "create",
            f"--server=unix:{plant.data}/reeved.sock",
            "admin",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    token = made.stdout.split()[-1]
    assert plant.ask("GET", "/api/v1/whoami", token=token).json()["role"] == "admin"


@pytest.mark.parametrize("point", [n for n, _, t in rows() if t == "helper"])
def test_gpu_helper_dies(plant, point):
    plant.start_reeved()
    agent = plant.start_agent({"REEVE_FAILPOINTS": f"{point}=kill"}, wait=False)
    job = submit(plant)
    time.sleep(2)
    assert agent.poll() is None
    assert requests.get(plant.agent_url + "/status", timeout=5).status_code == 200
    agent.terminate()
    agent.wait()
    plant.start_agent()
    check(plant, job)


def first_attempt_over(plant, job):
    attempts = plant.job(job)["attempts"]
    return attempts and attempts[0]["state"] in ("Ended", "Lost")


@pytest.mark.parametrize("point, test", [(n, t) for n, who, t in rows() if t in ("shim", "exits", "fails")])
def test_shim_dies(plant, point, test):
    plant.start_reeved()
    plant.start_agent(killing(point))
    # Shims inherit the environment, so all die until the agent is another one; each time the pause is longer.
    job = submit(plant, retries=20)
    until(lambda: first_attempt_over(plant, job), 40)
    plant.agent.terminate()
    plant.agent.wait()
    plant.start_agent()
    answer = check(plant, job, "Failed" if test == "fails" else "Completed")
    outcomes = [a["outcome"] for a in answer["attempts"]]
    if test == "exits":
        assert outcomes == ["completed"]
    elif test == "shim":
        assert outcomes[-1] == "completed" and outcomes[0] in ("lost", "refused")
    elif test == "fails":
        assert outcomes == ["signalled"]


@pytest.mark.parametrize("point", [n for n, _, t in rows() if t == "nursery"])
def test_nursery_dies(plant, point):
    plant.start_reeved()
    plant.start_agent(killing(point))
    # The first shim is started by exec; each other one finds a nursery that dies, or none.
    for job in [submit(plant, seconds=0.1) for _ in range(6)]:
        assert [a["outcome"] for a in check(plant, job)["attempts"]] == ["completed"]


def test_reeved_dies_between_a_jobs_rows_and_its_logs(plant):
    plant.start_reeved(killing("api.deleted"))
    job = plant.submit(["true"])["id"]
    plant.ask("POST", f"/api/v1/jobs/{job}/cancel")
    with pytest.raises(requests.RequestException):
        plant.ask("DELETE", f"/api/v1/jobs/{job}")
    assert plant.reeved.wait(30) == -9
    plant.start_reeved()
    assert plant.ask("GET", f"/api/v1/jobs/{job}").status_code == 404
    assert plant.ask("POST", "/api/v1/ledger:verify").json()["ok"]
