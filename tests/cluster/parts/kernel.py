"""The few calls of the kernel that Python 3.11 does not offer: namespaces, mounts, a process's end."""

import ctypes
import os
import select
import signal

MNT, CGROUP, UTS, IPC, PID, NET = 0x20000, 0x02000000, 0x04000000, 0x08000000, 0x20000000, 0x40000000
SPACES = {"cgroup": CGROUP, "ipc": IPC, "uts": UTS, "net": NET, "pid": PID, "mnt": MNT}

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 0x1000, 0x4000, 0x40000, 0x100000

PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(spaces: int) -> None:
    checked(libc.unshare(spaces), "could not make namespaces")


def setns(fd: int, space: int) -> None:
    checked(libc.setns(fd, space), "could not enter a namespace")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    call = libc.mount(source.encode(), str(target).encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    checked(call, f"could not mount {kind or source} on {target}")


def die_with_parent(parent: int) -> None:
    """From now on the kernel kills this process when PARENT, which has to be its parent, ends."""
    checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "could not bind to the parent")
    # In a new PID namespace the parent is not seen; it shows as 0.
    if os.getppid() not in (parent, 0):
        os._exit(1)


def pidfd(pid: int) -> int | None:
    """To wait for the end of a process that is no child; None when it has ended."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def wait_end(fd: int | None, seconds: float | None = None) -> bool:
    """Has the process behind a pidfd ended, at the latest in SECONDS?"""
    return fd is None or bool(select.select([fd], [], [], seconds)[0])
