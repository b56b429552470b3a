"""What became of a call that began, and of which no end was recorded: only its tool, or a person, can know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Retry:
    """It may be made again, under the same key: it took no effect, or a second time does no harm."""


@dataclass(frozen=True, slots=True)
class Happened:
    """It took effect, and this is the value that the code gets for it."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It failed, and the code gets a RuntimeError that says so."""

    reason: str = ""


Recovery: TypeAlias = Retry | Happened | Failed
