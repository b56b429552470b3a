"""What the model sees: a view of the state, and the strings that end a reply."""

from __future__ import annotations

from .actions import STOP
from .messages import Prompt, say
from .state import State


def prompt(state: State) -> Prompt:
    """The system message and all that was said. It only ever grows at its end, so that a provider's cache hits."""
    messages = (say("system", state.system), *state.messages)
    if state.started.action == "json":
        return Prompt(messages, tools=state.started.declarations)
    return Prompt(messages, STOP)
