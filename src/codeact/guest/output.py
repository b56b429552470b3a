"""Standard output and error over descriptors 1 and 2: put right before every cell, written out at its end."""

from __future__ import annotations

import fcntl
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

try:
    import ctypes

    _fflush: Any = ctypes.CDLL(None).fflush  # for libraries that write by C's own buffers
except (ImportError, OSError, AttributeError):
    _fflush = None


_ABOVE = 1024  # the numbers below are the cell's own: code that looks for what is open finds nothing of ours


class Output:
    """Holds a second descriptor of each stream, so that a cell that closes or redirects one has it back afterwards."""

    def __init__(self) -> None:
        above = min(os.sysconf("SC_OPEN_MAX"), _ABOVE + 3) - 3
        self._kept = {fd: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in (0, 1, 2)}
        self._same = {fd: _identity(fd) for fd in (0, 1, 2)}
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
                os.dup2(kept, fd)
        if self._stdin.closed:
            self._stdin = _nobody()
        if not _is_sound(self._stdout):
            self._stdout = _stream(1)
        if not _is_sound(self._stderr):
            self._stderr = _stream(2)
        sys.stdin = sys.__stdin__ = self._stdin  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = self._stdout  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stderr  # type: ignore[misc]

    def flush(self) -> None:
        """Write out what is buffered, also in C and in streams of the cell's own."""
        for stream in (sys.stdout, sys.stderr, self._stdout, self._stderr):
            with suppress(Exception):  # closed, detached, None, or of the cell's making
                stream.flush()
        if _fflush is not None:
            _fflush(None)


def _nobody() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")


def _stream(fd: int) -> io.TextIOWrapper:
    raw = io.FileIO(fd, "wb", closefd=False)
    raw.name = "<stdout>" if fd == 1 else "<stderr>"
    stream = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", newline="\n", line_buffering=True
    )
    stream.mode = "w"  # type: ignore[misc]  # CPython's own has it too
    return stream


def _is_sound(stream: io.TextIOWrapper) -> bool:
    try:
        return not stream.closed and stream.line_buffering and stream.encoding == "utf-8"
    except ValueError:  # detached
        return False


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino
