"""Work that is not cut off: whoever waits for it may be cancelled, and hears of that when it is done."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeVar

T = TypeVar("T")


async def settled(doing: asyncio.Future[T]) -> T:
    """What it gives. Cancelling waits for it, and is delivered at the next wait after it.

    So what is written and what is known of it cannot part: nobody is cancelled between the two.
    """
    task, cancelled = asyncio.current_task(), 0
    while not doing.done():
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError:
            cancelled += 1
            if task is not None:
                task.uncancel()
    if task is not None:
        for _ in range(cancelled):
            task.cancel()
    return doing.result()


class OneByOne:
    """Who enters is alone until it leaves, in the order in which they came. To wait for one's turn is not cut off."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if not self._taken:
            self._taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await settled(turn)

    async def __aexit__(self, *_: object) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(None)  # it is handed on: nobody comes between
        else:
            self._taken = False
