"""What system tests share: where the programs under test are."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def top():
    """The project's folder."""
    return TOP


@pytest.fixture(scope="session")
def build():
    """The build folder under test: REEVE_BUILD, as ./test sets it, else what ./run made."""
    folder = Path(os.environ.get("REEVE_BUILD", TOP / "build"))
    if not (folder / "build.ninja").exists():
        pytest.exit(f"{folder} is no build folder; start this by ./test system", returncode=2)
    return folder


@pytest.fixture(autouse=True)
def plain_only(request):
    """Tests marked `plain` need programs without sanitizers."""
    marker = request.node.get_closest_marker("plain")
    if marker:
        ninja = request.getfixturevalue("build") / "build.ninja"
        if "-fsanitize=" in ninja.read_text():
            pytest.skip(f"not with sanitizers: {marker.args[0]}")


@pytest.fixture
def open_folder():
    """A folder that jobs, which run under accounts of their own, can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="reeve-hostile-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
