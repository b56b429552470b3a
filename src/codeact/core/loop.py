"""The agent loop, whole: what to do next is a function of where the session stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from .events import Purpose, StopReason
from .execution import Answer, Limits
from .messages import NativeCall
from .state import State, repeats

STALLED_IDLE = 3  # replies in a row without anything to run
STALLED_REPEATS = 5  # the same cell, with the same outcome
STALLED_PLANS = 5  # in a row that somebody did not allow


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the model for reply number `step` of this task; or, before that step, for something else."""

    step: int
    purpose: Purpose = "step"


@dataclass(frozen=True, slots=True)
class Review:
    """Let this plan be looked at, by whoever has to, and then count."""

    step: int
    plan: str


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
    last: Answer | None = None


Step: TypeAlias = Ask | Review | Run | Call | Stop


def next_step(state: State, limits: Limits) -> Step:
    """What to do now. Code that was found is run before anything else is decided."""
    if state.answer is not None and state.asked != "answer":
        return Stop("final_answer", state.answer.value)
    if state.code is not None:
        return Run(state.cell + 1, state.code.source)
    if state.calls:
        return Call(state.cell + 1, state.calls)
    if state.draft is not None:
        return Review(state.step + 1, state.draft)
    if state.asked == "answer":
        return Stop("max_steps", detail=_used_up(state), last=state.answer)
    if state.refusal is not None:
        return Stop("refused", detail=state.refusal)
    if state.idle >= STALLED_IDLE:
        return Stop("stalled", detail=f"{state.idle} replies in a row held nothing to run")
    if repeats(state.recent) >= STALLED_REPEATS:
        return Stop("stalled", detail=f"the same action had the same outcome {STALLED_REPEATS} times in a row")
    if len(state.objections) >= STALLED_PLANS:
        return Stop("stalled", detail=f"{STALLED_PLANS} plans in a row were not allowed")
    if state.step >= limits.steps:
        asks = state.started.last_answer
        return Ask(state.step + 1, "answer") if asks else Stop("max_steps", detail=_used_up(state))
    every = state.started.planning_interval
    if every is not None and state.step % every == 0 and state.planned != state.step:
        return Ask(state.step + 1, "plan")
    return Ask(state.step + 1)


def _used_up(state: State) -> str:
    return f"no answer after {state.step} steps"
