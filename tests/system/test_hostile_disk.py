"""Disks that are full, read-only or broken, and clocks that jump: what was accepted stays accepted."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from hostile import control_plane, has_lost_nothing, is_problem
from plant import Plant, free_port, until

JOBS = "/api/v1/jobs"
MIB = 1 << 20


@contextlib.contextmanager
def small_disk(folder, mib):
    """A tmpfs of this size at FOLDER; mounting needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={mib}m,mode=0711"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "reeve-test", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here: " + done.stderr.decode().strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def free_mib(folder):
    s = os.statvfs(folder)
    return s.f_bavail * s.f_frsize / MIB


def fill(folder, leave_mib):
    """Takes all but so much of the disk; gives back what is to be removed."""
    path = folder / f"filler{time.monotonic_ns()}"
    with open(path, "wb", buffering=0) as f:
        amount = int(free_mib(folder) - leave_mib) * MIB
        if amount > 0:
            os.posix_fallocate(f.fileno(), 0, amount)
        if leave_mib == 0:
            with contextlib.suppress(OSError):
                while True:
                    f.write(b"x" * 4096)
    return path


def held_job(plant, flag, **fields):
    """Runs until FLAG is there."""
    return plant.submit(["sh", "-c", f"until [ -e {flag} ]; do sleep 0.1; done; echo done"], **fields)["id"]


def test_on_a_full_disk_submissions_are_refused_while_jobs_end(build, open_folder):
    flags = [open_folder / f"flag{i}" for i in range(2)]
    with small_disk(open_folder / "server", 400) as disk:
        p = Plant(build, agent=["--sample", "1s"], folder=open_folder).start()
        try:
            first = held_job(p, flags[0])
            p.wait_state(first, "Running")
            second = held_job(p, flags[1])
            accepted = [first, second]

            low = fill(disk, 100)
            refused = until(lambda: said_503(p), 10)[0]
            assert "MiB" in is_problem(refused, 503)["detail"] and int(refused.headers["Retry-After"]) >= 1
            # The first ends, the second starts, and all that is recorded.
            flags[0].touch()
            assert p.wait_state(first)["state"] == "Completed"
            p.wait_state(second, "Running")

            full = fill(disk, 0)
            flags[1].touch()
            time.sleep(2)
            began = time.monotonic()
            refused = p.ask("POST", JOBS, {"command": ["true"]}, timeout=20)
            is_problem(refused, 503)
            assert int(refused.headers["Retry-After"]) >= 1
            cancel = p.ask("POST", f"{JOBS}/{second}/cancel", timeout=20)
            assert cancel.status_code in (200, 202, 409, 503), cancel.text
            assert p.ask("GET", JOBS).status_code == 200 and p.is_ready()
            assert time.monotonic() - began < 10
            assert p.reeved.poll() is None

            full.unlink()
            low.unlink()
            assert p.wait_state(second)["state"] == "Completed"
            accepted.append(until(lambda: taken(p), 20))
            assert p.wait_state(accepted[-1])["state"] == "Completed"
            has_lost_nothing(p, accepted)
            p.reeved.kill()
            p.reeved.wait()
            p.start_reeved()
            has_lost_nothing(p, accepted)
            assert p.job(second)["state"] == "Completed"
        finally:
            print(p.log_tail("reeved.log"))
            p.stop(remove=False)


def said_503(p):
    answer = p.ask("POST", JOBS, {"command": ["true"]})
    return [answer] if answer.status_code == 503 else None


def taken(p):
    answer = p.ask("POST", JOBS, {"command": ["true"]})
    return answer.json()["id"] if answer.status_code == 201 else None


