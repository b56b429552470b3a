"""How often the end of what happened repeats itself: a model in a loop is told so, and stopped in the end."""

from __future__ import annotations

import zlib
from typing import TypeAlias

from .execution import Outcome

Fingerprint: TypeAlias = tuple[str, str]  # a cell's source, and what came of it

RECENT = 10  # cells that are remembered to notice a loop


def essence(outcome: Outcome) -> str:
    """What tells one end from another, without its time."""
    error = f"{outcome.error.type}: {outcome.error.message}" if outcome.error else ""
    drawn = (str(zlib.crc32(image.data)) for image in outcome.images)
    return "\0".join((outcome.ended, outcome.stdout, outcome.stderr, outcome.value or "", error, *drawn))


def repeats(recent: tuple[Fingerprint, ...]) -> int:
    """How often the end of this repeats itself: the same cell, or two cells in turn, with the same outcome.

    >>> repeats((("a", ""), ("b", ""), ("b", ""), ("b", "")))
    3
    """
    best = 1
    for period in (1, 2):
        count = 1
        unit = recent[-period:]
        while len(unit) == period and recent[len(recent) - period * (count + 1) : len(recent) - period * count] == unit:
            count += 1
        best = max(best, count)
    return best
