"""The Redis face, against a real Redis that is flushed, stopped, cut off, slow, full and misused."""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from plant import Plant, until
from redis_server import Proxy, RedisServer

TOP = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="there is no redis-server here")


def points():
    for line in (TOP / "docs/crash-points.md").read_text().splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) == 5 and cells[4] == "redis":
            yield cells[0].strip("`")


@pytest.fixture
def redis():
    r = RedisServer().start()
    yield r
    r.done()


@pytest.fixture
def proxy(redis):
    p = Proxy(redis.port)
    yield p
    p.close()


@pytest.fixture
def make(build):
    """Plants by the options of their control planes; users alice and bob are there."""
    made = []

    def start(*options, agent=False, env=None):
        p = Plant(build, reeved=options, env=env)
        made.append(p)
        p.start_reeved()
        for name in ["alice", "bob"]:
            p.ask("POST", "/api/v1/users", {"name": name, "role": "user"})
        if agent:
            p.start_agent()
        return p

    yield start
    for p in made:
        print(p.log_tail("reeved.log", 4000))
        p.stop()


def url(port):
    return f"redis://127.0.0.1:{port}/0"


def mirrored(redis):
    """The jobs of job_queue as they stand there, next one first."""
    return [json.loads(line).get("job_id") for line in reversed(redis.lines("LRANGE", "job_queue", "0", "-1"))]


def running(redis):
    return sorted(int(job) for job in redis.lines("HKEYS", "running_jobs"))


def queue(plant):
    """Waiting and running jobs by the API."""
    items, cursor = [], ""
    while True:
        page = plant.ask("GET", f"/api/v1/queue?limit=1000&fields=id,state{cursor}").json()
        items += page["items"]
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    waiting = [i["id"] for i in items if i["state"] == "Queued"]
    return waiting, sorted(i["id"] for i in items if i["state"] != "Queued")


def in_step(plant, redis):
    waiting, busy = queue(plant)
    return mirrored(redis) == waiting[:10000] and running(redis) == busy


def metric(plant, name):
    text = plant.ask("GET", "/metrics").text
    return float(re.search(rf"^{re.escape(name)} (.*)$", text, re.M).group(1))


def entry(user="alice", number=0, **more):
    return {"user": user, "command": ["true"], "work_dir": "/tmp", "name": f"pushed-{number}"} | more


def push(redis, *entries):
    # All by one connection, as a producer has it.
    lines = [json.dumps(e) if isinstance(e, dict) else e for e in entries]
    for at in range(0, len(lines), 200):
        redis.cli("LPUSH", "job_queue", *lines[at : at + 200])


def pushed(plant):
    """Names of the jobs that were pushed, in the order in which they were taken in."""
    items, cursor = [], ""
    while True:
        page = plant.ask("GET", f"/api/v1/jobs?limit=1000{cursor}").json()
        items += page["items"]
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    jobs = sorted((j["id"], j["name"]) for j in items)
    return [name for _, name in jobs if name.startswith("pushed-")]


def names(count):
    return [f"pushed-{i}" for i in range(count)]


def hold_back(plant, count):
    """Jobs that wait, as there is no agent."""
    return [plant.submit(["true"], work_dir="/tmp")["id"] for _ in range(count)]


# the mirror


