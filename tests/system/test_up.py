"""`reeve up`: a whole machine from one command, and what it survives."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import requests


def until(what, seconds=30):
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"did not become true in {seconds} s")
        time.sleep(0.05)


def processes_with(words):
    """Process ids whose command line holds all these words."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace") if entry.name.isdigit() else ""
        except OSError:
            continue
        if line and all(word in line for word in words) and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


class Machine:
    """`reeve up` with everything below one folder."""

    def __init__(self, build, folder):
        self.build, self.data = build, folder / "data"
        self.log = folder / "up.log"
        self.program = None
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("REEVE_")}
        self.env |= {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
        self.env["REEVE_GATE"] = "false"  # other tests beside this one are no reason to wait

    def start(self, *options):
        with self.log.open("ab") as log:
            self.program = subprocess.Popen(
                [
                    self.build / "src/cli/reeve", "up", "--data", self.data, "--listen", "127.0.0.1:0",
                    "--agent-listen", "127.0.0.1:0", *options,
                ],
                env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until(lambda: "Try in another terminal" in self.log.read_text() or self.program.poll() is not None)
        assert self.program.poll() is None, self.log.read_text()
        return self

    def reeve(self, *words, **more):
        return subprocess.run(
            [self.build / "src/cli/reeve", *words],
            env=self.env | {"REEVE_SERVER": f"unix:{self.data}/reeved.sock"},
            capture_output=True, text=True, timeout=60, check=False, **more,
        )  # fmt: skip

    def job(self, number):
        return json.loads(self.reeve("show", str(number), "-o", "json").stdout or "{}")

    def child(self, name):
        found = processes_with([f"/{name}\0", str(self.data)])
        return found[0] if found else None

    def stop(self, how=signal.SIGTERM):
        self.program.send_signal(how)
        return self.program.wait(timeout=30)


@pytest.fixture
def machine(build):
    """In a folder that every account can reach: as root, jobs run as their users."""
    folder = Path(tempfile.mkdtemp(prefix="reeve-up-"))
    folder.chmod(0o755)
    m = Machine(build, folder)
    yield m
    if m.program and m.program.poll() is None:
        m.stop()
    for pid in processes_with([str(folder)]):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_job_goes_through_a_machine_without_a_gpu(machine):
    machine.start()
    here = machine.data.parent
    done = machine.reeve("submit", "--logs", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; pwd", cwd=here)
    assert done.returncode == 0, done.stderr
    assert re.search(r"GPU-[0-9a-f-]{36}\n" + re.escape(str(here)), done.stdout)
    job = machine.job(1)
    assert (job["state"], job["exit_code"], job["user"]) == ("Completed", 0, "admin")
    assert machine.reeve("submit", "--wait", "--", "sh", "-c", "exit 3").returncode == 10
    assert machine.reeve("ledger", "verify").returncode == 0
    assert machine.reeve("ledger", "replay").returncode == 0
    assert "RTX 3080" in machine.reeve("devices").stdout
    assert machine.reeve("doctor").returncode == 0
    token = (machine.data / "admin.token").read_text().split()[-1]
    assert (machine.data / "admin.token").stat().st_mode & 0o777 == 0o600
    assert token not in machine.log.read_text()
    assert machine.stop() == 0
    assert not processes_with([str(machine.data)])


def test_the_link_to_the_page_is_printed_and_a_new_one_after_use(machine):
    machine.start()
    links = re.compile(r"^page: (http://127\.0\.0\.1:\d+)/#/link=([0-9a-f]{32})$", re.M)
    ((base, code),) = until(lambda: links.findall(machine.log.read_text()))
    first = requests.post(base + "/api/v1/sessions", json={"code": code}, timeout=10)
    assert first.status_code == 201 and first.json()["user"] == "admin"
    (_, (base, code)) = until(lambda: len(found := links.findall(machine.log.read_text())) == 2 and found)
    assert requests.post(base + "/api/v1/sessions", json={"code": code}, timeout=10).status_code == 201


def test_what_died_is_started_again_and_jobs_go_on(machine):
    machine.start()
    assert machine.reeve("submit", "--", "sleep", "4").returncode == 0
    until(lambda: machine.job(1).get("state") == "Running")
    for name in ("reeved", "reeve-agent"):
        old = machine.child(name)
        os.kill(old, signal.SIGKILL)
        until(lambda name=name, old=old: machine.child(name) not in (None, old))
    done = until(lambda: machine.job(1).get("state") == "Completed" and machine.job(1))
    assert done["attempt"] == 1 and done["exit_code"] == 0


def test_a_killed_machine_leaves_its_jobs_running_and_finds_them_again(machine):
    machine.start()
    assert machine.reeve("submit", "--", "sleep", "4").returncode == 0
    until(lambda: machine.job(1).get("state") == "Running")
    machine.stop(signal.SIGKILL)
    until(lambda: not machine.child("reeved") and not machine.child("reeve-agent\0--server"))
    assert processes_with(["--shim", str(machine.data)])
    machine.log.unlink()
    machine.start()
    done = until(lambda: machine.job(1).get("state") == "Completed" and machine.job(1))
    assert done["attempt"] == 1


def test_an_agent_that_lost_its_key_is_let_in_again(machine):
    machine.start()
    old = machine.child("reeve-agent")
    (machine.data / "agent/node.key").unlink()
    os.kill(old, signal.SIGKILL)
    until(lambda: (machine.data / "agent/node.key").exists())
    assert machine.reeve("submit", "--wait", "--", "true").returncode == 0


def test_dying_before_the_agents_token_is_kept_costs_nothing(machine):
    """The row up.token of docs/crash-points.md."""
    machine.env["REEVE_FAILPOINTS"] = "up.token=kill@1"
    with pytest.raises(AssertionError):
        machine.start()
    assert machine.program.wait(timeout=30) == -signal.SIGKILL
    until(lambda: not machine.child("reeved"))
    del machine.env["REEVE_FAILPOINTS"]
    machine.start()
    assert machine.reeve("submit", "--wait", "--", "true").returncode == 0


def test_two_machines_do_not_share_a_data_folder(machine):
    machine.start()
    done = subprocess.run(
        [machine.build / "src/cli/reeve", "up", "--data", machine.data],
        env=machine.env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 5
    assert "runs already" in done.stderr


def test_a_program_that_cannot_start_ends_it_with_the_reason(machine):
    done = subprocess.run(
        [machine.build / "src/cli/reeve", "up", "--data", machine.data, "--listen", "203.0.113.1:8081"],
        env=machine.env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "before it was ready" in done.stderr
    assert not processes_with([str(machine.data)])


def demo(machine, folder, *options):
    return [
        machine.build / "src/cli/reeve", "up", "--demo", "--data", folder,
        "--listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0", *options,
    ]  # fmt: skip


def nothing_is_left(folder):
    return not processes_with([str(folder)]) and not list(Path("/var/lib").glob("reeve-demo-*"))


def test_the_demo_ends_with_a_table_and_leaves_nothing_behind(machine, tmp_path):
    if "-fsanitize=" in (machine.build / "build.ninja").read_text():
        pytest.skip("the example computes ten times as long with sanitizers")
    tmp_path.chmod(0o700)  # its jobs must find a way all the same
    done = subprocess.run(
        demo(machine, tmp_path, "--once"), env=machine.env, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout[done.stdout.index("\nid ") :].strip().splitlines()
    for word in ("wait", "run", "energy", "cost"):
        assert word in table[0].split()
    rows = [line.split() for line in table[1:7]]
    assert [row[3] for row in rows] == ["completed"] * 6
    assert sorted({row[2] for row in rows}) == ["alice", "bob", "carol"]
    assert all(int(row[-1].rstrip("%")) > 60 for row in rows)  # it has learnt: chance is 8 %
    assert nothing_is_left(tmp_path)


def test_a_demo_whose_port_is_taken_says_so(machine, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options = ["--listen", f"127.0.0.1:{taken.getsockname()[1]}"]
        done = subprocess.run(
            demo(machine, tmp_path, *options), env=machine.env, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode != 0
    assert "the address is in use" in done.stderr
    assert nothing_is_left(tmp_path)


def test_a_demo_that_is_interrupted_ends_its_jobs(machine, tmp_path):
    with subprocess.Popen(
        demo(machine, tmp_path), env=machine.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        for line in program.stdout:
            if "Running" in line:
                break
        program.send_signal(signal.SIGTERM)
        program.stdout.read()
        assert program.wait(timeout=60) == 0
    until(lambda: nothing_is_left(tmp_path))


def test_a_demo_ends_what_a_killed_one_left_running(machine, tmp_path):
    for how in (signal.SIGKILL, signal.SIGTERM):
        with subprocess.Popen(
            demo(machine, tmp_path), env=machine.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as program:
            for line in program.stdout:
                if "Running" in line:
                    break
            program.send_signal(how)
            program.stdout.read()
            program.wait(timeout=60)
    until(lambda: nothing_is_left(tmp_path))
