"""What stays open or comes from agents: live events, followed logs, the agents' side of the door."""

import json
import queue
import threading
import time

import pytest
import requests
from fake_agent import FakeAgent, hang_up
from plant import Plant, until

pytestmark = pytest.mark.short


@pytest.fixture(scope="module")
def plant(build):
    p = Plant(build)
    p.start_reeved()
    for name, role in [("alice", "user"), ("bob", "user"), ("serv", "service")]:
        p.ask("POST", "/api/v1/users", {"name": name, "role": role})
    p.token = {n: p.ask("POST", "/api/v1/tokens", {"user": n}).json()["token"] for n in ["alice", "bob", "serv"]}
    yield p
    p.stop()
    assert p.reeved.returncode == 0, p.log_tail("reeved.log")


@pytest.fixture(scope="module")
def agent(plant):
    a = FakeAgent(plant, "fake-a").start()
    yield a
    a.close()


class Events:
    """Reads the stream in a thread of its own."""

    def __init__(self, plant, token=None, last_id=None):
        headers = {"Authorization": f"Bearer {token or plant.admin_token}"}
        if last_id is not None:
            headers["Last-Event-ID"] = str(last_id)
        self.answer = requests.get(plant.url + "/api/v1/events", headers=headers, stream=True, timeout=60)
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        self.queue = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        event = {}
        try:
            for line in self.answer.iter_lines(chunk_size=1):
                name, _, value = line.decode().partition(": ")
                if line and name:
                    event[name] = value
                elif not line and "data" in event:
                    self.queue.put(event)
                    event = {}
        except (requests.RequestException, AttributeError):
            pass

    def next(self, seconds=10):
        event = self.queue.get(timeout=seconds)
        data = json.loads(event["data"])
        assert str(data["seq"]) == event["id"] and data["kind"] == event["event"]
        return data

    def until(self, kind, job=None):
        while True:
            data = self.next()
            if data["kind"] == kind and job in (None, data.get("job")):
                return data

    def close(self):
        hang_up(self.answer)


def run_one(plant, agent, token=None, outcome="completed", text="hello\n"):
    """A job from its submission to its end; gives back its id."""
    job = plant.ask("POST", "/api/v1/jobs", {"command": ["x"]}, token=token).json()["id"]
    line = agent.next_line()
    assert line["type"] == "start" and line["job"] == job
    agent.say(line, "started", ago_ms=5)
    agent.print(line, text, end=True)
    agent.say(line, "ended", outcome=outcome, exit_code=0, run_ms=1500, energy_mj=2000, energy_measured=True)
    assert agent.next_line()["type"] == "forget"
    return job


def next_of(agent, kind):
    while True:
        line = agent.next_line()
        if line["type"] == kind:
            return line


# what a running job has used


def test_energy_and_cost_of_a_running_job_are_current(plant, agent):
    job = plant.ask("POST", "/api/v1/jobs", {"command": ["x"]}, token=plant.token["alice"]).json()["id"]
    line = next_of(agent, "start")
    agent.say(line, "started", ago_ms=3_600_000)

    def show():
        return plant.ask("GET", f"/api/v1/jobs/{job}", token=plant.token["alice"]).json()

    hour = show()["cost_micros"]
    assert hour > 0 and show()["energy_joules"] == 0
    meter = {"job": job, "n": 1, "energy_mj": 3_600_000_000, "measured": True}
    assert agent.report(meters=[meter]).status_code == 200
    now = show()
    assert now["energy_joules"] == 3_600_000 and now["cost_micros"] > hour
    attempt = now["attempts"][0]
    assert attempt["energy_joules"] == 3_600_000 and attempt["energy_measured"] and attempt["run_ms"] >= 3_600_000
    # Of jobs that do not run here nobody believes it.
    assert agent.report(meters=[meter | {"n": 2, "energy_mj": 1}]).status_code == 200
    assert show()["energy_joules"] == 3_600_000
    agent.say(line, "ended", outcome="completed", exit_code=0, run_ms=3_600_000, energy_mj=7000, energy_measured=True)
    assert show()["energy_joules"] == 7
    assert next_of(agent, "forget")


