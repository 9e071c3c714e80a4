"""What is installed, the images of it, and kubectl where there is one."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def build():
    return Path(os.environ.get("REEVE_BUILD", TOP / "build"))


@pytest.fixture(scope="session")
def installed(build, tmp_path_factory):
    """What `meson install` puts into a folder."""
    into = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", into], check=True)
    return into


@pytest.fixture(scope="session")
def images(installed, tmp_path_factory):
    """A folder with the archive of every image."""
    return build_images(installed, tmp_path_factory.mktemp("images"))


def build_images(installed, into, *options):
    subprocess.run([TOP / "deploy/images/build", "--from", installed, "--to", into, *options], check=True)
    return into


def kustomize_version(kubectl):
    said = subprocess.run([kubectl, "version", "--client"], capture_output=True, text=True, check=False)
    found = re.search(r"Kustomize Version: v(\d+)\.", said.stdout)
    return int(found[1]) if found else 0


@pytest.fixture(scope="session")
def kubectl():
    """One that knows today's kustomize: on the path, or built for the test cluster."""
    caches = [Path(os.environ["REEVE_CLUSTER_CACHE"])] if "REEVE_CLUSTER_CACHE" in os.environ else []
    there = [shutil.which("kubectl"), *[p for c in [*caches, TOP / ".cache/cluster"] for p in c.glob("*/kubectl")]]
    for program in there:
        if program and kustomize_version(program) >= 5:
            return program
    pytest.skip("no kubectl with kustomize 5 here: kubectl 1.27 or newer, or `tests/cluster/cluster build`")
