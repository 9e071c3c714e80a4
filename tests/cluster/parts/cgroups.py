"""The cluster's own cgroup in each hierarchy: made, entered, and removed with all below it.

Below our own cgroup with version 1, so that limits set around us hold for the cluster too. Version 2 lets
processes live only in leaves, so there it hangs below the root, and processes sit in its child `init`.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from .say import Unable

NEEDED = ("cpu", "cpuset", "memory", "pids")


@dataclass(frozen=True)
class Hierarchy:
    point: Path  # where it is mounted
    kind: str  # cgroup, cgroup2
    options: str  # which one it is, for mount(2)
    below: str  # our own cgroup, seen from that place


def hierarchies() -> list[Hierarchy]:
    mounted = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, tail = line.split(" - ", 1)
        kind, _, options = tail.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            fields = head.split()
            mounted.append((kind, set(options.split(",")), fields[3], Path(fields[4])))
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, own = line.split(":", 2)
        for kind, options, root, point in mounted:
            if (kind == "cgroup2") != (not names) or (names and not set(names.split(",")) <= options):
                continue
            below = own.removeprefix(root.rstrip("/")).lstrip("/")
            found.append(Hierarchy(point, kind, names, below))
            break
    return found


def unified() -> bool:
    """Is version 2 all there is, rather than standing beside version 1?"""
    return all(one.kind == "cgroup2" for one in hierarchies())


def folders(name: str) -> list[Path]:
    """Where the cgroups NAME of one who is started by us are to be: this depends on where we are."""
    return [one.point / ("" if one.kind == "cgroup2" else one.below) / name for one in hierarchies()]


def why_not() -> str | None:
    """Why no node can run with these cgroups, in words, or None."""
    all_ = hierarchies()
    if unified():
        there = (all_[0].point / "cgroup.controllers").read_text().split() if all_ else []
    else:
        there = [name for one in all_ for name in one.options.split(",")]
    lacking = [name for name in NEEDED if name not in there]
    if lacking:
        return f"there are no cgroups here for {', '.join(lacking)}"
    closed = [str(folder) for folder in folders("") if not os.access(folder, os.W_OK)]
    return f"cgroups cannot be made in {', '.join(closed)}" if closed else None


def make(wanted: list[Path]) -> None:
    for folder in wanted:
        try:
            if unified():
                (folder.parent / "cgroup.subtree_control").write_text(" ".join("+" + one for one in NEEDED))
            folder.mkdir(exist_ok=True)
            if unified():
                (folder / "init").mkdir(exist_ok=True)
                (folder / "cgroup.subtree_control").write_text(" ".join("+" + one for one in NEEDED))
            for setting in ("cpuset.mems", "cpuset.cpus"):
                if not unified() and (folder / setting).exists():
                    (folder / setting).write_text((folder.parent / setting).read_text())
        except OSError as error:
            raise Unable(f"could not make the cgroup {folder}: {error.strerror}") from error


def enter(wanted: list[Path]) -> None:
    """Moves this process in; what it starts from then on is in as well."""
    for folder in wanted:
        home = folder / "init" if unified() else folder
        (home / "cgroup.procs").write_text("0")


def remove(unwanted: list[Path], seconds: float = 10) -> list[Path]:
    """Ends what may still run there and removes them; returns those that stayed."""
    deadline = time.monotonic() + seconds
    left = [folder for folder in unwanted if folder.exists()]
    while left:
        for top in left:
            for folder, _, _ in os.walk(top, topdown=False):
                end(Path(folder))
                try:
                    os.rmdir(folder)
                except OSError:
                    pass  # busy: once more, until the deadline
        left = [folder for folder in left if folder.exists()]
        if time.monotonic() > deadline:
            break
        time.sleep(0.05 if left else 0)
    return left


def end(folder: Path) -> None:
    try:
        pids = (folder / "cgroup.procs").read_text().split()
    except OSError:
        return
    for pid in pids:
        if pid != "0":  # one of a PID namespace that is not below ours
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
