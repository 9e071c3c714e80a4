"""What benches of the real programs share: starting them, asking fast, percentiles, processes' use."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("REEVE_BUILD", TOP / "build-bench"))
sys.path.insert(0, str(TOP / "tests" / "system"))

from plant import Plant, free_port, until  # noqa: E402,F401

# The gate looks at the whole machine, and benches share it with whatever else runs there.
GATE = ["--gate-cpu", "100", "--gate-memory", "100"]


class Folder(Plant):
    """A plant that is gone at the end of a with block."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def say(text):
    print(text, flush=True)


def load():
    """How busy the machine is with other things, to be printed beside every figure."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Client:
    """One kept connection: requests' own costs are as large as what is measured."""

    def __init__(self, plant):
        self.connection = http.client.HTTPConnection("127.0.0.1", plant.api_port, timeout=120)
        self.headers = {
            "Authorization": f"Bearer {plant.admin_token}",
            "Content-Type": "application/json",
        }

    def send(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, data, self.headers)
        return self.connection.getresponse()

    def ask(self, method, path, body=None):
        answer = self.send(method, path, body)
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {data.decode(errors='replace')}")
        return json.loads(data)

    def submit_many(self, count, **fields):
        job = {"name": "train", "command": ["true"], **fields}
        for first in range(0, count, 1000):
            self.ask("POST", "/api/v1/jobs:batch", {"jobs": [job] * min(1000, count - first)})


def children(pid):
    """PID and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += children(int(child))
    return found


def cpu_seconds(pids):
    """Of these processes as they are now; by the scheduler, which counts to the nanosecond."""
    total = 0
    for pid in pids:
        for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(stat.read_text().split()[0])
    return total / 1e9


def memory_mib(pid, what="Rss"):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{what}:\s+(\d+)", text, re.M).group(1)) / 1024


def wrk(url, clients, seconds, *options):
    """Requests a second, and the latencies' p50 and p99 in ms."""
    out = subprocess.run(
        ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", "--latency", *options, url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "Non-2xx" in out:
        raise SystemExit(out)
    to_ms = {"us": 1e-3, "ms": 1, "s": 1e3}
    late = dict(re.findall(r"(50|99)%\s+(\S+)", out))
    late = {k: float(re.match(r"[\d.]+", v).group()) * to_ms[v.lstrip("0123456789.")] for k, v in late.items()}
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), late["50"], late["99"]


def sync_ms(folder, count=200):
    """What this disk takes to make a small write durable, median: the limit of all that is durable."""
    fd = os.open(Path(folder) / "sync", os.O_WRONLY | os.O_CREAT, 0o600)
    took = []
    for _ in range(count):
        os.write(fd, b"x" * 100)
        begin = time.perf_counter()
        os.fdatasync(fd)
        took.append((time.perf_counter() - begin) * 1000)
    os.close(fd)
    return percentile(took, 0.5)
