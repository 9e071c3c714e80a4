"""The cluster's programs: built once from Go modules, kept in a cache under their real names."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from .say import Unable, say

TOP = Path(__file__).resolve().parents[3]
MODULES = TOP / "tests/cluster/programs"
GO_NEEDED = (1, 24, 10)

ARGO = "github.com/argoproj/argo-workflows/v3"

# name: (module, its main package, seconds that compiling takes on two cores, those before it being there)
PROGRAMS = {
    "etcd": ("kubernetes", "go.etcd.io/etcd/server/v3", 40),
    "kube-apiserver": ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 240),
    "kube-controller-manager": ("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 60),
    "kube-scheduler": ("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 20),
    "kube-proxy": ("kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", 20),
    "kubelet": ("kubernetes", "k8s.io/kubernetes/cmd/kubelet", 60),
    "kubectl": ("kubernetes", "k8s.io/kubernetes/cmd/kubectl", 40),
    "workflow-controller": ("argo", f"{ARGO}/cmd/workflow-controller", 200),
    "argoexec": ("argo", f"{ARGO}/cmd/argoexec", 50),
    "argo": ("argo", f"{ARGO}/cmd/argo", 40),
    "kwok": ("kwok", "sigs.k8s.io/kwok/cmd/kwok", 90),
    "coredns": ("coredns", ".", 90),
}
# Changed when programs are to be built anew though their modules are the same.
RECIPE = "1"


def cache() -> Path:
    """Where built programs are kept: REEVE_CLUSTER_CACHE, else in the tree, where git ignores it."""
    return Path(os.environ.get("REEVE_CLUSTER_CACHE") or TOP / ".cache/cluster")


def home(module: str) -> Path:
    """The folder of one module's programs; another one as soon as a version in it changes."""
    key = hashlib.sha256(RECIPE.encode())
    for file in sorted((MODULES / module).glob("*.*")):
        key.update(file.read_bytes())
    return cache() / f"{module}-{key.hexdigest()[:12]}"


def path(name: str) -> Path:
    return home(PROGRAMS[name][0]) / name


def crds() -> Path:
    """Argo's custom resources, which are not part of a program: as its version installs them, without schemas.
    With these they cost the API server a gigabyte and twenty seconds."""
    return home("argo") / "crds-minimal"


def missing() -> list[str]:
    lacking = [name for name in PROGRAMS if not path(name).exists()]
    return lacking if crds().exists() else list(dict.fromkeys([*lacking, "workflow-controller"]))


def version(module: str, of: str) -> str:
    """The version of another module that MODULE's go.mod requires."""
    found = re.search(rf"^(?:require)?\s*{re.escape(of)} (v\S+)", (MODULES / module / "go.mod").read_text(), re.M)
    if not found:
        raise LookupError(f"{module}/go.mod does not name {of}")
    return found[1]


def why_not_buildable() -> str | None:
    """In words, or None."""
    needed = ".".join(map(str, GO_NEEDED))
    try:
        out = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, cwd=MODULES, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return f"its programs are not built yet, and there is no Go to build them (>= {needed})"
    found = tuple(int(part) for part in re.findall(r"\d+", out)[:3])
    if found < GO_NEEDED:
        return f"its programs are not built yet, and Go is {out.strip().removeprefix('go')} here (>= {needed} needed)"
    return None


def go(*arguments: str, cwd: Path, log: Path) -> None:
    env = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"}
    with log.open("ab") as out:
        done = subprocess.run(
            ["nice", "-n", "19", "go", *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise Unable(f"go {arguments[0]} failed in {cwd} (its whole output: {log}):\n{tail}")


def stamp(module: str) -> str:
    """What clients of Kubernetes read of a version and `go build` alone leaves empty."""
    flags = ["-s", "-w"]
    if module == "kubernetes":
        said = version("kubernetes", "k8s.io/kubernetes")
        major, minor, _ = said.removeprefix("v").split(".")
        values = {
            "gitVersion": said,
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
        }
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags += [f"-X {package}.{name}={value}" for name, value in values.items()]
    if module == "argo":
        flags.append(f"-X {ARGO}.version={version('argo', ARGO)}")
    return " ".join(flags)


def vendor_argo(folder: Path, log: Path) -> None:
    """A copy of what Argo consists of, with what its module's archive lacks: one file there is a link,
    which archives of modules drop, and the page's files are made by another compiler."""
    for name in ("go.mod", "go.sum"):
        shutil.copy(MODULES / "argo" / name, folder)
    go("mod", "vendor", "-e", cwd=folder, log=log)
    source = folder / "vendor" / ARGO
    signals = source / "workflow/executor/osspecific"
    shutil.copy(signals / "signal_darwin.go", signals / "signal_linux.go")
    page = source / "ui/dist/app/index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html><title>Argo</title><p>The page is not part of this build.\n")


def build() -> None:
    """Builds what is missing; a second call beside this one waits for it."""
    if not missing():
        return
    reason = why_not_buildable()
    if reason:
        raise Unable(reason)
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in cache().glob("source-*"):  # by one that was killed
            shutil.rmtree(left)
        wanted = missing()
        expected = sum(PROGRAMS[name][2] for name in wanted)
        if wanted:
            say(f"building {len(wanted)} programs, once: about {expected // 60 + 1} minutes on two idle cores")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="source-", dir=cache()) as folder:
            for number, name in enumerate(wanted, 1):
                build_one(name, f"{number} of {len(wanted)}", Path(folder))
        if wanted:
            say(f"built all of them in {time.monotonic() - began:.0f} s")
        forget_old()


def build_one(name: str, number: str, scratch: Path) -> None:
    module, package, seconds = PROGRAMS[name]
    began = time.monotonic()
    say(f"  {number}: {name} (about {seconds} s) ...")
    log = cache() / f"{name}.log"
    log.write_bytes(b"")
    folder = MODULES / module
    if module == "argo":
        folder = scratch
        if not (folder / "vendor").exists():
            vendor_argo(folder, log)
    mode = "vendor" if module == "argo" else "readonly"
    new = scratch / f"{name}.new"
    go("build", f"-mod={mode}", "-trimpath", "-ldflags", stamp(module), "-o", str(new), package, cwd=folder, log=log)
    to = path(name)
    to.parent.mkdir(exist_ok=True)
    if module == "argo" and not crds().exists():
        take_crds(scratch)
    new.rename(to)
    log.unlink()
    say(f"  {number}: {name} in {time.monotonic() - began:.0f} s, {to.stat().st_size // 1000000} MB")


def take_crds(scratch: Path) -> None:
    new = scratch / "crds"
    new.mkdir()
    for file in (module_folder("argo", ARGO) / "manifests/base/crds/minimal").glob("argoproj.io_*.yaml"):
        shutil.copy(file, new)
    new.rename(crds())


def forget_old() -> None:
    """Programs of versions that the modules no longer name."""
    keep = {home(module) for module, _, _ in PROGRAMS.values()}
    for folder in cache().iterdir():
        if folder.is_dir() and re.fullmatch(r"[a-z]+-[0-9a-f]{12}", folder.name) and folder not in keep:
            shutil.rmtree(folder)


def module_folder(module: str, of: str) -> Path:
    """Where Go keeps the files of a module that MODULE requires."""
    out = subprocess.run(
        ["go", "list", "-m", "-json", of], cwd=MODULES / module, capture_output=True, text=True, check=True
    ).stdout
    return Path(json.loads(out)["Dir"])