# live events


def test_a_job_is_told_of_from_its_submission_to_its_end(plant, agent):
    events = Events(plant, plant.token["bob"])
    job = run_one(plant, agent, plant.token["alice"])
    seen = []
    while not seen or seen[-1]["kind"] != "attempt.ended":
        data = events.next()
        if data.get("job") == job:
            seen.append(data)
    assert [d["kind"] for d in seen] == ["job.submitted", "attempt.decided", "attempt.started", "attempt.ended"]
    assert [d["state"] for d in seen] == ["Queued", "Scheduled", "Running", "Completed"]
    assert {d["user"] for d in seen} == {"alice"} and seen[1]["node"] == "fake-a"
    events.close()


def test_events_are_resumed_without_gap_or_repeat(plant, agent):
    first = Events(plant)
    start = run_one(plant, agent)
    last = first.until("attempt.ended", start)["seq"]
    first.close()
    jobs = [run_one(plant, agent) for _ in range(5)]
    again = Events(plant, last_id=last)
    live = run_one(plant, agent)
    seqs, ended = [], []
    while live not in ended:
        data = again.next()
        seqs.append(data["seq"])
        if data["kind"] == "attempt.ended":
            ended.append(data["job"])
            assert data["state"] == "Completed" and data["user"] == "admin"
    assert ended == [*jobs, live]
    assert seqs == sorted(set(seqs)) and seqs[0] > last
    rows = plant.ask("GET", f"/api/v1/ledger?after={last}&limit=1000").json()["items"]
    told = [r["seq"] for r in rows if r["kind"] not in ("plan", "snapshot") and r["seq"] <= seqs[-1]]
    assert seqs == told
    again.close()


def test_many_readers_get_the_same(plant, agent):
    readers = [Events(plant, plant.token[n]) for n in ["alice", "bob"] * 20]
    job = run_one(plant, agent)
    told = [r.until("attempt.ended", job) for r in readers]
    assert all(t == told[0] for t in told)
    for r in readers:
        r.close()
    until(lambda: "reeve_event_subscribers 0" in plant.ask("GET", "/metrics").text)


def test_readers_see_only_what_they_may(plant, agent):
    readers = {"admin": Events(plant), **{n: Events(plant, plant.token[n]) for n in ["alice", "serv"]}}
    plant.ask("POST", "/api/v1/users", {"name": f"u{time.monotonic_ns()}", "role": "user"})
    agent.report(devices=[agent.devices[0] | {"health": "faulty", "why": "XID 79"}])
    agent.report(devices=agent.devices)
    job = run_one(plant, agent)
    kinds = {}
    for name, r in readers.items():
        kinds[name] = set()
        while True:
            data = r.next()
            kinds[name].add(data["kind"])
            if data["kind"] == "attempt.ended" and data["job"] == job:
                break
        r.close()
    assert "principal.added" in kinds["admin"] and "device.changed" in kinds["admin"]
    assert "principal.added" not in kinds["alice"] and "device.changed" in kinds["alice"]
    assert kinds["serv"] <= {k for k in kinds["serv"] if k.startswith(("job.", "attempt."))}


def test_streams_end_with_the_token_that_opened_them(plant):
    made = plant.ask("POST", "/api/v1/tokens", {"user": "alice"}).json()
    job = plant.submit(["true"], user="alice", gpus=64)["id"]  # waits for ever
    headers = {"Authorization": f"Bearer {made['token']}"}
    streams = [
        requests.get(plant.url + path, headers=headers, stream=True, timeout=60)
        for path in ("/api/v1/events", f"/api/v1/jobs/{job}/logs?follow=true")
    ]
    ended = []
    for stream in streams:
        assert stream.status_code == 200

        def read(stream=stream):
            for _ in stream.iter_content(1):
                pass
            ended.append(stream)

        threading.Thread(target=read, daemon=True).start()
    assert not ended
    assert plant.ask("DELETE", f"/api/v1/tokens/{made['id']}").ok
    until(lambda: len(ended) == 2, 30)  # at the next heartbeat
    plant.ask("POST", f"/api/v1/jobs/{job}/cancel")


