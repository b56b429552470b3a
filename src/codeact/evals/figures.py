"""The results of an evaluation, counted: by form of action, and in it by domain. Unknown is None, never 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .results import Result


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of some tasks. All but the first two are means of a task; None is what nobody knows."""

    tasks: int
    solved: int
    turns: float | None
    calls: float | None
    input_tokens: float | None
    output_tokens: float | None
    input_bytes: float | None
    output_bytes: float | None
    seconds: float | None

    @property
    def success(self) -> float | None:
        """The part of them that was solved."""
        return self.solved / self.tasks if self.tasks else None


def of(results: Sequence[Result]) -> Figures:
    """The figures of these results."""

    def mean(measure: Callable[[Result], float | None]) -> float | None:
        known = [value for value in map(measure, results) if value is not None]
        return sum(known) / len(known) if known and len(known) == len(results) else None

    return Figures(
        tasks=len(results),
        solved=sum(one.solved for one in results),
        turns=mean(lambda one: one.turns),
        calls=mean(lambda one: one.calls),
        input_tokens=mean(lambda one: one.input_tokens),
        output_tokens=mean(lambda one: one.output_tokens),
        input_bytes=mean(lambda one: one.input_bytes),
        output_bytes=mean(lambda one: one.output_bytes),
        seconds=mean(lambda one: one.seconds),
    )


def by_action(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The results of each form of action, in the order in which the forms came."""
    found: dict[str, list[Result]] = {}
    for one in results:
        found.setdefault(one.action, []).append(one)
    return found


def by_domain(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The results of each domain, in the order in which the domains came."""
    found: dict[str, list[Result]] = {}
    for one in results:
        found.setdefault(one.domain, []).append(one)
    return found


def ratio(value: float | None, to: float | None) -> float | None:
    """How many times as much."""
    return value / to if value is not None and to else None
