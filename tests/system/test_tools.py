"""The scripts that people meet first, and the tools that guard the tree."""

import os
import re
import subprocess


def run(*command, **options):
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_an_include_that_looks_up_is_named_with_file_and_line(top, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "base" / "text.c").write_text('#include "base/text.h"\n\n#include "engine/engine.h"\n')
    (tmp_path / "store" / "store.c").write_text('#include "logs/log_store.h"\n#include "record/tables.h"\n')
    done = run(top / "tools/check-layers", tmp_path)
    assert done.returncode == 1
    assert f"{tmp_path}/base/text.c:3: 'base' may not know 'engine'" in done.stdout
    assert f"{tmp_path}/store/store.c:1: 'store' may not know 'logs'" in done.stdout
    assert "4 includes looked at, 2 wrong" in done.stdout


def test_within_core_the_fleet_knows_no_sibling_and_core_knows_no_store(top, tmp_path):
    (tmp_path / "core" / "fleet").mkdir(parents=True)
    (tmp_path / "core" / "queue").mkdir()
    (tmp_path / "core" / "fleet" / "a.h").write_text('#include "core/queue/b.h"\n#include "store/store.h"\n')
    (tmp_path / "core" / "queue" / "b.h").write_text('#include "core/fleet/a.h"\n#include "base/err.h"\n')
    done = run(top / "tools/check-layers", tmp_path)
    assert "a.h:1: 'core/fleet' may not know 'core/queue'" in done.stdout
    assert "a.h:2: 'core' may not know 'store'" in done.stdout
    assert "4 includes looked at, 2 wrong" in done.stdout


def test_every_stage_is_listed_and_every_listed_stage_is_there(top):
    listed = {line.split()[0] for line in run(top / "test", "--list").stdout.splitlines()}
    there = {path.name for path in (top / "tests/stages").iterdir() if os.access(path, os.X_OK)}
    assert listed == there


def test_a_wrong_stage_is_refused_with_a_way_to_find_the_right_one(top):
    done = run(top / "test", "unti")
    assert done.returncode == 1
    assert "there is no stage 'unti'" in done.stderr and "--list" in done.stderr


def test_each_package_is_named_once_and_says_what_it_is_for(top):
    lines = (top / "tools/packages").read_text().splitlines()
    rows = [line.split("#")[0].split() for line in lines if line and not line.startswith("#")]
    assert all(row[0] in ("build", "test", "bench", "cluster") for row in rows)
    assert all(set(row[2::2]) <= {"unless", "on"} and len(row) % 2 == 0 for row in rows)
    # What a cluster needs is installed for it alone, so what tests need may stand there, too.
    names = [row[1] for row in rows if row[0] != "cluster"]
    assert len(names) == len(set(names))


def test_missing_packages_are_named_when_nobody_can_be_asked(top, tmp_path):
    """As somebody without root, on a machine that lacks everything: dpkg-query knows no package."""
    for name, text in {"dpkg-query": "exit 1", "id": "echo 1000", "sudo": "exit 1"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = run(top / "run", "--once", env=env, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "packages are missing and nobody can be asked" in done.stderr
    assert "apt-get install" in done.stderr and "libuv1-dev" in done.stderr


def test_help_of_the_scripts_needs_nothing_installed_or_built(top):
    for script in ("run", "test", "bench"):
        done = run(top / script, "--help")
        assert done.returncode == 0
        assert done.stdout.startswith(f"usage: ./{script}")


def test_the_example_trains_from_an_installed_config(build):
    done = run(
        build / "examples/proto-gcn/proto-gcn",
        "--config",
        build / "examples/proto-gcn/configs/ntu60_joint.yaml",
        "--epochs=2",
        "--train-samples=48",
        "--val-samples=24",
        "--test-samples=24",
        env={**os.environ, "REEVE_RESULT_DIR": "/nowhere/at/all"},
    )
    assert done.returncode == 1
    assert "could not make folder '/nowhere/at/all'" in done.stderr


def test_links_in_documents_lead_somewhere(top):
    dead = []
    for page in run("git", "-C", top, "ls-files", "*.md").stdout.split():
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (top / page).read_text()):
            if "://" not in target and not ((top / page).parent / target).exists():
                dead.append(f"{page}: {target}")
    assert dead == []
