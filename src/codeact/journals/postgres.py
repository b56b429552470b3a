"""Runs in a Postgres database, for many machines: what was committed there outlives any of them.

The rows and their checksums are those of a file. Each run has one writer: a lock of the database that goes with the
connection which holds it, and a fence in the run's row that is looked at by the very statement that adds an entry. So
a writer whose connection was cut, and in whose place another one writes now, can add nothing.
"""

from __future__ import annotations

import functools
import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from typing import Any, TypeAlias, TypeVar

import psycopg

from ..core.errors import RunLocked, UsageError
from ..core.events import Entry
from ..crashpoints import crashpoint
from .chain import parts
from .condition import Condition
from .journal import KeptJournal
from .rows import Found, Row, Tail, checked
from .server import Address, NoJournal, address, condition, connect, family, forget, trouble
from .summary import COLUMNS, Summary, kept, read
from .writing import Writer, Writers

_AT_ONCE = 500  # rows that are read together
_PATIENCE = 5  # times a lock is asked for: its last holder may be just giving it up
_PAUSE = 0.05
# One statement is one trip and one transaction: the fence, what lies beside the line, the line; and, of an event that
# nothing waits for, that the server does not wait for its disk.
_HELD = """
held AS (
    UPDATE codeact.runs SET rows = %s, mark = %b, changed = %s, model = %s, task = %s, stop_reason = %s,
        steps = %s, usage = %s
    {lax} WHERE run = %s AND fence = %s AND rows = %s RETURNING run
)"""
_LAX = "lax AS (SELECT set_config('synchronous_commit', 'off', true)),"
_BESIDE = """,
beside AS (
    INSERT INTO codeact.contents SELECT digest, data FROM held, unnest(%b::bytea[], %b::bytea[]) AS given (digest, data)
    ORDER BY digest ON CONFLICT DO NOTHING
)"""
_LINE = """
INSERT INTO codeact.entries (run, seq, at, fence, line, blobs, mark, digests)
SELECT run, %s::integer, %s::double precision, %s::integer, %s::text, %s::integer, %b::bytea, %b::bytea FROM held
"""
_KEEP = {
    (durable, beside): f"WITH {'' if durable else _LAX}"
    f"{_HELD.format(lax='' if durable else 'FROM lax')}{_BESIDE if beside else ''}{_LINE}".encode()
    for durable in (True, False)
    for beside in (True, False)
}
_ALL_BESIDE = """
INSERT INTO codeact.contents SELECT digest, data FROM unnest(%b::bytea[], %b::bytea[]) AS given (digest, data)
ORDER BY digest ON CONFLICT DO NOTHING
"""
# The tokens of a run may be asked for where an earlier version has no such column.
_TOLD = f"SELECT {COLUMNS}, to_jsonb(runs) ->> 'usage' FROM codeact.runs"
T = TypeVar("T")
Begin: TypeAlias = "Callable[[_Database], Tail]"


