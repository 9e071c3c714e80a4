"""Agents that are not what they say, and control planes that are not: neither takes the other down."""

import itertools
import json
import random
import secrets
import socket
import threading
import time

import pytest
import requests
from hostile import control_plane, has_lost_nothing, is_problem
from plant import Plant, until

REPORTS = "/agent/v1/reports"


class Node:
    """An agent by hand: a key, a hello, and whatever else it is told to say."""

    def __init__(self, plane, name):
        self.plane, self.name, self.seq = plane, name, 0
        token = plane.ask("POST", "/api/v1/enrolments", {}).json()["token"]
        answer = enrol(plane, token, name)
        assert answer.status_code == 200, answer.text
        self.key, self.id = answer.json()["key"], answer.json()["node_id"]
        self.uuid = f"GPU-{secrets.token_hex(8)}"
        self.stream = plane.session.get(
            plane.url + "/agent/v1/stream", headers={"Authorization": f"Bearer {self.key}"}, stream=True, timeout=60
        )
        assert self.stream.status_code == 200
        self.lines = self.stream.iter_lines(chunk_size=1)
        assert json.loads(next(self.lines))["type"] == "welcome"

    def device(self, **more):
        return {"uuid": self.uuid, "index": 0, "model": "m", "vendor": "nvidia", "memory_mib": 10240,
                "health": "ok", "free_mib": 10240, "gpu_pct": 0, **more}  # fmt: skip

    def say(self, **parts):
        self.seq += 1
        body = {"boot_id": f"boot-{self.name}", "data_id": f"data-{self.name}", "seq": self.seq, **parts}
        return self.post(REPORTS, body)

    def post(self, path, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body)
        h = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers}
        return requests.post(self.plane.url + path, data=data, headers=h, timeout=20)

    def hello(self, version="0.1.0", **more):
        hello = {"version": version, "features": [], "cpu_milli": 4000, "memory_mib": 64000, "isolation": "user"}
        parts = {"hello": hello, "host": {"busy": False, "cpu_pct": 1, "memory_pct": 1}, "attempts": []}
        return self.say(**{**parts, "devices": [self.device()], **more})

    def next_command(self, kind):
        end = time.monotonic() + 20
        for line in self.lines:  # an empty one comes every ten seconds
            if time.monotonic() > end:
                break
            if line.strip() and (command := json.loads(line))["type"] == kind:
                return command
        raise AssertionError(f"no {kind} came")


def enrol(plane, token, node, version="0.1.0", **more):
    return requests.post(
        plane.url + "/agent/v1/enrol",
        json={"node": node, "version": version, **more},
        headers={"Authorization": f"Bearer {token}"},
        timeout=20,
    )


@pytest.fixture(scope="module")
def plane(build, tmp_path_factory):
    p = control_plane(build, tmp_path_factory.mktemp("agents"), "--silence", "60s")
    p.accepted = []
    yield p
    assert p.reeved.poll() is None, p.log_tail("reeved.log")
    has_lost_nothing(p, p.accepted)
    p.stop()


@pytest.fixture
def node(plane):
    """A node with one device and a job that was sent to it."""
    n = Node(plane, f"n{secrets.token_hex(4)}")
    assert n.hello().status_code == 200
    n.job = plane.submit(["true"])["id"]
    plane.accepted.append(n.job)
    n.start = n.next_command("start")
    assert n.start["job"] == n.job
    yield n
    n.stream.close()
    plane.ask("DELETE", f"/api/v1/nodes/{n.name}")


def attempt(node, **more):
    """The node's own attempt, as a report has it."""
    return {"id": node.start["attempt"], "job": node.job, "n": 1, "state": "started", "ago_ms": 0, **more}


# ---- who it is ----


