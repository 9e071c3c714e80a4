"""The house that the cluster lives in: namespaces and cgroups of its own, and who sees to it that nothing of
them stays.

    keeper       the first process of a PID namespace is its child and dies with it, and with that process
                 the kernel ends every other one there; mounts and interfaces go with the last of them
    watcher      takes the cgroups away should the keeper be killed
    inside       that first process: mounts, network, then burying the dead

The keeper ends all that when it is told to, when the one that started the cluster goes away before it says
`stay`, or when a process the cluster was made for ends.
"""

import fcntl
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from . import cgroups, kernel
from .say import Unable

NODE_IP = "10.99.0.1"
API_IP = "10.0.0.1"  # what pods know the API server by: the first address of services
DNS_IP = "10.0.0.10"


class House:
    """What is known of the cluster whose files are in STATE."""

    def __init__(self, state: Path):
        self.state = state.resolve()
        self.name = "reeve-cluster-" + hashlib.sha256(str(self.state).encode()).hexdigest()[:8]

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def data(self) -> Path:
        """Memory inside the house, empty outside of it."""
        return self.state / "data"

    def within(self, path: Path | str) -> Path:
        """What PATH is inside the house, as a path for those who are outside."""
        return Path(f"/proc/{self.first()}/root") / str(path).lstrip("/")

    def facts(self) -> dict:
        try:
            return json.loads((self.state / "house.json").read_text())
        except (OSError, ValueError):
            return {}

    def note(self, **facts) -> None:
        new = self.state / "house.json.new"
        new.write_text(json.dumps(self.facts() | facts))
        new.rename(self.state / "house.json")

    def first(self) -> int | None:
        """The first process inside, or None when the house is not there."""
        facts = self.facts()
        pid = facts.get("first")
        return pid if pid and lives_in(pid, facts.get("space")) else None

    def cgroups(self) -> list[Path]:
        """One in each hierarchy."""
        return [Path(folder) for folder in self.facts().get("cgroups", [])]

    def pid(self, name: str) -> int | None:
        """The process that start() made under this name, if it still runs."""
        try:
            pid = int((self.state / "run" / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if lives_in(pid, self.facts().get("space")) and not is_dead(pid) else None

    # Making and unmaking.

    def lock(self, seconds: float = 30) -> int:
        """For who makes or unmakes it; a keeper and his watcher hold it as long as they live."""
        self.logs.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.logs / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

        def taken() -> bool:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False

        until(f"{self.state} given up by another process", taken, seconds)
        return fd

    def build(self, lock: int, made_for: list[int]) -> int:
        """Makes the house and a keeper for it, who takes over the lock. Returns a descriptor: whoever writes
        `stay` to it lets the house stand when he goes."""
        self.note(cgroups=[str(folder) for folder in cgroups.folders(self.name)])
        lifeline, mine = os.pipe()
        hears, tells = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            os.close(mine)
            os.close(hears)
            if os.fork() == 0:
                run_and_exit(lambda: keep(self, lock, lifeline, tells, made_for))
            os._exit(0)
        os.waitpid(child, 0)
        os.close(lock)
        os.close(lifeline)
        os.close(tells)
        with os.fdopen(hears) as answer:
            said = answer.read()
        if said != "ready":
            raise Unable(f"could not make namespaces: {said or 'see ' + str(self.logs / 'keeper.log')}")
        return mine

    def sweep(self, seconds: float = 10) -> list[str]:
        """Ends what is there and removes all of it but the logs; returns what could not be removed."""
        first = self.first()
        if first:
            gone = kernel.pidfd(first)
            os.kill(first, signal.SIGKILL)
            kernel.wait_end(gone, seconds)
        left = [str(folder) for folder in cgroups.remove(self.cgroups(), seconds)]
        for entry in self.state.iterdir() if self.state.exists() else []:
            if entry != self.logs:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
        return left

    # What happens inside.

    def enter(self, *spaces: str) -> None:
        """Enters the namespaces named, or all of them. Only children see themselves in the PID namespace."""
        first = self.first()
        if not first:
            raise Unable("the cluster is not up")
        fds = {space: os.open(f"/proc/{first}/ns/{space}", os.O_RDONLY | os.O_CLOEXEC) for space in kernel.SPACES}
        if not spaces:
            cgroups.enter(self.cgroups())
        for space, flag in kernel.SPACES.items():  # mnt is the last: after it /proc is another one
            if not spaces or space in spaces:
                kernel.setns(fds[space], flag)
            os.close(fds[space])

    def start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> int:
        """Starts a process that stays when we go; its output is added to logs/NAME.log."""
        self.logs.mkdir(exist_ok=True)
        (self.state / "run").mkdir(exist_ok=True)
        hears, tells = os.pipe()
        child = os.fork()
        if child == 0:
            run_and_exit(lambda: self.start_inside(name, command, env or {}, tells))
        os.close(tells)
        with os.fdopen(hears) as answer:
            said = answer.read()
        os.waitpid(child, 0)
        if not said.isdigit():
            raise Unable(f"could not start {name}: {said}")
        (self.state / "run" / f"{name}.pid").write_text(said)
        return int(said)

    def start_inside(self, name: str, command: list[str], env: dict[str, str], tells: int) -> None:
        try:
            out = os.open(self.logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self.enter()
            pid = os.fork()
        except (OSError, Unable) as error:
            os.write(tells, str(error).encode())
            return
        if pid:
            os.write(tells, str(pid).encode())
            return
        os.setsid()
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        execute(command, env)

    def run(self, command: list[str], env: dict[str, str], pid_file: str | None = None) -> int:
        """Runs a command inside, in the same folder and with the same files open; it gets the signals that we
        get, and ends when we are killed. Returns its exit status."""
        folder = os.getcwd()
        me = os.getpid()
        note = open(pid_file, "w") if pid_file else None  # opened here: inside, some folders are others
        self.enter()
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        pid = os.fork()
        if pid == 0:
            kernel.die_with_parent(me)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
            try:
                os.chdir(folder)
            except OSError:
                os.chdir("/")
            execute(command, env)
        if note:
            note.write(str(pid))
            note.close()
        for one in signals:
            signal.signal(one, lambda number, _: os.kill(pid, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def lives_in(pid: int, space: int | None) -> bool:
    """Is this a process of that PID namespace? A number that was used again is not."""
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino == space
    except OSError:
        return False


def is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def execute(command: list[str], env: dict[str, str]) -> None:
    try:
        os.execvpe(command[0], command, os.environ | env)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)


def run_and_exit(what) -> None:
    """In a child that was forked: never returns to what its parent was doing."""
    status = 1
    try:
        what()
        status = 0
    except BaseException as error:  # noqa: BLE001
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def keep(house: House, lock: int, lifeline: int, tells: int, made_for: list[int]) -> None:
    """The keeper, in a session of its own."""
    out = os.open(house.logs / "keeper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for fd in (1, 2):
        os.dup2(out, fd)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    me = os.getpid()
    asked_r, asked_w = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(asked_w, b"x"))
    for one in (signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)

    watcher = os.fork()
    if watcher == 0:
        os.close(lifeline)
        os.close(tells)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run_and_exit(lambda: watch(house, me))

    try:
        cgroups.make(house.cgroups())
        ready_r, ready_w = os.pipe()
        here = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        kernel.unshare(kernel.PID)
        first = os.fork()
        if first == 0:
            for fd in (lock, lifeline, tells, asked_r, asked_w, ready_r):
                os.close(fd)
            run_and_exit(lambda: inside(house, me, ready_w))
        kernel.setns(here, kernel.PID)
        os.close(ready_w)
        said = os.read(ready_r, 4096)
        if said == b"ready":
            space = os.stat(f"/proc/{first}/ns/pid").st_ino
            house.note(first=first, space=space, keeper=me)
        os.write(tells, said)
        os.close(tells)
        if said == b"ready":
            wait_for_the_end(first, lifeline, asked_r, made_for)
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
    except (OSError, Unable) as error:
        try:
            os.write(tells, str(error).encode())
        except OSError:
            pass
    left = house.sweep()
    os.kill(watcher, signal.SIGKILL)
    if left:
        print(f"could not remove {' '.join(left)}", file=sys.stderr, flush=True)


def wait_for_the_end(first: int, lifeline: int, asked: int, made_for: list[int]) -> None:
    ends = [kernel.pidfd(pid) for pid in (first, *made_for)]
    if None in ends:
        return
    waiting = [lifeline, asked, *ends]
    while True:
        ready, _, _ = select.select(waiting, [], [])
        if ready != [lifeline] or os.read(lifeline, 16) != b"stay":
            return
        waiting.remove(lifeline)


def watch(house: House, keeper: int) -> None:
    """The watcher: a keeper that was not killed ends this one first."""
    kernel.wait_end(kernel.pidfd(keeper))
    house.sweep()


def inside(house: House, keeper: int, tells: int) -> None:
    """The first process inside."""
    kernel.die_with_parent(keeper)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        cgroups.enter(house.cgroups())
        hierarchies = cgroups.hierarchies()
        kernel.unshare(sum(kernel.SPACES.values()) & ~kernel.PID)
        socket.sethostname("node-1")
        furnish(house, hierarchies)
        connect()
    except (OSError, Unable) as error:
        os.write(tells, str(error).encode())
        return
    os.write(tells, b"ready")
    os.close(tells)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        signal.sigwait({signal.SIGCHLD})


def furnish(house: House, hierarchies: list[cgroups.Hierarchy]) -> None:
    """Mounts. What programs of a node write where they always do, they write into memory."""
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    kernel.mount("sysfs", "/sys", "sysfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    kernel.mount("tmpfs", house.data, "tmpfs", data="mode=755,size=60%")
    top = Path("/sys/fs/cgroup")
    if not cgroups_unified(hierarchies):
        kernel.mount("tmpfs", top, "tmpfs", data="mode=755")
    for one in hierarchies:
        one.point.mkdir(exist_ok=True)
        wanted = f"none,{one.options}" if one.options.startswith("name=") else one.options
        kernel.mount("cgroup", one.point, one.kind, data=wanted)

    for folder in ("/etc", "/var/lib", "/var/log"):
        over = house.data / "over" / folder.strip("/").replace("/", "-")
        for part in ("upper", "work"):
            (over / part).mkdir(parents=True)
        layers = f"lowerdir={folder},upperdir={over}/upper,workdir={over}/work"
        kernel.mount("overlay", folder, "overlay", data=layers)
    kernel.mount("tmpfs", "/run", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    # Not on the overlay: containers' own overlays cannot have their upper layers there.
    for folder in ("/var/lib/containerd", "/var/lib/kubelet"):
        Path(folder).mkdir(exist_ok=True)
        kernel.mount("tmpfs", folder, "tmpfs", data="mode=755,size=60%")

    # kubelet sets these, and they are the whole machine's: here it sets files that nobody reads.
    for name in ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom"):
        hide(house, Path("/proc/sys") / name)
    for name in ("root_maxkeys", "root_maxbytes"):
        hide(house, Path("/proc/sys/kernel/keys") / name)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SHARED)


def cgroups_unified(hierarchies: list[cgroups.Hierarchy]) -> bool:
    return all(one.kind == "cgroup2" for one in hierarchies)


def hide(house: House, setting: Path) -> None:
    if setting.exists():
        stand_in = house.data / "settings" / setting.name
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(setting.read_text())
        kernel.mount(str(stand_in), setting, flags=kernel.MS_BIND)


def connect() -> None:
    """The network: nothing leads out of it. A bridge with nothing on it stands for the node's interface."""
    for line in (
        "link set lo up",
        f"address add {DNS_IP}/32 dev lo",
        "link add node0 type bridge",
        f"address add {NODE_IP}/24 dev node0",
        "link set node0 up",
        "route add default dev node0",
    ):
        if os.spawnvp(os.P_WAIT, "ip", ["ip", *line.split()]) != 0:
            raise Unable(f"ip {line}: failed, see keeper.log")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def until(what: str, asks, seconds: float, every: float = 0.1):
    """Asks until something else than None or False is answered, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        answer = asks()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Unable(f"{what}: not in {seconds:g} s")
        time.sleep(every)
