"""The questions of a run that wait for an answer, read off its events."""

from __future__ import annotations

from collections.abc import Iterable

from .events import ApprovalAsked, ApprovalGiven, CodeRan, Event, Resumed, TaskEnded, TaskGiven
from .state import CUT_OFF


def waiting(events: Iterable[Event]) -> tuple[ApprovalAsked, ...]:
    """What was asked and not answered, in order; nothing of what has ended without an answer to it."""
    asked: dict[str, ApprovalAsked] = {}
    for event in events:
        match event:
            case ApprovalAsked(key):
                asked[key] = event
            case ApprovalGiven(key):
                asked.pop(key, None)
            case CodeRan(cell):
                asked = {key: one for key, one in asked.items() if one.cell != cell}
            case TaskEnded(reason) if reason in CUT_OFF:
                pass
            case TaskGiven() | TaskEnded() | Resumed(fresh=True):
                asked.clear()
            case _:
                pass
    return tuple(asked.values())
