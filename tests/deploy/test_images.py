"""The images: what is in them, and that their programs run there with nothing else around."""

import hashlib
import json
import os
import re
import ssl
import subprocess
import tarfile
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import TOP, build_images

# As the images say it; PATH is for those who start them.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_STATE_HOME": "/var/lib"}
ALL = {
    "reeve-control": "reeved",
    "reeve-agent": "reeve-agent",
    "reeve": "reeve",
    "proto-gcn": "proto-gcn",
}

# Our own archives; Pythons before 3.11.4 have no filters, and trust.
TRUSTED = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}


class Image:
    def __init__(self, archive: Path, into: Path):
        self.root = into
        into.chmod(0o755)
        with tarfile.open(archive) as tar:
            self.manifest = json.load(tar.extractfile("manifest.json"))[0]
            self.config = json.load(tar.extractfile(self.manifest["Config"]))
            self.digests = []
            for layer in self.manifest["Layers"]:
                content = tar.extractfile(layer)
                self.digests.append("sha256:" + hashlib.file_digest(content, "sha256").hexdigest())
                content.seek(0)
                with tarfile.open(fileobj=content) as files:
                    files.extractall(into, **TRUSTED)

    def command(self, *words):
        """As a container would run it: a root of its own, /proc, a user without rights."""
        script = 'mount -t proc proc "$0/proc" && exec chroot --userspec=65532:65532 "$0" "$@"'
        return ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, self.root, *words]

    def run(self, *words):
        return subprocess.run(self.command(*words), capture_output=True, text=True, env=ENVIRONMENT,
                              check=False, timeout=60)  # fmt: skip


@pytest.fixture(scope="session")
def unpacked(images, tmp_path_factory):
    return {name: Image(images / f"{name}.tar", tmp_path_factory.mktemp(name)) for name in ALL}


@pytest.fixture
def as_root():
    if os.geteuid() != 0:
        pytest.skip("only root may enter another root")


def version():
    return re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text())[1]


@pytest.mark.parametrize("name", ALL)
def test_an_image_says_what_it_is_and_runs_without_root(unpacked, name):
    image = unpacked[name]
    config = image.config["config"]
    assert image.manifest["RepoTags"] == [f"localhost/{name}:{version()}"]
    assert image.config["rootfs"]["diff_ids"] == image.digests
    assert config["User"] == "65532:65532"
    assert config["Labels"]["org.opencontainers.image.version"] == version()
    (entry,) = config["Entrypoint"]
    assert os.access(f"{image.root}{entry}", os.X_OK)


@pytest.mark.parametrize("name", ALL)
def test_an_image_holds_no_shell_and_little_else(unpacked, images, name):
    names = {path.name for path in unpacked[name].root.rglob("*")}
    assert not names & {"sh", "bash", "dash", "busybox", "python3", "perl", "apt", "dpkg"}
    assert (images / f"{name}.tar").stat().st_size < 40e6
    for path in unpacked[name].root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert path.stat().st_mode & 0o6000 == 0, f"{path} runs as somebody else"


def test_the_same_programs_make_the_same_bytes(installed, images, tmp_path):
    again = build_images(installed, tmp_path)
    for name in ALL:
        assert (again / f"{name}.tar").read_bytes() == (images / f"{name}.tar").read_bytes(), name


def test_images_get_other_names_and_one_can_be_made_alone(installed, tmp_path):
    build_images(installed, tmp_path, "--name", "registry.example/ml", "--tag", "7", "proto-gcn")
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as tar:
        assert json.load(tar.extractfile("manifest.json"))[0]["RepoTags"] == ["registry.example/ml/proto-gcn:7"]


def test_a_tree_without_programs_is_refused_with_the_reason(tmp_path):
    done = subprocess.run(
        [TOP / "deploy/images/build", "--from", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "has no bin/reeved" in done.stderr


@pytest.mark.parametrize("name", ["reeve-control", "reeve-agent", "reeve"])
def test_every_program_finds_its_libraries(unpacked, as_root, name):
    image = unpacked[name]
    (entry,) = image.config["config"]["Entrypoint"]
    done = image.run(entry, "--version")
    assert done.stdout.split() == [ALL[name], version()], done.stderr


def test_the_helpers_of_the_agent_are_there_too(unpacked, as_root):
    helpers = sorted((unpacked["reeve-agent"].root / "usr/local/libexec/reeve").iterdir())
    assert [helper.name for helper in helpers] == ["reeve-gpu-helper", "reeve-shim"]
    for helper in helpers:
        said = unpacked["reeve-agent"].run(f"/usr/local/libexec/reeve/{helper.name}", "--help").stderr
        assert "error while loading" not in said


def test_the_example_trains(unpacked, as_root):
    image = unpacked["proto-gcn"]
    done = image.run("/usr/local/bin/proto-gcn", "--config", "/configs/ntu60_joint.yaml", "--epochs", "1",
                     "--work-dir", "/tmp")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def until(look, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_the_control_plane_serves_its_page_over_tls_of_its_own(unpacked, as_root):
    """As in a pod: it can write its data folder and nothing else."""
    image = unpacked["reeve-control"]
    data = image.root / "var/lib/reeve"
    options = ["--listen", "127.0.0.1:0", "--tls-auto", "--host", "reeve.reeve.svc"]
    reeved = subprocess.Popen(image.command("/usr/local/bin/reeved", *options), env=ENVIRONMENT)
    try:
        ports = until(lambda: (data / "reeved.ports").exists() and json.loads((data / "reeved.ports").read_text()))
        trust = ssl.create_default_context(cafile=str(data / "tls/ca.pem"))
        url = f"https://localhost:{ports['api']}"
        page = urllib.request.urlopen(url + "/", context=trust, timeout=10).read()
        assert b"<!doctype html>" in page.lower()

        def status():
            done = image.run("/usr/local/bin/reeve", "status", "--server", "unix:/var/lib/reeve/reeved.sock")
            return done if "still loading" not in done.stderr else None

        done = until(status)
        assert done.returncode == 0 and version() in done.stdout, done.stderr
        # Over TLS, with libcurl out of the image.
        done = image.run("/usr/local/bin/reeve", "whoami", "--server", url, "--tls-ca", "/var/lib/reeve/tls/ca.pem",
                         "--token-file", "/var/lib/reeve/admin.token")  # fmt: skip
        assert done.returncode == 0 and "admin" in done.stdout, done.stderr
    finally:
        reeved.terminate()
        assert reeved.wait(20) == 0
