"""A server that answers the command line as schema/openapi.yaml says, and misbehaves on request.

It keeps no rules of its own: tests put into `jobs` what they want to see. For what needs the real
programs there are other tests.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TIME = "2026-01-31T09:00:00.250Z"
LOG = b"epoch 1/2 loss 2.31\nepoch 2/2 loss 1.07\n"
TOKEN = "stub-token"


def a_job(number, **fields):
    job = {
        "id": number,
        "name": "train.py",
        "user": "alice",
        "state": "Queued",
        "position": 1,
        "reason": None,
        "attempt": 0,
        "submitted_at": TIME,
        "started_at": None,
        "wait_ms": 20,
        "run_ms": None,
        "progress": None,
        "devices": [],
    }
    return job | fields


class Stub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.jobs = {}
        self.requests = []  # (method, path, headers, body)
        self.script = {}  # job id -> states it goes through, one a GET
        self.fail_posts = 0  # answer so many POSTs with 503
        self.raw = None  # what GET /api/v1/jobs answers instead
        self.page_most = 1000  # items a page has at most
        self.cut_logs = 0  # break the connection so many times in the middle of a followed log
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()

    def advance(self, number):
        """The next state that the script has for this job, if any."""
        steps = self.script.get(number)
        if steps:
            self.jobs[number] |= steps.pop(0)
        return self.jobs[number]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value=None, headers=()):
        body = b"" if value is None else json.dumps(value, separators=(",", ":")).encode()
        kind = "application/problem+json" if status >= 400 else "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def problem(self, status, slug, detail):
        self.answer(status, {"type": f"urn:reeve:error:{slug}", "title": slug, "status": status, "detail": detail})

    def with_etag(self, value):
        etag = f'"{hash(json.dumps(value)) & 0xFFFFFFFF:x}"'
        if self.headers.get("If-None-Match") == etag:
            self.answer(304, None, [("ETag", etag)])
        else:
            self.answer(200, value, [("ETag", etag)])

    def do(self):
        url = urlsplit(self.path)
        self.path_only, self.query = url.path, {k: v[0] for k, v in parse_qs(url.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        self.body = json.loads(self.rfile.read(length)) if length else None
        self.server.requests.append((self.command, self.path, dict(self.headers), self.body))
        if self.path_only in ("/readyz", "/healthz"):
            return self.answer(200, {"status": "ok"})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.problem(401, "unauthenticated", "a valid token is needed")
        return self.route(self.command + " " + self.path_only)

    do_GET = do_POST = do_DELETE = do_PATCH = do

    def route(self, what):
        s = self.server
        if what == "POST /api/v1/jobs":
            return self.submit([self.body], one=True)
        if what == "POST /api/v1/jobs:batch":
            return self.submit(self.body["jobs"], one=False)
        if what == "GET /api/v1/jobs":
            return self.list_jobs()
        if what == "GET /api/v1/queue":
            waiting = [j for j in s.jobs.values() if j["state"] == "Queued"]
            running = [j for j in s.jobs.values() if j["state"] == "Running"]
            return self.with_etag(
                {"items": running + waiting, "queue_length": len(waiting), "running": len(running), "next_cursor": None}
            )
        if what == "GET /api/v1/status":
            return self.answer(200, STATUS)
        if what == "GET /api/v1/whoami":
            return self.answer(200, {"user": "alice", "role": "user", "permissions": ["token", "submit"]})
        if what in ("GET /api/v1/nodes", "GET /api/v1/devices"):
            return self.with_etag({"items": NODES if "nodes" in what else DEVICES, "next_cursor": None})
        if what == "POST /api/v1/tokens":
            return self.answer(201, {"id": 3, "token": "rv_secret", "user": self.body["user"]})
        if what == "POST /api/v1/users":
            return self.problem(403, "denied", "role 'user' may not add users")
        if what == "POST /api/v1/ledger:verify":
            return self.answer(200, {"rows": 12, "ok": False, "first_bad": 7, "head": "ab"})
        if what == "POST /api/v1/ledger:replay":
            return self.answer(200, {"plans": 4, "identical": True, "first_different": None})
        return self.one_job(what)

    def submit(self, jobs, one):
        s = self.server
        if s.fail_posts:
            s.fail_posts -= 1
            return self.problem(503, "unavailable", "the disk is full, try again")
        made = []
        for body in jobs:
            number = len(s.jobs) + 1
            s.jobs[number] = a_job(number, position=number, name=body.get("name") or body["command"][0])
            made.append(s.jobs[number])
        return self.answer(
            201, made[0] if one else {"items": [{"id": j["id"], "position": j["position"]} for j in made]}
        )

    def list_jobs(self):
        if self.server.raw is not None:
            body = self.server.raw.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        wanted = self.query.get("state", "").split(",") if "state" in self.query else None
        items = [j for j in reversed(self.server.jobs.values()) if not wanted or j["state"] in wanted]
        start, limit = int(self.query.get("cursor", 0)), int(self.query.get("limit", 100))
        limit = min(limit, self.server.page_most)
        if "fields" in self.query:
            items = [{k: v for k, v in j.items() if k in self.query["fields"].split(",")} for j in items]
        more = str(start + limit) if start + limit < len(items) else None
        self.with_etag({"items": items[start : start + limit], "next_cursor": more})

    def one_job(self, what):
        parts = self.path_only.split("/")
        number = int(parts[4]) if len(parts) > 4 and parts[4].isdigit() else 0
        if number not in self.server.jobs:
            return self.problem(404, "not-found", f"there is no job {parts[-1]}")
        if what.endswith("/logs"):
            return self.logs()
        if what.endswith("/cancel"):
            return self.answer(202, self.server.jobs[number] | {"state": "Cancelled"})
        if what.endswith(("/hold", "/release")):
            self.server.jobs[number]["held"] = what.endswith("/hold")
            self.server.jobs[number]["reason"] = (self.body or {}).get("why")
            return self.answer(200, self.server.jobs[number])
        return self.with_etag(self.server.advance(number))

    def logs(self):
        offset = int(self.query.get("offset", 0))
        if "tail" in self.query:
            offset = max(0, len(LOG) - int(self.query["tail"]))
        if self.query.get("follow") != "true":
            # What is there before the follower comes: the first line.
            part = LOG[offset:] if "tail" in self.query else LOG[offset : max(offset, 20)]
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Reeve-Log-Offset", str(offset))
            self.send_header("Reeve-Log-Next", str(offset + len(part)))
            self.end_headers()
            self.wfile.write(part)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(offset, len(LOG), 7):
            part = LOG[i : i + 7]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
            if self.server.cut_logs:
                self.server.cut_logs -= 1
                time.sleep(0.05)
                self.close_connection = True
                self.connection.close()
                return
        self.wfile.write(b"0\r\n\r\n")


NODES = [
    {
        "name": "gpu-a",
        "state": "ready",
        "since": TIME,
        "version": "0.1.0",
        "cpu": 16,
        "memory": 65536,
        "isolation": "user",
        "skew_ms": 3,
        "last_report_at": TIME,
        "devices": [{}],
    }
]
DEVICES = [
    {
        "id": 1,
        "node": "gpu-a",
        "index": 0,
        "uuid": "GPU-1f3a",
        "model": "NVIDIA GeForce RTX 3080",
        "state": "allocated",
        "memory_total_mib": 10240,
        "memory_used_mib": 3072,
        "gpu_utilization": 88,
        "power_watts": 240.5,
        "temperature_celsius": 61,
        "job": {"id": 1, "user": "alice"},
    }
]
STATUS = {
    "version": "0.1.0",
    "site": "ab12cd34",
    "uptime_ms": 61000,
    "queue_length": 1,
    "running": 1,
    "nodes": {"total": 1, "ready": 1, "unknown": 0, "lost": 0},
    "devices": {"total": 1, "allocated": 1},
    "submit_to_start_ms": {"p50": 12, "p99": 41},
    "status_latency_ms": {"p50": 0.2, "p99": 0.9},
    "gpu_busy_percent": 71.5,
    "wait_run_ratio": 0.4,
    "cost_today_micros": 1234,
    "currency": "USD",
    "energy_today_joules": 5000.0,
    "time": {"jobs_us": 3000000, "idle_us": 1000000},
}
