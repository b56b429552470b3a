"""What a started server murmurs on its standard error: read, so that it never waits for us, and its end kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from ...core.untrusted import inline

_KEPT = 8192
_SHOWN = 600


class Murmur:
    """A pipe that a server writes to. It shows in the error of a server that does not come up, and nowhere else."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._kept = b""
        self._ours: int | None = None
        self._theirs: TextIO | None = None

    @contextmanager
    def heard(self) -> Iterator[TextIO]:
        """The end to give to the server."""
        ours, theirs = os.pipe()
        if hasattr(os, "set_blocking"):
            os.set_blocking(ours, False)
        self._ours = ours
        self._theirs = os.fdopen(theirs, "w", encoding="utf-8")
        try:
            self._loop.add_reader(ours, self._read)
        except NotImplementedError:  # a loop that cannot listen to pipes, as on Windows: then nothing is kept
            os.close(ours)
            self._ours = None
            self._theirs.close()
            self._theirs = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed by `given`)
        try:
            yield self._theirs
        finally:
            self.given()
            self._read()
            self.close()

    def given(self) -> None:
        """The server has it: ours is closed."""
        if self._theirs is not None:
            self._theirs.close()
            self._theirs = None

    def _read(self) -> None:
        if self._ours is None:
            return
        try:
            data = os.read(self._ours, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._kept = (self._kept + data)[-_KEPT:]
        else:
            self._loop.remove_reader(self._ours)

    def close(self) -> None:
        """Stop listening; what was heard stays."""
        self.given()
        if self._ours is not None:
            self._loop.remove_reader(self._ours)
            os.close(self._ours)
            self._ours = None

    def text(self, masked: Callable[[str], str]) -> str:
        """The end of what it said, on one line; masked before anything is cut, or half a secret would pass."""
        kept = self._kept if len(self._kept) < _KEPT else self._kept.partition(b"\n")[2]
        lines = [line.strip() for line in masked(kept.decode("utf-8", "replace")).splitlines() if line.strip()]
        return inline(" | ".join(lines[-5:])[-_SHOWN:], _SHOWN)
