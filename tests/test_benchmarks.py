"""The benchmarks run and print their tables; what they measure is for people to read."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return pytest.importorskip("beside")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("execution", ["--scale", "0.01"], "geometric mean"),
        ("start", [], "another session"),
        ("sandbox", ["--scale", "0.05"], "from the pool"),
        ("tool_call", ["--scale", "0.01"], "blocking tool"),
        ("cell", [], "an empty cell"),
        ("prompt", [], "a session with 5,000 tools"),
        ("eager", ["--scale", "0.01", "--one-rate"], "an error in line 3"),
        ("agent_step", ["--scale", "0.02"], "step 16"),
        ("journal", ["--scale", "0.02"], "200 events read again"),
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


def test_sides_are_asked_the_same_and_one_that_cannot_be_had_has_a_dash(beside: Any) -> None:
    """The neighbours themselves are installed on request only."""
    sides = [*beside.everybody()[:2], beside.Neighbour("a stranger", "nowhere.py")]
    beside.compare(sides, 1, 0.01)
    plain, ours, stranger = sides
    if not ours.took["start"]:
        pytest.skip("no sandbox here")
    for measure in ("start", "execution", "cell", "call", "call_large"):
        assert beside.ratio(plain, plain, measure) == pytest.approx(1)
        assert beside.ratio(ours, plain, measure) > 0
        assert beside.ratio(stranger, plain, measure) is None
    *_, last = beside.table(sides).splitlines()
    assert last.startswith("| memory of one more session | 1 |") and last.endswith("| – |")


def test_the_picture_is_sound_and_shows_every_side(beside: Any) -> None:
    panels = {"start": {"plain CPython": 1.0, "codeact": 0.1, "a <stranger>": None}, "a cell": {"codeact": 1234.0}}
    text = beside.draw(panels, beside.figure)
    shown = [element.text for element in ElementTree.fromstring(text).iter() if element.tag.endswith("text")]
    assert shown == ["start", "plain CPython", "1", "codeact", "0.1", "a <stranger>", "–", "a cell", "codeact", "1,200"]
    assert "prefers-color-scheme: dark" in text
    assert [beside.figure(value) for value in (None, 0.0042, 3.14159, 41.7, math.pi * 1e5)] == [
        "–",
        "0.0042",
        "3.1",
        "42",
        "310,000",
    ]
