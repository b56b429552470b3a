"""What cells read of the clock, and draw their random numbers from, so that one which runs again has the same."""

from __future__ import annotations

import hashlib
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


def sown(seed: bytes) -> bytes:
    """What the guest gets of a seed: the marks around its output are drawn from the seed itself, not known to it."""
    return hashlib.sha256(seed).digest()[:16]
