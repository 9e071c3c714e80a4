"""Container images out of files, without a registry: archives as `docker save` writes them."""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from pathlib import Path

# What a file in an image is: the file here that it is a copy of, its bytes, or where a link leads.
Source = Path | bytes | str

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}

PAUSE = "localhost/pause:1"
TEST = "localhost/test:1"
ARGOEXEC = "localhost/argoexec:1"


def layer(to: Path, files: dict[str, Source], folders: dict[str, int]) -> str:
    """Writes one layer; returns its digest."""
    with tarfile.open(to, "w") as tar:
        for name, mode in folders.items():
            entry = tarfile.TarInfo(name.strip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        for name, source in files.items():
            entry = tarfile.TarInfo(name.strip("/"))
            entry.mode = 0o755
            if isinstance(source, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, source
                tar.addfile(entry)
            elif isinstance(source, bytes):
                entry.mode, entry.size = 0o644, len(source)
                tar.addfile(entry, io.BytesIO(source))
            else:
                entry.size = source.stat().st_size
                with source.open("rb") as content:
                    tar.addfile(entry, content)
    with to.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()


def write(
    to: Path,
    name: str,
    files: dict[str, Source],
    entrypoint: list[str],
    folders: dict[str, int] | None = None,
    user: str = "",
) -> None:
    """Writes an image of one layer into the file TO."""
    body = to.with_suffix(".layer")
    digest = layer(body, files, folders or {})
    config = json.dumps(
        {
            "architecture": MACHINES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin"], "User": user, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": "1970-01-01T00:00:00Z"}],
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    new = to.with_suffix(".new")
    with tarfile.open(new, "w") as tar:
        for member, content in ((config_name, config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        entry = tarfile.TarInfo("layer.tar")
        entry.size = body.stat().st_size
        with body.open("rb") as content:
            tar.addfile(entry, content)
    body.unlink()
    new.rename(to)


def busybox() -> tuple[dict[str, Source], dict[str, int]]:
    """Files and folders of a small system: busybox under each of its names, and two users."""
    program = Path("/bin/busybox")
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files: dict[str, Source] = {"bin/busybox": program}
    files |= {f"bin/{name}": "busybox" for name in applets if name != "busybox"}
    files["etc/passwd"] = b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n"
    files["etc/group"] = b"root:x:0:\nuser:x:1000:\n"
    return files, {"bin": 0o755, "etc": 0o755, "root": 0o700, "tmp": 0o1777, "work": 0o1777}


def write_all(folder: Path, argoexec: Path | None) -> list[Path]:
    """The images that the cluster itself and its tests use."""
    folder.mkdir(parents=True, exist_ok=True)
    files, folders = busybox()
    write(folder / "pause.tar", PAUSE, {"bin/busybox": files["bin/busybox"]}, ["/bin/busybox", "sleep", "2147483647"])
    write(folder / "test.tar", TEST, files, ["/bin/sh"], folders)
    made = [folder / "pause.tar", folder / "test.tar"]
    if argoexec:
        write(folder / "argoexec.tar", ARGOEXEC, {"bin/argoexec": argoexec}, ["argoexec"], {"tmp": 0o1777})
        made.append(folder / "argoexec.tar")
    return made
