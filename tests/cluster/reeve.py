"""Reeve's control plane inside the cluster's network, and what tests ask of it."""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from faults import wait_for

PORT = 8081
ENDS = ("Completed", "Failed", "Cancelled")


class Refused(OSError):
    """An answer that is an error."""


class Reeve:
    """One reeved, whose state outlives its process."""

    def __init__(self, cluster, build: Path, folder: Path, settings: dict, *options: str):
        self.cluster = cluster
        self.program = build / "src/reeved/reeved"
        self.data = folder / "data"
        self.log = folder / "reeved.log"
        settings_file = folder / "settings.json"
        settings_file.write_text(json.dumps(settings))
        self.command = [
            str(self.program),
            f"--data={self.data}",
            f"--listen=127.0.0.1:{PORT}",
            "--web=",
            f"--kube={cluster.place.admin}",
            f"--kube-settings={settings_file}",
            *options,
        ]
        self.process: subprocess.Popen | None = None

    def start(self, **env: str) -> None:
        with self.log.open("ab") as log:
            self.process = self.cluster.popen(*self.command, env=os.environ | env, stdout=log, stderr=log)

        def ready() -> bool:
            assert self.process.poll() is None, f"reeved has ended:\n{self.tail()}"
            return self.answers("/readyz")

        wait_for("reeved ready", ready, 60)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def answers(self, path: str) -> bool:
        try:
            self.ask(path)
        except OSError:
            return False
        return True

    def ask(self, path: str, body: dict | None = None, method: str | None = None):
        """An answer's JSON, or text."""
        file = self.data / "admin.token"
        token = file.read_text().strip() if file.exists() else ""
        request = urllib.request.Request(
            f"http://127.0.0.1:{PORT}{path}",
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with self.cluster.network(), opener.open(request, timeout=30) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Refused(f"{path}: {error.code} {error.read().decode()}") from error
        try:
            return json.loads(text)
        except ValueError:
            return text

    def submit(self, **job) -> int:
        return self.ask("/api/v1/jobs", job)["id"]

    def job(self, number: int) -> dict:
        return self.ask(f"/api/v1/jobs/{number}")

    def until(self, number: int, *states: str, seconds: float = 90) -> dict:
        def there() -> dict | None:
            job = self.job(number)
            assert job["state"] not in ENDS or job["state"] in states, job
            return job if job["state"] in states else None

        return wait_for(f"job {number} {' or '.join(states)}", there, seconds)

    def over(self, number: int, seconds: float = 120) -> dict:
        return self.until(number, *ENDS, seconds=seconds)

    def reads(self, number: int, words: str, seconds: float = 60) -> dict:
        """Until the job's reason has these words."""

        def there() -> dict | None:
            job = self.job(number)
            return job if words in (job.get("reason") or "") else None

        return wait_for(f"job {number} saying '{words}'", there, seconds)

    def output(self, number: int) -> str:
        return self.ask(f"/api/v1/jobs/{number}/logs")

    def cancel(self, number: int) -> None:
        self.ask(f"/api/v1/jobs/{number}/cancel", {})