def test_a_number_that_was_never_given_is_a_reset(plant):
    events = Events(plant, last_id=10**12)
    event = events.queue.get(timeout=10)
    assert event["event"] == "reset" and int(event["id"]) < 10**12
    events.close()
    answer = plant.ask("GET", "/api/v1/events", headers={"Last-Event-ID": "yesterday"})
    assert answer.status_code == 400 and answer.json()["field"] == "Last-Event-ID"


def test_events_go_on_over_a_crash(plant, agent):
    last = plant.ask("GET", "/api/v1/status").json()["ledger_seq"]
    plant.reeved.kill()
    plant.reeved.wait()
    plant.start_reeved()
    events = Events(plant, last_id=last)
    assert events.until("epoch.began")["seq"] > last
    events.close()
    while agent.next_line() is not None:
        pass
    agent.start()


# logs


def log_of(plant, job, query="", token=None):
    return plant.ask("GET", f"/api/v1/jobs/{job}/logs{query}", token=token)


def test_output_is_read_whole_in_part_and_by_whom_it_may(plant, agent):
    text = "".join(f"line {i}\n" for i in range(1000))
    job = run_one(plant, agent, plant.token["alice"], text=text)
    answer = log_of(plant, job, token=plant.token["alice"])
    assert answer.text == text and answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Reeve-Log-Offset"] == "0" and answer.headers["Reeve-Log-Next"] == str(len(text))
    assert log_of(plant, job, "?offset=100").text == text[100:]
    tail = log_of(plant, job, "?tail=50")
    assert tail.text == text[-50:] and tail.headers["Reeve-Log-Offset"] == str(len(text) - 50)
    assert log_of(plant, job, "?attempt=1").text == text
    assert log_of(plant, job, "?follow=true").text == text
    assert log_of(plant, job, token=plant.token["bob"]).status_code == 403
    for query, field in [("?attempt=2", "attempt"), ("?tail=1&offset=1", "tail"), ("?follow=maybe", "follow")]:
        answer = log_of(plant, job, query)
        assert answer.status_code in (400, 404) and answer.json()["field"] == field


def test_long_output_is_streamed_whole(plant, agent):
    job = plant.submit(["x"])["id"]
    line = agent.next_line()
    agent.say(line, "started")
    text = "".join(f"{i:015}\n" for i in range(1 << 18))  # 4 MiB
    for at in range(0, len(text), 1 << 20):
        assert agent.print(line, text[at : at + (1 << 20)], at).json()["next"] == at + (1 << 20)
    assert log_of(plant, job).text == text
    assert log_of(plant, job, "?offset=5").text == text[5:]
    agent.print(line, "", len(text), end=True)
    agent.say(line, "ended", outcome="completed", run_ms=1)
    assert agent.next_line()["type"] == "forget"
    assert log_of(plant, job, "?follow=true").text == text


def test_output_is_followed_until_the_job_ends(plant, agent):
    job = plant.submit(["x"])["id"]
    answer = plant.ask("GET", f"/api/v1/jobs/{job}/logs?follow=true", stream=True, timeout=30)
    assert answer.status_code == 200 and "Reeve-Log-Next" not in answer.headers
    got = []
    reader = threading.Thread(target=lambda: got.extend(answer.iter_content(None)), daemon=True)
    reader.start()
    line = agent.next_line()
    agent.say(line, "started")
    agent.print(line, "one\n", 0)
    until(lambda: b"".join(got) == b"one\n", 5)
    agent.print(line, "two\n", 4)
    until(lambda: b"".join(got) == b"one\ntwo\n", 5)
    # A piece that comes twice, and one that was lost on the way.
    agent.print(line, "two\nthree\n", 4)
    agent.print(line, "five\n", 20)
    agent.print(line, "", 25, end=True)
    agent.say(line, "ended", outcome="completed", run_ms=1)
    reader.join(10)
    assert not reader.is_alive()
    assert b"".join(got) == b"one\ntwo\nthree\n[reeve: 6 bytes are missing here]\nfive\n"
    assert agent.next_line()["type"] == "forget"


