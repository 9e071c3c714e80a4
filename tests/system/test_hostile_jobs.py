"""Jobs that behave badly: each ends with a reason, the agent goes on, and others do not suffer."""

import os
import resource
import time
from pathlib import Path

import pytest
import requests
from hostile import has_lost_nothing
from plant import Plant, until

SCENARIO = "devices: [{model: rtx-3080, count: 4}]\n"
MIB = 1 << 20


@pytest.fixture(scope="module")
def plant(build, tmp_path_factory):
    scenario = tmp_path_factory.mktemp("jobs") / "sim.yaml"
    scenario.write_text(SCENARIO)
    p = Plant(build, scenario, agent=["--sample", "1s", "--grace", "1s", "--shared-uid"]).start()
    p.accepted = []
    yield p
    print(p.log_tail("agent.log"))
    has_lost_nothing(p, p.accepted)
    p.stop()


@pytest.fixture(autouse=True)
def agent_lives(plant):
    pid = plant.agent.pid
    yield
    assert plant.agent.poll() is None and plant.agent.pid == pid, plant.log_tail("agent.log")
    assert requests.get(plant.agent_url + "/status", timeout=10).status_code == 200
    # The next one runs as if nothing had been.
    ended = run(plant, "echo fine")
    assert ended["state"] == "Completed" and plant.log(ended["id"]) == "fine\n"


def submit(plant, script, **fields):
    job = plant.submit(["sh", "-c", script] if isinstance(script, str) else script, **fields)["id"]
    plant.accepted.append(job)
    return job


def run(plant, script, seconds=60, **fields):
    return plant.wait_state(submit(plant, script, **fields), seconds=seconds)


def processes_with(word):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


# ---- processes ----


def test_a_job_that_forks_away_is_over_with_all_it_left(plant):
    word = f"1000.{time.monotonic_ns()}"
    script = f"""
    (setsid sh -c '(setsid sleep {word} &) ; setsid sleep {word} & wait' </dev/null >/dev/null 2>&1 &)
    (setsid sleep {word} &)
    sleep 0.3; exit 3"""
    ended = run(plant, script)
    assert ended["state"] == "Failed" and ended["exit_code"] == 3, ended
    until(lambda: not processes_with(word), 20)


def test_a_job_that_forks_away_and_ignores_term_can_be_cancelled(plant):
    word = f"1001.{time.monotonic_ns()}"
    inner = f'trap "" TERM HUP INT; sleep {word}; sleep {word}'
    script = f"trap '' TERM HUP INT; (setsid sh -c '{inner}' &); while :; do sleep {word}; done"
    job = submit(plant, script)
    plant.wait_state(job, "Running")
    until(lambda: processes_with(word), 20)
    assert plant.ask("POST", f"/api/v1/jobs/{job}/cancel").status_code in (200, 202)
    assert plant.wait_state(job)["state"] == "Cancelled"
    until(lambda: not processes_with(word), 20)


def test_a_job_that_ignores_term_ends_at_its_time_limit(plant):
    ended = run(plant, "trap '' TERM; while :; do sleep 0.1; done", time_limit=1)
    assert ended["state"] == "Failed" and "time limit" in ended["reason"], ended
    assert 1000 <= ended["run_ms"] < 30000


def test_a_job_that_kills_all_it_can_ends_by_its_own_signal(plant):
    if os.geteuid() != 0:
        pytest.skip("without root jobs run under this very account")
    ended = run(plant, "kill -9 -1; kill -9 $$")
    assert ended["state"] == "Failed" and "SIGKILL" in ended["reason"], ended


def limit_processes(plant, limits):
    """Of the agent, and of the nursery that most shims come from: it has the limits of when it was made."""
    resource.prlimit(plant.agent.pid, resource.RLIMIT_NPROC, limits)
    for task in Path(f"/proc/{plant.agent.pid}/task").iterdir():
        for pid in (task / "children").read_text().split():
            if b"(waits" in Path(f"/proc/{pid}/cmdline").read_bytes():
                resource.prlimit(int(pid), resource.RLIMIT_NPROC, limits)


