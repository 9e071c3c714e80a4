"""`reeve doctor` about a cluster, against an API server that is played: everything that can be missing is named
with what to do, and what Reeve left behind is released."""

import http.server
import json
import os
import subprocess
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

GPU_NODE = {
    "metadata": {"name": "gpu-1", "uid": "n1"},
    "status": {
        "allocatable": {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "2"},
        "capacity": {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "2"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


class Kubernetes(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # an answer is one write

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, reason, message):
        self.answer(
            status, {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": message}
        )

    def do_GET(self):
        world = self.server.world
        url = urlsplit(self.path)
        if url.path in world.denied_paths:
            return self.refuse(403, "Forbidden", "you may not")
        if url.path in world.objects:
            return self.answer(200, world.objects[url.path])
        if url.path in world.lists:
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            begin, limit = int(query.get("continue", 0)), int(query.get("limit", 500))
            items = world.lists[url.path]
            meta = {"resourceVersion": "7"}
            if begin + limit < len(items):
                meta["continue"] = str(begin + limit)
            return self.answer(200, {"kind": "List", "metadata": meta, "items": items[begin : begin + limit]})
        return self.refuse(404, "NotFound", "the server could not find the requested resource")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["spec"]["resourceAttributes"]
        what = asked["verb"], asked["resource"] + ("/" + asked["subresource"] if "subresource" in asked else "")
        self.server.world.asked.append((*what, asked.get("namespace", "")))
        self.answer(201, {"status": {"allowed": what not in self.server.world.denied}})

    def do_PATCH(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.world.patches.append((self.path, body["metadata"]))
        self.answer(200, {})


class World:
    def __init__(self, folder):
        self.objects = {
            "/version": {"gitVersion": "v1.34.4"},
            "/apis/argoproj.io/v1alpha1": {},
            "/apis/reeve.gpu/v1alpha1": {},
            "/apis/gpu.k8s.io/v1": {},
            "/api/v1/namespaces/reeve-jobs": {},
        }
        claim = {"metadata": {"name": "reeve-state"}, "status": {"phase": "Bound"}}
        self.lists = {
            "/api/v1/nodes": [GPU_NODE],
            "/api/v1/namespaces/reeve/persistentvolumeclaims": [claim],
            "/api/v1/namespaces/reeve-jobs/persistentvolumeclaims": [],
        }
        self.denied, self.denied_paths = set(), set()
        self.asked, self.patches = [], []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kubernetes)
        self.server.world = self
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "c",
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server.server_port}"}}],
                    "users": [{"name": "u", "user": {"token": "t"}}],
                }
            )
        )

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def world(tmp_path):
    there = World(tmp_path)
    yield there
    there.close()


