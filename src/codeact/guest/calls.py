"""The cell's door to the host, open while the cell runs: tool calls from any thread, and the final answer."""

from __future__ import annotations

import _thread
import asyncio
from contextlib import suppress
from typing import Any, NoReturn

from . import values
from .channel import Channel, Waiter
from .failures import Failures
from .interrupts import Finished, Interrupted, Interrupts
from .turns import PATIENCE, STEPS
from .wire import Call, Done, TooLarge, Word, encode

OVER = "its cell is over: call tools while the cell runs, and wait for your threads"
LOOK = "tools"  # by this name the host is asked about the tools
_running = asyncio._get_running_loop
ANSWERED = "the final answer is given: nothing more can be called"


class _Awaited(Waiter):
    """A waiter in an event loop: the answer wakes the coroutine there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, channel: Channel) -> None:
        super().__init__()
        self._loop = loop
        self._channel = channel
        self._late: asyncio.TimerHandle | None = None
        self.future: asyncio.Future[None] = loop.create_future()

    def answer(self, word: Any) -> None:
        super().answer(word)
        self.turn()

    def turn(self) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            self._loop.call_soon_threadsafe(self._wake)

    def gone(self) -> bool:
        return not self._loop.is_running()

    def _wake(self) -> None:
        turns = self._channel.turns
        if self.future.done():  # its task was cancelled; or it took its answer, and goes by itself
            if self.future.cancelled():
                turns.over(self)
        elif turns.first(self):
            if self._late is not None:
                self._late.cancel()
            self.future.set_result(None)
            self._pass(STEPS)
        elif self._late is None:
            self._late = self._loop.call_later(PATIENCE, self._wait_no_longer)

    def _wait_no_longer(self) -> None:
        self._channel.turns.late(self)
        self._wake()

    def _pass(self, steps: int) -> None:
        """The next one's turn comes when this answer has had its effects."""
        if steps and self._channel.expecting():
            self._loop.call_soon(self._pass, steps - 1)
        else:
            self._channel.turns.over(self)


class Calls:
    """What stubs and `final_answer` do."""

    def __init__(self, channel: Channel, interrupts: Interrupts, failures: Failures) -> None:
        self._channel = channel
        self._interrupts = interrupts
        self._failures = failures
        self._main = _thread.get_ident()
        self._nonce: str | None = None
        self._awaited: set[_Awaited] = set()
        self._tending = False
        self._lock = _thread.allocate_lock()
        self.answer: values.Packed | None = None
        self.called: set[str] = set()  # in this cell

    def open(self, nonce: str) -> None:
        """A cell begins."""
        self._nonce = nonce

    def shut(self) -> None:
        """The cell is over: what its left-over threads still wait for fails."""
        self._nonce = None
        self._channel.dismiss(["RuntimeError", OVER])

    def forget(self) -> None:
        """Nothing is left of the cell that was."""
        self.answer = None
        self.called.clear()
        self._channel.turns.clear()

    def call(self, tool: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a tool and wait for its value, or raise its failure."""
        waiter = Waiter()
        self._ask(waiter, tool, args, kwargs)
        turns = self._channel.turns
        try:
            self._channel.wait(waiter)
            self._interrupts.check()
            if _running() is None:  # else it would hold up the loop that others take their answers in
                waiter.take_turn(turns)
            return self._result(tool, waiter)
        finally:
            turns.over(waiter)

    def look(self, *question: Any) -> Any:
        """What the host knows of the tools."""
        return self.call(LOOK, question, {})

    async def call_async(self, tool: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The same without blocking the running loop."""
        waiter = _Awaited(asyncio.get_running_loop(), self._channel)
        self._ask(waiter, tool, args, kwargs)
        with self._lock:
            self._awaited.add(waiter)
            if not self._tending:
                self._tending = True
                self._channel.aside(self._tend)
        try:
            await waiter.future
        finally:
            self._awaited.discard(waiter)
        return self._result(tool, waiter)

    def final_answer(self, value: Any) -> NoReturn:
        """Keep the value, the first one, and end the cell."""
        if self._nonce is None:
            raise RuntimeError(f"final_answer(): {OVER}")
        if self._interrupts.fired:
            raise Interrupted("the cell was interrupted before it answered")
        try:
            packed = values.encode(value)
            encode(Done(self._nonce, "final_answer", 0, None, None, None, packed, [], None))
        except (values.Refused, TooLarge) as error:
            raise TypeError(f"final_answer(): the value does not cross the wall: {error}") from None
        with self._lock:
            first = self.answer is None
            if first:
                self.answer = packed
        if first:
            self._channel.dismiss(["RuntimeError", ANSWERED])
            if _thread.get_ident() != self._main:
                self._interrupts.finish()
        raise self._leave()

    def _ask(self, waiter: Waiter, tool: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonce = self._nonce
        if nonce is None:
            raise RuntimeError(f"{tool}(): {OVER}")
        if self.answer is not None:
            raise self._leave()
        packed = _pack(tool, args, kwargs)

        def question(number: int) -> Word:
            if self._nonce is not nonce:  # while it waited for its turn to write
                raise RuntimeError(f"{tool}(): {OVER}")
            return Call(nonce, number, tool, packed)

        if tool != LOOK:
            self.called.add(tool)
        try:
            self._channel.ask(waiter, question)
        except TooLarge as error:
            raise ValueError(f"{tool}(): the arguments are too large: {error}") from None
        self._interrupts.check()

    def _leave(self) -> SystemExit:
        """What ends the main thread's part of the cell, or another thread, which says nothing of a bare SystemExit."""
        return Finished() if _thread.get_ident() == self._main else SystemExit()

    def _result(self, tool: str, waiter: Waiter) -> Any:
        word = waiter.word
        if word.failure is not None:
            raise self._failures.exception(*word.failure)
        try:
            return values.decode(word.value)
        except values.Refused as error:
            raise TypeError(f"{tool}(): the value that came back does not cross the wall: {error}") from None

    def _tend(self) -> None:
        """Read for the event loops, which cannot wait themselves, as long as one of them expects an answer."""
        while True:
            with self._lock:
                waiter = next((w for w in self._awaited if w.word is None), None)
                if waiter is None:
                    self._tending = False
                    return
            self._channel.wait(waiter)


def _pack(tool: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> values.Packed:
    if not kwargs and all(map(values.is_same, args)):
        return values.Packed([list(args), kwargs])
    try:
        return values.encode([list(args), kwargs])
    except values.Refused:
        pass
    for name, value in [*((str(i), value) for i, value in enumerate(args, 1)), *kwargs.items()]:
        try:
            values.encode(value)
        except values.Refused as error:
            raise TypeError(f"{tool}() argument {name}: {error}") from None
    raise TypeError(f"{tool}(): the arguments are too large together")
