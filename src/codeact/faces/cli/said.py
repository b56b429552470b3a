"""A cell as a person sees it: its output as it comes, its value as in a REPL, its traceback."""

from __future__ import annotations

import signal
import sys
from typing import TextIO

from codeact.core.events import Delta, OutputDelta
from codeact.core.execution import Outcome
from codeact.listeners.visible import visible

from . import streams


def tell(delta: Delta) -> None:
    """Let what a cell prints through as it comes: as it is to a file, escaped to a terminal."""
    if isinstance(delta, OutputDelta):
        try:
            _write(sys.stdout if delta.stream == "stdout" else sys.stderr, delta.text)
        except BrokenPipeError:  # nothing that the cell still says is wanted
            streams.silence()
            signal.raise_signal(signal.SIGINT)


def say(outcome: Outcome) -> None:
    """What there is to see of a cell beside its output: the value, the answer, the traceback, what is lost."""
    if outcome.value is not None:
        _write(sys.stdout, outcome.value + "\n")
    if outcome.answer is not None:
        answer = outcome.answer.value
        _write(sys.stdout, (answer if isinstance(answer, str) else repr(answer)) + "\n")
    if outcome.error is not None:
        _write(sys.stderr, outcome.error.traceback.rstrip("\n") + "\n")
    if not outcome.kept:
        _write(sys.stderr, "The interpreter is gone, with all its variables; the next cell gets a fresh one.\n")
    if outcome.dropped:
        _write(sys.stderr, f"({outcome.dropped:,} bytes of output are more than is kept, and may be missing above)\n")


def _write(file: TextIO, text: str) -> None:
    file.write(visible(text) if file.isatty() else text)
    file.flush()
