"""When a signal may break into the main thread: in the cell's code, never in the middle of a word.

The host sends SIGINT between a cell's start and its end. The handler looks at what the main thread is doing: in the
cell's own frames, or in a function marked `open_to_interrupts`, it raises; in one marked `shut_to_interrupts`, or in
the runtime's bookkeeping, the strike waits until `check`. So no runtime code has to guard itself by a flag.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # its functions do not make an enum of every answer
import _thread
import signal
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

CELL = "<cell "  # how the file name of every cell begins
_F = TypeVar("_F", bound=Callable[..., Any])
_OPEN: set[CodeType] = set()
_SHUT: set[CodeType] = set()


class Interrupted(KeyboardInterrupt):
    """The cell was stopped from outside: by a limit, or because it was cancelled."""


class Finished(SystemExit):
    """The cell has given its final answer."""


for _shown in (Interrupted, Finished):
    _shown.__module__ = "builtins"  # tracebacks show the bare name


def open_to_interrupts(function: _F) -> _F:
    """Mark a function of the runtime that may be left at any point, such as a wait."""
    _OPEN.add(function.__code__)
    return function


def shut_to_interrupts(function: _F) -> _F:
    """Mark a function of the runtime that has to come to its end."""
    _SHUT.add(function.__code__)
    return function


class Interrupts:
    """The SIGINT handler of a session. `arriving` tells whether a word of the host has come
    that is not answered yet: a strike at that time may mean the cell that is just beginning."""

    def __init__(self, arriving: Callable[[], bool]) -> None:
        self.fired = False  # in this cell
        self.pending = False
        self._running = False
        self._finishing = False
        self._arriving = arriving
        self._main = _thread.get_ident()

    def install(self) -> None:
        """Take SIGINT, also back from a cell that took it."""
        if _signal.getsignal(signal.SIGINT) != self._strike_or_wait:
            _signal.signal(signal.SIGINT, self._strike_or_wait)

    def begin(self) -> None:
        """A cell begins. A strike that came while its word was being read is kept."""
        self._running = True

    def end(self) -> None:
        """The cell is over: what did not strike until now never will."""
        self._running = self._finishing = self.fired = self.pending = False

    def forget(self) -> None:
        """The word that was arriving is not a cell: a strike meant the one before."""
        self.pending = False

    def finish(self) -> None:
        """Called by another thread that gave the final answer: end the main thread's part of the cell."""
        self._finishing = True
        try:
            signal.pthread_kill(self._main, signal.SIGINT)  # wakes it from a blocking call too
        except OSError:
            _thread.interrupt_main()

    def check(self) -> None:
        """Let a waiting strike happen here, if this is the main thread."""
        if self.pending and self._running and _thread.get_ident() == self._main:
            self.pending = False
            self._strike()

    def _strike(self) -> None:
        if self._finishing:
            self._finishing = False
            raise Finished
        self.fired = True
        raise Interrupted("the cell was interrupted")

    def _strike_or_wait(self, signum: int, frame: FrameType | None) -> None:
        if not self._running:
            self.pending = self._arriving()
        elif _may_break(frame):
            self._strike()
        else:
            self.pending = True


def _may_break(frame: FrameType | None) -> bool:
    while frame is not None:
        code = frame.f_code
        if code in _SHUT:
            return False
        if code in _OPEN or code.co_filename.startswith(CELL):
            return True
        frame = frame.f_back
    return False
