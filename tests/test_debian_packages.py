"""What the tests need of Debian: tried as root, by a stand-in for apt-get, and never a reason to fail."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("debian-packages")


def run(folder: Path, apt: str) -> tuple[int, str, list[str]]:
    """Its exit code, what it said, and how apt-get was called, on a Debian that has no package at all."""
    calls = folder / "calls"
    calls.touch()
    for name, text in {
        "apt-get": f'echo "$*" >> {calls}; {apt}',
        "apt-cache": "exit 0",
        "dpkg-query": "exit 1",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    environ = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", SCRIPT, folder], env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr, calls.read_text().splitlines()


def test_an_ordinary_user_installs_nothing_and_root_what_is_missing(tmp_path: Path) -> None:
    code, said, calls = run(tmp_path, "exit 0")
    assert code == 0
    assert [call.split()[-1] for call in calls] == ([] if os.geteuid() else ["update", *["chromium"] * 2])
    assert ("podman" in said) == (os.geteuid() == 0)
    assert not (tmp_path / "policy-rc.d").exists()
    assert all("--no-install-recommends" in call for call in calls)


def test_an_apt_that_cannot_is_no_failure(tmp_path: Path) -> None:
    code, said, calls = run(tmp_path, "exit 100")
    assert code == 0
    assert ("could not fetch" in said) == (os.geteuid() == 0) == (len(calls) == 2)