def test_waiting_and_running_jobs_are_shown_field_by_field(make, redis):
    p = make("--redis", url(redis.port), agent=True)
    first = p.submit(["sleep", "30"], work_dir="/tmp", user="alice", team="vision")["id"]
    p.wait_state(first, "Running")
    second = p.submit(["sleep", "30"], work_dir="/tmp", config_file="a.yaml", user="bob", gpus=1)["id"]
    until(lambda: running(redis) == [first] and mirrored(redis) == [second])
    until(lambda: json.loads(redis.cli("HGET", "running_jobs", str(first)))["state"] == "Running")
    shown = json.loads(redis.cli("HGET", "running_jobs", str(first)))
    job = p.ask("GET", f"/api/v1/jobs/{first}").json()
    site = p.ask("GET", "/api/v1/status").json()["site"]
    assert shown.pop("scheduled_at") <= shown["started_at"]
    assert len(shown.pop("devices")) == 1
    assert shown == {
        "reeve": site,
        "job_id": first,
        "user": "alice",
        "team": "vision",
        "state": "Running",
        "gpus": 1,
        "submitted_at": job["submitted_at"],
        "attempt": 1,
        "node": "node-a",
        "started_at": shown["started_at"],
        "config_file": None,
        "work_dir": "/tmp",
    }
    waits = json.loads(redis.cli("LINDEX", "job_queue", "-1"))
    assert waits == {
        "reeve": site,
        "job_id": second,
        "user": "bob",
        "team": None,
        "state": "Queued",
        "gpus": 1,
        "submitted_at": p.ask("GET", f"/api/v1/jobs/{second}").json()["submitted_at"],
        "held": False,
        "config_file": "a.yaml",
        "work_dir": "/tmp",
    }
    p.ask("POST", f"/api/v1/jobs/{second}/hold", {})
    until(lambda: json.loads(redis.cli("LINDEX", "job_queue", "-1"))["held"])
    for job in [first, second]:
        p.ask("POST", f"/api/v1/jobs/{job}/cancel", {})
    until(lambda: not mirrored(redis) and not running(redis))


def test_masked_users_are_not_shown(make, redis):
    p = make("--redis", url(redis.port), "--mask-users")
    p.submit(["true"], work_dir="/secret", user="alice")
    until(lambda: mirrored(redis))
    shown = json.loads(redis.cli("LINDEX", "job_queue", "0"))
    assert shown["user"] is None and shown["work_dir"] is None


def test_what_vanishes_is_put_back_with_a_warning(make, redis):
    p = make("--redis", url(redis.port))
    jobs = hold_back(p, 20)
    until(lambda: mirrored(redis) == jobs)
    redis.cli("RPOP", "job_queue")
    until(lambda: mirrored(redis) == jobs)
    redis.cli("LTRIM", "job_queue", "5", "10")
    until(lambda: mirrored(redis) == jobs)
    redis.cli("FLUSHALL")
    until(lambda: mirrored(redis) == jobs)
    assert "had vanished" in p.log_tail("reeved.log", 10000)
    assert metric(p, "reeve_redis_put_back_total") >= 15


def test_elements_in_disorder_twice_and_from_before_are_put_right(make, redis):
    p = make("--redis", url(redis.port))
    jobs = hold_back(p, 10)
    until(lambda: mirrored(redis) == jobs)
    redis.cli("LPUSH", "job_queue", redis.cli("LINDEX", "job_queue", "-4"))  # a copy
    until(lambda: mirrored(redis) == jobs)
    redis.cli("RPUSH", "job_queue", redis.cli("LPOP", "job_queue"))  # the other way round
    until(lambda: mirrored(redis) == jobs)
    redis.cli("LPUSH", "job_queue", '{"reeve":"ffffffff","job_id":99}')  # of a Reeve that is gone
    until(lambda: mirrored(redis) == jobs)
    redis.cli("HSET", "running_jobs", "77", '{"reeve":"ffffffff","job_id":77}', "theirs", "stays")
    until(lambda: redis.lines("HKEYS", "running_jobs") == ["theirs"])
    assert pushed(p) == [] and redis.cli("LLEN", "reeve:dead") == "0"


def test_a_restart_of_redis_or_of_reeve_changes_nothing(make, redis):
    p = make("--redis", url(redis.port), agent=True)
    first = p.submit(["sleep", "60"], work_dir="/tmp")["id"]
    p.wait_state(first, "Running")
    jobs = hold_back(p, 50)
    until(lambda: in_step(p, redis))
    redis.kill()
    until(lambda: metric(p, "reeve_redis_up") == 0)
    jobs += hold_back(p, 5)  # nobody waits for Redis
    redis.start()
    until(lambda: mirrored(redis) == jobs and running(redis) == [first])

    before = int(re.search(r"total_commands_processed:(\d+)", redis.cli("INFO", "stats")).group(1))
    p.reeved.kill()
    p.reeved.wait()
    p.start_reeved()
    until(lambda: metric(p, "reeve_redis_in_step") == 1)
    assert mirrored(redis) == jobs
    writes = redis.cli("INFO", "commandstats")
    after = int(re.search(r"total_commands_processed:(\d+)", redis.cli("INFO", "stats")).group(1))
    assert after - before < 200, writes  # what stood there was known again, and not written anew
    p.ask("POST", f"/api/v1/jobs/{first}/cancel", {})