class PostgresStore:
    """All runs of one database, in its schema `codeact`. `place` names it, without its password."""

    def __init__(self, url: str) -> None:
        self._where = address(url)
        self.place = self._where.name
        self._writers = Writers(lambda: _Database(self._where))

    def __repr__(self) -> str:
        return f"PostgresStore({self.place!r})"

    def create(self, run: str, parent: str | None = None) -> KeptJournal:
        """The journal of a new run, with us as its writer. Waits for the server. Raises StorageError."""
        tail = Tail(Summary(run, parent), 1)
        return self._journal(run, lambda database: database.begin(tail))

    def open(self, run: str) -> KeptJournal:
        """The journal of a run that is there, to go on with it. Raises RunLocked, StorageError, UsageError."""
        return self._journal(run, lambda database: database.take(run))

    def _journal(self, run: str, begin: Begin) -> KeptJournal:
        while True:
            with trouble(self._where, "opening"):
                writer = self._writers.take()
                others = writer.users > 1
                try:
                    tail = _patiently(lambda: writer.call(begin))  # noqa: B023
                except BaseException:
                    cut = writer.place.gone
                    self._writers.give_back(writer)
                    if cut and others:
                        continue  # it was cut before we came: there is a new one for us
                    raise
            return KeptJournal(self.place, tail, _Right(writer, run), writer, self._writers, self.entries)

    def entries(self, run: str) -> Iterator[Entry]:
        """What happened in a run, in order, also while another writes. Raises JournalCorrupt where it is not whole."""
        with trouble(self._where, "reading"), closing(connect(self._where, write=False)) as database:
            row = database.execute("SELECT parent FROM codeact.runs WHERE run = %s", (run,)).fetchone()
            if row is None:
                raise _absent(run, self._where)
            yield from checked(run, row[0], _rows(database, run))

    def has(self, run: str) -> bool:
        """Whether there is such a run."""
        return bool(self._asked("SELECT 1 FROM codeact.runs WHERE run = %s", (run,)))

    def glance(self, run: str) -> Summary | None:
        """A run as it stands in the list; None where there is none."""
        rows = self._asked(f"{_TOLD} WHERE run = %s", (run,))
        return read(rows[0]) if rows else None

    def runs(self, limit: int = 50, before: float | None = None, parent: str | None = None) -> list[Summary]:
        """The last runs, newest first: those that no other run called, or those that `parent` did."""
        where = "parent IS NULL" if parent is None else "parent = %s"
        values: list[str | float] = [] if parent is None else [parent]
        if before is not None:
            where, values = f"{where} AND started < %s", [*values, before]
        rows = self._asked(
            f"{_TOLD} WHERE {where} ORDER BY started DESC, run LIMIT %s",
            (*values, limit),
        )
        return [read(row) for row in rows or ()]

    def find(self, start: str) -> str:
        """The one run whose name begins so. Raises UsageError where there is none, or more than one."""
        rows = self._asked(
            "SELECT run FROM codeact.runs WHERE starts_with(run, %s) LIMIT 5", (start.replace("\0", ""),)
        )
        if rows is None:
            raise UsageError(f"there is no journal at {self.place}")
        if len(rows) == 1:
            return str(rows[0][0])
        many = f"{len(rows)} runs begin" if rows else "no run begins"
        raise UsageError(f"{many} with {start!r} in {self.place}; `codeact runs` lists those that are")

    def delete(self, run: str) -> tuple[str, ...]:
        """Keep nothing of a run, nor of those that it called, and name them all. Raises RunLocked, UsageError."""
        held: dict[str, None] = {}
        if not self.has(run):
            raise _absent(run, self._where)
        with trouble(self._where, "deleting from"), closing(_Database(self._where)) as database:
            while new := [name for name in dict.fromkeys((run, *family(database.made, run))) if name not in held]:
                for name in new:
                    _patiently(functools.partial(database.lock, name))
                    held[name] = None
            forget(database.made, tuple(held))
        return tuple(held)

    def condition(self) -> Condition:
        """How the database is found."""
        return condition(self._where)

    def _asked(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]] | None:
        """The rows of an answer; None where there is no journal yet."""
        with trouble(self._where, "reading"):
            try:
                with closing(connect(self._where, write=False)) as database:
                    return list(database.execute(query.encode(), values).fetchall())
            except NoJournal:
                return None


class _Right:
    """The right to write one run, by a lock of the database."""

    def __init__(self, writer: Writer[_Database], run: str) -> None:
        self._writer = writer
        self._run = run
        self._held = True

    def take(self) -> None:
        """Have it now, or raise RunLocked with who has it. Safe to repeat; the writer's thread alone does this."""
        if not self._held:
            self._writer.place.lock(self._run)
            self._held = True

    def drop(self) -> None:
        """Give it up, when its turn comes. Safe to repeat."""
        held, self._held = self._held, False
        if held:
            self._writer.soon(lambda database: database.unlock(self._run))


