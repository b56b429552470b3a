"""What happened to a budget, in the past tense: the events of it."""

from __future__ import annotations

from dataclasses import dataclass

from .budget import Kind
from .messages import Usage


@dataclass(frozen=True, slots=True)
class Charged:
    """The tool that answers the call of this key asked a model itself: what that used, and what it cost if known."""

    key: str
    model: str
    usage: Usage
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class BudgetWarned:
    """Most of a budget is spent: the model reads it with the next thing that it is told."""

    kind: Kind
    spent: float
    limit: float


@dataclass(frozen=True, slots=True)
class BudgetEnded:
    """A budget left no room for a reply or a tool call; when the cell that is running is over, so is the task."""

    kind: Kind
    why: str
