"""The journal of a run that nobody needs tomorrow: a list."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

from ..core.errors import UsageError
from ..core.events import Entry, Event


class MemoryJournal:
    """One run's entries, kept as long as the process lives."""

    def __init__(self, run: str, parent: str | None = None) -> None:
        self._run = run
        self._parent = parent
        self.entries: list[Entry] = []

    async def append(self, event: Event) -> Entry:
        """Keep it."""
        entry = Entry(len(self.entries), time.time(), self._run, event, self._parent)
        self.entries.append(entry)
        return entry

    async def read(self) -> AsyncIterator[Entry]:
        """All of it, in order."""
        for entry in self.entries:
            yield entry

    def rest(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""


class MemoryStore:
    """The runs of this process, as long as it lives; none of them can be opened again."""

    def create(self, run: str, parent: str | None = None) -> MemoryJournal:
        """See `Store`."""
        return MemoryJournal(run, parent)

    def open(self, run: str) -> MemoryJournal:
        """See `Store`."""
        raise UsageError(f"the run {run!r} is in no journal: name one, such as journal='runs.db', before it starts")

    def has(self, run: str) -> bool:
        """See `Store`."""
        return False

    def entries(self, run: str) -> Iterator[Entry]:
        """See `Store`."""
        return iter(self.open(run).entries)
