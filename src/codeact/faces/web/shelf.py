"""Where the runs of a server are kept: a store that tells of each entry when it was written, and can list its runs."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from codeact.core.events import Entry, Event
from codeact.journals.summary import Summary, told
from codeact.ports import Filling, Journal, Store

from .feed import Ordering, Placed

_MOST = 200  # runs that are kept where the store keeps none
_CHILDREN = 1000
_SLACK = 2.0  # seconds by which the clocks of two runs of a family may have been out of order


class _Telling:
    """A journal that says what it wrote."""

    def __init__(self, journal: Journal, tell: Callable[[Entry], None]) -> None:
        self._journal = journal
        self._tell = tell

    async def append(self, event: Event) -> Entry:
        entry = await self._journal.append(event)
        self._tell(entry)
        return entry

    async def fill(self, entries: Sequence[Entry], last: Event) -> None:
        if isinstance(self._journal, Filling):
            await self._journal.fill(entries, last)
            async for entry in self._journal.read():
                self._tell(entry)
            return
        for event in (*(entry.event for entry in entries), last):
            await self.append(event)

    def read(self) -> AsyncIterator[Entry]:
        return self._journal.read()

    def rest(self) -> None:
        self._journal.rest()

    def close(self) -> None:
        self._journal.close()


class Shelf:
    """A Store round another one. Every entry that is written goes to `tell`, in the event loop that wrote it."""

    def __init__(self, store: Store, tell: Callable[[Entry], None]) -> None:
        self._store = store
        self._tell = tell
        self._keeps = hasattr(store, "runs")
        self._runs: dict[str, list[Entry]] = {}  # where the store forgets them
        self._told: dict[str, Summary] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def create(self, run: str, parent: str | None = None) -> Journal:
        """See `Store`."""
        return _Telling(self._store.create(run, parent), self._wrote)

    def open(self, run: str) -> Journal:
        """See `Store`."""
        return _Telling(self._store.open(run), self._wrote)

    def has(self, run: str) -> bool:
        """See `Store`."""
        return run in self._runs or self._store.has(run)

    def entries(self, run: str) -> Iterator[Entry]:
        """See `Store`."""
        return iter(self._runs[run]) if run in self._runs else self._store.entries(run)

    def runs(self, limit: int = 50, before: float | None = None, parent: str | None = None) -> list[Summary]:
        """The last runs, newest first: those that no other run called, or those that `parent` did."""
        if self._keeps:
            found: list[Summary] = self._store.runs(limit=limit, before=before, parent=parent)  # type: ignore[attr-defined]
            return found
        mine = [
            one
            for one in reversed(self._told.values())
            if one.parent == parent and (before is None or one.started < before)
        ]
        return mine[:limit]

    def family(self, run: str, after: int = -1, see: Callable[[Event], None] | None = None) -> Iterator[Placed]:
        """The entries of a run and of those that it called, as they happened, behind this one of the run's own.

        `see` is shown all events of the run itself, also those before.
        """
        order, passed = Ordering(run), after < 0
        below: deque[Placed] = deque()  # that may have been written after that one, by another clock
        for entry in heapq.merge(*self._all(run), key=lambda entry: entry.at):
            placed = order(entry)
            if entry.run == run and see is not None:
                see(entry.event)
            if passed:
                yield placed
            elif entry.run != run:
                below.append(placed)
            elif entry.seq >= after:
                passed = True
                yield from (one for one in below if one.entry.at >= entry.at - _SLACK)
                below.clear()
            while below and below[0].entry.at < entry.at - _SLACK:
                below.popleft()

    def _all(self, run: str) -> list[Iterable[Entry]]:
        found: list[Iterable[Entry]] = [self.entries(run)]
        for child in self.runs(limit=_CHILDREN, parent=run):
            found += self._all(child.run)
        return found

    def _wrote(self, entry: Entry) -> None:
        if not self._keeps:
            self._keep(entry)
        self._tell(entry)

    def _keep(self, entry: Entry) -> None:
        run = entry.run
        self._told[run] = grown(self._told.get(run) or Summary(run), entry)
        self._runs.setdefault(run, []).append(entry)
        while len(self._runs) > _MOST:
            oldest = next(iter(self._runs))
            del self._runs[oldest], self._told[oldest]


def grown(summary: Summary, entry: Entry) -> Summary:
    """What a list tells of a run once this was written."""
    started = summary.started or entry.at
    return replace(
        told(summary, entry.event), parent=entry.parent, started=started, changed=entry.at, entries=entry.seq + 1
    )