def test_a_follower_goes_on_with_the_next_attempt(plant, agent):
    job = plant.submit(["x"], retries=1)["id"]
    answer = plant.ask("GET", f"/api/v1/jobs/{job}/logs?follow=true", stream=True, timeout=60)
    got = []
    reader = threading.Thread(target=lambda: got.extend(answer.iter_content(None)), daemon=True)
    reader.start()
    line = agent.next_line()
    agent.say(line, "started")
    agent.print(line, "first\n", 0, end=True)
    agent.say(line, "lost", why="the shim was killed")
    lines = [agent.next_line(), agent.next_line()]
    second = next(x for x in lines if x["type"] == "start")
    assert second["n"] == 2
    agent.say(second, "started")
    agent.print(second, "second\n", 0, end=True)
    agent.say(second, "ended", outcome="completed", run_ms=1)
    assert agent.next_line()["type"] == "forget"
    reader.join(20)
    assert b"".join(got) == b"first\n[reeve: attempt 2]\nsecond\n"
    shown = plant.job(job)
    assert [a["state"] for a in shown["attempts"]] == ["Lost", "Ended"]
    assert shown["attempts"][0]["reason"] == "the shim was killed" and shown["attempts"][0]["outcome"] == "lost"


def test_a_deleted_job_takes_its_output_along(plant, agent):
    job = run_one(plant, agent)
    assert log_of(plant, job).text == "hello\n"
    assert plant.ask("DELETE", f"/api/v1/jobs/{job}").status_code == 204
    assert log_of(plant, job).status_code == 404
    assert not list((plant.data / "logs").rglob(f"*{job}/1*"))


# agents


def test_a_one_time_token_is_good_once_and_for_its_node(plant, agent):
    answer = agent.post("/agent/v1/enrol", {"node": "fake-a", "version": "0.1.0"}, key=agent.one_time)
    assert answer.status_code == 401
    token = plant.ask("POST", "/api/v1/enrolments", {"node": "fake-z"}).json()["token"]
    assert agent.post("/agent/v1/enrol", {"node": "fake-y", "version": "0.1.0"}, key=token).status_code == 403
    enrolments = plant.ask("GET", "/api/v1/enrolments?limit=1000").json()["items"]
    assert all("token" not in e for e in enrolments)


def test_a_nodes_key_is_for_its_own_node_only(plant, agent):
    other = FakeAgent(plant, "fake-b").start()
    assert plant.ask("GET", "/api/v1/jobs", token=other.key).status_code == 403
    assert plant.ask("GET", "/agent/v1/stream").status_code == 403
    job = plant.submit(["x"])["id"]
    holder, stranger = (agent, other) if not agent.lines.empty() else (other, agent)
    try:
        line = holder.next_line(3)
    except queue.Empty:
        holder, stranger = stranger, holder
        line = holder.next_line()
    assert line["job"] == job
    answer = stranger.print(line, "lies\n")
    assert answer.status_code == 403
    stranger.report(progress=[{"job": job, "n": 1, "done": 1, "total": 2}])
    assert plant.job(job)["progress"] is None
    one = {"id": line["attempt"], "job": job, "n": 1, "state": "ended", "outcome": "completed", "run_ms": 1}
    stranger.report(attempts=[one])
    assert plant.job(job)["state"] == "Scheduled"
    assert holder.print(line, "x", 0).json()["next"] == 1
    assert holder.post(f"/agent/v1/logs/{job}/9?offset=0", data=b"x").status_code == 404
    holder.say(line, "started")
    holder.report(progress=[{"job": job, "n": 1, "done": 3, "total": 12}])
    assert plant.job(job)["progress"] == {"done": 3, "total": 12, "percent": 25.0}
    holder.say(line, "ended", outcome="completed", run_ms=1)
    assert holder.next_line()["type"] == "forget"
    other.report(devices=[d | {"health": "faulty"} for d in other.devices])
    other.close()


