"""The queue's face in a real Redis: what it shows, what it takes in, and that it may break."""

import json
import socket
import subprocess

import pytest
from plant import Plant, until

pytestmark = pytest.mark.short


class Server:
    """A redis-server on loopback that keeps nothing on disk."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )
        until(lambda: self.ask("PING") == "PONG")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def ask(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, check=False)
        return done.stdout.rstrip("\n")

    def shown(self):
        """Jobs in the mirror, the next one first."""
        lines = self.ask("LRANGE", "job_queue", "0", "-1").splitlines()
        return [json.loads(line).get("job_id") for line in reversed(lines)]


@pytest.fixture
def redis(tmp_path):
    server = Server(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def plant(build, redis):
    p = Plant(build, reeved=["--redis", redis.url])
    p.start_reeved()
    yield p
    p.stop()


def waiting(plant):
    return [job["id"] for job in plant.ask("GET", "/api/v1/queue").json()["items"]]


def test_the_mirror_shows_the_queue_and_comes_back_whatever_happens_to_redis(plant, redis):
    jobs = [plant.submit(["t"])["id"] for _ in range(3)]
    until(lambda: redis.shown() == jobs)
    plant.ask("POST", f"/api/v1/jobs/{jobs[1]}/cancel", {})
    until(lambda: redis.shown() == [jobs[0], jobs[2]])
    assert redis.ask("FLUSHALL") == "OK"
    until(lambda: redis.shown() == [jobs[0], jobs[2]])
    redis.stop()
    jobs.append(plant.submit(["t"])["id"])
    redis.start()
    until(lambda: redis.shown() == [jobs[0], jobs[2], jobs[3]])
    assert waiting(plant) == [jobs[0], jobs[2], jobs[3]]


def test_what_others_push_is_taken_in_once_and_what_is_no_job_is_kept_with_the_reason(plant, redis):
    plant.ask("POST", "/api/v1/users", {"name": "alice", "role": "user"})
    until(lambda: redis.ask("EXISTS", "reeve:site") == "1")
    redis.ask("LPUSH", "job_queue", json.dumps({"user": "alice", "command": ["true"], "name": "pushed"}))
    redis.ask("LPUSH", "job_queue", json.dumps({"user": "nobody-here", "command": ["true"]}))
    redis.ask("LPUSH", "job_queue", "{not json")
    until(lambda: redis.ask("LLEN", "reeve:dead") == "2")
    taken = until(lambda: plant.ask("GET", "/api/v1/jobs?user=alice").json()["items"])
    assert [job["name"] for job in taken] == ["pushed"]
    until(lambda: redis.shown() == [taken[0]["id"]] and redis.ask("HLEN", "reeve:intake") == "0")
    assert "nobody-here" in redis.ask("LRANGE", "reeve:dead", "0", "-1")


def test_what_was_pushed_while_reeve_was_killed_is_one_job(plant, redis):
    plant.ask("POST", "/api/v1/users", {"name": "alice", "role": "user"})
    until(lambda: redis.ask("EXISTS", "reeve:site") == "1")
    for n in range(5):
        for k in range(4):
            redis.ask("LPUSH", "job_queue", json.dumps({"user": "alice", "command": ["true"], "name": f"p{n}-{k}"}))
        plant.reeved.kill()
        plant.reeved.wait()
        plant.start_reeved()
    until(lambda: redis.ask("HLEN", "reeve:intake") == "0" and len(own := redis.shown()) == 20 and None not in own)
    names = [job["name"] for job in plant.ask("GET", "/api/v1/jobs?user=alice&limit=100").json()["items"]]
    assert sorted(names) == sorted(f"p{n}-{k}" for n in range(5) for k in range(4))
