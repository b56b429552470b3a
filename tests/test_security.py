"""SECURITY.md names the tests that hold each promise: each is there, and is named by the id."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = re.findall(r"^\| (P\d) \|.*\| (.*) \|$", (ROOT / "SECURITY.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("promise", "held"), ROWS, ids=[promise for promise, _ in ROWS])
def test_the_tests_that_hold_a_promise_are_there_by_their_ids(promise: str, held: str) -> None:
    for path, ids in re.findall(r"`([\w/.]+)`(?:: ([^;]*))?", held):
        assert (ROOT / path).exists(), path
        text = (ROOT / path).read_text(encoding="utf-8") if ids else ""
        if path.endswith("test_containment.py"):
            text = (ROOT / path).with_name("containment_checks.py").read_text(encoding="utf-8")
        for one in re.findall(r"[a-z]{2}-(?:\d\d|\\\*)", ids):
            name = one.removesuffix("\\*")
            assert f'"{name}' in text or f"_{name.replace('-', '_')}" in text, f"{one} is not in {path}"


def test_every_promise_has_its_row() -> None:
    assert [promise for promise, _ in ROWS] == [f"P{number}" for number in range(1, 10)]
