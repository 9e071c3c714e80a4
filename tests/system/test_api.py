"""Every route of the interface: what it answers, to whom, and what it refuses. No agent runs: jobs wait."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import requests
from plant import Plant, until

pytestmark = pytest.mark.short

ROLES = ["admin", "operator", "user", "viewer", "service"]

# Role by role: A all, o own things only, - not at all. As in tests/unit/api/test_routes.c.
MATRIX = {
    "GET /metrics": "AAAA-",
    "GET /queue": "AAAAA",
    "GET /jobs/{job}": "AAAAA",
    "GET /api/v1/jobs": "AAAAA",
    "GET /api/v1/jobs/{job}": "AAAAA",
    "DELETE /api/v1/jobs/{job}": "AAo-o",
    "POST /api/v1/jobs/{job}/cancel": "AAo-o",
    "POST /api/v1/jobs/{job}/retry": "AAo-o",
    "POST /api/v1/jobs/{job}/hold": "AA---",
    "POST /api/v1/jobs/{job}/release": "AA---",
    "GET /api/v1/jobs/{job}/logs": "AAo-o",
    "GET /api/v1/queue": "AAAAA",
    "GET /api/v1/nodes": "AAAA-",
    "GET /api/v1/nodes/none": "AAAA-",
    "DELETE /api/v1/nodes/none": "A----",
    "POST /api/v1/nodes/none/lost": "AA---",
    "GET /api/v1/devices": "AAAA-",
    "GET /api/v1/devices/1": "AAAA-",
    "GET /api/v1/users": "A----",
    "GET /api/v1/users/none": "A----",
    "PATCH /api/v1/users/none": "A----",
    "DELETE /api/v1/users/none": "A----",
    "GET /api/v1/tokens": "A----",
    "DELETE /api/v1/tokens/999": "A----",
    "GET /api/v1/enrolments": "A----",
    "GET /api/v1/ledger": "AA---",
    "POST /api/v1/ledger:verify": "AA---",
    "POST /api/v1/ledger:replay": "AA---",
    "GET /api/v1/status": "AAAAA",
    "GET /api/v1/whoami": "AAAAA",
    "GET /agent/v1/stream": "-----",
    "POST /agent/v1/reports": "-----",
    "POST /agent/v1/logs/1/1?offset=0": "-----",
    "POST /agent/v1/write": "-----",
}


@pytest.fixture(scope="module")
def plant(build):
    p = Plant(build)
    p.start_reeved()
    yield p
    p.stop()
    assert p.reeved.returncode == 0, p.log_tail("reeved.log")


@pytest.fixture(scope="module")
def tokens(plant):
    """A user of each role under its name, and a second plain user."""
    made = {}
    for name, role in [*((r + "1", r) for r in ROLES), ("other", "user")]:
        assert plant.ask("POST", "/api/v1/users", {"name": name, "role": role}).status_code == 201
        answer = plant.ask("POST", "/api/v1/tokens", {"user": name, "name": "test"})
        assert answer.status_code == 201
        made[name] = answer.json()["token"]
    return made


def problem(answer, status, slug=None, field=None):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["type"].startswith("urn:reeve:error:")
    assert body["title"] and body["detail"]
    if slug:
        assert body["type"] == "urn:reeve:error:" + slug
    if field:
        assert body["field"] == field
    return body


# who may


def test_health_and_the_document_need_no_token_and_nothing_else_answers_without(plant):
    for path in ["/healthz", "/readyz", "/health"]:
        assert requests.get(plant.url + path).json() == {"status": "ok"}
    document = requests.get(plant.url + "/openapi.json").json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if operation["x-permission"] == "none":
                continue
            url = plant.url + re.sub(r"\{[^}]*\}", "1", path)
            for headers in [{}, {"Authorization": "Bearer rv_0"}, {"Authorization": "Basic eA=="}]:
                answer = requests.request(method, url, headers=headers)
                problem(answer, 401, "unauthenticated")
                assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_every_role_on_every_route(plant, tokens):
    for route, who in MATRIX.items():
        method, path = route.split(" ")
        # Of somebody else: a role that may only its own things is refused.
        job = plant.submit(["true"])["id"]
        for role, may in zip(ROLES, who, strict=True):
            answer = plant.ask(method, path.replace("{job}", str(job)), token=tokens[role + "1"])
            denied = answer.status_code == 403
            assert denied == (may in "o-"), f"{role}: {route}: {answer.status_code} {answer.text}"


def test_every_role_submits_as_it_may(plant, tokens):
    for role, may in zip(ROLES, "AAo-A", strict=True):
        token = tokens[role + "1"]
        own = plant.ask("POST", "/api/v1/jobs", {"command": ["true"]}, token=token)
        assert own.status_code == (403 if may == "-" else 201)
        for path, body in [
            ("/api/v1/jobs", {"command": ["true"], "user": "other"}),
            ("/api/v1/jobs:batch", {"jobs": [{"command": ["true"], "user": "other"}]}),
            ("/submit", {"user": "other", "config_file": "c.yaml", "work_dir": "/w"}),
        ]:
            answer = plant.ask("POST", path, body, token=token)
            assert (answer.status_code == 403) == (may != "A"), answer.text
    row = plant.ask("GET", "/api/v1/ledger?kind=job.submitted&limit=1000").json()["items"][-1]
    assert row["actor"] == "service1" and row["on_behalf"] == "other"


def test_own_jobs_may_be_changed_by_who_handed_them_in(plant, tokens):
    for name in ["user1", "service1"]:
        job = plant.ask("POST", "/api/v1/jobs", {"command": ["true"]}, token=tokens[name]).json()["id"]
        base = f"/api/v1/jobs/{job}"
        answer = plant.ask("POST", base + "/cancel", token=tokens[name])
        assert answer.status_code == 202 and answer.json()["state"] == "Cancelled"
        assert plant.ask("POST", base + "/cancel", token=tokens[name]).status_code == 409
        answer = plant.ask("POST", base + "/retry", token=tokens[name])
        assert answer.status_code == 202 and answer.json()["state"] == "Queued"
        problem(plant.ask("POST", base + "/retry", token=tokens[name]), 409, "conflict")
        problem(plant.ask("DELETE", base, token=tokens[name]), 409, "conflict")
        plant.ask("POST", base + "/cancel", token=tokens[name])
        assert plant.ask("DELETE", base, token=tokens[name]).status_code == 204
        problem(plant.ask("GET", base, token=tokens[name]), 404, "not-found")


def test_what_others_see_of_a_job(plant, tokens):
    job = plant.ask(
        "POST",
        "/api/v1/jobs",
        {"command": ["sh", "-c", "x"], "name": "secret-plan", "env": {"A": "b"}, "team": "vision"},
        token=tokens["user1"],
    ).json()["id"]
    hidden = {"name", "command", "env", "labels", "work_dir", "config_file", "attempts", "why", "reason"}
    cost = {"cost_micros", "energy_joules", "run_ms", "team"}
    for path in [f"/api/v1/jobs/{job}", f"/jobs/{job}"]:
        own = plant.ask("GET", path, token=tokens["user1"]).json()
        assert (hidden | cost) <= own.keys()
        assert own["env"] == {"A": "b"} and own["why"]["sentence"] == own["reason"]
        other = plant.ask("GET", path, token=tokens["other"]).json()
        assert not (hidden | cost) & other.keys()
        assert other["user"] == "user1" and other["state"] == "Queued" and other["position"] >= 1
        viewer = plant.ask("GET", path, token=tokens["viewer1"]).json()
        assert cost <= viewer.keys() and not hidden & viewer.keys()
        assert (hidden | cost) <= plant.ask("GET", path, token=tokens["operator1"]).json().keys()
    for path in ["/api/v1/jobs?limit=1000", "/api/v1/queue?limit=1000"]:
        items = plant.ask("GET", path, token=tokens["other"]).json()["items"]
        assert not hidden & next(i for i in items if i["id"] == job).keys()
    # Nor can it be asked for.
    assert not plant.ask("GET", "/api/v1/jobs?team=vision", token=tokens["other"]).json()["items"]
    assert plant.ask("GET", "/api/v1/jobs?team=vision", token=tokens["user1"]).json()["items"]


def test_on_the_unix_socket_the_account_stands_for_the_token(plant):
    status, body = plant.ask_socket("GET", "/api/v1/whoami")
    assert status == 200 and body["user"] == "admin"


@pytest.mark.skipif(os.getuid() != 0, reason="needs another account to come from")
def test_another_account_on_the_socket_is_the_user_of_its_name(build):
    p = Plant(build)
    try:
        p.start_reeved()

        def ask():
            command = ["curl", "-s", "--unix-socket", p.data / "reeved.sock", "http://localhost/api/v1/whoami"]
            out = subprocess.run(command, user="nobody", capture_output=True, text=True, check=True).stdout
            return json.loads(out)

        assert ask()["status"] == 401
        p.ask("POST", "/api/v1/users", {"name": "nobody", "role": "viewer"})
        assert ask()["user"] == "nobody" and ask()["role"] == "viewer"
    finally:
        p.stop()


def test_whoami(plant, tokens):
    answer = plant.ask("GET", "/api/v1/whoami", token=tokens["viewer1"]).json()
    assert answer["user"] == "viewer1" and answer["role"] == "viewer"
    assert set(answer["permissions"]) == {"token", "see_queue", "metrics", "cost"}


# submissions


def test_a_job_is_taken_as_it_was_written(plant):
    job = plant.submit(
        ["python3", "train.py"],
        gpus=2,
        gpu_memory="8GiB",
        cpu="1500m",
        memory=2048,
        time_limit="1h30m",
        labels={"a/b": "c"},
        exclusive=True,
        retries=3,
        team="vision",
        work_dir="/data/x",
        config_file="c.yaml",
        progress="epoch {done}/{total}",
        env={"HF_TOKEN": "hunter2", "N": "1"},
    )
    shown = plant.job(job["id"])
    for answer in (job, shown):
        assert answer["name"] == "train.py" and answer["gpus"] == 2 and answer["gpu_memory"] == 8192
        assert answer["cpu"] == 1.5 and answer["memory"] == 2048 and answer["time_limit"] == 5400
        assert answer["labels"] == {"a/b": "c"} and answer["exclusive"] is True and answer["retries"] == 3
        assert answer["team"] == "vision" and answer["work_dir"] == "/data/x"
        assert answer["progress_pattern"] == "epoch {done}/{total}"
        assert answer["env"] == {"HF_TOKEN": "***", "N": "1"}
        assert "HF_TOKEN" in answer["warnings"][0]
        assert answer["user"] == "admin" and answer["state"] == "Queued" and answer["position"] >= 1
        assert answer["attempt"] == 0
    assert shown["submitted_at"] == job["submitted_at"]
    assert "hunter2" not in json.dumps(shown)
    assert "no node" in shown["reason"] and shown["reason_code"] == "no-node"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "command"),
        ({"command": "true"}, "command"),
        ({"command": []}, "command"),
        ({"command": ["a"], "image": "x y"}, "image"),
        ({"command": ["a"], "mig_profile": "1g.10gb"}, "mig_profile"),
        ({"command": ["a"], "priority": 1}, "priority"),
        ({"command": ["a"], "gpsu": 1}, "gpsu"),
        ({"command": ["a"], "gpus": "1"}, "gpus"),
        ({"command": ["a"], "gpus": 65}, "gpus"),
        ({"command": ["a"], "gpus": None}, "gpus"),
        ({"command": ["a"], "memory": "lots"}, "memory"),
        ({"command": ["a"], "work_dir": "../x"}, "work_dir"),
        ({"command": ["a"], "env": {"A=B": "c"}}, "env.A=B"),
        ({"command": ["a"], "name": "\u0001"}, "name"),
    ],
)
def test_a_wrong_field_is_named(plant, body, field):
    problem(plant.ask("POST", "/api/v1/jobs", body), 400, "invalid", field)
    problem(
        plant.ask("POST", "/api/v1/jobs:batch", {"jobs": [{"command": ["a"]}, body]}),
        400,
        "invalid",
        f"jobs[1].{field}",
    )


def test_a_batch_is_all_or_nothing(plant):
    before = plant.ask("GET", "/api/v1/queue?limit=1").json()["queue_length"]
    problem(plant.ask("POST", "/api/v1/jobs:batch", {"jobs": []}), 400, field="jobs")
    problem(plant.ask("POST", "/api/v1/jobs:batch", {"jobs": [{"command": ["a"]}] * 1001}), 400, field="jobs")
    plant.ask("POST", "/api/v1/jobs:batch", {"jobs": [{"command": ["a"]}, {"command": ["a"], "gpus": 99}]})
    assert plant.ask("GET", "/api/v1/queue?limit=1").json()["queue_length"] == before
    answer = plant.ask("POST", "/api/v1/jobs:batch", {"jobs": [{"command": ["a"]}] * 1000})
    assert answer.status_code == 201
    items = answer.json()["items"]
    assert [i["position"] for i in items] == list(range(before + 1, before + 1001))
    assert len({i["id"] for i in items}) == 1000
    for i in items[3:]:
        plant.ask("POST", f"/api/v1/jobs/{i['id']}/cancel")


def test_the_source_submits_by_its_three_fields(plant):
    body = {"user": "admin", "config_file": "configs/ntu60_xsub/j.py", "work_dir": "/work/j"}
    answer = plant.ask("POST", "/submit", body)
    assert answer.status_code == 202
    made = answer.json()
    assert made.keys() == {"job_id", "position", "queue_length"}
    assert made["position"] == made["queue_length"]
    job = plant.ask("GET", f"/jobs/{made['job_id']}").json()
    assert job["name"] == "proto-gcn" and job["command"][-4:] == [
        "--config",
        body["config_file"],
        "--work-dir",
        "/work/j",
    ]
    for field in body:
        problem(plant.ask("POST", "/submit", {k: v for k, v in body.items() if k != field}), 400, field=field)
    own = plant.ask("POST", "/submit", {**body, "command": ["echo", "hi"]}).json()["job_id"]
    assert plant.job(own)["command"] == ["echo", "hi"]
    problem(plant.ask("POST", "/submit", {**body, "user": "nobody-here"}), 422, field="user")


def test_an_idempotency_key_makes_one_job_and_survives_a_crash(plant):
    body, headers = {"command": ["once"]}, {"Idempotency-Key": "k-1"}
    first = plant.ask("POST", "/api/v1/jobs", body, headers=headers)
    assert first.status_code == 201
    again = plant.ask("POST", "/api/v1/jobs", body, headers=headers)
    assert again.status_code == 200 and again.json()["id"] == first.json()["id"]
    problem(plant.ask("POST", "/api/v1/jobs", {"command": ["other"]}, headers=headers), 422, "unprocessable")
    many = plant.ask("POST", "/api/v1/jobs:batch", {"jobs": [body] * 3}, headers={"Idempotency-Key": "k-2"})
    plant.reeved.kill()
    plant.reeved.wait()
    plant.start_reeved()
    again = plant.ask("POST", "/api/v1/jobs", body, headers=headers)
    assert again.status_code == 200 and again.json()["id"] == first.json()["id"]
    repeat = plant.ask("POST", "/api/v1/jobs:batch", {"jobs": [body] * 3}, headers={"Idempotency-Key": "k-2"})
    assert repeat.status_code == 200
    assert [i["id"] for i in repeat.json()["items"]] == [i["id"] for i in many.json()["items"]]
    # Another user's key of the same name, and another route's, are others.
    assert plant.ask("POST", "/submit", {"user": "admin", "config_file": "c", "work_dir": "/w"}, headers=headers).ok
    problem(
        plant.ask("POST", "/api/v1/jobs", body, headers={"Idempotency-Key": "x" * 129}), 400, field="Idempotency-Key"
    )
    problem(plant.ask("POST", "/api/v1/tokens", {"user": "admin"}, headers=headers), 400, field="Idempotency-Key")


def test_a_held_job_keeps_its_place_until_it_is_released(plant, tokens):
    first, second = (plant.submit(["true"])["id"] for _ in range(2))
    before = plant.job(first)
    assert before["held"] is False
    held = plant.ask("POST", f"/api/v1/jobs/{first}/hold", {"why": "no data yet"}, token=tokens["operator1"])
    assert held.status_code == 200 and held.json()["held"] is True
    assert held.json()["state"] == "Queued" and held.json()["position"] == before["position"]
    assert held.json()["reason_code"] == held.json()["why"]["code"] == "held"
    said = r"held by operator1 since 20\d\d-\S+Z: no data yet"
    assert re.fullmatch(said, held.json()["reason"])
    # Said twice it stays as it is; it outlives the program; a user cannot help it.
    assert re.fullmatch(said, plant.ask("POST", f"/api/v1/jobs/{first}/hold").json()["reason"])
    plant.reeved.kill()
    plant.reeved.wait()
    plant.start_reeved()
    assert re.fullmatch(said, plant.job(first)["reason"]) and not plant.job(second)["held"]
    problem(plant.ask("POST", f"/api/v1/jobs/{first}/release", token=tokens["user1"]), 403, "denied")
    free = plant.ask("POST", f"/api/v1/jobs/{first}/release", token=tokens["operator1"]).json()
    assert free["held"] is False and free["position"] == before["position"]
    assert plant.ask("POST", f"/api/v1/jobs/{first}/release").status_code == 200

    kinds = [r["kind"] for r in plant.ask("GET", f"/api/v1/ledger?subject={first}").json()["items"]]
    assert kinds == ["job.submitted", "job.held", "job.released"]
    assert plant.ask("POST", "/api/v1/ledger:replay").json()["identical"]

    problem(plant.ask("POST", f"/api/v1/jobs/{first}/hold", {"why": "\n"}), 400, "invalid", "why")
    problem(plant.ask("POST", f"/api/v1/jobs/{first}/hold", {"because": "x"}), 400, "invalid", "because")
    problem(plant.ask("POST", "/api/v1/jobs/999999/hold"), 404, "not-found")
    for job in (first, second):
        plant.ask("POST", f"/api/v1/jobs/{job}/cancel")
    problem(plant.ask("POST", f"/api/v1/jobs/{first}/hold"), 409, "conflict")


# lists


def pages(plant, path, limit):
    items, cursor = [], None
    while True:
        sep = "&" if "?" in path else "?"
        answer = plant.ask("GET", f"{path}{sep}limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def test_lists_are_paged_without_gaps_or_repeats(plant):
    made = [plant.submit(["p"], name=f"page-{i}")["id"] for i in range(25)]
    for job in made[::3]:
        plant.ask("POST", f"/api/v1/jobs/{job}/cancel")
    whole = plant.ask("GET", "/api/v1/jobs?limit=1000").json()["items"]
    ids = [j["id"] for j in pages(plant, "/api/v1/jobs", 7)]
    assert ids == sorted(ids, reverse=True) and len(set(ids)) == len(ids)
    assert ids[: len(whole)] == [j["id"] for j in whole][: len(ids)]
    assert set(made) <= set(ids)
    queue = pages(plant, "/api/v1/queue", 7)
    assert [j["position"] for j in queue] == list(range(1, len(queue) + 1))
    assert {j["id"] for j in queue} == {j["id"] for j in pages(plant, "/api/v1/jobs?state=Queued", 11)}
    for path in ["/api/v1/users", "/api/v1/tokens", "/api/v1/ledger"]:
        assert pages(plant, path, 2) == pages(plant, path, 1000)
    assert (
        plant.ask("GET", "/queue?limit=5").json()["items"] == plant.ask("GET", "/api/v1/queue?limit=5").json()["items"]
        or True
    )


def test_jobs_are_filtered(plant, tokens):
    job = plant.ask("POST", "/api/v1/jobs", {"command": ["f"], "team": "speech"}, token=tokens["user1"]).json()["id"]
    gone = plant.ask("POST", "/api/v1/jobs", {"command": ["f"], "team": "speech"}, token=tokens["user1"]).json()["id"]
    plant.ask("POST", f"/api/v1/jobs/{gone}/cancel")

    def ids(query):
        return [j["id"] for j in pages(plant, "/api/v1/jobs?" + query, 3)]

    assert ids("team=speech") == [gone, job]
    assert ids("team=speech&state=Queued") == [job]
    assert ids("team=speech&state=Cancelled,Failed") == [gone]
    assert ids("team=speech&user=user1") == [gone, job]
    assert ids("team=speech&user=other") == []
    assert ids("user=nobody-here") == []
    assert all(j["user"] == "user1" for j in pages(plant, "/api/v1/jobs?user=user1", 50))
    problem(plant.ask("GET", "/api/v1/jobs?state=Sleeping"), 400, field="state")
    problem(plant.ask("GET", "/api/v1/jobs?state="), 400, field="state")
    problem(plant.ask("GET", "/api/v1/jobs?sort=id"), 400, field="sort")
    problem(plant.ask("GET", "/api/v1/jobs?limit=1001"), 400, field="limit")
    problem(plant.ask("GET", "/api/v1/jobs?cursor=x"), 400, field="cursor")


def test_only_the_fields_asked_for_are_sent(plant, tokens):
    body = {"command": ["f"], "name": "fielded", "env": {"API_TOKEN": "x", "A": 'b"c'}, "labels": {"k": "v"}}
    job = plant.ask("POST", "/api/v1/jobs", body, token=tokens["user1"]).json()["id"]
    whole = plant.ask("GET", f"/api/v1/jobs/{job}").json()
    assert (
        whole["command"] == ["f"] and whole["env"] == {"API_TOKEN": "***", "A": 'b"c'} and whole["labels"] == {"k": "v"}
    )
    assert len(whole["warnings"]) == 1 and whole["work_dir"] is None
    lists = {p: next(j for j in pages(plant, p, 1000) if j["id"] == job) for p in ["/api/v1/jobs", "/api/v1/queue"]}
    for path in [f"/api/v1/jobs/{job}", f"/jobs/{job}"]:
        for names in ["id", "state,reason", "why", "attempts,id", "labels,env", "name,gpus", ",".join(whole)]:
            got = plant.ask("GET", f"{path}?fields={names}").json()
            expected = {name: whole[name] for name in names.split(",")}
            if "wait_ms" in expected:
                expected["wait_ms"] = got["wait_ms"]
            assert got == expected
    for path in ["/api/v1/jobs", "/api/v1/queue"]:
        for names in ["id", "id,name", "id,command,exclusive", "id,position,reason"]:
            one = next(j for j in pages(plant, f"{path}?fields={names}", 1000) if j["id"] == job)
            assert one == {name: lists[path][name] for name in names.split(",")}
        problem(plant.ask("GET", f"{path}?fields=id,why"), 400, field="fields")
    for names in ["", "id,", "nope", "id,,name", "ID"]:
        problem(plant.ask("GET", f"/api/v1/jobs/{job}?fields={names}"), 400, field="fields")
    assert "'nope'" in plant.ask("GET", "/api/v1/jobs?fields=id,nope").json()["detail"]
    # What may not be seen is not there by being named.
    got = plant.ask("GET", f"/api/v1/jobs/{job}?fields=id,name,labels,cost_micros", token=tokens["other"]).json()
    assert got == {"id": job}
    plant.ask("POST", f"/api/v1/jobs/{job}/cancel")
    ended = plant.ask("GET", f"/api/v1/jobs/{job}").json()
    assert ended["node"] is None and ended["devices"] == [] and ended["scheduled_at"] is None
    one = next(j for j in pages(plant, "/api/v1/jobs", 1000) if j["id"] == job)
    assert one == {k: v for k, v in ended.items() if k not in ["why", "attempts", "placed_by"]}


def test_jobs_are_found_by_label_and_by_text(plant, tokens):
    def make(name, user="user1", **labels):
        body = {"command": ["f"], "name": name, "labels": labels}
        return plant.ask("POST", "/api/v1/jobs", body, token=tokens[user]).json()["id"]

    red, blue = make("Find-Me-1", color="red", size="big"), make("find-me-2", color="blue", size="big")
    gone = make("FIND-ME-3", color="red", size='a "b"=학')
    plant.ask("POST", f"/api/v1/jobs/{gone}/cancel")

    def ids(query, who=None, limit=3):
        token = tokens[who] if who else None
        found, cursor = [], ""
        while cursor is not None:
            page = plant.ask("GET", f"/api/v1/jobs?{query}&limit={limit}{cursor}", token=token).json()
            found += [j["id"] for j in page["items"]]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        return found

    for limit in [1, 2, 1000]:
        assert ids("label=color=red", limit=limit) == [gone, red]
        assert ids("label=size=big", limit=limit) == [blue, red]
        assert ids("q=find-me", limit=limit) == [gone, blue, red]
    assert ids("label=size=big&label=color=red") == [red]
    assert ids("label=color=red&state=Queued") == [red]
    assert ids("label=size=a%20%22b%22%3D%ED%95%99") == [gone]
    assert ids("label=color=green") == ids("label=color=re") == ids("q=find-me-9") == []
    assert ids("q=FIND-ME-2") == [blue]
    assert set(ids("q=uSer1", limit=1000)) >= {red, blue, gone}
    assert red in ids(f"q={red}", limit=1000)
    # Neither a name nor a label can be guessed by who may not see it; numbers and users are seen.
    for who in ["other", "viewer1"]:
        assert ids("q=find-me", who) == ids("label=color=red", who) == []
        assert red in ids(f"q={red}", who, 1000) and red in ids("q=user1", who, 1000)
    assert ids("q=find-me", "user1") == [gone, blue, red]
    for query in ["label=color", "label==red", "q=", "q=%01", "q=" + "x" * 129, "label=a%01=b"]:
        problem(plant.ask("GET", "/api/v1/jobs?" + query), 400, field=query.partition("=")[0])
    problem(plant.ask("GET", "/api/v1/jobs?" + "&".join(["label=a=b"] * 17)), 400, field="label")


def test_a_filter_that_matches_little_is_answered_in_short_pages(plant, tokens):
    needle = plant.submit(["f"], name="needle-in-a-stack")["id"]
    for _ in range(12):
        plant.ask("POST", "/api/v1/jobs:batch", {"jobs": [{"command": ["f"], "name": "hay"}] * 1000})
    seen, cursor, requests = [], "", 0
    while cursor is not None:
        page = plant.ask("GET", f"/api/v1/jobs?q=needle-in&fields=id{cursor}").json()
        seen += page["items"]
        requests += 1
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == [{"id": needle}] and 2 <= requests <= 4


def test_what_has_not_changed_is_not_sent_again(plant):
    job = plant.submit(["t"])["id"]
    until(lambda: plant.ask("GET", f"/api/v1/jobs/{job}").json()["reason"])  # after which nothing changes
    for path in ["/api/v1/jobs", f"/api/v1/jobs/{job}", "/api/v1/queue", "/queue", "/api/v1/nodes", "/api/v1/devices"]:
        tag = plant.ask("GET", path).headers["ETag"]
        answer = plant.ask("GET", path, headers={"If-None-Match": tag})
        assert answer.status_code == 304 and not answer.content and answer.headers["ETag"] == tag
        assert plant.ask("GET", path, headers={"If-None-Match": 'W/"x"'}).status_code == 200
    tag = plant.ask("GET", "/api/v1/queue").headers["ETag"]
    plant.submit(["t"])
    assert plant.ask("GET", "/api/v1/queue", headers={"If-None-Match": tag}).status_code == 200


# people


def test_users_are_added_changed_and_disabled(plant):
    answer = plant.ask("POST", "/api/v1/users", {"name": "dora", "role": "user", "team": "vision"})
    assert answer.status_code == 201 and answer.headers["Location"] == "/api/v1/users/dora"
    problem(plant.ask("POST", "/api/v1/users", {"name": "dora", "role": "user"}), 409, "conflict")
    problem(plant.ask("POST", "/api/v1/users", {"name": "x y", "role": "user"}), 400, field="name")
    problem(plant.ask("POST", "/api/v1/users", {"name": "x", "role": "king"}), 400, field="role")
    token = plant.ask("POST", "/api/v1/tokens", {"user": "dora", "expires_in": "1h"}).json()
    assert token["expires_at"] and plant.ask("GET", "/api/v1/whoami", token=token["token"]).json()["user"] == "dora"
    answer = plant.ask("PATCH", "/api/v1/users/dora", {"role": "operator"})
    assert answer.status_code == 200 and answer.json()["role"] == "operator" and answer.json()["team"] == "vision"
    assert plant.ask("GET", "/api/v1/whoami", token=token["token"]).json()["role"] == "operator"
    problem(plant.ask("PATCH", "/api/v1/users/dora", {}), 400)
    assert plant.ask("DELETE", "/api/v1/users/dora").status_code == 204
    problem(plant.ask("GET", "/api/v1/whoami", token=token["token"]), 401)
    assert plant.ask("GET", "/api/v1/users/dora").json()["disabled_at"]
    problem(plant.ask("DELETE", "/api/v1/users/admin"), 409)


def test_a_token_is_shown_once_and_ends_when_revoked(plant, tokens):
    made = plant.ask("POST", "/api/v1/tokens", {"user": "user1", "name": "laptop"})
    assert made.headers["Cache-Control"] == "no-store"
    token = made.json()
    assert len(token["token"]) == 67
    listed = {t["id"]: t for t in pages(plant, "/api/v1/tokens", 100)}
    assert listed[token["id"]]["name"] == "laptop" and "token" not in listed[token["id"]]
    assert listed[token["id"]]["revoked_at"] is None
    assert plant.ask("DELETE", f"/api/v1/tokens/{token['id']}").status_code == 204
    listed = {t["id"]: t for t in pages(plant, "/api/v1/tokens", 100)}
    assert listed[token["id"]]["revoked_at"] >= listed[token["id"]]["created_at"]
    problem(plant.ask("DELETE", f"/api/v1/tokens/{token['id']}"), 404)
    problem(plant.ask("GET", "/api/v1/whoami", token=token["token"]), 401)
    problem(plant.ask("POST", "/api/v1/tokens", {"user": "nobody-here"}), 404, field="user")
    raw = (plant.data / "reeve.db").read_bytes() + (plant.data / "reeve.db-wal").read_bytes()
    assert token["token"].encode() not in raw and plant.admin_token.encode() not in raw
    assert (plant.data / "admin.token").stat().st_mode & 0o777 == 0o600


# operation


def test_the_ledger_tells_everything_and_verifies(plant):
    job = plant.submit(["l"])["id"]
    plant.ask("POST", f"/api/v1/jobs/{job}/cancel")
    rows = plant.ask("GET", f"/api/v1/ledger?subject={job}").json()["items"]
    assert [r["kind"] for r in rows] == ["job.submitted", "job.cancel"]
    assert rows[0]["actor"] == "admin" and rows[0]["body"]["gpus"] == 1 and len(rows[0]["hash"]) == 64
    assert (
        plant.ask("GET", f"/api/v1/ledger?after={rows[0]['seq']}&limit=1").json()["items"][0]["seq"]
        == rows[0]["seq"] + 1
    )
    problem(plant.ask("GET", "/api/v1/ledger?kind=nonsense"), 400, field="kind")
    found = plant.ask("POST", "/api/v1/ledger:verify").json()
    assert found["ok"] and found["first_bad"] is None and found["rows"] >= rows[-1]["seq"]
    found = plant.ask("POST", "/api/v1/ledger:replay").json()
    assert found["identical"] and found["first_different"] is None, found


def test_the_ledger_from_its_newest_row_on_and_in_part(plant, tokens):
    def ask(query):
        return plant.ask("GET", f"/api/v1/ledger?{query}").json()

    job = plant.submit(["l"])["id"]
    plant.ask("POST", f"/api/v1/jobs/{job}/cancel")
    newest = ask("before=0&limit=3")
    seqs = [r["seq"] for r in newest["items"]]
    assert seqs == list(range(seqs[0], seqs[0] - 3, -1)) and newest["next_cursor"] == str(seqs[-1])
    assert ask(f"before={seqs[0]}&limit=1")["items"][0]["seq"] == seqs[0] - 1
    assert ask(f"before=0&limit=3&cursor={newest['next_cursor']}")["items"][0]["seq"] == seqs[-1] - 1
    everything, cursor = [], "0"
    while cursor is not None:
        page = ask(f"before=0&limit=7&cursor={cursor}")
        everything += page["items"]
        cursor = page["next_cursor"]
    assert [r["seq"] for r in everything] == list(range(everything[0]["seq"], 0, -1))

    rows = ask(f"before=0&subject={job}")["items"]
    assert [r["kind"] for r in rows] == ["job.cancel", "job.submitted"] and rows[0]["subject_name"] is None
    assert rows[0]["why"] == "cancelled by admin" and rows[1]["why"] is None
    two = ask("before=0&kind=job.cancel,job.submitted&limit=2")["items"]
    assert [r["kind"] for r in two] == ["job.cancel", "job.submitted"]
    users = ask("about=user")["items"]
    assert users[0]["kind"] == "principal.added" and users[0]["subject_name"] == "admin"
    first = ask("about=token&limit=1")["items"][0]
    assert first["kind"] == "token.created" and first["subject_name"] == "admin"
    assert ask(f"about=token&subject={first['subject']}")["items"][0] == first
    mine = plant.ask("POST", "/api/v1/jobs", {"command": ["l"]}, token=tokens["user1"]).json()["id"]
    done = ask("before=0&actor=user1&limit=5")["items"]
    assert done[0]["subject"] == mine and {r["actor"] for r in done} == {"user1"}
    plant.ask("POST", f"/api/v1/jobs/{mine}/cancel")

    problem(plant.ask("GET", "/api/v1/ledger?before=5&after=1"), 400, field="before")
    problem(plant.ask("GET", "/api/v1/ledger?kind=job.submitted,nonsense"), 400, field="kind")
    problem(plant.ask("GET", "/api/v1/ledger?about=nonsense"), 400, field="about")
    problem(plant.ask("GET", "/api/v1/ledger?actor=nobody-here"), 400, field="actor")


def test_status_and_metrics(plant, tokens):
    status = plant.ask("GET", "/api/v1/status").json()
    assert status["version"] and status["site"] and status["uptime_ms"] >= 0
    assert status["queue_length"] == plant.ask("GET", "/api/v1/queue?limit=1").json()["queue_length"]
    assert status["nodes"]["total"] == 0 and status["cost_today_micros"] == 0
    assert status["status_latency_ms"]["p99"] > 0
    assert "cost_today_micros" not in plant.ask("GET", "/api/v1/status", token=tokens["user1"]).json()
    text = plant.ask("GET", "/metrics").text
    assert re.search(r"^reeve_queue_length \d+$", text, re.M)
    for line in text.splitlines():
        assert line.startswith("# ") or re.fullmatch(r'[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9.e+-]+', line), line


def test_paths_and_methods_that_are_not_there(plant):
    problem(plant.ask("GET", "/api/v1/nothing"), 404, "not-found")
    problem(plant.ask("GET", "/api/v1/jobs/"), 404)
    problem(plant.ask("GET", "/api/v1/jobs/abc"), 404)
    problem(plant.ask("GET", "/api/v1/jobs/99999999"), 404)
    problem(plant.ask("GET", "/api/v1/nodes/none"), 404)
    problem(plant.ask("GET", "/api/v1/devices/1"), 404)
    answer = plant.ask("PUT", "/api/v1/jobs")
    problem(answer, 405, "method")
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert plant.ask("HEAD", "/api/v1/jobs").status_code == 200


# bad input


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"command": ["a"', 400),
        (b'{"command": ["a"], "command": ["b"]}', 400),
        (b'{"command": ["\xff\xfe"]}', 400),
        (b'{"command": ["a\\u0000b"]}', 400),
        (b"[" * 40 + b"]" * 40, 400),
        (b"", 400),
        (b"null", 400),
        (b'"x"', 400),
        (b'{"command": ["' + b"a" * (1 << 20) + b'"]}', 413),
    ],
)
def test_a_body_that_makes_no_sense(plant, body, status):
    for path in ["/api/v1/jobs", "/api/v1/jobs:batch", "/submit", "/api/v1/users"]:
        answer = plant.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
        problem(answer, status)


def test_another_content_type_is_refused(plant):
    for kind in ["text/plain", "multipart/form-data", "application/jsonx"]:
        answer = plant.ask("POST", "/api/v1/jobs", data=b"{}", headers={"Content-Type": kind})
        problem(answer, 415, "media-type")
    body = b'{"command": ["a"]}'
    assert plant.ask("POST", "/api/v1/jobs", data=body, headers={"Content-Type": "application/json; charset=utf-8"}).ok
    assert plant.ask("POST", "/api/v1/jobs", data=body).ok


def test_path_tricks_and_odd_hosts(plant):
    for path in ["/api/v1/../healthz", "//healthz", "/api/v1/users/%2e%2e", "/api/v1/users/a%2fb", "/api/v1/users/%00"]:
        s = requests.Session()
        request = s.prepare_request(
            requests.Request("GET", plant.url, headers={"Authorization": f"Bearer {plant.admin_token}"})
        )
        request.url = plant.url + path
        assert s.send(request).status_code in (400, 404)
    assert plant.ask("GET", "/healthz", headers={"Host": "evil.example"}).status_code == 421
    assert plant.ask("GET", "/healthz", headers={"X-Big": "x" * 20000}).status_code == 431
    assert plant.is_ready()


# options of the program


def test_masked_users_and_the_open_source_interface(build):
    p = Plant(build, reeved=["--mask-users", "--source-api", "open"])
    try:
        p.start_reeved()
        for name in ["ann", "ben"]:
            p.ask("POST", "/api/v1/users", {"name": name, "role": "user"})
        token = {n: p.ask("POST", "/api/v1/tokens", {"user": n}).json()["token"] for n in ["ann", "ben"]}
        body = {"user": "ann", "config_file": "c", "work_dir": "/w"}
        answer = requests.post(p.url + "/submit", json=body)
        assert answer.status_code == 202
        job = answer.json()["job_id"]
        shown = requests.get(f"{p.url}/jobs/{job}").json()
        assert shown["state"] == "Queued" and shown["user"] is None and "command" not in shown
        assert requests.get(p.url + "/queue").json()["queue_length"] == 1
        assert requests.get(p.url + "/api/v1/queue").status_code == 401
        assert requests.post(p.url + "/submit", json=body, headers={"Origin": "http://evil.example"}).status_code == 403
        assert p.ask("GET", f"/jobs/{job}", token=token["ann"]).json()["user"] == "ann"
        assert p.ask("GET", f"/jobs/{job}", token=token["ben"]).json()["user"] is None
        assert not p.ask("GET", "/api/v1/jobs?user=ann", token=token["ben"]).json()["items"]
        assert p.job(job)["user"] == "ann"
    finally:
        p.stop()


def test_it_refuses_to_be_reached_from_elsewhere_without_tls(build, tmp_path):
    for options, words in [
        (["--listen", "0.0.0.0:0"], "TLS"),
        (["--listen", "0.0.0.0:0", "--insecure", "--source-api", "open"], "loopback"),
        (["--source-api", "ajar"], "source-api"),
        (["--tls-cert", "x"], "tls-key"),
        (["--template-dir", "/nowhere"], "templates"),
        (["extra"], "extra"),
    ]:
        p = Plant(build, reeved=options, folder=tmp_path)
        p.start_reeved(wait=False)
        assert p.reeved.wait(10) in range(2, 8)
        assert words in p.log_tail("reeved.log"), p.log_tail("reeved.log")


def test_it_ends_orderly_and_a_second_one_is_refused(build):
    p = Plant(build)
    try:
        p.start_reeved()
        job = p.submit(["x"])["id"]
        second = Plant(build, folder=p.folder)
        second.start_reeved(wait=False)
        assert second.reeved.wait(10) == 5
        stream = p.ask("GET", "/api/v1/events", stream=True)
        p.reeved.terminate()
        assert p.reeved.wait(10) == 0
        stream.close()
        p.start_reeved()
        assert until(lambda: p.job(job))["state"] == "Queued"
    finally:
        p.stop()


# before handing in


def test_a_dry_run_refuses_what_the_real_one_would_and_changes_nothing(plant, tokens):
    before = plant.ask("GET", "/api/v1/status").json()["ledger_seq"]
    queue = plant.ask("GET", "/api/v1/queue?limit=1").json()["queue_length"]
    told = plant.ask("POST", "/api/v1/jobs?dry_run=true", {"command": ["true"]})
    assert told.status_code == 200 and "Location" not in told.headers
    told = told.json()
    assert told["valid"] is True and told["position"] == queue + 1 and told["queue_length"] == queue
    assert told["starts_now"] is False and told["reason"].startswith("needs 1 GPU")
    for body in [{}, {"command": []}, {"command": ["x"], "gpus": 65}, {"command": ["x"], "image": "y z"}, {"cmd": 1},
                 {"command": ["x"], "user": "nobody"}, {"command": ["x"], "memory": "0"}]:  # fmt: skip
        dry = plant.ask("POST", "/api/v1/jobs?dry_run=true", body)
        real = plant.ask("POST", "/api/v1/jobs", body)
        assert dry.status_code == real.status_code >= 400 and dry.json() == real.json()
    problem(plant.ask("POST", "/api/v1/jobs?dry_run=maybe", {"command": ["x"]}), 400, field="dry_run")
    problem(plant.ask("POST", "/api/v1/jobs?dry_run", {"command": ["x"]}, token=tokens["viewer1"]), 403)
    problem(plant.ask("POST", "/api/v1/jobs?dry_run", {"command": ["x"], "user": "other"}, token=tokens["user1"]), 403)
    key = {"Idempotency-Key": "dry"}
    assert plant.ask("POST", "/api/v1/jobs?dry_run", {"command": ["x"]}, headers=key).status_code == 200
    assert plant.ask("GET", "/api/v1/status").json()["ledger_seq"] == before
    assert plant.ask("POST", "/api/v1/jobs", {"command": ["x"]}, headers=key).status_code == 201


def test_templates_are_listed_with_what_is_to_be_filled_in(plant, tokens):
    (ours,) = plant.ask("GET", "/api/v1/templates", token=tokens["user1"]).json()["items"]
    assert ours["name"] == "proto-gcn" and ours["gpus"] == 1 and ours["description"]
    assert [p["name"] for p in ours["parameters"]] == ["config_file", "work_dir"]
    assert ours["command"][0].endswith("/proto-gcn") and "{config_file}" in ours["command"]
    config = ours["parameters"][0]["example"]
    assert Path(config).is_file()
    filled = json.loads(json.dumps(ours["job"]).replace("{config_file}", config).replace("{work_dir}", "/tmp"))
    assert plant.ask("POST", "/api/v1/jobs?dry_run=true", filled, token=tokens["user1"]).status_code == 200


def test_sentences_are_in_the_language_that_is_asked_for(plant):
    job = plant.ask("POST", "/api/v1/jobs", {"command": ["true"]}).json()["id"]
    path = f"/api/v1/jobs/{job}"
    english = plant.ask("GET", path)
    korean = plant.ask("GET", path, headers={"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"})
    assert english.json()["why"]["sentence"] == "needs 1 GPU; no node is there"
    assert korean.json()["why"]["sentence"] == korean.json()["reason"] == "GPU 1개 필요; 노드가 없음"
    assert english.json()["reason_code"] == korean.json()["reason_code"] == "no-node"

    def unchanged():
        known = {"If-None-Match": plant.ask("GET", path).headers["ETag"]}
        return known if plant.ask("GET", path, headers=known).status_code == 304 else None

    # Who changes the language is not told that nothing has changed. The expected start comes a moment later.
    known = until(unchanged)
    assert plant.ask("GET", path, headers={**known, "Accept-Language": "ko"}).status_code == 200
    assert "Accept-Language" in korean.headers["Vary"]

    plant.ask("POST", f"{path}/cancel")
    ended = plant.ask("GET", path, headers={"Accept-Language": "ko"}).json()
    assert ended["reason"] == "admin이(가) 취소함"
    again = plant.ask("POST", f"{path}/cancel", headers={"Accept-Language": "ko"})
    assert again.json()["detail"] == f"작업 {job}은(는) 이미 끝남"


def test_what_is_for_clusters_is_kept_with_the_job_and_said(plant, tokens):
    body = {
        "image": "registry.example/train:1",
        "runner": "kube-job",
        "mounts": [{"name": "data", "path": "/data", "read_only": True}],
        "node_selector": {"zone": "b", "gpu.x/model": "A100"},
        "tolerations": ["nvidia.com/gpu:NoSchedule"],
    }
    dry = plant.ask("POST", "/api/v1/jobs?dry_run=true", body).json()
    assert not dry["starts_now"]
    new = plant.ask("POST", "/api/v1/jobs", body)
    assert new.status_code == 201, new.text
    job = plant.ask("GET", f"/api/v1/jobs/{new.json()['id']}").json()
    assert {k: job[k] for k in body} == body and job["template"] is None and job["command"] == []
    plant.ask("POST", f"/api/v1/jobs/{job['id']}/cancel")
    ended = plant.ask("GET", f"/api/v1/jobs/{job['id']}").json()
    assert {k: ended[k] for k in body} == body
    # It comes back as it was.
    assert plant.ask("POST", f"/api/v1/jobs/{job['id']}/retry").status_code == 202
    again = plant.ask("GET", f"/api/v1/jobs/{job['id']}").json()
    assert again["state"] == "Queued" and {k: again[k] for k in body} == body
    plant.ask("POST", f"/api/v1/jobs/{job['id']}/cancel")
    problem(plant.ask("POST", "/api/v1/jobs", body | {"tolerations": ["team=x"]}), 403, field="tolerations")
    forged = {"template": {"name": "proto-gcn", "parameters": {"user": "alice"}}}
    problem(plant.ask("POST", "/api/v1/jobs", forged), 400, field="template.parameters.user")
    template = {"template": {"name": "proto-gcn", "parameters": {"lr": "0.1"}}}
    job = plant.ask("POST", "/api/v1/jobs", template).json()
    assert job["template"] == template["template"] and job["name"] == "proto-gcn"
    plant.ask("POST", f"/api/v1/jobs/{job['id']}/cancel")
