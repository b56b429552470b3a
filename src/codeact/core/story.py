"""A run as it is told: its tasks, their steps with all that came of each, and how they ended, read off its entries.

What shows a run, what compares two, and what takes them elsewhere read the same story. Steps are counted through the
run, as a fork counts them. What happened in a step in the order in which it came stands in `Turn.events`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from .events import (
    ApprovalGiven,
    CodeRan,
    CodeStarted,
    Entry,
    Event,
    ModelAsked,
    ModelFailed,
    ModelReplied,
    Purpose,
    Resumed,
    RunStarted,
    TaskEnded,
    TaskGiven,
    ToolCalled,
    ToolReturned,
)
from .execution import Returned
from .messages import Usage
from .state import CUT_OFF, State, after
from .steps import Step, steps_of


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call of a step: `returned` is None where nothing is known of its end, `seconds` then, too."""

    call: ToolCalled
    returned: Returned | None = None
    seconds: float | None = None
    decision: ApprovalGiven | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """How the run began: what it is made of, and what happened before its first task."""

    at: float
    made: RunStarted | None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """A task, and what happened before the model was asked."""

    number: int
    at: float
    task: TaskGiven
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """A question to the model, and all up to the next one.

    `number` counts steps through the run, and is None of what is none: a plan, a last answer, a question that had no
    reply. `thinking` are the seconds until the reply, `running` those of its cell; None where one did not end.
    """

    at: float
    purpose: Purpose
    number: int | None = None
    step: Step | None = None
    replied: ModelReplied | None = None
    failed: ModelFailed | None = None
    thinking: float | None = None
    running: float | None = None
    calls: tuple[Called, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def usage(self) -> Usage:
        """What the reply used, where there is one."""
        return self.replied.reply.usage if self.replied is not None else Usage()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task ended, what all of it used, and how many seconds after it was given."""

    task: int
    at: float
    ended: TaskEnded
    usage: Usage
    cost: float | None
    seconds: float


Item: TypeAlias = Opening | Given | Turn | Ending


def story(entries: Iterable[Entry]) -> tuple[Item, ...]:
    """The items of a run, in order. A run that is cut off, or at work, has no ending."""
    found = list(entries)
    parts = _parts(found)
    items: list[Item] = []
    state, steps, tasks, given = State(), 0, 0, 0.0
    for part in parts:
        first = part[0]
        asked = None
        for entry in part:
            state = after(state, entry.event)
            asked = state.asked
        match first.event:
            case TaskGiven():
                tasks, given = tasks + 1, first.at
                items.append(Given(tasks, first.at, first.event, _events(part[1:])))
            case ModelAsked():
                turn = _turn(part)
                if turn.replied is not None and asked == "step":
                    steps += 1
                    turn = replace(turn, number=steps)
                items.append(turn)
            case TaskEnded():
                items.append(Ending(tasks, first.at, first.event, state.usage, state.cost, first.at - given))
            case _:
                made = next((entry.event for entry in part if isinstance(entry.event, RunStarted)), None)
                items.append(Opening(first.at, made, _events(part)))
    return tuple(items)


def turns(items: Iterable[Item]) -> tuple[Turn, ...]:
    """The steps of a run: what is counted, and nothing else."""
    return tuple(item for item in items if isinstance(item, Turn) and item.number is not None)


def _parts(entries: Sequence[Entry]) -> list[list[Entry]]:
    """What belongs together: an end that the task went on from is no end, but a part of what was cut off."""
    parts: list[list[Entry]] = []
    for place, entry in enumerate(entries):
        event = entry.event
        ends = isinstance(event, TaskEnded) and not (event.stop_reason in CUT_OFF and _goes_on(entries, place))
        if not parts or ends or isinstance(event, TaskGiven | ModelAsked):
            parts.append([])
        parts[-1].append(entry)
    return parts


def _goes_on(entries: Sequence[Entry], place: int) -> bool:
    for entry in entries[place + 1 :]:
        if isinstance(entry.event, TaskGiven):
            return False
        if isinstance(entry.event, Resumed):
            return True
    return False


def _events(part: Sequence[Entry]) -> tuple[Event, ...]:
    return tuple(entry.event for entry in part)


def _turn(part: Sequence[Entry]) -> Turn:
    asked = part[0].event
    assert isinstance(asked, ModelAsked)
    turn = Turn(part[0].at, asked.purpose, events=_events(part[1:]))
    began: dict[str, Any] = {}
    calls: dict[str, Called] = {}
    decided: dict[str, ApprovalGiven] = {}
    cell = 0.0
    for entry in part:
        match entry.event:
            case ModelReplied() as replied:
                turn = replace(turn, replied=replied, thinking=entry.at - turn.at)
            case ModelFailed() as failed:
                turn = replace(turn, failed=failed)
            case ApprovalGiven(key) as given:
                decided[key] = given
            case CodeStarted():
                cell = entry.at
            case CodeRan(_, outcome):
                turn = replace(turn, running=outcome.seconds or entry.at - cell)
            case ToolCalled(key) as call:
                began[key] = entry.at
                calls[key] = Called(call, decision=decided.get(key))
            case ToolReturned(key, returned) if key in calls:
                calls[key] = replace(calls[key], returned=returned, seconds=entry.at - began[key])
            case _:
                pass
    step = next(iter(steps_of(_events(part))), None)
    return replace(turn, calls=tuple(calls.values()), step=step)
