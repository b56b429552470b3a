"""Standard output and error over descriptors 1 and 2: put right before every cell, written out at its end.

What a thread of an earlier cell prints is no later cell's output: it is counted and left out, unless it works for the
later one, as a thread of `asyncio.to_thread` does. That is looked at only while such threads live, so that printing
costs nothing otherwise; what code writes to the descriptors themselves, below the streams, carries no name.
"""

from __future__ import annotations

import _thread
import fcntl
import os
import sys
import threading
from collections.abc import Callable, Set
from contextlib import suppress
from contextvars import ContextVar
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from typing import Any, TextIO

try:
    import ctypes

    _fflush: Any = ctypes.CDLL(None).fflush  # for libraries that write by C's own buffers
except (ImportError, OSError, AttributeError):
    _fflush = None


# As they are before a cell can have taken them: what fails after a cell's answer would be told of the next one.
_fstat, _dup2, _frames = os.fstat, os.dup2, sys._current_frames
_known = threading._active  # type: ignore[attr-defined]  # an identity is given anew, a Thread is not

OURS: set[int] = set()  # the thread in which cells run and those of the runtime, which say so themselves
_CELL: ContextVar[int] = ContextVar("cell", default=0)  # on whose behalf code runs, also in a thread that is lent
_ABOVE = 1024  # the numbers below are the cell's own: code that looks for what is open finds nothing of ours


class Output:
    """Holds a second descriptor of each stream, so that a cell that closes or redirects one has it back afterwards."""

    def __init__(self) -> None:
        above = min(os.sysconf("SC_OPEN_MAX"), _ABOVE + 3) - 3
        self._kept = {fd: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in (0, 1, 2)}
        self._same = {fd: _identity(fd) for fd in (0, 1, 2)}
        OURS.update(_frames())
        self._cell = 0
        self._older: dict[int, threading.Thread | None] = {}  # threads of earlier cells, by their identity
        self._left_out = 0
        self._stdin = _nobody()
        self._stdout = _stream(1)
        self._stderr = _stream(2)
        self.put_back()

    @property
    def stdin(self) -> TextIO:
        """The standard input that nobody types into."""
        return self._stdin

    def put_back(self) -> None:
        """Give the next cell its streams."""
        for fd, kept in self._kept.items():
            if _identity(fd) != self._same[fd]:
                _dup2(kept, fd)
        if self._stdin.closed:
            self._stdin = _nobody()
        if not _is_sound(self._stdout):
            self._stdout = _stream(1)
        if not _is_sound(self._stderr):
            self._stderr = _stream(2)
        self._part()
        sys.stdin = sys.__stdin__ = self._stdin  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = self._stdout  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stderr  # type: ignore[misc]

    def renew(self, stdout: int, stderr: int, ours: Set[int]) -> None:
        """In a copy: write to these, which somebody else closes. `ours` are the threads of the runtime."""
        for number, descriptor in ((1, stdout), (2, stderr)):
            for place in (number, self._kept[number]):
                _dup2(descriptor, place, inheritable=place == number)
            self._same[number] = _identity(number)
        OURS.clear()
        OURS.update(ours)
        self.put_back()

    def begin(self) -> None:
        """The next cell will run in this context: what runs in a copy of it runs for this cell."""
        _CELL.set(self._cell)

    def end(self) -> None:
        """The cell is over, and what it wrote is on its way. Threads that it left print for nobody from here on."""
        self.flush()
        if not _frames().keys() <= OURS:
            self.put_back()

    def _part(self) -> None:
        """From here on the threads that live are those of an earlier cell."""
        self._cell += 1
        self._older = {ident: _known.get(ident) for ident in _frames().keys() - OURS}
        for stream in (self._stdout, self._stderr):
            vars(stream).pop("write", None)
            if self._older:
                vars(stream)["write"] = self._only_of_the_cell(stream.write)
                with suppress(OSError):
                    stream.flush()  # what came meanwhile is of the cell that ends

    def _only_of_the_cell(self, write: Callable[[str], int]) -> Callable[[str], int]:
        def written(text: str, /) -> int:
            ident = _thread.get_ident()
            lent = _CELL.get() == self._cell
            if not lent and ident in self._older and _known.get(ident) is self._older[ident]:
                self._left_out += len(text)
                return len(text)
            return write(text)

        return written

    def notes(self) -> list[str]:
        """What was left out since this was asked last, for the model."""
        count, self._left_out = self._left_out, 0
        if not count:
            return []
        told = f"{count:,} characters that threads of earlier cells printed are left out"
        return [f"{told}: wait for a thread in the cell that starts it"]

    def flush(self) -> None:
        """Write out what is buffered, also in C and in streams of the cell's own."""
        streams = self._stdout, self._stderr
        if sys.stdout is not self._stdout or sys.stderr is not self._stderr:
            streams = sys.stdout, sys.stderr, *streams  # type: ignore[assignment]
        for stream in streams:
            try:  # noqa: SIM105  # to enter `suppress` is to enter three functions for each
                stream.flush()
            except Exception:  # closed, detached, None, or of the cell's making
                pass
        if _fflush is not None:
            _fflush(None)


def _nobody() -> TextIOWrapper:
    return TextIOWrapper(BufferedReader(FileIO(0, closefd=False)), encoding="utf-8")


def _stream(fd: int) -> TextIOWrapper:
    raw = FileIO(fd, "wb", closefd=False)
    raw.name = "<stdout>" if fd == 1 else "<stderr>"
    stream = TextIOWrapper(
        BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", newline="\n", line_buffering=True
    )
    stream.mode = "w"  # type: ignore[misc]  # CPython's own has it too
    return stream


def _is_sound(stream: TextIOWrapper) -> bool:
    try:
        return not stream.closed and stream.line_buffering and stream.encoding == "utf-8"
    except ValueError:  # detached
        return False


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        found = _fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino
