"""The real programs in a folder of their own: started, killed, started again, asked over HTTP."""

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import requests


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, seconds=30, every=0.05):
    """Asks until the answer is true, and gives it back."""
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"did not become true in {seconds} s: {what}")
        time.sleep(every)


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


class Plant:
    """One control plane and one agent with simulated GPUs, all files below one folder.

    Jobs start whatever else this machine does (it builds and tests beside us), unless GATE.
    """

    def __init__(self, build, scenario=None, reeved=(), agent=(), env=None, folder=None, gate=False):
        self.build = Path(build)
        self.folder = Path(folder or tempfile.mkdtemp(prefix="reeve-plant-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "server"
        self.agent_data = self.folder / "agent"
        self.api_port, self.agent_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.agent_url = f"http://127.0.0.1:{self.agent_port}"
        self.reeved_options = [*([] if gate else ["--no-gate"]), *reeved]
        self.agent_options = list(agent)
        self.env = dict(os.environ)
        self.env.pop("LD_PRELOAD", None)
        if scenario:
            self.env["REEVE_SIM_SCENARIO"] = str(scenario)
        self.env.update(env or {})
        self.reeved = self.agent = None
        self.session = requests.Session()

    # programs

    def start_reeved(self, extra_env=None, wait=True):
        log = open(self.folder / "reeved.log", "ab")
        self.reeved = subprocess.Popen(
            [
                str(self.build / "src/reeved/reeved"),
                "--data",
                str(self.data),
                "--listen",
                f"127.0.0.1:{self.api_port}",
                *self.reeved_options,
            ],
            env={**self.env, **(extra_env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        if wait:
            until(self.is_ready)
        return self.reeved

    def is_ready(self):
        if self.reeved and self.reeved.poll() is not None:
            raise AssertionError(f"reeved ended: {self.log_tail('reeved.log')}")
        try:
            return requests.get(self.url + "/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def start_agent(self, extra_env=None, wait=True):
        token_file = self.folder / "enrol.token"
        if not (self.agent_data / "node.key").exists():
            token_file.write_text(self.ask("POST", "/api/v1/enrolments", {}).json()["token"] + "\n")
        log = open(self.folder / "agent.log", "ab")
        self.agent = subprocess.Popen(
            [
                str(self.build / "src/agent/reeve-agent"),
                "--server",
                self.url,
                "--token-file",
                str(token_file),
                "--data",
                str(self.agent_data),
                "--listen",
                f"127.0.0.1:{self.agent_port}",
                "--gpu-library",
                str(self.build / "sim/libnvidia-ml.so.1"),
                "--node",
                "node-a",
                *self.agent_options,
            ],
            env={**self.env, **(extra_env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        if wait:
            until(self.node_is_ready)
        return self.agent

    def node_is_ready(self):
        if self.agent and self.agent.poll() is not None:
            raise AssertionError(f"reeve-agent ended: {self.log_tail('agent.log')}")
        nodes = self.ask("GET", "/api/v1/nodes").json()["items"]
        return any(n["state"] == "ready" and n["devices"] for n in nodes)

    def start(self):
        self.start_reeved()
        self.start_agent()
        return self

    def log_tail(self, name, count=2000):
        path = self.folder / name
        return path.read_text(errors="replace")[-count:] if path.exists() else ""

    def shims(self):
        """Process ids and folders of this plant's shims."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--shim" in words and any(str(self.agent_data).encode() in w for w in words):
                found.append((int(entry.name), words[words.index(b"--shim") + 1].decode()))
        # Between fork and exec a job still looks like its shim.
        pids = {pid for pid, _ in found}
        return [(pid, folder) for pid, folder in found if parent_of(pid) not in pids]

    def locking_shims(self):
        """The same, of those that hold their folder's lock: surely shims, and no job about to be one."""
        found = []
        for lock in self.agent_data.glob("attempts/*/lock"):
            try:
                with open(lock, "rb") as f:
                    asked = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                    kind, _, _, _, pid = struct.unpack("@hhqqi", fcntl.fcntl(f, fcntl.F_GETLK, asked))
            except OSError:
                continue
            if kind != fcntl.F_UNLCK and pid > 0:
                found.append((pid, str(lock.parent)))
        return found

    def stop(self, remove=True):
        for process in (self.agent, self.reeved):
            if process and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        for pid, _ in self.shims():
            self.end_process_group(pid)
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def end_process_group(pid):
        try:
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.05)
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    # asking

    @property
    def admin_token(self):
        return (self.data / "admin.token").read_text().split()[-1]

    def ask(self, method, path, body=None, token=None, headers=None, timeout=20, **more):
        h = {"Authorization": f"Bearer {token or self.admin_token}", **(headers or {})}
        if body is not None:
            more["data"] = json.dumps(body)
            h["Content-Type"] = "application/json"
        return self.session.request(method, self.url + path, headers=h, timeout=timeout, **more)

    def ask_socket(self, method, path):
        """The same over the unix socket, where this account is the administrator without a token."""
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.data / "reeved.sock"))
        connection.request(method, path)
        answer = connection.getresponse()
        body = json.loads(answer.read() or "null")
        connection.close()
        return answer.status, body

    def submit(self, command, **fields):
        answer = self.ask("POST", "/api/v1/jobs", {"command": command, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def job(self, job):
        return self.ask("GET", f"/api/v1/jobs/{job}").json()

    def wait_state(self, job, *states, seconds=30):
        states = states or ("Completed", "Failed", "Cancelled")

        def look():
            answer = self.job(job)
            return answer if answer["state"] in states else None

        return until(look, seconds)

    def log(self, job):
        return self.ask("GET", f"/api/v1/jobs/{job}/logs").text
