"""A cell has CPython's depth of recursion to itself: the runtime's own frames below it are not counted."""

from __future__ import annotations

import re
import sys

DEPTH = 1000  # CPython's default
LEAST = 200  # what the runtime needs between cells


def _room() -> int:
    """How many calls fit on the stack from here. CPython keeps the count to itself, and what it counts changes."""
    try:
        return 1 + _room()
    except RecursionError:
        return 0


class Depth:
    """`sys.getrecursionlimit` and `sys.setrecursionlimit` as a cell at the bottom of the stack would see them."""

    def __init__(self) -> None:
        self._below = 0
        self._get, self._set = sys.getrecursionlimit, sys.setrecursionlimit
        sys.getrecursionlimit, sys.setrecursionlimit = self.get, self.set

    def begin(self, between: int) -> None:
        """Set the limit for cells that have so many frames between them and the caller, measuring what is below."""
        watching = sys.getprofile()
        sys.setprofile(None)  # it would be ended by the error in which the measuring ends
        self._below = self._get() - _room() + between
        sys.setprofile(watching)
        self._set(DEPTH + self._below)

    def put_back(self) -> None:
        """After a cell that left less than the runtime needs."""
        if self._get() < LEAST + self._below:
            self._set(DEPTH + self._below)

    def get(self) -> int:
        """Return the maximum depth of the Python interpreter stack."""
        return self._get() - self._below

    def set(self, limit: int, /) -> None:
        """Set the maximum depth of the Python interpreter stack."""
        try:
            self._set(limit + self._below if type(limit) is int and 0 < limit < 1 << 30 else limit)
        except RecursionError as error:  # the cell is deeper than that: said in the cell's own numbers
            words = re.sub(r"\d+", lambda number: str(int(number[0]) - self._below), str(error))
            raise RecursionError(words) from None
