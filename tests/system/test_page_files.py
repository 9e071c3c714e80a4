"""The page's files: what is sent, how it is kept, and what is not there."""

import gzip
import http.client
import os
import signal

import pytest
import requests
from hostile import exchange, head, is_problem, status_of
from plant import Plant, until

pytestmark = pytest.mark.short

SCRIPT = b"console.log('reeve');\n" * 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("page")
    (top / "assets").mkdir()
    (top / "index.html").write_text("<!doctype html><title>Reeve</title>")
    (top / "assets/app-ABCD2345.js").write_bytes(SCRIPT)
    (top / "assets/app-ABCD2345.js.gz").write_bytes(gzip.compress(SCRIPT))
    (top / "assets/plain.css").write_text("body{}")
    (top / "secret").write_text("nobody's business")
    return top


@pytest.fixture(scope="module")
def plant(build, folder):
    p = Plant(build, reeved=["--web", str(folder)])
    p.start_reeved()
    yield p
    p.stop()
    assert p.reeved.returncode == 0, p.log_tail("reeved.log")


def get(plant, path, **headers):
    headers = {"Accept-Encoding": None, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return requests.get(plant.url + path, headers=headers, timeout=10)


def test_the_page_needs_no_token_and_is_asked_for_again_each_time(plant):
    answer = get(plant, "/")
    assert answer.status_code == 200 and "<title>Reeve</title>" in answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    again = get(plant, "/", If_None_Match=answer.headers["ETag"])
    assert again.status_code == 304 and not again.content
    assert again.headers["Content-Security-Policy"] == answer.headers["Content-Security-Policy"]
    assert get(plant, "/?lang=ko").status_code == 200


def test_a_file_named_by_its_hash_is_kept_for_ever_and_sent_packed(plant):
    plain = get(plant, "/assets/app-ABCD2345.js")
    assert plain.content == SCRIPT and "Content-Encoding" not in plain.headers
    assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    packed = get(plant, "/assets/app-ABCD2345.js", Accept_Encoding="gzip, deflate, br")
    assert packed.content == SCRIPT and packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(SCRIPT) / 4
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert "immutable" not in get(plant, "/assets/plain.css").headers["Cache-Control"]
    head = requests.head(plant.url + "/assets/app-ABCD2345.js", headers={"Accept-Encoding": "gzip"}, timeout=10)
    assert head.status_code == 200 and head.headers["Content-Length"] == packed.headers["Content-Length"]


def test_the_page_may_load_nothing_from_elsewhere_and_be_framed_nowhere(plant):
    for path in ("/", "/assets/plain.css"):
        headers = get(plant, path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "script-src 'self';" in policy and "unsafe" not in policy
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]


def test_every_answer_says_that_it_is_what_it_says_it_is(plant):
    answers = [
        get(plant, "/"),
        get(plant, "/healthz"),
        get(plant, "/nowhere"),
        get(plant, "/healthz", Host="evil.example"),
        plant.ask("GET", "/api/v1/jobs"),
        plant.ask("GET", "/metrics"),
        plant.ask("GET", "/openapi.json"),
        plant.ask("GET", "/api/v1/events", stream=True),
    ]
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff", answer.url
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'"), answer.url
    answers[-1].close()


def test_no_path_leads_out_of_the_folder(plant, folder):
    tricks = ["/assets/../secret", "/assets/..%2fsecret", "/assets/%2e%2e/secret", "/assets/%2e%2e%2fsecret",
              "/assets//secret", "/secret", "/assets/..", "/assets/", "/assets", "/index.html", "/assets/index.html",
              "/assets/app-ABCD2345.js/", "/assets/app-ABCD2345.js%00.css", "/assets/app-ABCD2345.js.gz",
              "/assets/\\..\\secret", "/assets/..%5csecret", "//etc/passwd", "/assets/%2fetc%2fpasswd",
              f"/assets/{folder}/secret", "http://127.0.0.1/assets/../secret", "/assets/" + "a" * 4000]  # fmt: skip
    for path in tricks:
        raw = exchange(plant, head(plant, f"GET {path} HTTP/1.1", token=False))
        assert status_of(raw) in (400, 404), (path, raw[:200])
        assert b"nobody's business" not in raw and b"root:" not in raw


def test_a_name_that_was_bent_to_us_gets_no_page(plant):
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", f"evil.example:{plant.api_port}"):
        is_problem(get(plant, "/", Host=host), 421)
        is_problem(get(plant, "/assets/app-ABCD2345.js", Host=host), 421)
    assert get(plant, "/", Host="localhost").status_code == 200


def test_a_hangup_loads_the_files_again_and_a_broken_folder_changes_nothing(plant, folder):
    old = get(plant, "/").headers["ETag"]
    half = http.client.HTTPConnection("127.0.0.1", plant.api_port, timeout=10)
    half.request("GET", "/assets/app-ABCD2345.js")
    (folder / "index.html").write_text("<!doctype html><title>Newer</title>")
    os.kill(plant.reeved.pid, signal.SIGHUP)
    until(lambda: "Newer" in get(plant, "/").text)
    assert half.getresponse().read() == SCRIPT
    new = get(plant, "/").headers["ETag"]
    assert new != old
    (folder / "index.html").rename(folder / "aside.html")
    os.kill(plant.reeved.pid, signal.SIGHUP)
    until(lambda: "keeping the old page" in plant.log_tail("reeved.log"))
    assert get(plant, "/").headers["ETag"] == new
    (folder / "aside.html").rename(folder / "index.html")


def test_without_a_page_a_sentence_says_what_to_do(build):
    p = Plant(build, reeved=["--web", ""])
    p.start_reeved()
    answer = get(p, "/")
    assert answer.status_code == 404 and answer.headers["Content-Type"].startswith("text/plain")
    assert "./run" in answer.text and "--web" in answer.text and answer.text.count("\n") == 1
    is_problem(get(p, "/assets/app.js"), 404)
    p.stop()
    p = Plant(build, reeved=["--web", "/nowhere"])
    p.start_reeved(wait=False)
    assert p.reeved.wait(10) == 4
    assert "there is no page in folder '/nowhere'" in p.log_tail("reeved.log")
    p.stop()
