"""Reeve's control plane inside the cluster's network, what tests ask of it, and the GPUs that a node says it has."""

import contextlib
import json
import signal
from pathlib import Path

import requests
from faults import wait_for
from parts.components import NODE

GPU = "nvidia.com/gpu"
PORT = 18081
OVER = ("Completed", "Failed", "Cancelled")


class Refused(AssertionError):
    """An answer that is an error."""


class Reeve:
    """One reeved, as an administrator starts it with a kubeconfig; its state outlives its process."""

    def __init__(self, cluster, space, build: Path, folder: Path, *options: str, **settings):
        self.cluster, self.space, self.build, self.folder = cluster, space, build, folder
        self.options = list(options)
        self.kubeconfig = Path(cluster.place.environment()["KUBECONFIG"])
        self.process = None
        self.tokens: dict[str, str] = {}
        (folder / "settings.yaml").write_text(json.dumps({"pull_policy": "Never", "grace_s": 2} | settings))

    def start(self, failpoints: str = "") -> None:
        self.process = self.cluster.popen(
            str(self.build / "src/reeved/reeved"),
            f"--data={self.folder / 'data'}",
            f"--listen=127.0.0.1:{PORT}",
            "--web=",
            f"--kube={self.kubeconfig}",
            f"--kube-namespace={self.space.name}",
            "--kube-image=localhost/test:1",
            f"--kube-settings={self.folder / 'settings.yaml'}",
            "--retry-pause=100ms",
            *self.options,
            env={"PATH": "/usr/bin:/bin"} | ({"REEVE_FAILPOINTS": failpoints} if failpoints else {}),
            stderr=(self.folder / "log").open("ab"),
        )
        wait_for("reeved ready", self.is_ready, 30)

    def stop(self, by: int = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(by)
            self.process.wait(20)

    def end(self) -> None:
        """With what it said, and with everything of its jobs."""
        print((self.folder / "log").read_text(errors="replace")[-8000:])
        self.stop()
        for kind in ("workflows", "jobs", "pods"):
            for item in self.space.get(kind)["items"]:
                patch = ("--type=merge", "--patch", '{"metadata":{"finalizers":null}}')
                self.space.does("patch", kind, item["metadata"]["name"], *patch)
            self.space.kubectl("delete", kind, "--all", "--grace-period=1", "--wait=false")

    # ---- asked ----

    def is_ready(self) -> bool:
        assert self.process.poll() is None, f"reeved has ended:\n{(self.folder / 'log').read_text()[-4000:]}"
        with contextlib.suppress(requests.RequestException):
            return self.call("GET", "/readyz").status_code == 200
        return False

    def call(self, method: str, path: str, body: dict | None = None, token: str = "", **more) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with self.cluster.network():
            url = f"http://127.0.0.1:{PORT}{path}"
            return requests.request(method, url, json=body, headers=headers, timeout=30, **more)

    def token(self, user: str) -> str:
        return self.tokens[user] if user else (self.folder / "data/admin.token").read_text().split()[-1]

    def text(self, method: str, path: str, body: dict | None = None, user: str = "") -> str:
        answer = self.call(method, path, body, self.token(user))
        if answer.status_code // 100 != 2:
            raise Refused(f"{path}: {answer.status_code} {answer.text}")
        return answer.text

    def ask(self, method: str, path: str, body: dict | None = None, user: str = "") -> dict:
        return json.loads(self.text(method, path, body, user))

    def add_user(self, name: str) -> None:
        self.ask("POST", "/api/v1/users", {"name": name, "role": "user"})
        self.tokens[name] = self.ask("POST", "/api/v1/tokens", {"user": name, "name": "test"})["token"]

    # ---- jobs ----

    def submit(self, script: str = "", user: str = "", **fields) -> int:
        """A shell script on one GPU, or whatever FIELDS say."""
        body = {"gpus": 1} | ({"command": ["sh", "-c", script]} if script else {}) | fields
        return self.ask("POST", "/api/v1/jobs", body, user)["id"]

    def cancel(self, job: int) -> None:
        self.ask("POST", f"/api/v1/jobs/{job}/cancel", {})

    def job(self, job: int) -> dict:
        return self.ask("GET", f"/api/v1/jobs/{job}")

    def wait(self, job: int, *states: str, seconds: float = 120) -> dict:
        """Until it is in one of these states, else until it is over."""

        def there() -> dict | None:
            answer = self.job(job)
            assert not states or answer["state"] not in OVER or answer["state"] in states, answer
            return answer if answer["state"] in (states or OVER) else None

        return wait_for(f"job {job} {' or '.join(states or OVER)}", there, seconds)

    def reads(self, job: int, words: str, seconds: float = 60) -> dict:
        """Until its reason has these words."""

        def there() -> dict | None:
            answer = self.job(job)
            return answer if words in (answer.get("reason") or "") else None

        return wait_for(f"job {job} saying '{words}'", there, seconds)

    def output(self, job: int, user: str = "") -> str:
        return self.text("GET", f"/api/v1/jobs/{job}/logs", None, user)

    # ---- the cluster, as Reeve sees it and as it is ----

    def node(self) -> dict:
        return next((n for n in self.ask("GET", "/api/v1/nodes")["items"] if n["name"] == NODE), {"state": ""})

    def pods(self) -> list[dict]:
        return self.space.get("pods")["items"]

    def check_ledger(self) -> None:
        assert self.ask("POST", "/api/v1/ledger:verify", {})["ok"]
        replay = self.ask("POST", "/api/v1/ledger:replay?from_start=true", {})
        assert replay["identical"], replay


def give_gpus(cluster, count: int) -> None:
    """The node says from now on that it has so many."""

    def node(part: str) -> int:
        return int(cluster.get("node", NODE)["status"][part].get(GPU, 0))

    path = "/status/capacity/" + GPU.replace("/", "~1")
    change = {"op": "add", "path": path, "value": str(count)} if count else {"op": "remove", "path": path}
    if count or node("capacity"):
        patch = ("patch", "node", NODE, "--subresource=status", "--type=json", "--patch", json.dumps([change]))
        cluster.kubectl(*patch)
    wait_for(f"{count} GPUs", lambda: node("allocatable") == count, 60)