def test_a_full_process_table_fails_the_job_with_a_reason(plant):
    if os.geteuid() != 0:
        pytest.skip("only with root has a job's account a process table of its own")
    before = resource.prlimit(plant.agent.pid, resource.RLIMIT_NPROC)
    try:
        # The kernel counts those that are there before the new one, so the first of them may begin.
        limit_processes(plant, (0, before[1]))
        holder = submit(plant, ["sleep", "30"])
        plant.wait_state(holder, "Running", "Failed")
        ended = run(plant, ["echo", "x"])
        assert ended["state"] == "Failed" and "as many processes as it may have" in ended["reason"], ended
        plant.ask("POST", f"/api/v1/jobs/{holder}/cancel")
        plant.wait_state(holder)
        # It may begin, but not fork: that is its own error, and its log says so.
        ended = run(plant, "sleep 1 & wait")
        assert ended["state"] == "Failed" and ended["exit_code"] != 0, ended
    finally:
        limit_processes(plant, before)


# ---- output ----


def test_a_job_that_floods_its_log_keeps_both_ends_and_completes(plant):
    # First more in a second than is taken, then more in all than is kept.
    flood = "yes 0123456789abcdef0123456789abcdef | head -c"
    script = (
        f"echo first; {flood} 80000000; sleep 1; for i in 1 2 3 4 5 6 7; do {flood} 9500000; sleep 1; done; echo last"
    )
    ended = run(plant, script, seconds=100)
    assert ended["state"] == "Completed", ended

    def whole_log():
        log = plant.ask("GET", f"/api/v1/jobs/{ended['id']}/logs", timeout=60).content
        return log if log.endswith(b"last\n") else None

    log = until(whole_log, 60, every=1)
    assert log.startswith(b"first\n") and b" left out here" in log, log[:50]
    assert 32 * MIB < len(log) < 66 * MIB
    for pid, most in ((plant.reeved.pid, 400 * MIB), (plant.agent.pid, 200 * MIB)):
        # A sanitizer keeps what was freed.
        assert resident(pid) < most or "libasan" in Path(f"/proc/{pid}/maps").read_text()


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_binary_output_and_lines_of_a_megabyte_arrive_as_they_are(plant):
    script = """
    printf '\\000\\001\\377\\376\\033[2J\\033]0;x\\007\\n'
    head -c 1000000 /dev/zero | tr '\\0' a; echo
    head -c 500000 /dev/urandom; echo
    echo 99999999999999999999/1; echo 5/0; echo -1/-1; echo epoch 1/0; echo 1e99%; echo
    printf 'no newline at the end'"""
    ended = run(plant, script)
    assert ended["state"] == "Completed", ended
    log = plant.ask("GET", f"/api/v1/jobs/{ended['id']}/logs").content
    assert log.startswith(b"\0\1\xff\xfe\x1b[2J\x1b]0;x\7\n") and log.endswith(b"no newline at the end")
    # Lines are cut at 64 KiB, which is said.
    assert 65536 <= log.count(b"a") < 100000 and b" left out" in log
    follow = plant.ask("GET", f"/api/v1/jobs/{ended['id']}/logs?follow=true", stream=True)
    assert follow.status_code == 200 and follow.raw.read(10)
    follow.close()


def test_progress_that_is_no_file_of_the_jobs_own_is_not_followed(plant):
    for script in (
        'rm -f "$REEVE_PROGRESS_FILE"; ln -s /etc/shadow "$REEVE_PROGRESS_FILE"; sleep 1.2',
        'rm -f "$REEVE_PROGRESS_FILE"; mkfifo "$REEVE_PROGRESS_FILE"; sleep 1.2',
        'rm -f "$REEVE_PROGRESS_FILE"; mkdir "$REEVE_PROGRESS_FILE"; sleep 1.2',
        'head -c 20000000 /dev/zero > "$REEVE_PROGRESS_FILE"; sleep 1.2',
        'printf "9999999999999999999/-3" > "$REEVE_PROGRESS_FILE"; sleep 1.2',
        'truncate -s 1T "$REEVE_PROGRESS_FILE"; sleep 1.2',
    ):
        submit(plant, script, gpus=0)
    for job in plant.accepted[-6:]:
        ended = plant.wait_state(job)
        assert ended["state"] == "Completed" and not ended["progress"], (ended, plant.log(job))


# ---- what cannot be started ----


