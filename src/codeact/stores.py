"""Where journals are kept, by name: a file, a database, or this process alone."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from . import places
from .core.errors import UsageError
from .installation import adding
from .journals.condition import Condition
from .journals.memory import MemoryStore
from .ports import Store


def journal_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where runs are kept if nothing else is said: `journal.db` in the user's state folder."""
    return places.state(environ) / "journal.db"


def store(named: Any = None, environ: Mapping[str, str] = os.environ) -> Store:
    """A file, `postgres://...`, `memory`, or a Store itself; else `CODEACT_JOURNAL`, else the user's state folder."""
    if named is None:
        named = environ.get("CODEACT_JOURNAL") or journal_path(environ)
    if hasattr(named, "create") and hasattr(named, "open"):
        return typing.cast("Store", named)
    if named == "memory":
        return MemoryStore()
    if not isinstance(named, str | os.PathLike):
        kind = type(named).__name__
        raise TypeError(
            f"journal: a path, 'postgres://...', 'memory', or an object with create, open, entries; not {kind}"
        )
    scheme, beyond, _ = str(named).partition("://")
    if scheme in ("postgres", "postgresql") and beyond:
        return _postgres(str(named))
    if beyond:
        raise UsageError(f"journal={scheme}://...: name a file, postgres://..., or 'memory'")
    made: Store = import_module("codeact.journals.sqlite").SqliteStore(named)
    return made


def condition(named: Any = None, environ: Mapping[str, str] = os.environ) -> Condition:
    """How the place is found that `store` would take. Nothing is made there, and nothing is written."""
    try:
        found = store(named, environ)
    except UsageError as error:
        return Condition("", ok=False, reason=str(error))
    if isinstance(found, MemoryStore):
        return Condition("memory", ok=True)
    looked: Condition = found.condition()  # type: ignore[attr-defined]
    return looked


def _postgres(url: str) -> Store:
    try:
        made: Store = import_module("codeact.journals.postgres").PostgresStore(url)
    except ImportError as error:
        raise UsageError(f"a journal in Postgres needs psycopg ({error}): {adding('postgres')}") from None
    return made
