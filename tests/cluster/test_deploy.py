"""Reeve installed as an administrator does it: the images of this build, `kubectl apply -k`, exactly the roles of
deploy/kubernetes/. The agents are the DaemonSet's pods and offer simulated GPUs to the real kubelet."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from faults import Faults, wait_for
from parts.components import NODE

TOP = Path(__file__).parents[2]
MANIFESTS = TOP / "deploy/kubernetes"
STATE = "/var/lib/reeve-state"
PROGRAMS = ("reeve-control", "reeve-agent", "proto-gcn")

# The cluster has no storage of its own: the claim gets a folder of the node.
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "reeve-state"},
    "spec": {
        "capacity": {"storage": "10Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": STATE, "type": "DirectoryOrCreate"},
    },
}


@pytest.fixture(scope="module")
def images(cluster, build, tmp_path_factory):
    into = tmp_path_factory.mktemp("images")
    env = os.environ | {"REEVE_BUILD": str(build)}
    subprocess.run([TOP / "deploy/images/build", "--to", into, *PROGRAMS], env=env, check=True)
    for name in PROGRAMS:
        cluster.import_image(into / f"{name}.tar")


class Reeve:
    """What an administrator does with kubectl."""

    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, folder

    def kubectl(self, *words, **options):
        return self.cluster.kubectl(*words, **options)

    def apply(self):
        return self.kubectl("apply", "--kustomize", str(self.folder)).stdout

    def delete(self):
        return self.kubectl("delete", "--kustomize", str(self.folder), "--wait=false", "--ignore-not-found").stdout

    def reeve(self, *words, check=True):
        """The command in the control plane's pod, as its administrator."""
        return self.kubectl("--namespace=reeve", "exec", "deploy/reeve", "--", "reeve", *words, check=check)

    def list(self, *words):
        return json.loads(self.reeve(*words, "--output", "json").stdout)["items"]

    def pods(self, component):
        selector = f"--selector=app.kubernetes.io/component={component}"
        return self.cluster.get("pods", "--namespace=reeve", selector)["items"]

    def said(self, what):
        return self.kubectl("--namespace=reeve", "logs", what, "--tail=200", check=False).stdout

    def wait_linked(self):
        def linked():
            nodes = self.reeve("nodes", "--output", "json", check=False)
            if nodes.returncode != 0:
                return None
            found = [node for node in json.loads(nodes.stdout)["items"] if node["name"] == NODE]
            return found and found[0]["agent"] and found[0]["devices"] and found[0]

        return wait_for("the node's agent linked, with a GPU", linked, 150)


@pytest.fixture(scope="module")
def installed(cluster, images):
    """deploy/kubernetes/try, applied."""
    reeve = Reeve(cluster, MANIFESTS / "try")
    cluster.call("sh", "-c", f"rm -rf {STATE} /var/lib/reeve-agent; install -d -o 65532 -g 65532 {STATE}")
    cluster.apply(VOLUME)
    reeve.apply()
    yield reeve
    print(reeve.said("deploy/reeve"), reeve.said("daemonset/reeve-agent"))
    reeve.delete()
    wait_for("the namespaces gone", lambda: not namespaces(cluster), 120)
    cluster.kubectl("delete", "persistentvolume", "reeve-state", "--wait=false")
    wait_for("no GPUs left", lambda: not gpus(cluster), 60)
    Faults(cluster).forget_plugins()


def namespaces(cluster):
    names = {one["metadata"]["name"] for one in cluster.get("namespaces")["items"]}
    return names & {"reeve", "reeve-jobs"}


def gpus(cluster):
    return int(cluster.get("node", NODE)["status"]["allocatable"].get("nvidia.com/gpu", 0))


@pytest.mark.parametrize("name", sorted(p.parent.name for p in MANIFESTS.glob("*/kustomization.yaml")))
def test_the_api_server_takes_every_manifest(cluster, installed, name):
    """Not kubectl's opinion: its own, field by field."""
    said = cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict",
        "--kustomize", str(MANIFESTS / name),
    )  # fmt: skip
    # That the same was applied by the other way before is of no interest here.
    warnings = [line for line in said.stderr.splitlines() if "failed to migrate" not in line]
    assert not warnings, warnings


