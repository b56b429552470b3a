"""Code that runs while the model is still writing it: each statement that is whole is looked at, recorded, and run.

The parts of one reply are one cell, which the interpreter is given as they come. Where the cell ends before the reply
does, by an exception or by the answer, the rest of the reply is not waited for; where the reply breaks off, what ran is
the reply. In both cases the model is told, and nothing is asked for again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio

from ..core import actions
from ..core.errors import ModelError, ReplyActedOn
from ..core.events import STOPPED, CodeContinued, CodeRefused, Delta, Discarded, ModelFailed, ModelReplied, TextDelta
from ..core.execution import Outcome
from ..core.growing import Growing
from ..core.messages import Prompt, Reply
from ..core.names import Names, names
from ..core.statements import Loops
from ..history import History
from ..interpreter import Following
from ..ports import Model

_LAST_WORDS = 1.0  # seconds

Run = Callable[[int, str, Following], Awaitable[Outcome]]
Check = Callable[[str, str, Names, bool], list[str]]
"""What is wrong with a part: its lines, those above, what names these bind, and whether more may follow."""


class Eager:
    """Asks the model for replies, and runs them meanwhile; `run` runs a cell of which more is following."""

    def __init__(self, model: Model, history: History, check: Check, run: Run) -> None:
        self._loops = Loops()
        self.writing = False  # whether there is a question whose answer is not recorded yet
        self._model = model
        self._history = history
        self._check = check
        self._run = run

    def saw(self, source: str) -> None:
        """A cell ran that came whole."""
        self._loops.read(source)

    def follow(self, other: Eager) -> None:
        """What ran there has run here."""
        self._loops.follow(other._loops)

    async def ask(self, prompt: Prompt, cell: int) -> Outcome | None:
        """Ask, and record the reply; what came of its code, where some of it ran. Raises ModelError when none did."""
        reply = _Reply(self._history, self._loops, self._check, cell)
        reply.begin(self._model.ask(prompt, reply.emit))
        self.writing = True
        try:
            first = await reply.next()
            if first is None:
                await reply.record_whole()
                return None
            if found := self._check(first, "", Names(), True):
                await reply.record_refused(first, found)
                return None
            reply.goes_on(first)
            outcome = await self._run(cell, first, reply.following)
            if outcome.answer is not None:
                await reply.last_words()
            return outcome
        finally:
            with anyio.CancelScope(shield=True):
                await reply.end()
                if reply.ran:
                    await reply.record()
            self.writing = False


class _Reply:
    """A reply that is being written: what was heard of it, which parts wait to be run, and what ran."""

    def __init__(self, history: History, loops: Loops, check: Check, cell: int) -> None:
        self._history = history
        self._record = history.record
        self._check = check
        self._cell = cell
        self._loops = loops
        self._growing = Growing(loops)
        self._heard: list[str] = []
        self._parts: deque[str] = deque()
        self._news = asyncio.Event()
        self._names = Names()
        self.ran = ""  # or is about to

    def begin(self, asking: Awaitable[Reply]) -> None:
        """The model is asked."""
        self._asking = asyncio.ensure_future(asking)
        self._asking.add_done_callback(lambda _: self._news.set())

    def emit(self, delta: Delta) -> None:
        """What the model says. Raises ReplyActedOn where it takes back what counts already."""
        match delta:
            case TextDelta(text):
                self._heard.append(text)
                self._parts += self._growing.feed(text)
                self._news.set()
            case Discarded() if self._growing.given:
                raise ReplyActedOn("code of the reply has run already")
            case Discarded():
                self._heard.clear()
                self._growing.discard()
            case _:
                pass
        self._history.tell(delta)

    async def next(self) -> str | None:
        """The next part that is whole; None when the reply is over."""
        while not self._parts and not self._asking.done():
            self._news.clear()
            await self._news.wait()
        return self._parts.popleft() if self._parts else None

    async def following(self) -> tuple[str, bool]:
        """More of the cell, looked at and recorded; and whether more may follow."""
        part = await self.next()
        more = part is not None
        source = self._rest() if part is None else part
        if not source:
            return "", False
        if found := self._check(source, self.ran, self._names, more):
            await self._record(CodeRefused(source, tuple(found)))
            return "", False
        await self._record(CodeContinued(self._cell, source))
        if not more:
            self._loops.read(source)
        self.goes_on(source)
        return source, more

    def goes_on(self, source: str) -> None:
        """This part runs next."""
        self.ran += source
        self._names |= names(source)

    def _rest(self) -> str:
        """What is left to run of a reply that came to its end; nothing of one that did not."""
        if self._asking.cancelled() or self._asking.exception() is not None:
            return ""
        code = self._code(self._asking.result())
        return "" if code is None else code[len(self.ran) :]

    def _code(self, reply: Reply) -> str | None:
        """The code of a whole reply, where what ran is the beginning of it."""
        action = actions.read(reply)
        return action.source if isinstance(action, actions.Code) and action.source.startswith(self.ran) else None

    # -- its end -----------------------------------------------------------------------------------------------------

    async def last_words(self) -> None:
        """The code has answered: mostly that is where the reply ends, which says what it cost."""
        await asyncio.wait([self._asking], timeout=_LAST_WORDS)

    async def end(self) -> None:
        """Whatever the model would still say, nobody waits for it."""
        self._asking.cancel()
        await asyncio.wait([self._asking])

    async def record_whole(self) -> None:
        """Nothing of it ran: it is a reply like any other."""
        try:
            reply = await self._asking
        except ModelError as error:
            await self._record(ModelFailed(type(error).__name__, str(error), "".join(self._heard)))
            raise
        await self._record(ModelReplied(reply))

    async def record_refused(self, first: str, found: list[str]) -> None:
        """It ends with its first code, which does not run."""
        await self.end()
        await self._record(ModelReplied(Reply(actions.until("".join(self._heard), len(first)))))
        await self._record(CodeRefused(first, tuple(found)))

    async def record(self) -> None:
        """Some of it ran: that is the reply."""
        heard = Reply("".join(self._heard), finish="unknown")
        error = None if self._asking.cancelled() else self._asking.exception()
        if self._asking.cancelled():
            await self._record(ModelReplied(heard, STOPPED))
        elif error is not None:
            await self._record(ModelReplied(heard, f"broke off: {_cause(error)}"))
            if not isinstance(error, ModelError):
                raise error
        else:
            await self._record(self._replied(self._asking.result(), heard.text))

    def _replied(self, reply: Reply, heard: str) -> ModelReplied:
        if isinstance(actions.read(reply), actions.Nothing):
            return ModelReplied(reply)  # which says by itself why no more of it ran
        code = self._code(reply)
        if code is None:
            return ModelReplied(replace(reply, text=heard), "ended in other words than it was written")
        return ModelReplied(reply, None if code == self.ran else STOPPED)


def _cause(error: BaseException) -> BaseException:
    """What was wrong before it was said that nothing can be asked again."""
    while isinstance(error, ReplyActedOn) and error.__context__ is not None:
        error = error.__context__
    return error