def test_a_work_dir_that_cannot_be_used_fails_the_job_by_name(plant, open_folder):
    (open_folder / "file").write_text("x")
    (open_folder / "closed").mkdir(mode=0o700)
    (open_folder / "link").symlink_to("/root")
    (open_folder / "loop").symlink_to("loop")
    bad = ["/nowhere/at/all", open_folder / "file", open_folder / "loop", "/" + "a/" * 400, "/proc/1/cwd"]
    if os.geteuid() == 0:
        bad += [open_folder / "closed", open_folder / "link", "/root", f"{open_folder}/../../root", "/proc/1/root/root"]
    jobs = [submit(plant, "pwd", work_dir=str(path), gpus=0) for path in bad]
    for path, job in zip(bad, jobs, strict=True):
        ended = plant.wait_state(job)
        assert ended["state"] == "Failed" and "work dir" in ended["reason"], (path, ended)


def test_a_command_that_cannot_be_started_fails_with_the_reason(plant, open_folder):
    (open_folder / "plain").write_text("echo x\n")
    (open_folder / "wrong").write_text("#!/no/such/interpreter\n")
    (open_folder / "wrong").chmod(0o755)
    commands = ["no-such-program", "/no/such/program", "/", str(open_folder), "/etc/passwd", "../../bin/sh", "a" * 5000]
    commands += [str(open_folder / name) for name in ("plain", "wrong")]
    jobs = [submit(plant, [word], gpus=0) for word in commands]
    jobs.append(submit(plant, ["true"], gpus=0, env={"PATH": "/nowhere"}))
    for word, job in zip([*commands, "true"], jobs, strict=True):
        ended = plant.wait_state(job)
        assert ended["state"] == "Failed" and f"command '{word[:200]}' " in ended["reason"], (word, ended)
        assert "cannot be run" in ended["reason"] or "not found" in ended["reason"], (word, ended)


def test_names_and_words_full_of_tricks_stay_words(plant, open_folder):
    bait = open_folder / "bait"
    tricks = ["../../../../tmp/x", "/etc/passwd", f"$(touch {bait})", f"`touch {bait}`", f"; touch {bait}", "%s%n%x",
              "-rf", ".", "..", "'\"\\", "\u202egpj.exe", "<script>alert(1)</script>", "a" * 128]  # fmt: skip
    jobs = []
    for word in tricks:
        jobs.append(plant.submit(["printf", "%s", word], name=word, labels={"k": word}, config_file=word, gpus=0)["id"])
    plant.accepted += jobs
    for word, job in zip(tricks, jobs, strict=True):
        ended = plant.wait_state(job)
        assert ended["state"] == "Completed" and ended["name"] == word, ended
        assert plant.ask("GET", f"/api/v1/jobs/{job}/logs").content.decode() == word
    assert not bait.exists()
    names = {p.name for p in (plant.agent_data / "results").rglob("*")}
    assert not names & {"x", "passwd", "-rf"}


def test_a_job_cannot_say_it_is_another(plant):
    env = {
        "REEVE_ATTEMPT": "0" * 32, "REEVE_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "all", "USER": "root",
        "LD_PRELOAD": "/no/such/library.so", "REEVE_PROGRESS_FILE": "/etc/passwd",
    }  # fmt: skip
    ended = run(plant, "env", env=env)
    assert ended["state"] == "Completed", ended
    seen = dict(line.split("=", 1) for line in plant.log(ended["id"]).splitlines() if "=" in line)
    assert seen["REEVE_JOB_ID"] == str(ended["id"]) and seen["REEVE_ATTEMPT"] != "0" * 32
    assert seen["CUDA_VISIBLE_DEVICES"] == ended["devices"][0]["uuid"] if ended["devices"] else True
    assert seen["REEVE_PROGRESS_FILE"] != "/etc/passwd"
    assert not [k for k in seen if "KEY" in k or "TOKEN" in k]


def test_a_job_that_tears_its_own_folders_down_still_ends(plant):
    script = 'cd /; chmod 0 "$REEVE_RESULT_DIR" "$HOME" 2>/dev/null; rm -rf "$REEVE_RESULT_DIR" "$HOME"; exit 4'
    ended = run(plant, script)
    assert ended["state"] == "Failed" and ended["exit_code"] == 4, ended
    deep = (
        'cd "${REEVE_RESULT_DIR:-.}"; i=0; while [ $i -lt 300 ]; do mkdir d && cd d || break; i=$((i+1)); done; exit 5'
    )
    ended = run(plant, deep)
    assert ended["exit_code"] == 5, ended
