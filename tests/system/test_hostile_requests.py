"""Requests that make no sense, or mean harm: each is told what is wrong, and nothing accepted is lost."""

import concurrent.futures
import itertools
import json
import random
import time

import pytest
import requests
from hostile import control_plane, exchange, has_lost_nothing, head, is_problem, status_of

JOBS = "/api/v1/jobs"


@pytest.fixture(scope="module")
def plane(build, tmp_path_factory):
    p = control_plane(build, tmp_path_factory.mktemp("requests"))
    p.accepted = [p.submit(["true"], name="before")["id"]]
    yield p
    has_lost_nothing(p, p.accepted)
    assert p.reeved.poll() is None, p.log_tail("reeved.log")
    p.stop()


@pytest.fixture(autouse=True)
def still_serves(plane):
    """Whatever was sent, the program is the same one and answers."""
    pid = plane.reeved.pid
    yield
    assert plane.reeved.pid == pid and plane.is_ready()
    assert plane.ask("GET", JOBS).status_code == 200


def post(plane, data, path=JOBS, **headers):
    return plane.session.post(
        plane.url + path,
        data=data,
        timeout=20,
        headers={
            "Authorization": f"Bearer {plane.admin_token}",
            "Content-Type": "application/json",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        },
    )


def submit(plane, **fields):
    return post(plane, json.dumps({"command": ["true"], **fields}))


# ---- JSON ----


def test_every_truncation_of_a_submission_is_refused(plane):
    whole = b'{"name": "j\xc3\xb6b", "command": ["echo", "x\\u00e9\\n"], "gpus": 1, "env": {"A": "b"}}'
    before = len(plane.ask("GET", JOBS + "?limit=1000").json()["items"])
    for end in range(len(whole)):
        is_problem(post(plane, whole[:end]), 400)
    assert len(plane.ask("GET", JOBS + "?limit=1000").json()["items"]) == before


def test_a_body_over_a_mebibyte_is_refused_and_one_below_is_read(plane):
    filler = '{"command": ["true"], "labels": {"a": "%s"}}'
    is_problem(post(plane, filler % ("x" * (1 << 20))), 413)
    is_problem(post(plane, filler % ("x" * 1000000)), 400, "labels.a")
    told = exchange(plane, head(plane, f"POST {JOBS} HTTP/1.1", "Content-Length: 99999999999999999999"))
    assert status_of(told) in (400, 413), told[:200]
    # Without a length in front, it is counted as it comes.
    chunks = b"10000\r\n" + b" " * 65536 + b"\r\n"
    data = head(plane, f"POST {JOBS} HTTP/1.1", "Transfer-Encoding: chunked") + chunks * 20
    assert status_of(exchange(plane, data + b"0\r\n\r\n")) == 413


def test_json_deeper_than_32_is_refused_however_deep(plane):
    for depth in (33, 1000, 500000):
        is_problem(post(plane, "[" * depth + "]" * depth), 400, words="32 deep")
        is_problem(post(plane, '{"a":' * min(depth, 100000)), 400, words="32 deep")
    told = is_problem(post(plane, '{"command":' + "[" * 31 + "]" * 31 + "}"), 400)
    assert told["field"] == "command[0]"


def test_a_key_given_twice_is_refused(plane):
    for body in (
        '{"command": ["true"], "gpus": 1, "gpus": 2}',
        '{"command": ["true"], "env": {"A": "1", "\\u0041": "2"}}',
    ):
        told = is_problem(post(plane, body), 400)
        assert "duplicate" in told["detail"]


def test_bytes_that_are_no_utf8_are_refused_everywhere(plane):
    bad = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3", b"\xe2\x82"]
    for b in bad:
        is_problem(post(plane, b'{"command": ["' + b + b'"]}'), 400, words="UTF-8")
        is_problem(post(plane, b'{"' + b + b'": 1}'), 400, words="UTF-8")
        escaped = "".join(f"%{x:02x}" for x in b)
        for path in (f"{JOBS}/{escaped}", f"{JOBS}?user={escaped}", f"{JOBS}?{escaped}=1"):
            raw = exchange(plane, head(plane, f"GET {path} HTTP/1.1"))
            assert status_of(raw) == 400, (path, raw[:300])
    # A half of a surrogate pair is no character either.
    is_problem(post(plane, '{"command": ["\\ud800"]}'), 400)