def test_a_wrong_or_used_or_expired_enrolment_token_is_refused(plane):
    token = plane.ask("POST", "/api/v1/enrolments", {"node": "only-this"}).json()["token"]
    for wrong in ("", "x", token + "x", plane.admin_token):
        assert enrol(plane, wrong, "only-this").status_code in (401, 403)
    assert enrol(plane, token, "another").status_code in (403, 409, 422)
    for name in ("", "../x", "a b", "x" * 65, "-x"):
        is_problem(enrol(plane, token, name), 400, "node")
    assert enrol(plane, token, "only-this").status_code == 200
    is_problem(enrol(plane, token, "only-this"), 401)
    token = plane.ask("POST", "/api/v1/enrolments", {"expires_in": 1}).json()["token"]
    time.sleep(1.1)
    is_problem(enrol(plane, token, "too-late"), 401)
    plane.ask("DELETE", "/api/v1/nodes/only-this")


def test_an_agent_of_a_strange_version_is_refused_with_those_that_are_served(plane, node):
    token = plane.ask("POST", "/api/v1/enrolments", {}).json()["token"]
    for version in ("99.0.0", "0.99.0", "banana", "0.1", "0.1.0.0\n", "-1.0.0"):
        told = is_problem(enrol(plane, token, "strange", version), 422, "version", "not served")
        assert "0.1" in told["detail"]
        is_problem(node.hello(version), 422, "version", "not served")
    is_problem(enrol(plane, token, "strange", "x" * 5000), 400, "version")
    # The token was not used up by that, nor did the node lose anything.
    assert enrol(plane, token, "strange").status_code == 200
    assert node.say(attempts=[attempt(node)]).status_code == 200
    assert plane.job(node.job)["state"] == "Running"
    plane.ask("DELETE", "/api/v1/nodes/strange")


def test_the_key_of_a_retired_or_renewed_node_is_void_at_once(plane):
    first = Node(plane, "renewed")
    assert first.hello().status_code == 200
    second = Node(plane, "renewed")
    is_problem(first.say(), 401)
    assert second.hello().status_code == 200
    assert plane.ask("DELETE", "/api/v1/nodes/renewed").status_code in (200, 204)
    is_problem(second.say(), 401)
    for n in (first, second):
        n.stream.close()


# ---- whom it speaks about ----


def test_a_stolen_key_cannot_speak_about_another_node(plane, node):
    thief = Node(plane, "thief")
    assert thief.hello().status_code == 200
    ended = attempt(node, state="ended", outcome="completed", exit_code=0, run_ms=1)
    for state in ("started", "ended", "lost", "refused"):
        thief.say(attempts=[{**ended, "state": state}])
        thief.hello(attempts=[{**ended, "state": state}])
        assert plane.job(node.job)["state"] == "Scheduled", state
    # Nor take its device away, nor write its jobs' output or its samples.
    thief.hello(devices=[thief.device(uuid=node.uuid, health="faulty")])
    devices = [d for d in plane.ask("GET", "/api/v1/devices").json()["items"] if d["node"] == node.name]
    assert [(d["uuid"], d["state"]) for d in devices] == [(node.uuid, "allocated")], devices
    is_problem(thief.post(f"/agent/v1/logs/{node.job}/1?offset=0", b"forged"), 403)
    thief.say(progress=[{"job": node.job, "n": 1, "done": 1, "total": 1}])
    assert not plane.job(node.job)["progress"]
    assert thief.post("/agent/v1/write", b"\0").status_code in (204, 400)
    for path in ("/api/v1/jobs", "/api/v1/users", "/metrics", "/api/v1/events"):
        answer = requests.get(plane.url + path, headers={"Authorization": f"Bearer {thief.key}"}, timeout=20)
        is_problem(answer, 403)
    # The owner's word is heard as before.
    assert node.say(attempts=[attempt(node), ended]).status_code == 200
    assert plane.job(node.job)["state"] == "Completed"
    thief.stream.close()
    plane.ask("DELETE", "/api/v1/nodes/thief")


def test_a_report_for_another_boot_or_data_is_told_to_say_hello(plane, node):
    for other in ({"boot_id": "other"}, {"data_id": "other"}):
        is_problem(node.say(**other, attempts=[attempt(node)]), 409)
    assert plane.job(node.job)["state"] == "Scheduled"
    assert node.say(attempts=[attempt(node)]).status_code == 200


