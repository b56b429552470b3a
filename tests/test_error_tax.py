"""What a mistake of the model costs: no mistake is fatal, and none costs more than one turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return pytest.importorskip("errors")


def test_no_mistake_is_fatal_and_none_costs_more_than_a_turn() -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "errors.py")], capture_output=True, text=True, timeout=300, check=False
    )
    if "sandbox not available" in done.stderr and "not available: interpreter" not in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1:4] for line in done.stdout.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 40
    assert {turns.strip() for _, turns, _ in rows} == {"0", "1"}
    assert f"{len(rows)} mistakes: 0 fatal, at most 1 more turn" in done.stdout


def test_a_model_that_is_told_nothing_of_use_pays_for_it(errors: Any) -> None:
    """The measure itself: words that are looked for and not found cost turns, to the end."""
    mistake = errors.Mistake("a name", errors.block("prize('tea')"), "words that nobody says")
    took = errors.run(mistake)
    assert not took.right and took.turns == 2 * errors.PATIENCE