def test_a_nul_is_refused_everywhere(plane):
    is_problem(post(plane, '{"command": ["a\\u0000b"]}'), 400)
    is_problem(post(plane, b'{"command": ["a\0b"]}'), 400)
    is_problem(post(plane, b'{"command": ["true"]}\0'), 400)
    is_problem(post(plane, '{"a\\u0000": 1, "command": ["true"]}'), 400)
    for path in (f"{JOBS}/1%00", f"{JOBS}?user=a%00b", "/api/v1/users/a%00"):
        assert status_of(exchange(plane, head(plane, f"GET {path} HTTP/1.1"))) == 400, path
    for header in ("Idempotency-Key: a\0b", "X: \0"):
        raw = exchange(plane, head(plane, f"POST {JOBS} HTTP/1.1", header, "Content-Length: 0"))
        assert status_of(raw) == 400, raw[:200]


def test_what_is_json_but_no_object_is_refused(plane):
    for body in ("", " ", "null", "1", "true", '"x"', "[]", "[{}]", "{}x", "{} {}", "NaN", "{'a':1}"):
        is_problem(post(plane, body), 400)
    is_problem(post(plane, "{}"), 400, "command")
    is_problem(post(plane, "a=b", Content_Type="application/x-www-form-urlencoded"), 400)


TEXT = [1, 1.5, True, [], {}, "", ["x"]]
AMOUNT = [True, [], {}, "", "x", "-1", -1, 0, 1.5, 1 << 62, -(1 << 62), "99999999999999999999GiB", "1e3"]
WRONG = {
    "name": [*TEXT, "x" * 300, "a\nb", "\x1b[2J", "\x7f"],
    "team": [*TEXT, "x" * 65, "../x", "a b", "é", "-"],
    "user": [*TEXT, "x" * 65, "../x", "a b", "a/b", "\n"],
    "work_dir": [*TEXT, "relative", "../x", "/" + "x" * 1024],
    "config_file": [*TEXT, "x" * 1025],
    "progress": [*TEXT, "x", "{other}", "{done}\n", "x" * 129],
    "command": [None, 1, "true", {}, True, [], [1], [None], [[]], [{}], [""], ["x" * 65537], ["x"] * 5000],
    "env": [1, "x", [], True, {"A": 1}, {"A": None}, {"A": []}, {"1A": "x"}, {"": "x"}, {"A=B": "x"},
            {"A B": "x"}, {"A": "x" * 32769}, {"x" * 200: "x"}, {f"A{i}": "x" for i in range(5000)}],
    "labels": [1, "x", [], True, {"a": 1}, {"a": None}, {"": "x"}, {"a b": "x"}, {"a": "x" * 257},
               {"a": "x\n"}, {"x" * 64: "x"}, {f"a{i}": "x" for i in range(5000)}],
    "gpus": ["1", 1.5, True, [], {}, -1, 1 << 40, 1e300],
    "retries": ["1", 1.5, True, [], {}, -1, 1 << 40],
    "exclusive": ["true", 1, 0, [], {}],
    "gpu_memory": [*AMOUNT, "8", 1 << 26],
    "memory": [*AMOUNT, "8", 1 << 26],
    "cpu": [True, [], {}, "", "x", "1", -1, 0, 0.0001, 1e300, "0m", "-1m", "1.5m", 1025, "1024001m"],
    "time_limit": [*AMOUNT, "1500ms", 315360001, "1000000h"],
}  # fmt: skip
CASES = [(field, value) for field, values in WRONG.items() for value in values]


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_value_is_refused_and_its_field_is_named(plane, field):
    # What a field may have is its own; null is as if it were not there.
    for value in WRONG[field]:
        answer = submit(plane, **{field: value})
        assert answer.status_code == 400, (value, answer.text[:300])
        told = is_problem(answer, 400)
        named = told.get("field", "")
        assert named == field or named.startswith((field + ".", field + "[")), (value, told)
        if field in ("command", "user"):
            continue
        batch = json.dumps({"jobs": [{"command": ["true"]}, {"command": ["true"], field: value}]})
        told = is_problem(post(plane, batch, JOBS + ":batch"), 400)
        assert told["field"].startswith(f"jobs[1].{field}"), (value, told)


