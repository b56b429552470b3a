"""Runs in one SQLite file: what was committed is there after any crash of ours, and what must be is on the disk first.

Each row carries a checksum chained to the row before it, since SQLite's file has none: a changed, missing or foreign
row is found when it is read. Each run has one writer: a lock that the kernel drops with the process, and a fence that
every write is checked against, so that whoever lost the lock writes nothing more.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio.to_thread

from ..core.errors import JournalCorrupt, StorageError, UsageError
from ..core.events import (
    ApprovalGiven,
    CodeContinued,
    CodeRan,
    CodeStarted,
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
from .chain import first_mark, next_mark
from .database import connect, transaction, trouble
from .holder import Hold
from .summary import Summary, told
from .uninterrupted import in_a_thread

_AT_ONCE = 500  # rows that are read together
# What has to be on the disk before anything is done on the strength of it: fsync comes first.
_DURABLE = (
    RunStarted,
    TaskGiven,
    ModelReplied,
    CodeStarted,
    CodeContinued,
    CodeRan,
    ToolCalled,
    ToolReturned,
    ApprovalGiven,
    TaskEnded,
)


class SqliteStore:
    """All runs of one file. It is made when the first run is written; what is no such file is refused."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()

    def create(self, run: str, parent: str | None = None) -> SqliteJournal:
        """The journal of a new run, with us as its writer. Blocks for the disk."""
        journal = SqliteJournal(self, run, Hold(self._lock(run), run))
        try:
            with trouble(self.path, "writing"):
                journal.begin(parent)
        except BaseException:
            journal.close()
            raise
        return journal

    def open(self, run: str) -> SqliteJournal:
        """The journal of a run that is there, to go on with it.

        Raises RunLocked while another writes it, UsageError when there is none, JournalCorrupt.
        """
        journal = SqliteJournal(self, run, Hold(self._lock(run), run))
        try:
            with trouble(self.path, "writing"):
                journal.take()
        except BaseException:
            journal.close()
            raise
        return journal

    def entries(self, run: str) -> Iterator[Entry]:
        """What happened in a run, in order, also while another writes. Raises JournalCorrupt where it is not whole."""
        with trouble(self.path, "reading"), closing(connect(self.path, write=False)) as file:
            row = file.execute("SELECT parent FROM runs WHERE run = ?", (run,)).fetchone()
            if row is None:
                raise UsageError(f"there is no run {run!r} in {self.path}; `codeact runs` lists those that are")
            yield from _entries(file, run, row[0])

    def has(self, run: str) -> bool:
        """Whether there is such a run."""
        if not self.path.exists():
            return False
        with trouble(self.path, "reading"), closing(connect(self.path, write=False)) as file:
            return file.execute("SELECT 1 FROM runs WHERE run = ?", (run,)).fetchone() is not None

    def runs(self, limit: int = 50, before: float | None = None, parent: str | None = None) -> list[Summary]:
        """The last runs, newest first: those that no other run called, or those that `parent` did."""
        if not self.path.exists():
            return []
        where = "parent IS NULL" if parent is None else "parent = ?"
        values: list[str | float] = [] if parent is None else [parent]
        if before is not None:
            where, values = f"{where} AND started < ?", [*values, before]
        with trouble(self.path, "reading"), closing(connect(self.path, write=False)) as file:
            rows = file.execute(
                "SELECT run, parent, started, changed, rows, model, task, stop_reason, steps FROM runs "
                f"WHERE {where} ORDER BY started DESC, run LIMIT ?",
                (*values, limit),
            )
            return [Summary(*row) for row in rows]

    def find(self, start: str) -> str:
        """The one run whose name begins so. Raises UsageError where there is none, or more than one."""
        if not self.path.exists():
            raise UsageError(f"there is no journal at {self.path}")
        with trouble(self.path, "reading"), closing(connect(self.path, write=False)) as file:
            escaped = start.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            rows = file.execute(
                "SELECT run FROM runs WHERE run LIKE ? ESCAPE '\\' LIMIT 5", (f"{escaped}%",)
            ).fetchall()
        if len(rows) == 1:
            return str(rows[0][0])
        many = f"{len(rows)} runs begin" if rows else "no run begins"
        raise UsageError(f"{many} with {start!r} in {self.path}; `codeact runs` lists those that are")

    def _lock(self, run: str) -> Path:
        return self.path.with_name(self.path.name + "-locks") / hashlib.sha256(run.encode()).hexdigest()[:32]


