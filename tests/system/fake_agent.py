"""An agent of our own, word by word (docs/agent-protocol.md), for what a real one would not do."""

import json
import queue
import socket
import threading

import requests


def hang_up(answer):
    """Ends a stream that another thread reads: close() would wait for that thread's next byte."""
    try:
        answer.raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)
    except (AttributeError, OSError):
        pass


class FakeAgent:
    def __init__(self, plant, node, memory_mib=10240, devices=1):
        self.plant, self.node, self.seq = plant, node, 0
        self.boot, self.data = f"boot-{node}", f"data-{node}"
        self.devices = [
            {"uuid": f"GPU-{node}-{i}", "index": i, "model": "Fake", "vendor": "nvidia", "memory_mib": memory_mib}
            | {"health": "ok", "busy": False, "foreign": False, "free_mib": memory_mib, "gpu_pct": 0}
            for i in range(devices)
        ]
        token = plant.ask("POST", "/api/v1/enrolments", {"node": node}).json()["token"]
        answer = self.post("/agent/v1/enrol", {"node": node, "version": "0.1.0"}, key=token)
        assert answer.status_code == 200, answer.text
        self.one_time, self.key, self.id = token, answer.json()["key"], answer.json()["node_id"]
        self.lines = queue.Queue()
        self.stream = None

    def post(self, path, body=None, key=None, **more):
        if body is not None:
            more["data"] = json.dumps(body)
            more["headers"] = {"Content-Type": "application/json", **more.get("headers", {})}
        more["headers"] = {"Authorization": f"Bearer {key or self.key}", **more.get("headers", {})}
        return requests.post(self.plant.url + path, timeout=20, **more)

    def link(self):
        """Opens the stream, reads the welcome, says hello."""
        headers = {"Authorization": f"Bearer {self.key}"}
        self.stream = requests.get(self.plant.url + "/agent/v1/stream", headers=headers, stream=True, timeout=60)
        assert self.stream.status_code == 200, self.stream.text
        self.lines = queue.Queue()
        threading.Thread(target=self.read, args=(self.stream, self.lines), daemon=True).start()
        self.welcome = self.next_line()
        assert self.welcome["type"] == "welcome"
        return self

    @staticmethod
    def read(stream, lines):
        try:
            for line in stream.iter_lines(chunk_size=1):
                if line:
                    lines.put(json.loads(line))
        except (requests.RequestException, AttributeError):
            pass
        lines.put(None)

    def next_line(self, seconds=10):
        return self.lines.get(timeout=seconds)

    def report(self, **parts):
        self.seq += 1
        return self.post("/agent/v1/reports", {"boot_id": self.boot, "data_id": self.data, "seq": self.seq, **parts})

    def hello(self, attempts=(), isolation="user"):
        hello = {"version": "0.1.0", "features": [], "cpu_milli": 8000, "memory_mib": 65536, "isolation": isolation}
        host = {"busy": False, "cpu_pct": 1, "memory_pct": 2}
        answer = self.report(hello=hello, host=host, devices=self.devices, attempts=list(attempts))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def start(self):
        self.link()
        self.hello()
        return self

    def say(self, line, state, **more):
        """A word about the attempt that LINE told to start."""
        one = {"id": line["attempt"], "job": line["job"], "n": line["n"], "state": state, **more}
        answer = self.report(attempts=[one])
        assert answer.status_code == 200, answer.text
        assert answer.json()["acked"] == self.seq

    def print(self, line, text, offset=0, end=False):
        path = f"/agent/v1/logs/{line['job']}/{line['n']}?offset={offset}" + ("&end=true" if end else "")
        return self.post(path, data=text.encode(), headers={"Content-Type": "application/octet-stream"})

    def close(self):
        if self.stream:
            hang_up(self.stream)