def test_numbers_beyond_all_numbers_are_refused(plane):
    for number in ("1e999", "-1e999", "9" * 400, "1" + "0" * 30, "0x10", "01", "+1", ".5", "1.", "Infinity"):
        for field in ("gpus", "memory", "cpu", "time_limit"):
            is_problem(post(plane, f'{{"command": ["true"], "{field}": {number}}}'), 400)


def test_what_does_not_work_yet_and_what_is_not_known_are_refused_by_name(plane):
    is_problem(submit(plane, priority=5), 400, "priority", "does not work yet")
    is_problem(submit(plane, image="x y"), 400, "image")
    is_problem(submit(plane, gpuss=1), 400, "gpuss", "not known")
    is_problem(submit(plane, __proto__={}), 400, "__proto__")
    is_problem(plane.ask("GET", JOBS + "?limitt=5"), 400, "limitt")
    for limit in ("0", "1001", "-1", "x", "", "1e2", "99999999999999999999", "1%20"):
        is_problem(plane.ask("GET", f"{JOBS}?limit={limit}"), 400, "limit")
    for cursor in ("-1", "x", "99999999999999999999999", "../1"):
        is_problem(plane.ask("GET", f"{JOBS}?cursor={cursor}"), 400, "cursor")
    is_problem(plane.ask("GET", JOBS + "?state=Sleeping"), 400, "state")


def test_a_batch_is_taken_whole_or_not_at_all(plane):
    good = {"command": ["true"], "name": "of-a-batch"}
    before = plane.ask("GET", "/api/v1/queue").json()["queue_length"]
    for jobs in ([], [good] * 1001, good, None, [good, 1], [good, None], [good, {"command": []}]):
        is_problem(post(plane, json.dumps({"jobs": jobs}), JOBS + ":batch"), 400)
    assert plane.ask("GET", "/api/v1/queue").json()["queue_length"] == before


def test_the_sources_submission_needs_its_three_fields_and_their_types(plane):
    whole = {"user": "admin", "config_file": "c.yaml", "work_dir": "/tmp"}
    for field in whole:
        is_problem(post(plane, json.dumps({k: v for k, v in whole.items() if k != field}), "/submit"), 400, field)
        for value in (1, None, [], {}, "", "x" * 2000):
            is_problem(post(plane, json.dumps({**whole, field: value}), "/submit"), 400, field)
    is_problem(post(plane, json.dumps({**whole, "user": "nobody-here"}), "/submit"), 422, "user")
    is_problem(post(plane, json.dumps({**whole, "extra": 1}), "/submit"), 400, "extra")


def test_users_and_tokens_are_checked_as_strictly(plane):
    for name in (1, None, "", "../root", "a b", "x" * 65, "a\n", "é"):
        body = json.dumps({"name": name, "role": "user"})
        is_problem(post(plane, body, "/api/v1/users"), 400, "name")
    for role in (1, None, "", "root", "ADMIN", "x" * 100):
        is_problem(post(plane, json.dumps({"name": "n", "role": role}), "/api/v1/users"), 400, "role")
    is_problem(post(plane, json.dumps({"user": "nobody"}), "/api/v1/tokens"), 404, "user")
    for span in (-1, 0, "x", [], 1 << 62, "1e9h"):
        body = json.dumps({"user": "admin", "expires_in": span})
        is_problem(post(plane, body, "/api/v1/tokens"), 400, "expires_in")


def test_random_bytes_never_get_in(plane):
    rng = random.Random(7)
    seeds = [b'{"command":["true"],"env":{"A":"b"},"gpus":1}', b'{"jobs":[{"command":["x"]}]}']
    for _ in range(300):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        answer = post(plane, bytes(data), rng.choice([JOBS, JOBS + ":batch", "/submit"]))
        assert answer.status_code in (201, 400, 422), answer.text
        if answer.status_code != 201:
            is_problem(answer, answer.status_code)


# ---- paths, headers, hosts ----