def test_an_agent_whose_disk_is_full_loses_no_exit_code(build, open_folder):
    flag = open_folder / "flag"
    with small_disk(open_folder / "agent", 40) as disk:
        p = Plant(build, agent=["--sample", "1s"], folder=open_folder).start()
        try:
            script = f"until [ -e {flag} ]; do sleep 0.1; done; head -c 9000000 /dev/zero | tr '\\0' x; exit 7"
            job = p.submit(["sh", "-c", script])["id"]
            p.wait_state(job, "Running")
            full = fill(disk, 0)
            flag.touch()
            ended = p.wait_state(job)
            assert ended["state"] == "Failed" and ended["exit_code"] == 7, ended
            # What cannot be started now waits and says so; it is not tried a thousand times a second.
            later = p.submit(["true"])["id"]
            time.sleep(2)
            assert p.agent.poll() is None
            seen = p.job(later)
            assert seen["state"] == "Queued" and "refused a start" in seen["reason"], seen
            assert 1 <= len(seen["attempts"]) < 5 and "No space left" in seen["attempts"][0]["reason"], seen
            full.unlink()
            assert p.wait_state(later)["state"] == "Completed"
            has_lost_nothing(p, [job, later])
            p.agent.terminate()
            p.agent.wait(20)
            p.start_agent()
            until(lambda: not list((disk / "attempts").iterdir()), 20)
        finally:
            print(p.log_tail("agent.log"))
            p.stop(remove=False)


# ---- what cannot be opened ----


