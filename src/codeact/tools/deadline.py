"""How long a call may take: its task is cancelled when the time is up, and again until it lets go."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

_AGAIN = 0.05  # seconds until a task that caught its cancellation gets the next one


class Deadline:
    """A context for one task; `passed` says that it was left because the time was up. Infinite `seconds` never are.

    They count from now, or from `since`, a time of the loop. A cancellation by somebody else goes through. A context of
    anyio's does the same, at eight times the price: a tenth of what a call of a tool costs.
    """

    def __init__(self, seconds: float, since: float | None = None) -> None:
        self.passed = False
        self._seconds = seconds
        self._since = since
        self._struck = 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Deadline:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._before = task.cancelling()
        if self._seconds < math.inf:
            loop = task.get_loop()
            since = loop.time() if self._since is None else self._since
            self._timer = loop.call_at(since + self._seconds, self._strike)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._timer is not None:
            self._timer.cancel()
        for _ in range(self._struck):
            self._task.uncancel()
        self.passed = bool(
            self._struck and isinstance(error, asyncio.CancelledError) and self._task.cancelling() <= self._before
        )
        return self.passed

    def _strike(self) -> None:
        self._struck += 1
        self._timer = self._task.get_loop().call_later(_AGAIN, self._strike)
        self._task.cancel()
