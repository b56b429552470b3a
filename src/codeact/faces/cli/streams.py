"""Our own standard streams: nothing that is written to them may be an error."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import BinaryIO, TextIO


def prepare() -> None:
    """A character that the terminal's encoding lacks is shown as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def for_programs() -> TextIO:
    """Standard output, kept for our lines alone: whatever else prints in this process goes to standard error."""
    kept = io.TextIOWrapper(io.FileIO(os.dup(1), "w"), encoding="ascii", newline="\n", write_through=True)
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return kept


def for_protocol() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, kept for a protocol: whatever else reads finds nothing, what prints goes to stderr."""
    sys.stdout.flush()
    kept = (io.FileIO(os.dup(0), "r"), io.FileIO(os.dup(1), "w"))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return io.BufferedReader(kept[0]), io.BufferedWriter(kept[1])


def at_keyboard() -> bool:
    """Whether somebody can type."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    raw = getattr(getattr(sys.stdin, "buffer", None), "raw", None)
    return sys.platform != "win32" or type(raw).__name__ == "_WindowsConsoleIO"  # there the null device is a tty, too


def silence() -> None:
    """Let go of a standard stream that takes no more: its reader left, as `head` does, or its disk is full."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def hang_up() -> None:
    """Nobody reads what we say: let go of the stream, and stop as Ctrl-C would."""
    silence()
    signal.raise_signal(signal.SIGINT)
