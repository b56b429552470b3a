"""A model that is asked again when the world fails it: the server is busy, gone, or cut off its reply."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio

from codeact.core.errors import ModelProtocolError, ModelUnavailable
from codeact.core.events import Delta, Discarded, ReasoningDelta, TextDelta, Waiting
from codeact.core.messages import Prompt, Reply
from codeact.ports import Emit, Model

_FIRST = 1.0  # seconds before the first retry, about; each next wait is twice as long

Sleep = Callable[[float], Awaitable[None]]


class Retrying:
    """`model`, asked up to `retries` times more. Waits grow, vary by chance, and never exceed `cap` seconds.

    Only ModelUnavailable and ModelProtocolError are worth another try. A reply's `usage.requests` counts all tries;
    the tokens of a try that failed are not known, so they are not in it.
    """

    def __init__(
        self,
        model: Model,
        retries: int = 3,
        cap: float = 60.0,
        sleep: Sleep = anyio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._model = model
        self._retries = retries
        self._cap = cap
        self._sleep = sleep
        self._chance = chance

    @property
    def name(self) -> str:
        """The name of the model that is asked."""
        return self._model.name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The first reply that comes whole; the last error when none does."""
        for failed in range(self._retries + 1):
            streamed = False

            def watch(delta: Delta) -> None:
                nonlocal streamed
                streamed = streamed or isinstance(delta, TextDelta | ReasoningDelta)
                emit(delta)

            try:
                reply = await self._model.ask(prompt, watch)
            except (ModelUnavailable, ModelProtocolError) as error:
                if failed == self._retries:
                    raise
                if streamed:  # where somebody has acted on it already, this raises: nothing is asked again
                    emit(Discarded(f"{error}; asking again from the start"))
                wait = self._wait(failed, error.retry_after if isinstance(error, ModelUnavailable) else None)
                emit(Waiting(f"{error}; trying again in {wait:.0f} s ({failed + 1} of {self._retries})"))
                await self._sleep(wait)
            else:
                return replace(reply, usage=replace(reply.usage, requests=reply.usage.requests + failed))
        raise AssertionError("unreachable: the last try returns or raises")

    def _wait(self, failed: int, asked: float | None) -> float:
        """What the server asked for, or a growing time; a quarter more or less by chance, so that clients part."""
        if asked is not None:
            return min(asked + self._chance(), self._cap)  # never sooner than the server wants
        grown = _FIRST * 2.0 ** min(failed, 16)
        return min(grown * (0.75 + 0.5 * self._chance()), self._cap)
