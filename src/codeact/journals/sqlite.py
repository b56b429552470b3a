"""Runs in one SQLite file: what was committed is there after any crash of ours, and what must be is on the disk first.

Each row carries a checksum chained to the row before it, since SQLite's file has none: a changed, missing or foreign
row is found when it is read. Each run has one writer: a lock that the kernel drops with the process, and a fence that
every write is checked against, so that whoever lost the lock writes nothing more.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TypeAlias

from ..core.errors import UsageError
from ..core.events import Entry
from .chain import DIGEST, parts
from .condition import Condition
from .database import Unmade, condition, connect, family, forget, transaction, trouble
from .holder import Hold
from .journal import KeptJournal
from .rows import Found, Row, Tail, checked
from .summary import COLUMNS, Summary, kept, read
from .writing import Writer, Writers

_AT_ONCE = 500  # rows that are read together
Begin: TypeAlias = "Callable[[_File], Tail]"


class SqliteStore:
    """All runs of one file. It is made when the first run is written; what is no such file is refused."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()
        self.place = str(self.path)
        self._writers = Writers(lambda: _File(self.path))

    def create(self, run: str, parent: str | None = None) -> SqliteJournal:
        """The journal of a new run, with us as its writer. Blocks for the disk."""
        tail = Tail(Summary(run, parent), 1)
        return self._journal(run, lambda file: file.begin(tail))

    def open(self, run: str) -> SqliteJournal:
        """The journal of a run that is there, to go on with it.

        Raises RunLocked while another writes it, UsageError when there is none, JournalCorrupt.
        """
        return self._journal(run, lambda file: file.take(run))

    def _journal(self, run: str, begin: Begin) -> SqliteJournal:
        hold = Hold(self._lock(run), run)
        try:
            with trouble(self.path, "opening"):
                hold.take()
                writer = self._writers.take()
            try:
                with trouble(self.path, "writing"):
                    tail = writer.call(begin)
            except BaseException:
                self._writers.give_back(writer)
                raise
        except BaseException:
            hold.drop()
            raise
        return SqliteJournal(self.place, tail, hold, writer, self._writers, self.entries)

    def entries(self, run: str) -> Iterator[Entry]:
        """What happened in a run, in order, also while another writes. Raises JournalCorrupt where it is not whole."""
        with trouble(self.path, "reading"), closing(connect(self.path, write=False)) as file:
            row = file.execute("SELECT parent FROM runs WHERE run = ?", (run,)).fetchone()
            if row is None:
                raise _absent(run, self.path)
            yield from checked(run, row[0], _rows(file, run))

    def has(self, run: str) -> bool:
        """Whether there is such a run."""
        with suppress(Unmade), trouble(self.path, "reading"), closing(connect(self.path, write=False)) as file:
            return file.execute("SELECT 1 FROM runs WHERE run = ?", (run,)).fetchone() is not None
        return False

    def glance(self, run: str) -> Summary | None:
        """A run as it stands in the list; None where there is none."""
        if not self.path.exists():
            return None
        with trouble(self.path, "reading"), closing(connect(self.path, write=False)) as file:
            row = file.execute(f"{_told(file)} WHERE run = ?", (run,)).fetchone()
        return None if row is None else read(row)

    def runs(self, limit: int = 50, before: float | None = None, parent: str | None = None) -> list[Summary]:
        """The last runs, newest first: those that no other run called, or those that `parent` did."""
        where = "parent IS NULL" if parent is None else "parent = ?"
        values: list[str | float] = [] if parent is None else [parent]
        if before is not None:
            where, values = f"{where} AND started < ?", [*values, before]
        with suppress(Unmade), trouble(self.path, "reading"), closing(connect(self.path, write=False)) as file:
            rows = file.execute(
                f"{_told(file)} WHERE {where} ORDER BY started DESC, run LIMIT ?",
                (*values, limit),
            )
            return [read(row) for row in rows]
        return []

    def find(self, start: str) -> str:
        """The one run whose name begins so. Raises UsageError where there is none, or more than one."""
        with trouble(self.path, "reading"), closing(connect(self.path, write=False)) as file:
            escaped = start.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            rows = file.execute(
                "SELECT run FROM runs WHERE run LIKE ? ESCAPE '\\' LIMIT 5", (f"{escaped}%",)
            ).fetchall()
        if len(rows) == 1:
            return str(rows[0][0])
        many = f"{len(rows)} runs begin" if rows else "no run begins"
        raise UsageError(f"{many} with {start!r} in {self.path}; `codeact runs` lists those that are")

    def delete(self, run: str) -> tuple[str, ...]:
        """Keep nothing of a run, nor of those that it called, and name them all. Raises RunLocked, UsageError."""
        held: dict[str, Hold] = {}
        with trouble(self.path, "deleting from"), ExitStack() as stack:
            if not self.has(run):
                raise _absent(run, self.path)
            file = stack.enter_context(closing(connect(self.path, write=True)))
            while new := [name for name in dict.fromkeys((run, *family(file, run))) if name not in held]:
                for name in new:
                    hold = held[name] = Hold(self._lock(name), name)
                    stack.callback(hold.drop)
                    hold.take()
            forget(file, tuple(held))
        return tuple(held)

    def condition(self) -> Condition:
        """How the file is found."""
        return condition(self.path)

    def _lock(self, run: str) -> Path:
        return self.path.with_name(self.path.name + "-locks") / hashlib.sha256(run.encode()).hexdigest()[:32]


