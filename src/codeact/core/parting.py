"""Where two runs part: step by step, what the model said, what ran, what it called and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, TypeAlias

from .events import UserSaid
from .messages import Usage
from .story import Ending, Given, Item, Turn, turns

Aspect: TypeAlias = Literal["text", "code", "calls", "outcome", "words"]


@dataclass(frozen=True, slots=True)
class Side:
    """A step of one of them, in words: `calls` with their results, a line each."""

    text: str = ""
    code: str = ""
    calls: tuple[str, ...] = ()
    outcome: str = ""
    words: str = ""  # what the user said there
    usage: Usage | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A step of both, None of the one that has no such step, and what of it is another."""

    step: int
    one: Side | None
    other: Side | None
    differs: tuple[Aspect, ...]


@dataclass(frozen=True, slots=True)
class Parting:
    """Two runs beside each other. `tasks` and `ends` are in words, those of the one and those of the other."""

    tasks: tuple[str, str]
    ends: tuple[str, str]
    pairs: tuple[Pair, ...]

    @property
    def at(self) -> int | None:
        """The first step that is another; None where there is none."""
        return next((pair.step for pair in self.pairs if pair.differs), None)

    @property
    def same(self) -> bool:
        """Whether nothing differs but tokens and seconds."""
        return self.at is None and self.tasks[0] == self.tasks[1] and self.ends[0] == self.ends[1]


def parting(one: Sequence[Item], other: Sequence[Item]) -> Parting:
    """The stories of two runs beside each other."""
    sides = zip_longest(map(_side, turns(one)), map(_side, turns(other)))
    pairs = tuple(Pair(step, a, b, _differs(a, b)) for step, (a, b) in enumerate(sides, 1))
    return Parting((_tasks(one), _tasks(other)), (_ends(one), _ends(other)), pairs)


def _differs(one: Side | None, other: Side | None) -> tuple[Aspect, ...]:
    a, b = one or Side(), other or Side()
    found: list[Aspect] = []
    if a.text != b.text:
        found.append("text")
    if a.code != b.code:
        found.append("code")
    if a.calls != b.calls:
        found.append("calls")
    if a.outcome != b.outcome:
        found.append("outcome")
    if a.words != b.words:
        found.append("words")
    return tuple(found)


def _side(turn: Turn) -> Side:
    step, seconds = turn.step, (turn.thinking or 0.0) + (turn.running or 0.0)
    text = turn.replied.reply.text if turn.replied is not None else ""
    if step is None:
        return Side(text, words=_words(turn), usage=turn.usage, seconds=seconds)
    calls = [_call(one.call.tool, one.call.arguments, one.returned) for one in turn.calls]
    return Side(text, step.source or "", tuple(calls), _outcome(turn), _words(turn), turn.usage, seconds)


def _call(tool: str, arguments: dict[str, object], returned: object) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    failure = getattr(returned, "failure", None)
    if returned is None:
        end = "unknown"
    elif failure is not None:
        end = f"{failure.type}: {failure.message}"
    else:
        end = repr(getattr(returned, "value", None))
    return f"{tool}({given}) -> {end}"


def _outcome(turn: Turn) -> str:
    step = turn.step
    if step is None:
        return ""
    parts = [f"not run: {one}" for one in step.complaints]
    parts += [f"not allowed: {step.denied}"] if step.denied is not None else []
    parts += [f"{one.call.name}: {one.text}" for one in step.calls]
    outcome = step.outcome
    if outcome is not None:
        error = f"{outcome.error.type}: {outcome.error.message}" if outcome.error is not None else ""
        answer = f"answer: {outcome.answer.value!r}" if outcome.answer is not None else ""
        parts += [outcome.stdout.rstrip("\n"), outcome.stderr.rstrip("\n"), outcome.value or "", error, answer]
        parts += [f"ended by {outcome.ended}"] if outcome.ended not in ("done", "final_answer") else []
        parts += [f"{len(outcome.images)} pictures"] if outcome.images else []
    return "\n".join(filter(None, parts))


def _words(turn: Turn) -> str:
    said = [event.text if isinstance(event, UserSaid) else getattr(event, "say", "") for event in turn.events]
    return "\n".join(filter(None, said))


def _tasks(items: Sequence[Item]) -> str:
    return "\n".join(item.task.task for item in items if isinstance(item, Given))


def _ends(items: Sequence[Item]) -> str:
    ends = [item.ended for item in items if isinstance(item, Ending)]
    return "\n".join(
        repr(end.output) if end.stop_reason == "final_answer" else f"{end.stop_reason}: {end.error}" for end in ends
    )
