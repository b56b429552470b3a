"""The host's end of the wire: one guest's whole life over any pipe, one cell at a time.

Nothing a guest says can raise out of here: what is not of the protocol, or does not end in time, ends the guest, and
the outcome says so. The cell's clock is kept here (wall time while none of its calls is open, the guest's CPU time
while one is), and so is the watch on its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import anyio

from ..begun import Begun
from ..core import hosts
from ..core.catalogue import Catalogue
from ..core.changing import changed
from ..core.events import Connected, Disconnected, OutputDelta
from ..core.execution import CellError, Failure, Limits, Outcome
from ..core.reads import Again
from ..guest import values, wire
from ..network import Proxy, Tell
from ..ports import Emit, Pipe
from . import lookups, verdict
from .capture import Capture
from .job import Asked, Door, Following, Job
from .reads import joined
from .talk import Talk
from .verdict import Lost, Reason

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.01  # between two looks at the clock, the memory and the output
_SOFT = 0.9  # of the memory limit: there the cell is interrupted, at the limit the guest is killed
_LONGEST = 15 << 20  # characters of a cell: at four bytes each they fit into a frame
_INTERRUPTS = 3  # within the grace: code that waits for its own threads on the way out needs a second one
_NONE = Catalogue(())
_INTERRUPTED = Failure("Interrupted", "the cell was stopped while it waited for this call")


class Conversation(Talk):
    """One guest, from its first word to its end."""

    def __init__(self, pipe: Pipe, capture: Capture, limits: Limits) -> None:
        super().__init__(pipe, limits)
        self._capture = capture
        self._job: Job | None = None
        self._last_call = 0
        self._catalogue = _NONE
        self.stopped: int | None = None  # statements of the last cell that ran, where it was cut off
        self._unsettled = False
        self.python = ""
        self.stack = AsyncExitStack()  # what has to be left at its end
        self.reached: Tell | None = None  # hears of each connection
        self.proxy: Proxy | None = None  # where hosts may be reached

    async def close(self) -> None:
        """End the guest and hold nothing of it."""
        self.lost = self.lost or Lost("signal", "the interpreter was closed")
        with anyio.CancelScope(shield=True):
            await self.stack.aclose()

    async def open(self, tools: Catalogue, first: bytes | None) -> None:
        """Tell the guest what the session is made of, in its `first` frame, unless that has been sent.

        Raises Lost when it does not come up.
        """
        self._catalogue = tools
        self._capture.begin()
        try:
            begun = Begun(self._ready(first))  # one that was told ahead has answered already
            if begun.waits:
                async with asyncio.timeout(_START_SECONDS):
                    await begun
            ready = begun.value
        except TimeoutError:
            raise self.end("timeout", f"it did not start within {_START_SECONDS:.0f} s") from None
        except wire.ProtocolError as error:
            raise self.end("signal", f"it broke the protocol: {error}") from None
        except Lost as lost:
            _, last_words, _ = self._capture.end()
            raise Lost(lost.ended, "; ".join([lost.why, *last_words.strip().splitlines()[-1:]])) from None
        self._capture.end()
        self.python = ready.python[:40]

    async def _ready(self, first: bytes | None) -> wire.Ready:
        if first is not None:
            await self._send_frame(first)
        word = await self._next()
        if not isinstance(word, wire.Ready):
            raise wire.ProtocolError(f"{type(word).__name__} in place of Ready")
        return word

    def follow(self, other: Conversation) -> None:
        """This guest is a copy of that one."""
        self._catalogue, self.python, self.reached = other._catalogue, other.python, other.reached

    async def connect(self, line: socket.socket, rules: Sequence[hosts.Rule], stack: AsyncExitStack) -> None:
        """Serve its line from here on, until the stack is left."""

        async def tell(event: Connected | Disconnected) -> None:
            if self.reached is not None:
                await self.reached(event)

        def broken(why: str) -> None:
            if self.lost is None:
                self.end("signal", f"it broke the protocol: {why}")

        self.proxy = await stack.enter_async_context(Proxy(line, rules, self._limits.connections, tell, broken))

    async def bind(self, bindings: dict[str, Any]) -> None:
        """Bind names in the namespace; raises values.Refused for what does not cross, Lost when the guest is gone."""
        packed = values.encode(bindings)
        answer = await self.question(wire.Bind(self.number(), packed), wire.Bound)
        if answer.failure is not None:
            raise values.Refused(answer.failure)

    async def fetch(self, name: str) -> Any:
        """The value of a name; raises NameError or values.Refused, Lost when the guest is gone."""
        answer = await self.question(wire.Fetch(self.number(), name), wire.Fetched)
        if answer.failure is None and answer.value is not None:
            try:
                return values.decode(answer.value)
            except values.Unreadable:
                raise  # it is sound, and cannot be made here: such as a table where there is no pandas
            except values.Refused as error:
                raise self.end("signal", f"it broke the protocol: {error}") from None
        kind, message = (*map(str, answer.failure or ()), "", "")[:2]
        raise (NameError if kind == "NameError" else values.Refused)(message)

    async def run(
        self,
        cell: int,
        source: str,
        seed: bytes,
        door: Door,
        emit: Emit,
        following: Following | None = None,
        again: Again | None = None,
    ) -> Outcome:
        """Run one cell; with `following`, which is asked for the rest of it, the source is its first part.

        Cancelling it interrupts the cell; a guest that does not come out within the grace is ended.
        """
        if len(source) > _LONGEST:
            words = f"a cell of {len(source):,} characters; at most {_LONGEST:,} fit"
            return Outcome("done", error=CellError("ValueError", words, f"ValueError: {words}"))
        job = Job(
            cell,
            os.urandom(8).hex(),
            door,
            emit,
            asyncio.Semaphore(self._limits.open_calls),
            looked=time.monotonic(),
            following=following,
        )
        started = job.looked
        if self._unsettled:  # an interrupt may still be on its way: it must not hit this cell
            self._unsettled = False
            with contextlib.suppress(NameError, values.Refused, Lost):
                await self.fetch("__name__")
        frame = wire.encode(wire.Run(cell, job.nonce, seed.hex(), values.encode(source), more=following is not None))
        self._capture.begin()
        self._job = job
        self.stopped = None
        # the guest begins while we get ready to listen; where that has to wait, it is done below
        sent = self._send_now(frame) if again is None or not again.reads else 0
        # a task of its own, which no cancellation reaches: a frame cut in the middle would end the guest
        over: asyncio.Future[wire.Done | Lost] = asyncio.get_running_loop().create_future()
        talk = asyncio.create_task(self._converse(job, frame[sent:], again, over))
        try:
            heard = await over
        except asyncio.CancelledError:
            self._interrupt(job, "interrupt")
            with anyio.CancelScope(shield=True):
                await asyncio.wait([talk])
            self.stopped = done.complete if isinstance(done := talk.result(), wire.Done) else None
            raise
        finally:
            self._job = None
            self._unsettled = job.reason is not None  # also when it was cancelled
            self._show(job)
            stdout, stderr, dropped = self._capture.end()
        if job.broken is not None:
            raise job.broken
        if isinstance(heard, Lost):
            outcome = verdict.lost(heard, job.reason if job.killed else None, self._limits)
        else:
            outcome = verdict.heard(heard, job.reason, self._limits)
        spent = time.monotonic() - started - job.waited
        clock = job.told.take()
        return changed(outcome, stdout=stdout, stderr=stderr, dropped=dropped, seconds=spent, clock=clock)

    def interrupt(self) -> None:
        """Stop the cell that runs now, keeping its variables if it comes out within the grace."""
        if self._job is not None:
            self._interrupt(self._job, "interrupt")

    # -- a cell ------------------------------------------------------------------------------------------------------

    async def _converse(
        self, job: Job, rest: bytes, again: Again | None, over: asyncio.Future[wire.Done | Lost]
    ) -> wire.Done | Lost | None:
        """From the `rest` of the frame that starts the cell to its end, which is told at once when it is known."""
        self._watch(job)
        heard: wire.Done | Lost
        try:
            try:
                if again is not None and again.reads:
                    await self._send(wire.Clock(joined(again.reads), again.ended))
                if rest:
                    await self._send_frame(rest)
                self._weigh(job)  # while the guest wakes up
                heard = await self._listen(job)
                job.over, job.stopping = True, time.monotonic()
            except Lost as lost:
                heard = lost
            self._stop_calls(job)  # also those of threads that outlive their cell
            if job.answers:
                await asyncio.wait(job.answers)
            if not over.done():
                over.set_result(heard)
            return heard
        except BaseException as error:
            if over.done():
                raise
            over.set_exception(error)
            return None
        finally:
            job.ticks.cancel()

    async def _listen(self, job: Job) -> wire.Done:
        try:
            while True:
                word = await self._next()
                if not isinstance(word, wire.Call | wire.Looked | wire.Next | wire.Done) or word.nonce != job.nonce:
                    raise wire.ProtocolError(f"{type(word).__name__} out of its place")
                if isinstance(word, wire.Next):
                    self._go_on(job)
                    continue
                if isinstance(word, wire.Looked):
                    job.told.hear(word)
                    continue
                if isinstance(word, wire.Done):
                    verdict.check(word)
                    if job.killed:  # its end was on its way: this cell is told of the death, not the next one
                        raise self.end("signal", "the interpreter was killed")
                    return word
                if word.id <= self._last_call:
                    raise wire.ProtocolError("a call's id twice")
                self._last_call = word.id
                job.calls += 1
                await job.slots.acquire()
                job.answers.add(asyncio.create_task(self._answer(job, word, job.calls)))
                if self._words:
                    await asyncio.sleep(0)  # of many that came together one a turn: other sessions want theirs
        except wire.ProtocolError as error:
            raise self.end("signal", f"it broke the protocol: {error}") from None

    def _go_on(self, job: Job) -> None:
        following, job.following = job.following, None
        if following is None:
            raise wire.ProtocolError("Next out of its place")
        more = asyncio.create_task(self._give_more(job, following))
        job.answers.add(more)
        more.add_done_callback(job.answers.discard)

    async def _give_more(self, job: Job, following: Following) -> None:
        """Waiting for the rest of a cell is to its clock, and to what stops it, as waiting for a call."""
        started = time.monotonic()
        try:
            if job.reason is not None or job.over:
                return  # the interrupt finds it waiting
            job.asked.add(this := _current_task())
            try:
                source, more = await following()
            finally:
                job.asked.discard(this)
                job.waited += time.monotonic() - started
        except asyncio.CancelledError:
            return
        except Exception as error:  # ours, such as a journal that cannot write
            job.broken = error
            self._interrupt(job, "interrupt")
            return
        job.following = following if more else None
        with contextlib.suppress(Lost):  # whoever listens has noticed too
            await self._send(wire.More(job.nonce, values.encode(source), more))

    async def _answer(self, job: Job, call: wire.Call, number: int) -> None:
        this = _current_task()
        try:
            answer = await self._asked_for(job, call, number, this)
            try:
                await self._send(_returned(call.id, answer))
            except wire.TooLarge as error:
                await self._send(_returned(call.id, Failure("ValueError", f"the result of {call.tool}(): {error}")))
        except Lost:
            return  # whoever listens has noticed too
        finally:
            job.answers.discard(this)
            job.slots.release()  # not sooner: of a guest that takes no answers we would keep ever more of them

    async def _asked_for(
        self, job: Job, call: wire.Call, number: int, this: asyncio.Task[Any]
    ) -> values.Packed | Failure:
        answer: values.Packed | Failure = _INTERRUPTED
        try:
            if job.reason is None and not job.over:
                job.asked.add(this)
                try:
                    answer = await self._ask(job, call, number)
                finally:
                    job.asked.discard(this)  # from here on it is not cancelled: what is sent is sent whole
        except asyncio.CancelledError:
            pass  # by us: the cell is told
        except Exception as error:  # ours, such as a journal that cannot write: the run must end, not the cell go on
            job.broken = error
            self._interrupt(job, "interrupt")
        return answer

    async def _ask(self, job: Job, call: wire.Call, number: int) -> values.Packed | Failure:
        catalogue = self._catalogue
        if call.tool not in catalogue.names:
            return Failure("NameError", f"there is no tool named {call.tool[:80]!r}")
        if number > self._limits.calls:
            limit = f"{self._limits.calls:,} tool calls are the most that one cell may make"
            return Failure("RuntimeError", f"{limit}; do the rest in the next cell")
        if call.tool == lookups.NAME:
            return lookups.answer(catalogue, call.arguments)
        return await job.door(Asked(job.cell, call.tool, call.arguments, job.told.take()))

    def _stop_calls(self, job: Job) -> None:
        for task in job.asked:
            task.cancel()

    # -- its limits --------------------------------------------------------------------------------------------------

    def _watch(self, job: Job) -> None:
        """Look at the cell now and then, as long as it runs."""
        job.ticks = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._watch, job)
        now = time.monotonic()
        if now - job.looked >= _LOOK_SECONDS / 2:
            self._look(job, now)
            self._show(job)

    def _weigh(self, job: Job) -> None:
        """See where the cell begins."""
        usage = self.pipe.usage()
        job.soft = self._limits.memory * _SOFT
        if usage is not None:
            job.cpu = usage.cpu
            job.soft = max(job.soft, (usage.memory + self._limits.memory) / 2)  # a full one may still make room

    def _look(self, job: Job, now: float) -> None:
        if job.over:
            if now - job.stopping > self._limits.grace:
                self.end("signal", "it did not take the answers to its calls")
            return
        usage = self.pipe.usage()
        passed, job.looked = now - job.looked, now
        if usage is not None:
            burnt, job.cpu = usage.cpu - job.cpu, usage.cpu
            job.spent += min(burnt, passed) if job.asked else passed
            if usage.memory > self._limits.memory:
                self._kill(job, "memory")
            elif usage.memory > job.soft:
                self._interrupt(job, "memory")
        elif not job.asked:
            job.spent += passed
        if job.spent > self._limits.seconds:
            self._interrupt(job, "timeout")
        if job.reason is not None:
            grace = self._limits.grace
            if now - job.stopping > grace:
                self._kill(job, job.reason)
            elif now - job.stopping > grace * job.interrupts / _INTERRUPTS:
                job.interrupts += 1
                self.pipe.interrupt()

    def _interrupt(self, job: Job, reason: Reason) -> None:
        if job.reason is None:
            job.reason = reason
            job.stopping = time.monotonic()
            job.interrupts = 1
            self.pipe.interrupt()
            self._stop_calls(job)

    def _kill(self, job: Job, reason: Reason) -> None:
        if not job.killed:
            job.reason, job.killed = reason, True
            self.pipe.kill()

    def _show(self, job: Job) -> None:
        for stream, text in self._capture.fresh():
            job.emit(OutputDelta(stream, text))


def _returned(number: int, answer: values.Packed | Failure) -> wire.Returned:
    if isinstance(answer, Failure):
        return wire.Returned(number, None, [answer.type, answer.message])
    return wire.Returned(number, answer, None)


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
