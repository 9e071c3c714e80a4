"""Clients that are slow, silent or many: they are cut off in time, and others do not notice them."""

import contextlib
import resource
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests
from hostile import control_plane, has_lost_nothing, head
from plant import until

JOBS = "/api/v1/jobs"
IDLE = 10000


class Drip:
    """Sends a byte every half second until the server has had enough, and notes when."""

    def __init__(self, plane, begin, more):
        self.socket = socket.create_connection(("127.0.0.1", plane.api_port))
        self.socket.sendall(begin)
        self.more, self.began, self.lasted, self.stopping = more, time.monotonic(), None, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.socket.settimeout(0.5)
        while not self.stopping:
            try:
                self.socket.sendall(self.more)
                if not self.socket.recv(65536):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.lasted = time.monotonic() - self.began
        self.socket.close()


@pytest.fixture(scope="module")
def plane(build, tmp_path_factory):
    p = control_plane(build, tmp_path_factory.mktemp("clients"))
    p.accepted = [p.submit(["true"])["id"]]
    yield p
    assert p.reeved.poll() is None, p.log_tail("reeved.log")
    has_lost_nothing(p, p.accepted)
    p.stop()


@pytest.fixture(scope="module", autouse=True)
def drips(plane):
    """Begun first and looked at last: their time passes while other tests run."""
    post = head(plane, f"POST {JOBS} HTTP/1.1", "Content-Length: 100000")
    found = {
        "nothing at all": Drip(plane, b"", b""),
        "headers": Drip(plane, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", b"a"),
        "many headers": Drip(plane, b"GET /healthz HTTP/1.1\r\n", b"A: b\r\n"),
        "body": Drip(plane, post, b" "),
        "chunks": Drip(plane, head(plane, f"POST {JOBS} HTTP/1.1", "Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    }
    yield found
    for d in found.values():
        d.stopping = True


def resident(plane):
    with open(f"/proc/{plane.reeved.pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


def answers_promptly(plane, most_s=5):
    """Over new connections, reading and writing. The limit is far above what it takes, so that a loaded
    machine passes and a blocked server does not."""
    began = time.monotonic()
    for _ in range(5):
        assert requests.get(plane.url + "/healthz", timeout=most_s).status_code == 200
        plane.accepted.append(plane.submit(["true"])["id"])
    assert time.monotonic() - began < 2 * most_s


HOLD = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
port, count = int(sys.argv[1]), int(sys.argv[2])
held = []
try:
    for i in range(count):
        s = socket.create_connection(("127.0.0.1", port), timeout=20)
        if i % 2:
            s.sendall(b"GET /healthz HTTP/1.1\\r\\n")
        held.append(s)
except OSError as e:
    print(e, file=sys.stderr)
print(len(held), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held_connections(plane, count):
    """Held by a process of its own, since descriptors are counted by process."""
    p = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(plane.api_port), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield int(p.stdout.readline())
    finally:
        p.kill()
        p.wait()
        p.stdin.close()
        p.stdout.close()


def test_ten_thousand_idle_connections_do_not_keep_others_waiting(plane):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < IDLE + 1000:
        pytest.skip(f"the hard limit of open files is {hard}, and {IDLE + 1000} are needed")
    before = resident(plane)
    with held_connections(plane, IDLE) as count:
        assert count == IDLE
        answers_promptly(plane)
        each = (resident(plane) - before) / IDLE
        print(f"{each:.0f} bytes each")
        assert each < 64 << 10
    answers_promptly(plane)


def test_a_server_out_of_descriptors_turns_clients_away_and_comes_back(build, tmp_path, plane):
    few = 300

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))

    import plant

    real = subprocess.Popen
    try:
        plant.subprocess.Popen = lambda *a, **k: real(*a, preexec_fn=limit, **k)  # noqa: PLW1509
        p = control_plane(build, tmp_path)
    finally:
        plant.subprocess.Popen = real
    p.accepted = [p.submit(["true"])["id"]]
    p.session.close()
    try:
        with held_connections(p, 2 * few):
            with pytest.raises(requests.RequestException):
                for _ in range(10):  # the first may be one that was let in before
                    requests.get(p.url + "/healthz", timeout=1)
                    time.sleep(0.2)
            assert p.reeved.poll() is None
        until(p.is_ready, 20)
        answers_promptly(p)
        has_lost_nothing(p, p.accepted)
    finally:
        p.stop()


def test_a_stream_for_which_no_descriptor_is_left_is_refused(plane):
    token = plane.ask("POST", "/api/v1/enrolments", {}).json()["token"]
    node = {"node": "streamer", "version": "0.1.0"}
    key = plane.ask("POST", "/agent/v1/enrol", node, token=token).json()["key"]
    job = plane.accepted[0]
    before = resource.prlimit(plane.reeved.pid, resource.RLIMIT_NOFILE)
    for path, bearer in (
        ("/api/v1/events", None),
        (f"{JOBS}/{job}/logs?follow=true", None),
        ("/agent/v1/stream", key),
    ):
        asking = head(plane, f"GET {path} HTTP/1.1")
        if bearer:
            asking = asking.replace(plane.admin_token.encode(), bearer.encode())
        with socket.create_connection(("127.0.0.1", plane.api_port), timeout=20) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert s.recv(65536).startswith(b"HTTP/1.1 200")
            try:
                # New descriptors take the lowest free number, and there is none below this.
                resource.prlimit(plane.reeved.pid, resource.RLIMIT_NOFILE, (3, before[1]))
                s.sendall(asking)
                said = s.recv(65536)
            finally:
                resource.prlimit(plane.reeved.pid, resource.RLIMIT_NOFILE, before)
        assert said.startswith((b"HTTP/1.1 503", b"HTTP/1.1 429")), (path, said[:300])
        assert plane.reeved.poll() is None, plane.log_tail("reeved.log")
    answers_promptly(plane)


@pytest.mark.plain("it measures memory")
def test_clients_that_read_nothing_cost_little_and_block_nobody(plane):
    batch = {"jobs": [{"command": ["true"], "env": {"A": "x" * 200}}] * 1000}
    assert plane.ask("POST", JOBS + ":batch", batch).status_code == 201
    before, sockets = resident(plane), []
    lists = head(plane, f"GET {JOBS}?limit=1000 HTTP/1.1").replace(b"close", b"keep-alive") * 20
    events = head(plane, "GET /api/v1/events HTTP/1.1", "Last-Event-ID: 0")
    try:
        for i in range(60):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", plane.api_port))
            s.sendall(events if i % 3 else lists[: 7000 // 20 * 20])
            sockets.append(s)
        for _ in range(3):
            assert plane.ask("POST", JOBS + ":batch", batch).status_code == 201
            answers_promptly(plane)
        assert resident(plane) - before < 200 << 20
    finally:
        for s in sockets:
            s.close()


def test_who_goes_in_the_middle_of_anything_leaves_nothing_behind(plane):
    whole = head(plane, f"POST {JOBS} HTTP/1.1", "Content-Length: 21") + b'{"command": ["true"]}'
    streams = head(plane, "GET /api/v1/events HTTP/1.1", "Last-Event-ID: 0")
    before = len([1 for _ in open_descriptors(plane)])
    for data in (whole, streams, head(plane, f"GET {JOBS}?limit=1000 HTTP/1.1")):
        for end in range(0, len(data) + 1, 7):
            with socket.create_connection(("127.0.0.1", plane.api_port)) as s:
                s.sendall(data[:end] if end + 7 <= len(data) else data)
                if end % 2:  # so that it is a reset
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    answers_promptly(plane)
    until(lambda: len([1 for _ in open_descriptors(plane)]) < before + 20, 50)


def open_descriptors(plane):
    from pathlib import Path

    return Path(f"/proc/{plane.reeved.pid}/fd").iterdir()


def test_slow_clients_are_cut_off_in_their_time(plane, drips):
    end = time.monotonic() + 75
    while time.monotonic() < end and any(d.lasted is None for d in drips.values()):
        answers_promptly(plane)
        time.sleep(1)
    lasted = {what: d.lasted for what, d in drips.items()}
    print(lasted)
    # 30 s without an end of the headers or a fair pace of the body; none is cut much earlier.
    assert all(t and 25 < t < 75 for t in lasted.values()), lasted
