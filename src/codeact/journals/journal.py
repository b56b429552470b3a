"""One run's journal, which we alone write, wherever its rows are kept."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Protocol

import anyio.to_thread

from ..core.errors import StorageError
from ..core.events import Entry, Event
from ..uninterrupted import settled
from .rows import Row, Tail
from .writing import Place, Writer, Writers


class Right(Protocol):
    """The right to write one run."""

    def take(self) -> None:
        """Have it now, or raise RunLocked with who has it. Safe to repeat."""

    def drop(self) -> None:
        """Give it up. Safe to repeat."""


class KeptJournal:
    """What a run's rows are added to. `place` is its name for people, `read` gives its entries."""

    def __init__(
        self,
        place: str,
        tail: Tail,
        right: Right,
        writer: Writer[Any],
        writers: Writers[Any],
        read: Callable[[str], Iterator[Entry]],
    ) -> None:
        self.turn = threading.Lock()
        self._place = place
        self._tail = tail
        self._right = right
        self._writer = writer
        self._writers = writers
        self._entries = read
        self._broken: BaseException | None = None
        self._open = True

    async def append(self, event: Event) -> Entry:
        """Keep an event; once one could not be kept, no later one is. Raises StorageError."""
        self._check()
        return await settled(self._writer.append(self, event))

    async def fill(self, entries: Sequence[Entry], last: Event) -> None:
        """Keep the events of another run as its first, each with its own time, and then `last`: all, or nothing."""
        news = [*((entry.event, entry.at) for entry in entries), (last, None)]
        await anyio.to_thread.run_sync(lambda: self._writer.call(lambda place: self._filled(place, news)))

    async def read(self) -> AsyncIterator[Entry]:
        """All of its entries, in order."""
        if self._tail.seq == 0:  # nobody else writes it: a hundred runs that begin at once read nothing
            return
        for entry in await anyio.to_thread.run_sync(lambda: list(self._entries(self._tail.told.run))):
            yield entry

    def rest(self) -> None:
        """Let another write it until we do again, which fails if one has. Safe to repeat."""
        with self.turn:
            self._right.drop()

    def close(self) -> None:
        """Let another write it. Safe to repeat."""
        with self.turn:
            self._broken = self._broken or StorageError("it was closed")
            self._right.drop()
            was, self._open = self._open, False
        if was:
            self._writers.give_back(self._writer)

    # -- what the writer asks ------------------------------------------------------------------------------------------

    def row(self, event: Event) -> Row:
        """The row of an event, once the right to write it is ours."""
        self._check()
        self._right.take()
        return self._tail.next(event)

    def settled(self, row: Row | None, error: BaseException | None) -> Entry:
        """What became of a row."""
        if error is None and row is not None:
            self._tail.kept(row)
            return row.entry
        self._broken = self._broken or error
        raise error or StorageError("it was cut off in the middle")

    def _filled(self, place: Place, news: Sequence[tuple[Event, float | None]]) -> None:
        with self.turn:
            self._check()
            self._right.take()
            rows = []
            try:
                for event, at in news:
                    rows.append(self._tail.next(event, at))
                    self._tail.kept(rows[-1])
                if not all(place.write(rows)):
                    raise StorageError(f"another process has taken over the run {self._tail.told.run}")
            except BaseException as error:
                self._broken = error
                raise

    def _check(self) -> None:
        if self._broken is not None:
            raise StorageError(f"nothing more is written to the journal {self._place}: {self._broken}")