def test_a_report_that_makes_no_sense(plant, agent):
    for body, words in [({}, "boot_id"), ({"boot_id": "b", "data_id": "d", "seq": 1, "devices": [{}]}, "devices[0]")]:
        answer = agent.post("/agent/v1/reports", body)
        assert answer.status_code == 400 and words in answer.json()["detail"]
    wrong = {"boot_id": "another", "data_id": agent.data, "seq": 1, "host": {"busy": False}}
    assert agent.post("/agent/v1/reports", wrong).status_code == 409


def test_a_second_stream_of_a_node_replaces_the_first(plant, agent):
    old = agent.lines
    agent.link()
    assert old.get(timeout=5) is None  # it was cut
    agent.hello()
    run_one(plant, agent)


def test_lists_say_where_an_ended_job_ran(plant, agent):
    job = run_one(plant, agent)
    one = plant.ask("GET", f"/api/v1/jobs/{job}").json()
    listed = next(j for j in plant.ask("GET", "/api/v1/jobs?state=Completed").json()["items"] if j["id"] == job)
    assert listed == {k: v for k, v in one.items() if k not in ["attempts", "why", "placed_by"]}
    assert listed["node"] == "fake-a" and listed["devices"] == one["attempts"][-1]["devices"] != []
    assert listed["scheduled_at"] == one["attempts"][-1]["decided_at"]


def test_nodes_and_devices_show_what_was_reported(plant, agent):
    node = plant.ask("GET", "/api/v1/nodes/fake-a").json()
    assert (
        node["state"] == "ready"
        and node["cpu"] == 8.0
        and node["isolation"] == "user"
        and node["connected"]
        and node["agent"]
    )
    agent.report(now_ms=int((time.time() + 100) * 1000))
    assert 99000 < plant.ask("GET", "/api/v1/nodes/fake-a").json()["skew_ms"] < 101000
    assert node["last_report_at"] and node["devices"][0]["memory_total_mib"] == 10240
    device = plant.ask("GET", f"/api/v1/devices/{node['devices'][0]['id']}").json()
    assert device["state"] == "available" and device["job"] is None
    time_ = device["time"]
    assert sum(v for k, v in time_.items() if k != "total_us") == time_["total_us"]
    # A user sees the figures of devices that own jobs hold.
    assert "time" not in plant.ask("GET", f"/api/v1/devices/{device['id']}", token=plant.token["alice"]).json()
    job = plant.ask("POST", "/api/v1/jobs", {"command": ["x"]}, token=plant.token["alice"]).json()["id"]
    line = agent.next_line()
    mine = plant.ask("GET", f"/api/v1/devices/{device['id']}", token=plant.token["alice"]).json()
    assert mine["state"] == "allocated" and mine["job"] == {"id": job, "user": "alice"} and "time" in mine
    waiting = plant.ask("POST", "/api/v1/jobs", {"command": ["x"]}, token=plant.token["bob"]).json()["id"]
    why = plant.ask("GET", f"/api/v1/jobs/{waiting}", token=plant.token["bob"]).json()["why"]
    assert f"used by job {job} of alice" in why["sentence"] and why["code"] == "gpu-held"
    assert why["held_by"] == [{"job": job, "user": "alice", "node": "fake-a", "device": device["id"]}]
    plant.ask("POST", f"/api/v1/jobs/{waiting}/cancel")
    answer = plant.ask("POST", f"/api/v1/jobs/{job}/cancel", token=plant.token["alice"])
    assert answer.status_code == 202 and answer.json()["reason_code"] == "cancelling"
    assert agent.next_line()["type"] == "cancel"
    agent.say(line, "started")
    agent.say(line, "ended", outcome="cancelled", run_ms=1)
    assert plant.job(job)["state"] == "Cancelled"
    while agent.next_line()["type"] != "forget":
        pass