def test_no_path_leads_out_of_the_api(plane):
    for path in (
        "/../../etc/passwd", "/api/v1/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/v1/jobs/..",
        "/api/v1/jobs/%2e%2e", "/api/v1/jobs/1%2flogs", "/api/v1/jobs/1%5c..", "//etc/passwd", "/api//v1/jobs",
        "/api/v1/jobs/./1", "/api/v1/jobs/1/../2", "/%", "/%zz", "/api/v1/jobs/%", "/api/v1/jobs/\x01",
        "/api/v1/nodes/..%2f..%2f", "/api/v1/users/%0d%0aX:%20y", "/api/v1/jobs/" + "9" * 400,
        "/api/v1/jobs/-1", "/api/v1/jobs/0", "/api/v1/jobs/1.0", "/api/v1/jobs/0x1", "/api/v1/jobs/1%20",
        "*", "api/v1/jobs", "/" + "a" * 3000,
        "/api/v1/jobs/1/logs/../../../../etc/passwd", "/api/v1/jobs/" + "%41" * 500,
    ):  # fmt: skip
        raw = exchange(plane, head(plane, f"GET {path} HTTP/1.1"))
        assert status_of(raw) in (400, 404, 421), (path, raw[:300])
        assert b"root:" not in raw
        assert b"\r\nX: y" not in raw


def test_huge_and_many_headers_are_refused(plane):
    for headers in (
        ["X: " + "a" * 9000],
        [f"X{i}: a" for i in range(2000)],
        ["X: a"] * 3000,
        ["X: " + "a" * (1 << 20)],
        ["a" * 20000 + ": x"],
        ["Cookie: " + "a=b; " * 4000],
    ):
        raw = exchange(plane, head(plane, "GET /healthz HTTP/1.1", *headers))
        # Whoever sends far too much may find the door closed before the answer.
        assert status_of(raw) in (413, 431) or (len(headers[0]) > 100000 and not raw), raw[:200]
    raw = exchange(plane, head(plane, "GET /healthz?" + "a" * 9000 + " HTTP/1.1"))
    assert status_of(raw) in (414, 431), raw[:200]
    assert status_of(exchange(plane, head(plane, "GET /healthz HTTP/1.1", "X: " + "a" * 6000))) == 200


def test_requests_that_are_no_http_are_refused_or_dropped(plane):
    rng = random.Random(3)
    junk = [
        b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n", b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"BREW /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n : x\r\n\r\n", b"\0" * 5000,
        *(rng.randbytes(rng.randrange(1, 3000)) for _ in range(40)),
    ]  # fmt: skip
    for data in junk:
        raw = exchange(plane, data, 0.5, ends=True)
        # Lines that end in a bare newline are read, too; both paths are there for everybody.
        is_open = data.startswith((b"GET /healthz ", b"GET / "))
        assert not raw or status_of(raw) is None or status_of(raw) >= 400 or is_open, raw


def test_a_body_said_twice_is_not_smuggled(plane):
    inner = b"GET /api/v1/users HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for lengths in (
        ["Content-Length: 2", "Transfer-Encoding: chunked"],
        ["Content-Length: 2", "Content-Length: 40"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["Content-Length: -1"], ["Content-Length: 2x"], ["Content-Length: 0x10"], ["Content-Length: +5"],
    ):  # fmt: skip
        raw = exchange(plane, head(plane, f"POST {JOBS} HTTP/1.1", *lengths) + b"{}" + inner)
        assert b" 200 OK" not in raw and b'"items"' not in raw, raw
        assert not raw or status_of(raw) in (400, 413, 501), (lengths, raw[:300])


def test_a_host_that_is_not_ours_is_refused(plane):
    for host in (
        "[::1]x",
        "127.0.0.1:x",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "a@127.0.0.1",
        "[::1",
        "",
        "x" * 300,
        "é",
    ):
        raw = exchange(plane, head(plane, f"GET {JOBS} HTTP/1.1", host=host))
        assert status_of(raw) in (400, 421), (host, raw[:200])
        assert b"application/problem+json" in raw, raw[:300]
    assert status_of(exchange(plane, head(plane, f"GET {JOBS} HTTP/1.1", "Host: localhost"))) == 400
    assert status_of(exchange(plane, head(plane, f"GET {JOBS} HTTP/1.1", host=None))) == 400
    for host in ("localhost", "127.0.0.1:1", f"[::1]:{plane.api_port}", "LOCALHOST"):
        assert status_of(exchange(plane, head(plane, f"GET {JOBS} HTTP/1.1", host=host))) == 200


