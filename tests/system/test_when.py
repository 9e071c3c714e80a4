"""When waiting jobs are expected to start, as the queue and a job's page tell it."""

import datetime
import re
import subprocess
import time

import pytest
from fake_agent import FakeAgent
from plant import Plant, until

pytestmark = pytest.mark.short


@pytest.fixture(scope="module")
def plant(build):
    p = Plant(build)
    p.start_reeved()
    yield p
    p.stop()
    assert p.reeved.returncode == 0, p.log_tail("reeved.log")


def unix(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def expected(plant, job):
    j = plant.job(job)
    return j["expected_basis"], j["expected_order"], j["expected_start_at"]


def start_of(plant, job, basis):
    """Once the answer rests on BASIS; it is worked out at most once a second."""
    until(lambda: expected(plant, job)[0] == basis, 10)
    return unix(expected(plant, job)[2])


def test_an_expected_start_rests_on_progress_history_or_limits(plant, build):
    agent = FakeAgent(plant, "fake-a").start()
    first = plant.submit(["x"], name="train")["id"]
    second = plant.submit(["x"], name="train")["id"]
    third = plant.submit(["x"], name="other", time_limit="1h")["id"]
    last = plant.submit(["x"], name="other")["id"]
    line = agent.next_line()
    agent.say(line, "started", ago_ms=60000)
    # Nobody knows how long the first will run.
    until(lambda: expected(plant, second) == ("none", None, None), 10)

    # A quarter took a minute: three more to go.
    agent.report(progress=[{"job": first, "n": 1, "done": 1, "total": 4}])
    assert abs(start_of(plant, second, "progress") - time.time() - 180) < 20
    assert expected(plant, third) == ("none", None, None)

    # The first took 100 s: so will the second, and jobs of other names, too, but for their limits.
    agent.say(line, "ended", outcome="completed", exit_code=0, run_ms=100000)
    line = agent.next_line()
    while line["type"] != "start":
        line = agent.next_line()
    agent.say(line, "started", ago_ms=0)
    assert abs(start_of(plant, third, "history") - time.time() - 100) < 20
    assert abs(start_of(plant, last, "history") - start_of(plant, third, "history") - 100) < 5

    items = plant.ask("GET", "/api/v1/queue").json()["items"]
    orders = {i["id"]: i["expected_order"] for i in items}
    assert orders == {second: None, third: 1, last: 2}
    plant.ask("POST", f"/api/v1/jobs/{third}/hold")
    until(lambda: expected(plant, third) == ("none", None, None), 10)
    until(lambda: expected(plant, last)[1] == 1, 10)

    env = {"REEVE_SERVER": plant.url, "REEVE_TOKEN": plant.admin_token, "PATH": "/usr/bin:/bin"}
    wide = subprocess.run([build / "src/cli/reeve", "queue", "-o", "wide"], env=env, capture_output=True, text=True)
    assert re.search(rf"\b{last}\b.*\d\d:\d\d.* 1 +history", wide.stdout), wide.stdout + wide.stderr
    shown = subprocess.run([build / "src/cli/reeve", "show", str(last)], env=env, capture_output=True, text=True)
    assert re.search(r"Starts about +\S", shown.stdout) and re.search(r"Judged by +history", shown.stdout)
    agent.close()


def test_an_answer_with_a_tag_changes_with_the_expectation(plant):
    agent = FakeAgent(plant, "fake-b").start()
    jobs = [plant.submit(["y"], name="tag")["id"] for _ in range(2)]
    agent.say(agent.next_line(), "started", ago_ms=1000)
    tag = plant.ask("GET", "/api/v1/queue").headers["ETag"]

    def fresh():
        answer = plant.ask("GET", "/api/v1/queue", headers={"If-None-Match": tag})
        return answer.status_code == 200

    agent.report(progress=[{"job": jobs[0], "n": 1, "done": 1, "total": 2}])
    until(fresh, 10)
    agent.close()


def test_figures_and_progress_come_back_after_a_restart(build):
    p = Plant(build, agent=["--sample", "1s"])
    try:
        p.start()
        short = p.submit(["true"])["id"]
        assert p.wait_state(short)["state"] == "Completed"
        job = p.submit(["sh", "-c", "echo step 1/4; sleep 60"], progress="step {done}/{total}")["id"]
        until(lambda: (p.job(job)["progress"] or {}).get("done") == 1)
        before = p.ask("GET", "/api/v1/status").json()
        p.reeved.kill()
        p.reeved.wait()
        p.start_reeved()
        until(lambda: (p.job(job)["progress"] or {}).get("done") == 1)

        def after():
            return p.ask("GET", "/api/v1/status").json()

        until(lambda: after()["wait_to_start_ms"]["p50"])
        assert before["submit_to_start_ms"]["p50"] and after()["submit_to_start_ms"]["p50"]
        assert after()["wait_run_ratio"] is not None
        p.ask("POST", f"/api/v1/jobs/{job}/cancel")
        p.wait_state(job, "Cancelled")
    finally:
        p.stop()
