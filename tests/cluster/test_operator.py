"""TrainingJobs and GPUAllocations on a real cluster, as two users make them with kubectl, and with no more rights for
Reeve than deploy/kubernetes/operator gives. How jobs run as pods is looked at elsewhere."""

import contextlib
import json
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest
import yaml
from faults import wait_for
from parts.components import NODE
from parts.say import Unable
from reeve import PORT, Reeve, Refused, give_gpus

MANIFESTS = Path(__file__).parents[2] / "deploy/kubernetes/operator"
ACCOUNT = "system:serviceaccount:reeve:reeve"
FINALIZER = "reeve.gpu/trainingjob"


def role(kind: str, name: str, namespace: str | None, subject: str, rules: list[dict]) -> list[dict]:
    """A role and who has it."""
    group = "rbac.authorization.k8s.io"
    place = {"namespace": namespace} if namespace else {}
    meta = {"apiVersion": f"{group}/v1", "metadata": {"name": name} | place}
    return [
        meta | {"kind": kind, "rules": rules},
        meta
        | {
            "kind": f"{kind}Binding",
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [{"kind": "User", "apiGroup": group, "name": subject}],
        },
    ]


def rule(group: str, resources: str, verbs: str) -> dict:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


class Person:
    """kubectl as somebody, in a namespace of theirs."""

    def __init__(self, cluster, name: str, namespace: str):
        self.cluster, self.name, self.namespace = cluster, name, namespace

    def kubectl(self, *arguments: str, **options) -> str:
        return self.cluster.kubectl(f"--as={self.name}", f"--namespace={self.namespace}", *arguments, **options).stdout

    def is_refused(self, *arguments: str, **options) -> str:
        done = self.cluster.kubectl(
            f"--as={self.name}", f"--namespace={self.namespace}", *arguments, check=False, **options
        )
        assert done.returncode != 0, done.stdout
        return done.stderr

    def make(self, kind: str, name: str, spec: dict, refused: bool = False) -> str:
        version = {"TrainingJob": "reeve.gpu/v1alpha1", "GPUAllocation": "gpu.k8s.io/v1"}[kind]
        body = json.dumps({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})
        return (self.is_refused if refused else self.kubectl)("apply", "-f", "-", input=body)

    def train(self, name: str, script: str, **spec) -> None:
        self.make("TrainingJob", name, {"command": ["sh", "-c", script]} | spec)

    def get(self, kind: str, name: str) -> dict:
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def status(self, kind: str, name: str) -> dict:
        return self.get(kind, name).get("status", {})

    def wait(self, kind: str, name: str, condition: str, seconds: int = 60) -> None:
        self.kubectl("wait", f"--for=condition={condition}", f"{kind}/{name}", f"--timeout={seconds}s")

    def until(self, kind: str, name: str, **wanted) -> dict:
        def there() -> dict | None:
            status = self.status(kind, name)
            return status if all(status.get(key) == value for key, value in wanted.items()) else None

        return wait_for(f"{kind} {name} {wanted}", there, 60)


def rights(jobs: str) -> list[dict]:
    """What deploy/kubernetes/base gives the control plane, as far as it matters here."""
    everywhere = [rule("", "nodes pods", "get list watch"), rule("", "namespaces", "get")]
    with_jobs = [
        rule("", "pods", "create delete patch"),
        rule("", "pods/log", "get"),
        rule("batch", "jobs", "create delete get list patch watch"),
        rule("argoproj.io", "workflows", "create delete get list patch watch"),
    ]
    name = f"test-{jobs}"
    return [*role("ClusterRole", name, None, ACCOUNT, everywhere), *role("Role", name, jobs, ACCOUNT, with_jobs)]


@pytest.fixture(scope="module")
def installed(cluster):
    """The kinds and roles, by the line of the README."""
    cluster.kubectl("create", "namespace", "reeve")
    cluster.kubectl("apply", "--kustomize", str(MANIFESTS))
    cluster.kubectl("wait", "--for=condition=established", "--timeout=60s", "crd/trainingjobs.reeve.gpu")
    cluster.kubectl("wait", "--for=condition=established", "--timeout=60s", "crd/gpuallocations.gpu.k8s.io")
    yield
    cluster.kubectl("delete", "--kustomize", str(MANIFESTS), "--wait=false")
    cluster.kubectl("delete", "namespace", "reeve", "--wait=false")


@pytest.fixture
def reeve(cluster, space, build, tmp_path, installed):
    give_gpus(cluster, 1)
    cluster.apply(rights(space.name))
    reeve = Reeve(cluster, space, build, tmp_path, "--kube-keep=1s", "--no-gate")
    config = yaml.safe_load(reeve.kubeconfig.read_text())
    config["users"][0]["user"]["as"] = ACCOUNT
    reeve.kubeconfig = tmp_path / "kubeconfig"
    reeve.kubeconfig.write_text(json.dumps(config))
    reeve.start()
    yield reeve
    for kind in ("trainingjobs", "gpuallocations"):
        cluster.kubectl("delete", kind, "--all", "--all-namespaces", "--timeout=20s", check=False)
    reeve.end()
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", f"test-{space.name}")
    give_gpus(cluster, 0)