def test_a_method_that_a_route_does_not_know_is_refused_with_those_it_does(plane):
    for method, path in itertools.product(("PUT", "PATCH", "DELETE", "OPTIONS"), (JOBS, "/healthz", "/submit")):
        answer = plane.ask(method, path)
        is_problem(answer, 405)
        assert answer.headers["Allow"]


# ---- events and samples ----


def test_an_absurd_last_event_id_is_refused_or_begins_anew(plane):
    def ask(value):
        return plane.ask("GET", "/api/v1/events", headers={"Last-Event-ID": value}, stream=True, timeout=10)

    for value in ("-1", "x", "1.5", "1e3", "99999999999999999999", "0x1", "", "1,2", "a" * 4000, "\xff"):
        is_problem(ask(value.encode("latin-1")), 400, "Last-Event-ID")
    for value in ("4611686018427387903", "4000000000"):
        with ask(value) as answer:
            assert answer.status_code == 200
            lines = answer.iter_lines(chunk_size=1)
            assert any(line == b"event: reset" for line in itertools.islice(lines, 10)), value
    with ask("0") as answer:
        lines = list(itertools.islice(answer.iter_lines(chunk_size=1), 12))
        assert any(line.startswith(b"id: ") for line in lines), lines


def snappy_header(size):
    out = b""
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    return out + bytes([size])


def test_garbage_as_samples_is_refused_and_costs_nothing(plane):
    def write(data):
        return post(plane, data, "/api/v1/write", Content_Type="application/x-protobuf", Content_Encoding="snappy")

    rng = random.Random(5)
    literal = lambda data: snappy_header(len(data)) + bytes([(len(data) - 1) << 2]) + data  # noqa: E731
    before = resident(plane)
    bodies = [
        b"", b"\xff" * 12, rng.randbytes(5000), literal(b"\xff" * 20), literal(b"\x0a\x7f"), literal(b"not protobuf"),
        snappy_header(0xFFFFFFFF) + b"\xfe\x01\x00" * 100, snappy_header(1 << 30) + b"\0a",
        *(literal(rng.randbytes(rng.randrange(1, 60))) for _ in range(100)),
    ]  # fmt: skip
    for body in bodies:
        answer = write(body)
        # A message without a word in it is one, and so may be a few random bytes.
        assert answer.status_code in (204, 400, 413), (body, answer.text)
    assert write(rng.randbytes(3 << 20)).status_code in (400, 413)
    is_problem(write(snappy_header(1 << 30) + b"\0a"), 413)
    is_problem(write(b"\xff" * 12), 400)
    assert resident(plane) - before < 100 << 20


