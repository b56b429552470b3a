"""What the messages are that an event has brought, where that has to be known later."""

from __future__ import annotations

from collections.abc import Sequence

from .events import CallsAnswered, CodeRan, Event, Forked, TaskGiven
from .messages import Message
from .window import Mark


def marks(event: Event, before: Sequence[Message], then: Sequence[Message], said: tuple[str, ...]) -> list[Mark]:
    """The marks of what is new among the messages; `said` are the user's words that stand in the last."""
    last = len(then) - 1
    match event:
        case TaskGiven():
            return [Mark(last, "words")]
        case CodeRan():
            return []  # it is marked where its names are known
        case CallsAnswered() if any(message.role == "tool" for message in then[len(before) :]):
            results = [Mark(place, "result") for place in range(len(before), len(then)) if then[place].role == "tool"]
            return [*results, Mark(last, "words", said)] if said else results
        case CallsAnswered():
            return [Mark(last, "result", said)]
        case Forked(say=say):
            return [Mark(last, "words", (*said, say))]
        case _:
            return [Mark(last, "words", said)] if said else []
