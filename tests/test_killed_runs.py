"""Thirty runs as people have them, each killed at a random moment: all are resumed without a flag, to the same end.

What they are, and the program that kills them, is in `runs`; it can be run alone, with other seeds and more kills.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RUNS = Path(__file__).parent / "runs"
NAMES = sorted(path.stem for path in RUNS.glob("*.txt"))
SHARES = 2  # processes that kill, side by side


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """What came of each, by its name."""
    place = tmp_path_factory.mktemp("killed")
    programs = [
        subprocess.Popen(
            [sys.executable, RUNS / "killing.py", place / str(n), "--share", f"{n}/{SHARES}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(SHARES)
    ]
    lines = [line for program in programs for line in program.communicate()[0].splitlines()]
    yield {one["run"]: one for one in map(json.loads, lines)}


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_was_killed_is_resumed_without_a_flag_and_ends_as_it_would(
    name: str, told: dict[str, dict[str, Any]]
) -> None:
    assert told[name]["same"], told[name]


def test_they_are_thirty() -> None:
    assert len(NAMES) == 30