def test_keys_of_another_type_get_another_name(make, redis):
    redis.cli("SET", "job_queue", "theirs")
    redis.cli("RPUSH", "running_jobs", "theirs")
    redis.cli("SET", "reeve:intake", "theirs")
    p = make("--redis", url(redis.port))
    jobs = hold_back(p, 3)
    until(lambda: mirrored(redis) == jobs)
    aside = redis.lines("KEYS", "reeve:aside:*")
    assert sorted(key.split(":")[2] for key in aside) == ["job_queue", "reeve", "running_jobs"]
    assert redis.cli("GET", next(k for k in aside if ":job_queue:" in k)) == "theirs"
    # and while it runs
    redis.cli("DEL", "job_queue")
    redis.cli("SET", "job_queue", "again")
    until(lambda: redis.cli("TYPE", "job_queue") == "list" and mirrored(redis) == jobs)
    assert len(redis.lines("KEYS", "reeve:aside:job_queue:*")) == 2
    push(redis, entry())
    until(lambda: pushed(p) == names(1))


def test_two_reeves_do_not_share_keys(make, redis):
    one = make("--redis", url(redis.port))
    jobs = hold_back(one, 3)
    until(lambda: mirrored(redis) == jobs)
    other = make("--redis", url(redis.port))
    hold_back(other, 2)
    until(lambda: "another Reeve" in (other.ask("GET", "/api/v1/status").json()["redis"]["why"] or ""))
    assert mirrored(redis) == jobs and metric(other, "reeve_redis_up") == 0


def test_ten_thousand_waiting_jobs(make, redis):
    p = make("--redis", url(redis.port))
    batch = {"jobs": [{"command": ["true"], "work_dir": "/tmp"}] * 1000}
    for _ in range(11):
        p.ask("POST", "/api/v1/jobs:batch", batch)
    until(lambda: in_step(p, redis), 60)
    assert redis.cli("LLEN", "job_queue") == "10000"
    waiting, _ = queue(p)
    sent = metric(p, "reeve_redis_sent_bytes_total")
    for job in waiting[:20] + waiting[5000:5020]:
        p.ask("POST", f"/api/v1/jobs/{job}/cancel", {})
    until(lambda: in_step(p, redis), 30)
    assert metric(p, "reeve_redis_sent_bytes_total") - sent < 200_000  # not written anew
    redis.cli("FLUSHALL")
    push(redis, *[entry(number=i) for i in range(300)])
    until(lambda: in_step(p, redis) and len(pushed(p)) == 300, 60)
    assert pushed(p) == names(300)


# what goes wrong on the way


def test_a_network_that_is_cut_again_and_again_loses_and_doubles_nothing(make, redis, proxy):
    p = make("--redis", url(proxy.port))
    count = 300
    stop = threading.Event()

    def cut():
        while not stop.wait(0.03):
            proxy.cut()

    cutter = threading.Thread(target=cut)
    cutter.start()
    for i in range(0, count, 10):
        push(redis, *[entry(number=k) for k in range(i, i + 10)])
        time.sleep(0.1)
    stop.set()
    cutter.join()
    until(lambda: len(pushed(p)) >= count, 60)
    until(lambda: in_step(p, redis), 30)
    assert sorted(pushed(p)) == sorted(names(count))
    assert redis.cli("HLEN", "reeve:intake") == "0" and redis.cli("LLEN", "reeve:dead") == "0"


