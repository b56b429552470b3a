"""On a machine that lacks a layer nothing runs, and every command says which one and what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .command import CODEACT, environment

EMULATE = Path(__file__).parent.parent / "sandbox" / "emulate.py"


@pytest.mark.parametrize(
    ("machine", "words", "layer"),
    [
        ("noseccomp", ("exec", "-c", "print('ran')"), "seccomp"),
        ("nolandlock", ("exec", "--json", "-c", "print('ran')"), "landlock"),
        ("docker", ("exec", "--sandbox", "linux-full", "-c", "print('ran')"), "user namespace"),
        ("nolandlock", ("demo",), "landlock"),
    ],
)
def test_nothing_runs_and_the_layer_is_named(machine: str, words: tuple[str, ...], layer: str, tmp_path: Path) -> None:
    done = _on(machine, *words, home=tmp_path)
    assert done.returncode == 3
    assert "ran" not in done.stdout.split() and not done.stdout.startswith("{")
    assert f"layer  {layer}" in done.stderr
    assert "cause  " in done.stderr and "codeact doctor" in done.stderr and "Traceback" not in done.stderr


def test_the_doctor_says_so_too_and_still_tells_the_rest(tmp_path: Path) -> None:
    done = _on("noseccomp", "doctor", "--json", home=tmp_path)
    told = json.loads(done.stdout)
    assert done.returncode == 3
    assert (told["level"], told["cell"]["ok"]) == (None, False)
    assert [layer["name"] for layer in told["layers"] if not layer["ok"] and layer["errno"]] == ["seccomp"]


def test_a_container_gives_the_level_plain_and_says_what_stays_open(tmp_path: Path) -> None:
    told = json.loads(_on("docker", "doctor", "--json", home=tmp_path).stdout)
    assert (told["level"], told["cell"]["ok"], told["cell"]["level"]) == ("plain", True, "plain")
    assert told["gaps"]


def _on(machine: str, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EMULATE), machine, "--", CODEACT, *words]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(home),
    )
