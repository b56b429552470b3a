"""What a reply does, in the form in which its session acts."""

from __future__ import annotations

from typing import assert_never

from . import carriers
from .actions import Action, read_calls
from .deferral import by_flat_name
from .events import RunStarted
from .messages import Reply
from .written import read_text


def action_of(reply: Reply, started: RunStarted) -> Action:
    """The code to run, the tools to call, or nothing, with the reason."""
    match started.action:
        case "code":
            return carriers.read(reply, started.carrier)
        case "json":
            return read_calls(reply)
        case "text":
            return read_text(reply, by_flat_name(started.tools), started.answer)
        case _:
            assert_never(started.action)
