"""What was measured, over time: of the fleet and of one attempt."""

import time

import pytest
from fake_agent import FakeAgent
from hostile import is_problem
from plant import Plant
from remote_write import write

pytestmark = pytest.mark.short


@pytest.fixture
def plant(build):
    p = Plant(build)
    p.start_reeved()
    for name, role in [("alice", "user"), ("vera", "viewer"), ("serv", "service")]:
        p.ask("POST", "/api/v1/users", {"name": name, "role": role})
    p.token = {n: p.ask("POST", "/api/v1/tokens", {"user": n}).json()["token"] for n in ["alice", "vera", "serv"]}
    yield p
    p.stop()
    assert p.reeved.returncode == 0, p.log_tail("reeved.log")


@pytest.fixture
def agent(plant):
    a = FakeAgent(plant, "fake-a", devices=2).start()
    yield a
    a.close()


def now_ms():
    return int(time.time() * 1000)


def ago(minutes):
    """The middle of the minute so many before this one."""
    return (now_ms() // 60000 - minutes) * 60000 + 30000


def a_device(number):
    return {"UUID": f"GPU-fake-a-{number}", "node": "fake-a"}


def samples(plant, query, token=None, status=200):
    answer = plant.ask("GET", "/api/v1/samples" + query, token=token)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_an_hour_by_the_minute_with_gaps(plant, agent):
    while now_ms() % 60000 > 55000:  # not across the end of a minute
        time.sleep(0.5)
    times = [ago(59), ago(59) + 2000, ago(30), ago(1)]
    write(
        plant,
        ("DCGM_FI_DEV_GPU_UTIL", a_device(0), list(zip(times, [10, 30, 97.26, 5], strict=True))),
        ("DCGM_FI_DEV_FB_USED", a_device(1), [(ago(1), 8123.4)]),
        ("DCGM_FI_DEV_GPU_UTIL", {"UUID": "GPU-nobodys"}, [(ago(1), 1)]),
        ("reeve_node_cpu_percent", {"node": "fake-a"}, [(ago(0) - 30000, 55.5)]),
    )
    told = samples(plant, "?of=devices")
    assert told["points"] == 60 and told["step_ms"] == 60000
    first, second = told["items"]
    assert (first["id"], second["id"]) == (1, 2)
    assert {len(v) for k, v in first.items() if k != "id"} == {60}
    assert first["gpu_utilization"] == [20] + [None] * 28 + [97.3] + [None] * 28 + [5, None]
    assert second["memory_used_mib"][58] == 8123 and second["power_watts"] == [None] * 60
    # Not by the minute, so not what is kept but what is worked out.
    fine = samples(plant, "?since=2h&step=150s&id=1&metrics=gpu_utilization")
    assert fine["points"] == 48 and len(fine["items"]) == 1 and set(fine["items"][0]) == {"id", "gpu_utilization"}
    assert sorted(v for v in fine["items"][0]["gpu_utilization"] if v is not None) == [5, 20, 97.3]
    nodes = samples(plant, "?of=nodes&since=10m")
    assert nodes["items"] == [{"id": "fake-a", "cpu_usage": [None] * 9 + [55.5], "memory_usage": [None] * 10}]
    assert samples(plant, "?of=nodes&id=fake-a&since=60&step=60")["points"] == 1


def test_what_has_not_changed_is_not_sent_again(plant, agent):
    write(plant, ("DCGM_FI_DEV_GPU_UTIL", a_device(0), [(ago(2), 1)]))
    tag = plant.ask("GET", "/api/v1/samples").headers["ETag"]
    assert plant.ask("GET", "/api/v1/samples", headers={"If-None-Match": tag}).status_code == 304
    write(plant, ("DCGM_FI_DEV_GPU_UTIL", a_device(0), [(ago(1), 1)]))
    assert plant.ask("GET", "/api/v1/samples", headers={"If-None-Match": tag}).status_code == 200


def test_what_makes_no_sense_is_refused_by_name(plant, agent):
    for query, field in [("?of=jobs", "of"), ("?since=0", "since"), ("?since=x", "since"), ("?step=0s", "step"),
                         ("?since=31d", "since"), ("?since=1h&step=1s", "step"), ("?metrics=x", "metrics"),
                         ("?metrics=", "metrics"), ("?metrics=gpu_utilization,", "metrics"),
                         ("?of=nodes&metrics=power_watts", "metrics"), ("?unknown=1", "unknown"),
                         ("?step=-5s", "step")]:  # fmt: skip
        is_problem(plant.ask("GET", "/api/v1/samples" + query), 400, field)
    for query in ("?id=3", "?id=x", "?id=-1", "?id=", "?of=nodes&id=other", "?id=99999999999999999999"):
        is_problem(plant.ask("GET", "/api/v1/samples" + query), 404, "id")


def test_who_may_see_only_what_is_theirs_sees_the_devices_of_their_jobs_since_then(plant, agent):
    write(plant, ("DCGM_FI_DEV_GPU_UTIL", a_device(0), [(ago(5), 50)]))
    alice = plant.token["alice"]
    assert samples(plant, "", alice)["items"] == []
    plant.ask("POST", "/api/v1/jobs", {"command": ["x"]}, token=alice)
    line = agent.next_line()
    agent.say(line, "started", ago_ms=5)
    write(plant, ("DCGM_FI_DEV_GPU_UTIL", a_device(0), [(now_ms() + 100, 70)]))
    (item,) = samples(plant, "", alice)["items"]
    assert [v for v in item["gpu_utilization"] if v is not None] == [70]
    is_problem(plant.ask("GET", "/api/v1/samples?id=2", token=alice), 404, "id")
    assert samples(plant, "?of=nodes", alice)["items"] == []
    assert len(samples(plant, "", plant.token["vera"])["items"]) == 2
    samples(plant, "", plant.token["serv"], status=403)


# of one attempt


def job_samples(plant, job, query="", token=None):
    answer = plant.ask("GET", f"/api/v1/jobs/{job}/samples{query}", token=token)
    assert answer.status_code == 200, answer.text
    return answer.json()


def run(plant, agent, seconds, token=None):
    """A job that ran for so long until now, with samples a second apart."""
    job = plant.ask("POST", "/api/v1/jobs", {"command": ["x"]}, token=token).json()["id"]
    line = agent.next_line()
    assert line["type"] == "start"
    agent.say(line, "started", ago_ms=seconds * 1000)
    number = line["devices"][0][-1]
    at = now_ms()
    times = [at - s * 1000 for s in range(seconds - 1, 0, -1)]
    write(plant, ("DCGM_FI_DEV_GPU_UTIL", a_device(number), [(t, 40 + t % 7) for t in times]))
    return job, line


def test_the_samples_of_an_attempt_are_shown_while_it_runs_and_kept_after_a_restart(build):
    plant = Plant(build, reeved=["--sample", "1s"])
    plant.start_reeved()
    agent = FakeAgent(plant, "fake-a", devices=2).start()
    job, line = run(plant, agent, 30)
    live = job_samples(plant, job)
    assert live["attempt"] == 1 and live["step_ms"] == 1000 and 29 <= live["points"] <= 32
    seen = [v for v in live["items"][0]["gpu_utilization"] if v is not None]
    assert len(live["items"]) == 1 and 25 <= len(seen) <= 30 and min(seen) >= 40
    agent.say(line, "ended", outcome="completed", exit_code=0, run_ms=30000, energy_mj=1, energy_measured=True)
    ended = job_samples(plant, job, "?attempt=1")
    time.sleep(6)
    plant.reeved.kill()
    plant.reeved.wait()
    agent.close()
    plant.start_reeved()
    kept = job_samples(plant, job)
    assert kept == ended and [v for v in kept["items"][0]["gpu_utilization"] if v is not None] == seen
    plant.ask("DELETE", f"/api/v1/jobs/{job}")
    is_problem(plant.ask("GET", f"/api/v1/jobs/{job}/samples"), 404)
    assert plant.ask("POST", "/api/v1/ledger:replay").json()["identical"]
    plant.stop()


def test_a_long_attempt_has_few_points_and_one_that_did_not_run_has_none(plant, agent):
    job, line = run(plant, agent, 3000)
    told = job_samples(plant, job)
    assert told["points"] <= 240 and told["step_ms"] == 13000
    agent.say(line, "ended", outcome="completed", exit_code=0, run_ms=3000000, energy_mj=1, energy_measured=True)
    waits = plant.ask("POST", "/api/v1/jobs", {"command": ["x"], "gpus": 9}).json()["id"]
    assert job_samples(plant, waits) == {"attempt": 0, "start": None, "step_ms": 5000, "points": 0, "items": []}
    is_problem(plant.ask("GET", f"/api/v1/jobs/{job}/samples?attempt=2"), 404, "attempt")
    is_problem(plant.ask("GET", f"/api/v1/jobs/{job}/samples?attempt=0"), 400, "attempt")
    is_problem(plant.ask("GET", "/api/v1/jobs/99999/samples"), 404)
    is_problem(plant.ask("GET", f"/api/v1/jobs/{job}/samples", token=plant.token["alice"]), 403)
    assert job_samples(plant, job, token=plant.token["vera"])["attempt"] == 1


# what an attempt left


def test_results_and_metadata_of_an_attempt_are_kept_and_shown_to_who_may_see_the_job(plant, agent):
    job, line = run(plant, agent, 2, plant.token["alice"])
    files = [{"name": "a.bin", "size": 3}]
    left = {"results": {"path": "/r/1", "files": files, "more": 0}, "metadata": {"accuracy": 0.93, "deep": [[{}]]}}
    agent.say(line, "ended", outcome="completed", exit_code=0, run_ms=2000, **left)
    for _ in range(2):
        (attempt,) = plant.ask("GET", f"/api/v1/jobs/{job}", token=plant.token["alice"]).json()["attempts"]
        assert attempt["results"] == {"path": "/r/1", "files": files, "more": 0}
        assert attempt["metadata"] == {"accuracy": 0.93, "deep": [[{}]]}
        plant.reeved.kill()
        plant.reeved.wait()
        plant.start_reeved()
    assert "attempts" not in plant.ask("GET", f"/api/v1/jobs/{job}", token=plant.token["vera"]).json()


def test_an_agent_cannot_leave_what_is_no_result(plant, agent):
    _, line = run(plant, agent, 2)
    for odd in ({"results": {"path": "/r", "files": [{"name": "x", "size": i} for i in range(101)]}},
                {"results": {"path": "", "files": []}}, {"results": {"path": "/r", "files": [{"name": "x"}]}},
                {"results": {"path": "/r", "files": [{"name": "x", "size": -1}]}}, {"results": []},
                {"results": {"path": "/r", "files": [], "more": 0, "x": 1}}, {"metadata": []},
                {"metadata": {"a": "x" * 30000}}):  # fmt: skip
        one = {
            "id": line["attempt"],
            "job": line["job"],
            "n": line["n"],
            "state": "ended",
            "outcome": "completed",
            **odd,
        }
        answer = agent.report(attempts=[one | odd])
        assert answer.status_code == 400 and answer.json()["field"].startswith("attempts[0]."), (odd, answer.text)


JOB = """
cd $REEVE_RESULT_DIR
head -c 5000 /dev/zero > weights.bin
mkdir sub; ln -s /etc/passwd link; mkfifo pipe; touch .hidden
printf '{"accuracy": 0.93, "epochs": 12}' > result.json
"""


def test_what_a_real_job_leaves_is_found_without_following_its_links(build):
    plant = Plant(build).start()
    job = plant.submit(["sh", "-c", JOB])["id"]
    (attempt,) = plant.wait_state(job)["attempts"]
    assert attempt["metadata"] == {"accuracy": 0.93, "epochs": 12}
    found = {f["name"]: f["size"] for f in attempt["results"]["files"]}
    assert found.pop("params.json") > 0 and found.pop("outcome.json") > 0
    assert found == {"weights.bin": 5000, "result.json": 32} and attempt["results"]["more"] == 0
    assert attempt["results"]["path"].endswith(f"/{job}/1") and attempt["node"] == "node-a"
    bad = plant.submit(["sh", "-c", "ln -s /etc/passwd $REEVE_RESULT_DIR/result.json"])["id"]
    (attempt,) = plant.wait_state(bad)["attempts"]
    assert attempt["metadata"] is None and attempt["results"]["more"] == 0
    plant.stop()