@pytest.fixture
def person(cluster, reeve):
    """Makes people, each with a namespace in which they may edit and which acts as them."""
    made = []

    def make(name: str) -> Person:
        namespace = f"lab-{name}-{uuid.uuid4().hex[:6]}"
        made.append(namespace)
        with contextlib.suppress(Refused):  # one test makes two
            reeve.add_user(name)
        cluster.kubectl("create", "namespace", namespace)
        cluster.kubectl("annotate", "namespace", namespace, f"reeve.gpu/user={name}")
        cluster.kubectl("create", "rolebinding", "edit", "--clusterrole=edit", f"--user={name}", "-n", namespace)
        them = Person(cluster, name, namespace)
        wait_for(
            "rights",
            lambda: (
                cluster.kubectl(
                    f"--as={name}", "auth", "can-i", "create", "trainingjobs.reeve.gpu", "-n", namespace, check=False
                ).returncode
                == 0
            ),
            60,
        )
        return them

    yield make
    for namespace in made:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false", check=False)


def test_two_users_train_one_after_the_other_and_kubectl_tells_how_it_goes(reeve, person):
    alice, bob = person("alice"), person("bob")
    alice.train("first", "echo hello; sleep 4")
    alice.until("tj", "first", phase="Running")
    bob.train("second", "echo mine", gpus=1)
    waits = bob.until("tj", "second", phase="Queued", position=1)
    assert waits["message"]
    table = alice.kubectl("get", "trainingjobs").splitlines()
    assert table[0].split()[:5] == ["NAME", "PHASE", "JOB", "POSITION", "NODE"]
    assert "Running" in table[1] and NODE in table[1]

    alice.wait("tj", "first", "Complete")
    bob.wait("tj", "second", "Complete")
    status = alice.status("tj", "first")
    assert status["exitCode"] == 0 and status["node"] == NODE and status["devices"][0]["node"] == NODE
    assert reeve.job(status["jobId"])["user"] == "alice"
    assert reeve.job(bob.status("tj", "second")["jobId"])["user"] == "bob"
    wait_for("events", lambda: "Completed" in alice.kubectl("describe", "tj", "first"), 20)
    assert FINALIZER not in json.dumps(alice.get("tj", "first")["metadata"].get("finalizers", []))
    alice.kubectl("delete", "tj", "first", "--timeout=10s")
    bob.is_refused("get", "tj", "-n", alice.namespace)


def test_what_fails_or_makes_no_sense_says_so(reeve, person):
    alice = person("alice")
    alice.train("fails", "exit 3")
    alice.wait("tj", "fails", "Failed")
    assert alice.status("tj", "fails")["exitCode"] == 3
    assert "unknown field" in alice.make("TrainingJob", "x", {"command": ["a"], "user": "bob"}, refused=True)
    assert "spec.gpus" in alice.make("TrainingJob", "x", {"command": ["a"], "gpus": -1}, refused=True)

    alice.train("odd", "true", gpuMemory="much")
    odd = alice.until("tj", "odd", phase="Invalid")
    assert "field 'gpuMemory' must be" in odd["message"]
    time.sleep(3)
    version = alice.get("tj", "odd")["metadata"]["resourceVersion"]
    time.sleep(3)
    assert alice.get("tj", "odd")["metadata"]["resourceVersion"] == version
    alice.train("odd", "sleep 2", gpuMemory=None)
    alice.until("tj", "odd", phase="Running")
    refused = alice.make("TrainingJob", "odd", {"command": ["sh", "-c", "true"]}, refused=True)
    assert "cannot change once Reeve has taken" in refused


def test_deleting_cancels_and_a_namespace_goes_with_all_that_runs_in_it(reeve, person, cluster):
    alice, bob = person("alice"), person("bob")
    alice.train("long", "sleep 1000")
    alice.until("tj", "long", phase="Running")
    bob.train("waits", "sleep 1000")
    bob.until("tj", "waits", phase="Queued")
    job = alice.status("tj", "long")["jobId"]
    alice.kubectl("delete", "tj", "long", "--timeout=20s")
    reeve.wait(job, "Cancelled")
    bob.until("tj", "waits", phase="Running")
    job = bob.status("tj", "waits")["jobId"]
    cluster.kubectl("delete", "namespace", bob.namespace, "--timeout=60s")
    reeve.wait(job, "Cancelled")


