"""Signing in at the page: links, their codes, sessions, and who tries to get in without."""

import concurrent.futures
import json
import re
import subprocess
import time

import pytest
import requests
from hostile import is_problem
from plant import Plant

pytestmark = pytest.mark.short


@pytest.fixture
def plant(build):
    """A fresh one each time: wrong guesses are remembered."""
    p = Plant(build)
    p.start_reeved()
    for name, role in [("alice", "user"), ("vera", "viewer")]:
        p.ask("POST", "/api/v1/users", {"name": name, "role": role})
    yield p
    p.stop()
    assert p.reeved.returncode == 0, p.log_tail("reeved.log")


def link(plant, token=None, **body):
    answer = plant.ask("POST", "/api/v1/links", body, token=token)
    assert answer.status_code == 201, answer.text
    return answer.json()


def sign_in(plant, code, **headers):
    return requests.post(
        plant.url + "/api/v1/sessions",
        data=json.dumps({"code": code}),
        headers={"Content-Type": "application/json", **headers},
        timeout=20,
    )


def session(plant, **body):
    answer = sign_in(plant, link(plant, **body)["code"])
    assert answer.status_code == 201, answer.text
    return answer.json()


def seconds_until(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())


def test_a_code_works_once_and_makes_a_session_that_ends(plant):
    made = link(plant)
    assert made["user"] == "admin" and made["path"] == "/#/link=" + made["code"]
    assert re.fullmatch(r"[0-9a-f]{32}", made["code"]) and 590 < seconds_until(made["expires_at"]) <= 600
    assert plant.ask("GET", f"/api/v1/links/{made['id']}").json()["user"] == "admin"
    answer = sign_in(plant, made["code"])
    told = answer.json()
    assert answer.status_code == 201 and answer.headers["Cache-Control"] == "no-store"
    assert (told["user"], told["role"]) == ("admin", "admin") and "admin" in told["permissions"]
    assert 43100 < seconds_until(told["expires_at"]) <= 43200
    me = plant.ask("GET", "/api/v1/whoami", token=told["token"]).json()
    assert me["user"] == "admin" and me["expires_at"] == told["expires_at"]
    problem = is_problem(sign_in(plant, made["code"]), 401)
    assert "reeve token link" in problem["detail"]
    assert plant.ask("GET", f"/api/v1/links/{made['id']}").status_code == 404


def test_tokens_list_sessions_and_links_and_end_them(plant):
    waiting, now = link(plant), session(plant, user="alice")
    kinds = {t["id"]: (t["kind"], t["user"]) for t in plant.ask("GET", "/api/v1/tokens").json()["items"]}
    assert kinds[waiting["id"]] == ("link", "admin") and kinds[now["id"]] == ("session", "alice")
    assert set(kinds.values()) == {("token", "admin"), ("link", "admin"), ("session", "alice")}
    assert plant.ask("DELETE", f"/api/v1/tokens/{waiting['id']}").status_code == 204
    assert sign_in(plant, waiting["code"]).status_code == 401
    assert plant.ask("DELETE", f"/api/v1/tokens/{now['id']}").status_code == 204
    assert plant.ask("GET", "/api/v1/whoami", token=now["token"]).status_code == 401


def test_signing_out_ends_the_session_and_its_streams_and_nothing_else(plant):
    mine, other = session(plant), session(plant)
    assert plant.ask("DELETE", "/api/v1/sessions/current", token=mine["token"]).status_code == 204
    assert plant.ask("GET", "/api/v1/whoami", token=mine["token"]).status_code == 401
    assert plant.ask("DELETE", "/api/v1/sessions/current", token=mine["token"]).status_code == 401
    assert plant.ask("GET", "/api/v1/whoami", token=other["token"]).status_code == 200
    # By the socket nobody shows anything that could be ended.
    assert plant.ask_socket("DELETE", "/api/v1/sessions/current")[0] == 409


def test_a_user_makes_links_for_oneself_only(plant):
    alice = session(plant, user="alice")["token"]
    assert session(plant, token=alice)["user"] == "alice"
    is_problem(plant.ask("POST", "/api/v1/links", {"user": "admin"}, token=alice), 403)
    assert link(plant, token=alice, user="alice")["user"] == "alice"
    is_problem(plant.ask("POST", "/api/v1/links", {"user": "nobody"}), 404, "user")
    is_problem(plant.ask("POST", "/api/v1/links", {"usr": "alice"}), 400, "usr")
    admins = link(plant)["id"]
    is_problem(plant.ask("GET", f"/api/v1/links/{admins}", token=alice), 404)
    viewer = session(plant, user="vera")
    assert viewer["role"] == "viewer" and "submit" not in viewer["permissions"]


def test_a_session_cannot_prolong_itself(plant):
    first = session(plant)
    time.sleep(1.1)
    assert session(plant, token=first["token"])["expires_at"] == first["expires_at"]
    short = plant.ask("POST", "/api/v1/tokens", {"user": "alice", "expires_in": 2}).json()
    second = session(plant, token=short["token"])
    assert second["expires_at"] == short["expires_at"]
    time.sleep(2.1)
    assert plant.ask("GET", "/api/v1/whoami", token=second["token"]).status_code == 401


def test_the_same_code_at_once_signs_in_one(plant):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in range(9):  # the losers count as wrong guesses
            code = link(plant)["code"]
            answers = list(pool.map(lambda _, code=code: sign_in(plant, code).status_code, range(2)))
            assert sorted(answers) == [201, 401]
    made = plant.ask("GET", "/api/v1/ledger?kind=token.created&limit=1000").json()["items"]
    used = [r["body"]["link"] for r in made if r["body"].get("link")]
    assert len(used) == len(set(used))


