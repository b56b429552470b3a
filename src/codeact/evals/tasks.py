"""A task of an evaluation: what is asked, what is answered, and with which tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..core.actions import Form
from ..ports import Tool

Check: TypeAlias = Callable[[Any, Any], bool]  # whether this answer is the expected one


@dataclass(frozen=True, slots=True)
class Task:
    """One question with its answer, and the group that it is counted in."""

    name: str
    domain: str
    instruction: str
    expected: Any


@dataclass(frozen=True, slots=True)
class TaskSet:
    """Tasks, the tools for each (fresh ones, since they may remember), and when an answer is right.

    `variant` names which form of the set it is; `steps` is how many replies a task may take, where it says so.
    """

    name: str
    tasks: tuple[Task, ...]
    tools: Callable[[Task, Form], Sequence[Tool]]
    check: Check
    variant: str = ""
    steps: int | None = None
    instructions: str = ""
