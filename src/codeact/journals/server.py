"""The Postgres database of a journal: how it is reached, whose its tables are, and what may befall it, in our words.

Whatever is said of it, its password is not: a place is named by user, server and database alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import conninfo, errors

from ..core.errors import JournalCorrupt, StorageError, UsageError
from . import codec
from .chain import parts
from .condition import Condition

TABLES = """
CREATE TABLE codeact.journal (application text NOT NULL, version integer NOT NULL);
CREATE TABLE codeact.runs (
    run text PRIMARY KEY, parent text, started double precision NOT NULL, changed double precision NOT NULL,
    fence integer NOT NULL, rows integer NOT NULL, mark bytea NOT NULL,
    model text NOT NULL, task text NOT NULL, stop_reason text, steps integer NOT NULL,
    pid integer NOT NULL, host text NOT NULL, since double precision NOT NULL, usage text
);
CREATE INDEX runs_by_time ON codeact.runs (started DESC, run);
CREATE INDEX runs_by_parent ON codeact.runs (parent) WHERE parent IS NOT NULL;
CREATE TABLE codeact.entries (
    run text NOT NULL, seq integer NOT NULL, at double precision NOT NULL, fence integer NOT NULL, line text NOT NULL,
    blobs integer NOT NULL, mark bytea NOT NULL, digests bytea NOT NULL, PRIMARY KEY (run, seq)
);
CREATE TABLE codeact.contents (digest bytea PRIMARY KEY, data bytea NOT NULL);
CREATE INDEX entries_beside ON codeact.entries (run) WHERE blobs > 0;
"""
FROM_2 = """
ALTER TABLE codeact.runs ADD COLUMN usage text;
CREATE INDEX entries_beside ON codeact.entries (run) WHERE blobs > 0;
UPDATE codeact.journal SET version = 3;
"""
_LEFT_ALONE = """
DELETE FROM codeact.contents WHERE digest = ANY(%s) AND digest NOT IN (
    SELECT substring(digests FROM n * 32 + 1 FOR 32) FROM codeact.entries, generate_series(0, blobs - 1) AS n
    WHERE blobs > 0
)"""
APPLICATION = "codeact"
MAKING = 0x636F6461  # the lock of whoever makes these tables
# A line that is dead is noticed, here and there: a lock goes with the connection that holds it.
_HERE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "codeact",
    "client_encoding": "utf8",
}
_OWNER = "let its owner run: CREATE SCHEMA codeact AUTHORIZATION your_user"
_THERE = (
    "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;"
    "SET statement_timeout = '60s'; SET lock_timeout = '30s';"
    "SET default_transaction_isolation = 'read committed';"
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)


class NoJournal(UsageError):
    """There is none there, and nothing was to be written."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is. Shown, it is `name`, which holds no password."""

    name: str
    given: dict[str, Any] = field(repr=False)

    def hidden(self, words: str) -> str:
        """What was said of it, without its password."""
        for key in ("password", "sslpassword"):
            if secret := self.given.get(key):
                words = words.replace(str(secret), "***")
        return words


def address(url: str) -> Address:
    """The address of `postgres://...`. Raises UsageError, which does not repeat it."""
    try:
        given: dict[str, Any] = dict(conninfo.conninfo_to_dict(url))
    except (psycopg.ProgrammingError, UnicodeError):
        raise UsageError("journal: this is no address of a database: write postgres://USER@HOST/DATABASE") from None
    user, host, port = (given.get(key) for key in ("user", "host", "port"))
    name = f"postgres://{f'{user}@' if user else ''}{host or ''}{f':{port}' if port else ''}/{given.get('dbname', '')}"
    return Address(name, given)


def connect(where: Address, *, write: bool) -> psycopg.Connection[Any]:
    """A connection to the journal there, which is ours or is made so. Raises UsageError where there is none to read."""
    made = _reached(where)
    try:
        made.execute(_THERE)
        _check(where, made, write)
    except BaseException:
        made.close()
        raise
    return made


def _reached(where: Address) -> psycopg.Connection[Any]:
    made: psycopg.Connection[Any] = psycopg.connect(**{**_HERE, **where.given}, autocommit=True)
    return made


def _check(where: Address, made: psycopg.Connection[Any], write: bool) -> int:
    """The version of the journal there, which is ours or is made so."""
    if not _is_there(made):
        if not write:
            raise NoJournal(f"there is no journal at {where.name}")
        _make(where, made)
    said = made.execute("SELECT application, version FROM codeact.journal").fetchall()
    if len(said) != 1 or said[0][0] != APPLICATION:
        raise _foreign(where)
    if said[0][1] > codec.VERSION:
        raise UsageError(
            f"{where.name} was written by a later codeact (format {said[0][1]}, this one reads up to {codec.VERSION}): "
            "upgrade codeact, or name another database"
        )
    if write and said[0][1] < codec.VERSION:
        _upgrade(made)
    return int(said[0][1])


def _is_there(made: psycopg.Connection[Any]) -> bool:
    row = made.execute("SELECT to_regclass('codeact.journal') IS NOT NULL").fetchone()
    return row is not None and bool(row[0])


