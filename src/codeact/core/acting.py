"""What a session is told to do, and what a reply does, in the form in which its session acts."""

from __future__ import annotations

from typing import assert_never

from .actions import Action, read, read_calls
from .deferral import by_flat_name
from .events import RunStarted
from .messages import Reply
from .system import calling_prompt, system_prompt, writing_prompt
from .written import read_text


def action_of(reply: Reply, started: RunStarted) -> Action:
    """The code to run, the tools to call, or nothing, with the reason."""
    match started.action:
        case "code":
            return read(reply)
        case "json":
            return read_calls(reply)
        case "text":
            return read_text(reply, by_flat_name(started.tools), started.answer)
        case _:
            assert_never(started.action)


def system_of(event: RunStarted) -> str:
    """The system message of a session."""
    if event.action == "json":
        return calling_prompt(event.instructions)
    if event.action == "text":
        return writing_prompt(event.tools, event.limits, event.instructions, event.answer)
    return system_prompt(
        event.tools, event.imports, event.limits, event.instructions, event.network, event.mounts, event.answer
    )