def test_codes_and_sessions_outlive_the_program_and_a_used_code_stays_used(plant):
    used, kept = link(plant), link(plant)
    mine = sign_in(plant, used["code"]).json()
    plant.reeved.kill()
    plant.reeved.wait()
    plant.start_reeved()
    assert plant.ask("GET", "/api/v1/whoami", token=mine["token"]).json()["user"] == "admin"
    assert sign_in(plant, used["code"]).status_code == 401
    assert sign_in(plant, kept["code"]).status_code == 201
    assert sign_in(plant, kept["code"]).status_code == 401


def test_who_guesses_waits_and_what_is_no_code_is_refused(plant):
    code = link(plant)["code"]
    for body in (b"", b"{}", b'{"code":1}', b'{"code":""}', b'{"code":"' + b"a" * 129 + b'"}', b'{"code":"a\\u0000"}',
                 b'{"code":"a","x":1}', b'[]', b'{"code":"\xff"}'):  # fmt: skip
        assert requests.post(plant.url + "/api/v1/sessions", data=body, timeout=20).status_code == 400, body
    wrong = [code[:-1], code + "0", code.upper() + " ", " " + code, "link=" + code, "rv_" + "0" * 64, "'; --", "é" * 20,
             plant.admin_token, "0" * 32]  # fmt: skip
    for guess in wrong:
        is_problem(sign_in(plant, guess), 401)
    waits = sign_in(plant, code)
    is_problem(waits, 429)
    assert 1 <= int(waits.headers["Retry-After"]) <= 6
    time.sleep(6.1)
    assert sign_in(plant, code).status_code == 201


def test_a_code_is_no_token_and_a_token_no_code(plant):
    made = link(plant)
    assert plant.ask("GET", "/api/v1/whoami", token=made["code"]).status_code == 401
    assert sign_in(plant, session(plant)["token"]).status_code == 401
    assert sign_in(plant, made["code"]).status_code == 201


def test_the_code_of_a_disabled_user_opens_nothing(plant):
    code, mine = link(plant, user="alice")["code"], session(plant, user="alice")
    plant.ask("DELETE", "/api/v1/users/alice")
    is_problem(sign_in(plant, code), 422, words="disabled")
    assert plant.ask("GET", "/api/v1/whoami", token=mine["token"]).status_code == 401
    is_problem(plant.ask("POST", "/api/v1/links", {"user": "alice"}), 422)


def test_a_page_of_elsewhere_signs_nobody_in(plant):
    code = link(plant)["code"]
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{plant.api_port + 1}", "http://", "",
                   f"http://evil.example:{plant.api_port}", f"{plant.url}.evil.example"):  # fmt: skip
        is_problem(sign_in(plant, code, Origin=origin), 403)
    is_problem(sign_in(plant, code, Host="evil.example", Origin="http://evil.example"), 421)
    # Neither does one that found its way to the socket, where no token is needed.
    socket, evil = str(plant.data / "reeved.sock"), "Origin: https://evil.example"
    asked = subprocess.run(
        ["curl", "-s", "--unix-socket", socket, "-H", evil, "-d", "{}", "http://localhost/api/v1/links"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(asked.stdout)["status"] == 403
    assert sign_in(plant, code, Origin=plant.url).status_code == 201


def test_the_ledger_names_who_made_a_link_for_whom_and_holds_no_secret(plant):
    made = link(plant, user="alice")
    mine = sign_in(plant, made["code"]).json()
    rows = plant.ask("GET", "/api/v1/ledger?kind=token.created&limit=1000").json()["items"]
    by_id = {r["subject"]: r for r in rows}
    assert by_id[made["id"]]["actor"] == "admin" and by_id[made["id"]]["body"]["kind"] == 2
    assert by_id[mine["id"]]["actor"] == "alice" and by_id[mine["id"]]["body"]["link"] == made["id"]
    kept = (plant.data / "reeve.db").read_bytes() + (plant.data / "reeve.db-wal").read_bytes()
    kept += plant.log_tail("reeved.log", 1 << 20).encode()
    assert made["code"].encode() not in kept and mine["token"].encode() not in kept
    assert plant.ask("POST", "/api/v1/ledger:replay").json()["identical"]


def test_the_command_line_prints_a_link_that_a_browser_can_open(plant, build):
    def reeve(*words):
        return subprocess.run(
            [build / "src/cli/reeve", *words], capture_output=True, text=True, timeout=20, check=False,
            env={"HOME": "/nowhere", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip

    done = reeve("token", "link", "--server", f"unix:{plant.data}/reeved.sock")
    assert re.fullmatch(re.escape(plant.url) + r"/#/link=[0-9a-f]{32}\n", done.stdout), done.stdout + done.stderr
    assert sign_in(plant, done.stdout.strip().partition("link=")[2]).json()["user"] == "admin"
    done = reeve("token", "link", "alice", "--server", plant.url, "--token", plant.admin_token, "-o", "json")
    told = json.loads(done.stdout)
    assert told["user"] == "alice" and told["url"] == plant.url + told["path"]
    done = reeve("token", "link", "nobody", "--server", plant.url, "--token", plant.admin_token)
    assert done.returncode == 4 and "there is no user 'nobody'" in done.stderr
    assert "session" in reeve("token", "list", "--server", plant.url, "--token", plant.admin_token).stdout
