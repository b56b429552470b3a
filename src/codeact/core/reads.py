"""What cells read of the clock, kept so that a cell which runs again reads the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Reads: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
"""In nanoseconds, by lines: a kind of clock and who read it; then the first read, and the steps to the next ones."""


@dataclass(frozen=True, slots=True)
class ClockRead:
    """A cell that is about to call a tool has read the clock before; what it read later is in its outcome."""

    cell: int
    reads: Reads


@dataclass(frozen=True, slots=True)
class Again:
    """A cell that ran before: what it read of the clock then, and whether it had `ended`."""

    reads: Reads = ()
    ended: bool = True
