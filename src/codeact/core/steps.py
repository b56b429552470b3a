"""A task step by step: what the model replied, what ran of it, and what came of that, read off the events."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .events import (
    ApprovalGiven,
    CallAnswered,
    CallsAnswered,
    CodeContinued,
    CodeRan,
    CodeRefused,
    CodeStarted,
    Event,
    ModelAsked,
    ModelReplied,
    PlanMade,
    ToolCalled,
)
from .execution import Outcome
from .messages import Reply


@dataclass(frozen=True, slots=True)
class Step:
    """One reply of the model, and what came of it.

    `source` is the code of cell number `cell`, and `outcome` what came of it; both are None where nothing ran. What
    kept code from running stands in `complaints` and `denied`. `calls` are those that the reply made in its provider's
    own form, `tool_calls` all calls that reached a tool. `plan` is the one that was made before this step, if any.
    """

    number: int
    reply: Reply
    cell: int | None = None
    source: str | None = None
    outcome: Outcome | None = None
    complaints: tuple[str, ...] = ()
    denied: str | None = None
    calls: tuple[CallAnswered, ...] = ()
    tool_calls: tuple[ToolCalled, ...] = ()
    plan: str | None = None


def steps_of(events: Iterable[Event]) -> tuple[Step, ...]:
    """The steps that these events are of, in order; one whose reply never came is none."""
    steps: list[Step] = []
    called: list[ToolCalled] = []
    early: list[Event] = []  # what ran before the reply was whole
    asked: ModelAsked | None = None
    replied = False
    plan: str | None = None
    for event in events:
        match event:
            case ModelAsked():
                _close(steps, called)
                asked, replied = event, False
                early.clear()
            case ModelReplied(reply) if asked is not None and asked.purpose == "step":
                steps.append(functools.reduce(_grown, early, Step(asked.step, reply, plan=plan)))
                plan, replied = None, True
            case PlanMade(_, made):
                plan = made
            case ToolCalled():
                called.append(event)
            case _ if not replied:
                early.append(event)
            case _ if asked is not None and asked.purpose == "step":
                steps[-1] = _grown(steps[-1], event)
            case _:
                pass
    _close(steps, called)
    return tuple(steps)


def _close(steps: list[Step], called: list[ToolCalled]) -> None:
    if steps and called:
        steps[-1] = replace(steps[-1], tool_calls=(*steps[-1].tool_calls, *called))
    called.clear()


def _grown(step: Step, event: Event) -> Step:
    match event:
        case CodeStarted(cell, source):
            return replace(step, cell=cell, source=source)
        case CodeContinued(_, source):
            return replace(step, source=(step.source or "") + source)
        case CodeRan(_, outcome):
            return replace(step, outcome=outcome)
        case CodeRefused(_, complaints) if step.cell is not None:  # only the rest of it
            return replace(step, complaints=complaints)
        case CodeRefused(source, complaints):
            return replace(step, source=source, complaints=complaints)
        case ApprovalGiven(tool="cell", decision="deny", reason=reason) if step.cell is None:
            return replace(step, denied=reason)
        case CallsAnswered(cell, answers):
            return replace(step, cell=cell, calls=answers)
        case _:
            return step


def steps_in(events: Iterable[Event]) -> int:
    """How many replies the model gave to act; plans and a last answer are not counted."""
    count, counts = 0, True
    for event in events:
        if isinstance(event, ModelAsked):
            counts = event.purpose == "step"
        count += counts and isinstance(event, ModelReplied)
    return count
