"""Custom resources of a cluster that is played, as jobs: what the whole program does with them, and that it may die
at any of its points."""

import re

import pytest
import requests
from plant import until
from test_cluster import check, plant, played  # noqa: F401  fixtures
from test_crash_points import killing, restart_when_dead, rows


class Objects:
    """The played cluster as kubectl talks to it."""

    def __init__(self, folder):
        self.url = re.search(r"server: '([^']+)'", (folder / "kubeconfig").read_text()).group(1)

    def namespace(self, name, user):
        body = {"metadata": {"name": name, "annotations": {"reeve.gpu/user": user}}}
        assert requests.post(f"{self.url}/api/v1/namespaces", json=body, timeout=10).ok

    def path(self, kind, name=""):
        group = {"trainingjobs": "reeve.gpu/v1alpha1", "gpuallocations": "gpu.k8s.io/v1"}[kind]
        return f"{self.url}/apis/{group}/namespaces/lab/{kind}" + (f"/{name}" if name else "")

    def make(self, kind, name, spec):
        body = {"metadata": {"name": name}, "spec": spec}
        assert requests.post(self.path(kind), json=body, timeout=10).ok

    def get(self, kind, name):
        answer = requests.get(self.path(kind, name), timeout=10)
        return answer.json() if answer.ok else None

    def status(self, kind, name):
        return (self.get(kind, name) or {}).get("status", {})

    def delete(self, kind, name):
        assert requests.delete(self.path(kind, name), timeout=10).ok


@pytest.fixture
def objects(plant, tmp_path):  # noqa: F811
    return Objects(tmp_path)


def add_user(plant):  # noqa: F811
    plant.start_reeved()
    assert plant.ask("POST", "/api/v1/users", {"name": "alice", "role": "user"}).status_code == 201


def test_a_training_job_goes_its_way_and_is_seen_in_both_worlds(plant, played, objects):  # noqa: F811
    add_user(plant)
    objects.namespace("lab", "alice")
    objects.make("trainingjobs", "one", {"command": ["sleep", "0.3"]})
    until(lambda: objects.status("trainingjobs", "one").get("phase") == "Completed")
    status = objects.status("trainingjobs", "one")
    job = plant.ask("GET", f"/api/v1/jobs/{status['jobId']}").json()
    assert (job["user"], job["state"], job["name"]) == ("alice", "Completed", "one")
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Accepted": "True",
        "Running": "False",
        "Complete": "True",
        "Failed": "False",
    }
    check(plant, played, status["jobId"])


def test_an_allocation_is_there_until_it_is_deleted(plant, played, objects):  # noqa: F811
    add_user(plant)
    objects.namespace("lab", "alice")
    objects.make("gpuallocations", "mine", {"workloadType": "training", "preferredModel": "A100"})
    until(lambda: objects.status("gpuallocations", "mine").get("phase") in ("Allocated", "Released"))
    job = objects.status("gpuallocations", "mine")["jobId"]
    objects.delete("gpuallocations", "mine")
    until(lambda: objects.get("gpuallocations", "mine") is None)
    assert plant.wait_state(job)["user"] == "alice"


POINTS = [name for name, _, test in rows() if test == "system: operator"]
WHEN_DELETED = ("operator.cancel", "operator.cancelled")


@pytest.mark.parametrize("point", POINTS)
def test_reeved_dies_and_no_job_is_handed_in_twice(plant, played, objects, point):  # noqa: F811
    add_user(plant)
    objects.namespace("lab", "alice")
    plant.reeved.terminate()
    plant.reeved.wait()
    doomed = plant.start_reeved(killing(point))
    deleted = point in WHEN_DELETED
    objects.make("trainingjobs", "one", {"command": ["sleep", "100" if deleted else "0.2"]})
    if deleted:
        until(lambda: objects.status("trainingjobs", "one").get("phase") == "Running")
        objects.delete("trainingjobs", "one")
    restart_when_dead(doomed, plant.start_reeved)
    if deleted:
        until(lambda: objects.get("trainingjobs", "one") is None)
        check(plant, played, 1, "Cancelled")
    else:
        until(lambda: objects.status("trainingjobs", "one").get("phase") == "Completed")
        until(lambda: not objects.get("trainingjobs", "one")["metadata"]["finalizers"])
        check(plant, played, objects.status("trainingjobs", "one")["jobId"])
    assert len(plant.ask("GET", "/api/v1/jobs").json()["items"]) == 1
