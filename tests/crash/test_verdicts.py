"""The checker itself, on histories that are short enough to see through."""

from __future__ import annotations

import pytest
import verdicts
from verdicts import Op

IN, OK, E, F = Op("invoke", "k", "pay"), Op("ok", "k", value=1), Op("effect", "k", "pay"), Op("fail", "k")
INFO = Op("info", "k")


@pytest.mark.parametrize(
    ("history", "wrong"),
    [
        ([], ""),
        ([IN], ""),
        ([IN, E, OK], ""),
        ([IN, INFO], ""),
        ([IN, INFO, E], ""),
        ([IN, F], ""),
        ([IN, IN, E, OK], ""),
        ([E], "without an intent"),
        ([IN, OK], "took no effect"),
        ([IN, E, E, OK], "2 effects"),
        ([IN, INFO, E, E], "2 effects"),
        ([IN, E, OK, Op("ok", "k", value=2)], "ended twice"),
    ],
)
def test_what_is_wrong_with_calls(history: list[Op], wrong: str) -> None:
    found = verdicts.of_calls(history)
    assert bool(found) == bool(wrong) and all(wrong in one for one in found)
    assert not [one for one in verdicts.of_calls(history, ["pay"]) if "effects" in one]


def test_what_is_wrong_with_questions_news_cells_and_ends() -> None:
    assert not verdicts.of_questions([[0, 1, 2], [2, 3]], [0, 2])
    assert len(verdicts.of_questions([[0, 0], [1]], [0, 2])) == 2
    assert not verdicts.of_news(["a", "c"], ["a", "b", "c"])
    assert verdicts.of_news(["c", "a"], ["a", "b", "c"]) and verdicts.of_news(["d"], ["a"])
    assert not verdicts.of_cells([("called", 1), ("ended", 1), ("called", 2)])
    assert verdicts.of_cells([("called", 1), ("ended", 1), ("called", 1)])
    assert not verdicts.of_ends({"a": 1}, {"a": 1, "b": 2}, whole=False)
    assert len(verdicts.of_ends({"a": 2, "c": 1}, {"a": 1, "b": 2}, whole=True)) == 3
    paused = {"stop_reason": "paused", "unknown": ["k"], "output": None}
    end = {"stop_reason": "final_answer", "unknown": [], "output": 1}
    assert not verdicts.of_reports([paused, end, end], 1)
    assert verdicts.of_reports([], 1) and verdicts.of_reports([end], 2) and verdicts.of_reports([paused], 1)
