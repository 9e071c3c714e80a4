"""The command line against a stub of the server: what is asked, what is shown, how it ends."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest
import yaml
from stub_reeved import LOG, TOKEN, Stub, a_job


@pytest.fixture
def server():
    stub = Stub()
    yield stub
    stub.stop()


@pytest.fixture
def reeve(build, server, tmp_path):
    """Runs the program against the stub and gives what came of it."""

    def run(*words, cwd=tmp_path, input=None, token=TOKEN, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("REEVE_")}
        env |= {"HOME": str(tmp_path), "REEVE_SERVER": server.url, "REEVE_TOKEN": token, "LC_ALL": "C", **more}
        env.pop("XDG_CONFIG_HOME", None)
        return subprocess.run(
            [build / "src/cli/reeve", *words],
            cwd=cwd, env=env, input=input, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def last_post(server):
    return [r for r in server.requests if r[0] == "POST"][-1]


def test_a_command_is_submitted_from_any_folder_with_nothing_of_the_environment(reeve, server, tmp_path):
    done = reeve("submit", "--", "python3", "train.py", "--lr", "0.1", SECRET="x")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "job 1 submitted (python3), position 1\n"
    method, path, headers, body = last_post(server)
    assert path == "/api/v1/jobs"
    assert body == {"command": ["python3", "train.py", "--lr", "0.1"], "work_dir": str(tmp_path)}
    assert headers["Idempotency-Key"]


def test_options_become_fields(reeve, server):
    done = reeve(
        "submit", "-n", "lauf 1", "--gpus", "2", "--gpu-memory=8GiB", "--cpu", "500m", "-m", "4096", "-t", "2h",
        "-l", "a=b", "-e", "LR=0.1", "-e", "TAKEN", "--retries", "3", "--exclusive", "--team", "vision",
        "./train", "-x", TAKEN="from here",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    body = last_post(server)[3]
    del body["work_dir"]
    assert body == {
        "command": ["./train", "-x"], "name": "lauf 1", "gpus": 2, "gpu_memory": "8GiB", "cpu": "500m", "memory": 4096,
        "time_limit": "2h", "labels": {"a": "b"}, "env": {"LR": "0.1", "TAKEN": "from here"}, "retries": 3,
        "exclusive": True, "team": "vision",
    }  # fmt: skip


def test_a_job_file_may_hold_several_jobs_and_come_by_pipe(reeve, server, tmp_path):
    done = reeve("submit", "-f", "-", "-o", "name", input="- command: [a]\n- command: echo b | cat\n")
    assert (done.returncode, done.stdout) == (0, "1\n2\n")
    assert last_post(server)[3]["jobs"][1]["command"] == ["sh", "-c", "echo b | cat"]
    (tmp_path / "job.yaml").write_text("command: [./train]\nname: one\n")
    assert reeve("submit", "-f", "job.yaml").stdout == "job 3 submitted (one), position 3\n"


def test_a_submission_is_repeated_under_the_same_key_until_it_is_taken(reeve, server):
    server.fail_posts = 2
    assert reeve("submit", "true").returncode == 0
    keys = {r[2]["Idempotency-Key"] for r in server.requests if r[0] == "POST"}
    assert len(keys) == 1 and len([r for r in server.requests if r[0] == "POST"]) == 3


def test_waiting_tells_each_state_and_ends_with_the_jobs_fate(reeve, server):
    server.script[1] = [
        {},
        {"state": "Running", "position": None, "attempt": 1, "node": "gpu-a"},
        {"state": "Completed", "run_ms": 2500, "exit_code": 0, "cost_micros": 229},
    ]
    done = reeve("submit", "--wait", "--", "true")
    assert done.returncode == 0
    assert "job 1 Queued, position 1\njob 1 Running on gpu-a\n" in done.stderr
    assert "job 1 Completed, exit code 0, ran 2.5s, 0.000229 USD" in done.stderr
    server.script[2] = [{"state": "Failed", "reason": "ended with exit code 3", "exit_code": 3, "attempt": 1}]
    done = reeve("submit", "--wait", "--", "false")
    assert done.returncode == 10
    assert "job 2: ended with exit code 3" in done.stderr


def test_logs_go_on_where_a_broken_connection_left_them(reeve, server):
    server.jobs[1] = a_job(1)
    server.cut_logs = 2
    server.script[1] = [{"state": "Running", "attempt": 1}, {}, {"state": "Completed"}]
    done = reeve("logs", "-f", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.encode() == LOG
    assert reeve("logs", "1", "--tail", "5").stdout.encode() == LOG[-5:]


def test_output_has_the_form_asked_for(reeve, server):
    server.jobs[1] = a_job(1, name="학습", state="Running", position=None)
    server.jobs[2] = a_job(2)
    table = reeve("list").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["ID", "2", "1"]
    assert json.loads(reeve("list", "-o", "json").stdout)["items"][1]["name"] == "학습"
    assert yaml.safe_load(reeve("list", "-o", "yaml").stdout)["items"][1]["name"] == "학습"
    assert reeve("list", "-o", "name").stdout == "2\n1\n"
    assert "ENERGY" in reeve("list", "-o", "wide").stdout
    assert reeve("list", "-o", "xml").returncode == 2
    assert "\033[" in reeve("list", "--color", "always").stdout
    assert "\033[" not in reeve("list").stdout


def test_long_lists_are_fetched_page_by_page(reeve, server):
    for number in range(1, 2502):
        server.jobs[number] = a_job(number)
    assert len(reeve("list", "-n", "10000", "-o", "name").stdout.split()) == 2501
    assert len(reeve("list", "-n", "1001", "-o", "name").stdout.split()) == 1001


def test_the_next_page_is_asked_for_early_and_only_once(reeve, server):
    for number in range(1, 2502):
        server.jobs[number] = a_job(number, name='x","next_cursor":"7"}' if number == 1502 else "x")
    lines = reeve("list", "-n", "10000").stdout.splitlines()
    assert [int(line.split()[0]) for line in lines[1:]] == list(range(2501, 0, -1))
    asked = [path.partition("cursor=")[2] for _, path, _, _ in server.requests]
    assert asked == ["", "1000", "2000"]
    # A page may hold less than was asked for, even nothing: then what was asked early was wrong.
    server.requests.clear()
    server.page_most = 700
    lines = reeve("list", "-n", "2000").stdout.splitlines()
    assert [int(line.split()[0]) for line in lines[1:]] == list(range(2501, 501, -1))


def test_the_table_asks_for_what_it_shows(reeve, server):
    server.jobs[1] = a_job(1)
    reeve("list", "--label", "a=b c", "--label", "k=v", "--search", "학 습")
    reeve("list", "-o", "wide")
    reeve("queue", "-o", "name")
    reeve("list", "-o", "json")
    paths = [path for _, path, _, _ in server.requests]
    assert "q=%ED%95%99%20%EC%8A%B5&label=a%3Db%20c&label=k%3Dv&fields=id,name,user," in paths[0]
    assert "devices" not in paths[0] and "devices" in paths[1]
    assert "fields=id&" in paths[2] and "fields" not in paths[3]


def test_an_answer_that_is_no_list_is_told(reeve, server):
    for body in ['{"items":{}}', '{"next_cursor":null}', '{"items":[1]}', '{"items":[{"id":1,"id":2}]}', '{"items":[']:
        server.raw = body
        done = reeve("list")
        assert done.returncode in (1, 2) and "is not a list; is it reeved?" in done.stderr, (body, done.stderr)


def test_states_may_be_written_in_any_case(reeve, server):
    server.jobs[1] = a_job(1, state="Failed")
    assert reeve("list", "--state", "failed,cancelled", "-o", "name").stdout == "1\n"
    done = reeve("list", "--state", "lost")
    assert done.returncode == 2 and "'lost' is not Queued" in done.stderr


def test_everything_about_a_job_is_shown_with_why_it_waits(reeve, server):
    server.jobs[1] = a_job(
        1,
        command=["sh", "-c", "echo a b"],
        reason="needs 1 GPU; gpu-a is used by job 3 of bob",
        attempts=[{"n": 1, "state": "LOST", "node": "gpu-a", "reason": "the shim died"}],
        time_limit=7200,
    )
    shown = re.sub(" +", " ", reeve("show", "1").stdout)
    assert "Reason needs 1 GPU; gpu-a is used by job 3 of bob" in shown
    assert "Command sh -c 'echo a b'" in shown
    assert "Time limit 2h00m" in shown
    assert "LOST" in shown and "the shim died" in shown


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("show", "7"), 4, "there is no job 7"),
        (("show", "seven"), 2, "'seven'"),
        (("user", "add", "bob"), 3, "reeve whoami"),
        (("cancel",), 2, "name jobs"),
        (("submit",), 2, "nothing to run"),
        (("list", "--frobnicate"), 2, "reeve list --help"),
        (("sumbit",), 2, "did you mean 'reeve submit'"),
        (("ledger", "verify"), 11, ""),
    ],
)
def test_failures_have_their_exit_code_and_say_what_next(reeve, words, code, says):
    done = reeve(*words)
    assert done.returncode == code
    assert says in done.stderr


def test_a_wrong_token_and_no_server_are_told_apart(reeve):
    done = reeve("list", token="wrong")
    assert done.returncode == 3 and "reeve token create" in done.stderr
    done = reeve("list", REEVE_SERVER="http://127.0.0.1:1")
    assert done.returncode == 7 and "reeve up" in done.stderr


def test_several_jobs_are_cancelled_though_one_cannot_be(reeve, server):
    server.jobs[1] = a_job(1)
    done = reeve("cancel", "9", "1")
    assert done.returncode == 4
    assert "there is no job" in done.stderr and "job 1 is being cancelled" in done.stderr


def test_jobs_are_held_with_a_reason_and_released(reeve, server):
    server.jobs[1], server.jobs[2] = a_job(1), a_job(2)
    done = reeve("hold", "1", "2", "--why", "no data yet")
    assert done.returncode == 0 and "job 2 is held" in done.stderr
    assert server.jobs[1]["held"] and server.jobs[2]["reason"] == "no data yet"
    done = reeve("release", "1")
    assert done.returncode == 0 and "job 1 starts when its turn comes" in done.stderr
    assert not server.jobs[1]["held"]


def test_a_new_token_stands_alone_on_standard_output(reeve):
    done = reeve("token", "create", "alice", "--expires-in", "90d")
    assert done.stdout == "rv_secret\n"
    assert "shown this once" in done.stderr


def test_the_configuration_file_is_read_and_checked(reeve, server, tmp_path):
    folder = tmp_path / ".config" / "reeve"
    folder.mkdir(parents=True)
    (tmp_path / "tok").write_text(f"the token is {TOKEN}\n")
    (tmp_path / "tok").chmod(0o600)
    (folder / "config.yaml").write_text(f"output: name\ntoken-file: {tmp_path}/tok\n")
    server.jobs[5] = a_job(5)
    assert reeve("list", token="").stdout == "5\n"
    (folder / "config.yaml").write_text("colour: never\n")
    done = reeve("list")
    assert done.returncode == 2 and "'colour' is not known" in done.stderr


def test_status_holds_the_figures_against_their_targets(reeve):
    shown = reeve("status").stdout
    assert "p50 12ms, p99 41ms" in shown
    assert shown.count(" ok\n") == 3 and " missed\n" in shown
    assert "jobs" in shown and "75.0 %" in shown


def test_doctor_finds_what_is_wrong_and_says_how_to_mend_it(reeve):
    good = reeve("doctor")
    assert "user alice, role user" in good.stdout and "0.1.0 on both sides" in good.stdout
    bad = reeve("doctor", token="wrong", REEVE_TOKEN_FILE="/nowhere")
    assert bad.returncode == 11
    assert "fail   token" in bad.stdout and "reeve token create USER" in bad.stdout


def test_top_prints_one_picture_where_there_is_no_screen(reeve, server):
    server.jobs[1] = a_job(1, state="Running", position=None, started_at="2026-01-31T09:00:01.000Z")
    shown = reeve("top", "--once", "--width", "80").stdout
    assert "GPU" in shown and "3.0/10.0G" in shown and "Running" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert reeve("top").returncode == 2


def test_watching_prints_again_only_what_has_changed(build, server):
    server.jobs[1] = a_job(1)
    env = os.environ | {"REEVE_SERVER": server.url, "REEVE_TOKEN": TOKEN}
    words = [build / "src/cli/reeve", "queue", "--watch", "--interval", "100ms"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "1 waiting, 0 running\n"
        program.stdout.readline()
        program.stdout.readline()
        server.jobs[1]["state"] = "Running"
        assert program.stdout.readline() == "0 waiting, 1 running\n"
        program.terminate()


def test_bash_completes_commands_options_and_jobs(reeve, build, server, tmp_path):
    server.jobs[41] = a_job(41)
    (tmp_path / "reeve.bash").write_text(reeve("completion", "bash").stdout)
    script = """
        . ./reeve.bash
        try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _reeve; printf '%s ' "${COMPREPLY[@]}"; echo; }
        try reeve sub; try reeve show ''; try reeve list --sta; try reeve list -o js
    """
    env = os.environ | {
        "REEVE_SERVER": server.url,
        "REEVE_TOKEN": TOKEN,
        "PATH": f"{build}/src/cli:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split("\n")[:4] == ["submit ", "41 ", "--state ", "json "], done.stderr


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
def test_top_fills_the_screen_follows_its_size_and_leaves_on_q(build, server, tmp_path):
    for number in range(1, 40):
        server.jobs[number] = a_job(number, position=number, name=f"학습 {number}")
    tmux = ["tmux", "-S", tmp_path / "tmux", "-f", "/dev/null"]

    def run(*words):
        done = subprocess.run([*tmux, *words], capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    def screen_with(words):
        for _ in range(100):
            lines = run("capture-pane", "-p").split("\n")
            if any(words in line for line in lines):
                return lines
            time.sleep(0.05)
        raise AssertionError(f"'{words}' is not on the screen:\n" + "\n".join(lines))

    env = f"env LC_ALL=C REEVE_SERVER={server.url} REEVE_TOKEN={TOKEN}"
    run("-u", "new-session", "-d", "-x", "80", "-y", "24", f"{env} {build}/src/cli/reeve top")
    try:
        lines = screen_with("39 waiting")
        assert "학습 1" in "\n".join(lines) and lines[23].startswith("q leave")
        run("resize-window", "-x", "100", "-y", "30")
        assert screen_with("학습 20")[29].startswith("q leave")
        run("send-keys", "s")
        screen_with("sort (id)")
        run("send-keys", "q")
        for _ in range(100):
            if not run("list-sessions"):
                break
            time.sleep(0.05)
        assert not run("list-sessions")
    finally:
        run("kill-server")