def test_agents_of_the_daemon_set_enrol_by_their_own_token(cluster, installed):
    node = installed.wait_linked()
    assert node["devices"], node
    (agent,) = installed.pods("agent")
    assert '"enrolled"' in installed.said("daemonset/reeve-agent")
    wait_for("the GPU is kubelet's", lambda: gpus(cluster) == 1, 60)
    assert agent["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_line_to_an_agent_holds(installed):
    """Over TLS, by which nothing goes but a byte every ten seconds."""
    installed.wait_linked()
    time.sleep(50)
    assert "the command stream is cut" not in installed.said("daemonset/reeve-agent")


def test_other_accounts_tokens_get_no_key(cluster, installed):
    """A token of a job's account, or of the agents' for another audience, or of an agent's for another node."""
    (agent,) = installed.pods("agent")

    def ask(account, namespace, audience, node, *bound):
        token = cluster.kubectl("create", "token", account, f"--namespace={namespace}", f"--audience={audience}",
                                *bound).stdout.strip()  # fmt: skip
        (control,) = installed.pods("control-plane")
        done = cluster.call(
            "curl", "-sk", "-w", "\n%{http_code}", f"https://{control['status']['podIP']}:8081/agent/v1/enrol",
            "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json",
            "-d", json.dumps({"node": node, "version": "0.1.0"}),
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body).get("detail", "")

    pod = ["--bound-object-kind=Pod", f"--bound-object-name={agent['metadata']['name']}"]
    assert ask("reeve-job", "reeve-jobs", "reeve", NODE)[0] == 403
    assert ask("reeve-agent", "reeve", "https://kubernetes.default.svc", NODE, *pod)[0] == 401
    status, why = ask("reeve-agent", "reeve", "reeve", "another", *pod)
    assert status == 403 and f"on node '{NODE}'" in why
    status, why = ask("reeve-agent", "reeve", "reeve", NODE)
    assert status == 403 and "of no pod" in why


def test_doctor_misses_nothing_that_this_installation_needs(installed):
    installed.wait_linked()
    answer = installed.reeve("doctor", "--output", "json", check=False)
    items = json.loads(answer.stdout)["items"]
    assert not [item for item in items if item["state"] == "fail"], items
    by_check = {item["check"]: item["state"] for item in items}
    for check in ("Kubernetes", "namespace", "cluster's nodes", "cluster's GPUs", "agents", "storage"):
        assert by_check[check] == "ok", items
    denied = [item["detail"] for item in items if item["check"] == "permission"]
    assert all("argoproj.io" in detail for detail in denied), denied


def test_a_job_of_a_user_runs_with_these_roles(cluster, installed):
    installed.wait_linked()
    installed.reeve("user", "add", "kim", check=False)
    done = installed.reeve(
        "submit", "--user", "kim", "--gpus", "1", "--image", "localhost/proto-gcn:0.1.0", "--output", "json", "--",
        "proto-gcn", "--config", "/configs/ntu60_joint.yaml", "--work-dir", "/tmp", "--epochs", "2",
    )  # fmt: skip
    job = json.loads(done.stdout)["id"]

    def ended():
        shown = json.loads(installed.reeve("show", str(job), "--output", "json").stdout)
        return shown if shown["state"] in ("Completed", "Failed", "Cancelled") else None

    shown = wait_for(f"job {job} over", ended, 120)
    assert shown["state"] == "Completed", shown
    assert "epoch" in wait_for("its log", lambda: installed.reeve("logs", str(job), check=False).stdout, 30)
    pods = cluster.get("pods", "--namespace=reeve-jobs", f"--selector=reeve.gpu/job={job}")["items"]
    assert [pod["spec"]["serviceAccountName"] for pod in pods] == ["reeve-job"]


def test_an_agent_whose_key_is_lost_enrols_anew(cluster, installed):
    installed.wait_linked()
    before = installed.pods("agent")[0]["metadata"]["uid"]
    cluster.call("rm", "/var/lib/reeve-agent/node.key")
    cluster.kubectl("--namespace=reeve", "delete", "pod", "--selector=app.kubernetes.io/component=agent")
    wait_for("another agent", lambda: [p for p in installed.pods("agent") if p["metadata"]["uid"] != before], 60)
    time.sleep(1)
    installed.wait_linked()


def test_the_control_plane_comes_back_with_all_that_it_knew(cluster, installed):
    installed.wait_linked()
    site = json.loads(installed.reeve("status", "--output", "json").stdout)["site"]
    cluster.kubectl("--namespace=reeve", "rollout", "restart", "deployment/reeve")
    cluster.kubectl("--namespace=reeve", "rollout", "status", "deployment/reeve", "--timeout=100s")
    assert json.loads(installed.reeve("status", "--output", "json").stdout)["site"] == site
    installed.wait_linked()
