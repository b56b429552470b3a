"""What a model was told and what it said, from the first message to the last: what another model can learn from.

It is what the model saw, but for one thing: what gave way to make room stands here, as it was when it was new. What it
never read, behind its last reply, does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from .actions import Carrier, carried
from .carriers import read
from .events import (
    CallsAnswered,
    CodeRan,
    CodeRefused,
    Compacted,
    Event,
    ModelReplied,
    RunStarted,
    Summarised,
    TaskGiven,
)
from .messages import Message, say
from .state import State, after

What: TypeAlias = Literal["system", "task", "reply", "observation", "words"]


@dataclass(frozen=True, slots=True)
class Said:
    """A message, what it is, and of a reply which step of the run it is; None of what is no step."""

    message: Message
    what: What
    step: int | None = None
    reasoning: str = ""  # of a reply, which the model does not read again


def trajectory(events: Iterable[Event], carrier: Carrier | None = None) -> tuple[Said, ...]:
    """The messages of a run; with `carrier` as they were if its code had stood in that."""
    said: list[Said] = []
    state, step = State(), 0
    for event in events:
        if isinstance(event, Compacted | Summarised):
            continue
        shown = event if carrier is None else _carried(event, state, carrier)
        before = len(state.messages)
        state = after(state, shown)
        if isinstance(shown, RunStarted):
            said = [Said(say("system", state.system), "system")]
            continue
        is_step = isinstance(shown, ModelReplied) and state.asked == "step"
        step += is_step
        del said[1 + min(before, len(state.messages)) :]  # a question that was never asked is taken back
        for message in state.messages[before:]:
            if message.role == "assistant" and isinstance(shown, ModelReplied):
                said.append(Said(message, "reply", step if is_step else None, shown.reply.reasoning))
            else:
                said.append(Said(message, _what(shown, message)))
    while said and said[-1].what != "reply":
        said.pop()
    return tuple(said)


def _what(event: Event, message: Message) -> What:
    if message.role == "assistant":
        return "reply"
    match event:
        case TaskGiven() if message.role == "user":
            return "task"
        case CodeRan() | CodeRefused() | CallsAnswered() | ModelReplied():
            return "observation"
        case _:
            return "observation" if message.role == "tool" else "words"


def _carried(event: Event, state: State, carrier: Carrier) -> Event:
    """The same event of a run whose code stood in this carrier."""
    match event:
        case RunStarted():
            return replace(event, carrier=carrier, declarations=())
        case ModelReplied(reply) if reply.tool_calls:
            action = read(reply, "tool")
            text = f"{reply.text.rstrip()}\n{carried(getattr(action, 'source', ''), carrier)}".lstrip("\n")
            return replace(event, reply=replace(reply, text=text, tool_calls=()))
        case _:
            return event
