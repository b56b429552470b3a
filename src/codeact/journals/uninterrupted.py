"""Work that is not cut off: whoever waits for it may be cancelled, and hears of that when it is done."""

from __future__ import annotations

import asyncio
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
