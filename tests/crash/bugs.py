"""Bugs that are planted to see whether they are found. Each is a part of the product with one thing left out."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import work

from codeact.core.errors import ReplayDivergence, StorageError
from codeact.core.events import Entry, Event, ToolCalled, ToolReturned
from codeact.journals.sqlite import SqliteStore
from codeact.session import door, driver, served

BUGS = (
    "the intent is not committed before the tool starts",
    "the result is given before it is committed",
    "the key holds the number of the attempt",
    "a repair of the end drops a whole record",
    "whoever lost the lock writes on",
    "a call that is not in the journal is made when a cell runs again",
)


class Late:
    """A journal that keeps an event of this kind with the next one only."""

    def __init__(self, journal: Any, kind: type) -> None:
        self._journal = journal
        self._kind = kind
        self._waiting: list[Event] = []

    async def append(self, event: Event) -> Entry:
        if isinstance(event, self._kind):
            self._waiting.append(event)
            return Entry(0, 0.0, work.RUN, event)
        while self._waiting:
            await self._journal.append(self._waiting.pop(0))
        entry: Entry = await self._journal.append(event)
        return entry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


class LateStore(SqliteStore):
    def __init__(self, path: Path, kind: type) -> None:
        super().__init__(path)
        self._kind = kind

    def create(self, run: str, parent: str | None = None) -> Any:
        return Late(super().create(run, parent), self._kind)

    def open(self, run: str) -> Any:
        return Late(super().open(run), self._kind)


class RepairingStore(SqliteStore):
    def open(self, run: str) -> Any:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as file:
            last = file.execute("SELECT max(seq) FROM entries WHERE run = ?", (run,)).fetchone()[0]
            if last:
                file.execute("DELETE FROM entries WHERE run = ? AND seq = ?", (run, last))
                mark = file.execute("SELECT mark FROM entries WHERE run = ? AND seq = ?", (run, last - 1)).fetchone()[0]
                file.execute("UPDATE runs SET rows = ?, mark = ? WHERE run = ?", (last, mark, run))
        return super().open(run)


class Stealing:
    def __init__(self, journal: Any, store: SqliteStore) -> None:
        self._journal = journal
        self._store = store

    async def append(self, event: Event) -> Entry:
        try:
            entry: Entry = await self._journal.append(event)
        except StorageError:
            self._journal = self._store.open(work.RUN)
            entry = await self._journal.append(event)
        return entry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


class UnfencedStore(SqliteStore):
    def create(self, run: str, parent: str | None = None) -> Any:
        return Stealing(super().create(run, parent), SqliteStore(self.path))


class Attempted(door.Door):
    def _key(self, asked: Any, owner: Any = None) -> str:
        return super()._key(asked)[:-8] + f"{os.getpid():08x}"


class Live(served.Served):
    def __call__(self, call: Any) -> Any:
        try:
            return super().__call__(call)
        except ReplayDivergence:
            return None


def planted(bug: str, place: Path) -> Any:
    """The store of a run, in a process that has this bug, or none."""
    path = place / "journal.db"
    if bug not in BUGS:
        return work.store_of(place)
    which = BUGS.index(bug)
    if which == 2:
        driver.Door = Attempted  # type: ignore[misc, attr-defined]
    elif which == 5:
        driver.Served = Live  # type: ignore[misc, attr-defined]
    stores = {
        0: lambda: LateStore(path, ToolCalled),
        1: lambda: LateStore(path, ToolReturned),
        3: lambda: RepairingStore(path),
        4: lambda: UnfencedStore(path),
    }
    return stores.get(which, lambda: SqliteStore(path))()