WRONG = {
    "hello": [1, "x", [], {"version": 1}, {"version": "0.1.0", "isolation": "none"}],
    "host": [1, [], {}, {"busy": 1}, {"busy": True, "cpu_pct": 101}, {"busy": True, "cpu_pct": -1}],
    "devices": [1, {}, [1], [{}], [{"uuid": 1}], [None], [{"uuid": "x" * 500}]],
    "attempts": [1, {}, [1], [{}], [{"id": "x"}], [{"id": "0" * 32, "job": -1, "n": 1, "state": "started"}],
                 [{"id": "0" * 32, "job": 1, "n": 1, "state": "flying"}]],
    "progress": [1, {}, [1], [{}], [{"job": "x"}]],
    "seq": ["x", -1, 1.5, None, [], 1 << 62],
    "boot_id": [1, "", "x" * 500, None, []],
    "data_id": [1, "", "x" * 500, None, []],
}  # fmt: skip


def test_reports_of_wrong_types_are_refused_and_change_nothing(plane, node):
    for part, values in WRONG.items():
        for value in values:
            answer = node.say(**{part: value})
            assert is_problem(answer, 400).get("field"), (part, value, answer.text)
    for data in (b"", b"\xff", b"[" * 100, b"{}", b"[]", b'{"seq": 1, "seq": 2}', b"x" * (1 << 20)):
        assert node.post(REPORTS, data).status_code == 400
    assert node.post(REPORTS, b" " * ((1 << 20) + 1)).status_code == 413
    assert plane.job(node.job)["state"] == "Scheduled"


def test_figures_beyond_all_measure_are_refused_or_taken_and_add_up(plane):
    rng = random.Random(11)
    most = [0, 1, (1 << 31) - 1, 1 << 31, 10**15, 10**15 + 1, (1 << 53) + 1, (1 << 63) - 1, -1, -(1 << 63)]
    n = Node(plane, "absurd")
    for round_ in range(25):
        assert n.hello(attempts=[]).status_code == 200
        n.job = plane.submit(["true"], retries=0)["id"]
        plane.accepted.append(n.job)
        n.start = n.next_command("start")
        while n.start["job"] != n.job:
            n.start = n.next_command("start")
        odd = {f: rng.choice(most) for f in ("ago_ms", "run_ms", "energy_mj", "exit_code", "signal")}
        n.say(devices=[n.device(free_mib=rng.choice(most), gpu_pct=rng.choice(most))])
        n.say(host={"busy": False, "cpu_pct": rng.choice(most), "memory_pct": 5})
        n.say(attempts=[attempt(n, ago_ms=rng.choice(most))])
        kind = ["failed", "completed", "signalled", "time-limit", "out-of-memory", "not-started"][round_ % 6]
        n.say(attempts=[attempt(n, state="ended", outcome=kind, energy_measured=True, why="x" * 5000, **odd)])
        n.say(attempts=[attempt(n, state="ended", outcome="failed", exit_code=1, run_ms=1)])
        assert plane.job(n.job)["state"] in ("Completed", "Failed", "Queued"), plane.job(n.job)
        assert plane.reeved.poll() is None, plane.log_tail("reeved.log")
    status = plane.ask("GET", "/api/v1/status")
    assert status.status_code == 200
    replay = plane.ask("POST", "/api/v1/ledger:replay", timeout=60).json()
    assert replay["identical"], replay
    n.stream.close()
    plane.ask("DELETE", "/api/v1/nodes/absurd")


