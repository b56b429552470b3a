"""One conversation: its session, its turns, and where each of them can be taken back to."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import TextIO, cast

import anyio

from codeact.core.approvals import Decision
from codeact.core.errors import CodeactError, SandboxUnavailable
from codeact.core.events import Delta, Event, InputsGiven, TaskEnded, TaskGiven, ToolCalled, ToolReturned
from codeact.core.execution import ToolCall
from codeact.core.files import File
from codeact.core.untrusted import inline
from codeact.listeners.console import Console, is_terminal
from codeact.ports import Gate
from codeact.secrets import Secret
from codeact.session.agent import Agent, with_parts
from codeact.session.result import RunResult
from codeact.session.resuming import Resume
from codeact.session.rewinding import Mark
from codeact.session.session import Session

from ...signals import on_signal
from .. import exits, keyboard, lines, paused, streams
from ..run import Done
from .composing import Reading
from .ears import Ears

_COPIES = 3  # turns whose variables are kept as copies; further back cells are run again


@dataclass(slots=True)
class Turn:
    """A turn, and the place before it."""

    task: str
    session: Session
    mark: Mark

    @property
    def called(self) -> list[str]:
        """The tools that were called in it."""
        events = self.session.events[self.mark.events :]
        return list(dict.fromkeys(event.tool for event in events if isinstance(event, ToolCalled)))


class Talk:
    """A conversation with an agent; what is drawn of it goes to the console."""

    def __init__(
        self,
        agent: Agent,
        console: Console,
        out: TextIO | None,
        files: Sequence[File],
        secrets: Mapping[str, Secret],
        max_steps: int | None,
    ) -> None:
        self._console = console
        self._out = out
        self._files = tuple(files)
        self._secrets = secrets
        self._max_steps = max_steps
        self._turns: list[Turn] = []
        self._status = exits.DONE
        self._ears = Ears(self._said) if streams.at_keyboard() else None
        self._typed = self._ears is not None and is_terminal(sys.stdout)
        self._stack = AsyncExitStack()
        self.session: Session
        self.agent = with_parts(agent, gate=None if agent.gate is None else self._asked(agent.gate))

    async def go_on(self, reading: Reading, resume: Resume | None, obey: Callable[[Talk, str], Awaitable[bool]]) -> int:
        """Talk until nothing more is said, or a command is not obeyed, and give the exit code."""
        async with self._stack:
            self.session = await self._stack.enter_async_context(Session(self.agent, [self._draw], resume=resume))
            self._first = self.session
            self.tell(f"Talking with {inline(self.agent.model.name)}. /help lists the commands, Ctrl-D leaves.")
            if resume is not None:
                await self._take_up(resume.run)
            while (said := self._next(reading)) is not None:
                if said.startswith("/") and not said.startswith("//"):
                    if not await obey(self, said):
                        break
                else:
                    await self._turn(said.removeprefix("/") if said.startswith("//") else said)
            with keyboard.on_interrupt(signal.SIG_IGN):  # once more Ctrl-C changes nothing any more
                self._leave()
                await self._stack.aclose()
        return exits.DONE if streams.at_keyboard() else self._status

    async def _take_up(self, run: str) -> None:
        """Stand where a conversation was left; one that was cut off in the middle of a turn goes on there."""
        events = self.session.events
        begun = [place for place, event in enumerate(events) if isinstance(event, TaskGiven)]
        for place in begun:
            given = isinstance(events[place - 1], InputsGiven)  # files and variables come before their task
            self._turns.append(Turn(cast(TaskGiven, events[place]).task, self.session, Mark(place - given, None)))
        if not begun:
            return
        last = inline(self._turns[-1].task, 70)
        self.tell(f"The run {run[:12]} goes on after {_turns(len(begun))}; the last: {last}")
        ends = [event for event in events[begun[-1] :] if isinstance(event, TaskEnded)]
        if not ends or ends[-1].stop_reason == "paused":
            self.tell("It was cut off in the middle of that, and goes on there.")
            await self._worked(self.session.resume())
        else:
            await self.session.give_up()

    def _next(self, reading: Reading) -> str | None:
        waiting = self._ears.kept() if self._ears is not None else None
        return waiting or reading()

    def _leave(self) -> None:
        if getattr(self.agent.store, "path", None) is not None and self._turns:
            self.tell(f"It is kept: codeact chat --resume {self.session.run_id[:12]}")

    # -- a turn --------------------------------------------------------------------------------------------------------

    async def _turn(self, task: str) -> None:
        files, self._files = self._files, ()
        given = self._secrets if not self._turns else {}
        self._turns.append(Turn(task, self.session, await self.session.mark()))
        for old in self._turns[:-_COPIES]:
            await old.mark.lighten()
        await self._worked(self.session.run(task, additional_args=given, files=files, max_steps=self._max_steps))

    async def _worked(self, work: Awaitable[RunResult]) -> None:
        """See a turn to its end. Ctrl-C stops it, and the conversation goes on."""
        with self._ears.open() if self._ears is not None else nullcontext():
            error = await self.stoppable(work)
        done = Done(self.session.result, self.session.level, error)
        self._status = exits.DONE if done.status() == exits.DONE else exits.NOT_DONE
        paused.tell(self.agent.store, done.result)
        if self._out is not None:
            print(lines.line(done.line()), file=self._out, flush=True)

    async def stoppable(self, work: Awaitable[object]) -> Exception | None:
        """See it to its end, or to Ctrl-C, and give what it raised."""
        with anyio.CancelScope() as scope:
            try:
                with on_signal(signal.SIGINT, scope.cancel):
                    await work
            except SandboxUnavailable:
                raise
            except Exception as error:
                if not isinstance(error, CodeactError):  # not foreseen: whoever mends it needs this
                    traceback.print_exception(error)
                return error
        return None

    async def _said(self, text: str) -> None:
        await self.session.say(text)

    def _asked(self, gate: Gate) -> Gate:
        """The same gate, which has the keyboard for itself."""

        async def ask(call: ToolCall) -> Decision:
            if self._ears is None:
                return await gate(call)
            self._ears.leave("gate")
            try:
                return await gate(call)
            finally:
                self._ears.take("gate")

        return ask

    def _draw(self, news: Event | Delta) -> None:
        match news:
            case ToolCalled(key, tool="ask_user") if self._ears is not None:
                self._ears.leave(key)
            case ToolReturned(key) if self._ears is not None:
                self._ears.take(key)
            case TaskGiven() if self._typed:  # it stands above, as it was typed
                news = replace(news, task="")
            case _:
                pass
        try:
            self._console(news)
        except BrokenPipeError:
            streams.hang_up()

    # -- what commands do ----------------------------------------------------------------------------------------------

    def tell(self, text: str, *, plain: bool = False) -> None:
        """Something beside the conversation, fit for a terminal."""
        dim = self._typed and not plain and not os.environ.get("NO_COLOR")
        print(f"\033[2m{text}\033[0m" if dim else text, flush=True)

    async def undo(self) -> Turn | None:
        """Take the last turn back, and give it; None where there is none."""
        if not self._turns:
            return None
        turn, left = self._turns[-1], self.session
        self.session = await turn.session.back(turn.mark, listeners=[self._draw])
        self._stack.push_async_callback(self.session.close)
        self._turns.pop()
        await turn.mark.lighten()
        if left is not self._first and all(left is not one.session for one in self._turns):
            await left.close()
        return turn


def _turns(number: int) -> str:
    return f"{number} turn{'' if number == 1 else 's'}"
