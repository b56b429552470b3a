"""The journals that there are here, and how long anybody waits for one."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from codeact.core.events import Event
from codeact.stores import store


class Timed:
    """A store that counts the seconds for which anybody waits for it."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kept, name)

    def create(self, run: str, parent: str | None = None) -> Any:
        journal = self.kept.create(run, parent)
        append = journal.append

        async def timed(event: Event) -> Any:
            began = time.perf_counter()
            try:
                return await append(event)
            finally:
                self.seconds += time.perf_counter() - began

        journal.append = timed
        return journal

    def open(self, run: str) -> Any:
        return self.kept.open(run)


@contextlib.contextmanager
def stores(folder: str | None) -> Iterator[dict[str, Callable[[], Any]]]:
    """The journals that there are here, by name."""
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)), "journal.db")
        found: dict[str, Callable[[], Any]] = {"memory": lambda: store("memory"), "SQLite": lambda: store(place)}
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        with contextlib.suppress(Exception):  # no server, no client: a dash
            from journals.postgres import server

            url = stack.enter_context(server(durable=True, folder=folder)).url
            found["Postgres"] = lambda: store(url)
        yield found
