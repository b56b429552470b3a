"""A model that is not asked more often than its provider allows: who comes too early waits for his turn."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable

import anyio

from codeact.core.errors import UsageError
from codeact.core.events import Waiting
from codeact.core.messages import Prompt, Reply
from codeact.ports import Emit, Model

_WINDOW = 60.0  # seconds
_WORTH_SAYING = 1.0  # a wait that a user would wonder about


class RateLimited:
    """`model`, asked at most `per_minute` times in any minute, by all runs together; below 1, once in so many minutes.

    Questions are sent in the order in which they came. Put it inside of `Retrying`, so that every try counts.
    """

    def __init__(
        self,
        model: Model,
        per_minute: float,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not per_minute > 0:
            raise UsageError(f"per_minute={per_minute!r}: it must be more than 0")
        self._model = model
        self._count = max(1, int(per_minute))
        self._window = _WINDOW * self._count / per_minute
        self._sleep = sleep
        self._clock = clock
        self._turns: deque[float] = deque(maxlen=self._count)  # the last ones, also those still to come
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The name of the model that is asked."""
        return self._model.name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The model's reply, once it is this question's turn."""
        wait = self._take_turn()
        if wait >= _WORTH_SAYING:
            emit(Waiting(f"{self.name} may be asked again in {wait:.0f} s"))
        if wait > 0:
            await self._sleep(wait)
        return await self._model.ask(prompt, emit)

    def _take_turn(self) -> float:
        """How long to wait. A turn that is taken stays taken, also when whoever took it leaves before."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._turns[0] + self._window) if len(self._turns) == self._count else now
            self._turns.append(turn)
            return turn - now
