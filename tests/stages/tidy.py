"""Runs clang-tidy over files: tidy.py BUILD_FOLDER FILE...

A file costs seconds, so what passed is remembered in .cache/tidy, by what the preprocessor makes of it
and by the checks chosen: that is all that clang-tidy sees.
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TIDY = "clang-tidy-14"
passed = Path(".cache/tidy")
checks = Path(".clang-tidy").read_bytes()


def compile_commands(build):
    """How each file is compiled, by its real path; the first of several ways."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        commands.setdefault(path, entry)
    return commands


def fingerprint(entry):
    words = shlex.split(entry["command"])
    words = [word for word in words[: words.index("-o")] + words[words.index("-o") + 2 :] if word != "-c"]
    source = subprocess.run([*words, "-E"], cwd=entry["directory"], capture_output=True, check=True).stdout
    return hashlib.sha256(checks + source).hexdigest()[:40]


def check(build, file, entry):
    """What is wrong with FILE, "" for nothing."""
    stamp = passed / fingerprint(entry)
    if stamp.exists():
        return ""
    done = subprocess.run([TIDY, "--quiet", "-p", str(build), file], capture_output=True, text=True, check=False)
    if done.returncode == 0 and not done.stdout.strip():
        stamp.touch()
        return ""
    return done.stdout + (done.stderr if not done.stdout else "")


def main(build, files):
    passed.mkdir(parents=True, exist_ok=True)
    commands = compile_commands(build)
    wanted = [file for file in files if os.path.realpath(file) in commands]
    for file in sorted(set(files) - set(wanted)):
        print(f"{file}: not part of the build, not looked at")
    bad = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda file: check(build, file, commands[os.path.realpath(file)]), wanted)
        for number, text in enumerate(found, 1):
            bad += bool(text)
            if text or number % 10 == 0:
                print(text or f"{number} of {len(wanted)}", flush=True)
    print(f"{len(wanted)} files looked at, {bad} with finds")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
