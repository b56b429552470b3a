"""A person at the terminal is asked whether a call may run. What is shown of it came from a model: it is made inert."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

import anyio
import anyio.from_thread
import anyio.lowlevel

from codeact.core.approvals import PLAN, Allow, Decision, Deny, Edit
from codeact.core.errors import UsageError
from codeact.core.execution import ToolCall
from codeact.core.untrusted import escaped

_CALLS = 5  # that were made before, and are shown
_ARGUMENT = 2000  # characters of one
_KEYS = "y = yes, a = always in this session, e = edit, n = no; or say why not"


class Terminal:
    """A `Gate` that asks on the terminal, also when standard input or output are something else."""

    def __init__(self, keyboard: TextIO, screen: TextIO) -> None:
        self._keyboard = keyboard
        self._screen = screen

    async def __call__(self, call: ToolCall) -> Decision:
        """Show the call and read what is decided."""
        self._show(call)
        while True:
            line = await self._line("Run it? ")
            match line.strip().lower() if line else None:
                case None:
                    return Deny("nobody is at the terminal any more")
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
            if line is None or not line.strip():
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
        """A line that was typed; None at the end of input. Cancelled, it leaves its thread behind, at the keyboard."""
        answer: list[str] = []
        done = anyio.Event()
        token = anyio.lowlevel.current_token()

        def read() -> None:
            try:
                answer.append(self._keyboard.readline())
            except (OSError, ValueError):
                answer.append("")
            _quietly(lambda: anyio.from_thread.run_sync(done.set, token=token))

        self._say(question, end="")
        threading.Thread(target=read, name="codeact-approve", daemon=True).start()
        await done.wait()
        return answer[0] or None

    def _say(self, text: str, end: str = "\n") -> None:
        print(text, end=end, file=self._screen, flush=True)


@contextmanager
def terminal() -> Iterator[Terminal]:
    """The one that this process belongs to. Raises UsageError where there is none."""
    with ExitStack() as stack:
        coding = sys.getfilesystemencoding()
        try:
            keyboard = stack.enter_context(open("/dev/tty", encoding=coding, errors="replace"))
            screen = stack.enter_context(open("/dev/tty", "w", encoding=coding, errors="replace"))
        except OSError:
            raise UsageError("--approve asks at the terminal, and there is none: leave it out") from None
        yield Terminal(keyboard, screen)


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except RuntimeError:  # the loop has ended: nobody waits
        return


def _written(call: ToolCall, room: int) -> str:
    if call.kind != "tool":
        return f"a {call.kind}"
    given = ", ".join(f"{escaped(name)}={_value(value, room)}" for name, value in call.arguments.items())
    return f"{escaped(call.tool)}({given})"


def _value(value: object, room: int) -> str:
    text = repr(value)
    return escaped(text if len(text) <= room else f"{text[:room]} ... ({len(text) - room:,} more characters)")