class _Database:
    """The connection that all runs of a store are written by."""

    def __init__(self, where: Address) -> None:
        self._where = where
        self.made = connect(where, write=True)
        self._held: set[str] = set()

    def lock(self, run: str) -> None:
        """Have the lock of a run, or raise RunLocked. A connection could take one twice: so it is counted here."""
        if run not in self._held:
            with trouble(self._where, "writing"):
                if self._one("SELECT pg_try_advisory_lock(%s)", (_key(run),)) == (True,):
                    self._held.add(run)
                    return
        with trouble(self._where, "reading"):
            who = self.made.execute("SELECT pid, host, since FROM codeact.runs WHERE run = %s", (run,)).fetchone()
        raise RunLocked(run, *(who or (0, "", 0.0)))

    def unlock(self, run: str) -> None:
        """Give it up."""
        if run in self._held:
            self._held.discard(run)
            self.made.execute("SELECT pg_advisory_unlock(%s)", (_key(run),))

    def begin(self, tail: Tail) -> Tail:
        """Write down that there is such a run."""
        run, now = tail.told.run, time.time()
        self.lock(run)
        try:
            self.made.execute(
                "INSERT INTO codeact.runs (run, parent, started, changed, fence, rows, mark, model, task, stop_reason, "
                "steps, usage, pid, host, since) "
                "VALUES (%s, %s, %s, %s, 1, 0, %b, %s, %s, %s, %s, %s, %s, %s, %s)",
                (run, tail.told.parent, now, now, tail.mark, *kept(tail.told), *_who()),
            )
        except psycopg.errors.UniqueViolation:
            self.unlock(run)
            raise UsageError(f"there is a run {run!r} in {self._where.name} already") from None
        except BaseException:
            self.unlock(run)
            raise
        return tail

    def take(self, run: str) -> Tail:
        """Become the writer of what is there: nobody who was it before can write any more."""
        self.lock(run)
        try:
            row = self.made.execute(
                "UPDATE codeact.runs SET fence = fence + 1, pid = %s, host = %s, since = %s WHERE run = %s "
                f"RETURNING fence, mark, {COLUMNS}, usage",
                (*_who(), run),
            ).fetchone()
            if row is None:
                raise _absent(run, self._where)
        except BaseException:
            self.unlock(run)
            raise
        fence, mark, *told = row
        return Tail(read(told), fence, mark)

    def write(self, rows: Sequence[Row]) -> list[bool]:
        """Keep these rows, each where its writer still is the one of its run."""
        with trouble(self._where, "writing"):
            crashpoint("commit")
            kept = self._committed(rows, durable=any(row.durable for row in rows))
            crashpoint("committed")
            return [cursor.rowcount == 1 for cursor in kept]

    def _committed(self, rows: Sequence[Row], durable: bool) -> list[psycopg.Cursor[Any]]:
        if len(rows) == 1:
            return [self._keep(rows[0], durable, beside=bool(rows[0].digests))]
        contents = {digest: blob for row in rows for digest, blob in zip(row.digests, row.line.blobs, strict=True)}
        with self._together(), self.made.transaction():
            if contents:  # first, and in one order, so that no two who write the same wait for each other
                self.made.execute(_ALL_BESIDE, (list(contents), list(contents.values())))
            return [self._keep(row, durable, beside=False) for row in rows]

    def _together(self) -> Any:
        """All that follows is sent at once."""
        return self.made.pipeline() if psycopg.Pipeline.is_supported() else nullcontext()

    def _keep(self, row: Row, durable: bool, *, beside: bool) -> psycopg.Cursor[Any]:
        entry, digests = row.entry, row.digests
        run = (entry.run, row.fence, entry.seq)
        head = (entry.seq + 1, row.mark, entry.at, *kept(row.told))
        blobs = (list(digests), list(row.line.blobs)) if beside else ()
        line = (entry.seq, entry.at, row.fence, row.line.text, len(digests), row.mark, b"".join(digests))
        return self.made.execute(_KEEP[durable, beside], (*head, *run, *blobs, *line))

    def _one(self, query: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self.made.execute(query.encode(), values).fetchone()
        return row

    @property
    def gone(self) -> bool:
        """Whether the connection was cut."""
        return self.made.closed

    def rest(self) -> None:
        """A forked child never uses, nor ends, the connection of its parent."""

    def close(self) -> None:
        """Let go of the database, and of all locks there."""
        self.made.close()


def _patiently(take: Callable[[], T]) -> T:
    for _ in range(_PATIENCE - 1):
        try:
            return take()
        except RunLocked:
            time.sleep(_PAUSE)
    return take()


def _rows(database: psycopg.Connection[Any], run: str) -> Iterator[Found]:
    expected = 0
    while True:
        rows = database.execute(
            "SELECT seq, at, fence, line, blobs, mark, digests FROM codeact.entries "
            "WHERE run = %s AND seq >= %s ORDER BY seq LIMIT %s",
            (run, expected, _AT_ONCE),
            binary=True,
        ).fetchall()
        if not rows:
            return
        wanted = [digest for row in rows for digest in parts(row[6])]
        contents: dict[bytes, Any] = {}
        if wanted:
            asked = "SELECT digest, data FROM codeact.contents WHERE digest = ANY(%s)"
            contents = dict(database.execute(asked, (wanted,), binary=True).fetchall())
        for seq, at, fence, line, count, mark, digests in rows:
            blobs = [contents[digest] for digest in parts(digests) if digest in contents]
            yield Found(seq, at, fence, line, count, blobs, mark)
            expected = seq + 1


def _key(run: str) -> int:
    """The number of a run's lock."""
    return int.from_bytes(hashlib.blake2b(f"codeact {run}".encode(), digest_size=8).digest(), signed=True)


def _who() -> tuple[int, str, float]:
    return os.getpid(), socket.gethostname(), time.time()


def _absent(run: str, where: Address) -> UsageError:
    return UsageError(f"there is no run {run!r} in {where.name}; `codeact runs` lists those that are")
