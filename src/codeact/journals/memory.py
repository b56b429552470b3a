"""The journal of a run that nobody needs tomorrow: a list."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

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
