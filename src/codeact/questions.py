"""The questions of a run that wait in a journal, with those of the agents that it called."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .core.events import ApprovalAsked, Entry
from .core.execution import ToolCall
from .core.state import CUT_OFF
from .core.waiting import read
from .ports import Listing, Store

_MOST = 1000  # runs below one that are looked at


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody is asked, and in which run: the one that was looked at, or one below it."""

    run: str
    asked: ApprovalAsked

    @property
    def call(self) -> ToolCall:
        """The same as the call that it is about."""
        asked = self.asked
        return ToolCall(asked.key, asked.cell, asked.tool, asked.arguments)


def questions(store: Store, run: str) -> tuple[Question, ...]:
    """What waits for an answer there, in order, the run's own first."""
    runs = read(heapq.merge(*_all(store, run), key=lambda entry: entry.at))
    return tuple(Question(name, asked) for name, waits in runs.items() for asked in waits.asked.values())


def _all(store: Store, run: str) -> Iterator[Iterable[Entry]]:
    """The entries of each run that may wait for something: those that have ended do not."""
    yield store.entries(run)
    if not isinstance(store, Listing):
        return
    for below in reversed(store.runs(limit=_MOST, parent=run)):
        if below.stop_reason is None or below.stop_reason in CUT_OFF:
            yield from _all(store, below.run)
