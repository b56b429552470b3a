"""The agent loop, whole: what to do next is a function of where the session stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from .events import Purpose, StopReason
from .execution import Answer, Limits
from .messages import NativeCall
from .repetition import repeats
from .state import State
from .window import can_be_cut, gives_way, upto

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
class Compact:
    """Let results of old cells give way, or cut the newest, down to about `goal` tokens of prompt."""

    goal: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Summarise:
    """Have the model sum up the conversation before message number `upto`."""

    upto: int


@dataclass(frozen=True, slots=True)
class Overflow:
    """The prompt is longer than the user allows, and nothing more can be left out of it."""

    detail: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The task is over."""

    reason: StopReason
    output: Any = None
    detail: str | None = None
    last: Answer | None = None


Step: TypeAlias = Ask | Review | Run | Call | Compact | Summarise | Overflow | Stop


def next_step(state: State, limits: Limits) -> Step:
    """What to do now. Code that was found is run before anything else is decided."""
    if state.answer is not None and state.asked != "answer":
        return Stop("final_answer", state.answer.value)
    if state.code is not None:
        return Run(state.cell + 1, state.code.source)
    if state.calls:
        return Call(state.cell + 1, state.calls)
    if state.spent is not None:
        return Stop("budget", detail=state.spent)
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
        if not state.started.last_answer:
            return Stop("max_steps", detail=_used_up(state))
        return _made_room(state, limits) or Ask(state.step + 1, "answer")
    every = state.started.planning_interval
    plans = every is not None and state.step % every == 0 and state.planned != state.step
    return _made_room(state, limits) or Ask(state.step + 1, "plan" if plans else "step")


def _used_up(state: State) -> str:
    return f"no answer after {state.step} steps"


def _made_room(state: State, limits: Limits) -> Compact | Summarise | Overflow | None:
    """What has to give way before the model can be asked."""
    window, messages = state.window, state.messages
    room = window.room(limits.context_tokens)
    if room is None or window.tokens <= room:
        return None
    if gives_way(messages, window):
        return Compact(room // 2)
    end = upto(messages, window, room // 2)
    if end is not None:
        return Summarise(end)
    if can_be_cut(messages, window):
        return Compact(room, cut=True)
    if limits.context_tokens is None or window.tokens <= limits.context_tokens:
        return None  # the server decides, for our count is no more than a guess
    return Overflow(
        f"the prompt has about {window.tokens:,} tokens, context_tokens={limits.context_tokens:,} are allowed, and "
        "nothing more can be left out of it: allow more, or give long text as a variable"
    )


def goes_on(state: State, limits: Limits) -> bool:
    """Whether a prompt that was refused for its length can be made shorter and asked again, which is done once."""
    return state.window.refusals == 1 and isinstance(_made_room(state, limits), Compact | Summarise)