def _make(where: Address, made: psycopg.Connection[Any]) -> None:
    encoding = made.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UsageError(f"{where.name} has the encoding {encoding}: name a database of UTF8")
    with made.transaction():
        made.execute("SELECT pg_advisory_xact_lock(%s)", (MAKING,))
        if _is_there(made):  # somebody else made it meanwhile
            return
        if not _schema(where, made):
            made.execute("CREATE SCHEMA codeact")
        made.execute(TABLES)
        made.execute("INSERT INTO codeact.journal VALUES (%s, %s)", (APPLICATION, codec.VERSION))


def _schema(where: Address, made: psycopg.Connection[Any]) -> bool:
    """Whether our schema is there, and empty. Raises UsageError where it is somebody else's."""
    schema = made.execute("SELECT oid FROM pg_namespace WHERE nspname = 'codeact'").fetchone()
    if schema is not None and made.execute("SELECT 1 FROM pg_class WHERE relnamespace = %s", schema).fetchone():
        raise _foreign(where)
    return schema is not None


def _upgrade(made: psycopg.Connection[Any]) -> None:
    with made.transaction():
        made.execute("SELECT pg_advisory_xact_lock(%s)", (MAKING,))
        if made.execute("SELECT version FROM codeact.journal").fetchone() == (2,):  # nobody did it meanwhile
            made.execute(FROM_2)


def family(made: psycopg.Connection[Any], run: str) -> list[str]:
    """A run and all that it called, and what those called; none of a run that is not there."""
    found = made.execute(
        "WITH RECURSIVE family (name) AS (SELECT run FROM codeact.runs WHERE run = %s "
        "UNION SELECT run FROM codeact.runs JOIN family ON parent = name) SELECT name FROM family",
        (run,),
    )
    return [name for (name,) in found]


def forget(made: psycopg.Connection[Any], runs: Sequence[str]) -> None:
    """Keep nothing of these runs; what lies beside their lines stays where another run has it, too."""
    named = list(runs)
    with made.transaction():
        # Whoever writes a line with something beside it has this table until that is there: nobody counts on what goes.
        made.execute("LOCK TABLE codeact.contents IN EXCLUSIVE MODE")
        rows = made.execute(
            "SELECT digests FROM codeact.entries WHERE run = ANY(%s) AND blobs > 0", (named,)
        ).fetchall()
        made.execute("DELETE FROM codeact.entries WHERE run = ANY(%s)", (named,))
        made.execute("DELETE FROM codeact.runs WHERE run = ANY(%s)", (named,))
        if beside := list({digest for (digests,) in rows for digest in parts(digests)}):
            made.execute(_LEFT_ALONE, (beside,))


def condition(where: Address) -> Condition:
    """How the database is found. Nothing is made, and nothing is written."""
    server, there, version = None, False, None
    try:
        with trouble(where, "opening"), closing(_reached(where)) as made:
            server = f"PostgreSQL {made.info.parameter_status('server_version')}"
            there = _is_there(made)
            if there:
                version = _check(where, made, write=False)
            reason = _refused(where, made, there)
    except (StorageError, UsageError) as error:
        reason = str(error)
    return Condition(where.name, not reason, there, version, server, reason)


def _refused(where: Address, made: psycopg.Connection[Any], there: bool) -> str:
    """Why we could not write there; nothing where we could."""
    if made.execute("SHOW transaction_read_only").fetchone() == ("on",):
        return f"{where.name} takes no writes: name the server that does"
    if there:
        may = "has_table_privilege('codeact.runs', 'UPDATE') AND has_table_privilege('codeact.entries', 'INSERT')"
        return "" if made.execute(f"SELECT {may}").fetchone() == (True,) else f"this user may not write to {where.name}"
    if _schema(where, made):
        return ""
    may = "SELECT has_database_privilege(current_database(), 'CREATE')"
    return "" if made.execute(may).fetchone() == (True,) else f"there is no journal at {where.name}: {_OWNER}"


def _foreign(where: Address) -> UsageError:
    return UsageError(f"{where.name} has a schema `codeact` that is no journal of codeact: name another database")


@contextmanager
def trouble(where: Address, doing: str) -> Iterator[None]:
    """What Postgres or the way to it says against it, in our words."""
    try:
        yield
    except (errors.DataCorrupted, errors.IndexCorrupted) as error:
        raise JournalCorrupt(f"the journal {where.name} is damaged: {_said(where, error)}") from None
    except psycopg.Error as error:
        raise StorageError(f"{doing} the journal {where.name}: {_said(where, error)}; {_mend(error)}") from None


def _said(where: Address, error: psycopg.Error) -> str:
    lines = [line.strip() for line in where.hidden(str(error)).splitlines() if line.strip()]
    return " ".join(lines)[:400] or type(error).__name__


def _mend(error: psycopg.Error) -> str:
    match error:
        case errors.DiskFull():
            return "make room on the server; the run can be resumed"
        case errors.InsufficientPrivilege():
            return _OWNER
        case errors.ReadOnlySqlTransaction():
            return "this server takes no writes: name the one that does"
        case errors.TooManyConnections():
            return "the server has no connection left for us: raise max_connections, or end some"
        case psycopg.OperationalError() if re.search(r"authentication failed|no password|does not exist", str(error)):
            return "mend the address, postgres://USER@HOST/DATABASE; a password may stand in ~/.pgpass"
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return "the run can be resumed once the server can be reached"
        case _:
            return "the run can be resumed once that is mended"
