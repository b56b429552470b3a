"""Bugs that lose or double something are found, each of them: the proof would be worth nothing if they were not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from bugs import BUGS
from stage import Stage, staged
from trials import Kill, ended, overtaken, trial

HANGS = "record@9"  # before the second call is written down
WHERE: dict[str, tuple[str, Sequence[Kill]]] = {
    BUGS[0]: ("one", [Kill(point="tool returned@1")]),
    BUGS[1]: ("one", [Kill(point="told@8")]),
    BUGS[2]: ("one", [Kill(point="tool starts@2")]),
    BUGS[3]: ("one", [Kill(point="told@8")]),
    BUGS[5]: ("drift", [Kill(point="tool starts@2")]),
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture(scope="module")
def reference(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("whole")
    assert stage.play(place=str(place), work="one", lent=True)["status"] == 0, (place / "log").read_text()
    return ended(place)


@pytest.fixture(scope="module")
def sounds() -> dict[str, list[str]]:
    return {}


@pytest.mark.parametrize("bug", WHERE)
def test_a_planted_bug_is_found_and_without_it_nothing_is(
    stage: Stage, reference: dict[str, Any], sounds: dict[str, list[str]], memory: Path, bug: str
) -> None:
    name, kills = WHERE[bug]
    ends = reference if name == "one" else None
    if (life := f"{name} {kills}") not in sounds:
        sounds[life] = trial(stage, memory / "sound", name, kills, ends).wrong
    sound = sounds[life]
    if name == "drift":  # it says so, and does nothing
        assert len(sound) == 2 and "ReplayDivergence" in sound[0] and sound[1] == "it ended with nothing"
    else:
        assert not sound
    found = trial(stage, memory / "planted", name, kills, ends, bug=bug).wrong
    assert set(found) - set(sound), bug


def test_whoever_was_overtaken_does_nothing_more_and_if_he_did_it_would_be_found(
    stage: Stage, reference: dict[str, Any], memory: Path
) -> None:
    assert not overtaken(stage, memory / "sound", HANGS, reference)
    found = overtaken(stage, memory / "planted", HANGS, reference, bug=BUGS[4])
    assert any("2 effects" in one for one in found), found
