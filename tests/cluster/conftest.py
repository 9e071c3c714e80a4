"""The cluster for tests: up once, a namespace for each test, and faults. A cluster that was up before is used
and left up: `tests/cluster/cluster up --kwok` while working."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faults import Faults, wait_for  # noqa: E402
from parts import programs  # noqa: E402
from parts.cluster import COMMAND, Cluster, argo_executor  # noqa: E402
from parts.images import TEST  # noqa: E402


@pytest.fixture(scope="session")
def cluster():
    """One real node, Argo Workflows, and kwok for nodes that are played."""
    there = Cluster()
    if there.is_up():
        yield there
        return
    if programs.missing():
        pytest.exit("the cluster's programs are not built: tests/cluster/cluster build", returncode=2)
    up = subprocess.run([sys.executable, COMMAND, "up", "--kwok", "--for", str(os.getpid())], stderr=subprocess.PIPE)
    said = up.stderr.decode()
    if up.returncode == 77:
        pytest.skip(said.strip())
    if up.returncode != 0:
        pytest.exit(f"the cluster did not come up:\n{said}", returncode=1)
    there = Cluster()
    yield there
    there.down()


@pytest.fixture(scope="session")
def build():
    """The build folder under test: REEVE_BUILD, as ./test sets it, else what ./run made."""
    return Path(os.environ.get("REEVE_BUILD", programs.TOP / "build"))


@pytest.fixture
def faults(cluster):
    return Faults(cluster)


class Space:
    """One namespace, and what tests do there all the time."""

    def __init__(self, cluster: Cluster, name: str):
        self.cluster = cluster
        self.name = name

    def kubectl(self, *arguments: str, **options) -> str:
        return self.cluster.kubectl("--namespace", self.name, *arguments, **options).stdout

    def does(self, *arguments: str) -> bool:
        """Does kubectl succeed with it?"""
        return self.cluster.kubectl("--namespace", self.name, *arguments, check=False).returncode == 0

    def get(self, *arguments: str) -> dict:
        return json.loads(self.kubectl("get", "--output", "json", *arguments))

    def apply(self, *objects: dict) -> None:
        self.cluster.apply(list(objects), "--namespace", self.name)

    def pod(self, name: str, script: str, container: dict | None = None, **spec) -> None:
        """Creates a pod of the test image that runs a shell script once."""
        main = {"name": "main", "image": TEST, "imagePullPolicy": "Never", "command": ["sh", "-c", script]}
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 1,
                    "containers": [main | (container or {})],
                }
                | spec,
            }
        )

    def phase(self, name: str) -> str:
        return self.get("pod", name)["status"].get("phase", "")

    def wait_phase(self, name: str, *wanted: str, seconds: float = 60) -> dict:
        """The pod, as soon as its phase is one of those."""

        def there() -> dict | None:
            pod = self.get("pod", name)
            return pod if pod["status"].get("phase") in wanted else None

        return wait_for(f"pod {name} {' or '.join(wanted)}", there, seconds)

    def ended(self, name: str, seconds: float = 60) -> dict:
        """How its container ended: exitCode, reason."""
        pod = self.wait_phase(name, "Succeeded", "Failed", seconds=seconds)
        return pod["status"]["containerStatuses"][0]["state"]["terminated"]

    def logs(self, name: str) -> str:
        return self.kubectl("logs", name)


@pytest.fixture
def space(cluster):
    """A namespace of this test's own; Workflows may run in it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    cluster.apply(argo_executor(name))
    there = Space(cluster, name)
    wait_for("the namespace's service account", lambda: there.does("get", "serviceaccount", "default"))
    yield there
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def fake_node(name: str) -> dict:
    """A node that kwok plays, with eight GPUs."""
    room = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": "8"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {"type": "kwok"}},
        "spec": {"taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]},
        "status": {"capacity": room, "allocatable": room},
    }


@pytest.fixture
def neighbour(cluster):
    """A second node that is well. Where all nodes are lost, Kubernetes doubts itself and sends no pod away."""
    cluster.apply(fake_node("neighbour"))
    wait_for("the neighbour Ready", lambda: cluster.node_is_ready("neighbour"))
    yield "neighbour"
    cluster.kubectl("delete", "node", "neighbour")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What the cluster looked like when a test failed."""
    report = yield
    if report.failed and "cluster" in item.fixturenames:
        report.sections.append(("cluster", picture(Cluster())))
    return report


def picture(cluster: Cluster) -> str:
    if not cluster.is_up():
        return "not up"
    lines = [f"{name}: {state}" for name, state in cluster.running().items() if state != "runs"]
    for arguments in (("get", "nodes,pods,workflows", "-A"), ("get", "events", "-A", "--sort-by=.lastTimestamp")):
        done = cluster.kubectl("--request-timeout=10s", *arguments, check=False)
        lines += (done.stdout + done.stderr).splitlines()[-40:]
    lines.append(f"logs: {cluster.house.logs}")
    return "\n".join(lines)