class SqliteJournal(KeptJournal):
    """One run's journal in a file, which we alone write."""

    _writer: Writer[_File]

    @property
    def _file(self) -> sqlite3.Connection:
        return self._writer.place.file


class _File:
    """The connection that all runs of a store are written by."""

    def __init__(self, path: Path) -> None:
        self.gone = False
        self._path = path
        self._file: sqlite3.Connection | None = connect(path, write=True)

    @property
    def file(self) -> sqlite3.Connection:
        """The connection itself, opened again after a fork."""
        if self._file is None:
            self._file = connect(self._path, write=True)
        return self._file

    def begin(self, tail: Tail) -> Tail:
        """Write down that there is such a run."""
        now = time.time()
        try:
            with transaction(self.file, durable=True):
                self.file.execute(
                    "INSERT INTO runs VALUES (?, ?, ?, ?, 1, 0, ?, ?, ?, ?, ?, ?)",
                    (tail.told.run, tail.told.parent, now, now, tail.mark, *kept(tail.told)),
                )
        except sqlite3.IntegrityError:
            raise UsageError(f"there is a run {tail.told.run!r} in {self._path} already") from None
        return tail

    def take(self, run: str) -> Tail:
        """Become the writer of what is there: nobody who was it before can write any more."""
        with transaction(self.file, durable=True):
            row = self.file.execute(f"SELECT fence, mark, {COLUMNS}, usage FROM runs WHERE run = ?", (run,)).fetchone()
            if row is None:
                raise _absent(run, self._path)
            fence, mark, *told = row
            self.file.execute("UPDATE runs SET fence = ? WHERE run = ?", (fence + 1, run))
        return Tail(read(told), fence + 1, mark)

    def write(self, rows: Sequence[Row]) -> list[bool]:
        """Keep these rows, each where its writer still is the one of its run."""
        with (
            trouble(self._path, "writing"),
            transaction(self.file, durable=any(row.durable for row in rows)),
        ):
            return [self._keep(row) for row in rows]

    def _keep(self, row: Row) -> bool:
        entry = row.entry
        ours = (entry.run, row.fence, entry.seq)
        changed = self.file.execute(
            "UPDATE runs SET rows = ?, mark = ?, changed = ?, "
            "model = ?, task = ?, stop_reason = ?, steps = ?, usage = ? WHERE run = ? AND fence = ? AND rows = ?",
            (entry.seq + 1, row.mark, entry.at, *kept(row.told), *ours),
        ).rowcount
        if changed != 1:
            return False
        digests = row.digests
        self.file.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (entry.run, entry.seq, entry.at, row.fence, row.line.text, len(digests), row.mark, b"".join(digests)),
        )
        self.file.executemany(
            "INSERT INTO contents VALUES (?, ?) ON CONFLICT DO NOTHING", zip(digests, row.line.blobs, strict=True)
        )
        return True

    def rest(self) -> None:
        """A child that opens the file, too, would hold none of its locks, and not know: nothing is open in a fork."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _told(file: sqlite3.Connection) -> str:
    """How a list is asked for, also of a file of an earlier version."""
    has = {name for _, name, *_ in file.execute("PRAGMA table_info(runs)")}
    return f"SELECT {COLUMNS}, {'usage' if 'usage' in has else 'NULL'} FROM runs"


def _rows(file: sqlite3.Connection, run: str) -> Iterator[Found]:
    """The rows of a run as they stand there, also in the form of version 1, which had no digests."""
    has = {name for _, name, *_ in file.execute("PRAGMA table_info(entries)")}
    digests = "digests" if "digests" in has else "x''"
    expected = 0
    while True:
        rows = file.execute(
            f"SELECT seq, at, fence, line, blobs, mark, {digests} FROM entries "
            "WHERE run = ? AND seq >= ? ORDER BY seq LIMIT ?",
            (run, expected, _AT_ONCE),
        ).fetchall()
        if not rows:
            return
        for seq, at, fence, text, count, mark, beside in rows:
            blobs = _beside(file, run, seq, beside) if count or beside else []
            yield Found(seq, at, fence, text, count, blobs, mark)
            expected = seq + 1


def _beside(file: sqlite3.Connection, run: str, seq: int, digests: object) -> list[object]:
    if type(digests) is bytes and digests:
        if len(digests) % DIGEST:
            return []
        found = [
            file.execute("SELECT data FROM contents WHERE digest = ?", (one,)).fetchone() for one in parts(digests)
        ]
        return [row[0] for row in found if row is not None]
    older = file.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'blobs'").fetchone()
    if older is None:
        return []
    return [data for (data,) in file.execute("SELECT data FROM blobs WHERE run = ? AND seq = ? ORDER BY n", (run, seq))]


def _absent(run: str, path: Path) -> UsageError:
    return UsageError(f"there is no run {run!r} in {path}; `codeact runs` lists those that are")
