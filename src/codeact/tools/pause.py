"""A task that stops where nobody answers now, once all that it has called has ended: no call is cut off by it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

_LOOK = 0.1  # seconds until we look again; questions of calls that were made together have come by then


class Pause:
    """What can stop the first of a tree of sessions in its task, and all below with it."""

    def __init__(self) -> None:
        self.paused = False
        self._running: set[str] = set()  # keys of calls whose tools are at work
        self._inside: Counter[str] = Counter()  # those of which a session of ours does the work, and how many
        self._scope: anyio.CancelScope | None = None

    @contextmanager
    def task(self) -> Iterator[None]:
        """A task of the first session, which is left where it pauses."""
        self.paused = False
        with anyio.CancelScope() as self._scope:
            yield
        self._scope = None

    @contextmanager
    def running(self, key: str) -> Iterator[None]:
        """While a tool is at work."""
        self._running.add(key)
        try:
            yield
        finally:
            self._running.discard(key)

    @contextmanager
    def inside(self, key: str) -> Iterator[None]:
        """While a session of ours does a tool's work, which counts by the calls that it makes."""
        self._inside[key] += 1
        try:
            yield
        finally:
            self._inside[key] -= 1

    async def __call__(self) -> None:
        """Pause as soon as no tool is at work. It does not return."""
        quiet = False
        while not quiet:
            await asyncio.sleep(_LOOK)
            quiet = all(self._inside[key] for key in tuple(self._running))
        if self._scope is not None:
            self.paused = True
            self._scope.cancel()
        await anyio.sleep_forever()