def test_a_slow_redis_and_one_that_hangs_hold_nothing_up(make, redis, proxy):
    p = make("--redis", url(proxy.port))
    proxy.delay = 0.3
    push(redis, *[entry(number=i) for i in range(30)])
    began = time.monotonic()
    hold_back(p, 50)
    assert time.monotonic() - began < 5
    until(lambda: in_step(p, redis) and len(pushed(p)) == 30, 60)
    proxy.delay = 0
    proxy.deaf = True
    began = time.monotonic()
    hold_back(p, 50)
    assert time.monotonic() - began < 5
    until(lambda: metric(p, "reeve_redis_up") == 0, 40)
    assert "no answer within" in p.ask("GET", "/api/v1/status").json()["redis"]["why"]
    proxy.deaf = False
    proxy.cut()
    until(lambda: in_step(p, redis), 40)
    assert pushed(p) == names(30)


def test_a_redis_without_memory_and_a_replica_are_left_and_tried_again(make, redis):
    p = make("--redis", url(redis.port))
    jobs = hold_back(p, 3)
    until(lambda: mirrored(redis) == jobs)
    redis.cli("CONFIG", "SET", "maxmemory", "1")
    jobs += hold_back(p, 1)
    until(lambda: "OOM" in (p.ask("GET", "/api/v1/status").json()["redis"]["why"] or ""))
    redis.cli("CONFIG", "SET", "maxmemory", "0")
    until(lambda: mirrored(redis) == jobs, 40)
    redis.cli("REPLICAOF", "127.0.0.1", "1")
    jobs += hold_back(p, 1)
    until(lambda: "READONLY" in (p.ask("GET", "/api/v1/status").json()["redis"]["why"] or ""))
    redis.cli("REPLICAOF", "NO", "ONE")
    until(lambda: mirrored(redis) == jobs, 40)


def test_what_is_no_redis_is_said_so(make, redis):
    p = make("--redis", url(redis.port))
    redis.stop()
    import socket

    with socket.create_server(("127.0.0.1", redis.port)) as listener:

        def answer():
            while True:
                try:
                    s, _ = listener.accept()
                    s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n*2147483647\r\n")
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        until(lambda: "no Redis" in (p.ask("GET", "/api/v1/status").json()["redis"]["why"] or ""), 30)
    assert hold_back(p, 1)


# who may