def test_only_administrators_say_whom_a_namespace_acts_as(reeve, person, cluster):
    alice = person("alice")
    person("bob")
    cluster.apply(
        role("Role", "all", alice.namespace, "alice", [rule("*", "*", "*")]), f"--namespace={alice.namespace}"
    )
    wait_for("rights", lambda: "yes" in alice.kubectl("auth", "can-i", "patch", "namespaces", check=False), 20)
    mine = ("annotate", "--overwrite", "namespace", alice.namespace)
    assert "only administrators say" in alice.is_refused(*mine, "reeve.gpu/user=bob")
    alice.kubectl(*mine, "something=else")

    cluster.kubectl("annotate", "namespace", alice.namespace, "reeve.gpu/user-")
    alice.train("nobodys", "true")
    status = alice.until("tj", "nobodys", phase="Pending")
    assert "kubectl annotate namespace" in status["message"]
    cluster.kubectl("annotate", "namespace", alice.namespace, "reeve.gpu/user=alice")
    alice.wait("tj", "nobodys", "Complete")

    # With all rights in one's namespace one can write a status, which gets at nothing.
    alice.train("runs", "sleep 1000")
    job = alice.until("tj", "runs", phase="Running")["jobId"]
    bob = person("bob")
    cluster.apply(role("Role", "all", bob.namespace, "bob", [rule("*", "*", "*")]), f"--namespace={bob.namespace}")
    bob.train("evil", "true", gpuMemory="much")
    bob.until("tj", "evil", phase="Invalid")
    site = alice.status("tj", "runs")["site"]
    patch = json.dumps({"status": {"jobId": job, "site": site, "phase": "Running"}})
    bob.kubectl("patch", "tj", "evil", "--subresource=status", "--type=merge", "-p", patch)
    time.sleep(2)
    assert "node" not in bob.status("tj", "evil")
    bob.kubectl("delete", "tj", "evil", "--timeout=20s")
    assert reeve.job(job)["state"] == "Running"


def test_an_allocation_keeps_its_gpu_from_everybody_until_it_is_deleted(reeve, person):
    alice, bob = person("alice"), person("bob")
    alice.make("GPUAllocation", "mine", {"workloadType": "training", "preferredModel": "A100"})
    alice.wait("gpualloc", "mine", "Allocated")
    status = alice.status("gpualloc", "mine")
    assert status["allocatedDevice"] == f"{NODE}/0" and status["allocationTime"]
    assert "no GPU like 'A100'" in status["message"]
    table = alice.kubectl("get", "gpuallocations").splitlines()
    assert table[0].split() == ["NAME", "PHASE", "DEVICE", "MODEL", "NODE", "WORKLOAD", "AGE"]
    assert table[1].split()[:3] == ["mine", "Allocated", f"{NODE}/0"]
    assert table[1].split()[-3:-1] == [NODE, "training"]

    bob.train("waits", "true")
    assert "alice" in bob.until("tj", "waits", phase="Queued")["message"]
    bob.make("GPUAllocation", "too", {"requiredMemoryGb": 1})
    bob.until("gpualloc", "too", phase="Pending")
    time.sleep(2)
    assert bob.status("tj", "waits")["phase"] == "Queued"
    alice.kubectl("delete", "gpualloc", "mine", "--timeout=20s")
    bob.wait("tj", "waits", "Complete")
    reeve.wait(status["jobId"], "Cancelled")
    assert bob.status("gpualloc", "too").get("phase") == "Pending"


def test_reeve_may_die_and_come_back_and_no_job_is_handed_in_twice(reeve, person):
    alice = person("alice")
    alice.train("one", "sleep 6")
    time.sleep(0.3)
    for moment in (0.2, 0.7, 0.1):
        reeve.stop(signal.SIGKILL)
        reeve.start()
        time.sleep(moment)
    alice.wait("tj", "one", "Complete", 90)
    jobs = reeve.ask("GET", "/api/v1/jobs")["items"]
    assert [job["id"] for job in jobs] == [alice.status("tj", "one")["jobId"]]
    reeve.check_ledger()


def test_without_reeve_what_it_holds_is_released_by_doctor(reeve, person, cluster, build, tmp_path):
    alice = person("alice")
    alice.train("held", "sleep 1000")
    alice.until("tj", "held", phase="Running")
    reeve.stop()
    with pytest.raises((Unable, subprocess.TimeoutExpired)):
        alice.kubectl("delete", "tj", "held", "--timeout=3s")
    done = cluster.call(
        str(build / "src/cli/reeve"),
        "doctor",
        "--release",
        f"--kube={cluster.place.environment()['KUBECONFIG']}",
        f"--server=http://127.0.0.1:{PORT}",
        check=False,
    )
    wait_for(
        "it is gone",
        lambda: "NotFound" in cluster.kubectl("get", "tj", "held", "-n", alice.namespace, check=False).stderr,
        20,
    )
    assert "released" in done.stdout + done.stderr
    reeve.start()
