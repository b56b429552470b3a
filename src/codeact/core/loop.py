"""The agent loop, whole: what to do next is a function of where the session stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from .events import StopReason
from .execution import Limits
from .messages import NativeCall
from .state import State, repeats

STALLED_IDLE = 3  # replies in a row without anything to run
STALLED_REPEATS = 5  # the same cell, with the same outcome


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the model for reply number `step` of this task."""

    step: int


@dataclass(frozen=True, slots=True)
class Run:
    """Run this source as cell number `cell`."""

    cell: int
    source: str


@dataclass(frozen=True, slots=True)
class Call:
    """Call these tools, all at once, as action number `cell`."""

    cell: int
    calls: tuple[NativeCall, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """The task is over."""

    reason: StopReason
    output: Any = None
    detail: str | None = None


Step: TypeAlias = Ask | Run | Call | Stop


def next_step(state: State, limits: Limits) -> Step:
    """What to do now. Code that was found is run before anything else is decided."""
    if state.answer is not None:
        return Stop("final_answer", state.answer.value)
    if state.code is not None:
        return Run(state.cell + 1, state.code.source)
    if state.calls:
        return Call(state.cell + 1, state.calls)
    if state.refusal is not None:
        return Stop("refused", detail=state.refusal)
    if state.idle >= STALLED_IDLE:
        return Stop("stalled", detail=f"{state.idle} replies in a row held nothing to run")
    if repeats(state.recent) >= STALLED_REPEATS:
        return Stop("stalled", detail=f"the same action had the same outcome {STALLED_REPEATS} times in a row")
    if state.step >= limits.steps:
        return Stop("max_steps", detail=f"no answer after {state.step} steps")
    return Ask(state.step + 1)
