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
