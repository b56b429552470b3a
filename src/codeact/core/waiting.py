"""What a run and those below it wait for: questions without an answer, and calls without an end. Read off events.

Each run is read by itself, since the end of one says nothing of what another one below the same run asks; but where
the call is over that an agent was asked by, nobody waits for that agent any more.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from .branch import run_of
from .events import (
    ApprovalAsked,
    ApprovalGiven,
    CallsAnswered,
    CodeRan,
    Entry,
    Event,
    Resumed,
    TaskEnded,
    TaskGiven,
    ToolCalled,
    ToolReturned,
)
from .execution import INTERRUPTED
from .state import CUT_OFF


@dataclass(frozen=True, slots=True)
class Waits:
    """What one run waits for, in order, by key: `asked` of somebody, and `called` without having come back."""

    asked: Mapping[str, ApprovalAsked] = field(default_factory=dict)
    called: Mapping[str, ToolCalled] = field(default_factory=dict)


_NOTHING = Waits()
Family: TypeAlias = Mapping[str, Waits]
NOBODY: Family = MappingProxyType({})


def since(waits: Waits, event: Event) -> Waits:
    """What is waited for after this event, in the run that it is of."""
    match event:
        case ApprovalAsked(key):
            return Waits({**waits.asked, key: event}, waits.called)
        case ApprovalGiven(key):
            return Waits({name: one for name, one in waits.asked.items() if name != key}, waits.called)
        case ToolCalled(key):
            return Waits(waits.asked, {**waits.called, key: event})
        case ToolReturned(key, returned):
            if returned.failure is not None and returned.failure.type == INTERRUPTED:
                return waits  # what became of it is not known, until its cell is over
            return Waits(waits.asked, {name: one for name, one in waits.called.items() if name != key})
        case CodeRan(cell) | CallsAnswered(cell):
            asked = {key: one for key, one in waits.asked.items() if one.cell != cell}
            return Waits(asked, {key: one for key, one in waits.called.items() if one.cell != cell})
        case TaskEnded(reason) if reason in CUT_OFF:
            return waits
        case TaskGiven() | TaskEnded() | Resumed(fresh=True):
            return _NOTHING
        case _:
            return waits


def waiting(events: Iterable[Event]) -> tuple[ApprovalAsked, ...]:
    """What one run asked and nobody answered, in order; nothing of what has ended without an answer to it."""
    return tuple(functools.reduce(since, events, _NOTHING).asked.values())


def family(before: Family, entry: Entry) -> Family:
    """What each of some runs waits for after this entry of one of them, where one has called the others."""
    was = before.get(entry.run, _NOTHING)
    now = since(was, entry.event)
    if now is was and entry.run in before:
        return before
    over = {run_of(key) for key in was.called.keys() - now.called.keys()}
    return {run: waits for run, waits in {**before, entry.run: now}.items() if run not in over}


def read(entries: Iterable[Entry]) -> Family:
    """The same of all entries of a family, as they happened."""
    return functools.reduce(family, entries, NOBODY)


def without(runs: Family, decided: Container[str]) -> Family:
    """The same but for the questions of these keys."""
    return {
        run: Waits({key: one for key, one in waits.asked.items() if key not in decided}, waits.called)
        for run, waits in runs.items()
    }


def asked_in(runs: Family) -> dict[str, ApprovalAsked]:
    """All questions of a family, by key."""
    return {key: asked for waits in runs.values() for key, asked in waits.asked.items()}


def called_in(runs: Family) -> tuple[ToolCalled, ...]:
    """All its calls that have not come back, but for those that an agent answers: of them its own calls tell."""
    every = (called for waits in runs.values() for called in waits.called.values())
    return tuple(called for called in every if run_of(called.key) not in runs)