def ends_with_a_sentence(build, data, *options):
    """Starts reeved there; it must end by itself, not by a signal, and say why in words."""
    done = subprocess.run(
        [str(build / "src/reeved/reeved"), "--data", str(data), "--listen", f"127.0.0.1:{free_port()}", *options],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert 0 < done.returncode < 128, (done.returncode, done.stderr)
    assert done.stderr.startswith("reeved: ") or "\nreeved: " in done.stderr, done.stderr
    return done.stderr


@pytest.fixture
def stopped(build, tmp_path):
    """A control plane with twenty jobs, at rest."""
    p = control_plane(build, tmp_path)
    p.accepted = [p.submit(["true"], labels={"a": "b" * 200})["id"] for _ in range(20)]
    p.reeved.terminate()
    p.reeved.wait(20)
    yield p
    p.stop()


def test_a_read_only_disk_is_refused_with_a_sentence(build, tmp_path):
    with small_disk(tmp_path / "server", 50) as disk:
        p = control_plane(build, tmp_path)
        accepted = [p.submit(["true"])["id"]] if free_mib(disk) > 300 else []
        p.reeved.terminate()
        p.reeved.wait(20)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "read-only" in ends_with_a_sentence(build, disk).lower()
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        p.start_reeved()
        has_lost_nothing(p, accepted)
        p.stop(remove=False)


def damage_header(data):
    data[0:100] = os.urandom(100)


def damage_everything(data):
    data[:] = os.urandom(len(data))


def damage_pages(data):
    for at in range(4096, len(data), 4096):
        data[at : at + 2000] = b"\xa5" * 2000


def damage_length(data):
    del data[len(data) // 2 + 100 :]


@pytest.mark.parametrize("damage", [damage_header, damage_everything, damage_pages, damage_length])
def test_a_corrupt_database_is_refused_and_left_as_it_is(build, stopped, damage):
    path = stopped.data / "reeve.db"
    whole, data = path.read_bytes(), bytearray(path.read_bytes())
    damage(data)
    path.write_bytes(data)
    said = ends_with_a_sentence(build, stopped.data)
    assert "database" in said, said
    assert path.read_bytes() == bytes(data)
    path.write_bytes(whole)
    stopped.start_reeved()
    has_lost_nothing(stopped, stopped.accepted)


def test_a_database_newer_than_the_program_is_refused_with_a_sentence(build, stopped):
    path = stopped.data / "reeve.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE schema_version SET version = version + 1000")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    said = ends_with_a_sentence(build, stopped.data)
    assert "newer than this program" in said, said
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE schema_version SET version = version - 1000")
        db.commit()
    stopped.start_reeved()
    has_lost_nothing(stopped, stopped.accepted)


def test_a_second_program_on_the_same_data_is_refused_and_harms_nothing(build, tmp_path):
    p = control_plane(build, tmp_path)
    try:
        accepted = [p.submit(["true"])["id"]]
        token, ports = p.admin_token, (p.data / "reeved.ports").read_bytes()
        said = ends_with_a_sentence(build, p.data)
        assert str(p.reeved.pid) in said or "another program" in said, said
        # The files by which others find the first one are still its own.
        assert (p.data / "reeved.ports").read_bytes() == ports
        assert (p.data / "reeved.sock").is_socket() and p.admin_token == token
        # Nor may it when the store is called by another address.
        said = ends_with_a_sentence(build, tmp_path / "elsewhere", "--store", f"sqlite:{p.data}/reeve.db")
        assert str(p.reeved.pid) in said, said
        accepted.append(p.submit(["true"])["id"])
        has_lost_nothing(p, accepted)
    finally:
        p.stop()


def test_a_data_folder_that_is_none_is_refused(build, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "file", tmp_path / "file/below", tmp_path / "link", Path("/proc/reeve")):
        ends_with_a_sentence(build, path)
    for option in (["--silence", "x"], ["--pue", "-1"], ["--listen", "nowhere"], ["--nonsense"], ["--store", "x:y"]):
        ends_with_a_sentence(build, tmp_path / "d", *option)
    for text in ("listen: [1", "\xff", "a: &a [*a, *a]", "log-level: {a: b}", "unknown: 1", "- x", "a: b: c", "\0"):
        (tmp_path / "c.yaml").write_bytes(text.encode("latin-1"))
        ends_with_a_sentence(build, tmp_path / "d", "--config", str(tmp_path / "c.yaml"))


# ---- clocks ----


def faketime_library():
    if not shutil.which("faketime"):
        pytest.skip("faketime is not installed")
    found = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    return str(found) if found else pytest.skip("libfaketimeMT.so.1 is not there")


@pytest.mark.plain("a library is preloaded")
def test_a_clock_that_jumps_two_hours_expires_nothing(build, open_folder):
    offset = open_folder / "offset"
    offset.write_text("+0\n")
    env = {
        "LD_PRELOAD": faketime_library(),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    flag = open_folder / "flag"
    p = Plant(build, agent=["--sample", "1s"], folder=open_folder, reeved=["--silence", "10s", "--lost-after", "20s"])
    p.start_reeved(env)
    p.start_agent()
    try:
        token = p.ask("POST", "/api/v1/tokens", {"user": "admin", "expires_in": "1h"}).json()["token"]
        job = held_job(p, flag, time_limit="1h")
        waits = p.ask("POST", JOBS, {"command": ["true"]}, headers={"Idempotency-Key": "jump"}).json()["id"]
        p.wait_state(job, "Running")
        for jump, count in (("+7200", 1), ("-7200", 2)):
            offset.write_text(jump + "\n")
            until(lambda n=count: len(steps(p)) >= n, 20)
            assert p.ask("GET", JOBS, token=token).status_code == 200
            assert p.node_is_ready() and p.job(job)["state"] == "Running", p.job(job)
            again = p.ask("POST", JOBS, {"command": ["true"]}, headers={"Idempotency-Key": "jump"})
            assert again.json()["id"] == waits
        time.sleep(2)
        assert len(steps(p)) == 2, steps(p)
        times = [row["time_ms"] if "time_ms" in row else row["time"] for row in rows(p)]
        assert times == sorted(times)
        flag.touch()
        ended = p.wait_state(job)
        assert ended["state"] == "Completed" and ended["attempt"] == 1 and ended["run_ms"] < 600000, ended
        assert p.wait_state(waits)["state"] == "Completed"
        # Also after a restart: the token lives as long as it was to, and the key is still known.
        p.reeved.kill()
        p.reeved.wait()
        offset.write_text("+7200\n")
        p.start_reeved(env)
        assert p.ask("GET", JOBS, token=token).status_code == 200
        again = p.ask("POST", JOBS, {"command": ["true"]}, headers={"Idempotency-Key": "jump"})
        assert again.json()["id"] == waits
        mine = [t for t in p.ask("GET", "/api/v1/tokens").json()["items"] if t["id"] != 1]
        assert mine[0]["expires_at"] > p.ask("GET", "/api/v1/status").json()["now"]
        offset.write_text("-7200\n")
        # Started again while the clock is behind the ledger's last time: it goes on from there.
        p.reeved.kill()
        p.reeved.wait()
        p.start_reeved(env)
        accepted = [job, waits, p.submit(["true"])["id"]]
        has_lost_nothing(p, accepted)
        times = [row["time_ms"] if "time_ms" in row else row["time"] for row in rows(p)]
        assert times == sorted(times)
        assert p.wait_state(accepted[-1])["state"] == "Completed"
    finally:
        print(p.log_tail("reeved.log"))
        p.stop()


def rows(p):
    return p.ask("GET", "/api/v1/ledger?limit=1000").json()["items"]


def steps(p):
    return [row for row in rows(p) if row["kind"] == "clock.stepped"]
