"""Where a process can be made to die, by whoever proves that a run outlives it. Unless that is asked for, nothing
happens at any of these points.

`CODEACT_CRASHPOINT=17` in the environment ends the process by SIGKILL at the 17th of them, and `commit@3` at the third
of that name. A point stands before and after everything that is kept, sent, called or started. Of another process that
we start, such as a launcher, it is passed on what is `asked_for`.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable

SWITCH = "CODEACT_CRASHPOINT"
_END = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows that cannot be heard either
Strike = Callable[[str], None]


def crashpoint(name: str) -> None:
    """A point of this name is reached."""
    if _strike is not None:
        _strike(name)


def asked_for() -> str:
    """The words of the environment, for a process that has none of its own."""
    return os.environ.get(SWITCH, "")


def switch(strike: Strike | None) -> None:
    """Have this called at every point from here on, in whatever thread that is; None for nothing."""
    global _strike  # noqa: PLW0603 - the one truth that a point looks at
    _strike = strike


def asked(words: str) -> Strike | None:
    """What the environment asks for by these words; nothing by none, or by what is no number."""
    name, _, number = words.rpartition("@")
    if not (number.isascii() and number.isdecimal()):
        return None
    reached = itertools.count(1)

    def strike(point: str) -> None:
        if name in ("", point) and next(reached) == int(number):
            os.kill(os.getpid(), _END)

    return strike


def _first(name: str) -> None:
    """The environment is looked at once, when the first point is reached."""
    switch(asked(asked_for()))
    crashpoint(name)


_strike: Strike | None = _first
