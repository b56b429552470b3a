"""Words over a pipe: sent whole, read strictly, and a guest that breaks the rules or falls silent is ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, cast

import anyio

from ..core.execution import Death, Ended, Limits
from ..crashpoints import crashpoint
from ..guest import values, wire
from ..ports import Immediate, Pipe
from . import verdict
from .verdict import Lost


class Talk:
    """The host's side of one channel; `lost` says that it is over, and why."""

    def __init__(self, pipe: Pipe, limits: Limits) -> None:
        self.pipe = pipe
        self.lost: Lost | None = None
        self._limits = limits
        self._decoder = wire.Decoder(wire.GUEST_WORDS)
        self._words: deque[wire.Word] = deque()
        self._sending = asyncio.Lock()
        self._last_question = 0

    def number(self) -> int:
        """That of the next question."""
        self._last_question += 1
        return self._last_question

    async def question(
        self, word: wire.Bind | wire.Fetch | wire.Copy | wire.Put, kind: type, seconds: float | None = None
    ) -> Any:
        """The answer to a question, which is of this kind; raises values.Refused for one too large, or Lost."""
        async with self._asked(word, seconds):
            return await self.answer(kind, word.id)

    async def hear(self, word: wire.Collect, take: Callable[[wire.Word], bool], seconds: float) -> None:
        """Hear answers to this, until one is the last. A ProtocolError of `take` ends the guest. Raises Lost."""
        async with self._asked(word, seconds):
            while not take(await self._next()):
                pass

    @asynccontextmanager
    async def _asked(self, word: wire.Word, seconds: float | None) -> AsyncIterator[None]:
        if self.lost is not None:
            raise self.lost
        try:
            wire.encode(word)
        except wire.TooLarge as error:
            raise values.Refused(f"$: {error}") from None
        async with self.in_the_middle("it did not answer", seconds):
            await self._send(word)
            yield

    async def answer(self, kind: type, number: int) -> Any:
        """The guest's next word, which has to be of this kind and number. Raises Lost."""
        answer = await self._next()
        if not isinstance(answer, kind) or getattr(answer, "id", None) != number:
            raise wire.ProtocolError(f"{type(answer).__name__} out of its place")
        return answer

    @asynccontextmanager
    async def in_the_middle(self, silence: str, seconds: float | None = None) -> AsyncIterator[None]:
        """Within, the guest owes us something: when it does not come in time, or not as it should, the guest is ended.

        `silence` says what it did not do. Raises Lost.
        """
        whole = False
        seconds = seconds or self._limits.seconds
        try:
            with anyio.fail_after(seconds):
                yield
            whole = True
        except TimeoutError:
            raise self.end("timeout", f"{silence} within {seconds:g} s") from None
        except wire.ProtocolError as error:
            raise self.end("signal", f"it broke the protocol: {error}") from None
        finally:
            if not whole and self.lost is None:  # cancelled half-way: nobody knows where the stream stands
                self.end("signal", "it was cut off in the middle of a transfer")

    def end(self, ended: Ended, why: str) -> Lost:
        """End the guest, and say so from here on."""
        self.pipe.kill()
        self.lost = Lost(ended, why)
        return self.lost

    def _send_now(self, frame: bytes) -> int:
        """How much of a frame went without a wait; what is left must be sent before anything else."""
        if self._sending.locked() or not _is_immediate(type(self.pipe)):
            return 0
        return cast(Immediate, self.pipe).send_now(frame)

    async def _send(self, word: wire.Word) -> None:
        await self._send_frame(wire.encode(word))

    async def _send_frame(self, frame: bytes) -> None:
        async with self._sending:
            crashpoint("send")
            try:
                await self.pipe.send(frame)
            except OSError:
                raise await self._died() from None
            crashpoint("sent")

    async def _next(self) -> wire.Word:
        while not self._words:
            crashpoint("receive")
            data = await self.pipe.receive()
            crashpoint("received")
            if not data:
                raise await self._died()
            self._words.extend(self._decoder.feed(data))
        return self._words.popleft()

    async def _died(self) -> Lost:
        """The channel has ended: how did the guest?"""
        if self.lost is None:
            death: Death | None = None
            with anyio.move_on_after(2):
                death = await self.pipe.ended()
            if death is None:  # it closed its channel and lives on
                self.pipe.kill()
                death = Death("exit", "it closed its channel")
            self.lost = verdict.obituary(death)
        return self.lost


@lru_cache(maxsize=16)
def _is_immediate(kind: type) -> bool:
    return issubclass(kind, Immediate)  # to look is slow: once for each kind of pipe
