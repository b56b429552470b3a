"""One run from its beginning over its deaths to its end, and all that is wrong with it."""

from __future__ import annotations

import fcntl
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import verdicts
import witness
import work
from lives import digest
from stage import Stage
from verdicts import Op

from codeact.core.branch import run_of
from codeact.core.events import (
    CodeRan,
    Event,
    InterpreterLost,
    InterpreterRestored,
    ModelReplied,
    ToolCalled,
    ToolReturned,
)
from codeact.journals import codec
from codeact.sandboxes.linux.deaths import POINTS
from codeact.session.served import INTERRUPTED

VICTIMS = ("host", "sandbox", "both")


@dataclass(frozen=True, slots=True)
class Kill:
    """Who dies, and when: at a point of the host's, or at a call that the ledger hears of.

    Then `mode` says whether it is `before` the call is written down, or the reply is `lost`. A host has its `own`
    launcher, or one is lent to it. A point may be the n-th of a name, as in `commit@3`. Or the `launcher` dies at a
    point of its own, or a session that it makes, and for the victim `both` the host as soon as it sees that.
    """

    victim: str = "host"
    point: int | str = 0
    call: int = 0
    mode: str = ""
    own: bool = False
    launcher: str = ""

    @property
    def scene(self) -> dict[str, Any]:
        """What the stage is told."""
        if self.launcher:
            return {"victim": self.victim, "lent": False, "launcher": self.launcher}
        at = {"call": self.call, "mode": self.mode} if self.call else {"point": self.point}
        return {"victim": self.victim, "lent": not self.own, **at}


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one: what is wrong, whether calls were unknown, and how many kills hit."""

    wrong: list[str]
    paused: bool
    kills: int


def trial(
    stage: Stage,
    place: Path,
    name: str,
    kills: Sequence[Kill],
    reference: dict[str, Any] | None,
    snapshots: bool = False,
    bug: str = "",
    database: str = "",
) -> Trial:
    """Begin a run and have these kills hit one life after the other; then let it live to its end."""
    place.mkdir()
    if database:
        (place / "database").write_text(database)
    wrong: list[str] = []
    replies: list[int] = []
    for life in range(len(kills) + 1):
        scene = kills[life].scene if life < len(kills) else {"lent": True}
        replies.append(sum(isinstance(event, ModelReplied) for event in events_of(place, work.RUN)))
        (place / "asked").open("a").write("life\n")
        played = stage.play(place=str(place), work=name, goes_on=life > 0, snapshots=snapshots, bug=bug, **scene)
        wrong += [f"life {life + 1} left behind: {one}" for one in played["left"]]
        if played["status"] == 0:
            break
        if played["status"] == 1 and life and "InterpreterDied" in _last_words(place):
            continue  # its sandbox died while its cells were run again: so it says, and can go on once more
        if played["status"] != -9:
            wrong.append(f"life {life + 1} ended with {played['status']}: {_last_words(place)}")
            break
    return Trial([*wrong, *_judged(place, name, reference, replies)], _paused(place), len(_lines(place / "struck")))


def overtaken(stage: Stage, place: Path, point: str, reference: dict[str, Any], bug: str = "") -> list[str]:
    """What is wrong when a host hangs at this point, another one takes its run over, and then it goes on."""
    place.mkdir()
    (place / "asked").write_text("life\n")
    scene = Kill("stopped", point).scene
    played = stage.play(place=str(place), work="one", bug=bug, **scene)
    wrong = _judged(place, "one", reference, [0])
    if (played["status"], played["other"]) != (1, 0) or "taken over" not in _last_words(place):
        wrong.append(f"they ended with {played['status']} and {played['other']}: {_last_words(place)}")
    return [*wrong, *played["left"]]


def events_of(place: Path, run: str) -> list[Event]:
    """What the journal holds of a run; nothing where there is none."""
    store = work.store_of(place)
    return [entry.event for entry in store.entries(run)] if store.has(run) else []


def ended(place: Path) -> dict[str, Any]:
    """What each call of a run, and of those below it, ended with, by key."""
    return _ended(_with_those_below(place, events_of(place, work.RUN)))


def _ended(events: Iterable[Event]) -> dict[str, Any]:
    found = {}
    for event in events:
        if isinstance(event, ToolReturned) and not _cut_off(event):
            failure = event.returned.failure
            found[event.key] = failure.message if failure is not None else event.returned.value
    return found


def _judged(place: Path, name: str, reference: dict[str, Any] | None, replies: list[int]) -> list[str]:
    _, answer = work.WORK[name]
    own = events_of(place, work.RUN)
    events = list(_with_those_below(place, own))
    lost = any(isinstance(event, InterpreterLost | InterpreterRestored) for event in events)
    reports = [json.loads(line) for line in _lines(place / "reports")]
    unknown = {key for report in reports for key in report["unknown"]}
    wrong = verdicts.of_reports(reports, answer)
    wrong += verdicts.of_calls(_history(events, place, unknown), work.IDEMPOTENT)
    moments = (
        ("called", event.cell) if isinstance(event, ToolCalled) else ("ended", event.cell)
        for event in own
        if isinstance(event, ToolCalled | CodeRan)
    )
    wrong += verdicts.of_cells(moments)
    if reference is not None and not lost:
        wrong += verdicts.of_ends(_ended(events), reference, whole=True)
    kept = [digest(codec.encode(event)) for event in own]
    wrong += verdicts.of_news(_lines(place / "told"), kept)
    lives: list[list[int]] = []
    for line in _lines(place / "asked"):
        if line == "life":
            lives.append([])
        elif line.startswith(f"{name} "):
            lives[-1].append(int(line.split()[1]))
    wrong += verdicts.of_questions(lives, replies)
    return [*wrong, *(f"a lock is held: {lock.name}" for lock in place.glob("journal.db-locks/*") if _is_held(lock))]


def _history(events: Sequence[Event], place: Path, unknown: set[str]) -> Iterator[Op]:
    for event in events:
        match event:
            case ToolCalled(key, _, tool):
                yield Op("invoke", key, tool)
            case ToolReturned(key, returned) if not _cut_off(event):
                failure = returned.failure
                lost = failure is not None and failure.message == witness.SILENT
                value = failure.message if failure is not None else returned.value
                yield Op("fail" if lost else "ok", key, value=value)
    for key in unknown:
        yield Op("info", key)
    for key, tool in witness.effects(place):
        yield Op("effect", key, tool)
    helped = {event.key for event in events if isinstance(event, ToolCalled) and event.tool == "helper"}
    for key in helped:  # what an agent below did stands under its own calls
        if events_of(place, run_of(key)):
            yield Op("effect", key, "helper")


def _with_those_below(place: Path, events: Iterable[Event]) -> Iterator[Event]:
    called = set()
    for event in events:
        yield event
        if isinstance(event, ToolCalled) and event.tool == "helper" and event.key not in called:
            called.add(event.key)  # made again it goes on with the same run
            yield from _with_those_below(place, events_of(place, run_of(event.key)))


def _cut_off(event: ToolReturned) -> bool:
    return event.returned.failure is not None and event.returned.failure.type == INTERRUPTED


def _paused(place: Path) -> bool:
    return len(_lines(place / "reports")) > 1


def _is_held(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _last_words(place: Path) -> str:
    return " | ".join(_lines(place / "log")[-3:])[-600:]


def _lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1] if path.exists() else []


def drawn(seed: int, points: int, calls: int, launcher: bool = False) -> list[Kill]:
    """The kills of one trial of a sample: the first anywhere, or at its `launcher`, and then some in later lives."""
    dice = random.Random(seed)
    victim, own = dice.choice(VICTIMS), dice.random() < 0.15
    if launcher:
        first = Kill(dice.choice(("sandbox", "both")), launcher=f"{dice.choice(POINTS)}@1")
    elif dice.random() < 0.15:
        first = Kill(victim, call=dice.randint(1, calls), mode=dice.choice(("before", "lost")), own=own)
    else:
        first = Kill(victim, dice.randint(1, points), own=own)
    more = [Kill(dice.choice(VICTIMS), dice.randint(1, 60)) for _ in range(dice.randint(1, 4))]
    return [first, *more]
