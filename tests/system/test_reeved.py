"""reeved as a program: options from everywhere, TLS, signals, what it leaves in its folder."""

import json
import os
import signal
import subprocess

import pytest
import requests
from fake_agent import FakeAgent
from plant import Plant, until


def make_certificate(folder, name):
    """A self-signed certificate for 127.0.0.1; gives back certificate and key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def served_name(plant):
    out = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{plant.api_port}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    ).stdout
    return next((line.strip() for line in out.splitlines() if "subject=" in line), "")


def test_tls_is_verified_by_clients_and_loaded_again_at_sighup(build, tmp_path):
    cert, key = make_certificate(tmp_path, "first")
    p = Plant(build, reeved=["--tls-cert", str(cert), "--tls-key", str(key)])
    try:
        p.start_reeved(wait=False)
        url = f"https://127.0.0.1:{p.api_port}"

        def ready(verify):
            try:
                return requests.get(url + "/readyz", verify=verify, timeout=5).status_code == 200
            except requests.exceptions.SSLError:
                return "untrusted"
            except requests.RequestException:
                return False

        assert until(lambda: ready(str(cert))) is True
        assert ready(True) == "untrusted"
        assert "first" in served_name(p)
        assert json.loads((p.data / "reeved.ports").read_text())["tls"] is True

        key.write_text("not a key")
        p.reeved.send_signal(signal.SIGHUP)
        until(lambda: "keeping the old one" in p.log_tail("reeved.log"))
        assert "first" in served_name(p)

        make_certificate(tmp_path, "second")
        p.reeved.send_signal(signal.SIGHUP)
        until(lambda: "second" in served_name(p))
        assert p.ask_socket("GET", "/healthz")[0] == 200
    finally:
        p.stop()


def answers(url, ca):
    try:
        return requests.get(url, verify=str(ca), timeout=5).status_code == 200
    except requests.exceptions.SSLError:
        raise
    except requests.RequestException:
        return False


def test_without_a_certificate_it_makes_its_own(build, tmp_path):
    p = Plant(build, reeved=["--tls-auto", "--host", "control.example"])
    try:
        p.start_reeved({"REEVE_FAILPOINTS": "net.own-cert.authority=kill@1"}, wait=False).wait(20)
        assert not (p.data / "tls/ca.pem").exists(), "whom nobody can sign for is not to be trusted"
        trusted = set()
        for _ in range(2):
            p.start_reeved(wait=False)
            ca = p.data / "tls/ca.pem"
            until(ca.exists)
            url = f"https://localhost:{p.api_port}/readyz"
            until(lambda url=url, ca=ca: answers(url, ca))
            names = subprocess.run(
                ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", p.data / "tls/server.pem"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            assert "DNS:localhost" in names and "DNS:control.example" in names
            trusted.add(ca.read_bytes())
            p.reeved.terminate()
            assert p.reeved.wait(20) == 0
        assert len(trusted) == 1
    finally:
        p.stop()


def test_a_changed_policy_is_taken_over_without_a_restart(build, tmp_path):
    config = tmp_path / "reeved.yaml"
    config.write_text("price-gpu-hour: '1.00'\ngate-gpu: 80\n")
    p = Plant(build, reeved=["--config", str(config)], gate=True)

    def policies():
        return [r["body"] for r in p.ask("GET", "/api/v1/ledger?kind=policy.set").json()["items"]]

    def reload(text, words):
        config.write_text(text)
        before = p.log_tail("reeved.log", 100000).count(words)
        p.reeved.send_signal(signal.SIGHUP)
        until(lambda: p.log_tail("reeved.log", 100000).count(words) > before)

    try:
        p.start_reeved()
        agent = FakeAgent(p, "a").start()
        assert agent.welcome["gate"]["gpu_pct"] == 80

        reload("price-gpu-hour: '2.00'\ngate-gpu: 60\nworkers: 3\n", "the policy has changed")
        until(lambda: [b["gpu_hour_micros"] for b in policies()] == [1000000, 2000000])
        assert policies()[-1]["version"] == 2 and '"option":"workers"' in p.log_tail("reeved.log")
        line = agent.next_line()
        assert line["type"] == "gate" and line["gate"]["gpu_pct"] == 60

        # An hour of a GPU at the new price, without energy.
        job = p.submit(["x"])["id"]
        line = agent.next_line()
        agent.say(line, "started", ago_ms=3600000)
        agent.say(line, "ended", outcome="completed", exit_code=0, run_ms=3600000)
        assert p.job(job)["cost_micros"] == 2000000

        for wrong in ["price-gpu-hour: much\n", "gate-gpu: 200\n", "no-such: 1\n", "a: [\n"]:
            reload(wrong, "could not read the options again")
            assert len(policies()) == 2
        reload("price-gpu-hour: '2.00'\ngate-gpu: 60\n", "loaded again")
        assert len(policies()) == 2
        assert p.ask("POST", "/api/v1/ledger:replay?from_start=true").json()["identical"]
        agent.close()
    finally:
        p.stop()


def test_a_flag_beats_the_environment_that_beats_the_file(build, tmp_path):
    config = tmp_path / "reeved.yaml"
    config.write_text("currency: EUR\nprice-gpu-hour: '1.00'\nmask-users: true\nsample: 7s\n")
    p = Plant(
        build,
        reeved=["--config", str(config), "--currency", "KRW"],
        env={"REEVE_CURRENCY": "GBP", "REEVE_PRICE_KWH": "0.20"},
    )
    try:
        p.start_reeved()
        assert p.ask("GET", "/api/v1/status").json()["currency"] == "KRW"
        policy = p.ask("GET", "/api/v1/ledger?kind=policy.set").json()["items"][-1]["body"]
        assert policy["gpu_hour_micros"] == 1000000 and policy["kwh_micros"] == 200000
        assert policy["pue_milli"] == 1000 and policy["gate_free_mib"] == 2048
        # Another price is another policy, and a row; the same is none.
        count = len(p.ask("GET", "/api/v1/ledger?kind=policy.set").json()["items"])
        for price, more in [("1.00", 0), ("2.50", 1)]:
            config.write_text(f"price-gpu-hour: '{price}'\n")
            p.reeved.terminate()
            assert p.reeved.wait(10) == 0
            p.start_reeved()
            assert len(p.ask("GET", "/api/v1/ledger?kind=policy.set").json()["items"]) == count + more
    finally:
        p.stop()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("curency: EUR\n", "curency"),
        ("sample: 1ms\n", "sample"),
        ("a: b: c\n", "yaml"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(build, tmp_path, config, words):
    file = tmp_path / "reeved.yaml"
    file.write_text(config)
    p = Plant(build, reeved=["--config", str(file)], folder=tmp_path)
    p.start_reeved(wait=False)
    assert p.reeved.wait(10) == 2
    said = p.log_tail("reeved.log")
    assert words in said and str(file) in said and said.count("\n") == 1


def test_help_and_version_say_so_and_end(build):
    program = build / "src/reeved/reeved"
    said = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    for option in ["--data", "--listen", "--tls-cert", "--source-api", "--price-gpu-hour", "--silence"]:
        assert option in said
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("reeved 0.")


def test_what_it_keeps_is_for_itself_only(build):
    p = Plant(build)
    try:
        p.start_reeved()
        for name in ["admin.token", "reeve.db", "logs"]:
            assert (p.data / name).stat().st_mode & 0o077 == 0, name
        assert os.stat(p.data).st_mode & 0o777 == 0o711
        assert json.loads((p.data / "reeved.ports").read_text())["port"] == p.api_port
    finally:
        p.stop()


def test_a_client_that_stays_does_not_hold_up_its_end(build):
    p = Plant(build)
    try:
        p.start_reeved()
        answer = p.ask("GET", "/api/v1/events", stream=True)
        p.reeved.terminate()
        assert p.reeved.wait(12) == 0
        answer.close()
    finally:
        p.stop()


def test_until_the_store_is_loaded_only_health_answers(build):
    p = Plant(build)
    try:
        p.start_reeved({"REEVE_FAILPOINTS": "writer.before_commit=sleep:1500@1"}, wait=False)

        def first_answer():
            try:
                return [requests.get(p.url + "/readyz", timeout=5)]  # an answer of 503 counts as false
            except requests.RequestException:
                return None

        [early] = until(first_answer)
        assert early.status_code == 503 and early.headers["Retry-After"]
        assert early.json()["type"] == "urn:reeve:error:unavailable"
        assert requests.get(p.url + "/healthz", timeout=5).status_code == 200
        assert requests.get(p.url + "/api/v1/status", timeout=5).status_code == 503
        until(p.is_ready)
        assert p.ask("GET", "/api/v1/status").status_code == 200
    finally:
        p.stop()


def test_pages_are_told_where_argo_shows_workflows(build, tmp_path):
    config = tmp_path / "kubeconfig"
    config.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "work"}}],
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    p = Plant(build, reeved=["--argo-url", "https://argo.example:2746", "--kube", str(config)])
    try:
        p.start_reeved()
        argo = p.ask("GET", "/api/v1/status").json()["argo"]
        assert argo == {"url": "https://argo.example:2746", "namespace": "work"}
    finally:
        p.stop()
    refused = subprocess.run(
        [build / "src/reeved/reeved", "--argo-url", "javascript:alert(1)"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2 and "--argo-url" in refused.stderr