def test_output_at_absurd_offsets_is_refused(plane, node):
    assert node.say(attempts=[attempt(node)]).status_code == 200
    logs = f"/agent/v1/logs/{node.job}/1"
    for query in (
        "",
        "?offset=-1",
        "?offset=x",
        "?offset=99999999999999999999",
        "?offset=0&end=perhaps",
        "?offset=0&x=1",
    ):
        is_problem(node.post(logs + query, b"x"), 400)
    for path in (
        "/agent/v1/logs/0/1",
        "/agent/v1/logs/x/1",
        f"/agent/v1/logs/{node.job}/99",
        "/agent/v1/logs/999999/1",
    ):
        is_problem(node.post(path + "?offset=0", b"x"), 404)
    assert node.post(logs + "?offset=0", b"x" * ((1 << 20) + 1)).status_code == 413
    assert node.post(logs + "?offset=0", b"hello\n").json()["next"] == 6
    # A gap is either refused or marked; what is there stays, and sent again it is not there twice.
    assert node.post(logs + f"?offset={1 << 53}", b"far").status_code < 500
    assert node.post(logs + "?offset=0", b"hello\n").status_code == 200
    assert plane.log(node.job).count("hello") == 1


# ---- a real agent ----


def start_agent(build, folder, url, token="no-token", **files):
    p = Plant(build, folder=folder, env={"REEVE_SIM_SCENARIO": "rtx3080"})
    p.url = url
    p.agent_data.mkdir(mode=0o700, exist_ok=True)
    for name, text in files.items():
        (p.agent_data / name.replace("_", ".")).write_text(text)
        (p.agent_data / name.replace("_", ".")).chmod(0o600)
    (folder / "enrol.token").write_text(token)
    real, p.ask = p.ask, lambda *_a, **_k: type("Answer", (), {"json": lambda _s: {"token": token}})()
    p.start_agent(wait=False)
    p.ask = real
    return p


def serves(p):
    try:
        return requests.get(p.agent_url + "/status", timeout=5).json()
    except (requests.RequestException, ValueError):
        return None


def test_an_agent_with_a_wrong_token_or_key_goes_on_measuring_and_says_so(build, tmp_path, plane):
    for i, files in enumerate(({}, {"node_key": "rv_" + "0" * 64 + "\n"}, {"node_key": "\0\xff garbage"})):
        folder = tmp_path / str(i)
        folder.mkdir()
        p = start_agent(build, folder, plane.url, **files)
        try:
            status = until(lambda p=p: serves(p), 20)
            time.sleep(1)
            assert p.agent.poll() is None, p.log_tail("agent.log")
            assert serves(p)["link"] != "up" and status["gpu_memory_total"]
            assert "token" in p.log_tail("agent.log") or "key" in p.log_tail("agent.log")
        finally:
            p.stop(remove=False)


class Liar(threading.Thread):
    """Answers whatever is asked with one of its texts, forever a little different."""

    TEXTS = (
        b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot json\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{"key": 5, "node": []}', b"\x16\x03\x01garbage",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b'HTTP/1.1 200 OK\r\n\r\n{"type":"welcome","epoch":-5}\n{"type":"start"}\n' + b"\xff" * 1000 + b"\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (8 << 20), b"HTTP/1.1 200 OK\r\n\r\n" + b"{" * 5000 + b"\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    )  # fmt: skip

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port, self.asked = self.socket.getsockname()[1], 0
        self.start()

    def run(self):
        for text in itertools.cycle(self.TEXTS):
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            self.asked += 1
            with s:
                s.settimeout(1)
                try:
                    s.recv(65536)
                    s.sendall(text)
                except OSError:
                    pass


@pytest.mark.parametrize("key", [False, True])
def test_a_control_plane_that_talks_nonsense_does_not_stop_an_agent(build, tmp_path, key):
    liar = Liar()
    files = {"node_key": "rv_" + "0" * 64 + "\n"} if key else {}
    p = start_agent(build, tmp_path, f"http://127.0.0.1:{liar.port}", **files)
    try:
        until(lambda: serves(p), 20)
        until(lambda: liar.asked >= 5, 40)
        assert p.agent.poll() is None, p.log_tail("agent.log")
        assert serves(p)["gpu_memory_total"]
        # It waits longer and longer, rather than hammering.
        assert liar.asked < 500
    finally:
        p.stop(remove=False)
        liar.socket.close()
