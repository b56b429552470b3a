"""Lines that a person types: what was typed before is at hand, and Ctrl-C means what the moment says."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from codeact import places

try:
    readline: Any = import_module("readline")
except ImportError:  # a Python built without it still reads lines, and the console of Windows edits them itself
    readline = None


@contextlib.contextmanager
def on_interrupt(handler: Any) -> Iterator[None]:
    """While this lasts, Ctrl-C does that."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def history(name: str) -> Iterator[None]:
    """The lines typed before, from the user's state directory; kept private, and not missed where it cannot be."""
    if readline is None:
        yield
        return
    path = places.state() / name
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(1000)
    readline.set_auto_history(True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            readline.write_history_file(path)
            path.chmod(0o600)
        sys.stdout.flush()


def pasted_whole() -> None:
    """Have several lines that are pasted at once come as one input, where the library can."""
    if readline is not None and "libedit" not in (readline.__doc__ or ""):
        readline.parse_and_bind("set enable-bracketed-paste on")


def typed_so_far() -> str:
    """What stood in the line when it was interrupted."""
    return str(readline.get_line_buffer()) if readline is not None else ""