def resident(plane):
    with open(f"/proc/{plane.reeved.pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


# ---- keys and tokens ----


def test_an_idempotency_key_cannot_be_abused(plane):
    for key in ("", "x" * 129, "a b", "é".encode(), b"\xff", b"a\x01", b"a\tb"):
        is_problem(submit_with(plane, key), 400, "Idempotency-Key")
    first = submit_with(plane, "k1", name="one")
    assert first.status_code == 201
    plane.accepted.append(first.json()["id"])
    again = submit_with(plane, "k1", name="one")
    assert again.status_code // 100 == 2 and again.json()["id"] == first.json()["id"]
    is_problem(submit_with(plane, "k1", name="two"), 422)
    # Neither another user nor another route sees it.
    token = make_user(plane, "keys")
    answer = plane.ask(
        "POST", JOBS, {"command": ["true"], "name": "one"}, token=token, headers={"Idempotency-Key": "k1"}
    )
    assert answer.status_code == 201 and answer.json()["id"] != first.json()["id"]
    cancel = f"{JOBS}/{answer.json()['id']}/cancel"
    assert plane.ask("POST", cancel, headers={"Idempotency-Key": "k1"}).status_code // 100 == 2
    is_problem(
        plane.ask("POST", "/api/v1/tokens", {"user": "keys"}, headers={"Idempotency-Key": "k1"}), 400, "Idempotency-Key"
    )
    # A refused request does not use the key up.
    is_problem(submit_with(plane, "k2", gpus=-1), 400)
    assert submit_with(plane, "k2", gpus=0).status_code == 201


def submit_with(plane, key, **fields):
    return post(plane, json.dumps({"command": ["true"], **fields}), Idempotency_Key=key)


def test_twenty_at_once_with_one_key_make_one_job(plane):
    def one(_):
        return requests.post(
            plane.url + JOBS,
            json={"command": ["true"], "name": "once"},
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "at-once"},
            timeout=30,
        )

    token = plane.admin_token
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(20)))
    assert {a.status_code // 100 for a in answers} == {2}, [a.text for a in answers if a.status_code // 100 != 2]
    assert len({a.json()["id"] for a in answers}) == 1
    plane.accepted.append(answers[0].json()["id"])


def make_user(plane, name, role="user", **token):
    assert plane.ask("POST", "/api/v1/users", {"name": name, "role": role}).status_code == 201
    return plane.ask("POST", "/api/v1/tokens", {"user": name, **token}).json()["token"]


def test_no_token_and_a_wrong_one_get_401_and_never_a_hint(plane):
    token = plane.admin_token
    for header in (
        None, "", "Bearer", "Bearer ", "Bearer x", "bearer", f"Basic {token}", token, f"Bearer {token}x",
        f"Bearer {token[:-1]}", "Bearer " + "x" * 6000, f"Bearer {token} {token}", "Bearer é", "Bearer \xff",
        f"Token {token}", f"Bearer {token.upper()}",
    ):  # fmt: skip
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        for method, path in (("GET", JOBS), ("POST", JOBS), ("GET", "/metrics"), ("GET", "/api/v1/users")):
            answer = requests.request(method, plane.url + path, headers=headers, timeout=20)
            is_problem(answer, 401)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert token not in answer.text


def test_expired_and_revoked_tokens_and_disabled_users_end_at_once(plane):
    token = make_user(plane, "short-lived", expires_in=1)
    held = plane.ask("POST", JOBS, {"command": ["true"]}, token=token)
    if held.status_code == 201:  # a slow machine may have used the second up
        plane.accepted.append(held.json()["id"])
    time.sleep(1.1)
    is_problem(plane.ask("GET", JOBS, token=token), 401)
    made = plane.ask("POST", "/api/v1/tokens", {"user": "short-lived"}).json()
    assert plane.ask("GET", JOBS, token=made["token"]).status_code == 200
    assert plane.ask("DELETE", f"/api/v1/tokens/{made['id']}").status_code == 204
    is_problem(plane.ask("GET", JOBS, token=made["token"]), 401)

    token = make_user(plane, "dismissed")
    kept = plane.ask("POST", JOBS, {"command": ["true"]}, token=token).json()["id"]
    plane.accepted.append(kept)
    assert plane.ask("DELETE", "/api/v1/users/dismissed").status_code == 204
    is_problem(plane.ask("GET", JOBS, token=token), 401)
    is_problem(submit(plane, user="dismissed"), 422, "user")
    assert plane.job(kept)["user"] == "dismissed"


def test_roles_keep_to_their_routes(plane):
    user = make_user(plane, "plain")
    for method, path in (("GET", "/api/v1/users"), ("POST", "/api/v1/tokens"), ("POST", "/api/v1/ledger:verify")):
        is_problem(plane.ask(method, path, {} if method == "POST" else None, token=user), 403)
    is_problem(plane.ask("POST", JOBS, {"command": ["true"], "user": "admin"}, token=user), 403, "user")
    others = plane.accepted[0]
    assert plane.ask("POST", f"{JOBS}/{others}/cancel", token=user).status_code in (403, 404)
    assert plane.ask("DELETE", f"{JOBS}/{others}", token=user).status_code in (403, 404)
    for path in ("stream", "reports", "logs/1/1", "write", "enrol"):
        method = "GET" if path == "stream" else "POST"
        is_problem(plane.ask(method, "/agent/v1/" + path, token=user), 403)
