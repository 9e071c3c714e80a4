"""What goes wrong in a cluster, on purpose. Each fault is over, and the cluster well again, when its block ends."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from parts import cgroups
from parts.cluster import Cluster
from parts.house import until

NODE_PARTS = ("kubelet", "containerd", "kube-proxy")


class Faults:
    def __init__(self, cluster: Cluster):
        self.cluster = cluster

    def mend(self) -> None:
        """Starts what does not run, and waits until all of it answers and the node is Ready."""
        for name, state in self.cluster.running().items():
            if state == "paused":
                self.cluster.send(name, signal.SIGCONT)
            if state == "ended":
                self.cluster.start(name, wait=False)
        self.cluster.wait_ready(*self.cluster.running())
        until("the node Ready again", self.cluster.node_is_ready, 90)

    @contextlib.contextmanager
    def stopped(self, *names: str, by: int = signal.SIGTERM):
        """Ended, and started again; by=SIGKILL for an end without a word."""
        for name in names:
            self.cluster.stop(name, by)
        try:
            yield
        finally:
            self.mend()

    @contextlib.contextmanager
    def paused(self, *names: str):
        """Silent: connections stay open and nobody answers."""
        for name in names:
            self.cluster.send(name, signal.SIGSTOP)
        try:
            yield
        finally:
            for name in names:
                self.cluster.send(name, signal.SIGCONT)
            self.mend()

    def restart(self, name: str, by: int = signal.SIGTERM) -> None:
        with self.stopped(name, by=by):
            pass

    def forget_plugins(self) -> None:
        """Else kubelet keeps a resource, at none, for minutes after its plugin has gone."""
        with self.stopped("kubelet"):
            self.cluster.call("rm", "-f", "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint")

    @contextlib.contextmanager
    def slow(self, name: str, works: float = 0.05, rests: float = 0.45):
        """Works for a moment and rests for a longer one, in seconds, by turns: etcd on an overloaded disk."""
        over = threading.Event()

        def take_turns() -> None:
            while not over.is_set():
                self.cluster.send(name, signal.SIGSTOP)
                over.wait(rests)
                self.cluster.send(name, signal.SIGCONT)
                over.wait(works)

        turns = threading.Thread(target=take_turns)
        turns.start()
        try:
            yield
        finally:
            over.set()
            turns.join()
            self.mend()

    def compact(self) -> int:
        """etcd forgets the past. Who watches goes on, since API servers remember some of it."""
        return self.cluster.compact()

    def expire_watches(self) -> None:
        """The past is forgotten by all: who comes back for what happened since a version gets 410."""
        self.cluster.compact()
        self.restart("kube-apiserver", by=signal.SIGKILL)

    @contextlib.contextmanager
    def node_off(self):
        """The power fails: kubelet, runtime and every container are gone at once, and the node starts again."""
        for name in NODE_PARTS:
            self.cluster.stop(name, signal.SIGKILL)
        self.end_pods()
        try:
            yield
        finally:
            self.mend()

    def end_pods(self) -> None:
        """Kills the containers and who looks after them, and forgets what a boot forgets."""
        space = self.cluster.house.facts()["space"]
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if not entry.name.isdigit() or (entry / "ns/pid").stat().st_ino != space:
                    continue
                if (entry / "comm").read_text().startswith("containerd-shim"):
                    os.kill(int(entry.name), signal.SIGKILL)
        left = cgroups.remove([folder / "kubepods" for folder in self.cluster.house.cgroups()])
        assert not left, f"containers that do not end: {left}"
        self.cluster.run("sh", "-c", FORGET)


FORGET = """
awk '$2 ~ "^/run/(containerd|netns)/" || $2 ~ "^/var/lib/kubelet/pods/" { print $2 }' /proc/mounts | sort -r |
    xargs -r umount -l
rm -rf /run/containerd /run/netns
"""


def wait_for(what: str, asks, seconds: float = 60, every: float = 0.2):
    """Until something else than None or False is answered; that is returned."""
    return until(what, asks, seconds, every)


def hold(seconds: float, asks, every: float = 0.5) -> None:
    """For that long it has to stay true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert asks()
        time.sleep(every)
