"""What the model sees: a view of the state, and the strings that end a reply."""

from __future__ import annotations

from typing import assert_never

from .actions import stops
from .messages import Prompt, say
from .pointers import ASK_SUMMARY
from .state import State
from .written import STOP


def prompt(state: State) -> Prompt:
    """The system message and all that was said. It grows at its end, so that a provider's cache hits, and is
    shortened rarely.
    """
    messages, gone = (say("system", state.system), *state.messages), state.window.gone
    started = state.started
    match started.action:
        case "code":
            return Prompt(messages, stops(started.carrier), started.declarations, gone)
        case "json":
            return Prompt(messages, tools=started.declarations, gone=gone)
        case "text":
            return Prompt(messages, STOP, gone=gone)
        case _:
            assert_never(started.action)


def summary_prompt(state: State, upto: int) -> Prompt:
    """The start of the same, with the question what has to be remembered of it."""
    messages = (say("system", state.system), *state.messages[:upto], say("user", ASK_SUMMARY))
    gone = state.window.gone + sum(message.role == "assistant" for message in state.messages[upto:])
    return Prompt(messages, tools=state.started.declarations, gone=gone)