def test_samples_that_are_none_are_refused(plant, agent):
    assert agent.post("/agent/v1/write", data=b"nonsense").status_code == 400
    assert plant.ask("POST", "/api/v1/write", data=b"nonsense").status_code == 400


def test_a_silent_node_may_be_declared_lost_and_retired(plant):
    a = FakeAgent(plant, "fake-c").start()
    assert plant.ask("DELETE", "/api/v1/nodes/fake-c").status_code in (204, 409)
    a.close()
    answer = plant.ask("POST", "/api/v1/nodes/none-such/lost")
    assert answer.status_code == 404


# what happened to a job


def history(plant, job, token=None):
    answer = plant.ask("GET", f"/api/v1/jobs/{job}/history", token=token)
    assert answer.status_code == 200, answer.text
    assert answer.json()["cut"] is False
    return answer.json()["items"]


def test_the_history_of_a_job_tells_each_state_and_the_last_one_is_the_jobs(plant, agent):
    job = run_one(plant, agent, plant.token["alice"])
    items = history(plant, job, plant.token["alice"])
    assert [(i["event"], i["state"]) for i in items] == [
        ("job.submitted", "Queued"),
        ("attempt.decided", "Scheduled"),
        ("attempt.started", "Running"),
        ("attempt.ended", "Completed"),
    ]
    assert items[0]["actor"] == "alice" and items[3]["actor"] is None
    assert items[1]["node"] == "fake-a" and items[1]["devices"][0]["node"] == "fake-a"
    assert items[3]["exit_code"] == 0 and items[3]["energy_joules"] == 2.0 and items[3]["outcome"] == "completed"
    assert sorted(i["seq"] for i in items) == [i["seq"] for i in items]
    assert plant.ask("POST", f"/api/v1/jobs/{job}/retry").status_code == 202
    line = agent.next_line()
    agent.say(line, "lost", why="the power went")
    again = next_of(agent, "start")
    assert again["n"] == 3
    plant.ask("POST", f"/api/v1/jobs/{job}/cancel")
    next_of(agent, "cancel")
    agent.say(again, "ended", outcome="cancelled", exit_code=0, run_ms=1, energy_mj=0, energy_measured=True)
    next_of(agent, "forget")
    assert plant.job(job)["state"] == "Cancelled"
    more = history(plant, job)[4:]
    assert [(i["event"], i["state"], i.get("attempt")) for i in more] == [
        ("job.retried", "Queued", None),
        ("attempt.decided", "Scheduled", 2),
        ("attempt.lost", "Queued", 2),
        ("attempt.decided", "Scheduled", 3),
        ("job.cancel", "Scheduled", None),
        ("attempt.ended", "Cancelled", 3),
    ]
    assert more[2]["reason"] == "the power went" and more[4]["actor"] == "admin"


def test_others_see_of_a_history_states_and_times_only(plant, agent):
    job = run_one(plant, agent, plant.token["alice"])
    seen = history(plant, job, plant.token["bob"])
    assert len(seen) == 4 and all(set(i) == {"seq", "time", "event", "state"} for i in seen)
    first = plant.ask("GET", f"/api/v1/jobs/{job}/history")
    same = plant.ask("GET", f"/api/v1/jobs/{job}/history", headers={"If-None-Match": first.headers["ETag"]})
    assert same.status_code == 304
    assert plant.ask("GET", "/api/v1/jobs/999999/history").status_code == 404
    plant.ask("DELETE", f"/api/v1/jobs/{job}")
    assert plant.ask("GET", f"/api/v1/jobs/{job}/history").status_code == 404
