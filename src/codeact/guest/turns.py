"""Answers are taken one by one, in the order in which they came, by whichever threads and tasks wait for them.

A thread that reads for all finds its own answer among those of others, and would go on before they woke; an event loop
wakes all at once whose answers came together. Then it would be chance in which order they go on, and code that works
with whichever comes first would do something else when it runs again. So who has an answer waits until those that came
before are taken; in an event loop also until the tasks that this woke have had their steps.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

PATIENCE = 0.05  # seconds for one that does not take its answer: its thread has ended, or its loop was left
AFTER = 0.0002  # seconds in which a thread that has taken its answer does something with it
STEPS = 8  # turns of an event loop in which an answer has its effects: who waits for the first of some needs four


class Taker(Protocol):
    """Who has an answer and has not taken it yet."""

    def turn(self) -> None:
        """It is the first now."""

    def gone(self) -> bool:
        """Whether it cannot take it any more."""


class Turns:
    """Those who have an answer, in the order in which the answers came."""

    def __init__(self) -> None:
        self._line: deque[Taker] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def came(self, taker: Taker) -> None:
        """This one's answer is there."""
        self._line.append(taker)

    def first(self, taker: Taker) -> bool:
        """Whether all that came before are taken."""
        line = self._line
        try:
            while line[0] is not taker and line[0].gone():
                line.popleft()
            return line[0] is taker or taker not in line
        except IndexError:  # another thread took the last one
            return True

    def late(self, taker: Taker) -> None:
        """Wait no longer for those before this one."""
        line = self._line
        while taker in line and not self.first(taker):
            line.popleft()

    def over(self, taker: Taker) -> None:
        """It is taken, or nobody will take it."""
        line = self._line
        try:
            line.remove(taker)
            line[0].turn()
        except (ValueError, IndexError):  # it was not there, or was the last
            pass

    def clear(self) -> None:
        """Nothing is left of the cell before."""
        self._line.clear()
