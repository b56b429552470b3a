"""Our own standard streams: nothing that is written to them may be an error."""

from __future__ import annotations

import io
import os
import sys


def prepare() -> None:
    """A character that the terminal's encoding lacks is shown as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def at_keyboard() -> bool:
    """Whether somebody can type."""
    return sys.stdin is not None and sys.stdin.isatty()


def silence() -> None:
    """Let go of a standard output whose reader left, as `head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