@pytest.fixture
def doctor(build, world, tmp_path):
    def run(*words, kube=None):
        return subprocess.run(
            [build / "src/cli/reeve", "doctor", "--server", "http://127.0.0.1:9", "--kube", kube or world.kubeconfig,
             *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
        )  # fmt: skip

    return run


def found(done):
    return {(item["check"], item["state"]): item for item in json.loads(done.stdout)["items"]}


def test_a_cluster_with_everything_is_well(doctor, world):
    items = found(doctor("--output", "json"))
    checks = {check for check, state in items if state == "ok"}
    assert checks >= {"Kubernetes", "Argo Workflows", "TrainingJob", "GPUAllocation", "permissions", "namespace",
                      "cluster's nodes", "cluster's GPUs", "storage"}  # fmt: skip
    assert "v1.34.4" in items["Kubernetes", "ok"]["detail"]
    assert "2 on 1 nodes: nvidia.com/gpu" in items["cluster's GPUs", "ok"]["detail"]
    assert ("create", "pods", "reeve-jobs") in world.asked
    assert ("create", "workflows", "reeve-jobs") in world.asked
    assert ("create", "tokenreviews", "") in world.asked
    assert not [item for item in items.values() if item["state"] == "fail" and item["check"] != "server"]


def test_what_is_missing_is_named_with_what_to_do(doctor, world):
    world.denied = {("create", "pods"), ("delete", "pods"), ("get", "pods/log"), ("watch", "jobs")}
    world.lists["/api/v1/nodes"] = [{"metadata": {"name": "n"}, "status": {}}]
    world.lists["/api/v1/namespaces/reeve/persistentvolumeclaims"][0]["status"]["phase"] = "Pending"
    for gone in ("/apis/argoproj.io/v1alpha1", "/apis/gpu.k8s.io/v1", "/api/v1/namespaces/reeve-jobs"):
        del world.objects[gone]
    done = doctor()
    assert done.returncode != 0
    for said in ("may not create or delete pods in namespace reeve-jobs, so it cannot run jobs",
                 "may not get pods/log in namespace reeve-jobs",
                 "may not watch jobs.batch in namespace reeve-jobs",
                 "no node offers any", "0 of 1 ready", "claim 'reeve-state' in namespace reeve is Pending",
                 "there is no namespace 'reeve-jobs'", "no runners argo and argo-server", "no GPUAllocations",
                 "What to do", "kubectl apply -k deploy/kubernetes/default gives it",
                 "give the cluster a default storage class"):  # fmt: skip
        assert said in done.stdout, said
    assert not [what for what in world.asked if what[1] == "workflows"], "without Argo nobody needs its permissions"


def test_a_cluster_that_is_not_reached_is_one_line(doctor, world):
    world.close()
    items = found(doctor("--output", "json"))
    assert items["Kubernetes", "fail"]["fix"].startswith("name a kubeconfig by --kube")
    items = found(doctor("--output", "json", kube="/nowhere"))
    assert "/nowhere" in items["Kubernetes", "fail"]["detail"]


def left(name, namespace, *finalizers):
    return {"metadata": {"name": name, "namespace": namespace, "uid": "u-" + name, "resourceVersion": "5",
                         "finalizers": list(finalizers)}}  # fmt: skip


def test_what_was_left_behind_is_released_and_nothing_else(doctor, world):
    world.lists["/api/v1/pods"] = [left(f"p{i}", "reeve-jobs", "reeve.gpu/result") for i in range(600)]
    world.lists["/api/v1/pods"] += [left("theirs", "x", "foregroundDeletion"), {"metadata": {"name": "plain"}}]
    world.lists["/apis/batch/v1/jobs"] = [left("j", "y", "batch.kubernetes.io/job-tracking", "reeve.gpu/result")]
    world.denied_paths = {"/apis/argoproj.io/v1alpha1/workflows"}
    world.lists["/apis/argoproj.io/v1alpha1/namespaces/reeve-jobs/workflows"] = [left("w", "reeve-jobs", "reeve.gpu/x")]
    done = doctor("--release")
    assert done.returncode == 0 and done.stdout == "602 objects released\n", done.stderr
    patches = dict(world.patches)
    assert len(patches) == 602
    assert patches["/apis/batch/v1/namespaces/y/jobs/j"] == {
        "uid": "u-j",
        "resourceVersion": "5",
        "finalizers": ["batch.kubernetes.io/job-tracking"],
    }
    assert "/api/v1/namespaces/x/pods/theirs" not in patches


def test_nothing_is_released_while_the_control_plane_runs(build, doctor, world, tmp_path):
    reeved = subprocess.Popen(
        [build / "src/reeved/reeved", "--data", tmp_path / "reeve", "--listen", "127.0.0.1:0", "--log-level", "error"]
    )
    try:
        socket = f"unix:{tmp_path}/reeve/reeved.sock"
        for _ in range(100):
            done = doctor("--release", "--server", socket)
            if "stop it first" in done.stderr:
                break
        assert done.returncode != 0 and "stop it first" in done.stderr, done
    finally:
        reeved.terminate()
        reeved.wait()
