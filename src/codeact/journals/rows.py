"""A run's rows, whatever keeps them: which one comes next, and whether those that are read are what was written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import JournalCorrupt, StorageError
from ..core.events import (
    ApprovalGiven,
    Connected,
    Entry,
    Event,
    ModelReplied,
    RunStarted,
    TaskEnded,
    TaskGiven,
    ToolCalled,
    ToolReturned,
)
from ..guest.values import Refused
from . import codec
from .chain import digest_of, first_mark, next_mark
from .summary import Summary, told

# What has to be on the disk before anything is done on the strength of it, and with it all that came before. What code
# does outside begins with a call or a connection: so the start of a cell goes along with those. Its end goes along with
# the next reply: where a machine lost its power before that, the cell is one that was cut off, and its calls are known.
DURABLE = (
    RunStarted,
    TaskGiven,
    ModelReplied,
    ToolCalled,
    ToolReturned,
    Connected,
    ApprovalGiven,
    TaskEnded,
)


@dataclass(frozen=True, slots=True)
class Row:
    """An event, ready to be kept: `mark` is its checksum, `told` what the list of runs says once it is there."""

    entry: Entry
    fence: int
    line: codec.Line
    mark: bytes
    told: Summary

    @property
    def durable(self) -> bool:
        """Whether it must be on the disk before its writer goes on."""
        return isinstance(self.entry.event, DURABLE)

    @property
    def digests(self) -> tuple[bytes, ...]:
        """What the bytes beside its line are found by."""
        return tuple(map(digest_of, self.line.blobs))


class Tail:
    """Where the rows of a run end, and who may add to them: the writer of this fence."""

    def __init__(self, told: Summary, fence: int, mark: bytes | None = None) -> None:
        self.told = told
        self.fence = fence
        self.mark = first_mark(told.run) if mark is None else mark
        self.seq = told.entries

    def next(self, event: Event, at: float | None = None) -> Row:
        """The row that this event makes here, now or at its own time. Raises StorageError where it cannot be kept."""
        entry = Entry(self.seq, time.time() if at is None else at, self.told.run, event, self.told.parent)
        try:
            line = codec.encode(event)
        except Refused as error:
            raise StorageError(f"{type(event).__name__} holds what no journal can keep: {error}") from error
        mark = next_mark(self.mark, entry.seq, entry.at, self.fence, line)
        return Row(entry, self.fence, line, mark, told(self.told, event))

    def kept(self, row: Row) -> None:
        """It is there: the next one comes behind it."""
        self.seq, self.mark, self.told = row.entry.seq + 1, row.mark, row.told


@dataclass(frozen=True, slots=True)
class Found:
    """A row as it was read, of which nothing is known yet."""

    seq: Any
    at: Any
    fence: Any
    text: Any
    count: Any  # of what lies beside it
    blobs: Sequence[Any]
    mark: Any


def checked(run: str, parent: str | None, rows: Iterable[Found]) -> Iterator[Entry]:
    """The entries of a run. Raises JournalCorrupt at the first that is not what was written; a tail is not missed."""
    mark, expected, before = first_mark(run), 0, 0
    for row in rows:
        line = _line(run, expected, row)
        mark = next_mark(mark, row.seq, float(row.at), row.fence, line)
        if row.seq != expected or len(line.blobs) != row.count or mark != row.mark or row.fence < before:
            raise JournalCorrupt(f"entry {expected} of run {run} is damaged or missing; those before it are whole")
        try:
            event = codec.decode(line)
        except codec.Malformed as error:
            raise StorageError(  # it is what was written: its checksum says so
                f"entry {row.seq} of run {run} was written by another version of codeact ({error}): upgrade codeact"
            ) from None
        yield Entry(row.seq, float(row.at), run, event, parent)
        expected, before = row.seq + 1, row.fence


def _line(run: str, seq: int, row: Found) -> codec.Line:
    numbers = type(row.seq) is type(row.fence) is int and type(row.at) in (int, float)
    if not numbers or type(row.text) is not str or not all(type(blob) is bytes for blob in row.blobs):
        raise JournalCorrupt(f"entry {seq} of run {run} is damaged; those before it are whole")
    return codec.Line(row.text, tuple(row.blobs))
