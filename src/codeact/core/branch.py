"""A run that branches off another: what of that one it begins with, and whose calls its cells made; a run below one.

Steps are counted through a run, from its first task to its last: step 3 is the third reply of the model to act.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from .errors import UsageError
from .events import (
    CallsAnswered,
    CodeStarted,
    Disconnected,
    Event,
    Forked,
    InterpreterLost,
    InterpreterRestored,
    ModelReplied,
    Noted,
    SandboxReady,
    TaskGiven,
    ToolCalled,
)
from .state import State, after

_TRAIL = (InterpreterLost, InterpreterRestored, Disconnected)  # what a step brings about as it ends


def upto(events: Sequence[Event], at: int) -> int:
    """How many of these events there are up to the end of step `at`; step 0 is the first task, as it was given.

    Raises UsageError where there is no such step, or none that came to its end.
    """
    state, count, over = State(), 0, False
    for place, event in enumerate(events):
        if over and not isinstance(event, _TRAIL):
            return place
        if count == at and at and isinstance(event, TaskGiven):  # the task was given up in that step
            break
        state = after(state, event)
        count += isinstance(event, ModelReplied) and state.asked == "step"
        over = count == at and (_settled(state) if at else over or isinstance(event, TaskGiven))
    else:
        if over:
            return len(events)
    raise UsageError(_no_such(count, at))


def _settled(state: State) -> bool:
    return state.running is None and state.code is None and not state.calls


def _no_such(count: int, at: int) -> str:
    if count < at:
        steps = f"{count} step{'' if count == 1 else 's'}"
        return f"there is no step {at} to go on from: the run has {steps}" if count else "the run has no step yet"
    if not at:
        return "the run was cut off before its task had begun: there is nothing to go on from"
    return f"step {at} was cut off before its end: go on from step {at - 1}, or have the run itself go on by resume"


def just_forked(events: Sequence[Event]) -> bool:
    """Whether nothing has been done in a run since it branched off."""
    news = (event for event in reversed(events) if not isinstance(event, SandboxReady | Noted))
    return isinstance(next(news, None), Forked)


def begun_by(events: Sequence[Event], kept: int, run: str) -> str:
    """The run that the first `kept` of these events are of: `run`, or the one it branched off behind all of them."""
    cells = [event.cell for event in events[:kept] if isinstance(event, CodeStarted | CallsAnswered | ToolCalled)]
    return owner(events, run)(max(cells)) if cells else run


def run_of(key: str) -> str:
    """The run that an agent answers the call of this key in."""
    return hashlib.sha256(f"run {key}".encode()).hexdigest()[:32]


def owner(events: Sequence[Event], run: str) -> Callable[[int], str]:
    """Which run made the calls of a cell, by its number: `run` itself, or one that it branched off."""
    last = 0
    bounds: list[tuple[int, str]] = []
    for event in events:
        match event:
            case CodeStarted(cell) | CallsAnswered(cell) | ToolCalled(_, cell):
                last = max(last, cell)
            case Forked(other):
                bounds.append((last, other))
            case _:
                pass

    def of(cell: int) -> str:
        return next((other for bound, other in bounds if cell <= bound), run)

    return of
