"""A person at the terminal is asked whether a call may run. What is shown of it came from a model: it is made inert."""

from __future__ import annotations

import ast
import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from codeact.core.approvals import PLAN, Allow, Decision, Deny, Edit, Later
from codeact.core.errors import UsageError
from codeact.core.execution import ToolCall
from codeact.core.untrusted import escaped
from codeact.ports import Gate, Listing
from codeact.session.agent import Agent, with_parts
from codeact.terminal import SCREEN, TERMINAL, heard

_CALLS = 5  # that were made before, and are shown
_ARGUMENT = 2000  # characters of one
_KEYS = "y = yes, a = always in this session, e = edit, n = no; or say why not"


class Terminal:
    """A `Gate` that asks on the terminal, also when standard input or output are something else."""

    def __init__(self, keyboard: TextIO, screen: TextIO) -> None:
        self._keyboard = keyboard
        self._screen = screen
        self._left = False  # whoever sat there
        self._asking: asyncio.Future[bytes] | None = None

    async def __call__(self, call: ToolCall) -> Decision:
        """Show the call and read what is decided; it waits in the journal where nobody is there any more."""
        if self._left:
            return Later()
        self._show(call)
        while True:
            line = await self._line("Run it? ")
            match line.strip().lower() if line else None:
                case None:
                    self._left = True
                    return Later()
                case "y" | "yes":
                    return Allow()
                case "a" | "always":
                    return Allow(session=True)
                case "n" | "no":
                    return Deny("the user said no")
                case "e" | "edit":
                    edited = await self._edited(call)
                    if edited is not None:
                        return edited
                case "" | "?" | "h" | "help":
                    self._say(_KEYS)
                case _:
                    return Deny(str(line).strip())

    def leave(self) -> bool:
        """Decide nothing more, and let the question that is asked now wait; whether one is."""
        if self._asking is None:
            return False
        self._left = True
        if not self._asking.done():
            self._asking.set_result(b"")
        return True

    def _show(self, call: ToolCall) -> None:
        for made in call.before[-_CALLS:]:
            self._say(f"  before: {_written(made, 120)}")
        if call.agent:
            self._say(f"? asked by the agent {escaped(call.agent)}")
        if call.kind == "cell":
            self._say(f"? cell {call.cell} is about to run, as it is shown above")
        elif call.kind == "plan":
            self._say("? the model wants to go on by the plan above")
        else:
            self._say(f"? cell {call.cell} calls {_written(call, _ARGUMENT)}")
        self._say(_KEYS)

    async def _edited(self, call: ToolCall) -> Edit | None:
        """The arguments one by one; an empty line keeps one, None is given for what is no Python value."""
        if call.kind == "plan":
            return await self._other_plan()
        arguments = dict(call.arguments)
        for name, value in arguments.items():
            line = await self._line(f"{escaped(name)} = {_value(value, 200)} -> ")
            if line is None:
                return None
            if not line.strip():
                continue
            try:
                arguments[name] = ast.literal_eval(line.strip())
            except (ValueError, SyntaxError):
                self._say(f"not a Python value: {escaped(line.strip())}; text is written in quotes")
                return None
        return Edit(arguments)

    async def _other_plan(self) -> Edit | None:
        """A plan in place of the model's: lines up to an empty one; None where there is none."""
        self._say("Write the plan that counts, and an empty line behind it.")
        lines: list[str] = []
        while (line := await self._line("> ")) is not None and line.strip():
            lines.append(line.rstrip())
        return Edit({PLAN: "\n".join(lines)}) if lines else None

    async def _line(self, question: str) -> str | None:
        """A line that was typed; None at the end of input, and where whoever sat there has left."""
        if self._left:
            return None
        typed: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def take(data: bytes) -> None:
            if not typed.done():
                typed.set_result(data)

        self._say(question, end="")
        self._asking = typed
        try:
            with heard(self._keyboard.fileno(), take):
                line = await typed
        finally:
            self._asking = None
        if self._left:
            self._say("")
        return line.decode(self._keyboard.encoding, "replace") or None

    def _say(self, text: str, end: str = "\n") -> None:
        print(text, end=end, file=self._screen, flush=True)


async def nobody(call: ToolCall) -> Decision:
    """A `Gate` where there is no terminal: every question waits for `codeact approve`."""
    return Later()


@contextmanager
def terminal() -> Iterator[Gate]:
    """Who is asked: the terminal that this process belongs to, or nobody where it has none."""
    with ExitStack() as stack:
        coding = sys.getfilesystemencoding()
        try:
            keyboard = stack.enter_context(open(TERMINAL, encoding=coding, errors="replace"))
            screen = stack.enter_context(open(SCREEN, "w", encoding=coding, errors="replace"))
        except OSError:
            yield nobody
            return
        yield Terminal(keyboard, screen)


@contextmanager
def asking(agent: Agent) -> Iterator[Agent]:
    """The same agent; where it wants somebody to be asked and says not whom, that is whoever sits at the terminal."""
    if agent.approve is None or agent.gate is not None:
        yield agent
        return
    with terminal() as gate:
        if gate is nobody and not isinstance(agent.store, Listing):
            raise UsageError("--approve asks at the terminal, and there is none; nor is the run kept to be asked later")
        yield with_parts(agent, gate=gate)


def _written(call: ToolCall, room: int) -> str:
    if call.kind != "tool":
        return f"a {call.kind}"
    given = ", ".join(f"{escaped(name)}={_value(value, room)}" for name, value in call.arguments.items())
    return f"{escaped(call.tool)}({given})"


def _value(value: object, room: int) -> str:
    text = repr(value)
    return escaped(text if len(text) <= room else f"{text[:room]} ... ({len(text) - room:,} more characters)")