def test_tls_and_password(make, tmp_path):
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key"]
    for name, subject, extra in [("ca", "/CN=ca", []), ("server", "/CN=localhost", signed)]:
        subprocess.run(
            [
                *["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", subject],
                *["-keyout", f"{name}.key", "-out", f"{name}.crt", *extra],
                *(["-addext", "subjectAltName=DNS:localhost"] if extra else []),
                *(["-addext", "basicConstraints=critical,CA:FALSE"] if extra else []),
            ],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    files = ["--tls-cert-file", "server.crt", "--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.crt"]
    files = [str(tmp_path / f) if not f.startswith("--") else f for f in files]
    secret = "s3cret/with:signs"
    shown = ["--cert", files[1], "--key", files[3], "--cacert", files[5]]
    redis = RedisServer("--requirepass", secret, *files, password=secret, tls=shown)
    try:
        redis.start()
        word = tmp_path / "word"
        word.write_text(secret + "\n")
        where = f"rediss://localhost:{redis.port}"
        own = ["--redis-cert", str(tmp_path / "server.crt"), "--redis-key", str(tmp_path / "server.key")]
        ca = ["--redis-ca", str(tmp_path / "ca.crt")]
        p = make("--redis", where, "--redis-password-file", str(word), *ca, *own)
        jobs = hold_back(p, 3)
        until(lambda: mirrored(redis) == jobs)
        push(redis, entry())
        until(lambda: pushed(p) == names(1))
        untrusting = where.replace("//", f"//:{secret}@", 1).replace("/with:", "%2Fwith%3A")
        for other, why in [
            (["--redis", untrusting, *own], "not to be trusted"),
            (["--redis", where.replace("localhost", "127.0.0.1"), *ca, *own], "not to be trusted"),
            (["--redis", where, *ca, *own], "NOAUTH"),
            (["--redis", where.replace("//", "//:wrong@"), *ca, *own], "WRONGPASS"),
            (["--redis", where, *ca], "TLS"),
        ]:
            q = make(*other)
            until(lambda q=q, why=why: why in (q.ask("GET", "/api/v1/status").json()["redis"]["why"] or ""), 20)
            assert secret not in q.log_tail("reeved.log", 100000) and "wrong" not in q.log_tail("reeved.log", 100000)
            q.stop()
    finally:
        redis.done()


def test_a_unix_socket_an_account_and_a_database(make, tmp_path):
    sock = f"/tmp/reeve-redis-{tmp_path.name[:40]}.sock"
    redis = RedisServer("--unixsocket", sock).start()
    try:
        redis.cli(
            *["ACL", "SETUSER", "reeve", "on", ">secret", "~job_queue", "~running_jobs", "~reeve:*"],
            *["+@connection", "+@read", "+@list", "+@hash", "+@string", "+@scripting"],
            *["+rename", "+renamenx", "+type"],
        )
        p = make("--redis", f"unix://reeve:secret@{sock}?db=3")
        jobs = hold_back(p, 3)
        until(lambda: redis.cli("-n", "3", "LLEN", "job_queue") == "3")
        redis.cli("-n", "3", "LPUSH", "job_queue", json.dumps(entry()))
        until(lambda: pushed(p) == names(1))
        assert len(jobs) == 3 and redis.cli("DBSIZE") == "0"
    finally:
        redis.done()


def test_reeve_up_status_and_doctor(build, redis, tmp_path):
    from plant import free_port

    program = str(build / "src/cli/reeve")
    ports = [free_port(), free_port()]
    where = f"redis://:not-shown@127.0.0.1:{redis.port}"
    redis.cli("CONFIG", "SET", "requirepass", "not-shown")
    redis.password = "not-shown"
    up = subprocess.Popen(
        [
            *[program, "up", "--data", str(tmp_path / "data"), "--listen", f"127.0.0.1:{ports[0]}"],
            *["--agent-listen", f"127.0.0.1:{ports[1]}", "--redis-users", "alice,bob", "--no-agent"],
        ],
        env={**os.environ, "REEVE_REDIS": where},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def reeve(*words):
        asked = [program, *words, "--server", f"unix:{tmp_path}/data/reeved.sock"]
        return subprocess.run(asked, capture_output=True, text=True).stdout

    try:
        until(lambda: "shows the queue" in reeve("status"))
        assert re.search(rf"ok +Redis +redis://127.0.0.1:{redis.port}", reeve("doctor"))
        for pid in subprocess.run(["pgrep", "-P", str(up.pid)], capture_output=True, text=True).stdout.split():
            assert "not-shown" not in Path(f"/proc/{pid}/cmdline").read_text()
        redis.stop()
        until(lambda: re.search(r"Redis +down: could not connect", reeve("status")))
        assert re.search(r"warn +Redis +redis://127.0.0.1:\d+ is down", reeve("doctor"))
    finally:
        up.terminate()
        up.wait()


@pytest.mark.parametrize(
    "options, why",
    [
        (["--redis", "http://h"], "redis://"),
        (["--redis", "redis://:SECRET@h:x"], "not understood"),
        (["--redis", "redis://h", "--redis-ca", "/dev/null"], "rediss://"),
        (["--redis", "redis://h", "--redis-password-file", "/nowhere"], "/nowhere"),
        (["--redis", "redis://h", "--redis-users", "alice,b;b"], "no user's name"),
    ],
)
def test_options_that_make_no_sense_end_the_start(build, tmp_path, options, why):
    program = [str(build / "src/reeved/reeved"), "--data", str(tmp_path / "d"), "--listen", "127.0.0.1:0"]
    answer = subprocess.run([*program, *options], capture_output=True, text=True, timeout=20)
    assert answer.returncode != 0 and why in answer.stderr and "SECRET" not in answer.stderr, answer


# the intake


def test_entries_of_both_forms_are_jobs(make, redis):
    p = make("--redis", url(redis.port))
    push(
        redis,
        {"user": "alice", "config_file": "a.yaml", "work_dir": "/tmp", "job_id": "their-1", "status": "queued"},
        entry("bob", 1, gpus=2, time_limit="2h", labels={"k": "v"}, job_id=17),
    )
    until(lambda: fleet_jobs(p) == 2)
    first, second = sorted(p.ask("GET", "/api/v1/jobs").json()["items"], key=lambda j: j["id"])
    first = p.ask("GET", f"/api/v1/jobs/{first['id']}").json()
    second = p.ask("GET", f"/api/v1/jobs/{second['id']}").json()
    assert first["user"] == "alice" and first["config_file"] == "a.yaml" and first["work_dir"] == "/tmp"
    assert first["labels"]["redis-job-id"] == "their-1"
    assert second["user"] == "bob" and second["gpus"] == 2 and second["labels"] == {"k": "v", "redis-job-id": "17"}
    until(lambda: in_step(p, redis))
    assert redis.cli("HLEN", "reeve:intake") == "0"
    users = {u["name"]: u["role"] for u in p.ask("GET", "/api/v1/users").json()["items"]}
    assert users["redis"] == "service"


def fleet_jobs(plant):
    return len(plant.ask("GET", "/api/v1/jobs?limit=1000").json()["items"])


def test_two_producers_keep_their_order_and_mix_with_the_queue(make, redis):
    p = make("--redis", url(redis.port))
    count = 150

    def produce(user, base):
        for i in range(count):
            push(redis, entry(user, base + i))

    threads = [threading.Thread(target=produce, args=a) for a in [("alice", 0), ("bob", 1000)]]
    for t in threads:
        t.start()
    hold_back(p, 30)
    for t in threads:
        t.join()
    until(lambda: len(pushed(p)) >= 2 * count, 60)
    numbers = [int(n.removeprefix("pushed-")) for n in pushed(p)]
    assert [n for n in numbers if n < 1000] == list(range(count))
    assert [n - 1000 for n in numbers if n >= 1000] == list(range(count))
    until(lambda: in_step(p, redis))


def test_what_is_no_job_goes_to_the_dead_with_the_reason(make, redis):
    p = make("--redis", url(redis.port), "--redis-users", "alice,carol")
    large = redis.folder / "large"
    large.write_text('{"user":"alice","x":"' + "x" * (1 << 20) + '"}')
    redis.cli("-x", "LPUSH", "job_queue", text=large.read_text())
    push(
        redis,
        "rubbish",
        "[]",
        "[" * 40 + "]" * 40,
        {"command": ["true"]},
        entry("nobody"),
        entry("carol"),
        entry("bob"),
        entry(gpus=-1),
        entry(colour="red"),
        {"user": "alice", "config_file": "a"},
        entry("alice", 1),
    )
    redis.cli("-x", "LPUSH", "job_queue", text='{"user":"\xff"}')
    until(lambda: redis.cli("LLEN", "reeve:dead") == "12", 20)
    until(lambda: pushed(p) == ["pushed-1"])
    dead = [json.loads(line) for line in reversed(redis.lines("LRANGE", "reeve:dead", "0", "-1"))]
    reasons = [(d["error"], d["field"]) for d in dead]
    assert reasons[0] == ("too-large", None) and dead[0]["bytes"] > 1 << 20 and len(dead[0]["entry"]) == 65536
    assert [r[0] for r in reasons[1:4]] == ["invalid"] * 3
    users = [(code, "user") for code in ("invalid", "unprocessable", "unprocessable", "denied")]
    assert reasons[4:8] == users
    assert [f for _, f in reasons[8:11]] == ["gpus", "colour", "work_dir"]
    assert "there is no user 'nobody'" in dead[5]["reason"] and dead[5]["entry"] == json.dumps(entry("nobody"))
    assert redis.cli("HLEN", "reeve:intake") == "0" and redis.cli("LLEN", "job_queue") == "1"


def test_dead_entries_are_bounded(make, redis):
    p = make("--redis", url(redis.port))
    push(redis, *[f"rubbish {i}" for i in range(1200)])
    until(lambda: metric(p, 'reeve_redis_intake_total{result="dead"}') == 1200, 60)
    until(lambda: redis.cli("LLEN", "reeve:dead") == "1000" and redis.cli("HLEN", "reeve:intake") == "0", 20)
    assert json.loads(redis.cli("LINDEX", "reeve:dead", "0"))["entry"] == "rubbish 1199"


def test_a_producers_key_makes_pushing_twice_one_job(make, redis):
    p = make("--redis", url(redis.port))
    push(redis, entry(idempotency_key="k1"), entry(idempotency_key="k1"), entry("bob", 1, idempotency_key="k1"))
    until(lambda: len(pushed(p)) == 2)
    until(lambda: metric(p, 'reeve_redis_intake_total{result="repeated"}') == 1)
    push(redis, entry(number=7, idempotency_key="k1"))  # the key with another job
    until(lambda: redis.cli("LLEN", "reeve:dead") == "1")
    assert pushed(p) == names(2)


def test_an_entry_that_waited_for_too_long_is_not_guessed_about(make, redis):
    old = f"{int((time.time() - 24 * 3600) * 1000):013d}-0123456789abcdef-0001"
    new = f"{int((time.time() - 3600) * 1000):013d}-0123456789abcdef-0002"
    redis.cli("HSET", "reeve:intake", old, json.dumps(entry(number=1)), new, json.dumps(entry(number=2)), "theirs", "x")
    p = make("--redis", url(redis.port))
    p.ask("POST", "/api/v1/users", {"name": "alice", "role": "user"})
    until(lambda: redis.lines("HKEYS", "reeve:intake") == ["theirs"])
    dead = [json.loads(line)["id"] for line in redis.lines("LRANGE", "reeve:dead", "0", "-1")]
    assert old in dead


def test_an_administrator_can_turn_the_intake_off(make, redis):
    p = make("--redis", url(redis.port))
    until(lambda: metric(p, "reeve_redis_in_step") == 1)
    until(lambda: any(u["name"] == "redis" for u in p.ask("GET", "/api/v1/users").json()["items"]))
    assert p.ask("PATCH", "/api/v1/users/redis", {"disabled": True}).status_code == 200
    jobs = hold_back(p, 2)
    push(redis, entry())
    time.sleep(1)
    assert redis.cli("LLEN", "job_queue") == "3" and pushed(p) == []
    until(lambda: [j for j in mirrored(redis) if j] == jobs)
    assert p.ask("PATCH", "/api/v1/users/redis", {"disabled": False}).status_code == 200
    until(lambda: pushed(p) == names(1))


@pytest.mark.parametrize("point", list(points()))
def test_reeved_dies_at_each_point_and_nothing_is_lost_or_doubled(make, redis, point):
    p = make("--redis", url(redis.port))
    until(lambda: metric(p, "reeve_redis_in_step") == 1)
    hold_back(p, 5)
    p.reeved.kill()
    p.reeved.wait()
    push(redis, *[entry(number=i) for i in range(40)], "rubbish", entry(number=40))
    for turn in range(1, 4):
        doomed = p.start_reeved({"REEVE_FAILPOINTS": f"{point}=kill@{turn}"}, wait=False)
        try:
            doomed.wait(4)
            assert doomed.returncode == -9
        except subprocess.TimeoutExpired:  # not so often passed
            assert turn > 1
            doomed.kill()
            doomed.wait()
    p.start_reeved()
    until(lambda: len(pushed(p)) >= 41, 30)
    until(lambda: in_step(p, redis) and redis.cli("HLEN", "reeve:intake") == "0")
    assert sorted(pushed(p)) == sorted(names(41))
    assert redis.cli("LLEN", "reeve:dead") == "1"
    assert p.ask("POST", "/api/v1/ledger:verify", {}).json()["ok"]


@pytest.mark.parametrize("point", list(points()))
def test_the_link_fails_at_each_point_and_nothing_is_lost_or_doubled(make, redis, point):
    p = make("--redis", url(redis.port), env={"REEVE_FAILPOINTS": f"{point}=error@2"})
    for i in range(3):
        push(redis, *[entry(number=n) for n in range(20 * i, 20 * i + 20)], "rubbish")
        time.sleep(0.3)
    until(lambda: len(pushed(p)) >= 60, 30)
    until(lambda: in_step(p, redis) and redis.cli("HLEN", "reeve:intake") == "0")
    assert pushed(p) == names(60) and redis.cli("LLEN", "reeve:dead") == "3"
