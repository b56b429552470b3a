"""A run that is killed anywhere, and killed again while it goes on, comes to the same end, and does nothing twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from stage import Stage, staged
from trials import Trial, drawn, ended, trial

Reference: TypeAlias = dict[str, tuple[list[str], int, dict[str, Any]]]

KILLS = 150  # at least


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture(scope="module")
def reference(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The points of each work, how many they are where its sandbox is lent, and what its calls end with unharmed."""
    found = {}
    for name in ("one", "two"):
        place = tmp_path_factory.mktemp(name)
        whole = stage.play(place=str(place), work=name, trace=True, snapshots=True)
        assert (whole["status"], whole["left"]) == (0, []), (place / "log").read_text()
        light = tmp_path_factory.mktemp(name)
        points = stage.play(place=str(light), work=name, trace=True, lent=True)["points"]
        found[name] = whole["points"], len(points), ended(place)
    return found


def test_points_stand_round_all_that_is_kept_said_called_and_started(
    reference: Reference,
) -> None:
    points = reference["one"][0]
    assert len(points) > 300
    for before, after in (
        ("record", "recorded"),
        ("commit", "committed"),
        ("send", "sent"),
        ("receive", "received"),
        ("tool starts", "tool returned"),
        ("launcher starts", "launcher stands"),
        ("order", "ordered"),
    ):
        assert points.count(before) >= points.count(after) > 0


@pytest.mark.timeout(600)
def test_a_run_that_is_killed_anywhere_loses_nothing_and_does_nothing_twice(
    stage: Stage, reference: Reference, memory: Path
) -> None:
    done: list[Trial] = []
    for seed in itertools.count():
        name, snapshots = ("one", "one", "two")[seed % 3], seed % 5 == 0
        _, points, ends = reference[name]
        kills = drawn(seed, points, len(ends), launcher=snapshots and name == "one")
        one = trial(stage, memory / str(seed), name, kills, ends, snapshots)
        assert not one.wrong, (seed, name, kills, one.wrong)
        done.append(one)
        if sum(one.kills for one in done) >= KILLS:
            break
    assert any(one.paused for one in done) and not all(one.paused for one in done)
