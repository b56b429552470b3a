"""A reader of what happens, at a pace of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator

import anyio

from .core.events import Delta, Event, Nested

_KEPT = 1000  # deltas for a slow reader; what comes beyond is dropped, events never are


class Cursor:
    """A reader's place in what happens: events wait for it as long as they must, deltas only up to a number."""

    def __init__(self) -> None:
        self._items: deque[Event | Delta] = deque()
        self._deltas = 0
        self._more = anyio.Event()
        self._closed = False

    def push(self, item: Event | Delta) -> None:
        """The listener's side."""
        if _losable(item):
            if self._deltas >= _KEPT:
                return
            self._deltas += 1
        self._items.append(item)
        self._more.set()

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._more.set()

    async def read(self) -> AsyncGenerator[Event | Delta, None]:
        """The reader's side."""
        while self._items or not self._closed:
            if not self._items:
                self._more = anyio.Event()
                await self._more.wait()
                continue
            item = self._items.popleft()
            if _losable(item):
                self._deltas -= 1
            yield item


def _losable(item: Event | Delta) -> bool:
    while isinstance(item, Nested):
        item = item.item
    return isinstance(item, Delta)
