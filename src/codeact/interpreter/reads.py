"""What a cell has read of the clock, as its guest tells it: looked at, and kept until the journal takes it."""

from __future__ import annotations

from typing import Any

from ..core.reads import Reads
from ..guest import wire

_LONGEST = 80  # characters of a line's name
_FURTHEST = 1 << 63  # nanoseconds


class Told:
    """The reads of one cell."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[tuple[str, tuple[int, ...]]] = []

    def hear(self, word: wire.Looked) -> None:
        """Keep these. Raises ProtocolError."""
        for line in word.reads:
            match line:
                case [str(name), list(steps)] if name and len(name) <= _LONGEST and all(map(_is_step, steps)):
                    self._count += len(steps)
                    self._waiting.append((name, tuple(steps)))
                case _:
                    raise wire.ProtocolError("Looked.reads are not lines of steps")
        if self._count > wire.MOST_READS or len(self._waiting) > wire.MOST_READS:
            raise wire.ProtocolError("Looked more often than is told of one cell")

    def take(self) -> Reads:
        """What nobody has taken yet."""
        taken, self._waiting = self._waiting, []
        return tuple(taken)


def _is_step(step: Any) -> bool:
    return type(step) is int and -_FURTHEST < step < _FURTHEST


def joined(reads: Reads) -> list[list[Any]]:
    """Each line whole, as a guest is told of it that shall read it again."""
    lines: dict[str, list[int]] = {}
    for name, steps in reads:
        lines.setdefault(name, []).extend(steps)
    return [[name, steps] for name, steps in lines.items()]
