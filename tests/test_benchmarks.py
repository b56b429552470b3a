"""The benchmarks run and print their tables; what they measure is for people to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("execution", ["--scale", "0.01"], "geometric mean"),
        ("start", [], "another session"),
        ("sandbox", ["--scale", "0.05"], "from the pool"),
        ("tool_call", ["--scale", "0.01"], "blocking tool"),
        ("cell", [], "an empty cell"),
        ("agent_step", ["--scale", "0.02"], "step 16"),
    ],
)
def test_a_benchmark_prints_its_ratios(name: str, options: list[str], said: str) -> None:
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--rounds", "1", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "sandbox not available" in done.stderr and "not available: interpreter" not in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert "ratio" in done.stdout
