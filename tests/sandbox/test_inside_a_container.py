"""The sandbox `linux` inside a real container: plain behind the engine's own filter, full by the line of the doctor.

The container's root is this machine's, with a layer of its own above it, so that this Python is there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CODEACT = Path(sys.executable).with_name("codeact")
BOUNDS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]


def doctor(*options: str) -> dict[str, Any]:
    """What the doctor says in a container that is started with these options."""
    if shutil.which("podman") is None:
        pytest.skip("no container engine here: the Debian package podman is absent")
    reasons = []
    for runtime in ([], ["--runtime", "runc"]):
        words = ["podman", "run", "--rm", *runtime, "--network=none", *BOUNDS, *options, "--rootfs", "/:O"]
        command = [*words, str(CODEACT), "doctor", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode < 4 and done.stdout:
            found: dict[str, Any] = json.loads(done.stdout)
            return found
        reasons.append(done.stderr.strip().rpartition(": ")[2])
    absent = "" if shutil.which("runc", path="/usr/sbin:/usr/bin:/sbin:/bin") else "; the Debian package runc is absent"
    pytest.skip(f"podman runs no container on this root here: {'; '.join(reasons)}{absent}")


def test_behind_the_engines_filter_it_is_plain_and_the_doctor_says_the_line_that_makes_it_full() -> None:
    found = doctor()
    if found["level"] == "full":
        pytest.skip("the filter of this engine lets namespaces be made")
    assert (found["level"], found["cell"]["ok"], found["cell"]["level"]) == ("plain", True, "plain")
    missing = [layer for layer in found["layers"] if layer["mend"] and layer["name"] != "cgroup"]
    assert missing and all("podman run --security-opt seccomp=unconfined" in layer["mend"] for layer in missing)
    assert all(layer["tried"] for layer in missing)
    assert all(probe["held"] for probe in found["probes"])


def test_the_line_of_the_doctor_makes_it_full() -> None:
    found = doctor("--security-opt", "seccomp=unconfined")
    assert (found["level"], found["cell"]["ok"], found["cell"]["level"]) == ("full", True, "full")
    assert all(probe["held"] for probe in found["probes"])
