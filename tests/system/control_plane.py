"""A stand-in for the control plane that speaks docs/agent-protocol.md: it notes what agents say and
sends them what a test wants."""

import itertools
import json
import queue
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=None):
        data = json.dumps(body or {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def token(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def parse_request(self):
        # Threads of kept connections outlive the server: a plane that is away answers nothing.
        ok = super().parse_request()
        self.close_connection |= self.server.is_closed
        return ok and not self.server.is_closed

    def do_GET(self):
        plane = self.server.plane
        if self.token() not in plane.keys:
            return self.answer(401, {"detail": "the key is void"})
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        lines = queue.Queue()
        plane.streams.append(lines)
        try:
            self.write_line(json.dumps(plane.welcome()))
            while True:
                try:
                    line = lines.get(timeout=5)
                except queue.Empty:
                    line = ""
                if line is None:
                    return None
                self.write_line(line)
        except OSError:
            return None
        finally:
            if lines in plane.streams:
                plane.streams.remove(lines)

    def write_line(self, line):
        data = line.encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_POST(self):
        plane = self.server.plane
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        if url.path == "/agent/v1/enrol":
            return self.enrol(plane, body)
        if self.token() not in plane.keys:
            return self.answer(401, {"detail": "the key is void"})
        if plane.broken:
            return self.answer(503, {"detail": "broken on purpose"})
        if url.path == "/agent/v1/reports":
            return self.report(plane, json.loads(body))
        if url.path.startswith("/agent/v1/logs/"):
            job, n = url.path.split("/")[4:6]
            return self.log(plane, (int(job), int(n)), parse_qs(url.query), body)
        if url.path == "/agent/v1/write":
            plane.writes.append((dict(self.headers), body))
            return self.answer(200)
        return self.answer(404)

    def enrol(self, plane, body):
        plane.enrolments.append(json.loads(body))
        if self.token() not in plane.tokens:
            return self.answer(401, {"detail": "the token is used up or was never given out"})
        if "." not in self.token():  # a pod's own is good as long as it lives
            plane.tokens.remove(self.token())
        key = "rv_" + secrets.token_hex(16)
        plane.keys.add(key)
        return self.answer(200, {"node_id": 3, "node": "node-a", "key": key})

    def report(self, plane, report):
        with plane.lock:
            plane.reports.append(report)
            plane.news.notify_all()
        return self.answer(200, {"acked": report["seq"], "epoch": plane.epoch})

    def log(self, plane, ref, query, body):
        with plane.lock:
            log = plane.logs.setdefault(ref, {"data": b"", "ended": False, "first_at": None})
            if log["ended"]:
                return self.answer(409)
            offset = int(query["offset"][0])
            have = len(log["data"])
            if body and offset <= have:
                log["data"] = log["data"][:offset] + body
            log["ended"] = query.get("end") == ["true"]
            if body and not log["first_at"]:
                log["first_at"] = time.monotonic()
            plane.news.notify_all()
        return self.answer(200, {"next": len(log["data"])})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    is_closed = False

    def handle_error(self, request, client_address):
        pass


class ControlPlane:
    """All lists only grow; wait_for() looks at them again whenever one did."""

    def __init__(self, port=0):
        self.epoch = 4
        self.site = secrets.token_hex(4)  # jobs' control groups carry it: other tests have theirs
        self.sample_ms = 1000
        self.gate = {"off": False, "free_mib": 2048, "gpu_pct": 80, "cpu_pct": 1000, "memory_pct": 99}
        self.tokens, self.keys = {"one-time"}, set()
        self.enrolments, self.reports, self.writes, self.streams = [], [], [], []
        self.logs = {}
        self.broken = False
        self.lock = threading.RLock()
        self.news = threading.Condition(self.lock)
        self.jobs = itertools.count(1)
        self.port = port
        self.open()

    def open(self):
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.plane = self
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.is_closed = True
        self.server.shutdown()
        self.server.server_close()
        self.cut()

    def cut(self):
        """Ends every command stream."""
        for lines in list(self.streams):
            lines.put(None)

    def welcome(self):
        return {
            "type": "welcome",
            "epoch": self.epoch,
            "server_time_ms": int(time.time() * 1000),
            "node_id": 3,
            "site": self.site,
            "sample_ms": self.sample_ms,
            "gate": self.gate,
        }

    # what agents said

    def wait_for(self, what, seconds=20):
        end = time.monotonic() + seconds
        with self.lock:
            while True:
                answer = what()
                if answer:
                    return answer
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not so after {seconds} s; reports: {self.reports[-5:]}")
                self.news.wait(min(left, 0.1))

    def hellos(self):
        return [r for r in self.reports if "hello" in r]

    def wait_hello(self, count=1):
        return self.wait_for(lambda: len(self.hellos()) >= count and self.hellos()[-1])

    def said(self, attempt, state=None):
        """What was reported of an attempt, in order."""
        return [
            a for r in self.reports for a in r.get("attempts", []) if a["id"] == attempt and state in (None, a["state"])
        ]

    def wait_said(self, attempt, state, count=1, seconds=20):
        return self.wait_for(lambda: len(self.said(attempt, state)) >= count and self.said(attempt, state)[-1], seconds)

    def devices(self):
        """The newest word on every device, by uuid."""
        newest = {}
        for r in self.reports:
            for d in r.get("devices", []):
                newest[d["uuid"]] = d
        return newest

    # what it tells them

    def send(self, **command):
        line = json.dumps(command)
        for lines in list(self.streams):
            lines.put(line)

    def name(self, job, n=1):
        return f"reeve-{self.site}-{job}-{n}"

    def start(self, command, devices=None, attempt=None, job=None, n=1, **more):
        hello = self.hellos()[-1]
        job = job or next(self.jobs)
        attempt = attempt or secrets.token_hex(16)
        spec = {"name": f"job-{job}", "command": command}
        spec.update(more.pop("spec", {}))
        message = {
            "type": "start",
            "epoch": self.epoch,
            "boot_id": hello["boot_id"],
            "data_id": hello["data_id"],
            "attempt": attempt,
            "name": self.name(job, n),
            "job": job,
            "n": n,
            "user": "alice",
            "devices": devices or [],
            "gpu_memory_mib": 0,
            "cpu_milli": 0,
            "memory_mib": 1024,
            "time_limit_ms": 0,
            "spec": spec,
        }
        message.update(more)
        self.send(**message)
        return attempt, job, message
