"""What a cell that ran again must do as it had, and what of it is chance; and how long a task was worked on."""

from __future__ import annotations

import pytest

from codeact.core.errors import ReplayDivergence
from codeact.core.events import Event, ModelAsked, ModelReplied, Resumed, SandboxReady, TaskGiven
from codeact.core.execution import CellError, Outcome
from codeact.core.likeness import compare
from codeact.core.lives import CUT, worked
from codeact.core.messages import Reply
from codeact.core.state import State, after

POOL = "from concurrent.futures import ThreadPoolExecutor"
SPANS = ((1_000_000_000, 1_000_000_010), (1_000_000_100, 1_000_000_110))  # then, and now
CELL = "\n# ---\n"
ALIKE = [
    (dict(stderr="<A at 0x7f50787840e0>"), dict(stderr="<A at 0x7fbe1dd1c0c0>"), ""),
    (dict(stdout="at 7fcdd3d47e40, 23"), dict(stdout="at 7f0a6abafe00, 1"), "print(f'at {id(x):x}', gc.collect())"),
    (dict(value="400 B"), dict(value="1,400 B"), f"size = getsizeof(x){CELL}sizes.append(size){CELL}said(sizes)"),
    (dict(stdout="<A object at 0x7f3a2b4c5d6e>"), dict(stdout="<A object at 0x7fffdeadbeef>"), ""),
    (dict(value="{<A at 0x7f3a2b4c5d6e>, 2}"), dict(value="{2, <A at 0x55aa2b4c5d6e>}"), ""),
    (dict(value="140203948230400"), dict(value="94203948230400"), "x = []\nid(x)"),
    (dict(stdout="a\nb\n"), dict(stdout="b\na\n"), POOL),
    (dict(stderr=" 50%|#  | 1/2 [00:01]\r100%|## | 2/2 [00:02]\n"), dict(stderr="100%|## | 2/2 [00:03]\n"), ""),
    (dict(stdout="Thread 140203948230400"), dict(stdout="Thread 139909566297792"), "threading.get_ident()"),
    (dict(stdout="at 1001.5, 00:16:42"), dict(stdout="at 1001.5, 00:16:42"), ""),
    (dict(stdout="f 2001-09-09 03:46:45 1000000005"), dict(stdout="f 2001-09-09 03:48:25 1000000105"), ""),
    (dict(value="(2001, 9, 9, 1, 46, 45)"), dict(value="(2001, 9, 9, 1, 48, 26)"), ""),
    (dict(stdout="Sun Sep  9 01:46:45 2001"), dict(stdout="Sun Sep  9 01:48:25 2001"), ""),
    (
        dict(stdout="226 hi"),
        dict(stdout="-27 hi"),
        f"f = Formatter('%(relativeCreated)d'){CELL}log.info('hi')",
    ),
    (dict(ended="timeout", stdout="one\n"), dict(ended="done", stdout=""), ""),
]
APART = [
    (dict(value="400"), dict(value="1400"), f"size = sys.getsizeof(x){CELL}count", "its value"),
    (dict(stdout="2 hi"), dict(stdout="7 ho"), f"Formatter('%(relativeCreated)d'){CELL}log.info(x)", "its stdout"),
    (dict(stdout="a\nb\n"), dict(stdout="b\na\n"), "print(a, b)", "its stdout"),
    (dict(stdout="a\nb\n"), dict(stdout="a\nb\nb\n"), POOL, "its stdout"),
    (dict(value="140203948230400"), dict(value="94203948230400"), "x = []", "its value"),
    (dict(value="1000000005"), dict(value="1000000905"), "", "its value"),
    (dict(value="2001-09-09 01:46:45"), dict(value="2001-09-10 01:46:45"), "", "its value"),
    (dict(value="[1, 2]"), dict(value="[2, 1]"), "", "its value"),
    (dict(stderr="one warning"), dict(stderr="another"), "", "its stderr"),
    (dict(), dict(error=CellError("ValueError", "", "")), "", "its end"),
]


def outcome(**fields: object) -> Outcome:
    return Outcome(**{"ended": "done", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(("was", "now", "above"), ALIKE)
def test_chance_is_no_divergence(was: dict[str, object], now: dict[str, object], above: str) -> None:
    assert compare(1, outcome(**was), outcome(**now), above.split(CELL), SPANS)


def test_objects_of_a_set_may_come_in_another_order_and_that_is_told() -> None:
    was, now = outcome(stdout="['P4(7)', 'P3(13)']"), outcome(stdout="['P3(13)', 'P4(7)']")
    for source in (
        "{type(x) for x in xs}",
        "bag = set(Player() for _ in range(2))",
        "players.sort(key=lambda p: id(p))",
    ):
        assert not compare(1, was, now, [source, "print(turns)"])
    told = after(State(), Resumed(otherwise=(3, 9))).news
    assert "cells 3, 9" in told and "another order" in told


@pytest.mark.parametrize(("was", "now", "above", "what"), APART)
def test_what_a_cell_did_is_what_it_must_do(
    was: dict[str, object], now: dict[str, object], above: str, what: str
) -> None:
    with pytest.raises(ReplayDivergence) as stopped:
        compare(3, outcome(**was), outcome(**now), above.split(CELL), SPANS)
    assert (stopped.value.cell, stopped.value.what) == (3, what)


@pytest.mark.parametrize(
    ("happened", "seconds"),
    [
        ([(0, TaskGiven("an older one")), (9, TaskGiven("t")), (12, ModelAsked(1))], 3),
        ([(0, TaskGiven("t")), (5, ModelAsked(1)), (900, SandboxReady("full", "3")), (901, Resumed())], 5),
        ([(0, TaskGiven("t")), (5, ModelAsked(1)), (900, Resumed()), (904, ModelAsked(1))], 9),
        ([(0, TaskGiven("t")), (5, ModelAsked(1)), (900, ModelReplied(Reply(""), CUT)), (900, Resumed())], 5),
        ([(0, TaskGiven("t")), (5, SandboxReady("full", "3")), (6, ModelAsked(1))], 6),
        ([], 0),
    ],
)
def test_a_task_is_worked_on_while_somebody_is_at_it(happened: list[tuple[float, Event]], seconds: float) -> None:
    assert worked([event for _, event in happened], [at for at, _ in happened]) == seconds
