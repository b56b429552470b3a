"""The call that a tool is answering: any tool can ask which it is, in its thread, in its task, behind any server.

It stands in a context variable, which goes with a task, and with the threads that blocking tools run in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ..core.events import Delta, Event
from ..ports import Model


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """The session that calls, as tools of our own need it: its model, and who is told what passes."""

    tell: Callable[[Event | Delta], None]
    model: Model | None = None  # None where an interpreter alone calls
    beside: Callable[[str], Awaitable[int]] | None = None  # the place of a question to it, for the call of this key


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as its tool sees it.

    `key` is what the call is, not when: the same call of the same cell of the same run has it again, after a restart
    too. So it can be given to a server as an idempotency key.
    """

    key: str
    run: str
    cell: int
    tool: str
    caller: Caller | None = field(default=None, repr=False, compare=False)
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)  # what tools remember for the run


ANSWERING: ContextVar[Call] = ContextVar("codeact_call")


def current_call() -> Call:
    """The call that is being answered. Raises RuntimeError outside of a tool."""
    try:
        return ANSWERING.get()
    except LookupError:
        raise RuntimeError(
            "no tool call is being answered here: current_call() works inside a tool, in the task or the thread that "
            "it was called in"
        ) from None
