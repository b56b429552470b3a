"""The SQLite file of a journal: whose it is, what is in it, and what may befall it, in our words."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

from ..core.errors import JournalCorrupt, StorageError, UsageError
from ..crashpoints import crashpoint
from . import codec
from .chain import parts
from .condition import Condition
from .locked import alone

APPLICATION = 0x636F6461  # `coda`, in the header of a file of ours
BUSY = 30.0  # seconds to wait for another process's commit
SCHEMA = """
CREATE TABLE runs (
    run TEXT PRIMARY KEY, parent TEXT, started REAL NOT NULL, changed REAL NOT NULL, fence INTEGER NOT NULL,
    rows INTEGER NOT NULL, mark BLOB NOT NULL,
    model TEXT NOT NULL, task TEXT NOT NULL, stop_reason TEXT, steps INTEGER NOT NULL, usage TEXT
) WITHOUT ROWID;
CREATE INDEX runs_by_time ON runs (started DESC, run);
CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL;
CREATE TABLE entries (
    run TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, fence INTEGER NOT NULL, line TEXT NOT NULL,
    blobs INTEGER NOT NULL, mark BLOB NOT NULL, digests BLOB NOT NULL DEFAULT x'', PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE TABLE contents (digest BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE INDEX entries_beside ON entries (run) WHERE blobs > 0;
"""
# From earlier versions, whose rows stay as they are. In version 1 what lay beside a line stood in a table `blobs`, by
# run and place; before version 3 no run's tokens were kept, and whoever wants to know them reads its events.
FROM = {
    1: """
ALTER TABLE entries ADD COLUMN digests BLOB NOT NULL DEFAULT x'';
CREATE TABLE contents (digest BLOB PRIMARY KEY, data BLOB NOT NULL);
""",
    2: """
ALTER TABLE runs ADD COLUMN usage TEXT;
CREATE INDEX entries_beside ON entries (run) WHERE blobs > 0;
""",
}


class Unmade(UsageError):
    """There is no such file, or whoever made it was cut off before anything stood in it."""


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """A connection to the file, which is ours or is made so; to read, Unmade is raised where it is not made."""
    if write:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    elif not path.exists():
        raise Unmade(f"there is no journal at {path}")
    name = f"{path.as_uri()}?immutable=1" if not write and _rests(path) else str(path)
    file = sqlite3.connect(name, timeout=BUSY, isolation_level=None, check_same_thread=False, uri=name != str(path))
    try:
        with _alone(path) if write else nullcontext():
            _check(path, file, write)
    except BaseException:
        file.close()
        raise
    return file


def _rests(path: Path) -> bool:
    """Whether nobody can be writing it, and SQLite could put nothing beside it, as it does to read: on a CD, say."""
    beside = (path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))
    return not os.access(path.parent, os.W_OK) and not any(one.exists() for one in beside)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time looks whether the file is made: SQLite does not wait while its mode is changed."""
    folder = path.with_name(f"{path.name}-locks")
    folder.mkdir(mode=0o700, exist_ok=True)
    with alone(folder, BUSY):
        yield


def _check(path: Path, file: sqlite3.Connection, write: bool) -> None:
    file.execute("BEGIN")  # one look: another process may be making it just now
    application, version = (file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    empty = file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    file.execute("COMMIT")
    if application != APPLICATION and not (empty and not application):
        raise UsageError(f"{path} is a database, but no journal of codeact: name another file")
    if version > codec.VERSION:
        raise UsageError(
            f"{path} was written by a later codeact (format {version}, this one reads up to {codec.VERSION}): "
            "upgrade codeact, or name another file"
        )
    if not write:
        if empty:
            raise Unmade(f"there is no journal at {path}")
        return
    file.execute("PRAGMA journal_mode = WAL")
    if empty or version < codec.VERSION:
        with transaction(file):
            for step in [SCHEMA] if empty else [FROM[old] for old in range(max(1, version), codec.VERSION)]:
                for statement in step.split(";"):
                    file.execute(statement)
            file.execute(f"PRAGMA application_id = {APPLICATION}")
            file.execute(f"PRAGMA user_version = {codec.VERSION}")


def condition(path: Path) -> Condition:
    """How the file is found. Nothing is made, and nothing is written."""
    server = f"SQLite {sqlite3.sqlite_version}"
    try:
        with trouble(path, "opening"), closing(connect(path, write=False)) as file:
            version = int(file.execute("PRAGMA user_version").fetchone()[0])
            _try(file)
    except Unmade:
        if above := _shut(path):
            reason = f"{above} cannot be written: name another file with --journal than {path}"
            return Condition(str(path), ok=False, server=server, reason=reason)
        return Condition(str(path), ok=True, server=server)
    except (StorageError, UsageError) as error:
        return Condition(str(path), ok=False, there=True, server=server, reason=str(error))
    return Condition(str(path), ok=True, there=True, version=version, server=server)


def _try(file: sqlite3.Connection) -> None:
    """Whether it can be written; that somebody else does so just now says that it can."""
    file.execute("PRAGMA busy_timeout = 200")
    try:
        file.execute("BEGIN IMMEDIATE")
        file.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise


def _shut(path: Path) -> Path | None:
    """The folder that it would be made below, if that cannot be written."""
    above = next((one for one in path.parents if one.exists()), path.parent)
    return None if above.is_dir() and os.access(above, os.W_OK | os.X_OK) else above


def family(file: sqlite3.Connection, run: str) -> list[str]:
    """A run and all that it called, and what those called; none of a run that is not there."""
    found = file.execute(
        "WITH RECURSIVE family (name) AS (SELECT run FROM runs WHERE run = ? "
        "UNION SELECT run FROM runs JOIN family ON parent = name) SELECT name FROM family",
        (run,),
    )
    return [name for (name,) in found]


def forget(file: sqlite3.Connection, runs: Sequence[str]) -> None:
    """Keep nothing of these runs, and overwrite it; what lies beside their lines stays where another run has it."""
    file.execute("PRAGMA secure_delete = ON")
    older = file.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'blobs'").fetchone()
    with transaction(file, durable=True):
        beside: set[bytes] = set()
        for run in runs:
            rows = file.execute("SELECT digests FROM entries WHERE run = ? AND blobs > 0", (run,))
            beside.update(digest for (digests,) in rows for digest in parts(digests))
            for table in ("entries", "runs", *(["blobs"] if older else [])):
                file.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
        for (digests,) in file.execute("SELECT digests FROM entries WHERE blobs > 0") if beside else ():
            beside.difference_update(parts(digests))
        file.executemany("DELETE FROM contents WHERE digest = ?", [(digest,) for digest in beside])
    with suppress(sqlite3.OperationalError):  # the log goes, too, unless somebody reads just now
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def transaction(file: sqlite3.Connection, durable: bool = False) -> Iterator[None]:
    """All of it or nothing; `durable` returns when it is on the disk."""
    file.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
        crashpoint("commit")
        file.execute("COMMIT")
        crashpoint("committed")
    except BaseException:
        if file.in_transaction:
            file.execute("ROLLBACK")
        raise


@contextmanager
def trouble(path: Path, doing: str) -> Iterator[None]:
    """What SQLite or the file system says against it, in our words."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageError(f"{doing} the journal {path}: {error}; {_mend(str(error))}") from error
    except sqlite3.DatabaseError as error:
        raise JournalCorrupt(f"the journal {path} is damaged: {error}") from error
    except OSError as error:
        words = _OF_FILES.get(error.errno or 0, "")
        raise StorageError(f"{doing} the journal {path}: {error.strerror or error}; {_mend(words)}") from error


_OF_FILES = {  # by what SQLite says of the same
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EACCES: "readonly",
    errno.EPERM: "readonly",
    errno.EROFS: "readonly",
    errno.EBUSY: "busy",
}


def _mend(words: str) -> str:
    if "full" in words:
        return "make room, or name another file with --journal; the run can be resumed"
    if "readonly" in words or "read-only" in words:
        return "the file cannot be written: name another with --journal"
    if "unable to open" in words:
        return "its folder cannot be written: copy the file, and those beside it whose names begin like it, elsewhere"
    if "locked" in words or "busy" in words:
        return f"another process kept it busy for {BUSY:g} s"
    return "the run can be resumed once that is mended"
