"""What the model sees: a view of the state, and the strings that end a reply."""

from __future__ import annotations

from .actions import STOP
from .messages import Prompt, say
from .pointers import ASK_SUMMARY
from .state import State
from .written import STOP as STOP_TEXT


def prompt(state: State) -> Prompt:
    """The system message and all that was said. It grows at its end, so that a provider's cache hits, and is
    shortened rarely.
    """
    messages, gone = (say("system", state.system), *state.messages), state.window.gone
    if state.started.action == "json":
        return Prompt(messages, tools=state.started.declarations, gone=gone)
    return Prompt(messages, STOP_TEXT if state.started.action == "text" else STOP, gone=gone)


def summary_prompt(state: State, upto: int) -> Prompt:
    """The start of the same, with the question what has to be remembered of it."""
    messages = (say("system", state.system), *state.messages[:upto], say("user", ASK_SUMMARY))
    gone = state.window.gone + sum(message.role == "assistant" for message in state.messages[upto:])
    return Prompt(messages, tools=state.started.declarations, gone=gone)
