"""Whose turn it is with the one guest: one at a time, in the order of asking."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Turns:
    """`async with` is a turn. What is left to be done `behind` it still has the turn when its caller has gone on."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None
        self._passed_on = False
        self._loop: asyncio.AbstractEventLoop | None = None  # whose turns they are

    def begin(self) -> None:
        """From here on they are those of this event loop."""
        self._loop = asyncio.get_running_loop()

    @property
    def goes_on(self) -> bool:
        """Whether something is done behind a turn now."""
        return self._behind is not None and not self._behind.done()

    async def __aenter__(self) -> None:
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise RuntimeError(
                "this interpreter was opened in another event loop, or before this process was forked: "
                "open one where you use it"
            )
        await self._lock.acquire()
        last, self._behind = self._behind, None  # it has ended, else there were no turn
        if last is not None and (error := _error(last)) is not None:
            self._lock.release()
            raise error

    async def __aexit__(self, *exc: object) -> None:
        if self._passed_on:
            self._passed_on = False
        else:
            self._lock.release()

    def behind(self, act: Callable[[], Awaitable[object]]) -> None:
        """The last thing in a turn: have this done, and whoever is next wait for it, but not the caller."""
        self._passed_on = True
        self._behind = asyncio.ensure_future(self._do(act))

    async def over(self) -> None:
        """Wait for what is done behind; how it ended is nobody's concern any more."""
        last, self._behind = self._behind, None
        if last is not None:
            await asyncio.wait([last])
            _error(last)

    async def _do(self, act: Callable[[], Awaitable[object]]) -> None:
        try:
            await act()
        finally:
            self._lock.release()


def _error(done: asyncio.Task[None]) -> BaseException | None:
    return None if done.cancelled() else done.exception()
