"""One cluster: up, down, what runs in it, and what is done to it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from . import cgroups, components, images, kernel, programs
from .components import COMPONENTS, ETCD_URL, NODE, Place
from .house import House, until
from .say import Unable, say

STATE = Path(os.environ.get("REEVE_CLUSTER_STATE") or programs.TOP / "build-test/cluster")
COMMAND = Path(__file__).resolve().parents[1] / "cluster"
TOOLS = ("containerd", "ctr", "runc", "ip", "iptables", "openssl", "busybox", "conntrack")
NETWORK_PLUGINS = Path("/usr/lib/cni")
ARGO = ("workflow-controller", "argo")
OPTIONAL = (*ARGO, "kwok")


def why_not() -> str | None:
    """Why no cluster can run on this machine, in words, or None."""
    if os.geteuid() != 0:
        return "it needs root: for namespaces, mounts and cgroups"
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        return "it needs the machine's root, not that of a user namespace"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = [tool for tool in TOOLS if not shutil.which(tool, path=path)]
    if not (NETWORK_PLUGINS / "bridge").exists():
        lacking.append(str(NETWORK_PLUGINS / "bridge"))
    if lacking:
        return f"{', '.join(lacking)} missing: install the packages of group cluster in tools/packages"
    reason = cgroups.why_not()
    if reason:
        return reason
    child = os.fork()
    if child == 0:
        try:
            kernel.unshare(sum(kernel.SPACES.values()))
            os._exit(0)
        except OSError:
            os._exit(1)
    if os.waitpid(child, 0)[1] != 0:
        return "this machine does not let us make namespaces"
    return programs.why_not_buildable() if programs.missing() else None


class Cluster:
    def __init__(self, state: Path = STATE):
        self.house = House(state)
        self.place = Place(self.house, self.house.facts().get("extra"))

    # Up and down.

    def is_up(self) -> bool:
        return self.house.first() is not None

    def up(self, kwok: bool, argo: bool, made_for: list[int], extra: dict[str, list[str]]) -> None:
        """Returns when the node is ready and Argo answers. Unless all of that worked, nothing stays."""
        if self.is_up():
            raise Unable("it is up already: `down` first")
        reason = why_not()
        if reason:
            raise Unable(reason)
        programs.build()
        lock = self.house.lock()
        self.house.sweep()
        for log in self.house.logs.glob("*.log"):
            log.unlink()
        self.house.data.mkdir()
        began = time.monotonic()

        def note(what: str) -> None:
            say(f"  {time.monotonic() - began:5.1f} s  {what}")

        self.place = Place(self.house, extra)
        components.configure(self.place)
        stay = self.house.build(lock, made_for)
        try:
            note("namespaces, cgroups, keys")
            self.house.note(extra=extra)
            self.bring_up(note, argo, kwok)
        except BaseException:
            self.down()
            raise
        os.write(stay, b"stay")
        os.close(stay)

    def bring_up(self, note, argo: bool, kwok: bool) -> None:
        self.start("etcd", "containerd", wait=False)
        executor = programs.path("argoexec") if argo else None
        archives = images.write_all(self.house.within(self.house.data) / "images", executor)
        self.wait_ready("etcd")
        note("etcd")
        self.start("kube-apiserver", wait=False)
        self.wait_ready("containerd")
        for archive in archives:
            self.import_image(archive)
            archive.unlink()
        note("containerd, images")
        self.wait_ready("kube-apiserver")
        note("kube-apiserver")
        others = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "coredns")
        self.start(*others, wait=False)
        self.apply(BASE)
        if argo:
            self.kubectl("create", "--filename", str(programs.crds()))
            self.apply(ARGO_BASE)
            self.kubectl("wait", "--for=condition=established", "--timeout=60s", "customresourcedefinition", "--all")
            self.start(*ARGO, wait=False)
            note("Argo's custom resources")
        if kwok:
            self.start("kwok", wait=False)
        until("node Ready", self.node_is_ready, 90)
        note("kubelet: the node is Ready")
        self.wait_ready(*others, *(ARGO if argo else ()), *(("kwok",) if kwok else ()))
        note("all of them answer")

    def down(self) -> None:
        """Nothing stays but the logs."""
        keeper = self.house.facts().get("keeper")
        if self.is_up() and keeper:
            gone = kernel.pidfd(keeper)
            if gone is not None:
                os.kill(keeper, signal.SIGTERM)
                kernel.wait_end(gone, 20)
        lock = self.house.lock()
        left = self.house.sweep()
        os.close(lock)
        if left:
            raise Unable(f"could not remove {', '.join(left)}")

    # Components.

    def start(self, *names: str, wait: bool = True) -> None:
        for name in names:
            if not self.house.pid(name):
                self.place.start(name)
        if wait:
            self.wait_ready(*names)

    def wait_ready(self, *names: str) -> None:
        """Until each answers. One that ended is not waited for."""

        def answers(name: str) -> bool:
            if not self.house.pid(name):
                tail = (self.house.logs / f"{name}.log").read_text(errors="replace").splitlines()[-5:]
                raise Unable("\n  ".join([f"{name} has ended:", *tail]))
            return COMPONENTS[name].ready(self.place)

        with self.network():
            for name in names:
                until(f"{name} ready (see {self.house.logs / name}.log)", lambda name=name: answers(name), 90)

    def send(self, name: str, number: int) -> None:
        pid = self.house.pid(name)
        if not pid:
            raise Unable(f"{name} does not run")
        os.kill(pid, number)

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """Ends it, at once or, after twenty seconds of thinking about it, by force."""
        pid = self.house.pid(name)
        gone = kernel.pidfd(pid) if pid else None
        for one in (number, signal.SIGCONT, signal.SIGKILL):
            if gone is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, one)
            if one != signal.SIGCONT and kernel.wait_end(gone, 20):
                return

    def running(self) -> dict[str, str]:
        """What each component does; those that were not asked for are left out."""
        state = {}
        for name in COMPONENTS:
            pid = self.house.pid(name)
            if pid:
                stopped = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
                state[name] = "paused" if stopped else "runs"
            elif name not in OPTIONAL or (self.house.state / "run" / f"{name}.pid").exists():
                state[name] = "ended"
        return state

    # From inside.

    @contextlib.contextmanager
    def network(self):
        """In the cluster's network, this thread's sockets included."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.house.enter("net")
            yield
        finally:
            kernel.setns(here, kernel.NET)
            os.close(here)

    def call(self, *command: str, check: bool = True, **options) -> subprocess.CompletedProcess:
        """Runs something short inside; its output is text and kept."""
        options = {"stdin": subprocess.DEVNULL, "timeout": 120} | options
        if "input" in options:
            del options["stdin"]
        done = subprocess.run(
            command,
            env=os.environ | self.place.environment(),
            capture_output=True,
            text=True,
            preexec_fn=lambda: self.house.enter("cgroup", "ipc", "uts", "net", "mnt"),
            **options,
        )
        if check and done.returncode != 0:
            raise Unable(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def popen(self, *command: str, **options) -> subprocess.Popen:
        """Starts something longer inside, a program of ours say. It sees itself among the processes there, gets
        the signals that the returned one gets, and ends with it; its number is the returned one's inner_pid."""
        number, note = tempfile.mkstemp(prefix="reeve-cluster-pid-")
        os.close(number)
        env = options.pop("env", None)
        started = subprocess.Popen(
            [sys.executable, str(COMMAND), "exec", "--pid-file", note, "--", *command],
            env=(env if env is not None else dict(os.environ)) | {"REEVE_CLUSTER_STATE": str(self.house.state)},
            **options,
        )
        pid = until(f"{command[0]} started", lambda: Path(note).read_text() or started.poll() is not None, 30, 0.01)
        os.unlink(note)
        started.inner_pid = int(pid) if isinstance(pid, str) else None
        return started

    def run(self, *command: str, check: bool = True, **options) -> subprocess.CompletedProcess:
        """Runs something that looks at processes or mounts, and returns what it wrote."""
        done = subprocess.run(
            [sys.executable, str(COMMAND), "exec", "--", *command],
            env=os.environ | {"REEVE_CLUSTER_STATE": str(self.house.state)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            **({"timeout": 120} | options),
        )
        if check and done.returncode != 0:
            raise Unable(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def kubectl(self, *arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess:
        return self.call(str(programs.path("kubectl")), *arguments, check=check, **options)

    def get(self, *arguments: str) -> dict:
        return json.loads(self.kubectl("get", "--output", "json", *arguments).stdout)

    def raw(self, path: str) -> dict:
        """What the API server itself says; of lists kubectl tells no version."""
        return json.loads(self.kubectl("get", "--raw", path).stdout)

    def apply(self, objects: list[dict] | dict, *arguments: str) -> None:
        """Creates or changes them; JSON is YAML too."""
        items = objects if isinstance(objects, list) else [objects]
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.kubectl("apply", "--server-side", "--force-conflicts", *arguments, "--filename", "-", input=document)

    def import_image(self, archive: Path) -> None:
        """Makes what `docker save`, or images.write(), wrote an image of the node."""
        with archive.open("rb") as body:
            self.call("ctr", "--namespace", "k8s.io", "images", "import", "--no-unpack", "-", stdin=body)

    def image(self, name: str, files: dict[str, images.Source], entrypoint: list[str], **options) -> None:
        """Makes an image of files, see images.write(), and gives it to the node."""
        folder = self.house.within(self.house.data) / "images"
        archive = folder / (re.sub(r"[^a-z0-9.]", "-", name) + ".tar")
        images.write(archive, name, files, entrypoint, **options)
        self.import_image(archive)
        archive.unlink()

    def node_is_ready(self, name: str = NODE) -> bool:
        done = self.kubectl("--request-timeout=5s", "get", "node", name, "--output", "json", check=False)
        conditions = json.loads(done.stdout).get("status", {}).get("conditions", []) if done.returncode == 0 else []
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    # What is done to it.

    def etcd(self, call: str, body: dict) -> dict:
        request = urllib.request.Request(f"{ETCD_URL}/v3/{call}", json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with self.network(), opener.open(request, timeout=30) as answer:
            return json.load(answer)

    def compact(self) -> int:
        """Makes etcd forget all but the present; returns its revision. API servers remember some more."""
        revision = int(self.etcd("kv/range", {"key": "AA=="})["header"]["revision"])
        self.etcd("kv/compaction", {"revision": revision, "physical": True})
        return revision


def role_binding(name: str, user: str, role: str) -> dict:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
    }


# So that the API server may ask kubelet for logs.
BASE = [role_binding("test-kubelet-api", "kube-apiserver", "system:kubelet-api-admin")]

ARGO_BASE = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argo"}},
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "workflow-controller-configmap", "namespace": "argo"},
    },
]


def argo_executor(namespace: str) -> list[dict]:
    """What pods of Workflows may do in their namespace: tell how they ended."""
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": {"name": "argo-executor", "namespace": namespace},
            "rules": [
                {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
            ],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "argo-executor", "namespace": namespace},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "argo-executor"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        },
    ]