class SqliteJournal:
    """One run's journal, which we alone write."""

    def __init__(self, store: SqliteStore, run: str, hold: Hold) -> None:
        self._store = store
        self._run = run
        self._hold = hold
        self._turn = threading.Lock()  # a connection is one thread's at a time, and closing is a use of it
        self._broken: Exception | None = None
        self._parent: str | None = None
        self._seq = 0
        self._fence = 0
        self._mark = b""
        self._told = Summary(run)
        self._file = self._opened()

    def _opened(self) -> sqlite3.Connection:
        try:
            with trouble(self._store.path, "opening"):
                self._hold.take()
                return connect(self._store.path, write=True)
        except BaseException:
            self._hold.drop()
            raise

    def begin(self, parent: str | None) -> None:
        """Write down that there is such a run."""
        now = time.time()
        self._parent, self._fence, self._mark = parent, 1, first_mark(self._run)
        with transaction(self._file, durable=True):
            self._file.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, 1, 0, ?, '', '', NULL, 0)",
                (self._run, parent, now, now, self._mark),
            )

    def take(self) -> None:
        """Become the writer of what is there: nobody who was it before can write any more."""
        with transaction(self._file, durable=True):
            row = self._file.execute(
                "SELECT parent, fence, rows, mark, model, task, stop_reason, steps FROM runs WHERE run = ?",
                (self._run,),
            ).fetchone()
            if row is None:
                raise UsageError(
                    f"there is no run {self._run!r} in {self._store.path}; `codeact runs` lists those that are"
                )
            self._parent, fence, self._seq, self._mark, *rest = row
            self._fence = fence + 1
            self._told = Summary(self._run, self._parent, 0.0, 0.0, self._seq, *rest)
            self._file.execute("UPDATE runs SET fence = ? WHERE run = ?", (self._fence, self._run))

    async def append(self, event: Event) -> Entry:
        """Keep an event; once one could not be kept, no later one is. Raises StorageError."""
        return await in_a_thread(lambda: self._append(event))

    async def read(self) -> AsyncIterator[Entry]:
        """All of its entries, in order."""
        for entry in await anyio.to_thread.run_sync(self._read):
            yield entry

    def rest(self) -> None:
        """Let another write it until we do again, which fails if one has. Safe to repeat."""
        with self._turn:
            self._hold.drop()

    def close(self) -> None:
        """Let another write it."""
        with self._turn:
            self._broken = self._broken or StorageError("it was closed")
            self._file.close()
            self._hold.drop()

    def _read(self) -> list[Entry]:
        with self._turn, trouble(self._store.path, "reading"):
            return list(_entries(self._file, self._run, self._parent))

    def _append(self, event: Event) -> Entry:
        with self._turn:
            if self._broken is not None:
                raise StorageError(f"nothing more is written to the journal {self._store.path}: {self._broken}")
            try:
                with trouble(self._store.path, "writing"):
                    self._hold.take()
                    return self._write(event)
            except BaseException as error:
                # after a failed fsync nobody knows what is on the disk: it is never tried again
                self._broken = error if isinstance(error, Exception) else StorageError("it was cut off in the middle")
                raise

    def _write(self, event: Event) -> Entry:
        entry = Entry(self._seq, time.time(), self._run, event, self._parent)
        try:
            line = codec.encode(event)
        except Refused as error:
            raise StorageError(f"{type(event).__name__} holds what no journal can keep: {error}") from error
        mark = next_mark(self._mark, entry.seq, entry.at, self._fence, line)
        known = told(self._told, event)
        ours = (self._run, self._fence, entry.seq)
        with transaction(self._file, durable=isinstance(event, _DURABLE)):
            changed = self._file.execute(
                "UPDATE runs SET rows = ?, mark = ?, changed = ?, model = ?, task = ?, stop_reason = ?, steps = ? "
                "WHERE run = ? AND fence = ? AND rows = ?",
                (entry.seq + 1, mark, entry.at, known.model, known.task, known.stop_reason, known.steps, *ours),
            ).rowcount
            if changed != 1:
                raise StorageError(f"another process has taken over the run {self._run}")
            self._file.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self._run, entry.seq, entry.at, self._fence, line.text, len(line.blobs), mark),
            )
            for n, data in enumerate(line.blobs):
                self._file.execute("INSERT INTO blobs VALUES (?, ?, ?, ?)", (self._run, entry.seq, n, data))
        self._seq, self._mark, self._told = entry.seq + 1, mark, known
        return entry


def _entries(file: sqlite3.Connection, run: str, parent: str | None) -> Iterator[Entry]:
    """The rows of a run, each checked against the chain; a tail that is not there is not missed."""
    mark, expected, before = first_mark(run), 0, 0
    while True:
        rows = file.execute(
            "SELECT seq, at, fence, line, blobs, mark FROM entries WHERE run = ? AND seq >= ? ORDER BY seq LIMIT ?",
            (run, expected, _AT_ONCE),
        ).fetchall()
        if not rows:
            break
        for seq, at, fence, text, count, written in rows:
            data = (
                file.execute("SELECT data FROM blobs WHERE run = ? AND seq = ? ORDER BY n", (run, seq)).fetchall()
                if count
                else ()
            )
            line = _line(run, seq, text, [blob for (blob,) in data])
            mark = next_mark(mark, seq, float(at), fence, line)
            if seq != expected or len(line.blobs) != count or mark != written or fence < before:
                raise JournalCorrupt(f"entry {expected} of run {run} is damaged or missing; those before it are whole")
            try:
                event = codec.decode(line)
            except codec.Malformed as error:
                raise JournalCorrupt(f"entry {seq} of run {run} cannot be read: {error}") from None
            yield Entry(seq, float(at), run, event, parent)
            expected, before = seq + 1, fence


def _line(run: str, seq: int, text: Any, blobs: list[Any]) -> codec.Line:
    if type(text) is not str or not all(type(blob) is bytes for blob in blobs):
        raise JournalCorrupt(f"entry {seq} of run {run} is damaged; those before it are whole")
    return codec.Line(text, tuple(blobs))
